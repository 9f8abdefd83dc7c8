"""The system of Liu et al. (2023, Fig. 2), running: prompt engineering, validation, a link, generation inference.

One function for each box of the figure, in its order: :func:`engineer_prompt`, :func:`generate`, :func:`validate` and
:func:`choose` at the sender, :func:`send` and :func:`receive` about the channel, :func:`infer` at the receiver;
:func:`transmit` is all of it. The sender runs the receiver's model with the very parameters that travel, so it knows
what the receiver will see, to within the rounding of a computer.

Validation needs a criterion. Here a content passes if the judge (:class:`semcom_utils.generation.Judge`) finds on it
just what the caption asks for, and if it is alike enough to the sender's picture: cosine of the mini CLIP's vectors at
least :data:`ALIKE`. Pictures of one caption whose things stand elsewhere fall below it, those made from a good map do
not. Where there is no picture, the content is compared to the caption (:data:`FITS`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, one_of, positive_integer, real_number, torch_generator
from semcom_utils.physical import DigitalLink
from semcom_utils.pictures import is_pil, picture_bytes, picture_numbers
from semcom_utils.semantic.extractors import FACTORS, extract
from semcom_utils.toyworld.maps import MAPS

from .message import Message, blocks, head_alone, unpack

if TYPE_CHECKING:
    import torch

__all__ = [
    "ALIKE",
    "FITS",
    "PROMPTS",
    "Choice",
    "Delivery",
    "Outcome",
    "Received",
    "Verdict",
    "asked_labels",
    "choose",
    "engineer_prompt",
    "evaluations",
    "generate",
    "infer",
    "models",
    "prompt",
    "receive",
    "send",
    "transmit",
    "validate",
]

#: Cosine of the vectors of content and picture from which they are alike enough.
ALIKE = 0.98
#: The same of content and caption, where the sender has no picture.
FITS = 0.85
#: How much of a caption is said: all, all but the ground, or nothing.
PROMPTS = ("caption", "things", "nothing")
#: Pictures made together.
BATCH = 32


@lru_cache(maxsize=1)
def models() -> dict[str, Any]:
    """The mini models of the system, on the CPU, each loaded once.

    Returns
    -------
    dict
        ``controlled``, the pipeline that takes maps of all kinds; ``text-to-image``; ``clip``; ``judge``.
    """
    import torch

    from semcom_utils.generation import Judge, load

    named: dict[str, Any] = {
        "controlled": load("controlnet-segmentation", device="cpu"),
        "text-to-image": load("text-to-image", device="cpu"),
        "clip": load("clip", device="cpu"),
        "judge": Judge(load("detector", device="cpu")),
    }
    for name in ("controlled", "text-to-image"):
        named[name].set_progress_bar_config(disable=True)
        named[name].unet.to(memory_format=torch.channels_last)
    named["controlled"].controlnet.to(memory_format=torch.channels_last)
    return named


# --- part A: prompt engineering --------------------------------------------------------------------------------------


@checked
def prompt(caption: str, words: str) -> str:
    """The part of a caption that is said.

    Parameters
    ----------
    caption : str
        Of the toy world's grammar.
    words : str
        One of :data:`PROMPTS`.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If ``caption`` is none of the grammar or ``words`` none of the choices.

    Examples
    --------
    >>> prompt("a red ball and a blue cube on sand", "things")
    'a red ball and a blue cube'
    """
    said = _meaning(caption).canonical()
    one_of("words", words, PROMPTS)
    return {"caption": said, "things": said.rpartition(" on ")[0], "nothing": ""}[words]


def _meaning(caption: str) -> toyworld.Meaning:
    try:
        return toyworld.parse_caption(caption)
    except ValueError as error:
        raise ValueError(f"caption must be of the toy world's grammar: {error}") from None


def _shown(picture: Any) -> Any:
    """A scene as it is, another picture as numbers [3, 64, 64]."""
    if isinstance(picture, toyworld.Scene):
        return picture
    if is_pil(picture):
        array = picture_bytes("picture", picture).transpose(2, 0, 1) / 255.0
    else:
        array = picture_numbers("picture", picture)
    if array.shape != (3, toyworld.SIZE, toyworld.SIZE):
        raise ValueError(f"picture must be a Scene or of shape [3, 64, 64], got {list(array.shape)}")
    return array


def _with_models(named: dict[str, Any] | None) -> dict[str, Any]:
    if named is None:
        return models()
    if lacks := {"controlled", "text-to-image", "clip", "judge"} - named.keys():
        raise ValueError(f"named must hold what models() gives, got none called {sorted(lacks)[0]!r}")
    return named


@checked
def engineer_prompt(
    caption: str,
    picture: Any = None,
    *,
    kinds: Sequence[str] = MAPS,
    factors: Sequence[int] = (1, 2, 4, 8),
    words: Sequence[str] = ("caption", "things"),
    networks: dict[str, Callable] | None = None,
    **parameters: Any,
) -> list[Message]:
    """Candidates for what to send, those of the fewest bits first.

    Parameters
    ----------
    caption : str
        What the user asks for, in the toy world's grammar.
    picture : toyworld.Scene, PIL.Image.Image or array_like, optional
        What the maps are extracted from. Without one the candidates are prompts alone.
    kinds : sequence of str
        Kinds of map to try.
    factors : sequence of int
        Downscaling factors to try.
    words : sequence of str
        Which parts of the caption to try, of :data:`PROMPTS`.
    networks : dict, optional
        Kind -> network that extracts it from a picture, for a picture that is no scene: ``generation.load(kind)``.
    **parameters
        ``seed``, ``steps``, ``guidance`` and ``coding`` of the messages.

    Returns
    -------
    list of Message
        One for each part of the caption without a map, and with each map at each factor.

    Raises
    ------
    ValueError
        If an argument is none of the above.
    """
    said = [prompt(caption, part) for part in words]
    maps: list[Any] = [None]
    if picture is not None:
        picture = _shown(picture)
        for factor in factors:
            one_of("factors", factor, FACTORS)
        for kind in kinds:
            one_of("kinds", kind, MAPS)
            if not isinstance(picture, toyworld.Scene) and kind != "canny" and kind not in (networks or {}):
                raise ValueError(f"networks must hold one that finds {kind!r} in a picture, got none")
            full = extract(kind, picture, (networks or {}).get(kind))
            maps += [full.downscaled(factor) for factor in factors]
    candidates = [Message.of(text, one, **parameters) for text in said for one in maps if text or one is not None]
    return sorted(candidates, key=lambda message: message.bits)


# --- the generation model, at both ends ------------------------------------------------------------------------------


@checked
def evaluations(message: Message) -> int:
    """How many times a network runs to make the content: the UNet, and the control network with a map.

    Parameters
    ----------
    message : Message

    Returns
    -------
    int
        Two for each step and network: guidance asks once with and once without the prompt (:math:`w = 1` asks once).

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """
    return message.steps * (1 if message.guidance == 1 else 2) * (1 if message.kind is None else 2)


@checked
def generate(messages: Sequence[Message], named: dict[str, Any] | None = None) -> np.ndarray:
    """The content of messages, made by the model with the parameters that each names.

    Parameters
    ----------
    messages : sequence of Message
        Those with the same parameters are made together; each starts from its own seed's noise all the same.
    named : dict, optional
        Models, as :func:`models` gives them, which is the default.

    Returns
    -------
    numpy.ndarray
        Float32 ``[messages, 3, 64, 64]`` in [0, 1].

    Raises
    ------
    ValueError
        If there is no message.
    """
    import torch

    messages = list(messages)
    if not messages or not all(isinstance(message, Message) for message in messages):
        raise ValueError(f"messages must be at least one Message, got {messages!r:.80}")
    named = _with_models(named)
    groups: dict[tuple, list[int]] = {}
    for place, message in enumerate(messages):
        groups.setdefault((message.kind is not None, message.steps, message.guidance), []).append(place)
    contents = np.empty((len(messages), 3, toyworld.SIZE, toyworld.SIZE), np.float32)
    for (mapped, steps, guidance), places in groups.items():
        for start in range(0, len(places), BATCH):
            part = [messages[place] for place in places[start : start + BATCH]]
            options: dict[str, Any] = {}
            if mapped:
                options["image"] = [message.semantic_map.upscaled.picture for message in part if message.semantic_map]
            made = named["controlled" if mapped else "text-to-image"](
                [message.caption for message in part],
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=[torch.Generator().manual_seed(message.seed) for message in part],
                output_type="np",
                **options,
            ).images
            contents[places[start : start + BATCH]] = made.transpose(0, 3, 1, 2)
    return contents


# --- part B: service validation --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What validation says of a content.

    Parameters
    ----------
    passed : bool
        Whether both halves of the criterion hold.
    found : tuple of str
        Labels that the judge found, in the order of the alphabet.
    right : bool
        Whether they are just those that the caption asks for.
    similarity : float
        Cosine of the content's vector and the picture's, or the caption's.
    """

    passed: bool
    found: tuple[str, ...]
    right: bool
    similarity: float


