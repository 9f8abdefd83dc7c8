r"""Q-learning with a head for each service (Tavakoli et al., 2018), for joint actions too many to list.

A flat Q-network has one output for each joint action, :math:`m^n` of them for n services with m options. A branching
one has :math:`n m`: a body in common, and for each service a head
:math:`Q_s(x, c) = V(x) + A_s(x, c) - \tfrac{1}{m} \sum_{c'} A_s(x, c')`. Two rules train it:

- "common": every head is drawn to the same target, :math:`y = r + \gamma \tfrac{1}{n} \sum_s \bar Q_s(x', c'_s)` (their
  equations 5 and 6). A head learns what its option earns *with what the others happen to do*.
- "additive": the mean of the heads is, :math:`\tfrac{1}{n} \sum_s Q_s(x, c_s) \to y` (value decomposition, Sunehag et
  al., 2018). A head learns its service's own part, if the reward is such a sum.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch

from semcom_utils.checks import checked, one_of, positive_integer
from semcom_utils.control.d3qn import D3qnSettings
from semcom_utils.control.replay import Replay

__all__ = ["RULES", "BranchingNetwork", "head_values", "independent", "train_branching"]

RULES = ("common", "additive")


class BranchingNetwork(torch.nn.Module):
    """A body in common, a value, and a head of advantages for each service.

    Parameters
    ----------
    inputs, services, options : int
        Numbers of an observation, of heads, and of options of each.
    hidden : int
        Units of each of the two hidden layers.

    Raises
    ------
    ValueError
        If a number is none of at least 1.

    References
    ----------
    A. Tavakoli, F. Pardo, P. Kormushev, "Action branching architectures for deep reinforcement learning", 2018.
    """

    @checked
    def __init__(self, inputs: int, services: int, options: int, hidden: int = 64) -> None:
        super().__init__()
        self.inputs = inputs
        for name, size in (("inputs", inputs), ("hidden", hidden)):
            positive_integer(name, size)
        self.shape = (positive_integer("services", services), positive_integer("options", options))
        self.body = torch.nn.Sequential(
            torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, hidden), torch.nn.ReLU()
        )
        self.value, self.advantage = torch.nn.Linear(hidden, 1), torch.nn.Linear(hidden, services * options)

    @checked
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Q-values of observations.

        Parameters
        ----------
        x : torch.Tensor, ``[batch, inputs]``
            Observations.

        Returns
        -------
        torch.Tensor, ``[batch, services, options]``
            One value for each option of each service.

        Raises
        ------
        ValueError
            If ``x`` does not hold ``inputs`` numbers a row.
        """
        if not x.ndim or x.shape[-1] != self.inputs:
            raise ValueError(f"x must be of shape [batch, {self.inputs}], got {list(x.shape)}")
        x = x.to(self.value.weight.dtype)
        features = self.body(x)
        advantage = self.advantage(features).unflatten(-1, self.shape)
        return self.value(features).unsqueeze(-1) + advantage - advantage.mean(-1, keepdim=True)


@checked(shapes={"values": "services+ options+"})
def independent(values: np.ndarray, observation: Any = None) -> np.ndarray:
    """Each head's best, whatever the others do.

    Parameters
    ----------
    values : numpy.ndarray, ``[services, options]``
        The heads' values.
    observation : object, optional
        Not used.

    Returns
    -------
    numpy.ndarray of int, ``[services]``
        Indices of options.

    Raises
    ------
    ValueError
        If ``values`` are not of that shape.
    """
    return values.argmax(-1)


@torch.no_grad()
@checked
def head_values(network: BranchingNetwork, observation: np.ndarray) -> np.ndarray:
    """The heads' values of one observation.

    Parameters
    ----------
    network : BranchingNetwork
        Trained or not.
    observation : numpy.ndarray, ``[inputs]``
        What was seen.

    Returns
    -------
    numpy.ndarray, ``[services, options]``
        Q_s(x, c).

    Raises
    ------
    ValueError
        If ``observation`` does not hold the numbers that the network takes.
    """
    seen = torch.from_numpy(np.array(observation, dtype=np.float32))  # a copy: a view may run backwards
    if seen.shape != (network.inputs,):
        raise ValueError(f"observation must be of shape [{network.inputs}], got {list(seen.shape)}")
    return network(seen[None])[0].numpy()


