"""What a prompt is on the link: real bytes, written as text or as the toy world's grammar allows.

Wang et al. (2024, section IV-A) send a caption (NI, HI) or labels and boxes (NA, HA), and with the identifier of a
subject in HI and HA. They print no format, so here is one: a byte that says what follows, the seed of the noise, the
prompt, and a checksum. All numbers are whole and written with the highest byte first.

The prompt is written in one of two ways. As *text* each letter takes 8 bits and each edge of a box a byte, as a
receiver without any model of language would need it. By the *grammar* both ends know how often the toy world says
what, and code a prompt arithmetically by these probabilities: the difference is what a shared language model is worth.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, one_of, positive_integer
from semcom_utils.generation.grounding import check_boxes
from semcom_utils.semantic.information import arithmetic_decode, arithmetic_encode
from semcom_utils.toyworld import COLOURS, GROUNDS, KINDS, PATTERNS, POSES, Meaning, Word

__all__ = [
    "CODINGS",
    "MAX_BOXES",
    "OVERHEAD_BYTES",
    "SEEDS",
    "STEPS",
    "Prompt",
    "code_length",
    "pack",
    "unpack",
]

#: Ways to write a prompt.
CODINGS = ("text", "grammar")
#: How many boxes a prompt can hold, as many as the mini model of grounding takes.
MAX_BOXES = 3
#: Bytes around the prompt: what follows, seed, checksum.
OVERHEAD_BYTES = 5
#: Seeds that a prompt can name.
SEEDS = range(1 << 16)
#: Places that an edge of a box can have: a box is kept in 64ths of the picture, its pixels.
STEPS = toyworld.SIZE
_VERSION = 1
_LABELS = [f"{colour} {kind}" for kind in KINDS for colour in COLOURS]
#: One, two or three things side by side, and one in another, of 10,000 scenes (:mod:`semcom_utils.toyworld.sampling`).
_FORMS = {"1": 4275, "2": 3800, "3": 1425, "in": 500}
_WIDTH = 64


@checked
@dataclass(frozen=True)
class Prompt:
    """What is sent of a picture.

    Parameters
    ----------
    caption : str
        What the picture shows, for the schemes that leave places open; empty for the others.
    labels : tuple of str
        Colour and kind of each thing, for the schemes that tell places.
    boxes : tuple of tuple of int
        For each label left, top, right, bottom in 64ths of the picture (:meth:`placed` takes shares).
    identifier : int, optional
        Number of the subject that the picture shows, 0 to 29.
    which : int
        Which of the things it is: place in the caption (from left to right) or among the labels, from 0.
    seed : int
        Of the noise that the receiver starts from, 0 to 65,535.
    coding : str
        How the prompt is written, one of :data:`CODINGS`. By the grammar a caption keeps its meaning and gets the
        canonical words.

    Raises
    ------
    ValueError
        If there is neither a caption nor a label, or both; if the caption is too long, or none of the grammar where
        that codes it; if labels and boxes do not match, are too many, or a box lies outside of the picture; if a label
        is none of the toy world's, the identifier is unknown, or another number is out of its range.

    Examples
    --------
    >>> prompt = Prompt("a red ball on sand", seed=7)
    >>> prompt.bits, replace(prompt, coding="grammar").bits
    (184, 56)
    """

    caption: str = ""
    labels: tuple[str, ...] = ()
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    identifier: int | None = None
    which: int = 0
    seed: int = 0
    coding: str = "text"

    def __post_init__(self) -> None:
        one_of("coding", self.coding, CODINGS)
        if not isinstance(self.caption, str):
            raise ValueError(f"caption must be a text, got {self.caption!r:.80}")
        labels, boxes = tuple(self.labels), tuple(tuple(box) for box in self.boxes)
        if not labels and not boxes and not self.caption.strip():
            raise ValueError(f"caption must say something where there are no labels, got {self.caption!r}")
        if (labels or boxes) and self.caption:
            raise ValueError(f"caption must be empty beside labels and boxes, got {self.caption!r:.80}")
        if labels or boxes:
            check_boxes(labels, np.reshape([*boxes], (-1, 4)) / STEPS if boxes else [], MAX_BOXES)
            for label in labels:
                one_of("labels", label, _LABELS)
            if any(edge != int(edge) for box in boxes for edge in box):
                raise ValueError(f"boxes must be whole 64ths of the picture, got {boxes}")
            boxes = tuple(tuple(int(edge) for edge in box) for box in boxes)
            things = len(labels)
        else:
            things = MAX_BOXES if self.coding == "text" else len(self.meaning.things)
            if not self.caption.isascii() or len(self.caption) > 200:
                raise ValueError(f"caption must be at most 200 letters of ASCII, got {self.caption!r:.80}")
            if self.coding == "grammar":
                object.__setattr__(self, "caption", self.meaning.canonical())
        if self.identifier is not None:
            number = positive_integer("identifier", self.identifier, low=0)
            if number >= toyworld.SUBJECTS:
                raise ValueError(f"identifier must be that of a subject, 0 to {toyworld.SUBJECTS - 1}, got {number}")
        if positive_integer("which", self.which, low=0) >= things:
            raise ValueError(f"which must be one of {things} things, from 0, got {self.which}")
        if self.identifier is None and self.which:
            raise ValueError(f"which must be 0 without an identifier, got {self.which}")
        if positive_integer("seed", self.seed, low=0) not in SEEDS:
            raise ValueError(f"seed must be a whole number from 0 to {SEEDS[-1]}, got {self.seed}")
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "boxes", boxes)

    @classmethod
    @checked
    def placed(cls, labels: Sequence[str], boxes: Any, **parts: Any) -> Prompt:
        """A prompt of labels and boxes, the boxes rounded to 64ths of the picture.

        Parameters
        ----------
        labels : sequence of str
            Colour and kind of each thing.
        boxes : array_like
            ``[things, 4]``: left, top, right, bottom as shares of the picture's width and height.
        **parts
            ``identifier``, ``which``, ``seed`` and ``coding``.

        Returns
        -------
        Prompt

        Raises
        ------
        ValueError
            As of the class.
        """
        names, shares = check_boxes(labels, boxes, MAX_BOXES)
        edges = np.round(STEPS * shares).astype(int)
        edges[:, :2] = np.minimum(edges[:, :2], STEPS - 1)
        edges[:, 2:] = np.maximum(edges[:, 2:], edges[:, :2] + 1)
        return cls("", tuple(names), tuple(map(tuple, edges.tolist())), **parts)

    @property
    def meaning(self) -> Meaning:
        """What the caption states, by the toy world's grammar; ``ValueError`` if it is none of it."""
        return toyworld.parse_caption(self.caption)

    @property
    def shares(self) -> np.ndarray:
        """The boxes ``[things, 4]`` as shares of the picture's width and height."""
        return np.reshape([*self.boxes], (-1, 4)) / STEPS if self.boxes else np.empty((0, 4))

    @property
    def scheme(self) -> str:
        """The paper's name of what is sent: N or H without and with an identifier, I or A without and with boxes."""
        return ("N" if self.identifier is None else "H") + ("A" if self.labels else "I")

    @property
    def bits(self) -> int:
        """Bits of the whole prompt, with seed and checksum."""
        return 8 * len(pack(self))

    @property
    def anonymous(self) -> Prompt:
        """The same without the identifier."""
        return replace(self, identifier=None, which=0)


