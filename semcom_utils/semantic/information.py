r"""Semantic information on finite sets: entropy of meanings beside entropy of wordings, capacities, and a real coder.

A *wording* x is what is sent, a *meaning* :math:`m = g(x)` is what it says; several wordings may share one meaning.
All information is in bits. The chapter "Semantic information" derives what is used here.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import entr, rel_entr

from semcom_utils.checks import checked, finite_array, positive_integer, real_number

__all__ = [
    "arithmetic_decode",
    "arithmetic_encode",
    "channel_capacity",
    "entropy",
    "huffman_lengths",
    "meaning_capacity",
    "mutual_information",
    "semantic_entropy",
    "similarity_entropy",
]

_LOG2E = 1.0 / np.log(2.0)


def _distribution(name: str, value: object) -> np.ndarray:
    p = finite_array(name, value, low=0.0)
    if p.ndim == 0 or abs(p.sum() - 1.0) > 1e-9:
        raise ValueError(f"{name} must be probabilities that sum to 1, got a sum of {p.sum():.6g}")
    return p


def _channel(value: object) -> np.ndarray:
    channel = finite_array("channel", value, low=0.0)
    if channel.ndim != 2 or not channel.size or np.abs(channel.sum(1) - 1.0).max() > 1e-9:
        raise ValueError(
            f"channel must be a matrix whose rows sum to 1, got shape {channel.shape} with row sums "
            f"{np.unique(np.round(channel.sum(-1), 6))}"
        )
    return channel


def _meanings(value: object, n: int) -> np.ndarray:
    meanings = np.asarray(value)
    if meanings.shape != (n,) or meanings.dtype.kind not in "iu" or (n and meanings.min() < 0):
        raise ValueError(f"meanings must be {n} whole numbers of at least 0, one for each wording, got {value!r}")
    return meanings


@checked
def entropy(p: ArrayLike) -> float:
    r"""Shannon's entropy, :math:`H = -\sum_i p_i \log_2 p_i`, in bits.

    Parameters
    ----------
    p : array_like
        Probabilities, of any shape; a joint distribution gives the joint entropy.

    Returns
    -------
    float
        Bits.

    Raises
    ------
    ValueError
        If ``p`` has a negative element or does not sum to 1.

    References
    ----------
    C. E. Shannon, "A mathematical theory of communication", 1948, section 6.

    Examples
    --------
    >>> round(entropy([0.5, 0.25, 0.25]), 6)
    1.5
    """
    return float(entr(_distribution("p", p)).sum() * _LOG2E)


@checked
def mutual_information(joint: ArrayLike) -> float:
    r"""Mutual information :math:`I(A; B) = H(A) + H(B) - H(A, B)` of a joint distribution ``[a, b]``, in bits.

    The conditional entropy is :math:`H(A \mid B) = H(A) - I(A; B)`.

    Parameters
    ----------
    joint : array_like, ``[a, b]``
        Probability of each pair.

    Returns
    -------
    float
        Bits.

    Raises
    ------
    ValueError
        If ``joint`` is no matrix of probabilities that sum to 1.
    """
    joint = _distribution("joint", joint)
    if joint.ndim != 2:
        raise ValueError(f"joint must be a matrix, got shape {joint.shape}")
    return float(rel_entr(joint, np.outer(joint.sum(1), joint.sum(0))).sum() * _LOG2E)


@checked
def semantic_entropy(p: ArrayLike, meanings: ArrayLike) -> float:
    r"""Entropy of what is said, :math:`H(M)` with :math:`p(m) = \sum_{x: g(x) = m} p(x)`, in bits.

    Parameters
    ----------
    p : array_like, ``[wordings]``
        Probabilities of the wordings.
    meanings : array_like of int, ``[wordings]``
        The meaning of each, :math:`g(x)`, counted from 0.

    Returns
    -------
    float
        Bits.

    Raises
    ------
    ValueError
        If ``p`` is no distribution, or ``meanings`` does not give each wording one meaning.

    Examples
    --------
    >>> round(semantic_entropy([0.25, 0.25, 0.5], [0, 0, 1]), 6)  # the first two say the same
    1.0
    """
    p = _distribution("p", p)
    return entropy(np.bincount(_meanings(meanings, len(p)), p))


@checked
def similarity_entropy(p: ArrayLike, similarity: ArrayLike) -> float:
    r"""Entropy that counts likeness, :math:`H_Z = -\sum_i p_i \log_2 (Z p)_i`, in bits.

    With :math:`Z = I` it is Shannon's entropy; where :math:`Z_{ij}` is 1 for wordings of one meaning and 0
    otherwise, it is :func:`semantic_entropy`.

    Parameters
    ----------
    p : array_like, ``[n]``
        Probabilities.
    similarity : array_like, ``[n, n]``
        Likeness of each pair in [0, 1], 1 on the diagonal.

    Returns
    -------
    float
        Bits.

    Raises
    ------
    ValueError
        If ``p`` is no distribution or ``similarity`` is not such a matrix.

    References
    ----------
    T. Leinster, C. A. Cobbold, "Measuring diversity: the importance of species similarity", 2012 (order 1).
    """
    p = _distribution("p", p)
    z = finite_array("similarity", similarity, low=0.0)
    if z.shape != (len(p), len(p)) or (z > 1).any() or not np.all(np.diag(z) == 1):
        raise ValueError(
            f"similarity must be a {len(p)} by {len(p)} matrix in [0, 1] with ones on its diagonal, got shape {z.shape}"
        )
    here = p > 0
    return float(-(p[here] * np.log2((z @ p)[here])).sum())


@checked
def channel_capacity(channel: ArrayLike, tolerance: float = 1e-9, max_steps: int = 100_000) -> tuple[float, np.ndarray]:
    r"""Capacity of a discrete memoryless channel, :math:`C = \max_{p(x)} I(X; Y)`, by Blahut and Arimoto's iteration.

    Each step weighs an input by how much it tells, :math:`p(x) \leftarrow p(x)\, 2^{D(x)} / \sum`, with
    :math:`D(x) = \sum_y p(y|x) \log_2 \frac{p(y|x)}{p(y)}`. The capacity always lies between
    :math:`\log_2 \sum_x p(x) 2^{D(x)}` and :math:`\max_x D(x)`, which tells when to stop.

    Parameters
    ----------
    channel : array_like, ``[inputs, outputs]``
        :math:`p(y \mid x)`; rows sum to 1.
    tolerance : float
        Largest distance from the capacity, in bits.
    max_steps : int
        Steps after which it gives up.

    Returns
    -------
    float, numpy.ndarray
        Capacity in bits per use (a lower bound within ``tolerance``), and the input distribution that reaches it.

    Raises
    ------
    ValueError
        If ``channel`` is no such matrix or ``tolerance`` is not above 0.
    RuntimeError
        If ``max_steps`` do not suffice.

    References
    ----------
    R. E. Blahut, "Computation of channel capacity and rate-distortion functions", 1972.
    """
    channel = _channel(channel)
    real_number("tolerance", tolerance, low=0.0, low_open=True)
    p = np.full(len(channel), 1.0 / len(channel))
    for _ in range(positive_integer("max_steps", max_steps)):
        divergence = rel_entr(channel, p @ channel).sum(1) * _LOG2E
        weight = p * np.exp2(divergence)
        low = float(np.log2(weight.sum()))
        if divergence.max() - low <= tolerance:
            return max(low, 0.0), p
        p = weight / weight.sum()
    left = divergence.max() - low
    raise RuntimeError(f"no convergence to {tolerance:g} bit in {max_steps} steps; {left:.2g} is left")


@checked
def meaning_capacity(channel: ArrayLike, meanings: ArrayLike, *, shortcut: bool = True) -> tuple[float, np.ndarray]:
    r"""Highest rate at which meanings can arrive reliably over a channel that carries wordings.

    .. math:: C_M = \max_{p(x)} \min\{ I(X; Y),\; H(g(X)) \}

    A message is a sequence of meanings, so there are no more messages than such sequences: the second term. The
    encoder may choose the wordings of a whole sequence together, so that synonyms serve as redundancy: the first.
    With a one-to-one map it is Shannon's capacity.

    Parameters
    ----------
    channel : array_like, ``[wordings, outputs]``
        :math:`p(y \mid x)`; rows sum to 1.
    meanings : array_like of int, ``[wordings]``
        The meaning of each wording, :math:`g(x)`, counted from 0.
    shortcut : bool
        Return Shannon's capacity at once where the second term does not bind. Without it the optimiser always runs,
        so that it can be checked against Shannon's.

    Returns
    -------
    float, numpy.ndarray
        Bits per use, and the distribution of wordings that reaches it.

    Raises
    ------
    ValueError
        If ``channel`` or ``meanings`` is malformed.
    RuntimeError
        If the optimiser fails.
    """
    channel = _channel(channel)
    g = _meanings(meanings, len(channel))
    shannon, start = channel_capacity(channel)
    if shortcut and semantic_entropy(start, g) >= shannon:
        return shannon, start  # the second term does not bind
    indicator = np.eye(g.max() + 1)[g]

    def both(p: np.ndarray) -> np.ndarray:
        p = np.clip(p, 0, None) / np.clip(p, 0, None).sum()
        information = p @ (rel_entr(channel, p @ channel).sum(1)) * _LOG2E
        return np.array([information, entr(p @ indicator).sum() * _LOG2E])

    # Both terms are concave in p, so the greatest t below both is found by any local method.
    groups = indicator / indicator.sum(0)
    first = groups.sum(1) / groups.sum()
    result = minimize(
        lambda v: -v[-1], np.append(first, both(first).min()), method="SLSQP",
        bounds=[(1e-12, 1.0)] * len(g) + [(0.0, None)], options={"ftol": 1e-12, "maxiter": 1000},
        constraints=[{"type": "eq", "fun": lambda v: v[:-1].sum() - 1.0},
                     {"type": "ineq", "fun": lambda v: both(v[:-1]) - v[-1]}],
    )  # fmt: skip
    if not result.success:
        raise RuntimeError(f"the optimiser stopped: {result.message}")
    p = result.x[:-1] / result.x[:-1].sum()
    return float(both(p).min()), p


@checked
def huffman_lengths(p: ArrayLike) -> np.ndarray:
    """Length in bits of each codeword of Huffman's code, the best code that sends one symbol at a time.

    Parameters
    ----------
    p : array_like, ``[symbols]``
        Probabilities, at least two. The mean length lies within one bit above the entropy.

    Returns
    -------
    numpy.ndarray
        int, ``[symbols]``.

    Raises
    ------
    ValueError
        If ``p`` is no distribution over at least two symbols.

    References
    ----------
    D. A. Huffman, "A method for the construction of minimum-redundancy codes", 1952.

    Examples
    --------
    >>> huffman_lengths([0.5, 0.25, 0.25])
    array([1, 2, 2])
    """
    p = _distribution("p", p)
    if p.ndim != 1 or len(p) < 2:
        raise ValueError(f"p must be a vector of at least two probabilities, got shape {p.shape}")
    heap = [(float(q), i, [i]) for i, q in enumerate(p)]  # weight, tie-breaker, the symbols below
    heapq.heapify(heap)
    length = np.zeros(len(p), int)
    while len(heap) > 1:
        (a, i, left), (b, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        length[left + right] += 1
        heapq.heappush(heap, (a + b, i, left + right))
    return length


def _tables(frequencies: object, n: int) -> np.ndarray:
    table = np.asarray(frequencies)
    if table.ndim not in (1, 2) or table.dtype.kind not in "iu" or (table < 0).any() or (table.sum(-1) < 1).any():
        raise ValueError(
            "frequencies must be whole numbers of at least 0 that are not all 0, [symbols] or "
            f"[messages, symbols], got {type(frequencies).__name__} of shape {table.shape}"
        )
    if table.ndim == 2 and len(table) != n:
        raise ValueError(f"frequencies must have one row for each of the {n} messages, got {len(table)}")
    return np.concatenate([np.zeros((*table.shape[:-1], 1), table.dtype), table.cumsum(-1)], -1)


@checked
def arithmetic_encode(symbols: ArrayLike, frequencies: ArrayLike) -> str:
    r"""Code a sequence as one binary number: at most two bits longer than :math:`-\log_2` of its probability.

    The sequence owns an interval of [0, 1) as long as its probability; the code is the shortest binary fraction whose
    own interval lies inside. All is done in whole numbers of any size, so nothing is rounded; time grows with the
    square of the length, so cut long sequences into blocks of some hundred.

    Parameters
    ----------
    symbols : array_like of int, ``[messages]``
        Each at least 0 and below the number of symbols.
    frequencies : array_like of int, ``[symbols]`` or ``[messages, symbols]``
        Counts that the probabilities are proportional to, for all messages or for each its own.

    Returns
    -------
    str
        Zeros and ones.

    Raises
    ------
    ValueError
        If ``frequencies`` is malformed, or a symbol is out of range or has frequency 0.

    References
    ----------
    J. Rissanen, "Generalized Kraft inequality and arithmetic coding", 1976.

    Examples
    --------
    >>> code = arithmetic_encode([0, 0, 0, 1, 0, 0, 0, 0], frequencies=[7, 1])
    >>> len(code), arithmetic_decode(code, 8, [7, 1]).tolist()
    (5, [0, 0, 0, 1, 0, 0, 0, 0])
    """
    symbols = np.asarray(symbols)
    if symbols.ndim != 1 or symbols.dtype.kind not in "iu":
        raise ValueError(f"symbols must be a sequence of whole numbers, got {symbols.dtype} of shape {symbols.shape}")
    upto = _tables(frequencies, len(symbols))
    low, width, total = 0, 1, 1  # the interval is [low, low + width) / total
    for i, s in enumerate(symbols.tolist()):
        row = upto[i] if upto.ndim == 2 else upto
        if not 0 <= s < len(row) - 1 or row[s + 1] == row[s]:
            raise ValueError(f"symbols must be below {len(row) - 1} and of frequency above 0, got {s} at {i}")
        low, total = low * int(row[-1]) + width * int(row[s]), total * int(row[-1])
        width *= int(row[s + 1] - row[s])
    bits = 0
    while True:  # the least number of bits for which some [k, k + 1) / 2^bits fits; two tries at most
        bits = max(bits + 1, total.bit_length() - width.bit_length())
        k = -((-low << bits) // total)
        if (k + 1) * total <= (low + width) << bits:
            return f"{k:0{bits}b}"


@checked
def arithmetic_decode(code: str, n: int, frequencies: ArrayLike) -> np.ndarray:
    """Undo :func:`arithmetic_encode`.

    Parameters
    ----------
    code : str
        Zeros and ones.
    n : int
        Number of messages.
    frequencies : array_like of int
        What the encoder used. With others the result is wrong, and nothing tells.

    Returns
    -------
    numpy.ndarray
        int, ``[n]``.

    Raises
    ------
    ValueError
        If ``code`` holds anything else than zeros and ones, or ``n`` or ``frequencies`` is malformed.
    """
    n = positive_integer("n", n)
    if not isinstance(code, str) or not code or set(code) - {"0", "1"}:
        raise ValueError(f"code must be a text of zeros and ones, got {code!r:.40}")
    upto = _tables(frequencies, n)
    point, width = int(code, 2), 1  # the point relative to the interval's low end, in the interval's own unit
    scale, out = len(code), np.empty(n, int)
    for i in range(n):
        row = upto[i] if upto.ndim == 2 else upto
        point *= int(row[-1])
        out[i] = s = int(np.searchsorted(row, min(point // (width << scale), int(row[-1]) - 1), side="right")) - 1
        point -= (width * int(row[s])) << scale
        width *= int(row[s + 1] - row[s])
    return out
