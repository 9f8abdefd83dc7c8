"""Split denoising: coefficients derived anew, receivers against a Gaussian world, where the best is known."""

import math

import numpy as np
import pytest
import sympy
import torch

from semcom_utils.generation import matched_timestep, semantic_noise_coefficient
from semcom_utils.generation.gaussian import GaussianModel
from semcom_utils.generation.samplers import sample, timesteps
from semcom_utils.generation.schedules import alphas_cumprod
from semcom_utils.generation.split import level_at, printed_noise_coefficient, receive, send

COSINE = alphas_cumprod("cosine", 1000)
LATENTS = GaussianModel(
    torch.tensor([0.4, -0.6], dtype=torch.float64), torch.tensor([[0.7, 0.3], [0.3, 0.5]], dtype=torch.float64)
)


def epsilon(z, t):
    return LATENTS.epsilon(z, level_at(COSINE, t))


def noised(n, t, variance, seed=0):
    """Clean latents and what arrives of them at timestep t."""
    g = torch.Generator().manual_seed(seed)
    z_0 = LATENTS.sample(n, g)
    level = float(COSINE[t])
    z_t = math.sqrt(level) * z_0 + math.sqrt(1 - level) * torch.randn(z_0.shape, generator=g, dtype=z_0.dtype)
    return z_0, z_t + math.sqrt(variance) * torch.randn(z_0.shape, generator=g, dtype=z_0.dtype)


@pytest.mark.parametrize("t", [0, 37.5, 400, 900])
@pytest.mark.parametrize("snr_db", [-6, 0, 15])
@pytest.mark.parametrize("kind", ["cosine", "scaled-linear"])
def test_the_matched_timestep_has_the_level_that_is_asked_for(t, snr_db, kind):
    levels, variance = alphas_cumprod(kind, 1000), 10 ** (-snr_db / 10)
    target = level_at(levels, t) / (1 + variance)
    if target < float(levels[-1]):
        with pytest.raises(ValueError, match="^noise_variance must"):
            matched_timestep(t, variance, levels)
        return
    matched = matched_timestep(t, variance, levels)
    assert matched > t
    assert level_at(levels, matched) == pytest.approx(target, rel=1e-9)


def test_no_noise_no_change():
    assert matched_timestep(123.25, 0.0, COSINE) == 123.25
    assert matched_timestep(5, 0.0, COSINE.tolist()) == 5.0


def test_more_noise_is_later():
    times = [matched_timestep(200, variance, COSINE) for variance in (0.0, 0.1, 0.5, 2.0)]
    assert times == sorted(set(times))


def test_a_rescaled_noisy_latent_is_a_state_of_the_matched_timestep():
    """Conditional on z_0, mean and variance are those of the forward process at t*."""
    t, variance = 300, 0.4
    level = float(COSINE[t])
    matched = level_at(COSINE, matched_timestep(t, variance, COSINE))
    scale = 1 / math.sqrt(1 + variance)
    assert scale * math.sqrt(level) == pytest.approx(math.sqrt(matched), rel=1e-9)
    assert scale**2 * (1 - level + variance) == pytest.approx(1 - matched, rel=1e-9)