# --- the grammar as a model of what is said --------------------------------------------------------------------------


def _row(weights: Sequence[int]) -> np.ndarray:
    return np.pad(np.asarray(weights, np.int64), (0, _WIDTH - len(weights)))


def _script(placed: bool, identified: bool) -> Generator[np.ndarray, int, Prompt]:
    """Ask for a prompt's symbols one after the other: yields how often each may come, and is sent the one that does."""
    if placed:
        count = 1 + (yield _row([1] * MAX_BOXES))
        labels, boxes = [], []
        for _ in range(count):
            labels.append(_LABELS[(yield _row([1] * len(_LABELS)))])
            left, top = (yield _row([1] * STEPS)), (yield _row([1] * STEPS))
            right = yield _row([0] * left + [1] * (STEPS - left))
            bottom = yield _row([0] * top + [1] * (STEPS - top))
            boxes.append((left, top, right + 1, bottom + 1))
        said: dict[str, Any] = {"labels": tuple(labels), "boxes": tuple(boxes)}
    else:
        ground = list(GROUNDS)[(yield _row([1] * len(GROUNDS)))]
        form = list(_FORMS)[(yield _row(list(_FORMS.values())))]
        inside, count = form == "in", 2 if form == "in" else int(form)
        things, kinds = [], list(KINDS)
        for place in range(count):
            texture = yield _row([27, 1, 1, 1])  # a tenth of all things wears one of three patterns
            colour = yield _row([1] * len(COLOURS))
            may = (("dog", "ball"), ("bucket",))[place] if inside else kinds
            kind = kinds[(yield _row([int(kind in may) for kind in kinds]))]
            pose = POSES[(yield _row([1] * len(POSES)))] if kind == "robot" else None
            things.append(Word(kind, list(COLOURS)[colour], pose, PATTERNS[texture - 1] if texture else None))
        said = {"caption": Meaning(ground, tuple(things), inside).canonical()}
    if identified:
        said["identifier"] = yield _row([1] * toyworld.SUBJECTS)
        said["which"] = yield _row([1] * count)
    return Prompt(**said, coding="grammar")


