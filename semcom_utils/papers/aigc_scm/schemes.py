"""The four schemes of the case study (Wang et al., 2024, section IV-A) in one table, and the two ends that run them.

What the paper takes for an extractor, a knowledge base and a reconstructor each have their role here:

======  ==========================  ========================  ============================================
scheme  extractor                   knowledge                 reconstructor
======  ==========================  ========================  ============================================
NI      captioner                   general                   text-to-image
NA      detector (labels, boxes)    general                   grounded generation
HI      captioner, identifier       the subject's adapter     text-to-image with the adapter
HA      detector, identifier        the subject's picture     grounded generation with the stored picture
======  ==========================  ========================  ============================================

All four draw with one decoder, that of ``subject-autoencoder``: it knows patterns in all colours, but no subject. So
schemes with and without history differ in the history alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, finite_array, one_of, positive_integer

from .knowledge import KnowledgeBase
from .message import MAX_BOXES, Prompt

__all__ = [
    "BATCH",
    "GUIDANCE",
    "SCHEMES",
    "SPARE",
    "STEPS",
    "Scheme",
    "extract",
    "extract_all",
    "models",
    "noise",
    "personal_caption",
    "reconstruct",
    "steered_by",
    "with_identifier",
]

#: Denoising steps and scale of classifier-free guidance of every picture; pictures drawn together.
STEPS, GUIDANCE, BATCH = 20, 3.0, 32
#: Scores from which a detection is sent: the usual one, and one for pictures on which nothing reaches it.
SPARE = (0.5, 0.02)


class Scheme(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    extractor : str
        Role of the network that makes the prompt.
    history : str or None
        What the receiver holds of the subject, ``"adapter"`` or ``"picture"``; None for general knowledge alone.
    reconstructor : str
        Role of the network that draws.
    """

    extractor: str
    history: str | None
    reconstructor: str


#: The paper's name of a scheme -> its parts.
SCHEMES = {
    "NI": Scheme("captioner", None, "text-to-image"),
    "NA": Scheme("detector", None, "grounded"),
    "HI": Scheme("captioner", "adapter", "subject"),
    "HA": Scheme("detector", "picture", "grounded"),
}


@lru_cache(maxsize=1)
def models() -> dict[str, Any]:
    """The mini models of both ends, on the CPU, each loaded once.

    Returns
    -------
    dict
        By role: ``captioner``, ``text-to-image``, ``grounded``, ``clip``, ``identity`` and ``judge``, which detects.
    """
    import torch

    from semcom_utils.generation import Judge, load

    named: dict[str, Any] = {
        role: load(role, device="cpu") for role in ("captioner", "text-to-image", "grounded", "clip", "identity")
    }
    decoder = load("subject-autoencoder", device="cpu")
    for pipeline in (named["text-to-image"], named["grounded"].pipeline):
        pipeline.vae = decoder
        pipeline.set_progress_bar_config(disable=True)
        pipeline.unet.to(memory_format=torch.channels_last)
    return named | {"judge": Judge(load("detector", device="cpu"))}


@lru_cache(maxsize=2)
def _personal(number: int) -> Any:
    """The text-to-image model with a subject's adapter."""
    import torch

    from semcom_utils.generation import load

    pipeline = load("subject", identifier=number, device="cpu")
    pipeline.set_progress_bar_config(disable=True)
    pipeline.unet.to(memory_format=torch.channels_last)
    return pipeline


# --- transmitter A ---------------------------------------------------------------------------------------------------


@checked
def extract_all(
    pictures: Any, scheme: str, named: dict[str, Any], *, seeds: Sequence[int], coding: str = "text"
) -> list[Prompt]:
    """Make the prompts of pictures, without identifiers.

    Parameters
    ----------
    pictures : array_like
        ``[batch, 3, 64, 64]`` in [0, 1].
    scheme : str
        Key of :data:`SCHEMES`.
    named : dict
        Models, as :func:`models` gives them.
    seeds : sequence of int
        Of the noise, one a picture.
    coding : str
        How prompts are written.

    Returns
    -------
    list of Prompt
        Of words for the schemes whose extractor is a captioner, of labels and boxes for the others. Where nothing is
        found for sure, the likeliest thing is sent. A caption that is none of the grammar is sent as it is.

    Raises
    ------
    ValueError
        If ``scheme`` is unknown, or there are not as many seeds as pictures.
    """
    extractor = SCHEMES[one_of("scheme", scheme, SCHEMES)].extractor
    images = np.asarray(pictures, np.float32)
    if len(seeds) != len(images):
        raise ValueError(f"seeds must be one for each of {len(images)} pictures, got {len(seeds)}")
    if extractor == "captioner":
        return [
            Prompt(said, seed=seed, coding=coding if _is_grammar(said) else "text")
            for said, seed in zip(named["captioner"](images), seeds, strict=True)
        ]
    prompts = []
    for sure, unsure, seed in zip(named["judge"](images), named["judge"](images, SPARE[1]), seeds, strict=True):
        found = [_inside(one) for one in sure[:MAX_BOXES] or unsure[:1]]
        prompts.append(Prompt.placed([name for name, _ in found], [box for _, box in found], seed=seed, coding=coding))
    return prompts


