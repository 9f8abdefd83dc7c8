"""The checkpoints of grounding and of the subjects do what their cards say, on scenes and seeds of no card's figures.

Controls that must fail: boxes of another scene, no boxes, shuffled weights; another subject's adapter, none at all.
"""

import numpy as np
import pytest
import torch

from semcom_utils import toyworld
from semcom_utils.generation import Judge, load
from semcom_utils.generation.grounding import new_layers
from semcom_utils.generation.training.card import read_figures
from semcom_utils.generation.training.grounded import draw, exchanged, held_out, obedience
from semcom_utils.generation.training.subject import ground_of, subject_prompt
from semcom_utils.generation.training.subject_autoencoder import coloured_scene
from semcom_utils.paths import MODELS

BOX_IOU, PROMPT, IDENTITY = 0.5, 0.7, 0.7  # well below the targets of the cards, for few pictures scatter
pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


def shuffled(layers):
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in (p for layer in layers for p in layer.parameters()):
            weights.copy_(weights.flatten()[torch.randperm(weights.numel(), generator=draws)].reshape(weights.shape))


def shipped(role):
    return pytest.mark.skipif(not (MODELS / f"mini-{role}").is_dir(), reason="not trained yet")


@pytest.fixture(scope="module")
def judge():
    return Judge()


@pytest.fixture(scope="module")
def scenes():
    return held_out(18, first=40_000)


@shipped("grounded")
def test_boxes_and_words_are_obeyed(judge, scenes):
    model = load("grounded", device="cpu")
    own = [scene.boxes / toyworld.SIZE for scene in scenes]
    values = obedience(judge(draw(model, scenes, own, seed=3)), scenes)
    assert values["box_iou"] >= BOX_IOU and values["prompt_obeyed"] >= PROMPT, values
    told = read_figures(MODELS / "mini-grounded")["held_out"]
    for name, value in values.items():
        assert abs(value - told[name]) <= 0.25, f"{name}: {value:.2f} here, {told[name]:.2f} on the card"
    # One thing alone may stand anywhere; of three, named from left to right, the order says roughly where.
    alone = [scene for scene in scenes if len(scene.boxes) == 1]
    moved = judge(draw(model, alone, exchanged(alone), seed=3))
    assert obedience(moved, alone, exchanged(alone))["box_iou"] >= BOX_IOU
    blank = judge(draw(model, alone, [np.empty((0, 4))] * len(alone), seed=3))
    others = [obedience(found, alone)["box_iou"] for found in (moved, blank)]
    assert max(others) < BOX_IOU and max(others) < values["box_iou"] - 0.25, others


@shipped("grounded")
def test_shuffled_grounding_fails(judge, scenes):
    model = load("grounded", device="cpu")
    shuffled(new_layers(model.pipeline.unet).values())
    alone = [scene for scene in scenes if len(scene.boxes) == 1]  # of three the captions' order says where
    there = exchanged(alone)
    assert obedience(judge(draw(model, alone, there, seed=3)), alone, there)["box_iou"] < BOX_IOU


@shipped("subject-autoencoder")
def test_the_decoder_draws_patterns_in_every_colour():
    x = torch.from_numpy(np.stack([coloured_scene(seed).image for seed in range(3_000_000, 3_000_030)]))

    def psnr(model):
        with torch.no_grad():
            back = (model.decode(model.encode(2 * x - 1).latent_dist.mean).sample / 2 + 0.5).clamp(0, 1)
        return float((-10 * (back - x).square().mean((1, 2, 3)).log10()).mean())

    told = read_figures(MODELS / "mini-subject-autoencoder")["held_out"]
    value, before = psnr(load("subject-autoencoder", device="cpu")), psnr(load("autoencoder", device="cpu"))
    assert value >= 25 and abs(value - told["psnr_db_coloured"]) < 2 and before < value - 3


@shipped("identity")
def test_the_judge_of_identity_knows_rendered_subjects():
    judge = load("identity", device="cpu")
    truth = np.repeat(np.arange(toyworld.SUBJECTS), 2)
    views = [toyworld.subject_scene(number, 300 + place) for place, number in enumerate(truth)]
    images = torch.from_numpy(np.stack([scene.image for scene in views]))
    assert (judge(images).argmax(1).numpy() == truth).mean() >= 0.85
    boxes = np.stack([scene.boxes[0] for scene in views]) / toyworld.SIZE
    assert (judge(images, boxes).argmax(1).numpy() == truth).mean() >= 0.85
    shuffled([judge.model])
    assert (judge(images).argmax(1).numpy() == truth).mean() < 0.2


@shipped("subject")
def test_subjects_are_kept_and_the_ground_is_obeyed():
    judge, right, ground, strangers = load("identity", device="cpu"), [], [], []
    asked = list(toyworld.GROUNDS)
    for number in (0, 7, 14, 21):
        prompts = [subject_prompt(number, name) for name in asked]
        for which, hits in ((number, right), ((number + 5) % 30, strangers)):
            made = load("subject", identifier=which, device="cpu")(
                prompts,
                num_inference_steps=20,
                guidance_scale=3.0,
                output_type="pt",
                generator=torch.Generator().manual_seed(100 + number),
            ).images.float()
            hits += (judge(made).argmax(1) == number).tolist()
            if which == number:
                ground += [a == b for a, b in zip(ground_of(made), asked, strict=True)]
    assert np.mean(right) >= IDENTITY and np.mean(ground) >= 0.7, (np.mean(right), np.mean(ground))
    assert np.mean(strangers) < 0.3, np.mean(strangers)
