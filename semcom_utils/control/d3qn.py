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

from semcom_utils.checks import positive_integer, real_number

__all__ = ["D3qnSettings", "DuelingNetwork", "Replay", "double_target", "greedy", "train_d3qn"]


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

    def __post_init__(self):
        for name in ("hidden", "batch", "replay", "warm_up", "every", "update_target"):
            positive_integer(name, getattr(self, name))
        real_number("discount", self.discount, low=0, high=1)
        real_number("rate", self.rate, low=0, low_open=True)
        real_number("calm", self.calm, low=0, high=1)
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
    """Q-values ``[batch, actions]`` of observations ``[batch, inputs]`` (eq. 25)."""

    def __init__(self, inputs: int, actions: int, hidden: int = 256):
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, hidden), torch.nn.ReLU()
        )
        self.value, self.advantage = torch.nn.Linear(hidden, 1), torch.nn.Linear(hidden, actions)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.body(x)
        advantage = self.advantage(features)
        return self.value(features) + advantage - advantage.mean(-1, keepdim=True)


class Replay:
    """A ring of transitions (x, a, r, x', ended)."""

    def __init__(self, size: int, inputs: int):
        self.x, self.x_next = (np.zeros((size, inputs), np.float32) for _ in range(2))
        self.a, self.r, self.ended = np.zeros(size, np.int64), np.zeros(size, np.float32), np.zeros(size, np.float32)
        self.size, self.stored = size, 0

    def add(self, x, a, r, x_next, ended) -> None:
        """Store a transition, in place of the oldest if the ring is full."""
        place = self.stored % self.size
        self.x[place], self.a[place], self.r[place], self.x_next[place], self.ended[place] = x, a, r, x_next, ended
        self.stored += 1

    def draw(self, n: int, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        """Draw ``n`` of them with replacement."""
        chosen = rng.integers(min(self.stored, self.size), size=n)
        return tuple(torch.from_numpy(part[chosen]) for part in (self.x, self.a, self.r, self.x_next, self.ended))


@torch.no_grad()
def double_target(
    network: torch.nn.Module,
    target: torch.nn.Module,
    r: torch.Tensor,
    x_next: torch.Tensor,
    ended: torch.Tensor,
    discount: float,
) -> torch.Tensor:
    """What Q should have been, y = r + λ Q̄(x', argmax Q(x', ·)), and r alone where the episode ended (eq. 26)."""
    best = network(x_next).argmax(-1, keepdim=True)
    return r + discount * (1 - ended) * target(x_next).gather(-1, best).squeeze(-1)


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
    seed : int
        Of the network, the exploration, the replay and the environment.
    settings : D3qnSettings
    observer : callable, optional
        Called as ``observer(episodes done, network)`` after each episode.

    Returns
    -------
    network : DuelingNetwork
    returns : numpy.ndarray
        Sum of the rewards of each episode, ``[episodes]``, exploration included.
    """
    positive_integer("episodes", episodes)
    positive_integer("seed", seed, low=0)
    if not isinstance(env.action_space, gymnasium.spaces.Discrete):
        raise ValueError(f"env must have discrete actions, got {env.action_space}")
    rng = np.random.default_rng(seed)
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
            replay.add(x, a, r, x_next, ended)
            returns[episode] += r
            x = x_next
            seen += 1
            if seen >= settings.warm_up and seen % settings.every == 0:
                x_b, a_b, r_b, next_b, ended_b = replay.draw(settings.batch, rng)
                y = double_target(network, target, r_b, next_b, ended_b, settings.discount)
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
def greedy(network: torch.nn.Module, observations: np.ndarray) -> np.ndarray:
    """Action of the largest Q for each observation ``[batch, inputs]``."""
    return network(torch.as_tensor(np.asarray(observations, dtype=np.float32))).argmax(-1).numpy()
