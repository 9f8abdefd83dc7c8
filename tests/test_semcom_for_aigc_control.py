"""A map controls the picture; a network whose zero convolutions are still zero controls nothing."""

import numpy as np
import pytest
import torch

from semcom_utils import toyworld
from semcom_utils.generation import load
from semcom_utils.generation.training.controlnet import silenced
from semcom_utils.papers.semcom_for_aigc.control import map_agreement

pytestmark = pytest.mark.usefixtures("one_thread")
SCENES = [toyworld.scene(seed, "combinations") for seed in range(6_000_000, 6_000_006)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["segmentation", "canny"])
def test_a_control_that_learned_nothing_scores_like_none(kind):
    """... on held-out scenes: to the bit the agreement of pictures made of the captions alone."""
    pipeline, plain = load(f"controlnet-{kind}"), load("text-to-image")
    reader = None if kind == "canny" else load(kind)
    controlled = map_agreement(pipeline, kind, SCENES, reader, steps=10)
    pipeline.controlnet = silenced(pipeline.controlnet)
    silent = map_agreement(pipeline, kind, SCENES, reader, steps=10)
    none = map_agreement(plain, kind, SCENES, reader, steps=10)
    np.testing.assert_array_equal(silent["sent"], none["sent"])
    assert controlled["sent"].mean() > none["sent"].mean() + 0.15
    assert controlled["sent"].mean() > controlled["others"].mean() + 0.3


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((None, "heat", SCENES), "kind"), ((None, "depth", SCENES[:1]), "scenes"), ((None, "depth", [1, 2]), "scenes")],
)
def test_bad_input_is_named(arguments, name):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        map_agreement(*arguments)


def test_the_number_of_steps_is_checked():
    with pytest.raises(ValueError, match="^steps must be"):
        map_agreement(None, "depth", SCENES, steps=0, generator=torch.Generator())
