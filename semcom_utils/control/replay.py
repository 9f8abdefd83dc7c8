"""The memory of an off-policy learner: a ring of transitions, from which it draws again and again."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, positive_integer

__all__ = ["Replay"]


class Replay:
    """The last ``capacity`` transitions (o, x, r, o', done).

    Which of them a learner draws is its own affair, with its own generator: :meth:`take` is given their rows.

    Parameters
    ----------
    capacity : int
        Transitions that it holds; then the oldest make room.
    observation_size : int
        Numbers of an observation.
    action_size : int, optional
        Numbers of an action; without it an action is the index of a discrete one.

    Attributes
    ----------
    size : int
        Transitions that it holds now.

    Raises
    ------
    ValueError
        If a size is no positive whole number.

    Examples
    --------
    >>> replay = Replay(capacity=2, observation_size=1)
    >>> for k in range(3):
    ...     replay.add([[k]], [k], [0.1 * k], [[k + 1]], [False])
    >>> replay.take(np.arange(replay.size))[1]  # of three actions the first is forgotten
    tensor([2, 1])
    """

    @checked
    def __init__(self, capacity: int, observation_size: int, action_size: int | None = None) -> None:
        self.capacity, self.size, self._position = positive_integer("capacity", capacity), 0, 0
        wide = (self.capacity, positive_integer("observation_size", observation_size))
        action = np.empty(self.capacity, np.int64)
        if action_size is not None:
            action = np.empty((self.capacity, positive_integer("action_size", action_size)), np.float32)
        reward, done = (np.empty(self.capacity, np.float32) for _ in range(2))
        self._columns: tuple[np.ndarray, ...] = (
            np.empty(wide, np.float32),
            action,
            reward,
            np.empty(wide, np.float32),
            done,
        )

    @checked(booleans=("done",))
    def add(
        self,
        observation: ArrayLike,
        action: ArrayLike,
        reward: ArrayLike,
        next_observation: ArrayLike,
        done: ArrayLike,
    ) -> None:
        """Store ``n`` transitions, in place of the oldest where the ring is full.

        Parameters
        ----------
        observation, next_observation : array_like, ``[n, observation_size]``
            Before and after.
        action : array_like, ``[n, action_size]`` or ``[n]``
            What was done.
        reward : array_like, ``[n]``
            What it earned.
        done : array_like of bool, ``[n]``
            Whether the episode ended there.

        Raises
        ------
        ValueError
            If there are more than ``capacity`` at once, or shapes do not fit.
        """
        names = ("observation", "action", "reward", "next_observation", "done")
        transition = [np.asarray(part) for part in (observation, action, reward, next_observation, done)]
        n = len(transition[0]) if transition[0].ndim else 0
        if n > self.capacity:
            raise ValueError(f"observation must hold at most capacity = {self.capacity} transitions at once, got {n}")
        for name, column, part in zip(names, self._columns, transition, strict=True):
            if part.shape != (n, *column.shape[1:]):
                raise ValueError(f"{name} must be of shape {(n, *column.shape[1:])}, got {part.shape}")
            if column.dtype == np.int64 and part.dtype.kind not in "iu":
                raise ValueError(f"{name} must be whole numbers, the indices of discrete actions, got {part.dtype}")
        rows = np.arange(self._position, self._position + n) % self.capacity
        for column, values in zip(self._columns, transition, strict=True):
            column[rows] = values
        self._position = (self._position + n) % self.capacity
        self.size = min(self.size + n, self.capacity)

    @checked
    def take(self, rows: ArrayLike) -> tuple[torch.Tensor, ...]:
        """The transitions of some rows.

        Parameters
        ----------
        rows : array_like of int, ``[m]``
            Each below ``size``; one may be named twice.

        Returns
        -------
        tuple of torch.Tensor
            Observations ``[m, observation_size]``, actions, rewards ``[m]``, next observations and done ``[m]`` (0 or
            1); float32, but for discrete actions, which are int64.

        Raises
        ------
        ValueError
            If ``rows`` are none of these.
        """
        chosen = np.asarray(rows)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or ((chosen < 0) | (chosen >= self.size)).any():
            raise ValueError(f"rows must be whole numbers below size = {self.size}, got {rows!r:.80}")
        return tuple(torch.from_numpy(column[chosen]) for column in self._columns)