@checked
def asked_labels(caption: str) -> list[str]:
    """Labels of what a caption asks for, colour and kind, as the judge names them.

    Parameters
    ----------
    caption : str
        Of the toy world's grammar.

    Returns
    -------
    list of str
        From left to right.

    Raises
    ------
    ValueError
        If ``caption`` is none.

    Examples
    --------
    >>> asked_labels("a red ball and a blue block on sand")
    ['red ball', 'blue cube']
    """
    return [f"{thing.colour} {thing.kind}" for thing in _meaning(caption).things]


@checked
def validate(
    contents: Any,
    captions: Sequence[str],
    pictures: Any = None,
    *,
    threshold: float | None = None,
    named: dict[str, Any] | None = None,
) -> list[Verdict]:
    """Judge contents by the criterion at the top of the module.

    Parameters
    ----------
    contents : array_like
        ``[batch, 3, 64, 64]`` in [0, 1].
    captions : sequence of str
        What the user asked for, of the toy world's grammar, whatever part of it was sent.
    pictures : array_like, optional
        The sender's pictures, of the shape of ``contents``; without them contents are compared to captions.
    threshold : float, optional
        In [-1, 1]; :data:`ALIKE` or, without pictures, :data:`FITS`.
    named : dict, optional
        Models, as :func:`models` gives them, which is the default.

    Returns
    -------
    list of Verdict
        One a content.

    Raises
    ------
    ValueError
        If there are not as many captions and pictures as contents, or ``threshold`` is out of its range.
    """
    import torch

    named = _with_models(named)
    made = torch.from_numpy(picture_numbers("contents", contents).astype(np.float32))
    if made.ndim != 4 or made.shape[1] != 3:
        raise ValueError(f"contents must be of shape [batch, 3, 64, 64], got {list(made.shape)}")
    if len(captions) != len(made):
        raise ValueError(f"captions must be one for each of {len(made)} contents, got {len(captions)}")
    try:
        wanted = [sorted(asked_labels(caption)) for caption in captions]
    except ValueError as error:
        raise ValueError(f"captions must each be right: {error}") from None
    least = (FITS if pictures is None else ALIKE) if threshold is None else threshold
    least = real_number("threshold", least, low=-1, high=1)
    vectors = named["clip"].images(made)
    if pictures is None:
        others = named["clip"].texts(list(captions))
    else:
        own = torch.from_numpy(picture_numbers("pictures", pictures).astype(np.float32))
        if own.shape != made.shape:
            raise ValueError(f"pictures must be of shape {tuple(made.shape)}, got {tuple(own.shape)}")
        others = named["clip"].images(own)
    similarity = (vectors * others).sum(-1).tolist()
    verdicts = []
    for labels, asked, cosine in zip(named["judge"].labels(made), wanted, similarity, strict=True):
        right = labels == asked
        verdicts.append(Verdict(right and cosine >= least, tuple(labels), right, float(cosine)))
    return verdicts


