"""Joint choices on one budget, and the studies of section IV-C on a table whose answer is known."""

import json
from itertools import product

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from semcom_utils.control.branching import BranchingNetwork, head_values, independent, train_branching
from semcom_utils.control.d3qn import D3qnSettings
from semcom_utils.control.joint_choice import JointChoiceEnv, bit_budget, joint_values, variance_split
from semcom_utils.control.knapsack import common_choice, greedy_choice, knapsack_optimum, priced_choice
from semcom_utils.control.library_agents import library_dqn
from semcom_utils.papers.semcom_for_aigc import allocation
from semcom_utils.papers.semcom_for_aigc.scenario import FACTORS

pytestmark = pytest.mark.usefixtures("one_thread")


def table(seed=0, draws=30, services=4, options=10):
    """Falling curves of different steepness, pictures that scatter more the larger the factor, falling bits."""
    rng = np.random.default_rng(seed)
    half = rng.uniform(2, 12, (services, 1))
    mean = 0.2 + 0.8 / (1 + (np.arange(options) / half) ** 1.5)
    quality = np.clip(mean + 0.2 * (1 - mean) * rng.normal(size=(draws, services, 1)), 0, 1)
    bits = np.round(rng.uniform(500, 5000, (services, 1)) / (1 + np.arange(options)) ** 1.3).astype(int) + 20
    return quality, bits


QUALITY, BITS = table()
BUDGET = int(BITS[:, 3].sum())


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("budget", [BUDGET, (BUDGET, 2 * BUDGET), None])
@pytest.mark.parametrize("over_budget", ["nothing", "penalty"])
def test_gymnasium_finds_nothing_wrong(flat, budget, over_budget):
    check_env(JointChoiceEnv(QUALITY, BITS, budget, flat=flat, over_budget=over_budget), skip_render_check=True)


def test_rewards_are_the_table_s_and_nothing_above_the_budget():
    env = JointChoiceEnv(QUALITY[:1], BITS, BUDGET)
    env.reset(seed=0)
    _, reward, ended, cut, info = env.step(np.array([3, 3, 3, 3]))
    assert reward == pytest.approx(QUALITY[0, range(4), 3].mean()) and ended and not cut and not info["late"]
    assert info["bits"] == BUDGET and info["loss"] == pytest.approx(1 - reward)
    with pytest.raises(RuntimeError, match="reset"):
        env.step(np.array([3, 3, 3, 3]))
    env.reset()
    _, reward, _, _, info = env.step(np.array([3, 3, 3, 2]))
    assert reward == 0 and info["late"] and info["loss"] == pytest.approx(1 - QUALITY[0, range(4), [3, 3, 3, 2]].mean())
    penal = JointChoiceEnv(QUALITY[:1], BITS, BUDGET, over_budget="penalty")
    penal.reset(seed=0)
    excess = (BITS[:, 0].sum() - BUDGET) / BUDGET
    assert penal.step(np.zeros(4, int))[1] == pytest.approx(-min(1, excess))


def test_flat_actions_are_the_joint_ones_in_order():
    env, both = JointChoiceEnv(QUALITY, BITS, BUDGET, flat=True), JointChoiceEnv(QUALITY, BITS, BUDGET)
    values = joint_values(QUALITY, BITS, BUDGET)
    for action in (0, 7, 4321, 9999):
        assert env.choice(action).tolist() == [int(d) for d in f"{action:04d}"]
        env.reset(seed=action), both.reset(seed=action)
        flat, joint = env.step(action)[1], both.step(env.choice(action))[1]
        assert flat == joint and np.isclose(values[:, action], flat).any()


def test_an_episode_draws_a_picture_and_a_budget():
    env = JointChoiceEnv(QUALITY, BITS, (BUDGET, 2 * BUDGET))
    seen = {float(env.reset(seed=None if k else 1)[0][0]) for k in range(30)}
    assert seen == {float(env.observation(b)[0]) for b in (BUDGET, 2 * BUDGET)}
    one = JointChoiceEnv(QUALITY, BITS, BUDGET)
    rewards = set()
    for k in range(20):
        one.reset(seed=None if k else 1)
        rewards.add(one.step(np.full(4, 5))[1])
    assert len(rewards) > 5


def test_without_a_budget_everyone_takes_the_full_map_and_with_one_the_knapsack_rules():
    free, tight = (joint_values(QUALITY, BITS, b).mean(0) for b in (None, BUDGET))
    assert free.argmax() == 0
    best, value = knapsack_optimum(QUALITY.mean(0), BITS, BUDGET)
    assert tuple(best) == np.unravel_index(tight.argmax(), (10,) * 4) and tight.max() == pytest.approx(value / 4)
    penal = joint_values(QUALITY, BITS, BUDGET, over_budget="penalty").mean(0)
    assert penal.argmax() == tight.argmax() and penal.min() < 0


