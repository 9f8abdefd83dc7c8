"""The tuning with equal effort: its spaces, its rounds, its ablation; what it chooses by is not the test."""

import itertools

import numpy as np
import pytest
import torch

from semcom_utils.papers.isgc import equal_effort
from semcom_utils.papers.isgc.equal_effort import ABLATION, BY_HAND, EARLIER, SETTINGS, search_space
from semcom_utils.papers.isgc.learning import HELD_OUT, LEARNERS, TUNING, held_out_states
from semcom_utils.studies import find


def drawn(method, n=300):
    return [search_space(method, np.random.default_rng(i)) for i in range(n)]


@pytest.mark.parametrize("method", LEARNERS)
def test_spaces_hold_what_public_practice_uses(method):
    draws = drawn(method)
    wanted = {"action_map": {"box", "softmax"}, "width": {128, 256}}
    if method == "ppo":
        wanted |= {"layers": {2, 3}, "n_epochs": {5, 10, 20}, "n_steps": {16, 32, 64}, "ent_coef": {0.0, 0.001, 0.01}}
    else:
        wanted |= {"critic_layers": {2, 3}, "critic_width": {128, 256}, "batch_size": {128, 256, 512}}
    if method in ("diffusion", "mlp"):
        wanted |= {"actor_wait": {0, 300}, "actor_every": {1, 2}, "noise": {0.01, 0.1, 0.2}, "polyak": {0.005, 0.02}}
    for name, values in wanted.items():
        assert {d[name] for d in draws} == values, name


def test_learners_with_a_replay_share_what_they_can():
    """The MLP actor draws from the diffusion policy's space, less the chain; both from SAC's critics and replay."""
    ours, mlp, sac = ({frozenset(d) for d in drawn(m, 20)}.pop() for m in ("diffusion", "mlp", "sac"))
    assert ours - mlp == {"prediction_type", "denoising_steps"} and not mlp - ours
    assert {"action_map", "width", "copies", "batch_size", "critic_layers", "critic_width"} <= mlp & sac


@pytest.mark.parametrize("feasibility", SETTINGS)
def test_every_learner_has_as_many_draws_and_none_is_judged_on_the_held_out_states(feasibility):
    tasks = find(f"isgc/search_{feasibility}").tasks()
    assert {m: sum(t["method"] == m for t in tasks) for m in LEARNERS} == dict.fromkeys(LEARNERS, equal_effort.DRAWS)
    assert {(t["steps"], t["states"], t["feasibility"]) for t in tasks} == {(60_000, TUNING, feasibility)}
    assert not np.isin(held_out_states(n=256, seed=TUNING), held_out_states(n=256, seed=HELD_OUT)).any()


def records(shares):
    return [
        {"task": {"method": "ppo", "seed": seed, "settings": {"rate": rate}}, "final": {"share": share}}
        for (rate, seed), share in shares.items()
    ]


def test_settings_are_ranked_by_their_mean_over_seeds():
    ranked = equal_effort._ranked(records({(1, 0): 0.9, (1, 1): 0.5, (2, 0): 0.8, (2, 1): 0.7}))
    assert [r["settings"]["rate"] for r in ranked["ppo"]] == [2, 1] and ranked["ppo"][0]["share"] == pytest.approx(0.75)


def test_the_two_best_go_on_and_the_better_one_is_run(monkeypatch):
    results = {
        "isgc/search_layer": {m: [{"settings": {"of": m, "place": k}} for k in range(5)] for m in LEARNERS},
        "isgc/finalists_layer": {m: [{"settings": {"of": m, "place": k}} for k in (1, 0)] for m in LEARNERS},
    }
    monkeypatch.setattr(equal_effort, "load_result", lambda name: {"summary": results[name]})
    finalists, final = equal_effort._finalist_tasks("layer"), equal_effort._final_tasks("layer")
    assert len(finalists) == 4 * 2 * 2 and {t["settings"]["place"] for t in finalists} == {0, 1}
    assert all(t["settings"]["of"] == t["method"] and t["states"] == TUNING for t in finalists)
    assert len(final) == 4 * 10 and {t["settings"]["place"] for t in final} == {1}
    assert not any("states" in t for t in final)  # judged on the held-out ones
    seeds = [{t["seed"] for t in tasks} for tasks in (find("isgc/search_layer").tasks(), finalists, final)]
    assert not any(a & b for a, b in itertools.combinations(seeds, 2))


def test_the_ablation_changes_one_choice_at_a_time(monkeypatch):
    best = EARLIER | {
        "action_map": "softmax",
        "critic_width": 256,
        "critic_layers": 3,
        "critic_rate": 3e-3,
        "noise": 0.2,
    }
    monkeypatch.setitem(equal_effort.BY_HAND, "diffusion", best)
    tasks = equal_effort._ablation_tasks()
    for t in tasks:
        way, _, name = t["variant"].partition(": ")
        if way not in ("back", "alone"):
            continue
        start = {"back": best, "alone": EARLIER}[way]
        changed = {key for key in start if start[key] != t["settings"][key]}
        assert changed and changed <= set(ABLATION[name])
    assert {"back: map of actions", "alone: critics, size and rate"} <= {t["variant"] for t in tasks}
    assert not any(": number of updates" in t["variant"] for t in tasks)  # the same in both: nothing to run


def test_learners_with_a_replay_have_one_setting_by_hand():
    ours, mlp, sac = (BY_HAND[m] for m in ("diffusion", "mlp", "sac"))
    assert mlp == {k: v for k, v in ours.items() if k not in ("prediction_type", "denoising_steps")}
    shared = ("copies", "batch_size", "action_map", "critic_layers", "critic_width")
    assert {k: sac[k] for k in shared} == {k: ours[k] for k in shared} and sac["rate"] == ours["critic_rate"]
    tasks = find("isgc/by_hand").tasks()
    assert len(tasks) == 40 and {(t["feasibility"], t["steps"]) for t in tasks} == {("penalty", equal_effort.STEPS)}
    assert not any("states" in t for t in tasks)


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_library_agents_have_the_sizes_asked_for(name):
    from semcom_utils.control.library_agents import library_agent
    from semcom_utils.papers.isgc.scenario import BatchIsgcEnv

    env = BatchIsgcEnv(2, np.random.default_rng(0), action_map="softmax")
    extra = {"log_deviation": -1.0, "n_steps": 4, "batch_size": 4} if name == "ppo" else {}
    agent = library_agent(name, env, 0, width=16, layers=3, critic_width=8, critic_layers=2, **extra)

    def widths(network):
        return [m.out_features for m in network if isinstance(m, torch.nn.Linear)]

    if name == "ppo":
        parts = agent.policy.mlp_extractor
        assert widths(parts.policy_net) == [16, 16, 16] and widths(parts.value_net) == [8, 8]
        assert agent.policy.log_std.unique().item() == -1
    else:
        assert widths(agent.actor.latent_pi) == [16, 16, 16] and widths(agent.critic.qf0) == [8, 8, 1]
    with pytest.raises(ValueError, match="critic_layers"):
        library_agent(name, env, 0, critic_layers=-1)
