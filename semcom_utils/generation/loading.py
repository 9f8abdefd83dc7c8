"""One door to every pretrained model of the book: ``load(role, tier)``.

The tier ``mini`` is this project's own checkpoints, a few megabytes each, in ``data/models``; ``full`` is the public
ones.
Both are ordinary diffusers and transformers folders and pass through the same lines here, so a chapter is the same on
both. Weights are read from safetensors only, never from a pickle, which may run code.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from semcom_utils.checks import one_of, positive_integer, real_number

from .checksums import NAME, verify
from .grounding import Grounded, gated_unet, gates
from .identity import Identity
from .jscc import DeepJscc

__all__ = [
    "MODELS",
    "OFFLOAD_BELOW",
    "ROLES",
    "SLICE_BELOW",
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
#: Bytes of free GPU memory below which a pipeline works on one slice at a time.
SLICE_BELOW = 8e9
#: Bytes of free GPU memory below which only the part of a pipeline that is at work is on the GPU.
OFFLOAD_BELOW = 4e9
#: Name of a LoRA's file in the layout of diffusers.
ADAPTER = "pytorch_lora_weights.safetensors"
#: What travels from a public repository: no pickles, and of several precisions float16.
_PLAIN = ("*.json", "*.txt", "model.safetensors")
_PIPELINE = ("model_index.json", "*/*.json", "*/*.txt") + tuple(
    f"{part}/*.fp16.safetensors" for part in ("unet", "vae", "text_encoder", "safety_checker")
)


class Role(NamedTuple):
    """A kind of model.

    ``open`` makes it of a folder; ``repository`` fills the role at the full tier (None: nothing does, and ``instead``
    says why), weighs so many ``gigabytes``, and these of its ``files`` travel, from ``revision`` unless another is
    asked for. ``personal``: an identifier may choose a subject, which ``open`` takes as its third argument.
    """

    open: Callable[..., Any]
    repository: str | None
    gigabytes: float
    files: tuple[str, ...] = _PLAIN
    instead: str = ""
    revision: str | None = None
    personal: bool = False


class Detection(NamedTuple):
    """A thing that a detector found: ``label``, ``score`` in [0, 1], ``box`` (left, top, right, bottom) in pixels."""

    label: str
    score: float
    box: tuple[float, float, float, float]


def load(
    role: str,
    tier: str = "mini",
    *,
    identifier: int | str | None = None,
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
    identifier : int or str, optional
        Of the subject that a model of the role ``subject`` was taught, and that one of the role ``grounded`` may be
        taught beside its boxes. At the mini tier the number of a toy world's subject; at the full tier the repository
        (or a local folder) of a LoRA in diffusers' format for the role's base.
    folder : str or pathlib.Path, optional
        A local folder in the role's public format, in place of the tier's own. If it holds a ``SHA256SUMS``, every
        file is checked against it.
    device : str or torch.device, optional
        By default the GPU if there is one. On a GPU the full tier computes in float16; all else is float32, whatever
        the weights are stored in.
    revision : str, optional
        Branch, tag or commit of the public repository.

    Returns
    -------
    object
        ``text-to-image``: a ``diffusers.StableDiffusionPipeline`` (with the safety checker, if its folder holds one,
        which blackens pictures). ``autoencoder``, ``subject-autoencoder``:
        a ``diffusers.AutoencoderKL``. ``receiver``: a
        ``diffusers.UNet2DConditionModel``. ``subject``: a ``diffusers.StableDiffusionPipeline`` into whose weights the
        subject's are added. ``grounded``: a :class:`.grounding.Grounded`, which draws from a prompt, labels and boxes.
        Others: :class:`Clip`, :class:`Detector`, :class:`Captioner`, :class:`Depth`, :class:`SoftEdges`,
        :class:`.identity.Identity`, :class:`.jscc.DeepJscc`.

    Raises
    ------
    ValueError
        If an argument is none of its choices, a mini checkpoint's files are not what its ``SHA256SUMS`` lists, or a
        folder holds no safetensors.
    FileNotFoundError
        If a mini checkpoint is not there, or a public one is neither in the cache nor to be had; the message says
        which, how large it is, and how to get it.
    RuntimeError
        If the GPU has too little free memory, and ``accelerate``, which helps, is not installed.
    """
    opener = ROLES[one_of("role", role, ROLES)]
    one_of("tier", tier, ("mini", "full"))
    if identifier is not None and not opener.personal:
        personal = [name for name, other in ROLES.items() if other.personal]
        raise ValueError(f"identifier must be None for {role} ({' and '.join(personal)} take one), got {identifier!r}")
    place = _device(device)
    if folder is not None:
        path = Path(folder).expanduser().resolve()
        if not path.is_dir():
            raise FileNotFoundError(f"folder must be a folder that exists, got {str(folder)!r}")
    elif tier == "mini":
        path = MODELS / f"mini-{role}"
        if not path.is_dir():
            raise FileNotFoundError(
                f"the checkpoint mini-{role} is not in {MODELS}; fetch it with the repository, or train it: "
                f"python -m semcom_utils.generation.training {role}"
            )
    else:
        path = _fetch(role, opener, revision)
    if path.is_relative_to(MODELS.resolve()) or tier == "mini" and folder is None or (path / NAME).exists():
        verify(path)
    if not any(path.rglob("*.safetensors")):
        raise ValueError(f"folder must hold weights in safetensors (pickled ones are not opened), {path} holds none")
    dtype = torch.float16 if place.type == "cuda" and tier == "full" else torch.float32
    with _quiet():
        model = opener.open(path, dtype, identifier) if opener.personal else opener.open(path, dtype)
    return _place(model, place)


