"""What keeps ROOT's D3QN short of the best split, and what the paper's figures are under other readings of the paper.

``ablation`` trains for the paper's 350 episodes, of 20 requests each, with one choice changed at a time of those that
Algorithm 1 of Cheng et al. (2023) leaves open. ``readings`` has the exact best split under each reading of the user's
limits and constants (``READINGS``) and of what is on the air (:data:`AIRS`). ``decoding`` asks whether a channel
decoder leaves Gaussian noise, ``proposition`` whether the bound of Proposition 2 is sufficient and necessary. The
chapter ``notebooks/14_semaigc_root`` explains what is measured and why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats

from semcom_utils.checks import checked, finite_array, one_of, positive_integer, real_number
from semcom_utils.control.d3qn import D3qnSettings, DuelingNetwork, greedy, train_d3qn
from semcom_utils.papers.semaigc_root.pictures import QUANTISERS
from semcom_utils.papers.semaigc_root.pixels import pixel_success
from semcom_utils.papers.semaigc_root.scenario import (
    READINGS,
    STATE,
    RootConstants,
    RootEnv,
    compression_bound,
    expected_satisfaction,
    latency,
    link_rate,
    observe,
    printed_bound,
    sample_states,
)
from semcom_utils.papers.semaigc_root.workload import (
    converged_after,
    figures,
    figures_summary,
    held_out,
    measured_success,
    rank_correlations,
    success_models,
)
from semcom_utils.statistics import iqm_interval
from semcom_utils.studies import Study, load_result

__all__ = [
    "AIRS",
    "EPISODES",
    "LEARNERS",
    "REQUESTS",
    "STUDIES",
    "ablation_run",
    "airs",
    "decoding_run",
    "mended_edge",
    "proposition_draws",
    "proposition_run",
    "readings_run",
    "true_values",
]

EPISODES, REQUESTS, LOOK_EVERY = 350, 20, 10
SEEDS = range(200, 210)  # none of those on which settings were tried

_RARE = D3qnSettings(every=4, update_target=50)  # the target as old as in the printed setting, in requests
_TUNED = replace(_RARE, discount=0.0)
#: Learner -> (settings, whether it sees logarithms, reading of the limits, number of seeds).
#: A discount of 0 is what line 12 of Algorithm 1 becomes where its episode of one request is terminal: y = r.
LEARNERS: dict[str, tuple[D3qnSettings, bool, str, int]] = {
    "printed": (D3qnSettings(), False, "ours", 10),  # an update after each request, lambda = 0.99
    "terminal": (D3qnSettings(discount=0.0), False, "ours", 5),
    "rare": (_RARE, False, "ours", 10),
    "rare, quick target": (replace(_RARE, update_target=10), False, "ours", 5),
    "rare, single": (replace(_RARE, double=False), False, "ours", 10),
    "rare, logarithms": (_RARE, True, "ours", 5),
    "rare, terminal": (_TUNED, False, "ours", 10),
    "tuned": (_TUNED, True, "ours", 10),
    "tuned, constant 0.05": (replace(_TUNED, explore=(0.05, 0.05, 0.6)), True, "ours", 10),
    "tuned, constant 0.2": (replace(_TUNED, explore=(0.2, 0.2, 0.6)), True, "ours", 10),
    "tuned, twice the rate": (replace(_TUNED, rate=2e-3), True, "ours", 5),
    "tuned, twice the updates": (replace(_TUNED, every=2, rate=5e-4), True, "ours", 5),
    "tuned, one interval": (_TUNED, True, "one interval", 10),
    "tuned, public code": (_TUNED, True, "public code", 10),
}
#: Learners whose Figs. 7 to 9 are kept.
DRAWN = ("printed", "tuned", "tuned, one interval", "tuned, public code")


# --- what is on the air --------------------------------------------------------------------------------------------
#: What is sent analog, with noise on it. Whatever else is sent is coded and arrives as it was sent.
AIRS = ("latent", "latent and pixels", "latent and centred pixels", "nothing")


@checked
def airs(name: str) -> tuple[Callable[[ArrayLike, ArrayLike], np.ndarray], Callable[[ArrayLike], np.ndarray] | None]:
    """p(a, SNR) of a split and p(SNR) of Edge AIGC under a reading of what is sent analog.

    Parameters
    ----------
    name : str
        One of :data:`AIRS`.

    Returns
    -------
    success : callable
        As :func:`.frameworks` wants it.
    edge_success : callable or None
        The same; none where pictures are coded.

    Raises
    ------
    ValueError
        If there is no such reading.
    """
    one_of("name", name, AIRS)
    success = success_models()["regardless" if name == "nothing" else "measured"]
    kind = {"latent and pixels": "raw", "latent and centred pixels": "centred"}.get(name)
    return success, None if kind is None else pixel_success(kind)


def mended_edge() -> tuple[float, int]:
    """Success at -6 dB of Edge AIGC's noisy picture that the phone denoises, and its steps there.

    Returns
    -------
    success : float
        In [0, 1].
    steps : int
        Of the phone.
    """
    return float(pixel_success("denoised")(-6.0)), int(load_result("semaigc_root/pixels")["summary"]["steps"]["-6"])


def readings_run(task: dict) -> dict:
    """The exact best split and the five frameworks under one reading of limits and constants, and one of the air.

    Parameters
    ----------
    task : dict
        ``reading``: a key of ``READINGS``; ``air``: one of :data:`AIRS`; ``seed`` and number of ``states``.

    Returns
    -------
    dict
        Of the optimum on these states: its ``gain`` in satisfaction and in ``seconds`` over each framework, ``gap``:
        how much longer each waits at -6 dB and 5 to 20 MHz, ``corner``: satisfaction at -6 dB with all of the edge's
        computing power, ``low`` and ``high``: the least and the most over SNR and computing power.
    """
    constants, (success, edge_success) = READINGS[task["reading"]], airs(task["air"])

    def best(states):
        return expected_satisfaction(states, success, constants).argmax(-1)

    drawn = figures(best, success, constants, edge_success, n=task["states"], seed=task["seed"])
    others = [name for name in drawn["all"] if name not in ("steps", "semaigc")]
    ours, harsh = drawn["all"]["semaigc"], drawn["harsh"]
    return {
        "gain": {name: ours["satisfaction"] - drawn["all"][name]["satisfaction"] for name in others},
        "seconds": {name: drawn["all"][name]["seconds"] - ours["seconds"] for name in others},
        "gap": {name: harsh[name]["seconds"] - harsh["semaigc"]["seconds"] for name in others},
        "corner": drawn["grid"][0][-1],
        "low": float(np.min(drawn["grid"])),
        "high": float(np.max(drawn["grid"])),
    }


def _readings_summary(records: list[dict]) -> dict:
    summary: dict[str, Any] = {}
    for reading in dict.fromkeys(r["task"]["reading"] for r in records):
        for air in dict.fromkeys(r["task"]["air"] for r in records):
            part = [r for r in records if (r["task"]["reading"], r["task"]["air"]) == (reading, air)]
            summary.setdefault(reading, {})[air] = {
                kind: {name: iqm_interval([r[kind][name] for r in part]) for name in part[0][kind]}
                for kind in ("gain", "seconds", "gap")
            } | {name: iqm_interval([r[name] for r in part]) for name in ("corner", "low", "high")}
    return summary


# --- the agent -----------------------------------------------------------------------------------------------------
@checked(shapes={"seen": "n+ inputs", "rewards": "n actions+"})
def true_values(
    network: torch.nn.Module, seen: np.ndarray, rewards: np.ndarray, discount: float
) -> tuple[float, float]:
    """What a network believes its greedy choices to be worth, and what they are worth, on average over states.

    States are independent of what is done, so that the future is worth the same whatever is chosen:
    Q(x, a) = R(x, a) + λ / (1 − λ) · mean reward of the greedy policy.

    Parameters
    ----------
    network : torch.nn.Module
        A :class:`.DuelingNetwork`, or any other map from observations to Q-values.
    seen : numpy.ndarray
        Observations, ``[n, 7]``.
    rewards : numpy.ndarray
        Exact mean rewards, ``[n, actions]``.
    discount : float
        λ, below 1.

    Returns
    -------
    believed, true : float
        Means of the largest Q and of the true value of the action that has it.

    Raises
    ------
    ValueError
        If observations or rewards are not of the network's size, not finite, or ``discount`` is out of its range.
    """
    real_number("discount", discount, low=0, high=1, high_open=True)
    finite_array("seen", seen)
    finite_array("rewards", rewards)
    if isinstance(network, DuelingNetwork) and seen.shape[1] != (inputs := network.body[0].in_features):
        raise ValueError(f"seen must be of shape [n, {inputs}], got {list(seen.shape)}")
    with torch.no_grad():
        values = network(torch.as_tensor(seen))
    if tuple(values.shape) != rewards.shape:
        raise ValueError(f"rewards must be of shape {list(values.shape)}, got {list(rewards.shape)}")
    largest = values.max(-1).values
    earned = float(rewards[np.arange(len(seen)), greedy(network, seen)].mean())
    return float(largest.double().mean()), earned / (1 - discount)


def ablation_run(task: dict) -> dict:
    """Train one learner with one seed; the curve is the greedy policy's exact mean reward on held-out states.

    Parameters
    ----------
    task : dict
        ``learner``: a key of :data:`LEARNERS`; ``seed``; ``episodes`` instead of ``EPISODES``, optionally.

    Returns
    -------
    dict
        ``episodes`` and ``share_of_oracle`` of the curve and when it ``converged``; ``believed`` and ``true`` value of
        the greedy choices; ``ranks``; its mean ``reward`` and ``once``, the seconds of a single try, beside those of
        the ``fastest`` split; of those ``DRAWN`` its ``figures``.
    """
    torch.set_num_threads(1)
    settings, logarithmic, reading, _ = LEARNERS[task["learner"]]
    constants, success = READINGS[reading], measured_success()
    states = held_out(constants=constants)
    seen = observe(states, constants, logarithmic)
    table = expected_satisfaction(states, success, constants)
    seconds = latency(np.arange(constants.total_steps + 1), states[:, None, :], constants)
    oracle, every = float(table.max(-1).mean()), np.arange(len(states))
    looks, curve = [], []

    def observer(episode, network):
        if episode % LOOK_EVERY == 0:
            looks.append(episode)
            curve.append(round(float(table[every, greedy(network, seen)].mean()) / oracle, 5))

    env = RootEnv(success, REQUESTS, constants, logarithmic)
    network, _ = train_d3qn(env, task.get("episodes", EPISODES), task["seed"], settings, observer)
    chosen, fastest = greedy(network, seen), seconds.argmin(-1)
    believed, true = true_values(network, seen, table, settings.discount)

    def policy(some):
        return greedy(network, observe(some, constants, logarithmic))

    record = {
        "episodes": looks,
        "share_of_oracle": curve,
        "converged": converged_after(looks, curve),
        "believed": believed,
        "true": true,
        "ranks": rank_correlations(policy, constants),
        "reward": float(table[every, chosen].mean()),
        "once": float(seconds[every, chosen].mean()),
        "fastest": {"reward": float(table[every, fastest].mean()), "once": float(seconds[every, fastest].mean())},
    }
    if task["learner"] in DRAWN:
        record["figures"] = figures(
            policy, success, constants, pixel_success("raw"), mended_edge(), n=task.get("states", 2000)
        )
    return record


def _ablation_summary(records: list[dict]) -> dict:
    parts: dict[str, list[dict]] = {}
    for record in records:
        parts.setdefault(record["task"]["learner"], []).append(record)
    summary: dict[str, Any] = {}
    for name, part in parts.items():
        curves = np.array([r["share_of_oracle"] for r in part])
        summary[name] = {
            "episodes": part[0]["episodes"],
            "curve": [iqm_interval(curves[:, i]) for i in range(curves.shape[1])],
            "share": iqm_interval(curves[:, -1]),
            "converged": iqm_interval([r["converged"] for r in part]),
            "believed": iqm_interval([r["believed"] for r in part]),
            "true": iqm_interval([r["true"] for r in part]),
            "too_high": iqm_interval([r["believed"] - r["true"] for r in part]),
            "ranks": {kind: iqm_interval([r["ranks"][kind] for r in part]) for kind in part[0]["ranks"]},
            "seeds_that_reach_99": sum(r["share_of_oracle"][-1] >= 0.99 for r in part),
            "over_fastest": {
                kind: iqm_interval([r[kind] - r["fastest"][kind] for r in part]) for kind in ("reward", "once")
            },
            "seconds": iqm_interval([r["meta"]["wall_time_s"] for r in part]),
        }
        if "figures" in part[0]:
            summary[name] |= figures_summary([r["figures"] for r in part])

    def paired(one, other, value):
        """Interval of a difference between two learners of the same seed."""
        ours, theirs = ({r["task"]["seed"]: value(r) for r in parts[name]} for name in (one, other))
        return iqm_interval([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())])

    def share(record):
        return record["share_of_oracle"][-1]

    summary["double_over_single"] = paired("rare", "rare, single", lambda r: r["believed"] - r["true"])
    constant = {name: paired("tuned", name, share) for name in ("tuned, constant 0.05", "tuned, constant 0.2")}
    summary["decaying_over_constant"] = constant
    summary["decaying_over_best_constant"] = min(constant.values(), key=lambda interval: interval["estimate"])
    if "tuned" in summary:
        longest = load_result("semaigc_root/learning")["summary"]["long"]["share"]["estimate"]
        summary["tuned"]["of_long"] = iqm_interval([share(r) / longest for r in parts["tuned"]])
    summary["rarer_over_printed"] = paired("rare", "printed", share)
    summary["tuned_over_printed"] = paired("tuned", "printed", share)
    return summary


# --- Proposition 2 -------------------------------------------------------------------------------------------------
@checked
def proposition_draws(
    kind: str, n: int, rng: np.random.Generator
) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
    """Instances of Proposition 2: its six arguments, a compression rate, and whether SemAIGC is faster by eq. (23).

    Parameters
    ----------
    kind : str
        ``spread``: all over the place, with both sides often equally fast; ``own``: states of :class:`RootConstants`.
    n : int
        How many.
    rng : numpy.random.Generator
        Draws them.

    Returns
    -------
    arguments : tuple of numpy.ndarray
        As :func:`.compression_bound` wants them, each ``[n]``.
    ratio : numpy.ndarray
        O / O_s, ``[n]``.
    faster : numpy.ndarray of bool
        ``[n]``.

    Raises
    ------
    ValueError
        If an argument is none of the above.
    """
    one_of("kind", kind, ("spread", "own"))
    positive_integer("n", n)
    ratio = 10 ** rng.uniform(-2, 1, n)
    if kind == "own":
        constants = RootConstants()
        states = sample_states(n, rng, constants)
        column = {name: states[:, STATE.index(name)] for name in ("W_j", "nu_i", "nu_j")}
        steps_there = column["W_j"] * rng.integers(1, constants.total_steps + 1, n)  # of so many steps at the phone
        shares = (np.full(n, constants.speed_up(cores)) for cores in (constants.device_cores, constants.edge_cores))
        arguments = (steps_there, link_rate(states), column["nu_i"], column["nu_j"], *shares)
    else:
        w, v, nu_i, nu_j = (10 ** rng.uniform(low, high, n) for low, high in ((0, 4), (4, 7), (6, 9), (6, 9)))
        arguments = (w, v, nu_i, nu_j, rng.uniform(0, 1, n), rng.uniform(0, 1, n))
    w, v, nu_i, nu_j, c_1, c_2 = arguments
    return arguments, ratio, ratio * (1 / v + w * c_1 / nu_j - w * c_2 / nu_i) < 1 / v


def proposition_run(task: dict) -> dict:
    """How often "below the bound" and "faster" go together.

    Parameters
    ----------
    task : dict
        ``kind`` as for :func:`proposition_draws`; ``seed``; number of ``draws``.

    Returns
    -------
    dict
        For ``printed`` and ``corrected``: ``sufficient``, the share of the instances below the bound in which SemAIGC
        is faster; ``necessary``, the share of those in which it is faster that lie below the bound; ``wrong``, the
        share of all in which the two differ.
    """
    arguments, ratio, faster = proposition_draws(task["kind"], task["draws"], np.random.default_rng(task["seed"]))
    record = {}
    for name, bound in (("printed", printed_bound), ("corrected", compression_bound)):
        below = ratio < bound(*arguments)
        record[name] = {
            "sufficient": float(faster[below].mean()),
            "necessary": float(below[faster].mean()),
            "wrong": float((below != faster).mean()),
        }
    return record


def _proposition_summary(records: list[dict]) -> dict:
    return {
        kind: {
            bound: {
                name: float(np.mean([r[bound][name] for r in records if r["task"]["kind"] == kind]))
                for name in ("sufficient", "necessary", "wrong")
            }
            for bound in ("printed", "corrected")
        }
        for kind in dict.fromkeys(r["task"]["kind"] for r in records)
    }


# --- a channel decoder and its errors --------------------------------------------------------------------------------
BITS, CODE_RATE, BITS_PER_SYMBOL = 4, 0.5, 4
#: dB: below and above the threshold of a code of rate 1/2 with 16-QAM.
DECODED_AT = {"below": 4.0, "above": 9.0}


def decoding_run(task: dict) -> dict:
    """Differences between a latent and what a channel decoder gives back, tested for normality; and sent analog.

    Parameters
    ----------
    task : dict
        ``seed``; ``numbers`` of the latent, standard normal.

    Returns
    -------
    dict
        By way (``below`` and ``above`` the code's threshold, ``analog``): ``p``, of D'Agostino and Pearson's test of
        normality, 0 where nothing differs; ``wrong``, the share of numbers that differ.
    """
    from semcom_utils.physical import AnalogLink, DigitalLink

    generator = torch.Generator().manual_seed(task["seed"])
    z, step = torch.randn(task["numbers"], generator=generator), QUANTISERS[BITS]
    half = 2 ** (BITS - 1)
    index = (torch.floor(z / step).clamp(-half, half - 1) + half).long()
    bits = ((index[:, None] >> torch.arange(BITS - 1, -1, -1)) & 1).reshape(1, -1).numpy()
    link = DigitalLink(code_rate=CODE_RATE, bits_per_symbol=BITS_PER_SYMBOL)
    record = {}
    for name, snr_db in DECODED_AT.items():
        got = torch.from_numpy(link.send(bits, snr_db, generator).bits.reshape(-1, BITS)).long()
        errors = ((got * 2 ** torch.arange(BITS - 1, -1, -1)).sum(-1) - index).double().numpy() * step
        record[name] = _normality(errors)
    noisy = torch.as_tensor(AnalogLink("awgn").send(z, DECODED_AT["below"], generator).latent)
    return record | {"analog": _normality((noisy - z).double().numpy())}


def _normality(errors: np.ndarray) -> dict:
    p = float(stats.normaltest(errors).pvalue) if np.ptp(errors) > 0 else 0.0
    return {"p": p, "wrong": float((errors != 0).mean())}


def _decoding_summary(records: list[dict]) -> dict:
    ways = (*DECODED_AT, "analog")
    return {
        "passes": {way: sum(r[way]["p"] >= 0.01 for r in records) for way in ways},
        "wrong": {way: float(np.mean([r[way]["wrong"] for r in records])) for way in ways},
        "seeds": len(records),
    }


STUDIES = {
    "readings": Study(
        lambda: [
            {"reading": reading, "air": air, "seed": seed, "states": 1000}
            for reading in READINGS
            for air in AIRS
            for seed in SEEDS
        ],
        readings_run,
        _readings_summary,
        reads=("semaigc_root/pictures", "semaigc_root/pixels"),
        small={"states": 20},
    ),
    "ablation": Study(
        lambda: [
            {"learner": name, "seed": seed}
            for name, (_, _, _, seeds) in LEARNERS.items()
            for seed in list(SEEDS)[:seeds]
        ],
        ablation_run,
        _ablation_summary,
        reads=("semaigc_root/pictures", "semaigc_root/pixels"),
        compares=("semaigc_root/learning",),
        small={"+episodes": 10, "+states": 20},
    ),
    "proposition": Study(
        lambda: [{"kind": kind, "seed": seed, "draws": 20_000} for kind in ("spread", "own") for seed in SEEDS],
        proposition_run,
        _proposition_summary,
        small={"draws": 500},
    ),
    "decoding": Study(
        lambda: [{"seed": seed, "numbers": 1024} for seed in SEEDS],
        decoding_run,
        _decoding_summary,
        small={"numbers": 64},
    ),
}
