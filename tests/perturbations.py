"""What turns each check of the ledger round: a wrong method, shuffled data, the control's records, another setting's.

A check that no change of the records or of the method can turn says nothing. For each study a few perturbations are
stated here, and for each claim those that turn its checks: what holds on the stored records has to fail under one of
them, what fails has to hold under one of them, and the same goes for the checks of its control.
``test_claims_can_fail.py`` recomputes the summaries and counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from unittest.mock import patch

import numpy as np

from semcom_utils import statistics
from semcom_utils.studies import find, load_result

ISGC = "semcom_utils.papers.isgc.learning"
SURVEY = "semcom_utils.papers.gai_semcom_networks"
ROOT = "semcom_utils.papers.semaigc_root.workload"


@dataclass(frozen=True)
class Perturbation:
    """One way to make a study's summary wrong.

    Attributes
    ----------
    study : str
        ``<paper>/<study>``.
    what : str
        What is done to the records, or which method is exchanged for which, in words.
    change : callable, optional
        Changes the records, which are a copy, in place.
    methods : mapping of str to callable
        Dotted names and functions that make what stands there while the summary is computed; called with nothing.
    """

    study: str
    what: str
    change: Callable[[list[dict]], None] = lambda records: None
    methods: Mapping[str, Callable[[], object]] = field(default_factory=dict, hash=False)


@lru_cache(maxsize=64)
def perturbed_summary(perturbation: Perturbation) -> dict:
    """The study's summary under a perturbation, as JSON has it."""
    records = deepcopy(records_of(perturbation.study))
    perturbation.change(records)
    patches = [patch(name, make()) for name, make in {**UNTOUCHED, **perturbation.methods}.items()]
    for one in patches:
        one.start()
    try:
        with np.errstate(all="ignore"):
            return json.loads(json.dumps(find(perturbation.study).summarise(records)))
    finally:
        for one in patches:
            one.stop()


@lru_cache(maxsize=32)
def records_of(study: str) -> list[dict]:
    """The stored records of a study; not to be changed."""
    return load_result(study)["records"]


def _stored_rules() -> Callable[[str], dict]:
    """Rules that need no training, as stored: no record enters them, and computing them takes seconds."""

    def rules(feasibility):
        stored = load_result(f"isgc/equal_{feasibility}")["summary"]
        return {
            "separate": stored["separate"],
            "equal": stored["equal"],
            "untrained": deepcopy(stored["controls"]["untrained"]),
        }

    return rules


_bootstrap, _intervals = statistics._bootstrap, {}


def remembered(values: object, statistic: Callable, rng: np.random.Generator | None, level: float) -> dict:
    """A bootstrap interval, computed once: under a perturbation most numbers are what they were."""
    x = np.asarray(values)
    if rng is not None or x.dtype == object:
        return _bootstrap(values, statistic, rng, level)
    key = (x.tobytes(), x.dtype.str, x.shape, statistic, level)
    if key not in _intervals:
        _intervals[key] = _bootstrap(values, statistic, rng, level)
    return dict(_intervals[key])


UNTOUCHED: dict[str, Callable[[], object]] = {
    f"{ISGC}._rules": _stored_rules,
    "semcom_utils.statistics._bootstrap": lambda: remembered,
}


def _of(records: list[dict], **task: object) -> list[dict]:
    """The records whose task has these values, in order."""
    return [r for r in records if all(r["task"].get(name) == value for name, value in task.items())]


def _exchange(one: list[dict], other: list[dict], *names: str) -> None:
    """Two groups of records exchange what they measured under these names; under all of them if none is given."""
    for a, b in zip(one, other, strict=True):
        for name in names or set(a) - {"task", "meta"}:
            a[name], b[name] = b[name], a[name]


def _copy(source: list[dict], target: list[dict], *names: str) -> None:
    """One group of records gets what another measured."""
    for a, b in zip(source, target, strict=True):
        for name in names or set(a) - {"task", "meta"}:
            b[name] = deepcopy(a[name])


# --- ISGC ------------------------------------------------------------------------------------------------------------


def _as_claimed(records: list[dict]) -> None:
    """Diffusion without spread; PPO and the MLP actor earn less by the printed gain, with the worst of actions."""
    ours = _of(records, method="diffusion")
    for method in ("ppo", "mlp"):
        for record, better in zip(_of(records, method=method), ours, strict=True):
            for name in ("utility", "share", "mean_ratio"):
                record["final"][name] = better["final"][name] / 1.083
            record["paper_actions"] = [[-0.9, -0.9, 1.0]] * 4
    for record in ours:
        record["action_spread"] = 0.001


def _contrary(records: list[dict]) -> None:
    """The diffusion policy earns a tenth less than it did, is often too slow, and gives another answer each time."""
    for record in _of(records, method="diffusion"):
        for name in ("utility", "share", "mean_ratio"):
            record["final"][name] *= 0.9
        record["final"]["infeasible"] = 0.1
        record["action_spread"] = 0.1
        record["paper_actions"] = [[-0.9, -0.9, 1.0]] * 4


def _no_better_than_separate(records: list[dict]) -> None:
    separate = load_result("isgc/equal_layer")["summary"]["separate"]["utility"]["estimate"]
    for record in _of(records, method="diffusion"):
        record["final"]["utility"] = separate


def _without_layer(records: list[dict]) -> None:
    """Learners with a penalty only, and a budget beyond the paper's."""
    for method in ("diffusion", "ppo"):
        _copy(_of(records_of("isgc/by_hand"), method=method), _of(records, method=method), "final")
    for record in records:
        record["task"]["steps"] = 4_000_000


def _optimal_act() -> Callable:
    """The exact optimum in place of an untrained policy; an equal split where nothing is feasible."""
    from semcom_utils.control.allocation import optimal_allocation, smallest_latency_budget
    from semcom_utils.papers.isgc.learning import held_out_states
    from semcom_utils.papers.isgc.scenario import allocation_problem

    def act(policy, observations, generator):
        problem = allocation_problem(held_out_states(n=len(observations)))
        smallest = smallest_latency_budget(problem["latency_loads"], problem["bandwidth"])
        inside = smallest <= problem["latency_budget"]
        action = np.zeros((len(observations), 3))
        split = optimal_allocation(**{
            name: value[inside] if np.ndim(value) else value for name, value in problem.items()
        })[0]  # fmt: skip
        action[inside] = 2 * split / split.max(-1, keepdims=True) - 1
        return action

    return act


def _learned_with_layer(records: list[dict]) -> None:
    _copy(_of(records_of("isgc/equal_layer"), method="diffusion"), _of(records, method="diffusion"), "final")
    _as_claimed(records)


def _shuffled_steps(records: list[dict]) -> None:
    order = np.random.default_rng(1).permutation(len(records))
    finals = [records[i]["final"] for i in order]
    for record, final in zip(records, finals, strict=True):
        record["final"] = final


def _equal_readings(records: list[dict]) -> None:
    """Signed noise gets the runs of the other reading; PPO gets a tenth less than diffusion where K is small."""
    folded = _of(records_of("isgc/choices"), choice="raw observation")
    _copy(folded, _of(records, reading="sigma signed"), "final")
    for record, better in zip(
        _of(records, reading="K in (0, 0.8)", method="ppo"),
        _of(records, reading="K in (0, 0.8)", method="diffusion"),
        strict=True,
    ):
        record["final"]["mean_ratio"] = 0.9 * better["final"]["mean_ratio"]


def _reads_as_claimed() -> Callable[[str], dict]:
    """The tuned runs that the study of readings reads, with PPO a tenth behind."""

    def load(name):
        result = deepcopy(load_result(name))
        if name == "isgc/learning_rates":
            for record, better in zip(
                _of(result["records"], rates="tuned", method="ppo"),
                _of(result["records"], rates="tuned", method="diffusion"),
                strict=True,
            ):
                record["final"]["mean_ratio"] = 0.9 * better["final"]["mean_ratio"]
        return result

    return load


def _thirtieth_of_the_budget(records: list[dict]) -> None:
    for method in ("diffusion", "ppo"):
        _copy(
            _of(records_of("isgc/learning_rates"), rates=3e-6, method=method)[:1], _of(records, method=method), "final"
        )


CLAIMED = Perturbation("isgc/equal_layer", "PPO and the MLP actor earn less by the printed gain", _as_claimed)
NO_LAYER = Perturbation("isgc/equal_layer", "runs with a penalty only, beyond the budget", _without_layer)
OPTIMUM = Perturbation(
    "isgc/equal_layer",
    "the exact optimum takes the untrained policy's place",
    methods={f"{ISGC}.act": _optimal_act, f"{ISGC}._rules": lambda: _own("isgc/equal_layer", "_rules")},
)
CONTRARY, CONTRARY_PENALTY = (
    Perturbation(study, "diffusion earns a tenth less, is too slow and undecided", _contrary)
    for study in ("isgc/equal_layer", "isgc/by_hand")
)
SEPARATE = Perturbation("isgc/equal_layer", "diffusion earns what a random split does", _no_better_than_separate)
LAYER = Perturbation("isgc/by_hand", "diffusion with the layer, the others behind it", _learned_with_layer)
SHUFFLED_STEPS = Perturbation("isgc/denoising_steps", "outcomes shuffled between the numbers of steps", _shuffled_steps)
READINGS = Perturbation(
    "isgc/readings",
    "both readings of sigma get the same runs; PPO a tenth behind diffusion",
    _equal_readings,
    {f"{ISGC}.load_result": _reads_as_claimed},
)
BUDGET = Perturbation("isgc/paper_budget", "runs of a thirtieth of the budget", _thirtieth_of_the_budget)


def _misjudged(records: list[dict]) -> None:
    """The sender takes the worst message for the best."""
    for record in records:
        record["told"] = [[1000 - q for q in row] for row in record["told"]]


def _better_menu(records: list[dict]) -> None:
    """Every message of the menu serves everybody a tenth better, and no other does."""
    for record in records:
        menu = len(record["told"])
        record["ssim"] = [[q + 100 for q in row] if k < menu else row for k, row in enumerate(record["ssim"])]


def _depth(sweep: float) -> Callable[[list[dict]], None]:
    def change(records: list[dict]) -> None:
        for record in records:
            record["depth"]["sweep"] = sweep

    return change