def memory_plan(free_bytes: int | None) -> tuple[str, ...]:
    """Which savings a full-tier pipeline needs, by the memory that is free on the GPU.

    Stable Diffusion v1-5 in float16 has 2.7 GB of weights, and needs room to work in at 512x512: below
    :data:`SLICE_BELOW` it works on smaller pieces, which is slower, and below :data:`OFFLOAD_BELOW` its parts take
    turns on the GPU, which is slower still.

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
    if free_bytes is None or real_number("free_bytes", free_bytes, low=0) >= SLICE_BELOW:
        return ()
    savings = ("enable_attention_slicing", "vae.enable_slicing", "vae.enable_tiling")
    return savings if free_bytes >= OFFLOAD_BELOW else (*savings, "enable_model_cpu_offload")


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device must be a torch device such as 'cpu' or 'cuda', got {device!r}") from error
    if place.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device must be one that this machine has; it has no GPU that torch can use, got {device!r}")
    try:
        torch.zeros(1, device=place).cpu()
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        raise ValueError(f"device must be one that this machine can compute on, got {device!r}") from error
    return place


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars while a model is opened, and no word about torchvision, which nothing here needs.

    What the libraries say about the weights themselves (one that is missing, one too many) is still heard.
    """
    import diffusers.utils.logging
    import transformers.utils.logging

    libraries = [
        library
        for library in (diffusers.utils.logging, transformers.utils.logging)
        if library.is_progress_bar_enabled()
    ]
    chatty = logging.getLogger("transformers.utils.import_utils")
    level = chatty.level
    for library in libraries:
        library.disable_progress_bar()
    chatty.setLevel(logging.ERROR)
    try:
        yield
    finally:
        chatty.setLevel(level)
        for library in libraries:
            library.enable_progress_bar()


def _fetch(role: str, opener: Role, revision: str | None) -> Path:
    """Folder of the public checkpoint, from the cache or the hub."""
    if opener.repository is None:
        raise ValueError(f"tier must be 'mini' for {role}, or pass a folder: {opener.instead}")
    from huggingface_hub import constants, snapshot_download

    revision = revision or opener.revision
    options = {"repo_id": opener.repository, "revision": revision, "allow_patterns": list(opener.files)}
    # Part of a repository may be cached (one role's part of it, or a download that broke off): look for the weights.
    weights = [pattern for pattern in opener.files if pattern.endswith(".safetensors")]
    with contextlib.suppress(OSError):  # not in the cache
        path = Path(snapshot_download(**options, local_files_only=True))
        if all(any(path.glob(pattern)) for pattern in weights):
            return path
    try:
        if not constants.HF_HUB_OFFLINE:
            logging.getLogger(__name__).warning("fetching %s, about %g GB", opener.repository, opener.gigabytes)
        path = Path(snapshot_download(**options))
        missing = [pattern for pattern in weights if not any(path.glob(pattern))]
        reason = f"what came holds no {missing[0]}" if missing else ""
        cause = None
    except Exception as error:  # the hub's client, its HTTP library and the system each raise their own
        offline = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub cannot be reached, or refuses it"
        reason, cause = f"{offline} ({type(error).__name__})", error
    if not reason:
        return path
    which = f" --revision {revision}" if revision else ""
    include = "".join(f" --include '{pattern}'" for pattern in opener.files)
    raise FileNotFoundError(
        f"the full tier's {role} is {opener.repository} (about {opener.gigabytes:g} GB), which is not whole in the "
        f"cache, and {reason}. Where there is a network: hf download {opener.repository}{which}{include}; "
        f"then copy the cache, or pass the folder: load({role!r}, 'full', folder=...)"
    ) from cause


def _place(model: Any, device: torch.device) -> Any:
    if isinstance(model, Grounded):
        _place(model.pipeline, device)
        return model
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
            attrgetter(saving)(model)(**({"device": device} if saving == "enable_model_cpu_offload" else {}))
        return model
    (model if isinstance(model, torch.nn.Module) else model.model).to(device).eval()
    return model


