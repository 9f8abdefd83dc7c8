"""From a description to a picture, and to everything that is known about it, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from semcom_utils.checks import checked

from .drawing import coverage, ellipse
from .grammar import caption
from .scene import (
    CAMERA_HEIGHT,
    COLOURS,
    FOCAL,
    GROUNDS,
    HORIZON,
    KINDS,
    RIM_SCALE,
    SIZE,
    Camera,
    Description,
    Texture,
    Thing,
)
from .things import SKELETONS, parts

__all__ = ["CLASSES", "Scene", "render"]

#: Names of the classes of ``Scene.segmentation``: index 0 and 1 are no things.
CLASSES = ("sky", "ground", *KINDS)


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and its exact meaning.

    Attributes
    ----------
    description : Description
        What the scene holds.
    image : numpy.ndarray
        Float32 [3, 64, 64] in [0, 1].
    instances : numpy.ndarray
        Int [64, 64]: 0 where no thing is, k + 1 where ``description.things[k]`` is in front.
    segmentation : numpy.ndarray
        Int [64, 64]: index into :data:`CLASSES`.
    depth : numpy.ndarray
        Float32 [64, 64]: inverse depth (disparity), 0 at infinity, 1 on the lower rim, as the MiDaS family gives it.
        From elsewhere the unit stays that of the camera at home, so that it can be above 1.
    edges : numpy.ndarray
        Bool [64, 64]: pixels at which the instance changes towards the right or below, and the horizon.
    boxes : numpy.ndarray
        Float [things, 4]: left, top, right, bottom in pixels of each thing's visible part; NaN where nothing is
        visible.
    keypoints : numpy.ndarray
        Float [robots, 14, 3]: column, row and visibility (1 visible, 0 hidden or outside) of each robot's joints.
    camera : Camera
        Where the picture was taken.
    """

    description: Description
    image: np.ndarray
    instances: np.ndarray
    segmentation: np.ndarray
    depth: np.ndarray
    edges: np.ndarray
    boxes: np.ndarray
    keypoints: np.ndarray
    camera: Camera = field(default_factory=Camera)

    @property
    def caption(self) -> str:
        """The canonical caption."""
        return caption(self.description)

    @property
    def labels(self) -> list[str]:
        """Colour and kind of each thing, from left to right."""
        return [thing.label for thing in self.description.things]


@lru_cache
def _pixels() -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the pixels' centres, [64, 64] each."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    return columns + 0.5, rows + 0.5


