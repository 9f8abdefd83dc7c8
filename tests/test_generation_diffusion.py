"""Schedules, samplers and the Gaussian case: against diffusers step by step, and against exact laws."""

import math

import pytest
import torch

from semcom_utils.generation.gaussian import GaussianMixture, GaussianModel, frechet_distance
from semcom_utils.generation.samplers import ddim_step, ddpm_step, guide, sample, step_coefficients, timesteps
from semcom_utils.generation.schedules import (
    PREDICTIONS,
    add_noise,
    alphas_cumprod,
    convert,
    per_picture,
    signal_to_noise,
)

LIBRARY = {"linear": "linear", "scaled-linear": "scaled_linear", "cosine": "squaredcos_cap_v2"}
BETAS = {"linear": (1e-4, 0.02), "scaled-linear": (0.00085, 0.012), "cosine": (1e-4, 0.02)}


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=gen(seed), dtype=dtype)


def library(kind, name, **options):
    import diffusers

    start, end = BETAS[kind]
    return getattr(diffusers, name)(
        num_train_timesteps=1000,
        beta_schedule=LIBRARY[kind],
        beta_start=start,
        beta_end=end,
        clip_sample=False,
        **options,
    )


def gaussians(dtype=torch.float64):
    """One Gaussian of each form of covariance, over four elements."""
    mean, factor = randn(4, seed=1, dtype=dtype), randn(4, 2, seed=2, dtype=dtype)
    full = factor @ factor.T + 0.05 * torch.eye(4, dtype=dtype)
    diagonal = torch.tensor([0.01, 0.3, 1.0, 4.0], dtype=dtype)
    return {
        "number": GaussianModel(mean, 0.4),
        "diagonal": GaussianModel(mean, diagonal),
        "full": GaussianModel(mean, full),
        "low rank": GaussianModel.low_rank(mean, factor, 0.05),
        "singular": GaussianModel.low_rank(mean, factor),
    }


FORMS = sorted(gaussians())


def mixture(dtype=torch.float64):
    means = torch.tensor([[-1.5, 0.5], [1.0, 1.0], [0.5, -1.0]], dtype=dtype)
    covariances = [
        torch.tensor(m, dtype=dtype)
        for m in ([[0.2, 0.1], [0.1, 0.3]], [[0.05, 0.0], [0.0, 0.4]], [[0.3, -0.2], [-0.2, 0.2]])
    ]
    return GaussianMixture([0.5, 0.3, 0.2], [GaussianModel(m, c) for m, c in zip(means, covariances, strict=True)])


# --- schedules and conversions


@pytest.mark.parametrize("kind", LIBRARY)
def test_schedule_is_the_library_s(kind):
    torch.testing.assert_close(
        alphas_cumprod(kind), library(kind, "DDPMScheduler").alphas_cumprod.double(), rtol=2e-4, atol=1e-6
    )


@pytest.mark.parametrize("kind", LIBRARY)
@pytest.mark.parametrize("steps", [1, 7, 1000])
def test_schedule_falls_within_the_unit_interval(kind, steps):
    level = alphas_cumprod(kind, steps)
    assert level.shape == (steps,) and level.dtype == torch.float64
    assert bool(((level > 0) & (level < 1)).all()) and bool((level.diff() < 0).all())


def test_many_small_steps_of_noise_are_one_jump():
    # x_t = sqrt(1 − β_t) x_{t−1} + sqrt(β_t) ε: mean and variance after 1,000 steps, by the recursion
    level = alphas_cumprod("linear")
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    gain, variance = 1.0, 0.0
    for b in beta.tolist():
        gain, variance = gain * math.sqrt(1 - b), (1 - b) * variance + b
    assert gain**2 == pytest.approx(float(level[-1]), rel=1e-9)
    assert variance == pytest.approx(1 - float(level[-1]), rel=1e-9)


