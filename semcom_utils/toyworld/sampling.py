"""Random scenes, which of them are held out, and the individual subjects that differ in their texture alone."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from semcom_utils.checks import checked, numpy_generator, one_of, positive_integer, real_number

from .grammar import Meaning, meaning
from .rendering import Scene, render
from .scene import COLOURS, GROUNDS, KINDS, PATTERNS, POSES, Description, Texture, Thing

__all__ = [
    "SPLITS",
    "SUBJECTS",
    "UNSEEN",
    "describe",
    "random_description",
    "scene",
    "split_of",
    "subject",
    "subject_scene",
]

#: ``train`` is what models learn from. ``combinations``: what is said together was never said together in training.
#: ``attributes``: a colour that its kind never had in training (harder).
SPLITS = ("train", "combinations", "attributes")
#: The (colour, kind) pairs of the split ``attributes``.
UNSEEN = {
    ("purple", "ball"),
    ("orange", "cube"),
    ("blue", "cone"),
    ("red", "bucket"),
    ("green", "dog"),
    ("yellow", "robot"),
}
#: How many individual subjects there are (as in the DreamBooth data set).
SUBJECTS = 30
_SUBJECT_KINDS = ("ball", "cube", "bucket")
_MARKS = {"white": (0.97, 0.97, 0.97), "black": (0.10, 0.10, 0.12), **COLOURS}


@checked
def split_of(said: Meaning | Description) -> str:
    """Split that a scene belongs to, by what is said of it: the ground and each thing's colour and kind.

    Of all combinations that hold no unseen pair, a fixed tenth, chosen by a checksum, is held out as ``combinations``.

    Parameters
    ----------
    said : Meaning or Description
        A scene, or what a caption states of it.

    Returns
    -------
    str
        One of :data:`SPLITS`.

    Raises
    ------
    ValueError
        If ``said`` is neither.
    """
    if not isinstance(said, Meaning | Description):
        raise ValueError(f"said must be a Meaning or a Description, got {type(said).__name__}")
    said = meaning(said) if isinstance(said, Description) else said
    pairs = sorted((thing.colour, thing.kind) for thing in said.things)
    if UNSEEN & set(pairs):
        return "attributes"
    key = " ".join([said.ground, str(said.inside), *(f"{colour} {kind}" for colour, kind in pairs)])
    return "combinations" if zlib.crc32(key.encode()) % 10 == 0 else "train"


@checked
def random_description(
    rng: np.random.Generator,
    split: str | None = "train",
    things: int | None = None,
    textured: float = 0.1,
    inside: float = 0.05,
) -> Description:
    """Draw a scene of a split.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the scene.
    split : str or None
        One of :data:`SPLITS`; None for scenes of all of them, as they come.
    things : int, optional
        How many things, 1 to 3; drawn (0.45, 0.4, 0.15) by default. With ``inside``, two.
    textured : float
        Probability that a thing wears a pattern.
    inside : float
        Probability that a scene of two things is a dog or a ball in a bucket, counted over all scenes if ``things``
        is None.

    Returns
    -------
    Description
        A scene of that split.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    one_of("split", split, (*SPLITS, None))
    if things is not None:
        one_of("things", things, (1, 2, 3))
    numpy_generator("rng", rng)
    real_number("textured", textured, low=0.0, high=1.0)
    real_number("inside", inside, low=0.0, high=1.0)
    while True:
        description = _draw(rng, things, textured, inside)
        if split in (None, split_of(description)):
            return description


