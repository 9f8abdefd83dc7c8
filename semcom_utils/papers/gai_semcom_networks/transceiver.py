"""The generative transceiver of section IV-D and its two rivals: what each sends, and what each makes of what arrives.

*Generative*: a picture becomes two prompts. The visual prompt is the noise from which deterministic sampling under the
textual prompt leads to the picture (DDIM inversion; Song et al., 2021), rounded to a few bits a number. The textual
prompt is the captioner's. *Classical*: the learned joint code of :mod:`semcom_utils.generation.jscc`, its symbols
repeated where channel uses are to spare. *Traditional*: JPEG over a channel code. All of it on the mini models.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.stats import norm

from semcom_utils import toyworld
from semcom_utils.checks import (
    checked,
    finite_array,
    one_of,
    plain_array,
    positive_integer,
    real_number,
    torch_generator,
)
from semcom_utils.effectiveness.picture_metrics import raw_metric
from semcom_utils.generation import Judge, load
from semcom_utils.generation.jscc import CHANNELS, DeepJscc, carry
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.generation.samplers import sample, timesteps
from semcom_utils.semantic.codecs import QUALITIES, jpeg

__all__ = [
    "MOST_BITS",
    "QUALITY_BITS",
    "STEPS",
    "WORD_BITS",
    "draw",
    "from_planes",
    "invert",
    "lloyd_max",
    "models",
    "repeated",
    "scan_that_fits",
    "score",
    "text_from_bits",
    "text_to_bits",
    "to_planes",
]

#: Denoising steps, of the inversion and of the drawing.
STEPS = 10
#: Most bits to which a number of the visual prompt is rounded.
MOST_BITS = 4
#: Bits of a word of the textual prompt: its place in the toy world's vocabulary.
WORD_BITS = math.ceil(math.log2(len(toyworld.VOCABULARY)))
#: Bits that name a JPEG quality where both ends know the headers.
QUALITY_BITS = 7


@lru_cache(maxsize=1)
def models() -> dict[str, Any]:
    """The mini models of the three systems and of those who judge them, on the CPU.

    Returns
    -------
    dict
        ``text-to-image``, ``captioner``, ``clip`` and ``jscc`` as :func:`.loading.load` gives them, and ``judge``.
    """
    named = {
        role: load(role, device="cpu", unknown_words="ignore" if role in ("text-to-image", "clip") else "warn")
        for role in ("text-to-image", "captioner", "clip", "jscc")
    }
    named["judge"] = Judge(load("detector", device="cpu"))
    return named


# --- the visual prompt -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _cells(bits: int) -> tuple[np.ndarray, np.ndarray]:
    levels = norm.ppf((np.arange(2**bits) + 0.5) / 2**bits)
    for _ in range(2000):  # Lloyd (1982): edges half-way between levels, levels at the means of their cells
        edges = np.concatenate([[-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]])
        levels = _means(edges)
    return edges, levels


def _means(edges: np.ndarray) -> np.ndarray:
    """Mean of a standard normal within each cell."""
    return -np.diff(norm.pdf(edges)) / np.diff(norm.cdf(edges))


@checked
def lloyd_max(bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The quantiser of a standard normal with the least mean squared error.

    Parameters
    ----------
    bits : int
        From 1 to :data:`MOST_BITS`.

    Returns
    -------
    edges, levels : numpy.ndarray
        ``[2**bits + 1]``, from minus to plus infinity, and ``[2**bits]``.

    Raises
    ------
    ValueError
        If ``bits`` is none of these.

    References
    ----------
    S. P. Lloyd, "Least squares quantization in PCM", 1982; J. Max, "Quantizing for minimum distortion", 1960.

    Examples
    --------
    >>> np.round(lloyd_max(2)[1], 3).tolist()
    [-1.51, -0.453, 0.453, 1.51]
    """
    one_of("bits", positive_integer("bits", bits), range(1, MOST_BITS + 1))
    edges, levels = _cells(bits)
    return edges.copy(), levels.copy()


