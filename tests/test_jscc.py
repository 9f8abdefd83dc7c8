"""Learned joint source-channel codes: their power, their channels against closed forms, their door, their recipes."""

import json
import math

import numpy as np
import pytest
import torch
from scipy import integrate, special

from semcom_utils.generation import load
from semcom_utils.generation.checksums import verify
from semcom_utils.generation.jscc import CHANNELS, DeepJscc, JointCode, carry, effective_snr_db, told, unit_power
from semcom_utils.generation.roles import recipe_class
from semcom_utils.generation.training import __main__ as trainer
from semcom_utils.generation.training.card import read_figures
from semcom_utils.generation.training.data import Scenes
from semcom_utils.generation.training.jscc import JsccRecipe, weight
from semcom_utils.generation.training.timed import cosine_rate, restored, train_timed
from semcom_utils.generation.witt import Witt
from semcom_utils.paths import MODELS
from semcom_utils.physical.analog import AnalogLink
from semcom_utils.toyworld import scene

pytestmark = pytest.mark.usefixtures("one_thread")

#: Small networks of both kinds.
SMALL = {
    "jscc": lambda symbols=128: DeepJscc(symbols, (8, 8, 8)),
    "witt": lambda symbols=128: Witt(symbols, (8, 8, 12), (2, 2, 1), (2, 2, 2), 8, 1, 2),
}
each_code = pytest.mark.parametrize("kind", SMALL)