def _inside(one: Any) -> tuple[str, list[float]]:
    left, top, right, bottom = np.clip(np.array(one.box) / toyworld.SIZE, 0, 1).tolist()
    return one.label, [min(left, 1 - 1e-3), min(top, 1 - 1e-3), max(right, left + 1e-3), max(bottom, top + 1e-3)]


def _is_grammar(caption: str) -> bool:
    try:
        toyworld.parse_caption(caption)
    except ValueError:
        return False
    return True


@checked
def extract(
    picture: Any,
    scheme: str,
    named: dict[str, Any],
    *,
    seed: int = 0,
    identifier: int | None = None,
    box: Any = None,
    coding: str = "text",
) -> Prompt:
    """Make the prompt of one picture.

    Parameters
    ----------
    picture : array_like
        ``[3, 64, 64]`` in [0, 1].
    scheme : str
        Key of :data:`SCHEMES`.
    named : dict
        Models, as :func:`models` gives them.
    seed : int
        Of the noise.
    identifier : int, optional
        Of the subject; the schemes with history want it.
    box : array_like, optional
        ``[4]``, pixels: where the sender, who made the scene, knows the subject to be. The detection, or the thing of
        the caption, that is nearest is taken for it.
    coding : str
        How the prompt is written.

    Returns
    -------
    Prompt

    Raises
    ------
    ValueError
        If ``scheme`` is unknown, or an identifier is missing where there is history.
    """
    if SCHEMES[one_of("scheme", scheme, SCHEMES)].history and identifier is None:
        raise ValueError(f"identifier must be given for {scheme}, which uses the history of a subject, got None")
    (prompt,) = extract_all(np.asarray(picture)[None], scheme, named, seeds=[seed], coding=coding)
    if identifier is None or not SCHEMES[scheme].history:
        return prompt
    return with_identifier(prompt, identifier, box)


@checked
def with_identifier(prompt: Prompt, identifier: int, box: Any = None, others: Any = ()) -> Prompt:
    """Say which of a prompt's things is a subject.

    Parameters
    ----------
    prompt : Prompt
    identifier : int
        Of the subject.
    box : array_like, optional
        ``[4]``, pixels: where it stands.
    others : array_like
        ``[things, 4]``: boxes of the scene's other things, by which its place in the caption is counted.

    Returns
    -------
    Prompt
        With the identifier at the thing whose box overlaps most, or, in a caption, as far from the left as it stands
        among the scene's things.

    Raises
    ------
    ValueError
        If the subject is unknown, or a box is none.
    """
    from dataclasses import replace

    from semcom_utils.generation.judging import box_overlap

    which = 0
    if box is not None:
        box = finite_array("box", box, last=4)
        if box.shape != (4,):
            raise ValueError(f"box must be [4], pixels, got shape {box.shape}")
    beside = finite_array("others", others)
    if beside.size and (beside.ndim != 2 or beside.shape[1] != 4):
        raise ValueError(f"others must be [things, 4], pixels, got shape {beside.shape}")
    if box is not None and prompt.labels:
        shares = (box / toyworld.SIZE).tolist()
        which = int(np.argmax([box_overlap(one, shares) for one in prompt.shares.tolist()]))
    elif box is not None and _is_grammar(prompt.caption):
        left = [float(one[0]) for one in np.reshape(beside, (-1, 4))]
        which = min(sum(one < float(box[0]) for one in left), len(prompt.meaning.things) - 1)
    return replace(prompt, identifier=identifier, which=which)


# --- receivers B and C -----------------------------------------------------------------------------------------------


@checked
def personal_caption(prompt: Prompt) -> str:
    """The caption that a subject's adapter understands: in place of its looks, the word that only the adapter knows.

    Parameters
    ----------
    prompt : Prompt
        Of words.

    Returns
    -------
    str
        If the caption is none of the grammar, the word stands before it.

    Raises
    ------
    ValueError
        If the prompt has no caption or no identifier.

    Examples
    --------
    >>> personal_caption(Prompt("a striped red ball and a blue cube on sand", identifier=3))
    'a sks cube and a blue cube on sand'
    """
    from semcom_utils.generation.training.tokens import SPARE_WORD

    if not prompt.caption or prompt.identifier is None:
        raise ValueError(f"prompt must have a caption and an identifier, got {prompt!r:.80}")
    kind = toyworld.subject(prompt.identifier)[0]
    if not _is_grammar(prompt.caption):
        return f"a {SPARE_WORD} {kind}, {prompt.caption}"
    said = prompt.meaning
    names = [thing.text() for thing in said.things]
    names[prompt.which] = f"a {SPARE_WORD} {kind}"
    if said.inside:
        things = " in ".join(names)
    else:
        things = " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
    return f"{things} on {said.ground}"