def test_noise_and_velocity_are_the_library_s():
    scheduler = library("cosine", "DDIMScheduler")
    x_0, epsilon, t = randn(5, 3, 4, 4), randn(5, 3, 4, 4, seed=1), torch.tensor([0, 10, 400, 900, 998])
    level = scheduler.alphas_cumprod.double()[t]
    torch.testing.assert_close(add_noise(x_0, epsilon, level), scheduler.add_noise(x_0, epsilon, t), rtol=0, atol=1e-5)
    v = convert(epsilon, add_noise(x_0, epsilon, level), level, have="epsilon", want="v")
    torch.testing.assert_close(v, scheduler.get_velocity(x_0, epsilon, t), rtol=0, atol=1e-5)


@pytest.mark.parametrize("have", PREDICTIONS)
@pytest.mark.parametrize("want", PREDICTIONS)
def test_conversions_agree_and_go_round(have, want):
    x_0, epsilon, level = randn(6, 2, 3), randn(6, 2, 3, seed=1), torch.linspace(0.05, 0.95, 6, dtype=torch.float64)
    x_t = add_noise(x_0, epsilon, level)
    wide = level.reshape(6, 1, 1)
    truth = {"x0": x_0, "epsilon": epsilon, "v": wide.sqrt() * epsilon - (1 - wide).sqrt() * x_0}
    made = convert(truth[have], x_t, level, have=have, want=want)
    torch.testing.assert_close(made, truth[want])
    torch.testing.assert_close(convert(made, x_t, level, have=want, want=have), truth[have])


def test_velocity_is_safe_at_both_ends():
    x_t, v = randn(3, 2), randn(3, 2, seed=1)
    for level, x_0, epsilon in ((0.0, -v, x_t), (1.0, x_t, v)):
        torch.testing.assert_close(convert(v, x_t, level, have="v", want="x0"), x_0)
        torch.testing.assert_close(convert(v, x_t, level, have="v", want="epsilon"), epsilon)


def test_signal_to_noise():
    torch.testing.assert_close(
        signal_to_noise(torch.tensor([0.0, 0.5, 0.8])),
        torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64),
        rtol=1e-6,
        atol=0,
    )
    assert math.isinf(signal_to_noise(1.0))


def test_a_level_for_each_picture_keeps_the_pictures_dtype():
    x = torch.zeros(4, 3, 2, 2)
    assert per_picture("a", torch.rand(4, dtype=torch.float64), x).shape == (4, 1, 1, 1)
    assert add_noise(x, x, torch.full((4,), 0.5, dtype=torch.float64)).dtype == torch.float32


# --- samplers against diffusers


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("steps", [1, 3, 20, 37, 1000])
def test_timesteps_are_the_library_s(spacing, steps):
    scheduler = library("linear", "DDIMScheduler", timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    assert timesteps(1000, steps, spacing) == scheduler.timesteps.tolist()


@pytest.mark.parametrize("kind", LIBRARY)
@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_every_ddim_step_is_the_library_s(kind, prediction, eta):
    names = {"epsilon": "epsilon", "x0": "sample", "v": "v_prediction"}
    scheduler = library(kind, "DDIMScheduler", timestep_spacing="trailing", prediction_type=names[prediction])
    scheduler.set_timesteps(8)
    level, visited = alphas_cumprod(kind), timesteps(1000, 8)
    for i, t in enumerate(visited):
        x_t, output = randn(2, 3, 4, 4, seed=i), randn(2, 3, 4, 4, seed=100 + i)
        theirs = scheduler.step(output, t, x_t, eta=eta, generator=gen(7)).prev_sample
        now, then = float(level[t]), float(level[visited[i + 1]]) if i + 1 < len(visited) else 1.0
        epsilon = convert(output, x_t, now, have=prediction, want="epsilon")
        ours = ddim_step(x_t, epsilon, now, then, eta=eta, generator=gen(7))
        # ᾱ_T of the cosine is 2e-9: there the library's float32 schedule, not the step, decides the digits of x̂_0
        close = 1e-5 if level[t] > 1e-6 or prediction != "epsilon" else 2e-4 * float(theirs.abs().max())
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=close)


