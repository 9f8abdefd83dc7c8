"""Training recipes: resumable to the bit, honest cards, models that come back as they went in."""

import json

import numpy as np
import pytest
import torch

from semcom_utils import toyworld
from semcom_utils.generation.judging import SAME, Judge, box_overlap
from semcom_utils.generation.loading import Detector
from semcom_utils.generation.parsing import figures, parse
from semcom_utils.generation.training.autoencoder import AutoencoderRecipe, hue_error
from semcom_utils.generation.training.captioner import CaptionerRecipe
from semcom_utils.generation.training.card import read_figures, targets_reached, write_card
from semcom_utils.generation.training.clip import ClipRecipe, misstatement, normalise
from semcom_utils.generation.training.controlnet import ControlMaps, ControlNetRecipe, silenced
from semcom_utils.generation.training.data import Scenes
from semcom_utils.generation.training.detector import LABELS, DetectorRecipe, mean_average_precision
from semcom_utils.generation.training.loop import Recipe, learning_rate, train
from semcom_utils.generation.training.maps import DepthRecipe, ParserRecipe, SoftEdgesRecipe
from semcom_utils.generation.training.receiver import ReceiverRecipe
from semcom_utils.generation.training.text_to_image import TextToImageRecipe
from semcom_utils.generation.training.tokens import LENGTH, SPARE_WORD, bert_tokenizer, clip_tokenizer
from semcom_utils.paths import MODELS
from semcom_utils.toyworld.agreement import keypoint_distance
from semcom_utils.toyworld.maps import MAPS, control_array, control_picture

pytestmark = pytest.mark.usefixtures("one_thread")


class Line(Recipe):
    """A regression that a machine does in milliseconds; it may be killed at a step."""

    role, steps, rate = "line", 60, 1e-2
    targets = {"error": (0.0, 10.0)}
    scenes = range(5)
    about, limits = "a line (`diffusers`)", "It is straight."

    def __init__(self, killed_at=None):
        self.killed_at, self.seen = killed_at, []

    def build(self):
        return torch.nn.Linear(3, 1)

    def loss(self, model, progress, rng, device):
        step = round(progress * self.steps)
        if step == self.killed_at:
            raise KeyboardInterrupt
        self.seen.append(step)
        x = torch.from_numpy(rng.normal(size=(8, 3))).float()
        return (model(x + 0.01 * torch.randn(x.shape)) - x.sum(1, keepdim=True)).square().mean()

    def evaluate(self, model, device):
        return {"error": float((model.weight - 1).abs().max())}

    def save(self, model, folder):
        torch.save(model.state_dict(), folder / "line.pt")

    def restore(self, folder):
        model = torch.nn.Linear(3, 1)
        model.load_state_dict(torch.load(folder / "line.pt"))
        return model


