"""`load(role, tier)`: one code path for both tiers, sums checked first, errors that say what to do."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from semcom_utils import toyworld
from semcom_utils.generation import ROLES, loading
from semcom_utils.generation.checksums import seal, verify
from semcom_utils.generation.loading import load, memory_plan
from semcom_utils.generation.roles import Role
from semcom_utils.generation.training.tokens import bert_tokenizer, clip_tokenizer
from semcom_utils.generation.witt import Witt
from semcom_utils.paths import MODELS

pytestmark = pytest.mark.usefixtures("one_thread")

MINI = sorted(role for role in ROLES if (MODELS / f"mini-{ROLES[role].mini or role}").is_dir())
CONTROLS = [role for role in ROLES if role.startswith("controlnet-")]
SIZE = {"height": 32, "width": 32}


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


def stable_diffusion(folder, *, safety_checker: bool, variant: str | None = None, attention_type: str = "default"):
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
            attention_type=attention_type,
        ),
        text_encoder=CLIPTextModel(text_config(tokenizer)),
        tokenizer=tokenizer,
        scheduler=DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=checker,
        feature_extractor=CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=SIZE) if safety_checker else None,
        requires_safety_checker=safety_checker,
    )
    pipeline.save_pretrained(folder, safe_serialization=True, variant=variant)


def controlnet(folder, *, parts):
    """A tiny random ControlNet for the pipeline in `parts`, in the layout of the public ones; what is zero at the start
    of a training is not, so its map matters."""
    from diffusers import ControlNetModel, UNet2DConditionModel

    torch.manual_seed(1)
    model = ControlNetModel.from_unet(
        UNet2DConditionModel.from_pretrained(parts / "unet"), conditioning_embedding_out_channels=(8, 8, 8, 8)
    )
    reader = model.controlnet_cond_embedding.conv_out
    for block in [*model.controlnet_down_blocks, model.controlnet_mid_block, reader]:
        torch.nn.init.normal_(block.weight)
    model.save_pretrained(folder)
    return model


def tiny(role, folder):
    """Save a tiny random checkpoint of a role in its public format."""
    import transformers as tr

    torch.manual_seed(0)
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**tower, "image_size": 32, "patch_size": 8}
    if role in ("text-to-image", "autoencoder", "subject", "subject-autoencoder"):  # a DreamBooth is a pipeline, too
        stable_diffusion(folder, safety_checker=False)
    elif role == "grounded":
        stable_diffusion(folder, safety_checker=False, attention_type="gated")
    elif role == "jscc":
        from semcom_utils.generation.jscc import DeepJscc

        folder.mkdir(exist_ok=True)
        DeepJscc(64, (8, 8, 8)).save(folder)
    elif role == "identity":
        tr.ResNetForImageClassification(
            tr.ResNetConfig(
                embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", id2label={0: "0", 1: "1"}
            )
        ).save_pretrained(folder)
    elif role == "receiver":
        stable_diffusion(folder, safety_checker=False)
        for path in (folder / "unet").iterdir():
            path.rename(folder / path.name)
        for path in folder.iterdir():
            if path.is_dir() or path.name == "model_index.json":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif role in CONTROLS:  # a whole pipeline, as StableDiffusionControlNetPipeline saves it
        stable_diffusion(folder, safety_checker=False)
        controlnet(folder / "controlnet", parts=folder)
        index = json.loads((folder / "model_index.json").read_text())
        index |= {"_class_name": "StableDiffusionControlNetPipeline", "controlnet": ["diffusers", "ControlNetModel"]}
        (folder / "model_index.json").write_text(json.dumps(index))
    elif role == "clip":
        tokenizer = clip_tokenizer()
        tr.CLIPModel(
            tr.CLIPConfig(text_config=text_config(tokenizer).to_dict(), vision_config=vision, projection_dim=16)
        ).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        tr.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=SIZE).save_pretrained(folder)
    elif role == "detector":
        model = tr.YolosForObjectDetection(
            tr.YolosConfig(
                **{**tower, "initializer_range": 0.5},  # or all boxes would be the same
                image_size=[32, 32],
                patch_size=8,
                num_detection_tokens=5,
                id2label={0: "cat", 1: "dog"},
            )
        )
        torch.nn.init.normal_(model.vit.embeddings.detection_tokens)
        model.save_pretrained(folder)
        tr.YolosImageProcessorPil(size={"shortest_edge": 32, "longest_edge": 40}).save_pretrained(folder)
    elif role == "captioner":
        tokenizer = bert_tokenizer()
        tr.BlipForConditionalGeneration(
            tr.BlipConfig(
                vision_config=vision,
                text_config={
                    **tower,
                    "vocab_size": len(tokenizer) + 2,  # the public one starts with a token that its tokenizer lacks
                    "encoder_hidden_size": 16,
                    "max_position_embeddings": 48,
                    "bos_token_id": len(tokenizer),
                    "sep_token_id": tokenizer.sep_token_id,
                    "pad_token_id": tokenizer.pad_token_id,
                    "eos_token_id": tokenizer.sep_token_id,
                },
            )
        ).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        tr.BlipImageProcessorPil(size=SIZE).save_pretrained(folder)
    elif role == "depth":
        tr.DPTForDepthEstimation(  # hybrid: a transformer on top of a convolutional backbone
            tr.DPTConfig(
                **{**tower, "num_hidden_layers": 4},
                image_size=32,
                patch_size=16,
                is_hybrid=True,
                backbone_config={
                    "model_type": "bit",
                    "global_padding": "same",
                    "layer_type": "bottleneck",
                    "depths": [1, 1, 1],
                    "embedding_size": 8,
                    "hidden_sizes": [8, 8, 8],
                    "num_groups": 2,
                    "out_features": ["stage1", "stage2", "stage3"],
                    "embedding_dynamic_padding": True,
                },
                backbone_featmap_shape=[1, 8, 2, 2],
                backbone_out_indices=[0, 1, 2, 3],
                neck_ignore_stages=[0, 1],
                neck_hidden_sizes=[8] * 4,
                fusion_hidden_size=8,
            )
        ).save_pretrained(folder)
        tr.DPTImageProcessorPil(size=SIZE).save_pretrained(folder)
    elif role == "public-segmentation":
        backbone = tr.ConvNextConfig(
            num_stages=4,
            hidden_sizes=[4, 8, 8, 8],
            depths=[1] * 4,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        )
        tr.UperNetForSemanticSegmentation(
            tr.UperNetConfig(
                backbone_config=backbone,
                hidden_size=8,
                pool_scales=[1, 2],
                auxiliary_in_channels=8,
                auxiliary_channels=8,
                num_labels=150,
                initializer_range=1.0,  # or one class would be everywhere
            )
        ).save_pretrained(folder)
        tr.SegformerImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
    elif role == "public-pose":
        tr.VitPoseForPoseEstimation(
            tr.VitPoseConfig(
                backbone_config=tr.VitPoseBackboneConfig(
                    image_size=[32, 24], patch_size=[8, 8], **{**tower, "intermediate_size": 32}, out_indices=[1]
                ),
                num_labels=17,
            )
        ).save_pretrained(folder)
        tr.VitPoseImageProcessorPil(size={"height": 32, "width": 24}).save_pretrained(folder)
    elif role == "jscc":
        folder.mkdir(parents=True, exist_ok=True)
        DeepJscc(64, (8, 8, 8)).save(folder)
    elif role.startswith("witt-"):
        folder.mkdir(parents=True, exist_ok=True)
        Witt(64, (8, 8, 8), (1, 1, 1), (1, 1, 1)).save(folder)
    else:
        from diffusers import UNet2DModel

        UNet2DModel(
            sample_size=32,
            in_channels=3 if role == "soft-edges" else 12,
            out_channels=1 if role == "soft-edges" else 88,
            block_out_channels=(8, 8),
            layers_per_block=1,
            norm_num_groups=4,
            down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2,
            add_attention=False,
        ).save_pretrained(folder)


def halve(folder):
    """Store the weights in float16, as the mini checkpoints do."""
    for path in folder.rglob("*.safetensors"):
        halves = {name: w.half() if w.is_floating_point() else w for name, w in load_file(path).items()}
        save_file(halves, path, metadata={"format": "pt"})
    for path in folder.rglob("config.json"):
        path.write_text(path.read_text().replace('"dtype": "float32"', '"dtype": "float16"'))


def parameters(model):
    """Of whatever `load` returned."""
    model = getattr(model, "pipeline", model)
    models = model.components.values() if hasattr(model, "components") else [getattr(model, "model", model)]
    return [p for part in models if isinstance(part, torch.nn.Module) for p in part.parameters()]


def use(role, model, images):
    """What a chapter does with a role, at either tier."""
    if role == "jscc":
        return model.send(torch.zeros(1, 3, 64, 64), 10.0, generator=torch.Generator().manual_seed(1)).numpy()
    if role == "grounded":
        g = torch.Generator().manual_seed(1)
        return model("a red ball on grass", ["red ball"], [[0.2, 0.3, 0.6, 0.9]], generator=g, steps=2).numpy()
    if role in ("text-to-image", "subject"):
        g = torch.Generator().manual_seed(1)
        return np.asarray(model("a red ball on grass", num_inference_steps=2, generator=g).images[0])
    if role in CONTROLS:
        side = model.unet.config.sample_size * model.vae_scale_factor
        shown = Image.new("L", (side, side)) if images is None else Image.linear_gradient("L").resize((side, side))
        g = torch.Generator().manual_seed(1)
        return np.asarray(model("a red ball on grass", image=shown, num_inference_steps=2, generator=g).images[0])
    if role in ("autoencoder", "subject-autoencoder"):
        with torch.no_grad():
            return model.decode(model.encode(images * 2 - 1).latent_dist.mean).sample.numpy()
    if role == "receiver":
        z = torch.ones(1, model.config.in_channels, model.config.sample_size, model.config.sample_size)
        with torch.no_grad():
            return model(z, 3, torch.ones(1, 2, model.config.cross_attention_dim)).sample.numpy()
    if role == "clip":
        return model.similarity(images, ["a red ball on grass", "a blue cube on sand"]).numpy()
    if role == "jscc" or role.startswith("witt-"):
        pictures = images.repeat(1, 1, 2, 2) if images.shape[-1] == 32 else images
        return model.send(pictures, 10.0, generator=torch.Generator().manual_seed(1)).numpy()
    return model(images)


@pytest.fixture
def sealed(tmp_path, monkeypatch):
    """A tiny checkpoint where the mini ones are looked for."""
    folder = tmp_path / "models" / "mini-soft-edges"
    tiny("soft-edges", folder)
    seal(folder)
    monkeypatch.setattr(loading, "MODELS", folder.parent)
    return folder


@pytest.mark.parametrize("role", ROLES)
def test_the_full_tier_opens_a_public_folder(role, tmp_path):
    tiny(role, tmp_path)
    halve(tmp_path)
    assert list(tmp_path.rglob("*.safetensors")) and not list(tmp_path.rglob("*.bin"))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    models = [load(role, "full", folder=tmp_path, device="cpu") for _ in range(2)]
    assert all(p.dtype == torch.float32 and not p.is_meta for p in parameters(models[0])) and parameters(models[0])
    half = parameters(ROLES[role].opener()(tmp_path, torch.float16))  # what a GPU gets
    assert all(p.dtype == torch.float16 for p in half)
    one, two = (use(role, model, images) for model in models)
    assert type(one) is type(two)
    if role == "detector":
        assert [[d.label for d in found] for found in one] == [[d.label for d in found] for found in two]
        every = load(role, "full", folder=tmp_path, device="cpu")(images, threshold=0.0)
        assert len(every) == 2 and all(
            d.label in ("cat", "dog") and 0 <= d.score <= 1 for found in every for d in found
        )
        assert [d.score for d in every[0]] == sorted((d.score for d in every[0]), reverse=True)
    elif role == "pose":
        assert len(one) == 2 and all(joints.shape[1:] == (14, 3) for joints in one)
        assert all((a == b).all() for a, b in zip(one, two, strict=True))
    elif role == "captioner":
        assert len(one) == 2 and all(isinstance(text, str) for text in one) and one == two
    else:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))
    if role == "segmentation":
        assert one.shape == (2, 32, 32) and one.dtype == torch.int64
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


@pytest.mark.parametrize(
    ("role", "published"),
    [
        ("clip", {"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32}),
        ("detector", {"feature_extractor_type": "YolosFeatureExtractor", "size": 32, "max_size": 48}),
        ("detector", {"format": "coco_detection", "size": {"shortest_edge": 32, "longest_edge": 48}}),
        ("captioner", {"image_processor_type": "BlipImageProcessor", "size": SIZE, "size_divisor": 32}),
        ("depth", {"feature_extractor_type": "DPTFeatureExtractor", "size": 32, "ensure_multiple_of": 1}),
    ],
)
def test_settings_of_image_processors_as_first_published(role, published, tmp_path):
    """The public checkpoints are years old, and so are the names in their `preprocessor_config.json`."""
    tiny(role, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**published, "image_mean": [0.4] * 3}))
    model = load(role, "full", folder=tmp_path, device="cpu")
    assert model._pixels(torch.rand(2, 3, 32, 32)).shape == (2, 3, 32, 32)
    assert model._pixels(torch.full((1, 3, 32, 32), 0.4)).abs().max() < 0.01  # less the mean of the file
    use(role, model, torch.rand(2, 3, 32, 32))


def test_boxes_are_in_the_pixels_of_the_picture(tmp_path):
    """A model knows shares of width and height; boxes come back in pixels of a picture 96 wide and 64 high."""
    tiny("detector", tmp_path)
    detect = load("detector", "full", folder=tmp_path, device="cpu")
    picture = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = detect.model(pixel_values=detect._pixels(picture))
    best_first = output.logits[0].softmax(-1)[:, :-1].amax(-1).argsort(descending=True)  # the last label: no thing
    x, y, w, h = output.pred_boxes[0][best_first].T * torch.tensor([96.0, 64, 96, 64])[:, None]
    expected = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
    torch.testing.assert_close(torch.tensor([thing.box for thing in detect(picture, 0.0, same=None)[0]]), expected)


def test_of_two_precisions_the_fitting_one_is_read(tmp_path):
    """A folder may hold float32 and float16 files: on a CPU the first are exact, alone the second will do."""
    stable_diffusion(tmp_path, safety_checker=False)
    plain = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    half = plain.with_name("diffusion_pytorch_model.fp16.safetensors")
    exact = load_file(plain)
    save_file({name: w.half() for name, w in exact.items()}, half, metadata={"format": "pt"})
    name = "decoder.conv_in.weight"
    read = load("autoencoder", "full", folder=tmp_path, device="cpu").state_dict()[name]
    assert torch.equal(read, exact[name])
    plain.unlink()
    read = load("autoencoder", "full", folder=tmp_path, device="cpu").state_dict()[name]
    assert torch.equal(read, exact[name].half().float()) and not torch.equal(read, exact[name])


def test_pickled_weights_are_not_opened(tmp_path):
    """... whatever the libraries would do: a pickle may run code."""
    tiny("detector", tmp_path)
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="safetensors"):
        load("detector", "full", folder=tmp_path, device="cpu")


def test_a_later_role_is_one_entry(sealed, monkeypatch):
    """A ControlNet, composed with the pipeline as a chapter would."""
    from diffusers import ControlNetModel, StableDiffusionControlNetPipeline

    stable_diffusion(sealed.parent / "mini-text-to-image", safety_checker=False)
    seal(sealed.parent / "mini-text-to-image")
    pipeline = load("text-to-image", device="cpu")
    folder = sealed.parent / "mini-controlnet-edges"
    ControlNetModel.from_unet(pipeline.unet, conditioning_embedding_out_channels=(8, 8, 8, 8)).save_pretrained(folder)
    seal(folder)
    entry = Role(lambda folder, dtype: ControlNetModel.from_pretrained(folder, dtype=dtype), "some/one", 1.4)
    monkeypatch.setitem(ROLES, "controlnet-edges", entry)
    guided = StableDiffusionControlNetPipeline.from_pipe(pipeline, controlnet=load("controlnet-edges", device="cpu"))
    guided.set_progress_bar_config(disable=True)
    edges = torch.zeros(1, 3, 32, 32)
    g = torch.Generator().manual_seed(0)
    assert guided("a red ball", image=edges, num_inference_steps=2, generator=g).images[0].size == (32, 32)


def test_nothing_is_said_and_nothing_needs_torchvision(tmp_path):
    """In a fresh interpreter: a chapter's cells must write nothing to stderr."""
    stable_diffusion(tmp_path, safety_checker=False)
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "import torch; torch.set_num_threads(1)\n"
        "from semcom_utils.generation import load\n"
        f"pipeline = load('text-to-image', 'full', folder={str(tmp_path)!r}, device='cpu')\n"
        "pipeline('a red ball', num_inference_steps=2, generator=torch.Generator().manual_seed(0))\n"
        "import transformers.utils.logging as t, diffusers.utils.logging as d\n"
        "assert t.is_progress_bar_enabled() and d.is_progress_bar_enabled()  # as it was before\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_pil_images_and_tensors_say_the_same(tmp_path):
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
        torch.rand(0, 3, 8, 8),
        [Image.new("RGB", (8, 8)), Image.new("RGB", (8, 16))],
    ],
)
def test_bad_images_are_refused(images, tmp_path):
    tiny("soft-edges", tmp_path)
    with pytest.raises(ValueError, match="^images must "):
        load("soft-edges", "full", folder=tmp_path, device="cpu")(images)


