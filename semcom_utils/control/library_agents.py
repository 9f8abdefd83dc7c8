"""PPO and SAC as Stable-Baselines3 has them, on environments that step many copies at once, and its DQN on one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from semcom_utils.checks import one_of, positive_integer
from semcom_utils.control.d3qn import D3qnSettings
from semcom_utils.control.diffusion_policy import BatchEnv

__all__ = ["BatchVecEnv", "library_agent", "library_dqn", "train_library_agent"]


class BatchVecEnv(VecEnv):
    """A :class:`BatchEnv` behind Stable-Baselines3's interface, without its one-process-a-copy overhead.

    Its methods are those that the interface asks for.

    Parameters
    ----------
    batch : BatchEnv
        What is stepped.
    """

    def __init__(self, batch: BatchEnv) -> None:
        self.batch = batch
        seen = spaces.Box(-np.inf, np.inf, (batch.observation_size,), np.float32)
        super().__init__(batch.n, seen, spaces.Box(-1.0, 1.0, (batch.action_size,), np.float32))

    def reset(self) -> np.ndarray:
        """Begin all episodes anew.

        Returns
        -------
        numpy.ndarray of float32, ``[n, observation_size]``
            Observations.
        """
        return self.batch.reset()

    def step_async(self, actions: np.ndarray) -> None:
        """Say what to do next.

        Parameters
        ----------
        actions : numpy.ndarray, ``[n, action_size]``
            In [-1, 1].
        """
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict]]:
        """Do it.

        Returns
        -------
        tuple
            Next observations ``[n, observation_size]``, rewards ``[n]``, ended ``[n]``, and a dictionary a copy.
        """
        observation, reward, terminated, _ = self.batch.step(self._actions)
        # an ended episode's last observation is never used: nothing is bootstrapped from a terminal state
        infos = [{"terminal_observation": o} if end else {} for o, end in zip(observation, terminated, strict=True)]
        return observation, reward.astype(np.float32), terminated, infos

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the batch, once for each copy.

        Parameters
        ----------
        attr_name : str
            Its name; one that the batch lacks is None.
        indices : int or iterable of int, optional
            Which copies; all by default.

        Returns
        -------
        list
            Equal values.
        """
        return [getattr(self.batch, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refused.

        Parameters
        ----------
        attr_name, value, indices
            Not used.

        Raises
        ------
        NotImplementedError
            Always: the batch's settings are fixed when it is made.
        """
        raise NotImplementedError("the batch's settings are fixed when it is made")

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Refused.

        Parameters
        ----------
        method_name, *method_args, indices, **method_kwargs
            Not used.

        Returns
        -------
        list
            Never.

        Raises
        ------
        NotImplementedError
            Always: a batch has no single environments to call.
        """
        raise NotImplementedError("a batch has no single environments to call")

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Tell that no copy is wrapped.

        Parameters
        ----------
        wrapper_class : type
            Not used.
        indices : int or iterable of int, optional
            Which copies; all by default.

        Returns
        -------
        list of bool
            All False.
        """
        return [False] * len(list(self._get_indices(indices)))


class _Observer(BaseCallback):
    def __init__(self, observer: Callable[[int, BaseAlgorithm], None]) -> None:
        super().__init__()
        self.observer = observer

    def _on_step(self) -> bool:
        self.observer(self.num_timesteps, self.model)
        return True


def library_agent(
    name: str, env: BatchEnv, seed: int, *, width: int = 128, rate: float = 3e-4, decay: bool = True, **arguments: Any
) -> BaseAlgorithm:
    """An untrained agent of Stable-Baselines3 for ``env``.

    Parameters
    ----------
    name : {"ppo", "sac"}
        Proximal policy optimisation, or soft actor-critic.
    env : BatchEnv
        What it will act in.
    seed : int
        Of its weights and its noise.
    width : int
        Width of the two hidden layers of every network, as in our own agents.
    rate : float
        Learning rate.
    decay : bool
        Whether the rate falls linearly to 1% of its start.
    **arguments
        Handed on to the agent's constructor.

    Returns
    -------
    stable_baselines3.common.base_class.BaseAlgorithm
        Untrained, on the CPU.

    Raises
    ------
    ValueError
        If ``name`` or ``width`` is none of the above.

    References
    ----------
    J. Schulman et al., "Proximal policy optimization algorithms", 2017; T. Haarnoja et al., "Soft actor-critic:
    off-policy maximum entropy deep reinforcement learning with a stochastic actor", 2018.
    """
    agent = {"ppo": PPO, "sac": SAC}[one_of("name", name, ("ppo", "sac"))]
    positive_integer("width", width)
    schedule = (lambda left: rate * max(left, 0.01)) if decay else rate
    networks = {"net_arch": [width, width], "activation_fn": torch.nn.SiLU}
    return agent(
        "MlpPolicy",
        BatchVecEnv(env),
        learning_rate=schedule,
        seed=seed,
        device="cpu",
        policy_kwargs=networks,
        **arguments,
    )


def library_dqn(env: gymnasium.Env, seed: int, settings: D3qnSettings) -> DQN:
    """An untrained DQN of Stable-Baselines3 with the sizes and schedules of :func:`~semcom_utils.control.train_d3qn`.

    Parameters
    ----------
    env : gymnasium.Env
        With discrete actions.
    seed : int
        Of its weights and its noise.
    settings : D3qnSettings
        What ours would learn with; the learning rate falls as there, on the same share of the run as ε.

    Returns
    -------
    stable_baselines3.DQN
        Untrained, on the CPU.

    Raises
    ------
    ValueError
        If ``env`` has no discrete actions or ``seed`` is no such number.

    References
    ----------
    V. Mnih et al., "Human-level control through deep reinforcement learning", 2015.
    """
    positive_integer("seed", seed, low=0)
    if not isinstance(env.action_space, spaces.Discrete):
        raise ValueError(f"env must have discrete actions, got {env.action_space}")
    start, end, share = settings.explore

    def rate(left: float) -> float:
        """The rate at a point of the run; ``left`` is the share of it to come."""
        return settings.rate * (1 + (settings.calm - 1) * min((1 - left) / share, 1.0))

    return DQN(
        "MlpPolicy",
        env,
        seed=seed,
        learning_rate=rate,
        buffer_size=settings.replay,
        learning_starts=settings.warm_up,
        batch_size=settings.batch,
        gamma=settings.discount,
        train_freq=settings.every,
        target_update_interval=settings.update_target,
        exploration_initial_eps=start,
        exploration_final_eps=end,
        exploration_fraction=share,
        policy_kwargs={"net_arch": [settings.hidden] * 2},
        device="cpu",
    )


def train_library_agent(
    agent: BaseAlgorithm,
    steps: int,
    observer: Callable[[int, BaseAlgorithm], None] | None = None,
) -> BaseAlgorithm:
    """Train an agent.

    Parameters
    ----------
    agent : BaseAlgorithm
        As :func:`library_agent` makes it.
    steps : int
        Environment steps, all copies together.
    observer : callable, optional
        Called as ``observer(environment_steps, agent)`` as they go by.

    Returns
    -------
    stable_baselines3.common.base_class.BaseAlgorithm
        The same agent, trained.

    Raises
    ------
    ValueError
        If ``steps`` is no positive whole number.
    """
    return agent.learn(positive_integer("steps", steps), callback=_Observer(observer) if observer else None)