def symbols(batch, count, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return unit_power(torch.view_as_complex(torch.randn(batch, count, 2, generator=draws)))


def linear_error(snr_db, channel):
    """E[1 / (1 + g snr)]: what the best linear estimate of a unit-power symbol errs by, the gain g being known.

    Without fading g is 1; with Rayleigh fading it is exponential of mean 1, and the mean is e^a E_1(a) / snr with
    a = 1 / snr.
    """
    snr = 10 ** (snr_db / 10)
    return 1 / (1 + snr) if channel == "awgn" else special.exp1(1 / snr) * math.exp(1 / snr) / snr


def test_the_closed_form_is_the_integral():
    snr = 10**0.6
    integral, _ = integrate.quad(lambda g: np.exp(-g) / (1 + g * snr), 0, np.inf)
    assert linear_error(6.0, "rayleigh-fast") == pytest.approx(integral, rel=1e-6)


@pytest.mark.parametrize("snr_db", [-6.0, 0.0, 10.0])
def test_noise_over_awgn_meets_the_closed_form(snr_db):
    """Power 1 and noise 1/snr per complex use, half of it in each part."""
    z, snr = symbols(4, 50_000), 10 ** (snr_db / 10)
    assert float(z.abs().square().mean()) == pytest.approx(1, abs=1e-5)
    z_hat, known = carry(z, torch.full((4,), snr_db), "awgn", torch.Generator().manual_seed(1))
    assert torch.equal(known, torch.full((4, 1), snr_db))
    assert float((z_hat - z).abs().square().mean()) == pytest.approx(1 / snr, rel=0.02)
    for part in ((z_hat - z).real, (z_hat - z).imag):
        assert float(part.square().mean()) == pytest.approx(0.5 / snr, rel=0.03)


def measured_error(z, snr_db, channel, seed=1):
    z_hat, known = carry(z, torch.full((len(z),), snr_db), channel, torch.Generator().manual_seed(seed))
    return (z_hat * torch.sigmoid(known * math.log(10) / 10) - z).abs().square().mean(), known


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("snr_db", [-6.0, 6.0])
def test_the_linear_estimate_meets_the_closed_form(channel, snr_db):
    """On each channel; and a convention that hides 3 dB would not meet it."""
    z = symbols(20_000, 8) if channel == "rayleigh-block" else symbols(100, 2_000)
    error, known = measured_error(z, snr_db, channel)
    assert float(error) == pytest.approx(linear_error(snr_db, channel), rel=0.03)
    assert float((10 ** (known / 10)).mean()) == pytest.approx(10 ** (snr_db / 10), rel=0.03)  # E|h|² = 1
    hidden, _ = measured_error(z, snr_db + 3.01, channel)
    assert abs(float(hidden) / linear_error(snr_db, channel) - 1) > 0.1


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_channel_is_the_books_analog_link(channel):
    """The same mean squared error as the physical level's link with its MMSE equaliser."""
    count, snr_db = 4_000, 3.0
    ours, _ = measured_error(symbols(count, 4), snr_db, channel)
    link, draws = AnalogLink(channel, equaliser="mmse"), torch.Generator().manual_seed(5)
    theirs = 0.0
    for z in symbols(count, 4, seed=3):
        sent = link.send(z, snr_db, draws)
        theirs += float((sent.latent - z).abs().square().mean()) / count
    assert float(ours) == pytest.approx(theirs, rel=0.05)


def test_the_effective_snr_errs_as_much():
    even = torch.full((1, 7), 4.0)
    assert float(effective_snr_db(even)) == pytest.approx(4.0, abs=1e-3)
    assert float(effective_snr_db(even[:, :1])) == pytest.approx(4.0, abs=1e-3)
    # Half of the symbols lost, half without noise: an error of 1/2, as at 0 dB.
    assert float(effective_snr_db(torch.tensor([[-80.0, 80.0]]))) == pytest.approx(0.0, abs=1e-3)


def test_what_the_networks_are_told():
    known = told(torch.tensor([-40.0, 0.0, 60.0]), True)
    assert known.shape == (3, 3) and bool((known[:, 2] == 1).all())
    assert known[0, 0] == pytest.approx(-0.75) and known[2, 0] == pytest.approx(1.5)
    assert not told(torch.zeros(2), False)[:, 2].any()


@each_code
@pytest.mark.parametrize("channel", CHANNELS)
def test_every_picture_has_unit_power_and_a_channel_of_its_own(kind, channel):
    torch.manual_seed(0)
    model = SMALL[kind]()
    x = torch.rand(3, 3, 64, 64) * torch.tensor([0.1, 0.5, 1.0])[:, None, None, None]
    z = model.encode(x, torch.zeros(3), channel)
    assert z.shape == (3, 128) and z.is_complex()
    torch.testing.assert_close(z.abs().square().mean(1), torch.ones(3))
    one, two, other = (model.send(x, 5.0, channel, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert one.shape == x.shape and float(one.min()) >= 0 and float(one.max()) <= 1
    assert torch.equal(one, two) and not torch.equal(one, other)


@pytest.mark.parametrize("role", ["jscc", "witt-high", "witt-low"])
def test_a_shipped_code_over_the_books_link(role):
    """Symbols of the shipped encoder sent by the physical level's link make pictures as good as `send` makes."""
    model, snr_db, draws = load(role, device="cpu"), 0.0, torch.Generator().manual_seed(2)
    one_each = torch.from_numpy(np.stack([scene(3_100_000 + seed, "combinations").image for seed in range(4)]))
    x = one_each.repeat(6, 1, 1, 1)  # a mean over noise: with 64 symbols one picture's quality scatters by a decibel
    mean = torch.full((len(x),), snr_db)
    with torch.no_grad():
        arrived = AnalogLink("awgn").send(model.encode(x, mean), snr_db, draws)
        back = model.decode(arrived.latent, mean[:, None]).clamp(0, 1)
    assert arrived.channel_uses == len(x) * model.symbols and arrived.scale == pytest.approx(1, abs=1e-4)

    def psnr(y):
        return float((-10 * (y - x).square().mean((1, 2, 3)).log10()).mean())

    ours = psnr(model.send(x, snr_db, generator=torch.Generator().manual_seed(3)))
    # Three decibels less of noise, as a wrong convention of power hides them, would show.
    hidden = psnr(model.send(x, snr_db + 3, generator=torch.Generator().manual_seed(3))) - ours
    assert hidden > 0.6
    assert abs(psnr(back) - ours) < hidden / 2


@each_code
def test_symbols_and_features_are_each_others_inverse(kind):
    """What arrives without noise is what was sent, up to the power."""
    model = SMALL[kind]()
    features = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    back = model._received(model._sent(features), torch.full((2, 1), 80.0))
    scale = features.square().sum((1, 2, 3), keepdim=True) / model.symbols
    torch.testing.assert_close(back * scale.sqrt(), features, rtol=1e-4, atol=1e-5)


@each_code
def test_bad_input_is_refused(kind):
    model, x, g = SMALL[kind](64), torch.zeros(1, 3, 64, 64), torch.Generator()
    for images in (
        x[0],
        x + 2,
        x[:, :, :32],
        np.zeros((1, 3, 64, 64)),
        torch.full_like(x, torch.nan),
        x[:0],
        x.to(torch.uint8),
    ):
        with pytest.raises(ValueError, match="^images must be"):
            model.send(images, 5.0, generator=g)
    for snr_db in (float("nan"), float("inf"), "5", True):
        with pytest.raises(ValueError, match="^snr_db must be"):
            model.send(x, snr_db, generator=g)
    with pytest.raises(ValueError, match="^channel must be one of"):
        model.send(x, 5.0, "rayleigh", generator=g)
    with pytest.raises(ValueError, match="^generator must be"):
        model.send(x, 5.0, generator=np.random.default_rng(0))
    for count in (100, 0, -64, 64.0):
        with pytest.raises(ValueError, match="^symbols must be"):
            SMALL[kind](count)


def test_windows_that_are_shifted_do_not_wrap_around():
    """A change in one corner of the picture reaches its neighbours in shifted windows, and not the opposite corner."""
    torch.manual_seed(0)
    attention = Witt(64, (8, 8, 12), (2, 1, 1), (2, 2, 2), 8, 1, 1).inward[0][1].attention
    assert attention.shift == 4
    x = torch.randn(1, 32, 32, 8)
    changed = x.clone()
    changed[:, 7, 7] += 1.0  # the last place of its plain window
    moved = (attention(changed) - attention(x)).abs().sum(3)[0] > 1e-6
    assert moved[4:12, 4:12].all() and moved.sum() == 64
    corner = x.clone()
    corner[:, 0, 0] += 1.0
    moved = (attention(corner) - attention(x)).abs().sum(3)[0] > 1e-6
    assert moved[:4, :4].all() and moved.sum() == 16


def test_offsets_of_one_kind_share_their_bias():
    attention = Witt(64, (8, 8, 12), (2, 1, 1), (2, 2, 2), 8, 1, 1).inward[0][0].attention
    offset = attention.offset.reshape(8, 8, 8, 8)
    assert offset[0, 0, 1, 2] == offset[5, 5, 6, 7] != offset[1, 2, 0, 0]
    assert offset.unique().numel() == 15**2


@each_code
def test_both_sides_hear_of_the_channel(kind):
    torch.manual_seed(0)
    model = SMALL[kind]()
    with torch.no_grad():  # a fresh network may not listen yet
        for weights in model.parameters():
            weights.add_(0.05 * torch.randn_like(weights))
    x, low, high = torch.rand(1, 3, 64, 64), torch.tensor([0.0]), torch.tensor([15.0])
    z = model.encode(x, low)
    assert not torch.allclose(z, model.encode(x, high), atol=1e-6)
    assert not torch.allclose(z, model.encode(x, low, "rayleigh-block"), atol=1e-6)
    # Told another SNR, the decoder does more than shrink what it got.
    shrunk = z * torch.sigmoid(low * math.log(10) / 10) / torch.sigmoid(high * math.log(10) / 10)
    assert not torch.allclose(model.decode(z, low[:, None]), model.decode(shrunk, high[:, None]), atol=1e-5)


@each_code
def test_a_little_training_helps_and_noise_hurts(kind):
    """Overfitted to one batch, the error grows as the SNR falls, over every kind of channel."""
    torch.manual_seed(0)
    model = SMALL[kind]()
    x = torch.from_numpy(np.stack([scene(seed, "train").image for seed in range(8)]))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2 if kind == "jscc" else 5e-3)
    losses = []
    for step in range(50):
        snr_db = torch.empty(8).uniform_(-6, 24)
        loss = ((model(x, snr_db, CHANNELS[step % 2]) - x).square().mean((1, 2, 3)) * weight(snr_db)).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:3])

    def error(channel, snr_db, seeds=6):
        sent = [model.send(x, snr_db, channel, generator=torch.Generator().manual_seed(s)) for s in range(seeds)]
        return float(torch.stack([(back - x).square().mean() for back in sent]).mean())

    for channel in CHANNELS:
        high, low = error(channel, 20.0), error(channel, -10.0)
        assert high < low, (channel, high, low)
    assert error("awgn", 20.0) < error("awgn", 5.0) < error("awgn", -10.0)


