"""One door to every pretrained model of the book: ``load(role, tier)``.

The tier ``mini`` is this project's own checkpoints, a few megabytes each, in ``data/models``; ``full`` is the public
ones.
Both are ordinary diffusers and transformers folders and pass through the same lines here, so a chapter is the same on
both.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from semcom_utils.checks import one_of

from .checksums import verify

__all__ = [
    "MODELS",
    "ROLES",
    "Captioner",
    "Clip",
    "Depth",
    "Detection",
    "Detector",
    "Role",
    "SoftEdges",
    "load",
    "memory_plan",
]

#: Where the mini checkpoints lie.
MODELS = Path(__file__).parents[2] / "data" / "models"
#: What travels from a public repository: no pickles, and of several precisions the chosen one.
_PLAIN = (
    "*.json",
    "*.txt",
    "*.model",
    "model.safetensors",
    "model-*.safetensors",
    "diffusion_pytorch_model.safetensors",
)
_PIPELINE = ("model_index.json", "*/*.json", "*/*.txt", "*/*.fp16.safetensors")


class Role(NamedTuple):
    """A kind of model: how a folder is opened, and which public repository fills the role at the full tier."""

    open: Callable[[Path, torch.dtype], Any]
    repository: str | None
    gigabytes: float
    files: tuple[str, ...] = _PLAIN
    instead: str = ""


class Detection(NamedTuple):
    """A thing that a detector found: ``label``, ``score`` in [0, 1], ``box`` (left, top, right, bottom) in pixels."""

    label: str
    score: float
    box: tuple[float, float, float, float]


def load(
    role: str,
    tier: str = "mini",
    *,
    folder: str | Path | None = None,
    device: str | torch.device | None = None,
    revision: str | None = None,
) -> Any:
    """Load the model of a role.

    Parameters
    ----------
    role : str
        Key of :data:`ROLES`.
    tier : str
        ``"mini"`` or ``"full"``.
    folder : path, optional
        A local folder in the role's public format, in place of the tier's own.
    device : str or torch.device, optional
        By default the GPU if there is one. On a GPU the full tier computes in float16; all else is float32.
    revision : str, optional
        Branch, tag or commit of the public repository.

    Returns
    -------
    object
        ``text-to-image``: a ``diffusers.StableDiffusionPipeline``. ``autoencoder``: a ``diffusers.AutoencoderKL``.
        Others: :class:`Clip`, :class:`Detector`, :class:`Captioner`, :class:`Depth`, :class:`SoftEdges`.

    Raises
    ------
    ValueError
        If an argument is none of its choices, or a mini checkpoint's files are not what its ``SHA256SUMS`` lists.
    FileNotFoundError
        If a mini checkpoint is not there, or a public one is neither in the cache nor to be had; the message says
        which, how large it is, and how to get it.
    """
    opener = ROLES[one_of("role", role, ROLES)]
    one_of("tier", tier, ("mini", "full"))
    place = _device(device)
    if folder is not None:
        path = Path(folder)
        if not path.is_dir():
            raise FileNotFoundError(f"folder must be a folder that exists, got {str(folder)!r}")
    elif tier == "mini":
        path = MODELS / f"mini-{role}"
        if not path.is_dir():
            raise FileNotFoundError(
                f"the checkpoint mini-{role} is not in data/models; fetch it with the repository, or train it: "
                f"python -m semcom_utils.generation.training {role}"
            )
    else:
        path = _fetch(role, opener, revision)
    if (path.is_relative_to(MODELS)) or (path / "SHA256SUMS").exists():
        verify(path)
    dtype = torch.float16 if place.type == "cuda" and tier == "full" else torch.float32
    model = opener.open(path, dtype)
    return _place(model, place)


def memory_plan(free_bytes: int | None) -> tuple[str, ...]:
    """Which savings a full-tier pipeline needs, by the memory that is free on the GPU.

    Stable Diffusion v1-5 in float16 takes 2.7 GB for its weights and about as much again for attention at 512x512.

    Parameters
    ----------
    free_bytes : int or None
        None where there is no GPU.

    Returns
    -------
    tuple of str
        Dotted names of the ``diffusers`` pipeline's methods to call: attention in slices, latents decoded one picture
        and one tile at a time, and, on the smallest, only the part that works on the GPU.
    """
    if free_bytes is None or free_bytes >= 8e9:
        return ()
    savings = ("enable_attention_slicing", "vae.enable_slicing", "vae.enable_tiling")
    return savings if free_bytes >= 4e9 else (*savings, "enable_model_cpu_offload")


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device must be a torch device such as 'cpu' or 'cuda', got {device!r}") from error
    if place.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device must be one that this machine has; it has no GPU that torch can use, got {device!r}")
    return place


def _fetch(role: str, opener: Role, revision: str | None) -> Path:
    """Folder of the public checkpoint, from the cache or the hub."""
    if opener.repository is None:
        raise ValueError(f"tier must be 'mini' for {role}: {opener.instead}")
    from huggingface_hub import snapshot_download

    options = {"repo_id": opener.repository, "revision": revision, "allow_patterns": list(opener.files)}
    try:
        return Path(snapshot_download(**options, local_files_only=True))
    except OSError:  # not in the cache
        pass
    try:
        logging.getLogger(__name__).warning("fetching %s, about %g GB", opener.repository, opener.gigabytes)
        return Path(snapshot_download(**options))
    except (
        Exception
    ) as error:  # the hub's client raises its own, requests' and the system's errors for one cause: no way there
        include = " ".join(f"--include '{pattern}'" for pattern in opener.files)
        raise FileNotFoundError(
            f"the full tier's {role} is {opener.repository} (about {opener.gigabytes:g} GB); it is not in the "
            f"cache, and the hub cannot be reached ({type(error).__name__}). Where there is a network: "
            f"hf download {opener.repository} {include}; "
            f"then copy the cache, or pass the folder: load({role!r}, 'full', folder=...)"
        ) from error


def _place(model: Any, device: torch.device) -> Any:
    if hasattr(model, "components"):  # a diffusers pipeline
        model.set_progress_bar_config(disable=True)
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
        plan = memory_plan(free)
        if "enable_model_cpu_offload" in plan and importlib.util.find_spec("accelerate") is None:
            raise RuntimeError(
                f"the GPU has {free / 1e9:.1f} GB free, too little without offloading: pip install accelerate"
            )
        if "enable_model_cpu_offload" not in plan:
            model.to(device)
        for saving in plan:
            attrgetter(saving)(model)()
        return model
    (model if isinstance(model, torch.nn.Module) else model.model).to(device).eval()
    return model


def _as_bytes(images: Any) -> list[np.ndarray]:
    """Pictures as the image processors take them: uint8 arrays [rows, columns, 3]."""
    if isinstance(images, torch.Tensor | np.ndarray):
        array = torch.as_tensor(images).detach().cpu().float()
        if array.ndim != 4 or array.shape[1] != 3 or not bool(((array >= 0) & (array <= 1)).all()):
            raise ValueError(
                f"images must be [batch, 3, rows, columns] in [0, 1], got shape {tuple(array.shape)}"
                + (f" with values from {array.min():g} to {array.max():g}" if array.numel() else "")
            )
        return list((array * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
    images = images if isinstance(images, Sequence) else [images]
    if not images or not all(hasattr(image, "convert") for image in images):
        raise ValueError(
            f"images must be a tensor [batch, 3, rows, columns] in [0, 1] or PIL images, got {images!r}"[:300]
        )
    return [np.asarray(image.convert("RGB")) for image in images]


def _texts(texts: str | Sequence[str]) -> list[str]:
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"texts must be a string or a sequence of strings, got {texts!r}"[:300])
    return texts


@dataclass(frozen=True)
class _Vision:
    model: Any
    processor: Any

    def _pixels(self, images: Any) -> torch.Tensor:
        pixels = self.processor(images=_as_bytes(images), return_tensors="pt").pixel_values
        return pixels.to(self.model.device, self.model.dtype)


@dataclass(frozen=True)
class Clip(_Vision):
    """Pictures and texts in one space; ``images`` are tensors [batch, 3, rows, columns] in [0, 1] or PIL images."""

    tokenizer: Any

    @torch.no_grad()
    def images(self, images: Any) -> torch.Tensor:
        """Unit vectors [batch, dimension] of pictures."""
        return _unit(self.model.get_image_features(pixel_values=self._pixels(images)))

    @torch.no_grad()
    def texts(self, texts: str | Sequence[str]) -> torch.Tensor:
        """Unit vectors [batch, dimension] of texts; what exceeds the model's length is cut off."""
        tokens = self.tokenizer(_texts(texts), padding=True, truncation=True, return_tensors="pt").to(self.model.device)
        return _unit(self.model.get_text_features(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask))

    def similarity(self, images: Any, texts: str | Sequence[str]) -> torch.Tensor:
        """Cosines [pictures, texts], in [-1, 1]."""
        return self.images(images) @ self.texts(texts).T


