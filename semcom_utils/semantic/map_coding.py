"""Lossless coding of small maps: what a map costs in bits, measured on bytes that decode to the same map.

A map of 64x64 pixels is too small for the general formats: a PNG's frame alone has over 50 bytes. The maps' pixels go
through an adaptive binary arithmetic coder instead (Rissanen and Langdon, 1979; in the range form that LZMA uses): its
probabilities depend on the pixels to the left and above, as those of JBIG (ITU-T T.82) do. Poses are a list of
quantised joints.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from semcom_utils.checks import checked, one_of, positive_integer
from semcom_utils.toyworld import CLASSES, JOINTS

__all__ = ["decode_map", "decode_pose", "encode_map", "encode_pose", "png_bytes"]

_TOP, _MASK = 1 << 24, (1 << 32) - 1
#: Bits for the number of figures of a pose.
_COUNT = 3


class _Model:
    """Probability of a binary decision in a context: counts of what was seen there, halved when they grow."""

    def __init__(self):
        self.counts: defaultdict = defaultdict(lambda: [0.4, 0.4])

    def zero(self, context: object) -> float:
        zeros, ones = self.counts[context]
        return zeros / (zeros + ones)

    def learn(self, context: object, bit: int) -> None:
        seen = self.counts[context]
        seen[bit] += 1
        if seen[0] + seen[1] > 250:
            seen[0], seen[1] = seen[0] / 2, seen[1] / 2


class _Encoder:
    """Range coder: an interval that narrows with each decision; the bytes name a number in the last one."""

    def __init__(self):
        self.low, self.range, self.model = 0, _MASK, _Model()
        self.cache, self.pending, self.out = 0, 0, bytearray()
        self.started = False

    def bit(self, context: object, bit: int) -> int:
        bound = min(max(int(self.range * self.model.zero(context)), 1), self.range - 1)
        if bit:
            self.low, self.range = self.low + bound, self.range - bound
        else:
            self.range = bound
        self.model.learn(context, bit)
        while self.range < _TOP:
            self.range = self.range << 8 & _MASK
            self._shift()
        return bit

    def _shift(self) -> None:
        if self.low < 0xFF000000 or self.low > _MASK:  # a carry has come, or can come no more
            carry = self.low >> 32
            if self.started:
                self.out.append(self.cache + carry & 0xFF)
            self.out.extend([0xFF + carry & 0xFF] * self.pending)
            self.pending, self.started = 0, True
            self.cache = self.low >> 24 & 0xFF
        else:
            self.pending += 1
        self.low = self.low << 8 & _MASK

    def finish(self) -> bytes:
        """Bytes of a number in the interval, with as many zeros at its end as can be: the decoder adds them."""
        for zeros in range(32, -1, -8):
            number = self.low + (1 << zeros) - 1 >> zeros << zeros
            if number < self.low + self.range:
                self.low = number
                break
        for _ in range(5):
            self._shift()
        return bytes(self.out).rstrip(b"\0")


class _Decoder:
    def __init__(self, data: bytes):
        self.data, self.place, self.range, self.model = data, 4, _MASK, _Model()
        self.code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")

    def bit(self, context: object, _: int = 0) -> int:
        bound = min(max(int(self.range * self.model.zero(context)), 1), self.range - 1)
        bit = int(self.code >= bound)
        if bit:
            self.code, self.range = self.code - bound, self.range - bound
        else:
            self.range = bound
        self.model.learn(context, bit)
        while self.range < _TOP:
            self.range = self.range << 8 & _MASK
            following = self.data[self.place] if self.place < len(self.data) else 0
            self.code = (self.code << 8 | following) & _MASK
            self.place += 1
        return bit


@checked
def encode_map(array: np.ndarray, kind: str) -> bytes:
    """Code a map of pixels.

    Parameters
    ----------
    array : numpy.ndarray
        Whole numbers [rows, columns]: classes for ``segmentation``, 0 and 1 for ``canny``, 0 to 255 for ``depth``, 0 to
        31 for ``soft-edges``.
    kind : str
        Of the map.

    Returns
    -------
    bytes
        Without the kind and the size, which a message's header holds.

    Raises
    ------
    ValueError
        If ``kind`` is none of these, or ``array`` is not of it.
    """
    ways, highest = _PIXELS[one_of("kind", kind, _PIXELS)]
    values = np.asarray(array)
    if values.ndim != 2 or not values.size or values.dtype.kind not in "iu":
        raise ValueError(f"array must be whole numbers [rows, columns], got {values.dtype} of shape {values.shape}")
    if values.min() < 0 or values.max() > highest:
        raise ValueError(f"array must be from 0 to {highest} for {kind}, got {values.min()} to {values.max()}")
    coded = []
    for number, write in enumerate(ways):  # the shorter of two; the first decision tells which it is
        coder = _Encoder()
        if len(ways) > 1:
            coder.bit("way", number)
        _scan(values.shape, write, coder.bit, values.tolist())
        coded.append(coder.finish())
    return min(coded, key=len)


@checked
def decode_map(data: bytes, kind: str, shape: tuple[int, int]) -> np.ndarray:
    """Decode what :func:`encode_map` coded.

    Nothing in the bytes tells whether they are whole: a message needs a checksum.

    Parameters
    ----------
    data : bytes
        As :func:`encode_map` gives them.
    kind : str
        Of the map.
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    numpy.ndarray
        Int64 ``[rows, columns]``.

    Raises
    ------
    ValueError
        If ``kind`` is no map of pixels, ``data`` are no bytes, or ``shape`` is not two positive integers.
    """
    ways, highest = _PIXELS[one_of("kind", kind, _PIXELS)]
    if not isinstance(data, bytes | bytearray):
        raise ValueError(f"data must be bytes, got {type(data).__name__}")
    rows, columns = (positive_integer("shape", side) for side in shape)
    coder = _Decoder(bytes(data))
    values = _scan((rows, columns), ways[coder.bit("way") if len(ways) > 1 else 0], coder.bit, None)
    return np.clip(np.array(values, dtype=np.int64), 0, highest)


def _scan(shape: tuple[int, int], write: Callable, bit: Callable, values: list | None) -> list:
    """Go through the pixels in rows, with those that both sides know: left, above, and above to both sides."""
    rows, columns = shape
    above2, above = [0] * (columns + 4), [0] * (columns + 4)
    result = []
    for row in range(rows):
        line = [0] * (columns + 4)
        line[0] = line[1] = above[2]  # left of the picture: what is above its first pixel
        for column in range(columns):
            place = column + 2
            known = (line[place - 1], above[place], above[place - 1], above[place + 1], line[place - 2], above2[place])
            line[place] = write(bit, known, values[row][column] if values is not None else 0)
        line[columns + 2] = line[columns + 3] = line[columns + 1]
        result.append(line[2 : columns + 2])
        above2, above = above, line
    return result


def _class(bit: Callable, known: tuple, value: int) -> int:
    """A label: is it the one above, to the left, or above to the right? Else its number, bit by bit."""
    left, up, corner, right, left2, up2 = known
    pattern = (left == up, left == corner, up == corner, up == right, left == left2, up == up2)
    if not bit(("up", pattern), int(value != up)):
        return up
    tried = {up}
    for name, guess in (("left", left), ("right", right)):
        if guess not in tried:
            if not bit((name, pattern), int(value != guess)):
                return guess
            tried.add(guess)
    number = 1
    for place in (2, 1, 0):
        number = 2 * number + bit(("class", number), value >> place & 1)
    return min(number - 8, len(CLASSES) - 1)


def _edge(bit: Callable, known: tuple, value: int) -> int:
    """A pixel that is an edge or none, in the context of six neighbours."""
    return bit(known, value)


def _level(bit: Callable, known: tuple, value: int) -> int:
    """A grey value: its difference from the prediction of LOCO-I (Weinberger et al., 2000), modulo 256."""
    left, up, corner, right, left2, up2 = known
    low, high = min(left, up), max(left, up)
    guess = low if corner >= high else high if corner <= low else left + up - corner
    activity = abs(left - corner) + abs(up - corner) + abs(up - right)
    busy = 0 if activity == 0 else 1 if activity < 6 else 2 if activity < 30 else 3
    shape = (busy, left == left2, up == up2)
    residual = (value - guess + 128) % 256 - 128
    if not bit(("same", shape), int(residual != 0)):
        return guess
    # Flat things on a sloping ground: the value is often exactly a neighbour's where the prediction fails.
    sign = bit(("sign", busy), int(residual < 0))
    size = abs(residual) - 1
    length = 0
    while bit(("length", busy, length), int(size + 1 >> length + 1 > 0)):
        length += 1
        if length == 8:
            break
    number = 1
    for place in range(length - 1, -1, -1):
        number = 2 * number + bit(("bits", length, place if place < length - 1 else -1), size + 1 >> place & 1)
    return (guess + (-number if sign else number)) % 256


def _profile(bit: Callable, known: tuple, value: int) -> int:
    """A grey value, bit by bit, in the context of its neighbours' values: good where the same few come again."""
    left, up, corner, right, left2, up2 = known
    if not bit(("up", left, up), int(value != up)):
        return up
    number = 1
    for place in range(7, -1, -1):
        number = 2 * number + bit((number, left, up) if place < 6 else number, value >> place & 1)
    return number - 256


