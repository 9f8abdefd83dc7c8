"""The ISGC case study: its equations by hand, its environment, its contradictions, and what it refuses."""

import dataclasses

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from semcom_utils.control.allocation import smallest_latency_budget
from semcom_utils.papers.isgc.scenario import (
    PAPER_STATES,
    STATE,
    BatchIsgcEnv,
    IsgcConstants,
    IsgcEnv,
    allocation_problem,
    bandwidth_from_action,
    computation_times,
    latency_budget,
    observe,
    optimal_allocation,
    paper_states,
    reward,
    sample_states,
    share_of_optimum,
    spectral_rates,
    utility,
)

#         H    sigma_a sigma_m g_a  p_a  g_m  p_m  K    C_a  C_m
STATE_1 = [1.8, 1.0, 0.5, 0.75, 4.0, 0.25, 3.0, 0.9, 8.0, 16.0]


def test_equations_by_hand():
    c = spectral_rates(STATE_1)
    np.testing.assert_allclose(c, [2.0, 2.0, 2.0])  # 1.8/0.9, log2(1 + 3), log2(1 + 0.75/0.25)
    np.testing.assert_allclose(computation_times(STATE_1), [0.2, 0.25, 0.25])
    assert latency_budget(STATE_1) == pytest.approx(1.3)
    assert utility(STATE_1, [5.0, 3.0, 2.0]) == pytest.approx(20.0)
    problem = allocation_problem(STATE_1, IsgcConstants(price=(1.0, 2.0, 3.0)))
    np.testing.assert_allclose(problem["price_rates"], [2, 4, 6])
    np.testing.assert_allclose(problem["latency_loads"], [0.15, 0.6, 0.6])


def test_rewards_by_hand():
    r, feasible = reward(np.array([STATE_1] * 2), [[5.0, 3.0, 2.0], [9.8, 0.1, 0.1]])
    assert feasible.tolist() == [True, False]
    assert r[0] == pytest.approx(1.0)  # all three hops earn the same, so any split earns the bound
    assert r[1] == pytest.approx(-1.1)  # 12 s of transmission in a budget of 1.3 s: the floor
    r, _ = reward(STATE_1, [5.0, 3.0, 2.0], form="utility")
    assert r == pytest.approx(2.0)


def test_every_constant_has_a_source_and_a_reason():
    for field in dataclasses.fields(IsgcConstants):
        assert field.metadata["source"] in ("paper", "assumed") and len(field.metadata["why"]) > 15, field.name
    assert IsgcConstants().table().shape == (len(dataclasses.fields(IsgcConstants)), 4)


def test_states_follow_the_printed_laws():
    s = sample_states(200_000, np.random.default_rng(0))
    column = dict(zip(STATE, s.T, strict=True))
    laws = {"H_s^a": (1, 2), "g_a^m": (0, 1), "p_a^m": (3, 5), "p_m^s": (3, 5), "K_s^a": (0.8, 1)}
    for name, (low, high) in laws.items():
        assert low <= column[name].min() and column[name].max() <= high
        assert column[name].mean() == pytest.approx((low + high) / 2, abs=5 * (high - low) / np.sqrt(12 * len(s)))
    assert (column["sigma_a"] >= 0).all() and (column["sigma_a"] ** 2).mean() == pytest.approx(1, abs=0.02)


def test_both_readings_of_every_contradiction_run():
    printed = sample_states(50_000, np.random.default_rng(1), IsgcConstants.as_printed())
    k = printed[:, STATE.index("K_s^a")]
    assert 0 < k.min() and k.max() <= 0.8 and k.mean() == pytest.approx(0.4, abs=0.01)
    assert (printed[:, STATE.index("sigma_a")] < 0).mean() == pytest.approx(0.5, abs=0.02)
    signed = sample_states(1000, np.random.default_rng(2), IsgcConstants(noise_sign="signed"))
    np.testing.assert_allclose(spectral_rates(signed), spectral_rates(np.abs(signed)))  # no rate depends on the sign
    state = [1.5, 0.5, 0.5, 0.75, 4.0, 0.75, 4.0, 0.9, 8.0, 16.0]
    as_power = spectral_rates(state, IsgcConstants(noise_meaning="variance"))[1]
    assert as_power == pytest.approx(np.log2(1 + 3 / 0.5)) and spectral_rates(state)[1] == pytest.approx(np.log2(13))


