"""What a scene means: its ground and its things. A description is what a perfect semantic encoder would send."""

from __future__ import annotations

from dataclasses import dataclass

from semcom_utils.checks import checked, one_of, real_number

__all__ = [
    "CAMERA_HEIGHT",
    "COLOURS",
    "FOCAL",
    "GROUNDS",
    "HORIZON",
    "KINDS",
    "NEAREST_ROW",
    "PATTERNS",
    "PIXELS_PER_UNIT",
    "POSES",
    "RIM_SCALE",
    "SIZE",
    "Camera",
    "Description",
    "Texture",
    "Thing",
]

#: Width and height of a picture, in pixels.
SIZE = 64
#: Row of the horizon. A thing that stands on row y is at distance 1 / (y - HORIZON), up to a constant.
HORIZON = 22.0
#: Row on which the nearest things stand, and their scale there: pixels for one unit of length.
NEAREST_ROW, PIXELS_PER_UNIT = 60.0, 26.0
#: What a pinhole camera must be to see the world so: its height over the ground, in units of length, follows from the
#: rows and scales above; its focal length in pixels (a field of view of 53 degrees) is free, since pictures of one
#: place alone do not tell it.
CAMERA_HEIGHT, FOCAL = (NEAREST_ROW - HORIZON) / PIXELS_PER_UNIT, 64.0
#: Pixels for one unit of length on the lower rim, where inverse depth is 1.
RIM_SCALE = PIXELS_PER_UNIT * (SIZE - HORIZON) / (NEAREST_ROW - HORIZON)

#: Colour word -> RGB in [0, 1]. The hues are at least 20 degrees apart.
COLOURS = {
    "red": (0.86, 0.14, 0.14),
    "orange": (0.96, 0.52, 0.08),
    "yellow": (0.96, 0.86, 0.14),
    "green": (0.12, 0.58, 0.18),
    "blue": (0.14, 0.32, 0.86),
    "purple": (0.54, 0.18, 0.70),
}
#: Kind word -> extent in units: (half width, height).
KINDS = {
    "ball": (0.50, 1.00),
    "cube": (0.52, 0.92),
    "cone": (0.50, 1.10),
    "bucket": (0.50, 0.88),
    "dog": (0.64, 0.92),
    "robot": (0.56, 1.40),
}
#: Ground word -> RGB of the ground and of the sky above it.
GROUNDS = {
    "grass": ((0.62, 0.76, 0.48), (0.66, 0.82, 0.95)),
    "sand": ((0.88, 0.80, 0.66), (0.97, 0.92, 0.84)),
    "snow": ((0.93, 0.95, 0.97), (0.70, 0.76, 0.86)),
    "rock": ((0.52, 0.51, 0.52), (0.30, 0.32, 0.44)),
}
#: Poses of the robot; ``things.SKELETONS`` holds their joints.
POSES = ("standing", "waving", "cheering", "walking")
#: Patterns of a texture, as the captions call a thing that wears one.
PATTERNS = ("striped", "checked", "dotted")


@checked
@dataclass(frozen=True)
class Texture:
    """A pattern over a thing's own colour.

    Parameters
    ----------
    pattern : str
        One of :data:`PATTERNS`.
    colour : tuple of float
        RGB in [0, 1] of the pattern's marks.
    period : float
        Distance of the marks in units of length, in [0.1, 1].

    Raises
    ------
    ValueError
        If an argument is none of the above.
    """

    pattern: str
    colour: tuple[float, float, float] = (0.97, 0.97, 0.97)
    period: float = 0.5

    def __post_init__(self) -> None:
        one_of("pattern", self.pattern, PATTERNS)
        real_number("period", self.period, low=0.1, high=1.0)
        if not isinstance(self.colour, list | tuple) or len(self.colour) != 3:
            raise ValueError(f"colour must be three numbers (RGB), got {self.colour!r}")
        for part in self.colour:
            real_number("colour", part, low=0.0, high=1.0)