#: Kind -> ways to code a pixel, and the largest number.
_PIXELS = {
    "segmentation": ((_class,), len(CLASSES) - 1),
    "canny": ((_edge,), 1),
    "depth": ((_level, _profile), 255),
    "soft-edges": ((_level, _profile), 31),
}


@checked
def encode_pose(cells: np.ndarray, side: int) -> bytes:
    """Code poses as a list: how many figures, and for each joint whether it shows, and where.

    Parameters
    ----------
    cells : numpy.ndarray
        Whole numbers [figures, 14, 3]: column and row, in [0, side), and 1 where the joint shows.
    side : int
        How many columns and rows joints are quantised to.

    Returns
    -------
    bytes
        3 bits, and for each figure 14 bits and two numbers of ceil(log2(side)) bits for each visible joint.

    Raises
    ------
    ValueError
        If ``cells`` are not of that shape or range, or hold more than 7 figures, or ``side`` is not positive.
    """
    joints, width = np.asarray(cells), _width(side)
    if joints.ndim != 3 or joints.shape[1:] != (len(JOINTS), 3) or joints.dtype.kind not in "iu":
        raise ValueError(f"cells must be whole numbers [figures, {len(JOINTS)}, 3], got shape {joints.shape}")
    if len(joints) >= 1 << _COUNT:
        raise ValueError(f"cells must hold at most {(1 << _COUNT) - 1} figures, got {len(joints)}")
    seen = joints[joints[:, :, 2] > 0]
    if seen.size and (seen[:, :2].min() < 0 or seen[:, :2].max() >= side):
        raise ValueError(f"cells must be from 0 to {side - 1}, got {seen[:, :2].min()} to {seen[:, :2].max()}")
    text = f"{len(joints):0{_COUNT}b}"
    for figure in joints:
        for column, row, visible in figure.tolist():
            text += f"1{column:0{width}b}{row:0{width}b}" if visible and width else str(int(visible > 0))
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").rstrip(b"\0")