@lru_cache
def _backdrop(ground: str, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture [3, 64, 64], disparity and classes [64, 64] of an empty ground."""
    _, rows = _pixels()
    earth, sky = (np.array(colour)[:, None, None] for colour in GROUNDS[ground])
    below = np.clip(rows - HORIZON + 0.5, 0, 1)
    disparity = np.maximum(rows - HORIZON, 0) / (SIZE - HORIZON)
    shade = disparity
    if camera != Camera():
        disparity = disparity * (CAMERA_HEIGHT / (CAMERA_HEIGHT + camera.up))
        shade = disparity / (1 + camera.forward * disparity * RIM_SCALE / FOCAL)  # that of the camera at home
    image = below * earth * (0.86 + 0.14 * shade) + (1 - below) * sky * (0.90 + 0.10 * rows / HORIZON)
    return image, disparity, (rows > HORIZON).astype(np.int64)


def _on_ground(thing: Thing, camera: Camera, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates, from the thing's foot and in its units, in which the camera at home sees spots of the ground."""
    seen = np.maximum(rows - HORIZON, 1e-6) / (CAMERA_HEIGHT + camera.up)  # scale where the spot is
    home = seen / (1 + camera.forward * seen / FOCAL)
    x = SIZE / 2 + ((columns - SIZE / 2) / seen + camera.right) * home
    return (x - thing.x) / thing.scale, (thing.y - HORIZON - CAMERA_HEIGHT * home) / thing.scale


def _pattern(texture: Texture, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where the marks of a texture are, 0 or 1 for each pixel, in the thing's own coordinates."""
    u, v = x / texture.period, y / texture.period
    if texture.pattern == "striped":
        return (v - np.floor(v) < 0.5).astype(float)
    if texture.pattern == "checked":
        return ((np.floor(2 * u) + np.floor(2 * v)) % 2).astype(float)
    du, dv = u - np.floor(u) - 0.5, v - np.floor(v) - 0.5
    return (du * du + dv * dv < 0.09).astype(float)


def _order(description: Description) -> list[tuple[int, Thing]]:
    """Things with their places in the description, from far to near; what sits in a bucket goes before it."""
    things = list(enumerate(description.things))
    if description.inside:
        (_, guest), (_, bucket) = things
        # The guest is lifted by just so much that the bucket's wall hides its lower part, and as near as the bucket.
        return [(0, replace(guest, x=bucket.x, y=bucket.y)), things[1]]
    return sorted(things, key=lambda pair: pair[1].y)


@checked
def render(description: Description, camera: Camera | None = None) -> Scene:
    """Draw a scene, bit for bit the same each time.

    Things are cut-outs that stand upright and face the way the camera looks, so a moved camera sees each of them
    shifted and scaled by its own distance, and the ground and the shadows on it by theirs: the view of a pinhole camera
    that is carried about without being turned.

    Parameters
    ----------
    description : Description
        What the scene holds.
    camera : Camera, optional
        From where it is seen; by default from the place of all pictures of the book.

    Returns
    -------
    Scene
        The picture, and everything that is known about it.

    Raises
    ------
    ValueError
        If ``description`` or ``camera`` is none.
    """
    camera = Camera() if camera is None else camera
    if not isinstance(description, Description):
        raise ValueError(f"description must be a Description, got {type(description).__name__}")
    columns, rows = _pixels()
    image, disparity, segmentation = (array.copy() for array in _backdrop(description.ground, camera))
    instances = np.zeros((SIZE, SIZE), dtype=np.int64)
    joints = []
    for place, thing in _order(description):
        lift = 0.42 if description.inside and place == 0 else 0.0
        foot_x, foot_y, scale = camera.sees(thing.x, thing.y, thing.scale)
        half, height = KINDS[thing.kind]
        if thing.pose is not None:  # a robot
            skeleton = SKELETONS[thing.pose]
            joints.append((place, foot_x + scale * skeleton[:, 0], foot_y - scale * skeleton[:, 1]))
        top, bottom = (
            int(max(foot_y - (height + lift + 0.05) * scale - 1, 0)),
            int(min(foot_y + 0.2 * scale + 2, SIZE)),
        )
        left, right = (
            int(max(foot_x - (half + 0.15) * scale - 1, 0)),
            int(min(foot_x + (half + 0.15) * scale + 2, SIZE)),
        )
        if top >= bottom or left >= right:  # outside of what this camera sees
            continue
        window = slice(top, bottom), slice(left, right)
        x, y = (columns[window] - foot_x) / scale, (foot_y - rows[window]) / scale - lift
        picture = image[:, *window]
        if not lift:
            on_x, on_y = (x, y) if camera == Camera() else _on_ground(thing, camera, columns[window], rows[window])
            shadow = coverage(ellipse(on_x, on_y, (0.06, 0.02), (half * 1.05, 0.13)), scale)
            picture *= 1 - 0.30 * shadow
        colour = np.array(COLOURS[thing.colour])[:, None, None]
        shown = np.zeros(x.shape)
        for part in parts(thing, x, y):
            cover = coverage(part.distance, scale)
            paint = colour if part.colour is None else np.array(part.colour)[:, None, None]
            if thing.texture is not None and part.wears:
                marks = _pattern(thing.texture, x, y)
                paint = paint + marks * (np.array(thing.texture.colour)[:, None, None] - paint)
            picture += cover * (np.minimum(paint * part.brightness, 1.0) - picture)
            shown = np.maximum(shown, cover)
        solid = shown > 0.5
        instances[window][solid] = place + 1
        segmentation[window][solid] = CLASSES.index(thing.kind)
        home = (thing.y - HORIZON) / (SIZE - HORIZON)
        disparity[window][solid] = home if camera == Camera() else home * (scale / thing.scale)
    return Scene(
        description=description,
        image=np.clip(image, 0, 1).astype(np.float32),
        instances=instances,
        segmentation=segmentation,
        depth=disparity.astype(np.float32),
        edges=_edges(instances, segmentation),
        boxes=_boxes(instances, len(description.things)),
        keypoints=_keypoints(joints, instances),
        camera=camera,
    )


def _edges(instances: np.ndarray, segmentation: np.ndarray) -> np.ndarray:
    key = instances * len(CLASSES) + segmentation
    edges = np.zeros(key.shape, dtype=bool)
    edges[:, :-1] |= key[:, 1:] != key[:, :-1]
    edges[:-1] |= key[1:] != key[:-1]
    return edges


def _boxes(instances: np.ndarray, things: int) -> np.ndarray:
    boxes = np.full((things, 4), np.nan)
    for place in range(things):
        mask = instances == place + 1
        if mask.any():
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            boxes[place] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def _keypoints(joints: list, instances: np.ndarray) -> np.ndarray:
    keypoints = np.zeros((len(joints), 14, 3))
    for robot, (place, columns, rows) in enumerate(sorted(joints, key=lambda joint: joint[0])):
        inside = (columns >= 0) & (columns < SIZE) & (rows >= 0) & (rows < SIZE)
        column, row = (np.clip(axis, 0, SIZE - 1).astype(int) for axis in (columns, rows))
        keypoints[robot] = np.stack([columns, rows, inside & (instances[row, column] == place + 1)], axis=-1)
    return keypoints