def _symbols(prompt: Prompt) -> list[int]:
    """A prompt's symbols, in the order in which :func:`_script` asks for them."""
    if prompt.labels:
        symbols = [len(prompt.labels) - 1]
        for label, (left, top, right, bottom) in zip(prompt.labels, prompt.boxes, strict=True):
            symbols += [_LABELS.index(label), left, top, right - 1, bottom - 1]
    else:
        said = prompt.meaning
        form = "in" if said.inside else str(len(said.things))
        symbols = [list(GROUNDS).index(said.ground), list(_FORMS).index(form)]
        for thing in said.things:
            symbols += [
                1 + PATTERNS.index(thing.texture) if thing.texture else 0,
                list(COLOURS).index(thing.colour),
                list(KINDS).index(thing.kind),
                *([POSES.index(thing.pose)] if thing.pose else []),
            ]
    return symbols if prompt.identifier is None else [*symbols, prompt.identifier, prompt.which]


def _rows(prompt: Prompt) -> tuple[list[int], np.ndarray]:
    symbols, script = _symbols(prompt), _script(bool(prompt.labels), prompt.identifier is not None)
    rows = [next(script), *(script.send(symbol) for symbol in symbols[:-1])]
    return symbols, np.array(rows)


@checked
def code_length(prompt: Prompt) -> float:
    r"""Bits of what a prompt says, :math:`-\log_2 p`, under the toy world's own distribution.

    Parameters
    ----------
    prompt : Prompt
        Whose caption, if it has one, is of the grammar. Seed and checksum are not counted; all labels, places of boxes
        and identifiers count as equally likely.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the caption is none of the grammar.

    Examples
    --------
    >>> round(code_length(Prompt("a red ball on sand")), 2)
    8.55
    """
    symbols, rows = _rows(prompt)
    return float(-sum(math.log2(row[symbol] / row.sum()) for symbol, row in zip(symbols, rows, strict=True)))


# --- bytes -----------------------------------------------------------------------------------------------------------


