"""What travels in the system of Liu et al. (2023, Fig. 2): prompt, semantic map and generation parameters, as bytes.

A message is two blocks. The *head* holds the generation parameters and the caption; the *map*, where one is sent, comes
behind it. Each ends with a checksum of its own, so that a receiver whose map is broken still has a prompt that it can
trust. All numbers are whole and written with the highest byte first.

Captions are word lists under a model of the toy world's grammar that both ends share, coded arithmetically: a caption
that the grammar would write takes 2 to 6 bytes, and any list of its words can be coded.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from semcom_utils.checks import checked, one_of, positive_integer, real_number
from semcom_utils.semantic.extractors import FACTORS, SemanticMap, decode
from semcom_utils.semantic.information import arithmetic_decode, arithmetic_encode
from semcom_utils.toyworld import COLOURS, GROUNDS, KINDS, PATTERNS, POSES, VOCABULARY
from semcom_utils.toyworld.grammar import SYNONYMS
from semcom_utils.toyworld.maps import MAPS

__all__ = [
    "CODINGS",
    "HEADER_BYTES",
    "MAX_WORDS",
    "SEEDS",
    "Field",
    "Message",
    "blocks",
    "byte_table",
    "caption_words",
    "decode_words",
    "encode_words",
    "head_alone",
    "pack",
    "unpack",
]

#: Ways to write a caption: a coded list of words, or its letters in 8 bits each.
CODINGS = ("words", "text")
#: Bytes of the head in front of the caption.
HEADER_BYTES = 9
#: More words than this no caption has; the longest of the grammar has 24.
MAX_WORDS = 40
#: Seeds that a message can name.
SEEDS = range(1 << 16)
_VERSION, _CRC = 1, 2
_END = "<end>"


# --- captions --------------------------------------------------------------------------------------------------------


@checked
def caption_words(caption: str) -> list[str]:
    """Words of a caption; a comma is one.

    Parameters
    ----------
    caption : str
        Case and repeated spaces do not matter. An empty one has no words.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If ``caption`` is no text, has more than :data:`MAX_WORDS` words, or holds words that the toy world's models do
        not know; the message names them and offers the nearest.

    Examples
    --------
    >>> caption_words("A red ball on sand")
    ['a', 'red', 'ball', 'on', 'sand']
    """
    if not isinstance(caption, str):
        raise ValueError(f"caption must be a text, got {caption!r:.80}")
    words = caption.lower().replace(",", " , ").split()
    if len(words) > MAX_WORDS:
        raise ValueError(f"caption must have at most {MAX_WORDS} words, got {len(words)}")
    unknown = [word for word in dict.fromkeys(words) if word not in VOCABULARY]
    if unknown:
        near = [(word, get_close_matches(word, VOCABULARY, 1, 0.5)) for word in unknown]
        offers = "; ".join(f"{word!r}" + (f" (nearest: {found[0]!r})" if found else "") for word, found in near)
        raise ValueError(f"caption must be made of the models' {len(VOCABULARY)} words, got {offers}")
    return words


def _written(words: Sequence[str]) -> str:
    return " ".join(words).replace(" ,", ",")


@lru_cache(maxsize=1)
def _frequencies() -> dict[str, np.ndarray]:
    """How often each word follows each: what the grammar allows, in the toy world's shares; all else is possible once.

    Both ends hold this table. It knows the word before and no more, so it cannot tell how many things have been named.
    """
    names = [word for kind in KINDS for word in (kind, *SYNONYMS[kind])]
    articles = {"a": 50, "an": 10}
    after_thing = {"on": 40, "and": 30, ",": 12, "in": 3, "left": 4, "right": 4, _END: 10}
    kinds = {name: 12 if name in KINDS else 2 for name in names}
    colours = dict.fromkeys(COLOURS, 10)
    follows: dict[str, dict[str, int]] = {
        "": {**articles, "on": 4},
        "a": {
            **{c: 10 for c in COLOURS if c[0] not in "aeiou"},
            **dict.fromkeys(PATTERNS, 2),
            "picture": 2,
            "photo": 2,
        },
        "an": {c: 10 for c in COLOURS if c[0] in "aeiou"},
        "and": articles,
        ",": {**articles, "and": 50},
        "of": articles,
        "in": articles,
        "on": dict.fromkeys(GROUNDS, 10),
        **dict.fromkeys(("left", "right", "picture", "photo"), {"of": 10}),
        **dict.fromkeys(PATTERNS, colours),
        **dict.fromkeys(COLOURS, kinds),
        **dict.fromkeys(names, after_thing),
        **dict.fromkeys(("robot", *SYNONYMS["robot"]), dict.fromkeys(POSES, 10)),
        **dict.fromkeys(POSES, after_thing),
        **dict.fromkeys(GROUNDS, {_END: 50, ",": 4}),
    }
    symbols = (*VOCABULARY, _END)
    return {word: np.array([1 + 100 * after.get(symbol, 0) for symbol in symbols]) for word, after in follows.items()}


@checked
def encode_words(caption: str) -> bytes:
    """Code a caption as words of the grammar.

    Parameters
    ----------
    caption : str
        As for :func:`caption_words`.

    Returns
    -------
    bytes
        None for an empty caption.

    Raises
    ------
    ValueError
        As of :func:`caption_words`.

    Examples
    --------
    >>> len(encode_words("a red ball on sand")), len("a red ball on sand")
    (2, 18)
    """
    words = caption_words(caption)
    if not words:
        return b""
    tables, symbols = _frequencies(), (*VOCABULARY, _END)
    rows = np.array([tables[word] for word in ("", *words)])
    code = arithmetic_encode(np.array([symbols.index(word) for word in (*words, _END)]), rows)
    padded = code + "0" * (-len(code) % 8)  # what follows the code does not matter to the decoder
    return int(padded, 2).to_bytes(len(padded) // 8, "big")


@checked
def decode_words(data: bytes) -> str:
    """Read a caption back.

    Parameters
    ----------
    data : bytes
        Of :func:`encode_words`. Others decode to some list of words or other: a message needs its checksum.

    Returns
    -------
    str
        The caption in lower case, with single spaces.

    Raises
    ------
    ValueError
        If ``data`` are no bytes, or no end comes within :data:`MAX_WORDS` words.
    """
    if not isinstance(data, bytes | bytearray):
        raise ValueError(f"data must be bytes, got {type(data).__name__}")
    if not data:
        return ""
    tables, symbols = _frequencies(), (*VOCABULARY, _END)
    code, rows, words = "".join(f"{byte:08b}" for byte in data), [tables[""]], list[str]()
    while len(words) <= MAX_WORDS:
        word = symbols[int(arithmetic_decode(code, len(rows), np.array(rows))[-1])]
        if word == _END:
            return _written(words)
        words.append(word)
        rows.append(tables[word])
    raise ValueError(f"data must end within {MAX_WORDS} words, got {_written(words)!r:.80}")


# --- the message -----------------------------------------------------------------------------------------------------


@checked
@dataclass(frozen=True)
class Message:
    """A semantic representation with its prompt and the parameters of the generation.

    Parameters
    ----------
    caption : str
        The prompt, of the models' words; it is kept in lower case with single spaces. It may be empty.
    kind : str, optional
        Kind of the map, one of :data:`~semcom_utils.toyworld.maps.MAPS`; None without a map.
    factor : int
        By which the map was made smaller, 1 to 16; 1 without a map.
    map_bytes : bytes
        :attr:`~semcom_utils.semantic.extractors.SemanticMap.encoded`; none without a map.
    seed : int
        Of the noise that the generation starts from, 0 to 65,535.
    steps : int
        Of the sampler, 1 to 255.
    guidance : float
        Weight of the guidance, 0 to 25.5 in tenths.
    coding : str
        How the caption is written: one of :data:`CODINGS`.

    Raises
    ------
    ValueError
        If an argument is none of the above, or too long for its field.
    """

    caption: str
    kind: str | None = None
    factor: int = 1
    map_bytes: bytes = b""
    seed: int = 0
    steps: int = 20
    guidance: float = 3.0
    coding: str = "words"

    def __post_init__(self) -> None:
        one_of("kind", self.kind, (None, *MAPS))
        if positive_integer("factor", self.factor) not in (FACTORS if self.kind else (1,)):
            what = f"from {FACTORS[0]} to {FACTORS[-1]}" if self.kind else "1 without a map"
            raise ValueError(f"factor must be {what}, got {self.factor}")
        one_of("coding", self.coding, CODINGS)
        for name, value, low, high in (
            ("seed", self.seed, 0, SEEDS[-1]),
            ("steps", self.steps, 1, 255),
        ):
            if positive_integer(name, value, low=low) > high:
                raise ValueError(f"{name} must be a whole number from {low} to {high}, got {value}")
        tenths = 10 * real_number("guidance", self.guidance, low=0.0, high=25.5)
        if abs(tenths - round(tenths)) > 1e-6:
            raise ValueError(f"guidance must be a multiple of 0.1, got {self.guidance}")
        object.__setattr__(self, "guidance", round(tenths) / 10)
        object.__setattr__(self, "caption", _written(caption_words(self.caption)))
        if len(self.caption_bytes) > 255:
            raise ValueError(f"caption must take at most 255 bytes, got {len(self.caption_bytes)}")
        if not isinstance(self.map_bytes, bytes) or len(self.map_bytes) >= 1 << 16:
            raise ValueError(f"map_bytes must be at most 65535 bytes, got {self.map_bytes!r:.40}")
        if self.map_bytes and self.kind is None:
            raise ValueError(f"map_bytes must be empty without a kind of map, got {len(self.map_bytes)} bytes")

    @classmethod
    @checked
    def of(cls, caption: str, semantic_map: SemanticMap | None = None, **parameters: object) -> Message:
        """A message of a caption and a map.

        Parameters
        ----------
        caption : str
        semantic_map : SemanticMap, optional
        **parameters
            ``seed``, ``steps``, ``guidance`` and ``coding``.

        Returns
        -------
        Message

        Raises
        ------
        ValueError
            As of the class.
        """
        if semantic_map is None:
            return cls(caption, **parameters)  # type: ignore[arg-type]  # checked by the class
        if not isinstance(semantic_map, SemanticMap):
            raise ValueError(f"semantic_map must be a SemanticMap or None, got {type(semantic_map).__name__}")
        kind, factor, coded = semantic_map.kind, semantic_map.factor, semantic_map.encoded
        return cls(caption, kind, factor, coded, **parameters)  # type: ignore[arg-type]

    @property
    def caption_bytes(self) -> bytes:
        """The caption as it is sent."""
        return encode_words(self.caption) if self.coding == "words" else self.caption.encode("latin-1")

    @property
    def semantic_map(self) -> SemanticMap | None:
        """The map, decoded, at its own size; None without one."""
        return None if self.kind is None else decode(self.map_bytes, self.kind, self.factor)

    @property
    def without_map(self) -> Message:
        """The same prompt and parameters, and no map."""
        return replace(self, kind=None, factor=1, map_bytes=b"")

    @property
    def bits(self) -> int:
        """How many bits the whole message has, with header, caption, map and checksums."""
        return 8 * len(pack(self))


def _checksum(data: bytes, start: int = 0xFFFF) -> bytes:
    """CRC-16-CCITT: misses no error of one or two bits, nor of any odd number of them."""
    return binascii.crc_hqx(data, start).to_bytes(_CRC, "big")


@checked
def blocks(message: Message) -> tuple[bytes, bytes]:
    """A message's two blocks, each with its checksum.

    The map's checksum starts from the head's, so that a map that came with another head does not pass.

    Parameters
    ----------
    message : Message

    Returns
    -------
    bytes, bytes
        Head (header, caption, checksum) and map (its bytes, checksum); the second is empty without a map.

    Raises
    ------
    ValueError
        If ``message`` is none.
    """
    if not isinstance(message, Message):
        raise ValueError(f"message must be a Message, got {type(message).__name__}")
    said = message.caption_bytes
    kind = 0 if message.kind is None else 1 + MAPS.index(message.kind)
    header = bytes(
        [
            _VERSION << 4 | CODINGS.index(message.coding) << 3 | kind,
            message.factor if kind else 0,
            *message.seed.to_bytes(2, "big"),
            message.steps,
            round(10 * message.guidance),
            len(said),
            *len(message.map_bytes).to_bytes(2, "big"),
        ]
    )
    crc = _checksum(header + said)
    behind = message.map_bytes + _checksum(message.map_bytes, int.from_bytes(crc, "big")) if kind else b""
    return header + said + crc, behind


@checked
def pack(message: Message) -> bytes:
    """A message as bytes.

    Parameters
    ----------
    message : Message

    Returns
    -------
    bytes
        :func:`blocks`, one behind the other.

    Raises
    ------
    ValueError
        If ``message`` is none.

    Examples
    --------
    >>> message = Message("a red ball on sand", seed=7)
    >>> unpack(pack(message)) == message
    True
    """
    return b"".join(blocks(message))


def _read_head(data: object) -> tuple[Message, int | None, int, int, bytes]:
    """Message without its map, kind's number, factor, bytes of the map, and what is left of the data."""
    if not isinstance(data, bytes | bytearray):
        raise ValueError(f"data must be bytes, got {type(data).__name__}")
    data = bytes(data)
    if len(data) < HEADER_BYTES + _CRC:
        raise ValueError(f"data must have at least {HEADER_BYTES + _CRC} bytes, got {len(data)}: wrong length")
    flags, factor, said, mapped = data[0], data[1], data[6], int.from_bytes(data[7:9], "big")
    number = flags & 7
    head = HEADER_BYTES + said + _CRC
    if len(data) not in (head, head + mapped + _CRC):
        told = head + (mapped + _CRC) * bool(number)
        raise ValueError(f"data must have the {told} bytes that its header tells, got {len(data)}: wrong length")
    if data[head - _CRC : head] != _checksum(data[: head - _CRC]):
        raise ValueError("data must have the head's checksum (CRC), got another one: the message was damaged")
    if flags >> 4 != _VERSION:
        raise ValueError(f"data must be of version {_VERSION}, got {flags >> 4}: unknown version")
    if number > len(MAPS):
        raise ValueError(f"data must name a kind of map from 0 to {len(MAPS)}, got {number}: unknown kind")
    if factor not in (FACTORS if number else (0,)):
        raise ValueError(
            f"data must name a factor from {FACTORS[0]} to {FACTORS[-1]} (0 without a map), got factor {factor}"
        )
    if mapped and not number:
        raise ValueError(f"data must name no bytes of a map without a kind of map, got {mapped}: wrong length")
    coding, written = CODINGS[flags >> 3 & 1], data[HEADER_BYTES : head - _CRC]
    caption = decode_words(written) if coding == "words" else written.decode("latin-1")
    seed = int.from_bytes(data[2:4], "big")
    message = Message(caption, seed=seed, steps=data[4], guidance=data[5] / 10, coding=coding)
    return message, number, factor, mapped, data[head:]


