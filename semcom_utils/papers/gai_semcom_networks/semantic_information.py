"""The study behind the chapter "Semantic information" (IV-A of the survey).

A grammar of scenes whose every probability is a fraction of whole numbers, so that entropies are exact; an arithmetic
coder with and without shared knowledge; and linear codes over a channel that carries wordings of which sometimes only
the meaning is heard. It takes about one and a half minutes on one core.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from scipy.special import entr

from semcom_utils.checks import checked, one_of, positive_integer, real_number
from semcom_utils.semantic.information import (
    arithmetic_decode,
    arithmetic_encode,
    channel_capacity,
    entropy,
    huffman_lengths,
    meaning_capacity,
    mutual_information,
    semantic_entropy,
)
from semcom_utils.statistics import share_interval, student_interval
from semcom_utils.studies import Study

__all__ = [
    "CONTEXTS",
    "STUDIES",
    "UNEVEN",
    "WORDS",
    "capacity_run",
    "code_block",
    "entropy_run",
    "knowledge_run",
    "partly_heard",
    "scene_frequencies",
    "scenes",
    "sentences",
    "uneven_by_grid",
]

#: For each attribute its values, and for each value its words with how often (of ten) each is chosen.
WORDS = {
    "colour": {
        "red": {"red": 6, "crimson": 2, "scarlet": 2},
        "green": {"green": 7, "emerald": 3},
        "blue": {"blue": 7, "azure": 3},
    },
    "kind": {
        "circle": {"circle": 5, "disc": 3, "round": 2},
        "square": {"square": 6, "box": 4},
        "triangle": {"triangle": 10},
    },
    "size": {"small": {"small": 5, "little": 3, "tiny": 2}, "large": {"large": 6, "big": 4}},
    "place": {"left": {"left": 10}, "centre": {"centre": 5, "middle": 5}, "right": {"right": 10}},
}
#: Settings of a scene, which both ends may know. For each attribute, how often (of ten) each value occurs in it.
CONTEXTS = {
    "kitchen": ((7, 2, 1), (7, 2, 1), (8, 2), (2, 6, 2)),
    "street": ((6, 2, 2), (1, 7, 2), (2, 8), (4, 2, 4)),
    "garden": ((1, 8, 1), (5, 1, 4), (5, 5), (3, 4, 3)),
    "harbour": ((1, 1, 8), (1, 2, 7), (3, 7), (5, 1, 4)),
}


# --- the grammar -----------------------------------------------------------------------------------------------------


def scenes() -> list[tuple[str, ...]]:
    """All meanings, in the order of every table here.

    Returns
    -------
    list of tuple of str
        (colour, kind, size, place), 54 of them.
    """
    return list(product(*WORDS.values()))


def scene_frequencies() -> np.ndarray:
    """How often each scene occurs in each context.

    Returns
    -------
    numpy.ndarray
        Int ``[contexts, scenes]``; each row sums to 10,000.
    """
    return np.array([[int(np.prod(w)) for w in product(*weights)] for weights in CONTEXTS.values()])


@checked
def sentences(synonyms: bool = True) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Every sentence of the grammar, what it means, and how probable it is when that is meant.

    Parameters
    ----------
    synonyms : bool
        Whether a value has several words and a sentence two orders; if not, each scene has one sentence.

    Returns
    -------
    list of str, numpy.ndarray, numpy.ndarray
        Sentences; int ``[sentences]``, the index of the scene; float ``[sentences]``, :math:`p(x \\mid m)`.

    Raises
    ------
    ValueError
        If ``synonyms`` is neither True nor False.
    """
    text, meaning, probability = [], [], []
    orders = (("a {2} {0} {1}, {3}", 0.7), ("{3}: a {2} {0} {1}", 0.3)) if synonyms else (("{2} {0} {1} {3}", 1.0),)
    for m, scene in enumerate(scenes()):
        words = [WORDS[attribute][value] for attribute, value in zip(WORDS, scene, strict=True)]
        if not synonyms:
            words = [{value: 10} for value in scene]
        for chosen in product(*words):
            weight = np.prod([options[word] / 10 for options, word in zip(words, chosen, strict=True)])
            for order, share in orders:
                text.append(order.format(*chosen))
                meaning.append(m)
                probability.append(weight * share)
    return text, np.array(meaning), np.array(probability)


# --- entropy and knowledge -------------------------------------------------------------------------------------------


