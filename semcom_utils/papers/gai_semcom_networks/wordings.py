"""Codes where meanings, not the channel, are what is scarce; and ambiguous words sent through a channel.

The second study behind the chapter "Semantic information" (IV-A of the survey).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, finite_array, one_of, positive_integer, real_number
from semcom_utils.papers.gai_semcom_networks.semantic_information import (
    CONTEXTS,
    code_block,
    partly_heard,
)
from semcom_utils.semantic.information import channel_capacity, meaning_capacity
from semcom_utils.statistics import share_interval, student_interval
from semcom_utils.studies import Study

__all__ = [
    "CHANNEL",
    "LOST",
    "SHARES",
    "SPEAK",
    "SPEAKERS",
    "STUDIES",
    "ambiguity_run",
    "binding_run",
    "error_of_meaning",
]

#: A channel that carries more words than two meanings can make use of: Shannon's capacity is 1.3 bit a word.
CHANNEL = {"lost": 0.2, "paraphrased": 0.3}
SHARES = (0.9, 0.955, 1.03, 1.06, 1.2)

# --- ambiguous words through a channel -------------------------------------------------------------------------------

#: How often a colour (red, green, blue) is said by a word: red, crimson, scarlet, green, emerald, blue, azure, aqua.
SPEAK = {
    "careless": np.array(
        [[0.6, 0.2, 0.2, 0, 0, 0, 0, 0], [0, 0, 0, 0.35, 0.15, 0, 0, 0.5], [0, 0, 0, 0, 0, 0.35, 0.15, 0.5]]
    ),
    "careful": np.array([[0.6, 0.2, 0.2, 0, 0, 0, 0, 0], [0, 0, 0, 0.7, 0.3, 0, 0, 0], [0, 0, 0, 0, 0, 0.7, 0.3, 0]]),
}
#: Who speaks how, how often it is said, and whether the listener knows the setting.
SPEAKERS = {
    "careless": ("careless", 1, False),
    "careless, said twice": ("careless", 2, False),
    "careless, setting known": ("careless", 1, True),
    "careful": ("careful", 1, False),
}
LOST = (0.0, 0.1, 0.2, 0.4)


def _colours() -> np.ndarray:
    """How often each colour occurs in each setting, ``[settings, 3]``; settings are equally likely."""
    return np.array([weights[0] for weights in CONTEXTS.values()]) / 10


def _heard(speaker: str, lost: float) -> np.ndarray:
    """Probability of what is heard, a word or nothing, for each colour: ``[3, 9]``."""
    said = SPEAK[speaker]
    return np.hstack([(1 - lost) * said, np.full((3, 1), lost)])


@checked(shapes={"prior": "3"})
def error_of_meaning(prior: ArrayLike, speaker: str, lost: float, times: int = 1) -> float:
    """Least probability that a listener gets the colour wrong, exactly.

    Parameters
    ----------
    prior : array_like, ``[3]``
        What the listener takes the colours' probabilities to be, rightly.
    speaker : str
        Key of :data:`SPEAK`.
    lost : float
        Probability that a word is lost.
    times : int
        How often the colour is said, each time in words chosen anew; at most 7.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    p = finite_array("prior", prior, low=0)
    if abs(p.sum() - 1) > 1e-6:
        raise ValueError(f"prior must sum to 1, got {p.sum():g}")
    if positive_integer("times", times) > 7:
        raise ValueError(f"times must be at most 7, got {times}")
    lost = real_number("lost", lost, low=0, high=1)
    once = _heard(one_of("speaker", speaker, SPEAK), lost)
    joint = p[:, None]
    for _ in range(times):
        joint = (joint[:, :, None] * once[:, None, :]).reshape(len(p), -1)
    return float(1 - joint.max(0).sum())