@pytest.mark.parametrize("role", ["jscc", "witt-high", "witt-low"])
def test_the_recipe_learns_saves_and_is_opened_by_its_role(role, tmp_path):
    recipe = recipe_class(role)(scenes=4)
    recipe.batch_size = 2
    said = []
    model, report = train_timed(recipe, tmp_path / "run", steps=2, say=said.append)
    assert np.isfinite(report["loss"]) and report["steps"] == 2 and report["batch"] == 2 and "limit" not in report
    assert said and report["parameters"] < 750_000
    assert (tmp_path / "run" / "model.safetensors").stat().st_size < 1.55e6
    again, told_again = restored(recipe, tmp_path / "run")
    assert told_again == json.loads(json.dumps(report))
    opened = load(role, folder=tmp_path / "run", device="cpu")
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for other in (opened, again):
        assert isinstance(other, JointCode) and not other.training
        torch.testing.assert_close(
            other.send(x, 10.0, generator=torch.Generator().manual_seed(0)),
            model.send(x, 10.0, generator=torch.Generator().manual_seed(0)),
            atol=1e-2,
            rtol=0,
        )
    with pytest.raises(FileNotFoundError, match="^folder must hold"):
        restored(recipe, tmp_path)


def test_the_clock_ends_a_run_and_lowers_the_rate(tmp_path):
    recipe = JsccRecipe(scenes=4)
    recipe.batch_size = 1
    recipe.build = lambda: DeepJscc(64, (8, 8, 8))
    _, report = train_timed(recipe, tmp_path, minutes=0.03, say=lambda line: None)
    assert report["limit"] == 0.03 and 0 < report["steps"] < 10_000
    last = json.loads((tmp_path / "log.json").read_text("utf-8"))["lines"][-1]
    assert last["rate"] < 0.1 * recipe.rate
    for options in ({"minutes": 0.0}, {"minutes": math.nan}, {"steps": 0}):
        with pytest.raises(ValueError, match=f"^{next(iter(options))} must be"):
            train_timed(recipe, tmp_path, **options)