def test_where_variance_comes_from_adds_up_and_is_what_a_run_shows():
    choice = knapsack_optimum(QUALITY.mean(0), BITS, BUDGET)[0]
    for budget, explore in product((BUDGET, None), (0.0, 0.3, 1.0)):
        parts = variance_split(QUALITY, BITS, budget, choice, explore)
        values = joint_values(QUALITY, BITS, budget)
        p = np.full(10**4, explore / 10**4)
        p[np.ravel_multi_index(tuple(choice), (10,) * 4)] += 1 - explore
        whole = (values**2).mean(0) @ p - (values.mean(0) @ p) ** 2
        assert parts["total"] == pytest.approx(whole, abs=1e-12)
        assert sum(parts[k] for k in ("pictures", "options", "late")) == pytest.approx(whole, abs=1e-12)
        assert (parts["late"] < 1e-20) == (budget is None or explore == 0)
        if explore == 0:
            assert parts["pictures"] == pytest.approx(whole)
    # a simulation, as an outside judge
    env, rng = JointChoiceEnv(QUALITY, BITS, BUDGET), np.random.default_rng(0)
    rewards = []
    for k in range(6000):
        env.reset(seed=None if k else 3)
        rewards.append(env.step(rng.integers(10, size=4) if rng.random() < 0.3 else choice)[1])
    assert np.var(rewards) == pytest.approx(variance_split(QUALITY, BITS, BUDGET, choice, 0.3)["total"], rel=0.08)


def test_bits_of_channel_uses():
    assert bit_budget(100, 10 * np.log10(3)) == 200 and bit_budget(100, -300) == 0
    uses = allocation.channel_uses(BITS)
    assert BUDGET <= bit_budget(uses, allocation.SNR_DB) < BUDGET + 4
    for call, name in (
        (lambda: bit_budget(0, 1.0), "uses"),
        (lambda: bit_budget(1, np.nan), "snr_db"),
        (lambda: allocation.channel_uses(BITS, 7), "factor"),
        (lambda: allocation.channel_uses(BITS[:, :4]), "bits"),
    ):
        with pytest.raises(ValueError, match=rf"^{name} must"):
            call()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), spare=st.integers(0, 6000), services=st.integers(1, 4))
def test_prices_and_common_options_fit_and_never_beat_the_optimum(seed, spare, services):
    rng = np.random.default_rng(seed)
    quality, bits = rng.normal(size=(services, 5)), rng.integers(0, 2000, (services, 5))
    bits[:, 4] = bits.min()  # one option that all can afford
    budget = int(bits.min(1).sum()) + spare
    rows, best = np.arange(services), knapsack_optimum(quality, bits, budget)[1]
    rules = [priced_choice, greedy_choice] + [common_choice] * bool((bits.sum(0) <= budget).any())
    for rule in rules:
        choice = rule(quality, bits, budget)
        assert bits[rows, choice].sum() <= budget and quality[rows, choice].sum() <= best + 1e-9
    step = np.ptp(quality, axis=1).max()
    assert (
        quality[rows, priced_choice(quality, bits, budget)].sum() >= best - step - 1e-9
    )  # misses one service's at most


def test_a_trap_for_greed_and_for_prices():
    """Greed buys the better rate and is then too poor; so is who pays one price for all: neither is the optimum."""
    quality, bits = np.array([[0.0, 0.2], [0.0, 1.0]]), np.array([[0, 1], [0, 10]])
    rows = np.arange(2)
    assert quality[rows, greedy_choice(quality, bits, 10)].sum() == pytest.approx(0.2)
    assert quality[rows, priced_choice(quality, bits, 10)].sum() == pytest.approx(0.2)
    assert knapsack_optimum(quality, bits, 10)[1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"quality": QUALITY[0]}, "quality"),
        ({"quality": QUALITY + 1}, "quality"),
        ({"quality": QUALITY - 1}, "quality"),
        ({"quality": np.full_like(QUALITY, np.nan)}, "quality"),
        ({"bits": BITS[:2]}, "bits"),
        ({"bits": BITS + 0.5}, "bits"),
        ({"bits": -BITS}, "bits"),
        ({"budget": 3}, "budget"),
        ({"budget": 1e5}, "budget"),
        ({"budget": ()}, "budget"),
        ({"budget": (BUDGET, True)}, "budget"),
        ({"over_budget": "later"}, "over_budget"),
    ],
)
def test_a_bad_table_is_named(change, name):
    with pytest.raises(ValueError, match=rf"^{name} must"):
        JointChoiceEnv(**{"quality": QUALITY, "bits": BITS, "budget": BUDGET} | change)


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.integers(-3, 10**6), st.floats(), st.lists(st.integers(-2, 12), max_size=5), st.none(), st.text()))
def test_what_is_no_action_is_refused_and_the_rest_is_played(action):
    for flat in (False, True):
        env = JointChoiceEnv(QUALITY, BITS, BUDGET, flat=flat)
        env.reset(seed=0)
        legal = (
            isinstance(action, int) and 0 <= action < 10**4
            if flat
            else isinstance(action, list) and len(action) == 4 and all(0 <= a < 10 for a in action)
        )
        if legal:
            assert 0 <= env.step(action)[1] <= 1
        else:
            with pytest.raises(ValueError, match="^action must"):
                env.step(action)


