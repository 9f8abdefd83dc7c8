"""The studies of SemAIGC and ROOT: what they measure, on cases whose answer is known."""

import numpy as np
import pytest
import torch

from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.generation.samplers import timesteps
from semcom_utils.generation.split import send
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
        (lambda: root.interpolated_success((0, 10, 20), (-6, 15), 2 * TABLE), "success"),
        (lambda: root.served(0.0, 0.5, 5.0), "seconds"),
        (lambda: root.served(1.0, 1.5, 5.0), "success"),
        (lambda: root.frameworks(STATES, np.full(len(STATES), 21), SUCCESS), "action"),
        (lambda: root.frameworks(np.zeros((2, 7)), np.zeros(2), SUCCESS), "states"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^{name} must"):
        call()
