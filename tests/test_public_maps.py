"""Pictures for the public ControlNets: colours, joints and sizes as those networks know them."""

import numpy as np
import pytest
from PIL import Image

from semcom_utils.semantic.public_maps import (
    ADE_COLOURS,
    OPENPOSE_JOINTS,
    draw_ade,
    draw_openpose,
    openpose_joints,
    public_picture,
)


def test_ade_has_150_colours_in_the_order_of_the_list():
    assert ADE_COLOURS.shape == (150, 3)
    for number, colour in {0: (120, 120, 120), 2: (6, 230, 230), 4: (4, 200, 3), 12: (150, 5, 61)}.items():
        assert tuple(ADE_COLOURS[number]) == colour  # wall, sky, tree, person
    # Two classes share a grey in the list as published; all others differ.
    assert len({tuple(colour) for colour in ADE_COLOURS.tolist()}) == 149
    np.testing.assert_array_equal(draw_ade([[0, 149]]), ADE_COLOURS[[0, 149]][None])


def coco():
    """A person whose joints stand at (10 k, 5 k)."""
    person = np.stack([10.0 * np.arange(17), 5.0 * np.arange(17), np.ones(17)], axis=1)
    return person[None]


def test_joints_change_their_order_and_gain_a_neck():
    joints = openpose_joints(coco())
    assert joints.shape == (1, 18, 3) and len(OPENPOSE_JOINTS) == 18
    names = dict(zip(OPENPOSE_JOINTS, joints[0], strict=True))
    assert names["nose"][0] == 0 and names["left shoulder"][0] == 50 and names["right ankle"][0] == 160
    assert names["left eye"][0] == 10 and names["right ear"][0] == 40 and tuple(names["neck"]) == (55.0, 27.5, 1.0)
    hidden = coco()
    hidden[0, 6, 2] = 0
    joints = openpose_joints(hidden)[0]
    assert joints[1, 2] == 0 and joints[2, 2] == 0 and joints[5, 2] == 1  # no neck with one shoulder
    assert openpose_joints(np.zeros((0, 17, 3))).shape == (0, 18, 3)


def test_discs_are_in_18_hues_and_strokes_dimmer():
    joints = np.zeros((1, 18, 3))
    joints[0, 1], joints[0, 2] = (100, 100, 1), (300, 100, 1)  # neck, right shoulder
    picture = draw_openpose(joints, (512, 512))
    assert tuple(picture[100, 100]) == (255, 85, 0) and tuple(picture[100, 300]) == (255, 170, 0)
    assert tuple(picture[100, 200]) == (153, 0, 0) and not picture[120].any()  # the first stroke
    joints[0, 2, 2] = 0
    alone = draw_openpose(joints, (512, 512))
    assert alone[100, 100].any() and not alone[100, 200].any()
    each = np.zeros((1, 18, 3))
    each[0, :, 0], each[0, :, 1], each[0, :, 2] = 10 * np.arange(18) + 20, 30, 0
    each[0, ::2, 2] = 1
    hues = {tuple(draw_openpose(each, (64, 256))[30, 10 * k + 20]) for k in range(0, 18, 2)}
    assert len(hues) == 9 and (0, 0, 0) not in hues
    assert not draw_openpose(np.zeros((0, 18, 3)), (8, 16)).any()


PICTURE = Image.linear_gradient("L").resize((130, 90))


def test_a_picture_keeps_its_shape_in_multiples_of_eight():
    asked = []

    def depth(images):
        asked.append(images)
        return np.linspace(3, 7, images[0, 0].size).reshape(1, *images.shape[2:])

    shown = public_picture("depth", PICTURE, depth, size=64)
    assert shown.size == (96, 64) and asked[0].shape == (1, 3, 64, 96) and 0 <= asked[0].min() <= asked[0].max() <= 1
    pixels = np.asarray(shown)
    assert pixels[0, 0].tolist() == [0, 0, 0] and pixels[-1, -1].tolist() == [255] * 3  # the nearest is white
    assert (
        public_picture("depth", PICTURE, lambda images: np.ones((1, *images.shape[2:])), 64).getextrema()
        == ((0, 0),) * 3
    )


def test_edges_need_no_network_or_any():
    half = np.zeros((3, 100, 100))
    half[:, :, 50:] = 1
    edges = np.asarray(public_picture("canny", half, size=128))
    assert set(np.unique(edges)) == {0, 255} and edges[64, 56:72].any() and not edges[:, :32].any()
    soft = public_picture("soft-edges", half, lambda images: 0.5 * np.ones((1, *images.shape[2:])), size=64)
    assert set(np.unique(soft)) == {128}


def test_what_is_found_is_drawn():
    people = public_picture("pose", PICTURE, lambda images: [coco() / 4 + [0, 0, 1]], size=64)
    assert np.asarray(people).any()
    classes = public_picture("segmentation", PICTURE, lambda images: np.full((1, *images.shape[2:]), 4), size=64)
    assert np.unique(np.asarray(classes).reshape(-1, 3), axis=0).tolist() == [[4, 200, 3]]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: public_picture("heat", PICTURE), "kind"),
        (lambda: public_picture("depth", PICTURE), "network"),
        (lambda: public_picture("soft-edges", PICTURE), "network"),
        (lambda: public_picture("canny", PICTURE, size=100), "size"),
        (lambda: public_picture("canny", PICTURE, size=0), "size"),
        (lambda: public_picture("canny", "a picture"), "picture"),
        (lambda: public_picture("canny", np.zeros((4, 4))), "picture"),
        (lambda: public_picture("canny", np.full((3, 4, 4), 2.0)), "picture"),
        (lambda: draw_ade([[150]]), "classes"),
        (lambda: draw_ade([0]), "classes"),
        (lambda: openpose_joints(np.zeros((1, 14, 3))), "people"),
        (lambda: draw_openpose(np.zeros((1, 17, 3)), (8, 8)), "people"),
        (lambda: draw_openpose(np.zeros((1, 18, 3)), (8,)), "shape"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=f"^{name} must (be|hold)"):
        call()
