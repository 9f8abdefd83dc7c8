"""How alike source and destination are: the paper's three alignments, and what is known in a world of known truth.

The paper compares vectors of CLIP by their cosine (Wang et al., 2024, section IV-B): of the whole pictures, of the
objects that a detector crops, and of the captions that a captioner writes. Each has a floor of its own, which a random
other picture reaches, so each is also taken against such a one. Beside them stand what the toy world can tell: overlap
of boxes, identity of the subject, and single attributes; and PSNR and SSIM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, finite_array

from .channel import psnr_db, rows_of
from .message import Prompt

__all__ = [
    "ATTRIBUTES",
    "MEASURES",
    "NAMED",
    "Seen",
    "attributes",
    "box_overlaps",
    "measure",
    "object_alignment",
    "saturation",
    "sharpness",
    "subject_place",
]

#: What is measured of a pair of pictures: three cosines, overlap of boxes, identity, PSNR (dB) and SSIM; and of the
#: picture alone, how sharp it is and how colourful.
MEASURES = ("image", "object", "text", "box", "identity", "psnr", "ssim", "sharpness", "saturation")
#: Single attributes of the subject: the caption names the first three of them, and none of the others.
ATTRIBUTES = ("number", "kind", "colour", "place", "marks", "shade")
NAMED = ATTRIBUTES[:3]
#: Rows and columns of a cropped object; how far brightness may be off, of 1; overlap from which a place is right.
SIDE, SHADE, PLACE = 64, 0.05, 0.5
#: Weights of red, green and blue in luminance (ITU-R BT.601).
_LUMINANCE = (0.299, 0.587, 0.114)


def _vectors(pictures: Any, clip: Any) -> np.ndarray:
    return np.asarray(clip.images(np.asarray(pictures, np.float32)))


def _cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one * other).sum(-1)


def _crops(pictures: Any, boxes: Sequence[Any], clip: Any) -> list[np.ndarray]:
    """For each picture, the vectors of its crops ``[boxes, dimension]``; boxes in pixels."""
    import torch

    from semcom_utils.generation.identity import windows

    rows = [k for k, part in enumerate(boxes) for _ in part]
    if not rows:
        return [np.empty((0, 1)) for _ in boxes]
    flat = np.array([box for part in boxes for box in part], float) / toyworld.SIZE
    images = torch.from_numpy(np.asarray(pictures, np.float32)[rows])
    vectors = np.asarray(clip.images(windows(images, flat, SIDE).clamp(0, 1)))
    return [vectors[[k for k, row in enumerate(rows) if row == place]] for place in range(len(boxes))]


@checked
def object_alignment(
    sources: Any, pictures: Any, source_boxes: Sequence[Any], boxes: Sequence[Any], clip: Any
) -> np.ndarray:
    """Cosine of the vectors of cropped objects, mean over the source's objects.

    Objects of both pictures are paired so that the sum of cosines is highest. An object of the source without a
    partner counts as zero; objects that only the other picture has do not count.

    Parameters
    ----------
    sources, pictures : array_like
        ``[batch, 3, rows, columns]`` in [0, 1].
    source_boxes, boxes : sequence of array_like
        For each picture ``[objects, 4]``, pixels, as the detector found them. A source without any is an object as a
        whole.
    clip : Clip
        As ``load("clip")`` gives it.

    Returns
    -------
    numpy.ndarray
        ``[batch]``.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    own = [np.reshape(b, (-1, 4)) if len(b) else np.array([[0, 0, toyworld.SIZE, toyworld.SIZE]]) for b in source_boxes]
    theirs = [np.reshape(b, (-1, 4)) for b in boxes]
    return np.array(
        [_paired(x, y) for x, y in zip(_crops(sources, own, clip), _crops(pictures, theirs, clip), strict=True)]
    )


def _paired(own: np.ndarray, theirs: np.ndarray) -> float:
    from scipy.optimize import linear_sum_assignment

    if not len(theirs):
        return 0.0
    table = own @ theirs.T
    return float(np.maximum(table[linear_sum_assignment(-table)], 0).sum() / len(own))


