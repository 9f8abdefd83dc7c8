"""The toy world: the same bit for bit, its semantics exact and in agreement, its splits truly apart."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semcom_utils import toyworld
from semcom_utils.toyworld import (
    CLASSES,
    COLOURS,
    GROUNDS,
    JOINTS,
    KINDS,
    POSES,
    SKELETONS,
    SPLITS,
    SUBJECTS,
    UNSEEN,
    Camera,
    Description,
    Meaning,
    Texture,
    Thing,
    Word,
    caption,
    describe,
    meaning,
    paraphrase,
    parse_caption,
    random_description,
    render,
    scene,
    split_of,
    subject,
    subject_scene,
)
from semcom_utils.toyworld.drawing import capsule, coverage, ellipse, polygon
from semcom_utils.toyworld.scene import CAMERA_HEIGHT, FOCAL, HORIZON, RIM_SCALE

SCENES = [scene(seed, split) for split in SPLITS for seed in range(60)]
#: SHA-256 over all arrays and captions of the first 20 scenes of each split. The checkpoints in data/models learnt from
#: this very world: if it changes, they must be trained anew.
FINGERPRINTS = {
    "train": "c6cafe8aa175bf1146c03e46bf3fbe8b0d43a70f37ee90ea5981464c84bb72b8",
    "combinations": "b62a4c9c857c635e4685afeaf14ee8b32e68ffa8aec25b6b27b8015b2cd1ac88",
    "attributes": "3db8f16743a3dacb9b1c505cb89bce88a45bae2cb91539cc30cb5359a6b08840",
}


@pytest.mark.parametrize("split", SPLITS)
def test_the_world_is_the_same_bit_for_bit(split):
    digest = hashlib.sha256()
    for seed in range(20):
        drawn = scene(seed, split)
        digest.update(drawn.caption.encode())
        for array in (
            drawn.image,
            drawn.instances,
            drawn.segmentation,
            drawn.depth,
            drawn.edges,
            drawn.boxes,
            drawn.keypoints,
        ):
            digest.update(np.ascontiguousarray(array).tobytes())
    assert digest.hexdigest() == FINGERPRINTS[split]


def test_shapes_and_ranges():
    for drawn in SCENES:
        things = len(drawn.description.things)
        assert drawn.image.shape == (3, 64, 64) and drawn.image.dtype == np.float32
        assert drawn.image.min() >= 0 and drawn.image.max() <= 1
        assert drawn.depth.shape == drawn.edges.shape == drawn.instances.shape == drawn.segmentation.shape == (64, 64)
        assert drawn.boxes.shape == (things, 4)
        assert drawn.keypoints.shape == (
            sum(thing.kind == "robot" for thing in drawn.description.things),
            len(JOINTS),
            3,
        )
        assert len(drawn.labels) == things and drawn.edges.dtype == bool


def test_boxes_bound_the_visible_pixels():
    for drawn in SCENES:
        for place, (left, top, right, bottom) in enumerate(drawn.boxes, start=1):
            rows, columns = np.nonzero(drawn.instances == place)
            assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (left, top, right, bottom)


def test_segmentation_names_the_instances_kind():
    for drawn in SCENES:
        for place, thing in enumerate(drawn.description.things, start=1):
            assert set(drawn.segmentation[drawn.instances == place]) == {CLASSES.index(thing.kind)}
        nothing = drawn.segmentation[drawn.instances == 0]
        assert set(nothing) <= {CLASSES.index("sky"), CLASSES.index("ground")}


def test_things_show_their_own_colour():
    for seed in range(200):
        drawn = scene(seed, things=1, textured=0.0)
        thing = drawn.description.things[0]
        pixels = drawn.image[:, drawn.instances == 1].astype(float)
        colour = np.array(COLOURS[thing.colour])
        cosine = (pixels * colour[:, None]).sum(0) / np.linalg.norm(pixels, axis=0) / np.linalg.norm(colour)
        assert np.median(cosine) > 0.99, drawn.caption


def test_depth_is_the_grounds_and_each_things_own():
    for drawn in SCENES:
        assert (drawn.depth[: int(HORIZON) - 1][drawn.instances[: int(HORIZON) - 1] == 0] == 0).all()
        for place, thing in enumerate(drawn.description.things, start=1):
            stands = drawn.description.things[1].y if drawn.description.inside else thing.y
            np.testing.assert_allclose(
                drawn.depth[drawn.instances == place], (stands - HORIZON) / (64 - HORIZON), rtol=1e-6
            )
        below = drawn.depth[np.ix_(range(int(HORIZON) + 1, 64), [0])][drawn.instances[int(HORIZON) + 1 :, 0] == 0]
        assert (np.diff(below.ravel()) > 0).all()


def test_the_nearer_thing_hides_the_farther():
    far, near = Thing("cube", "red", 30, 46), Thing("ball", "blue", 33, 58)
    drawn = render(Description("grass", (far, near)))
    alone = render(Description("grass", (near,)))
    np.testing.assert_array_equal(drawn.instances == 2, alone.instances == 1)
    assert (drawn.instances == 1).sum() < (render(Description("grass", (far,))).instances == 1).sum()


def test_size_goes_with_depth():
    areas = [np.sum(render(Description("sand", (Thing("ball", "red", 32, y),))).instances) for y in (46, 53, 60)]
    for area, y in zip(areas, (46, 53, 60), strict=True):
        radius = 13 * (y - HORIZON) / (60 - HORIZON)
        assert area == pytest.approx(np.pi * radius**2, rel=0.03)


def test_edges_are_where_the_instance_changes():
    for drawn in SCENES[:40]:
        key = drawn.instances * 100 + drawn.segmentation
        changes = np.zeros((64, 64), bool)
        for row in range(64):
            for column in range(64):
                changes[row, column] = (column < 63 and key[row, column] != key[row, column + 1]) or (
                    row < 63 and key[row, column] != key[row + 1, column]
                )
        np.testing.assert_array_equal(changes, drawn.edges)


def test_keypoints_lie_on_the_robot():
    for pose in POSES:
        drawn = render(Description("snow", (Thing("robot", "blue", 32, 58, pose),)))
        assert (drawn.keypoints[0, :, 2] == 1).all()
        for column, row, _ in drawn.keypoints[0]:
            assert drawn.instances[int(row), int(column)] == 1
    assert len({SKELETONS[pose].tobytes() for pose in POSES}) == len(POSES)


def test_hidden_and_cut_off_joints_are_marked():
    robot = Thing("robot", "blue", 30, 50, "standing")
    hidden = render(Description("snow", (robot, Thing("cube", "red", 31, 60))))
    assert 0 < hidden.keypoints[0, :, 2].sum() < len(JOINTS)
    cut = render(Description("snow", (replace(robot, x=2, pose="cheering"),)))
    outside = cut.keypoints[0, :, 0] < 0
    assert outside.any() and (cut.keypoints[0, outside, 2] == 0).all()


def test_a_dog_in_a_bucket():
    drawn = render(Description("grass", (Thing("dog", "red", 30, 56), Thing("bucket", "blue", 30, 56)), inside=True))
    assert drawn.caption == "a red dog in a blue bucket on grass"
    (_, dog_top, _, dog_bottom), (_, bucket_top, _, bucket_bottom) = drawn.boxes
    assert dog_top < bucket_top < dog_bottom < bucket_bottom  # it looks out at the top, and the wall hides the rest
    assert parse_caption("a red puppy in a blue pail on grass") == meaning(drawn.description)


@given(st.integers(0, 2**32 - 1), st.sampled_from(SPLITS))
@settings(max_examples=150, deadline=None)
def test_every_wording_is_read_back(seed, split):
    rng = np.random.default_rng(seed)
    description = random_description(rng, split, textured=0.3)
    text = paraphrase(description, rng)
    assert parse_caption(text) == meaning(description)
    assert parse_caption(text).canonical() == caption(description)
    assert parse_caption(text.upper().replace(" ", "  ") + ".").canonical() == caption(description)
    assert set(text.replace(",", " ,").split()) <= set(toyworld.VOCABULARY)


def test_wordings_differ():
    rng = np.random.default_rng(0)
    description = describe(3, things=2, inside=0.0)
    assert len({paraphrase(description, rng) for _ in range(200)}) > 20


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a red ball",
        "red ball on grass",
        "a red ball on mars",
        "a pink ball on grass",
        "a red cat on grass",
        "a red robot on grass",
        "a red ball waving on grass",
        "a red ball, a red cube on grass",
        "a red ball and on grass",
        "a red cube in a blue bucket on grass",
        "a red dog in a blue cube on grass",
        "on grass",
        "a red ball on grass on sand",
        "a red ball and a red ball and a red ball on grass",
        "a red ball left of a red cube and a red dog on grass",
        7,
        None,
    ],
)
def test_what_is_not_of_the_grammar_is_refused(text):
    with pytest.raises(ValueError, match="text m") as raised:
        parse_caption(text)
    assert repr(text) in str(raised.value)


def test_articles():
    assert Word("ball", "orange").text() == "an orange ball"
    assert Word("ball", "orange", texture="striped").text() == "a striped orange ball"


def test_splits_are_apart():
    seen = {split: [describe(seed, split) for seed in range(1500)] for split in SPLITS}
    for split, descriptions in seen.items():
        assert {split_of(description) for description in descriptions} == {split}
        assert {split_of(meaning(description)) for description in descriptions} == {split}

    def pairs(description):
        return tuple(sorted((thing.colour, thing.kind) for thing in description.things))

    assert not any(UNSEEN & set(pairs(d)) for d in seen["train"] + seen["combinations"])
    assert all(UNSEEN & set(pairs(d)) for d in seen["attributes"])
    told = {split: {(d.ground, d.inside, pairs(d)) for d in descriptions} for split, descriptions in seen.items()}
    assert not told["train"] & told["combinations"]
    # Held-out combinations are made of pairs and grounds that training has: only their coming together is new.
    for word in ("colour", "kind"):
        values = {s: {getattr(t, word) for d in ds for t in d.things} for s, ds in seen.items()}
        assert values["train"] == values["combinations"] == values["attributes"]
    alone = {s: {pair for d in ds for pair in pairs(d)} for s, ds in seen.items()}
    assert alone["combinations"] <= alone["train"] and len(alone["train"]) == len(COLOURS) * len(KINDS) - len(UNSEEN)


def test_the_split_depends_on_no_order():
    """Over all scenes of two things: or the mirror image of a training scene would count as new."""
    words = [Word(kind, colour, "standing" if kind == "robot" else None) for kind in KINDS for colour in COLOURS]
    share = []
    for one in words:
        for other in words:
            here, mirrored = (split_of(Meaning("sand", pair)) for pair in ((one, other), (other, one)))
            assert here == mirrored
            if here != "attributes":
                share.append(here == "combinations")
    assert np.mean(share) == pytest.approx(0.1, abs=0.03)


def test_what_is_not_said_does_not_decide_the_split():
    description = describe(0, "combinations", things=2, inside=0.0)
    moved = tuple(replace(thing, x=thing.x + 1, texture=Texture("striped")) for thing in description.things)
    assert split_of(replace(description, things=moved)) == "combinations"


def test_how_many_things():
    rng = np.random.default_rng(0)
    counts = np.bincount([len(random_description(rng).things) for _ in range(2000)], minlength=4)[1:] / 2000
    # Drawn (0.45, 0.40, 0.15), one in twenty a thing in a bucket; but the more things, the likelier one is held out:
    # a scene of n things has no unseen pair with probability (30/36)^n.
    drawn = 0.95 * np.array([0.45, 0.40, 0.15]) + 0.05 * np.array([0, 1, 0])
    kept = drawn * (30 / 36) ** np.arange(1, 4)
    np.testing.assert_allclose(counts, kept / kept.sum(), atol=0.03)
    for things in (1, 2, 3):
        assert {len(describe(seed, things=things).things) for seed in range(20)} == {things}
    assert all(describe(seed, things=2, inside=1.0).inside for seed in range(20))


def test_subjects_differ_in_their_texture_alone():
    subjects = [subject(number) for number in range(SUBJECTS)]
    assert len({repr(one) for one in subjects}) == SUBJECTS
    for number in range(SUBJECTS):
        views = [subject_scene(number, view) for view in range(5)]
        assert len({view.image.tobytes() for view in views}) == 5
        things = [view.description.things[0] for view in views]
        assert {(thing.kind, thing.colour, thing.texture) for thing in things} == {subjects[number]}


def test_captions_confuse_subjects_that_pictures_tell_apart():
    drawn = []
    for number in range(SUBJECTS):  # all in one place, so that nothing but the subject itself can differ
        kind, colour, texture = subject(number)
        drawn.append(render(Description("grass", (Thing(kind, colour, 32, 56, texture=texture),))))
    confused = 0
    for k, one in enumerate(drawn):
        for other in drawn[:k]:
            different = np.abs(one.image - other.image).max(0) > 0.2
            assert different.sum() > 40, (one.caption, other.caption)
            if one.caption == other.caption:  # the mark's colour and the period are never said
                confused += 1
                np.testing.assert_array_equal(one.instances, other.instances)
                left, top, right, bottom = one.boxes[0].astype(int)
                different[top - 1 : bottom + 1, left - 1 : right + 1] = False  # a pixel more, for the soft rim
                assert not different.any()
    assert confused > 0


def test_distances():
    x, y = np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-2, 2, 41))
    np.testing.assert_allclose(ellipse(x, y, (0.5, 0), (1.0, 1.0)), np.hypot(x - 0.5, y) - 1, atol=1e-12)
    np.testing.assert_allclose(capsule(x, y, (-1, 0), (1, 0), 0.5)[:, 20], np.abs(y[:, 20]) - 0.5, atol=1e-12)
    square = polygon(x, y, [(-1, -1), (1, -1), (1, 1), (-1, 1)])
    np.testing.assert_allclose(square, np.maximum(np.abs(x), np.abs(y)) - 1, atol=1e-12)
    # Half of a pixel on a straight rim is covered, and a disc's pixels add up to its area.
    assert coverage(np.array(0.0), 26.0) == 0.5
    rows, columns = np.mgrid[0:64, 0:64] + 0.5
    disc = coverage(ellipse((columns - 32) / 26, (32 - rows) / 26, (0, 0), (0.5, 0.5)), 26.0)
    assert disc.sum() == pytest.approx(np.pi * 13**2, rel=2e-3)


GOOD = {"kind": "ball", "colour": "red", "x": 32, "y": 50}


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Thing(**{**GOOD, "kind": "cat"}), "kind"),
        (lambda: Thing(**{**GOOD, "colour": "pink"}), "colour"),
        (lambda: Thing(**{**GOOD, "x": -1}), "x"),
        (lambda: Thing(**{**GOOD, "y": 10}), "y"),
        (lambda: Thing(**{**GOOD, "y": float("nan")}), "y"),
        (lambda: Thing(**GOOD, pose="waving"), "pose"),
        (lambda: Thing(**{**GOOD, "kind": "robot"}), "pose"),
        (lambda: Texture("plaid"), "pattern"),
        (lambda: Texture("striped", period=0), "period"),
        (lambda: Texture("striped", colour=(1, 1)), "colour"),
        (lambda: Texture("striped", colour=(1, 1, 2)), "colour"),
        (lambda: Texture("striped", colour=0.5), "colour"),
        (lambda: Thing(**GOOD, texture="striped"), "texture"),
        (lambda: Description("mars", (Thing(**GOOD),)), "ground"),
        (lambda: Description("grass", ()), "things"),
        (lambda: Description("grass", (Thing(**GOOD),) * 4), "things"),
        (lambda: Description("grass", ("ball",)), "things"),
        (lambda: Description("grass", 5), "things"),
        (lambda: Description("grass", (Thing(**GOOD), Thing(**{**GOOD, "x": 20}))), "things"),
        (lambda: Description("grass", (Thing(**GOOD),), inside=True), "inside"),
        (lambda: render("a red ball"), "description"),
        (lambda: render(describe(0), 0.5), "camera"),
        (lambda: Camera(right=5), "right"),
        (lambda: Camera(up=-1.5), "up"),
        (lambda: Camera(forward=2.0), "forward"),
        (lambda: Camera().sees(1.0, 1.0, 0.0), "scale"),
        (lambda: scene(-1), "seed"),
        (lambda: scene(1.5), "seed"),
        (lambda: scene(0, "test"), "split"),
        (lambda: describe(0, things=4), "things"),
        (lambda: random_description(0), "rng"),
        (lambda: random_description(np.random.default_rng(0), "test"), "split"),
        (lambda: random_description(np.random.default_rng(0), textured=1.5), "textured"),
        (lambda: random_description(np.random.default_rng(0), inside=-0.1), "inside"),
        (lambda: describe(0, inside=float("nan")), "inside"),
        (lambda: Word("cat", "red"), "kind"),
        (lambda: Word("ball", "pink"), "colour"),
        (lambda: Word("ball", "red", "waving"), "pose"),
        (lambda: Word("robot", "red"), "pose"),
        (lambda: Word("ball", "red", texture="plaid"), "texture"),
        (lambda: Meaning("mars", (Word("ball", "red"),)), "ground"),
        (lambda: Meaning("grass", ()), "things"),
        (lambda: Meaning("grass", [Word("ball", "red")]), "things"),
        (lambda: Meaning("grass", ("a red ball",)), "things"),
        (lambda: Meaning("grass", (Word("cube", "red"), Word("bucket", "red")), inside=True), "inside"),
        (lambda: meaning("a red ball on grass"), "description"),
        (lambda: caption(None), "description"),
        (lambda: paraphrase("a red ball on grass", np.random.default_rng(0)), "statement"),
        (lambda: paraphrase(describe(0), 0), "rng"),
        (lambda: split_of("a red ball on grass"), "said"),
        (lambda: subject(SUBJECTS), "number"),
        (lambda: subject(-1), "number"),
        (lambda: subject_scene(0, -1), "view"),
    ],
)
def test_bad_input_is_named(make, name):
    with pytest.raises(ValueError, match=rf"^{name} must"):
        make()


def test_grounds_can_be_told_apart():
    corners = {}
    for ground in GROUNDS:
        drawn = render(Description(ground, (Thing(**GOOD),)))
        corners[ground] = np.concatenate([drawn.image[:, 0, 0], drawn.image[:, -1, 0]])
    names = list(corners)
    for one in names:
        for other in names:
            assert one == other or np.abs(corners[one] - corners[other]).max() > 0.1


def test_meanings_compare_by_what_they_say():
    said = Meaning("grass", (Word("ball", "red"), Word("cube", "blue")))
    assert said == parse_caption("on grass, a blue block right of a red sphere")
    assert said != parse_caption("a blue cube and a red ball on grass")  # another order from left to right


def pinhole(x, y, scale, camera):
    """Where a camera that has moved sees a spot, by three-dimensional coordinates: column, row, and scale."""
    X, Y, Z = (x - 32) / scale, (y - HORIZON) / scale, FOCAL / scale
    X, Y, Z = X - camera.right, Y + camera.up, Z - camera.forward
    return 32 + FOCAL * X / Z, HORIZON + FOCAL * Y / Z, FOCAL / Z


MOVED = [Camera(0.4), Camera(-0.5), Camera(up=0.5), Camera(forward=0.8), Camera(-0.3, 0.4, -1.0)]


@pytest.mark.parametrize("camera", MOVED)
def test_a_moved_camera_sees_as_a_pinhole_does(camera):
    thing = Thing("ball", "red", 36, 52)
    assert np.allclose(camera.sees(thing.x, thing.y, thing.scale), pinhole(thing.x, thing.y, thing.scale, camera))
    drawn = render(Description("grass", (thing,)), camera)
    column, row, scale = pinhole(thing.x, thing.y, thing.scale, camera)
    left, top, right, bottom = drawn.boxes[0]
    assert drawn.camera == camera
    assert abs((left + right) / 2 - column) < 1 and abs(bottom - row) < 1.5
    assert abs((bottom - top) - scale) < 2  # a ball is one unit high
    assert np.allclose(drawn.depth[drawn.instances == 1], scale / RIM_SCALE)


def test_the_camera_at_home_is_that_of_all_pictures():
    for seed in range(20):
        one, other = render(describe(seed)), render(describe(seed), Camera())
        assert all(
            np.array_equal(getattr(one, n), getattr(other, n), equal_nan=True) for n in ("image", "depth", "boxes")
        )


def test_the_ground_and_its_shadows_move_by_their_own_distance():
    """Sideways the bare ground looks the same; from twice the height a spot of the ground is twice as far below."""
    ball = Thing("ball", "red", 0, 30)
    home, aside = (render(Description("sand", (ball,)), Camera(right)) for right in (0.0, 4.0))
    assert np.array_equal(home.depth[:, 32:], aside.depth[:, 32:]) and np.allclose(
        home.image[:, :, 40:], aside.image[:, :, 40:]
    )
    high = render(Description("sand", (ball,)), Camera(right=4.0, up=CAMERA_HEIGHT))
    assert np.allclose(high.depth[23:], home.depth[23:, [63]] / 2, atol=1e-6)
    # where the shadow ends is a spot of the ground: its column moves with the disparity of its own row
    flat = Thing("cone", "red", 32, 50)
    shadows = [render(Description("snow", (flat,)), camera).image[0] for camera in (Camera(), Camera(0.5))]
    empty = render(Description("snow", (Thing("cone", "red", 0, 30),)), Camera(right=4.0)).image[0]
    row = 51
    middles = [np.average(np.arange(64) + 0.5, weights=np.maximum(empty[row] - s[row], 0)) for s in shadows]
    assert middles[0] - middles[1] == pytest.approx(0.5 * home.depth[row, 63] * RIM_SCALE, abs=0.3)


def test_what_leaves_the_picture_is_not_drawn():
    drawn = render(Description("grass", (Thing("robot", "red", 32, 55, "waving"),)), Camera(right=3.5))
    assert not drawn.instances.any() and np.isnan(drawn.boxes).all() and not drawn.keypoints[:, :, 2].any()
