"""Numbers as people have them: views, tensors, one state, other precisions, what no number holds. Right, or by name."""

import numpy as np
import pytest
import torch

from semcom_utils.control.diffusion_policy import DiffusionPolicy, act
from semcom_utils.generation.samplers import ddim_step, sample
from semcom_utils.generation.schedules import alphas_cumprod
from semcom_utils.papers.isgc.scenario import IsgcConstants, IsgcEnv, observe, sample_states, share_of_optimum, utility
from semcom_utils.physical import AnalogLink, DigitalLink, capacity_awgn, ergodic_capacity_rayleigh
from semcom_utils.physical.limits import outage_probability_rayleigh
from semcom_utils.semantic.codecs import jpeg
from semcom_utils.statistics import iqm, mean_interval

pytestmark = pytest.mark.usefixtures("one_thread")
STATES = sample_states(4, np.random.default_rng(0))


def generator():
    return torch.Generator().manual_seed(1)


# --- the links -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", [np.asarray, np.flip, torch.from_numpy, lambda x: x.astype(">f8"), lambda x: x[None, :]]
)
def test_a_latent_is_sent_wherever_and_however_it_lies(how):
    numbers = np.linspace(-1, 1, 8)
    latent = how(numbers)
    arrived = AnalogLink().send(latent, 60.0, generator()).latent
    expected = np.flip(numbers) if how is np.flip else numbers
    np.testing.assert_allclose(np.ravel(arrived), expected, atol=0.01)
    assert type(arrived) is type(latent) and arrived.shape == latent.shape


def test_bits_of_a_view_are_sent():
    bits = np.array([0, 1, 1, 0, 1, 0, 0, 0])
    sent = DigitalLink(None).send(bits[::-1], 60.0, generator())
    np.testing.assert_array_equal(np.asarray(sent.bits), bits[::-1])


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_a_power_that_no_number_holds_is_named(size):
    """The audit: 1e-200 came out as zeros, 1e200 as infinities."""
    with pytest.raises(ValueError, match=r"^latent must"):
        AnalogLink().send(np.full(4, size), 40.0, generator())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_named_at_once():
    with pytest.raises(ValueError, match=r"^device must be one that this machine has"):
        DigitalLink(device="cuda")


# --- limits ----------------------------------------------------------------------------------------------------------


def test_capacities_far_out_are_what_they_tend_to():
    """The audit: the ergodic capacity at -4000 dB was NaN."""
    assert ergodic_capacity_rayleigh(-4000.0) == 0 and capacity_awgn(-4000.0) == 0
    assert outage_probability_rayleigh(-4000.0, 1.0) == 1
    high = float(capacity_awgn(3000.0))
    assert high == pytest.approx(300 * np.log2(10)) and np.isfinite(float(ergodic_capacity_rayleigh(3000.0)))
    curve = np.asarray(ergodic_capacity_rayleigh(np.arange(-400.0, 401.0, 5.0)))
    assert np.isfinite(curve).all() and (np.diff(curve) >= 0).all()


@pytest.mark.parametrize("value", [np.array([3 + 4j]), "5", True, np.array([True]), None, [1.0, None], np.nan])
@pytest.mark.parametrize("limit", [capacity_awgn, ergodic_capacity_rayleigh])
def test_what_is_no_snr_is_named(limit, value):
    with pytest.raises(ValueError, match=r"^snr_db must"):
        limit(value)


# --- decisions -------------------------------------------------------------------------------------------------------


def test_more_than_the_band_is_no_allocation():
    """The audit: fifty times the band scored 97 times the optimum."""
    band = IsgcConstants().bandwidth
    for value in (500.0, band, band / 3 * 1.001):
        with pytest.raises(ValueError, match=rf"^allocation must share out at most {band:g} MHz"):
            share_of_optimum(STATES, np.full((4, 3), value))
    assert share_of_optimum(STATES, np.full((4, 3), band / 3))["share"] <= 1
    with pytest.raises(ValueError, match=r"^allocation must be \[n, 3\]"):
        share_of_optimum(STATES, np.full((3, 3), 1.0))


def test_an_action_may_be_for_one_state_or_for_many():
    """The audit: one state ended in an error about the number of dimensions."""
    policy, seen = DiffusionPolicy(10, 3), observe(STATES)
    one, many = act(policy, seen[0], generator()), act(policy, seen[:1], generator())
    assert one.shape == (3,) and many.shape == (1, 3)
    np.testing.assert_array_equal(one, many[0])
    np.testing.assert_array_equal(act(policy, seen[0].tolist(), generator()), one)
    np.testing.assert_array_equal(act(policy, torch.from_numpy(seen[0]), generator()), one)
    assert utility(STATES[0], np.full(3, 3.0)).shape == () and utility(STATES, np.full((4, 3), 3.0)).shape == (4,)


@pytest.mark.parametrize("action", [np.full(3, np.nan), np.ones(4), "up", [1j, 0, 0], None])
def test_an_environment_names_what_is_no_action(action):
    env = IsgcEnv()
    env.reset(seed=1)
    with pytest.raises(ValueError, match="action"):
        env.step(action)


# --- kinds of numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_another_default_precision_changes_nothing(kind):
    """Whoever sets PyTorch's default gets the same schedule and the same steps."""
    schedule, x = alphas_cumprod(steps=20), torch.linspace(-1, 1, 8, dtype=torch.float64)
    before = ddim_step(x, x / 2, 0.3, 0.6), sample(lambda x, t: x / 2, x, schedule, [15, 5])
    torch.set_default_dtype(kind)
    try:
        again = alphas_cumprod(steps=20)
        after = ddim_step(x, x / 2, 0.3, 0.6), sample(lambda x, t: x / 2, x, again, [15, 5])
    finally:
        torch.set_default_dtype(torch.float32)
    assert again.dtype == schedule.dtype and torch.equal(again, schedule)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_schedule_may_be_a_list_an_array_or_a_tensor():
    x, levels = torch.ones(3, dtype=torch.float64), [0.9, 0.6, 0.3]
    made = [
        sample(lambda x, t: x / 2, x, kind(levels), [2, 0])
        for kind in (list, np.array, lambda x: torch.tensor(x, dtype=torch.float64))
    ]
    assert torch.equal(made[0], made[1]) and torch.equal(made[0], made[2])


def test_shares_of_hits_are_means_of_truth_values():
    hits = np.array([True, False, True, True])
    assert mean_interval(hits)["estimate"] == 0.75 and iqm(hits) == 1.0
    with pytest.raises(ValueError, match="^values must"):
        mean_interval(True)


@pytest.mark.parametrize(
    "picture",
    [
        np.full((96, 96, 4), 0.5),
        np.full((96, 96, 3), 200.0),
        np.full((96, 96, 3), 200),
        np.full((96, 96, 3), 200, np.uint8),
        np.full((96, 96), 0.5),
        "a.jpg",
    ],
    ids=["alpha", "0 to 255", "whole", "bytes", "grey", "name"],
)
def test_what_jpeg_cannot_write_is_named(picture):
    """The audit: 200 of 255 wrapped in silence."""
    with pytest.raises(ValueError, match=r"^picture must"):
        jpeg(picture, 50)
