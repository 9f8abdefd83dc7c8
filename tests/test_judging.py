"""One judge for cards, studies and chapters: its rule on detections made up by hand, and its place in the studies."""

import numpy as np
import pytest
import torch

from semcom_utils.generation.judging import Detection, Judge, box_overlap, one_claim_each

BALL = Detection("red ball", 0.9, (10.0, 10.0, 20.0, 20.0))
AGAIN = Detection("red ball", 0.6, (11.0, 10.0, 21.0, 20.0))  # nine tenths of the same thing
NAMESAKE = Detection("red ball", 0.7, (40.0, 10.0, 50.0, 20.0))  # another one
RIVAL = Detection("red cube", 0.8, (10.0, 11.0, 20.0, 21.0))  # the same thing under another name
FAINT = Detection("blue dog", 0.4, (30.0, 40.0, 40.0, 50.0))


def detector(*pictures):
    """A detector that finds what it is told to, whatever it sees."""

    def find(images, threshold):
        return [[one for one in pictures[int(image.flatten()[0])] if one.score > threshold] for image in images]

    return find


def shown(*numbers):
    return torch.tensor(numbers, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(-1, 3, 8, 8)


def test_overlap_of_boxes_by_hand():
    assert box_overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1 and box_overlap((0, 0, 1, 1), (2, 2, 3, 3)) == 0
    assert box_overlap((0, 0, 4, 2), (2, 0, 6, 2)) == pytest.approx(4 / 12)
    assert box_overlap((0, 0, 1, 1), (1, 0, 2, 1)) == 0  # a common side


def test_of_several_claims_on_a_thing_the_surest_counts():
    assert one_claim_each([AGAIN, RIVAL, NAMESAKE, BALL]) == [BALL, NAMESAKE]
    assert one_claim_each([AGAIN, BALL], same=0.95) == [BALL, AGAIN]
    assert one_claim_each([]) == []
    with pytest.raises(ValueError, match="^same must be"):
        one_claim_each([BALL], same=0.0)


def test_right_is_just_what_was_asked_for():
    judge = Judge(detector([BALL, AGAIN, FAINT], [BALL, NAMESAKE], [], [BALL, RIVAL]), batch=3)
    images = shown(0, 1, 2, 3)
    assert judge.labels(images) == [["red ball"], ["red ball", "red ball"], [], ["red ball"]]
    asked = [["red ball"], ["red ball"], [], ["red cube"]]
    np.testing.assert_array_equal(judge.right(images, asked), [True, False, True, False])
    np.testing.assert_array_equal(judge.right(images[1:2], [["red ball"] * 2]), [True])
    with pytest.raises(ValueError, match="^asked must have labels for each of 4 pictures, got 1"):
        judge.right(images, [["red ball"]])


def test_the_studies_ask_this_judge(monkeypatch):
    """A thing that is claimed twice makes no picture wrong."""
    from semcom_utils.papers.semaigc_root import pictures

    class Alike:
        def images(self, x):
            return torch.ones(len(x), 2)

        texts = images

    named = {"judge": Judge(detector([BALL, AGAIN], [RIVAL])), "clip": Alike()}
    monkeypatch.setattr(pictures, "models", lambda: named)
    images = shown(0, 1)
    told = pictures.tell(images, images, ["one", "two"], [["red ball"], ["red ball"]])
    np.testing.assert_array_equal(told["right"], [1.0, 0.0])


def test_a_batch_must_hold_something():
    with pytest.raises(ValueError, match="^batch must be"):
        Judge(detector([]), batch=0)
