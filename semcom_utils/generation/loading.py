"""One door to every pretrained model of the book: ``load(role, tier)``.

The tier ``mini`` is this project's own checkpoints, a few megabytes each, in ``data/models``; ``full`` is the public
ones.
Both are ordinary diffusers and transformers folders and pass through the same lines here, so a chapter is the same on
both. Weights are read from safetensors only, never from a pickle, which may run code.

One rule of devices: the mini tier computes on the CPU, where the book's numbers were made and where everything else in
a chapter is; the full tier on the GPU, if there is one; and ``device=`` overrides either. What this package makes of a
model (:class:`Clip`, :class:`Detector`, :class:`Captioner`, :class:`Depth`, :class:`SoftEdges`, :class:`Segmentation`,
:class:`PublicSegmentation`, :class:`.prompted.PromptedDenoiser`) takes its input from any device and gives the result
back where the input was; for words, joints and PIL images that is the CPU. The bare networks of the libraries
(``text-to-image``, ``autoencoder``, ``receiver``) leave that to the caller:
``network(x.to(network.device, network.dtype))``.

One rule of threads: :func:`one_thread`. The mini models are so small that a second thread gains little, and beside
another busy process it costs a lot, since the threads wait for each other without sleeping: 0.9 s for a picture became
48 s.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import inspect
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from semcom_utils.checks import checked, one_of, positive_integer, real_number, shown, torch_device
from semcom_utils.paths import CLAIMS, MODELS, ROOT
from semcom_utils.pictures import pictures_bytes

from .checksums import NAME, verify
from .eight_bits import from_eight_bits
from .grounding import Grounded, gated_unet, gates
from .identity import Identity
from .jscc import DeepJscc
from .judging import SAME, THRESHOLD, Detection, one_claim_each
from .parsing import PARSER, figures, parse
from .roles import ROLES, Role
from .witt import Witt
from .words import HOW, watched

__all__ = [
    "ADAPTER",
    "OFFLOAD_BELOW",
    "SLICE_BELOW",
    "Captioner",
    "Clip",
    "Depth",
    "Detector",
    "Pose",
    "PublicPose",
    "PublicSegmentation",
    "Segmentation",
    "SoftEdges",
    "load",
    "memory_plan",
    "one_thread",
]

#: Bytes of free GPU memory below which a pipeline works on one slice at a time.
SLICE_BELOW = 8e9
#: Bytes of free GPU memory below which only the part of a pipeline that is at work is on the GPU.
OFFLOAD_BELOW = 4e9
#: Name of a LoRA's file in the layout of diffusers.
ADAPTER = "pytorch_lora_weights.safetensors"


@checked
def load(
    role: str,
    tier: str = "mini",
    *,
    identifier: int | str | None = None,
    folder: str | Path | None = None,
    device: str | torch.device | None = None,
    revision: str | None = None,
    unknown_words: str = "warn",
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
        file is checked against it. Every weight of the model must be in it, and no other.
    device : str or torch.device, optional
        By default the CPU at the mini tier, and at the full tier the GPU if there is one. On a GPU the full tier
        computes in float16; all else is float32, whatever the weights are stored in.
    revision : str, optional
        Branch, tag or commit of the public repository, at the full tier.
    unknown_words : {"warn", "error", "ignore"}
        What becomes of a caption or a prompt with words outside the closed vocabulary of a mini model: the model makes
        something else of them. A warning, or a ``ValueError``, names them and the nearest known ones.

    Returns
    -------
    object
        ``text-to-image``: a ``diffusers.StableDiffusionPipeline`` (with the safety checker, if its folder holds one,
        which blackens pictures). ``autoencoder``, ``subject-autoencoder``: a ``diffusers.AutoencoderKL``. ``receiver``:
        a ``diffusers.UNet2DConditionModel``. ``subject``: a ``diffusers.StableDiffusionPipeline`` into whose weights
        the subject's are added. ``grounded``: a :class:`.grounding.Grounded`, which draws from a prompt, labels and
        boxes. ``controlnet-depth``, ``-segmentation``, ``-pose``, ``-soft-edges``,
        ``-canny``: a ``diffusers.StableDiffusionControlNetPipeline`` with the tier's text-to-image model, or, if
        ``folder`` holds a whole such pipeline, that one.
        Others: :class:`Clip`, :class:`Detector`, :class:`Captioner`, :class:`Depth`, :class:`SoftEdges`,
        :class:`Segmentation`, :class:`Pose`, :class:`.identity.Identity`, :class:`.jscc.DeepJscc`,
        :class:`.witt.Witt`; at the full tier :class:`PublicSegmentation` and :class:`PublicPose` (with the tier's
        detector, which finds the people) in place of segmentation and pose.

    Raises
    ------
    ValueError
        If an argument is none of its choices, ``revision`` is given where none is read (at the mini tier, or with a
        folder), ``identifier`` where no subject is known, or names none that was taught, a mini checkpoint's files are
        not what its ``SHA256SUMS`` lists, or a folder holds no safetensors, or not all that the model needs, or another
        model.
    FileNotFoundError
        If a mini checkpoint is not there, or a public one is neither in the cache nor to be had; the message says
        which, how large it is, and how to get it.
    RuntimeError
        If the GPU has too little free memory, and ``accelerate``, which helps, is not installed; or a subject is to be
        added, and ``peft``, which does it, is not.
    """
    entry = ROLES[one_of("role", role, ROLES)]
    one_of("tier", tier, ("mini", "full"))
    one_of("unknown_words", unknown_words, HOW)
    if revision is not None and (tier == "mini" or folder is not None):
        raise ValueError(
            f"revision must be None {'for a local folder' if folder is not None else 'at the mini tier'}: only what is "
            f"fetched from a public repository has revisions, got {revision!r}"
        )
    if identifier is not None and not entry.personal:
        personal = [name for name, other in ROLES.items() if other.personal]
        raise ValueError(f"identifier must be None for {role} ({' and '.join(personal)} take one), got {identifier!r}")
    place = _device(device, tier)
    folders = [_find(role, tier, folder, revision)]
    if entry.base is not None and _needs_base(folders[0], entry):
        folders.append(_find(entry.base, tier, None, None))
    dtype = torch.float16 if place.type == "cuda" and tier == "full" else torch.float32
    with _quiet():
        options = {"identifier": identifier} if entry.personal else {}
        model = entry.opener()(folders[0], dtype, *folders[1:], **options)
    if entry.reads_words:
        watched(getattr(model, "pipeline", model).tokenizer, unknown_words)
    return _place(model, place)


