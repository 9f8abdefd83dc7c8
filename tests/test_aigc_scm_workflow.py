"""Section III of AIGC-SCM: noise from pilots, denoising, prompts chosen by semantic noise, feedback and latency."""

import math
from itertools import product

import numpy as np
import pytest
import torch

from semcom_utils import toyworld
from semcom_utils.generation.gaussian import GaussianModel
from semcom_utils.generation.judging import Detection
from semcom_utils.papers.aigc_scm import denoising, feedback, latency, noise_estimate, prompt_selection

LEVELS = torch.linspace(0.999, 0.001, 1000, dtype=torch.float64)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


# --- noise from pilots -----------------------------------------------------------------------------------------------


def log_likelihood(theta, y, p):
    h, noise = theta[0] + 1j * theta[1], theta[2]
    return -len(p) * np.log(np.pi * noise) - (np.abs(y - h * p) ** 2).sum() / noise


def test_the_fisher_information_is_the_mean_curvature_of_the_log_likelihood():
    """By numerical second derivatives, averaged over noise: diagonal, and what the closed form says."""
    rng, n, noise, h = np.random.default_rng(0), 8, 0.4, 0.6 - 0.3j
    p, step = noise_estimate.pilot_symbols(n), 1e-3
    theta, curvature, rounds = np.array([h.real, h.imag, noise]), np.zeros((3, 3)), 3000
    for _ in range(rounds):
        y = h * p + np.sqrt(noise / 2) * (rng.standard_normal(n) + 1j * rng.standard_normal(n))
        for i, j in product(range(3), repeat=2):
            a, b = step * np.eye(3)[i], step * np.eye(3)[j]
            second = sum(s * t * log_likelihood(theta + s * a + t * b, y, p) for s, t in product((1, -1), repeat=2))
            curvature[i, j] -= second / (4 * step**2) / rounds
    closed = noise_estimate.fisher_information(noise, n, n)
    assert np.diag(curvature) == pytest.approx(closed, rel=0.05)
    off = curvature - np.diag(np.diag(curvature))
    assert np.abs(off).max() < 0.05 * closed.min()


def test_no_likelier_gain_or_noise_lies_nearby():
    y, _ = noise_estimate.send_pilots(6, 1, 3.0, "rayleigh-block", source())
    p = noise_estimate.pilot_symbols(6)
    found = noise_estimate.estimate_noise(y, p)
    best = np.array([found.gain[0].real, found.gain[0].imag, found.variance[0] * 5 / 6])  # the most likely divides by N
    for shift in 0.01 * np.vstack([np.eye(3), -np.eye(3)]):
        assert log_likelihood(best + shift, y[0], p) < log_likelihood(best, y[0], p)


@pytest.mark.parametrize("channel", noise_estimate.CHANNELS)
def test_the_estimate_reaches_the_bound_and_wrong_ones_do_not(channel):
    n, blocks = 16, 20_000
    y, gains = noise_estimate.send_pilots(n, blocks, 3.0, channel, source())
    p, truth = noise_estimate.pilot_symbols(n), 10**-0.3

    def over_bound(estimate):
        return n * np.mean((estimate / truth - 1) ** 2)

    told = noise_estimate.estimate_noise(y, p, gains).variance
    free = noise_estimate.estimate_noise(y, p)
    assert over_bound(told) == pytest.approx(1, abs=0.05)
    assert over_bound(free.variance) == pytest.approx(n / (n - 1), abs=0.05)
    assert free.variance.mean() == pytest.approx(truth, rel=0.01)
    assert n * np.mean(np.abs(free.gain - gains) ** 2) / truth == pytest.approx(1, abs=0.05)
    assert over_bound(noise_estimate.noise_from_power(y)) > 4
    wrong = over_bound(noise_estimate.estimate_noise(y, p, np.ones(())).variance)
    assert wrong > 20 if channel == "rayleigh-block" else wrong == over_bound(told)
    spread = np.std(10 * np.log10(free.variance))
    assert spread == pytest.approx(noise_estimate.db_spread(n), rel=0.02)
    assert spread > 10 / math.log(10) / math.sqrt(n)  # the bound
    within = np.mean(np.abs(10 * np.log10(free.variance / truth)) <= 2)
    assert within == pytest.approx(noise_estimate.within_db(n, 2.0), abs=0.01)