def entropy_run(task: dict) -> dict:
    """Entropies of the grammar, exactly, and the mean length of Huffman's code for meanings and for sentences.

    Parameters
    ----------
    task : dict
        ``synonyms``, as for :func:`sentences`.

    Returns
    -------
    dict
        In bits: ``H_X``, ``H_M``, ``H_X_given_M``, ``gap``, ``gap_less_wording``, and the lengths of the codes.
    """
    _, g, wording = sentences(task["synonyms"])
    p_m = scene_frequencies().sum(0) / scene_frequencies().sum()
    p_x = p_m[g] * wording
    wording_entropy = float(sum(p_m[m] * entropy(wording[g == m]) for m in range(len(p_m))))  # H(X | M), as defined
    out = {"H_X": entropy(p_x), "H_M": semantic_entropy(p_x, g), "H_X_given_M": wording_entropy}
    out["gap"] = out["H_X"] - out["H_M"]
    out["gap_less_wording"] = abs(out["gap"] - wording_entropy)
    out["code_length"] = float(p_m @ huffman_lengths(p_m))
    out["code_length_sentences"] = float(p_x @ huffman_lengths(p_x))
    out["code_above_entropy"] = out["code_length"] - out["H_M"]
    return out


def knowledge_run(task: dict) -> dict:
    """Code scenes by an arithmetic coder that knows the context, that does not, and whose decoder has it wrong.

    Parameters
    ----------
    task : dict
        ``messages``, ``block`` (messages a code) and ``seed``.

    Returns
    -------
    dict
        Mean bits a message ``without`` and ``with_knowledge``, what was ``saved``, and the share of wrong meanings:
        ``errors`` of both, ``errors_if_it_differs`` (the decoder believes in the next context, for every message) and
        ``errors_one_by_one`` (the same with one message a code, so that no error can spread to the next).

    Raises
    ------
    ValueError
        If ``messages`` is no positive integer.
    """
    rng = np.random.default_rng(task["seed"])
    n = positive_integer("messages", task["messages"])
    table = scene_frequencies()
    context = rng.integers(len(table), size=n)
    edges = table.cumsum(1)
    scene = (rng.integers(edges[0, -1], size=n)[:, None] >= edges[context]).sum(1)
    bits, wrong = {"without": 0, "with": 0}, {"without": 0, "with": 0, "differs": 0, "one": 0}
    for start in range(0, n, task["block"]):
        s, k = scene[start : start + task["block"]], context[start : start + task["block"]]
        for name, frequencies in (("without", table.sum(0)), ("with", table[k])):
            code = arithmetic_encode(s, frequencies)
            bits[name] += len(code)
            wrong[name] += int((arithmetic_decode(code, len(s), frequencies) != s).sum())
        other = table[(k + 1) % len(table)]
        wrong["differs"] += int((arithmetic_decode(code, len(s), other) != s).sum())
        wrong["one"] += sum(
            int(arithmetic_decode(arithmetic_encode(s[i : i + 1], table[k[i]]), 1, other[i])[0] != s[i])
            for i in range(len(s))
        )
    return {
        "without": bits["without"] / n,
        "with_knowledge": bits["with"] / n,
        "saved": (bits["without"] - bits["with"]) / n,
        "errors": (wrong["without"] + wrong["with"]) / n,
        "errors_if_it_differs": wrong["differs"] / n,
        "errors_one_by_one": wrong["one"] / n,
    }


# --- a channel for wordings ------------------------------------------------------------------------------------------


@checked
def partly_heard(lost: float, paraphrased: float) -> tuple[np.ndarray, np.ndarray]:
    r"""A channel for two meanings with two words each: word heard, only its meaning heard, or nothing heard.

    Parameters
    ----------
    lost : float
        Probability that nothing is heard.
    paraphrased : float
        Probability that the meaning is heard alone.

    Returns
    -------
    numpy.ndarray, numpy.ndarray
        :math:`p(y \mid x)`, ``[4, 7]``, and the meaning of each word, ``[4]``.

    Raises
    ------
    ValueError
        If a probability is negative or both together are above 1.
    """
    lost = real_number("lost", lost, low=0, high=1)
    paraphrased = real_number("paraphrased", paraphrased, low=0, high=1 - lost)
    meanings = np.array([0, 0, 1, 1])
    heard = (1 - lost - paraphrased) * np.eye(4)
    return np.hstack([heard, paraphrased * np.eye(2)[meanings], np.full((4, 1), lost)]), meanings


