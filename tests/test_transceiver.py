"""The survey's experiment (IV-D): its quantiser, inversion, text code, rivals and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from scipy.stats import norm

from semcom_utils import toyworld
from semcom_utils.generation.jscc import CHANNELS
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.generation.samplers import sample, timesteps
from semcom_utils.papers.gai_semcom_networks import transceiver
from semcom_utils.papers.gai_semcom_networks.transceiver_costs import tie
from semcom_utils.papers.gai_semcom_networks.transceiver_curves import Painter, pictures_of, png_prefix
from semcom_utils.papers.gai_semcom_networks.transceiver_prompts import (
    bpsk_snr_db,
    expected_quality,
    lost_on_fading,
    visual_rate,
)
from semcom_utils.physical import DigitalLink
from semcom_utils.semantic.codecs import decoded, jpeg, png

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(("bits", "error"), [(1, 0.3634), (2, 0.1175), (3, 0.03454), (4, 0.009497)])
def test_the_quantiser_is_maxs(bits, error):
    """Mean squared errors of Max (1960), table I; and no set of levels nearby does better."""
    edges, levels = transceiver.lloyd_max(bits)

    def squared(levels):
        middle = np.concatenate([[-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]])
        return sum(
            integrate.quad(lambda x, level=level: (x - level) ** 2 * norm.pdf(x), low, high)[0]
            for low, high, level in zip(middle[:-1], middle[1:], levels, strict=True)
        )

    assert squared(levels) == pytest.approx(error, rel=2e-3)
    assert squared(levels) < min(squared(1.03 * levels), squared(0.97 * levels))
    np.testing.assert_allclose(edges[1:-1], (levels[1:] + levels[:-1]) / 2, atol=1e-6)


def test_planes_are_embedded():
    """Each further plane lowers the error, and the first is the sign."""
    z = np.random.default_rng(0).normal(size=(2, 5000))
    planes = transceiver.to_planes(z, 4)
    assert np.array_equal(planes[:, 0], z >= 0)
    errors = [np.mean((transceiver.from_planes(planes[:, :k], 4) - z) ** 2) for k in (1, 2, 3, 4)]
    assert errors[0] == pytest.approx(1 - 2 / math.pi, rel=0.05) and errors[3] < 0.011
    assert all(a > 2 * b for a, b in zip(errors[:-1], errors[1:], strict=True))


def test_a_prefix_is_the_mean_given_what_is_known():
    z = np.random.default_rng(1).normal(size=(1, 200_000))
    planes = transceiver.to_planes(z, 3)[:, :2]
    guess = transceiver.from_planes(planes, 3)
    for value in np.unique(guess):
        assert z[guess == value].mean() == pytest.approx(value, abs=0.02)


def test_every_caption_comes_back():
    for seed in range(60):
        caption = toyworld.caption(toyworld.describe(seed))
        bits = transceiver.text_to_bits(caption)
        assert transceiver.text_from_bits(bits) == caption
        flipped = bits.copy()
        flipped[-1] ^= 1
        assert transceiver.text_from_bits(flipped) != caption


def test_inversion_leads_back():
    """Sampling from the inverted latent gives the latent; more rounds come nearer; another prompt does not."""
    pictures, captions, _ = pictures_of(0, 2)
    pipeline = transceiver.models()["text-to-image"]
    with torch.no_grad():
        z_0 = pipeline.vae.encode(2 * pictures - 1).latent_dist.mode() * pipeline.vae.config.scaling_factor
    denoiser = PromptedDenoiser(pipeline, captions, 1.0)

    def error(rounds, back):
        z_T = transceiver.invert(denoiser, z_0, 4, rounds)
        again = sample(back, z_T, denoiser.alpha_bar, timesteps(len(denoiser.alpha_bar), 4))
        return float((again - z_0).square().mean())

    power = float(z_0.square().mean())
    assert error(5, denoiser) < error(1, denoiser) < 0.2 * power
    assert error(1, PromptedDenoiser(pipeline, captions[::-1], 1.0)) > 2 * error(1, denoiser)


@pytest.mark.parametrize("channel", CHANNELS)
def test_repeated_symbols_are_worth_their_number(channel):
    """Four times at -3 dB is once at 3 dB, within the scatter (over fast fading a little better)."""
    pictures, _, _ = pictures_of(1, 4)
    pictures = pictures.repeat(4, 1, 1, 1)
    model = transceiver.models()["jscc"]

    def psnr(snr_db, repeats):
        back = transceiver.repeated(model, pictures, snr_db, channel, repeats, torch.Generator().manual_seed(3))
        return float(-10 * (back - pictures).square().mean((1, 2, 3)).log10().mean())

    gain = psnr(-3.0, 4) - psnr(3.02, 1)
    assert abs(gain) < 0.5 if channel != "rayleigh-fast" else -0.3 < gain < 2.5
    assert psnr(-3.0, 4) > psnr(-3.0, 1) + 1


def test_the_beginning_of_a_png():
    picture = np.round(255 * toyworld.scene(3).image.transpose(1, 2, 0)) / 255
    file = png(picture)
    np.testing.assert_allclose(png_prefix(file, (64, 64, 3)), picture, atol=1e-9)
    half = png_prefix(file[: len(file) // 2], (64, 64, 3))
    rows = int((np.abs(half - picture).max((1, 2)) < 1e-6).sum())
    assert 5 < rows < 60 and (half[rows + 1 :] == 0.5).all()
    for nothing in (b"", file[:30], b"x" * 200):
        assert (png_prefix(nothing, (64, 64, 3)) == 0.5).all()


def test_a_scan_that_fits():
    picture = toyworld.scene(3).image.transpose(1, 2, 0).astype(float)
    header, scan, quality = transceiver.scan_that_fits(picture, 2000)
    assert 8 * len(scan) + transceiver.QUALITY_BITS <= 2000 and decoded(header + scan).shape == (64, 64, 3)
    assert transceiver.scan_that_fits(picture, 4000)[2] > quality
    # Both ends know the header: it has no picture in it.
    other = toyworld.scene(4).image.transpose(1, 2, 0).astype(float)
    at_this_quality = jpeg(other, quality, optimise=False)
    assert at_this_quality[: len(header)] == header
    assert not jpeg(other, min(quality + 1, 95), optimise=False).startswith(header)
    with pytest.raises(ValueError, match="^bits must be"):
        transceiver.scan_that_fits(picture, 100)


def test_limits_of_bpsk():
    """Half a bit at -2.82 dB, the textbook value; never below Shannon's limit for any input."""
    assert bpsk_snr_db(0.5) == pytest.approx(-2.82, abs=0.03)
    for rate in (0.2, 0.8):
        # a real symbol a use, of which the noise has half: capacity log2(1 + 2 snr) / 2
        assert bpsk_snr_db(rate) > 10 * math.log10((2 ** (2 * rate) - 1) / 2)


