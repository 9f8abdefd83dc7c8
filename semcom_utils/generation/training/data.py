"""Training pictures: rendered once, kept on disk as bytes, described by their seeds."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from semcom_utils import toyworld
from semcom_utils.checks import checked, one_of, positive_integer

__all__ = ["Scenes", "to_bytes"]


@checked
def to_bytes(image: np.ndarray) -> np.ndarray:
    """Quantise an image to 8 bits, as any picture file would.

    Parameters
    ----------
    image : numpy.ndarray
        In [0, 1], of any shape.

    Returns
    -------
    numpy.ndarray
        Uint8, of that shape.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    return np.round(image * 255).astype(np.uint8)


class Scenes:
    """The first ``count`` scenes of a split.

    Parameters
    ----------
    split : str
        One of ``toyworld.SPLITS``.
    count : int
        How many.
    folder : pathlib.Path, optional
        Where the pictures are kept between runs; in memory alone if None.
    **options
        For ``toyworld.random_description``.

    Raises
    ------
    ValueError
        If the split is unknown or ``count`` no positive integer.
    """

    def __init__(self, split: str, count: int, folder: Path | None = None, **options: Any) -> None:
        self.split, self.count, self.options = (
            one_of("split", split, toyworld.SPLITS),
            positive_integer("count", count),
            options,
        )
        self._scene = lru_cache(maxsize=4096)(lambda index: toyworld.scene(index, split, **options))
        self._kept = (
            None
            if folder is None
            else Path(folder) / f"{'-'.join([split, str(count), *map(str, options.values())])}.npy"
        )

    @cached_property
    def images(self) -> np.ndarray:
        """The pictures, read or rendered when they are first asked for.

        Returns
        -------
        numpy.ndarray
            Uint8 ``[count, 3, 64, 64]``.
        """
        kept = self._kept
        if kept is not None and kept.exists():
            return np.load(kept, mmap_mode="r")
        images = np.empty((self.count, 3, toyworld.SIZE, toyworld.SIZE), np.uint8)
        for index in tqdm(range(self.count), desc=f"rendering {self.split}", mininterval=5):
            images[index] = to_bytes(toyworld.scene(index, self.split, **self.options).image)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_suffix(".partial.npy")
            np.save(partial, images)
            partial.replace(kept)
        return images

    def __len__(self) -> int:
        return self.count

    def scene(self, index: int) -> toyworld.Scene:
        """Everything known about one picture (rendered anew, so cheap to keep and exact).

        Parameters
        ----------
        index : int
            From 0 to ``count`` - 1.

        Returns
        -------
        toyworld.Scene
            With picture, maps, boxes and caption.
        """
        return self._scene(int(index))

    def description(self, index: int) -> toyworld.Description:
        """What one picture shows, without rendering it.

        Parameters
        ----------
        index : int
            From 0 to ``count`` - 1.

        Returns
        -------
        toyworld.Description
            Of the same scene.
        """
        return toyworld.describe(int(index), self.split, **self.options)
