"""Families of generative models: their densities, samples and training, against what is known exactly."""

import math

import numpy as np
import pytest
import torch

from semcom_utils.generation.families import FAMILIES, fit, make, mlp, width
from semcom_utils.generation.gaussian import GaussianModel
from semcom_utils.papers.gai_semcom_networks import model_families as study
from semcom_utils.statistics import energy_distance
from semcom_utils.studies import load_result


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_samples_have_the_shape_and_follow_the_generator(family, dimension):
    model = make(family, dimension, seeded())
    with torch.no_grad():
        first, again, other = (model.sample(7, seeded(s)) for s in (1, 1, 2))
    assert first.shape == (7, dimension) and first.isfinite().all()
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert model.loss(first, seeded(3)).isfinite()


@pytest.mark.parametrize("family", FAMILIES)
def test_global_state_is_left_alone(family):
    state = torch.get_rng_state()
    model = make(family, 2, seeded())
    fit(model, study.draw(study.law()), seeded(1), steps=2)
    model.sample(3, seeded(2))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_are_close_to_what_is_asked(family):
    for parameters in (5_000, 20_000):
        painter = make(family, 2, seeded(), parameters=parameters).painter
        assert sum(p.numel() for p in painter.parameters()) == pytest.approx(parameters, rel=0.1)


def test_width_solves_its_equation():
    h = width(3, 2, 20_000)
    assert sum(p.numel() for p in mlp(3, 2, h, seeded()).parameters()) == h * h + h * 7 + 2


def test_autoregressive_density_sums_to_one_and_is_minus_infinity_outside():
    model = make("autoregressive", 2, seeded())
    axis = (torch.arange(model.bins) + 0.5) * model.bin_width - model.edge
    with torch.no_grad():
        total = model.log_density(torch.cartesian_prod(axis, axis)).exp().sum() * model.bin_width**2
        assert float(total) == pytest.approx(1, abs=1e-4)
        assert model.log_density(torch.tensor([[0.0, 3.6], [-9.0, 0.0]])).tolist() == [-math.inf] * 2
        x = model.sample(50, seeded(1))
        assert (x.abs() <= model.edge).all()
        assert float(model.loss(x)) == pytest.approx(-float(model.log_density(x).mean()), abs=1e-4)


def test_flow_density_is_the_change_of_variables_and_its_samples_map_back():
    model = make("flow", 3, seeded())
    with torch.no_grad():
        for part in model.painter:  # away from the near-identity at which training starts
            part[-1].weight.mul_(10)

    def forward(x):
        for k in range(model.couplings):
            log_scale, shift = model.coefficients(k, x)
            x = x * log_scale.exp() + shift
        return x

    x = torch.randn(4, 3, generator=seeded(1))
    for point in x:
        J = torch.autograd.functional.jacobian(lambda v: forward(v[None])[0], point)
        z = forward(point[None])[0].detach()
        by_hand = -0.5 * float(z @ z) - 1.5 * math.log(2 * math.pi) + math.log(abs(float(J.det())))
        assert float(model.log_density(point[None]).detach()) == pytest.approx(by_hand, abs=1e-3)
    with torch.no_grad():
        z = torch.randn(100, 3, generator=seeded(2))
        assert torch.allclose(forward(model.sample(100, seeded(2))), z, atol=1e-3)


def test_evidence_bound_lies_below_the_log_density():
    model = make("vae", 2, seeded())
    x = study.draw(study.law())(50, seeded(1))
    axis = (torch.arange(120) + 0.5) / 12 - 5
    z = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        log_prior = -0.5 * z.square().sum(1) - math.log(2 * math.pi) - 2 * math.log(12)
        s2 = (2 * model.log_s).exp()
        log_p = (log_prior - torch.cdist(x, model.painter(z)).square() / (2 * s2)).logsumexp(1) - (
            torch.log(2 * math.pi * s2)
        )
        bound = torch.stack([-model.loss(x, seeded(k)) for k in range(100)]).mean()
    assert float(bound) < float(log_p.mean())


def test_diffusion_sampler_with_the_exact_denoiser_gives_the_law():
    model, data = make("diffusion", 2, seeded()), GaussianModel(torch.tensor([0.5, -1.0]), 0.04)
    model.epsilon = lambda x, t: data.epsilon(x, float(model.alpha_bar[t]))
    x = model.sample(4000, seeded(1), 500)
    assert x.mean(0).tolist() == pytest.approx([0.5, -1.0], abs=0.02)
    assert x.std(0).tolist() == pytest.approx([0.2, 0.2], rel=0.06)


@pytest.mark.parametrize("family", FAMILIES)
def test_training_moves_the_samples_towards_the_law_and_no_training_does_not(family):
    def draw(n, generator):
        return 1.5 + 0.3 * torch.randn(n, 2, generator=generator)

    untrained, trained = (make(family, 2, seeded(), parameters=3000) for _ in range(2))
    history = fit(trained, draw, seeded(1), steps=250, batch=64, rate=2e-3 if family == "gan" else 5e-3)
    assert len(history) == 250
    distance = []
    with torch.no_grad():
        for model in (untrained, trained):
            model.steps = 20  # of denoising; the others have no use for it
            distance.append(energy_distance(model.sample(500, seeded(2)), draw(500, seeded(3))))
    assert distance[1] < 0.3 * distance[0]