def test_too_many_joint_actions_are_refused():
    quality, bits = table(services=10)
    with pytest.raises(ValueError, match="^flat must"):
        JointChoiceEnv(quality, bits, int(bits.sum()), flat=True)
    with pytest.raises(ValueError, match="^quality must have at most"):
        joint_values(quality, bits, None)
    for choice in ([0, 0, 0], [0, 0, 0, 10], [0.0] * 4):
        with pytest.raises(ValueError, match="^choice must"):
            variance_split(QUALITY, BITS, BUDGET, choice, 0.1)
    with pytest.raises(ValueError, match="^explore must"):
        variance_split(QUALITY, BITS, BUDGET, [0, 0, 0, 0], 1.5)


# --- heads -----------------------------------------------------------------------------------------------------------
QUICK = D3qnSettings(hidden=32, batch=32, discount=0.0, rate=3e-3, warm_up=100, every=2)


def test_heads_have_the_value_as_their_mean():
    import torch

    network = BranchingNetwork(1, 3, 5, 8)
    x = torch.rand(7, 1)
    q = network(x)
    assert q.shape == (7, 3, 5)
    torch.testing.assert_close(q.mean(-1), network.value(network.body(x)).expand(7, 3))


@pytest.mark.parametrize("rule", ["common", "additive"])
def test_heads_learn_what_each_option_is_worth(rule):
    """Without a budget the reward is a sum: each head finds its own best; additive ones its part, to a constant."""
    quality = np.array([[[0.1, 0.9, 0.2], [0.8, 0.2, 0.5]]])
    env = JointChoiceEnv(quality, np.ones((2, 3), int), None)
    network, returns = train_branching(env, 600, 0, QUICK, rule=rule)
    values = head_values(network, env.observation(None))
    assert independent(values, None).tolist() == [1, 0] and returns[-50:].mean() > 0.8
    if rule == "additive":
        centred = values - values.mean(1, keepdims=True)
        np.testing.assert_allclose(centred, quality[0] - quality[0].mean(1, keepdims=True), atol=0.1)


@pytest.mark.slow
def test_a_price_reaches_the_optimum_and_shuffled_rewards_do_not():
    """The negative control: with the rewards of random choices the same agent must not come near."""
    made = allocation.train_agent("priced", QUALITY, BITS, BUDGET, 0, decisions=1000)
    assert made["share"] >= 0.99 and len(made["rewards"]) == len(made["losses"]) == 1000
    assert allocation.train_agent("priced_shuffled", QUALITY, BITS, BUDGET, 0, decisions=1000)["share"] < 0.97


def test_runs_repeat():
    one, two = (allocation.train_agent("priced", QUALITY, BITS, BUDGET, 5, decisions=300) for _ in range(2))
    np.testing.assert_array_equal(one["rewards"], two["rewards"])
    assert one["choice"].tolist() == two["choice"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["d3qn", "library"])