@checked
@dataclass(frozen=True)
class Thing:
    """One thing of a scene.

    Parameters
    ----------
    kind, colour : str
        Keys of :data:`KINDS` and :data:`COLOURS`.
    x, y : float
        Column of the thing's axis and row of the spot on which it stands, in pixels; ``y`` between the horizon and the
        lower rim. A thing with a larger ``y`` is nearer, and larger.
    pose : str, optional
        One of :data:`POSES`, for a robot; no other kind has one.
    texture : Texture, optional
        What it wears over its colour.

    Raises
    ------
    ValueError
        If an argument is none of the above.
    """

    kind: str
    colour: str
    x: float
    y: float
    pose: str | None = None
    texture: Texture | None = None

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)
        one_of("colour", self.colour, COLOURS)
        real_number("x", self.x, low=0.0, high=SIZE)
        real_number("y", self.y, low=HORIZON + 8, high=SIZE)
        if self.kind == "robot":
            one_of("pose", self.pose, POSES)
        elif self.pose is not None:
            raise ValueError(f"pose must be None for a {self.kind}, got {self.pose!r}")
        if not isinstance(self.texture, Texture | None):
            raise ValueError(f"texture must be a Texture or None, got {self.texture!r}")

    @property
    def scale(self) -> float:
        """Pixels for one unit of length where the thing stands."""
        return PIXELS_PER_UNIT * (self.y - HORIZON) / (NEAREST_ROW - HORIZON)

    @property
    def label(self) -> str:
        """Colour and kind, ``"red ball"``: what the detector names."""
        return f"{self.colour} {self.kind}"


@checked
@dataclass(frozen=True)
class Camera:
    """Where the camera stands, away from where all pictures of the book are taken; it looks the same way from there.

    Parameters
    ----------
    right, up, forward : float
        Displacement in units of length: in [-4, 4], [-1, 4] and [-4, 1].

    Raises
    ------
    ValueError
        If an argument is none of the above.
    """

    right: float = 0.0
    up: float = 0.0
    forward: float = 0.0

    def __post_init__(self) -> None:
        real_number("right", self.right, low=-4.0, high=4.0)
        real_number("up", self.up, low=-1.0, high=4.0)  # the ground is 1.46 below
        real_number("forward", self.forward, low=-4.0, high=1.0)  # the nearest thing is 2.2 away

    def sees(self, x: float, y: float, scale: float) -> tuple[float, float, float]:
        """Where a point of the world is in this camera's picture.

        Parameters
        ----------
        x, y : float
            Its column and row for the camera at home, in pixels.
        scale : float
            Pixels for one unit of length where it is, for the camera at home; the focal length over the distance.

        Returns
        -------
        tuple of float
            Column, row and scale for this camera; exactly the same numbers for the camera at home.

        Raises
        ------
        ValueError
            If an argument is no number, ``scale`` is not positive, or the point is behind the camera.
        """
        real_number("x", x)
        real_number("y", y)
        closer = 1 - self.forward * real_number("scale", scale, low=0, low_open=True) / FOCAL
        if closer <= 0:
            raise ValueError(f"scale must be of a point before the camera, got {scale!r} with forward={self.forward}")
        if self == Camera():
            return x, y, scale
        middle, seen = SIZE / 2, scale / closer
        return (
            middle + (x - middle) / closer - self.right * seen,
            HORIZON + (y - HORIZON) / closer + self.up * seen,
            seen,
        )


@checked
@dataclass(frozen=True)
class Description:
    """The meaning of a scene.

    Parameters
    ----------
    ground : str
        Key of :data:`GROUNDS`.
    things : tuple of Thing
        From left to right; one to three of them.
    inside : bool
        Whether the first of two things sits in the second, which is a bucket ("a dog in a bucket").

    Raises
    ------
    ValueError
        If an argument is none of the above, or the things do not stand from left to right.
    """

    ground: str
    things: tuple[Thing, ...]
    inside: bool = False

    def __post_init__(self) -> None:
        one_of("ground", self.ground, GROUNDS)
        things = tuple(self.things) if isinstance(self.things, list | tuple) else ()
        if not 1 <= len(things) <= 3 or not all(isinstance(thing, Thing) for thing in things):
            raise ValueError(f"things must be one to three of Thing, got {self.things!r}")
        if self.inside:
            if len(things) != 2 or things[1].kind != "bucket" or things[0].kind not in ("dog", "ball"):
                raise ValueError(
                    f"inside must be False unless things are a dog or a ball, then a bucket, got {things!r}"
                )
        elif any(left.x > right.x for left, right in zip(things, things[1:], strict=False)):
            raise ValueError(f"things must stand from left to right, got x = {[thing.x for thing in things]}")
        object.__setattr__(self, "things", things)