@checked
def train_branching(
    env: gymnasium.Env,
    episodes: int,
    seed: int,
    settings: D3qnSettings | None = None,
    *,
    rule: str = "common",
    choose: Callable[[np.ndarray, np.ndarray], np.ndarray] = independent,
    observer: Callable[[int, BranchingNetwork], None] | None = None,
) -> tuple[BranchingNetwork, np.ndarray]:
    """Learn to choose.

    Exploring, each head by itself takes random values in place of its own with probability ε, and ``choose`` does with
    them what it always does.

    Parameters
    ----------
    env : gymnasium.Env
        With observations ``[inputs]`` and an equal number of options for each service (``MultiDiscrete``).
    episodes : int
        How many to play.
    seed : int
        Of the network, the exploration, the replay and the environment.
    settings : D3qnSettings, optional
        How to learn; the agent's own defaults if None.
    rule : {"common", "additive"}
        What is drawn to the target: every head, or their mean.
    choose : callable
        Makes a choice ``[services]`` of the heads' values ``[services, options]`` and the observation. The next
        state's choice in the target is each head's best.
    observer : callable, optional
        Called as ``observer(episodes done, network)`` after each episode.

    Returns
    -------
    network : BranchingNetwork
        As it is after the last episode.
    returns : numpy.ndarray
        Sum of the rewards of each episode, ``[episodes]``, exploration included.

    Raises
    ------
    ValueError
        If the actions of ``env`` are not as described, or another argument is not.
    """
    settings = D3qnSettings() if settings is None else settings
    positive_integer("episodes", episodes)
    positive_integer("seed", seed, low=0)
    one_of("rule", rule, RULES)
    space = env.action_space
    if not isinstance(space, gymnasium.spaces.MultiDiscrete) or space.nvec.ndim != 1 or np.ptp(space.nvec):
        raise ValueError(f"env must have as many options for each service, got {space}")
    if env.observation_space.shape is None or len(env.observation_space.shape) != 1:
        raise ValueError(f"env must have observations of one axis, got {env.observation_space}")
    inputs, services, options = env.observation_space.shape[0], len(space.nvec), int(space.nvec[0])
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():  # the weights follow the seed; the caller's generator stays as it was
        torch.manual_seed(seed)
        network = BranchingNetwork(inputs, services, options, settings.hidden)
    target = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.rate)
    replay, returns, seen, steps = Replay(settings.replay, inputs, services), np.zeros(episodes), 0, 0
    start, end, share = settings.explore
    x, _ = env.reset(seed=seed)
    for episode in range(episodes):
        gone = min(episode / max(share * episodes, 1), 1.0)
        epsilon = start + (end - start) * gone
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * (1 + (settings.calm - 1) * gone)
        ended = cut = False
        while not (ended or cut):
            values = head_values(network, x)
            explores = rng.random(services) < epsilon
            if explores.any():
                low, high = values.min(), values.max()
                values[explores] = rng.uniform(low, high, (int(explores.sum()), options))
            a = choose(values, x)
            x_next, r, ended, cut, _ = env.step(a)
            replay.add(x[None], a[None], [float(r)], x_next[None], [ended])
            returns[episode] += float(r)
            x = x_next
            seen += 1
            if seen >= settings.warm_up and seen % settings.every == 0:
                batch = replay.take(rng.integers(replay.size, size=settings.batch))
                optimiser.zero_grad()
                _loss(network, target, batch, settings.discount, rule).backward()
                optimiser.step()
                steps += 1
                if steps % settings.update_target == 0:
                    target.load_state_dict(network.state_dict())
        if observer is not None:
            observer(episode + 1, network)
        x, _ = env.reset()
    return network, returns


def _loss(
    network: BranchingNetwork,
    target: BranchingNetwork,
    batch: tuple[torch.Tensor, ...],
    discount: float,
    rule: str,
) -> torch.Tensor:
    x, a, r, x_next, ended = batch
    y = r
    if discount > 0:
        with torch.no_grad():  # the network chooses what is next, its slower copy says what that is worth
            best = network(x_next).argmax(-1, keepdim=True)
            y = r + discount * (1 - ended) * target(x_next).gather(-1, best).squeeze(-1).mean(-1)
    q = network(x).gather(-1, a.long().unsqueeze(-1)).squeeze(-1)
    if rule == "additive":
        return torch.nn.functional.smooth_l1_loss(q.mean(-1), y)
    return torch.nn.functional.smooth_l1_loss(q, y.unsqueeze(-1).expand_as(q))
