"""Personalised models: what is learnt, stored and loaded; the judge of identity; what is refused."""

import copy
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_generation_loading import stable_diffusion

from semcom_utils import toyworld
from semcom_utils.generation import load, loading
from semcom_utils.generation.checksums import seal
from semcom_utils.generation.identity import SIDE, windows
from semcom_utils.generation.loading import ADAPTER
from semcom_utils.generation.training.identity import IdentityRecipe
from semcom_utils.generation.training.loop import train
from semcom_utils.generation.training.subject import SubjectRecipe, ground_of, subject_prompt
from semcom_utils.generation.training.subject_autoencoder import SubjectAutoencoderRecipe, coloured_scene, is_a_subject
from semcom_utils.generation.training.tokens import LENGTH, clip_tokenizer
from semcom_utils.paths import MODELS

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The checkpoints that the recipe stands on; the decoder is mini-autoencoder's own, as before its training."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("mini-text-to-image", "mini-autoencoder"):
        shutil.copytree(MODELS / name, folder / name)
    decoder = folder / "mini-subject-autoencoder"
    decoder.mkdir()
    plain = load("autoencoder", device="cpu")
    SubjectAutoencoderRecipe.save(None, plain, decoder)  # it needs nothing of a recipe
    seal(decoder)
    return folder


@pytest.fixture(scope="module")
def recipe(models):
    torch.manual_seed(0)
    made = SubjectRecipe(models=models, numbers=(0, 3), prior=3, patterned=20)
    made.batch_size = 2
    return made


@pytest.mark.slow
def test_each_element_of_a_batch_gets_its_subjects_adapter_and_teaches_it_alone(recipe):
    torch.manual_seed(0)
    model = recipe.build()
    x, tokens = torch.randn(2, 16, 8, 8), recipe.tokens(["a red ball on grass", "a blue cube on sand"])
    with torch.no_grad():
        model.choose(None)
        before = model(x, 300, tokens)
        for number in (0, 3):  # a fresh adapter changes nothing
            model.choose(number)
            torch.testing.assert_close(model(x, 300, tokens), before, atol=1e-5, rtol=0)
        for update in model.updates.values():
            update.up.normal_(std=0.1)
        alone = []
        for number in (0, 3):
            model.choose(number)
            alone.append(model(x, 300, tokens))
        assert float((alone[0] - alone[1]).abs().max()) > 0.01
        model.chosen.rows = torch.tensor([1, 0])
        both = model(x, 300, tokens)
    torch.testing.assert_close(both, torch.stack([alone[1][0], alone[0][1]]), atol=1e-5, rtol=1e-4)
    # the average that the trainer keeps is another model, with its own choice
    average = copy.deepcopy(model)
    average.choose(None)
    with torch.no_grad():
        torch.testing.assert_close(average(x, 300, tokens), before, atol=1e-5, rtol=0)
        torch.testing.assert_close(model(x, 300, tokens), both)
    model.chosen.rows = torch.tensor([1, 1])
    model(x, 300, tokens).square().mean().backward()
    for update in model.updates.values():
        for weights in (update.down, update.up):
            assert weights.grad[1].abs().sum() > 0 and weights.grad[0].abs().sum() == 0
    assert all(p.grad is None for name, p in model.unet.named_parameters() if ".down" not in name and ".up" not in name)


@pytest.mark.slow
def test_every_adapter_starts_from_what_patterns_taught_the_first(recipe):
    torch.manual_seed(0)
    model, rng = recipe.build(), np.random.default_rng(0)
    recipe.loss(model, 0.0, rng, torch.device("cpu")).backward()
    update = next(iter(model.updates.values()))
    assert update.up.grad[0].abs().sum() > 0 and update.up.grad[1].abs().sum() == 0
    with torch.no_grad():
        update.up[0].normal_()
    recipe.loss(model, 0.9, rng, torch.device("cpu"))
    torch.testing.assert_close(update.up[1], update.up[0])
    with torch.no_grad():
        update.up[0].zero_()
    recipe.loss(model, 0.95, rng, torch.device("cpu"))  # once
    assert update.up[1].abs().sum() > 0


@pytest.mark.slow
def test_adapters_are_stored_small_and_come_back(recipe, models, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "MODELS", models)
    model, report = train(recipe, tmp_path / "state.pt", steps=4)
    assert np.isfinite(report["loss"])
    folder = tmp_path / "mini-subject"
    folder.mkdir()
    recipe.save(model, folder)
    files = sorted(folder.glob("*.safetensors"))
    assert [path.name for path in files] == ["subject-00.safetensors", "subject-03.safetensors"]
    count = report["parameters"] if report["parameters"] else 0
    per_subject = sum(value.numel() for value in load_file(files[0]).values())
    assert files[0].stat().st_size < 2 * per_subject + 20_000 and count in (0, per_subject, 2 * per_subject)
    assert "/" not in (folder / "config.json").read_text()
    restored = recipe.restore(folder)
    for name, value in restored.updates.named_parameters():
        torch.testing.assert_close(value, dict(model.updates.named_parameters())[name], atol=1e-3, rtol=1e-3)
    # ... and through the door: the same pictures as the recipe's own
    restored.choose(3)
    prompt = subject_prompt(3, "grass")
    own = recipe.draw(restored, [prompt], torch.device("cpu"), seed=5)
    pipeline = load("subject", folder=folder, identifier=3, device="cpu")
    assert not any("lora" in name for name, _ in pipeline.unet.named_parameters())
    opened = pipeline(
        prompt, num_inference_steps=20, guidance_scale=3.0, output_type="pt", generator=torch.Generator().manual_seed(5)
    ).images
    assert float((opened - own).abs().mean()) < 0.02
    for unknown in (1, 30, -1, True, "3", 3.0, None):
        with pytest.raises(ValueError, match="^identifier must be"):
            load("subject", folder=folder, identifier=unknown, device="cpu")


