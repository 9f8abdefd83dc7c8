"""ROOT: latencies by hand, Proposition 2 by simulation, the oracle, the environment, and the agent."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from semcom_utils.control.d3qn import D3qnSettings, DuelingNetwork, double_target, greedy, train_d3qn
from semcom_utils.papers.semaigc_root import scenario as root
from semcom_utils.papers.semaigc_root.scenario import RootConstants, RootEnv

pytestmark = pytest.mark.usefixtures("one_thread")

CONSTANTS = RootConstants()
STATES = root.sample_states(500, np.random.default_rng(0))
STATE = np.array([2e4, 2e4, 0.0, 1e9, 0.5e9, 10e6, 10.0])


def shaky(a, snr_db):
    """A success that wants steps at the receiver, the more the worse the channel: for tests only."""
    return 1 / (1 + np.exp(-(np.asarray(snr_db) + 12 - 0.9 * np.asarray(a, dtype=float)) / 2))


def test_latency_by_hand():
    bits = 64 * 64 * 4 * 16
    edge = 2e4 * bits / 1e9 * (0.05 + 0.95 / 64)
    device = 2e4 * bits / 0.5e9 * (0.05 + 0.95 / 16)
    wanted = bits / 10e6 + 8 * edge + 0.2 + 12 * device + 0.2  # log2(1 + 1) = 1
    assert root.latency(8, STATE) == pytest.approx(wanted, rel=1e-12)
    assert root.latency(0, STATE) == root.local_aigc_latency(STATE) == pytest.approx(20 * device + 0.2, rel=1e-12)
    assert root.edge_aigc_latency(STATE) == pytest.approx(20 * edge + 0.2 + 512 * 512 * 24 / 10e6, rel=1e-12)


def test_latency_is_affine_in_the_split_so_the_best_is_at_an_end():
    """Between 1 and all steps; a = 0 sends nothing and so lies beside the line."""
    seconds = root.latency(np.arange(1, 21), STATES[:, None, :])
    np.testing.assert_allclose(np.diff(seconds, 2), 0, atol=1e-9)
    best = root.latency(np.arange(21), STATES[:, None, :]).argmin(1)
    assert set(best) <= {0, 1, 20} and len(set(best)) > 1


def test_with_failing_pictures_the_best_split_lies_inside():
    best = root.optimal_action(STATES, shaky)
    assert ((best > 1) & (best < 20)).mean() > 0.5
    without = root.optimal_action(STATES)
    seconds = root.latency(without, STATES)
    assert (seconds <= root.latency(np.arange(21), STATES[:, None, :]).min(1) + CONSTANTS.patience + 25).all()


def test_the_oracle_is_the_mean_of_many_requests():
    env = RootEnv(shaky)
    env.reset(seed=0)
    state, table = STATE.copy(), root.expected_satisfaction(STATE, shaky)
    for a in (5, 12, 20):
        rewards = []
        for _ in range(3000):
            env._left, env.state = 2, state
            rewards.append(env.step(a)[1])
        assert np.mean(rewards) == pytest.approx(table[a], abs=4 * np.std(rewards) / np.sqrt(3000) + 1e-9)


def test_a_picture_that_is_always_good_needs_one_try():
    once = root.satisfaction(
        root.latency(np.arange(21), STATES[:, None, :]), STATES[:, None, 6], STATES[:, None, 6] + 20
    )
    once *= root.latency(np.arange(21), STATES[:, None, :]) <= 60
    np.testing.assert_allclose(root.expected_satisfaction(STATES), once)
    assert (root.expected_satisfaction(STATES, lambda a, snr: 0 * a) == 0).all()


def test_printed_reward_rises_with_latency_and_the_repaired_one_falls():
    seconds = np.linspace(0, 40, 401)
    printed, repaired = root.printed_reward(seconds, 10.0, 25.0), root.satisfaction(seconds, 10.0, 25.0)
    inside = (seconds > 10) & (seconds < 25)
    assert (np.diff(printed[inside]) > 0).all() and (np.diff(repaired[inside]) < 0).all()
    assert printed[seconds < 10].min() == 1 and printed[101] < 0.02  # from 1 down to 0 at the requirement itself
    assert repaired[0] == 1 and repaired[-1] == 0 and (np.diff(repaired) <= 0).all()


def test_proposition_2_decides_who_is_faster_on_random_instances():
    rng = np.random.default_rng(1)
    n = 20_000
    w, v = 10 ** rng.uniform(-2, 3, n), 10 ** rng.uniform(5, 9, n)
    nu_i, nu_j = 10 ** rng.uniform(6, 10, (2, n))
    c_1, c_2 = rng.uniform(0.01, 1, (2, n))
    ratio = 10 ** rng.uniform(-3, 0.5, n)
    # Eq. (22) with O_s = 1 and the edge's own steps, equal on both sides, left out.
    faster = ratio / v + w * ratio * c_1 / nu_j < 1 / v + w * ratio * c_2 / nu_i
    np.testing.assert_array_equal(faster, ratio < root.compression_bound(w, v, nu_i, nu_j, c_1, c_2))
    wrong = faster != (ratio < root.printed_bound(w, v, nu_i, nu_j, c_1, c_2))
    negative = nu_i * nu_j + v * w * (c_1 * nu_i - c_2 * nu_j) < 0
    assert wrong.any() and negative[wrong].all()  # the printed bound fails, and only where D is negative


def test_the_environment_keeps_gymnasiums_contract():
    check_env(RootEnv(shaky), skip_render_check=True)
    env = RootEnv(requests=3)
    first, _ = env.reset(seed=5)
    again, _ = env.reset(seed=5)
    np.testing.assert_array_equal(first, again)
    ends = [env.step(20)[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]  # cut off: requests go on, the episode does not
    with pytest.raises(RuntimeError, match="reset"):
        env.step(20)


def test_observations_fill_the_interval():
    seen = root.observe(STATES)
    assert seen.shape == (500, 7) and seen.min() >= -1 and seen.max() <= 1
    np.testing.assert_allclose(root.observe(np.array(CONSTANTS.low)), -1)
    np.testing.assert_allclose(root.observe(np.array(CONSTANTS.high)), 1, rtol=1e-6)


# --- the agent -----------------------------------------------------------------------------------------------------


def test_dueling_means_that_advantages_average_to_nothing():
    torch.manual_seed(0)
    network = DuelingNetwork(7, 21)
    x = torch.randn(5, 7)
    torch.testing.assert_close(network(x).mean(-1, keepdim=True), network.value(network.body(x)))
    with torch.no_grad():
        before = network(x)
        network.advantage.bias += 3.0  # a constant advantage is none
        torch.testing.assert_close(network(x), before)


def test_double_means_that_one_chooses_and_the_other_values():
    class Table(torch.nn.Module):
        def __init__(self, values):
            super().__init__()
            self.values = torch.tensor(values)

        def forward(self, x):
            return self.values.expand(len(x), -1)

    chooser, valuer = Table([0.0, 5.0, 1.0]), Table([9.0, 2.0, 7.0])
    r, x_next, ended = torch.tensor([1.0, 1.0]), torch.zeros(2, 1), torch.tensor([0.0, 1.0])
    torch.testing.assert_close(double_target(chooser, valuer, r, x_next, ended, 0.5), torch.tensor([2.0, 1.0]))


class Corridor(gymnasium.Env):
    """Five cells; right pays 1 in the last, left ends it at once with 0.1: only who looks ahead goes right."""

    observation_space = gymnasium.spaces.Box(0, 1, (5,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell, self.time = 0, 0
        return self._see(), {}

    def step(self, action):
        self.time += 1
        self.cell += int(action == 1)
        ended = action == 0 or self.cell == 4
        return self._see(), (0.1 if action == 0 else float(ended)), ended, self.time >= 9, {}

    def _see(self):
        return np.eye(5, dtype=np.float32)[self.cell]


SMALL = D3qnSettings(hidden=32, warm_up=64, update_target=50, explore=(1.0, 0.1, 0.5))


@pytest.mark.slow
def test_the_agent_looks_ahead():
    network, returns = train_d3qn(Corridor(), 250, seed=0, settings=SMALL)
    np.testing.assert_array_equal(greedy(network, np.eye(5)[:4]), 1)
    assert returns.shape == (250,)
    short, _ = train_d3qn(Corridor(), 250, seed=0, settings=replace(SMALL, discount=0.0))
    assert greedy(short, np.eye(5)[:1])[0] == 0  # the control: without a future it takes the small coin


def test_rate_and_exploration_calm_down_together(monkeypatch):
    rates = []
    step = torch.optim.Adam.step

    def spy(self, *arguments, **named):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    settings = D3qnSettings(hidden=8, batch=4, warm_up=4, explore=(1.0, 0.0, 0.5), rate=1e-2, calm=0.1)
    seen = []
    train_d3qn(RootEnv(shaky, requests=4), 20, 0, settings, lambda episode, network: seen.append(episode))
    assert seen == list(range(1, 21))
    assert rates[0] == pytest.approx(1e-2) and rates[-1] == pytest.approx(1e-3) == rates[len(rates) // 2 + 4]
    assert all(a >= b - 1e-12 for a, b in zip(rates[:-1], rates[1:], strict=True))


def test_the_agent_is_the_same_for_a_seed():
    one, two, other = (train_d3qn(Corridor(), 30, seed=seed, settings=SMALL)[0] for seed in (3, 3, 4))
    x = torch.eye(5)
    torch.testing.assert_close(one(x), two(x), rtol=0, atol=0)
    assert not torch.equal(one(x), other(x))


@pytest.mark.slow
def test_the_agent_finds_good_splits():
    """A short run already beats the best fixed split; how near it comes to the oracle is a study's matter."""
    network, _ = train_d3qn(RootEnv(shaky), 120, seed=0, settings=D3qnSettings(hidden=64))
    held_out = root.sample_states(1000, np.random.default_rng(99))
    table = root.expected_satisfaction(held_out, shaky)
    learned = table[np.arange(1000), greedy(network, root.observe(held_out))].mean()
    assert learned > table.mean(0).max()
    assert learned > 0.85 * table.max(1).mean()


