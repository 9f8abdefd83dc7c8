"""Pictures from words and boxes: gated self-attention over grounding tokens (GLIGEN; Li et al., 2023).

A grounding token is made of a label's text feature and its box; a second kind of token, of a thing's picture and its
box, says which individual it is. Layers between self- and cross-attention let the
picture's places look at the tokens; a gate, tanh of a number that is learnt, weighs what they see. The rest of the
network is that of the text-to-image model.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from semcom_utils.checks import checked, finite_array, positive_integer, real_number

if TYPE_CHECKING:
    import torch

__all__ = [
    "WINDOW",
    "Grounded",
    "check_boxes",
    "gated_unet",
    "gates",
    "named",
    "new_layers",
    "phrase_features",
    "picture_latents",
    "without_gates",
]

#: Rows and columns of the picture of a thing that a token is made of.
WINDOW = 32


@checked
def check_boxes(labels: Sequence[str], boxes: Any, limit: int) -> tuple[list[str], np.ndarray]:
    """Check the labels and boxes of one picture.

    Parameters
    ----------
    labels : sequence of str
        What the boxes hold, ``"red ball"``.
    boxes : array_like
        [labels, 4]: left, top, right, bottom, as shares of the picture's width and height, in [0, 1].
    limit : int
        How many boxes the model takes.

    Returns
    -------
    labels : list of str
    boxes : numpy.ndarray
        Float64 [labels, 4].

    Raises
    ------
    ValueError
        If a label is no text or empty, a box lies outside of the picture or is empty, there are more than ``limit``,
        or not as many labels as boxes.
    """
    if isinstance(labels, str) or not isinstance(labels, Sequence):
        raise ValueError(f"labels must be a sequence of strings, one for each box, got {labels!r}")
    for label in labels:
        if not isinstance(label, str) or not label.strip():
            raise ValueError(f"labels must name things, as 'red ball' does, got {label!r}")
    array = finite_array("boxes", boxes)
    array = np.empty((0, 4)) if array.shape == (0,) else array
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes must be [things, 4] (left, top, right, bottom), got shape {array.shape}")
    if len(labels) != len(array):
        raise ValueError(f"boxes must be as many as labels, got {len(array)} boxes and {len(labels)} labels")
    if len(array) > limit:
        raise ValueError(f"boxes must be at most {limit}, as many as the model grounds, got {len(array)}")
    for box in array:
        left, top, right, bottom = box
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError(
                "boxes must lie inside the picture, 0 <= left < right <= 1 and 0 <= top < bottom <= 1 as shares of "
                f"its width and height, got {box.tolist()}"
            )
    return list(labels), array


@checked
def gated_unet(unet: Any, *, pictures: bool = False) -> Any:
    """Make a UNet with gated self-attention whose other weights are copies of a plain one's.

    The new layers start as their constructors draw them, from torch's current generator, with closed gates: the
    network computes what the plain one does. (``from_pretrained(..., attention_type="gated")`` would leave them as
    whatever was in memory.)

    Parameters
    ----------
    unet : diffusers.UNet2DConditionModel
        Without grounding.
    pictures : bool
        Whether it also gets ``picture_net``, which turns a thing's picture into a feature as long as a label's.

    Returns
    -------
    diffusers.UNet2DConditionModel
        With ``attention_type="gated"``, of the same type and on the same device.

    Raises
    ------
    ValueError
        If ``unet`` has grounding layers already.
    """
    from diffusers import UNet2DConditionModel

    if getattr(unet, "position_net", None) is not None:
        raise ValueError("unet must be one without grounding, got one whose attention_type is 'gated'")
    settings = {name: value for name, value in unet.config.items() if name != "_name_or_path"}
    made = UNet2DConditionModel.from_config({**settings, "attention_type": "gated"}).to(unet.device)
    if made.dtype != unet.dtype:
        made = made.to(unet.dtype)
    missing, unexpected = made.load_state_dict(unet.state_dict(), strict=False)
    strange = [*unexpected, *(name for name in missing if ".fuser." not in name and "position_net." not in name)]
    if strange:
        raise ValueError(f"unet must have the layers of its own configuration, got another {strange[0]}")
    if pictures:
        made.picture_net = _picture_net(unet.config.in_channels, made.position_net.positive_len).to(
            made.device, made.dtype
        )
    return made


def _picture_net(channels: int, width: int) -> torch.nn.Module:
    """From the latents of a thing's picture [batch, channels, 4, 4] to a feature [batch, width]."""
    import torch

    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(16 * channels, 256), torch.nn.SiLU(), torch.nn.Linear(256, width)
    )


