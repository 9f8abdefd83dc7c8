"""`load(role, tier)`: one code path for both tiers, sums checked first, errors that say what to do."""

import shutil

import numpy as np
import pytest
import torch

from semcom_utils import toyworld
from semcom_utils.generation import ROLES, loading
from semcom_utils.generation.checksums import seal, verify
from semcom_utils.generation.loading import MODELS, load, memory_plan
from semcom_utils.generation.training.tokens import bert_tokenizer, clip_tokenizer

MINI = sorted(
    path.name.removeprefix("mini-") for path in MODELS.glob("mini-*") if path.name.removeprefix("mini-") in ROLES
)
SIZE = {"height": 32, "width": 32}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def text_config(tokenizer):
    from transformers import CLIPTextConfig

    end = tokenizer.eos_token_id
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=24,
        projection_dim=16,
        bos_token_id=end - 1,
        eos_token_id=end,
        pad_token_id=end,
    )


def stable_diffusion(folder, *, safety_checker: bool, variant: str | None = None):
    """A tiny random pipeline in the layout of Stable Diffusion v1: 4 latent channels, autoencoder factor 8."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPTextModel

    tokenizer = clip_tokenizer()
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    checker = (
        StableDiffusionSafetyChecker(
            CLIPConfig(
                text_config=tower,
                vision_config={**tower, "image_size": 32, "patch_size": 16},
                projection_dim=16,
            )
        )
        if safety_checker
        else None
    )
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(8,) * 4,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=32,
        ),
        unet=UNet2DConditionModel(
            sample_size=4,
            in_channels=4,
            out_channels=4,
            block_out_channels=(8, 8),
            layers_per_block=1,
            norm_num_groups=4,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=16,
            attention_head_dim=2,
        ),
        text_encoder=CLIPTextModel(text_config(tokenizer)),
        tokenizer=tokenizer,
        scheduler=DDIMScheduler(clip_sample=False),
        safety_checker=checker,
        feature_extractor=CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=SIZE) if safety_checker else None,
        requires_safety_checker=safety_checker,
    )
    pipeline.save_pretrained(folder, safe_serialization=True, variant=variant)


def tiny(role, folder):
    """Save a tiny random checkpoint of a role in its public format."""
    import transformers as tr

    torch.manual_seed(0)
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**tower, "image_size": 32, "patch_size": 8}
    if role in ("text-to-image", "autoencoder"):
        stable_diffusion(folder, safety_checker=False)
    elif role == "clip":
        tokenizer = clip_tokenizer()
        tr.CLIPModel(
            tr.CLIPConfig(text_config=text_config(tokenizer).to_dict(), vision_config=vision, projection_dim=16)
        ).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        tr.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=SIZE).save_pretrained(folder)
    elif role == "detector":
        tr.YolosForObjectDetection(
            tr.YolosConfig(
                **tower,
                image_size=[32, 32],
                patch_size=8,
                num_detection_tokens=5,
                id2label={0: "cat", 1: "dog"},
            )
        ).save_pretrained(folder)
        tr.YolosImageProcessorPil(size={"shortest_edge": 32, "longest_edge": 40}).save_pretrained(folder)
    elif role == "captioner":
        tokenizer = bert_tokenizer()
        tr.BlipForConditionalGeneration(
            tr.BlipConfig(
                vision_config=vision,
                text_config={
                    **tower,
                    "vocab_size": len(tokenizer),
                    "encoder_hidden_size": 16,
                    "max_position_embeddings": 48,
                    "bos_token_id": tokenizer.bos_token_id,
                    "sep_token_id": tokenizer.sep_token_id,
                    "pad_token_id": tokenizer.pad_token_id,
                    "eos_token_id": tokenizer.sep_token_id,
                },
            )
        ).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        tr.BlipImageProcessorPil(size=SIZE).save_pretrained(folder)
    elif role == "depth":
        tr.DPTForDepthEstimation(
            tr.DPTConfig(
                **{**tower, "num_hidden_layers": 4},
                image_size=32,
                patch_size=8,
                backbone_out_indices=[0, 1, 2, 3],
                neck_hidden_sizes=[8] * 4,
                fusion_hidden_size=8,
                is_hybrid=False,
            )
        ).save_pretrained(folder)
        tr.DPTImageProcessorPil(size=SIZE).save_pretrained(folder)
    else:
        from diffusers import UNet2DModel

        UNet2DModel(
            sample_size=32,
            in_channels=3,
            out_channels=1,
            block_out_channels=(8, 8),
            layers_per_block=1,
            norm_num_groups=4,
            down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2,
            add_attention=False,
        ).save_pretrained(folder)


def use(role, model, images):
    """What a chapter does with a role, at either tier."""
    if role == "text-to-image":
        g = torch.Generator().manual_seed(1)
        return np.asarray(model("a red ball on grass", num_inference_steps=2, generator=g).images[0])
    if role == "autoencoder":
        with torch.no_grad():
            return model.decode(model.encode(images * 2 - 1).latent_dist.mean).sample.numpy()
    if role == "clip":
        return model.similarity(images, ["a red ball on grass", "a blue cube on sand"]).numpy()
    return model(images)


@pytest.mark.parametrize("role", ROLES)
def test_the_full_tier_opens_a_public_folder(role, tmp_path):
    tiny(role, tmp_path)
    assert list(tmp_path.rglob("*.safetensors")) and not list(tmp_path.rglob("*.bin"))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    one, two = (use(role, load(role, "full", folder=tmp_path, device="cpu"), images) for _ in range(2))
    assert type(one) is type(two)
    if role == "detector":
        assert [[d.label for d in found] for found in one] == [[d.label for d in found] for found in two]
        every = load(role, "full", folder=tmp_path, device="cpu")(images, threshold=0.0)
        assert len(every) == 2 and all(
            d.label in ("cat", "dog") and 0 <= d.score <= 1 for found in every for d in found
        )
        assert [d.score for d in every[0]] == sorted((d.score for d in every[0]), reverse=True)
    elif role == "captioner":
        assert len(one) == 2 and all(isinstance(text, str) for text in one) and one == two
    else:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))
    if role in ("depth", "soft-edges"):
        assert one.shape == (2, 32, 32) and one.dtype == torch.float32
    if role == "clip":
        assert one.shape == (2, 2) and np.abs(one).max() <= 1 + 1e-6


@pytest.mark.parametrize("safety_checker", [False, True])
@pytest.mark.parametrize("variant", [None, "fp16"])
def test_stable_diffusion_with_and_without_safety_checker(safety_checker, variant, tmp_path):
    stable_diffusion(tmp_path, safety_checker=safety_checker, variant=variant)
    pipeline = load("text-to-image", "full", folder=tmp_path, device="cpu")
    assert (pipeline.safety_checker is not None) == safety_checker
    image = pipeline("a red ball on grass", num_inference_steps=2, generator=torch.Generator().manual_seed(0)).images[0]
    assert image.size == (32, 32)


def test_a_generator_decides_the_picture(tmp_path):
    tiny("text-to-image", tmp_path)
    pipeline = load("text-to-image", "full", folder=tmp_path, device="cpu")
    pictures = [
        np.asarray(
            pipeline("a red ball", num_inference_steps=2, generator=torch.Generator().manual_seed(seed)).images[0]
        )
        for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()


def test_pil_images_and_tensors_say_the_same(tmp_path):
    from PIL import Image

    tiny("clip", tmp_path)
    clip = load("clip", "full", folder=tmp_path, device="cpu")
    array = (torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255).round()
    picture = Image.fromarray(array[0].permute(1, 2, 0).to(torch.uint8).numpy())
    torch.testing.assert_close(clip.images(array / 255), clip.images([picture]))
    torch.testing.assert_close(clip.images([picture]), clip.images(picture))


@pytest.mark.parametrize(
    "images",
    [
        torch.rand(3, 32, 32),
        torch.rand(1, 3, 8, 8) * 255,
        torch.rand(1, 1, 8, 8),
        [],
        "a.png",
        torch.full((1, 3, 8, 8), float("nan")),
    ],
)
def test_bad_images_are_refused(images, tmp_path):
    tiny("soft-edges", tmp_path)
    with pytest.raises(ValueError, match="images must be"):
        load("soft-edges", "full", folder=tmp_path, device="cpu")(images)


@pytest.mark.parametrize("texts", [[], [3], 7])
def test_bad_texts_are_refused(texts, tmp_path):
    tiny("clip", tmp_path)
    with pytest.raises((ValueError, TypeError)):
        load("clip", "full", folder=tmp_path, device="cpu").texts(texts)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("painter",), "role"),
        (("clip", "huge"), "tier"),
        (("clip", "mini", "abacus"), "device"),
        (("soft-edges", "full"), "tier"),
    ],
)
def test_bad_arguments_are_named(arguments, name):
    role, *rest = arguments
    options = dict(zip(("tier", "device"), rest, strict=False))
    with pytest.raises(ValueError, match=f"^{name} must be"):
        load(role, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there():
    with pytest.raises(ValueError, match="no GPU"):
        load("clip", device="cuda")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder must be"):
        load("clip", "full", folder=tmp_path / "nothing")


def test_a_mini_checkpoint_that_is_not_there_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "MODELS", tmp_path)
    with pytest.raises(FileNotFoundError, match="python -m semcom_utils.generation.training clip"):
        load("clip", device="cpu")


@pytest.mark.parametrize("role", [role for role in ROLES if ROLES[role].repository])
def test_without_network_the_full_tier_says_what_to_fetch(role, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError) as raised:
        load(role, "full", device="cpu")
    message = str(raised.value)
    assert ROLES[role].repository in message and "GB" in message and f"hf download {ROLES[role].repository}" in message


def test_memory_plan_saves_more_on_smaller_gpus():
    assert memory_plan(None) == memory_plan(24 * 10**9) == ()
    assert "enable_attention_slicing" in memory_plan(6 * 10**9) and "enable_model_cpu_offload" not in memory_plan(
        6 * 10**9
    )
    assert "enable_model_cpu_offload" in memory_plan(3 * 10**9)
    from diffusers import AutoencoderKL, StableDiffusionPipeline

    for saving in memory_plan(0):
        owner = AutoencoderKL if saving.startswith("vae.") else StableDiffusionPipeline
        assert callable(getattr(owner, saving.removeprefix("vae.")))


@pytest.fixture
def sealed(tmp_path, monkeypatch):
    """A tiny checkpoint where the mini ones are looked for."""
    folder = tmp_path / "models" / "mini-soft-edges"
    tiny("soft-edges", folder)
    seal(folder)
    monkeypatch.setattr(loading, "MODELS", folder.parent)
    return folder


def test_a_sealed_checkpoint_loads(sealed):
    assert load("soft-edges", device="cpu")(torch.rand(1, 3, 32, 32)).shape == (1, 32, 32)


def spoil_a_byte(folder):
    path = next(folder.glob("*.safetensors"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_short(folder):
    path = next(folder.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_a_byte, "safetensors is damaged"),
        (cut_short, "safetensors is damaged"),
        (lambda folder: next(folder.glob("*.safetensors")).unlink(), "safetensors must be there"),
        (lambda folder: (folder / "more.json").write_text("{}"), "more.json must be listed"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "must hold SHA256SUMS"),
        (lambda folder: (folder / "SHA256SUMS").write_text("nonsense\n"), "must hold lines"),
    ],
    ids=["changed", "cut", "missing", "unlisted", "no list", "bad list"],
)
def test_nothing_is_read_from_a_damaged_checkpoint(sealed, monkeypatch, spoil, says):
    spoil(sealed)
    read = []
    monkeypatch.setitem(
        ROLES, "soft-edges", ROLES["soft-edges"]._replace(open=lambda *arguments: read.append(arguments))
    )
    with pytest.raises(ValueError, match=says) as raised:
        load("soft-edges", device="cpu")
    assert "mini-soft-edges" in str(raised.value) and "training" in str(raised.value)  # which, and what to do
    assert read == []


def test_sums_are_those_of_sha256sum(tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "file").write_bytes(b"abc")
    seal(tmp_path)
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert (tmp_path / "SHA256SUMS").read_text() == f"{abc}  part/file\n"
    verify(tmp_path)


@pytest.mark.parametrize("function", [seal, verify])
def test_sums_of_no_folder(function, tmp_path):
    with pytest.raises(ValueError, match="folder must be"):
        function(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    if function is seal:
        with pytest.raises(ValueError, match="is empty"):
            seal(tmp_path / "empty")


@pytest.mark.parametrize("role", MINI)
def test_mini_checkpoints_are_sound(role, tmp_path):
    images = torch.from_numpy(np.stack([toyworld.scene(seed, "combinations").image for seed in range(2)]))
    result = use(role, load(role, device="cpu"), images)
    assert len(result) > 0
    # The folder alone is enough: a copy elsewhere gives the same.
    copied = shutil.copytree(MODELS / f"mini-{role}", tmp_path / "copied")
    again = use(role, load(role, "full", folder=copied, device="cpu"), images)
    if isinstance(result, np.ndarray | torch.Tensor):
        np.testing.assert_array_equal(np.asarray(result), np.asarray(again))
    else:
        assert result == again


def test_mini_checkpoints_are_small_and_have_cards():
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) <= 40e6
    for role in MINI:
        card = (MODELS / f"mini-{role}" / "README.md").read_text()
        assert "Held-out figures" in card and "Command" in card and "Limits" in card
        assert list((MODELS / f"mini-{role}").rglob("*.safetensors"))
