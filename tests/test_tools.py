"""The tools that know nobody: checks at the door, intervals, error bars, quoted numbers."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from semcom_utils.checks import numpy_generator, one_of, real_number, torch_generator
from semcom_utils.control.diffusion_policy import DiffusionPolicy, Training, TwinCritic, act, train
from semcom_utils.effectiveness.age import simulate_queue
from semcom_utils.figures import error_bars
from semcom_utils.physical import AnalogLink, DigitalLink
from semcom_utils.physical.channels import complex_normal, fading
from semcom_utils.prose import with_interval
from semcom_utils.semantic import embedding
from semcom_utils.statistics import iqm_interval, mean_interval, share_interval
from semcom_utils.toyworld import caption, describe, paraphrase, parse_caption, random_description


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: simulate_queue(0.5, 10, rng),
        lambda rng: iqm_interval([1.0, 2.0], rng),
        lambda rng: mean_interval([1.0, 2.0], rng),
        lambda rng: random_description(rng),
        lambda rng: paraphrase(parse_caption(caption(describe(1))), rng),
        lambda rng: numpy_generator("rng", rng),
    ],
)
@pytest.mark.parametrize(
    "wrong", [3, np.random.RandomState(0), torch.Generator(), "seed"], ids=lambda value: type(value).__name__
)
def test_what_is_no_numpy_generator_is_named(call, wrong):
    with pytest.raises(ValueError, match="^rng must be a numpy.random.Generator"):
        call(wrong)


START = embedding.initial(3, 1, 2, torch.Generator())


@pytest.mark.parametrize(
    "call",
    [
        lambda generator: AnalogLink().send(np.ones(2), 10.0, generator),
        lambda generator: DigitalLink().send([1], 10.0, generator),
        lambda generator: complex_normal((2,), generator),
        lambda generator: fading("rayleigh-fast", 1, 2, generator),
        lambda generator: fading("awgn", 1, 2, generator),
        lambda generator: embedding.initial(2, 1, 2, generator),
        lambda generator: embedding.train(START, [[0, 0, 1]], generator),
        lambda generator: act(DiffusionPolicy(2, 1, width=4), np.zeros((1, 2)), generator),
        lambda generator: train(DiffusionPolicy(2, 1), TwinCritic(2, 1), None, Training(), generator),
        lambda generator: torch_generator("generator", generator),
    ],
)
@pytest.mark.parametrize("wrong", [3, np.random.default_rng(0), None], ids=lambda value: type(value).__name__)
def test_what_is_no_torch_generator_is_named(call, wrong):
    with pytest.raises(ValueError, match="^generator must be a torch.Generator"):
        call(wrong)


def test_generators_pass_as_they_are():
    rng, generator = np.random.default_rng(0), torch.Generator()
    assert numpy_generator("rng", rng) is rng and torch_generator("generator", generator) is generator


def test_torch_generator_is_refused_without_torch():
    code = (
        "import sys\nfrom semcom_utils.checks import torch_generator\n"
        "try:\n    torch_generator('generator', 3)\n"
        "except ValueError as error:\n    assert 'torch.Generator' in str(error) and 'torch' not in sys.modules\n"
        "else:\n    raise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_of_returns_the_choice():
    assert one_of("n", np.int64(2), (1, 2)) == 2 and isinstance(one_of("n", np.int64(2), (1, 2)), int)
    assert one_of("s", None, ("a", None)) is None
    with pytest.raises(ValueError, match="s must be one of 'a', None, got 'b'"):
        one_of("s", "b", ("a", None))


@pytest.mark.parametrize("value", [True, np.True_, "1", None, 1j, np.ones(1), [1.0], np.nan, np.inf, 2.0])
def test_what_is_no_share_is_named(value):
    with pytest.raises(ValueError, match="^share must be a (finite )?real number in"):
        real_number("share", value, low=0, high=1)


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.array(0.5), np.int64(1)])
def test_what_is_a_share_passes(value):
    assert real_number("share", value, low=0, high=1) == float(value)


def test_wilsons_interval_is_wilsons_and_shorter_than_the_exact_one():
    n, p, z = 50, 0.2, 1.959963984540054
    centre, half = p + z**2 / (2 * n), z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    wilson, exact = share_interval(10, n, method="wilson"), share_interval(10, n)
    assert wilson["low"] == pytest.approx((centre - half) / (1 + z**2 / n))
    assert wilson["high"] == pytest.approx((centre + half) / (1 + z**2 / n))
    assert exact["low"] < wilson["low"] < wilson["estimate"] == exact["estimate"] < wilson["high"] < exact["high"]
    for call, name in (
        (lambda: share_interval(1, 2, 1.0), "level"),
        (lambda: share_interval(1, 2, method="t"), "method"),
    ):
        with pytest.raises(ValueError, match=f"^{name} must be"):
            call()


def test_error_bars():
    interval = {"estimate": 2.0, "low": 1.5, "high": 4.0}
    assert error_bars(interval).tolist() == [[0.5], [2.0]]
    alone = {"estimate": 3.0, "low": None, "high": None}
    assert error_bars([interval, alone]).tolist() == [[0.5, 0.0], [2.0, 0.0]]
    rounded = {"estimate": 1.0 + 1e-15, "low": 0.0, "high": 1.0}
    assert error_bars([rounded]).min() == 0.0
    with pytest.raises(ValueError, match=r"^intervals must hold .* 5.0 outside \[1.5, 4.0\]"):
        error_bars({**interval, "estimate": 5.0})


def test_an_interval_as_text():
    interval = {"estimate": 0.0123, "low": -0.5, "high": 0.5}
    assert with_interval(interval) == "0.01 [-0.50, 0.50]"
    assert with_interval(interval, "+.1f", factor=100, unit="%") == "+1.2% [-50.0, +50.0]"
    assert with_interval(interval, ".0%") == "1% [-50%, 50%]"
    assert with_interval({"estimate": 2.0, "low": None, "high": None}, ".1f", unit=" dB") == "2.0 dB"