@checked
def decode_pose(data: bytes, side: int) -> np.ndarray:
    """Decode what :func:`encode_pose` coded.

    Parameters
    ----------
    data : bytes
        As :func:`encode_pose` gives them.
    side : int
        How many columns and rows joints are quantised to.

    Returns
    -------
    numpy.ndarray
        Int64 ``[figures, 14, 3]``; a hidden joint has column and row 0.

    Raises
    ------
    ValueError
        If ``data`` are no bytes, or ``side`` is not positive.
    """
    if not isinstance(data, bytes | bytearray):
        raise ValueError(f"data must be bytes, got {type(data).__name__}")
    width = _width(side)
    text = "".join(f"{byte:08b}" for byte in data)
    place = 0

    def number(bits: int) -> int:
        nonlocal place
        place += bits
        return int(text[place - bits : place].ljust(bits, "0"), 2) if bits else 0

    joints = np.zeros((number(_COUNT), len(JOINTS), 3), dtype=np.int64)
    for figure in joints:
        for joint in figure:
            if number(1):
                joint[:] = number(width), number(width), 1
    return np.minimum(joints, [side - 1, side - 1, 1])


def _width(side: int) -> int:
    return (positive_integer("side", side) - 1).bit_length()


@checked
def png_bytes(array: np.ndarray, kind: str) -> bytes:
    """The same numbers as a PNG file with as few bits a pixel as the format allows, for comparison.

    Parameters
    ----------
    array : numpy.ndarray
        As for :func:`encode_map`.
    kind : str
        Of the map.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ValueError
        If ``kind`` is no map of pixels.
    """
    if array.ndim != 2 or not array.size:
        raise ValueError(f"array must be [rows, columns] with at least one pixel, got {list(array.shape)}")
    from PIL import Image

    highest = _PIXELS[one_of("kind", kind, _PIXELS)][1]
    values = np.asarray(array, dtype=np.uint8)
    if highest == 1:
        picture, options = Image.fromarray(values * np.uint8(255)).convert("1"), {}
    elif highest < 16:
        picture, options = Image.fromarray(values).convert("P"), {"bits": 4}
        picture.putpalette([level for k in range(16) for level in (k, k, k)])
    else:
        picture, options = Image.fromarray(values), {}
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, **options)
    return file.getvalue()
