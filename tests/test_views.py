"""Views from depth, and depth from views: held against the toy world's true cameras."""

import numpy as np
import pytest

from semcom_utils.generation.views import View, fill_holes, merge_views, reproject, sweep_depth, warp_view
from semcom_utils.toyworld import Camera, Description, Thing, render

THINGS = Description("grass", (Thing("ball", "red", 22, 47), Thing("cube", "blue", 40, 58)))
HOME = render(THINGS)


def seen_from(camera):
    return render(THINGS, camera)


@pytest.mark.parametrize("camera", [Camera(0.25), Camera(-0.25), Camera(up=0.3), Camera(forward=0.4)])
def test_a_rendered_view_is_near_the_true_one_and_nearer_than_the_picture_itself(camera):
    true = seen_from(camera)
    view = warp_view(HOME.image, HOME.depth, Camera(), camera)
    shown = np.abs(HOME.image - true.image).mean()
    made = np.abs(fill_holes(view).picture - true.image).mean()
    assert view.known.mean() > 0.8 and made < 0.4 * shown
    # the wrong way round is worse than not moving at all
    away = warp_view(HOME.image, HOME.depth, camera, Camera())
    assert np.abs(fill_holes(away).picture - true.image).mean() > shown


def test_a_thing_moves_by_its_own_inverse_depth():
    columns, rows, depth = reproject(HOME.depth, Camera(), Camera(0.5))
    for place, thing in enumerate(THINGS.things):
        on = HOME.instances == place + 1
        assert np.allclose((np.mgrid[0:64, 0:64][1] + 0.5 - columns)[on], 0.5 * thing.scale, atol=1e-4)
    assert np.array_equal(depth, HOME.depth) and np.allclose(rows, np.mgrid[0:64, 0:64][0] + 0.5)
    back = reproject(reproject(HOME.depth, Camera(), Camera(forward=0.5))[2], Camera(forward=0.5), Camera())
    assert np.allclose(back[2], HOME.depth)


def test_the_nearer_surface_wins():
    picture, depth = np.zeros((3, 8, 32)), np.full((8, 32), 0.1)
    picture[:, :, 20:], depth[:, 20:] = 1.0, 0.6
    view = warp_view(picture, depth, Camera(), Camera(right=0.4))
    step = round(0.4 * 28.74 * 0.6)
    assert view.picture[0, 4, 20 - step + 1 : 28 - step].min() > 0.9  # the far one would be there, too
    assert not view.known[4, -1]  # and what it leaves is a hole


def test_holes_take_what_lies_farther_away():
    picture, depth, known = np.zeros((3, 7, 9)), np.zeros((7, 9)), np.ones((7, 9), bool)
    picture[:, :, :4], depth[:, :4] = 0.2, 0.1
    picture[:, :, 5:], depth[:, 5:] = 0.9, 0.8
    known[:, 4] = known[3] = False
    filled = fill_holes(View(picture, depth, known))
    assert (
        np.allclose(filled.picture[:, :, 4], 0.2) and filled.known.all() and np.allclose(filled.picture[:, 3, 0], 0.2)
    )
    with pytest.raises(ValueError, match="view must show something"):
        fill_holes(View(picture, depth, np.zeros_like(known)))


def test_a_second_picture_closes_holes_and_weights_blend():
    user = Camera()
    views = [warp_view(s.image, s.depth, s.camera, user) for s in map(seen_from, (Camera(-0.5), Camera(0.5)))]
    both = merge_views(views, np.array([1.0, 1.0]))
    assert both.known.sum() > max(view.known.sum() for view in views)
    grey = [View(np.full((3, 7, 7), c), np.full((7, 7), d), np.ones((7, 7), bool)) for c, d in ((0.0, 0.5), (1.0, 0.5))]
    assert np.allclose(merge_views(grey, np.array([3.0, 1.0])).picture, 0.25)
    nearer = merge_views([grey[0], grey[1]._replace(disparity=np.full((7, 7), 0.9))], np.array([3.0, 1.0]))
    assert np.allclose(nearer.picture, 1.0)


def test_depth_from_two_angles():
    cameras = [Camera(-0.25), Camera(0.25)]
    scenes = [seen_from(camera) for camera in cameras]
    pictures = np.stack([s.image for s in scenes])
    swept = sweep_depth(pictures, cameras, 0)
    things = scenes[0].instances > 0
    ground = render(Description("grass", (Thing("ball", "red", 0, 30),)), Camera(right=4.0)).depth
    error = np.abs(swept - scenes[0].depth)[things].mean()
    assert error < 0.06 and error < 0.5 * np.abs(ground - scenes[0].depth)[things].mean()
    # two cameras that are taken for each other tell nothing
    wrong = sweep_depth(pictures, cameras[::-1], 0)
    assert np.abs(wrong - scenes[0].depth)[things].mean() > 2 * error