def _draw(rng: np.random.Generator, things: int | None, textured: float, inside: float) -> Description:
    ground = str(rng.choice(list(GROUNDS)))
    if things in (None, 2) and rng.random() < inside:
        x, y = rng.uniform(20, 44), rng.uniform(50, 60)
        guest = _thing(rng, str(rng.choice(["dog", "ball"])), x, y, textured)
        return Description(ground, (guest, _thing(rng, "bucket", x, y, textured)), inside=True)
    count = things or int(rng.choice([1, 2, 3], p=[0.45, 0.40, 0.15]))
    middles, spread, rows = {
        1: ((32,), 14, (46, 60)),
        2: ((17, 47), 4, (46, 60)),
        3: ((11, 32, 53), 2, (44, 52)),
    }[count]
    return Description(
        ground,
        tuple(
            _thing(
                rng, str(rng.choice(list(KINDS))), middle + rng.uniform(-spread, spread), rng.uniform(*rows), textured
            )
            for middle in middles
        ),
    )


def _thing(rng: np.random.Generator, kind: str, x: float, y: float, textured: float) -> Thing:
    colour = str(rng.choice(list(COLOURS)))
    pose = str(rng.choice(POSES)) if kind == "robot" else None
    texture = Texture(str(rng.choice(PATTERNS))) if rng.random() < textured else None
    return Thing(kind, colour, float(x), float(y), pose, texture)


@checked
def describe(seed: int, split: str = "train", **options: Any) -> Description:
    """Draw the scene of a seed, without rendering it.

    Parameters
    ----------
    seed : int
        At least 0. Equal seeds of different splits give different scenes.
    split : str
        One of :data:`SPLITS`.
    **options
        ``things``, ``textured`` and ``inside``, as for :func:`random_description`.

    Returns
    -------
    Description
        The same on every machine.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> from semcom_utils.toyworld import caption
    >>> caption(describe(7))
    'a green ball and a purple cube on snow'
    """
    one_of("split", split, SPLITS)
    rng = np.random.default_rng([SPLITS.index(split), positive_integer("seed", seed, low=0)])
    return random_description(rng, split, **options)


@checked
def scene(seed: int, split: str = "train", **options: Any) -> Scene:
    """Draw and render the scene of a seed, bit for bit the same on every machine.

    Parameters
    ----------
    seed : int
        At least 0. Equal seeds of different splits give different scenes.
    split : str
        One of :data:`SPLITS`.
    **options
        ``things``, ``textured`` and ``inside``, as for :func:`random_description`.

    Returns
    -------
    Scene
        The picture, and everything that is known about it.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    return render(describe(seed, split, **options))


@checked
def subject(number: int) -> tuple[str, str, Texture]:
    """Kind, colour and texture of an individual subject; the mark's colour and the period are what no caption says.

    Parameters
    ----------
    number : int
        0 to 29.

    Returns
    -------
    tuple
        Kind (str), colour (str) and :class:`Texture`.

    Raises
    ------
    ValueError
        If there is no such subject.
    """
    if positive_integer("number", number, low=0) >= SUBJECTS:
        raise ValueError(f"number must be below {SUBJECTS}, got {number!r}")
    rng = np.random.default_rng([7_2023, number])
    colour = str(rng.choice(list(COLOURS)))
    mark = str(rng.choice([name for name in _MARKS if name != colour]))
    texture = Texture(PATTERNS[number % 3], _MARKS[mark], float(rng.choice([0.4, 0.5])))
    return _SUBJECT_KINDS[number // 3 % 3], colour, texture


@checked
def subject_scene(number: int, view: int) -> Scene:
    """A picture of a subject alone.

    Parameters
    ----------
    number : int
        The subject, 0 to 29.
    view : int
        At least 0; decides the ground and the place.

    Returns
    -------
    Scene
        The same for the same numbers.

    Raises
    ------
    ValueError
        If there is no such subject, or ``view`` is no whole number of at least 0.
    """
    kind, colour, texture = subject(number)
    rng = np.random.default_rng([8_2023, number, positive_integer("view", view, low=0)])
    ground = str(rng.choice(list(GROUNDS)))
    return render(
        Description(
            ground, (Thing(kind, colour, float(rng.uniform(20, 44)), float(rng.uniform(50, 60)), None, texture),)
        )
    )