@checked
def box_overlaps(found: Sequence[Any], labels: Sequence[str], boxes: Any) -> float:
    """Mean overlap (intersection over union) of the boxes sent with those detected of the same kind.

    Parameters
    ----------
    found : sequence of Detection
        On one picture.
    labels : sequence of str
        Colour and kind of what was sent. Colours need not agree: the places are asked for.
    boxes : array_like
        ``[things, 4]``: left, top, right, bottom, pixels.

    Returns
    -------
    float
        In [0, 1]. Each detection serves one box; a box without one counts 0.

    Raises
    ------
    ValueError
        If there are not as many labels as boxes, at least one, or what was found is none.
    """
    from scipy.optimize import linear_sum_assignment

    from semcom_utils.generation.judging import Detection, box_overlap

    places = finite_array("boxes", boxes, last=4).tolist()
    if np.ndim(places) != 2 or len(places) != len(labels) or not len(labels):
        raise ValueError(f"boxes must be one for each of {len(labels)} labels, at least one, got {np.shape(places)}")
    if not all(isinstance(one, Detection) for one in found):
        raise ValueError(f"found must hold detections, got {found!r:.80}")
    table = np.array(
        [
            [box_overlap(one.box, box) * (one.label.split()[-1] == label.split()[-1]) for one in found]
            for label, box in zip(labels, places, strict=True)
        ]
    ).reshape(len(labels), len(found))
    return float(table[linear_sum_assignment(-table)].sum() / len(labels))


def _inside(box: Any) -> np.ndarray:
    left, top, right, bottom = np.clip(np.asarray(box, float) / toyworld.SIZE, 0, 1)
    return np.array([min(left, 0.99), min(top, 0.99), max(right, left + 0.01), max(bottom, top + 0.01)])


def _brightness(picture: np.ndarray, box: Any) -> float:
    left, top, right, bottom = np.round(np.clip(box, 0, toyworld.SIZE)).astype(int)
    part = np.asarray(picture)[:, top : max(bottom, top + 1), left : max(right, left + 1)]
    return float(np.tensordot(_LUMINANCE, part, axes=1).mean())