def _find(role: str, tier: str, folder: str | Path | None, revision: str | None) -> Path:
    """Folder of a role's checkpoint, its sums checked if it has any, or must have."""
    entry = ROLES[role]
    if folder is not None:
        path = Path(folder).expanduser().resolve()
        if not path.is_dir():
            raise FileNotFoundError(f"folder must be a folder that exists, got {str(folder)!r}")
    elif tier == "mini":
        checkpoint = entry.mini or role
        path = MODELS / f"mini-{checkpoint}"
        if not path.is_dir() and not CLAIMS.is_dir():
            raise FileNotFoundError(
                f"the checkpoint mini-{checkpoint} belongs to a checkout of the book, and there is none at {ROOT}: the "
                "package is installed elsewhere; start Python in the checkout, install it with pip install --editable, "
                "or pass the folder: load(role, folder=...)"
            )
        if not path.is_dir():
            raise FileNotFoundError(
                f"the checkpoint mini-{checkpoint} is not in {MODELS}; fetch it with the repository, or train it: "
                f"python -m semcom_utils.generation.training {checkpoint}"
            )
    else:
        path = _fetch(role, entry, revision)
    if path.is_relative_to(MODELS.resolve()) or tier == "mini" and folder is None or (path / NAME).exists():
        verify(path)
    if not any(path.rglob("*.safetensors")):
        raise ValueError(f"folder must hold weights in safetensors (pickled ones are not opened), {path} holds none")
    for need in entry.needs:
        if not _holds(path, need):
            raise ValueError(f"folder must hold {need.replace('|', ' or ')}, {path} does not: it is not whole")
    for weights in path.rglob("*.safetensors"):
        _readable(weights)
    return path


def _holds(folder: Path, need: str) -> bool:
    """Whether a folder has a file, or one of several whose names stand with bars between them."""
    return any((folder / name).is_file() for name in need.split("|"))


def _readable(weights: Path) -> None:
    """Refuse a file of weights that is not whole: its header tells how long it is."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, "pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"folder must hold whole files, {weights} is cut short or damaged ({error}): delete it, and fetch it anew "
            "(of the hub's: hf download with --force-download)"
        ) from None


def _needs_base(folder: Path, entry: Role) -> bool:
    """Whether a role's folder is opened along with its base's: a whole pipeline is not, nor is another kind of model"""
    if (folder / "model_index.json").exists():
        return False
    return entry.base_for is None or _model_type(folder) == entry.base_for


def _model_type(folder: Path) -> str | None:
    """What transformers calls the kind of a folder's model; None for a model of diffusers."""
    config = folder / "config.json"
    return _json(config).get("model_type") if config.is_file() else None


def one_thread() -> None:
    """Let PyTorch compute on one thread from here on: what suits the mini models, and what their timings are of.

    A second thread gains little on networks this small, and beside another busy process it costs a lot. Whoever trains,
    or uses the full tier on a CPU, sets more by ``torch.set_num_threads``.
    """
    torch.set_num_threads(1)


