"""The judge: who says whether a picture shows what was asked for, by one rule for cards, studies and chapters.

A detection counts from a score of :data:`THRESHOLD` on, and of several claims on one thing, boxes that overlap by
:data:`SAME` or more, only the surest counts: two things of the toy world never share half of their boxes, but a
detector may claim one thing twice. The class of ``load("detector")`` drops such claims itself; :class:`Judge` does the
same for any other detector that it is given. A picture is *right* if what is then left has just the labels that were
asked for, as often as they were, in any order and anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from semcom_utils.checks import checked, positive_integer, real_number, shown

__all__ = ["SAME", "THRESHOLD", "Detection", "Judge", "box_overlap", "one_claim_each"]

#: Score from which a detection is taken for a thing.
THRESHOLD = 0.5
#: Overlap (intersection over union) from which two claims are taken to be on one thing.
SAME = 0.5


class Detection(NamedTuple):
    """A thing that a detector found.

    Parameters
    ----------
    label : str
        Its name; for the mini detector a colour and a kind, as ``"red ball"``.
    score : float
        In [0, 1].
    box : tuple of float
        Left, top, right, bottom, in pixels.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]


@checked(shapes={"one": "4", "other": "4"})
def box_overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes.

    Parameters
    ----------
    one, other : sequence of float
        Left, top, right, bottom, in one unit.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> box_overlap((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    (left, top, right, bottom), (l_2, t_2, r_2, b_2) = one, other
    shared = max(min(right, r_2) - max(left, l_2), 0) * max(min(bottom, b_2) - max(top, t_2), 0)
    return float(shared / ((right - left) * (bottom - top) + (r_2 - l_2) * (b_2 - t_2) - shared))


@checked
def one_claim_each(claims: Sequence[Detection], same: float = SAME) -> list[Detection]:
    """Drop claims on a thing that a surer one has.

    Parameters
    ----------
    claims : sequence of Detection
        On one picture, in any order.
    same : float
        Overlap in (0, 1] from which two claims are on one thing, whatever they call it.

    Returns
    -------
    list of Detection
        The surest first.

    Raises
    ------
    ValueError
        If ``same`` is out of its range.
    """
    real_number("same", same, low=0, low_open=True, high=1)
    kept: list[Detection] = []
    for claim in sorted(claims, key=lambda claim: -claim[1]):
        if all(box_overlap(claim[2], other[2]) < same for other in kept):
            kept.append(claim)
    return kept


class Judge:
    """A detector that is asked whether pictures show what they should (the rule stands at the top of the module).

    Parameters
    ----------
    detector : callable, optional
        ``detector(images, threshold)``, as ``load("detector")`` returns it, which is the default.
    batch : int
        How many pictures it looks at together.

    Raises
    ------
    ValueError
        If ``batch`` is no positive integer.

    Examples
    --------
    >>> from semcom_utils import toyworld
    >>> scene = toyworld.scene(7, things=2, inside=0.0)
    >>> bool(Judge().right(scene.image[None], [scene.labels])[0])
    True
    """

    @checked
    def __init__(self, detector: Callable[..., list[list[Detection]]] | None = None, batch: int = 128) -> None:
        if detector is None:
            from .loading import load

            detector = load("detector")
        self.detector, self.batch = detector, positive_integer("batch", batch)

    @checked
    def __call__(self, images: Any, threshold: float = THRESHOLD) -> list[list[Detection]]:
        """What is on each picture, one claim a thing, the surest first; images as the detector takes them."""
        if isinstance(images, set | frozenset | Mapping) or getattr(images, "shape", None) == ():
            raise ValueError(f"images must be a batch of pictures, got {shown(images)}")
        images = images if hasattr(images, "__len__") else [images]
        return [
            one_claim_each(found)
            for start in range(0, len(images), self.batch)
            for found in self.detector(images[start : start + self.batch], threshold)
        ]

    def labels(self, images: Any) -> list[list[str]]:
        """Names of the things on each picture, in the order of the alphabet.

        Parameters
        ----------
        images : torch.Tensor, numpy.ndarray or sequence of PIL.Image.Image
            ``[batch, 3, rows, columns]`` in [0, 1], or pictures of one size.

        Returns
        -------
        list of list of str
            One list a picture; a name stands in it as often as there are such things.
        """
        return [sorted(thing.label for thing in found) for found in self(images)]

    @checked
    def right(self, images: Any, asked: Sequence[Sequence[str]]) -> np.ndarray:
        """Whether each picture shows just the things that were asked for.

        Parameters
        ----------
        images : torch.Tensor, numpy.ndarray or sequence of PIL.Image.Image
            As for :meth:`labels`.
        asked : sequence of sequence of str
            Labels for each picture, in any order.

        Returns
        -------
        numpy.ndarray
            Bool ``[batch]``.

        Raises
        ------
        ValueError
            If there are not as many lists of labels as pictures.
        """
        found = self.labels(images)
        if len(found) != len(asked):
            raise ValueError(f"asked must have labels for each of {len(found)} pictures, got {len(asked)} lists")
        return np.array([names == sorted(wanted) for names, wanted in zip(found, asked, strict=True)], dtype=bool)