@pytest.mark.parametrize("texts", [[], [3], 7])
def test_bad_texts_are_refused(texts, tmp_path):
    tiny("clip", tmp_path)
    with pytest.raises((ValueError, TypeError)):
        load("clip", "full", folder=tmp_path, device="cpu").texts(texts)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan"), "high"])
def test_bad_threshold_is_refused(threshold, tmp_path):
    tiny("detector", tmp_path)
    with pytest.raises(ValueError, match="^threshold must be"):
        load("detector", "full", folder=tmp_path, device="cpu")(torch.rand(1, 3, 32, 32), threshold)


def test_bad_length_of_a_caption_is_refused(tmp_path):
    tiny("captioner", tmp_path)
    with pytest.raises(ValueError, match="^max_new_tokens must be"):
        load("captioner", "full", folder=tmp_path, device="cpu")(torch.rand(1, 3, 32, 32), 0)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("painter",), "role"),
        (("clip", "huge"), "tier"),
        (("clip", "mini", "abacus"), "device"),
        (("clip", "mini", 1.5), "device"),
        (("clip", "mini", "cuda:99"), "device"),
        (("clip", "mini", "xpu:99"), "device"),
        (("soft-edges", "full"), "tier"),
        (("controlnet-sketch",), "role"),
    ],
)
def test_bad_arguments_are_named(arguments, name):
    role, *rest = arguments
    options = dict(zip(("tier", "device"), rest, strict=False))
    with pytest.raises(ValueError, match=f"^{name} must be"):
        load(role, **options)