@checked
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

    Raises
    ------
    ValueError
        If ``free_bytes`` is neither None nor a number of at least 0.
    """
    if free_bytes is None or real_number("free_bytes", free_bytes, low=0) >= SLICE_BELOW:
        return ()
    savings = ("enable_attention_slicing", "vae.enable_slicing", "vae.enable_tiling")
    return savings if free_bytes >= OFFLOAD_BELOW else (*savings, "enable_model_cpu_offload")


def _device(device: str | torch.device | None, tier: str) -> torch.device:
    if device is None:
        return torch.device("cuda" if tier == "full" and torch.cuda.is_available() else "cpu")
    return torch_device("device", device)


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


def _fetch(role: str, entry: Role, revision: str | None) -> Path:
    """Folder of the public checkpoint, from the cache or the hub."""
    if entry.repository is None:
        raise ValueError(f"tier must be 'mini' for {role}, or pass a folder: {entry.instead}")
    from huggingface_hub import constants, snapshot_download

    revision = revision or entry.revision
    options: dict[str, Any] = {"repo_id": entry.repository, "revision": revision, "allow_patterns": list(entry.files)}
    # Part of a repository may be cached (one role's part of it, or a download that broke off): look for what it needs.
    lacks: list[str] = []
    with contextlib.suppress(OSError):  # not in the cache
        path = Path(snapshot_download(**options, local_files_only=True))
        if not (lacks := _lacks(path, entry)):
            return path
    in_cache, cause = f", which lacks {lacks[0]}" if lacks else "", None
    try:
        if not constants.HF_HUB_OFFLINE:
            logging.getLogger(__name__).warning("fetching %s, about %g GB", entry.repository, entry.gigabytes)
        path = Path(snapshot_download(**options))
        if not (lacks := _lacks(path, entry)):
            return path
        reason = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"what came holds no {lacks[0]}"
    except Exception as error:  # the hub's client, its HTTP library and the system each raise their own
        offline = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub cannot be reached, or refuses it"
        reason, cause = f"{_disk(error) or offline} ({type(error).__name__})", error
    reason = f"{in_cache}, and {reason}"
    which = f" --revision {revision}" if revision else ""
    include = "".join(f" --include '{pattern}'" for pattern in entry.files)
    raise FileNotFoundError(
        f"the full tier's {role} is {entry.repository} (about {entry.gigabytes:g} GB), which is not whole in the "
        f"cache{reason}. Where there is a network: hf download {entry.repository}{which}{include}; "
        f"then copy the cache, or pass the folder: load({role!r}, 'full', folder=...)"
    ) from cause


def _lacks(path: Path, entry: Role) -> list[str]:
    """What a role needs of its public repository and does not find in a folder."""
    weights = [pattern for pattern in entry.files if pattern.endswith(".safetensors")]
    lacks = [pattern for pattern in weights if not any(path.glob(pattern))]
    return lacks + [need for need in entry.needs if not _holds(path, need)]


def _disk(error: BaseException | None) -> str:
    """What is wrong with the cache's disk, if that is behind an error; else nothing."""
    from huggingface_hub import constants

    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"the disk of the cache, {constants.HF_HUB_CACHE}, is full: make room, or set HF_HOME to another"
        if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"the cache, {constants.HF_HUB_CACHE}, cannot be written to: set HF_HOME to a folder that can"
        error = error.__cause__ or error.__context__
    return ""


def _place(model: Any, device: torch.device) -> Any:
    if isinstance(model, Grounded):
        _place(model.pipeline, device)
        return model
    if hasattr(model, "components"):  # a diffusers pipeline
        model.set_progress_bar_config(disable=True)
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
        plan = memory_plan(free)
        if free is not None and "enable_model_cpu_offload" in plan and importlib.util.find_spec("accelerate") is None:
            raise RuntimeError(
                f"the GPU has {free / 1e9:.1f} GB free, too little without offloading: pip install accelerate"
            )
        if "enable_model_cpu_offload" not in plan:
            model.to(device)
        for saving in plan:
            attrgetter(saving)(model)(**({"device": device} if saving == "enable_model_cpu_offload" else {}))
        return model
    (model if isinstance(model, torch.nn.Module) else model.model).to(device).eval()
    if isinstance(model, PublicPose) and model.detector is not None:
        _place(model.detector, device)
    return model


def _as_bytes(images: Any) -> list[np.ndarray]:
    """Pictures as the image processors take them: uint8 arrays [rows, columns, 3], all of one size."""
    return pictures_bytes("images", images)


def _texts(texts: str | Sequence[str]) -> list[str]:
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"texts must be a string or a sequence of strings, got {texts!r}"[:300])
    return texts


def _home(images: Any) -> torch.device:
    """Where results belong: on the device of a tensor, else on the CPU."""
    return images.device if isinstance(images, torch.Tensor) else torch.device("cpu")


@dataclass(frozen=True)
class _Vision:
    model: Any
    processor: Any

    def _pixels(self, images: Any) -> torch.Tensor:
        return self._encoded(_as_bytes(images))

    def _encoded(self, arrays: list[np.ndarray]) -> torch.Tensor:
        # The processors would guess which axis is the colours', wrongly for a picture one or three pixels high.
        pixels = self.processor(images=arrays, return_tensors="pt", input_data_format="channels_last").pixel_values
        return pixels.to(self.model.device, self.model.dtype)