def test_pilots_needed_is_the_smallest_number():
    n = noise_estimate.pilots_needed(2.0)
    assert noise_estimate.within_db(n, 2.0) >= 0.95 > noise_estimate.within_db(n - 1, 2.0)


# --- denoising -------------------------------------------------------------------------------------------------------


def gaussian(d=6):
    factor = torch.randn(d, d, generator=source(), dtype=torch.float64)
    return GaussianModel(torch.linspace(-0.5, 0.5, d, dtype=torch.float64), factor @ factor.T / d)


def test_a_perfect_denoiser_of_gaussian_latents_is_the_linear_estimate():
    """One step is exactly it, at whatever noise it is told; and no other told noise errs less."""
    law, n = gaussian(), 4000
    z = law.sample(n, source(1))

    def epsilon(x, t):
        return law.epsilon(x, float(np.interp(t, np.arange(1000), LEVELS.numpy())))

    for variance in (0.2, 1.0, 4.0):
        y = z + math.sqrt(variance) * torch.randn(z.shape, generator=source(2), dtype=torch.float64)
        errors = {}
        for told in (variance / 4, variance, 4 * variance):
            one = denoising.denoise(epsilon, y, told, LEVELS)
            linear = denoising.linear_estimate(law, y, told)
            assert torch.allclose(one, linear, atol=1e-3)
            errors[told] = float(((one - z) ** 2).mean())
        assert min(errors, key=errors.get) == variance
        assert errors[variance] == pytest.approx(law.error(1 / (1 + variance)), rel=0.05)
        assert errors[variance] < float(((y - z) ** 2).mean())
        many = float(((denoising.denoise(epsilon, y, variance, LEVELS, 20) - z) ** 2).mean())
        assert many > 1.01 * errors[variance]  # steps end in a sample, not in the mean


def test_a_noisy_latent_has_the_level_of_its_state():
    z = torch.randn(1, 100_000, generator=source(), dtype=torch.float64)
    for variance in (0.1, 1.0, 10.0):
        y = z + math.sqrt(variance) * torch.randn(z.shape, generator=source(1), dtype=torch.float64)
        state, t = denoising.as_state(y, variance, LEVELS)
        assert float(state.var()) == pytest.approx(1, abs=0.02)
        assert np.interp(t, np.arange(1000), LEVELS.numpy()) == pytest.approx(1 / (1 + variance), abs=1e-3)
    assert denoising.as_state(y, 0.0, LEVELS)[1] == 0 and denoising.as_state(y, 1e6, LEVELS)[1] == 999
    assert denoising.denoise(lambda z, t: z, y, 0.0, LEVELS) is y


@pytest.mark.parametrize("channel", noise_estimate.CHANNELS)
def test_the_link_adds_the_noise_that_it_says(channel):
    z = 0.7 * torch.randn(200, 4, 16, generator=source(), dtype=torch.float64)
    sent = denoising.transmit(z, 3.0, channel, source(1), pilots=64)
    lost = ((sent["received"] - z) ** 2).flatten(1).mean(1).numpy()
    ratio = lost / sent["true"]
    assert np.median(ratio) == pytest.approx(1, abs=0.1)
    off = 10 * np.log10(sent["estimated"] / sent["true"])
    assert abs(off.mean()) < 0.3 and off.std() == pytest.approx(noise_estimate.db_spread(64), abs=1.2)
    if channel == "rayleigh-block":  # who knows the mean SNR alone knows little of the block
        assert np.std(10 * np.log10(sent["mean"] / sent["true"])) > 4
    else:
        assert (sent["mean"] == sent["true"]).all()


# --- prompts chosen by semantic noise --------------------------------------------------------------------------------