@dataclass(frozen=True, eq=False)
class Choice:
    """What the sender chose to send.

    Parameters
    ----------
    message : Message
        The one of the fewest bits that passed, or the most similar where none did.
    content : numpy.ndarray
        What the receiver will see, ``[3, 64, 64]``.
    verdict : Verdict
        Of it.
    tried : int
        Contents that were made to find it.
    network_evaluations : int
        Of all of them.
    """

    message: Message
    content: np.ndarray
    verdict: Verdict
    tried: int
    network_evaluations: int


@checked
def choose(
    candidates: Sequence[Message],
    caption: str,
    picture: Any = None,
    *,
    limit: int = 2,
    together: int = 8,
    threshold: float | None = None,
    named: dict[str, Any] | None = None,
) -> Choice:
    """The smallest representation that passes; where none does, all again with the next seed, up to a limit.

    Parameters
    ----------
    candidates : sequence of Message
        Of :func:`engineer_prompt`, the smallest first.
    caption : str
        What the user asked for.
    picture : toyworld.Scene or array_like, optional
        The sender's, numbers ``[3, 64, 64]`` in [0, 1].
    limit : int
        Seeds to try: each candidate's own, and those that follow.
    together : int
        Contents to make at a time; those behind the first that passes are made in vain, and counted.
    threshold : float, optional
        As for :func:`validate`.
    named : dict, optional
        Models, as :func:`models` gives them, which is the default.

    Returns
    -------
    Choice

    Raises
    ------
    ValueError
        If there are no candidates, or ``limit`` or ``together`` is no positive integer.
    """
    candidates = list(candidates)
    if not candidates:
        raise ValueError("candidates must be at least one Message, got none")
    positive_integer("limit", limit), positive_integer("together", together)
    if not all(isinstance(one, Message) for one in candidates):
        raise ValueError(f"candidates must be of Message, got {candidates!r:.80}")
    shown = None if picture is None else _shown(picture)
    own = shown.image if isinstance(shown, toyworld.Scene) else shown
    tried, cost, best = 0, 0, None
    for round_of in range(limit):
        for start in range(0, len(candidates), together):
            part = [
                replace(one, seed=(one.seed + round_of) % (1 << 16)) for one in candidates[start : start + together]
            ]
            contents = generate(part, named)
            pictures = None if own is None else np.repeat(np.asarray(own)[None], len(part), 0)
            verdicts = validate(contents, [caption] * len(part), pictures, threshold=threshold, named=named)
            tried += len(part)
            cost += sum(map(evaluations, part))
            for message, content, verdict in zip(part, contents, verdicts, strict=True):
                if verdict.passed:
                    return Choice(message, content, verdict, tried, cost)
                if best is None or (verdict.right, verdict.similarity) > (best[2].right, best[2].similarity):
                    best = (message, content, verdict)
    assert best is not None  # there was a candidate and a round
    return Choice(*best, tried, cost)