def test_fig5_states_fit_their_ranges_only_when_gain_and_power_are_swapped():
    g_m, p_a = STATE.index("g_m^s"), STATE.index("p_a^m")
    printed, corrected = paper_states("printed"), paper_states()
    assert printed.shape == (len(PAPER_STATES), len(STATE))
    assert (printed[:, g_m] > 1).all() and (printed[:, p_a] < 3).all()
    assert (corrected[:, g_m] < 1).all() and ((corrected[:, p_a] > 3) & (corrected[:, p_a] < 5)).all()


def test_actions_give_out_the_whole_band():
    x = np.random.default_rng(0).uniform(-2, 2, (1000, 3))
    w = bandwidth_from_action(x, 10.0)
    np.testing.assert_allclose(w.sum(-1), 10.0)
    assert w.min() > 0
    np.testing.assert_allclose(bandwidth_from_action([0.3, 0.3, 0.3], 9.0), [3, 3, 3])


def test_softmax_gives_out_the_whole_band_and_reaches_as_far_as_the_box():
    x = np.random.default_rng(0).uniform(-2, 2, (1000, 3))
    w = bandwidth_from_action(x, 10.0, "softmax")
    np.testing.assert_allclose(w.sum(-1), 10.0)
    one, other = bandwidth_from_action([1.0, -1.0, -1.0], 1.0, "softmax"), bandwidth_from_action([1.0, -1.0, -1.0], 1.0)
    np.testing.assert_allclose(one, np.exp([3, -3, -3]) / np.exp([3, -3, -3]).sum())
    assert one.max() > 0.99 < other.max()
    env = BatchIsgcEnv(2, np.random.default_rng(0), action_map="softmax")
    np.testing.assert_allclose(env.execute(env.states, np.array([[1.0, -1.0, -1.0]] * 2)), 10 * np.array([one, one]))


def test_environments_pass_gymnasiums_check():
    for arguments in ({}, {"feasibility": "layer", "episode_length": 3, "observation": "raw"}):
        with pytest.warns(UserWarning, match="infinity"):  # a gain has no floor in dB
            check_env(IsgcEnv(**arguments), skip_render_check=True)


def test_single_and_batched_forms_agree():
    env, batch = IsgcEnv(feasibility="layer"), BatchIsgcEnv(1, np.random.default_rng(7), feasibility="layer")
    o, _ = env.reset(seed=7)
    np.testing.assert_allclose(o, observe(env._batch.states[0]), rtol=1e-6)
    np.testing.assert_array_equal(o, env.reset(seed=7)[0])
    batch.states = env._batch.states.copy()
    _, r, terminated, truncated, info = env.step(np.array([0.5, -0.5, 0.1], np.float32))
    _, r_batch, done, feasible = batch.step(np.array([[0.5, -0.5, 0.1]], np.float32))
    assert r == pytest.approx(r_batch[0]) and terminated and not truncated and done[0]
    assert info["feasible"] == feasible[0] and info["allocation"].sum() == pytest.approx(10.0)


def test_episodes_last_as_long_as_asked():
    env = BatchIsgcEnv(4, np.random.default_rng(0), episode_length=3)
    ends = [env.step(np.zeros((4, 3)))[2][0] for _ in range(6)]
    assert ends == [False, False, True, False, False, True]


def test_layer_is_never_infeasible_where_a_feasible_point_exists():
    states = sample_states(20_000, np.random.default_rng(3))
    env = BatchIsgcEnv(1, np.random.default_rng(0), feasibility="layer")
    actions = np.random.default_rng(4).uniform(-1, 1, (20_000, 3))
    assert share_of_optimum(states, env.execute(states, actions))["infeasible"] == 0
    env = BatchIsgcEnv(1, np.random.default_rng(0), feasibility="penalty")
    assert share_of_optimum(states, env.execute(states, actions))["infeasible"] > 0.1  # the control: the limit binds