def ambiguity_run(task: dict) -> dict:
    """Colours are said, words are lost, a listener guesses what is likeliest.

    Parameters
    ----------
    task : dict
        ``speaker`` (a key of :data:`SPEAKERS`), ``lost``, ``messages`` and ``seed``.

    Returns
    -------
    dict
        ``wrong``: share of the colours; ``exact``: the least that is possible.
    """
    rng, n, lost = np.random.default_rng(task["seed"]), task["messages"], task["lost"]
    manner, times, known = SPEAKERS[task["speaker"]]
    table, once = _colours(), _heard(manner, lost)
    setting = rng.integers(len(table), size=n)
    colour = (rng.random((n, 1)) >= table[setting].cumsum(1)[:, :-1]).sum(1)
    belief = np.log(np.maximum(table[setting] if known else np.tile(table.mean(0), (n, 1)), 1e-300))
    for _ in range(times):
        word = (rng.random((n, 1)) >= once[colour].cumsum(1)[:, :-1]).sum(1)
        belief = belief + np.log(np.maximum(once[:, word].T, 1e-300))
    priors = table if known else table.mean(0)[None]
    return {
        "wrong": float((belief.argmax(1) != colour).mean()),
        "exact": float(np.mean([error_of_meaning(p, manner, lost, times) for p in priors])),
    }


# --- codes where the meanings bind -----------------------------------------------------------------------------------


def binding_run(task: dict) -> dict:
    """Some blocks at one rate, a share of the capacity in meanings, where that is one bit and Shannon's is more.

    Parameters
    ----------
    task : dict
        ``share``, ``n`` (words of a block), ``blocks`` and ``seed``.

    Returns
    -------
    dict
        How many blocks could be ``decoded`` from the words, and how many had meanings that were ``distinct`` besides.
    """
    rng = np.random.default_rng(task["seed"])
    capacity = meaning_capacity(*partly_heard(**CHANNEL))[0]
    blocks = [
        code_block(task["n"], task["share"] * capacity, CHANNEL["lost"], CHANNEL["paraphrased"], rng)
        for _ in range(task["blocks"])
    ]
    return {name: sum(b[name] for b in blocks) for name in ("decoded", "distinct")}


def _run(task: dict) -> dict:
    return {"code": binding_run, "ambiguity": ambiguity_run}[task["kind"]](task)


def _summarise(records: list[dict]) -> dict:
    codes = {}
    for share in SHARES:
        chosen = [r for r in records if r["task"].get("share") == share]
        blocks = sum(r["task"]["blocks"] for r in chosen)
        codes[f"at_{round(1000 * share)}"] = {
            name: share_interval(sum(r[name] for r in chosen), blocks) for name in ("decoded", "distinct")
        }
    ambiguity: dict = {}
    for speaker in SPEAKERS:
        rows = [[r for r in records if (r["task"].get("speaker"), r["task"].get("lost")) == (speaker, e)] for e in LOST]
        ambiguity[speaker] = {
            "wrong": [student_interval([r["wrong"] for r in row]) for row in rows],
            "exact": [row[0]["exact"] for row in rows],
        }
    channel, meanings = partly_heard(**CHANNEL)
    return {
        "meanings": meaning_capacity(channel, meanings)[0],
        "shannon": channel_capacity(channel)[0],
        "codes": codes,
        "lost": list(LOST),
        "ambiguity": ambiguity,
    }


STUDIES = {
    "wordings": Study(
        lambda: (
            [
                {"kind": "code", "share": share, "n": 1000, "blocks": 10, "seed": 33_000 + 10 * i + k}
                for i, share in enumerate(SHARES)
                for k in range(10)
            ]
            + [
                {"kind": "ambiguity", "speaker": speaker, "lost": e, "messages": 20_000, "seed": 34_000 + k}
                for speaker in SPEAKERS
                for e in LOST
                for k in range(10)
            ]
        ),
        _run,
        _summarise,
        small={"n": 100, "blocks": 1, "messages": 200},
    )
}