# --- the channel -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Delivery:
    """What came over the link, and what it cost.

    Parameters
    ----------
    head, map_block : bytes or None
        The two blocks as the receiver keeps them; None where none arrived whole (and for a map, where none was sent).
    transmissions : int
        Blocks sent, first tries and repetitions.
    bits : int
        Bits of these blocks.
    channel_uses : int
        Complex channel uses of all of them.
    """

    head: bytes | None
    map_block: bytes | None
    transmissions: int
    bits: int
    channel_uses: int


@checked
def send(
    message: Message,
    link: DigitalLink,
    snr_db: float,
    generator: torch.Generator,
    *,
    protected: DigitalLink | None = None,
    limit: int = 4,
) -> Delivery:
    """Send a message: its head over a well protected link, its map over another, each again until it is whole.

    Whether a block is whole the receiver knows by the link's checksum and by the message's own. What it answers
    (again, or not) is taken to arrive and is not counted.

    Parameters
    ----------
    message : Message
    link : DigitalLink
        For the map.
    snr_db : float
        Es/N0 per complex channel use, dB.
    generator : torch.Generator
        Draws the noise.
    protected : DigitalLink, optional
        For the head; by default the lowest rate that there is, 1/5, and QPSK over the same kind of channel.
    limit : int
        Transmissions of each block.

    Returns
    -------
    Delivery

    Raises
    ------
    ValueError
        If ``message``, a link, ``generator`` or ``limit`` is none of these.
    """
    positive_integer("limit", limit)
    torch_generator("generator", generator)
    for name, one in (("link", link), ("protected", protected)):
        if not isinstance(one, DigitalLink) and not (name == "protected" and one is None):
            raise ValueError(f"{name} must be a DigitalLink, got {type(one).__name__}")
    parts = blocks(message)
    over = (DigitalLink(1 / 5, 2, link.channel) if protected is None else protected, link)
    arrived: list[bytes | None] = [None, None]
    transmissions = bits = uses = 0
    for which, (block, way) in enumerate(zip(parts, over, strict=True)):
        for _ in range(limit if block and (which == 0 or arrived[0]) else 0):
            result = way.send(np.unpackbits(np.frombuffer(block, np.uint8)), snr_db, generator)
            transmissions, bits, uses = transmissions + 1, bits + 8 * len(block), uses + result.channel_uses
            got = np.packbits(np.asarray(result.bits)).tobytes()
            whole = result.accepted is None or bool(result.accepted)
            if whole and _is_whole(got, arrived[0]):
                arrived[which] = got
                break
    return Delivery(arrived[0], arrived[1], transmissions, bits, uses)