def _rank(rows: np.ndarray) -> int:
    """Rank over the field of two elements, of zeros and ones ``[rows, columns]``."""
    columns = rows.shape[1]
    packed = np.packbits(rows, axis=1)
    packed = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)
    bits, top = packed.view(np.uint8), 0
    for c in range(columns):
        has = np.flatnonzero(bits[top:, c // 8] & (128 >> c % 8)) + top
        if not len(has):
            continue
        pivot = packed[has[0]].copy()
        packed[has[0]] = packed[top]
        packed[top] = pivot
        packed[has[1:]] ^= pivot
        top += 1
        if top == len(packed):
            break
    return top


@checked
def code_block(
    n: int, rate: float, lost: float, paraphrased: float, rng: np.random.Generator, wording: str = "coded"
) -> dict:
    """Send one block of ``n`` words with a random linear code, and tell whether the message can be decoded.

    A word is two bits: its meaning, and which of the two synonyms. Both are random parities of the message. The
    channel erases nothing, the second, or both; the receiver decodes if the parities that it heard have full rank.

    Parameters
    ----------
    n : int
        Words of a block.
    rate : float
        Message bits a word, in (0, 2]: a word is two bits, its meaning one.
    lost, paraphrased : float
        The channel, see :func:`partly_heard`.
    rng : numpy.random.Generator
        Draws code and channel.
    wording : str
        ``coded``: synonyms carry parities; ``fixed``: each meaning always has the same word.

    Returns
    -------
    dict
        ``decoded``, and ``distinct``: whether, besides, different messages have different sequences of meanings.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    n, rate = positive_integer("n", n), real_number("rate", rate, low=0, high=2, low_open=True)
    partly_heard(lost, paraphrased)
    one_of("wording", wording, ("coded", "fixed"))
    k = max(1, round(rate * n))
    said, worded = rng.integers(0, 2, (2, n, k), dtype=np.uint8)
    u = rng.random(n)
    parts = [said[u >= lost]] + ([worded[u >= lost + paraphrased]] if wording == "coded" else [])
    heard = np.concatenate(parts)
    decoded = len(heard) >= k and _rank(heard) == k
    return {"decoded": decoded, "distinct": decoded and _rank(said) == k}


def capacity_run(task: dict) -> dict:
    """Some blocks at one rate, given as a share of the capacity in meanings.

    Parameters
    ----------
    task : dict
        ``lost``, ``paraphrased``, ``n``, ``share``, ``wording``, ``blocks`` and ``seed``.

    Returns
    -------
    dict
        How many blocks ``failed``, and how many were ``decoded_not_distinct``.
    """
    rng = np.random.default_rng(task["seed"])
    capacity, _ = meaning_capacity(*partly_heard(task["lost"], task["paraphrased"]))
    arguments = (task["n"], task["share"] * capacity, task["lost"], task["paraphrased"], rng, task["wording"])
    blocks = [code_block(*arguments) for _ in range(task["blocks"])]
    return {
        "failed": sum(not b["distinct"] for b in blocks),
        "decoded_not_distinct": sum(b["decoded"] and not b["distinct"] for b in blocks),
    }


CHANNEL = {"lost": 0.4, "paraphrased": 0.3}


#: One meaning has three words here, the other one word, so that meanings limit and both terms can bind at once.
UNEVEN = (0, 0, 0, 1)


@checked
def uneven_by_grid(lost: float, paraphrased: float, step: float = 0.0005) -> float:
    r"""Capacity in meanings of :func:`partly_heard` with ``UNEVEN`` meanings, by trying all inputs on a grid.

    The first two words can change places, so they are equally likely in some best input. What is heard is the word,
    its pair or nothing: :math:`I = (1 - \\varepsilon - \\sigma) H(\\text{word}) + \\sigma H(\\text{pair})`.

    Parameters
    ----------
    lost : float
        Probability that nothing is heard.
    paraphrased : float
        Probability that the meaning is heard alone.
    step : float
        Of the grid of probabilities, from 0.0001 to 0.5.

    Returns
    -------
    float
        In bits a use.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    partly_heard(lost, paraphrased)
    real_number("step", step, low=1e-4, high=0.5)
    a, c = np.meshgrid(np.arange(0, 0.5 + step / 2, step), np.arange(0, 1 + step / 2, step))
    inside = 2 * a + c <= 1 + 1e-12
    a, c = a[inside], c[inside]
    d = np.maximum(1 - 2 * a - c, 0)

    def h(*parts):
        return entr(np.array(parts)).sum(0) / np.log(2)

    information = (1 - lost - paraphrased) * h(a, a, c, d) + paraphrased * h(2 * a, c + d)
    return float(np.minimum(information, h(2 * a + c, d)).max())


def _semantic_tasks() -> list[dict]:
    tasks: list[dict] = [{"kind": "entropy", "synonyms": synonyms} for synonyms in (True, False)]
    tasks += [{"kind": "knowledge", "messages": 20_000, "block": 200, "seed": 31_000 + i} for i in range(10)]
    # the last row: the same rate with one word for each meaning
    rates = [(0.955, "coded"), (1.0, "coded"), (1.03, "coded"), (1.06, "coded"), (0.955, "fixed")]
    tasks += [
        {"kind": "capacity", **CHANNEL, "n": 3000, "share": share, "wording": wording, "blocks": 10, "seed": seed}
        for i, (share, wording) in enumerate(rates)
        for seed in range(32_000 + 10 * i, 32_010 + 10 * i)
    ]
    return tasks


def _run_semantic(task: dict) -> dict:
    measure = {"entropy": entropy_run, "knowledge": knowledge_run, "capacity": capacity_run}
    return measure[one_of("kind", task["kind"], measure)](task)


def _summarise_semantic(records: list[dict]) -> dict:
    of = {kind: [r for r in records if r["task"]["kind"] == kind] for kind in ("entropy", "knowledge", "capacity")}
    entropies = {
        "with_synonyms" if r["task"]["synonyms"] else "without_synonyms": {
            key: value for key, value in r.items() if key not in ("task", "meta")
        }
        for r in of["entropy"]
    }
    table = scene_frequencies()
    information = mutual_information(table / table.sum())
    knowledge: dict[str, Any] = {
        key: student_interval([r[key] for r in of["knowledge"]])
        for key in ("without", "with_knowledge", "saved", "errors", "errors_if_it_differs", "errors_one_by_one")
    }
    knowledge["I"] = information
    knowledge["saved_less_I"] = student_interval([r["saved"] - information for r in of["knowledge"]])
    channel, meanings = partly_heard(**CHANNEL)
    capacity: dict[str, Any] = {
        "meanings": meaning_capacity(channel, meanings)[0],
        "closed_form": min(1.0, 2 * (1 - CHANNEL["lost"]) - CHANNEL["paraphrased"]),
        "shannon": channel_capacity(channel)[0],
        "fixed_wording": channel_capacity(channel[[0, 2]])[0],
        "one_to_one": meaning_capacity(channel, np.arange(4), shortcut=False)[0],
        # where the entropy of meanings limits alone: one bit, by hand; and where both terms bind: against a grid
        "one_bit": meaning_capacity(partly_heard(0.2, 0.3)[0], UNEVEN)[0],
        "uneven": meaning_capacity(channel, UNEVEN)[0],
        "uneven_by_grid": uneven_by_grid(**CHANNEL),
    }
    capacity["one_bit_error"] = abs(capacity["one_bit"] - 1.0)
    capacity["uneven_error"] = abs(capacity["uneven"] - capacity["uneven_by_grid"])
    capacity["one_to_one_less_shannon"] = abs(capacity["one_to_one"] - capacity["shannon"])
    capacity["closed_form_error"] = abs(capacity["meanings"] - capacity["closed_form"])
    for share, wording in dict.fromkeys((r["task"]["share"], r["task"]["wording"]) for r in of["capacity"]):
        group = [r for r in of["capacity"] if (r["task"]["share"], r["task"]["wording"]) == (share, wording)]
        blocks = sum(r["task"]["blocks"] for r in group)
        capacity[f"lost_at_{round(1000 * share)}_{wording}"] = share_interval(sum(r["failed"] for r in group), blocks)
    return {"entropy": entropies, "knowledge": knowledge, "capacity": capacity}


STUDIES = {
    "semantic_information": Study(
        _semantic_tasks,
        _run_semantic,
        _summarise_semantic,
        small={"messages": 40, "block": 20, "n": 200, "blocks": 2},
    )
}
