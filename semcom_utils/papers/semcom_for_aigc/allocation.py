"""Factors for several services on one budget of bits (Liu et al., 2023, section IV-C), and what Fig. 5 shows of them.

The table of what a factor is worth is measured, in the study ``quality``. What the paper leaves open and is chosen
here: a budget (it states none, and without one the best factor is 1 for all), what a choice above it earns (nothing: it
comes too late), what an episode is (one decision; an epoch is a hundred), what an agent sees (the budget), and what the
down-sampling loss is (1 less the services' mean quality, in time or not). The chapter ``notebooks/11_semcom_for_aigc``
explains.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, finite_array, numpy_generator, one_of, positive_integer, real_number
from semcom_utils.control.knapsack import common_choice, greedy_choice, knapsack_optimum, priced_choice
from semcom_utils.effectiveness.picture_metrics import METRICS
from semcom_utils.physical.limits import capacity_awgn
from semcom_utils.statistics import iqm_interval, mean_interval
from semcom_utils.studies import Study, load_result

from .quality import service_table
from .scenario import EXTRACTORS, FACTORS

if TYPE_CHECKING:
    from semcom_utils.control.joint_choice import JointChoiceEnv

__all__ = [
    "AGENTS",
    "COMMON_FACTOR",
    "EPOCH",
    "SNR_DB",
    "STUDIES",
    "agent_settings",
    "allocation_run",
    "channel_uses",
    "many_services",
    "measured_table",
    "services_run",
    "settled_after",
    "tailored_run",
    "train_agent",
    "tuning_run",
    "value_of",
]

#: Es/N0 of the channel that the services share.
SNR_DB = 10.0
#: The channel uses are those that this factor for all needs: the depth map's 4 of the paper.
COMMON_FACTOR = 4
#: Decisions of an epoch, where an epoch is more than one.
EPOCH = 100
#: Episodes of a moving mean, and the share of the final value within which it has to stay.
WINDOW, WITHIN = 10, 0.02
#: Agent -> its form; "flat" ones have an output for each of the joint actions, the others a head for each service.
#: ``rule`` and ``priced`` are of those: what is drawn to the reward, and whether the known bits enter by a price.
AGENTS: dict[str, dict[str, Any]] = {
    "library": {"form": "flat", "library": True},
    "d3qn": {"form": "flat"},
    "branching": {"form": "heads", "rule": "common"},
    "additive": {"form": "heads", "rule": "additive"},
    "branching_priced": {"form": "heads", "rule": "common", "priced": True},
    "priced": {"form": "heads", "rule": "additive", "priced": True},
    "priced_long": {"form": "heads", "rule": "additive", "priced": True, "longer": 2},
    "no_budget": {"form": "heads", "rule": "additive", "budget": None},
    "d3qn_one_picture": {"form": "flat", "mean": True},
    "priced_shuffled": {"form": "heads", "rule": "additive", "priced": True, "shuffled": True},
}
#: Decisions of a run.
DECISIONS = {"flat": 10_000, "heads": 3000}
#: Tried for every form, on seeds that are not reported, with the same number of runs and half of the decisions.
RATES = (1e-3, 3e-3, 1e-2)
SEEDS, TUNING_SEEDS = range(100, 110), range(2)
#: What is measured again of a trained agent.
EPISODES_AFTER = 4000


# --- the table and its budget ----------------------------------------------------------------------------------------
@lru_cache(maxsize=4)
@checked
def measured_table(what: str = "services") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quality and bits as measured, from the stored study ``semcom_for_aigc/quality``.

    Parameters
    ----------
    what : {"services", "extractors", "all"}
        The four services of Fig. 4; the six extractors by SSIM; or every pair of extractor and metric.

    Returns
    -------
    tuple
        Quality ``[draws, services, factors]``, bits ``[services, factors]``, scenes ``[draws]``, as
        :func:`~semcom_utils.papers.semcom_for_aigc.quality.service_table` gives them.

    Raises
    ------
    ValueError
        If ``what`` is none of these.
    FileNotFoundError
        If the study has not run.
    """
    one_of("what", what, ("services", "extractors", "all"))
    stored = load_result("semcom_for_aigc/quality")
    pairs = {
        "services": [tuple(pair) for pair in stored["summary"]["services"]],
        "extractors": [(name, "ssim") for name in EXTRACTORS],
        "all": [(name, metric) for name in EXTRACTORS for metric in METRICS],
    }[what]
    quality, bits, scenes = service_table(stored["records"], pairs)
    return np.clip(quality, 0, 1), bits, scenes