@pytest.mark.parametrize("options", [{}, {"folder": "."}, {"tier": "full", "folder": "."}])
def test_a_revision_that_nothing_would_read_is_refused(options):
    with pytest.raises(ValueError, match="^revision must be None .*got 'nonsense'"):
        load("clip", revision="nonsense", **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there():
    with pytest.raises(ValueError, match="no GPU"):
        load("clip", device="cuda")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder must be"):
        load("clip", "full", folder=tmp_path / "nothing")


@pytest.mark.parametrize("role", ROLES)
def test_a_mini_checkpoint_that_is_not_there_names_the_command(role, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "MODELS", tmp_path)
    command = f"python -m semcom_utils.generation.training {ROLES[role].mini or role}$"
    with pytest.raises(FileNotFoundError, match=command):
        load(role, device="cpu")


@pytest.mark.parametrize("role", [role for role in ROLES if ROLES[role].repository])
def test_without_network_the_full_tier_says_what_to_fetch(role, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError) as raised:
        load(role, "full", device="cpu")
    message = str(raised.value)
    assert ROLES[role].repository in message and "GB" in message and f"hf download {ROLES[role].repository}" in message


def test_an_unreachable_hub_is_told_soon(tmp_path, monkeypatch):
    from huggingface_hub import constants

    for proxy in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    start = time.monotonic()
    with pytest.raises(FileNotFoundError, match="hub cannot be reached.*hf download openai/clip-vit-large-patch14"):
        load("clip", "full", device="cpu")
    assert time.monotonic() - start < 10


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Fills the hub's cache, offline, with part of a public repository: `cache(role, folder)`."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def fill(role, folder):
        repository = tmp_path / "hub" / ("models--" + ROLES[role].repository.replace("/", "--"))
        commit = "0123456789abcdef0123456789abcdef01234567"
        shutil.copytree(folder, repository / "snapshots" / commit)
        ref = repository / "refs" / (ROLES[role].revision or "main")
        ref.parent.mkdir(parents=True)
        ref.write_text(commit)

    return fill


@pytest.mark.parametrize("role", ["text-to-image", "autoencoder", "clip", "depth", "grounded"])
def test_what_is_cached_needs_no_network(role, cache, tmp_path):
    if role in ("text-to-image", "autoencoder"):
        stable_diffusion(tmp_path / "public", safety_checker=True, variant="fp16")
    elif role == "grounded":
        stable_diffusion(tmp_path / "public", safety_checker=True, variant="fp16", attention_type="gated")
    else:
        tiny(role, tmp_path / "public")
    cache(role, tmp_path / "public")
    assert len(use(role, load(role, "full", device="cpu"), torch.rand(2, 3, 32, 32)))


def test_a_public_controlnet_controls_the_public_model(cache, tmp_path):
    """Two repositories, each fetched on its own: the network, and what it controls."""
    stable_diffusion(tmp_path / "public", safety_checker=True, variant="fp16")
    stable_diffusion(tmp_path / "plain", safety_checker=False)
    controlnet(tmp_path / "control", parts=tmp_path / "plain")
    cache("controlnet-depth", tmp_path / "control")
    with pytest.raises(FileNotFoundError, match="hf download stable-diffusion-v1-5"):
        load("controlnet-depth", "full", device="cpu")
    cache("text-to-image", tmp_path / "public")
    pipeline = load("controlnet-depth", "full", device="cpu")
    assert pipeline.safety_checker is not None and type(pipeline).__name__ == "StableDiffusionControlNetPipeline"
    assert use("controlnet-depth", pipeline, 1).shape == (32, 32, 3)
    half = ROLES["controlnet-depth"].opener()(tmp_path / "control", torch.float16, tmp_path / "plain")
    assert all(p.dtype == torch.float16 for p in parameters(half))
    with pytest.raises(FileNotFoundError, match="hf download lllyasviel/sd-controlnet-canny"):
        load("controlnet-canny", "full", device="cpu")


def test_the_map_matters_and_a_silent_network_changes_nothing(tmp_path):
    from diffusers import ControlNetModel, UNet2DConditionModel

    tiny("controlnet-depth", tmp_path / "whole")
    pipeline = load("controlnet-depth", "full", folder=tmp_path / "whole", device="cpu")
    one, other = use("controlnet-depth", pipeline, 1), use("controlnet-depth", pipeline, None)
    assert (one != other).any()
    plain = use("text-to-image", load("text-to-image", "full", folder=tmp_path / "whole", device="cpu"), None)
    assert (one != plain).any()
    unet = UNet2DConditionModel.from_pretrained(tmp_path / "whole" / "unet")
    silent = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 8, 8))  # as training begins
    silent.save_pretrained(tmp_path / "whole" / "controlnet")
    pipeline = load("controlnet-depth", "full", folder=tmp_path / "whole", device="cpu")
    np.testing.assert_array_equal(use("controlnet-depth", pipeline, 1), plain)