@pytest.mark.parametrize("family, expected", [("autoregressive", [1, 4, 16]), ("vae", [1] * 3), ("gan", [1] * 3),
                                              ("flow", [1] * 3), ("diffusion", [100] * 3)])  # fmt: skip
def test_evaluations_one_after_the_other(family, expected):
    with torch.no_grad():
        assert [study.evaluations(make(family, n, seeded()), 2, seeded()) for n in (1, 4, 16)] == expected


# --- the yardstick ---------------------------------------------------------------------------------------------------
def test_energy_distance_by_hand_and_for_equal_laws():
    assert energy_distance([[0.0], [1.0]], [[2.0], [3.0]]) == pytest.approx(2 * 2 - 1 - 1)
    rng = np.random.default_rng(0)
    equal = [energy_distance(rng.normal(size=(100, 2)), rng.normal(size=(100, 2))) for _ in range(100)]
    assert abs(np.mean(equal)) < 4 * np.std(equal) / 10  # unbiased
    assert energy_distance(rng.normal(size=(100, 2)), rng.normal(size=(100, 2)) + 1) > max(equal)


def test_scores_see_missing_modes_and_strays():
    law = study.law()
    x = study.draw(law)(4000, seeded())
    whole = study.score_samples(x, law, seeded(1))
    assert whole["modes"] == 25 and whole["off"] < 0.002 and abs(whole["energy"]) < 0.01
    part = study.score_samples(x[x[:, 0] > 0], law, seeded(1))
    assert 10 <= part["modes"] <= 15 and part["energy"] > 0.1
    middle = study.centres(law)[[0, 1, 5, 6]].mean(0).expand(1000, 2)  # between four heaps
    assert study.score_samples(torch.cat([x[:1000], middle]), law, seeded(1))["off"] == pytest.approx(0.5, abs=0.01)


def test_a_uniform_square_reaches_every_mode():
    """What the scores do not see: mass spread evenly over the grid reaches all modes, at a small energy distance."""
    a, b, c = study.centres(study.law())[[0, 1, 5]]
    u = 5 * torch.rand(4000, 2, generator=seeded()) - 0.5
    scores = study.score_samples(a + u[:, :1] * (b - a) + u[:, 1:] * (c - a), study.law(), seeded(1))
    assert scores["modes"] == 25 and scores["energy"] < 0.01


def test_law_is_drawn_as_it_is_defined():
    law = study.law()
    a, b = study.draw(law)(1500, seeded()), law.sample(1500, seeded(1))
    assert abs(energy_distance(a, b)) < 0.01
    assert torch.cdist(study.centres(law), study.centres(law)).fill_diagonal_(9).min() == pytest.approx(1, abs=1e-5)
    assert study.centres(study.law(1)).tolist() == [[0.0, 0.0]]


# --- bad input -------------------------------------------------------------------------------------------------------
BAD = {
    "name must be": lambda: make("transformer", 2, seeded()),
    "dimension must be": lambda: make("vae", 0, seeded()),
    "generator must be": lambda: make("vae", 2, 7),
    "parameters must be": lambda: make("vae", 2, seeded(), parameters=10),
    "n must be": lambda: make("gan", 2, seeded()).sample(0, seeded()),
    "steps must be": lambda: fit(make("vae", 2, seeded()), study.draw(study.law()), seeded(), steps=0),
    "batch must be": lambda: fit(make("vae", 2, seeded()), study.draw(study.law()), seeded(), batch=0.5),
    "rate must be": lambda: fit(make("vae", 2, seeded()), study.draw(study.law()), seeded(), rate=0),
    "steps must be at most": lambda: make("diffusion", 2, seeded()).sample(2, seeded(), 1001),
    "x and y must be": lambda: energy_distance(np.zeros((3, 2)), np.zeros((3, 1))),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_raises_at_the_door(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()


# --- the studies -----------------------------------------------------------------------------------------------------
def test_stored_record_without_training_comes_out_again():
    """Fresh data instead of a model: the yardstick's own noise, seed by seed."""
    records = load_result("gai_semcom_networks/families")["records"]
    for record in [r for r in records if r["task"]["family"] == "data"][:3]:
        again = study.quality_run(record["task"])
        assert again["modes"] == record["modes"]
        assert again["energy"] == pytest.approx(record["energy"], abs=1e-5)


def test_quality_run_learns_and_records_what_it_should():
    record = study.quality_run({"family": "flow", "modes": 1, "seed": 3, "steps": 60})
    assert set(record) >= {"energy", "modes", "off", "nats", "us_a_sample", "training_s", "loss", "parameters"}
    assert record["modes"] == 1


def test_length_run_counts_what_was_stored():
    lengths = load_result("gai_semcom_networks/lengths")["summary"]
    record = study.length_run({"family": "autoregressive", "length": 16, "seed": 1, "samples": 5})
    assert record["evaluations"] == lengths["autoregressive"]["evaluations"][lengths["lengths"].index(16)]
