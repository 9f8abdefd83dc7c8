"""Fixtures that several test files share."""

import pytest


@pytest.fixture(scope="module")
def one_thread():
    """PyTorch on one thread: two wait for each other without sleeping, for minutes beside another busy process."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
