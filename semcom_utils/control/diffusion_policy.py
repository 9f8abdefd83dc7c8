r"""A diffusion model as a policy, learned with twin critics (ISGC, section IV-B, after Wang, Hunt and Zhou 2022).

The actor is a small denoiser. It starts from Gaussian noise :math:`x_T`, and in :math:`T` reverse steps, each
conditioned on the observed state, arrives at an action :math:`x_0`. Nobody shows it good actions: the gradient of two
critics, taken back through all :math:`T` steps, tells it where the reward grows. The chapter ``notebooks/10_isgc``
derives every line.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from semcom_utils.checks import one_of, positive_integer, real_number

__all__ = [
    "BatchEnv",
    "DiffusionPolicy",
    "MlpPolicy",
    "ReplayBuffer",
    "Training",
    "TwinCritic",
    "act",
    "initialised",
    "train",
    "vp_schedule",
]


def vp_schedule(steps: int, beta_min: float = 0.1, beta_max: float = 10.0) -> tuple[Tensor, Tensor]:
    r"""Variance-preserving schedule for few steps: :math:`\beta_t` and :math:`\bar\alpha_t`, each of shape ``[steps]``.

    .. math:: \beta_t = 1 - \exp\!\left(-\frac{\beta_{min}}{T} - \frac{2t - 1}{2T^2}(\beta_{max} - \beta_{min})\right)

    The exponents sum to :math:`-(\beta_{min} + \beta_{max})/2` over :math:`t = 1 \ldots T`, so :math:`\bar\alpha_T` is
    the same for every :math:`T` (0.0064 with the defaults): a chain of one step ends as noisy as one of a thousand.

    Raises
    ------
    ValueError
        If ``steps`` is no positive integer or not 0 < beta_min <= beta_max.
    """
    T = positive_integer("steps", steps)
    beta_min = real_number("beta_min", beta_min, low=0, low_open=True)
    beta_max = real_number("beta_max", beta_max, low=beta_min)
    t = torch.arange(1, T + 1, dtype=torch.float64)
    beta = 1 - torch.exp(-beta_min / T - (2 * t - 1) / (2 * T**2) * (beta_max - beta_min))
    return beta.float(), torch.cumprod(1 - beta, 0).float()


def _mlp(inputs: int, outputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs)
    )


class DiffusionPolicy(nn.Module):
    r"""Reverse diffusion from noise to an action, conditioned on the observation.

    Parameters
    ----------
    observation_size, action_size : int
    steps : int
        Reverse steps :math:`T`.
    width : int
        Width of the denoiser's two hidden layers.
    prediction_type : {"epsilon", "sample"}
        Whether the network estimates the noise in :math:`x_t`, as DDPM does, or the clean action. Both describe the
        same chain; what they change is where an untrained chain ends: "epsilon" divides by a small
        :math:`\sqrt{\bar\alpha_T}` and starts at the corners of the box, "sample" starts at its middle.
    clip : {"hard", "straight-through"}
        How "epsilon" keeps the implied action in the box. A "hard" clip has no gradient outside; a "straight-through"
        one gives the same numbers and passes the gradient on as if it were not there.
    """

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        steps: int = 5,
        width: int = 128,
        prediction_type: str = "epsilon",
        clip: str = "hard",
    ):
        super().__init__()
        beta, alpha_bar = vp_schedule(steps)
        self.prediction_type = one_of("prediction_type", prediction_type, ("epsilon", "sample"))
        self.clip = one_of("clip", clip, ("hard", "straight-through"))
        self.register_buffer("beta", beta)
        self.register_buffer("alpha_bar", alpha_bar)
        self.steps, self.action_size = steps, action_size
        self.time = nn.Embedding(steps, 16)
        self.denoiser = _mlp(action_size + observation_size + 16, action_size, width)

    def forward(self, observation: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Actions ``[n, action_size]`` in [-1, 1] for observations ``[n, observation_size]``."""
        x = torch.randn((len(observation), self.action_size), generator=generator, device=observation.device)
        for t in reversed(range(self.steps)):  # t = T-1 ... 0 stands for the paper's T ... 1
            step = self.time.weight[t].expand(len(x), -1)
            estimate = self.denoiser(torch.cat([x, observation, step], -1))
            beta, alpha_bar = self.beta[t], self.alpha_bar[t]
            alpha_bar_before = self.alpha_bar[t - 1] if t else torch.ones(())
            if self.prediction_type == "sample":
                x_0 = torch.tanh(estimate)
            else:  # the action that this noise implies, kept in the box
                implied = (x - (1 - alpha_bar).sqrt() * estimate) / alpha_bar.sqrt()
                x_0 = implied.clamp(-1, 1)
                if self.clip == "straight-through":
                    x_0 = implied + (x_0 - implied).detach()
            # mean and deviation of the posterior q(x_{t-1} | x_t, x_0)
            weight_0 = alpha_bar_before.sqrt() * beta / (1 - alpha_bar)
            weight_t = (1 - beta).sqrt() * (1 - alpha_bar_before) / (1 - alpha_bar)
            deviation = (beta * (1 - alpha_bar_before) / (1 - alpha_bar)).sqrt()  # 0 in the last step
            x = weight_0 * x_0 + weight_t * x + deviation * torch.randn(x.shape, generator=generator, device=x.device)
        return x