@checked
def unpack(data: bytes) -> Message:
    """Read a message; what was damaged on the way is not read.

    Parameters
    ----------
    data : bytes
        Of :func:`pack`, as it arrived.

    Returns
    -------
    Message

    Raises
    ------
    ValueError
        If ``data`` are no bytes, have a wrong length, version or checksum, or name an unknown kind, a factor that is
        none, or a caption that cannot be read. The message says which.
    """
    message, number, factor, mapped, behind = _read_head(data)
    if not number:
        if behind:
            raise ValueError(f"data must end with the head's checksum, got {len(behind)} bytes more: wrong length")
        return message
    if len(behind) != mapped + _CRC:
        raise ValueError(f"data must hold {mapped + _CRC} bytes behind the head, got {len(behind)}: wrong length")
    start = int.from_bytes(data[-len(behind) - _CRC : -len(behind)], "big")
    if behind[mapped:] != _checksum(behind[:mapped], start):
        raise ValueError("data must have the map's checksum (CRC), got another one: the map was damaged")
    return Message(
        message.caption, MAPS[number - 1], factor, behind[:mapped], message.seed, message.steps, message.guidance,
        message.coding,
    )  # fmt: skip


@checked
def head_alone(head: bytes) -> Message:
    """What a head says without its map: what a receiver falls back on.

    Parameters
    ----------
    head : bytes
        The first of :func:`blocks`, as it arrived.

    Returns
    -------
    Message
        Without a map, with the caption and the parameters.

    Raises
    ------
    ValueError
        As of :func:`unpack`.
    """
    try:
        message, *_, behind = _read_head(head)
    except ValueError as error:
        raise ValueError(str(error).replace("data must", "head must", 1)) from None
    if behind:
        raise ValueError(f"head must end with its checksum, got {len(behind)} bytes more")
    return message