def test_the_coefficient_follows_from_the_papers_own_posterior():
    """Bayes' rule by sympy: product of two Gaussians in z_{t-1}, then z_0 put in by what z_t is made of."""
    a, ab, s_prev, s_step = sympy.symbols("alpha alphabar sigma2_prev sigma2_step", positive=True)
    z_t, z_0, eta = sympy.symbols("z_t z_0 eta", real=True)
    v, V = 1 - a + s_step, 1 - ab + a * s_prev + s_step
    prev_mean, prev_var = sympy.sqrt(ab / a) * z_0, 1 - ab / a + s_prev  # q(z_{t-1} | z_0)
    precision = a / v + 1 / prev_var  # q(z_t | z_{t-1}) has mean sqrt(a) z_{t-1} and variance v
    mean = (sympy.sqrt(a) * z_t / v + prev_mean / prev_var) / precision
    assert sympy.simplify(V - (a * prev_var + v)) == 0
    mean = mean.subs(z_0, (z_t - sympy.sqrt(V) * eta) / sympy.sqrt(ab))
    stated = (z_t - v / sympy.sqrt(V) * eta) / sympy.sqrt(a)
    point = {a: 0.9, ab: 0.5, s_prev: 0.3, s_step: 0.07, z_t: 1.3, eta: -0.4}
    assert float((mean - stated).subs(point)) == pytest.approx(0, abs=1e-12)
    for name, value in (("alphabar", 0.2), ("sigma2_prev", 0.0), ("sigma2_step", 0.9)):
        other = {symbol: value if symbol.name == name else number for symbol, number in point.items()}
        assert float((mean - stated).subs(other)) == pytest.approx(0, abs=1e-12)
    wanted = float((v / sympy.sqrt(V)).subs(point))
    assert semantic_noise_coefficient(0.9, 0.5, 0.3, 0.07) == pytest.approx(wanted, rel=1e-12)


def test_the_posterior_by_simulation():
    """Regressing z_{t-1} on z_t and eta finds 1/sqrt(alpha) and -C/sqrt(alpha), and not the printed C."""
    alpha, prev_level, s_prev, s_step = 0.98, 0.6, 0.2, 0.05
    level = alpha * prev_level
    rng = np.random.default_rng(0)
    n = 400_000
    z_0 = 50 * rng.normal(size=n)  # so wide that it says nothing of z_0 by itself
    z_prev = math.sqrt(prev_level) * z_0 + math.sqrt(1 - prev_level + s_prev) * rng.normal(size=n)
    z_t = math.sqrt(alpha) * z_prev + math.sqrt(1 - alpha + s_step) * rng.normal(size=n)
    total = 1 - level + alpha * s_prev + s_step
    eta = (z_t - math.sqrt(level) * z_0) / math.sqrt(total)
    (on_z, on_eta), *_ = np.linalg.lstsq(np.stack([z_t, eta], axis=1), z_prev, rcond=None)
    assert on_z == pytest.approx(1 / math.sqrt(alpha), rel=1e-4)
    right = semantic_noise_coefficient(alpha, level, s_prev, s_step)
    printed = printed_noise_coefficient(alpha, level, s_prev, s_step)
    assert -on_eta * math.sqrt(alpha) == pytest.approx(right, rel=0.02)
    assert abs(printed - right) > 0.2 * right  # the control: the printed one would have failed


def test_without_semantic_noise_both_are_the_ddpms():
    wanted = (1 - 0.95) / math.sqrt(1 - 0.4)
    assert semantic_noise_coefficient(0.95, 0.4, 0.0, 0.0) == pytest.approx(wanted, rel=1e-12)
    assert printed_noise_coefficient(0.95, 0.4, 0.0, 0.0) == pytest.approx(wanted, rel=1e-12)


def test_the_printed_coefficient_is_too_small_and_turns_negative():
    for s in (0.01, 0.1, 0.5, 2.0):
        assert printed_noise_coefficient(0.95, 0.4, s, s) < semantic_noise_coefficient(0.95, 0.4, s, s)
    assert printed_noise_coefficient(0.95, 0.4, 2.0, 0.0) < 0