def test_words_are_misread_as_often_as_it_is_said_and_repeating_them_helps():
    rng, caption = np.random.default_rng(0), "a red ball and a blue cube on sand"
    said = toyworld.parse_caption(caption)
    assert prompt_selection.misread(caption, 0.0, rng) == said.canonical()
    wrong = {1: 0, 3: 0}
    for _ in range(1500):
        read = [prompt_selection.misread(caption, 0.3, rng) for _ in range(3)]
        for times, text in ((1, read[0]), (3, prompt_selection.majority(read))):
            got = toyworld.parse_caption(text)
            wrong[times] += sum(a.colour != b.colour for a, b in zip(said.things, got.things, strict=True))
    assert wrong[1] / 3000 == pytest.approx(0.3, abs=0.03)
    assert 3 * 0.3**2 * 0.7 * 0.8 < wrong[3] / 3000 < 0.3 - 0.05
    for label in ("red ball", "blue robot"):
        changed = prompt_selection.misread(label, 1.0, rng).split()
        assert not set(changed) & set(label.split()) and changed[0] in toyworld.COLOURS


def test_the_best_table_is_no_worse_than_any_other_and_than_what_ignores_the_noise():
    rng = np.random.default_rng(1)
    for _ in range(20):
        value, bits, weights = rng.random((3, 4)), rng.integers(50, 400, 4).astype(float), rng.random(3)
        budget = float(rng.uniform(bits.min(), bits.max()))
        table = prompt_selection.best_table(value, bits, weights, budget)
        worth, spent = prompt_selection.table_value(table, value, bits, weights)
        assert spent <= budget + 1e-6
        for other in product(range(4), repeat=3):
            rival, cost = prompt_selection.table_value(other, value, bits, weights)
            assert cost > budget or rival <= worth + 1e-9
        low, high = int(bits.argmin()), int(bits.argmax())
        if bits[low] == bits[high]:
            continue
        both = prompt_selection.mixed(value, bits, weights, budget, low, high)
        w = weights / weights.sum()
        assert min(w @ value[:, low], w @ value[:, high]) <= both + 1e-12


def test_a_table_made_for_other_noise_loses():
    """The control: where more items help under noise alone, a table read backwards is worse at the same bits."""
    value, bits, weights = [[0.9, 0.9], [0.3, 0.9]], [100.0, 300.0], [0.5, 0.5]
    table = prompt_selection.best_table(value, bits, weights, 200)
    assert table == (0, 1)
    right, spent = prompt_selection.table_value(table, value, bits, weights)
    wrong, same = prompt_selection.table_value(table[::-1], value, bits, weights)
    assert spent == same == 200 and right == 0.9 and wrong == pytest.approx(0.6)
    half = prompt_selection.mixed(value, bits, weights, 200, 0, 1)
    assert half == pytest.approx(0.75)
    blind = prompt_selection.table_value(table, value, bits, weights, np.full((2, 2), 0.5))
    assert blind == pytest.approx((0.75, 200))  # an estimate that says nothing is worth what ignoring it is


def test_levels_are_told_apart_the_better_the_more_words_are_known():
    few, many = (prompt_selection.confusion((0.0, 0.1, 0.3), n) for n in (4, 128))
    for table in (few, many):
        assert table.sum(1) == pytest.approx(1)
    assert (np.diag(many) >= np.diag(few)).all() and np.diag(many).min() > 0.9 > np.diag(few).min()


def test_what_and_where_are_scored():
    labels, boxes = ["red ball", "blue cube"], [[0, 0, 20, 20], [40, 40, 60, 60]]

    def seen(*things):
        return [Detection(label, 0.9, box) for label, box in things]

    right = seen(("red ball", (0, 0, 20, 20)), ("blue cube", (40, 40, 60, 60)))
    swapped = seen(("red ball", (40, 40, 60, 60)), ("blue cube", (0, 0, 20, 20)))
    assert prompt_selection.score(right, labels, boxes, "where") == 1
    assert prompt_selection.score(swapped, labels, boxes, "what") == 1
    assert prompt_selection.score(swapped, labels, boxes, "where") == 0
    assert prompt_selection.score(right[:1], labels, boxes, "where") == 0.5
    assert prompt_selection.score([*right, *swapped], labels, boxes, "what") == 0.5
    assert prompt_selection.score([], labels, boxes, "what") == 0
    assert feedback.own_score(right, labels, boxes) == 1 and feedback.own_score([], labels, boxes) == 0
    assert feedback.own_score(swapped, labels, boxes) == 0