def test_flat_agents_learn_few_joint_actions(name):
    quality, bits = table(services=2)
    made = allocation.train_agent(name, quality, bits, int(bits[:, 3].sum()), 0, decisions=2000)
    values = joint_values(quality, bits, int(bits[:, 3].sum())).mean(0)
    assert made["share"] > 1.1 * values.mean() / values.max() and made["parameters"] > 100
    assert len(made["rewards"]) == len(made["losses"]) == 2000


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: train_branching(JointChoiceEnv(QUALITY, BITS, BUDGET, flat=True), 5, 0), "env"),
        (lambda: train_branching(JointChoiceEnv(QUALITY, BITS, BUDGET), 0, 0), "episodes"),
        (lambda: train_branching(JointChoiceEnv(QUALITY, BITS, BUDGET), 5, -1), "seed"),
        (lambda: train_branching(JointChoiceEnv(QUALITY, BITS, BUDGET), 5, 0, rule="own"), "rule"),
        (lambda: BranchingNetwork(1, 0, 5), "services"),
        (lambda: library_dqn(JointChoiceEnv(QUALITY, BITS, BUDGET), 0, QUICK), "env"),
        (lambda: allocation.train_agent("sarsa", QUALITY, BITS, BUDGET, 0), "name"),
        (lambda: allocation.agent_settings("deep", 1e-3), "form"),
        (lambda: allocation.settled_after([1.0]), "rewards"),
        (lambda: allocation.measured_table("mine"), "what"),
        (lambda: common_choice([[1.0, 2.0], [1.0, 2.0]], [[5, 1], [1, 5]], 4), "budget"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^{name} must"):
        call()


# --- the studies -----------------------------------------------------------------------------------------------------
def test_when_a_reward_has_settled():
    rng = np.random.default_rng(0)
    rising = np.concatenate([np.linspace(0, 1, 40), np.ones(160)])
    assert 40 <= allocation.settled_after(rising) <= 50
    assert allocation.settled_after(np.ones(200)) == allocation.WINDOW
    assert allocation.settled_after(rng.random(200)) > 150  # what scatters does not settle
    assert allocation.settled_after([0.0] * 150 + [1.0] * 50) == 160


@pytest.fixture
def known(monkeypatch):
    """The studies on a known table, tuned to a known rate."""
    quality, bits = table(3, draws=30)
    scenes = np.repeat(np.arange(10), 3)
    monkeypatch.setattr(allocation, "measured_table", lambda what="services": (quality, bits, scenes))
    monkeypatch.setattr(allocation, "_tuned", lambda agent: 3e-3)
    return quality, bits, scenes


def test_tailored_factors_gain_what_they_must(known):
    quality, bits, scenes = known
    record = allocation.tailored_run({"what": "services", "factor": 4, "seed": 0})
    by_scene = quality.reshape(10, 3, 4, 10).mean(1)
    budget, rows, wanted = int(bits[:, 3].sum()), np.arange(4), np.empty(10)
    for half in (0, 1):
        seen = by_scene[half::2].mean(0)
        tailored, common = knapsack_optimum(seen, bits, budget)[0], common_choice(seen, bits, budget)
        held = by_scene[1 - half :: 2]
        wanted[1 - half :: 2] = (held[:, rows, tailored] - held[:, rows, common]).mean(1)
        assert record["tailored"][half] == [FACTORS[i] for i in tailored]
    np.testing.assert_allclose(record["gain"], wanted, atol=1e-5)
    summary = allocation.STUDIES["tailored"].summarise(
        [{"task": {"what": "services", "factor": 4, "seed": 0}, **record}]
    )
    assert summary["services"]["4"]["gain"]["low"] > 0 > summary["services"]["4"]["shuffled"]["high"]


@pytest.mark.slow
def test_a_small_allocation_from_task_to_summary(known):
    records = []
    for agent in ("priced", "no_budget"):
        for seed in (1,) if agent == "no_budget" else (1, 2):
            record = allocation.allocation_run({"agent": agent, "seed": seed, "decisions": 800})
            records.append({"task": {"agent": agent, "seed": seed}, **json.loads(json.dumps(record))})
    summary = json.loads(json.dumps(allocation.STUDIES["allocation"].summarise(records)))
    assert summary["agents"]["priced"]["share"]["estimate"] > 0.9
    assert summary["rules"]["without_budget"] == [1, 1, 1, 1] and records[-1]["share"] > 0.9
    assert summary["rules"]["share"]["optimum"] == pytest.approx(1) and summary["rules"]["share"]["full"] == 0
    assert 0 < summary["rules"]["share"]["random"] < summary["rules"]["best_of_50"] < 1
    shares = [records[0]["at_snr"][snr] for snr in ("10", "16")]
    assert 0.8 < min(shares) <= max(shares) <= 1
    without = records[0]["variance"]["without"]
    exact = variance_split(known[0], known[1], None, [FACTORS.index(f) for f in records[0]["choice"]], 0.0)
    assert without == pytest.approx(exact["total"], rel=0.1)


def test_the_expected_best_of_some_draws():
    values = np.array([0.0, 1.0])
    assert allocation._best_of(values, 1) == pytest.approx(0.5) and allocation._best_of(values, 3) == pytest.approx(
        7 / 8
    )


def test_more_services_are_like_the_measured_ones():
    quality, bits = allocation.many_services(QUALITY, BITS, 100, np.random.default_rng(0))
    assert quality.shape == (30, 100, 10) and bits.shape == (100, 10) and bits.dtype == int
    assert (np.diff(bits, axis=1) <= 0).all() and 0 <= quality.min() and quality.max() <= 1


def test_a_small_services_study(known):
    record = allocation.services_run({"services": 6, "agent": "priced", "seed": 0, "decisions": 400})
    summary = allocation.STUDIES["services"].summarise(
        [{"task": {"services": 6, "agent": "priced", "seed": 0}, **record}]
    )
    row = summary["priced"]["6"]
    assert row["rules"]["exact"] == 1 and row["rules"]["greedy"] <= 1 and row["rules_seconds"]["exact"] < 5
    assert 0.5 < row["share"]["estimate"] <= 1
