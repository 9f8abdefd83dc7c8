"""The study behind the chapter "Information effectiveness" (V of the survey).

Queues of updates event by event, a two-state source with three senders, a controlled linear system, a machine with
faults, and a link whose power control answers the weather. It takes about a minute on one core.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import brentq

from semcom_utils.checks import checked, finite_array, one_of, positive_integer, real_number
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
from semcom_utils.statistics import slope_interval, student_interval
from semcom_utils.studies import Study

__all__ = [
    "AGES",
    "LINK",
    "LOADS",
    "MACHINE",
    "STUDIES",
    "age_run",
    "causal_run",
    "control_run",
    "faults_run",
    "link_data",
    "matched_alarm",
    "matched_eagerness",
    "matched_threshold",
    "missed_by_clock",
    "two_state_run",
]

# --- V: age of information -------------------------------------------------------------------------------------------

LOADS = (0.15, 0.3, 0.45, 0.53, 0.7, 0.85)


def age_run(task: dict) -> dict:
    """Mean age and mean delay of one run of a queue of updates, the first tenth left out.

    Parameters
    ----------
    task : dict
        ``queue``, ``load``, ``updates`` and ``seed``.

    Returns
    -------
    dict
        ``age`` and ``delay`` in mean times of service, ``arrived`` updates.
    """
    rng = np.random.default_rng(task["seed"])
    born, got = simulate_queue(task["load"], task["updates"], rng, queue=task["queue"])
    first = len(got) // 10
    return {
        "age": average_age(born, got, got[first], got[-1]),
        "delay": float(np.mean((got - born)[first:])),
        "arrived": len(got),
    }


# --- V: age of incorrect information ---------------------------------------------------------------------------------


@checked
def matched_threshold(threshold: int, change: float, success: float) -> float:
    """Age of incorrectness from which a sender has to send to leave the error of one steered by age.

    Parameters
    ----------
    threshold : int
        Slots after which the sender steered by age sends.
    change : float
        p, probability that the source changes in a slot.
    success : float
        q, probability that a message arrives.

    Returns
    -------
    float
        At least 1; the fraction is the chance of waiting one slot longer.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    error = error_by_age(threshold, change, success)["error"]

    def more(theta):
        return error_by_incorrectness(change, success, threshold=theta)["error"] - error

    if more(1.0) >= -1e-12:
        return 1.0
    above = 2.0
    while more(above) < 0:
        above *= 2.0
    return float(brentq(more, 1.0, above))


@checked
def matched_eagerness(threshold: int, change: float, success: float) -> float:
    """Eagerness at which a sender that throws a coin whenever the receiver is wrong leaves the error of age.

    With :math:`u = 1 - sq` the error is :math:`e = pu / (1 - (1-2p)u)`, which is solved for u.

    Parameters
    ----------
    threshold : int
        Slots after which the sender steered by age sends.
    change : float
        p, probability that the source changes in a slot.
    success : float
        q, probability that a message arrives.

    Returns
    -------
    float
        s, probability of sending in a slot, at most 1.

    Raises
    ------
    ValueError
        If an argument is out of its range.
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

#: Ages of a reading, in slots.
AGES = np.arange(1, 9)


def control_run(task: dict) -> dict:
    """Steer a linear system with readings that arrive at random; mean square of the state by the reading's age.

    Parameters
    ----------
    task : dict
        ``growth``, ``arrival`` (probability in a slot), ``systems`` (side by side), ``slots`` and ``seed``.

    Returns
    -------
    dict
        ``loss``: mean square of the state, by the age of the reading in slots (:data:`AGES`).
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


def _machine(period: int, quiet: float, fault: float, step: float, success: float, alarm: float) -> None:
    positive_integer("period", period)
    real_number("quiet", quiet, low=0, low_open=True)
    real_number("fault", fault, low=1)
    if period * fault > 1e6:
        raise ValueError(f"period and fault must have a product of at most a million, got {period} and {fault:g}")
    for name, value in (("step", step), ("alarm", alarm)):
        real_number(name, value)
    real_number("success", success, low=0, high=1)


