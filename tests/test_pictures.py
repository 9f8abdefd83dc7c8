"""Every function that takes a picture takes what a person's file may hold, or says by name what it cannot."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from semcom_utils import toyworld
from semcom_utils.generation import load
from semcom_utils.pictures import is_pil, picture_bytes, picture_numbers, pictures_bytes
from semcom_utils.semantic.codecs import decoded, jpeg, png
from semcom_utils.semantic.extractors import extract

pytestmark = pytest.mark.usefixtures("one_thread")
COLOURS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = COLOURS[:, :, 0]
RGB = Image.fromarray(COLOURS)


def as_file(picture, form, **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def opened(picture, form, **options):
    return Image.open(io.BytesIO(as_file(picture, form, **options)))


def with_alpha(alpha):
    return Image.fromarray(np.dstack([COLOURS, np.full(GREY.shape, alpha, np.uint8)]))


def clear_palette():
    """A palette picture whose first colour is see-through."""
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    return opened(picture, "PNG", transparency=0)


GREYS = np.repeat(GREY[:, :, None], 3, axis=2)
READ = {
    "RGB": (RGB, COLOURS),
    "a file": (opened(RGB, "PNG"), COLOURS),
    "L": (Image.fromarray(GREY), GREYS),
    "1": (Image.fromarray(GREY).point(lambda value: 255 * (value > 127), "1"), 255 * (GREYS > 127)),
    "16 bits": (Image.fromarray(GREY.astype(np.uint16) * 257), GREYS),
    "16 bits in a file": (opened(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG"), GREYS),
    "opaque": (with_alpha(255), COLOURS),
    "transparent": (with_alpha(0), np.full_like(COLOURS, 255)),
    "half": (with_alpha(128), np.round(COLOURS * (128 / 255) + 255 * (127 / 255))),
    "LA": (Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (7, 5), 255)]), GREYS),
    "palette": (Image.new("P", (3, 2)), np.zeros((2, 3, 3))),
    "clear palette": (clear_palette(), np.array([[[255, 255, 255], [0, 0, 255]]])),
    "CMYK": (RGB.convert("CMYK"), COLOURS),
    "one row": (Image.fromarray(COLOURS[:1]), COLOURS[:1]),
    "one pixel": (Image.fromarray(COLOURS[:1, :1]), COLOURS[:1, :1]),
}


@pytest.mark.parametrize("case", READ)
def test_what_a_file_shows_is_what_is_read(case):
    picture, expected = READ[case]
    found = picture_bytes("picture", picture)
    assert found.dtype == np.uint8 and found.shape == expected.shape
    assert np.abs(found.astype(int) - np.asarray(expected, int)).max() <= 1
    np.testing.assert_array_equal(pictures_bytes("images", picture)[0], found)


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB"])
def test_other_colours_are_read_nearly(mode):
    smooth = Image.linear_gradient("L").resize((16, 16)).convert("RGB")
    found = picture_bytes("picture", smooth.convert(mode))
    assert np.abs(found.astype(int) - np.asarray(smooth, int)).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_s_orientation_is_obeyed(orientation):
    """The eight ways to lay a picture down, and what each shows (Exif 2.3, tag 274)."""
    shows = [
        COLOURS,
        COLOURS[:, ::-1],
        COLOURS[::-1, ::-1],
        COLOURS[::-1],
        COLOURS.transpose(1, 0, 2),
        COLOURS.transpose(1, 0, 2)[:, ::-1],
        COLOURS.transpose(1, 0, 2)[::-1, ::-1],
        COLOURS.transpose(1, 0, 2)[::-1],
    ][orientation - 1]
    tags = Image.Exif()
    tags[274] = orientation
    file = as_file(RGB, "PNG", exif=tags)
    np.testing.assert_array_equal(picture_bytes("picture", Image.open(io.BytesIO(file))), shows)
    np.testing.assert_allclose(decoded(file), shows / 255)


def frames(form):
    return opened(RGB, form, save_all=True, append_images=[Image.new("RGB", RGB.size)])


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (Image.new("I", (4, 4), 70000), "mode 'I'"),
        (Image.new("F", (4, 4)), "mode 'F'"),
        (Image.new("RGB", (0, 4)), "at least one pixel"),
        (frames("GIF"), "2 frames"),
        (Image.open(io.BytesIO(as_file(Image.effect_noise((99, 99), 50), "PNG")[:-999])), "can be read"),
        ("a.png", "PIL image"),
        (COLOURS, "PIL image"),
    ],
    ids=["I", "F", "empty", "moving", "cut", "path", "array"],
)
def test_what_cannot_be_read_is_refused_by_name(picture, says):
    with pytest.raises(ValueError, match=f"^picture must .*({says})"):
        picture_bytes("picture", picture)


def test_the_16_bit_grey_of_the_audit_is_grey():
    clip = load("clip")
    grey, white = Image.fromarray(np.full((64, 64), 20000, np.uint16)), Image.new("RGB", (64, 64), "white")
    same = Image.new("L", (64, 64), round(20000 / 257))
    torch.testing.assert_close(clip.images(grey), clip.images(same))
    assert (clip.images(grey) @ clip.images(white).T).item() < 0.99


TENSOR = torch.from_numpy(COLOURS.transpose(2, 0, 1).copy())[None]
BATCHES = {
    "floats": TENSOR.float() / 255,
    "doubles": TENSOR.double() / 255,
    "halves": (TENSOR.float() / 255).half(),
    "brain floats": (TENSOR.float() / 255).bfloat16(),
    "bytes": TENSOR,
    "numpy": COLOURS.transpose(2, 0, 1)[None] / 255,
    "numpy bytes": COLOURS.transpose(2, 0, 1)[None],
    "a gradient": (TENSOR.float() / 255).requires_grad_(),
    "upside down": (COLOURS.transpose(2, 0, 1)[None] / 255)[:, :, ::-1],
}


@pytest.mark.parametrize("case", BATCHES)
def test_every_kind_of_numbers_says_the_same(case):
    expected = COLOURS[::-1] if case == "upside down" else COLOURS
    (found,) = pictures_bytes("images", BATCHES[case])
    assert found.dtype == np.uint8 and np.abs(found.astype(int) - expected).max() <= (1 if "brain" in case else 0)


@pytest.mark.parametrize(
    "wrong",
    [
        COLOURS[None] / 255,  # the channels last
        COLOURS.transpose(2, 0, 1) / 255,  # no batch
        TENSOR.int(),
        TENSOR.bool(),
        TENSOR.to(torch.complex64),
        TENSOR.float(),
        -TENSOR.float() / 255,
        TENSOR.float() * torch.nan,
        TENSOR[:, :, :0],
        np.array([["a"]]),
        [COLOURS],
        [],
        None,
        7,
        "a.png",
        [RGB, RGB.resize((7, 6))],
        [RGB, None],
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', '')}",
)
def test_other_numbers_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match="^images must"):
        pictures_bytes("images", wrong)


def test_numbers_of_one_picture():
    np.testing.assert_array_equal(picture_numbers("source", GREY), GREY / 255)
    np.testing.assert_array_equal(picture_numbers("source", (GREY / 255).tolist()), GREY / 255)
    assert is_pil(RGB) and not is_pil(GREY)
    for wrong in (GREY.astype(int), "x", None, [[1.0], [1.0, 2.0]], 1j * GREY, GREY * 1.0, []):
        with pytest.raises(ValueError, match="^source must"):
            picture_numbers("source", wrong)


SIZES = [(1, 64), (64, 1), (3, 64), (64, 3), (1, 1), (37, 53), (64, 64)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("role", ["clip", "detector", "captioner", "depth", "soft-edges"])
def test_networks_take_pictures_of_every_size(role, size):
    """... and say the same of a tensor and of a picture: axes are never guessed."""
    rng = np.random.default_rng(3)
    shown = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    tensor = torch.from_numpy(shown.transpose(2, 0, 1).copy())[None] / 255
    model = load(role)
    look = model.images if role == "clip" else model
    found, again = look(Image.fromarray(shown)), look(tensor)
    if isinstance(found, torch.Tensor):
        torch.testing.assert_close(found, again)
        assert torch.isfinite(found).all()
        if role in ("depth", "soft-edges"):
            assert tuple(found.shape) == (1, *size)
    else:
        assert found == again


def test_what_is_padded_is_cut_again():
    """Away from the seam, edges of a picture with odd sides are those of the even one that it is a part of."""
    edges, scene = load("soft-edges"), torch.from_numpy(toyworld.scene(5).image)[None]
    whole, part = edges(scene), edges(scene[:, :, :61, :59])
    assert (whole[:, :40, :40] - part[:, :40, :40]).abs().max() < 0.02


@pytest.mark.parametrize("role", ["segmentation", "pose"])
def test_parsers_name_the_sides_that_they_cannot_halve(role):
    with pytest.raises(ValueError, match="^images must have rows and columns in multiples of 8, got"):
        load(role)(Image.new("RGB", (37, 53)))


def test_a_map_is_found_in_bytes_floats_and_files():
    shown = (toyworld.scene(4).image * 255).round().astype(np.uint8)
    maps = [
        extract("canny", source).array
        for source in (
            shown,
            shown / 255,
            torch.from_numpy(shown),
            Image.fromarray(shown.transpose(1, 2, 0)),
            Image.fromarray(shown.transpose(1, 2, 0)).convert("RGBA"),
        )
    ]
    assert all((one == maps[0]).all() for one in maps)
    for wrong in (
        shown.transpose(1, 2, 0),
        shown.astype(int),
        Image.new("RGB", (32, 64)),
        "a.png",
        None,
        Image.new("F", (64, 64)),
    ):
        with pytest.raises(ValueError, match="^source must"):
            extract("canny", wrong)


@pytest.mark.parametrize("write", [png, lambda picture: jpeg(picture, 60)])
def test_codecs_write_one_row_and_views_and_refuse_the_rest(write):
    smooth = np.linspace(0, 1, 7 * 3).reshape(1, 7, 3)
    assert decoded(write(smooth)).shape == (1, 7, 3)
    assert write(smooth[:, ::-1]) == write(smooth[:, ::-1].copy()) == write(torch.from_numpy(smooth[:, ::-1].copy()))
    for wrong in (
        smooth[0],
        COLOURS,
        smooth.transpose(2, 0, 1),
        smooth * 2,
        smooth * np.nan,
        1j * smooth,
        "x",
        None,
        smooth > 0.5,
    ):
        with pytest.raises(ValueError, match="^picture must"):
            write(wrong)