@checked
def channel_uses(bits: ArrayLike, factor: int = COMMON_FACTOR, snr_db: float = SNR_DB) -> int:
    """Channel uses that one factor for all services needs.

    Parameters
    ----------
    bits : array_like of int, ``[services, factors]``
        At :data:`~semcom_utils.papers.semcom_for_aigc.scenario.FACTORS`.
    factor : int
        Of them.
    snr_db : float
        Es/N0 in dB.

    Returns
    -------
    int
        Complex channel uses at capacity, rounded up; :func:`~semcom_utils.control.joint_choice.bit_budget` gives the
        bits that they carry, which are those of the factor or up to one use's more.

    Raises
    ------
    ValueError
        If ``bits`` does not have a column for each factor, or ``factor`` is none of them.
    """
    b = finite_array("bits", bits, last=len(FACTORS), low=0)
    column = FACTORS.index(one_of("factor", factor, FACTORS))
    capacity = float(capacity_awgn(real_number("snr_db", snr_db)))
    if capacity < 1e-12:
        raise ValueError(f"snr_db must be high enough for the link to carry something, got {snr_db}")
    return int(np.ceil(b[..., column].sum() / capacity - 1e-9))


@checked
def value_of(choice: ArrayLike, quality: ArrayLike, bits: ArrayLike, budget: int | None) -> float:
    """Mean quality of a joint choice on the mean table; 0 if it is above the budget.

    Parameters
    ----------
    choice : array_like of int, ``[services]``
        Indices of factors.
    quality, bits : array_like, ``[services, factors]``
        The mean table.
    budget : int or None
        Bits for all, or no limit.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the shapes do not fit each other.
    """
    c, b = np.asarray(choice), np.asarray(bits)
    if c.shape != b.shape[:1] or b.shape != np.shape(quality):
        raise ValueError(f"choice must be one factor for each service, got {c.shape} for {b.shape}")
    if c.dtype.kind not in "iu" or (c < 0).any() or (c >= b.shape[1]).any():
        raise ValueError(f"choice must be indices of factors, whole numbers below {b.shape[1]}, got {choice!r:.80}")
    rows = np.arange(len(c))
    late = budget is not None and b[rows, c].sum() > budget
    return 0.0 if late else float(np.asarray(quality)[rows, c].mean())


def _budget(bits: np.ndarray, snr_db: float = SNR_DB) -> int:
    """What the channel uses of :func:`channel_uses` carry at an SNR."""
    from semcom_utils.control.joint_choice import bit_budget

    return bit_budget(channel_uses(bits), snr_db)


# --- agents ----------------------------------------------------------------------------------------------------------
@checked
def agent_settings(form: str, rate: float) -> Any:
    """How agents of a form learn; tuned is the rate alone, the rest is fixed beforehand.

    Parameters
    ----------
    form : {"flat", "heads"}
        One output for each joint action, or a head for each service.
    rate : float
        Learning rate of Adam at the start.

    Returns
    -------
    D3qnSettings
        Without a discount: nothing follows a decision.

    Raises
    ------
    ValueError
        If ``form`` is neither, or ``rate`` is not positive.
    """
    from semcom_utils.control.d3qn import D3qnSettings

    hidden, every, warm_up = {"flat": (16, 8, 500), "heads": (64, 4, 200)}[one_of("form", form, ("flat", "heads"))]
    return D3qnSettings(hidden=hidden, batch=32, discount=0.0, rate=rate, warm_up=warm_up, every=every)