def test_bits_of_sets_add_up():
    scene = toyworld.subject_scene(3, 0)
    bits = {name: prompt_selection.set_bits(scene, name) for name in prompt_selection.SETS}
    head = 40
    assert bits["caption thrice"] - head == 3 * (bits["caption"] - head)
    assert bits["caption, boxes"] - head == bits["caption"] + bits["boxes"] - 2 * head
    assert bits["boxes, identifier"] == bits["boxes"] + 8
    assert bits["all four"] == bits["caption, map"] + bits["boxes, identifier"] - head
    assert bits["boxes"] == min(bits.values()) < bits["all four"] < bits["caption thrice"]


# --- feedback --------------------------------------------------------------------------------------------------------


def test_reports_that_find_the_needy_beat_chance_and_blind_ones_do_not():
    """Subjects 0 to 14 need telling, the others do not; a score that knows finds them, one of noise does not."""
    rng = np.random.default_rng(0)
    need = np.repeat(np.arange(30) < 15, 2).reshape(30, 2)
    unknown, known = np.where(need, 0.2, 0.9), np.full((30, 2), 0.9)

    def line(policy, reported):
        several = [feedback.rounds(policy, unknown, known, reported, rng, count=4)[0] for _ in range(60)]
        return np.mean(several, axis=0)

    knowing, blind = unknown, np.full((30, 2), 0.5)
    assert line("receiver", knowing)[3] == pytest.approx(0.9)
    assert line("oracle", blind) == pytest.approx(line("receiver", knowing))
    assert line("receiver", blind) == pytest.approx(line("chance", blind), abs=0.02)
    assert line("receiver", -knowing)[3] == line("nobody", blind)[3] == pytest.approx(0.55)
    assert line("all at once", blind) == pytest.approx(0.9)
    told = feedback.rounds("chance", unknown, known, blind, rng, shared=7, count=7)[1]
    assert told.tolist() == [0, 7, 14, 21, 28, 30, 30]


# --- latency ---------------------------------------------------------------------------------------------------------


def test_at_the_break_even_bandwidth_both_take_equally_long():
    stages = {"captioner": 0.05, "text encoder": 0.002, "decoder": 0.03, "step": 0.015, "detector": 9.0}
    for steps in (20, 2):
        computed = latency.prompt_seconds(stages, 0, 1e12, steps)
        at = latency.break_even_hz(computed, 150, 3000)
        assert latency.prompt_seconds(stages, 150, at, steps) == pytest.approx(3000 / at)
        assert latency.prompt_seconds(stages, 150, at / 2, steps) < 3000 / (at / 2)
        assert latency.prompt_seconds(stages, 150, 2 * at, steps) > 3000 / (2 * at)
    assert latency.break_even_hz(0.0, 100, 200) == math.inf and latency.break_even_hz(1.0, 200, 100) == 0


def test_a_faster_machine_or_a_slower_link_turns_the_verdict():
    times = {name: [1000, 1000] for name in latency.STAGES}
    for name, micro in (("prompt", [200, 200]), ("file", [6000, 6000])):
        times[name] = micro
    steps = [{"task": {"what": "steps", "steps": k}, "values": {"right": [1], "found": [1.0]}} for k in (20, 2)]

    def ratio(scale):
        values = {name: ([v * scale for v in part] if name in latency.STAGES else part) for name, part in times.items()}
        records = [{"task": {"what": "stages", "steps": 0}, "values": values}, *steps]
        return latency.STUDIES["latency"].summarise(records)["by_steps"]["20"]["over_file"]

    assert ratio(0) < 1 < ratio(10)


# --- bad input -------------------------------------------------------------------------------------------------------