def test_a_controlnet_for_another_model_is_refused(tmp_path):
    stable_diffusion(tmp_path / "plain", safety_checker=False)
    controlnet(tmp_path / "control", parts=tmp_path / "plain")
    with pytest.raises(ValueError, match="folder must hold a ControlNet for a UNet with in_channels 16, got one for 4"):
        load("controlnet-canny", folder=tmp_path / "control", device="cpu")


def photographs(rows=40, columns=64):
    return torch.rand(2, 3, rows, columns, generator=torch.Generator().manual_seed(0))


def test_the_full_tier_s_segmentation_names_150_classes_at_any_size(tmp_path):
    tiny("public-segmentation", tmp_path)
    halve(tmp_path)
    parse = load("segmentation", "full", folder=tmp_path, device="cpu")
    assert type(parse) is loading.PublicSegmentation and len(parse.classes) == 150
    found = parse(photographs())
    assert found.shape == (2, 40, 64) and found.dtype == torch.int64 and len(found.unique()) > 1
    assert 0 <= int(found.min()) and int(found.max()) < 150
    torch.testing.assert_close(parse(photographs()[:1])[0], found[0])


class People:
    """Stands for a detector that sees two things on every picture, one of them a person."""

    def __call__(self, images, same=None):
        from semcom_utils.generation import Detection

        both = [Detection("dog", 0.9, (0, 0, 8, 8)), Detection("person", 0.9, (16.0, 4.0, 48.0, 36.0))]
        return [both[: 1 + k] for k in range(len(images))]