@dataclass(frozen=True)
class Clip(_Vision):
    """Pictures and texts in one space (Radford et al., 2021).

    Parameters
    ----------
    model : transformers.CLIPModel
        On whatever device.
    processor : transformers.CLIPImageProcessorPil
        Scales pictures as the model wants them.
    tokenizer : transformers.CLIPTokenizer
        Cuts texts into tokens.
    """

    tokenizer: Any

    @torch.no_grad()
    def images(self, images: Any) -> torch.Tensor:
        """Unit vectors of pictures.

        Parameters
        ----------
        images : torch.Tensor, numpy.ndarray or (sequence of) PIL.Image.Image
            ``[batch, 3, rows, columns]`` in [0, 1], or pictures of one size.

        Returns
        -------
        torch.Tensor
            ``[batch, dimension]``, float32, where the pictures were.

        Raises
        ------
        ValueError
            If ``images`` are none of these.
        """
        return _unit(self.model.get_image_features(pixel_values=self._pixels(images))).to(_home(images))

    @torch.no_grad()
    @checked
    def texts(self, texts: str | Sequence[str]) -> torch.Tensor:
        """Unit vectors of texts; what exceeds the model's length is cut off.

        Parameters
        ----------
        texts : str or sequence of str
            At least one.

        Returns
        -------
        torch.Tensor
            ``[batch, dimension]``, float32, on the CPU.

        Raises
        ------
        ValueError
            If ``texts`` are no texts, or none.
        """
        tokens = self.tokenizer(_texts(texts), padding=True, truncation=True, return_tensors="pt").to(self.model.device)
        return _unit(
            self.model.get_text_features(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
        ).cpu()

    @checked
    def similarity(self, images: Any, texts: str | Sequence[str]) -> torch.Tensor:
        """Cosines of the angles between pictures and texts.

        Parameters
        ----------
        images : torch.Tensor, numpy.ndarray or (sequence of) PIL.Image.Image
            As for :meth:`images`.
        texts : str or sequence of str
            As for :meth:`texts`.

        Returns
        -------
        torch.Tensor
            ``[pictures, texts]`` in [-1, 1], where the pictures were.

        Raises
        ------
        ValueError
            If an argument is not what these want.
        """
        seen = self.images(images)
        return seen @ self.texts(texts).to(seen.device).T


def _unit(features: Any) -> torch.Tensor:
    vectors = features if isinstance(features, torch.Tensor) else features.pooler_output
    return torch.nn.functional.normalize(vectors.float(), dim=-1)


@dataclass(frozen=True)
class Detector(_Vision):
    """Names and boxes of the things in pictures: ``detector(images)``, one claim a thing.

    Of claims on one place the surest counts (:mod:`.judging` says why); :class:`.judging.Judge` compares what is left
    with what was asked for.

    Parameters
    ----------
    model : transformers.YolosForObjectDetection
        On whatever device.
    processor : transformers.YolosImageProcessorPil
        Scales pictures as the model wants them.
    """

    @torch.no_grad()
    @checked
    def __call__(
        self, images: Any, threshold: float = THRESHOLD, *, same: float | None = SAME
    ) -> list[list[Detection]]:
        """Find things whose score exceeds ``threshold``, for each picture, best first; boxes in its pixels.

        Claims whose boxes overlap by ``same`` or more are on one thing, and the surest stays; None keeps all, for
        photographs, where one thing may hide most of another. Raises ``ValueError`` if ``images`` are not what
        :meth:`Clip.images` takes, the threshold is not in [0, 1], or the overlap not in (0, 1].
        """
        real_number("threshold", threshold, low=0, high=1)
        if same is not None:
            real_number("same", same, low=0, low_open=True, high=1)
        arrays = _as_bytes(images)
        output = self.model(pixel_values=self._encoded(arrays))
        sizes = [array.shape[:2] for array in arrays]
        found = self.processor.post_process_object_detection(output, threshold=threshold, target_sizes=sizes)
        names = self.model.config.id2label
        claims = [
            sorted(
                (
                    Detection(names[int(number)], float(score), tuple(box.tolist()))
                    for number, score, box in zip(one["labels"], one["scores"], one["boxes"], strict=True)
                ),
                key=lambda thing: -thing.score,
            )
            for one in found
        ]
        return claims if same is None else [one_claim_each(some, same) for some in claims]


@dataclass(frozen=True)
class Captioner(_Vision):
    """What a picture shows, in words: ``captioner(images)``.

    Parameters
    ----------
    model : transformers.BlipForConditionalGeneration
        On whatever device.
    processor : transformers.BlipImageProcessorPil
        Scales pictures as the model wants them.
    tokenizer : transformers.BertTokenizer
        Turns tokens into words.
    """

    tokenizer: Any

    @torch.no_grad()
    @checked
    def __call__(self, images: Any, max_new_tokens: int = 30) -> list[str]:
        """One caption for each picture, the likeliest word by word, of at most so many tokens.

        Raises ``ValueError`` if ``images`` are not what :meth:`Clip.images` takes, or the number is not positive.
        """
        positive_integer("max_new_tokens", max_new_tokens)
        numbers = self.model.generate(
            pixel_values=self._pixels(images), max_new_tokens=max_new_tokens, do_sample=False, num_beams=1
        )
        return [
            text.strip().replace(" ,", ",") for text in self.tokenizer.batch_decode(numbers, skip_special_tokens=True)
        ]


@dataclass(frozen=True)
class Depth(_Vision):
    """Inverse depth of pictures: ``depth(images)``, up to scale (and, at the full tier, up to an offset).

    Parameters
    ----------
    model : transformers.DPTForDepthEstimation
        On whatever device.
    processor : transformers.DPTImageProcessorPil
        Scales pictures as the model wants them.
    """

    @torch.no_grad()
    def __call__(self, images: Any) -> torch.Tensor:
        """Float32 [batch, rows, columns], at the size of the pictures and where they were; larger is nearer.

        Raises ``ValueError`` if ``images`` are not what :meth:`Clip.images` takes.
        """
        arrays = _as_bytes(images)
        depth = self.model(pixel_values=self._encoded(arrays)).predicted_depth.float().to(_home(images))
        size = arrays[0].shape[:2]
        if tuple(depth.shape[1:]) == tuple(size):
            return depth
        return torch.nn.functional.interpolate(depth[:, None], size=size, mode="bicubic", align_corners=False)[:, 0]


@dataclass(frozen=True)
class SoftEdges:
    """Probability that a pixel lies on an edge: ``edges(images)``.

    Parameters
    ----------
    model : diffusers.UNet2DModel
        On whatever device.
    """

    model: Any

    @torch.no_grad()
    def __call__(self, images: Any) -> torch.Tensor:
        """Float32 [batch, rows, columns] in [0, 1], where the pictures were.

        Raises ``ValueError`` if ``images`` are not what :meth:`Clip.images` takes.
        """
        x = torch.from_numpy(np.stack(_as_bytes(images))).permute(0, 3, 1, 2).float() / 127.5 - 1
        rows, columns = x.shape[2:]
        # The network halves its picture a few times: what does not halve is continued by its outermost pixels, and cut.
        step = 2 ** (len(self.model.config.block_out_channels) - 1)
        x = torch.nn.functional.pad(x, (0, -columns % step, 0, -rows % step), mode="replicate")
        found = self.model(x.to(self.model.device, self.model.dtype), 0).sample[:, 0, :rows, :columns]
        return found.sigmoid().float().to(_home(images))


@dataclass(frozen=True)
class _Parser:
    model: Any

    def _parse(self, images: Any) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.from_numpy(np.stack(_as_bytes(images))).permute(0, 3, 1, 2).float() / 127.5 - 1
        if x.shape[2] % 8 or x.shape[3] % 8:
            raise ValueError(f"images must have rows and columns in multiples of 8, got {tuple(x.shape[2:])}")
        classes, joints = parse(self.model, x.to(self.model.device, self.model.dtype))
        return classes.float(), joints.float()


class Segmentation(_Parser):
    """Class of every pixel: ``segmentation(images)``.

    Parameters
    ----------
    model : diffusers.UNet2DModel
        On whatever device; see :mod:`.parsing`.
    """

    @torch.no_grad()
    def __call__(self, images: Any) -> torch.Tensor:
        """Int64 [batch, rows, columns], index into ``toyworld.CLASSES``, where the pictures were.

        Raises ``ValueError`` if ``images`` are not what :meth:`Clip.images` takes, or their sides no multiples of 8.
        """
        return self._parse(images)[0].argmax(1).to(_home(images))


class Pose(_Parser):
    """Joints of the robots in pictures: ``pose(images)``.

    Parameters
    ----------
    model : diffusers.UNet2DModel
        On whatever device; see :mod:`.parsing`.
    """

    @torch.no_grad()
    def __call__(self, images: Any) -> list[np.ndarray]:
        """For each picture, float [robots, 14, 3]: column and row in pixels, and whether the joint is visible.

        Raises ``ValueError`` if ``images`` are not what :meth:`Clip.images` takes, or their sides no multiples of 8.
        """
        return [figures(one) for one in self._parse(images)[1].sigmoid().cpu().numpy()]


@dataclass(frozen=True)
class PublicSegmentation(_Vision):
    """Class of every pixel of a photograph: ``segmentation(images)``; :attr:`classes` names them.

    Parameters
    ----------
    model : transformers.UperNetForSemanticSegmentation
        On whatever device.
    processor : transformers.SegformerImageProcessorPil
        Scales pictures as the model wants them.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes by their numbers; of the public checkpoint ADE20K's 150."""
        names = self.model.config.id2label
        return tuple(names[number] for number in range(len(names)))

    @torch.no_grad()
    def __call__(self, images: Any) -> torch.Tensor:
        """Int64 [batch, rows, columns], index into :attr:`classes`, at the size of the pictures and where they were.

        Raises ``ValueError`` if ``images`` are not what :meth:`Clip.images` takes.
        """
        arrays = _as_bytes(images)
        logits = self.model(pixel_values=self._encoded(arrays)).logits.float()
        logits = torch.nn.functional.interpolate(logits, size=arrays[0].shape[:2], mode="bilinear", align_corners=False)
        return logits.argmax(1).to(_home(images))


@dataclass(frozen=True)
class PublicPose:
    """Joints of the people in photographs: ``pose(images)``.

    A detector finds the people first; the network then looks at each of them alone.

    Parameters
    ----------
    model : transformers.VitPoseForPoseEstimation
        On whatever device.
    processor : transformers.VitPoseImageProcessorPil
        Cuts people out as the model wants them.
    detector : Detector, optional
        Finds things called ``person``. None for whoever knows the boxes.
    """

    model: Any
    processor: Any
    detector: Detector | None = None

    @torch.no_grad()
    @checked
    def __call__(
        self, images: Any, boxes: Sequence[Sequence[Sequence[float]]] | None = None, threshold: float = 0.3
    ) -> list[np.ndarray]:
        """For each picture, float [people, 17, 3]: column and row in pixels, and 1 where the joint was found.

        The joints are COCO's. ``boxes`` are those of the people on each picture, left, top, right and bottom in pixels,
        in place of the detector's; a joint is found if its score is above ``threshold``. Raises ``ValueError`` if
        ``images`` are not what :meth:`Clip.images` takes, ``boxes`` are not one list a picture, or are missing where
        there is no detector, or have no area, or the threshold is not in [0, 1].
        """
        real_number("threshold", threshold, low=0, high=1)
        arrays = _as_bytes(images)
        if boxes is None:
            if self.detector is None:
                raise ValueError("boxes must be given to a PublicPose without a detector, got None")
            seen = self.detector(images, same=None)  # people may stand before one another
            boxes = [[thing.box for thing in found if thing.label == "person"] for found in seen]
        if len(boxes) != len(arrays):
            raise ValueError(f"boxes must be one list for each of {len(arrays)} pictures, got {len(boxes)}")
        for box in (box for around in boxes for box in around):
            if np.shape(box) != (4,) or not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
                raise ValueError(f"boxes must be left, top, right and bottom in pixels, got {shown(box)}")
        people = []
        for array, around in zip(arrays, boxes, strict=True):
            joints = np.zeros((len(around), 17, 3))
            if len(around):
                corners = np.asarray(around, dtype=np.float32).reshape(-1, 4)
                boxed = [np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)]
                # The processor takes three rows for three colours; what lies beside a picture is black to it anyway.
                array = np.pad(array, ((0, max(0, 4 - len(array))), (0, 0), (0, 0)))
                pixels = self.processor(
                    images=[array], boxes=boxed, return_tensors="pt", input_data_format="channels_last"
                )
                output = self.model(pixels.pixel_values.to(self.model.device, self.model.dtype))
                output.heatmaps = output.heatmaps.float()
                (told,) = self.processor.post_process_pose_estimation(output, boxes=boxed)
                for person, one in zip(joints, told, strict=True):
                    person[:, :2], person[:, 2] = one["keypoints"].numpy(), one["scores"].numpy() > threshold
            people.append(joints)
        return people