@pytest.mark.parametrize("kind", LIBRARY)
@pytest.mark.parametrize("variance, name", [("posterior", "fixed_small"), ("beta", "fixed_large")])
@pytest.mark.parametrize("steps", [20, 1000])
def test_every_ddpm_step_is_the_library_s(kind, variance, name, steps):
    scheduler = library(kind, "DDPMScheduler", timestep_spacing="leading", variance_type=name)
    scheduler.set_timesteps(steps)
    level, visited = alphas_cumprod(kind), timesteps(1000, steps, "leading")
    for i, t in list(enumerate(visited))[:: max(1, steps // 20)] + [(steps - 1, visited[-1])]:
        x_t, epsilon = randn(2, 3, 4, 4, seed=i), randn(2, 3, 4, 4, seed=100 + i)
        theirs = scheduler.step(epsilon, t, x_t, generator=gen(7)).prev_sample
        now, then = float(level[t]), float(level[visited[i + 1]]) if i + 1 < len(visited) else 1.0
        ours = ddpm_step(x_t, epsilon, now, then, gen(7), variance=variance)
        close = 1e-5 if level[t] > 1e-6 else 2e-4 * float(theirs.abs().max())
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=close)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_the_loop_is_the_library_s(eta):
    model = gaussians()["full"]
    scheduler = library("scaled-linear", "DDIMScheduler", timestep_spacing="trailing")
    scheduler.set_timesteps(10)
    level = scheduler.alphas_cumprod.double()
    theirs, theirs_generator = randn(6, 4), gen(3)
    for t in scheduler.timesteps:
        epsilon = model.epsilon(theirs, float(level[t]))
        theirs = scheduler.step(epsilon, t, theirs, eta=eta, generator=theirs_generator).prev_sample
    ours = sample(
        lambda x, t: model.epsilon(x, float(level[t])),
        randn(6, 4),
        level,
        timesteps(1000, 10),
        eta=eta,
        generator=gen(3),
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_ancestral_coefficients_are_those_of_the_posterior():
    # Ho et al. (2020), eqs. 6 and 7, written out
    level = alphas_cumprod("linear")
    for t in (1, 50, 999):
        now, then = float(level[t]), float(level[t - 1])
        alpha, beta = now / then, 1 - now / then
        on_x0, on_x, sigma = step_coefficients(now, then, eta=1.0)
        assert on_x0 == pytest.approx(math.sqrt(then) * beta / (1 - now), rel=1e-9)
        assert on_x == pytest.approx(math.sqrt(alpha) * (1 - then) / (1 - now), rel=1e-9)
        assert sigma**2 == pytest.approx((1 - then) / (1 - now) * beta, rel=1e-9)
        assert step_coefficients(now, then, eta=1.0, variance="beta")[2] ** 2 == pytest.approx(beta, rel=1e-9)


# --- the Gaussian case


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("level", [1e-4, 0.3, 0.95])
def test_best_denoiser_is_the_conditional_mean_of_joint_gaussians(form, level):
    model, x_t = gaussians()[form], randn(5, 4, seed=9)
    covariance, mean = model.covariance, model.mean
    gain = math.sqrt(level) * covariance @ torch.linalg.inv(level * covariance + (1 - level) * torch.eye(4))
    truth = mean + (x_t - math.sqrt(level) * mean) @ gain.T
    torch.testing.assert_close(model.denoise(x_t, level), truth)
    torch.testing.assert_close(model.epsilon(x_t, level), convert(truth, x_t, level, have="x0", want="epsilon"))
    torch.testing.assert_close(model.score(x_t, level), -model.epsilon(x_t, level) / math.sqrt(1 - level))
    torch.testing.assert_close(
        torch.tensor(model.error(level), dtype=torch.float64),
        (covariance - math.sqrt(level) * gain @ covariance).trace() / 4,
    )


@pytest.mark.parametrize("form", FORMS)
def test_density_and_score_are_those_of_torch(form):
    model, x_t, level = gaussians()[form], randn(5, 4, seed=9).requires_grad_(), 0.6
    noised = model.marginal(level)
    truth = torch.distributions.MultivariateNormal(noised.mean, noised.covariance)
    density = model.log_density(x_t, level)
    torch.testing.assert_close(density, truth.log_prob(x_t))
    torch.testing.assert_close(noised.log_density(x_t, 1.0), density)
    torch.testing.assert_close(model.score(x_t, level), torch.autograd.grad(density.sum(), x_t)[0])


@pytest.mark.parametrize("form", FORMS)
def test_samples_have_the_law(form):
    model = gaussians()[form]
    x = model.sample(40_000, gen(5))
    spread = math.sqrt(float(model.covariance.diagonal().max()))
    assert float((x.mean(0) - model.mean).abs().max()) < 5 * spread / 200
    assert float((torch.cov(x.T) - model.covariance).abs().max()) < 5 * 1.5 * spread**2 / 200


def test_estimates_minimise_the_error_over_other_linear_ones():
    model, level = gaussians()["full"], 0.4
    x_0 = model.sample(40_000, gen(5))
    epsilon = randn(40_000, 4, seed=6)
    x_t = add_noise(x_0, epsilon, level)
    best = (model.denoise(x_t, level) - x_0).square().mean()
    assert float(best) == pytest.approx(model.error(level), rel=0.03)
    for factor in (0.9, 1.1):
        assert (model.mean + factor * (model.denoise(x_t, level) - model.mean) - x_0).square().mean() > best
    # regression finds the same: no cell of a regression on x_t improves on the closed form by more than chance
    design = torch.cat([x_t, torch.ones(len(x_t), 1, dtype=x_t.dtype)], 1)
    left = epsilon - model.epsilon(x_t, level)
    assert float(torch.linalg.lstsq(design, left).solution.abs().max()) < 0.03


@pytest.mark.parametrize("shape", [(3, 8, 8), (16, 4, 4)])
def test_pictures_of_single_precision(shape):
    d = math.prod(shape)
    model = GaussianModel.low_rank(torch.zeros(shape), torch.randn(d, 5, generator=gen()), 0.1)
    x_t, level = torch.randn(2, *shape, generator=gen(1)), torch.tensor([0.2, 0.8])
    made = model.denoise(x_t, level)
    assert made.shape == x_t.shape and made.dtype == torch.float32
    each = torch.cat([model.denoise(x_t[i : i + 1], float(level[i])) for i in range(2)])
    torch.testing.assert_close(made, each)
    dense = GaussianModel(torch.zeros(d), model.covariance)
    torch.testing.assert_close(made.reshape(2, d), dense.denoise(x_t.reshape(2, d), level), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        model.log_density(x_t, level), dense.log_density(x_t.reshape(2, d), level), rtol=1e-4, atol=1e-2
    )


# --- the exact law of a sampler


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", LIBRARY)
@pytest.mark.parametrize("steps", [1, 4, 25])
def test_ddim_s_law_is_the_image_of_the_noise_under_its_affine_map(form, kind, steps):
    model, level, visited = gaussians()[form], alphas_cumprod(kind), timesteps(1000, steps)
    run = lambda x: sample(lambda y, t: model.epsilon(y, float(level[t])), x, level, visited)  # noqa: E731
    offset = run(torch.zeros(1, 4, dtype=torch.float64))[0]
    matrix = (run(torch.eye(4, dtype=torch.float64)) - offset).T
    law = model.sampler_law([*level[visited].tolist(), 1.0])
    torch.testing.assert_close(law.mean, offset, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(law.covariance, matrix @ matrix.T, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("variance", ["posterior", "beta"])
@pytest.mark.parametrize("start", ["noise", "data"])
def test_ddpm_s_law_is_the_textbook_recursion_in_full_matrices(form, variance, start):
    model, level, visited = gaussians()[form], alphas_cumprod("linear"), timesteps(1000, 10)
    eye, sigma, mu = torch.eye(4, dtype=torch.float64), model.covariance, model.mean
    states = [*level[visited].tolist(), 1.0]
    mean, covariance = torch.zeros(4, dtype=torch.float64), eye
    if start == "data":
        mean, covariance = math.sqrt(states[0]) * mu, states[0] * sigma + (1 - states[0]) * eye
    for now, then in zip(states[:-1], states[1:], strict=True):
        alpha, beta = now / then, 1 - now / then
        estimate = math.sqrt(now) * sigma @ torch.linalg.inv(now * sigma + (1 - now) * eye)
        on_x0, on_x = math.sqrt(then) * beta / (1 - now), math.sqrt(alpha) * (1 - then) / (1 - now)
        matrix = on_x0 * estimate + on_x * eye
        mean = matrix @ mean + on_x0 * (mu - math.sqrt(now) * estimate @ mu)
        noise = beta * (1 - then) / (1 - now) if variance == "posterior" or then == 1 else beta
        covariance = matrix @ covariance @ matrix.T + noise * eye
    law = model.sampler_law(states, eta=1.0, variance=variance, start=start)
    torch.testing.assert_close(law.mean, mean)
    torch.testing.assert_close(law.covariance, covariance)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_samples_drawn_follow_the_law(eta):
    model, level, visited, n = gaussians()["full"], alphas_cumprod("cosine"), timesteps(1000, 5), 40_000
    x = sample(
        lambda y, t: model.epsilon(y, float(level[t])), randn(n, 4, seed=8), level, visited, eta=eta, generator=gen(9)
    )
    law = model.sampler_law([*level[visited].tolist(), 1.0], eta=eta)
    spread = math.sqrt(float(law.covariance.diagonal().max()))
    assert float((x.mean(0) - law.mean).abs().max()) < 5 * spread / math.sqrt(n)
    assert float((torch.cov(x.T) - law.covariance).abs().max()) < 5 * 1.5 * spread**2 / math.sqrt(n)
    # the check can fail: with five steps the law is far from the data's
    assert float((torch.cov(x.T) - model.covariance).abs().max()) > 5 * 1.5 * spread**2 / math.sqrt(n)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_more_steps_come_closer_to_the_data(eta):
    model, level = gaussians()["full"], alphas_cumprod("cosine")
    distances = [
        frechet_distance(model.sampler_law([*level[timesteps(1000, n)].tolist(), 1.0], eta=eta), model)
        for n in (5, 20, 100, 1000)
    ]
    assert all(b < a / 2.5 for a, b in zip(distances[:-1], distances[1:], strict=True)) and distances[-1] < 0.01


def test_ddim_of_infinitely_many_steps_stretches_each_direction():
    # the ODE's solution: x_0 − μ = sqrt(λ / (ᾱ_T λ + 1 − ᾱ_T)) (x_T − sqrt(ᾱ_T) μ) along an eigenvector of eigenvalue λ
    variances, now = torch.tensor([0.1, 1.0, 3.0], dtype=torch.float64), 0.3
    model = GaussianModel(torch.zeros(3, dtype=torch.float64), variances)
    law = model.sampler_law(torch.linspace(now, 1, 20_001, dtype=torch.float64))
    torch.testing.assert_close(law.covariance.diagonal(), variances / (now * variances + 1 - now), rtol=2e-2, atol=0)


def test_a_sampler_that_ends_early_leaves_the_law_of_that_state():
    model, level = gaussians()["full"], alphas_cumprod("cosine")
    states = level[timesteps(1000, 1000)[:501]]
    law = model.sampler_law(states)
    assert frechet_distance(law, model.marginal(float(states[-1]))) < 5e-3
    assert frechet_distance(law, model) > 0.5


# --- mixtures


def test_a_mixture_of_one_is_that_gaussian():
    model, x_t = gaussians()["full"], randn(5, 4, seed=9)
    alone = GaussianMixture([1.0], [model])
    for name in ("denoise", "epsilon", "score", "log_density"):
        torch.testing.assert_close(getattr(alone, name)(x_t, 0.3), getattr(model, name)(x_t, 0.3))


def test_mixture_by_numerical_integration():
    model, level = (
        GaussianMixture(
            [0.7, 0.3], [GaussianModel(torch.tensor([m], dtype=torch.float64), s) for m, s in ((-1.0, 0.1), (2.0, 0.5))]
        ),
        0.5,
    )
    grid = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    prior = model.log_density(grid[:, None], 1.0).exp()
    assert float(torch.trapezoid(prior, grid)) == pytest.approx(1, abs=1e-6)
    for x_t in (-2.0, 0.3, 1.7):
        joint = prior * torch.exp(-0.5 * (x_t - math.sqrt(level) * grid) ** 2 / (1 - level))
        truth = float(torch.trapezoid(grid * joint, grid) / torch.trapezoid(joint, grid))
        at = torch.tensor([[x_t]], dtype=torch.float64)
        assert float(model.denoise(at, level)) == pytest.approx(truth, abs=1e-6)
        assert float(model.epsilon(at, level)) == pytest.approx(
            (x_t - math.sqrt(level) * truth) / math.sqrt(1 - level), abs=1e-6
        )


def test_mixture_score_is_the_gradient_of_its_density():
    model, x_t = mixture(), randn(7, 2, seed=3).requires_grad_()
    density = model.log_density(x_t, 0.4)
    torch.testing.assert_close(model.score(x_t, 0.4), torch.autograd.grad(density.sum(), x_t)[0])
    torch.testing.assert_close(model.responsibilities(x_t, 0.4).sum(1), torch.ones(7, dtype=torch.float64))


def test_mixture_is_sampled_by_its_weights():
    model = mixture()
    x = model.sample(20_000, gen(4))
    share = model.responsibilities(x, 1.0).mean(0)  # E of the posterior is the prior
    torch.testing.assert_close(share, model.weights, rtol=0, atol=0.015)
    torch.testing.assert_close(
        x.mean(0), sum(w * c.mean for w, c in zip(model.weights, model.components, strict=True)), rtol=0, atol=0.04
    )


# --- guidance


def test_guidance_identities():
    none, some = randn(3, 4), randn(3, 4, seed=1)
    torch.testing.assert_close(guide(none, some, 1.0), some)
    torch.testing.assert_close(guide(none, some, 0.0), none)
    torch.testing.assert_close(guide(some, some, 7.5), some)
    torch.testing.assert_close(guide(none, some, 3.0), 3 * some - 2 * none)


@pytest.mark.parametrize("kind", ["x0", "v"])
def test_guidance_is_the_same_in_every_prediction(kind):
    x_t, none, some = randn(3, 4, seed=2), randn(3, 4), randn(3, 4, seed=1)
    by_noise = convert(guide(none, some, 3.0), x_t, 0.4, have="epsilon", want=kind)
    each = [convert(e, x_t, 0.4, have="epsilon", want=kind) for e in (none, some)]
    torch.testing.assert_close(guide(*each, 3.0), by_noise)


def test_guided_score_is_that_of_the_sharpened_law():
    whole, x_t = mixture(), randn(6, 2, seed=2).requires_grad_()
    part = whole.components[1]
    tilted = 3 * part.log_density(x_t, 0.7) - 2 * whole.log_density(x_t, 0.7)
    gradient = torch.autograd.grad(tilted.sum(), x_t)[0]
    guided = guide(whole.epsilon(x_t, 0.7), part.epsilon(x_t, 0.7), 3.0)
    torch.testing.assert_close(-guided / math.sqrt(1 - 0.7), gradient)


# --- what a bad input does

MODEL = GaussianModel(torch.zeros(2), 1.0)
BAD = {
    "kind": lambda: alphas_cumprod("quadratic"),
    "steps": lambda: alphas_cumprod("linear", 0),
    "beta_start": lambda: alphas_cumprod("linear", 10, beta_start=0.0),
    "beta_start and beta_end": lambda: alphas_cumprod("cosine", 10, beta_end=0.1),
    "alpha_bar": lambda: add_noise(torch.zeros(1, 2), torch.zeros(1, 2), 1.2),
    "alpha_bar must be one number": lambda: add_noise(torch.zeros(3, 2), torch.zeros(3, 2), torch.full((2,), 0.5)),
    "alpha_bar must be above 0": lambda: convert(torch.zeros(1, 2), torch.zeros(1, 2), 0.0, have="epsilon", want="x0"),
    "alpha_bar must be below 1": lambda: convert(torch.zeros(1, 2), torch.zeros(1, 2), 1.0, have="x0", want="v"),
    "alpha_bar must": lambda: signal_to_noise(float("nan")),
    "alpha_bar must lie": lambda: signal_to_noise(1.5),
    "have": lambda: convert(torch.zeros(1, 2), torch.zeros(1, 2), 0.5, have="score", want="x0"),
    "value": lambda: convert(torch.zeros(1, 3), torch.zeros(1, 2), 0.5, have="v", want="x0"),
    "training": lambda: timesteps(0, 1),
    "steps must be at most": lambda: timesteps(10, 11),
    "spacing": lambda: timesteps(10, 5, "linspace"),
    "alpha_bar_s": lambda: step_coefficients(0.5, 0.4),
    "eta": lambda: step_coefficients(0.4, 0.5, eta=1.5),
    "eta must be 1 with": lambda: step_coefficients(0.4, 0.5, variance="beta"),
    "variance": lambda: step_coefficients(0.4, 0.5, variance="learned"),
    "generator": lambda: ddim_step(torch.zeros(1, 2), torch.zeros(1, 2), 0.4, 0.5, eta=1.0),
    "visited": lambda: sample(MODEL.epsilon, torch.zeros(1, 2), alphas_cumprod("linear", 10), [3, 5]),
    "visited must be falling": lambda: sample(MODEL.epsilon, torch.zeros(1, 2), alphas_cumprod("linear", 10), [12, 3]),
    "conditional": lambda: guide(torch.zeros(1, 2), torch.zeros(2, 2), 1.0),
    "scale": lambda: guide(torch.zeros(1, 2), torch.zeros(1, 2), float("inf")),
    "mean": lambda: GaussianModel([0.0, 1.0], 1.0),
    "covariance": lambda: GaussianModel(torch.zeros(2), torch.zeros(3)),
    "covariance must be symmetric": lambda: GaussianModel(torch.zeros(2), torch.tensor([[1.0, 0.5], [0.0, 1.0]])),
    "covariance must have no negative": lambda: GaussianModel(torch.zeros(2), -1.0),
    "factor": lambda: GaussianModel.low_rank(torch.zeros(2), torch.zeros(3, 1)),
    "x_t": lambda: MODEL.denoise(torch.zeros(1, 3), 0.5),
    "alpha_bar_t": lambda: MODEL.denoise(torch.zeros(1, 2), -0.1),
    "alpha_bar_t must be below 1": lambda: GaussianModel.low_rank(torch.zeros(2), torch.ones(2, 1)).log_density(
        torch.zeros(1, 2)
    ),
    "alpha_bar must rise": lambda: MODEL.sampler_law([0.5, 0.4]),
    "start": lambda: MODEL.sampler_law([0.4, 0.5], start="zeros"),
    "weights": lambda: GaussianMixture([0.5, 0.4], [MODEL, MODEL]),
    "components": lambda: GaussianMixture([1.0], []),
    "b must": lambda: frechet_distance(MODEL, GaussianModel(torch.zeros(3), 1.0)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_names_itself(name):
    with pytest.raises(ValueError, match=f"^{name}"):
        BAD[name]()
