"""Drops, straightness and the workflow of Fig. 4 on tables whose answers are known; one scene through the pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semcom_utils import toyworld
from semcom_utils.generation import one_thread
from semcom_utils.papers.semcom_for_aigc import downscaling, quality
from semcom_utils.papers.semcom_for_aigc.scenario import EXTRACTORS, FACTORS, pictures, semantic_map
from semcom_utils.studies import load_result

FALLING = np.linspace(1, 0.4, len(FACTORS))
NOISE = 0.02 * np.random.default_rng(0).normal(size=(40, len(FACTORS)))


@settings(max_examples=50, deadline=None)
@given(st.floats(-1, 1).filter(lambda b: abs(b) > 1e-3), st.floats(-1, 1))
def test_a_line_is_straight(slope, start):
    assert quality.linearity(start + slope * np.array(FACTORS)) == pytest.approx(1)


def test_straightness_is_that_of_the_mean_over_scenes():
    scenes = FALLING + NOISE
    assert quality.linearity(scenes) == pytest.approx(np.corrcoef(FACTORS, scenes.mean(0))[0, 1] ** 2)
    assert quality.linearity(np.ones(len(FACTORS))) == 0  # what answers to nothing predicts nothing
    assert quality.linearity(1.0 * (np.array(FACTORS) == 1)) < 0.5  # a cliff behind the exact match


def test_a_clear_drop_is_found_where_it_is():
    steps = np.where(np.array(FACTORS) >= 8, 0.7, 1.0) + NOISE
    floor = np.full(len(steps), 0.4)  # the drop is half of the way
    assert quality.first_clear_drop(steps, floor) == 8
    assert quality.first_clear_drop(1 + NOISE, floor) == quality.NEVER
    # a drop of less than a tenth of the way is none, however sure; nor is a large one that is seen on two scenes alone
    assert quality.first_clear_drop(np.where(np.array(FACTORS) >= 8, 0.95, 1.0) + NOISE, floor) == quality.NEVER
    rare = np.ones((40, len(FACTORS)))
    rare[:2, 5:] = 0.4
    assert quality.first_clear_drop(rare, floor) == quality.NEVER


TABLE = {"pose": {"ssim": 0.9, "mse": 0.8}, "depth": {"ssim": 0.7, "mse": 0.95}}


def test_the_workflow_completes_what_is_stated():
    assert quality.choose_pair(TABLE, metric="mse") == ("depth", "mse")
    assert quality.choose_pair(TABLE, extractor="pose") == ("pose", "ssim")
    assert quality.choose_pair(TABLE, "pose", "mse") == ("pose", "mse")


class Pipeline:
    """Is called only where all is right."""

    controlnet = None

    def __call__(self):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: pictures(None, ["a red ball on grass"], None, [1]), "pipeline"),
        (lambda: quality.choose_pair(TABLE), "extractor or metric"),
        (lambda: quality.choose_pair(TABLE, extractor="midas"), "extractor"),
        (lambda: quality.choose_pair(TABLE, metric="fid"), "metric"),
        (lambda: quality.linearity([1.0, 0.5]), "quality"),
        (lambda: quality.linearity(FALLING * np.nan), "quality"),
        (lambda: quality.first_clear_drop(FALLING, [0.0]), "measure"),
        (lambda: quality.first_clear_drop(FALLING + NOISE, [0.0]), "floor"),
        (lambda: quality.service_table([], [("pose", "ssim")]), "records"),
        (lambda: quality.service_table([], [("midas", "ssim")]), "extractor"),
        (lambda: semantic_map("midas", toyworld.scene(1), {}), "extractor"),
        (lambda: semantic_map("learned-depth", toyworld.scene(1), {}), "networks"),
        (lambda: pictures(Pipeline(), ["a red ball on grass"], None, [1, 2]), "seeds"),
        (lambda: pictures(Pipeline(), ["a red ball on grass"], [], [1]), "maps"),
    ],
)
def test_bad_input(call, name):
    with pytest.raises(ValueError, match=f"^{name} must"):
        call()


def test_the_scenes_are_held_out_and_of_both_kinds():
    chosen = downscaling.scene_numbers()
    assert len(chosen) == len({number for number, _ in chosen}) == 45
    assert sum(robot for _, robot in chosen) == 30
    for number, robot in chosen[:8]:
        things = toyworld.scene(number, "combinations").description.things
        assert robot == any(thing.kind == "robot" for thing in things)


def test_the_services_table_keeps_draws_in_step():
    records = load_result("semcom_for_aigc/quality")["records"]
    table, bits, scenes = quality.service_table(records, [("pose", "ssim"), ("depth", "psnr")])
    assert table.shape == (90, 2, 10) and bits.shape == (2, 10) and scenes.shape == (90,)
    assert (table[:, :, 0] == 1).all() and (table <= 1).all()  # factor 1 is the reference itself
    own = next(r for r in records if r["task"]["extractor"] == "depth" and r["task"]["scene"] == scenes[7])
    np.testing.assert_allclose(table[7, 1], own["psnr"][1][:-1])
    assert (bits[:, 0] > bits[:, -1]).all()  # not at each step: joints on a coarser grid may cost a bit more


def test_equal_maps_and_seeds_give_equal_pictures_and_the_blank_one_is_no_control():
    one_thread()
    m, scene = downscaling.models(), toyworld.scene(2000, "combinations")
    sent = semantic_map("depth", scene, m)
    drawn = pictures(m["pipeline"], [scene.caption] * 3, [sent, sent.downscaled(16), sent], [5, 5, 5])
    np.testing.assert_allclose(drawn[0], drawn[2], atol=1e-4)
    assert np.abs(drawn[0] - drawn[1]).max() > 0.1
    alone = pictures(m["pipeline"], [scene.caption] * 2, None, [5, 6])
    assert np.abs(alone[0] - drawn[0]).max() > 0.1 and np.abs(alone[0] - alone[1]).max() > 0.1


def test_every_extractor_has_a_kind_and_a_name():
    from semcom_utils.papers.semcom_for_aigc.scenario import NAMES
    from semcom_utils.toyworld.maps import MAPS

    assert set(NAMES) == set(EXTRACTORS)
    assert {kind for kind, _ in EXTRACTORS.values()} == set(MAPS)