# --- a message to look at --------------------------------------------------------------------------------------------


class Field(NamedTuple):
    """A field of a packed message.

    Attributes
    ----------
    name : str
        What it is called.
    data : bytes
        What is sent.
    bits : int
        Its size.
    meaning : str
        What the receiver reads in it.
    """

    name: str
    data: bytes
    bits: int
    meaning: str


@checked
def byte_table(message: Message) -> list[Field]:
    """A message byte by byte.

    Parameters
    ----------
    message : Message

    Returns
    -------
    list of Field
        In the order of sending; their bytes, one behind the other, are :func:`pack`'s.

    Raises
    ------
    ValueError
        If ``message`` is none.

    Examples
    --------
    >>> for field in byte_table(Message("a red ball on sand", seed=7))[:3]:
    ...     print(field.name, field.data.hex(), field.meaning)
    version, coding, kind 10 version 1, caption as words, no map
    factor 00 no map
    seed 0007 7
    """
    head, behind = blocks(message)
    said, kind = message.caption_bytes, message.kind
    letters = 8 * len(message.caption)
    rows = [
        ("version, coding, kind", 1, f"version {_VERSION}, caption as {message.coding}, {kind or 'no'} map"),
        ("factor", 1, str(message.factor) if kind else "no map"),
        ("seed", 2, str(message.seed)),
        ("steps", 1, str(message.steps)),
        ("guidance", 1, f"{message.guidance:g}"),
        ("caption's length", 1, f"{len(said)} bytes"),
        ("map's length", 2, f"{len(message.map_bytes)} bytes"),
        ("caption", len(said), f"{message.caption} (as text: {letters} bits)"),
        ("checksum of the head", _CRC, "of all before it"),
    ]
    if kind:
        rows += [
            ("map", len(message.map_bytes), f"{kind}, {-(-64 // message.factor)} pixels a side"),
            ("checksum of the map", _CRC, "of the map and the head's checksum"),
        ]
    fields, place, data = [], 0, head + behind
    for name, size, told in rows:
        fields.append(Field(name, data[place : place + size], 8 * size, told))
        place += size
    return fields
