"""Control maps: exact where the scene is known, coded without loss, smaller by any factor, and refused where wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from semcom_utils import toyworld
from semcom_utils.semantic.extractors import FACTORS, SemanticMap, decode, extract
from semcom_utils.semantic.map_coding import decode_map, decode_pose, encode_map, encode_pose
from semcom_utils.toyworld import CLASSES, JOINTS, SIZE
from semcom_utils.toyworld.agreement import (
    MISSING,
    agreement,
    depth_correlation,
    edge_f_score,
    keypoint_distance,
    segmentation_iou,
)
from semcom_utils.toyworld.maps import MAPS, PALETTE, canny, control_array, control_picture, draw_pose, soften

SCENES = [toyworld.scene(seed, "combinations") for seed in range(5_000_000, 5_000_012)]
ROBOTS = [scene for scene in SCENES if len(scene.keypoints)]
each_kind = pytest.mark.parametrize("kind", MAPS)
#: Agreement of a map with itself.
PERFECT = {"depth": 1.0, "segmentation": 1.0, "pose": 0.0, "soft-edges": 1.0, "canny": 1.0}


@each_kind
def test_pictures_of_maps_are_rgb_of_the_scene_s_size(kind):
    for scene in SCENES:
        picture = control_picture(control_array(scene, kind), kind)
        assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8


def test_the_look_of_a_map_tells_its_kind():
    """Grey levels, few grey levels, two of them, the palette, colours on black: no two kinds look alike."""
    for scene in ROBOTS:
        pictures = {kind: control_picture(control_array(scene, kind), kind) for kind in MAPS}
        grey = {kind: bool((np.ptp(picture.astype(int), axis=2) == 0).all()) for kind, picture in pictures.items()}
        assert [kind for kind in MAPS if grey[kind]] == ["depth", "soft-edges", "canny"]
        assert set(np.unique(pictures["canny"])) == {0, 255}
        assert pictures["depth"][-1].min() == 252  # the ground's lower rim; edges are black there
        assert {tuple(c) for c in pictures["segmentation"].reshape(-1, 3).tolist()} <= set(map(tuple, PALETTE.tolist()))
        assert (pictures["pose"] == 0).all(2).mean() > 0.8 and len({tuple(c) for c in PALETTE.tolist()}) == len(CLASSES)


def test_maps_are_exact():
    scene = toyworld.scene(5_000_001, "combinations")
    np.testing.assert_array_equal(control_array(scene, "segmentation"), scene.segmentation)
    np.testing.assert_array_equal(control_array(scene, "depth"), scene.depth)
    np.testing.assert_array_equal(control_array(scene, "soft-edges") == 1, scene.edges)
    np.testing.assert_array_equal(control_array(scene, "canny"), canny(scene.image))
    with pytest.raises(ValueError, match="read-only|destination"):
        extract("depth", scene).array[0, 0] = 1
    control_array(scene, "depth")[0, 0] = 9  # a copy: the scene stays
    assert scene.depth[0, 0] == 0


def test_a_pose_shows_the_joints_that_are_on_the_robot():
    for scene in ROBOTS:
        joints = control_array(scene, "pose")
        np.testing.assert_array_equal(joints[:, :, :2], scene.keypoints[:, :, :2])
        assert (joints[:, :, 2] >= scene.keypoints[:, :, 2]).all()  # those on the robot, and those a pixel off it


def test_strokes_join_the_joints():
    joints = np.zeros((1, len(JOINTS), 3))
    joints[0, 0], joints[0, 1] = (10, 20, 1), (30, 20, 1)
    picture = draw_pose(joints)
    lit = (picture > 0).any(2)
    assert lit[19:21, 11:30].all() and not lit[:17].any() and not lit[23:].any() and not lit[:, 33:].any()
    joints[0, 1, 2] = 0
    assert not draw_pose(joints).any()  # a hidden end: no stroke
    assert not draw_pose(np.zeros((0, len(JOINTS), 3))).any()
    assert draw_pose(joints, size=128).shape == (128, 128, 3)


def test_soft_edges_fall_off():
    lines = np.zeros((9, 9), bool)
    lines[4] = True
    soft = soften(lines)
    np.testing.assert_allclose(soft[:, 0], np.exp(-0.5 * (np.arange(9) - 4.0) ** 2), rtol=1e-6)
    assert not soften(np.zeros((5, 5), bool)).any()


@each_kind
def test_agreement_knows_a_map_from_another(kind):
    chosen = ROBOTS if kind == "pose" else SCENES
    arrays = [control_array(scene, kind) for scene in chosen]
    same = [agreement(array, array, kind) for array in arrays]
    other = [agreement(array, arrays[k - 1], kind) for k, array in enumerate(arrays)]
    np.testing.assert_allclose(same, PERFECT[kind], atol=1e-9)
    if kind == "pose":
        assert np.mean(other) > 5
    else:
        assert np.mean(other) < {"depth": 0.4, "segmentation": 0.2}.get(kind, 0.6), np.mean(other)


def test_scores_of_known_maps():
    one, other = np.zeros((64, 64), int), np.zeros((64, 64), int)
    one[:8, :8], other[:8, 4:12] = 3, 3
    assert segmentation_iou(one, other) == pytest.approx(32 / 96)
    other[other == 3] = 4  # another thing in the same place
    assert segmentation_iou(one, other) == 0
    assert segmentation_iou(np.zeros((4, 4), int), np.ones((4, 4), int)) == 1  # sky and ground are no things
    lines = np.zeros((64, 64), bool)
    lines[40] = True
    for shift, score in ((1, 1.0), (2, 0.0)):
        assert edge_f_score(lines, np.roll(lines, shift, axis=0)) == score
    half = lines.copy()
    half[40, 32:] = False
    assert edge_f_score(lines, half) == pytest.approx(2 * (33 / 64) / (1 + 33 / 64))
    assert edge_f_score(lines, np.zeros_like(lines)) == 0 and edge_f_score(~lines & lines, ~lines & lines) == 1
    assert depth_correlation(lines, ~lines, backdrop=True) == pytest.approx(-1)
    assert depth_correlation(np.zeros((8, 8)), np.ones((8, 8)), backdrop=True) == 0


def test_keypoints_are_paired_and_missing_ones_counted():
    figure = np.stack([np.arange(14.0), np.arange(14.0) + 20, np.ones(14)], axis=1)
    two = np.stack([figure, figure + [30, 0, 0]])
    moved = two[::-1] + [3, 4, 0]
    assert keypoint_distance(two, moved) == pytest.approx(5)  # whatever their order
    assert keypoint_distance(two, two[:1]) == pytest.approx(MISSING / 2)
    assert keypoint_distance(two[:1], two) == pytest.approx(MISSING / 2)  # a robot too many
    assert keypoint_distance(two, np.zeros((0, 14, 3))) == MISSING and keypoint_distance(two[:0], two[:0]) == 0
    hidden = figure.copy()
    hidden[7:, 2] = 0
    assert keypoint_distance(hidden[None], figure[None]) == 0  # what was not sent is not asked for
    assert keypoint_distance(figure[None], hidden[None]) == pytest.approx(MISSING / 2)
    assert keypoint_distance(figure[None], figure[None] + [1000, 0, 0]) == MISSING


@each_kind
def test_decoding_gives_the_same_map_at_every_factor(kind):
    for scene in SCENES[:3] + ROBOTS[:2]:
        full = extract(kind, scene)
        for factor in FACTORS:
            small = full.downscaled(factor)
            again = decode(small.encoded, kind, factor)
            np.testing.assert_array_equal(again.array, small.array)
            assert again.array.dtype == small.array.dtype and again.factor == factor
            assert again.upscaled.factor == 1 and again.upscaled.picture.size == (SIZE, SIZE)


@each_kind
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_map_comes_back_from_its_bytes(kind, data):
    """Noise, constants, stripes: whatever the array, and whatever carries the coder has to run."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    if kind == "pose":
        side = data.draw(st.integers(1, 64))
        cells = rng.integers(side, size=(data.draw(st.integers(0, 7)), len(JOINTS), 3))
        cells[:, :, 2] = rng.random(cells.shape[:2]) < data.draw(st.sampled_from([0.0, 0.5, 1.0]))
        cells[cells[:, :, 2] == 0] = 0
        np.testing.assert_array_equal(decode_pose(encode_pose(cells, side), side), cells)
        return
    rows, columns = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    levels = {"segmentation": len(CLASSES), "canny": 2, "soft-edges": 32, "depth": 256}[kind]
    array = rng.integers(data.draw(st.integers(1, levels)), size=(rows, columns))
    if data.draw(st.booleans()):
        array = np.repeat(array[:, :1], columns, axis=1)
    coded = encode_map(array, kind)
    np.testing.assert_array_equal(decode_map(coded, kind, (rows, columns)), array)
    assert len(coded) <= rows * columns * 2 + 8  # noise may grow, but not much