@pytest.mark.parametrize("receiver", ["matched", "corrected"])
def test_one_remaining_step_is_the_optimal_reconstruction(receiver):
    """With one step left the best estimate is E[z_0 | z'], a linear one; no other guess has a smaller error."""
    t, variance = 250, 0.5
    z_0, arrived = noised(2000, t, variance)
    level = float(COSINE[t])
    gain = (
        math.sqrt(level)
        * LATENTS.covariance
        @ torch.linalg.inv(level * LATENTS.covariance + (1 - level + variance) * torch.eye(2, dtype=torch.float64))
    )
    best = LATENTS.mean + (arrived - math.sqrt(level) * LATENTS.mean) @ gain.T
    found = receive(epsilon, arrived, COSINE, [t], variance, receiver=receiver)
    torch.testing.assert_close(found, best, atol=1e-6, rtol=1e-6)
    error = (best - z_0).square().mean()
    for worse, predictor in (("resume", "plain"), ("printed", "tuned"), ("corrected", "plain"), ("printed", "plain")):
        other = receive(epsilon, arrived, COSINE, [t], variance, receiver=worse, predictor=predictor)
        assert (other - z_0).square().mean() > 1.05 * error, (worse, predictor)


def test_many_steps_give_back_the_law_of_the_latents():
    """The corrected step with its posterior noise samples the data's law; the printed and the plain ones do not."""
    t, variance = 500, 0.5
    _, arrived = noised(4000, t, variance)
    visited = list(range(t, -1, -10))

    def gap(receiver, predictor="tuned"):
        z = receive(
            epsilon,
            arrived,
            COSINE,
            visited,
            variance,
            receiver=receiver,
            predictor=predictor,
            generator=torch.Generator().manual_seed(1),
        )
        return float((torch.cov(z.T) - LATENTS.covariance).abs().max())

    right = gap("corrected")
    assert right < 0.06
    assert min(gap("printed"), gap("corrected", "plain")) > 1.5 * max(right, 0.04)


def test_the_matched_receiver_gives_back_the_law_without_any_noise_of_its_own():
    t, variance = 500, 0.5
    _, arrived = noised(4000, t, variance)
    found = {
        name: receive(epsilon, arrived, COSINE, list(range(t, -1, -10)), variance, receiver=name)
        for name in ("matched", "resume")
    }
    gaps = {name: float((torch.cov(z.T) - LATENTS.covariance).abs().max()) for name, z in found.items()}
    assert gaps["matched"] < 0.06 < 0.15 < gaps["resume"]


def test_a_fine_tuned_network_is_asked_with_the_excess_and_a_perfect_one_is_the_tuned_predictor():
    t, variance = 500, 0.5
    _, arrived = noised(50, t, variance)
    visited, asked = list(range(t, -1, -100)), []

    def perfect(z, step, excess):
        asked.append((step, excess))
        return epsilon(z / math.sqrt(1 + excess), matched_timestep(step, excess, COSINE))

    for receiver in ("printed", "corrected"):
        found = receive(perfect, arrived, COSINE, visited, variance, receiver=receiver, predictor="network")
        ideal = receive(epsilon, arrived, COSINE, visited, variance, receiver=receiver, predictor="tuned")
        torch.testing.assert_close(found, ideal)
    steps, excesses = zip(*asked[: len(visited)], strict=True)
    assert list(steps) == visited and excesses[0] == pytest.approx(variance)  # at first all of the channel's noise
    assert all(a > b > 0 for a, b in zip(excesses[:-1], excesses[1:], strict=True))


@pytest.mark.parametrize("receiver", ["resume", "matched"])
def test_on_a_silent_channel_the_split_changes_nothing(receiver):
    z_T = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    visited = timesteps(1000, 20)
    whole = sample(epsilon, z_T, COSINE, visited)
    for steps in (0, 7, 19):
        sent = send(epsilon, z_T, COSINE, visited, steps)
        torch.testing.assert_close(receive(epsilon, sent, COSINE, visited[steps:], 0.0, receiver=receiver), whole)
    torch.testing.assert_close(send(epsilon, z_T, COSINE, visited, 20), whole)


def test_told_the_wrong_noise_the_receiver_is_worse():
    t, variance = 250, 0.5
    z_0, arrived = noised(4000, t, variance)
    errors = [
        float((receive(epsilon, arrived, COSINE, [t], told) - z_0).square().mean()) for told in (variance, 0.01, 8.0)
    ]
    assert errors[0] < min(errors[1:])