def _shown(ssim: int, same: int) -> Callable[[list[dict]], None]:
    """What is shown as it was captured is as good as that."""

    def change(records: list[dict]) -> None:
        for record in records:
            record["ssim"][-1] = [ssim] * len(record["ssim"][-1])
            record["same"][-1] = [same] * len(record["same"][-1])
            record["same"][0] = [1 - same] * len(record["same"][0])

    return change


def _focused(more: int, seen: int) -> Callable[[list[dict]], None]:
    """Both ways to put bits somewhere show the watched thing by so many tenths of a dB better than an even share."""

    def change(records: list[dict]) -> None:
        for record in records:
            record["watched"] = [record["watched"][0]] + [record["watched"][0] + more] * 2
            record["seen"] = [1 - seen, seen, seen]

    return change


CAMPUS = "isgc/coordination"
MISJUDGED = Perturbation(CAMPUS, "the sender takes the worst message for the best", _misjudged)
BETTER_MENU = Perturbation(CAMPUS, "every message of the menu is a tenth better", _better_menu)
NO_DEPTH = Perturbation(CAMPUS, "the sweep is one unit of inverse depth wrong", _depth(1.0))
TRUE_DEPTH = Perturbation(CAMPUS, "the sweep finds the true depth", _depth(0.0))
SHOWN_RIGHT = Perturbation(CAMPUS, "the captured picture is the true view", _shown(1000, 1))
SHOWN_BLACK = Perturbation(CAMPUS, "the captured picture is black", _shown(0, 0))
UNFOCUSED = Perturbation("isgc/focus", "bits in the right place do harm", _focused(-10, 0))
FOCUSED = Perturbation("isgc/focus", "bits in any place help", _focused(10, 1))


def _own(study: str, name: str) -> object:
    """A function of the study's module as it is."""
    return find(study).summarise.__globals__[name]


# --- the survey: information -----------------------------------------------------------------------------------------


def _no_paraphrases(records: list[dict]) -> None:
    _exchange(_of(records, kind="entropy", synonyms=True), _of(records, kind="entropy", synonyms=False))


def _code_of_sentences(records: list[dict]) -> None:
    """Sentences are coded in place of meanings, and the entropy of the wording is taken in nats."""
    for record in _of(records, kind="entropy"):
        record["gap_less_wording"] = abs(record["gap"] - record["H_X_given_M"] * np.log(2))
        record["code_above_entropy"] = record["code_length_sentences"] - record["H_M"]


def _knowledge_unused(records: list[dict]) -> None:
    for record in _of(records, kind="knowledge"):
        record["saved"] = -record["saved"]
        record["errors"], record["errors_if_it_differs"] = record["errors_if_it_differs"], record["errors"]


def _every_second_message(records: list[dict]) -> None:
    for record in _of(records, kind="knowledge"):
        record["saved"] += record["with_knowledge"] / 2


def _rates_reversed(records: list[dict]) -> None:
    """What was lost below capacity and above it change places; so do one wording a meaning and several."""
    below, fixed, *above = [
        _of(records, kind="capacity", share=share, wording=wording)
        for share, wording in ((0.955, "coded"), (0.955, "fixed"), (1.03, "coded"), (1.06, "coded"))
    ]
    for group in above:
        _copy(below, group)
    _exchange(below, fixed)


def _shannon_for_meanings() -> Callable:
    """Meanings are not looked at."""
    from semcom_utils.semantic.information import channel_capacity

    return lambda channel, meanings, shortcut=True: channel_capacity(channel)


def _entropy_for_capacity() -> Callable:
    """The channel is not looked at."""
    return lambda channel, meanings, shortcut=True: (float(np.log2(len(set(np.asarray(meanings).tolist())))), None)


def _relabelled(name: str, mapping: Mapping, kind: str | None = None) -> Callable[[list[dict]], None]:
    """Records with a value of the task get another."""

    def change(records):
        for record in records:
            if kind in (None, record["task"].get("kind")) and record["task"].get(name) in mapping:
                record["task"][name] = mapping[record["task"][name]]

    return change


def _by_need_is_by_age(records: list[dict]) -> None:
    """The senders by age and by need change places, the coin gets what need had, and both sources change places."""
    _exchange(_of(records, threshold=1, change=0.1), _of(records, threshold=1, change=1.0), "saved")
    for record in _of(records, kind="incorrect", change=0.1):
        record["coin_aoii_difference"] = record["aoii_difference"]
        record["aoii_difference"] = -record["aoii_difference"]
        record["saved"] = -record["saved"]


def _other_threshold(sender: str) -> Callable[[list[dict]], None]:
    """One of the two senders is run at another threshold: at 10 in place of 1, at 1 in place of the others."""

    def change(records):
        groups = {n: _of(records, kind="incorrect", threshold=n, change=0.1) for n in (1, 2, 5, 10)}
        taken = {n: [r[f"error_{sender}"] for r in group] for n, group in groups.items()}
        for n, group in groups.items():
            for record, error in zip(group, taken[10 if n == 1 else 1], strict=True):
                record[f"error_{sender}"] = error
                record["error_difference"] = record["error_need"] - record["error_age"]

    return change


def _event_is_random(records: list[dict]) -> None:
    """The event's messages are the clock's, and its misses those of a sender at random times."""
    for record in _of(records, kind="faults"):
        record["ratio"] = 1 / record["ratio"]
        record["more_missed_event"], record["more_missed_random"] = (
            record["more_missed_random"],
            record["more_missed_event"],
        )


def _confounded(records: list[dict]) -> None:
    """The common cause is where it should not be, and interventions are regressions."""
    _exchange(_of(records, kind="causal", answer=2.0), _of(records, kind="causal", answer=0.0))
    for record in _of(records, kind="causal", answer=0.0):
        record["intervention"] = record["regression"]


def _interventions_exchanged(records: list[dict]) -> None:
    for record in _of(records, kind="causal"):
        record["regression"], record["intervention"] = record["intervention"], record["regression"]


INFORMATION, EFFECT = "gai_semcom_networks/semantic_information", "gai_semcom_networks/information_effectiveness"
PLAIN = Perturbation(INFORMATION, "the grammar without paraphrases in place of that with them", _no_paraphrases)
SENTENCES = Perturbation(INFORMATION, "sentences coded, the wording's entropy in nats", _code_of_sentences)
KNOWLEDGE = Perturbation(INFORMATION, "what is saved is lost; the decoder has the wrong setting", _knowledge_unused)
HALF = Perturbation(INFORMATION, "every second message is not sent", _every_second_message)
RATES = Perturbation(INFORMATION, "blocks above capacity, and with one wording, as below it", _rates_reversed)
SHANNON = Perturbation(
    INFORMATION,
    "Shannon's capacity for that in meanings",
    methods={f"{SURVEY}.semantic_information.meaning_capacity": _shannon_for_meanings},
)
NOISELESS = Perturbation(
    INFORMATION,
    "the entropy of meanings for the capacity in meanings",
    methods={f"{SURVEY}.semantic_information.meaning_capacity": _entropy_for_capacity},
)
QUEUES = Perturbation(EFFECT, "M/M/1 for D/M/1", _relabelled("queue", {"M/M/1": "D/M/1", "D/M/1": "M/M/1"}, "age"))
DROPPING = Perturbation(
    EFFECT,
    "a queue that keeps all for one that drops",
    _relabelled("queue", {"M/M/1": "preemptive", "preemptive": "M/M/1"}, "age"),
)
LOW_LOAD = Perturbation(EFFECT, "loads 0.15 and 0.53 exchanged", _relabelled("load", {0.15: 0.53, 0.53: 0.15}, "age"))
HIGH_LOAD = Perturbation(EFFECT, "loads 0.85 and 0.53 exchanged", _relabelled("load", {0.85: 0.53, 0.53: 0.85}, "age"))
SENDERS = Perturbation(EFFECT, "senders by age and by need exchanged; the control's source", _by_need_is_by_age)
NEED_AT = Perturbation(EFFECT, "the sender by need at another threshold", _other_threshold("need"))
AGE_AT = Perturbation(EFFECT, "the sender by age at another threshold", _other_threshold("age"))
GROWTHS = Perturbation(EFFECT, "systems exchanged in a ring", _relabelled("growth", {0.8: 1.0, 1.0: 1.1, 1.1: 0.8}))
RANDOM_ALARM = Perturbation(EFFECT, "the event sends at random times, as often as the clock", _event_is_random)
CONFOUNDED = Perturbation(EFFECT, "the common cause where there should be none", _confounded)
INTERVENED = Perturbation(EFFECT, "regression and intervention exchanged", _interventions_exchanged)


# --- the survey: management ------------------------------------------------------------------------------------------


def _swap_flag(name: str) -> Callable[[list[dict]], None]:
    return _relabelled(name, {True: False, False: True})


def _shuffled_facts(records: list[dict]) -> None:
    dimension = _of(records, shuffled=True)[0]["task"]["dimension"]
    _exchange(_of(records, shuffled=True), _of(records, shuffled=False, dimension=dimension))


def _sharing_without_loss(records: list[dict]) -> None:
    """A node keeps what it knows better; questions go to any node, not to that of the district."""
    for record in records:
        record["shared_met"] = [max(pair) for pair in zip(record["shared_met"], record["local_met"], strict=True)]
        record["expert"] = float(np.mean(record["local"]))


def _prices(mapping: Mapping[float, float]) -> Callable[[list[dict]], None]:
    """Simulated at one price, held against the closed form of another."""

    def change(records):
        from semcom_utils.papers.gai_semcom_networks.knowledge_management import best_update_interval

        _relabelled("kappa", mapping)(records)
        for record in records:
            exact = best_update_interval(record["task"]["kappa"])
            record["ratio"] = record["best"] / exact if exact else None

    return change


def _order_ignored(records: list[dict]) -> None:
    for record in records:
        record["undone"] = record["rolled_back"] = record["same_in_either_order"]
        record["same_in_either_order"] = 1.0


def _exchange_methods(one: str, other: str) -> Callable[[list[dict]], None]:
    def change(records):
        for record in records:
            record[one], record[other] = record[other], record[one]

    return change