@checked
def to_planes(z: np.ndarray, bits: int) -> np.ndarray:
    """Numbers as planes of bits, the heaviest first: the first is the sign, each further one halves the cells.

    Parameters
    ----------
    z : numpy.ndarray, ``[batch, ...]``
        Standard normal, more or less.
    bits : int
        Of a number, as for :func:`lloyd_max`.

    Returns
    -------
    numpy.ndarray
        uint8, ``[batch, bits, numbers]``.

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> to_planes(np.array([[-2.0, 0.1]]), 2).tolist()
    [[[0, 1], [0, 0]]]
    """
    numbers = finite_array("z", z)
    if numbers.ndim < 2 or not numbers.size:
        raise ValueError(f"z must be [batch, numbers...], one number at least, got shape {numbers.shape}")
    edges, _ = lloyd_max(bits)
    place = np.searchsorted(edges[1:-1], numbers.reshape(len(numbers), 1, -1), side="right")
    return ((place >> np.arange(bits - 1, -1, -1)[None, :, None]) & 1).astype(np.uint8)


@checked
def from_planes(planes: np.ndarray, bits: int) -> np.ndarray:
    """The numbers that planes of bits stand for, or the best guess from the heaviest of them.

    Parameters
    ----------
    planes : numpy.ndarray, ``[batch, k, numbers]``
        Bits; the k heaviest planes, 1 to ``bits``.
    bits : int
        Of a number at the sender.

    Returns
    -------
    numpy.ndarray
        float64, ``[batch, numbers]``: the mean of a standard normal, given the bits.

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> np.round(from_planes(np.array([[[0, 1]]]), 2), 3).tolist()  # signs alone
    [[-0.798, 0.798]]
    """
    edges, _ = lloyd_max(bits)
    array = plain_array("planes", planes, booleans=True)
    if array.ndim != 3 or not array.size or not 1 <= array.shape[1] <= bits or not np.isin(array, (0, 1)).all():
        raise ValueError(f"planes must be 0 and 1, [batch, 1 to {bits}, numbers], got shape {array.shape}")
    known = array.shape[1]
    weights = 2 ** np.arange(known - 1, -1, -1)
    place = (array.astype(int) * weights[None, :, None]).sum(1)
    return _means(edges[:: 2 ** (bits - known)])[place]


def _denoiser(denoiser: object, z: torch.Tensor, name: str, steps: int) -> PromptedDenoiser:
    if not isinstance(denoiser, PromptedDenoiser):
        raise ValueError(f"denoiser must be a PromptedDenoiser, got {denoiser!r:.80}")
    if not z.is_floating_point() or tuple(z.shape[1:]) != denoiser.shape or len(z) != len(denoiser):
        form = ", ".join(map(str, denoiser.shape))
        raise ValueError(f"{name} must be floating-point [{len(denoiser)}, {form}], got {z.dtype} {tuple(z.shape)}")
    if positive_integer("steps", steps) > len(denoiser.alpha_bar):
        raise ValueError(f"steps must be at most {len(denoiser.alpha_bar)}, got {steps}")
    return denoiser


@torch.no_grad()
@checked
def invert(denoiser: PromptedDenoiser, z_0: torch.Tensor, steps: int = STEPS, rounds: int = 1) -> torch.Tensor:
    r"""The noise from which deterministic sampling leads to a latent: each DDIM step solved for its start.

    A step from :math:`\bar\alpha_t` to :math:`\bar\alpha_s` is linear in the state and in what the network says,
    :math:`z_s = a z_t + b v(z_t)` with :math:`a = \cos(\varphi_t - \varphi_s)`, :math:`b = -\sin(\varphi_t -
    \varphi_s)` and :math:`\cos\varphi = \sqrt{\bar\alpha}`; so :math:`z_t \leftarrow (z_s - b v(z_t)) / a`, begun at
    :math:`z_s`, has the start of the step as its fixed point.

    Parameters
    ----------
    denoiser : PromptedDenoiser
        Under the textual prompts.
    z_0 : torch.Tensor
        Clean latents, one a prompt, ``[prompts, channels, rows, columns]``.
    steps : int
        Of the sampler that will lead back.
    rounds : int
        Iterations of a step; each asks the network once. One is what is commonly called DDIM inversion.

    Returns
    -------
    torch.Tensor
        z_T, of the shape of ``z_0``.

    Raises
    ------
    ValueError
        If an argument is not what it should be, or the network does not predict v.
    """
    _denoiser(denoiser, z_0, "z_0", steps)
    positive_integer("rounds", rounds)
    if denoiser.prediction != "v":
        raise ValueError(f"denoiser must predict v, it predicts {denoiser.prediction}")
    visited = timesteps(len(denoiser.alpha_bar), steps)
    angles = [math.acos(math.sqrt(float(denoiser.alpha_bar[t]))) for t in visited] + [0.0]
    z = z_0
    for i in reversed(range(steps)):
        turn, start = angles[i] - angles[i + 1], z
        for _ in range(rounds):
            start = (z + math.sin(turn) * denoiser.predict(start, visited[i])) / math.cos(turn)
        z = start
    return z