@checked
def steered_by(prompt: Prompt, knowledge: KnowledgeBase) -> str:
    """Which scheme a receiver can run of a prompt: an identifier of which it knows nothing is left aside.

    Parameters
    ----------
    prompt : Prompt
    knowledge : KnowledgeBase
        Of the receiver.

    Returns
    -------
    str
        Key of :data:`SCHEMES`.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    history = SCHEMES[prompt.scheme].history
    if history and not knowledge.knows(prompt.identifier, history):
        return prompt.anonymous.scheme
    return prompt.scheme


@checked
def noise(seeds: Sequence[int], pipeline: Any) -> Any:
    """The latents that pictures start from: equal seeds give equal noise, whatever is drawn, with whatever else.

    Parameters
    ----------
    seeds : sequence of int
        One a picture.
    pipeline : diffusers.StableDiffusionPipeline
        Whose latents.

    Returns
    -------
    torch.Tensor
        ``[pictures, channels, rows, columns]``, standard normal.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    import torch

    unet = pipeline.unet.config
    shape = (1, unet.in_channels, unet.sample_size, unet.sample_size)
    return torch.cat([torch.randn(shape, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds])


@checked
def reconstruct(
    prompts: Sequence[Prompt],
    knowledge: KnowledgeBase,
    named: dict[str, Any] | None = None,
    *,
    steps: int = STEPS,
    words: Callable[[Prompt], str] | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Draw prompts, those of one model together.

    Parameters
    ----------
    prompts : sequence of Prompt
    knowledge : KnowledgeBase
        Of the receiver. Where it does not know the subject, it draws as without identifier (:func:`steered_by`).
    named : dict, optional
        Models, as :func:`models` gives them, which is the default.
    steps : int
        Of the sampler.
    words : callable, optional
        In place of what the scheme makes of a prompt's caption.
    progress : bool
        Whether to show a bar of the models that draw.

    Returns
    -------
    numpy.ndarray
        Float32 ``[prompts, 3, 64, 64]`` in [0, 1].

    Raises
    ------
    ValueError
        If there is no prompt, or ``steps`` is no positive integer.
    """
    from tqdm.auto import tqdm

    prompts = list(prompts)
    if not prompts or not all(isinstance(prompt, Prompt) for prompt in prompts):
        raise ValueError(f"prompts must be at least one Prompt, got {prompts!r:.80}")
    positive_integer("steps", steps)
    named = models() if named is None else named
    groups: dict[tuple, list[int]] = {}
    for place, prompt in enumerate(prompts):
        scheme = steered_by(prompt, knowledge)
        whose = prompt.identifier if scheme == "HI" else None
        groups.setdefault((SCHEMES[scheme].reconstructor, scheme == "HA", whose), []).append(place)
    pictures = np.empty((len(prompts), 3, toyworld.SIZE, toyworld.SIZE), np.float32)
    for (role, shown, whose), places in tqdm(groups.items(), desc="models", **({} if progress else {"disable": True})):
        for start in range(0, len(places), BATCH):
            chosen = places[start : start + BATCH]
            part = [prompts[place] for place in chosen]
            if role == "grounded":
                pictures[chosen] = _draw_boxes(part, named["grounded"], knowledge if shown else None, steps)
            else:
                pipeline = named["text-to-image"] if whose is None else _personal(whose)
                say = words or (lambda prompt: prompt.caption) if whose is None else (words or personal_caption)
                pictures[chosen] = _draw_words([say(prompt) for prompt in part], part, pipeline, steps)
    return pictures


def _draw_words(captions: list[str], prompts: list[Prompt], pipeline: Any, steps: int) -> np.ndarray:
    made = pipeline(
        captions,
        num_inference_steps=steps,
        guidance_scale=GUIDANCE,
        latents=noise([prompt.seed for prompt in prompts], pipeline),
        output_type="np",
    ).images
    return made.transpose(0, 3, 1, 2)


def _draw_boxes(prompts: list[Prompt], grounded: Any, knowledge: KnowledgeBase | None, steps: int) -> np.ndarray:
    import torch

    pictures = None
    if knowledge is not None:
        stored: dict[Any, Any] = dict(knowledge.pictures)
        pictures = [
            [stored[prompt.identifier] if k == prompt.which else None for k in range(len(prompt.labels))]
            for prompt in prompts
        ]
    return grounded(
        [None] * len(prompts),
        [list(prompt.labels) for prompt in prompts],
        [prompt.shares for prompt in prompts],
        pictures=pictures,
        generator=torch.Generator().manual_seed(0),  # the latents below are all that is drawn
        latents=noise([prompt.seed for prompt in prompts], grounded.pipeline),
        steps=steps,
        guidance=GUIDANCE,
    ).numpy()