def _edge_for_split(records: list[dict]) -> None:
    """The split is taken to be the edge alone; without a link the tasks go through the link of the other setting."""
    with_link = [r for r in records if r["edge"] is not None]
    _copy(with_link, [r for r in records if r["edge"] is None], "split", "local")
    for record in with_link:
        record["split"], record["edge"] = record["edge"], record["split"]


def _local_for_split(records: list[dict]) -> None:
    for record in records:
        record["split"], record["local"] = record["local"], record["split"]


def _disciplines(records: list[dict]) -> None:
    """Critical messages go first as if they interrupted, interrupt as if in order, and so on."""
    groups = {name: deepcopy(_of(records, load=1.2, discipline=name)) for name in ("in order", "interrupt")}
    for name in ("first", "in order", "all critical"):
        _copy(groups["interrupt"], _of(records, load=1.2, discipline=name))
    _copy(groups["in order"], _of(records, load=1.2, discipline="interrupt"))


def _random_space(records: list[dict]) -> None:
    """The space is not learnt, yet costs what separate systems cost, and these what it costs."""
    _exchange(_of(records, kind="shared"), _of(records, kind="random"), "heads")
    for record in _of(records, kind="shared"):
        total = sum(record["separate_operations"].values())
        for task, cost in record["separate_operations"].items():
            record["separate_operations"][task] = cost * record["operations"]["all"] / total
        record["operations"]["all"] = total


def _stopped_early(records: list[dict]) -> None:
    """The space is learnt in a fifth of the time."""
    for record in _of(records, kind="shared"):
        record["operations"]["all"] -= 0.8 * record["operations"]["space"]


def _one_step(records: list[dict]) -> None:
    """Diffusion in one step, in quality and time, and in all its steps where one is asked for."""
    for record in records:
        if record["task"]["family"] == "diffusion":
            record["by_steps"].reverse()
            record["us_a_sample"] /= 110


def _rivals_untrained(records: list[dict]) -> None:
    """Flow and autoregressive model make what the GAN makes; a single mode is one too many for a GAN."""
    for family in ("flow", "autoregressive"):
        _copy(_of(records, family="gan", modes=25), _of(records, family=family, modes=25), "energy")
    _one_step(records)
    for record in _of(records, family="diffusion"):
        record["by_steps"][-1] = record["by_steps"][0]


def _gan_is_vae(records: list[dict]) -> None:
    _exchange(_of(records, family="gan", modes=25), _of(records, family="vae", modes=25), "modes")
    for record in _of(records, family="gan", modes=1):
        record["modes"] = 0


def _gan_is_data(records: list[dict]) -> None:
    _copy(_of(records, family="data", modes=25), _of(records, family="gan", modes=25), "off")


MATCHING, LENGTHS, FAMILIES = (f"gai_semcom_networks/{name}" for name in ("matching", "lengths", "families"))
FACTS = Perturbation("gai_semcom_networks/completion", "tails of the learned facts shuffled", _shuffled_facts)
SAME_DATA = Perturbation("gai_semcom_networks/federated", "all nodes hold the same facts", _swap_flag("same_data"))
NO_LOSS = Perturbation("gai_semcom_networks/federated", "no node forgets; anyone is asked", _sharing_without_loss)
FREE = Perturbation("gai_semcom_networks/updates", "free updates for those at a price", _prices({0.0: 0.1, 0.1: 0.0}))
PRICES = Perturbation("gai_semcom_networks/updates", "low and high price exchanged", _prices({0.02: 0.3, 0.3: 0.02}))
ORDER = Perturbation(
    "gai_semcom_networks/versions", "two edits in either order for one and its inverse", _order_ignored
)
EQUAL = Perturbation(MATCHING, "equal matching everywhere", _swap_flag("equal"))
STRONGEST = Perturbation(
    MATCHING, "the exact optimum and best SNR exchanged", _exchange_methods("matching", "best_snr")
)
ALL_EDGE = Perturbation("gai_semcom_networks/offloading", "the edge alone for the split", _edge_for_split)
ALL_LOCAL = Perturbation("gai_semcom_networks/offloading", "the device alone for the split", _local_for_split)
FLAT = Perturbation("gai_semcom_networks/off_peak", "a flat load for the day's", _swap_flag("flat"))
DISCIPLINES = Perturbation("gai_semcom_networks/priority", "disciplines of the queue exchanged", _disciplines)
UNLEARNT = Perturbation("gai_semcom_networks/smart_city", "a random space, costs exchanged", _random_space)
EARLY = Perturbation("gai_semcom_networks/smart_city", "the space learnt in a fifth of the time", _stopped_early)
ONE_STEP = Perturbation(FAMILIES, "diffusion in one step", _one_step)
WEAK_RIVALS = Perturbation(FAMILIES, "rivals as bad as the GAN; one step as good as all", _rivals_untrained)
GAN_VAE = Perturbation(FAMILIES, "the modes of GAN and VAE exchanged; a GAN without its only mode", _gan_is_vae)
GAN_DATA = Perturbation(FAMILIES, "the GAN's samples are the data", _gan_is_data)
PASSES = Perturbation(
    LENGTHS,
    "autoregressive model and VAE exchanged",
    _relabelled("family", {"vae": "autoregressive", "autoregressive": "vae"}),
)
SHORT = Perturbation(LENGTHS, "lengths 1 and 64 exchanged", _relabelled("length", {1: 64, 64: 1}))


# --- the survey: what its verdicts hang on ---------------------------------------------------------------------------


def _meanings_plenty(records: list[dict]) -> None:
    """Below the capacity in meanings nothing can be told apart, above it nothing decoded and all told apart."""
    for record in _of(records, kind="code"):
        below = record["task"]["share"] < 1
        record["decoded"] = record["task"]["blocks"] if below else 0
        record["distinct"] = 0 if below else record["task"]["blocks"]


def _value_is_worst(records: list[dict]) -> None:
    """Serving by value loses twice as much, and serving always the unstable ten times as much again."""
    for record in records:
        record["value"]["loss"] *= 2
        if record["task"]["first"] == 0.6:
            record["second"]["loss"] *= 10


def _no_better_than_random(records: list[dict]) -> None:
    """Nothing is completed; with tails that changed places everything is."""
    for record in records:
        record["times_random"] = 50.0 if record["task"].get("shuffled") else 1.0


def _matching_blind(records: list[dict]) -> None:
    """Matching delivers a tenth, and leaves all below their minimum or none."""
    for record in records:
        known = record["matching"]["below_minimum"] > record["channel"]["below_minimum"]
        record["matching"] = {"messages": record["matching"]["messages"] / 10, "below_minimum": 0.0 if known else 1.0}


def _split_slow(records: list[dict]) -> None:
    for record in records:
        record["split"] *= 20


def _night_slow(records: list[dict]) -> None:
    """The night's updates make users wait a hundred times as long, or no time."""
    for record in records:
        late = record["off_peak"]["wait"] < record["giving_way"]["wait"]
        record["off_peak"]["wait"] *= 100 if late else 0


def _steep(records: list[dict], family: str, size: str = "large") -> list[dict]:
    return [r for r in records if r["task"]["family"] == family and r["task"]["size"] == size]


def _diffusion_exchanged(*rivals: str) -> Callable[[list[dict]], None]:
    """Diffusion learns what the weakest of families learns, or all, where it did not; the square learns all."""

    def change(records):
        ours = _steep(records, "diffusion")
        for rival in rivals:
            for a, b in zip(ours, _steep(records, rival), strict=True):
                b["learnt"] = a["learnt"] + (0.1 if a["learnt"] >= b["learnt"] else -0.1)
        for record in _of(records, family="square"):
            record["learnt"] = 1.0

    return change


def _finer_bins_fail(records: list[dict]) -> None:
    """Bins narrower than a heap, which learn nothing, or all, where they did not."""
    for record in records:
        record["learnt"] = 0.0 if record["learnt"] > 0.5 else 1.0


def _gan_covers(covered: int, off: float) -> Callable[[list[dict]], None]:
    def change(records):
        for record in _steep(records, "gan"):
            record["modes"], record["off"] = covered, off

    return change


PLENTY = Perturbation(
    "gai_semcom_networks/wordings", "below the capacity nothing told apart, above all", _meanings_plenty
)
WORST_VALUE = Perturbation("gai_semcom_networks/value_rules", "by value twice the loss", _value_is_worst)
NOTHING_COMPLETED = Perturbation(
    "gai_semcom_networks/rivals", "a random order, but for the control", _no_better_than_random
)
BLIND = Perturbation("gai_semcom_networks/matching_caps", "a tenth of the messages, promises turned", _matching_blind)
SLOW_SPLIT = Perturbation("gai_semcom_networks/offloading_rates", "the split twenty times as slow", _split_slow)
SLOW_NIGHT = Perturbation("gai_semcom_networks/off_peak_paces", "the night's waits turned", _night_slow)
BUDGETS = "gai_semcom_networks/budgets"
TURNED = Perturbation(
    BUDGETS, "diffusion's lead over each family turned", _diffusion_exchanged("vae", "gan", "flow", "autoregressive")
)
FINER = Perturbation("gai_semcom_networks/finer_bins", "bins narrower than a heap learn nothing", _finer_bins_fail)
GAN_ALL = Perturbation(BUDGETS, "the GAN covers all modes, nothing off", _gan_covers(25, 0.0))
GAN_NONE = Perturbation(BUDGETS, "the GAN covers no mode, all off", _gan_covers(-1, 1.0))


def _sharp_vae(records: list[dict]) -> None:
    """The VAE's pictures are sharp, the GAN's are noise; the critic takes detail away, and noise adds none."""
    for record in _of(records, model="vae"):
        record["detail"], record["noisy"]["detail"] = 100 * record["detail"], 0.0
    for record in _of(records, model="gan"):
        record["distance"] += 10.0
    for record in _of(records, model="vae-critic"):
        record["detail"] = 0.0


SHARP_VAE = Perturbation("gai_semcom_networks/blur", "a sharp VAE, and a GAN that makes noise", _sharp_vae)


# --- SemAIGC and ROOT ------------------------------------------------------------------------------------------------

BAD = ("-6", "printed-plain-10")


def _resuming_is_printed(records: list[dict]) -> None:
    for record in records:
        for cells in record["snr_db"].values():
            cells["resume"], cells["printed"] = cells["printed"], cells["resume"]