def _is_whole(block: bytes, head: bytes | None) -> bool:
    """Whether a block passes the message's own checksum: a head alone, a map behind its head."""
    try:
        head_alone(block) if head is None else unpack(head + block)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Received:
    """What the receiver takes for the message.

    Parameters
    ----------
    message : Message or None
        None if not even the head arrived.
    fell_back : bool
        Whether it is the caption alone though a map was sent.
    """

    message: Message | None
    fell_back: bool


@checked
def receive(delivery: Delivery) -> Received:
    """Unpack what came; without the map fall back on the caption, which travels in the head.

    Parameters
    ----------
    delivery : Delivery

    Returns
    -------
    Received

    Raises
    ------
    ValueError
        If ``delivery`` is none, or holds blocks that are not whole.
    """
    if not isinstance(delivery, Delivery):
        raise ValueError(f"delivery must be a Delivery, got {type(delivery).__name__}")
    if delivery.head is None:
        return Received(None, False)
    if delivery.map_block is not None:
        return Received(unpack(delivery.head + delivery.map_block), False)
    return Received(head_alone(delivery.head), bool(delivery.head[0] & 7))


# --- part C: generation inference ------------------------------------------------------------------------------------


@checked
def infer(received: Received, named: dict[str, Any] | None = None) -> np.ndarray | None:
    """The receiver's content: the same model, run with what the message says.

    Parameters
    ----------
    received : Received
    named : dict, optional
        Models, as :func:`models` gives them, which is the default.

    Returns
    -------
    numpy.ndarray or None
        ``[3, 64, 64]`` in [0, 1]; None where nothing arrived.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """
    return None if received.message is None else generate([received.message], named)[0]


@dataclass(frozen=True, eq=False)
class Outcome:
    """A transmission from end to end, with everything that it took.

    Parameters
    ----------
    choice : Choice
        At the sender.
    delivery : Delivery
        On the link.
    received : Received
        At the receiver.
    content : numpy.ndarray or None
        The receiver's, ``[3, 64, 64]``.
    message_bits : int
        Bits of the message; those sent, repetitions included, are ``delivery.bits``.
    network_evaluations : int
        Of sender and receiver together.
    """

    choice: Choice
    delivery: Delivery
    received: Received
    content: np.ndarray | None
    message_bits: int
    network_evaluations: int


@checked
def transmit(
    caption: str,
    picture: Any,
    link: DigitalLink,
    snr_db: float,
    generator: torch.Generator,
    *,
    limit: int = 4,
    seeds: int = 2,
    named: dict[str, Any] | None = None,
    **options: Any,
) -> Outcome:
    """The whole of Fig. 2, from a user's picture and caption to the receiver's content.

    Parameters
    ----------
    caption : str
        What the user asks for.
    picture : toyworld.Scene or None
        What is to be shown.
    link : DigitalLink
        For the map; the head goes as :func:`send` says.
    snr_db : float
        Es/N0 per complex channel use, dB.
    generator : torch.Generator
        Draws the channel's noise.
    limit : int
        Transmissions of each block.
    seeds : int
        Seeds that validation may try.
    named : dict, optional
        Models, as :func:`models` gives them, which is the default.
    **options
        As for :func:`engineer_prompt`.

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError
        As of the functions of the parts.
    """
    choice = choose(engineer_prompt(caption, picture, **options), caption, picture, limit=seeds, named=named)
    delivery = send(choice.message, link, snr_db, generator, limit=limit)
    received = receive(delivery)
    content = infer(received, named)
    cost = choice.network_evaluations + (evaluations(received.message) if received.message else 0)
    return Outcome(choice, delivery, received, content, choice.message.bits, cost)