def _diffusers(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    """A network of diffusers, every weight from its folder; with the float16 file if it is wanted, or all there is."""
    _of_its_kind(folder, "_class_name", kind.__name__)
    model, info = kind.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        variant=_variant(folder, dtype),
        local_files_only=True,
        low_cpu_mem_usage=False,  # True needs accelerate
        output_loading_info=True,
    )
    return _whole(model, info, folder)


def _variant(folder: Path, dtype: torch.dtype) -> str | None:
    plain = [path for path in folder.glob("*.safetensors") if not path.name.endswith(".fp16.safetensors")]
    half = any(folder.glob("*.fp16.safetensors")) and (dtype == torch.float16 or not plain)
    return "fp16" if half else None


def _transformer(kind: Any, folder: Path, dtype: torch.dtype, spare: str = "") -> Any:
    """A network of transformers, every weight from its folder, but for those whose names match ``spare``."""
    _of_its_kind(folder, "model_type", kind.config_class.model_type)
    model, info = kind.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        variant=_variant(folder, dtype),
        local_files_only=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # told by name below
    )
    return _whole(model, info, folder, spare)


def _of_its_kind(folder: Path, key: str, wanted: str) -> None:
    """Refuse the folder of another kind of network: the libraries would fill ours with random weights, and warn."""
    kind = _json(folder / "config.json").get(key)
    if kind != wanted:
        raise ValueError(f"folder must hold a network whose config.json says {key} {wanted!r}, {folder} says {kind!r}")


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(f"folder must hold {path.name}, {path.parent} does not: it is not whole") from None
    except ValueError as error:  # no JSON, no UTF-8
        raise ValueError(f"folder must hold a readable {path.name}, {path.parent}'s is none: {error}") from None
    if not isinstance(told, dict):
        raise ValueError(f"folder must hold a {path.name} with settings, {path.parent}'s has none")
    return told