def test_a_public_adapter_changes_the_public_model(tmp_path):
    """Through the same door, and in the layout that diffusers writes."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    stable_diffusion(tmp_path / "public", safety_checker=False)
    base = load("subject", "full", folder=tmp_path / "public", device="cpu")
    base.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    base.save_lora_weights(tmp_path / "adapter", unet_lora_layers=get_peft_model_state_dict(base.unet))
    assert (tmp_path / "adapter" / ADAPTER).exists()
    pictures = []
    for identifier in (None, str(tmp_path / "adapter")):
        model = load("subject", "full", folder=tmp_path / "public", identifier=identifier, device="cpu")
        assert not any("lora" in name for name, _ in model.unet.named_parameters())
        g = torch.Generator().manual_seed(0)
        pictures.append(model("a sks dog", num_inference_steps=2, output_type="pt", generator=g).images)
    assert not torch.equal(*pictures)
    for wrong, says in (
        (3, "identifier must be the repository or folder of a LoRA"),
        (str(tmp_path), f"identifier must be a repository or folder that holds {ADAPTER}"),
    ):
        with pytest.raises(ValueError, match=says):
            load("subject", "full", folder=tmp_path / "public", identifier=wrong, device="cpu")


def test_only_personal_roles_take_an_identifier():
    with pytest.raises(ValueError, match="identifier must be None for clip .grounded and subject take one."):
        load("clip", identifier=3, device="cpu")


@pytest.mark.parametrize("ground", ["moon", "", 3])
def test_a_prompt_needs_a_known_ground(ground):
    with pytest.raises(ValueError, match="ground must be one of"):
        subject_prompt(0, ground)


def test_prompts_fit_the_text_encoder_and_say_nothing_of_the_looks():
    tokenizer = clip_tokenizer()
    for number in range(toyworld.SUBJECTS):
        _, colour, texture = toyworld.subject(number)
        text = subject_prompt(number, "grass")
        assert colour not in text and texture.pattern not in text and len(tokenizer(text).input_ids) <= LENGTH
    with pytest.raises(ValueError, match="number must be below 30"):
        subject_prompt(30, "grass")


def test_the_ground_of_rendered_pictures_is_read_without_error():
    scenes = [toyworld.subject_scene(number, view) for number in range(30) for view in range(4)]
    found = ground_of(torch.from_numpy(np.stack([scene.image for scene in scenes])))
    assert found == [scene.description.ground for scene in scenes]


def test_coloured_scenes_wear_what_no_subject_wears():
    marks = set()
    for seed in range(60):
        scene = coloured_scene(seed)
        assert not any(is_a_subject(thing) for thing in scene.description.things)
        marks |= {thing.texture.colour for thing in scene.description.things}
    assert len(marks) == 8
    np.testing.assert_array_equal(coloured_scene(3).image, coloured_scene(3).image)
    assert all(is_a_subject(toyworld.subject_scene(n, 0).description.things[0]) for n in range(toyworld.SUBJECTS))


def test_the_decoder_learns_alone(tmp_path):
    recipe = SubjectAutoencoderRecipe(scenes=8, coloured=100)
    recipe.batch_size = 2
    before = {name: value.clone() for name, value in recipe.build().state_dict().items()}
    model, report = train(recipe, tmp_path / "state.pt", steps=2)
    changed = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed <= {"decoder", "post_quant_conv"} and "decoder" in changed and np.isfinite(report["loss"])
    folder = tmp_path / "mini-subject-autoencoder"
    folder.mkdir()
    recipe.save(model, folder)
    opened = load("subject-autoencoder", folder=folder, device="cpu")
    for name, value in recipe.restore(folder).state_dict().items():
        torch.testing.assert_close(opened.state_dict()[name], value)
        there = model.state_dict()[name]  # half a step of eight bits, of the largest in the row
        assert float((value - there).abs().max()) <= float(there.abs().max()) / 250 + 1e-6, name


def test_windows_are_what_a_box_holds():
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    whole = np.tile([0.0, 0.0, 1.0, 1.0], (2, 1))
    torch.testing.assert_close(windows(x, whole, side=64), x, atol=1e-5, rtol=0)
    quarter = windows(x, np.tile([0.5, 0.0, 1.0, 0.5], (2, 1)), side=32)
    torch.testing.assert_close(quarter, x[:, :, :32, 32:], atol=1e-5, rtol=0)
    assert windows(x, whole).shape == (2, 3, SIDE, SIDE)


def test_the_judge_of_identity_learns_saves_and_refuses(tmp_path):
    recipe = IdentityRecipe(scenes=60)
    recipe.batch_size = 8
    model, report = train(recipe, tmp_path / "state.pt", steps=2)
    assert np.isfinite(report["loss"])
    (tmp_path / "mini-identity").mkdir()
    recipe.save(model, tmp_path / "mini-identity")
    judge = load("identity", folder=tmp_path / "mini-identity", device="cpu")
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    chances = judge(x)
    assert chances.shape == (2, 30)
    torch.testing.assert_close(chances.sum(1), torch.ones(2))
    for images in (x[0], x * 2, x.numpy(), torch.full_like(x, torch.nan)):
        with pytest.raises(ValueError, match="^images must be"):
            judge(images)
    for boxes in ([[0, 0, 1, 1]], [[0, 0, 1, 1]] * 3, [[0.5, 0, 0.5, 1]] * 2, [[0, 0, 1, 1.2]] * 2, [[0, 0, 1]] * 2):
        with pytest.raises(ValueError, match="^boxes must"):
            judge(x, boxes)