def _body(prompt: Prompt) -> bytes:
    if prompt.coding == "grammar":
        symbols, rows = _rows(prompt)
        code = arithmetic_encode(np.array(symbols), rows)
        code += "0" * (-len(code) % 8)  # what follows the code does not matter to the decoder
        return int(code, 2).to_bytes(len(code) // 8, "big")
    number = b"" if prompt.identifier is None else bytes([prompt.which << 5 | prompt.identifier])
    if prompt.caption:
        return number + prompt.caption.encode("ascii")
    edges = bytes(edge for box in prompt.boxes for edge in box)
    return number + bytes([len(prompt.labels)]) + edges + ",".join(prompt.labels).encode("ascii")


@checked
def pack(prompt: Prompt) -> bytes:
    """A prompt as bytes; the link tells the receiver how many.

    Parameters
    ----------
    prompt : Prompt

    Returns
    -------
    bytes
        :data:`OVERHEAD_BYTES` and the prompt.

    Raises
    ------
    ValueError
        If ``prompt`` is none.

    Examples
    --------
    >>> prompt = Prompt.placed(["red ball"], [[0.25, 0.25, 0.75, 0.75]], identifier=3, seed=7)
    >>> unpack(pack(prompt)) == prompt
    True
    """
    if not isinstance(prompt, Prompt):
        raise ValueError(f"prompt must be a Prompt, got {type(prompt).__name__}")
    flags = CODINGS.index(prompt.coding) << 2 | bool(prompt.labels) << 1 | (prompt.identifier is not None)
    data = bytes([_VERSION << 4 | flags]) + prompt.seed.to_bytes(2, "big") + _body(prompt)
    return data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    """CRC-16-CCITT: misses no error of one or two bits, nor of any odd number of them."""
    return binascii.crc_hqx(data, 0xFFFF).to_bytes(2, "big")


@checked
def unpack(data: bytes) -> Prompt:
    """Read a prompt; what was damaged on the way is not read.

    Parameters
    ----------
    data : bytes
        Of :func:`pack`, as it arrived.

    Returns
    -------
    Prompt

    Raises
    ------
    ValueError
        If ``data`` are no bytes, too few, or of another version, do not have their checksum, or say what no prompt
        says.
    """
    if not isinstance(data, bytes | bytearray):
        raise ValueError(f"data must be bytes, got {type(data).__name__}")
    data = bytes(data)
    if len(data) <= OVERHEAD_BYTES:
        raise ValueError(f"data must have more than {OVERHEAD_BYTES} bytes, got {len(data)}: too short")
    if data[-2:] != _checksum(data[:-2]):
        raise ValueError("data must have their checksum (CRC), got another one: the prompt was damaged")
    if data[0] >> 4 != _VERSION:
        raise ValueError(f"data must be of version {_VERSION}, got {data[0] >> 4}: unknown version")
    coding, placed, identified = CODINGS[data[0] >> 2 & 1], bool(data[0] & 2), bool(data[0] & 1)
    seed, body = int.from_bytes(data[1:3], "big"), data[3:-2]
    read = _read_grammar if coding == "grammar" else _read_text
    prompt = replace(read(body, placed, identified), seed=seed)
    if pack(prompt) != data:
        raise ValueError("data must be as a sender writes them, got some that say the same otherwise")
    return prompt


def _read_text(body: bytes, placed: bool, identified: bool) -> Prompt:
    parts: dict[str, Any] = {}
    if identified:
        parts, body = {"identifier": body[0] & 31, "which": body[0] >> 5}, body[1:]
    if not placed:
        return Prompt(body.decode("latin-1"), **parts)
    count = body[0] if body else 0
    edges, labels = body[1 : 1 + 4 * count], body[1 + 4 * count :]
    boxes = tuple(tuple(edges[k : k + 4]) for k in range(0, len(edges), 4))
    return Prompt("", tuple(labels.decode("latin-1").split(",")), boxes, **parts)  # type: ignore[arg-type]  # checked


def _read_grammar(body: bytes, placed: bool, identified: bool) -> Prompt:
    code, script = "".join(f"{byte:08b}" for byte in body), _script(placed, identified)
    rows = [next(script)]
    try:
        while True:
            symbol = int(arithmetic_decode(code, len(rows), np.array(rows))[-1])
            rows.append(script.send(symbol))
    except StopIteration as end:
        return end.value