class MlpPolicy(nn.Module):
    """The ablation: the same network without diffusion, one pass from observation to action."""

    def __init__(self, observation_size: int, action_size: int, width: int = 128):
        super().__init__()
        self.network = _mlp(observation_size, action_size, width)

    def forward(self, observation: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Actions ``[n, action_size]`` in [-1, 1]; nothing is random, so ``generator`` is not used."""
        return torch.tanh(self.network(observation))


class TwinCritic(nn.Module):
    """Two independent estimates of the return of (observation, action); their minimum is the cautious one."""

    def __init__(self, observation_size: int, action_size: int, width: int = 128):
        super().__init__()
        self.q1 = _mlp(observation_size + action_size, 1, width)
        self.q2 = _mlp(observation_size + action_size, 1, width)

    def forward(self, observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Both estimates, each ``[n]``."""
        x = torch.cat([observation, action], -1)
        return self.q1(x).squeeze(-1), self.q2(x).squeeze(-1)


class ReplayBuffer:
    """The last ``capacity`` transitions (o, x, r, o', done), drawn from uniformly."""

    def __init__(self, capacity: int, observation_size: int, action_size: int):
        self.capacity, self.size, self.position = positive_integer("capacity", capacity), 0, 0
        widths = (observation_size, action_size, 1, observation_size, 1)
        self.columns = [torch.empty((capacity, width)) for width in widths]

    def add(self, *transition: Tensor) -> None:
        """Append ``n <= capacity`` steps: observation, action, reward ``[n]``, next observation, done ``[n]``."""
        n = len(transition[0])
        if n > self.capacity:
            raise ValueError(f"transition must hold at most capacity = {self.capacity} steps at once, got {n}")
        rows = torch.arange(self.position, self.position + n) % self.capacity
        for column, values in zip(self.columns, transition, strict=True):
            column[rows] = values.float().reshape(n, -1)
        self.position = (self.position + n) % self.capacity
        self.size = min(self.size + n, self.capacity)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw ``n`` transitions with replacement."""
        rows = torch.randint(self.size, (n,), generator=generator)
        o, x, r, o_next, done = (column[rows] for column in self.columns)
        return o, x, r.squeeze(-1), o_next, done.squeeze(-1)


class BatchEnv(Protocol):
    """What :func:`train` asks of an environment: ``n`` independent copies, stepped at once.

    Attributes
    ----------
    n : int
        Copies.
    observation_size, action_size : int
        Actions lie in the box ``[-1, 1]``.
    """

    n: int
    observation_size: int
    action_size: int

    def reset(self) -> np.ndarray:
        """Begin all episodes anew; returns observations ``[n, observation_size]``, float32."""
        ...

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Act in all copies: next observations; and ``[n]`` each: rewards, ended, feasible."""
        ...


@dataclass(frozen=True)
class Training:
    """Settings of :func:`train`. ``updates`` times the environment's copies is the number of environment steps."""

    updates: int = 4000
    batch_size: int = 256
    actor_rate: float = 1e-3
    critic_rate: float = 1e-3
    decay: bool = True  #: cosine decay of both rates to 1% of their start
    noise: float = 0.1  #: deviation of the exploration noise on an action
    discount: float = 0.95
    polyak: float = 0.005  #: weight of the new parameters in each update of the target networks
    warm_up: int = 20  #: first environment steps of every copy, with uniformly random actions
    capacity: int = 1_000_000

    def __post_init__(self):
        for name in ("updates", "batch_size", "capacity"):
            positive_integer(name, getattr(self, name))
        positive_integer("warm_up", self.warm_up, low=0)
        for name in ("actor_rate", "critic_rate"):
            real_number(name, getattr(self, name), low=0, low_open=True)
        real_number("noise", self.noise, low=0)
        real_number("discount", self.discount, low=0, high=1)
        real_number("polyak", self.polyak, low=0, high=1, low_open=True)


def initialised(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A network whose initial weights come from ``seed``.

    Layers of PyTorch draw their weights from its global generator only; this sets it for the call and puts it back.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def act(policy: nn.Module, observation: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """Actions of a policy for observations ``[n, observation_size]``, as a float64 array ``[n, action_size]``."""
    with torch.no_grad():
        return policy(torch.as_tensor(observation, dtype=torch.float32), generator).double().numpy()


def train(
    policy: nn.Module,
    critic: nn.Module,
    env: BatchEnv,
    settings: Training,
    generator: torch.Generator,
    observer: Callable[[int, nn.Module], None] | None = None,
) -> nn.Module:
    """Learn ``policy`` and ``critic`` in place from an environment; section IV-B, Step 3.

    Parameters
    ----------
    policy : DiffusionPolicy or MlpPolicy
        Anything that maps (observation, generator) to actions.
    critic : TwinCritic
    env : BatchEnv
        All its copies are stepped once per update.
    generator : torch.Generator
        Source of all of the agent's noise.
    observer : callable, optional
        Called as ``observer(environment_steps, target_policy)`` after every update.

    Returns
    -------
    nn.Module
        The target policy: the slowly following average of the policy, which is what to deploy.
    """
    target_policy, target_critic = copy.deepcopy(policy), copy.deepcopy(critic)
    for parameter in (*target_policy.parameters(), *target_critic.parameters()):
        parameter.requires_grad_(False)
    actor_steps = torch.optim.Adam(policy.parameters(), settings.actor_rate)
    critic_steps = torch.optim.Adam(critic.parameters(), settings.critic_rate)
    schedules = [
        torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.updates, 0.01 * optimiser.defaults["lr"])
        for optimiser in (actor_steps, critic_steps)
        if settings.decay
    ]
    o = torch.from_numpy(env.reset())
    buffer = ReplayBuffer(min(settings.capacity, settings.updates * env.n), o.shape[-1], env.action_size)
    for update in range(settings.updates):
        # act, with exploration noise
        with torch.no_grad():
            x = policy(o, generator)
        if update < settings.warm_up:
            x = 2 * torch.rand(x.shape, generator=generator) - 1
        x = (x + settings.noise * torch.randn(x.shape, generator=generator)).clamp(-1, 1)
        o_next, r, done, _ = env.step(x.numpy())
        o_next = torch.from_numpy(o_next)
        buffer.add(o, x, torch.from_numpy(r), o_next, torch.from_numpy(done))
        o = o_next

        # critics: towards r + gamma min(Q1', Q2') at the target policy's next action
        b_o, b_x, b_r, b_next, b_done = buffer.sample(settings.batch_size, generator)
        with torch.no_grad():
            y = b_r
            if not b_done.all():
                y = b_r + settings.discount * (1 - b_done) * torch.min(
                    *target_critic(b_next, target_policy(b_next, generator))
                )
        q1, q2 = critic(b_o, b_x)
        critic_loss = ((q1 - y) ** 2).mean() + ((q2 - y) ** 2).mean()
        critic_steps.zero_grad(set_to_none=True)
        critic_loss.backward()
        critic_steps.step()

        # actor: uphill on the cautious critic, through all reverse steps
        actor_loss = -torch.min(*critic(b_o, policy(b_o, generator))).mean()
        actor_steps.zero_grad(set_to_none=True)
        actor_loss.backward()
        actor_steps.step()

        for schedule in schedules:
            schedule.step()
        with torch.no_grad():
            for network, target in ((policy, target_policy), (critic, target_critic)):
                for new, old in zip(network.parameters(), target.parameters(), strict=True):
                    old.lerp_(new, settings.polyak)
        if observer is not None:
            observer((update + 1) * env.n, target_policy)
    return target_policy
