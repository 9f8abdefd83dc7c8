"""The studies of the ISGC chapter: tuning, training curves, and what each choice changes.

Every study trains agents on the same case study and judges them on the same held-out states. A task names everything
that its outcome depends on, the seed included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import stats

from semcom_utils.checks import checked, finite_array, one_of, positive_integer
from semcom_utils.control.allocation import optimal_allocation, smallest_latency_budget
from semcom_utils.control.diffusion_policy import (
    DiffusionPolicy,
    MlpPolicy,
    Training,
    TwinCritic,
    act,
    initialised,
    train,
)
from semcom_utils.papers.isgc.scenario import (
    PAPER_STATES,
    BatchIsgcEnv,
    IsgcConstants,
    allocation_problem,
    bandwidth_from_action,
    observe,
    paper_states,
    sample_states,
    share_of_optimum,
    utility,
)
from semcom_utils.statistics import iqm_interval
from semcom_utils.studies import Study, load_result

__all__ = ["HELD_OUT", "STUDIES", "TUNING", "evaluate", "held_out_states", "run", "search_space"]

#: Seed of the held-out states; the agents' seeds start at 0 and are spawned, so none can meet it.
HELD_OUT = 20261122
#: Seed of the states that settings are chosen by: no final figure is measured on them.
TUNING = 20261126
LEARNERS = ("diffusion", "mlp", "ppo", "sac")
SEEDS = range(10)


@checked
def held_out_states(constants: IsgcConstants | None = None, n: int = 4096, seed: int = HELD_OUT) -> np.ndarray:
    """The states that every method is judged on.

    Parameters
    ----------
    constants : IsgcConstants, optional
        By default those of :class:`IsgcConstants`.
    n : int
        How many; fewer are not the first of more.
    seed : int
        ``TUNING`` for the states that settings are chosen by.

    Returns
    -------
    numpy.ndarray
        ``[n, 10]``.

    Raises
    ------
    ValueError
        If ``n`` is no positive whole number, or ``seed`` none of at least 0.
    """
    positive_integer("seed", seed, low=0)
    return sample_states(n, np.random.default_rng(seed), constants)


@checked
def evaluate(decide: Callable[[np.ndarray], np.ndarray], env: BatchIsgcEnv, states: np.ndarray) -> dict:
    """Judge a policy on states.

    Parameters
    ----------
    decide : callable
        Maps observations ``[n, 10]`` to actions ``[n, 3]``.
    env : BatchIsgcEnv
        Tells how states are observed and actions executed.
    states : numpy.ndarray
        ``[n, 10]``.

    Returns
    -------
    dict
        As of :func:`share_of_optimum`.

    Raises
    ------
    ValueError
        If ``states`` are not finite rows of 10, one of which has a feasible allocation, ``decide`` gives anything but
        an action for each, or ``env`` is no such environment.
    """
    finite_array("states", states, last=10)
    if states.ndim != 2:
        raise ValueError(f"states must be [n, 10], got {states.shape}")
    action = decide(observe(states, env.constants, env.observation))
    if np.shape(action) != (len(states), 3):
        raise ValueError(f"decide must give actions {(len(states), 3)}, got {np.shape(action)}")
    return share_of_optimum(states, env.execute(states, action), env.constants)


def _new_policy(method: str, width: int, seed: int, settings: dict):
    """An untrained policy of ours; takes what only it knows out of the settings."""
    if method == "mlp":
        return initialised(lambda: MlpPolicy(10, 3, width), seed)
    steps, prediction = settings.pop("denoising_steps", 5), settings.pop("prediction_type", "epsilon")
    clip = settings.pop("clip", "hard")
    return initialised(lambda: DiffusionPolicy(10, 3, steps, width, prediction, clip), seed)


def _agent(task: dict, env: BatchIsgcEnv, seed: int, observer):
    """Train the task's agent; returns the function that decides with it, and its spread over its own noise."""
    settings = dict(task["settings"])
    width = settings.pop("width", 128)
    for name in ("copies", "action_map"):  # the environment's
        settings.pop(name, None)
    noise = torch.Generator().manual_seed(seed + 1)
    if task["method"] in ("ppo", "sac"):
        from semcom_utils.control.library_agents import library_agent, train_library_agent  # Stable-Baselines3: slow

        agent = library_agent(task["method"], env, seed, width=width, **settings)

        def agent_decides(agent):
            return lambda o: agent.predict(o, deterministic=True)[0]

        trained = train_library_agent(agent, task["steps"], lambda n, a: observer(n, agent_decides(a)))
        return agent_decides(trained), None
    policy = _new_policy(task["method"], width, seed, settings)
    critic_width, critic_layers = settings.pop("critic_width", width), settings.pop("critic_layers", 2)
    critic = initialised(lambda: TwinCritic(10, 3, critic_width, critic_layers), seed + 2)

    def decide_with(policy):
        return lambda o: act(policy, o, torch.Generator().manual_seed(HELD_OUT))

    training = Training(updates=-(-task["steps"] // env.n), **settings)
    policy = train(policy, critic, env, training, noise, lambda n, p: observer(n, decide_with(p)))
    return decide_with(policy), _spread(policy, env)


def run(task: dict) -> dict:
    """Train one agent and judge it; the record of all studies of this module.

    Parameters
    ----------
    task : dict
        ``method``, ``feasibility``, ``steps`` (environment steps), ``settings`` (of the learner, with the environment's
        ``copies`` and ``action_map``), ``seed``; optionally ``points`` (of the training curve), ``states`` (the seed of
        those that judge), ``constants``, ``observation``, ``reward_form`` and ``episode_length``.

    Returns
    -------
    dict
        ``curve`` (rows: environment steps, share, infeasible), ``final``, the same ``with_layer`` where the agent
        learned without one, ``action_spread`` (our learners) and ``paper_actions``, its actions in Fig. 5's states.
    """
    torch.set_num_threads(1)
    changed = task.get("constants", {})
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in changed.items()}
    constants = IsgcConstants(**values)
    states_seed, agent_seed = np.random.SeedSequence(task["seed"]).spawn(2)
    env = BatchIsgcEnv(
        task["settings"]["copies"],
        np.random.default_rng(states_seed),
        constants,
        feasibility=task["feasibility"],
        action_map=task["settings"].get("action_map", "box"),
        **{name: task[name] for name in ("observation", "reward_form", "episode_length") if name in task},
    )
    states = held_out_states(constants, seed=task.get("states", HELD_OUT))
    marks = list(np.linspace(0, task["steps"], task.get("points", 5) + 1)[1:])
    curve = []

    def observer(steps, decide):
        if marks and steps >= marks[0]:
            del marks[0]
            judged = evaluate(decide, env, states)
            curve.append([steps, judged["share"], judged["infeasible"]])

    decide, spread = _agent(task, env, int(agent_seed.generate_state(1)[0] // 2), observer)
    record = {"curve": curve, "final": evaluate(decide, env, states), "action_spread": spread}
    if task["feasibility"] == "penalty":
        layer = BatchIsgcEnv(
            1,
            np.random.default_rng(0),
            constants,
            feasibility="layer",
            observation=env.observation,
            action_map=env.action_map,
        )
        record["with_layer"] = evaluate(decide, layer, states)
    record["paper_actions"] = decide(observe(paper_states(), constants, env.observation)).tolist()
    return record


# --- tuning: the same number of random draws for every learner -------------------------------------------------------

TUNING_DRAWS = 6
TUNING_STEPS = 200_000


@checked
def search_space(method: str, rng: np.random.Generator) -> dict:
    """One random draw of a learner's settings; spaces of comparable size, agreed before any run.

    Parameters
    ----------
    method : str
        One of ``LEARNERS``.
    rng : numpy.random.Generator
        Draws one setting after the other.

    Returns
    -------
    dict
        For :func:`run`, ``copies`` of the environment included.

    Raises
    ------
    ValueError
        If ``method`` is unknown or ``rng`` no generator.
    """
    one_of("method", method, LEARNERS)

    def pick(*choices):
        return choices[rng.integers(len(choices))]

    if method in ("diffusion", "mlp"):
        rate = pick(3e-4, 1e-3, 3e-3)
        common = {
            "copies": pick(64, 128, 256),
            "batch_size": pick(128, 256, 512),
            "actor_rate": rate,
            "critic_rate": rate,
            "noise": pick(0.05, 0.1, 0.2),
            "polyak": pick(0.005, 0.02),
        }
        return common if method == "mlp" else {**common, "prediction_type": pick("epsilon", "sample")}
    if method == "ppo":
        return {
            "copies": pick(64, 128, 256),
            "n_steps": pick(4, 8, 16),
            "batch_size": pick(256, 512),
            "rate": pick(3e-4, 1e-3, 3e-3),
            "n_epochs": pick(5, 10),
            "ent_coef": pick(0.0, 0.001, 0.01),
            "gamma": 0.95,
        }
    return {
        "copies": pick(64, 128, 256),
        "batch_size": pick(128, 256, 512),
        "rate": pick(3e-4, 1e-3, 3e-3),
        "tau": pick(0.005, 0.02),
        "ent_coef": pick("auto", 0.001, 0.01),
        "learning_starts": 5000,
        "gradient_steps": 1,
        "gamma": 0.95,
    }


def _tuning_tasks() -> list[dict]:
    return [
        {
            "method": method,
            "feasibility": feasibility,
            "steps": TUNING_STEPS,
            "seed": 1000 + draw,
            "settings": search_space(method, np.random.default_rng([7, draw])),
            "points": 2,
        }
        for feasibility in ("layer", "penalty")
        for method in LEARNERS
        for draw in range(TUNING_DRAWS)
    ]


def _tuning_summary(records: list[dict]) -> dict:
    best: dict[str, dict[str, dict]] = {}
    for record in records:
        task = record["task"]
        chosen = best.setdefault(task["feasibility"], {}).setdefault(task["method"], {"share": -1.0})
        if record["final"]["share"] > chosen["share"]:
            chosen |= {"share": record["final"]["share"], "settings": task["settings"]}
    return best


def _tuned(method: str, feasibility: str) -> dict:
    return load_result("isgc/tuning")["summary"][feasibility][method]["settings"]


# --- training: Fig. 4 and Fig. 5 -------------------------------------------------------------------------------------

#: Environment steps of one training.
TRAINING_STEPS = 200_000


def _training_tasks(feasibility: str) -> list[dict]:
    return [
        {
            "method": method,
            "feasibility": feasibility,
            "steps": TRAINING_STEPS,
            "seed": seed,
            "points": 20,
            "settings": _tuned(method, feasibility),
        }
        for seed in SEEDS
        for method in LEARNERS
    ]


def _intervals(records: list[dict], key: str = "final") -> dict:
    return {
        quantity: iqm_interval([r[key][quantity] for r in records])
        for quantity in ("share", "mean_ratio", "utility", "infeasible")
    }


def _group(records: list[dict], of: Callable[[dict], Any]) -> dict[Any, list[dict]]:
    groups: dict[Any, list[dict]] = {}
    for record in records:
        groups.setdefault(of(record["task"]), []).append(record)
    return groups


def _rules(feasibility: str) -> dict:
    """What needs no training, on the held-out states: random and equal split, and ten untrained diffusion policies."""
    states = held_out_states()
    env = BatchIsgcEnv(1, np.random.default_rng(0), feasibility=feasibility)
    records: dict[str, list[dict]] = {"separate": [], "equal": [], "untrained": []}
    spreads = []
    for seed in SEEDS:
        # Separate: uniform on the simplex, scaled into the action's box
        split = np.random.default_rng([11, seed]).dirichlet(np.ones(3), len(states))
        policy = _new_policy("diffusion", 128, seed, {})
        actions = {
            "separate": 2 * split / split.max(-1, keepdims=True) - 1,
            "equal": np.zeros((len(states), 3)),
            "untrained": act(policy, observe(states), torch.Generator().manual_seed(HELD_OUT)),
        }
        for name, action in actions.items():
            judged = share_of_optimum(states, env.execute(states, action))
            records[name].append({"final": judged})
        spreads.append(_spread(policy, env))
    summary = {name: _intervals(group) for name, group in records.items()}
    summary["untrained"]["action_spread"] = iqm_interval(spreads)
    return summary


def _spread(policy, env: BatchIsgcEnv, draws: int = 16, n: int = 256) -> float:
    """Deviation of a bandwidth over the policy's own noise, as a share of the total; mean over hops and states."""
    states = held_out_states(env.constants, n)
    o = observe(states, env.constants, env.observation)
    generator = torch.Generator().manual_seed(HELD_OUT + 1)
    w = [bandwidth_from_action(act(policy, o, generator), 1.0, env.action_map) for _ in range(draws)]
    return float(np.std(w, axis=0).mean())


def _paired(ours: list[dict], others: list[dict], value) -> dict:
    """Interval of value(ours) - value(others), paired by seed: over the seeds that both have."""
    first, second = ({r["task"]["seed"]: value(r) for r in records} for records in (ours, others))
    return iqm_interval([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])


def _paper_state_table(methods: dict[str, list[dict]]) -> dict:
    """Fig. 5: every learner in all four states (corrected order), utility of the executed allocation."""
    states, table = paper_states(), {}
    envs = {
        form: BatchIsgcEnv(1, np.random.default_rng(0), feasibility="layer", action_map=form)
        for form in ("box", "softmax")
    }
    problem = allocation_problem(states)
    solvable = smallest_latency_budget(problem["latency_loads"], problem["bandwidth"]) <= problem["latency_budget"]
    for i, name in enumerate(PAPER_STATES):

        def earned(record, i=i):
            env = envs[record["task"]["settings"].get("action_map", "box")]
            return float(utility(states[i], env.execute(states[i], np.array(record["paper_actions"][i]))))

        row: dict[str, Any] = {m: iqm_interval([earned(r) for r in rs]) for m, rs in methods.items()}
        row["equal"] = float(utility(states[i], envs["box"].execute(states[i], np.zeros(3))))
        row["feasible"] = bool(solvable[i])
        if solvable[i]:
            row["optimum"] = float(optimal_allocation(**{k: v[i] for k, v in problem.items()})[1])
        row["diffusion_minus_ppo"] = _paired(methods["diffusion"], methods["ppo"], earned)
        table[name.lower().replace(" ", "_")] = row
    return table


def _training_summary(records: list[dict]) -> dict:
    feasibility = records[0]["task"]["feasibility"]
    methods = _group(records, lambda t: t["method"])
    summary = {name: _intervals(rs) for name, rs in methods.items()} | _rules(feasibility)
    for name, rs in methods.items():
        summary[name]["wall_time_s"] = float(np.mean([r["meta"]["wall_time_s"] for r in rs]))
        if feasibility == "penalty":
            summary[name]["layer_added"] = _intervals(rs, "with_layer")
    for name in ("diffusion", "mlp"):
        summary[name]["action_spread"] = iqm_interval([r["action_spread"] for r in methods[name]])
    ppo = {r["task"]["seed"]: r["final"]["utility"] for r in methods["ppo"]}
    gain = [100 * (r["final"]["utility"] / ppo[r["task"]["seed"]] - 1) for r in methods["diffusion"]]
    summary |= {
        "gain_over_ppo_percent": iqm_interval(gain),
        "optimum": {"utility": records[0]["final"]["optimum"]},
        "controls": {"untrained": summary.pop("untrained")},
        "environment_steps": records[0]["task"]["steps"],
    }
    if feasibility == "layer":
        summary["states"] = _paper_state_table(methods)
    return summary


# --- what each choice changes: shorter runs of the diffusion policy --------------------------------------------------

SHORT_STEPS = 100_000


def _short(seed: int, method: str = "diffusion", settings: dict | None = None, **task) -> dict:
    return {
        "method": method,
        "feasibility": "layer",
        "steps": SHORT_STEPS,
        "seed": seed,
        "points": 5,
        "settings": {**_tuned(method, "layer"), **(settings or {})},
        **task,
    }


def _steps_tasks() -> list[dict]:
    return [_short(seed, settings={"denoising_steps": t}) for t in range(1, 9) for seed in SEEDS]


def _steps_summary(records: list[dict]) -> dict:
    groups = _group(records, lambda t: t["settings"]["denoising_steps"])
    steps = {
        str(t): {**_intervals(rs), "wall_time_s": float(np.mean([r["meta"]["wall_time_s"] for r in rs]))}
        for t, rs in groups.items()
    }
    best = max((t for t in steps if t != "1"), key=lambda t: steps[t]["share"]["estimate"])
    pairs = np.array([[r["task"]["settings"]["denoising_steps"], r["final"]["share"]] for r in records])
    correlation = stats.bootstrap(
        (pairs[:, 0], pairs[:, 1]),
        lambda t, share: stats.spearmanr(t, share).statistic,
        paired=True,
        vectorized=False,
        n_resamples=1999,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return {
        "steps": steps,
        "best_above_one": {"steps": int(best), **steps[best]},
        "rank_correlation": {
            "estimate": float(stats.spearmanr(*pairs.T).statistic),
            "low": float(correlation.low),
            "high": float(correlation.high),
            "n": len(records),
        },
    }


#: The paper prints two learning rates without saying whose they are: each learner is run with each.
PAPER_RATES = (3e-7, 3e-6)


def _rates_tasks() -> list[dict]:
    tasks = []
    for rate in (*PAPER_RATES, None):
        ours = {"actor_rate": rate, "critic_rate": rate, "decay": False} if rate else {}
        ppo = {"rate": rate, "decay": False} if rate else {}
        tasks += [
            _short(seed, method, settings, rates=rate or "tuned")
            for method, settings in (("diffusion", ours), ("ppo", ppo))
            for seed in SEEDS
        ]
    return tasks


def _rates_summary(records: list[dict]) -> dict:
    summary: dict[str, dict[str, dict]] = {}
    for (method, rates), rs in _group(records, lambda t: (t["method"], t["rates"])).items():
        summary.setdefault(method, {})[str(rates)] = _intervals(rs)
    for part in summary.values():
        part["best_of_paper"] = max((part[str(r)] for r in PAPER_RATES), key=lambda p: p["share"]["estimate"])
    return summary


#: Each reading but the default one, which the other short studies hold already.
READINGS: dict[str, dict[str, Any]] = {
    "K in (0, 0.8)": {"constants": {"symbols": (0.0, 0.8)}},
    "sigma signed": {"observation": "raw", "constants": {"noise_sign": "signed"}},
    "sigma as noise power": {"constants": {"noise_meaning": "variance"}},
}


def _readings_tasks() -> list[dict]:
    return [
        _short(seed, method, reading=name, **reading)
        for name, reading in READINGS.items()
        for method in (("diffusion", "ppo") if name.startswith("K") else ("diffusion",))
        for seed in SEEDS
    ]


def _readings_summary(records: list[dict]) -> dict:
    groups = _group(records, lambda t: (t["reading"], t["method"]))
    default = _group(load_result("isgc/learning_rates")["records"], lambda t: (t["rates"], t["method"]))
    raw = _group(load_result("isgc/choices")["records"], lambda t: t["choice"])["raw observation"]
    k = {}
    for side, groups_of, name in (("high", default, "tuned"), ("low", groups, "K in (0, 0.8)")):
        pair = {m: groups_of[name, m] for m in ("diffusion", "ppo")}
        k[side] = {m: _intervals(rs) for m, rs in pair.items()}
        # the mean of each state's own ratio: with K down to 0 the mean utility itself does not exist
        k[side]["diffusion_minus_ppo"] = _paired(pair["diffusion"], pair["ppo"], lambda r: r["final"]["mean_ratio"])
    signed = groups["sigma signed", "diffusion"]

    def share(record):
        return record["final"]["share"]

    return {
        "k": k,
        "sigma": {
            "folded": iqm_interval([share(r) for r in raw]),
            "signed": iqm_interval([share(r) for r in signed]),
            "share_difference": _paired(signed, raw, share),
        },
        "variance": _intervals(groups["sigma as noise power", "diffusion"]),
    }


CHOICES: dict[str, dict[str, Any]] = {
    "raw observation": {"observation": "raw"},
    "utility itself as reward": {"reward_form": "utility"},
    "episodes of ten steps": {"episode_length": 10},
    "clip that lets gradients through": {"settings": {"clip": "straight-through"}},
}


def _choices_summary(records: list[dict]) -> dict:
    default = _group(load_result("isgc/learning_rates")["records"], lambda t: (t["rates"], t["method"]))
    groups = {"as in the chapter": default["tuned", "diffusion"]} | _group(records, lambda t: t["choice"])
    return {name: _intervals(rs) for name, rs in groups.items()}


def _choices_tasks() -> list[dict]:
    return [_short(seed, choice=name, **choice) for name, choice in CHOICES.items() for seed in SEEDS]


#: The paper's whole budget in its most generous reading, 3,000 epochs x 10 steps x 100.
PAPER_STEPS = 3_000_000


def _budget_tasks() -> list[dict]:
    """The larger of the paper's two rates with the paper's budget; one run each, so a look and no claim."""
    return [
        {
            "method": method,
            "feasibility": "layer",
            "steps": PAPER_STEPS,
            "seed": 0,
            "points": 30,
            "settings": {**_tuned(method, "layer"), **rates, "decay": False},
        }
        for method, rates in (("diffusion", {"actor_rate": 3e-6, "critic_rate": 3e-6}), ("ppo", {"rate": 3e-6}))
    ]


def _budget_summary(records: list[dict]) -> dict:
    return {r["task"]["method"]: {"share": r["final"]["share"], "curve": r["curve"]} for r in records}


def _fast_tasks() -> list[dict]:
    """The chapter's live training, with ten seeds."""
    settings = {"copies": 64, "width": 64, "actor_rate": 1e-3, "critic_rate": 3e-3, "polyak": 0.05}
    return [
        {"method": "diffusion", "feasibility": "layer", "steps": 700 * 64, "seed": seed, "settings": settings}
        for seed in SEEDS
    ]


#: Learners that hardly learn, for the test that runs every study; rates and the like as tuned.
SMALL = {
    "steps": 64,
    "points": 1,
    "settings.copies": 16,
    "settings.batch_size": 16,
    "settings.n_steps": 2,
    "settings.n_epochs": 1,
    "settings.learning_starts": 16,
}
#: All draws of a learner as one.
SMALL_TUNING = SMALL | {
    "settings.actor_rate": 1e-3,
    "settings.critic_rate": 1e-3,
    "settings.rate": 1e-3,
    "settings.noise": 0.1,
    "settings.polyak": 0.02,
    "settings.prediction_type": "epsilon",
    "settings.ent_coef": 0.01,
    "settings.tau": 0.02,
}
_OURS = {name: SMALL[name] for name in ("steps", "settings.copies", "settings.batch_size")}
_WITH_PPO = {name: value for name, value in SMALL.items() if name != "settings.learning_starts"}
_TUNED = ("isgc/tuning",)

STUDIES = {
    "tuning": Study(_tuning_tasks, run, _tuning_summary, small=SMALL_TUNING),
    "training": Study(lambda: _training_tasks("layer"), run, _training_summary, reads=_TUNED, small=SMALL),
    "penalty": Study(lambda: _training_tasks("penalty"), run, _training_summary, reads=_TUNED, small=SMALL),
    "denoising_steps": Study(_steps_tasks, run, _steps_summary, reads=_TUNED, small=_OURS),
    "learning_rates": Study(_rates_tasks, run, _rates_summary, reads=_TUNED, small=_WITH_PPO),
    "readings": Study(
        _readings_tasks,
        run,
        _readings_summary,
        reads=_TUNED,
        compares=("isgc/learning_rates", "isgc/choices"),
        small=_WITH_PPO,
    ),
    "paper_budget": Study(_budget_tasks, run, _budget_summary, reads=_TUNED, small=_WITH_PPO),
    "fast": Study(_fast_tasks, run, _intervals, small={"steps": 64, "settings.copies": 16}),
    "choices": Study(
        _choices_tasks, run, _choices_summary, reads=_TUNED, compares=("isgc/learning_rates",), small=_OURS
    ),
}