def _whole(model: Any, info: dict[str, Any], folder: Path, spare: str = "") -> Any:
    """Refuse a model some of whose weights are random, or a file with weights that the model has no place for."""
    missing = {name for name in info["missing_keys"] if not (spare and re.search(spare, name))}
    sizes = {item if isinstance(item, str) else item[0] for item in info["mismatched_keys"]}
    buffers = {name for name, _ in model.named_buffers()}  # old files hold some that are computed now
    unexpected = set(info["unexpected_keys"]) - buffers
    for what, names in (("lacks", missing), ("has in another size", sizes), ("has one too many:", unexpected)):
        if names:
            raise ValueError(
                f"folder must hold every weight of a {type(model).__name__} and no other; {folder} {what} "
                f"{sorted(names)[0]} ({len(names)} in all)"
            )
    return model


def _open_pipeline(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import StableDiffusionPipeline

    return _pipeline(StableDiffusionPipeline, folder, dtype)


def _pipeline(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    """A pipeline of diffusers, each of its networks opened, and looked through, on its own."""
    import diffusers
    import transformers
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    index, networks = _json(folder / "model_index.json"), {}
    holds, taken = index.get("_class_name"), inspect.signature(kind).parameters
    if holds not in (kind.__name__, "StableDiffusionControlNetPipeline"):  # which has a plain one's parts
        raise ValueError(f"folder must hold a {kind.__name__}, {folder} holds a {holds!r}")
    parts = {name: made for name, made in index.items() if name in taken and isinstance(made, list) and made[0]}
    for name, (library, made) in parts.items():
        if not (folder / name).is_dir():
            raise ValueError(f"folder must hold {name}, which its model_index.json lists, {folder} does not")
        if made == "StableDiffusionSafetyChecker":
            networks[name] = _transformer(StableDiffusionSafetyChecker, folder / name, dtype)
        elif library == "diffusers" and issubclass(getattr(diffusers, made), diffusers.ModelMixin):
            networks[name] = _diffusers(getattr(diffusers, made), folder / name, dtype)
        elif library == "transformers" and hasattr(found := getattr(transformers, made), "config_class"):
            networks[name] = _transformer(found, folder / name, dtype)
    return kind.from_pretrained(folder, dtype=dtype, local_files_only=True, low_cpu_mem_usage=False, **networks)


def _open_controlnet(folder: Path, dtype: torch.dtype, base: Path | None = None) -> Any:
    """A ControlNet's folder with the one of the model that it controls, or the folder of both."""
    from diffusers import ControlNetModel, StableDiffusionControlNetPipeline

    if base is None:
        return _pipeline(StableDiffusionControlNetPipeline, folder, dtype)
    controlled = _open_pipeline(base, dtype)
    controlnet = _diffusers(ControlNetModel, folder, dtype)
    for name in ("in_channels", "cross_attention_dim", "block_out_channels"):
        ours, theirs = controlnet.config.get(name), controlled.unet.config.get(name)
        if ours != theirs and (not isinstance(ours, list | tuple) or list(ours) != list(theirs)):
            raise ValueError(f"folder must hold a ControlNet for a UNet with {name} {theirs}, got one for {ours}")
    return StableDiffusionControlNetPipeline(
        **controlled.components,
        controlnet=controlnet,
        requires_safety_checker=controlled.config.requires_safety_checker,
    )


def _of_mini(folder: Path, base: str) -> dict:
    """Settings of a folder that holds only what was trained, which must have been for that base."""
    path = folder / "config.json"
    settings = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if settings.get("base") != base:
        raise ValueError(f"folder must hold a pipeline, or what was trained for {base}, {folder} does not")
    return settings


def _open_grounded(
    folder: Path, dtype: torch.dtype, base: Path | None = None, *, identifier: int | str | None = None
) -> Grounded:
    """A pipeline with grounding layers, or those layers and, in a folder of its own, the pipeline they were for."""
    from safetensors.torch import load_file

    if base is None:
        pipeline = _open_pipeline(folder, dtype)
        if not gates(pipeline.unet):
            raise ValueError(f"folder must hold a UNet with attention_type 'gated', {folder} holds a plain one")
        return Grounded(pipeline if identifier is None else _with_public_adapter(pipeline, identifier))
    settings, pipeline = _of_mini(folder, "mini-text-to-image"), _open_pipeline(base, dtype)
    if identifier is not None:
        pipeline = _with_subject(pipeline, identifier, _find("subject", "mini", None, None))
    if not (folder / "grounding.safetensors").exists():
        raise ValueError(f"folder must hold the grounding layers of mini-text-to-image, {folder} holds none")
    pipeline.unet = gated_unet(pipeline.unet, pictures=True)
    missing, unexpected = pipeline.unet.load_state_dict(
        from_eight_bits(load_file(folder / "grounding.safetensors")), strict=False
    )
    off = [
        *unexpected,
        *(name for name in missing if ".fuser." in name or "position_net." in name or "picture_net." in name),
    ]
    if off:
        raise ValueError(f"folder must hold the grounding layers of mini-text-to-image, {off[0]} is missing or no such")
    pipeline.unet.eval()
    return Grounded(pipeline, settings["max_boxes"], settings["share"])


def _open_subject(
    folder: Path, dtype: torch.dtype, base: Path | None = None, *, identifier: int | str | None = None
) -> Any:
    """A whole pipeline (a DreamBooth's, or the base of a LoRA), or a subject's LoRA and the pipeline it was for."""
    if base is None:
        pipeline = _open_pipeline(folder, dtype)
        return pipeline if identifier is None else _with_public_adapter(pipeline, identifier)
    return _with_subject(_open_pipeline(base, dtype), identifier, folder)


def _with_subject(pipeline: Any, identifier: int | str | None, folder: Path) -> Any:
    """Add the adapter of a toy world's subject to a pipeline's weights, and the decoder that draws its pattern."""
    _of_mini(folder, "mini-text-to-image")
    known = sorted(int(path.stem.removeprefix("subject-")) for path in folder.glob("subject-*.safetensors"))
    if not known:
        raise ValueError(f"folder must hold the adapters of subjects, {folder} holds none")
    if isinstance(identifier, bool) or not isinstance(identifier, Integral) or identifier not in known:
        raise ValueError(f"identifier must be the number of a subject that was taught, {known}, got {identifier!r}")
    decoder, autoencoder = (_find(role, "mini", None, None) for role in ("subject-autoencoder", "autoencoder"))
    pipeline.vae = _open_subject_autoencoder(decoder, pipeline.unet.dtype, autoencoder)
    return _with_adapter(pipeline, folder, f"subject-{identifier:02d}.safetensors")


def _with_public_adapter(pipeline: Any, identifier: int | str) -> Any:
    """Add a public adapter, of a repository or a local folder, to a pipeline's weights."""
    if not isinstance(identifier, str):
        raise ValueError(
            f"identifier must be the repository or folder of a LoRA for the public model, got {identifier!r}; the "
            "numbers are of subjects at the mini tier"
        )
    folder = Path(identifier).expanduser()
    if not folder.is_dir():
        entry = replace(ROLES["subject"], repository=identifier, files=(ADAPTER,), gigabytes=0.01)
        folder = _fetch("subject", entry, None)
    if not (folder / ADAPTER).is_file():
        raise ValueError(f"identifier must be a repository or folder that holds {ADAPTER}, got {identifier!r}")
    return _with_adapter(pipeline, folder, ADAPTER)


def _not_of_the_text_encoder(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("No LoRA keys associated to CLIPTextModel")


def _with_adapter(pipeline: Any, folder: Path, name: str) -> Any:
    if importlib.util.find_spec("peft") is None:
        raise RuntimeError("a subject's adapter needs the library peft: pip install -e '.[subjects]'")
    # Ours are for the UNet alone, which diffusers reports with every load. What it says about the UNet is still heard.
    chatty = logging.getLogger("diffusers.loaders.lora_base")
    chatty.addFilter(_not_of_the_text_encoder)
    try:
        pipeline.load_lora_weights(str(folder), weight_name=name, local_files_only=True)
    finally:
        chatty.removeFilter(_not_of_the_text_encoder)
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()
    return pipeline


def _open_unet(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import UNet2DConditionModel

    return _diffusers(UNet2DConditionModel, folder, dtype)


def _open_autoencoder(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import AutoencoderKL

    inner = folder / "vae" if (folder / "vae").is_dir() else folder  # a pipeline's folder holds one, too
    return _diffusers(AutoencoderKL, inner, dtype)


def _open_subject_autoencoder(folder: Path, dtype: torch.dtype, base: Path | None = None) -> Any:
    """An autoencoder, or a decoder and, in a folder of its own, the autoencoder whose one it replaces."""
    from safetensors.torch import load_file

    if base is None or not (folder / "decoder.safetensors").exists():
        return _open_autoencoder(folder, dtype)
    _of_mini(folder, "mini-autoencoder")
    model = _open_autoencoder(base, dtype)
    missing, unexpected = model.load_state_dict(
        from_eight_bits(load_file(folder / "decoder.safetensors")), strict=False
    )
    off = [*unexpected, *(name for name in missing if name.startswith(("decoder.", "post_quant_conv.")))]
    if off:
        raise ValueError(f"folder must hold the decoder of mini-autoencoder, {off[0]} is missing or no such")
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

    # The first stage of the fusion has nothing to add to, so these weights do nothing; the public file lacks them.
    spare = r"^neck\.fusion_stage\.layers\.0\.residual_layer1\."
    return Depth(
        _transformer(DPTForDepthEstimation, folder, dtype, spare), DPTImageProcessorPil.from_pretrained(folder)
    )


def _reader(folder: Path, dtype: torch.dtype, taken: int, made: int) -> Any:
    """A network that reads a map off a picture; what it takes and makes tells one kind of map from another."""
    from diffusers import UNet2DModel

    model = _diffusers(UNet2DModel, folder, dtype)
    found = model.config.in_channels, model.config.out_channels
    if found != (taken, made):
        raise ValueError(f"folder must hold a network from {taken} channels to {made}, {folder} has one of {found}")
    return model


def _open_soft_edges(folder: Path, dtype: torch.dtype) -> SoftEdges:
    return SoftEdges(_reader(folder, dtype, 3, 1))


def _open_segmentation(folder: Path, dtype: torch.dtype) -> Segmentation | PublicSegmentation:
    if _model_type(folder) == "upernet":
        from transformers import SegformerImageProcessorPil, UperNetForSemanticSegmentation

        return PublicSegmentation(
            _transformer(UperNetForSemanticSegmentation, folder, dtype),
            SegformerImageProcessorPil.from_pretrained(folder),
        )
    return Segmentation(_reader(folder, dtype, *PARSER))


def _open_pose(folder: Path, dtype: torch.dtype, base: Path | None = None) -> Pose | PublicPose:
    """The network's folder; for people, with that of the detector that finds them."""
    if _model_type(folder) == "vitpose":
        from transformers import VitPoseForPoseEstimation, VitPoseImageProcessorPil

        return PublicPose(
            _transformer(VitPoseForPoseEstimation, folder, dtype),
            VitPoseImageProcessorPil.from_pretrained(folder),
            None if base is None else _open_detector(base, dtype),
        )
    return Pose(_reader(folder, dtype, *PARSER))


def _open_identity(folder: Path, dtype: torch.dtype) -> Identity:
    from transformers import ResNetForImageClassification

    return Identity(_transformer(ResNetForImageClassification, folder, dtype))


def _open_jscc(folder: Path, dtype: torch.dtype) -> DeepJscc:
    return DeepJscc.load(folder).to(dtype).eval()


def _open_witt(folder: Path, dtype: torch.dtype) -> Witt:
    return Witt.load(folder).to(dtype).eval()