def test_losses_on_fading_meet_the_outage():
    curve = lost_on_fading(5.0, [-3.01, -2.99], [1, 0])
    assert curve == pytest.approx(1 - math.exp(-(10 ** (-0.3 - 0.5))), rel=0.01)
    link = DigitalLink(0.5, 1, "rayleigh-block")
    payloads = torch.zeros(300, 66, dtype=torch.int)
    lost = ~link.send(payloads, 0.0, torch.Generator().manual_seed(0)).accepted
    assert lost.mean() == pytest.approx(lost_on_fading(0.0, [-2.5, 0.5], [1, 0]), abs=0.12)


def test_what_protection_leaves():
    assert visual_rate(0.2, 2) > visual_rate(0.8, 2) and visual_rate(0.5, 4) is None
    table = np.array([[0.9, 0.7], [0.5, 0.1]])
    assert expected_quality(table, 0, 0) == 0.9 and expected_quality(table, 1, 1) == 0.1
    assert expected_quality(table, 0.5, 0) == pytest.approx(0.7)


def test_where_two_systems_tie():
    assert tie(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == math.inf
    assert tie(np.array([2.0, 1.0]), np.array([2.0, 1.0])) == 0.0
    at = tie(np.array([3.0, 1.0]), np.array([100.0, 500.0]))
    assert 3 + 100 / at == pytest.approx(1 + 500 / at)


def test_the_painter_draws_what_is_asked_for_once():
    pictures, captions, labels = pictures_of(2, 2)
    painter = Painter(pictures, captions, labels)
    planes = np.zeros((2, 1024), np.uint8)
    one, same = painter.ask(0, captions[0], planes), painter.ask(0, captions[0], planes.copy())
    other = painter.ask(0, "", None)
    assert one == same != other and len(painter.wanted) == 2
    painter.paint()
    assert set(painter.scores) == {one, other} and set(painter.scores[one]) == {"ssim", "similarity", "right"}
    with pytest.raises(ValueError, match="^i must be"):
        painter.ask(2, "", None)
    with pytest.raises(ValueError, match="^which must"):
        painter.tell([0], pictures)
    assert painter.tell([0, 1], pictures)[1]["ssim"] == pytest.approx(1.0)
