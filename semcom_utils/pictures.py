"""The one reader of pictures: what a file or an array may hold becomes what the book computes with, or is refused.

A picture is either what Pillow opened or numbers. Of Pillow's, all modes are read that say how bright their white is:
grey of 1, 8 and 16 bits, palettes, RGB, CMYK, YCbCr, HSV, LAB; the orientation that a camera wrote beside it is
obeyed, and what is transparent lies on white, as on a page. Modes without an agreed white (32-bit numbers) and pictures
that move are refused. Numbers are floating-point ones in [0, 1], or uint8 from 0 to 255. Every refusal is a
``ValueError`` that names the argument.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from semcom_utils.checks import checked

__all__ = ["is_pil", "picture_bytes", "picture_numbers", "pictures_bytes"]


def is_pil(picture: object) -> bool:
    """Whether something is a picture of Pillow.

    Parameters
    ----------
    picture : object
        Anything.

    Returns
    -------
    bool
        Pillow itself is not imported for the question.
    """
    pil = sys.modules.get("PIL.Image")  # whoever holds one of its pictures has imported it
    return pil is not None and isinstance(picture, pil.Image)


@checked
def picture_bytes(name: str, picture: Any) -> np.ndarray:
    """What a picture of Pillow shows.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    picture : PIL.Image.Image
        Of any mode and size.

    Returns
    -------
    numpy.ndarray
        uint8 ``[rows, columns, 3]``, upright; 16-bit grey is scaled to 8 bits, transparency shows white.

    Raises
    ------
    ValueError
        If it is no picture of Pillow, is empty, cannot be read, moves, or is of a mode whose white is not agreed upon.

    Examples
    --------
    >>> from PIL import Image
    >>> picture_bytes("picture", Image.new("I;16", (1, 1), 65535)).tolist()
    [[[255, 255, 255]]]
    """
    if not is_pil(picture):
        raise ValueError(f"{name} must be a PIL image, got {type(picture).__name__}")
    from PIL import Image, ImageOps

    if 0 in picture.size:
        raise ValueError(f"{name} must have at least one pixel, got a PIL image of size {picture.size}")
    if getattr(picture, "is_animated", False) and picture.format != "MPO":  # a camera's, with a thumbnail behind
        raise ValueError(f"{name} must be a still picture, got {picture.n_frames} frames; take one of them")
    try:
        mode = picture.mode
        upright = ImageOps.exif_transpose(picture)
        if mode.startswith("I;16"):
            grey = np.asarray(upright).astype(np.float64) / 65535
            return np.repeat(np.round(grey * 255).astype(np.uint8)[:, :, None], 3, axis=2)
        if mode in ("I", "F"):
            raise ValueError(
                f"{name} must be of a mode whose white is agreed upon, got mode {mode!r} (32-bit numbers); scale it to "
                "0 to 255 and convert it to mode 'L'"
            )
        if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
            shown = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)
        return np.array(upright.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{name} must be a picture that can be read: {error}") from None
    except ValueError as error:
        if str(error).startswith(f"{name} must"):
            raise
        raise ValueError(f"{name} must be of a mode that Pillow turns into RGB, got {mode!r}: {error}") from None


@checked
def picture_numbers(name: str, value: Any) -> np.ndarray:
    """Numbers that are pictures, in [0, 1].

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : array_like or torch.Tensor
        Of any shape: floating-point numbers in [0, 1], or uint8, 0 to 255. On any device; a view in any order.

    Returns
    -------
    numpy.ndarray
        float64, of the same shape.

    Raises
    ------
    ValueError
        If there are none, or they are of another kind, or out of range.

    Examples
    --------
    >>> picture_numbers("picture", np.array([0, 255], np.uint8))
    array([0., 1.])
    """
    array = _numbers(name, value)
    return array / 255.0 if array.dtype == np.uint8 else array.astype(float)


@checked
def pictures_bytes(name: str, images: Any) -> list[np.ndarray]:
    """A batch of pictures, in bytes, all of one size.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    images : torch.Tensor, numpy.ndarray or (sequence of) PIL.Image.Image
        ``[batch, 3, rows, columns]``, floating-point in [0, 1] or uint8; or pictures of one size.

    Returns
    -------
    list of numpy.ndarray
        uint8 ``[rows, columns, 3]`` each.

    Raises
    ------
    ValueError
        If ``images`` are none of these.
    """
    torch = sys.modules.get("torch")
    if isinstance(images, np.ndarray) or (torch is not None and isinstance(images, torch.Tensor)):
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1] != 3:
            turned = "; put the channels first" if len(shape) == 4 and shape[3] == 3 else ""
            raise ValueError(f"{name} must be [batch, 3, rows, columns] in [0, 1], got shape {shape}{turned}")
        array = _numbers(name, images)
        if array.dtype != np.uint8:
            array = np.round(array.astype(np.float32) * 255).astype(np.uint8)
        return list(np.ascontiguousarray(array.transpose(0, 2, 3, 1)))
    listed = list(images) if isinstance(images, Sequence) and not isinstance(images, str | bytes) else [images]
    if not listed or not all(map(is_pil, listed)):
        raise ValueError(
            f"{name} must be a tensor [batch, 3, rows, columns] in [0, 1] or PIL images, got {images!r}"[:300]
        )
    arrays = [picture_bytes(name, image) for image in listed]
    if len(sizes := {array.shape[:2] for array in arrays}) > 1:
        raise ValueError(f"{name} must be of one size (rows, columns), got {sorted(sizes)}")
    return arrays


def _numbers(name: str, value: Any) -> np.ndarray:
    """The numbers as they are, if they are floating-point ones in [0, 1] or bytes."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value  # NumPy has no such kind
        value = value.numpy()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a picture, got {type(value).__name__}: {error}") from None
    if not array.size:
        raise ValueError(f"{name} must have at least one pixel, got shape {array.shape}")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise ValueError(f"{name} must hold floating-point numbers in [0, 1], or uint8, got {array.dtype}")
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise ValueError(
            f"{name} must hold numbers in [0, 1], got shape {array.shape} with values from {low:g} up to {high:g}"
        )
    return array