X = torch.zeros(2, 2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: matched_timestep(-1, 0.1, COSINE), "timestep"),
        (lambda: matched_timestep(1000, 0.1, COSINE), "timestep"),
        (lambda: matched_timestep(float("nan"), 0.1, COSINE), "timestep"),
        (lambda: matched_timestep(10, -0.1, COSINE), "noise_variance"),
        (lambda: matched_timestep(10, float("inf"), COSINE), "noise_variance"),
        (lambda: matched_timestep(900, 1e9, COSINE), "noise_variance"),
        (lambda: matched_timestep(0, 0.1, [0.5, 0.9]), "alpha_bar"),
        (lambda: matched_timestep(0, 0.1, [[0.9]]), "alpha_bar"),
        (lambda: matched_timestep(0, 0.1, [1.2, 0.9]), "alpha_bar"),
        (lambda: matched_timestep(0, 0.1, "cosine"), "alpha_bar"),
        (lambda: level_at(COSINE, 2000), "timestep"),
        (lambda: semantic_noise_coefficient(0, 0.5, 0.1, 0.1), "alpha_t"),
        (lambda: semantic_noise_coefficient(1.1, 0.5, 0.1, 0.1), "alpha_t"),
        (lambda: semantic_noise_coefficient(0.9, 0.95, 0.1, 0.1), "alpha_bar_t"),
        (lambda: semantic_noise_coefficient(0.9, 0.5, -0.1, 0.1), "sigma2_prev"),
        (lambda: semantic_noise_coefficient(0.9, 0.5, 0.1, -0.1), "sigma2_step"),
        (lambda: semantic_noise_coefficient(1.0, 1.0, 0.0, 0.0), "alpha_bar_t"),
        (lambda: printed_noise_coefficient(0.9, 0.5, "much", 0.1), "sigma2_prev"),
        (lambda: send(epsilon, X, COSINE, [900, 500], 3), "steps"),
        (lambda: receive(epsilon, X, COSINE, [500], 0.1, receiver="magic"), "receiver"),
        (lambda: receive(epsilon, X, COSINE, [500], 0.1, predictor="magic"), "predictor"),
        (lambda: receive(epsilon, X, COSINE, [500], -0.1), "noise_variance"),
        (lambda: receive(epsilon, X, COSINE, [], 0.1), "visited"),
        (lambda: receive(epsilon, X, COSINE, [5, 9], 0.1), "visited"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^{name} must"):
        call()


def test_what_a_reverse_step_leaves_is_what_a_simulation_of_it_leaves():
    """z_{t-1} estimated from z_t with either coefficient, all noise Gaussian: the variance of the error."""
    from semcom_utils.generation.split import reverse_step

    alpha, before, previous, step = 0.9, 0.6, 0.2, 0.05
    told = reverse_step(alpha, before, previous, step)
    g = torch.Generator().manual_seed(0)
    late, old = (torch.randn(1_000_000, generator=g, dtype=torch.float64) for _ in range(2))
    old, late = old * (1 - before + previous) ** 0.5, late * (1 - alpha + step) ** 0.5  # z_0 is known: it drops out
    z = alpha**0.5 * old + late
    eta = z / (1 - alpha * before + alpha * previous + step) ** 0.5
    for name in ("right", "printed"):
        error = ((z - told[name] * eta) / alpha**0.5 - old).square().mean()
        assert float(error) == pytest.approx(told[f"error_{name}"], rel=0.01)
    assert told["error_printed"] > 1.05 * told["error_right"]
    clean = reverse_step(alpha, before, 0.0, 0.0)
    assert clean["printed"] == pytest.approx(clean["right"]) and clean["error_printed"] == pytest.approx(
        clean["error_right"]
    )
    with pytest.raises(ValueError, match="^alpha_bar_prev must be"):
        reverse_step(0.9, 1.5, 0.0, 0.0)
