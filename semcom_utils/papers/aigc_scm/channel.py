"""What everything costs on the link: prompts sent and sent again, pictures as files, ratios per bit and per sample.

The link of Wang et al. (2024, Fig. 6) is a rate-1/2 LDPC code with 16-QAM at 10 dB; what channel, they do not say. An
engineer would let the SNR choose modulation and rate (:func:`best_format`), and a better codec than JPEG.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from semcom_utils.checks import checked, finite_array, one_of, positive_integer, real_number, torch_generator
from semcom_utils.physical import DigitalLink, min_snr_db
from semcom_utils.semantic.codecs import avif, decoded, jpeg, jpeg_parts, webp
from semcom_utils.toyworld import SIZE

from .message import Prompt, pack, unpack

if TYPE_CHECKING:
    import torch

__all__ = [
    "BITS_PER_SYMBOL",
    "CODE_RATE",
    "CODECS",
    "FORMATS",
    "JPEG_QUALITY",
    "MARGIN_DB",
    "ORIGINAL_BITS",
    "ORIGINAL_SAMPLES",
    "SNR_DB",
    "WITT_USES",
    "Sent",
    "best_format",
    "file_over_link",
    "file_size",
    "paper_link",
    "psnr_db",
    "ratio",
    "rows_of",
    "send_prompt",
    "smallest_file",
    "squeezed",
    "uses",
]

#: The paper's link (caption of Fig. 6): bits per 16-QAM symbol, code rate, Es/N0 in dB.
BITS_PER_SYMBOL, CODE_RATE, SNR_DB = 4, 0.5, 10.0
#: Samples of a picture (pixels times colours), and its bits at 8 a sample.
ORIGINAL_SAMPLES = 3 * SIZE * SIZE
ORIGINAL_BITS = 8 * ORIGINAL_SAMPLES
#: Complex channel uses of a picture with the two learned codes (roles ``witt-high`` and ``witt-low``).
WITT_USES = {"high": 768, "low": 64}
#: The paper does not say at which quality JPEG works; Pillow's default.
JPEG_QUALITY = 75
#: Modulations and code rates that an engineer chooses from, and the distance to the Shannon limit that short 5G codes
#: need for next to no errors.
FORMATS = (
    (2, 0.2),
    (2, 1 / 3),
    *((order, rate) for order in (2, 4, 6) for rate in (0.5, 2 / 3, 0.75, 5 / 6)),
)
MARGIN_DB = 2.5
#: Ways to write a picture as a file. ``scan`` is JPEG without the header, on which both ends have agreed.
CODECS = ("jpeg", "scan", "webp", "avif")


@checked
@cache
def paper_link(channel: str = "awgn") -> DigitalLink:
    """The paper's link over a channel.

    Parameters
    ----------
    channel : str
        As :class:`~semcom_utils.physical.DigitalLink` takes it.

    Returns
    -------
    DigitalLink

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    return DigitalLink(CODE_RATE, BITS_PER_SYMBOL, channel)


@checked
def uses(bits: int, link: DigitalLink | None = None) -> int:
    """Complex channel uses of a payload, with the link's own checksum and padding.

    Parameters
    ----------
    bits : int
        Of the payload.
    link : DigitalLink, optional
        The paper's by default.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is no bit.

    Examples
    --------
    >>> uses(184)
    100
    """
    positive_integer("bits", bits)
    return (paper_link() if link is None else link).layout(bits).channel_uses


@checked
def ratio(channel_uses: float, per: str = "bit") -> float:
    """Bandwidth compression ratio: channel uses for each bit of the original, as the paper has it, or each sample.

    Parameters
    ----------
    channel_uses : float
        Of a picture.
    per : {"bit", "sample"}
        The second is how WITT's authors count (a sample is a colour of a pixel, 8 bits).

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ``per`` is neither, or ``channel_uses`` no number of at least 0.

    Examples
    --------
    >>> ratio(768) * 8 == ratio(768, "sample") == 1 / 16
    True
    """
    one_of("per", per, ("bit", "sample"))
    used = real_number("channel_uses", channel_uses, low=0)
    return used / (ORIGINAL_BITS if per == "bit" else ORIGINAL_SAMPLES)