@checked
def settled_after(rewards: ArrayLike, window: int = WINDOW, within: float = WITHIN) -> int:
    """First episode after which the moving mean of the reward stays within a share of its final value.

    Parameters
    ----------
    rewards : array_like, ``[episodes]``
        One a episode, exploration included.
    window : int
        Episodes of the moving mean, which ends at its episode.
    within : float
        The share; the final value is the mean of the last tenth of the run.

    Returns
    -------
    int
        Counted from 1; the number of episodes where the mean never stays.

    Raises
    ------
    ValueError
        If there are fewer episodes than ``window``.

    Examples
    --------
    >>> settled_after([0, 0, 0, 1, 1, 1, 1, 1, 1, 1], window=2)
    5
    """
    r = finite_array("rewards", rewards)
    positive_integer("window", window)
    if r.ndim != 1 or len(r) < window:
        raise ValueError(f"rewards must be one for each of at least {window} episodes, got shape {r.shape}")
    moving = np.convolve(r, np.full(window, 1 / window), "valid")  # the k-th ends at episode k + window
    final = r[-max(len(r) // 10, 1) :].mean()
    away = np.flatnonzero(np.abs(moving - final) > within * abs(final) + 1e-12)
    return min(int(away[-1]) + window + 1 if len(away) else window, len(r))


@checked
def train_agent(
    name: str,
    quality: ArrayLike,
    bits: ArrayLike,
    budget: int | None,
    seed: int,
    *,
    decisions: int | None = None,
    rate: float = 3e-3,
    progress: bool = False,
) -> dict[str, Any]:
    """Train one agent on a table of draws and look at what it would choose.

    Parameters
    ----------
    name : str
        Key of :data:`AGENTS`.
    quality : array_like, ``[draws, services, factors]``
        In [0, 1].
    bits : array_like of int, ``[services, factors]``
        What a factor costs.
    budget : int or None
        Bits for all services of a picture.
    seed : int
        Of everything.
    decisions : int, optional
        How many; ``DECISIONS`` of its form otherwise.
    rate : float
        Learning rate.
    progress : bool
        Show a bar, unless the environment wants none (``TQDM_DISABLE``).

    Returns
    -------
    dict
        ``choice`` (indices, ``[services]``) and the ``share`` that its mean quality is of the optimum's; ``looks`` and
        ``shares``, the same of the greedy policy during training, once an epoch; ``rewards`` and ``losses`` of all
        decisions; ``explore``, ε at the end; ``parameters`` of the network; ``seconds`` of processor time. For
        "heads" also ``values``, the heads' at the end.

    Raises
    ------
    ValueError
        If ``name`` is unknown, or another argument is not as described.
    """
    import torch
    from tqdm.auto import tqdm

    from semcom_utils.control.joint_choice import JointChoiceEnv

    positive_integer("seed", seed, low=0)
    torch.set_num_threads(1)
    form = AGENTS[one_of("name", name, AGENTS)]
    q = finite_array("quality", quality)
    shown = q.mean(0, keepdims=True) if form.get("mean") else q
    env = JointChoiceEnv(shown, bits, budget, flat=form["form"] == "flat")
    total = DECISIONS[form["form"]] if decisions is None else positive_integer("decisions", decisions)
    total *= form.get("longer", 1)
    settings = agent_settings(form["form"], rate)
    mean, best = q.mean(0), knapsack_optimum(q.mean(0), bits, int(env.bits.sum()) if budget is None else budget)[1]
    if best <= 0:
        raise ValueError("quality must be above 0 for some choice within the budget, got 0 for all")
    losses: list[float] = []
    looks: list[int] = []
    shares: list[float] = []

    def share(choice: np.ndarray) -> float:
        return value_of(choice, mean, bits, budget) * len(mean) / best

    def look(done: int, choice: Callable[[], np.ndarray]) -> None:
        if done % EPOCH == 0 or done == total:
            looks.append(done)
            shares.append(share(choice()))

    began = time.process_time()
    trainer = {True: _train_library, False: _train_flat}[bool(form.get("library"))]
    if form["form"] == "heads":
        trainer = _train_heads
    with tqdm(total=total, desc=name, **({} if progress else {"disable": True})) as bar:
        recorded = _recorded(env, losses, form, seed, bar)
        choice, rewards, extra = trainer(form, env, recorded, total, seed, settings, look)
    return {
        "choice": choice,
        "share": share(choice),
        "looks": looks,
        "shares": shares,
        "rewards": rewards,
        "losses": np.array(losses),
        "explore": settings.explore[1],
        "seconds": time.process_time() - began,
        **extra,
    }


def _recorded(env: JointChoiceEnv, losses: list[float], form: Mapping, seed: int, bar: Any) -> Any:
    """The environment with its losses noted; "shuffled" has every decision rewarded as a random one would be."""
    import gymnasium

    rng = np.random.default_rng([seed, 1])

    class Recorded(gymnasium.Wrapper):
        def step(self, action: Any) -> Any:
            if form.get("shuffled"):
                every = env.options**env.services
                action = int(rng.integers(every)) if env.flat else rng.integers(env.options, size=env.services)
            result = self.env.step(action)
            losses.append(result[4]["loss"])
            bar.update()
            return result

    return Recorded(env)


def _parameters(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _train_flat(
    form: Mapping, env: JointChoiceEnv, recorded: Any, total: int, seed: int, settings: Any, look: Callable
) -> tuple[np.ndarray, np.ndarray, dict]:
    from semcom_utils.control.d3qn import greedy, train_d3qn

    seen = env.observation(env.budgets[0] if env.budgets else None)[None]

    def choice(network: Any) -> np.ndarray:
        return env.choice(int(greedy(network, seen)[0]))

    def observer(done: int, network: Any) -> None:
        look(done, lambda: choice(network))

    network, rewards = train_d3qn(recorded, total, seed, settings, observer)
    return choice(network), rewards, {"parameters": _parameters(network)}


def _train_library(
    form: Mapping, env: JointChoiceEnv, recorded: Any, total: int, seed: int, settings: Any, look: Callable
) -> tuple[np.ndarray, np.ndarray, dict]:
    from stable_baselines3.common.callbacks import BaseCallback

    from semcom_utils.control.library_agents import library_dqn

    rewards: list[float] = []
    seen = env.observation(env.budgets[0] if env.budgets else None)

    def choice() -> np.ndarray:
        return env.choice(int(model.predict(seen, deterministic=True)[0]))

    class Look(BaseCallback):
        def _on_step(self) -> bool:
            rewards.append(float(self.locals["rewards"][0]))
            look(self.num_timesteps, choice)
            return True

    model = library_dqn(recorded, seed, settings)
    model.learn(total, callback=Look())
    return choice(), np.array(rewards), {"parameters": _parameters(model.q_net)}


def _train_heads(
    form: Mapping, env: JointChoiceEnv, recorded: Any, total: int, seed: int, settings: Any, look: Callable
) -> tuple[np.ndarray, np.ndarray, dict]:
    from semcom_utils.control.branching import head_values, independent, train_branching

    budget = env.budgets[0] if env.budgets else None
    seen = env.observation(budget)

    def priced(values: np.ndarray, observation: np.ndarray) -> np.ndarray:
        return priced_choice(values, env.bits, budget or int(env.bits.sum()))

    choose = priced if form.get("priced") else independent

    def observer(done: int, network: Any) -> None:
        look(done, lambda: choose(head_values(network, seen), seen))

    network, rewards = train_branching(
        recorded, total, seed, settings, rule=form["rule"], choose=choose, observer=observer
    )
    values = head_values(network, seen)
    return choose(values, seen), rewards, {"parameters": _parameters(network), "values": values}


# --- Fig. 5 ----------------------------------------------------------------------------------------------------------
def tuning_run(task: dict) -> dict:
    """One learning rate of one agent on a seed that is not reported.

    Parameters
    ----------
    task : dict
        ``agent``, ``rate``, ``seed``; ``decisions``, optionally.

    Returns
    -------
    dict
        ``share`` of the optimum at the end.
    """
    quality, bits, _ = measured_table()
    made = train_agent(
        task["agent"],
        quality,
        bits,
        _budget(bits),
        task["seed"],
        decisions=task.get("decisions", DECISIONS[AGENTS[task["agent"]]["form"]] // 2),
        rate=task["rate"],
    )
    return {"share": round(made["share"], 5)}


def _tuning_summary(records: list[dict]) -> dict:
    summary: dict[str, Any] = {}
    for agent in dict.fromkeys(r["task"]["agent"] for r in records):
        rates = list(dict.fromkeys(r["task"]["rate"] for r in records))
        by_rate = [
            float(np.mean([r["share"] for r in records if r["task"]["agent"] == agent and r["task"]["rate"] == rate]))
            for rate in rates
        ]
        summary[agent] = {"rates": rates, "share": by_rate, "rate": rates[int(np.argmax(by_rate))]}
    return summary


def _tuned(agent: str) -> float:
    """The rate of the agent itself, or of the one that it varies."""
    summary = load_result("semcom_for_aigc/allocation_rates")["summary"]
    form = AGENTS[agent]
    like = agent if agent in summary else "d3qn" if form["form"] == "flat" else "priced"
    return summary[like]["rate"]


def allocation_run(task: dict) -> dict:
    """Train one agent with one seed on the four services; Fig. 5's curves, and what fluctuates when it has learned.

    Parameters
    ----------
    task : dict
        ``agent``: a key of :data:`AGENTS`; ``seed``; ``decisions`` instead of the agent's, optionally.

    Returns
    -------
    dict
        ``choice`` as factors, its ``share`` of the optimum; by epoch the mean ``reward`` and ``loss``, and the
        ``shares`` of the greedy policy; ``converged`` under both readings of an epoch; ``variance`` of the reward
        between episodes, exploring and not, and over the second half of the training; ``parameters``, ``seconds``.
        The heads of "priced" also say what they would choose at other SNRs (``at_snr``).
    """
    quality, bits, _ = measured_table()
    form = AGENTS[task["agent"]]
    budget = None if "budget" in form else _budget(bits)
    made = train_agent(
        task["agent"],
        quality,
        bits,
        budget,
        task["seed"],
        decisions=task.get("decisions"),
        rate=_tuned(task["agent"]),
    )
    whole = len(made["rewards"]) // EPOCH * EPOCH
    reward, loss = (made[name][:whole].reshape(-1, EPOCH).mean(1) for name in ("rewards", "losses"))
    final = made["shares"][-1]
    away = np.flatnonzero(np.abs(np.array(made["shares"]) - final) > WITHIN * abs(final))
    record = {
        "choice": [FACTORS[i] for i in made["choice"]],
        "share": round(made["share"], 5),
        "reward": np.round(reward, 4).tolist(),
        "loss": np.round(loss, 4).tolist(),
        "shares": np.round(made["shares"], 4).tolist(),
        "converged": {
            "decisions": settled_after(made["rewards"]),
            "epochs": settled_after(reward) if len(reward) >= WINDOW else len(reward),
            "greedy": made["looks"][min(int(away[-1]) + 1, len(made["looks"]) - 1)] if len(away) else made["looks"][0],
        },
        "variance": _variances(made, form, quality, bits, budget, task["seed"]),
        "parameters": made["parameters"],
        "seconds": round(made["seconds"], 2),
        "at_snr": _at_snr(made, quality.mean(0), bits),
    }
    return record


def _variances(
    made: Mapping, form: Mapping, quality: np.ndarray, bits: np.ndarray, budget: int | None, seed: int
) -> dict:
    """Of the reward between episodes: without exploration, with what of it is left at the end, and late in training."""
    q = quality.mean(0, keepdims=True) if form.get("mean") else quality
    rng, rows, options = np.random.default_rng([seed, 2]), np.arange(len(bits)), bits.shape[1]

    def explored() -> np.ndarray:
        """As in training: any joint action, or random values in place of some heads'."""
        if form["form"] == "flat":
            return rng.integers(options, size=len(bits)) if rng.random() < made["explore"] else made["choice"]
        values = made["values"].copy()
        some = rng.random(len(values)) < made["explore"]
        if not some.any():
            return made["choice"]
        values[some] = rng.uniform(values.min(), values.max(), (int(some.sum()), options))
        return priced_choice(values, bits, budget) if form.get("priced") and budget else values.argmax(-1)

    variances = {}
    for name, policy in (("without", lambda: made["choice"]), ("with", explored)):
        choices = np.array([policy() for _ in range(EPISODES_AFTER)])
        worth = q[rng.integers(len(q), size=len(choices))[:, None], rows, choices].mean(1)
        late = budget is not None and bits[rows, choices].sum(1) > budget
        variances[name] = float(np.where(late, 0.0, worth).var())
    return {**variances, "training": float(made["rewards"][len(made["rewards"]) // 2 :].var())}


def _at_snr(made: Mapping, mean: np.ndarray, bits: np.ndarray) -> dict:
    """Share of the optimum at other SNRs with the same heads and channel uses; empty where nothing can be sent."""
    if "values" not in made:
        return {}
    shares = {}
    for snr_db in (4, 7, 10, 13, 16):
        budget = _budget(bits, snr_db)
        if bits.min(1).sum() <= budget:
            choice = priced_choice(made["values"], bits, budget)
            best = knapsack_optimum(mean, bits, budget)[1] / len(mean)
            shares[str(snr_db)] = round(value_of(choice, mean, bits, budget) / best, 5)
    return shares


def _interval(values: ArrayLike) -> dict:
    return iqm_interval(np.asarray(values, float))


def _rules(quality: np.ndarray, bits: np.ndarray, budget: int) -> dict:
    """Choices that nobody has to learn, and what a random one earns."""
    from semcom_utils.control.joint_choice import joint_values

    mean = quality.mean(0)
    best = knapsack_optimum(mean, bits, budget)[1] / len(mean)
    rules = {"optimum": knapsack_optimum(mean, bits, budget)[0]}
    rules |= {"greedy": greedy_choice(mean, bits, budget), "priced": priced_choice(mean, bits, budget)}
    rules |= {"common": common_choice(mean, bits, budget), "full": np.zeros(len(mean), int)}
    values = joint_values(quality, bits, budget).mean(0)
    no_budget = joint_values(quality, bits, None).mean(0)
    return {
        "share": {name: value_of(c, mean, bits, budget) / best for name, c in rules.items()}
        | {"random": float(values.mean() / best), "random_in_time": float(values[values > 0].mean() / best)},
        "factors": {name: [FACTORS[i] for i in c] for name, c in rules.items()},
        "quality": best,
        "in_time": float((values > 0).mean()),
        "good_actions": int((values >= 0.99 * best).sum()),
        "best_of_50": float(_best_of(values, 50) / best),
        "without_budget": [FACTORS[i] for i in np.unravel_index(int(no_budget.argmax()), bits.shape[1:] * len(bits))],
    }


def _best_of(values: np.ndarray, n: int) -> float:
    """Expected largest of n values drawn with replacement, by order statistics."""
    rising = np.sort(values)
    below = np.arange(len(rising) + 1) / len(rising)
    return float(rising @ np.diff(below**n))


def _allocation_summary(records: list[dict]) -> dict:
    from semcom_utils.control.joint_choice import variance_split

    quality, bits, _ = measured_table()
    budget = _budget(bits)
    rules = _rules(quality, bits, budget)
    agents: dict[str, Any] = {}
    for name in dict.fromkeys(r["task"]["agent"] for r in records):
        part = [r for r in records if r["task"]["agent"] == name]
        curves = {key: np.array([r[key] for r in part]) for key in ("reward", "loss", "shares")}
        agents[name] = {
            "share": _interval([r["share"] for r in part]),
            "seeds_at_target": sum(r["share"] >= 0.99 for r in part),
            "curves": {
                key: [_interval(curve[:, i]) for i in range(0, curve.shape[1], max(1, curve.shape[1] // 20))]
                for key, curve in curves.items()
            },
            "converged": {
                key: {
                    "median": float(np.median([r["converged"][key] for r in part])),
                    "all": [r["converged"][key] for r in part],
                }
                for key in ("decisions", "epochs", "greedy")
            },
            "remains": _interval([r["variance"]["without"] / max(r["variance"]["with"], 1e-12) for r in part]),
            "of_training": _interval([r["variance"]["without"] / max(r["variance"]["training"], 1e-12) for r in part]),
            "parameters": part[0]["parameters"],
            "seconds": _interval([r["seconds"] for r in part]),
            "at_snr": {snr: _interval([r["at_snr"][snr] for r in part]) for snr in part[0]["at_snr"]},
        }
    best = knapsack_optimum(quality.mean(0), bits, budget)[0]
    full = np.zeros(len(bits), int)
    return {
        "uses": channel_uses(bits),
        "budget": budget,
        "snr_db": SNR_DB,
        "rules": rules,
        "agents": agents,
        "random_converged": _random_converges(quality, bits, budget),
        "variance": {
            "budget": {str(e): variance_split(quality, bits, budget, best, e) for e in (0.0, 0.02, 0.05, 0.1, 1.0)},
            "no_budget": {str(e): variance_split(quality, bits, None, full, e) for e in (0.0, 0.02, 0.05, 0.1, 1.0)},
            "pictures_by_factor": quality.std(0).mean(0).tolist(),
        },
    }


def _random_converges(quality: np.ndarray, bits: np.ndarray, budget: int) -> dict:
    """The measure of convergence on a policy that draws every action anew, over ten seeds."""
    from semcom_utils.control.joint_choice import joint_values

    values = joint_values(quality, bits, budget)
    medians: dict[str, list[int]] = {"decisions": [], "epochs": []}
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        rewards = values[rng.integers(len(values), size=DECISIONS["flat"]),
                         rng.integers(values.shape[1], size=DECISIONS["flat"])]  # fmt: skip
        medians["decisions"].append(settled_after(rewards))
        medians["epochs"].append(settled_after(rewards.reshape(-1, EPOCH).mean(1)))
    return {name: {"median": float(np.median(found)), "all": found} for name, found in medians.items()}


# --- tailored factors ------------------------------------------------------------------------------------------------
def tailored_run(task: dict) -> dict:
    """Factors for each map against one for all at the same bits, chosen on half of the scenes, measured on the other.

    Each half is once the one and once the other, so every scene is held out once.

    Parameters
    ----------
    task : dict
        ``what``, as :func:`measured_table` takes it; ``factor``, whose bits for all are the budget; ``seed`` of the
        shuffles.

    Returns
    -------
    dict
        ``gain`` of each held-out scene in mean quality, ``shuffled`` and ``exchanged``, the same for choices fitted to
        tables whose cells, or whose services, are shuffled (mean over shuffles); ``tailored`` and ``common`` factors
        of the two halves.
    """
    quality, bits, scenes = measured_table(task["what"])
    numbers = np.unique(scenes)
    by_scene = np.stack([quality[scenes == number].mean(0) for number in numbers])
    budget = int(bits[:, FACTORS.index(task["factor"])].sum())
    gain, shuffled, exchanged = (np.zeros(len(numbers)) for _ in range(3))
    chosen: dict[str, list] = {"tailored": [], "common": []}
    rng, rows = np.random.default_rng(task["seed"]), np.arange(len(bits))
    for half in (0, 1):
        seen, held = by_scene[half::2].mean(0), by_scene[1 - half :: 2]
        common = common_choice(seen, bits, budget)

        def over_common(table: np.ndarray, held: np.ndarray = held, common: np.ndarray = common) -> np.ndarray:
            tailored = _exact(table, bits, budget)
            return held[:, rows, tailored].mean(1) - held[:, rows, common].mean(1)

        gain[1 - half :: 2] = over_common(seen)
        shuffled[1 - half :: 2] = np.mean(
            [over_common(rng.permutation(seen.ravel()).reshape(seen.shape)) for _ in range(20)], axis=0
        )
        orders = list(permutations(range(len(bits))))
        moved = [order for order in orders if all(i != j for i, j in enumerate(order))]
        few = rng.permutation(len(moved))[:20]
        exchanged[1 - half :: 2] = np.mean([over_common(seen[list(moved[i])]) for i in few], axis=0)
        chosen["tailored"].append([FACTORS[i] for i in _exact(seen, bits, budget)])
        chosen["common"].append(int(FACTORS[common[0]]))
    return {
        "gain": np.round(gain, 5).tolist(),
        "shuffled": np.round(shuffled, 5).tolist(),
        "exchanged": np.round(exchanged, 5).tolist(),
        **chosen,
    }


def _exact(table: np.ndarray, bits: np.ndarray, budget: int) -> np.ndarray:
    """The exact optimum, by dynamic programming."""
    return knapsack_optimum(table, bits, budget, method="dynamic")[0]


def _tailored_summary(records: list[dict]) -> dict:
    summary: dict[str, Any] = {}
    for r in records:
        summary.setdefault(r["task"]["what"], {})[str(r["task"]["factor"])] = {
            name: mean_interval(r[name]) for name in ("gain", "shuffled", "exchanged")
        } | {"tailored": r["tailored"], "common": r["common"]}
    return summary


# --- more services ---------------------------------------------------------------------------------------------------
@checked
def many_services(
    quality: ArrayLike, bits: ArrayLike, services: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A table of any number of services made of measured ones: each has its own order of pictures and size of map.

    Parameters
    ----------
    quality, bits : array_like, ``[draws, known, factors]`` and ``[known, factors]``
        The measured ones.
    services : int
        How many.
    rng : numpy.random.Generator
        Draws for each service which it is like, its pictures, and by what between a half and two its bits are scaled.

    Returns
    -------
    quality, bits : numpy.ndarray, ``[draws, services, factors]`` and ``[services, factors]``
        Bits are whole.

    Raises
    ------
    ValueError
        If the tables do not fit each other, ``services`` is no positive whole number or ``rng`` no generator.
    """
    q, b = finite_array("quality", quality, low=0), finite_array("bits", bits, low=0)
    if q.ndim != 3 or b.shape != q.shape[1:]:
        raise ValueError(f"quality must be [draws, services, factors] and fit bits, got {q.shape} and {b.shape}")
    like = numpy_generator("rng", rng).integers(q.shape[1], size=positive_integer("services", services))
    made = np.stack([q[rng.permutation(len(q))[np.arange(len(q)) % max(len(q) // 3, 1)], s] for s in like], axis=1)
    scale = 2.0 ** rng.uniform(-1, 1, services)
    return made, np.maximum(np.round(scale[:, None] * b[like]), 1).astype(int)


def services_run(task: dict) -> dict:
    """One agent on so many services; what it costs and reaches beside the exact optimum.

    Parameters
    ----------
    task : dict
        ``services``, ``agent``, ``seed``; ``decisions``, optionally.

    Returns
    -------
    dict
        ``share`` of the optimum; ``seconds`` of training, of dynamic programming and of the rules; ``parameters``.
    """
    table = measured_table("all")
    quality, bits = many_services(*table[:2], task["services"], np.random.default_rng([task["services"], 7]))
    mean, budget = quality.mean(0), int(bits[:, FACTORS.index(COMMON_FACTOR)].sum())
    shares, seconds = {}, {}
    best = knapsack_optimum(mean, bits, budget, method="dynamic")[1] / len(mean)
    for name, rule in (
        ("exact", lambda: knapsack_optimum(mean, bits, budget, method="dynamic")[0]),
        ("greedy", lambda: greedy_choice(mean, bits, budget)),
        ("by_price", lambda: priced_choice(mean, bits, budget)),
        ("common", lambda: common_choice(mean, bits, budget)),
    ):
        began = time.process_time()
        shares[name] = round(value_of(rule(), mean, bits, budget) / best, 5)
        seconds[name] = round(time.process_time() - began, 4)
    made = train_agent(
        task["agent"],
        quality,
        bits,
        budget,
        task["seed"],
        decisions=task.get("decisions", 4000),
        rate=_tuned(task["agent"]),
    )
    shares["agent"] = round(made["share"], 5)
    seconds["agent"] = round(made["seconds"], 2)
    return {"share": shares, "seconds": seconds, "parameters": made["parameters"], "budget": budget}


def _services_summary(records: list[dict]) -> dict:
    summary: dict[str, Any] = {}
    for agent in dict.fromkeys(r["task"]["agent"] for r in records):
        own = [r for r in records if r["task"]["agent"] == agent]
        summary[agent] = {}
        for n in dict.fromkeys(r["task"]["services"] for r in own):
            part = [r for r in own if r["task"]["services"] == n]
            summary[agent][str(n)] = {
                "parameters": part[0]["parameters"],
                "share": _interval([r["share"]["agent"] for r in part]),
                "seconds": _interval([r["seconds"]["agent"] for r in part]),
                "rules": {name: value for name, value in part[0]["share"].items() if name != "agent"},
                "rules_seconds": {
                    name: float(np.median([r["seconds"][name] for r in part]))
                    for name in part[0]["seconds"]
                    if name != "agent"
                },
            }
    return summary


FLAT_SERVICES, HEADS_SERVICES = (2, 3, 4), (2, 4, 10, 30, 100)

STUDIES = {
    "allocation_rates": Study(
        lambda: [
            {"agent": agent, "rate": rate, "seed": seed}
            for agent in ("library", "d3qn", "branching", "priced")
            for rate in RATES
            for seed in TUNING_SEEDS
        ],
        tuning_run,
        _tuning_summary,
        reads=("semcom_for_aigc/quality",),
        small={"+decisions": 600},
    ),
    "allocation": Study(
        lambda: [{"agent": agent, "seed": seed} for agent in AGENTS for seed in SEEDS],
        allocation_run,
        _allocation_summary,
        reads=("semcom_for_aigc/quality", "semcom_for_aigc/allocation_rates"),
        small={"+decisions": 600},
    ),
    "tailored": Study(
        lambda: [{"what": what, "factor": f, "seed": 0} for what in ("services", "extractors") for f in FACTORS[1:-1]],
        tailored_run,
        _tailored_summary,
        reads=("semcom_for_aigc/quality",),
        small={"factor": 4},
    ),
    "services": Study(
        lambda: [
            {"agent": agent, "services": n, "seed": seed}
            for agent, numbers in (("d3qn", FLAT_SERVICES), ("branching", HEADS_SERVICES), ("priced", HEADS_SERVICES))
            for n in numbers
            for seed in range(200, 203)
        ],
        services_run,
        _services_summary,
        reads=("semcom_for_aigc/quality", "semcom_for_aigc/allocation_rates"),
        small={"+decisions": 600},
    ),
}