def _as_bytes(images: Any) -> list[np.ndarray]:
    """Pictures as the image processors take them: uint8 arrays [rows, columns, 3], all of one size."""
    if isinstance(images, torch.Tensor | np.ndarray):
        array = torch.as_tensor(images).detach().cpu().float()
        if (
            array.ndim != 4 or array.shape[1] != 3 or not array.numel() or not bool(((array >= 0) & (array <= 1)).all())
        ):
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
    arrays = [np.asarray(image.convert("RGB")) for image in images]
    if len(sizes := {array.shape[:2] for array in arrays}) > 1:
        raise ValueError(f"images must be of one size (rows, columns), got {sorted(sizes)}")
    return arrays


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
        real_number("threshold", threshold, low=0, high=1)
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
        positive_integer("max_new_tokens", max_new_tokens)
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
        """Float32 [batch, rows, columns], at the size of the pictures; larger is nearer."""
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


def _diffusers(kind: Any, folder: Path, dtype: torch.dtype, weights: Path) -> Any:
    """Open with the float16 files if they are what is wanted, or all there is; ``weights`` is where to look."""
    plain = [path for path in weights.glob("*.safetensors") if not path.name.endswith(".fp16.safetensors")]
    half = any(weights.glob("*.fp16.safetensors")) and (dtype == torch.float16 or not plain)
    return kind.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        variant="fp16" if half else None,
        local_files_only=True,
        low_cpu_mem_usage=False,  # True needs accelerate
    )


