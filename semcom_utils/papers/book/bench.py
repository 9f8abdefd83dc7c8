"""One interface for every scheme: a picture becomes a message, what is received of it a picture.

A message has bits, symbols, or both. Bits travel over a channel code and arrive whole or not at all; symbols arrive
with noise. A scheme says how to :meth:`~Scheme.encode` and how to :meth:`~Scheme.decode`, nothing else: what it costs,
what the channel does to it and how well it serves is asked of all of them alike. A new scheme is one class, and one
entry in a list.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import (
    checked,
    finite_array,
    one_of,
    plain_array,
    positive_integer,
    real_number,
    shown,
    torch_generator,
)
from semcom_utils.papers.aigc_scm.knowledge import KnowledgeBase, receiver_b

from .link import CHANNELS, TRIES, best_format

if TYPE_CHECKING:
    import torch

__all__ = ["GREY", "Knowledge", "Packet", "Arrival", "Scheme", "carried", "transmit"]

#: What a receiver shows of a message that did not arrive.
GREY = 0.5


@checked
@dataclass(frozen=True)
class Knowledge:
    """What both ends know beside the models when a picture is sent.

    Parameters
    ----------
    snr_db : float
        (Mean) Es/N0 per complex channel use, dB.
    channel : str
        One of :data:`.link.CHANNELS`; with fading the sender knows the law, the receiver the gain.
    seed : int
        Of the noise from which pictures are drawn, 0 to 65,535; it is sent where it is needed.
    base : KnowledgeBase
        What the receiver holds of subjects met before.
    subject : int, optional
        Number of the subject that the sender knows to be in the picture.
    place, beside : array_like
        ``[4]`` and ``[things, 4]``, pixels: boxes of the subject and of what stands beside it, known to the sender
        with the subject.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """

    snr_db: float = 10.0
    channel: str = "awgn"
    seed: int = 0
    base: KnowledgeBase = field(default_factory=receiver_b)
    subject: int | None = None
    place: Any = None
    beside: Any = ()

    def __post_init__(self) -> None:
        real_number("snr_db", self.snr_db, low=-50.0, high=100.0)
        one_of("channel", self.channel, CHANNELS)
        if positive_integer("seed", self.seed, low=0) > 65_535:
            raise ValueError(f"seed must be from 0 to 65535, got {self.seed}")
        if not isinstance(self.base, KnowledgeBase):
            raise ValueError(f"base must be a KnowledgeBase, got {type(self.base).__name__}")
        if self.subject is not None:
            one_of("subject", positive_integer("subject", self.subject, low=0), range(toyworld.SUBJECTS))
        if self.place is not None and finite_array("place", self.place).shape != (4,):
            raise ValueError(f"place must be [4], pixels, got shape {np.shape(self.place)}")
        beside = finite_array("beside", self.beside)
        if beside.size and (beside.ndim != 2 or beside.shape[1] != 4):
            raise ValueError(f"beside must be [things, 4], pixels, got shape {beside.shape}")


@checked(complexes=("symbols",))
@dataclass(frozen=True, eq=False)
class Packet:
    """What a sender puts on the link.

    Parameters
    ----------
    bits : array_like
        0 and 1, ``[bits]``; empty where there is nothing digital.
    symbols : array_like, optional
        Complex ``[symbols]`` of unit mean power.

    Raises
    ------
    ValueError
        If there is neither, or an argument is none of these.
    """

    bits: Any = ()
    symbols: Any = None

    def __post_init__(self) -> None:
        bits = plain_array("bits", self.bits, booleans=True)
        if bits.ndim != 1 or not np.isin(bits, (0, 1)).all():
            raise ValueError(f"bits must be 0 and 1, [bits], got shape {bits.shape}")
        object.__setattr__(self, "bits", bits.astype(np.uint8))
        if self.symbols is not None:
            symbols = _complex(self.symbols)
            power = float(np.mean(np.abs(symbols) ** 2)) if symbols.size else 0.0
            if not 0.99 < power < 1.01:
                raise ValueError(f"symbols must be of unit mean power, got {len(symbols)} of {power:.3g}")
            object.__setattr__(self, "symbols", symbols)
        elif not bits.size:
            raise ValueError("bits must not be empty where there are no symbols, got none")

    @classmethod
    @checked
    def of_bytes(cls, data: bytes, symbols: Any = None) -> Packet:
        """A message whose bits are those of bytes.

        Parameters
        ----------
        data : bytes
        symbols : array_like, optional
            As of the class.

        Returns
        -------
        Packet

        Raises
        ------
        ValueError
            As of the class, or if ``data`` are no bytes.
        """
        if not isinstance(data, bytes | bytearray):
            raise ValueError(f"data must be bytes, got {type(data).__name__}")
        return cls(np.unpackbits(np.frombuffer(bytes(data), np.uint8)), symbols)

    @property
    def analog(self) -> int:
        """Complex channel uses of the symbols."""
        return 0 if self.symbols is None else len(self.symbols)


@checked(complexes=("symbols",))
@dataclass(frozen=True, eq=False)
class Arrival:
    """What a receiver gets of a message whose bits, if it has any, arrived whole.

    Parameters
    ----------
    bits : array_like
        0 and 1, ``[bits]``.
    symbols : array_like, optional
        Complex ``[symbols]``, equalised.
    snr_db : float, optional
        Es/N0 of the symbols after equalisation, dB, which the receiver knows; needed with symbols.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """

    bits: Any = ()
    symbols: Any = None
    snr_db: float | None = None

    def __post_init__(self) -> None:
        bits = plain_array("bits", self.bits, booleans=True)
        if bits.ndim != 1 or not np.isin(bits, (0, 1)).all():
            raise ValueError(f"bits must be 0 and 1, [bits], got shape {bits.shape}")
        object.__setattr__(self, "bits", bits.astype(np.uint8))
        if self.symbols is not None:
            real_number("snr_db", self.snr_db)
            object.__setattr__(self, "symbols", _complex(self.symbols))

    @property
    def data(self) -> bytes:
        """The bits as bytes."""
        return np.packbits(self.bits).tobytes()


def _complex(symbols: Any) -> np.ndarray:
    """Complex64 ``[symbols]``, all of them finite."""
    array: np.ndarray | None
    try:
        with np.errstate(over="ignore"):
            array = np.asarray(symbols)
            array = array.astype(np.complex64) if array.dtype.kind in "iufc" else None
    except (TypeError, ValueError, RuntimeError):
        array = None
    if array is None or array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError(f"symbols must be finite complex numbers, [symbols], got {shown(symbols)}")
    return array


def _picture(name: str, value: Any) -> np.ndarray:
    """Float32 ``[3, 64, 64]`` in [0, 1]."""
    image = finite_array(name, value).astype(np.float32)
    if image.shape != (3, toyworld.SIZE, toyworld.SIZE) or image.min() < 0 or image.max() > 1:
        raise ValueError(f"{name} must be [3, 64, 64] in [0, 1], got {shown(value)}")
    return image


def _is(kind: type) -> Callable[[str, Any], Any]:
    def take(name: str, value: Any) -> Any:
        if not isinstance(value, kind):
            raise ValueError(f"{name} must be of {kind.__name__}, got {shown(value)}")
        return value

    return take


#: What each argument of a scheme's methods must be.
_TAKES = {"picture": _picture, "pictures": _picture, "knowledge": _is(Knowledge), "received": _is(Arrival)}


def _door(method: Callable[..., Any]) -> Callable[..., Any]:
    """A scheme's method that refuses by name what is no picture, no knowledge and nothing received."""
    signature, many = inspect.signature(method), method.__name__.endswith("_all")

    @wraps(method)
    def door(*given: Any, **named: Any) -> Any:
        call = signature.bind(*given, **named)
        length = 0
        for name in [one for one in call.arguments if one in _TAKES]:
            value, take = call.arguments[name], _TAKES[name]
            if not many:
                call.arguments[name] = take(name, value)
                continue
            if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str | bytes):
                raise ValueError(f"{name} must be a sequence, got {shown(value)}")
            if getattr(value, "shape", None) == () or not len(value) or length not in (0, len(value)):
                raise ValueError(f"{name} must be {length or 'one or more'}, one a picture, got {shown(value)}")
            call.arguments[name], length = [take(name, one) for one in value], len(value)
        return method(*call.args, **call.kwargs)

    return door