def test_the_full_tier_s_pose_finds_the_joints_of_the_detected_people(tmp_path):
    tiny("public-pose", tmp_path)
    opened = ROLES["pose"].opener()(tmp_path, torch.float32)
    assert type(opened) is loading.PublicPose and opened.detector is None
    with pytest.raises(ValueError, match="^boxes must be given"):
        opened(photographs())
    with pytest.raises(ValueError, match="^boxes must be one list for each of 2 pictures, got 1"):
        opened(photographs(), [[]])
    with pytest.raises(ValueError, match="^threshold must be"):
        opened(photographs(), [[], []], threshold=2)
    people = replace(opened, detector=People())(photographs(), threshold=0.0)
    assert [one.shape for one in people] == [(0, 17, 3), (1, 17, 3)]  # a dog is none
    inside = people[1][0]
    assert ((inside[:, 0] > 0) & (inside[:, 0] < 64)).all() and set(inside[:, 2]) <= {0.0, 1.0}
    same = opened(photographs(), [[], [(16.0, 4.0, 48.0, 36.0)]], threshold=0.0)
    np.testing.assert_allclose(same[1], people[1])
    (moved, none) = opened(photographs(), [[(0.0, 0.0, 20.0, 30.0)], []])
    assert moved.shape == (1, 17, 3) and none.shape == (0, 17, 3) and moved[0, :, 0].max() < 40


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (64, 1), (64, 3), (3, 64)])
def test_people_are_looked_for_on_pictures_of_every_size(size, tmp_path):
    """The processor guesses which axis is the colours', wrongly for a picture one to three pixels high."""
    tiny("public-pose", tmp_path)
    opened = ROLES["pose"].opener()(tmp_path, torch.float32)
    found = opened(Image.new("RGB", size, "red"), [[(0.0, 0.0, *map(float, size))]])
    assert [one.shape for one in found] == [(1, 17, 3)]
    with pytest.raises(ValueError, match="^boxes must be left, top, right and bottom"):
        opened(Image.new("RGB", size), [[(1.0, 0.0, 1.0, 2.0)]])


