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
from numpy.typing import ArrayLike
from torch import Tensor, nn

from semcom_utils.checks import finite_array, one_of, positive_integer, real_number, torch_generator
from semcom_utils.control.replay import Replay

__all__ = [
    "BatchEnv",
    "DiffusionPolicy",
    "MlpPolicy",
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

    Parameters
    ----------
    steps : int
        :math:`T`.
    beta_min, beta_max : float
        Rates of noise at the chain's start and end, for the whole chain.

    Returns
    -------
    beta, alpha_bar : torch.Tensor, ``[steps]``
        float32; index 0 is the first step of the forward process.

    Raises
    ------
    ValueError
        If ``steps`` is no positive integer or not 0 < beta_min <= beta_max.

    References
    ----------
    Z. Xiao, K. Kreis, A. Vahdat, "Tackling the generative learning trilemma with denoising diffusion GANs", 2022,
    appendix B; Z. Wang, J. J. Hunt, M. Zhou, "Diffusion policies as an expressive policy class for offline
    reinforcement learning", 2023.

    Examples
    --------
    >>> vp_schedule(1)[1], vp_schedule(1000)[1][-1:]  # what is left of the signal, after one step or a thousand
    (tensor([0.0064]), tensor([0.0064]))
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
        Numbers of an observation and of an action.
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

    Raises
    ------
    ValueError
        If ``steps``, ``prediction_type`` or ``clip`` is none of the above.

    References
    ----------
    Z. Wang, J. J. Hunt, M. Zhou, "Diffusion policies as an expressive policy class for offline reinforcement
    learning", 2023; J. Ho, A. Jain, P. Abbeel, "Denoising diffusion probabilistic models", 2020, equation (7).
    """

    beta: Tensor
    alpha_bar: Tensor

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        steps: int = 5,
        width: int = 128,
        prediction_type: str = "epsilon",
        clip: str = "hard",
    ) -> None:
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
        """Actions for observations, drawn through all reverse steps.

        Parameters
        ----------
        observation : torch.Tensor, ``[n, observation_size]``
            What the policy sees.
        generator : torch.Generator, optional
            Source of the noise; PyTorch's global one without it.

        Returns
        -------
        torch.Tensor, ``[n, action_size]``
            In [-1, 1].

        Raises
        ------
        ValueError
            If ``generator`` is no ``torch.Generator``.
        """
        if generator is not None:
            torch_generator("generator", generator)
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
    """The ablation: the same network without diffusion, one pass from observation to action.

    Parameters
    ----------
    observation_size, action_size : int
        Numbers of an observation and of an action.
    width : int
        Width of the two hidden layers.
    """

    def __init__(self, observation_size: int, action_size: int, width: int = 128) -> None:
        super().__init__()
        self.network = _mlp(observation_size, action_size, width)

    def forward(self, observation: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Actions for observations.

        Parameters
        ----------
        observation : torch.Tensor, ``[n, observation_size]``
            What the policy sees.
        generator : torch.Generator, optional
            Not used, for nothing is random: policies are called alike.

        Returns
        -------
        torch.Tensor, ``[n, action_size]``
            In [-1, 1].
        """
        return torch.tanh(self.network(observation))


class TwinCritic(nn.Module):
    """Two independent estimates of the return of (observation, action); their minimum is the cautious one.

    Parameters
    ----------
    observation_size, action_size : int
        Numbers of an observation and of an action.
    width : int
        Width of each network's two hidden layers.

    References
    ----------
    S. Fujimoto, H. van Hoof, D. Meger, "Addressing function approximation error in actor-critic methods", 2018.
    """

    def __init__(self, observation_size: int, action_size: int, width: int = 128) -> None:
        super().__init__()
        self.q1 = _mlp(observation_size + action_size, 1, width)
        self.q2 = _mlp(observation_size + action_size, 1, width)

    def forward(self, observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Both estimates.

        Parameters
        ----------
        observation : torch.Tensor, ``[n, observation_size]``
            What was seen.
        action : torch.Tensor, ``[n, action_size]``
            What was done.

        Returns
        -------
        tuple of torch.Tensor, ``[n]`` each
            Discounted sums of rewards.
        """
        x = torch.cat([observation, action], -1)
        return self.q1(x).squeeze(-1), self.q2(x).squeeze(-1)


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
        """Begin all episodes anew.

        Returns
        -------
        numpy.ndarray of float32, ``[n, observation_size]``
            Observations.
        """
        ...

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Act in all copies.

        Parameters
        ----------
        action : numpy.ndarray, ``[n, action_size]``
            In [-1, 1].

        Returns
        -------
        tuple of numpy.ndarray
            Next observations ``[n, observation_size]``; and ``[n]`` each: rewards, ended, feasible.
        """
        ...


@dataclass(frozen=True)
class Training:
    """Settings of :func:`train`.

    Attributes
    ----------
    updates : int
        Updates of the networks; times the environment's copies it is the number of environment steps.
    batch_size : int
        Transitions of an update.
    actor_rate, critic_rate : float
        Adam's learning rates.
    decay : bool
        Whether both rates fall along a cosine to 1% of their start.
    noise : float
        Deviation of the exploration noise on an action.
    discount : float
        Of rewards, a step.
    polyak : float
        Weight of the new parameters in each update of the target networks.
    warm_up : int
        First environment steps of every copy, with uniformly random actions.
    capacity : int
        Transitions that the replay holds.

    Raises
    ------
    ValueError
        If a setting is out of its range.
    """

    updates: int = 4000
    batch_size: int = 256
    actor_rate: float = 1e-3
    critic_rate: float = 1e-3
    decay: bool = True
    noise: float = 0.1
    discount: float = 0.95
    polyak: float = 0.005
    warm_up: int = 20
    capacity: int = 1_000_000

    def __post_init__(self) -> None:
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

    Parameters
    ----------
    build : callable
        Makes the network, without arguments.
    seed : int
        Of the weights.

    Returns
    -------
    torch.nn.Module
        What ``build`` made.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def act(policy: nn.Module, observation: ArrayLike, generator: torch.Generator) -> np.ndarray:
    """Actions of a policy, without a gradient.

    Parameters
    ----------
    policy : torch.nn.Module
        Anything that maps (observation, generator) to actions.
    observation : array_like, ``[n, observation_size]`` or ``[observation_size]``
        What it sees, of many states or of one.
    generator : torch.Generator
        Source of the policy's noise.

    Returns
    -------
    numpy.ndarray of float64, ``[n, action_size]`` or ``[action_size]``
        In [-1, 1].

    Raises
    ------
    ValueError
        If ``observation`` has another number of axes, or ``generator`` is no ``torch.Generator``.
    """
    torch_generator("generator", generator)
    seen = torch.from_numpy(finite_array("observation", observation)).float()
    if seen.ndim not in (1, 2):
        raise ValueError(f"observation must be of shape [n, observation_size], got shape {tuple(seen.shape)}")
    with torch.no_grad():
        chosen = policy(seen if seen.ndim == 2 else seen[None], generator).double().numpy()
    return chosen if seen.ndim == 2 else chosen[0]


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
        Anything that maps (observation, action) to two estimates.
    env : BatchEnv
        All its copies are stepped once per update.
    settings : Training
        How to learn.
    generator : torch.Generator
        Source of all of the agent's noise.
    observer : callable, optional
        Called as ``observer(environment_steps, target_policy)`` after every update.

    Returns
    -------
    torch.nn.Module
        The target policy: the slowly following average of the policy, which is what to deploy.

    Raises
    ------
    ValueError
        If ``generator`` is no ``torch.Generator``.
    """
    torch_generator("generator", generator)
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
    replay = Replay(min(settings.capacity, settings.updates * env.n), o.shape[-1], env.action_size)
    for update in range(settings.updates):
        # act, with exploration noise
        with torch.no_grad():
            x = policy(o, generator)
        if update < settings.warm_up:
            x = 2 * torch.rand(x.shape, generator=generator) - 1
        x = (x + settings.noise * torch.randn(x.shape, generator=generator)).clamp(-1, 1)
        o_next, r, done, _ = env.step(x.numpy())
        replay.add(o, x, r, o_next, done)
        o = torch.from_numpy(o_next)

        # critics: towards r + gamma min(Q1', Q2') at the target policy's next action
        rows = torch.randint(replay.size, (settings.batch_size,), generator=generator)
        b_o, b_x, b_r, b_next, b_done = replay.take(rows)
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