def _open_pipeline(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import StableDiffusionPipeline

    return _diffusers(StableDiffusionPipeline, folder, dtype, folder / "unet")


def _base(folder: Path, dtype: torch.dtype) -> Any:
    """The pipeline that what a folder holds is added to."""
    config = folder / "config.json"
    base = json.loads(config.read_text("utf-8")).get("base") if config.exists() else None
    if base != "mini-text-to-image":
        raise ValueError(f"folder must hold a pipeline, or what was trained for mini-text-to-image, {folder} does not")
    verify(MODELS / base)
    return _open_pipeline(MODELS / base, dtype)


def _open_grounded(folder: Path, dtype: torch.dtype, identifier: int | str | None = None) -> Grounded:
    from safetensors.torch import load_file

    if (folder / "model_index.json").exists():
        pipeline = _open_pipeline(folder, dtype)
        if not gates(pipeline.unet):
            raise ValueError(f"folder must hold a UNet with attention_type 'gated', {folder} holds a plain one")
        return Grounded(pipeline if identifier is None else _with_public_adapter(pipeline, identifier))
    pipeline = _base(folder, dtype)
    if identifier is not None:
        verify(MODELS / "mini-subject")
        pipeline = _with_subject(pipeline, identifier, MODELS / "mini-subject")
    pipeline.unet = gated_unet(pipeline.unet)
    missing, unexpected = pipeline.unet.load_state_dict(load_file(folder / "grounding.safetensors"), strict=False)
    off = [*unexpected, *(name for name in missing if ".fuser." in name or "position_net." in name)]
    if off:
        raise ValueError(f"folder must hold the grounding layers of mini-text-to-image, {off[0]} is missing or no such")
    pipeline.unet.eval()
    settings = json.loads((folder / "config.json").read_text("utf-8"))
    return Grounded(pipeline, settings["max_boxes"], settings["share"])


def _open_subject(folder: Path, dtype: torch.dtype, identifier: int | str | None = None) -> Any:
    if (folder / "model_index.json").exists():  # the weights of a whole DreamBooth, or the base of an adapter
        pipeline = _open_pipeline(folder, dtype)
        return pipeline if identifier is None else _with_public_adapter(pipeline, identifier)
    return _with_subject(_base(folder, dtype), identifier, folder)


def _with_subject(pipeline: Any, identifier: Any, folder: Path) -> Any:
    """Add the adapter of a toy world's subject to a pipeline's weights, and the decoder that draws its pattern."""
    known = sorted(int(path.stem.removeprefix("subject-")) for path in folder.glob("subject-*.safetensors"))
    if isinstance(identifier, bool) or not isinstance(identifier, Integral) or identifier not in known:
        raise ValueError(f"identifier must be the number of a subject that was taught, {known}, got {identifier!r}")
    decoder = MODELS / json.loads((folder / "config.json").read_text("utf-8"))["autoencoder"]
    verify(decoder)
    pipeline.vae = _open_subject_autoencoder(decoder, pipeline.unet.dtype)
    return _with_adapter(pipeline, folder, f"subject-{identifier:02d}.safetensors")


def _with_public_adapter(pipeline: Any, identifier: Any) -> Any:
    """Add a public adapter, of a repository or a local folder, to a pipeline's weights."""
    if not isinstance(identifier, str):
        raise ValueError(
            f"identifier must be the repository or folder of a LoRA for the public model, got {identifier!r}; the "
            "numbers are of subjects at the mini tier"
        )
    folder = Path(identifier).expanduser()
    if not folder.is_dir():
        entry = ROLES["subject"]._replace(repository=identifier, files=(ADAPTER,), gigabytes=0.01)
        folder = _fetch("subject", entry, None)
    if not (folder / ADAPTER).is_file():
        raise ValueError(f"identifier must be a repository or folder that holds {ADAPTER}, got {identifier!r}")
    return _with_adapter(pipeline, folder, ADAPTER)


def _with_adapter(pipeline: Any, folder: Path, name: str) -> Any:
    pipeline.load_lora_weights(str(folder), weight_name=name, local_files_only=True)
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()
    return pipeline


def _open_unet(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import UNet2DConditionModel

    return _diffusers(UNet2DConditionModel, folder, dtype, folder)


def _open_autoencoder(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import AutoencoderKL

    inner = folder / "vae" if (folder / "vae").is_dir() else folder  # a pipeline's folder holds one, too
    return _diffusers(AutoencoderKL, inner, dtype, inner)


def _open_subject_autoencoder(folder: Path, dtype: torch.dtype) -> Any:
    from safetensors.torch import load_file

    if not (folder / "decoder.safetensors").exists():
        return _open_autoencoder(folder, dtype)
    verify(MODELS / "mini-autoencoder")
    model = _open_autoencoder(MODELS / "mini-autoencoder", dtype)
    weights = load_file(folder / "decoder.safetensors")
    missing, unexpected = model.load_state_dict(weights, strict=False)
    off = [*unexpected, *(name for name in missing if name.startswith(("decoder.", "post_quant_conv.")))]
    if off:
        raise ValueError(f"folder must hold the decoder of mini-autoencoder, {off[0]} is off")
    return model


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


def _open_identity(folder: Path, dtype: torch.dtype) -> Identity:
    from transformers import ResNetForImageClassification

    return Identity(_transformer(ResNetForImageClassification, folder, dtype))


def _open_jscc(folder: Path, dtype: torch.dtype) -> DeepJscc:
    return DeepJscc.load(folder).to(dtype).eval()


def _open_soft_edges(folder: Path, dtype: torch.dtype) -> SoftEdges:
    from diffusers import UNet2DModel

    return SoftEdges(_diffusers(UNet2DModel, folder, dtype, folder))


def _transformer(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    return kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, local_files_only=True)


_STABLE_DIFFUSION = "stable-diffusion-v1-5/stable-diffusion-v1-5"
#: Role -> how it is filled. A later role is one more entry.
ROLES: dict[str, Role] = {
    "text-to-image": Role(_open_pipeline, _STABLE_DIFFUSION, 2.7, _PIPELINE),
    "receiver": Role(
        _open_unet,
        None,
        0.0,
        instead="nobody published the paper's network; generation.training.receiver fine-tunes one",
    ),
    "subject": Role(_open_subject, _STABLE_DIFFUSION, 2.7, _PIPELINE, personal=True),
    # The main branch of this repository holds pickles only; the hub's conversion to safetensors waits as request 2.
    "grounded": Role(
        _open_grounded, "masterful/gligen-1-4-generation-text-box", 3.2, _PIPELINE, revision="refs/pr/2", personal=True
    ),
    "autoencoder": Role(_open_autoencoder, _STABLE_DIFFUSION, 0.17, ("vae/config.json", "vae/*.fp16.safetensors")),
    "subject-autoencoder": Role(
        _open_subject_autoencoder,
        None,
        0.0,
        instead="the full tier's own autoencoder draws every subject",
    ),
    "clip": Role(_open_clip, "openai/clip-vit-large-patch14", 1.7),
    "detector": Role(_open_detector, "hustvl/yolos-tiny", 0.03),
    "captioner": Role(_open_captioner, "Salesforce/blip-image-captioning-base", 1.0),
    # The main branch of this repository holds a pickle only; the hub's conversion to safetensors waits as request 5.
    "depth": Role(_open_depth, "Intel/dpt-hybrid-midas", 0.5, revision="refs/pr/5"),
    "identity": Role(
        _open_identity,
        None,
        0.0,
        instead="it knows the toy world's subjects; for others compare CLIP's vectors of pictures",
    ),
    "jscc": Role(
        _open_jscc, None, 0.0, instead="no public weights are in safetensors; generation.training.jscc trains one"
    ),
    "soft-edges": Role(
        _open_soft_edges,
        None,
        0.0,
        instead=(
            "HED's public weights are pickled files, which this book does not open; controlnet_aux.HEDdetector does"
        ),
    ),
}
