"""ROOT's decision (Cheng et al., 2023, section IV and Figs. 6 to 9): the exact best split, D3QN, five frameworks.

Also the Gaussian world in which the receivers of section III have a known optimum. The chapter
``notebooks/14_semaigc_root`` explains what is measured and why.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats

from semcom_utils.checks import checked, finite_array, positive_integer, real_number
from semcom_utils.control.d3qn import D3qnSettings, greedy, train_d3qn
from semcom_utils.generation.gaussian import GaussianModel, frechet_distance
from semcom_utils.generation.samplers import timesteps
from semcom_utils.generation.schedules import alphas_cumprod
from semcom_utils.generation.split import level_at, receive
from semcom_utils.papers.semaigc_root.scenario import (
    STATE,
    RootConstants,
    RootEnv,
    edge_aigc_latency,
    expected_satisfaction,
    frameworks,
    interpolated_success,
    latency,
    local_aigc_latency,
    observe,
    sample_states,
    served,
)
from semcom_utils.statistics import highest, iqm_interval, lowest, mean_interval
from semcom_utils.studies import Study, load_result

__all__ = [
    "AGENTS",
    "COMPUTING",
    "RECEIVERS",
    "SNRS_DB",
    "STUDIES",
    "converged_after",
    "figures",
    "figures_summary",
    "frameworks_run",
    "gaussian_run",
    "held_out",
    "learning_run",
    "measured_success",
    "moving_figure",
    "noise_schedule",
    "rank_correlations",
    "success_models",
]

CONSTANTS = RootConstants()
SNRS_DB = (-6, -3, 0, 3, 6, 9, 12, 15)
#: Share of the edge's computing power that is available (the paper's PACR).
COMPUTING = tuple(round(0.1 * k, 1) for k in range(1, 11))
EPISODES, REQUESTS, LOOK_EVERY = 600, 20, 10
SNR, NU_I, B, LOW = (STATE.index(name) for name in ("SNR", "nu_i", "B", "L_low"))
SEEDS = range(100, 110)


# --- success of a request ------------------------------------------------------------------------------------------
@lru_cache(maxsize=1)
def measured_success() -> Callable[[ArrayLike, ArrayLike], np.ndarray]:
    """p(a, SNR) as measured on the mini models: the judge finds just what the caption asks for.

    Returns
    -------
    callable
        As :func:`expected_satisfaction` wants it, from the stored study ``semaigc_root/pictures``.
    """
    table = load_result("semaigc_root/pictures")["summary"]["success"]
    return interpolated_success(table["splits"], table["snrs_db"], table["table"])


def moving_figure() -> dict:
    """What the chapter's figure of the best split, which a reader moves, takes from here.

    Returns
    -------
    dict
        ``constants``, the middle ``density``, the ends ``low`` and ``high`` of each component of a state, and the
        measured ``success`` (``splits``, ``snrs_db``, ``table``).
    """
    low, high = (dict(zip(STATE, ends, strict=True)) for ends in (CONSTANTS.low, CONSTANTS.high))
    success = load_result("semaigc_root/pictures")["summary"]["success"]
    return {
        "constants": asdict(CONSTANTS),
        "density": (low["W_i"] + high["W_i"]) / 2,
        "low": low,
        "high": high,
        "success": {name: success[name] for name in ("splits", "snrs_db", "table")},
    }


def success_models() -> dict:
    """What a good picture may mean: as measured; twice as strict; regardless of the split; always good.

    Returns
    -------
    dict of str to callable
        Name -> p(a, SNR in dB), as :func:`expected_satisfaction` wants it.
    """
    measured = measured_success()
    return {
        "measured": measured,
        "strict": lambda a, snr_db: measured(a, snr_db) ** 2,
        "regardless": lambda a, snr_db: measured(np.zeros_like(np.asarray(a, float)), snr_db),
        "always": lambda a, snr_db: np.ones(np.broadcast_shapes(np.shape(a), np.shape(snr_db))),
    }


@checked
def held_out(n: int = 2000, constants: RootConstants = CONSTANTS, seed: int = 999_999) -> np.ndarray:
    """The same states for all that is compared; no agent sees their seed in training.

    Parameters
    ----------
    n : int
        How many.
    constants : RootConstants
        What the paper leaves open.
    seed : int
        Of the draw, at least 0.

    Returns
    -------
    numpy.ndarray
        ``[n, 7]``, components as in :data:`STATE`.

    Raises
    ------
    ValueError
        If ``n`` is no positive whole number, or ``seed`` none of at least 0.
    """
    positive_integer("seed", seed, low=0)
    return sample_states(n, np.random.default_rng(seed), constants)


def _at(
    states: np.ndarray, snr_db: float | None = None, computing: float | None = None, constants=CONSTANTS
) -> np.ndarray:
    """States with one of two components set to a value."""
    states = states.copy()
    if snr_db is not None:
        states[:, SNR] = snr_db
    if computing is not None:
        states[:, NU_I] = computing * constants.high[NU_I]
    return states


@checked
def figures(
    policy: Callable[[np.ndarray], np.ndarray],
    success: Callable[[ArrayLike, ArrayLike], np.ndarray],
    constants: RootConstants = CONSTANTS,
    edge_success: Callable[[ArrayLike], np.ndarray] | None = None,
    edge_mended: tuple[float, int] | None = None,
    n: int = 2000,
    seed: int = 999_999,
) -> dict[str, Any]:
    """Figs. 7 to 9 under a policy: means over held-out states, exact over the retries.

    Parameters
    ----------
    policy : callable
        States ``[n, 7]`` -> splits ``[n]``.
    success : callable
        p(a, SNR in dB).
    constants : RootConstants
        What the paper leaves open.
    edge_success : callable, optional
        As for :func:`frameworks`.
    edge_mended : tuple of float and int, optional
        Success of Edge AIGC's noisy picture at -6 dB once the phone has denoised it, and in how many steps.
    n : int
        Held-out states, at least 10; a quarter of them along an axis, a tenth at each point of the grid.
    seed : int
        Of the states.

    Returns
    -------
    dict
        ``by_snr``, ``by_computing``, ``harsh`` (-6 dB, 5 to 20 MHz) and ``all``: mean ``steps`` and, of each framework,
        ``satisfaction`` and ``seconds``; ``grid``: SemAIGC's satisfaction, ``[SNRs, shares]``; ``gap_removed``: share
        of the gap to SemAIGC at -6 dB that a step at the receiver takes from Non-fine-tuning, and a denoiser there
        from Edge AIGC.

    Raises
    ------
    ValueError
        If ``n``, ``seed`` or what ``edge_mended`` holds is out of its range, or an argument not of its kind.
    """
    positive_integer("n", n, low=10)
    if edge_mended is not None:
        real_number("edge_mended: its success", edge_mended[0], low=0, high=1)
        positive_integer("edge_mended: its steps", edge_mended[1], low=0)
    base, small = (held_out(k, constants, seed) for k in (max(n // 4, 1), max(n // 10, 1)))

    def means(states):
        a = policy(states)
        return {
            "steps": float(a.mean()),
            **{
                name: {"satisfaction": float(s.mean()), "seconds": float(w.mean())}
                for name, (s, w) in frameworks(states, a, success, constants, edge_success).items()
            },
        }

    def satisfied(states):
        return float(frameworks(states, policy(states), success, constants)["semaigc"][0].mean())

    def at(states, snr_db=None, computing=None):
        return _at(states, snr_db, computing, constants)

    harsh = at(base, snr_db=-6)
    harsh[:, B] = np.random.default_rng(5).uniform(5e6, 20e6, len(harsh))
    served_at = frameworks(harsh, policy(harsh), success, constants, edge_success)
    waits = {name: float(w.mean()) for name, (_, w) in served_at.items()}
    # With a receiver that denoises: Non-fine-tuning does its last step there. A coded picture of Edge AIGC arrives as
    # it was sent, and no denoiser finds anything to do; a noisy one costs the phone some steps.
    mended = {
        "non_fine_tuning": frameworks(harsh, np.full(len(harsh), 19), success, constants)["semaigc"][1].mean(),
        "edge": waits["edge"],
    }
    if edge_mended is not None:
        p, steps = edge_mended
        step = (local_aigc_latency(harsh, constants) - constants.overhead) / constants.total_steps
        once = edge_aigc_latency(harsh, constants) + steps * step
        mended["edge"] = served(once, p, harsh[:, LOW], constants)[1].mean()
    gaps = {name: waits[name] - waits["semaigc"] for name in mended}
    removed = {name: float((waits[name] - mended[name]) / gap) if gap else 0.0 for name, gap in gaps.items()}
    return {
        "gap_removed": removed,
        "by_snr": [means(at(base, snr_db=snr)) for snr in SNRS_DB],
        "by_computing": [means(at(base, computing=share)) for share in COMPUTING],
        "grid": [[satisfied(at(small, snr, share)) for share in COMPUTING] for snr in SNRS_DB],
        "harsh": means(harsh),
        "all": means(held_out(n, constants, seed)),
    }


@checked
def rank_correlations(
    policy: Callable[[np.ndarray], np.ndarray], constants: RootConstants = CONSTANTS
) -> dict[str, float]:
    """Spearman's correlation of the split with SNR and with the edge's speed, as they are and shuffled.

    Parameters
    ----------
    policy : callable
        States ``[n, 7]`` -> splits ``[n]``.
    constants : RootConstants
        What the paper leaves open.

    Returns
    -------
    dict of str to float
        ``snr``, ``computing``; ``snr_shuffled``, ``computing_shuffled``: that component shuffled between the states
        before the policy sees them.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """
    states, rng = held_out(constants=constants), np.random.default_rng(7)
    result = {}
    for name, column in (("snr", SNR), ("computing", NU_I)):
        shuffled = states.copy()
        shuffled[:, column] = rng.permutation(shuffled[:, column])
        for kind, seen in (("", states), ("_shuffled", shuffled)):
            a = policy(seen)
            result[name + kind] = float(stats.spearmanr(states[:, column], a).statistic) if np.ptp(a) else 0.0
    return result


# --- the oracle and the five frameworks ----------------------------------------------------------------------------
def frameworks_run(task: dict) -> dict:
    """One draw of states under one meaning of a good picture: the oracle against fixed rules and coarse actions.

    Parameters
    ----------
    task : dict
        ``model``: a key of :func:`success_models`; ``seed`` of the states; ``states``, how many.

    Returns
    -------
    dict
        Mean satisfaction of the ``oracle``, of its ``ten_outputs`` restriction, of the best ``fixed`` split, of
        ``random`` and of the ``fastest``; where the best split lies, its rank correlations, and the ``frameworks``.
    """
    success = success_models()[task["model"]]
    states = sample_states(task["states"], np.random.default_rng(task["seed"]), CONSTANTS)
    table = expected_satisfaction(states, success, CONSTANTS)
    best = table.argmax(-1)
    rows = np.arange(len(states))
    calibration = expected_satisfaction(sample_states(2000, np.random.default_rng(1), CONSTANTS), success, CONSTANTS)
    fixed = int(calibration.mean(0).argmax())
    ten = np.linspace(0, CONSTANTS.total_steps, 10).round().astype(int)
    seconds = latency(np.arange(21), states[:, None, :], CONSTANTS)
    return {
        "oracle": float(table.max(-1).mean()),
        "ten_outputs": float(table[:, ten].max(-1).mean()),
        "fixed": float(table[:, fixed].mean()),
        "fixed_split": fixed,
        "random": float(table.mean()),
        "fastest": float(table[rows, seconds.argmin(-1)].mean()),
        "inside": float(((best > 1) & (best < CONSTANTS.total_steps)).mean()),
        "ends": float(np.isin(best, (0, 1, CONSTANTS.total_steps)).mean()),
        "spearman_snr": float(stats.spearmanr(states[:, SNR], best).statistic),
        "spearman_computing": float(stats.spearmanr(states[:, NU_I], best).statistic),
        "frameworks": {
            name: {"satisfaction": float(s.mean()), "seconds": float(w.mean())}
            for name, (s, w) in frameworks(states, best, success, CONSTANTS).items()
        },
    }


def _frameworks_summary(records: list[dict]) -> dict:
    summary = {}
    for model in dict.fromkeys(r["task"]["model"] for r in records):
        part = [r for r in records if r["task"]["model"] == model]
        names = [name for name, value in part[0].items() if isinstance(value, float)]
        summary[model] = {name: iqm_interval([r[name] for r in part]) for name in names} | {
            "ten_over_all": iqm_interval([r["ten_outputs"] / r["oracle"] for r in part]),
            "fixed_over_all": iqm_interval([r["fixed"] / r["oracle"] for r in part]),
            "fixed_split": sorted({r["fixed_split"] for r in part}),
            "frameworks": {
                name: {
                    key: iqm_interval([r["frameworks"][name][key] for r in part]) for key in ("satisfaction", "seconds")
                }
                for name in part[0]["frameworks"]
            },
        }
        policy = _oracle(success_models()[model])
        summary[model]["axes"] = figures(policy, success_models()[model])
        summary[model]["ranks"] = rank_correlations(policy)
    return summary


def _oracle(success):
    return lambda states: expected_satisfaction(states, success, CONSTANTS).argmax(-1)


# --- learning --------------------------------------------------------------------------------------------------------
#: Agent -> (settings, requests of an episode, episodes). What the paper leaves open was tried out on seed 0.
AGENTS = {
    "d3qn": (D3qnSettings(), REQUESTS, EPISODES),
    "bandit": (D3qnSettings(discount=0.0), REQUESTS, EPISODES),  # states do not depend on actions: nothing to discount
    "single": (D3qnSettings(warm_up=64, update_target=20), 1, 350),  # 350 episodes as Algorithm 1 counts them
    "library": (D3qnSettings(), REQUESTS, EPISODES),  # DQN of Stable-Baselines3, same network sizes and budget
    "long": (D3qnSettings(discount=0.0, rate=5e-4, every=4), REQUESTS, 5 * EPISODES),
}


def _library_policy(env, seed: int, settings: D3qnSettings, requests: int, episodes: int, look):
    """Stable-Baselines3's DQN, and its curve."""
    from stable_baselines3.common.callbacks import BaseCallback

    from semcom_utils.control.library_agents import library_dqn

    def act(model):
        def policy(states):
            return model.predict(observe(states, CONSTANTS), deterministic=True)[0]

        return policy

    class Look(BaseCallback):
        def _on_step(self):
            if self.num_timesteps % (requests * LOOK_EVERY) == 0:
                look(self.num_timesteps // requests, act(self.model))
            return True

    model = library_dqn(env, seed, settings)
    model.learn(requests * episodes, callback=Look())
    return act(model)


@checked(shapes={"episodes": "looks+", "values": "looks"})
def converged_after(episodes: ArrayLike, values: ArrayLike, within: float = 0.01) -> int:
    """First of the ``episodes`` from which all ``values`` stay within a share of the last one.

    Parameters
    ----------
    episodes, values : array_like
        Looks at a curve, ``[looks]``.
    within : float
        The share, at least 0.

    Returns
    -------
    int
        One of ``episodes``.

    Raises
    ------
    ValueError
        If the curve is empty or not finite, or ``within`` negative.

    Examples
    --------
    >>> converged_after([10, 20, 30], [0.5, 0.995, 1.0])
    20
    """
    real_number("within", within, low=0)
    finite_array("episodes", episodes)
    values = finite_array("values", values)
    away = np.abs(values - values[-1]) > within * abs(values[-1])
    first = int(np.flatnonzero(away)[-1]) + 1 if away.any() else 0
    return int(np.asarray(episodes)[first])


def learning_run(task: dict) -> dict:
    """Train one agent with one seed; the curve is the greedy policy's exact mean reward on held-out states.

    Parameters
    ----------
    task : dict
        ``agent``: a key of :data:`AGENTS`; ``seed``; ``episodes`` instead of the agent's, optionally.

    Returns
    -------
    dict
        ``episodes`` and ``share_of_oracle`` of the curve; ``converged`` and ``at_350``; ``ranks`` of the last policy,
        and for ``d3qn`` its figures (``axes``).
    """
    torch.set_num_threads(1)
    settings, requests, episodes = AGENTS[task["agent"]]
    episodes = task.get("episodes", episodes)
    success, states = measured_success(), held_out()
    table = expected_satisfaction(states, success, CONSTANTS)
    oracle, rows = float(table.max(-1).mean()), np.arange(len(states))
    looks, curve = [], []

    def look(episode, policy):
        looks.append(int(episode))
        curve.append(round(float(table[rows, policy(states)].mean()) / oracle, 5))

    env = RootEnv(success, requests, CONSTANTS)
    if task["agent"] == "library":
        policy = _library_policy(env, task["seed"], settings, requests, episodes, look)
    else:

        def act(network):
            return lambda states: greedy(network, observe(states, CONSTANTS))

        def observer(episode, network):
            if episode % LOOK_EVERY == 0:
                look(episode, act(network))

        network, _ = train_d3qn(env, episodes, task["seed"], settings, observer)
        policy = act(network)
    record = {
        "episodes": looks,
        "share_of_oracle": curve,
        "converged": converged_after(looks, curve),
        "at_350": curve[looks.index(350) if 350 in looks else -1],
        "ranks": rank_correlations(policy),
    }
    if task["agent"] == "d3qn":
        record["axes"] = figures(policy, success)
    return record


def _learning_summary(records: list[dict]) -> dict:
    success, states = measured_success(), held_out()
    table = expected_satisfaction(states, success, CONSTANTS)
    summary: dict[str, Any] = {"random_share": float(table.mean() / table.max(-1).mean())}
    for agent in dict.fromkeys(r["task"]["agent"] for r in records):
        part = [r for r in records if r["task"]["agent"] == agent]
        curves = np.array([r["share_of_oracle"] for r in part])
        summary[agent] = {
            "episodes": part[0]["episodes"],
            "curve": [iqm_interval(curves[:, i]) for i in range(curves.shape[1])],
            "share": iqm_interval(curves[:, -1]),
            "at_350": iqm_interval([r["at_350"] for r in part]),
            "converged": iqm_interval([r["converged"] for r in part]),
            "seconds": iqm_interval([r["meta"]["wall_time_s"] for r in part]),
            "ranks": {name: iqm_interval([r["ranks"][name] for r in part]) for name in part[0]["ranks"]},
        }
        reach = [
            r["episodes"][int(np.argmax(np.array(r["share_of_oracle"]) >= 0.99))]
            if max(r["share_of_oracle"]) >= 0.99
            else 10 * r["episodes"][-1]
            for r in part
        ]
        summary[agent]["reaches_99"] = iqm_interval(reach)
        summary[agent]["seeds_that_reach_99"] = sum(max(r["share_of_oracle"]) >= 0.99 for r in part)
    return summary | figures_summary([r["axes"] for r in records if "axes" in r])


@checked
def figures_summary(axes: list[dict]) -> dict[str, Any]:
    """Figures of :func:`figures` over seeds, with intervals.

    Parameters
    ----------
    axes : list of dict
        Of :func:`figures`, one a seed.

    Returns
    -------
    dict
        ``by_snr``, ``by_computing``, ``grid`` and what the ledger asks of them. Gains are SemAIGC's minus another's.

    Raises
    ------
    ValueError
        If ``axes`` holds no figures, or something else.
    """
    parts = {"gap_removed", "by_snr", "by_computing", "grid", "harsh", "all"}
    if not axes or any(not parts <= axis.keys() for axis in axes):
        raise ValueError(f"axes must be figures of one seed at least, each with {', '.join(sorted(parts))}, got others")
    summary: dict[str, Any] = {}
    others = [name for name in axes[0]["all"] if name not in ("steps", "semaigc")]

    def over(place, name, key, other=None):
        """Interval over seeds of a framework's mean, or of SemAIGC's minus another's."""
        if other is None:
            return iqm_interval([place(a)[name][key] for a in axes])
        return iqm_interval([place(a)[name][key] - place(a)[other][key] for a in axes])

    def places(axis):
        return [lambda a, i=i: a[axis][i] for i in range(len(axes[0][axis]))]

    for axis in ("by_snr", "by_computing"):
        summary[axis] = [
            {
                "steps": iqm_interval([place(a)["steps"] for a in axes]),
                **{
                    name: {key: over(place, name, key) for key in ("satisfaction", "seconds")}
                    for name in ("semaigc", *others)
                },
                "gain": {
                    name: {key: over(place, "semaigc", key, name) for key in ("satisfaction", "seconds")}
                    for name in others
                },
            }
            for place in places(axis)
        ]
    grid = np.array([a["grid"] for a in axes])
    mean = grid.mean(0)
    summary["grid"] = mean.tolist()
    summary["grid_low"], summary["grid_high"] = float(mean.min()), float(mean.max())
    summary["grid_rises"] = {"snr": float(np.diff(mean, axis=0).min()), "computing": float(np.diff(mean, axis=1).min())}
    summary["grid_corner"] = iqm_interval(grid[:, 0, -1])  # -6 dB, all of the computing power
    summary["highest_seconds"] = highest(p["semaigc"]["seconds"] for p in summary["by_computing"])["high"]
    for key, worst, end in (("satisfaction", lowest, "low"), ("seconds", highest, "high")):
        for axis in ("by_snr", "by_computing"):
            summary.setdefault(f"worst_gain_{axis}", {})[key] = {
                name: worst(p["gain"][name][key] for p in summary[axis])[end] for name in others
            }
    summary["gain"] = {
        name: {key: over(lambda a: a["all"], "semaigc", key, name) for key in ("satisfaction", "seconds")}
        for name in others
    }
    summary["harsh"] = {
        name: {key: over(lambda a: a["harsh"], name, key) for key in ("satisfaction", "seconds")}
        for name in ("semaigc", *others)
    }
    summary["harsh_gap"] = {name: over(lambda a: a["harsh"], name, "seconds", "semaigc") for name in others}
    summary["harsh_gap_removed"] = {
        name: iqm_interval([a["gap_removed"][name] for a in axes]) for name in ("non_fine_tuning", "edge")
    }
    return summary


# --- a Gaussian world --------------------------------------------------------------------------------------------
RECEIVERS: dict[str, dict[str, Any]] = {
    "resume": {"receiver": "resume"},
    "printed": {"receiver": "printed", "predictor": "tuned"},
    "printed_plain": {"receiver": "printed", "predictor": "plain"},
    "corrected": {"receiver": "corrected", "predictor": "tuned"},
    "matched": {"receiver": "matched"},
}


def gaussian_run(task: dict) -> dict:
    """Latents with a known Gaussian law: each receiver's error over the optimum, and the law of what it makes.

    Parameters
    ----------
    task : dict
        ``seed`` of the law and the draws; ``samples``.

    Returns
    -------
    dict
        ``ratio``: SNR -> receiver -> error over the optimum's, the worse of two timesteps. ``distance``: SNR ->
        receiver -> Fréchet distance of the law of what it makes.
    """
    torch.set_num_threads(1)
    g, d = torch.Generator().manual_seed(task["seed"]), 8
    root = torch.randn(d, d, generator=g, dtype=torch.float64) / d**0.5
    covariance = root @ root.T + 0.1 * torch.eye(d, dtype=torch.float64)
    mean = 0.3 * torch.randn(d, generator=g, dtype=torch.float64)
    power = float((covariance.trace() + mean.square().sum()) / d)
    model = GaussianModel(mean / power**0.5, covariance / power)
    levels = alphas_cumprod("cosine", 1000)
    visited = timesteps(1000, 20)
    z_0 = model.sample(task["samples"], g)
    eye = torch.eye(d, dtype=torch.float64)

    def epsilon(z, t):
        return model.epsilon(z, level_at(levels, t))

    def noised(t, variance):
        level = level_at(levels, t)
        noise = torch.randn(2, *z_0.shape, generator=g, dtype=torch.float64)
        return math.sqrt(level) * z_0 + math.sqrt(1 - level) * noise[0] + math.sqrt(variance) * noise[1]

    record: dict[str, dict] = {"ratio": {}, "distance": {}}
    for snr_db in SNRS_DB:
        variance = 10 ** (-snr_db / 10)
        errors: dict[str, list[float]] = {name: [] for name in RECEIVERS}
        for t in (visited[19], visited[10]):  # one step is left, from a late state and from one halfway
            z, level = noised(t, variance), level_at(levels, t)
            gain = (
                math.sqrt(level)
                * model.covariance
                @ torch.linalg.inv(level * model.covariance + (1 - level + variance) * eye)
            )
            best = model.mean + (z - math.sqrt(level) * model.mean) @ gain.T
            optimum = float((best - z_0).square().mean())
            for name, told in RECEIVERS.items():
                found = receive(epsilon, z, levels, [t], variance, **told)
                errors[name].append(float((found - z_0).square().mean()) / optimum)
        record["ratio"][str(snr_db)] = {name: max(values) for name, values in errors.items()}
        z = noised(visited[10], variance)
        record["distance"][str(snr_db)] = {}
        for name, told in RECEIVERS.items():
            draws = torch.Generator().manual_seed(task["seed"])
            made = receive(epsilon, z, levels, visited[10:], variance, generator=draws, **told)
            record["distance"][str(snr_db)][name] = frechet_distance(
                GaussianModel(made.mean(0), torch.cov(made.T)), model
            )
    return record


@checked
def noise_schedule(
    kind: str, steps: int = 10, last: int = 499, samples: int = 200_000, seed: int = 0
) -> dict[str, float]:
    """Eq. (10): channel noise in parts √γ_s at steps s, each shrunk by later √α; its variance over the channel's.

    ``printed`` scales γ so that the *amplitudes* sum to one, as the paper asks; ``variance`` so that the variances do.
    γ rises along a line, as the paper has it (0 < γ_1 < γ_2 < ...). Simulated with independent parts.

    Parameters
    ----------
    kind : str
        Of the diffusion's schedule, as for :func:`alphas_cumprod`.
    steps : int
        Steps of the receiver.
    last : int
        Timestep of the first of them, from 49 and below 1000 (10 from 499: half of the way).
    samples : int
        Draws of the noise.
    seed : int
        Of the draws.

    Returns
    -------
    dict of str to float
        ``printed`` and ``variance``; 1 where all of the channel's noise is accounted for.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    positive_integer("steps", steps)
    positive_integer("samples", samples)
    positive_integer("seed", seed, low=0)
    if positive_integer("last", last, low=49) >= 1000:
        raise ValueError(f"last must be below 1000, got {last}")
    levels = alphas_cumprod(kind, 1000).numpy()[np.linspace(49, last, steps).astype(int)]
    alpha = levels / np.concatenate([[1.0], levels[:-1]])
    later = np.array([np.prod(alpha[s + 1 :]) for s in range(steps)])  # what the steps after s leave of a variance
    gamma = np.arange(1, steps + 1) / steps
    parts = np.random.default_rng(seed).normal(size=(steps, samples))
    result = {}
    for name, total in (("printed", np.sqrt(gamma * later).sum() ** 2), ("variance", (gamma * later).sum())):
        made = (np.sqrt(gamma * later / total)[:, None] * parts).sum(0)
        result[name] = float(made.var())
    return result


def _gaussian_summary(records: list[dict]) -> dict:
    def mean(kind, snr, name):
        return mean_interval([r[kind][str(snr)][name] for r in records], np.random.default_rng(0))

    return {
        "ratio": {str(snr): {name: mean("ratio", snr, name) for name in RECEIVERS} for snr in SNRS_DB},
        "distance": {str(snr): {name: mean("distance", snr, name) for name in RECEIVERS} for snr in SNRS_DB},
        "worst_ratio": {
            name: max(r["ratio"][str(snr)][name] for r in records for snr in SNRS_DB) for name in RECEIVERS
        },
        "schedule": {kind: noise_schedule(kind) for kind in ("linear", "cosine")},
        "schedule_whole": {kind: noise_schedule(kind, 20, 999) for kind in ("linear", "cosine")},
    }


STUDIES = {
    "gaussian": Study(
        lambda: [{"seed": seed, "samples": 4000} for seed in SEEDS],
        gaussian_run,
        _gaussian_summary,
        small={"samples": 50},
    ),
    "frameworks": Study(
        lambda: [
            {"model": model, "seed": seed, "states": 2000}
            for model in ("measured", "strict", "regardless", "always")
            for seed in SEEDS
        ],
        frameworks_run,
        _frameworks_summary,
        reads=("semaigc_root/pictures",),
        small={"states": 20},
    ),
    "learning": Study(
        lambda: [{"agent": agent, "seed": seed} for agent in AGENTS for seed in SEEDS],
        learning_run,
        _learning_summary,
        reads=("semaigc_root/pictures",),
        small={"+episodes": 10},
    ),
}
