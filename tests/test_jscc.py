"""Deep joint source-channel coding: its power, its channels against closed forms, its door, its recipe."""

import numpy as np
import pytest
import torch
from scipy import integrate

from semcom_utils.generation import load
from semcom_utils.generation.jscc import CHANNELS, DeepJscc, carry, unit_power
from semcom_utils.generation.training.jscc import JsccRecipe
from semcom_utils.generation.training.loop import train

pytestmark = pytest.mark.usefixtures("one_thread")


def symbols(batch, count, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return unit_power(torch.view_as_complex(torch.randn(batch, count, 2, generator=draws)))


@pytest.mark.parametrize("snr_db", [-6.0, 0.0, 10.0])
def test_gaussian_symbols_over_awgn_meet_the_closed_form(snr_db):
    """Power 1 and noise 1/snr per complex use: the best linear estimate errs by 1 / (1 + snr) per complex symbol.

    A convention with real power 1 and noise 1/(2 snr) would be 3 dB better.
    """
    z, snr = symbols(4, 50_000), 10 ** (snr_db / 10)
    assert float(z.abs().square().mean()) == pytest.approx(1, abs=1e-5)
    z_hat, known = carry(z, torch.full((4,), snr_db), "awgn", torch.Generator().manual_seed(1))
    assert torch.equal(known, torch.full((4,), snr_db))
    assert float((z_hat - z).abs().square().mean()) == pytest.approx(1 / snr, rel=0.02)
    for part in ((z_hat - z).real, (z_hat - z).imag):
        assert float(part.square().mean()) == pytest.approx(0.5 / snr, rel=0.03)
    estimate = z_hat * snr / (1 + snr)
    assert float((estimate - z).abs().square().mean()) == pytest.approx(1 / (1 + snr), rel=0.02)


def test_known_rayleigh_gains_meet_the_closed_form():
    """E[1 / (1 + g snr)] with g exponential of mean 1, by quadrature."""
    snr_db = 6.0
    snr = 10 ** (snr_db / 10)
    expected, _ = integrate.quad(lambda g: np.exp(-g) / (1 + g * snr), 0, np.inf)
    z = symbols(20_000, 8)
    z_hat, known = carry(z, torch.full((len(z),), snr_db), "rayleigh-block", torch.Generator().manual_seed(1))
    effective = 10 ** (known / 10)[:, None]
    error = (z_hat * effective / (1 + effective) - z).abs().square().mean()
    assert float(error) == pytest.approx(expected, rel=0.03)
    assert float((10 ** (known / 10)).mean()) == pytest.approx(snr, rel=0.03)  # fading takes no energy on average


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_picture_has_unit_power_and_a_channel_of_its_own(channel):
    torch.manual_seed(0)
    model = DeepJscc(128, (8, 8, 8))
    x = torch.rand(3, 3, 64, 64) * torch.tensor([0.1, 0.5, 1.0])[:, None, None, None]
    z = model.encode(x, torch.zeros(3))
    assert z.shape == (3, 128) and z.is_complex()
    torch.testing.assert_close(z.abs().square().mean(1), torch.ones(3))
    one, two, other = (model.send(x, 5.0, channel, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert one.shape == x.shape and float(one.min()) >= 0 and float(one.max()) <= 1
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_bad_input_is_refused():
    model, x, g = DeepJscc(64, (8, 8, 8)), torch.zeros(1, 3, 64, 64), torch.Generator()
    for images in (x[0], x + 2, x[:, :, :32], np.zeros((1, 3, 64, 64)), torch.full_like(x, torch.nan)):
        with pytest.raises(ValueError, match="^images must be"):
            model.send(images, 5.0, generator=g)
    for snr_db in (float("nan"), float("inf"), "5", True):
        with pytest.raises(ValueError, match="^snr_db must be"):
            model.send(x, snr_db, generator=g)
    with pytest.raises(ValueError, match="^channel must be one of"):
        model.send(x, 5.0, "rayleigh", generator=g)
    with pytest.raises(ValueError, match="^generator must be"):
        model.send(x, 5.0, generator=np.random.default_rng(0))
    with pytest.raises(ValueError, match="^symbols must be"):
        DeepJscc(100)


def test_the_recipe_learns_saves_and_restores(tmp_path):
    recipe = JsccRecipe(scenes=8)
    recipe.batch_size = 4
    model, report = train(recipe, tmp_path / "state.pt", steps=3)
    assert np.isfinite(report["loss"])
    (tmp_path / "mini-jscc").mkdir()
    recipe.save(model, tmp_path / "mini-jscc")
    opened = load("jscc", folder=tmp_path / "mini-jscc", device="cpu")
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for other in (opened, recipe.restore(tmp_path / "mini-jscc")):
        torch.testing.assert_close(
            other.send(x, 10.0, generator=torch.Generator().manual_seed(0)),
            model.send(x, 10.0, generator=torch.Generator().manual_seed(0)),
            atol=5e-3,
            rtol=0,
        )
