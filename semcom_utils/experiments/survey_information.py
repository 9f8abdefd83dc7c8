"""The studies behind the chapters "Semantic information" and "Information effectiveness".

    python -m semcom_utils.experiments survey_semantic_information survey_effectiveness

Semantic information: a grammar of scenes whose every probability is a fraction of whole numbers, so that entropies
are exact; an arithmetic coder with and without shared knowledge; and linear codes over a channel that carries
wordings of which sometimes only the meaning is heard.

Effectiveness: queues of updates event by event, a two-state source with three senders, a controlled linear system, a
machine with faults, and a link whose power control answers the weather.

They take about one and a half minutes and one minute on one core.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import entr

from semcom_utils.checks import one_of, positive_integer, real_number
from semcom_utils.effectiveness.age import (
    QUEUES,
    age_penalty,
    average_age,
    error_by_age,
    error_by_incorrectness,
    mean_age,
    mean_delay,
    simulate_queue,
)
from semcom_utils.experiments.runner import Study
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

__all__ = [
    "AGES", "CONTEXTS", "LINK", "LOADS", "MACHINE", "STUDIES", "WORDS", "age_run", "causal_run", "code_block",
    "control_run", "faults_run", "knowledge_run", "link_data", "matched_alarm", "matched_eagerness",
    "matched_threshold", "mean_interval", "missed_by_clock", "partly_heard", "scene_frequencies", "scenes",
    "sentences", "share_interval", "slope_interval", "two_state_run", "uneven_by_grid",
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
    """All meanings: (colour, kind, size, place), 54 of them, in the order of every table here."""
    return list(product(*WORDS.values()))


def scene_frequencies() -> np.ndarray:
    """How often each scene occurs in each context, int ``[contexts, scenes]``; each row sums to 10,000."""
    return np.array([[int(np.prod(w)) for w in product(*weights)] for weights in CONTEXTS.values()])


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
    """Entropies of the grammar, exactly, and the mean length of Huffman's code for meanings and for sentences."""
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
        "without": bits["without"] / n, "with_knowledge": bits["with"] / n,
        "saved": (bits["without"] - bits["with"]) / n,
        "errors": (wrong["without"] + wrong["with"]) / n, "errors_if_it_differs": wrong["differs"] / n,
        "errors_one_by_one": wrong["one"] / n,
    }


# --- a channel for wordings ------------------------------------------------------------------------------------------


def partly_heard(lost: float, paraphrased: float) -> tuple[np.ndarray, np.ndarray]:
    """A channel for two meanings with two words each: word heard, only its meaning heard, or nothing heard.

    Returns
    -------
    numpy.ndarray, numpy.ndarray
        :math:`p(y \\mid x)`, ``[4, 7]``, and the meaning of each word, ``[4]``.

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


def code_block(
    n: int, rate: float, lost: float, paraphrased: float, generator: np.random.Generator, wording: str = "coded"
) -> dict:
    """Send one block of ``n`` words with a random linear code, and tell whether the message can be decoded.

    A word is two bits: its meaning, and which of the two synonyms. Both are random parities of the message. The
    channel erases nothing, the second, or both; the receiver decodes if the parities that it heard have full rank.

    Parameters
    ----------
    n : int
        Words of a block.
    rate : float
        Message bits a word, in (0, 1].
    lost, paraphrased : float
        The channel, see :func:`partly_heard`.
    generator : numpy.random.Generator
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
    n, rate = positive_integer("n", n), real_number("rate", rate, low=0, high=1, low_open=True)
    partly_heard(lost, paraphrased)
    one_of("wording", wording, ("coded", "fixed"))
    k = max(1, round(rate * n))
    said, worded = generator.integers(0, 2, (2, n, k), dtype=np.uint8)
    u = generator.random(n)
    heard = [said[u >= lost]] + ([worded[u >= lost + paraphrased]] if wording == "coded" else [])
    heard = np.concatenate(heard)
    decoded = len(heard) >= k and _rank(heard) == k
    return {"decoded": decoded, "distinct": decoded and _rank(said) == k}


def capacity_run(task: dict) -> dict:
    """Some blocks at one rate, given as a share of the capacity in meanings."""
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


