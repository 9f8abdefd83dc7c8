"""Five questions that a receiver may ask of a picture, and what answers them on the bench.

==========  ==============================================  =====================================================
question    asks                                            answered by
==========  ==============================================  =====================================================
things      are the right things there?                     the judge finds what it finds in the sender's picture
place       do they stand in the right place?               overlap of boxes (IoU) with those found there
same        is it the same one?                             the judge of identity finds the subject, of thirty
picture     is it the same picture?                         SSIM (and PSNR beside it)
alike       is it alike?                                    cosine of the mini CLIP's vectors of both pictures
==========  ==============================================  =====================================================

Judge, identity and CLIP are networks of this book, and err. The judge often takes the colour of a pattern for that of
the thing, so it is asked whether it sees *the same* in both pictures, and how often that is the truth is told beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked
from semcom_utils.papers.aigc_scm.alignment import box_overlaps
from semcom_utils.papers.aigc_scm.channel import psnr_db
from semcom_utils.papers.aigc_scm.schemes import SPARE
from semcom_utils.pictures import picture_numbers

__all__ = ["FEATURES", "QUESTIONS", "UNITS", "Asked", "features"]

#: Question -> what it asks, in a few words.
QUESTIONS = {
    "things": "the right things?",
    "place": "in the right place?",
    "same": "the same one?",
    "picture": "the same picture?",
    "alike": "alike?",
}
#: Everything that is measured, and the unit of a stored whole number.
UNITS = {"things": 1.0, "place": 0.01, "same": 1.0, "picture": 0.001, "alike": 0.001, "psnr": 0.1}
#: What a sender knows of a picture before anything is drawn, for a chooser.
FEATURES = ("detections", "least score", "labels agree", "JPEG bytes", "edges", "colourfulness", "with subject seen")


@lru_cache(maxsize=1)
def _named() -> dict[str, Any]:
    from semcom_utils.generation import Judge, load

    named = {role: load(role, device="cpu") for role in ("captioner", "clip", "identity")}
    return named | {"judge": Judge(load("detector", device="cpu"))}


class Asked:
    """The sender's pictures, about which questions are asked.

    Parameters
    ----------
    scenes : sequence of Scene
    numbers : sequence of int or None
        Of the subject that each shows; None for one that shows none.

    Raises
    ------
    ValueError
        If there are not as many numbers as scenes, a scene is none, or there is no subject of such a number.
    """

    @checked
    def __init__(self, scenes: Sequence[Any], numbers: Sequence[int | None]) -> None:
        if len(scenes) != len(numbers) or not len(scenes):
            raise ValueError(f"numbers must be one for each of {len(scenes)} scenes, got {len(numbers)}")
        if not all(isinstance(scene, toyworld.Scene) for scene in scenes):
            raise ValueError(f"scenes must be of Scene, got {scenes!r:.80}")
        for number in numbers:
            if number is not None and not 0 <= number < toyworld.SUBJECTS:
                raise ValueError(f"numbers must be 0 to {toyworld.SUBJECTS - 1} or None, got {number}")
        self.scenes, self.numbers = list(scenes), list(numbers)
        self.pictures = np.stack([scene.image for scene in scenes]).astype(np.float32)
        self._vectors = np.asarray(_named()["clip"].images(self.pictures))
        # On a picture in which the judge is sure of nothing, the likeliest is taken, as the schemes with boxes do.
        judge = _named()["judge"]
        sure, unsure = judge(self.pictures), judge(self.pictures, SPARE[1])
        self.known = [some or few[:1] for some, few in zip(sure, unsure, strict=True)]

    @property
    def truly(self) -> np.ndarray:
        """Whether the judge sees in the sender's pictures what is there, ``[scenes]``."""
        pairs = zip(self.known, self.scenes, strict=True)
        return np.array([_found(known) == sorted(scene.labels) for known, scene in pairs])

    @checked
    def answer(self, pictures: Any) -> dict[str, np.ndarray]:
        """What is to be said of pictures that should show these scenes.

        Parameters
        ----------
        pictures : array_like
            ``[scenes, 3, 64, 64]`` in [0, 1].

        Returns
        -------
        dict of str to numpy.ndarray
            Each of :data:`UNITS`, ``[scenes]``; ``same`` is NaN where there is no subject.

        Raises
        ------
        ValueError
            If there is not one picture for each scene.
        """
        from skimage.metrics import structural_similarity

        made = picture_numbers("pictures", pictures).astype(np.float32)
        if made.shape != self.pictures.shape:
            raise ValueError(f"pictures must be of shape {list(self.pictures.shape)}, got {list(made.shape)}")
        named = _named()
        found = named["judge"](made)
        answers: dict[str, list[float]] = {
            "things": [float(_found(part) == _found(own)) for part, own in zip(found, self.known, strict=True)],
            "place": [_overlap(part, own) for part, own in zip(found, self.known, strict=True)],
            "same": self._same(made, found),
            "picture": [
                float(structural_similarity(a, b, channel_axis=0, data_range=1.0))
                for a, b in zip(self.pictures, made, strict=True)
            ],
            "alike": (self._vectors * np.asarray(named["clip"].images(made))).sum(1).tolist(),
            "psnr": [psnr_db(a, b) for a, b in zip(self.pictures, made, strict=True)],
        }
        return {name: np.array(answers[name], float) for name in UNITS}

    def _same(self, made: np.ndarray, found: Sequence[Sequence[Any]]) -> list[float]:
        """Whether some box holds what the judge of identity takes for the subject; without a box, the whole picture."""
        import torch

        boxes = [[_share(one.box) for one in part] or [np.array([0.0, 0.0, 1.0, 1.0])] for part in found]
        rows = [k for k, part in enumerate(boxes) for _ in part]
        told = _named()["identity"](torch.from_numpy(made[rows]), np.concatenate(boxes).reshape(-1, 4)).argmax(1)
        return [
            np.nan
            if number is None
            else float(any(int(one) == number for one, row in zip(told, rows, strict=True) if row == k))
            for k, number in enumerate(self.numbers)
        ]