@checked
def picture_latents(autoencoder: Any, pictures: torch.Tensor) -> torch.Tensor:
    """What ``picture_net`` reads: a thing's picture as latents.

    Parameters
    ----------
    autoencoder : diffusers.AutoencoderKL
        Which halves rows and columns three times.
    pictures : torch.Tensor
        [batch, 3, rows, columns] in [0, 1]: the thing fills it.

    Returns
    -------
    torch.Tensor
        [batch, channels, 4, 4], on the autoencoder's device.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    import torch

    first = next(autoencoder.parameters())
    x = torch.nn.functional.interpolate(
        pictures.to(first.device, first.dtype), (WINDOW, WINDOW), mode="bilinear", antialias=True, align_corners=False
    )
    with torch.no_grad():
        return autoencoder.encode(2 * x - 1).latent_dist.mean * autoencoder.config.scaling_factor


@checked
def gates(unet: torch.nn.Module) -> list[Any]:
    """The layers that look at grounding tokens.

    Parameters
    ----------
    unet : torch.nn.Module
        Of whatever kind.

    Returns
    -------
    list of torch.nn.Module
        Each a ``GatedSelfAttentionDense``, in the UNet's own order; none if it has no grounding.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    from diffusers.models.attention import GatedSelfAttentionDense

    return [layer for layer in unet.modules() if isinstance(layer, GatedSelfAttentionDense)]