def uneven_by_grid(lost: float, paraphrased: float, step: float = 0.0005) -> float:
    """Capacity in meanings of :func:`partly_heard` with ``UNEVEN`` meanings, by trying all inputs on a grid.

    The first two words can change places, so they are equally likely in some best input. What is heard is the word,
    its pair or nothing: :math:`I = (1 - \\varepsilon - \\sigma) H(\\text{word}) + \\sigma H(\\text{pair})`.
    """
    partly_heard(lost, paraphrased)
    a, c = np.meshgrid(np.arange(0, 0.5 + step / 2, step), np.arange(0, 1 + step / 2, step))
    inside = 2 * a + c <= 1 + 1e-12
    a, c = a[inside], c[inside]
    d = np.maximum(1 - 2 * a - c, 0)

    def h(*parts):
        return entr(np.array(parts)).sum(0) / np.log(2)

    information = (1 - lost - paraphrased) * h(a, a, c, d) + paraphrased * h(2 * a, c + d)
    return float(np.minimum(information, h(2 * a + c, d)).max())


def _semantic_tasks() -> list[dict]:
    tasks = [{"kind": "entropy", "synonyms": synonyms} for synonyms in (True, False)]
    tasks += [{"kind": "knowledge", "messages": 20_000, "block": 200, "seed": 31_000 + i} for i in range(10)]
    # the last row: the same rate with one word for each meaning
    rates = [(0.955, "coded"), (1.0, "coded"), (1.03, "coded"), (1.06, "coded"), (0.955, "fixed")]
    tasks += [
        {"kind": "capacity", **CHANNEL, "n": 3000, "share": share, "wording": wording, "blocks": 10, "seed": seed}
        for i, (share, wording) in enumerate(rates) for seed in range(32_000 + 10 * i, 32_010 + 10 * i)
    ]
    return tasks


def _run_semantic(task: dict) -> dict:
    measure = {"entropy": entropy_run, "knowledge": knowledge_run, "capacity": capacity_run}
    return measure[one_of("kind", task["kind"], measure)](task)


def mean_interval(values: object, level: float = 0.95) -> dict:
    """Mean over independent replications with Student's interval: ``estimate``, ``low``, ``high``, ``n``."""
    x = np.asarray(values, float)
    half = stats.t.isf((1 - level) / 2, len(x) - 1) * x.std(ddof=1) / len(x) ** 0.5
    return {"estimate": float(x.mean()), "low": float(x.mean() - half), "high": float(x.mean() + half), "n": len(x)}


def share_interval(count: int, n: int, level: float = 0.95) -> dict:
    """A share with the exact interval of Clopper and Pearson: ``estimate``, ``low``, ``high``, ``n``."""
    interval = stats.binomtest(count, n).proportion_ci(level)
    return {"estimate": count / n, "low": float(interval.low), "high": float(interval.high), "n": n}