def test_a_joint_is_where_its_heat_is(tmp_path, monkeypatch):
    """The middle of the box is the middle of the heat map, whatever the box."""
    tiny("public-pose", tmp_path)
    opened = ROLES["pose"].opener()(tmp_path, torch.float32)
    heat = torch.full((1, 17, 8, 6), 0.1)
    heat[:, :, 3:5, 2:4] = 1.0
    monkeypatch.setattr(type(opened.model), "__call__", lambda self, pixels: SimpleNamespace(heatmaps=heat.clone()))
    (people, _) = opened(photographs(), [[(16.0, 4.0, 46.0, 44.0)], []])
    np.testing.assert_allclose(people[0, :, :2], [(31.0, 24.0)] * 17, atol=4)
    assert people[0, :, 2].all()


def test_the_full_tier_s_pose_comes_with_its_detector(cache, tmp_path):
    """Two repositories: who looks for people, and who looks at them."""
    tiny("public-pose", tmp_path / "pose")
    cache("pose", tmp_path / "pose")
    with pytest.raises(FileNotFoundError, match="hf download hustvl/yolos-tiny"):
        load("pose", "full", device="cpu")
    tiny("detector", tmp_path / "detector")
    cache("detector", tmp_path / "detector")
    pose = load("pose", "full", device="cpu")
    assert type(pose.detector) is loading.Detector and not pose.model.training
    assert [one.shape[1:] for one in pose(photographs())] == [(17, 3)] * 2