class Scheme(ABC):
    """A way to send pictures.

    Attributes
    ----------
    name : str
        By which figures and tables call it.
    family : str
        What it is a setting of: of a family the best setting is shown.
    """

    name: str
    family: ClassVar[str]

    def __init_subclass__(cls, **options: Any) -> None:
        """Put the same door before the methods of every scheme, a reader's own among them."""
        super().__init_subclass__(**options)
        for name in ("encode", "decode", "encode_all", "decode_all"):
            if name in vars(cls):
                setattr(cls, name, _door(vars(cls)[name]))

    @abstractmethod
    def encode(self, picture: np.ndarray, knowledge: Knowledge) -> Packet:
        """The message of a picture.

        Parameters
        ----------
        picture : numpy.ndarray
            Float32 ``[3, 64, 64]`` in [0, 1].
        knowledge : Knowledge

        Returns
        -------
        Packet

        Raises
        ------
        ValueError
            If an argument is none of these, or what was received is no message of this scheme.
        """

    @abstractmethod
    def decode(self, received: Arrival, knowledge: Knowledge) -> np.ndarray:
        """A picture from what was received.

        Parameters
        ----------
        received : Arrival
        knowledge : Knowledge
            ``subject``, ``place`` and ``beside`` are not for the receiver.

        Returns
        -------
        numpy.ndarray
            ``[3, 64, 64]`` in [0, 1].

        Raises
        ------
        ValueError
            If an argument is none of these, or what was received is no message of this scheme.
        """

    @_door
    def encode_all(self, pictures: Sequence[np.ndarray], knowledge: Sequence[Knowledge]) -> list[Packet]:
        """The messages of several pictures; to be overridden where together is faster.

        Parameters
        ----------
        pictures : sequence of numpy.ndarray
        knowledge : sequence of Knowledge
            One a picture.

        Returns
        -------
        list of Packet

        Raises
        ------
        ValueError
            If an argument is none of these, or what was received is no message of this scheme.
        """
        return [self.encode(picture, known) for picture, known in zip(pictures, knowledge, strict=True)]

    @_door
    def decode_all(self, received: Sequence[Arrival], knowledge: Sequence[Knowledge]) -> np.ndarray:
        """Pictures from several messages; to be overridden where together is faster.

        Parameters
        ----------
        received : sequence of Arrival
        knowledge : sequence of Knowledge
            One a message.

        Returns
        -------
        numpy.ndarray
            Float32 ``[messages, 3, 64, 64]`` in [0, 1].

        Raises
        ------
        ValueError
            If an argument is none of these, or what was received is no message of this scheme.
        """
        return np.stack([self.decode(one, known) for one, known in zip(received, knowledge, strict=True)])