def _summarise_semantic(records: list[dict]) -> dict:
    of = {kind: [r for r in records if r["task"]["kind"] == kind] for kind in ("entropy", "knowledge", "capacity")}
    entropies = {
        "with_synonyms" if r["task"]["synonyms"] else "without_synonyms":
        {key: value for key, value in r.items() if key not in ("task", "wall_time_s")} for r in of["entropy"]
    }
    table = scene_frequencies()
    information = mutual_information(table / table.sum())
    knowledge = {
        key: mean_interval([r[key] for r in of["knowledge"]])
        for key in ("without", "with_knowledge", "saved", "errors", "errors_if_it_differs", "errors_one_by_one")
    }
    knowledge["I"] = information
    knowledge["saved_less_I"] = mean_interval([r["saved"] - information for r in of["knowledge"]])
    channel, meanings = partly_heard(**CHANNEL)
    capacity = {
        "meanings": meaning_capacity(channel, meanings)[0],
        "closed_form": min(1.0, 2 * (1 - CHANNEL["lost"]) - CHANNEL["paraphrased"]),
        "shannon": channel_capacity(channel)[0],
        "fixed_wording": channel_capacity(channel[[0, 2]])[0],
        "one_to_one": meaning_capacity(channel, np.arange(4), shortcut=False)[0],
        # where the entropy of meanings limits alone: one bit, by hand; and where both terms bind: against a grid
        "one_bit": meaning_capacity(partly_heard(0.2, 0.3)[0], UNEVEN)[0],
        "uneven": meaning_capacity(channel, UNEVEN)[0], "uneven_by_grid": uneven_by_grid(**CHANNEL),
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


# --- V: age of information -------------------------------------------------------------------------------------------

LOADS = (0.15, 0.3, 0.45, 0.53, 0.7, 0.85)


def age_run(task: dict) -> dict:
    """Mean age and mean delay of one run of a queue of updates, the first tenth left out."""
    rng = np.random.default_rng(task["seed"])
    born, got = simulate_queue(task["load"], task["updates"], rng, queue=task["queue"])
    first = len(got) // 10
    return {
        "age": average_age(born, got, got[first], got[-1]), "delay": float(np.mean((got - born)[first:])),
        "arrived": len(got),
    }


# --- V: age of incorrect information ---------------------------------------------------------------------------------


def matched_threshold(threshold: int, change: float, success: float) -> float:
    """Age of incorrectness from which a sender has to send to leave the error of one steered by age."""
    error = error_by_age(threshold, change, success)["error"]

    def more(theta):
        return error_by_incorrectness(change, success, threshold=theta)["error"] - error

    if more(1.0) >= -1e-12:
        return 1.0
    above = 2.0
    while more(above) < 0:
        above *= 2.0
    return float(brentq(more, 1.0, above))


def matched_eagerness(threshold: int, change: float, success: float) -> float:
    """Eagerness at which a sender that throws a coin whenever the receiver is wrong leaves the error of age.

    With :math:`u = 1 - sq` the error is :math:`e = pu / (1 - (1-2p)u)`, which is solved for u.
    """
    e = error_by_age(threshold, change, success)["error"]
    return min(1.0, (1.0 - e / (change + e * (1.0 - 2.0 * change))) / success)


def two_state_run(task: dict) -> dict:
    """Three senders on the same source and the same losses: by age, by need and by coin, at equal error.

    By need: from the age of incorrectness of :func:`matched_threshold` on. By coin: while the receiver is wrong, with
    the probability of :func:`matched_eagerness`, however long it has been wrong.

    Parameters
    ----------
    task : dict
        ``threshold``, ``change``, ``success``, ``slots`` and ``seed``.

    Returns
    -------
    dict
        Error and messages a slot of each, mean age of incorrectness, and differences between need and age.
    """
    rng = np.random.default_rng(task["seed"])
    n, p, q = task["slots"], task["change"], task["success"]
    s, theta = matched_eagerness(task["threshold"], p, q), matched_threshold(task["threshold"], p, q)
    flips, arrives = ((rng.random(n) < level).tolist() for level in (p, q))
    lots = rng.random(n)
    willing, from_aoii = (lots < s).tolist(), np.where(lots < 1 - theta % 1, theta // 1, theta // 1 + 1).tolist()
    x, age, by_age, by_need, by_coin = False, 0, False, False, False
    count = {name: [0, 0, 0] for name in ("age", "need", "coin")}  # messages, slots in error, sum of the AoII
    incorrect = dict.fromkeys(count, 0)
    for flip, arrive, will, enough in zip(flips, arrives, willing, from_aoii, strict=True):
        x ^= flip
        age += 1
        if age >= task["threshold"]:
            count["age"][0] += 1
            if arrive:
                by_age, age = x, 0
        if by_need != x and incorrect["need"] + 1 >= enough:
            count["need"][0] += 1
            if arrive:
                by_need = x
        if by_coin != x and will:
            count["coin"][0] += 1
            if arrive:
                by_coin = x
        for name, estimate in (("age", by_age), ("need", by_need), ("coin", by_coin)):
            incorrect[name] = 0 if estimate == x else incorrect[name] + 1
            count[name][1] += estimate != x
            count[name][2] += incorrect[name]
    out = {f"{what}_{name}": count[name][i] / n
           for name in count for i, what in enumerate(("rate", "error", "aoii"))}  # fmt: skip
    return {**out, "saved": out["rate_age"] - out["rate_need"],
            "error_difference": out["error_need"] - out["error_age"],
            "aoii_difference": out["aoii_need"] - out["aoii_age"],
            "coin_aoii_difference": out["aoii_coin"] - out["aoii_age"]}  # fmt: skip


# --- V: value of information -----------------------------------------------------------------------------------------

AGES = np.arange(1, 9)


def control_run(task: dict) -> dict:
    """Steer a linear system with readings that arrive at random; mean square of the state by the reading's age.

    Parameters
    ----------
    task : dict
        ``growth``, ``arrival`` (probability in a slot), ``systems`` (side by side), ``slots`` and ``seed``.
    """
    rng = np.random.default_rng(task["seed"])
    a, n = task["growth"], task["systems"]
    x, guess, age = np.zeros(n), np.zeros(n), np.zeros(n, int)
    total, count = np.zeros(len(AGES)), np.zeros(len(AGES))
    for _ in range(task["slots"]):
        fresh = rng.random(n) < task["arrival"]
        guess, age = np.where(fresh, x, guess), np.where(fresh, 0, age)
        u = -a * guess  # the best the controller can do with what it knows
        x, guess, age = a * x + u + rng.normal(size=n), a * guess + u, age + 1
        here = age <= AGES[-1]
        total += np.bincount(age[here] - 1, x[here] ** 2, len(AGES))
        count += np.bincount(age[here] - 1, minlength=len(AGES))
    return {"loss": (total / count).tolist()}


# --- V: task-oriented ------------------------------------------------------------------------------------------------

#: A fault lasts for a geometric time and lifts the reading by ``step`` (its noise has variance 1).
MACHINE = {"quiet": 490.0, "fault": 10.0, "step": 4.0, "success": 0.9, "alarm": 3.0}


def missed_by_clock(period: int, quiet: float, fault: float, step: float, success: float, alarm: float) -> float:
    """Share of faults that a sender with a fixed period misses: none of its readings raises the alarm and arrives."""
    end, miss = 1.0 / fault, 1.0 - success * stats.norm.sf(alarm - step)
    d = np.arange(1, int(60 * fault))
    samples = np.ceil(np.maximum(d[:, None] - np.arange(period), 0) / period)
    return float(end * (1 - end) ** (d - 1) @ (miss**samples).mean(1))


def matched_alarm(period: int, quiet: float, fault: float, step: float, success: float, alarm: float) -> float:
    """Threshold at which a sender that reports readings above it misses as many faults as one with a period."""
    target, end = missed_by_clock(period, quiet, fault, step, success, alarm), 1.0 / fault

    def missed(threshold):
        miss = 1.0 - success * stats.norm.sf(threshold - step)
        return end * miss / (1.0 - (1.0 - end) * miss)

    return float(brentq(lambda threshold: missed(threshold) - target, -10.0, 30.0))


def faults_run(task: dict) -> dict:
    """A machine with faults and three senders: by the clock, by the event, and at random as often as by the event.

    Parameters
    ----------
    task : dict
        ``period``, ``slots`` and ``seed``.

    Returns
    -------
    dict
        For each sender messages a slot, share of faults ``missed``, and false alarms a slot.
    """
    rng = np.random.default_rng(task["seed"])
    n, m = task["slots"], MACHINE
    pairs = int(n / (m["quiet"] + m["fault"])) + 200
    lengths = np.stack([rng.geometric(1 / m["quiet"], pairs), rng.geometric(1 / m["fault"], pairs)], 1).ravel()
    edges = lengths.cumsum()
    starts, ends = edges[0::2], edges[1::2]
    starts, ends = starts[ends <= n], ends[ends <= n]
    fault = np.zeros(n + 1, int)
    fault[starts] += 1
    fault[ends] -= 1
    fault = fault.cumsum()[:n].astype(bool)
    reading, arrives = rng.normal(size=n) + m["step"] * fault, rng.random(n) < m["success"]
    threshold = matched_alarm(task["period"], **m)
    sends = {"clock": np.arange(n) % task["period"] == 0, "event": reading > threshold}
    sends["random"] = rng.random(n) < sends["event"].mean()
    out = {}
    for name, sent in sends.items():
        alarm = sent & arrives & (reading > (threshold if name == "event" else m["alarm"]))
        heard = np.append(0, alarm.cumsum())
        out |= {f"rate_{name}": float(sent.mean()), f"false_{name}": float((alarm & ~fault).mean()),
                f"missed_{name}": float(np.mean(heard[ends] == heard[starts]))}  # fmt: skip
    out["ratio"] = out["rate_event"] / out["rate_clock"]
    out |= {f"more_missed_{name}": out[f"missed_{name}"] - out["missed_clock"] for name in ("event", "random")}
    return out


# --- V: causes -------------------------------------------------------------------------------------------------------

#: dB of SNR that a dB of power brings; the weather takes ``fade`` dB, power control answers it with ``answer`` dB.
LINK = {"effect": 1.0, "fade": 4.0, "answer": 2.0}


def link_data(n: int, generator: np.random.Generator, answer: float, power: object = None) -> dict[str, np.ndarray]:
    """Draw from the model of the link: weather, then power (or what an intervention sets), then SNR.

    Parameters
    ----------
    n : int
        Samples.
    generator : numpy.random.Generator
        Draws weather, the operator's whims and the fading.
    answer : float
        dB of power for a unit of bad weather; 0 removes the common cause.
    power : array_like, optional
        ``do(power)``: set, whatever the weather.

    Returns
    -------
    dict
        ``weather``, ``power`` and ``snr`` (dB), each ``[n]``.
    """
    weather, whim, fading = generator.normal(size=(3, positive_integer("n", n)))
    chosen = answer * weather + whim if power is None else np.broadcast_to(np.asarray(power, float), n)
    return {"weather": weather, "power": chosen, "snr": 15 + LINK["effect"] * chosen - LINK["fade"] * weather + fading}


def slope_interval(y: object, x: object, *others: object, level: float = 0.95) -> dict[str, float]:
    """Slope of ``y`` over ``x`` by least squares, with a constant and other regressors, and Student's interval."""
    design = np.column_stack([x, np.ones(len(x)), *others])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ y
    left = len(y) - design.shape[1]
    error = np.sqrt(inverse[0, 0] * np.sum((y - design @ coefficients) ** 2) / left)
    half = stats.t.isf((1 - level) / 2, left) * error
    return {"estimate": float(coefficients[0]), "low": float(coefficients[0] - half),
            "high": float(coefficients[0] + half)}  # fmt: skip


def causal_run(task: dict) -> dict:
    """The effect of power on SNR by regression, by intervention, and by adjusting for the weather.

    Parameters
    ----------
    task : dict
        ``samples``, ``answer`` (0: no common cause), ``level`` of the intervals and ``seed``.
    """
    rng = np.random.default_rng(task["seed"])
    seen = link_data(task["samples"], rng, task["answer"])
    tried = link_data(task["samples"], rng, task["answer"], power=rng.normal(size=task["samples"]))
    return {
        "regression": slope_interval(seen["snr"], seen["power"], level=task["level"]),
        "intervention": slope_interval(tried["snr"], tried["power"], level=task["level"]),
        "adjusted": slope_interval(seen["snr"], seen["power"], seen["weather"], level=task["level"]),
    }


JOINT = 0.95 ** (1 / 30)  # each of 30 intervals that should hold the truth, so that all do with 95%


def _effect_tasks() -> list[dict]:
    tasks = [
        {"kind": "age", "queue": queue, "load": load, "updates": 6000, "seed": 41_000 + 1000 * i + 100 * j + k}
        for i, queue in enumerate(QUEUES) for j, load in enumerate(LOADS) for k in range(20)
    ]
    # the last: a source that changes in every slot, over a link that loses nothing
    points = [(1, 0.1, 0.8), (2, 0.1, 0.8), (5, 0.1, 0.8), (10, 0.1, 0.8), (1, 1.0, 1.0)]
    tasks += [
        {"kind": "incorrect", "threshold": n, "change": p, "success": q, "slots": 50_000, "seed": 45_000 + 100 * i + k}
        for i, (n, p, q) in enumerate(points) for k in range(10)
    ]
    tasks += [
        {"kind": "value", "growth": a, "arrival": 0.3, "systems": 500, "slots": 200, "seed": 46_000 + 100 * i + k}
        for i, a in enumerate((0.8, 1.0, 1.1)) for k in range(20)
    ]
    tasks += [
        {"kind": "faults", "period": period, "slots": 4_000_000, "seed": 60_000 + 100 * period + k}
        for period in (1, 2, 5, 10, 20) for k in range(10)
    ]
    tasks += [
        {"kind": "causal", "samples": 2000, "answer": answer, "level": JOINT, "seed": 49_000 + 100 * i + k}
        for i, answer in enumerate((LINK["answer"], 0.0)) for k in range(10)
    ]
    return tasks


def _run_effect(task: dict) -> dict:
    measure = {"age": age_run, "incorrect": two_state_run, "value": control_run, "faults": faults_run,
               "causal": causal_run}  # fmt: skip
    return measure[one_of("kind", task["kind"], measure)](task)


def _inside(interval: dict, exact: float) -> bool:
    return bool(interval["low"] <= exact <= interval["high"])


def _age_summary(records: list[dict]) -> dict:
    def of(queue, load, key):
        return np.array([r[key] for r in records if (r["task"]["queue"], r["task"]["load"]) == (queue, load)])

    joint = 0.95 ** (1 / (2 * len(LOADS)))  # M/M/1 and D/M/1 together
    out: dict = {"loads": list(LOADS)}
    for queue in QUEUES:
        ages = [mean_interval(of(queue, load, "age"), joint) for load in LOADS]
        exact = {q: mean_age(np.array(LOADS), queue=q) for q in QUEUES}
        other = "D/M/1" if queue == "M/M/1" else "M/M/1"
        out[queue.replace("/", "")] = {
            "age": ages, "exact": exact[queue].tolist(),
            "delay": [mean_interval(of(queue, load, "delay"), joint) for load in LOADS],
            "exact_delay": mean_delay(np.array(LOADS), queue=queue).tolist(),
            "points": len(LOADS), "inside": sum(map(_inside, ages, exact[queue])),
            "inside_other": sum(map(_inside, ages, exact[other])),
            # what the age at 0.53 is below that at the least and at the greatest load
            "below_low": mean_interval(of(queue, LOADS[0], "age") - of(queue, 0.53, "age")),
            "below_high": mean_interval(of(queue, LOADS[-1], "age") - of(queue, 0.53, "age")),
            "delay_above_low": mean_interval(of(queue, 0.53, "delay") - of(queue, LOADS[0], "delay")),
        }
    return out


def _groups(records: list[dict], *keys: str) -> dict:
    groups: dict = {}
    for record in records:
        groups.setdefault("_".join(str(record["task"][key]) for key in keys), []).append(record)
    return groups


def _means(group: list[dict]) -> dict:
    return {key: mean_interval([r[key] for r in group]) for key in group[0] if key not in ("task", "wall_time_s")}


def _value_summary(records: list[dict]) -> dict:
    out, joint = {"ages": AGES.tolist()}, 0.95 ** (1 / (3 * len(AGES)))
    for growth, group in _groups(records, "growth").items():
        losses = [mean_interval([r["loss"][i] for r in group], joint) for i in range(len(AGES))]
        exact, line = age_penalty(AGES, float(growth)), AGES.astype(float)
        out[f"growth_{growth}"] = {
            "loss": losses, "exact": exact.tolist(), "points": len(AGES), "inside": sum(map(_inside, losses, exact)),
            "inside_line": sum(map(_inside, losses, line)),
        }
    return out


def _causal_summary(records: list[dict]) -> dict:
    out: dict = {"truth": LINK["effect"]}
    for answer, group in _groups(records, "answer").items():
        name = "without_common_cause" if float(answer) == 0 else "with_common_cause"
        out[name] = {
            method: {
                "inside": sum(_inside(r[method], LINK["effect"]) for r in group), "seeds": len(group),
                "slope": mean_interval([r[method]["estimate"] for r in group]),
            }
            for method in ("regression", "intervention", "adjusted")
        }
    return out


def _summarise_effect(records: list[dict]) -> dict:
    of = {kind: [r for r in records if r["task"]["kind"] == kind]
          for kind in ("age", "incorrect", "value", "faults", "causal")}  # fmt: skip
    return {
        "age": _age_summary(of["age"]),
        "incorrect": {f"N{k}": _means(g) for k, g in _groups(of["incorrect"], "threshold", "change").items()},
        "value": _value_summary(of["value"]),
        "faults": {f"period_{k}": _means(g) for k, g in _groups(of["faults"], "period").items()},
        "causal": _causal_summary(of["causal"]),
    }


STUDIES = {
    "survey_semantic_information": Study(
        "survey_semantic_information", _semantic_tasks, _run_semantic, _summarise_semantic,
        "Semantic entropy of a grammar, the worth of shared knowledge, and capacity in meanings",
    ),
    "survey_effectiveness": Study(
        "survey_effectiveness", _effect_tasks, _run_effect, _summarise_effect,
        "Age, incorrectness and value of updates, a sender that reports faults only, and a confounded link",
    ),
}