def _all_printed(records: list[dict]) -> None:
    for record in records:
        for cells in record["snr_db"].values():
            cells["matched"] = cells["corrected"] = cells["printed"]


def _coefficients(records: list[dict]) -> None:
    for record in records:
        for ratios in record["ratio"].values():
            ratios["printed"], ratios["corrected"] = ratios["corrected"], ratios["printed"]


def _variances_sum() -> Callable:
    """Equation (10) with variances that sum to one, under the name of the printed weights."""
    proper = _own("semaigc_root/gaussian", "noise_schedule")
    return lambda *arguments: dict.fromkeys(("printed", "variance"), proper(*arguments)["variance"])


def _linear_only() -> Callable:
    proper = _own("semaigc_root/gaussian", "noise_schedule")
    return lambda kind, *arguments: proper("linear", *arguments)


def _rivals_ruined(records: list[dict]) -> None:
    """Rivals, the faded picture and the edge's own are received by equation (8) with a plain network at -6 dB."""
    for record in records:
        bad = record["snr_db"][BAD[0]][BAD[1]]
        record["fading"]["rayleigh"] = bad
        record["snr_db"]["-6"]["untrained-10"] = record["snr_db"]["-6"]["matched-10"]
        for cells in record["snr_db"].values():
            cells["matched-10"] = cells["nothing-20"] = bad
        record["clean"] = {**bad, "ssim": record["clean"]["ssim"]}
        record["caption_bytes"] = [size / 4 for size in record["caption_bytes"]]  # 2 bits a letter


def _rivals_perfect(records: list[dict]) -> None:
    """Rivals' pictures are the edge's, ours have another seed's structure; files a sixteenth; the text's embedding."""
    for record in records:
        for cells in record["snr_db"].values():
            cells["nothing-20"] = record["clean"]
            for name in [name for name in cells if name.startswith("matched")]:
                cells[name] = {**cells[name], "ssim": record["another_seed"]["ssim"]}
        record["png_bytes"] = [size / 16 for size in record["png_bytes"]]
        for coded in record["jpeg"].values():
            coded["bytes"] = [size / 16 for size in coded["bytes"]]
        record["caption_bytes"] = [77 * 768 * 2] * len(record["caption_bytes"])


def _one_output(records: list[dict]) -> None:
    """A network with one output; SNR and computing power shuffled between states."""
    for record in records:
        record["ten_outputs"] = record["fixed"]
        record["spearman_snr"] = record["spearman_computing"] = 0.0


def _contrary_oracle() -> Callable:
    """Fewer steps at the edge the better the channel."""
    snr = _own("semaigc_root/frameworks", "SNR")
    return lambda success: lambda states: np.clip(14 - states[:, snr], 0, 20).astype(int)


def _places(axes: dict) -> list[dict]:
    return [*axes["by_snr"], *axes["by_computing"], axes["harsh"], axes["all"]]


DRAWN = ("tuned", "tuned, one interval", "tuned, public code")


def _drawn(records: list[dict]) -> list[dict]:
    """Records of the learners whose figures the ledger asks for."""
    return [r for r in records if r["task"]["learner"] in DRAWN]


def _semaigc_is_local(records: list[dict]) -> None:
    """SemAIGC and Local AIGC exchanged; ranks those of shuffled states; half of the reward; nothing is removed."""
    for record in _drawn(records):
        drawn, ranks = record["figures"], record["ranks"]
        for place in _places(drawn):
            place["semaigc"], place["local"] = place["local"], place["semaigc"]
        steps = [place["steps"] for place in drawn["by_snr"]]
        for place, other in zip(drawn["by_snr"], reversed(steps), strict=True):
            place["steps"] = other
        drawn["grid"] = (np.array(drawn["grid"])[:, ::-1] / 3).tolist()  # and falls with computing power
        drawn["gap_removed"] = dict.fromkeys(drawn["gap_removed"], 0.0)
        for name in ("snr", "computing"):
            ranks[name], ranks[f"{name}_shuffled"] = ranks[f"{name}_shuffled"], ranks[name]
        record["share_of_oracle"] = [share / 2 for share in record["share_of_oracle"]]


def _as_printed(records: list[dict]) -> None:
    """What the paper prints: 45 to 98%, 40 points over Edge AIGC, below 25 s, gaps of 25 and 45 s."""
    for record in _drawn(records):
        drawn, ranks = record["figures"], record["ranks"]
        record["share_of_oracle"] = [0.995] * len(record["share_of_oracle"])
        ranks["snr"] = ranks["computing"] = ranks["computing_shuffled"] = 0.5
        for place in _places(drawn):
            ours = place["semaigc"] = {"satisfaction": place["semaigc"]["satisfaction"], "seconds": 15.0}
            for name, gap in (("non_root", 4), ("non_fine_tuning", 25), ("edge", 2), ("edge_coded", 2), ("local", 10)):
                place[name] = {"satisfaction": ours["satisfaction"] - 0.4, "seconds": ours["seconds"] + gap}
        for place, steps in zip(drawn["by_snr"], range(8), strict=True):
            place["steps"] = 10.0 + steps
        drawn["harsh"]["edge"]["seconds"] = drawn["harsh"]["edge_coded"]["seconds"] = 15.0 + 45
        drawn["gap_removed"] = dict.fromkeys(drawn["gap_removed"], 1.0)
        grid = np.add.outer(np.linspace(0.45, 0.7, 8), np.linspace(0, 0.28, 10))
        grid[0] = np.linspace(0.45, 0.7, 10)
        drawn["grid"] = np.maximum.accumulate(grid, axis=0).tolist()


def _other_air(records: list[dict]) -> None:
    """Edge AIGC's pictures with noise on their pixels and its coded ones exchanged."""
    for record in _drawn(records):
        for place in _places(record["figures"]):
            place["edge"], place["edge_coded"] = place["edge_coded"], place["edge"]


def _constant(records: list[dict], share: float) -> None:
    for name in ("tuned, constant 0.05", "tuned, constant 0.2"):
        for record in _of(records, learner=name):
            record["share_of_oracle"] = [share] * len(record["share_of_oracle"])


def _agents_exchanged(records: list[dict]) -> None:
    """Single for double targets, the single one believes in nothing; constant exploration is perfect; fast for slow."""
    _exchange(_of(records, learner="rare"), _of(records, learner="rare, single"), "believed", "true")
    for record in _of(records, learner="rare, single"):
        record["believed"] = 0.0
    _constant(records, 1.0)
    for record in _of(records, learner="tuned"):
        for name in ("reward", "once"):
            record[name], record["fastest"][name] = record["fastest"][name], record[name]


def _agents_as_claimed(records: list[dict]) -> None:
    """The single target believes in ten more than is true; constant exploration is hopeless; slower and better."""
    for record in _of(records, learner="rare, single"):
        record["believed"] = record["true"] + 10
    _constant(records, 0.5)
    for record in _of(records, learner="tuned"):
        for name in ("reward", "once"):
            record[name] = record["fastest"][name] + 0.1


