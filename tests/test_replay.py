"""The ring of transitions that both off-policy learners draw from."""

import numpy as np
import pytest
import torch

from semcom_utils.control.replay import Replay


def test_oldest_are_forgotten():
    replay = Replay(5, 2, 1)
    for i in range(4):
        value = torch.full((2,), float(i))
        replay.add(torch.full((2, 2), 10.0 + i), torch.full((2, 1), -float(i)), value, torch.zeros(2, 2), torch.ones(2))
    o, x, r, o_next, done = replay.take(torch.arange(replay.size))
    assert sorted(r.tolist()) == [1.0, 2.0, 2.0, 3.0, 3.0]
    assert torch.equal(o, 10 + r[:, None].expand(5, 2)) and torch.equal(x, -r[:, None])  # a row stays one transition
    assert o_next.shape == (5, 2) and done.tolist() == [1.0] * 5


def test_discrete_actions_stay_whole_numbers():
    replay = Replay(4, 1)
    for k in range(6):
        replay.add([[k]], [k], [k], [[k]], [k == 5])
    _, x, _, _, done = replay.take([0, 1, 1])
    assert x.tolist() == [4, 5, 5] and x.dtype == torch.int64 and done.tolist() == [0.0, 1.0, 1.0]


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="capacity"):
        Replay(0, 2, 1)
    with pytest.raises(ValueError, match="capacity = 3"):
        Replay(3, 2, 1).add(*(np.zeros((4, n)) for n in (2, 1, 1, 2, 1)))