@checked
def missed_by_clock(period: int, quiet: float, fault: float, step: float, success: float, alarm: float) -> float:
    """Share of faults that a sender with a fixed period misses: none of its readings raises the alarm and arrives.

    Parameters
    ----------
    period : int
        Slots from one message of the clock to the next.
    quiet, fault : float
        Mean times without and with a fault, in slots; ``fault`` at least 1.
    step : float
        By how much a fault lifts the reading, in standard deviations of its noise.
    success : float
        Probability that a message arrives.
    alarm : float
        Reading from which the clock's receiver raises the alarm.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    _machine(period, quiet, fault, step, success, alarm)
    end, miss = 1.0 / fault, 1.0 - success * stats.norm.sf(alarm - step)
    d = np.arange(1, int(60 * fault))
    samples = np.ceil(np.maximum(d[:, None] - np.arange(period), 0) / period)
    return float(end * (1 - end) ** (d - 1) @ (miss**samples).mean(1))


@checked
def matched_alarm(period: int, quiet: float, fault: float, step: float, success: float, alarm: float) -> float:
    """Threshold at which a sender that reports readings above it misses as many faults as one with a period.

    Parameters
    ----------
    period : int
        Slots from one message of the clock to the next.
    quiet, fault : float
        Mean times without and with a fault, in slots; ``fault`` at least 1.
    step : float
        By how much a fault lifts the reading, in standard deviations of its noise.
    success : float
        Probability that a message arrives.
    alarm : float
        Reading from which the clock's receiver raises the alarm.

    Returns
    -------
    float
        In standard deviations of the reading's noise.

    Raises
    ------
    ValueError
        If an argument is out of its range, or no threshold from -10 to 30 misses as many.
    """
    target, end = missed_by_clock(period, quiet, fault, step, success, alarm), 1.0 / fault

    def missed(threshold):
        miss = 1.0 - success * stats.norm.sf(threshold - step)
        return end * miss / (1.0 - (1.0 - end) * miss)

    if (missed(-10.0) - target) * (missed(30.0) - target) > 0:
        raise ValueError(f"step and alarm must be such that a threshold misses as many, got {step:g} and {alarm:g}")
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
    out: dict[str, float] = {}
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


@checked
def link_data(n: int, rng: np.random.Generator, answer: float, power: ArrayLike | None = None) -> dict[str, np.ndarray]:
    """Draw from the model of the link: weather, then power (or what an intervention sets), then SNR.

    Parameters
    ----------
    n : int
        Samples.
    rng : numpy.random.Generator
        Draws weather, the operator's whims and the fading.
    answer : float
        dB of power for a unit of bad weather; 0 removes the common cause.
    power : array_like, ``[n]`` or a number, optional
        ``do(power)``: set, whatever the weather.

    Returns
    -------
    dict
        ``weather``, ``power`` and ``snr`` (dB), each ``[n]``.

    Raises
    ------
    ValueError
        If ``n`` is no positive integer, ``rng`` no generator, or ``answer`` or ``power`` are not such numbers.
    """
    real_number("answer", answer)
    if power is not None:
        power = finite_array("power", power)
        if power.shape not in ((), (1,), (n,)):
            raise ValueError(f"power must be of shape [{n}], or a number, got {list(power.shape)}")
    weather, whim, fading = rng.normal(size=(3, positive_integer("n", n)))
    chosen = answer * weather + whim if power is None else np.broadcast_to(power, n)
    return {"weather": weather, "power": chosen, "snr": 15 + LINK["effect"] * chosen - LINK["fade"] * weather + fading}


def causal_run(task: dict) -> dict:
    """The effect of power on SNR by regression, by intervention, and by adjusting for the weather.

    Parameters
    ----------
    task : dict
        ``samples``, ``answer`` (0: no common cause), ``level`` of the intervals and ``seed``.

    Returns
    -------
    dict
        ``regression``, ``intervention``, ``adjusted``: each an interval of the slope, in dB of SNR a dB of power.
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
        for i, queue in enumerate(QUEUES)
        for j, load in enumerate(LOADS)
        for k in range(20)
    ]
    # the last: a source that changes in every slot, over a link that loses nothing
    points = [(1, 0.1, 0.8), (2, 0.1, 0.8), (5, 0.1, 0.8), (10, 0.1, 0.8), (1, 1.0, 1.0)]
    tasks += [
        {"kind": "incorrect", "threshold": n, "change": p, "success": q, "slots": 50_000, "seed": 45_000 + 100 * i + k}
        for i, (n, p, q) in enumerate(points)
        for k in range(10)
    ]
    tasks += [
        {"kind": "value", "growth": a, "arrival": 0.3, "systems": 500, "slots": 200, "seed": 46_000 + 100 * i + k}
        for i, a in enumerate((0.8, 1.0, 1.1))
        for k in range(20)
    ]
    tasks += [
        {"kind": "faults", "period": period, "slots": 4_000_000, "seed": 60_000 + 100 * period + k}
        for period in (1, 2, 5, 10, 20)
        for k in range(10)
    ]
    tasks += [
        {"kind": "causal", "samples": 2000, "answer": answer, "level": JOINT, "seed": 49_000 + 100 * i + k}
        for i, answer in enumerate((LINK["answer"], 0.0))
        for k in range(10)
    ]
    return tasks


