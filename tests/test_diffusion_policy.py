"""The diffusion policy: its schedule, its last step, its learning on a problem with a known answer."""

import numpy as np
import pytest
import torch

from semcom_utils.control.diffusion_policy import (
    DiffusionPolicy,
    MlpPolicy,
    Training,
    TwinCritic,
    act,
    initialised,
    train,
    vp_schedule,
)
from semcom_utils.papers.isgc.scenario import BatchIsgcEnv


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("steps", [1, 2, 5, 8, 100])
def test_schedule_ends_at_the_same_noise_for_any_number_of_steps(steps):
    beta, alpha_bar = vp_schedule(steps)
    assert beta.shape == (steps,) and ((beta > 0) & (beta < 1)).all() and (beta.diff() > 0).all()
    assert alpha_bar[-1].item() == pytest.approx(np.exp(-(0.1 + 10) / 2), rel=1e-4)


def test_six_steps_give_the_published_betas():
    beta, _ = vp_schedule(6)  # facts on GDMOPT: .143 .349 .506 .624 .715 .783
    np.testing.assert_allclose(beta, [0.143, 0.349, 0.506, 0.624, 0.715, 0.783], atol=6e-4)


def test_actions_stay_in_the_box_and_come_from_the_generator():
    policy = DiffusionPolicy(10, 3, steps=4, width=16)
    o = torch.randn(64, 10, generator=gen(1))
    x = policy(o, gen(2))
    assert x.shape == (64, 3) and (x.abs() <= 1).all()
    assert torch.equal(x, policy(o, gen(2))) and not torch.equal(x, policy(o, gen(3)))


def test_hard_clip_stops_gradients_where_every_action_is_outside_and_straight_through_does_not():
    o, slopes, actions = torch.randn(50, 10, generator=gen(1)), {}, {}
    for clip in ("hard", "straight-through"):
        policy = initialised(lambda clip=clip: DiffusionPolicy(10, 3, width=16, clip=clip), 0)
        with torch.no_grad():
            policy.denoiser[-1].bias += torch.tensor([5.0, -5.0, -5.0])  # every estimate far outside the box
        actions[clip] = policy(o, gen(2))
        actions[clip].sum().backward()
        slopes[clip] = max(p.grad.abs().max().item() for p in policy.parameters())
    assert slopes["hard"] == 0 < slopes["straight-through"]
    assert torch.allclose(actions["hard"], actions["straight-through"], atol=1e-6)


def test_reverse_step_has_the_posteriors_mean_and_variance():
    """With a denoiser that always knows x_0, x_{t-1} must follow q(x_{t-1} | x_t, x_0): check the marginal."""
    policy = DiffusionPolicy(1, 1, steps=3, width=4)
    known = 0.3

    class Oracle(torch.nn.Module):
        def forward(self, inputs):
            x, t = inputs[:, :1], Oracle.t
            alpha_bar = policy.alpha_bar[t]
            Oracle.t -= 1
            Oracle.seen.append(x)
            return (x - alpha_bar.sqrt() * known) / (1 - alpha_bar).sqrt()

    Oracle.t, Oracle.seen = 2, []
    policy.denoiser = Oracle()
    x_0 = policy(torch.zeros(200_000, 1), gen(4))
    assert torch.allclose(x_0, torch.full_like(x_0, known), atol=1e-4)
    # x_T ~ N(0, 1) instead of N(sqrt(ab_T) x_0, 1 - ab_T): what is left of the difference after one step is known
    x_2, ab, ab_before, beta = Oracle.seen[1], policy.alpha_bar[2], policy.alpha_bar[1], policy.beta[2]
    weight_0, weight_t = ab_before.sqrt() * beta / (1 - ab), (1 - beta).sqrt() * (1 - ab_before) / (1 - ab)
    assert x_2.mean().item() == pytest.approx((weight_0 * known).item(), abs=0.01)
    assert x_2.var().item() == pytest.approx((weight_t**2 + beta * (1 - ab_before) / (1 - ab)).item(), rel=0.02)


class KnownAnswer(BatchIsgcEnv):
    """The case study's states with a reward whose best action is known: x* = (o_0, 0, -0.5) / 2."""

    def step(self, action):
        o = self.o
        best = np.stack([np.tanh(o[:, 0]), np.zeros(len(o)), np.full(len(o), -0.5)], -1) / 2
        r = -((action - best) ** 2).sum(-1)
        self.o = self.reset()
        return self.o, r, np.ones(self.n, bool), np.ones(self.n, bool)

    def reset(self):
        self.o = super().reset()
        return self.o


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["diffusion", "mlp"])
def test_learns_a_problem_with_a_known_answer(kind):
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        diffusion = DiffusionPolicy(10, 3, steps=3, width=32, prediction_type="sample")
        policy = diffusion if kind == "diffusion" else MlpPolicy(10, 3, width=32)
        critic = TwinCritic(10, 3, width=32)
    env = KnownAnswer(64, np.random.default_rng(0))
    o = env.reset()
    best = np.stack([np.tanh(o[:, 0]), np.zeros(64), np.full(64, -0.5)], -1) / 2
    before = np.abs(act(policy, o, gen(9)) - best).mean()
    settings = Training(updates=1000, batch_size=128, actor_rate=3e-3, critic_rate=3e-3, polyak=0.02)
    after = np.abs(act(train(policy, critic, env, settings, gen(1)), o, gen(9)) - best).mean()
    assert after < 0.08 and after < 0.5 * before


def test_untrained_chains_start_where_the_docstring_says():
    o = torch.randn(2000, 10, generator=gen(1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ends = {kind: DiffusionPolicy(10, 3, prediction_type=kind)(o, gen(2)) for kind in ("epsilon", "sample")}
    assert ends["epsilon"].abs().mean() > 0.7 and ends["sample"].abs().mean() < 0.2


def test_training_repeats_from_its_seeds():
    def once():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            policy, critic = DiffusionPolicy(10, 3, steps=2, width=8), TwinCritic(10, 3, width=8)
        env = BatchIsgcEnv(8, np.random.default_rng(3), episode_length=2)
        trained = train(policy, critic, env, Training(updates=30, batch_size=16), gen(5))
        return torch.cat([p.flatten() for p in trained.parameters()])

    assert torch.equal(once(), once())


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("steps", lambda: vp_schedule(0)),
        ("clip", lambda: DiffusionPolicy(10, 3, clip="soft")),
        ("prediction_type", lambda: DiffusionPolicy(10, 3, prediction_type="noise")),
        ("beta_max", lambda: vp_schedule(3, 1.0, 0.5)),
        ("updates", lambda: Training(updates=0)),
        ("discount", lambda: Training(discount=1.5)),
        ("noise", lambda: Training(noise=-0.1)),
        ("actor_rate", lambda: Training(actor_rate=float("nan"))),
        ("observation", lambda: act(DiffusionPolicy(10, 3), np.zeros((2, 1, 10)), gen())),
        ("observation", lambda: act(DiffusionPolicy(10, 3), 1.0, gen())),
        ("observation", lambda: act(DiffusionPolicy(10, 3), np.full(10, np.nan), gen())),
        ("generator", lambda: act(DiffusionPolicy(10, 3), np.zeros((1, 10)), 3)),
        ("generator", lambda: DiffusionPolicy(10, 3)(torch.zeros(1, 10), 3)),
    ],
)
def test_bad_input_names_the_argument(name, call):
    with pytest.raises(ValueError, match=name):
        call()
