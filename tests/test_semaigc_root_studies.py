"""The studies of SemAIGC and ROOT: what they measure, on cases whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from semcom_utils.control.d3qn import D3qnSettings, train_d3qn
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.generation.samplers import timesteps
from semcom_utils.generation.split import send
from semcom_utils.papers.semaigc_root import algorithm, pixels
from semcom_utils.papers.semaigc_root import pictures as pictures
from semcom_utils.papers.semaigc_root import scenario as root
from semcom_utils.papers.semaigc_root import workload as workload
from semcom_utils.papers.semaigc_root.scenario import RootConstants
from semcom_utils.statistics import mean_interval

pytestmark = pytest.mark.usefixtures("one_thread")

CONSTANTS = RootConstants()
STATES = root.sample_states(300, np.random.default_rng(0))
TABLE = np.array([[1.0, 1.0], [0.5, 0.9], [0.0, 0.8]])
SUCCESS = root.interpolated_success((0, 10, 20), (-6, 15), TABLE)


def test_success_is_the_table_at_its_points_bilinear_between_and_flat_beyond():
    for i, a in enumerate((0, 10, 20)):
        for j, snr in enumerate((-6, 15)):
            assert SUCCESS(a, snr) == pytest.approx(TABLE[i, j])
    assert SUCCESS(5, 4.5) == pytest.approx(TABLE[:2].mean())
    assert SUCCESS(20, -30) == 0 and SUCCESS(20, 99) == pytest.approx(0.8)
    assert SUCCESS(np.arange(21), -6.0).shape == (21,) and np.ndim(SUCCESS(3, 1)) == 0


def test_serving_by_hand_and_by_chance():
    """Tries of 20 s with p = 0.5: two fit before the user minds fully; the third ends at 60 s."""
    satisfied, waited = root.served(20.0, 0.5, 10.0, CONSTANTS)
    assert satisfied == pytest.approx(0.5 * 0.5)  # first try: (30 - 20) / 20; the second comes after 30 s
    assert waited == pytest.approx(0.5 * 20 + 0.25 * 40 + 0.125 * 60 + 0.125 * 60)
    rng = np.random.default_rng(1)
    once, p, low = 4.7, 0.3, 8.0
    tries = rng.geometric(p, 200_000)
    seconds = np.where(tries * once <= 60, tries * once, 60)
    worth = np.where(tries * once <= 60, root.satisfaction(tries * once, low, low + 20), 0)
    satisfied, waited = root.served(once, p, low, CONSTANTS)
    assert satisfied == pytest.approx(worth.mean(), abs=0.005) and waited == pytest.approx(seconds.mean(), abs=0.1)


def test_a_hopeless_try_waits_until_the_user_gives_up():
    satisfied, waited = root.served(np.array([5.0, 70.0]), np.array([0.0, 1.0]), 5.0, CONSTANTS)
    assert (satisfied == 0).all() and (waited == 60).all()


def test_frameworks_are_splits_of_the_same_model():
    values = root.expected_satisfaction(STATES, SUCCESS)
    rows, best = np.arange(len(STATES)), values.argmax(1)
    made = root.frameworks(STATES, best, SUCCESS)
    for name, a in (("non_root", 10), ("non_fine_tuning", 20), ("local", 0)):
        np.testing.assert_allclose(made[name][0], values[:, a])
        assert (made["semaigc"][0] >= made[name][0] - 1e-12).all()  # the optimum covers every fixed split
    np.testing.assert_allclose(made["semaigc"][0], values[rows, best])
    once = root.edge_aigc_latency(STATES)
    np.testing.assert_allclose(made["edge"][1], once)  # its pictures are right at the first try
    random = np.random.default_rng(0).integers(0, 21, len(STATES))
    assert root.frameworks(STATES, random, SUCCESS)["semaigc"][0].mean() < made["semaigc"][0].mean()  # the control


def test_amplitudes_that_sum_to_one_lose_variance():
    for kind in ("linear", "cosine"):
        made = workload.noise_schedule(kind, samples=50_000)
        assert made["variance"] == pytest.approx(1, abs=0.02) and made["printed"] < 0.3
    assert workload.noise_schedule("linear", steps=1, last=49, samples=50_000)["printed"] == pytest.approx(1, abs=0.02)


def test_convergence_is_the_first_look_from_which_all_stay_close():
    assert workload.converged_after([10, 20, 30, 40], [0.5, 1.0, 0.975, 0.98]) == 30
    assert workload.converged_after([10, 20, 30, 40], [0.5, 0.98, 0.98, 0.98]) == 20
    assert workload.converged_after([10, 20], [1.0, 1.0]) == 10
    assert workload.converged_after([10, 20], [0.1, 1.0]) == 20


def test_the_quantiser_has_the_error_that_max_found_for_it():
    x = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    for bits, wanted in ((1, 0.3634), (2, 0.1188), (3, 0.03744), (4, 0.01154)):  # Max (1960), table II
        rounded = pictures.quantise(x, bits)
        assert len(rounded.unique()) == 2**bits
        assert float((rounded - x).square().mean()) == pytest.approx(wanted, rel=0.03)
    with pytest.raises(ValueError, match="^bits must"):
        pictures.quantise(x, 7)


def test_the_edge_stops_where_the_whole_run_passes():
    named = pictures.models()
    denoiser = PromptedDenoiser(named["text-to-image"], ["a red ball on grass"], 3.0)
    z_T = denoiser.noise(torch.Generator().manual_seed(0))
    visited = timesteps(len(denoiser.alpha_bar), pictures.STEPS)
    states = pictures.edge_states(denoiser, z_T, (3, 20))
    for a in (3, 20):
        torch.testing.assert_close(states[a], send(denoiser, z_T, denoiser.alpha_bar, visited, a))


def test_what_the_judges_say_of_a_picture_of_noise():
    named = pictures.models()
    caption, labels = "a red ball on grass", ["red ball"]
    denoiser = PromptedDenoiser(named["text-to-image"], [caption], 3.0)
    z = pictures.edge_states(denoiser, denoiser.noise(torch.Generator().manual_seed(0)), (20,))[20]
    clean = denoiser.decode(z)
    same = pictures.tell(clean, clean, [caption], [labels])
    noise = pictures.tell(
        torch.rand(clean.shape, generator=torch.Generator().manual_seed(1)), clean, [caption], [labels]
    )
    greener = pictures.tell(
        (clean + torch.tensor([0.0, 0.05, 0.0])[:, None, None]).clamp(0, 1), clean, [caption], [labels]
    )
    assert same["right"][0] == 1 and same["ssim"][0] == pytest.approx(1) and same["green"][0] == 0
    assert noise["right"][0] == 0 and noise["ssim"][0] < 0.3 and noise["noise"][0] > 10 * same["noise"][0]
    assert noise["similarity"][0] < same["similarity"][0]
    assert greener["green"][0] > 0.03 and greener["red"][0] < 0 and greener["blue"][0] < 0


def test_a_mean_has_its_interval():
    values = np.random.default_rng(0).normal(3, 1, 400)
    got = mean_interval(values, np.random.default_rng(1))
    assert got["estimate"] == pytest.approx(values.mean()) and got["n"] == 400
    assert got["low"] < got["estimate"] < got["high"] and got["high"] - got["low"] == pytest.approx(4 * 0.05, rel=0.2)
    assert mean_interval([1.0]) == {"estimate": 1.0, "low": None, "high": None, "n": 1}


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: root.interpolated_success((0, 0), (-6, 15), TABLE[:2]), "splits and snrs_db"),
        (lambda: root.interpolated_success((0, 10, 20), (-6, 15), 2 * TABLE), "table"),
        (lambda: root.served(0.0, 0.5, 5.0), "seconds"),
        (lambda: algorithm.airs("fog"), "name"),
        (lambda: algorithm.proposition_draws("none", 5, np.random.default_rng(0)), "kind"),
        (lambda: algorithm.proposition_draws("own", 5, 0), "rng"),
        (lambda: algorithm.proposition_draws("own", 0, np.random.default_rng(0)), "n"),
        (lambda: pixels.pixel_success("blurred"), "kind"),
        (lambda: pixels.noisy_pixels(torch.rand(1, 3, 8, 8), 0.0, 3), "generator"),
        (lambda: root.served(1.0, 1.5, 5.0), "success"),
        (lambda: root.frameworks(STATES, np.full(len(STATES), 21), SUCCESS), "action"),
        (lambda: root.frameworks(np.zeros((2, 7)), np.zeros(2), SUCCESS), "states"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^{name} must"):
        call()


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"denoiser": None}, "denoiser"),
        ({"pictures": np.zeros((1, 3, 64, 64))}, "pictures"),
        ({"pictures": torch.zeros(1, 3, 64, 64).long()}, "pictures"),
        ({"pictures": torch.zeros(0, 3, 64, 64)}, "pictures"),
        ({"pictures": torch.zeros(3, 3, 64, 64)}, "pictures"),
        ({"pictures": torch.zeros(2, 3, 64, 32)}, "pictures"),
        ({"pictures": torch.full((2, 3, 64, 64), 2.0)}, "pictures"),
        ({"snr_db": "loud"}, "snr_db"),
        ({"snr_db": np.nan}, "snr_db"),
        ({"snr_db": True}, "snr_db"),
        ({"snr_db": -21.0}, "snr_db"),
    ],
)
def test_pictures_that_are_none_are_not_denoised(changed, name, monkeypatch):
    monkeypatch.setattr(pixels, "_latent_noise", lambda snr_db: pytest.fail("the networks were asked"))
    two = PromptedDenoiser(pictures.models()["text-to-image"], ["a red ball on grass", "a blue dog on sand"], 1.0)
    good = {"denoiser": two, "pictures": torch.zeros(2, 3, 64, 64), "snr_db": 0.0}
    with pytest.raises(ValueError, match=rf"^{name} must"):
        pixels.denoised(**good | changed)


# --- other readings, and what keeps the agent short -------------------------------------------------------------------
def test_noise_on_pixels_counts_their_whole_power():
    grey = torch.full((1, 3, 64, 64), 0.5)
    draws = (torch.Generator().manual_seed(0), torch.Generator().manual_seed(0))
    noisy = pixels.noisy_pixels(grey, 20.0, draws[0])
    # 0.25 of power in a number, so 0.5 in a complex use; a hundredth of it, half on each number
    assert float((noisy - grey).var()) == pytest.approx(0.5**2 / 100, rel=0.05)
    assert pixels.noisy_pixels(grey, -6.0, draws[1]).min() >= 0
    bright = (grey + 0.1 * torch.randn(grey.shape, generator=draws[0])).clamp(0, 1)
    centred = pixels.noisy_pixels(bright, 10.0, draws[0], centred=True)
    assert (centred - bright).var() < (pixels.noisy_pixels(bright, 10.0, draws[0]) - bright).var() / 5


def test_edge_aigc_with_noise_waits_longer_than_with_coded_pictures():
    a = np.full(len(STATES), 10)
    plain = root.frameworks(STATES, a, SUCCESS)
    noisy = root.frameworks(STATES, a, SUCCESS, edge_success=lambda snr: np.full(np.shape(snr), 0.3))
    np.testing.assert_array_equal(plain["edge"][1], noisy["edge_coded"][1])
    assert (noisy["edge"][1] > plain["edge"][1]).all() and (noisy["edge"][0] <= plain["edge"][0]).all()
    for name in ("semaigc", "non_root", "local"):
        np.testing.assert_array_equal(plain[name][1], noisy[name][1])


def test_a_denoiser_removes_the_gap_of_noisy_pictures_only():
    told = {"policy": lambda states: np.full(len(states), 19), "success": SUCCESS, "n": 40}
    hopeless = workload.figures(**told, edge_success=lambda snr: 0 * snr, edge_mended=(1.0, 0))
    useless = workload.figures(**told, edge_success=lambda snr: 0 * snr, edge_mended=(0.0, 0))
    assert hopeless["harsh"]["edge"]["seconds"] == pytest.approx(60)
    assert hopeless["gap_removed"]["edge"] > 0.5 and useless["gap_removed"]["edge"] == pytest.approx(0)
    assert workload.figures(**told)["gap_removed"]["edge"] == 0  # a coded picture leaves it nothing to do


def test_readings_of_the_limits():
    one, public = root.READINGS["one interval"], root.READINGS["public code"]
    states = root.sample_states(50, np.random.default_rng(0), one)
    assert (states[:, 6] == 5).all() and one.limit(5.0) == 25 and public.limit(5.0) == 10
    assert (root.observe(states, one)[:, 6] == 0).all()
    full = np.array(public.high)
    step = np.diff(root.latency(np.array([19, 20]), full, public))[0]
    assert step == pytest.approx(756_864 * 2 * (1 / (1095 * 6912) - 1 / (1607 * 2560)), rel=1e-6)


def test_logarithms_fill_the_interval_too():
    seen = root.observe(STATES, CONSTANTS, logarithmic=True)
    np.testing.assert_allclose(root.observe(np.array(CONSTANTS.low), CONSTANTS, True), -1, atol=1e-6)
    np.testing.assert_allclose(root.observe(np.array(CONSTANTS.high), CONSTANTS, True), 1, atol=1e-6)
    middle = np.sqrt(np.array(CONSTANTS.low[5]) * CONSTANTS.high[5])
    state = STATES[0].copy()
    state[5] = middle
    assert root.observe(state, CONSTANTS, True)[5] == pytest.approx(0, abs=1e-6)
    np.testing.assert_array_equal(seen[:, 2], root.observe(STATES)[:, 2])  # the SNR is in dB as it is


class Terminal(root.RootEnv):
    """Each request ends its episode, as line 2 of Algorithm 1 may be read."""

    def step(self, action):
        observation, reward, _, cut, told = super().step(action)
        return observation, reward, True, cut, told


def test_a_terminal_request_is_a_discount_of_nothing():
    settings = D3qnSettings(hidden=16, warm_up=64, update_target=10)
    one, _ = train_d3qn(Terminal(SUCCESS, 1), 150, 3, settings)
    two, _ = train_d3qn(root.RootEnv(SUCCESS, 1), 150, 3, replace(settings, discount=0.0))
    other, _ = train_d3qn(root.RootEnv(SUCCESS, 1), 150, 3, settings)
    x = torch.as_tensor(root.observe(STATES))
    torch.testing.assert_close(one(x), two(x))
    assert not torch.allclose(one(x), other(x))


def test_single_and_double_targets_differ():
    settings = D3qnSettings(hidden=16, warm_up=64, update_target=10)
    double, _ = train_d3qn(root.RootEnv(SUCCESS, 20), 10, 3, settings)
    single, _ = train_d3qn(root.RootEnv(SUCCESS, 20), 10, 3, replace(settings, double=False))
    x = torch.as_tensor(root.observe(STATES))
    assert not torch.allclose(double(x), single(x))


def test_true_values_of_a_network_that_knows():
    rewards = root.expected_satisfaction(STATES, SUCCESS)

    class Knows(torch.nn.Module):
        """Q(x, a) = R(x, a) + λ / (1 − λ) · mean of the best."""

        def forward(self, x):
            return torch.as_tensor(rewards + 0.9 / 0.1 * rewards.max(1).mean())

    believed, true = algorithm.true_values(Knows(), root.observe(STATES), rewards, 0.9)
    assert believed == pytest.approx(true) == pytest.approx(rewards.max(1).mean() / 0.1)


def test_normality_finds_gaussian_errors_and_no_others():
    rng = np.random.default_rng(0)
    assert sum(algorithm._normality(rng.normal(size=1024))["p"] >= 0.01 for _ in range(20)) >= 18
    assert algorithm._normality(rng.choice([0.0, 1.0], 1024))["p"] < 0.01
    assert algorithm._normality(np.zeros(1024)) == {"p": 0.0, "wrong": 0.0}


def test_the_printed_bound_suffices_and_is_not_needed():
    for kind in ("spread", "own"):
        got = algorithm.proposition_run({"kind": kind, "seed": 1, "draws": 5000})
        assert got["printed"]["sufficient"] == 1 > got["printed"]["necessary"]
        assert got["corrected"] == {"sufficient": 1.0, "necessary": 1.0, "wrong": 0.0}
