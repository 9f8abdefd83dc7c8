r"""Dueling double deep Q-learning (D3QN), written to be read: the agent of ROOT (Cheng et al., 2023, section IV-C).

Three things make the name. *Dueling* (Wang et al., 2016): the network gives a value V(x) and advantages A(x, a), and
:math:`Q(x, a) = V(x) + A(x, a) - \tfrac{1}{|A|} \sum_{a'} A(x, a')`. *Double* (van Hasselt et al., 2016): the
network that learns chooses the next action, a slower copy of it says what that is worth. *Deep*: both are perceptrons.

Algorithm 1 of the paper has two slips, repaired here: its step (line 13, eq. 27) goes up the error's slope, and its
target network is never updated.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch

from semcom_utils.checks import checked, positive_integer, real_number
from semcom_utils.control.replay import Replay

__all__ = ["D3qnSettings", "DuelingNetwork", "double_target", "greedy", "train_d3qn"]


@checked
@dataclass(frozen=True)
class D3qnSettings:
    """Settings; ``paper`` in the comment marks what section V-A gives, the rest is ours.

    Attributes
    ----------
    hidden : int
        Units of each of the two hidden layers (paper: 256).
    batch : int
        Transitions of a step (paper: 64).
    discount : float
        λ (paper: 0.99).
    rate : float
        Learning rate of Adam.
    replay : int
        Transitions that the buffer holds.
    warm_up : int
        Transitions before the first step.
    every : int
        Transitions between two steps.
    update_target : int
        Steps between two copies of the network into its target.
    explore : tuple of float
        ε at the start, ε at the end, and the share of the run over which it falls.
    calm : float
        Learning rate at the end as a share of ``rate``; it falls along a line together with ε. 1 keeps it.
    double : bool
        Whether the network that learns chooses the action of the target (True: a double DQN), or the slower copy does.

    Raises
    ------
    ValueError
        If a setting is out of its range, or the buffer is smaller than the warm-up, or that than a batch.
    """

    hidden: int = 256
    batch: int = 64
    discount: float = 0.99
    rate: float = 1e-3
    replay: int = 50_000
    warm_up: int = 500
    every: int = 1
    update_target: int = 200
    explore: tuple[float, float, float] = (1.0, 0.02, 0.6)
    calm: float = 0.01
    double: bool = True

    def __post_init__(self) -> None:
        for name in ("hidden", "batch", "replay", "warm_up", "every", "update_target"):
            positive_integer(name, getattr(self, name))
        real_number("discount", self.discount, low=0, high=1)
        real_number("rate", self.rate, low=0, low_open=True)
        real_number("calm", self.calm, low=0, high=1)
        if not isinstance(self.double, bool):
            raise ValueError(f"double must be True or False, got {self.double!r}")
        if len(self.explore) != 3:
            raise ValueError(f"explore must be three numbers (start, end, share of the run), got {self.explore!r}")
        for part in self.explore:
            real_number("explore", part, low=0, high=1)
        if self.warm_up < self.batch or self.replay < self.warm_up:
            raise ValueError(
                f"replay must be at least warm_up and warm_up at least batch, "
                f"got {self.replay}, {self.warm_up}, {self.batch}"
            )


class DuelingNetwork(torch.nn.Module):
    """Value and advantages, joined to Q-values (eq. 25).

    Parameters
    ----------
    inputs, actions : int
        Numbers of an observation, and actions to choose from.
    hidden : int
        Units of each of the two hidden layers.

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    References
    ----------
    Z. Wang et al., "Dueling network architectures for deep reinforcement learning", 2016, equation (9).
    """

    @checked
    def __init__(self, inputs: int, actions: int, hidden: int = 256) -> None:
        for name, size in (("inputs", inputs), ("actions", actions), ("hidden", hidden)):
            positive_integer(name, size)
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, hidden), torch.nn.ReLU()
        )
        self.value, self.advantage = torch.nn.Linear(hidden, 1), torch.nn.Linear(hidden, actions)

    @checked
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Q-values of observations.

        Parameters
        ----------
        x : torch.Tensor, ``[batch, inputs]``
            Observations.

        Returns
        -------
        torch.Tensor, ``[batch, actions]``
            Discounted sums of rewards.

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        x = _observations("x", x, self.body[0])
        features = self.body(x)
        advantage = self.advantage(features)
        return self.value(features) + advantage - advantage.mean(-1, keepdim=True)


@torch.no_grad()
@checked(shapes={"r": "n", "ended": "n", "x_next": "n inputs"})
def double_target(
    network: torch.nn.Module,
    target: torch.nn.Module,
    r: torch.Tensor,
    x_next: torch.Tensor,
    ended: torch.Tensor,
    discount: float,
) -> torch.Tensor:
    """What Q should have been, y = r + λ Q̄(x', argmax Q(x', ·)), and r alone where the episode ended (eq. 26).

    Parameters
    ----------
    network, target : torch.nn.Module
        The one that learns, which chooses the next action, and its slower copy, which says what that is worth.
    r : torch.Tensor, ``[batch]``
        Rewards.
    x_next : torch.Tensor, ``[batch, inputs]``
        Next observations.
    ended : torch.Tensor, ``[batch]``
        1 where the episode ended, 0 elsewhere.
    discount : float
        λ.

    Returns
    -------
    torch.Tensor, ``[batch]``
        Without a gradient.

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    References
    ----------
    H. van Hasselt, A. Guez, D. Silver, "Deep reinforcement learning with double Q-learning", 2016, equation (4).
    """
    x_next = _observations("x_next", x_next, network)
    best = network(x_next).argmax(-1, keepdim=True)
    return r + discount * (1 - ended) * target(x_next).gather(-1, best).squeeze(-1)


@checked
def train_d3qn(
    env: gymnasium.Env,
    episodes: int,
    seed: int,
    settings: D3qnSettings = D3qnSettings(),
    observer: Callable[[int, DuelingNetwork], None] | None = None,
) -> tuple[DuelingNetwork, np.ndarray]:
    """Learn to act.

    Parameters
    ----------
    env : gymnasium.Env
        With observations ``[inputs]`` and discrete actions.
    episodes : int
        How many to play.
    seed : int
        Of the network, the exploration, the replay and the environment.
    settings : D3qnSettings
        How to learn.
    observer : callable, optional
        Called as ``observer(episodes done, network)`` after each episode.

    Returns
    -------
    network : DuelingNetwork
        As it is after the last episode.
    returns : numpy.ndarray
        Sum of the rewards of each episode, ``[episodes]``, exploration included.

    Raises
    ------
    ValueError
        If ``env`` has no discrete actions or no observations ``[inputs]``, or ``episodes`` or ``seed`` is no such
        number.
    """
    positive_integer("episodes", episodes)
    positive_integer("seed", seed, low=0)
    if not isinstance(env.action_space, gymnasium.spaces.Discrete):
        raise ValueError(f"env must have discrete actions, got {env.action_space}")
    rng = np.random.default_rng(seed)
    if env.observation_space.shape is None or len(env.observation_space.shape) != 1:
        raise ValueError(f"env must have observations of one axis, got {env.observation_space}")
    inputs, actions = env.observation_space.shape[0], int(env.action_space.n)
    with torch.random.fork_rng():  # the weights follow the seed; the caller's generator stays as it was
        torch.manual_seed(seed)
        network = DuelingNetwork(inputs, actions, settings.hidden)
    target = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.rate)
    replay, returns, seen, steps = Replay(settings.replay, inputs), np.zeros(episodes), 0, 0
    start, end, share = settings.explore
    x, _ = env.reset(seed=seed)
    for episode in range(episodes):
        gone = min(episode / max(share * episodes, 1), 1.0)
        epsilon = start + (end - start) * gone
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * (1 + (settings.calm - 1) * gone)
        ended = cut = False
        while not (ended or cut):
            explores = rng.random() < epsilon
            a = int(rng.integers(actions)) if explores else int(greedy(network, x[None])[0])
            x_next, r, ended, cut, _ = env.step(a)
            replay.add(x[None], [a], [float(r)], x_next[None], [ended])
            returns[episode] += r
            x = x_next
            seen += 1
            if seen >= settings.warm_up and seen % settings.every == 0:
                x_b, a_b, r_b, next_b, ended_b = replay.take(rng.integers(replay.size, size=settings.batch))
                y = r_b  # without a discount, what comes next counts for nothing and need not be computed
                if settings.discount > 0:
                    chooser = network if settings.double else target
                    y = double_target(chooser, target, r_b, next_b, ended_b, settings.discount)
                q = network(x_b).gather(-1, a_b[:, None]).squeeze(-1)
                optimiser.zero_grad()
                torch.nn.functional.smooth_l1_loss(q, y).backward()  # descends: the sign that (27) lacks
                optimiser.step()
                steps += 1
                if steps % settings.update_target == 0:  # the line that Algorithm 1 lacks
                    target.load_state_dict(network.state_dict())
        if observer is not None:
            observer(episode + 1, network)
        x, _ = env.reset()
    return network, returns


@torch.no_grad()
@checked
def greedy(network: torch.nn.Module, observations: np.ndarray) -> np.ndarray:
    """Action of the largest Q for each observation.

    Parameters
    ----------
    network : torch.nn.Module
        Maps observations to Q-values.
    observations : numpy.ndarray, ``[batch, inputs]``
        What was seen.

    Returns
    -------
    numpy.ndarray of int, ``[batch]``
        Indices of actions.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    seen = torch.from_numpy(np.array(observations, dtype=np.float32))  # a copy: a view may run backwards
    return network(_observations("observations", seen, network)).argmax(-1).numpy()


def _observations(name: str, x: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
    """Observations in the kind of numbers, and with as many of them, as the network takes."""
    first = next((layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)), None)
    if first is None:  # another kind of network: its own to check
        return x
    if not x.ndim or x.shape[-1] != first.in_features:
        raise ValueError(f"{name} must be of shape [batch, {first.in_features}], got {list(x.shape)}")
    return x.to(first.weight.dtype)
