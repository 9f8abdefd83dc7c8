"""The paper's four metrics against their definitions, and their maps to [0, 1] where 1 is an exact match."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semcom_utils import toyworld
from semcom_utils.effectiveness.picture_metrics import (
    GREY_LEVELS,
    METRICS,
    PSNR_CAP_DB,
    normalised,
    picture_quality,
    raw_metric,
)

ONE, OTHER = (toyworld.scene(number).image.astype(float) for number in (3, 4))
GREY = np.tensordot([0.299, 0.587, 0.114], np.stack([ONE, OTHER]), axes=(0, 1))


def entropy(labels):
    p = np.unique(labels, return_counts=True)[1] / labels.size
    return -(p * np.log2(p)).sum()


def test_against_their_definitions():
    mse = np.mean((ONE - OTHER) ** 2)
    assert raw_metric("mse", ONE, OTHER) == pytest.approx(mse)
    assert raw_metric("psnr", ONE, OTHER) == pytest.approx(-10 * np.log10(mse))
    x, y = np.minimum((GREY * GREY_LEVELS).astype(int), GREY_LEVELS - 1)
    joint = entropy(x * GREY_LEVELS + y)
    assert raw_metric("vi", ONE, OTHER) == pytest.approx(2 * joint - entropy(x) - entropy(y))
    mutual = entropy(x) + entropy(y) - joint
    assert normalised("vi", ONE, OTHER) == pytest.approx(mutual / joint)


def test_an_exact_match_is_one_and_nothing_else_is():
    assert picture_quality(ONE, ONE) == dict.fromkeys(METRICS, 1.0)
    other = ONE.copy()
    other[:, 20:40] = 1 - other[:, 20:40]
    assert max(picture_quality(ONE, other).values()) < 1


def test_psnr_is_one_from_one_step_of_grey_on():
    near, far = np.clip(ONE, 0, 1 - 1 / 255), np.clip(ONE, 0, 1 - 3 / 255)
    assert normalised("psnr", near, near + 1 / 255) == pytest.approx(1)
    assert normalised("psnr", far, far + 3 / 255) == pytest.approx(1 - 20 * np.log10(3) / PSNR_CAP_DB)


def test_the_ends_of_the_scale():
    black, white = np.zeros((3, 8, 8)), np.ones((3, 8, 8))
    assert normalised("mse", black, white) == 0
    assert normalised("psnr", black, white) == 0
    assert normalised("ssim", black, white) < 1e-3
    assert normalised("vi", black, white) == 1  # labels are names: one grey each says all there is to say


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.sampled_from(METRICS))
def test_always_in_the_range_and_symmetric(seed, share, metric):
    x, y = np.random.default_rng(seed).random((2, 3, 9, 12))
    y = share * x + (1 - share) * y
    assert 0 <= normalised(metric, x, y) <= 1
    assert normalised(metric, x, y) == pytest.approx(normalised(metric, y, x), abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_more_noise_is_less_alike(metric):
    noise = np.random.default_rng(0).normal(size=ONE.shape)
    values = [normalised(metric, ONE, np.clip(ONE + level * noise, 0, 1)) for level in (0, 0.02, 0.1, 0.4)]
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: raw_metric("lpips", ONE, OTHER), "metric"),
        (lambda: raw_metric("mse", ONE[0], OTHER), "one"),
        (lambda: raw_metric("mse", ONE, OTHER[:, :32]), "other"),
        (lambda: raw_metric("mse", ONE, 255 * OTHER), "other"),
        (lambda: raw_metric("ssim", ONE[:, :5], OTHER[:, :5]), "one"),
        (lambda: normalised("vi", np.full((3, 8, 8), np.nan), np.zeros((3, 8, 8))), "one"),
        (lambda: picture_quality("a picture", ONE), "one"),
    ],
)
def test_bad_input(call, name):
    with pytest.raises(ValueError, match=f"^{name} must"):
        call()