def test_share_of_the_optimum_itself_is_one():
    states = sample_states(500, np.random.default_rng(5))
    problem = allocation_problem(states)
    solvable = smallest_latency_budget(problem["latency_loads"], problem["bandwidth"]) <= problem["latency_budget"]
    w, _ = optimal_allocation(**{k: v[solvable] for k, v in problem.items()})
    judged = share_of_optimum(states[solvable], w)
    assert judged["share"] == pytest.approx(1) and judged["infeasible"] == 0
    with pytest.raises(ValueError, match="states"):
        share_of_optimum(states[~solvable][:1], np.full((1, 3), 3.3))


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("states", lambda: spectral_rates([1.0, 2.0])),
        ("states", lambda: spectral_rates([np.nan] * 10)),
        ("allocation", lambda: utility(STATE_1, [-1.0, 5.0, 6.0])),
        ("allocation", lambda: utility(STATE_1, [5.0, 5.0])),
        ("action", lambda: bandwidth_from_action([0.1, np.nan, 0.2], 10.0)),
        ("action_map", lambda: bandwidth_from_action([0.1, 0.1, 0.2], 10.0, "sphere")),
        ("action_map", lambda: BatchIsgcEnv(2, np.random.default_rng(0), action_map="sphere")),
        ("action", lambda: BatchIsgcEnv(2, np.random.default_rng(0)).step(np.zeros((3, 3)))),
        ("n", lambda: sample_states(0, np.random.default_rng(0))),
        ("rng", lambda: sample_states(3, 42)),
        ("form", lambda: observe(STATE_1, form="log")),
        ("form", lambda: reward(STATE_1, [5.0, 3.0, 2.0], form="money")),
        ("order", lambda: paper_states("as is")),
        ("feasibility", lambda: BatchIsgcEnv(2, np.random.default_rng(0), feasibility="maybe")),
        ("bandwidth", lambda: IsgcConstants(bandwidth=0.0)),
        ("tolerable_time", lambda: IsgcConstants(tolerable_time=float("nan"))),
        ("symbols", lambda: IsgcConstants(symbols=(1.0, 0.8))),
        ("price", lambda: IsgcConstants(price=(1.0, -1.0, 1.0))),
        ("noise_sign", lambda: IsgcConstants(noise_sign="both")),
    ],
)
def test_bad_input_names_the_argument(name, call):
    with pytest.raises(ValueError, match=name):
        call()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=8, max_size=11))
def test_any_state_gives_rates_or_a_value_error(values):
    try:
        with np.errstate(all="ignore"):
            c = spectral_rates(values)
    except ValueError:
        return
    assert c.shape == (3,)


def test_the_optimum_of_the_same_states_is_solved_once(monkeypatch):
    from semcom_utils.papers.isgc import scenario

    solved, solve = [], scenario.optimal_allocation
    monkeypatch.setattr(scenario, "optimal_allocation", lambda **problem: solved.append(1) or solve(**problem))
    scenario._optimum.cache_clear()
    states = sample_states(50, np.random.default_rng(11))
    first = share_of_optimum(states, np.full((50, 3), 10 / 3))
    assert share_of_optimum(states.copy(), np.full((50, 3), 10 / 3)) == first and len(solved) == 1
    assert share_of_optimum(states, np.full((50, 3), 1.0))["share"] < first["share"] and len(solved) == 1
    other = IsgcConstants(price=[2.0, 1.0, 1.0])  # a list will do
    assert share_of_optimum(states, np.full((50, 3), 10 / 3), other)["optimum"] > first["optimum"] and len(solved) == 2
    states[0, 0] = 1.5
    share_of_optimum(states, np.full((50, 3), 10 / 3))
    assert len(solved) == 3