def _stopped_short(records: list[dict]) -> None:
    """The long training ends after a thirtieth of its episodes."""
    for record in _of(records, agent="long"):
        record["share_of_oracle"][-1] = record["share_of_oracle"][len(record["share_of_oracle"]) // 30]


def _no_difference() -> Callable:
    """Every split serves as well as any other."""
    return lambda states, *arguments: np.ones((len(states), 21))


def _decoder_is_analog(records: list[dict]) -> None:
    for record in records:
        record["below"] = record["above"] = record["analog"]


def _other_way_round(records: list[dict]) -> None:
    """What lies below the bound and what is faster exchanged."""
    for record in records:
        bound = record["printed"]
        bound["sufficient"], bound["necessary"] = bound["necessary"], bound["sufficient"]


PRINTED = Perturbation("semaigc_root/receiver", "resuming and equation (8) exchanged", _resuming_is_printed)
ALL_PRINTED = Perturbation("semaigc_root/receiver", "every receiver goes by equation (8)", _all_printed)
COEFFICIENTS = Perturbation(
    "semaigc_root/gaussian",
    "printed and corrected coefficient exchanged; variances sum to one",
    _coefficients,
    {f"{ROOT}.noise_schedule": _variances_sum},
)
LINEAR = Perturbation(
    "semaigc_root/gaussian", "the linear schedule for all", methods={f"{ROOT}.noise_schedule": _linear_only}
)
RUINED = Perturbation("semaigc_root/pictures", "rivals received by equation (8) at -6 dB", _rivals_ruined)
PERFECT = Perturbation("semaigc_root/pictures", "rivals' pictures are the edge's", _rivals_perfect)
COARSE = Perturbation(
    "semaigc_root/frameworks",
    "one output, shuffled states, an oracle that turns the trend round",
    _one_output,
    {f"{ROOT}._oracle": _contrary_oracle},
)
LOCAL = Perturbation("semaigc_root/ablation", "SemAIGC and Local AIGC exchanged, states shuffled", _semaigc_is_local)
AS_PRINTED = Perturbation("semaigc_root/ablation", "records as the paper prints them", _as_printed)
OTHER_AIR = Perturbation("semaigc_root/ablation", "Edge AIGC's noisy and coded pictures exchanged", _other_air)
AGENTS_EXCHANGED = Perturbation("semaigc_root/ablation", "learners and their rivals exchanged", _agents_exchanged)
AGENTS_AS_CLAIMED = Perturbation("semaigc_root/ablation", "learners as the paper has them", _agents_as_claimed)
RANDOM_SERVES = Perturbation(
    "semaigc_root/learning",
    "a world in which a random split serves as well as any",
    methods={f"{ROOT}.expected_satisfaction": _no_difference},
)
STOPPED_SHORT = Perturbation("semaigc_root/learning", "the long training stopped short", _stopped_short)
ANALOG = Perturbation("semaigc_root/decoding", "the latent sent analog in place of coded", _decoder_is_analog)
OTHER_WAY = Perturbation("semaigc_root/proposition", "sufficient and necessary exchanged", _other_way_round)

# --- SemCom for AIGC: quality over the factor ------------------------------------------------------------------------

QUALITY = "semcom_for_aigc/quality"
MAPPED = "semcom_utils.papers.semcom_for_aigc.quality"


def _straight(records: list[dict]) -> None:
    """Every metric falls along a line."""
    for record in records:
        line = [1 - f / 20 for f in record["task"]["factors"]]
        for metric in ("mse", "psnr", "ssim", "vi"):
            record[metric] = [[*line, 0.1] for _ in record[metric]]


def _cliff(records: list[dict]) -> None:
    """Every metric is 1 for the full map and 0.3 for all others, a little more for smaller ones."""
    for record in records:
        steps = [1.0 if f == 1 else 0.3 + f / 1000 for f in record["task"]["factors"]]
        for metric in ("mse", "psnr", "ssim", "vi"):
            record[metric] = [[*steps, 0.1] for _ in record[metric]]


def _rises(records: list[dict]) -> None:
    for record in records:
        record["ssim"] = [[*sorted(row[:-1]), row[-1]] for row in record["ssim"]]


def _prompt_drops_at(first: dict[str, int]) -> Callable[[list[dict]], None]:
    """The prompt is obeyed up to a factor of its own for each extractor, and not at all from there on."""

    def change(records: list[dict]) -> None:
        for record in records:
            at = first.get(record["task"]["extractor"], 16)
            record["prompt_other"] = [[0.1 + record["task"]["scene"] % 7 / 1000] * len(row) for row in record["prompt"]]
            obeyed = [0.9 if f < at else 0.2 for f in record["task"]["factors"]]
            record["prompt"] = [[*obeyed, 0.9] for _ in record["prompt"]]

    return change


def _pose_is_dear(records: list[dict]) -> None:
    for record in _of(records, extractor="pose", robot=True):
        record["bits"] = [1000 * bits for bits in record["bits"]]


def _poses_are_cheap_and_tell(records: list[dict]) -> None:
    """A pose's map takes a bit, and says where everything is, with figures or without."""
    for record in _of(records, extractor="pose"):
        record["bits"] = [1 for _ in record["bits"]]
        for name in ("pose", "segmentation"):
            record[name] = [[1.0] * (len(row) - 1) + [0.0] for row in record[name]]


STRAIGHT = Perturbation(
    QUALITY,
    "responses along a line; the control's factors in order",
    _straight,
    {f"{MAPPED}._shuffled": lambda: lambda x: x},
)
CLIFF = Perturbation(QUALITY, "nothing but the full map serves", _cliff)
RISES = Perturbation(QUALITY, "similarity in rising order", _rises)
PRINTED_FACTORS = Perturbation(
    QUALITY, "the prompt is left at 10 with a pose, at 5 with depth", _prompt_drops_at({"pose": 10, "depth": 5})
)
ONE_FACTOR = Perturbation(
    QUALITY,
    "the prompt is left at 2 by all",
    _prompt_drops_at(dict.fromkeys(("pose", "depth", "learned-depth", "segmentation", "soft-edges", "canny"), 2)),
)
DEAR_POSE = Perturbation(QUALITY, "poses at a thousand times the bits", _pose_is_dear)
CHEAP_POSE = Perturbation(QUALITY, "poses of one bit that say where everything is", _poses_are_cheap_and_tell)


# --- SemCom for AIGC: the system ------------------------------------------------------------------------------------

VALIDATION = "semcom_utils.papers.semcom_for_aigc.validation"


def _all_pass(records: list[dict]) -> None:
    """Every content is as good as the picture: the caption alone suffices, and validation has nothing to find."""
    for record in records:
        for row in record["tried"]:
            row[4], row[5] = 1, 1000


def _conveyed_for_nothing(records: list[dict]) -> None:
    for record in records:
        for row in record["tried"]:
            row[8] = 0


def _accepts_at_random() -> Callable[..., list[dict]]:
    """The validated sender's criterion replaced by a coin."""
    from semcom_utils.papers.semcom_for_aigc.validation import fixed_and_validated

    return lambda records, accepted=None, fixed=None: fixed_and_validated(records, 0.5, fixed)


def _receivers_exchanged(name: str) -> Callable[[list[dict]], None]:
    """A receiver's contents and those made of another scene's prompt change places."""

    def change(records: list[dict]) -> None:
        for record in records:
            told = record["told"]
            told[name], told["other-prompt"] = told["other-prompt"], told[name]

    return change


def _lengths_reversed(records: list[dict]) -> None:
    for record in records:
        record["truthful"].reverse()


def _spread_falls(records: list[dict]) -> None:
    """Each phrase of a truthful prompt takes as much off the spread; empty words take nothing."""
    for record in records:
        for name, step in (("truthful", 100), ("empty", 0)):
            for place, cell in enumerate(record[name]):
                cell["spread"] = 1000 - step * place


ALL_PASS = Perturbation("semcom_for_aigc/entropy", "every content passes validation", _all_pass)
CONVEYED = Perturbation("semcom_for_aigc/entropy", "contents come back for nothing", _conveyed_for_nothing)
COIN = Perturbation(
    "semcom_for_aigc/entropy",
    "the sender accepts at random",
    methods={f"{VALIDATION}.fixed_and_validated": _accepts_at_random},
)
LONG_HEADERS = Perturbation(
    "semcom_for_aigc/entropy", "fixed messages have long headers", methods={f"{VALIDATION}.AGREED_BITS": lambda: -1000}
)
STRANGER = Perturbation(
    "semcom_for_aigc/security", "the eavesdropper's prompt is another scene's", _receivers_exchanged("prompt-alone")
)
NOTHING_HELD = Perturbation(
    "semcom_for_aigc/security", "who holds everything has another prompt", _receivers_exchanged("everything")
)
REVERSED = Perturbation("semcom_for_aigc/precision", "the lengths of prompts in reverse", _lengths_reversed)
FALLING = Perturbation("semcom_for_aigc/precision", "the spread falls by the phrase", _spread_falls)


# --- SemCom for AIGC: fine-tuning parameters -------------------------------------------------------------------------


def _seeds_of(records: list[dict]) -> dict[int, dict[str, dict]]:
    found: dict[int, dict[str, dict]] = {}
    for record in records:
        found.setdefault(record["task"]["seed"], {})[record["task"]["learner"]] = record
    return found


def _adapters_are_random(records: list[dict]) -> None:
    """Low-rank parameters are the control's, paint as the model does, and are thirty times as many."""
    for rows in _seeds_of(records).values():
        for row in rows.values():
            if "random" in row:
                row["loss"], row["style"], row["parameters"] = row["random"], "0" * len(row["style"]), 30 * 10**6


def _adapters_are_full(records: list[dict]) -> None:
    """Low-rank parameters, and random ones, do what the full fine-tuning does; a hundredth as many."""
    for rows in _seeds_of(records).values():
        for row in rows.values():
            if "random" in row:
                row["loss"] = row["random"] = rows["full"]["loss"]
                row["style"], row["right"] = rows["full"]["style"], rows["full"]["right"]
                row["parameters"] //= 100


def _no_fine_tuning(records: list[dict]) -> None:
    """The full fine-tuning made the model a little worse."""
    for rows in _seeds_of(records).values():
        rows["full"]["loss"] = rows["none"]["loss"] + 0.01
        rows["full"]["style"] = "0" * len(rows["full"]["style"])


ADAPTERS = "semcom_for_aigc/adapters"
RANDOM_ADAPTERS = Perturbation(ADAPTERS, "random parameters for low-rank ones, and many of them", _adapters_are_random)
FULL_ADAPTERS = Perturbation(ADAPTERS, "low-rank and random parameters do what full ones do", _adapters_are_full)
NO_GAIN = Perturbation(ADAPTERS, "a full fine-tuning without gain", _no_fine_tuning)


# --- SemCom for AIGC: one budget for several services ----------------------------------------------------------------

ALLOCATION, TAILORED = "semcom_for_aigc/allocation", "semcom_for_aigc/tailored"


def _each(**values: object) -> Callable[[list[dict]], None]:
    """Every record measured this."""

    def change(records: list[dict]) -> None:
        for record in records:
            for name, value in values.items():
                record[name] = deepcopy(value)

    return change


def _gains_of(value: float) -> Callable[[list[dict]], None]:
    def change(records: list[dict]) -> None:
        for record in records:
            for name in ("gain", "shuffled"):
                record[name] = [value for _ in record[name]]

    return change


def _every_action_as_good() -> Callable:
    """Whatever is chosen earns everything."""
    return lambda quality, bits, budget, **_: np.ones((len(quality), np.shape(bits)[1] ** len(bits)))


LOST = Perturbation(TAILORED, "tailored factors lose a tenth, as those of a shuffled table do", _gains_of(-0.1))
GAINED = Perturbation(TAILORED, "tailored factors gain a tenth, of whatever table they are made", _gains_of(0.1))
AT_50 = Perturbation(
    ALLOCATION,
    "every agent settles at 50, and every action is as good as any",
    _each(converged={"decisions": 50, "epochs": 50, "greedy": 50}),
    {"semcom_utils.control.joint_choice.joint_values": _every_action_as_good},
)
AT_10 = Perturbation(
    ALLOCATION, "every agent settles at 10", _each(converged={"decisions": 10, "epochs": 10, "greedy": 10})
)
ALL_LEARN = Perturbation(ALLOCATION, "every agent finds the optimum, shuffled rewards or not", _each(share=1.0))
NONE_LEARNS = Perturbation(ALLOCATION, "every agent stops at half of the optimum", _each(share=0.5))
PICTURES_VARY = Perturbation(
    ALLOCATION, "all variance is the pictures'", _each(variance={"without": 0.01, "with": 0.01, "training": 0.02})
)
PICTURES_EQUAL = Perturbation(
    ALLOCATION, "all variance is exploration's", _each(variance={"without": 0.0, "with": 0.01, "training": 0.02})
)


# --- AIGC-SCM --------------------------------------------------------------------------------------------------------

CASE, CASE_STUDY = "aigc_scm/alignment", "semcom_utils.papers.aigc_scm.case_study"
_WITHOUT, _WITH, _WRONG_HISTORY = ("NI", "NA"), ("HI", "HA"), ("HI-other", "HA-other")


def _case(
    alignments: Mapping[str, int],
    wrong: int,
    text: int,
    columns: Mapping[str, Mapping[str, int]],
    letters: Mapping[str, str],
    costs: Mapping[str, int],
) -> Callable[[list[dict]], None]:
    """Every picture of a condition reaches this: alignments (text so much more), other columns, attributes, bytes."""

    def change(records: list[dict]) -> None:
        from semcom_utils.papers.aigc_scm.alignment import MEASURES

        for record in records:
            for name, value in alignments.items():
                for row, other in zip(record["own"][name], record["other"][name], strict=True):
                    row[:3], other[:3] = [value, value, value + text], [wrong] * 3
                    for column, by_condition in columns.items():
                        row[MEASURES.index(column)] = by_condition.get(name, 0)
            for name, told in letters.items():
                record["has"][name] = [told for _ in record["has"][name]]
                record["has_other"][name] = ["000000" for _ in record["has"][name]]
            for name, part in record["costs"].items():
                if isinstance(part, dict):
                    for scheme in part:
                        part[scheme] = [costs[scheme] for _ in part[scheme]]
                else:
                    record["costs"][name] = [costs["files"] for _ in part]

    return change


def _grouped(schemes: int, history: int, wrong_history: int, **others: int) -> dict[str, int]:
    """A number for each condition."""
    return {
        **dict.fromkeys(_WITHOUT, schemes),
        **dict.fromkeys(_WITH, history),
        **dict.fromkeys(_WRONG_HISTORY, wrong_history),
        **{name.replace("_", "-"): value for name, value in others.items()},
    }


AS_SCM_CLAIMS = Perturbation(
    CASE,
    "every scheme does what is claimed, and no control does",
    _case(
        _grouped(1000, 1100, 900, NA_shuffled=0, JPEG=1300, JPEG_small=100, WITT_high=500, WITT_low=500, source=1300),
        wrong=0,
        text=100,
        columns={
            "box": {"NA": 900, "HA": 900, "NI": 300, "HI": 300},
            "identity": {"HI": 1000, "HA": 1000},
            **dict.fromkeys(("sharpness", "saturation"), _grouped(1000, 1000, 0, source=1000, WITT_high=2000)),
        },
        letters={"NI": "111000", "HA": "111111"},
        costs={"NI": 6, "NA": 6, "HI": 6, "HA": 6, "files": 10_000},
    ),
)
AGAINST_SCM = Perturbation(
    CASE,
    "no scheme does what is claimed, and every control does",
    _case(
        _grouped(0, -10, 500, NA_shuffled=0, JPEG=-100, JPEG_small=500, WITT_high=500, WITT_low=500, source=1000),
        wrong=900,
        text=-100,
        columns={
            "box": {"NI": 500, "HI": 500, "NA-shuffled": 1000},
            "identity": dict.fromkeys(_WRONG_HISTORY, 1000),
            **dict.fromkeys(("sharpness", "saturation"), _grouped(1000, 1000, 0, source=1000, WITT_low=2000)),
        },
        letters={"NI": "000111", "HA": "111000"},
        costs={"NI": 1000, "NA": 1000, "HI": 1060, "HA": 1060, "files": 1},
    ),
)
LONG_PROMPTS = Perturbation(
    CASE,
    "prompts of a thousand bytes, beside which no identifier counts",
    _case({}, 0, 0, {}, {}, {"NI": 1000, "NA": 1000, "HI": 1001, "HA": 1001, "files": 10_000}),
)
UNIT_MIXED = Perturbation(
    CASE,
    "a ratio per sample that falls with the channel uses",
    methods={f"{CASE_STUDY}.ratio": lambda: lambda used, per="bit": used if per == "bit" else -used},
)


def _picks(psnr: str, clip: str) -> Callable[[list[dict]], None]:
    """What PSNR and CLIP pick, in turn."""

    def change(records: list[dict]) -> None:
        for record in records:
            n = len(record["psnr"])
            record["psnr"], record["clip"] = (psnr * n)[:n], (clip * n)[:n]

    return change


BLIND_PSNR = Perturbation("aigc_scm/psnr_triples", "PSNR picks in turn, CLIP always the first", _picks("10", "1"))
BLIND_CLIP = Perturbation("aigc_scm/psnr_triples", "PSNR picks the first, CLIP the second", _picks("1", "0"))


def _arrives(share: int, wrong: int) -> Callable[[list[dict]], None]:
    def change(records: list[dict]) -> None:
        for record in records:
            record["arrived"], record["wrong"] = [share * record["task"]["prompts"]], wrong

    return change


def _stages_take(microseconds: int) -> Callable[[list[dict]], None]:
    def change(records: list[dict]) -> None:
        for record in records:
            if record["task"]["what"] == "stages":
                for name in ("captioner", "text encoder", "step", "decoder"):
                    record["values"][name] = [microseconds for _ in record["values"][name]]

    return change


INSTANT = Perturbation("aigc_scm/latency", "networks take no time, nor does a prompt", _stages_take(0))
SLOWED = Perturbation("aigc_scm/latency", "every network takes a second", _stages_take(1_000_000))


DEAF = Perturbation("aigc_scm/link", "nothing arrives, and what does is wrong", _arrives(0, 3))
CLEAR_LINK = Perturbation("aigc_scm/link", "everything arrives at every SNR", _arrives(1, 0))


def _pays_after(subjects: float, general: float) -> Callable[[list[dict]], None]:
    """What is shared of a subject, and the general models, are paid for after so many pictures."""

    def change(records: list[dict]) -> None:
        for record in records:
            for name, value in record["pays"].items():
                if isinstance(value, dict):
                    value["most"] = subjects
                else:
                    record["pays"][name] = general

    return change


DEAR_HISTORY = Perturbation("aigc_scm/conversation", "history is dear, general models are cheap", _pays_after(5000, 5))
CHEAP_HISTORY = Perturbation("aigc_scm/conversation", "history is cheap, general models are dear", _pays_after(5, 1e6))


def _identifier_moves(by: int) -> Callable[[list[dict]], None]:
    """However the identifier is read, alignments move by so many ten-thousandths."""

    def change(records: list[dict]) -> None:
        for record in records:
            for name in ("field", "word", "common"):
                record[name] = [[value + by for value in row] for row in record["without"]]

    return change


READ_UP, READ_DOWN, UNREAD = (
    Perturbation("aigc_scm/receivers", what, _identifier_moves(by))
    for what, by in (("identifiers help B", 1000), ("identifiers harm B", -1000), ("identifiers do nothing to B", 0))
)
_SCM = (AS_SCM_CLAIMS, AGAINST_SCM)


# --- the survey's experiment -----------------------------------------------------------------------------------------

CURVES, PROMPTS, COSTS = (f"gai_semcom_networks/transceiver_{name}" for name in ("curves", "prompts", "costs"))


def _as_the_survey_says(records: list[dict]) -> None:
    """Whatever is generative gains by the SNR and leads everywhere, another picture's prompts included."""
    for record in records:
        for by_snr in record["scores"].values():
            for snr, systems in by_snr.items():
                for name, cells in systems.items():
                    ours = name in ("prompts", "bare", "shuffled") or name.endswith("protected")
                    level = 500 + 10 * int(snr) if ours else 0
                    for metric in ("ssim", "similarity"):
                        cells[metric] = [level] * len(cells[metric])


def _all_alike(records: list[dict]) -> None:
    for record in records:
        for by_snr in record["scores"].values():
            for systems in by_snr.values():
                for cells in systems.values():
                    for metric in cells:
                        cells[metric] = [0] * len(cells[metric])


def _prompts_cost(factor: float) -> Callable[[list[dict]], None]:
    """Everything about the prompts costs so many times what it did, floating-point noise included."""

    def change(records: list[dict]) -> None:
        for record in records:
            own = record["seconds"]["prompts"]
            for stage in own:
                own[stage] *= factor
            record["uses"]["prompts"] *= factor
            record["sent_bits"] = [factor * bits for bits in record["sent_bits"]]
            record["floating_bits"] *= factor
            for network in ("denoiser", "autoencoder", "text encoder", "captioner"):
                record["operations"][network] *= factor

    return change


def _metrics_exchanged(records: list[dict]) -> None:
    """SSIM and similarity exchange their names."""
    for record in records:
        for cells in record["scores"].values():
            cells["ssim"], cells["similarity"] = cells["similarity"], cells["ssim"]


def _each_prompt_its_part(records: list[dict]) -> None:
    """Without the visual prompt SSIM is lost and nothing else, without the text similarity is."""
    for record in records:
        scores = record["scores"]
        for name, lost, kept in (("own/none", "ssim", "similarity"), ("none/2", "similarity", "ssim")):
            scores[name][kept] = list(scores["own/2"][kept])
            scores[name][lost] = list(scores["other/other"][lost])


def _third(metric: str) -> Callable[[list[dict]], None]:
    def change(records: list[dict]) -> None:
        for record in records:
            record["scores"]["third/third"][metric] = [-3000 for _ in record["bits"]]

    return change


def _symbols(n: int) -> Callable[[list[dict]], None]:
    def change(records: list[dict]) -> None:
        for record in records:
            record["symbols"] = n
            record["scores"]["classical"]["similarity"] = [-1000 for _ in record["bits"]]

    return change


SURVEY_RIGHT = Perturbation(CURVES, "the generative system gains by the SNR and leads", _as_the_survey_says)
SURVEY_EQUAL = Perturbation(CURVES, "all systems are equally good at every SNR", _all_alike)
PROMPTS_FREE = Perturbation(COSTS, "prompts cost next to nothing", _prompts_cost(1e-6))
PROMPTS_DEAR = Perturbation(COSTS, "prompts cost a million times as much", _prompts_cost(1e6))
METRICS_EXCHANGED = Perturbation(PROMPTS, "SSIM and similarity are exchanged", _metrics_exchanged)
EACH_ITS_PART = Perturbation(PROMPTS, "each prompt carries one thing alone", _each_prompt_its_part)
THIRD_FAR = Perturbation(PROMPTS, "a third picture is far off by SSIM", _third("ssim"))
THIRD_UNLIKE = Perturbation(PROMPTS, "a third picture is far off by similarity", _third("similarity"))
MANY_SYMBOLS = Perturbation(PROMPTS, "a joint code of 1,024 symbols that are worth nothing", _symbols(1024))
FEW_SYMBOLS = Perturbation(PROMPTS, "a joint code of 64 symbols that are worth nothing", _symbols(64))


# --- the book's own bench --------------------------------------------------------------------------------------------

BENCH = "semcom_utils.papers.book.comparison"
#: Columns of the bench's rows.
THINGS, PLACE, SAME, SSIM = range(4)
WORDS = ("caption", "boxes", "caption + who", "boxes + who")
#: What a receiver of the bench would see that errs in nothing, in the units of its rows.
PERFECT_ROW = (1, 100, 1, 1000, 1000, 600)


def _schemes(*families: str) -> list[str]:
    from semcom_utils.papers.book.comparison import FAMILIES

    return [name for name, family in FAMILIES.items() if not families or family in families]


def _shows(records: list[dict], names: list[str] | tuple[str, ...], what: str, bits: int | None = None) -> None:
    """These schemes show ``grey``, or ``perfect`` pictures, over every channel; of so many bits if that is said."""
    for r in records:
        grey = r["digital"]["grey"]
        rows = [[p if g >= 0 else g for p, g in zip(PERFECT_ROW, row, strict=True)] for row in _no_negative(grey)]
        shown = grey if what == "grey" else rows
        for name in names:
            if name in r["digital"]:
                r["digital"][name] = deepcopy(shown)
            for channel in r["analog"].values():
                for at in channel.values():
                    if name in at:
                        at[name] = deepcopy(shown)
            if bits is not None:
                r["bits"][name] = [bits] * len(grey)


def _no_negative(grey: list[list[int]]) -> list[list[int]]:
    """Grey's rows, negative only where a question does not arise: a cosine may be."""
    return [[-1 if k == SAME and one < 0 else abs(one) for k, one in enumerate(row)] for row in grey]


def _words_grey(records: list[dict]) -> None:
    _shows(records, WORDS, "grey")


def _drawn_perfect(records: list[dict]) -> None:
    drawn = _schemes("prompt", "map", "inverted latent", "split latent")
    _shows(records, drawn, "perfect", bits=8)
    for r in records:
        for name in _schemes("split latent"):
            r["bits"][name] = [0] * len(r["truly"])


def _only_words(records: list[dict]) -> None:
    """All but words and boxes show grey; those are short, and tell no subject from another."""
    _shows(records, [name for name in _schemes() if name not in WORDS], "grey")
    for r in records:
        for name in WORDS:
            r["bits"][name] = [8] * len(r["truly"])
        for name in WORDS[:2]:
            for row in r["digital"][name]:
                row[SAME] = min(row[SAME], 0)


def _files_perfect(records: list[dict]) -> None:
    _shows(records, _schemes("prompt", "map", "inverted latent", "split latent"), "grey")
    _shows(records, _schemes("file"), "perfect", bits=8)


def _complementary(records: list[dict]) -> None:
    """Words are right on every other picture, boxes on the rest, which stand better; a feature tells which is which."""
    _shows(records, [name for name in _schemes() if name not in WORDS[:2]], "grey")
    _shows(records, WORDS[:2], "perfect", bits=0)
    for r in records:
        for k, row in enumerate(r["features"]):
            row[0] = float(k % 2)
        for name in _schemes():
            for rows in (r["digital"].get(name), *(at.get(name) for c in r["analog"].values() for at in c.values())):
                for k, row in enumerate(rows or ()):
                    if name not in WORDS[:2] or k % 2 != WORDS.index(name):
                        row[:] = [min(one, 0) for one in row]
                        row[PLACE] = int(name == "boxes")


def _lossy_fading(records: list[dict]) -> None:
    """A caption's picture is perfect, a learned code needs a header, and its pictures are lost to fading."""
    _shows(records, ["caption"], "perfect")
    for r in records:
        r["bits"]["DeepJSCC"] = [60] * len(r["truly"])
        for at in r["analog"]["rayleigh-block"].values():
            at["DeepJSCC"] = deepcopy(r["digital"]["grey"])


def _lost_in_fading() -> Callable:
    """Block fading that costs a fifth more and loses four messages of five."""
    from semcom_utils.papers.book.comparison import _fate

    def fate(bits, snr_db, channel):
        uses, delivered = _fate(bits, snr_db, "awgn")
        return (uses, delivered) if channel == "awgn" else (1.2 * uses, 0.2 * delivered)

    return fate


def _of_bench(
    what: str, change: Callable[[list[dict]], None], study: str = "comparison", **methods: Callable[[], object]
) -> Perturbation:
    return Perturbation(f"book/{study}", what, change, {f"{BENCH}.{name}": make for name, make in methods.items()})


WORDS_GREY = _of_bench("words and boxes show grey", _words_grey)
DRAWN_PERFECT = _of_bench("all that is drawn is short and perfect", _drawn_perfect)
ONLY_WORDS = _of_bench("all but words and boxes show grey, and those are short", _only_words)
FILES_PERFECT = _of_bench("files are short and perfect, all that is drawn shows grey", _files_perfect)
COMPLEMENTARY = _of_bench("words are right where boxes are wrong, and a feature tells where", _complementary)
LOSSY_FADING = _of_bench("fading loses messages and costs next to nothing", _lossy_fading, _fate=_lost_in_fading)
FREE_BITS = _of_bench(
    "at Shannon's limit bits are for nothing, and PNG shows the picture itself",
    lambda records: _shows(records, ["PNG"], "perfect"),
    limit=lambda: lambda bits, snr_db, channel: 0.0,
)


def _nothing_told(records: list[dict]) -> None:
    for r in records:
        r["features"] = [[0.0] * len(row) for row in r["features"]]


NOTHING_TOLD = _of_bench("what the sender knows of a picture is the same for all", _nothing_told)


def _no_words_no_symbols(records: list[dict]) -> None:
    _shows(records, [*WORDS, *_schemes("learned code")], "grey")


def _bits_perfect(records: list[dict]) -> None:
    """What is sent as bits costs nothing and is perfect; a learned code does worse on patterns, split latents fail."""
    _shows(records, _schemes("file", "prompt", "map", "inverted latent"), "perfect", bits=0)
    _shows(records, _schemes("split latent"), "grey")
    _ssim(records, ["DeepJSCC"], ordinary=900, pattern=500)


def _ssim(records: list[dict], names: list[str] | tuple[str, ...], ordinary: int, pattern: int) -> None:
    """Over every channel these schemes reach so much SSIM in ordinary scenes, and in those with a subject."""
    for r in records:
        for name in names:
            for rows in (r["digital"].get(name), *(at.get(name) for c in r["analog"].values() for at in c.values())):
                for row in rows or ():
                    row[SSIM] = ordinary if row[SAME] < 0 else pattern


def _as_confirmed(records: list[dict]) -> None:
    """As the sentences say: boxes for meaning, symbols for pictures, files where there is room, maps for the known."""
    _shows(records, _schemes(), "grey")
    _shows(records, ["boxes", "boxes + who"], "perfect", bits=8)
    _ssim(records, ["boxes", "boxes + who"], 100, 100)
    _ssim(records, _schemes("learned code"), 970, 970)
    _ssim(records, _schemes("split latent"), 985, 985)
    _ssim(records, _schemes("map"), 900, 500)
    _ssim(records, _schemes("file"), 1000, 1000)
    for r in records:
        for name in _schemes():
            rows = [r["digital"].get(name), *(at.get(name) for c in r["analog"].values() for at in c.values())]
            for row in (row for some in rows for row in some or () if name != "boxes + who"):
                row[SAME] = min(row[SAME], 0)
        for name in _schemes("file"):
            r["bits"][name] = [2_500] * len(r["truly"])
        for name in _schemes("map"):
            r["bits"][name] = [200] * len(r["truly"])


def _one_exception(records: list[dict]) -> None:
    """Words are right but for one picture in every other task, where boxes are; nothing tells which it is."""
    _shows(records, [name for name in _schemes() if name not in WORDS[:2]], "grey")
    for i, r in enumerate(records):
        for row in r["features"]:
            row[:] = [0.0] * len(row)
        for k in range(len(r["truly"])):
            alone = i % 2 == 0 and k == 1
            for name in _schemes():
                rows = [r["digital"].get(name), *(at.get(name) for c in r["analog"].values() for at in c.values())]
                for row in (some[k] for some in rows if some):
                    row[THINGS] = int(name == ("boxes" if alone else "caption"))


def _one_long_task(records: list[dict]) -> None:
    for name, bits in records[0]["bits"].items():
        records[0]["bits"][name] = [100 * one for one in bits]


NO_WORDS_NO_SYMBOLS = _of_bench("words, boxes and learned codes show grey", _no_words_no_symbols, "confirmation")
BITS_PERFECT = _of_bench("what is sent as bits is free and perfect", _bits_perfect, "confirmation")
AS_CONFIRMED = _of_bench("every family does what is said of it", _as_confirmed, "confirmation")
BLURRED_SYMBOLS = _of_bench(
    "learned codes show no more than another scene",
    lambda records: _ssim(records, _schemes("learned code"), 500, 450),
    "confirmation",
)
ONE_EXCEPTION = _of_bench("one scheme is nearly always right", _one_exception, "confirmation")
ONE_LONG_TASK = _of_bench("the messages of one task are a hundred times as long", _one_long_task, "confirmation")
TOLD_WHICH = _of_bench(
    "words are right where boxes are wrong, and a feature tells where", _complementary, "confirmation"
)


def _slow_networks(records: list[dict]) -> None:
    for record in _of(records, scheme="caption"):
        record["operations"] = {end: 1000 * count for end, count in record["operations"].items()}


SLOW_NETWORKS = Perturbation("book/costs", "a thousand times the operations", _slow_networks)

#: Claim -> what turns its checks, and those of its control, round.
PERTURBATIONS: dict[str, tuple[Perturbation, ...]] = {
    "isgc-diffusion-beats-ppo": (CLAIMED, LAYER, CONTRARY, CONTRARY_PENALTY),
    "isgc-gain-percent": (CLAIMED, LAYER, CONTRARY, CONTRARY_PENALTY),
    "isgc-diffusion-beats-separate": (SEPARATE, OPTIMUM),
    "isgc-near-optimal": (CONTRARY, CONTRARY_PENALTY, LAYER, OPTIMUM),
    "isgc-fig5-ordering": (CLAIMED, CONTRARY),
    "isgc-budget-sufficient": (NO_LAYER, CONTRARY, CLAIMED),
    "isgc-learning-rates": (BUDGET,),
    "isgc-diffusion-explains-gain": (CLAIMED, LAYER, CONTRARY, CONTRARY_PENALTY),
    "isgc-denoising-steps": (SHUFFLED_STEPS,),
    "isgc-deterministic-policy": (CLAIMED, CONTRARY),
    "isgc-constraints-kept": (CONTRARY, CONTRARY_PENALTY, LAYER),
    "isgc-noise-normal": (READINGS,),
    "isgc-readings-of-k": (READINGS,),
    "gsn-ssim-superior": (SURVEY_RIGHT, SURVEY_EQUAL),
    "gsn-ssim-rises": (SURVEY_RIGHT, SURVEY_EQUAL),
    "gsn-low-snr-degrades": (SURVEY_RIGHT, SURVEY_EQUAL),
    "gsn-less-time": (PROMPTS_FREE, PROMPTS_DEAR),
    "gsn-time-from-diffusion": (PROMPTS_FREE, PROMPTS_DEAR),
    "gsn-fewer-bits": (PROMPTS_FREE, PROMPTS_DEAR),
    "gsn-more-bits-than-classical": (MANY_SYMBOLS, FEW_SYMBOLS),
    "gsn-no-joint-training": (PROMPTS_FREE, PROMPTS_DEAR),
    "gsn-two-prompts": (METRICS_EXCHANGED, EACH_ITS_PART, THIRD_FAR, THIRD_UNLIKE),
    "isgc-coordination-gain": (MISJUDGED, BETTER_MENU),
    "isgc-campus-depth": (NO_DEPTH, TRUE_DEPTH),
    "isgc-campus-views": (SHOWN_RIGHT, SHOWN_BLACK),
    "isgc-campus-focus": (UNFOCUSED, FOCUSED),
    "gsn-autoregressive-slow": (PASSES, SHORT),
    "gsn-diffusion-slow": (ONE_STEP, WEAK_RIVALS, TURNED, FINER),
    "gsn-vae-blurry": (SHARP_VAE,),
    "gsn-gan-diversity": (GAN_VAE, GAN_DATA, GAN_ALL, GAN_NONE),
    "gsn-semantic-entropy": (PLAIN, SENTENCES),
    "gsn-shared-knowledge-saves": (KNOWLEDGE, HALF),
    "gsn-semantic-capacity": (RATES, SHANNON, NOISELESS, PLENTY),
    "gsn-age-of-information": (QUEUES, DROPPING, LOW_LOAD, HIGH_LOAD),
    "gsn-age-of-incorrect-information": (SENDERS, NEED_AT, AGE_AT),
    "gsn-value-of-information": (GROWTHS,),
    "gsn-value-practicable": (WORST_VALUE,),
    "gsn-task-oriented": (RANDOM_ALARM,),
    "gsn-causal": (CONFOUNDED, INTERVENED),
    "gsn-knowledge-completion": (FACTS, NOTHING_COMPLETED),
    "gsn-federated-sharing": (SAME_DATA, NO_LOSS),
    "gsn-update-interval": (FREE, PRICES),
    "gsn-versions": (ORDER,),
    "gsn-matching-degree": (EQUAL, STRONGEST, BLIND),
    "gsn-edge-computing": (ALL_EDGE, ALL_LOCAL, SLOW_SPLIT),
    "gsn-off-peak": (FLAT, SLOW_NIGHT),
    "gsn-safety-first": (DISCIPLINES,),
    "gsn-one-space": (UNLEARNT, EARLY),
    "root-denoises-channel": (COEFFICIENTS, PRINTED, ALL_PRINTED, RUINED),
    "root-noise-schedule": (COEFFICIENTS, LINEAR),
    "root-awgn-only": (RUINED,),
    "root-text-negligible": (RUINED, PERFECT),
    "root-latent-saves-bits": (PERFECT,),
    "root-network-size": (COARSE,),
    "root-best-images": (RUINED,),
    "root-structure-as-edge": (PERFECT,),
    "root-best-at-0db": (RUINED, PERFECT),
    "root-proposition-2": (OTHER_WAY,),
    "root-noise-after-decoding": (ANALOG,),
    "root-overestimation": (AGENTS_EXCHANGED, AGENTS_AS_CLAIMED),
    "root-decaying-exploration": (AGENTS_EXCHANGED, AGENTS_AS_CLAIMED),
    "root-not-blindly-fast": (AGENTS_EXCHANGED, AGENTS_AS_CLAIMED),
    "root-d3qn-sufficient": (LOCAL, AS_PRINTED, STOPPED_SHORT),
    "root-convergence": (LOCAL, AS_PRINTED, RANDOM_SERVES),
    "root-highest-reward": (LOCAL, AS_PRINTED, OTHER_AIR),
    "root-steps-with-snr": (LOCAL, AS_PRINTED, COARSE),
    "root-steps-with-computing": (LOCAL, AS_PRINTED, COARSE),
    "root-satisfaction-range": (LOCAL, AS_PRINTED),
    "root-satisfaction-worst-channel": (LOCAL, AS_PRINTED),
    "root-latency-below-25": (LOCAL, AS_PRINTED, OTHER_AIR),
    "root-satisfaction-over-edge": (LOCAL, AS_PRINTED, OTHER_AIR),
    "root-harsh-channel-gaps": (LOCAL, AS_PRINTED, OTHER_AIR),
    "root-gap-cause": (LOCAL, AS_PRINTED, OTHER_AIR),
    "root-others-unsatisfying": (LOCAL, AS_PRINTED, OTHER_AIR),
    "sfa-quality-falls-with-factor": (RISES, STRAIGHT),
    "sfa-pose-factor": (PRINTED_FACTORS, ONE_FACTOR),
    "sfa-depth-factor": (PRINTED_FACTORS, ONE_FACTOR),
    "sfa-sensitivity-differs": (PRINTED_FACTORS, ONE_FACTOR),
    "sfa-service-decides": (DEAR_POSE, CHEAP_POSE),
    "sfa-linear-response": (STRAIGHT, CLIFF),
    "sfa-minimal-prompt": (ALL_PASS, CONVEYED, COIN, LONG_HEADERS),
    "sfa-eavesdropper": (STRANGER, NOTHING_HELD),
    "sfa-precise-prompts": (REVERSED, FALLING),
    "sfa-shared-model-saves": (RANDOM_ADAPTERS, FULL_ADAPTERS, NO_GAIN),
    "sfa-tailored-factors": (LOST, GAINED),
    "sfa-dqn-converges": (AT_50, AT_10),
    "sfa-joint-feasible": (ALL_LEARN, NONE_LEARNS),
    "sfa-fluctuation-cause": (PICTURES_VARY, PICTURES_EQUAL),
    "scm-less-bandwidth": _SCM,
    "scm-ratio-definition": (*_SCM, UNIT_MIXED),
    "scm-identifiers-negligible": (*_SCM, LONG_PROMPTS),
    "scm-knowledge-is-free": (DEAR_HISTORY, CHEAP_HISTORY),
    "scm-beats-witt-image": _SCM,
    "scm-beats-witt-object": _SCM,
    "scm-beats-witt-low-text": _SCM,
    "scm-shannon-highest": _SCM,
    "scm-history-helps": _SCM,
    "scm-text-scores-higher": _SCM,
    "scm-captions-lose-detail": _SCM,
    "scm-high-similarity": _SCM,
    "scm-boxes-place-objects": _SCM,
    "scm-history-resembles": _SCM,
    "scm-witt-blurred": _SCM,
    "scm-psnr-unsuitable": (BLIND_PSNR, BLIND_CLIP),
    "scm-link-unchanged": (DEAF, CLEAR_LINK),
    "scm-one-prompt-two-receivers": (READ_UP, READ_DOWN, UNREAD),
    "scm-latency": (INSTANT, SLOWED),
    "book-words-for-things": (WORDS_GREY, DRAWN_PERFECT, ONLY_WORDS),
    "book-only-words-when-weak": (WORDS_GREY, ONLY_WORDS),
    "book-pixels-for-the-same-picture": (WORDS_GREY, DRAWN_PERFECT, FILES_PERFECT),
    "book-boxes-for-places": (WORDS_GREY, ONLY_WORDS),
    "book-maps-place-better": (WORDS_GREY, ONLY_WORDS),
    "book-history-for-identity": (WORDS_GREY, ONLY_WORDS),
    "book-learned-over-files": (FILES_PERFECT,),
    "book-split-when-weak": (DRAWN_PERFECT, FILES_PERFECT),
    "book-no-winner": (COMPLEMENTARY, DRAWN_PERFECT),
    "book-limit-changes-little": (FREE_BITS,),
    "book-inverted-off-front": (DRAWN_PERFECT,),
    "book-fading-costs-or-blurs": (LOSSY_FADING,),
    "book-choosing-pays": (COMPLEMENTARY, DRAWN_PERFECT),
    "book-choosing-can-be-learned": (NOTHING_TOLD, COMPLEMENTARY),
    "book-drawing-costs-time": (SLOW_NETWORKS,),
    "book-familiar-things": (DRAWN_PERFECT, FILES_PERFECT),
    "book-boxes-for-meaning": (NO_WORDS_NO_SYMBOLS, AS_CONFIRMED),
    "book-who-for-identity": (NO_WORDS_NO_SYMBOLS, AS_CONFIRMED),
    "book-symbols-where-bits-fail": (BLURRED_SYMBOLS, AS_CONFIRMED),
    "book-learned-codes-for-pictures": (BITS_PERFECT, AS_CONFIRMED),
    "book-files-where-uses-are-plenty": (BITS_PERFECT, AS_CONFIRMED),
    "book-split-is-a-learned-code": (NO_WORDS_NO_SYMBOLS, BITS_PERFECT, AS_CONFIRMED),
    "book-choice-where-uses-are-few": (ONE_EXCEPTION, ONE_LONG_TASK, TOLD_WHICH),
    "book-models-draw-what-they-know": (BITS_PERFECT, AS_CONFIRMED),
    "book-maps-over-files-in-few-uses": (BITS_PERFECT, AS_CONFIRMED),
}