@torch.no_grad()
@checked
def draw(denoiser: PromptedDenoiser, z_T: torch.Tensor, steps: int = STEPS) -> torch.Tensor:
    """Pictures from visual prompts under textual ones, without chance.

    Parameters
    ----------
    denoiser : PromptedDenoiser
        Under the textual prompts that arrived.
    z_T : torch.Tensor
        ``[prompts, channels, rows, columns]``.
    steps : int
        Of the sampler.

    Returns
    -------
    torch.Tensor
        ``[prompts, 3, rows, columns]`` in [0, 1].

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    _denoiser(denoiser, z_T, "z_T", steps)
    return denoiser.decode(sample(denoiser, z_T, denoiser.alpha_bar, timesteps(len(denoiser.alpha_bar), steps)))


# --- the textual prompt ----------------------------------------------------------------------------------------------


@checked
def text_to_bits(caption: str) -> np.ndarray:
    """A caption as places in the vocabulary that both ends share, :data:`WORD_BITS` bits a word; a comma is one.

    Parameters
    ----------
    caption : str
        Of the toy world's words, one at least; a word that is none of them is left out.

    Returns
    -------
    numpy.ndarray
        uint8, ``[WORD_BITS · words]``.

    Raises
    ------
    ValueError
        If no word is left.

    Examples
    --------
    >>> len(text_to_bits("a red ball on sand")) // WORD_BITS
    5
    """
    words = [word for word in caption.lower().replace(",", " , ").split() if word in toyworld.VOCABULARY]
    if not words:
        raise ValueError(f"caption must have a word of the toy world's, got {caption!r:.80}")
    places = [list(toyworld.VOCABULARY).index(word) for word in words]
    return np.array([int(bit) for place in places for bit in f"{place:0{WORD_BITS}b}"], np.uint8)


@checked
def text_from_bits(bits: np.ndarray) -> str:
    """The words that bits stand for; a number that no word has is left out.

    Parameters
    ----------
    bits : numpy.ndarray, ``[WORD_BITS · words]``
        0 and 1.

    Returns
    -------
    str
        Possibly empty.

    Raises
    ------
    ValueError
        If ``bits`` are none, or no whole number of words.

    Examples
    --------
    >>> text_from_bits(text_to_bits("a red ball, a blue cube and a green cone"))
    'a red ball, a blue cube and a green cone'
    """
    array = plain_array("bits", bits, booleans=True)
    if array.ndim != 1 or not array.size or array.size % WORD_BITS or not np.isin(array, (0, 1)).all():
        raise ValueError(f"bits must be 0 and 1, a multiple of {WORD_BITS} of them, got shape {array.shape}")
    places = array.reshape(-1, WORD_BITS).astype(int) @ (2 ** np.arange(WORD_BITS - 1, -1, -1))
    words = list(toyworld.VOCABULARY)
    return " ".join(words[place] for place in places if place < len(words)).replace(" ,", ",")


# --- the rivals ------------------------------------------------------------------------------------------------------


@checked
def scan_that_fits(picture: np.ndarray, bits: int) -> tuple[bytes, bytes, int]:
    """The best JPEG whose entropy-coded part fits, with the standard's tables, so that both ends know the headers.

    Parameters
    ----------
    picture : numpy.ndarray, ``[height, width, 3]``
        In [0, 1].
    bits : int
        What the scan and the name of the quality (:data:`QUALITY_BITS` bits) may take.

    Returns
    -------
    header, scan : bytes
        Together a whole file.
    quality : int
        1 to 95.

    Raises
    ------
    ValueError
        If ``picture`` is none, or not even quality 1 fits.
    """
    positive_integer("bits", bits)
    for quality in reversed(QUALITIES):
        file = jpeg(picture, quality, optimise=False)
        start = file.index(b"\xff\xda") + 14  # behind the marker, its length of 12 bytes included
        if 8 * (len(file) - start) + QUALITY_BITS <= bits:
            return file[:start], file[start:], quality
    raise ValueError(f"bits must be enough for quality 1, {8 * (len(file) - start) + QUALITY_BITS}, got {bits}")


@torch.no_grad()
@checked
def repeated(
    model: DeepJscc, images: torch.Tensor, snr_db: float, channel: str, repeats: int, generator: torch.Generator
) -> torch.Tensor:
    """Pictures sent by the joint code, every symbol several times, the receptions added up by their SNRs.

    Parameters
    ----------
    model : DeepJscc
        The code.
    images : torch.Tensor
        ``[batch, 3, 64, 64]`` in [0, 1].
    snr_db : float
        Mean Es/N0 of one channel use, dB, from -50 to 100.
    channel : str
        One of :data:`.jscc.CHANNELS`; with block fading all repetitions have the picture's one gain.
    repeats : int
        How often each symbol is sent; told to both ends as so many times the SNR.
    generator : torch.Generator
        For noise and fading.

    Returns
    -------
    torch.Tensor
        ``[batch, 3, 64, 64]`` in [0, 1].

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    if not isinstance(model, DeepJscc):
        raise ValueError(f"model must be a DeepJscc, got {model!r:.80}")
    if images.ndim != 4 or not images.numel() or not bool(((images >= 0) & (images <= 1)).all()):
        raise ValueError(f"images must be pictures in [0, 1], [batch, 3, 64, 64], got {tuple(images.shape)}")
    one_of("channel", channel, CHANNELS)
    torch_generator("generator", generator)
    snr_db, n = real_number("snr_db", snr_db, low=-50.0, high=100.0), len(images)
    if positive_integer("repeats", repeats) > 1000:
        raise ValueError(f"repeats must be at most 1000, got {repeats}")
    mean = torch.full((n,), snr_db)
    symbols = model.encode(images, mean + 10 * math.log10(repeats), channel).repeat(1, repeats)
    received, known = carry(symbols, mean, channel, generator)
    share = (10 ** (known / 10)).expand(symbols.shape).reshape(n, repeats, -1)
    total = share.sum(1)
    combined = (share * received.reshape(n, repeats, -1)).sum(1) / total
    return model.decode(combined, 10 * total.log10()).clamp(0, 1)


