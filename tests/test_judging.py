"""One judge for cards, studies and chapters: its rule on detections made up by hand, and its place in the studies."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from semcom_utils import toyworld
from semcom_utils.generation import load
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


class Twice:
    """A detector's processor that has every thing claimed a second time, a little less surely."""

    def __init__(self, plain):
        self.plain = plain

    def __call__(self, **options):
        return self.plain(**options)

    def post_process_object_detection(self, *arguments, **options):
        found = self.plain.post_process_object_detection(*arguments, **options)
        for one in found:
            scores = torch.cat([one["scores"], 0.9 * one["scores"]])
            one.update(scores=scores, **{name: torch.cat([one[name], one[name]]) for name in ("labels", "boxes")})
        return found


def test_the_detector_s_class_has_the_rule(one_thread):
    """Whoever calls the detector without a judge gets one claim a thing, too, unless all are asked for."""
    scenes = [toyworld.scene(seed, textured=0.0, inside=0.0) for seed in range(4)]
    images = torch.from_numpy(np.stack([scene.image for scene in scenes])).float()
    plain = load("detector")
    twice = replace(plain, processor=Twice(plain.processor))
    assert twice(images) == plain(images) == Judge(plain)(images) == Judge(twice)(images)
    every = twice(images, same=None)
    assert [len(found) for found in every] == [2 * len(found) for found in plain(images)]
    assert Judge(twice).right(images, [scene.labels for scene in scenes]).all()
    for same in (0.0, 1.5):
        with pytest.raises(ValueError, match="^same must be"):
            plain(images, same=same)


def test_nobody_asks_a_detector_of_their_own():
    """Chapters, cards and studies open it for the judge; the rule is written down in one place."""
    root = Path(__file__).parents[1]
    sources = [
        *root.glob("notebooks/*.md"),
        *root.glob("semcom_utils/papers/**/*.py"),
        *root.glob("benchmarks/**/*.py"),
    ]
    sources += root.glob("semcom_utils/generation/training/*.py")
    for path in sources:
        text = path.read_text("utf-8")
        assert len(re.findall(r"load\(.detector", text)) == len(re.findall(r"Judge\(load\(.detector", text)), path
        assert "one_claim_each" not in text, path


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