LONE = (1.0, 1e6, 1e9, 1e9, 0.5, 0.5)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: root.latency(21, STATE), "action"),
        (lambda: root.latency(-1, STATE), "action"),
        (lambda: root.latency(2.5, STATE), "action"),
        (lambda: root.latency(5, STATE[:6]), "states"),
        (lambda: root.latency(5, STATE * np.nan), "states"),
        (lambda: root.latency(5, -STATE), "states"),
        (lambda: root.link_rate("fast"), "states"),
        (lambda: root.edge_aigc_latency(np.zeros(7)), "states"),
        (lambda: root.local_aigc_latency([1, 2]), "states"),
        (lambda: root.observe(STATE[:3]), "states"),
        (lambda: root.optimal_action(STATE[:3]), "states"),
        (lambda: root.expected_satisfaction(STATE, lambda a, snr: 2 + 0 * a), "success"),
        (lambda: root.expected_satisfaction(STATE, lambda a, snr: -1 + 0 * a), "success"),
        (lambda: root.sample_states(0, np.random.default_rng(0)), "n"),
        (lambda: root.sample_states(3, 0), "rng"),
        (lambda: root.satisfaction(5.0, 10.0, 10.0), "high"),
        (lambda: root.satisfaction(-5.0, 10.0, 20.0), "seconds"),
        (lambda: root.printed_reward(5.0, 20.0, 10.0), "high"),
        (lambda: root.printed_reward(np.nan, 1.0, 2.0), "seconds"),
        (lambda: root.compression_bound(*(-1.0, *LONE[1:])), "local_density"),
        (lambda: root.compression_bound(*(1.0, 0.0, *LONE[2:])), "rate"),
        (lambda: root.printed_bound(*(*LONE[:2], 0.0, *LONE[3:])), "edge_speed"),
        (lambda: root.printed_bound(*LONE[:5], -0.1), "c_2"),
        (lambda: RootConstants(total_steps=0), "total_steps"),
        (lambda: RootConstants(parallel_share=2), "parallel_share"),
        (lambda: RootConstants(low=CONSTANTS.high, high=CONSTANTS.low), "high"),
        (lambda: RootConstants(stretch=0.5), "stretch"),
        (lambda: D3qnSettings(double=1), "double"),
        (lambda: RootConstants(patience=0), "patience"),
        (lambda: RootEnv(requests=0), "requests"),
        (lambda: D3qnSettings(batch=0), "batch"),
        (lambda: D3qnSettings(discount=1.5), "discount"),
        (lambda: D3qnSettings(rate=0), "rate"),
        (lambda: D3qnSettings(explore=(1, 0)), "explore"),
        (lambda: D3qnSettings(warm_up=10), "replay"),
        (lambda: train_d3qn(Corridor(), 0, 0), "episodes"),
        (lambda: train_d3qn(Corridor(), 1, -1), "seed"),
        (lambda: train_d3qn(gymnasium.make("Pendulum-v1"), 1, 0), "env"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^{name} must"):
        call()


@pytest.mark.parametrize("action", [-1, 21, 0.5, None])
def test_the_environment_refuses_what_is_no_action(action):
    env = RootEnv()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="^action must"):
        env.step(action)
