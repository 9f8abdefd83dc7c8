"""Source codecs: pictures as the files that Pillow writes, and what a receiver shows of a file.

Pictures are floating-point arrays ``[height, width, 3]`` in [0, 1], as files and plots have them; a tensor
``[3, height, width]`` is handed over as ``picture.permute(1, 2, 0).numpy()``.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from semcom_utils.checks import checked, positive_integer
from semcom_utils.pictures import picture_bytes, picture_numbers

__all__ = ["QUALITIES", "avif", "best_jpeg", "decoded", "jpeg", "jpeg_parts", "picture_from", "png", "webp"]

#: Qualities of JPEG; above 95 the files grow and the pictures do not improve (Pillow's documentation).
QUALITIES = range(1, 96)


def _image(picture: object) -> Image.Image:
    """Floating-point numbers alone: what says 200 of 255 in bytes and what says 1 in floats must not be mixed up."""
    kind = getattr(picture, "dtype", "float")
    if str(kind).removeprefix("torch.").startswith(("uint", "int", "bool")):
        raise ValueError(f"picture must hold floating-point numbers in [0, 1], got {kind}")
    array = picture_numbers("picture", picture)
    if array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"picture must be of shape [height, width, 3], got shape {array.shape}")
    return Image.fromarray(np.round(array * 255).astype(np.uint8))


@checked
def jpeg(picture: np.ndarray, quality: int, optimise: bool = True) -> bytes:
    """A picture as a baseline JPEG file.

    Parameters
    ----------
    picture : numpy.ndarray, ``[height, width, 3]``
        In [0, 1].
    quality : int
        From 1 to 95.
    optimise : bool
        Whether the file has Huffman tables of its own (smaller) or the standard's.

    Returns
    -------
    bytes
        The whole file, with its header.

    Raises
    ------
    ValueError
        If ``picture`` or ``quality`` is none of the above.

    References
    ----------
    G. K. Wallace, "The JPEG still picture compression standard", 1992.

    Examples
    --------
    >>> grey = np.full((16, 16, 3), 0.5)
    >>> bool(np.abs(decoded(jpeg(grey, 50)) - grey).max() < 1 / 255)
    True
    """
    return _lossy(picture, quality, "JPEG", optimize=bool(optimise))


@checked
def webp(picture: np.ndarray, quality: int) -> bytes:
    """A picture as a lossy WebP file.

    Parameters
    ----------
    picture : numpy.ndarray, ``[height, width, 3]``
        In [0, 1].
    quality : int
        From 1 to 95.

    Returns
    -------
    bytes
        The whole file, by the encoder's slowest and best method.

    Raises
    ------
    ValueError
        If ``picture`` or ``quality`` is none of the above.
    """
    return _lossy(picture, quality, "WEBP", method=6)


@checked
def avif(picture: np.ndarray, quality: int) -> bytes:
    """A picture as a lossy AVIF file.

    Parameters
    ----------
    picture : numpy.ndarray, ``[height, width, 3]``
        In [0, 1].
    quality : int
        From 1 to 95.

    Returns
    -------
    bytes
        The whole file; its container alone takes some 250 bytes.

    Raises
    ------
    ValueError
        If ``picture`` or ``quality`` is none of the above.
    """
    return _lossy(picture, quality, "AVIF", speed=4)


def _lossy(picture: np.ndarray, quality: int, kind: str, **options: Any) -> bytes:
    if positive_integer("quality", quality) not in QUALITIES:
        raise ValueError(f"quality must be a whole number from 1 to {QUALITIES[-1]}, got {quality!r}")
    file = io.BytesIO()
    _image(picture).save(file, kind, quality=int(quality), **options)
    return file.getvalue()


@checked
def jpeg_parts(file: bytes) -> tuple[bytes, bytes]:
    """A JPEG file's header and what it says of the picture.

    With the standard's Huffman tables (``jpeg(..., optimise=False)``) the header follows from the quality and the size
    of the picture. Whoever has agreed on these need not send it: header and scan, joined, are a file again.

    Parameters
    ----------
    file : bytes
        Of :func:`jpeg`.

    Returns
    -------
    header, scan : bytes
        All up to the coded picture, and the coded picture without the end-of-image marker, which tells nothing.

    Raises
    ------
    ValueError
        If ``file`` is no baseline JPEG file.

    Examples
    --------
    >>> file = jpeg(np.full((16, 16, 3), 0.5), 50, optimise=False)
    >>> header, scan = jpeg_parts(file)
    >>> len(header), len(scan), header + scan == file[:-2]
    (623, 4, True)
    """
    place = 2
    if isinstance(file, bytes | bytearray) and file[:2] == b"\xff\xd8" and file[-2:] == b"\xff\xd9":
        while place + 4 <= len(file) and file[place] == 0xFF:
            marker, length = file[place + 1], int.from_bytes(file[place + 2 : place + 4], "big")
            place += 2 + length
            if marker == 0xDA:  # start of scan: what follows is the picture
                return bytes(file[:place]), bytes(file[place:-2])
    raise ValueError(f"file must be a JPEG file, got {file!r:.40}")


@checked
def png(picture: np.ndarray) -> bytes:
    """A picture as a PNG file, without loss but for the rounding to 8 bits.

    Parameters
    ----------
    picture : numpy.ndarray, ``[height, width, 3]``
        In [0, 1].

    Returns
    -------
    bytes
        The whole file, the smallest that Pillow finds.

    Raises
    ------
    ValueError
        If ``picture`` is none of the above.
    """
    file = io.BytesIO()
    _image(picture).save(file, "PNG", optimize=True)
    return file.getvalue()


@checked
def best_jpeg(picture: np.ndarray, fits: Callable[[bytes], bool]) -> tuple[bytes, int]:
    """The JPEG file of highest quality that is small enough.

    Parameters
    ----------
    picture : numpy.ndarray, ``[height, width, 3]``
        In [0, 1].
    fits : callable
        Told a file, says whether it may be sent.

    Returns
    -------
    bytes, int
        The file and its quality, 1 to 95.

    Raises
    ------
    ValueError
        If ``picture`` is none of the above, or not even quality 1 fits.
    """
    for quality in reversed(QUALITIES):
        file = jpeg(picture, quality)
        if fits(file):
            return file, quality
    raise ValueError(f"fits must let a JPEG file of quality 1 pass, got none at {len(file)} bytes")


@checked
def decoded(file: bytes) -> np.ndarray:
    """The picture in a whole file.

    Parameters
    ----------
    file : bytes
        Of a format that Pillow reads.

    Returns
    -------
    numpy.ndarray of float64, ``[height, width, 3]``
        In [0, 1].

    Raises
    ------
    ValueError
        If there is no whole picture in it.
    """
    try:
        with Image.open(io.BytesIO(file)) as image:
            return picture_bytes("file", image) / 255.0
    except (OSError, SyntaxError) as error:
        raise ValueError(f"file must hold a whole picture, got {len(file)} bytes: {error}") from None


@checked
def picture_from(file: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """What a receiver shows of the beginning of a JPEG file: what is missing stays mid-grey.

    An end-of-image marker is put behind what arrived; the decoder then fills the rest with grey. Without even the
    whole header there is nothing to decode, and everything is grey.

    Parameters
    ----------
    file : bytes
        The beginning, or all, of a file.
    shape : tuple of int
        Height, width and 3: the receiver knows the size of what it waits for.

    Returns
    -------
    numpy.ndarray of float64, ``[height, width, 3]``
        In [0, 1].

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    try:
        return decoded(file + b"\xff\xd9").reshape(shape)
    except ValueError:
        return np.full(shape, 0.5)