def _unit(features: Any) -> torch.Tensor:
    vectors = features if isinstance(features, torch.Tensor) else features.pooler_output
    return torch.nn.functional.normalize(vectors.float(), dim=-1).cpu()


@dataclass(frozen=True)
class Detector(_Vision):
    """Names and boxes of the things in pictures."""

    @torch.no_grad()
    def __call__(self, images: Any, threshold: float = 0.5) -> list[list[Detection]]:
        """Find things whose score exceeds ``threshold``, for each picture, best first; boxes in its pixels."""
        output = self.model(pixel_values=self._pixels(images))
        sizes = [image.shape[:2] for image in _as_bytes(images)]
        found = self.processor.post_process_object_detection(output, threshold=threshold, target_sizes=sizes)
        names = self.model.config.id2label
        return [
            sorted(
                (
                    Detection(names[int(number)], float(score), tuple(box.tolist()))
                    for number, score, box in zip(one["labels"], one["scores"], one["boxes"], strict=True)
                ),
                key=lambda thing: -thing.score,
            )
            for one in found
        ]


@dataclass(frozen=True)
class Captioner(_Vision):
    """What a picture shows, in words."""

    tokenizer: Any

    @torch.no_grad()
    def __call__(self, images: Any, max_new_tokens: int = 30) -> list[str]:
        """One caption for each picture, the likeliest word by word."""
        numbers = self.model.generate(
            pixel_values=self._pixels(images), max_new_tokens=max_new_tokens, do_sample=False, num_beams=1
        )
        return [
            text.strip().replace(" ,", ",") for text in self.tokenizer.batch_decode(numbers, skip_special_tokens=True)
        ]