@checked
def best_format(snr_db: float, margin_db: float = MARGIN_DB, channel: str = "awgn") -> tuple[int, float]:
    """The modulation and code rate that carry most at an SNR.

    Without fading that is the fastest that can be trusted. With block fading, which the sender does not know, it is the
    one that delivers most on average: its bits a use times the probability that the channel is good enough.

    Parameters
    ----------
    snr_db : float
        (Mean) Es/N0 per complex channel use, dB.
    margin_db : float
        How far above the Shannon limit a format is trusted.
    channel : {"awgn", "rayleigh-block"}

    Returns
    -------
    bits_per_symbol : int
    code_rate : float
        One of :data:`FORMATS`; the most robust where none is within reach.

    Raises
    ------
    ValueError
        If ``snr_db`` or ``margin_db`` is no number, or the channel is another.

    Examples
    --------
    >>> best_format(10.0), best_format(10.0, channel="rayleigh-block")
    ((4, 0.6666666666666666), (4, 0.5))
    """
    at = real_number("snr_db", snr_db) - real_number("margin_db", margin_db)
    if one_of("channel", channel, ("awgn", "rayleigh-block")) == "rayleigh-block":
        delivered = {
            one: one[0] * one[1] * np.exp(-(10 ** ((float(min_snr_db(one[0] * one[1])) - at) / 10))) for one in FORMATS
        }
        return max(FORMATS, key=lambda one: (delivered[one], -one[0]))
    within = [one for one in FORMATS if float(min_snr_db(one[0] * one[1])) <= at]
    return max(within, key=lambda one: (one[0] * one[1], -one[0])) if within else FORMATS[0]


@dataclass(frozen=True)
class Sent:
    """What came of sending a prompt.

    Parameters
    ----------
    prompt : Prompt or None
        As the receiver reads it; None if it never arrived whole.
    tries : int
        Transmissions.
    channel_uses : int
        Of all of them.
    """

    prompt: Prompt | None
    tries: int
    channel_uses: int


@checked
def send_prompt(
    prompt: Prompt, link: DigitalLink, snr_db: float, generator: torch.Generator, *, limit: int = 1
) -> Sent:
    """Send a prompt, again if the receiver notices that it is broken.

    Whether it is whole the receiver knows by the link's checksum and by the prompt's own. Its answer is taken to
    arrive, and is not counted.

    Parameters
    ----------
    prompt : Prompt
    link : DigitalLink
    snr_db : float
        Es/N0 per complex channel use, dB.
    generator : torch.Generator
        Draws fading and noise.
    limit : int
        Transmissions at most.

    Returns
    -------
    Sent

    Raises
    ------
    ValueError
        If an argument is none of these, or ``snr_db`` no finite number.
    """
    if not isinstance(link, DigitalLink):
        raise ValueError(f"link must be a DigitalLink, got {type(link).__name__}")
    real_number("snr_db", snr_db), torch_generator("generator", generator)
    bits, used = np.unpackbits(np.frombuffer(pack(prompt), np.uint8)), 0
    for tried in range(1, positive_integer("limit", limit) + 1):
        result = link.send(bits, snr_db, generator)
        used += result.channel_uses
        if result.accepted is None or bool(result.accepted):
            try:
                return Sent(unpack(np.packbits(np.asarray(result.bits)).tobytes()), tried, used)
            except ValueError:
                continue
    return Sent(None, tried, used)


# --- pictures as files -----------------------------------------------------------------------------------------------


def _encoder(codec: str) -> Callable[[np.ndarray, int], bytes]:
    return {
        "jpeg": jpeg,
        "scan": lambda picture, quality: jpeg(picture, quality, optimise=False),
        "webp": webp,
        "avif": avif,
    }[one_of("codec", codec, CODECS)]


@checked
def rows_of(picture: Any, least: int = 1) -> np.ndarray:
    """A picture as codecs take it, colours last.

    Parameters
    ----------
    picture : array_like
        ``[3, rows, columns]`` in [0, 1].
    least : int
        Rows and columns that it must have.

    Returns
    -------
    numpy.ndarray
        Float64 ``[rows, columns, 3]``.

    Raises
    ------
    ValueError
        If ``picture`` is none, or too small.
    """
    array = finite_array("picture", picture)
    if array.ndim != 3 or array.shape[0] != 3 or min(array.shape[1:]) < least or array.min() < 0 or array.max() > 1:
        raise ValueError(
            f"picture must be [3, rows, columns] in [0, 1], at least {least} each way, got shape {array.shape}"
        )
    return array.transpose(1, 2, 0)


@checked
def file_size(file: bytes, codec: str) -> int:
    """Bytes of a file that have to be sent.

    Parameters
    ----------
    file : bytes
    codec : str
        One of :data:`CODECS`.

    Returns
    -------
    int
        Its length; for ``scan`` without the header, and with a byte for the quality, from which the header follows.

    Raises
    ------
    ValueError
        If ``codec`` is unknown, or ``file`` is no JPEG file where it should be one.
    """
    return 1 + len(jpeg_parts(file)[1]) if one_of("codec", codec, CODECS) == "scan" else len(file)


@checked
def psnr_db(one: Any, other: Any) -> float:
    """Peak signal-to-noise ratio of two pictures, dB, at most that of a rounding to 8 bits.

    Parameters
    ----------
    one, other : array_like
        Of one shape, in [0, 1].

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If they are none, or of two shapes.
    """
    first, second = finite_array("one", one), finite_array("other", other)
    if first.shape != second.shape or not first.size or max(np.abs(first).max(), np.abs(second).max()) > 1 + 1e-6:
        raise ValueError(f"one and other must be of one shape, in [0, 1], got {first.shape} and {second.shape}")
    error = float(np.mean((first - second) ** 2))
    return float(-10 * np.log10(max(error, 1 / 255**2 / 12)))