def test_bits_are_fewer_than_those_of_a_png_and_fall_with_the_factor():
    for kind in MAPS:
        scenes = ROBOTS if kind == "pose" else SCENES[:5]
        bits = {f: np.mean([extract(kind, scene).downscaled(f).bits for scene in scenes]) for f in (1, 2, 4, 8, 16)}
        assert list(bits.values()) == sorted(bits.values(), reverse=True), (kind, bits)
        full = [extract(kind, scene) for scene in scenes]
        assert all(one.bits < one.raw_bits + 16 for one in full)
        if kind != "pose":
            assert all(one.bits < one.png_bits for one in full)
        assert full[0].bits % 8 == 0 and full[0].png_bits != 0
        # The paper's law, 1 / f^2, is far below what a small map really costs.
        assert bits[16] / bits[1] > 2 * full[0].downscaled(16).paper_share


def test_downscaling():
    labels = np.zeros((64, 64), int)
    labels[:, :33] = 3
    small = SemanticMap("segmentation", labels).downscaled(2)
    assert small.array.shape == (32, 32) and (small.array[:, :16] == 3).all() and (small.array[:, 17:] == 0).all()
    line = np.zeros((64, 64), bool)
    line[21, 5:60] = True
    assert SemanticMap("canny", line).downscaled(16).array[1].all()  # a thin line is kept
    thin = SemanticMap("canny", line).downscaled(4).upscaled.array
    assert thin.any() and thin.sum(0).max() <= 2  # and is thin again
    grey = SemanticMap("depth", np.full((64, 64), 0.4))
    np.testing.assert_allclose(grey.downscaled(7).array, 0.4, atol=1 / 255)
    np.testing.assert_allclose(grey.downscaled(7).upscaled.array, 0.4, atol=1 / 255)
    ramp = np.repeat(np.linspace(0, 1, 64)[:, None], 64, axis=1)
    assert np.abs(SemanticMap("depth", ramp).downscaled(4).upscaled.array - ramp).max() < 0.03
    assert grey.downscaled(1).paper_share == 1 and grey.downscaled(4).paper_share == 1 / 16
    assert grey.raw_bits == 64 * 64 * 8 and grey.downscaled(16).raw_bits == 4 * 4 * 8