class SmallRecipe(JsccRecipe):
    """Few pictures, a small network."""

    batch_size = 1

    def __init__(self, scratch=None, scenes=4, models=MODELS):
        super().__init__(None, scenes, models)
        self.held_out = Scenes("combinations", 2)

    def build(self):
        return DeepJscc(64, (8, 8, 8))


def test_the_command_line_trains_by_the_clock_and_writes_the_card(tmp_path, monkeypatch, capsys):
    """And makes the same card of a run that was carried over from another machine."""
    monkeypatch.setattr(trainer, "recipe_class", lambda role: SmallRecipe)
    for name in ("MODELS", "SCRATCH"):
        monkeypatch.setattr(trainer, name, tmp_path / name.lower())
    common = ["jscc", "--device", "cpu", "--threads", "1", "--scenes", "4"]
    trainer.main([*common, "--minutes", "0.02", "--batch", "2"])
    folder = tmp_path / "models" / "mini-jscc"
    card, content = (folder / "README.md").read_text("utf-8"), read_figures(folder)
    run = content["runs"][0]
    assert "--minutes 0.02 --batch 2 --scenes 4`" in card and f"and {run['steps']:,} steps on cpu" in card
    assert "followed the clock" in card and "weights as stored" in card and (folder / "samples.png").exists()
    assert set(content["held_out"]) == set(JsccRecipe.meanings)
    verify(folder)

    told_there = tmp_path / "scratch" / "training" / "jscc" / "report.json"
    report = {**json.loads(told_there.read_text("utf-8")), "device": "another machine"}
    told_there.write_text(json.dumps(report), "utf-8")
    trainer.main([*common, "--evaluate-only"])
    again = read_figures(folder)
    assert again["held_out"] == content["held_out"] and again["runs"][0]["device"] == "another machine"
    with pytest.raises(SystemExit):
        trainer.main([*common, "--batch", "0"])
    assert "--batch must be at least 1" in capsys.readouterr().err


def test_a_run_by_steps_repeats_itself(tmp_path):
    recipe = JsccRecipe(scenes=4)
    recipe.batch_size = 1
    recipe.build = lambda: DeepJscc(64, (8, 8, 8))
    one, two, other = (
        train_timed(recipe, tmp_path / str(k), steps=3, seed=seed, say=lambda line: None)[1]["loss"]
        for k, seed in enumerate((0, 0, 1))
    )
    assert one == two != other


def test_the_rate_rises_and_falls():
    assert cosine_rate(0.0, 0, 1.0, warm_up=10) == pytest.approx(0.1)
    assert cosine_rate(0.0, 50, 1.0, warm_up=10) == pytest.approx(1.0)
    assert cosine_rate(0.5, 50, 1.0, warm_up=10) == pytest.approx(0.505)
    assert cosine_rate(1.3, 50, 1.0, warm_up=10) == pytest.approx(0.01)


def test_errors_count_more_at_high_snr():
    assert weight(torch.tensor([0.0, 20.0])).tolist() == pytest.approx([2**0.5, 101**0.5])
