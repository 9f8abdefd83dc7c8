"""The proofs behind the errata of Liang et al. (2024): an error shown there is shown here.

A claim of the ledger with the verdict "contradicted by the paper itself" names its proof in this file.
"""

import numpy as np
import pytest
from scipy.stats import norm

from semcom_utils.papers.gai_semcom_networks.errata import numbers


def test_gsn_bpsk_on_awgn_has_no_errors_left_where_the_curve_rises():
    found = numbers()
    assert found["awgn_10"] == pytest.approx(1e6 * norm.sf(np.sqrt(2 * 10.0)))
    assert found["awgn_10"] < 4 and found["awgn_13"] < 1e-3  # bit errors in a million uncoded bits
    assert found["rayleigh_10"] > 20_000 and 50 < found["rayleigh_35"] < 100
    # The closed forms against a simulation, at 10 dB on Rayleigh and 5 dB on AWGN: within four standard errors.
    rng, n = np.random.default_rng(3), 400_000
    for snr, gain, expected in [
        (10.0, np.abs(rng.normal(size=n) + 1j * rng.normal(size=n)) / np.sqrt(2), found["rayleigh_10"] / 1e6),
        (10**0.5, 1.0, norm.sf(np.sqrt(2 * 10**0.5))),
    ]:
        errors = (np.sqrt(snr) * gain + rng.normal(scale=np.sqrt(0.5), size=n) < 0).mean()
        assert abs(errors - expected) < 4 * np.sqrt(expected * (1 - expected) / n)


def test_gsn_a_visual_prompt_in_floating_point_is_longer_than_the_picture():
    """Against a picture of the toy world, and the latents of its mini model in either number format."""
    from semcom_utils import toyworld
    from semcom_utils.generation import load
    from semcom_utils.papers.gai_semcom_networks import transceiver

    picture = np.round(255 * toyworld.scene(3).image).astype(np.uint8)
    noise = np.random.default_rng(0).normal(size=picture.shape).astype(np.float32)
    found = numbers()
    assert found["float_share"] == noise.nbytes / picture.nbytes == 4
    pipeline = load("text-to-image")
    side, channels = pipeline.unet.config.sample_size, pipeline.unet.config.in_channels
    planes = transceiver.to_planes(np.zeros((1, channels, side, side)), 2)
    assert found["rounded_share"] == pytest.approx(100 * planes.size / (8 * picture.nbytes))