@pytest.mark.parametrize("kind", ["depth", "segmentation", "pose"])
def test_a_picture_of_any_size_becomes_a_map_for_the_public_controlnet(kind, tmp_path):
    from semcom_utils.semantic.public_maps import ADE_COLOURS, public_picture

    tiny(kind if kind == "depth" else f"public-{kind}", tmp_path)
    network = ROLES[kind].opener()(tmp_path, torch.float32)
    if kind == "pose":
        network = replace(network, detector=lambda images, **_: People()(np.concatenate([images, images]))[1:])
    picture = Image.fromarray((255 * photographs(90, 130)[0]).byte().permute(1, 2, 0).numpy())
    shown = public_picture(kind, picture, network, size=64)
    assert shown.mode == "RGB" and shown.size == (96, 64)
    pixels = np.asarray(shown)
    if kind == "depth":
        assert (np.ptp(pixels.astype(int), axis=2) == 0).all() and pixels.min() == 0 and pixels.max() == 255
    elif kind == "segmentation":
        assert {tuple(c) for c in pixels.reshape(-1, 3).tolist()} <= {tuple(c) for c in ADE_COLOURS.tolist()}
    else:
        assert (pixels == 0).all(2).any()


@pytest.mark.parametrize("role", ["segmentation", "pose"])
def test_a_picture_that_the_parser_cannot_halve_is_refused(role, tmp_path):
    tiny(role, tmp_path)
    with pytest.raises(ValueError, match="images must have rows and columns in multiples of 8"):
        load(role, folder=tmp_path, device="cpu")(Image.new("RGB", (36, 32)))