# --- what comes out --------------------------------------------------------------------------------------------------


@checked
def score(
    pictures: torch.Tensor, originals: torch.Tensor, captions: list[str], labels: list[list[str]]
) -> dict[str, np.ndarray]:
    """How good pictures are, by three questions: the same picture? alike? the right things?

    Parameters
    ----------
    pictures, originals : torch.Tensor
        ``[batch, 3, rows, columns]`` in [0, 1].
    captions : list of str
        True ones.
    labels : list of list of str
        What is on each original.

    Returns
    -------
    dict of str to numpy.ndarray
        ``[batch]`` each: ``ssim`` to the original; ``similarity``, the mini CLIP's cosine of picture and caption;
        ``right``, whether the judge finds just these things.

    Raises
    ------
    ValueError
        If there is not one of each for every picture.
    """
    for name, shown in (("pictures", pictures), ("originals", originals)):
        if not (
            isinstance(shown, torch.Tensor)
            and shown.is_floating_point()
            and shown.ndim == 4
            and shown.shape[1:] == pictures.shape[1:]
            and shown.shape[1] == 3
            and bool(((shown >= 0) & (shown <= 1)).all())
        ):
            raise ValueError(f"{name} must be floating-point pictures [batch, 3, rows, columns] in [0, 1], of one size")
    for name, told in (("originals", originals), ("captions", captions), ("labels", labels)):
        if len(told) != len(pictures):
            raise ValueError(f"{name} must be one for each of {len(pictures)} pictures, got {len(told)}")
    named = models()
    right = named["judge"].right(pictures, labels).astype(float)
    alike = (named["clip"].images(pictures) * named["clip"].texts(captions)).sum(-1).numpy()
    ssim = [raw_metric("ssim", one, other) for one, other in zip(pictures.numpy(), originals.numpy(), strict=True)]
    return {"ssim": np.array(ssim), "similarity": alike.astype(float), "right": right}