def test_a_killed_run_resumes_to_the_same_weights(tmp_path):
    whole, report = train(Line(), tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        train(Line(killed_at=37), tmp_path / "part.pt", save_every=0.0)
    second = Line()
    resumed, report_resumed = train(second, tmp_path / "part.pt")
    assert second.seen == list(range(37, 60))  # nothing is lost, nothing is counted twice
    assert torch.equal(whole.weight, resumed.weight) and torch.equal(whole.bias, resumed.bias)
    assert report["steps"] == report_resumed["steps"] == 60
    assert report["loss"] == report_resumed["loss"]


class Watched(Line):
    """Looks every 20 steps, and learns its bias at half the rate."""

    watch_every = 20

    def groups(self, model):
        return [{"params": [model.weight]}, {"params": [model.bias], "scale": 0.5}]

    def watch(self, model, device):
        torch.rand(3)  # whatever it draws, the training goes on as before
        return {"error": float((model.weight - 1).abs().max())}


def test_a_curve_is_kept_through_a_kill_and_does_not_disturb(tmp_path):
    whole, report = train(Watched(), tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        train(Watched(killed_at=37), tmp_path / "part.pt", save_every=0.0)
    resumed, again = train(Watched(), tmp_path / "part.pt")
    assert [point["step"] for point in report["curve"]] == [0, 20, 40, 60]
    assert report["curve"] == again["curve"] and torch.equal(whole.weight, resumed.weight)
    assert report["curve"][-1]["error"] < report["curve"][0]["error"]
    blind = Watched()
    blind.watch_every = None
    unseen, plain = train(blind, tmp_path / "blind.pt")
    assert torch.equal(whole.weight, unseen.weight) and "curve" not in plain


def test_a_group_s_scale_multiplies_its_rate(tmp_path):
    class Still(Watched):
        def groups(self, model):
            return [{"params": [model.weight]}, {"params": [model.bias], "scale": 0.0}]

    torch.manual_seed(0)
    start = Line().build()
    model, _ = train(Still(), tmp_path / "still.pt", seed=0)
    assert torch.equal(model.bias, start.bias) and not torch.equal(model.weight, start.weight)


def test_another_seed_gives_other_weights(tmp_path):
    one, _ = train(Line(), tmp_path / "one.pt", seed=0)
    other, _ = train(Line(), tmp_path / "other.pt", seed=1)
    assert not torch.equal(one.weight, other.weight)


def test_a_finished_run_is_not_run_again(tmp_path):
    train(Line(), tmp_path / "line.pt")
    again = Line()
    train(again, tmp_path / "line.pt")
    assert again.seen == []


def test_training_goes_on_from_given_weights(tmp_path):
    start = torch.nn.Linear(3, 1)
    with torch.no_grad():
        start.weight.fill_(1.0), start.bias.fill_(0.0)
    model, _ = train(Line(), tmp_path / "line.pt", steps=1, initial=lambda: start)
    assert Line().evaluate(model, None)["error"] < 0.02


@pytest.mark.parametrize("arguments", [{"steps": 0}, {"steps": 2.5}, {"minutes": 0.0}, {"minutes": float("nan")}])
def test_bad_lengths_are_refused(tmp_path, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        train(Line(), tmp_path / "line.pt", **arguments)
    assert not (tmp_path / "line.pt").exists()


def test_learning_rate_rises_holds_and_falls():
    rates = [learning_rate(step, 1000, 1.0) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01) and rates[500] == 1.0 and rates[-1] == pytest.approx(0.02)
    assert np.argmax(np.diff(rates) < 0) == 699 + 1


def test_a_card_tells_what_was_reached_and_what_was_missed(tmp_path):
    _, report = train(Line(), tmp_path / "line.pt")
    write_card(tmp_path, Line(), report, {"error": 0.5}, None, device="cpu")
    assert targets_reached(tmp_path) and "reached" in (tmp_path / "README.md").read_text()
    write_card(tmp_path, Line(), report, {"error": 11.0}, read_figures(tmp_path), device="cpu")
    assert not targets_reached(tmp_path) and "**missed**" in (tmp_path / "README.md").read_text()
    assert len(json.loads((tmp_path / "figures.json").read_text())["runs"]) == 2
    assert not targets_reached(tmp_path / "nothing-there")


@pytest.mark.parametrize("make", [clip_tokenizer, bert_tokenizer])
def test_every_word_of_the_grammar_is_one_token(make, tmp_path):
    tokenizer = make()
    for word in toyworld.VOCABULARY:
        assert len(tokenizer(word).input_ids) == 3, word
    make().save_pretrained(tmp_path)
    again = type(tokenizer).from_pretrained(tmp_path)
    rng = np.random.default_rng(0)
    for _ in range(50):
        text = toyworld.paraphrase(toyworld.random_description(rng, things=3, textured=1.0), rng)
        numbers = tokenizer(text).input_ids
        assert len(numbers) <= LENGTH and numbers == again(text).input_ids
        assert toyworld.parse_caption(tokenizer.decode(numbers, skip_special_tokens=True)) == toyworld.parse_caption(
            text
        )


@pytest.mark.parametrize("folder", ["mini-clip", "mini-text-to-image/tokenizer", "mini-captioner"])
def test_a_tokenizer_made_anew_is_the_shipped_one(folder):
    """Or weights that are trained further would read other words."""
    made = bert_tokenizer() if folder == "mini-captioner" else clip_tokenizer()
    assert made.get_vocab() == type(made).from_pretrained(MODELS / folder).get_vocab()


def test_clip_tokenizer_ends_with_its_largest_number_and_keeps_a_spare_word():
    tokenizer = clip_tokenizer()
    assert tokenizer.eos_token_id == len(tokenizer) - 1  # CLIPTextModel pools where the end token stands
    assert len(tokenizer(SPARE_WORD).input_ids) == 3
    assert len(tokenizer("zebra").input_ids) > 3


def test_a_misstatement_states_something_else():
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(300):
        said = toyworld.meaning(toyworld.random_description(rng))
        wrong = misstatement(said, rng)
        assert toyworld.parse_caption(wrong.canonical()) == wrong
        kept += wrong == said
    assert kept == 0


def test_hue_error_measures_a_known_turn_of_the_hue():
    from skimage.color import hsv2rgb

    hsv = np.stack([np.full((4, 4), 0.95), np.full((4, 4), 0.8), np.full((4, 4), 0.9)])
    turned = hsv + np.array([0.1, 0, 0])[:, None, None]
    images, others = (hsv2rgb(np.mod(maps, 1.0), channel_axis=0)[None] for maps in (hsv, turned))
    everywhere = np.ones((1, 4, 4), bool)
    assert hue_error(images, others, everywhere) == pytest.approx(36, abs=1e-6)
    assert hue_error(images, images, everywhere) == 0


def test_mean_average_precision():
    scenes = [toyworld.scene(seed, things=2, inside=0.0) for seed in range(20)]
    perfect = [[(n, 0.9, b) for n, b in zip(scene.labels, scene.boxes, strict=True)] for scene in scenes]
    assert mean_average_precision(perfect, scenes) == 1.0
    assert mean_average_precision([[(n, s, b + 40) for n, s, b in found] for found in perfect], scenes) == 0.0
    wrong = [[(LABELS[(LABELS.index(n) + 1) % len(LABELS)], s, b) for n, s, b in found] for found in perfect]
    assert mean_average_precision(wrong, scenes) < 0.3
    # A second box on the same thing, with a lower score, is a false alarm after all hits: the area stays 1. With a
    # higher score it comes before them, and halves the precision of each.
    one = [toyworld.scene(0, things=1)]
    label, box = one[0].labels[0], one[0].boxes[0]
    assert mean_average_precision([[(label, 0.9, box), (label, 0.8, box)]], one) == 1.0
    assert mean_average_precision([[(label, 0.9, box + 40), (label, 0.8, box)]], one) == 0.5


def test_scenes_are_kept_and_read_back(tmp_path):
    made, again = Scenes("combinations", 8, tmp_path), Scenes("combinations", 8, tmp_path)
    np.testing.assert_array_equal(made.images, again.images)
    assert isinstance(again.images, np.memmap)
    assert np.abs(made.images[3] / 255 - made.scene(3).image).max() <= 0.5 / 255 + 1e-6
    assert made.description(3) == made.scene(3).description


@pytest.mark.parametrize(
    "make",
    [AutoencoderRecipe, ClipRecipe, DetectorRecipe, CaptionerRecipe, DepthRecipe, SoftEdgesRecipe, ParserRecipe],
    ids=lambda make: make.role,
)
def test_a_recipe_learns_saves_and_restores(make, tmp_path):
    recipe = make(scenes=16) if make is not DetectorRecipe else make(scenes=24)
    recipe.batch_size = 32 if make is DetectorRecipe else 4
    model, report = train(recipe, tmp_path / "state.pt", steps=2)
    assert np.isfinite(report["loss"])
    x = normalise(recipe.scenes["train"].images[:2] if make is DetectorRecipe else recipe.scenes.images[:2])
    before = output(model, x)
    (tmp_path / "model").mkdir()
    recipe.save(model, tmp_path / "model")
    restored = recipe.restore(tmp_path / "model").eval()
    assert not list((tmp_path / "model").glob("*.bin"))
    torch.testing.assert_close(output(restored, x), before, atol=0.02, rtol=0.02)


@torch.no_grad()
def output(model, x):
    name = type(model).__name__
    if name == "AutoencoderKL":
        return model.encode(x).latent_dist.mean
    if name == "CLIPModel":
        return model.vision_model(pixel_values=x).pooler_output
    if name == "YolosForObjectDetection":
        return model(pixel_values=x).pred_boxes
    if name == "BlipForConditionalGeneration":
        return model.vision_model(pixel_values=x).pooler_output
    if name == "DPTForDepthEstimation":
        return model(pixel_values=x).predicted_depth
    return model(x, 0).sample if model.config.in_channels == 3 else torch.cat(parse(model, x), dim=1)


def test_text_to_image_trains_on_latents_and_saves_a_pipeline(tmp_path):
    from diffusers import StableDiffusionPipeline

    coder = AutoencoderRecipe(scenes=16)
    torch.manual_seed(0)
    coder.save(coder.build(), tmp_path / "mini-autoencoder")
    recipe = TextToImageRecipe(scenes=16, models=tmp_path)
    recipe.batch_size = 4
    model, report = train(recipe, tmp_path / "state.pt", steps=2)
    assert np.isfinite(report["loss"])
    pictures = recipe.generate(model, ["a red ball on grass"], torch.device("cpu"))
    assert pictures.shape == (1, 3, 64, 64)
    recipe.save(model, tmp_path / "mini-text-to-image")
    pipeline = StableDiffusionPipeline.from_pretrained(
        tmp_path / "mini-text-to-image", dtype=torch.float32, use_safetensors=True
    )
    pipeline.set_progress_bar_config(disable=True)
    again = (
        pipeline(
            "a red ball on grass",
            num_inference_steps=20,
            guidance_scale=3.0,
            output_type="np",
            generator=torch.Generator().manual_seed(0),
            height=64,
            width=64,
        )
        .images[0]
        .transpose(2, 0, 1)
    )
    assert np.abs(again - pictures[0]).mean() < 0.02  # float16 weights


def test_the_receiver_is_fine_tuned_from_the_pipeline_and_its_target_is_consistent(tmp_path):
    coder = AutoencoderRecipe(scenes=16)
    torch.manual_seed(0)
    coder.save(coder.build(), tmp_path / "mini-autoencoder")
    first = TextToImageRecipe(scenes=16, models=tmp_path)
    first.save(first.build(), tmp_path / "mini-text-to-image")
    recipe = ReceiverRecipe(scenes=16, models=tmp_path)
    recipe.batch_size = 4
    before = {name: weights.clone() for name, weights in recipe.build().state_dict().items()}
    model, report = train(recipe, tmp_path / "state.pt", steps=2)
    assert np.isfinite(report["loss"])
    after = model.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"unet"}  # the text encoder stays as the edge knows it
    recipe.save(model, tmp_path / "receiver")
    restored = recipe.restore(tmp_path / "receiver")
    for name, weights in restored.state_dict().items():
        torch.testing.assert_close(weights, after[name].float(), atol=1e-3, rtol=1e-2)
    t, level, excess = recipe.draw(2000, np.random.default_rng(0))
    assert torch.equal(level, recipe.alpha_bar.double()[t]) and float(excess.min()) > 0
    assert float(excess.max()) <= 10**0.6  # never more than the worst channel's
    z_0 = torch.randn(2000, 4, 2, 2)
    z, v = recipe.noised(z_0, level, excess)
    matched, wide = (part[:, None, None, None].float() for part in (level / (1 + excess), 1 + excess))
    torch.testing.assert_close(matched.sqrt() * z / wide.sqrt() - (1 - matched).sqrt() * v, z_0, atol=1e-4, rtol=1e-4)
    assert float(z.square().mean((1, 2, 3)).sub(1 + excess).mean()) == pytest.approx(0, abs=0.1)


def test_joints_are_read_from_the_maps_that_teach_them():
    """The parser's targets, read as its output is: every robot is found, its joints to a tenth of a pixel."""
    recipe, seen = ParserRecipe(scenes=1), 0
    for seed in range(60):
        truth = control_array(toyworld.scene(seed), "pose")
        found = figures(recipe.bumps(truth))
        necks = truth[truth[:, 1, 2] > 0]  # a robot whose neck is hidden is not found
        assert len(found) == len(necks)
        if len(necks) == len(truth) == 1:
            assert keypoint_distance(truth, found) < 0.4
            seen += 1
    assert seen > 10


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    """A recipe on an untrained base model."""
    tmp_path = tmp_path_factory.mktemp("control")
    coder = AutoencoderRecipe(scenes=16)
    torch.manual_seed(0)
    coder.save(coder.build(), tmp_path / "mini-autoencoder")
    first = TextToImageRecipe(scenes=16, models=tmp_path)
    first.save(first.build(), tmp_path / "mini-text-to-image")
    recipe = ControlNetRecipe(tmp_path / "kept", 16, tmp_path)
    recipe.batch_size, recipe.watch_every = 4, None
    return recipe


def test_a_controlnet_learns_and_the_model_it_controls_is_locked(control, tmp_path):
    before = {name: weights.clone() for name, weights in control.unet.state_dict().items()}
    model, report = train(control, tmp_path / "state.pt", steps=3)
    assert np.isfinite(report["loss"]) and report["parameters"] < sum(p.numel() for p in control.unet.parameters())
    assert all(torch.equal(weights, before[name]) for name, weights in control.unet.state_dict().items())
    assert all(float(block.weight.abs().max()) > 0 for block in model.controlnet_down_blocks)  # zero no more
    assert sum(len(group["params"]) for group in control.groups(model)) == len(list(model.parameters()))
    (tmp_path / "model").mkdir()
    shown = torch.rand(2, 3, 64, 64)
    z, t, y = torch.randn(2, 16, 8, 8), torch.tensor([3, 900]), torch.randn(2, 24, 128)
    with torch.no_grad():
        whole = model(z, t, y, controlnet_cond=shown).mid_block_res_sample
        control.save(model, tmp_path / "model")
        again = control.restore(tmp_path / "model")(z, t, y, controlnet_cond=shown).mid_block_res_sample
    torch.testing.assert_close(again, whole, atol=1e-3, rtol=0.05)
    assert str(tmp_path) not in (tmp_path / "model" / "config.json").read_text()


def test_a_controlnet_starts_as_no_control(control):
    torch.manual_seed(0)
    model = control.build()
    down, middle = model(
        torch.randn(1, 16, 8, 8),
        5,
        torch.randn(1, 24, 128),
        controlnet_cond=torch.rand(1, 3, 64, 64),
        return_dict=False,
    )
    assert not any(part.any() for part in [*down, middle])
    with torch.no_grad():
        model.controlnet_mid_block.weight.fill_(1.0)
    assert not silenced(model).controlnet_mid_block.weight.any() and model.controlnet_mid_block.weight.all()


def test_stored_maps_are_the_scenes(control):
    kept = ControlMaps(control.scenes)
    np.testing.assert_array_equal(kept.stored, control.maps.stored)
    for kind in MAPS:
        (shown,) = kept.pictures(np.array([3]), np.array([kind]))
        exact = control_picture(control_array(control.scenes.scene(3), kind), kind)
        np.testing.assert_array_equal((255 * shown).round().numpy().transpose(1, 2, 0), exact)
    robots = [bool(len(control.scenes.scene(k).keypoints)) for k in range(16)]
    np.testing.assert_array_equal(kept.with_robot, np.flatnonzero(robots))
    chosen, kinds, captions = control.draw(np.random.default_rng(0))
    assert len(chosen) == len(kinds) == len(captions) == 4 and set(kinds) <= set(MAPS)


def test_the_judge_reads_pictures_in_batches_and_names_a_thing_once():
    recipe = DetectorRecipe(scenes=24)
    torch.manual_seed(0)
    model = recipe.build()
    torch.nn.init.normal_(model.vit.embeddings.detection_tokens)  # or all boxes would be the same
    torch.nn.init.normal_(model.bbox_predictor.layers[-1].weight)
    judge = Judge(Detector(model.eval(), recipe.processor()))
    pictures = np.stack([toyworld.scene(seed).image for seed in range(130)])  # more than fit one batch
    found = judge(pictures, threshold=0.0)
    assert len(found) == 130
    for claims in found:
        assert 1 < len(claims) <= recipe.queries
        assert all(label in LABELS and 0 <= score <= 1 and len(box) == 4 for label, score, box in claims)
        assert [score for _, score, _ in claims] == sorted((score for _, score, _ in claims), reverse=True)
        assert all(
            box_overlap(one[2], other[2]) < SAME for place, one in enumerate(claims) for other in claims[place + 1 :]
        )
    (alone,) = judge(pictures[-1:], threshold=0.0)
    assert [label for label, _, _ in alone] == [label for label, _, _ in found[-1]]