@checked
def new_layers(unet: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """What grounding adds to a UNet.

    Parameters
    ----------
    unet : torch.nn.Module
        With gated self-attention.

    Returns
    -------
    dict of str to torch.nn.Module
        Name with ``/`` for dots -> layer: each gate, ``position_net`` and, if it is there, ``picture_net``.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    return {
        name.replace(".", "/"): layer
        for name, layer in unet.named_modules()
        if name in ("position_net", "picture_net") or name.endswith(".fuser")
    }


@contextmanager
def without_gates(unet: torch.nn.Module) -> Iterator[None]:
    """Inside of this block the UNet computes what it did before grounding was added.

    Parameters
    ----------
    unet : torch.nn.Module
        With gated self-attention.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    layers = gates(unet)
    before = [layer.enabled for layer in layers]
    try:
        for layer in layers:
            layer.enabled = False
        yield
    finally:
        for layer, enabled in zip(layers, before, strict=True):
            layer.enabled = enabled


@checked
def named(label: str) -> str:
    """The label with an article, unless it has one.

    A text encoder knows "a red ball" from captions. At the mini tier the features of bare labels of one kind, which no
    caption begins with, lie 0.1 to 0.3 apart (of a length of 9), those with an article 1.6 and more.

    Parameters
    ----------
    label : str
        Not empty.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If ``label`` is empty.
    """
    if not label.strip():
        raise ValueError(f"label must name a thing, as 'red ball' does, got {label!r}")
    first, _, _ = label.partition(" ")
    return label if first in ("a", "an", "the") else f"{'an' if label[0] in 'aeiou' else 'a'} {label}"


@checked
def phrase_features(pipeline: Any, phrases: Sequence[str]) -> torch.Tensor:
    """Text feature of each phrase (with its article): the text encoder's output where the end token stands.

    Parameters
    ----------
    pipeline : diffusers.StableDiffusionPipeline
        Of which the tokenizer and the text encoder are used.
    phrases : sequence of str

    Returns
    -------
    torch.Tensor
        [phrases, width of the text encoder], on the text encoder's device.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    import torch

    tokens = pipeline.tokenizer(
        [named(phrase) for phrase in phrases],
        padding="max_length",
        max_length=pipeline.tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        return pipeline.text_encoder(tokens.input_ids.to(pipeline.text_encoder.device)).pooler_output


@dataclass(frozen=True, eq=False)
class Grounded:
    """Draws a prompt's picture with named things where their boxes are.

    Parameters
    ----------
    pipeline : diffusers.StableDiffusionPipeline
        Whose UNet has gated self-attention.
    max_boxes : int
        How many boxes a picture takes.
    share : float
        Share of the sampling steps, the first ones, in which the gates are on. Where things stand is settled at high
        noise; the rest is left to the network that has seen more pictures (scheduled sampling in the source).

    Raises
    ------
    ValueError
        If a number is out of its range, or the UNet has no grounding layers.
    """

    pipeline: Any
    max_boxes: int = 30
    share: float = 1.0

    def __post_init__(self) -> None:
        positive_integer("max_boxes", self.max_boxes)
        real_number("share", self.share, low=0.0, high=1.0)
        if not gates(self.pipeline.unet):
            raise ValueError("pipeline must have a UNet with attention_type 'gated', got one without grounding layers")

    def inputs(
        self, labels: Sequence[Sequence[str]], boxes: Sequence[Any], pictures: Sequence[Any] | None = None
    ) -> dict[str, torch.Tensor]:
        """The grounding of a batch of pictures, as the UNet takes it.

        Parameters
        ----------
        labels, boxes : sequence
            For each picture, what :func:`check_boxes` takes.
        pictures : sequence, optional
            For each picture, as many as boxes: the stored picture of the thing there, float [3, rows, columns] in
            [0, 1], filled by the thing; or None where there is none.

        Returns
        -------
        dict
            ``boxes`` [batch, tokens, 4], ``positive_embeddings`` [batch, tokens, width], ``masks`` [batch, tokens]: 1
            where there is a thing. Where there is none, the UNet puts what it learnt for that. There are ``max_boxes``
            tokens of labels and, if the model takes pictures, as many of pictures.

        Raises
        ------
        ValueError
            If labels and boxes are refused by :func:`check_boxes`; if a picture is none in [0, 1], they are not as
            many as boxes, or the model takes none.
        """
        import torch

        unet = self.pipeline.unet
        checked = [check_boxes(names, places, self.max_boxes) for names, places in zip(labels, boxes, strict=True)]
        phrases = sorted({name for names, _ in checked for name in names})
        device = self.pipeline._execution_device
        width = unet.position_net.positive_len
        features = phrase_features(self.pipeline, phrases) if phrases else torch.empty(0, width)
        shown = self._shown(checked, pictures)
        tokens = self.max_boxes * (1 + hasattr(unet, "picture_net"))
        batch = {
            "boxes": torch.zeros(len(checked), tokens, 4),
            "positive_embeddings": torch.zeros(len(checked), tokens, width),
            "masks": torch.zeros(len(checked), tokens),
        }
        for row, (names, places) in enumerate(checked):
            count = len(names)
            batch["boxes"][row, :count] = torch.from_numpy(places).float()
            batch["masks"][row, :count] = 1
            for place, name in enumerate(names):
                batch["positive_embeddings"][row, place] = features[phrases.index(name)].float().cpu()
        for (row, place), picture in shown.items():
            token = self.max_boxes + place
            with torch.no_grad():
                latents = picture_latents(self.pipeline.vae, picture[None]).to(unet.device, unet.dtype)
                batch["positive_embeddings"][row, token] = unet.picture_net(latents)[0].float().cpu()
            batch["boxes"][row, token] = batch["boxes"][row, place]
            batch["masks"][row, token] = 1
        return {name: part.to(device, unet.dtype) for name, part in batch.items()}

    def _shown(
        self, checked: Sequence[tuple[list[str], np.ndarray]], pictures: Sequence[Any] | None
    ) -> dict[tuple[int, int], torch.Tensor]:
        """The pictures that are there, by row of the batch and number of the box."""
        import torch

        if pictures is None:
            return {}
        if len(pictures) != len(checked):
            raise ValueError(f"pictures must be one list for each of {len(checked)} pictures, got {len(pictures)}")
        shown = {}
        for row, ((names, _), each) in enumerate(zip(checked, pictures, strict=True)):
            if each is None:
                continue
            if len(each) != len(names):
                raise ValueError(f"pictures must be as many as boxes, or None, got {len(each)} for {len(names)} boxes")
            for place, picture in enumerate(each):
                if picture is None:
                    continue
                if not hasattr(self.pipeline.unet, "picture_net"):
                    raise ValueError("pictures must be None: this model is grounded by labels and boxes alone")
                array = finite_array("pictures", picture)
                if array.ndim != 3 or array.shape[0] != 3 or array.size == 0 or array.min() < 0 or array.max() > 1:
                    raise ValueError(f"pictures must be [3, rows, columns] in [0, 1], got shape {array.shape}")
                shown[row, place] = torch.from_numpy(array).float()
        return shown

    def __call__(
        self,
        prompt: str | Sequence[str] | None,
        labels: Sequence[Any],
        boxes: Any,
        *,
        generator: torch.Generator,
        pictures: Any = None,
        steps: int = 20,
        guidance: float = 3.0,
        share: float | None = None,
        **options: Any,
    ) -> torch.Tensor:
        """Draw pictures.

        Parameters
        ----------
        prompt : str or sequence of str, or None
            One caption for each picture; None draws from the boxes alone.
        labels : sequence of str, or of sequences of str
            What the boxes hold; for several pictures, one sequence for each.
        boxes : array_like, or sequence of array_like
            [things, 4] in [0, 1]: left, top, right, bottom as shares of width and height; one for each picture.
        generator : torch.Generator
            For the noise.
        pictures : sequence, optional
            As :meth:`inputs` takes them; for one picture, one for each box.
        steps : int
        guidance : float
            Guidance scale; above 1, words and boxes together are set against neither.
        share : float, optional
            In place of the model's own.
        **options
            For the pipeline (``height``, ``width``, ...).

        Returns
        -------
        torch.Tensor
            Float32 [batch, 3, rows, columns] in [0, 1], on the CPU.

        Raises
        ------
        ValueError
            If a prompt is empty, an option is not the pipeline's, or labels, boxes or pictures are refused by
            :meth:`inputs`.
        """
        import torch

        if not isinstance(generator, torch.Generator):
            raise ValueError(f"generator must be a torch.Generator, got {type(generator).__name__}")
        # diffusers takes whatever it does not know in silence
        strange = sorted(set(options) - set(inspect.signature(type(self.pipeline).__call__).parameters))
        if strange:
            raise ValueError(f"options must be the pipeline's own, got {strange[0]!r}")
        positive_integer("steps", steps)
        real_number("guidance", guidance, low=0.0)
        share = self.share if share is None else real_number("share", share, low=0.0, high=1.0)
        if prompt is None or isinstance(prompt, str):
            several = len(labels) > 0 and not isinstance(labels[0], str)
            if not several:
                labels, boxes, pictures = [labels], [boxes], None if pictures is None else [pictures]
            each = labels
            prompts: list[str | None] = [prompt] * len(each)
        else:
            each, prompts = labels, list(prompt)
        if not len(prompts) == len(each) == len(boxes):
            raise ValueError(
                f"prompt, labels and boxes must be of as many pictures, got {len(prompts)}, {len(each)}, {len(boxes)}"
            )
        for text in prompts:
            if text is not None and (not isinstance(text, str) or not text.strip()):
                raise ValueError(f"prompt must be a caption, or None to draw from the boxes alone, got {text!r}")
        grounding = self.inputs(each, boxes, pictures)
        if guidance > 1:  # the pipeline's batch is then twice as long, its first half without words and boxes
            first = grounding | {"masks": torch.zeros_like(grounding["masks"])}
            grounding = {name: torch.cat([first[name], part]) for name, part in grounding.items()}
        layers, on = gates(self.pipeline.unet), round(share * steps)

        def close(pipeline: Any, step: int, timestep: int, tensors: Mapping) -> Mapping:
            for layer in layers:
                layer.enabled = step + 1 < on
            return tensors

        try:
            for layer in layers:
                layer.enabled = on > 0
            pictures = self.pipeline(
                [text or "" for text in prompts],
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=generator,
                cross_attention_kwargs={"gligen": grounding},
                callback_on_step_end=close,
                output_type="pt",
                **options,
            ).images
        finally:
            for layer in layers:
                layer.enabled = True
        return pictures.float().cpu()
