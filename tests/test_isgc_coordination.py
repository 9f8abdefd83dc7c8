"""The virtual campus: what is counted, how a message is chosen, and that the controls are what they are called."""

import numpy as np
import pytest

from semcom_utils.papers.isgc import coordination as campus
from semcom_utils.toyworld import Camera, render

MESSAGES = len(campus.MENU) + len(campus.FIXED) + 1


def records(n=4, seed=0):
    """Records of scenes with made-up qualities, in thousandths."""
    rng = np.random.default_rng(seed)
    ssim = rng.integers(500, 900, (n, MESSAGES, campus.USERS + 1))
    made = []
    for k, q in enumerate(ssim.tolist()):
        task = {"kind": "near", "budget": 4, "seed": k}
        made.append({"task": task, "ssim": q, "psnr": q, "told": q[: len(campus.MENU)]})
    return made


def test_a_sender_that_expects_the_truth_sends_the_best():
    made = records()
    q = campus.gains(made, [0])
    assert np.array_equal(q["coordinated"], q["best"]) and (q["coordinated"] >= q["nearest"]).all()
    for record in made:
        record["told"] = (1000 - np.array(record["told"])).tolist()
    misled = campus.gains(made, [0])
    assert (misled["coordinated"] < q["coordinated"]).all() and np.array_equal(misled["best"], q["best"])
    assert np.array_equal(misled["fixed"], q["fixed"])  # it hears nothing from the users


def test_the_fixed_message_is_settled_on_other_scenes():
    """Were a scene's own quality looked at, the fixed sender would be told about its users after all."""
    made = records()
    before = campus.gains(made, [0, 1])["fixed"][0]
    first = np.array(made[0]["ssim"])
    where = [np.isclose(1e-3 * first[len(campus.MENU) + k, :2].mean(), before) for k in range(len(campus.FIXED))].index(
        True
    )
    other = len(campus.MENU) + (where + 1) % len(campus.FIXED)
    first[other] = 999
    made[0]["ssim"] = first.tolist()
    assert campus.gains(made, [0, 1])["fixed"][0] == before


def test_shuffled_feedback_is_the_next_scenes():
    made = records()
    q, told = campus.gains(made, [2]), np.array([r["told"] for r in made])[:, :, 2].argmax(axis=1)
    ssim = 1e-3 * np.array([r["ssim"] for r in made])[:, :, 2]
    assert np.allclose(q["shuffled"], ssim[np.arange(4), [*told[1:], told[0]]])


def test_everything_fits_into_the_channel_uses():
    link = campus.campus_link()
    for budget in (1, 4, 8):
        uses = campus.budget_uses(budget)
        for pictures in (1, 2):
            for told in (0, 1, 5):
                bits = campus.payload_bits(uses, pictures, told)
                spent = link.layout(campus.PLACE_BITS * told).channel_uses if told else 0
                each = link.layout(bits + campus.NAME_BITS).channel_uses
                assert pictures * each + spent <= uses < pictures * (each + 2) + spent + 2
    assert campus.payload_bits(uses, 1) == 8 * 1024 and campus.payload_bits(uses, 1, 5) < 8 * 1024
    with pytest.raises(ValueError, match="uses must be enough"):
        campus.payload_bits(30, 2, 5)


def test_far_scenes_have_next_to_no_parallax():
    for seed in range(4):
        near, far = (campus.campus_scene(seed, kind) for kind in ("near", "far"))
        assert [t.label for t in near.things] == [t.label for t in far.things]
        moves = [np.abs(render(s, Camera(0.5)).image - render(s).image).mean() for s in (near, far)]
        assert moves[1] < 0.5 * moves[0]


def test_users_stand_on_the_rail_and_depend_on_the_scene():
    places = np.array([[u.right for u in campus.viewpoints(seed)] for seed in range(50)])
    assert places.shape == (50, campus.USERS) and np.abs(places).max() <= 1 and len(np.unique(places)) == places.size
    assert abs(places.mean()) < 0.15 and np.array_equal(places[3], [u.right for u in campus.viewpoints(3)])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: campus.campus_scene(0, "middle"), "kind"),
        (lambda: campus.budget_uses(9), "budget"),
        (lambda: campus.gains(records(), [9]), "users"),
        (lambda: campus.gains(records(), [0], "vi"), "measure"),
        (lambda: campus.watched_cells((8, 0, 0, 8)), "box"),
        (lambda: campus.depth_from(np.zeros((2, 3, 64, 64)), [Camera()]), "cameras"),
        (lambda: campus.rendered_for(Camera(), np.zeros((1, 3, 64, 64)), [], [Camera()]), "depths"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=f"^{name} must"):
        call()
