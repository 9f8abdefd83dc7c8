"""Counting what a network computes."""

import torch

from semcom_utils.generation.arithmetic import operations


def test_a_product_and_a_sum_are_two_operations():
    layer = torch.nn.Conv2d(3, 4, 3, padding=1)
    x = torch.zeros(1, 3, 8, 8)
    made, counted = operations(lambda: layer(x))
    assert made.shape == (1, 4, 8, 8) and counted == 2 * 4 * 64 * 3 * 9
    assert operations(lambda: 7) == (7, 0.0)


def test_attention_is_counted():
    """In one piece, as it runs on a processor, PyTorch counts nothing of it."""
    q, k = torch.zeros(1, 2, 8, 4), torch.zeros(1, 2, 16, 4)
    attend = torch.nn.functional.scaled_dot_product_attention
    assert operations(lambda: attend(q, k, k))[1] == 2 * (2 * 8 * 16 * 4) * 2
