r"""One option for each of several services on one budget of bits, as an environment: a bandit with a context.

A decision is one option a service. It earns what a picture drawn at random then is worth, so that rewards scatter as
pictures do; the next decision does not depend on it, so an episode is one decision long. Without a budget the sum falls
apart into services, and each takes its own best; a budget makes it the knapsack of
:mod:`semcom_utils.control.knapsack`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, finite_array, one_of, positive_integer, real_number
from semcom_utils.control.knapsack import ENUMERABLE
from semcom_utils.physical.limits import capacity_awgn

__all__ = ["OVER_BUDGET", "JointChoiceEnv", "bit_budget", "joint_values", "variance_split"]

#: What a choice above the budget earns: nothing, or less the more it is above.
OVER_BUDGET = ("nothing", "penalty")


@checked
def bit_budget(uses: int, snr_db: float) -> int:
    r"""Bits that so many channel uses can carry, :math:`B = \lfloor n \log_2(1 + \mathrm{SNR}) \rfloor`.

    Parameters
    ----------
    uses : int
        n, complex channel uses for all services together.
    snr_db : float
        Es/N0 in dB of the channel with white noise.

    Returns
    -------
    int
        Whole bits. No code does better; a real one brings a share of it.

    Raises
    ------
    ValueError
        If ``uses`` is no positive whole number or ``snr_db`` no number.

    Examples
    --------
    >>> bit_budget(1000, 0.0)
    1000
    """
    return int(positive_integer("uses", uses) * float(capacity_awgn(real_number("snr_db", snr_db))) + 1e-9)


class JointChoiceEnv(gymnasium.Env):
    """Options for several services at once; each episode is one decision about one picture.

    The reward is the services' mean quality of the picture drawn if the bits keep the budget. Above it ``over_budget``
    says what is earned: "nothing" is a frame that comes too late, 0; "penalty" takes away the excess as a share of the
    budget, down to -1, which tells a learner by how much it was wrong. Both leave the best choice where it is, as long
    as no quality is below 0. Sending the services in turn until the budget is spent would not: dropping one of them
    could then pay.

    Parameters
    ----------
    quality : array_like, ``[draws, services, options]``
        In [0, 1]; a draw is a picture.
    bits : array_like of int, ``[services, options]``
        What an option costs.
    budget : int, sequence of int, or None
        Bits for all services together; of several, one is drawn for each episode; None is no limit.
    flat : bool
        Whether an action is one number, in row-major order (the last service's option changes first), as DQN wants
        it, or an option for each service.
    over_budget : {"nothing", "penalty"}
        See above.

    Attributes
    ----------
    services, options : int
        Their numbers.
    budgets : tuple of int
        From which each episode draws; empty without a limit.

    Raises
    ------
    ValueError
        If an argument is not as described, a budget is below the cheapest choice, or there are too many joint actions
        for one number.

    Notes
    -----
    The observation is one number, the budget over the bits of the dearest choice, at most 1. With a single budget it
    is constant, and the agent faces a bandit; with several, one network has to serve them all.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    @checked
    def __init__(
        self,
        quality: ArrayLike,
        bits: ArrayLike,
        budget: int | Sequence[int] | None,
        *,
        flat: bool = False,
        over_budget: str = "nothing",
    ) -> None:
        self.quality, self.bits = _tables(quality, bits)
        _, self.services, self.options = self.quality.shape
        self.over_budget = one_of("over_budget", over_budget, OVER_BUDGET)
        budgets = () if budget is None else (budget,) if np.ndim(budget) == 0 else tuple(budget)  # type: ignore[arg-type]
        if budget is not None and not budgets:
            raise ValueError("budget must be a number, several of them, or None, got an empty sequence")
        cheapest = int(self.bits.min(1).sum())
        self.budgets = tuple(positive_integer("budget", each) for each in budgets)
        if self.budgets and min(self.budgets) < cheapest:
            raise ValueError(f"budget must be at least {cheapest}, the bits of the cheapest choice, got {budget}")
        if flat and self.options**self.services > 2**31:
            raise ValueError(
                f"flat must be False for so many joint actions, {self.options}^{self.services}: none of them would be "
                f"tried twice"
            )
        self.flat, self._rows = flat, np.arange(self.services)
        self.observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
        self.action_space: gymnasium.Space = (
            gymnasium.spaces.Discrete(self.options**self.services)
            if flat
            else gymnasium.spaces.MultiDiscrete([self.options] * self.services)
        )
        self._budget: int | None = None
        self._ready = False

    @checked
    def observation(self, budget: int | None) -> np.ndarray:
        """What an agent sees under a budget.

        Parameters
        ----------
        budget : int or None
            Bits, or no limit.

        Returns
        -------
        numpy.ndarray of float32, ``[1]``
            Its share of the bits of the dearest choice, at most 1.

        Raises
        ------
        ValueError
            If ``budget`` is no whole number.
        """
        share = 1.0 if budget is None else min(1.0, budget / max(int(self.bits.max(1).sum()), 1))
        return np.array([share], np.float32)

    @checked
    def choice(self, action: int | np.ndarray) -> np.ndarray:
        """The options that an action stands for.

        Parameters
        ----------
        action : int or array_like of int
            As ``action_space`` has it.

        Returns
        -------
        numpy.ndarray of int, ``[services]``
            Indices of options.

        Raises
        ------
        ValueError
            If it is no such action.
        """
        given = np.asarray(action)
        if given.dtype.kind not in "iu" or given.shape != (() if self.flat else (self.services,)):
            raise ValueError(f"action must be of {self.action_space}, got {action!r}")
        below = self.options**self.services if self.flat else self.options
        if (given < 0).any() or (given >= below).any():
            raise ValueError(f"action must be of {self.action_space}, got {action!r}")
        if self.flat:
            return np.array(np.unravel_index(int(given), (self.options,) * self.services))
        return given

    @checked
    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=None if seed is None else positive_integer("seed", seed, low=0))
        self._budget = self.budgets[self.np_random.integers(len(self.budgets))] if self.budgets else None
        self._ready = True
        return self.observation(self._budget), {}

    @checked
    def step(self, action: int | np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Send a picture's maps with these options.

        Parameters
        ----------
        action : int or array_like of int
            As ``action_space`` has it.

        Returns
        -------
        observation : numpy.ndarray of float32, ``[1]``
            As before: nothing follows.
        reward : float
            Mean quality of the services, or what is earned above the budget.
        terminated, truncated : bool
            True, and False: an episode is one decision.
        info : dict
            ``loss``, 1 less the mean quality, whether the bits fit or not; ``bits`` sent; ``late``, whether they are
            above the budget.

        Raises
        ------
        RuntimeError
            If the episode has ended or none has begun.
        ValueError
            If ``action`` is none.
        """
        if not self._ready:
            raise RuntimeError("reset() comes before step()")
        choice = self.choice(action)
        self._ready = False
        draw = self.np_random.integers(len(self.quality))
        worth = float(self.quality[draw, self._rows, choice].mean())
        sent = int(self.bits[self._rows, choice].sum())
        late = self._budget is not None and sent > self._budget
        reward = _earned(worth, sent, self._budget, self.over_budget) if late else worth
        return self.observation(self._budget), float(reward), True, False, {
            "loss": 1 - worth, "bits": sent, "late": late
        }  # fmt: skip


@checked
def joint_values(
    quality: ArrayLike, bits: ArrayLike, budget: int | None, *, over_budget: str = "nothing"
) -> np.ndarray:
    """What every joint choice earns with every picture, by enumeration.

    Parameters
    ----------
    quality, bits, over_budget
        As for :class:`JointChoiceEnv`.
    budget : int or None
        Bits, or no limit.

    Returns
    -------
    numpy.ndarray, ``[draws, options ** services]``
        Rewards, joint choices in the order of the flat actions.

    Raises
    ------
    ValueError
        If an argument is not as described, or there are more joint choices than can be enumerated.
    """
    q, b = _tables(quality, bits)
    one_of("over_budget", over_budget, OVER_BUDGET)
    draws, services, options = q.shape
    if options**services > ENUMERABLE:
        raise ValueError(f"quality must have at most {ENUMERABLE} joint choices, got {options}^{services}")
    worth, sent = np.zeros((draws, 1)), np.zeros(1, np.int64)
    for s in range(services):
        worth = (worth[:, :, None] + q[:, s, None, :] / services).reshape(draws, -1)
        sent = (sent[:, None] + b[s]).ravel()
    if budget is None:
        return worth
    budget = positive_integer("budget", budget)
    return np.where(sent <= budget, worth, _earned(worth, sent, budget, over_budget))


@checked
def variance_split(
    quality: ArrayLike,
    bits: ArrayLike,
    budget: int | None,
    choice: ArrayLike,
    explore: float,
    *,
    over_budget: str = "nothing",
) -> dict[str, float]:
    r"""Where the reward's variance between episodes comes from, exactly, by the law of total variance.

    .. math:: \operatorname{Var} r = \underbrace{E\,\operatorname{Var}(r \mid a)}_{\text{pictures}}
              + \underbrace{E\,\operatorname{Var}(E[r \mid a] \mid \ell)}_{\text{options}}
              + \underbrace{\operatorname{Var} E[r \mid \ell]}_{\text{late}}

    with a the joint choice, which is ``choice`` or, with probability ε, any of all, and ℓ whether it is too dear.

    Parameters
    ----------
    quality, bits, budget, over_budget
        As for :func:`joint_values`.
    choice : array_like of int, ``[services]``
        What the policy does when it does not explore.
    explore : float
        ε, the share of episodes whose joint choice is drawn from all, each as likely.

    Returns
    -------
    dict of str to float
        ``pictures``, ``options``, ``late`` and their sum ``total``.

    Raises
    ------
    ValueError
        If an argument is not as described.
    """
    q, b = _tables(quality, bits)
    epsilon = real_number("explore", explore, low=0, high=1)
    chosen = np.asarray(choice)
    if (
        chosen.shape != q.shape[1:2]
        or chosen.dtype.kind not in "iu"
        or (chosen < 0).any()
        or (chosen >= q.shape[2]).any()
    ):
        raise ValueError(f"choice must be an option for each of {q.shape[1]} services, got {choice!r}")
    values = joint_values(q, b, budget, over_budget=over_budget)
    p = np.full(values.shape[1], epsilon / values.shape[1])
    p[np.ravel_multi_index(tuple(chosen), (q.shape[2],) * q.shape[1])] += 1 - epsilon
    mean = values.mean(0)
    sent = np.zeros(1, np.int64)
    for s in range(q.shape[1]):
        sent = (sent[:, None] + b[s]).ravel()
    late = np.zeros(len(p), bool) if budget is None else sent > budget
    overall, between, within = float(p @ mean), 0.0, 0.0
    for part in (late, ~late):
        share = float(p[part].sum())
        if share:
            its_mean = float(p[part] @ mean[part]) / share
            between += share * (its_mean - overall) ** 2
            within += float(p[part] @ (mean[part] - its_mean) ** 2)
    pictures = float(p @ values.var(0))
    return {"pictures": pictures, "options": within, "late": between, "total": pictures + within + between}


def _earned(worth: Any, sent: Any, budget: int | None, over_budget: str) -> Any:
    """The reward above the budget."""
    if over_budget == "nothing" or budget is None:
        return 0.0 * worth
    return -np.minimum(1.0, (sent - budget) / budget)


def _tables(quality: ArrayLike, bits: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    q, b = finite_array("quality", quality, low=0), finite_array("bits", bits, low=0)
    if q.ndim != 3 or not q.size:
        raise ValueError(f"quality must be [draws, services, options], got shape {q.shape}")
    if q.max() > 1:
        raise ValueError(f"quality must be in [0, 1], got {q.max():g}")
    if b.shape != q.shape[1:]:
        raise ValueError(f"bits must have the shape of one draw's quality, {q.shape[1:]}, got {b.shape}")
    if np.any(b != np.round(b)):
        raise ValueError("bits must be whole numbers")
    return q, b.astype(np.int64)
