"""Pictures as files, and what is left of a file that arrives in part."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from semcom_utils import toyworld
from semcom_utils.physical import DigitalLink
from semcom_utils.semantic.codecs import avif, best_jpeg, decoded, jpeg, jpeg_parts, picture_from, png, webp

PICTURE = toyworld.scene(3).image.transpose(1, 2, 0)


def test_png_is_exact_and_jpeg_is_not():
    rounded = np.round(PICTURE * 255) / 255
    assert np.allclose(decoded(png(PICTURE)), rounded, atol=1e-7)
    errors = [np.abs(decoded(jpeg(PICTURE, quality)) - rounded).mean() for quality in (10, 50, 95)]
    assert errors[0] > errors[1] > errors[2] > 0
    assert len(jpeg(PICTURE, 10)) < len(jpeg(PICTURE, 10, False)) < len(jpeg(PICTURE, 95))


def test_files_are_pillows():
    file = io.BytesIO()
    Image.fromarray(np.round(PICTURE * 255).astype(np.uint8)).save(file, "JPEG", quality=30)
    assert jpeg(PICTURE, 30, False) == file.getvalue()


def test_the_header_follows_from_the_quality_alone():
    other = toyworld.scene(4).image.transpose(1, 2, 0)
    (header, scan), (same, _) = (jpeg_parts(jpeg(picture, 40, optimise=False)) for picture in (PICTURE, other))
    assert header == same != jpeg_parts(jpeg(PICTURE, 41, optimise=False))[0]
    assert np.array_equal(picture_from(same + scan, PICTURE.shape), decoded(jpeg(PICTURE, 40, optimise=False)))
    for file in (b"", b"GIF89a", png(PICTURE), jpeg(PICTURE, 40)[:-2]):
        with pytest.raises(ValueError, match="^file must be a JPEG file"):
            jpeg_parts(file)


@pytest.mark.parametrize("codec", [webp, avif])
def test_later_codecs_are_better_at_higher_quality(codec):
    files = [codec(PICTURE, quality) for quality in (5, 50, 90)]
    errors = [np.abs(decoded(file) - PICTURE).mean() for file in files]
    assert len(files[0]) < len(files[1]) < len(files[2]) and errors[0] > errors[1] > errors[2] > 0
    for quality in (0, 96, 5.0):
        with pytest.raises(ValueError, match="^quality must be"):
            codec(PICTURE, quality)


def test_best_jpeg_fits_and_the_next_would_not():
    size = (len(jpeg(PICTURE, 40)) + len(jpeg(PICTURE, 70))) // 2
    file, quality = best_jpeg(PICTURE, lambda file: len(file) <= size)
    assert quality < 95 and len(file) <= size < len(jpeg(PICTURE, quality + 1))
    with pytest.raises(ValueError, match="^fits must let .* at [0-9]+ bytes"):
        best_jpeg(PICTURE, lambda file: False)


def test_half_a_file_shows_the_upper_half():
    file = jpeg(PICTURE, 90)
    whole, half = (picture_from(part, PICTURE.shape) for part in (file, file[: 3 * len(file) // 4]))
    assert np.array_equal(whole, decoded(file)) and np.array_equal(half[:8], whole[:8])
    assert np.ptp(half[-8:]) == 0 < np.ptp(whole[-8:])
    for rest in (b"", file[:100]):
        assert (picture_from(rest, PICTURE.shape) == 0.5).all()


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda: jpeg(np.full((96, 96, 4), 0.5), 50), "picture must be of shape"),
        (lambda: jpeg(np.full((96, 96, 3), 200, np.uint8), 50), "picture must hold floating-point numbers"),
        (lambda: jpeg(np.full((96, 96, 3), 1.5), 50), "picture must hold .* up to 1.5"),
        (lambda: png(np.full((96, 96, 3), np.nan)), "picture must be an array of real numbers"),
        (lambda: jpeg(PICTURE, 96), "quality must be a whole number from 1 to 95"),
        (lambda: jpeg(PICTURE, 0), "quality"),
        (lambda: decoded(b"no picture"), "file must hold a whole picture, got 10 bytes"),
        (lambda: DigitalLink().send_file(b"", 10.0, torch.Generator()), "file must be at least one byte"),
        (lambda: DigitalLink().send_file(b"a", 10.0, 3), "generator must be a torch.Generator, .* got 3"),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(ValueError, match=f"^{named}"):
        call()


def test_file_over_a_link():
    """An uncoded link knows of no loss, and hands on what it got; a coded one stops before what it knows is lost."""
    file, generator = jpeg(PICTURE, 50), torch.Generator().manual_seed(1)
    assert DigitalLink().send_file(file, 20.0, generator)[0] == file
    assert DigitalLink().send_file(file, -5.0, generator)[0] == b""
    arrived, result = DigitalLink(None).send_file(file, 10.0, generator)
    assert result.bit_errors > 0 and len(arrived) == len(file) and arrived != file
