"""Latents as bits: an even quantiser for normal numbers, with as many bits for each number as the sender gives it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from semcom_utils.checks import checked, finite_array, plain_array, positive_integer

__all__ = ["MOST_BITS", "decode_latent", "encode_latent", "even_step", "shared_bits"]

#: Bits of a number at most; more changes no picture.
MOST_BITS = 8


@checked
def even_step(bits: int) -> float:
    """Step of the even quantiser that leaves the least mean squared error of a standard normal number.

    Parameters
    ----------
    bits : int
        From 1 to :data:`MOST_BITS`; the quantiser has 2^bits levels, half of them on either side of zero.

    Returns
    -------
    float
        Distance of the levels, in standard deviations.

    Raises
    ------
    ValueError
        If ``bits`` is none of those.

    References
    ----------
    J. Max, "Quantizing for minimum distortion", 1960.

    Examples
    --------
    >>> round(even_step(1), 3), round(even_step(2), 3)
    (1.596, 0.996)
    """
    if positive_integer("bits", bits) > MOST_BITS:
        raise ValueError(f"bits must be at most {MOST_BITS}, got {bits}")
    return _even_step(bits)


@lru_cache(maxsize=MOST_BITS)
def _even_step(bits: int) -> float:
    from scipy.optimize import minimize_scalar

    x = np.linspace(-8, 8, 40_001)
    weight = np.exp(-x * x / 2)

    def error(step: float) -> float:
        return float((weight * (x - _level(x, step, bits)) ** 2).sum() / weight.sum())

    return float(minimize_scalar(error, bounds=(6 / 2**bits / 2, 16 / 2**bits), method="bounded").x)


def _place(x: np.ndarray, step: float | np.ndarray, bits: int | np.ndarray) -> np.ndarray:
    half = 2.0 ** (np.asarray(bits) - 1)
    return np.clip(np.floor(x / step), -half, half - 1)


def _level(x: np.ndarray, step: float | np.ndarray, bits: int | np.ndarray) -> np.ndarray:
    return (_place(x, step, bits) + 0.5) * step


@checked
def shared_bits(payload: int, weights: np.ndarray) -> np.ndarray:
    """Share out a payload among numbers as evenly as whole bits allow, some first.

    Parameters
    ----------
    payload : int
        Bits in all, at least 0; what is above :data:`MOST_BITS` for each number stays unused.
    weights : numpy.ndarray
        ``[numbers]``, at least 0: how many bits more than the fewest a number gets while there are enough. Equal
        weights share evenly.

    Returns
    -------
    numpy.ndarray of int
        ``[numbers]``, from 0 to :data:`MOST_BITS`; their sum is at most ``payload``.

    Raises
    ------
    ValueError
        If an argument is none of the above.

    Examples
    --------
    >>> shared_bits(7, np.zeros(3)).tolist(), shared_bits(7, np.array([0, 3, 0])).tolist()
    ([3, 2, 2], [2, 4, 1])
    """
    more = finite_array("weights", weights, low=0.0)
    if more.ndim != 1 or not more.size:
        raise ValueError(f"weights must be one number for each, got shape {more.shape}")
    left = min(positive_integer("payload", payload, low=0), MOST_BITS * more.size)
    bits = np.zeros(more.size, dtype=int)
    # A level is poured in: the k-th bit of a number comes when the level reaches k less what it is ahead.
    order = np.argsort([k - ahead for ahead in more for k in range(1, MOST_BITS + 1)], kind="stable")
    np.add.at(bits, order[:left] // MOST_BITS, 1)
    return bits


@checked
def encode_latent(latent: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Write a latent down.

    Parameters
    ----------
    latent : numpy.ndarray
        Of any shape, of about unit power.
    bits : numpy.ndarray of int
        Of the same number of elements: bits of each, from 0 to :data:`MOST_BITS`.

    Returns
    -------
    numpy.ndarray
        ``[sum of bits]``, each 0 or 1.

    Raises
    ------
    ValueError
        If ``bits`` are none of those, or not as many as numbers.
    """
    x = finite_array("latent", latent).ravel()
    each = _bits(bits)
    if each.size != x.size:
        raise ValueError(f"bits must be as many as numbers of latent, {x.size}, got {each.size}")
    steps = np.array([1.0, *(even_step(b) for b in range(1, MOST_BITS + 1))])[each]
    place = np.where(each > 0, _place(x, steps, np.maximum(each, 1)) + 2.0 ** (each - 1), 0).astype(int)
    digits = (place[:, None] >> np.arange(MOST_BITS - 1, -1, -1)) & 1
    return digits[np.arange(MOST_BITS) >= MOST_BITS - each[:, None]].astype(np.uint8)


@checked
def decode_latent(message: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Read a latent back.

    Parameters
    ----------
    message : numpy.ndarray
        ``[sum of bits]``, each 0 or 1, as :func:`encode_latent` writes it.
    bits : numpy.ndarray of int
        As the sender shared them out.

    Returns
    -------
    numpy.ndarray
        ``[numbers]``; 0 for one without bits.

    Raises
    ------
    ValueError
        If ``message`` has not as many bits as ``bits`` says, or other values than 0 and 1.

    Examples
    --------
    >>> bits = np.array([2, 0, 4])
    >>> decode_latent(encode_latent(np.array([0.4, 1.0, -1.0]), bits), bits).round(2)
    array([ 0.5 ,  0.  , -0.84])
    """
    each, sent = _bits(bits), plain_array("message", message, booleans=True).ravel()
    if sent.size != each.sum():
        raise ValueError(f"message must have {each.sum()} bits, got {sent.size}")
    if not np.isin(sent, (0, 1)).all():
        raise ValueError("message must hold 0 and 1 alone, got other values")
    digits = np.zeros((each.size, MOST_BITS), dtype=int)
    digits[np.arange(MOST_BITS) >= MOST_BITS - each[:, None]] = sent
    place = digits @ (1 << np.arange(MOST_BITS - 1, -1, -1))
    steps = np.array([1.0, *(even_step(b) for b in range(1, MOST_BITS + 1))])[each]
    return np.where(each > 0, (place - 2.0 ** (each - 1) + 0.5) * steps, 0.0)


def _bits(bits: np.ndarray) -> np.ndarray:
    each = plain_array("bits", bits).ravel()
    if not each.size or each.dtype.kind not in "iu" or each.min() < 0 or each.max() > MOST_BITS:
        raise ValueError(f"bits must be whole numbers from 0 to {MOST_BITS}, got {bits!r:.80}")
    return each.astype(int)
