"""Weights in eight bits: what comes back, how far off, and what is refused."""

import pytest
import torch

from semcom_utils.generation.eight_bits import SCALE, from_eight_bits, to_eight_bits


def test_weights_come_back_within_half_a_step_of_their_row():
    torch.manual_seed(0)
    w = {"matrix": torch.randn(5, 7) * torch.logspace(-3, 3, 5)[:, None], "kernel": torch.randn(4, 3, 3, 3)}
    w |= {"bias": torch.randn(5), "number": torch.tensor(0.25), "half": torch.randn(2, 8).half()}
    w["matrix"][2] = 0  # a row of zeros stays one
    packed = to_eight_bits(w)
    back = from_eight_bits(packed)
    assert back.keys() == w.keys() and all(value.dtype == torch.float32 for value in back.values())
    for name in ("matrix", "kernel", "half"):
        assert packed[name].dtype == torch.int8 and packed[name].shape == w[name].shape
        step = packed[name + SCALE].reshape(-1, *[1] * (w[name].ndim - 1))
        error = (back[name] - w[name].float()).abs()
        assert bool((error <= step / 2 * (1 + 1e-5)).all()) and float(error.max()) > 0
        largest = w[name].float().flatten(1).abs().amax(1)
        torch.testing.assert_close(back[name].flatten(1).abs().amax(1), largest, rtol=1e-5, atol=0)
    assert not back["matrix"][2].any()
    torch.testing.assert_close(back["bias"], w["bias"], rtol=1e-3, atol=1e-3)
    assert float(back["number"]) == 0.25
    again = to_eight_bits(back)  # what was rounded once stays
    assert all(torch.equal(again[name], packed[name]) for name in ("matrix", "kernel", "half"))


def test_one_scale_for_all_would_lose_the_small_rows():
    w = torch.ones(2, 4) * torch.tensor([[1e-4], [1.0]])
    torch.testing.assert_close(from_eight_bits(to_eight_bits({"w": w}))["w"], w)
    one = to_eight_bits({"w": w.reshape(1, 8)})
    assert not from_eight_bits(one)["w"].reshape(2, 4)[0].any()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="^weights must be finite, those of 'w' are not"):
        to_eight_bits({"w": torch.tensor([[1.0, value]])})


def test_scales_must_be_there_and_fit():
    packed = to_eight_bits({"w": torch.randn(3, 2)})
    for wrong in ({"w": packed["w"]}, packed | {"w" + SCALE: torch.ones(2)}):
        with pytest.raises(ValueError, match="^packed must hold a scale for each of the 3 rows of 'w'"):
            from_eight_bits(wrong)
    with pytest.raises(ValueError, match="^weights must have names that do not end in"):
        to_eight_bits({"w" + SCALE: torch.ones(2)})