Z = torch.zeros(1, 4)


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda: noise_estimate.pilot_symbols(0), "pilots must be"),
        (lambda: noise_estimate.estimate_noise([1.0, 1.0], [1.0]), "received must be numbers"),
        (lambda: noise_estimate.estimate_noise([1.0], [1.0]), "pilots must be at least two"),
        (lambda: noise_estimate.estimate_noise([1.0, 1.0], [0.0, 0.0]), "pilots must be one row"),
        (lambda: noise_estimate.estimate_noise([1.0, math.inf], [1.0, 1.0]), "received must be finite"),
        (lambda: noise_estimate.estimate_noise([1.0, 1.0], [1.0, 1.0], np.ones(3)), "gain must be one finite"),
        (lambda: noise_estimate.fisher_information(0.0, 1.0, 4), "variance must be"),
        (lambda: noise_estimate.pilots_needed(1e-4), "error_db must be within reach"),
        (lambda: noise_estimate.send_pilots(4, 4, 0.0, "cable", source()), "channel must be"),
        (lambda: noise_estimate.send_pilots(4, 4, math.nan, "awgn", source()), "snr_db must be"),
        (lambda: denoising.as_state(Z, -1.0, LEVELS), "variance must be"),
        (lambda: denoising.as_state(Z, 1.0, LEVELS.flip(0)), "alpha_bar must be"),
        (lambda: denoising.denoise(lambda z, t: z, Z, 1.0, LEVELS, 0), "steps must be"),
        (lambda: denoising.linear_estimate(gaussian(4), Z.double(), 0.0), "variance must be"),
        (lambda: denoising.transmit(torch.zeros(1, 3), 0.0, "awgn", source()), "latents must be"),
        (lambda: denoising.transmit(Z, math.nan, "awgn", source()), "snr_db must be"),
        (lambda: denoising.latents_of(np.full((1, 3, 8, 8), 2.0), None), "images must be"),
        (lambda: prompt_selection.misread("a unicorn", 0.1, np.random.default_rng(0)), "text must"),
        (lambda: prompt_selection.misread("red ball", 1.5, np.random.default_rng(0)), "noise must be"),
        (lambda: prompt_selection.majority([]), "captions must be at least one"),
        (lambda: prompt_selection.confusion((0.3, 0.1), 4), "levels must be rising"),
        (lambda: prompt_selection.best_table([[0.5, 0.9]], [100, 200], [1.0], 50), "budget must be at least"),
        (lambda: prompt_selection.best_table([[0.5, 0.9]], [100], [1.0], 50), "value must be"),
        (lambda: prompt_selection.table_value((2,), [[0.5, 0.9]], [100, 200], [1.0]), "table must be one of"),
        (lambda: prompt_selection.mixed([[0.5, 0.9]], [100, 200], [1.0], 150, 1, 0), "other must be dearer"),
        (lambda: prompt_selection.score([], [], [], "what"), "boxes must have"),
        (lambda: prompt_selection.score([], ["red ball"], [[0, 0, 1, 1]], "why"), "question must be"),
        (lambda: prompt_selection.study_scenes("validation"), "half must be"),
        (lambda: prompt_selection.set_bits(None, "everything"), "scene must be"),
        (lambda: feedback.rounds("guess", Z, Z, Z, np.random.default_rng(0)), "policy must be"),
        (lambda: feedback.rounds("chance", Z, Z, Z[:, :2], np.random.default_rng(0)), "unknown, known and reported"),
        (lambda: feedback.own_score([], ["red ball"], []), "boxes must have"),
        (lambda: latency.prompt_seconds({"step": 1.0}, 1, 1, 1), "stages must have"),
        (lambda: latency.break_even_hz(-1.0, 1, 1), "computed must be"),
        (lambda: latency.stage_seconds(0), "rounds must be"),
        (lambda: latency.drawn(0, 1, 0), "steps must be"),
    ],
)
def test_bad_input_is_refused_by_name(call, named):
    with pytest.raises(ValueError, match=f"^{named}"):
        call()