def _run_effect(task: dict) -> dict:
    measure = {"age": age_run, "incorrect": two_state_run, "value": control_run, "faults": faults_run,
               "causal": causal_run}  # fmt: skip
    return measure[one_of("kind", task["kind"], measure)](task)


def _inside(interval: dict, exact: float) -> bool:
    """Whether an interval holds a value; that of a single seed has no ends and holds none."""
    return interval["low"] is not None and bool(interval["low"] <= exact <= interval["high"])


def _age_summary(records: list[dict]) -> dict:
    def of(queue, load, key):
        return np.array([r[key] for r in records if (r["task"]["queue"], r["task"]["load"]) == (queue, load)])

    joint = 0.95 ** (1 / (2 * len(LOADS)))  # M/M/1 and D/M/1 together
    out: dict = {"loads": list(LOADS)}
    for queue in QUEUES:
        ages = [student_interval(of(queue, load, "age"), joint) for load in LOADS]
        exact = {q: mean_age(np.array(LOADS), queue=q) for q in QUEUES}
        other = "D/M/1" if queue == "M/M/1" else "M/M/1"
        out[queue.replace("/", "")] = {
            "age": ages,
            "exact": exact[queue].tolist(),
            "delay": [student_interval(of(queue, load, "delay"), joint) for load in LOADS],
            "exact_delay": mean_delay(np.array(LOADS), queue=queue).tolist(),
            "points": len(LOADS),
            "inside": sum(map(_inside, ages, exact[queue])),
            "inside_other": sum(map(_inside, ages, exact[other])),
            # what the age at 0.53 is below that at the least and at the greatest load
            "below_low": student_interval(of(queue, LOADS[0], "age") - of(queue, 0.53, "age")),
            "below_high": student_interval(of(queue, LOADS[-1], "age") - of(queue, 0.53, "age")),
            "delay_above_low": student_interval(of(queue, 0.53, "delay") - of(queue, LOADS[0], "delay")),
        }
    return out


def _groups(records: list[dict], *keys: str) -> dict:
    groups: dict = {}
    for record in records:
        groups.setdefault("_".join(str(record["task"][key]) for key in keys), []).append(record)
    return groups


def _means(group: list[dict]) -> dict:
    return {key: student_interval([r[key] for r in group]) for key in group[0] if key not in ("task", "meta")}


def _value_summary(records: list[dict]) -> dict:
    out: dict[str, Any] = {"ages": AGES.tolist()}
    joint = 0.95 ** (1 / (3 * len(AGES)))
    for growth, group in _groups(records, "growth").items():
        losses = [student_interval([r["loss"][i] for r in group], joint) for i in range(len(AGES))]
        exact, line = age_penalty(AGES, float(growth)), AGES.astype(float)
        out[f"growth_{growth}"] = {
            "loss": losses,
            "exact": exact.tolist(),
            "points": len(AGES),
            "inside": sum(map(_inside, losses, exact)),
            "inside_line": sum(map(_inside, losses, line)),
        }
    return out


def _causal_summary(records: list[dict]) -> dict:
    out: dict = {"truth": LINK["effect"]}
    for answer, group in _groups(records, "answer").items():
        name = "without_common_cause" if float(answer) == 0 else "with_common_cause"
        out[name] = {
            method: {
                "inside": sum(_inside(r[method], LINK["effect"]) for r in group),
                "seeds": len(group),
                "slope": student_interval([r[method]["estimate"] for r in group]),
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
    "information_effectiveness": Study(
        _effect_tasks,
        _run_effect,
        _summarise_effect,
        small={"updates": 200, "slots": 5000, "systems": 20, "samples": 100},
    )
}
