"""PPO and SAC as Stable-Baselines3 has them, on environments that step many copies at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from semcom_utils.checks import one_of, positive_integer
from semcom_utils.control.diffusion_policy import BatchEnv

__all__ = ["BatchVecEnv", "library_agent", "train_library_agent"]


class BatchVecEnv(VecEnv):
    """A :class:`BatchEnv` behind Stable-Baselines3's interface, without its one-process-a-copy overhead."""

    def __init__(self, batch: BatchEnv):
        self.batch = batch
        seen = spaces.Box(-np.inf, np.inf, (batch.observation_size,), np.float32)
        super().__init__(batch.n, seen, spaces.Box(-1.0, 1.0, (batch.action_size,), np.float32))

    def reset(self):
        return self.batch.reset()

    def step_async(self, actions):
        self._actions = actions

    def step_wait(self):
        observation, reward, terminated, _ = self.batch.step(self._actions)
        # an ended episode's last observation is never used: nothing is bootstrapped from a terminal state
        infos = [{"terminal_observation": o} if end else {} for o, end in zip(observation, terminated, strict=True)]
        return observation, reward.astype(np.float32), terminated, infos

    def close(self):
        pass

    def get_attr(self, attr_name, indices=None):
        return [getattr(self.batch, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name, value, indices=None):
        raise NotImplementedError("the batch's settings are fixed when it is made")

    def env_method(self, method_name, *method_args, indices=None, **method_kwargs):
        raise NotImplementedError("a batch has no single environments to call")

    def env_is_wrapped(self, wrapper_class, indices=None):
        return [False] * len(list(self._get_indices(indices)))


class _Observer(BaseCallback):
    def __init__(self, observer: Callable[[int, BaseAlgorithm], None]):
        super().__init__()
        self.observer = observer

    def _on_step(self) -> bool:
        self.observer(self.num_timesteps, self.model)
        return True


def library_agent(
    name: str, env: BatchEnv, seed: int, *, width: int = 128, rate: float = 3e-4, decay: bool = True, **arguments
) -> BaseAlgorithm:
    """An untrained agent of Stable-Baselines3 for ``env``.

    Parameters
    ----------
    name : {"ppo", "sac"}
    width : int
        Width of the two hidden layers of every network, as in our own agents.
    rate : float
        Learning rate; with ``decay`` it falls linearly to 1% of its start.
    **arguments
        Handed on to the agent's constructor.
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


def train_library_agent(
    agent: BaseAlgorithm,
    steps: int,
    observer: Callable[[int, BaseAlgorithm], None] | None = None,
) -> BaseAlgorithm:
    """Train for ``steps`` environment steps; ``observer(environment_steps, agent)`` is called as they go by."""
    return agent.learn(positive_integer("steps", steps), callback=_Observer(observer) if observer else None)