def test_half_a_repository_in_the_cache_is_not_taken_for_the_whole(cache, tmp_path):
    """The autoencoder is part of Stable Diffusion's repository, and may have been fetched alone."""
    stable_diffusion(tmp_path / "public", safety_checker=True, variant="fp16")
    for part in tmp_path.glob("public/*"):
        if part.is_file():
            part.unlink()
        elif part.name != "vae":
            shutil.rmtree(part)
    cache("text-to-image", tmp_path / "public")
    load("autoencoder", "full", device="cpu")
    with pytest.raises(FileNotFoundError, match="not whole in the cache.*hf download stable-diffusion-v1-5"):
        load("text-to-image", "full", device="cpu")


def test_savings_change_no_picture(tmp_path, monkeypatch):
    tiny("text-to-image", tmp_path)
    whole = use("text-to-image", load("text-to-image", "full", folder=tmp_path, device="cpu"), None)
    plan = memory_plan(int(5e9))
    monkeypatch.setattr(loading, "memory_plan", lambda free: plan)
    sliced = load("text-to-image", "full", folder=tmp_path, device="cpu")
    assert sliced.vae.use_slicing and sliced.vae.use_tiling
    assert np.abs(use("text-to-image", sliced, None).astype(int) - whole).max() <= 1


@pytest.mark.parametrize("free", [-1, "much", float("nan")])
def test_bad_free_memory_is_refused(free):
    with pytest.raises(ValueError, match="^free_bytes must be"):
        memory_plan(free)


def test_memory_plan_saves_more_on_smaller_gpus():
    assert memory_plan(None) == memory_plan(24 * 10**9) == memory_plan(int(loading.SLICE_BELOW)) == ()
    assert "enable_attention_slicing" in memory_plan(6 * 10**9) and "enable_model_cpu_offload" not in memory_plan(
        6 * 10**9
    )
    assert "enable_model_cpu_offload" in memory_plan(3 * 10**9)
    from diffusers import AutoencoderKL, StableDiffusionPipeline

    for saving in memory_plan(0):
        owner = AutoencoderKL if saving.startswith("vae.") else StableDiffusionPipeline
        assert callable(getattr(owner, saving.removeprefix("vae.")))


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
        (lambda folder: (folder / "SHA256SUMS").write_bytes(b"\xff\xfe\n"), "must hold lines"),
        (lambda folder: (folder / "config.json").write_text("{}"), "config.json is damaged"),
    ],
    ids=["changed", "cut", "missing", "unlisted", "no list", "bad list", "no text", "config"],
)
def test_nothing_is_read_from_a_damaged_checkpoint(sealed, monkeypatch, spoil, says):
    spoil(sealed)
    read = []
    monkeypatch.setitem(
        ROLES, "soft-edges", replace(ROLES["soft-edges"], open=lambda *arguments: read.append(arguments))
    )
    with pytest.raises(ValueError, match=says) as raised:
        load("soft-edges", device="cpu")
    said = str(raised.value)  # which, and what to do
    assert "mini-soft-edges" in said and "python -m semcom_utils.generation.training soft-edges" in said
    with pytest.raises(ValueError, match=says):  # by another way
        load("soft-edges", folder=os.path.relpath(sealed), device="cpu")
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
    options = {"device": "cpu"} | ({"identifier": 0} if role == "subject" else {})
    result = use(role, load(role, **options), images)
    assert len(result) > 0
    # The folder alone is enough: a copy elsewhere gives the same. (A ControlNet's, with the model that it controls.)
    copied = shutil.copytree(MODELS / f"mini-{ROLES[role].mini or role}", tmp_path / "copied")
    again = use(role, load(role, "mini" if ROLES[role].base else "full", folder=copied, **options), images)
    if isinstance(result, np.ndarray | torch.Tensor):
        np.testing.assert_array_equal(np.asarray(result), np.asarray(again))
    elif role == "pose":
        assert all((a == b).all() for a, b in zip(result, again, strict=True))
    else:
        assert result == again


def test_mini_checkpoints_are_small_and_have_cards():
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) <= 56 * 2**20
    for role in MINI:
        folder = MODELS / f"mini-{ROLES[role].mini or role}"
        card = (folder / "README.md").read_text()
        assert "Held-out figures" in card and "Command" in card and "Limits" in card
        assert list(folder.rglob("*.safetensors"))