@checked
def carried(message: Packet, knowledge: Knowledge, generator: torch.Generator) -> tuple[Arrival | None, int]:
    """Send a message over the real link: bits in the format that the SNR allows, again if they are lost; symbols as
    they are.

    Parameters
    ----------
    message : Packet
    knowledge : Knowledge
        Channel and SNR.
    generator : torch.Generator
        Draws fading and noise.

    Returns
    -------
    received : Arrival or None
        None if the bits are lost :data:`.link.TRIES` times.
    channel_uses : int
        Complex channel uses of everything, repetitions included.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    import torch

    from semcom_utils.generation.jscc import carry
    from semcom_utils.physical import DigitalLink

    if not isinstance(message, Packet) or not isinstance(knowledge, Knowledge):
        raise ValueError(f"message and knowledge must be a Packet and a Knowledge, got {message!r:.40}")
    torch_generator("generator", generator)
    used = 0
    bits: np.ndarray | None = message.bits[:0]
    if message.bits.size:
        chosen = best_format(len(message.bits), knowledge.snr_db, knowledge.channel)
        link, bits = DigitalLink(chosen.code_rate, chosen.bits_per_symbol, knowledge.channel), None
        for _ in range(TRIES):
            # Copies of a block in one fading state, their receptions added up: as many times the SNR.
            result = link.send(message.bits, knowledge.snr_db + 10 * np.log10(chosen.copies), generator)
            used += chosen.copies * result.channel_uses
            if result.accepted:
                bits = np.asarray(result.bits, np.uint8)
                break
    if message.symbols is None:
        return (None if bits is None else Arrival(bits)), used
    z = torch.from_numpy(message.symbols)[None]
    z_hat, known = carry(z, torch.tensor([float(knowledge.snr_db)]), knowledge.channel, generator)
    got = None if bits is None else Arrival(bits, z_hat[0].numpy(), float(known[0, 0]))
    return got, used + message.analog


@checked
def transmit(
    scheme: Scheme, picture: np.ndarray, knowledge: Knowledge, generator: torch.Generator
) -> tuple[np.ndarray, int, Packet]:
    """A picture from end to end over the real link.

    Parameters
    ----------
    scheme : bench.Scheme
    picture : numpy.ndarray
        Float32 ``[3, 64, 64]`` in [0, 1].
    knowledge : Knowledge
    generator : torch.Generator
        Draws fading and noise.

    Returns
    -------
    picture : numpy.ndarray
        ``[3, 64, 64]``; grey if nothing arrived.
    channel_uses : int
    message : Packet

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    if not isinstance(scheme, Scheme):
        raise ValueError(f"scheme must be a Scheme, got {type(scheme).__name__}")
    image = _picture("picture", picture)
    message = scheme.encode(image, knowledge)
    received, used = carried(message, knowledge, generator)
    if received is None:
        return np.full(image.shape, GREY, np.float32), used, message
    return np.asarray(scheme.decode(received, knowledge), np.float32), used, message