def _found(part: Sequence[Any]) -> list[str]:
    return sorted(one.label for one in part)


def _overlap(part: Sequence[Any], own: Sequence[Any]) -> float:
    """Overlap of what is found with what the sender's picture has of the same kinds; 1 where that has nothing."""
    return box_overlaps(part, [one.label for one in own], [one.box for one in own]) if own else 1.0


def _share(box: Any) -> np.ndarray:
    """A box of pixels in shares of the picture, with an area."""
    left, top, right, bottom = np.clip(np.asarray(box, float) / toyworld.SIZE, 0, 1)
    return np.array([min(left, 0.99), min(top, 0.99), max(right, left + 0.01), max(bottom, top + 0.01)])


@checked
def features(pictures: Any) -> np.ndarray:
    """What a sender can tell of its pictures at once.

    Parameters
    ----------
    pictures : array_like
        ``[pictures, 3, 64, 64]`` in [0, 1].

    Returns
    -------
    numpy.ndarray
        ``[pictures, features]``, in the order of :data:`FEATURES`: how many things the judge finds, the score of the
        least sure, whether captioner and judge name the same things, bytes of the picture as JPEG, share of edge
        pixels, mean saturation, and whether a pattern is named in the caption.

    Raises
    ------
    ValueError
        If ``pictures`` are none.
    """
    from semcom_utils.papers.aigc_scm.alignment import saturation
    from semcom_utils.semantic.codecs import jpeg
    from semcom_utils.toyworld.maps import canny

    images = picture_numbers("pictures", pictures).astype(np.float32)
    if images.ndim != 4 or not len(images) or images.shape[1:] != (3, toyworld.SIZE, toyworld.SIZE):
        raise ValueError(f"pictures must be [pictures, 3, 64, 64], got {list(images.shape)}")
    named = _named()
    rows = []
    for image, found, said in zip(images, named["judge"](images), named["captioner"](images), strict=True):
        labels = sorted(one.label for one in found)
        rows.append(
            [
                len(found),
                min((one.score for one in found), default=0.0),
                float(_labels(said) == labels),
                len(jpeg(image.transpose(1, 2, 0), 50, optimise=False)),
                float(np.mean(canny(image))),
                saturation(image),
                float(any(pattern in said for pattern in toyworld.PATTERNS)),
            ]
        )
    return np.array(rows, float)


def _labels(caption: str) -> list[str]:
    """What a caption names, as the judge names it; nothing of one that is not of the grammar."""
    try:
        return sorted(f"{thing.colour} {thing.kind}" for thing in toyworld.parse_caption(caption).things)
    except ValueError:
        return []