@checked
def attributes(
    source: np.ndarray,
    picture: np.ndarray,
    known: Sequence[Any],
    found: Sequence[Any],
    number: int,
    box: Any,
    guesses: Sequence[int],
) -> list[bool]:
    """Which attributes of the source's subject a picture has, as detector and judge of identity see them.

    Parameters
    ----------
    source, picture : numpy.ndarray
        ``[3, 64, 64]`` in [0, 1].
    known, found : sequence of Detection
        On the source, and on the picture.
    number : int
        Of the source's subject.
    box : array_like
        ``[4]``, pixels: where it is in the source.
    guesses : sequence of int
        For each of ``found``, the subject that the judge of identity takes it for.

    Returns
    -------
    list of bool
        In the order of :data:`ATTRIBUTES`: as many things as there were found in the source; one of the subject's kind,
        as the detector names it in the source; its colour, likewise; its place (boxes overlap by half); the colour of
        the marks of the pattern; the brightness of its box to within ``SHADE``. Without a thing of the kind, the
        last four are wrong.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    from semcom_utils.generation.judging import box_overlap

    kind, colour, texture = toyworld.subject(number)
    own = max(known, key=lambda one: box_overlap(one.box, box), default=None)
    told = (colour, kind) if own is None else tuple(own.label.split())
    place = next((k for k, one in enumerate(found) if one.label.split()[-1] == told[1]), None)
    if place is None:
        return [len(found) == len(known), False, False, False, False, False]
    there = found[place]
    return [
        len(found) == len(known),
        True,
        there.label.split()[0] == told[0],
        box_overlap(there.box, np.asarray(box).tolist()) >= PLACE,
        toyworld.subject(guesses[place])[2].colour == texture.colour,
        abs(_brightness(picture, there.box) - _brightness(source, box)) <= SHADE,
    ]


def _guesses(pictures: np.ndarray, found: Sequence[Sequence[Any]], identity: Any) -> list[np.ndarray]:
    """For each picture, the likeliest subject in each box that was found; of the whole where nothing was."""
    import torch

    boxes = [[_inside(one.box) for one in part] or [np.array([0.0, 0.0, 1.0, 1.0])] for part in found]
    rows = [k for k, part in enumerate(boxes) for _ in part]
    flat = np.stack([box for part in boxes for box in part])
    likeliest = identity(torch.from_numpy(np.asarray(pictures, np.float32)[rows]), flat).argmax(1).numpy()
    return np.split(likeliest, np.cumsum([len(part) for part in boxes])[:-1])


@dataclass(frozen=True, eq=False)
class Seen:
    """Pictures, and what detector, captioner and CLIP see in them.

    Parameters
    ----------
    pictures : numpy.ndarray
        Float32 ``[batch, 3, 64, 64]`` in [0, 1].
    found : list of list of Detection
        One list a picture, the surest first.
    captions : list of str
        One a picture.
    vectors, texts : numpy.ndarray
        Of pictures and captions, ``[batch, dimension]``, of length 1.
    """

    pictures: np.ndarray
    found: list
    captions: list[str]
    vectors: np.ndarray
    texts: np.ndarray

    @classmethod
    def of(cls, pictures: Any, named: dict[str, Any]) -> Seen:
        """Look at pictures.

        Parameters
        ----------
        pictures : array_like
            ``[batch, 3, 64, 64]`` in [0, 1].
        named : dict
            ``judge``, ``captioner`` and ``clip``.

        Returns
        -------
        Seen
        """
        made = np.asarray(pictures, np.float32)
        captions = named["captioner"](made)
        clip = named["clip"]
        return cls(made, named["judge"](made), captions, _vectors(made, clip), np.asarray(clip.texts(captions)))

    def __getitem__(self, rows: Sequence[int]) -> Seen:
        found, captions = [self.found[k] for k in rows], [self.captions[k] for k in rows]
        return Seen(self.pictures[rows], found, captions, self.vectors[rows], self.texts[rows])

    @property
    def boxes(self) -> list[list]:
        """Of what was found, pixels."""
        return [[one.box for one in part] for part in self.found]


@checked
def measure(
    scenes: Sequence[Any],
    sources: Seen,
    sent: Sequence[Prompt],
    seen: Seen,
    numbers: Sequence[int],
    named: dict[str, Any],
) -> dict[str, np.ndarray]:
    """All that is measured of pictures, against the scenes that they should show.

    Parameters
    ----------
    scenes : sequence of Scene
        The sources, each with a subject (:func:`subject_place`).
    sources, seen : Seen
        The same, looked at, and the pictures.
    sent : sequence of Prompt
        Labels and boxes of the sources, as the detector found them.
    numbers : sequence of int
        Of the sources' subjects.
    named : dict
        ``clip`` and ``identity``.

    Returns
    -------
    dict of str to numpy.ndarray
        Each of :data:`MEASURES`, ``[batch]``, and ``attributes``, bool ``[batch, 6]``. Identity is 1 where the judge
        finds the right one of thirty subjects likeliest in some box of the picture, whatever the detector calls it.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    from skimage.metrics import structural_similarity

    own, made = sources.pictures, seen.pictures
    guesses = _guesses(made, seen.found, named["identity"])
    where = [scene.boxes[subject_place(scene)] for scene in scenes]
    values: dict[str, list] = {
        "box": [
            box_overlaps(part, prompt.labels, toyworld.SIZE * prompt.shares)
            for part, prompt in zip(seen.found, sent, strict=True)
        ],
        "identity": [float(number in told.tolist()) for told, number in zip(guesses, numbers, strict=True)],
        "psnr": [psnr_db(a, b) for a, b in zip(own, made, strict=True)],
        "ssim": [structural_similarity(a, b, channel_axis=0, data_range=1.0) for a, b in zip(own, made, strict=True)],
        "sharpness": [sharpness(one) for one in made],
        "saturation": [saturation(one) for one in made],
        "attributes": [
            attributes(*each)
            for each in zip(own, made, sources.found, seen.found, numbers, where, guesses, strict=True)
        ],
    }
    return {
        "image": _cosines(sources.vectors, seen.vectors),
        "object": object_alignment(own, made, sources.boxes, seen.boxes, named["clip"]),
        "text": _cosines(sources.texts, seen.texts),
    } | {name: np.array(each) for name, each in values.items()}


@checked
def sharpness(picture: Any) -> float:
    """High-frequency energy: root mean square of the discrete Laplacian of the luminance.

    Parameters
    ----------
    picture : array_like
        ``[3, rows, columns]`` in [0, 1].

    Returns
    -------
    float
        At least 0; of a picture of one colour 0.

    Raises
    ------
    ValueError
        If ``picture`` is none.
    """
    from scipy.ndimage import laplace

    grey = rows_of(picture, 3) @ np.array(_LUMINANCE)
    return float(np.sqrt(np.mean(laplace(grey)[1:-1, 1:-1] ** 2)))


@checked
def saturation(picture: Any) -> float:
    """Mean distance of the largest of red, green and blue to the smallest: 0 for greys.

    Parameters
    ----------
    picture : array_like
        ``[3, rows, columns]`` in [0, 1].

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If ``picture`` is none.
    """
    return float(np.ptp(rows_of(picture), axis=2).mean())


@checked
def subject_place(scene: Any) -> int:
    """Which of a scene's things is its subject: the first that wears a pattern.

    Parameters
    ----------
    scene : Scene

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If none does, or ``scene`` is none.
    """
    if not isinstance(scene, toyworld.Scene):
        raise ValueError(f"scene must be a Scene, got {scene!r:.80}")
    for place, thing in enumerate(scene.description.things):
        if thing.texture is not None:
            return place
    raise ValueError(f"scene must show a thing with a pattern, got {scene.caption!r}")
