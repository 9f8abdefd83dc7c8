"""Latents as bits: what the quantiser costs, and that bits are shared out as asked."""

import numpy as np
import pytest

from semcom_utils.semantic.latent_coding import MOST_BITS, decode_latent, encode_latent, even_step, shared_bits

#: Max (1960), table II: least mean squared error of an even quantiser of a standard normal number.
MAX_ERROR = {1: 0.3634, 2: 0.1188, 3: 0.03744, 4: 0.01154}


@pytest.mark.parametrize("bits", MAX_ERROR)
def test_the_error_is_the_known_one(bits):
    x = np.random.default_rng(0).standard_normal(200_000)
    each = np.full(x.size, bits)
    error = np.mean((decode_latent(encode_latent(x, each), each) - x) ** 2)
    assert error == pytest.approx(MAX_ERROR[bits], rel=0.03)
    assert even_step(bits) > even_step(bits + 1)


def test_bits_are_shared_out():
    rng = np.random.default_rng(1)
    for payload in (0, 5, 900, 1024, 5000, 10_000):
        for weights in (np.zeros(1024), 3 * (rng.random(1024) < 0.2)):
            bits = shared_bits(payload, weights)
            assert bits.sum() == min(payload, MOST_BITS * 1024) and bits.max() <= MOST_BITS
            if not weights.any():
                assert np.ptp(bits) <= 1
    focused = shared_bits(2048, 3.0 * (np.arange(1024) < 100))
    assert focused[:100].min() - focused[100:].max() >= 2


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: even_step(9), "bits"),
        (lambda: shared_bits(-1, np.zeros(3)), "payload"),
        (lambda: shared_bits(1, np.zeros((2, 2))), "weights"),
        (lambda: encode_latent(np.zeros(3), np.array([1, 1])), "bits"),
        (lambda: encode_latent(np.zeros(2), np.array([1, 9])), "bits"),
        (lambda: decode_latent(np.zeros(3), np.array([1, 1])), "message"),
        (lambda: decode_latent(np.array([0, 2]), np.array([1, 1])), "message"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=f"^{name} must"):
        call()