@dataclass(frozen=True)
class Depth(_Vision):
    """Inverse depth of pictures, up to scale (and, at the full tier, up to an offset)."""

    @torch.no_grad()
    def __call__(self, images: Any) -> torch.Tensor:
        """Float32 [batch, rows, columns], at the size of the first picture."""
        depth = self.model(pixel_values=self._pixels(images)).predicted_depth.float().cpu()
        size = _as_bytes(images)[0].shape[:2]
        if tuple(depth.shape[1:]) == tuple(size):
            return depth
        return torch.nn.functional.interpolate(depth[:, None], size=size, mode="bicubic", align_corners=False)[:, 0]


@dataclass(frozen=True)
class SoftEdges:
    """Probability that a pixel lies on an edge."""

    model: Any

    @torch.no_grad()
    def __call__(self, images: Any) -> torch.Tensor:
        """Float32 [batch, rows, columns] in [0, 1]."""
        x = torch.from_numpy(np.stack(_as_bytes(images))).permute(0, 3, 1, 2).float() / 127.5 - 1
        return self.model(x.to(self.model.device, self.model.dtype), 0).sample[:, 0].sigmoid().float().cpu()


def _open_pipeline(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import StableDiffusionPipeline

    variant = "fp16" if any(folder.glob("unet/*.fp16.safetensors")) else None
    return StableDiffusionPipeline.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, variant=variant, local_files_only=True, low_cpu_mem_usage=False
    )


def _open_autoencoder(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import AutoencoderKL

    inner = folder / "vae" if (folder / "vae").is_dir() else folder  # a pipeline's folder holds one, too
    variant = "fp16" if any(inner.glob("*.fp16.safetensors")) else None
    return AutoencoderKL.from_pretrained(
        inner, dtype=dtype, use_safetensors=True, variant=variant, local_files_only=True, low_cpu_mem_usage=False
    )


def _open_clip(folder: Path, dtype: torch.dtype) -> Clip:
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    return Clip(
        _transformer(CLIPModel, folder, dtype),
        CLIPImageProcessorPil.from_pretrained(folder),
        CLIPTokenizer.from_pretrained(folder),
    )


def _open_detector(folder: Path, dtype: torch.dtype) -> Detector:
    from transformers import YolosForObjectDetection, YolosImageProcessorPil

    return Detector(
        _transformer(YolosForObjectDetection, folder, dtype), YolosImageProcessorPil.from_pretrained(folder)
    )


def _open_captioner(folder: Path, dtype: torch.dtype) -> Captioner:
    from transformers import BertTokenizer, BlipForConditionalGeneration, BlipImageProcessorPil

    return Captioner(
        _transformer(BlipForConditionalGeneration, folder, dtype),
        BlipImageProcessorPil.from_pretrained(folder),
        BertTokenizer.from_pretrained(folder),
    )


def _open_depth(folder: Path, dtype: torch.dtype) -> Depth:
    from transformers import DPTForDepthEstimation, DPTImageProcessorPil

    return Depth(_transformer(DPTForDepthEstimation, folder, dtype), DPTImageProcessorPil.from_pretrained(folder))


def _open_soft_edges(folder: Path, dtype: torch.dtype) -> SoftEdges:
    from diffusers import UNet2DModel

    return SoftEdges(
        UNet2DModel.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
        )
    )


def _transformer(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    return kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, local_files_only=True)


_STABLE_DIFFUSION = "stable-diffusion-v1-5/stable-diffusion-v1-5"
#: Role -> how it is filled. A later role is one more entry.
ROLES: dict[str, Role] = {
    "text-to-image": Role(_open_pipeline, _STABLE_DIFFUSION, 2.7, _PIPELINE),
    "autoencoder": Role(_open_autoencoder, _STABLE_DIFFUSION, 0.17, ("vae/*.json", "vae/*.fp16.safetensors")),
    "clip": Role(_open_clip, "openai/clip-vit-large-patch14", 1.7),
    "detector": Role(_open_detector, "hustvl/yolos-tiny", 0.03),
    "captioner": Role(_open_captioner, "Salesforce/blip-image-captioning-base", 1.0),
    "depth": Role(_open_depth, "Intel/dpt-hybrid-midas", 0.5),
    "soft-edges": Role(
        _open_soft_edges,
        None,
        0.0,
        instead=(
            "HED's public weights are pickled files, which this book does not open; controlnet_aux.HEDdetector does"
        ),
    ),
}