@checked
def smallest_file(picture: Any, codec: str, least_db: float) -> bytes:
    """The smallest file of a picture that is good enough, its quality in steps of three.

    Parameters
    ----------
    picture : array_like
        ``[3, rows, columns]`` in [0, 1].
    codec : str
        One of :data:`CODECS`.
    least_db : float
        PSNR that it must reach, dB.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If no quality reaches it, or an argument is none of these.
    """
    rows, encode = rows_of(picture), _encoder(codec)
    real_number("least_db", least_db)
    for quality in range(2, 96, 3):
        file = encode(rows, quality)
        if psnr_db(decoded(file), rows) >= least_db:
            return file
    raise ValueError(f"least_db must be within reach of {codec}, got {least_db:g}")


@checked
def squeezed(picture: Any, limit: int) -> tuple[np.ndarray, int, str]:
    """What a picture codec makes of a picture in as few bytes as a prompt takes: a thumbnail, made large again.

    Tried are thumbnails of 1 to 5 pixels a side as they are, and of 8 to 64 pixels a side as JPEG without its header
    and as WebP; kept is what has the highest PSNR after interpolation.

    Parameters
    ----------
    picture : array_like
        ``[3, rows, columns]`` in [0, 1].
    limit : int
        Bytes that may be sent, at least 3: one pixel.

    Returns
    -------
    picture : numpy.ndarray
        Float64, of the shape of ``picture``.
    size : int
        Bytes that it takes; how it is written is taken to be agreed.
    how : str
        ``"raw"``, ``"scan"`` or ``"webp"`` and the side of the thumbnail.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    rows = rows_of(picture)
    positive_integer("limit", limit, low=3)
    size, large, how = [one for one in _thumbnails(rows.tobytes(), rows.shape) if one[0] <= limit][-1]
    return large.transpose(2, 0, 1) / 255, size, how


@lru_cache(maxsize=128)
def _thumbnails(data: bytes, shape: tuple[int, ...]) -> tuple[tuple[int, np.ndarray, str], ...]:
    """All thumbnails of a picture that no smaller one surpasses, the smallest first: bytes, what is shown, and how."""
    from PIL import Image

    rows = np.frombuffer(data).reshape(shape)
    whole = Image.fromarray(np.round(255 * rows).astype(np.uint8))
    offers: list[tuple[int, float, np.ndarray, str]] = []

    def offer(small: np.ndarray, size: int, how: str) -> None:
        image = Image.fromarray(np.round(255 * small).astype(np.uint8))
        large = np.asarray(image.resize(whole.size, Image.Resampling.BICUBIC))
        offers.append((size, psnr_db(large / 255, rows), large, how))

    for side in range(1, 6):
        offer(np.asarray(whole.resize((side, side), Image.Resampling.BOX), float) / 255, 3 * side**2, f"raw {side}")
    for side in (8, 16, 24, 32, 48, 64):
        small = np.asarray(whole.resize((side, side), Image.Resampling.LANCZOS), float) / 255
        for codec in ("scan", "webp"):
            for quality in (1, 3, 6, 10, 15, 22, 30, 40, 50, 62, 75, 85, 95):
                file = _encoder(codec)(small, quality)
                offer(decoded(file), file_size(file, codec), f"{codec} {side}")
    front: list[tuple[int, float, np.ndarray, str]] = []
    for one in sorted(offers, key=lambda one: (one[0], -one[1])):
        if not front or one[1] > front[-1][1]:
            front.append(one)
    return tuple((size, large, how) for size, _, large, how in front)


@checked
def file_over_link(
    picture: Any, link: DigitalLink, snr_db: float, generator: torch.Generator, *, quality: int = JPEG_QUALITY
) -> tuple[np.ndarray, int]:
    """Send a picture as a JPEG file once; what does not arrive stays grey.

    Parameters
    ----------
    picture : array_like
        ``[3, rows, columns]`` in [0, 1].
    link : DigitalLink
    snr_db : float
        Es/N0 per complex channel use, dB.
    generator : torch.Generator
        Draws fading and noise.
    quality : int
        Of JPEG, 1 to 95.

    Returns
    -------
    picture : numpy.ndarray
        Float64, of the shape of ``picture``.
    channel_uses : int

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    from semcom_utils.semantic.codecs import picture_from

    rows = rows_of(picture)
    arrived, result = link.send_file(jpeg(rows, quality), snr_db, generator)
    return picture_from(arrived, rows.shape).transpose(2, 0, 1), result.channel_uses