def test_a_smaller_pose_is_a_coarser_one():
    pose = extract("pose", ROBOTS[0])
    exact = control_array(ROBOTS[0], "pose")
    errors = [keypoint_distance(exact, pose.downscaled(factor).upscaled.array) for factor in (1, 4, 16)]
    assert errors[0] <= 0.75 and errors == sorted(errors)
    assert pose.downscaled(3).picture.size == (SIZE, SIZE) and pose.png_bits is None
    assert not pose.array.flags.writeable


def test_extraction_from_a_picture_uses_the_network():
    scene = ROBOTS[0]
    picture = Image.fromarray(np.round(255 * scene.image).astype(np.uint8).transpose(1, 2, 0))
    asked = []

    def network(images):
        asked.append(images)
        return [scene.keypoints]

    found = extract("pose", picture, network)
    assert asked[0].shape == (1, 3, SIZE, SIZE) and found.array.shape == scene.keypoints.shape
    assert extract("canny", picture).array.shape == (SIZE, SIZE)
    assert (extract("depth", scene.image, lambda images: np.full((1, 64, 64), 1.3)).array == 1).all()  # cut to [0, 1]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: extract("heat", SCENES[0]), "kind"),
        (lambda: extract(None, SCENES[0]), "kind"),
        (lambda: extract("depth", SCENES[0].image), "network"),
        (lambda: extract("canny", SCENES[0].image[:, :32]), "source"),
        (lambda: extract("canny", Image.new("RGB", (32, 64))), "source"),
        (lambda: extract("canny", "a picture"), "source"),
        (lambda: extract("canny", SCENES[0].image * 255), "source"),
        (lambda: extract("canny", SCENES[0].image * np.nan), "source"),
        (lambda: extract("depth", SCENES[0].image, lambda images: np.zeros((1, 32, 32))), "array"),
        (lambda: extract("depth", SCENES[0]).downscaled(0), "factor"),
        (lambda: extract("depth", SCENES[0]).downscaled(17), "factor"),
        (lambda: extract("depth", SCENES[0]).downscaled(65), "factor"),
        (lambda: extract("depth", SCENES[0]).downscaled(2.0), "factor"),
        (lambda: extract("depth", SCENES[0]).downscaled(True), "factor"),
        (lambda: extract("depth", SCENES[0]).downscaled(2).downscaled(2), "factor"),
        (lambda: SemanticMap("depth", np.zeros((32, 32))), "array"),
        (lambda: SemanticMap("depth", np.zeros((64, 64)), 2), "array"),
        (lambda: SemanticMap("depth", np.full((64, 64), 1.5)), "array"),
        (lambda: SemanticMap("depth", np.full((64, 64), np.nan)), "array"),
        (lambda: SemanticMap("segmentation", np.full((64, 64), 8)), "array"),
        (lambda: SemanticMap("segmentation", np.full((64, 64), 0.5)), "array"),
        (lambda: SemanticMap("pose", np.zeros((1, 13, 3))), "array"),
        (lambda: SemanticMap("canny", np.zeros((64, 64), bool), 0), "factor"),
        (lambda: decode(b"", "depth", 0), "factor"),
        (lambda: decode(b"", "heat"), "kind"),
        (lambda: decode("text", "depth"), "data"),
        (lambda: decode("text", "pose"), "data"),
        (lambda: encode_map(np.zeros((4, 4)), "canny"), "array"),
        (lambda: encode_map(np.full((4, 4), 2), "canny"), "array"),
        (lambda: encode_map(np.zeros((4, 4), int), "pose"), "kind"),
        (lambda: encode_pose(np.zeros((8, 14, 3), int), 64), "cells"),
        (lambda: encode_pose(np.full((1, 14, 3), 64), 64), "cells"),
        (lambda: encode_pose(np.zeros((1, 14, 3), int), 0), "side"),
        (lambda: control_array(None, "depth"), "scene"),
        (lambda: control_array(SCENES[0], "hed"), "kind"),
        (lambda: control_picture(np.full((4, 4), 9), "segmentation"), "labels"),
        (lambda: control_picture(np.zeros((4, 4)), "segmentation"), "labels"),
        (lambda: control_picture(np.full((4, 4), 2.0), "depth"), "array"),
        (lambda: control_picture(np.zeros((4, 4, 3)), "depth"), "array"),
        (lambda: draw_pose(np.zeros((14, 3))), "keypoints"),
        (lambda: canny(np.zeros((64, 64))), "image"),
        (lambda: agreement(np.zeros((4, 4)), np.zeros((4, 5)), "canny"), "found"),
        (lambda: agreement(np.zeros(4), np.zeros(4), "canny"), "sent"),
        (lambda: agreement(np.zeros((4, 4)), np.zeros((4, 4)), "heat"), "kind"),
        (lambda: segmentation_iou(np.full((4, 4), 9), np.zeros((4, 4), int)), "sent"),
        (lambda: depth_correlation(np.zeros((4, 4)), np.zeros((4, 4))), "sent"),
        (lambda: keypoint_distance(np.zeros((1, 14, 2)), np.zeros((1, 14, 3))), "sent"),
        (lambda: keypoint_distance(np.zeros((1, 14, 3)), np.zeros((1, 17, 3))), "found"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=f"^{name} must (be|have|hold) "):
        call()
