"""Pictures from words and boxes: the door, the gates, the recipe, and the public format through the same code."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_generation_loading import stable_diffusion

from semcom_utils import toyworld
from semcom_utils.generation import load
from semcom_utils.generation.grounding import (
    Grounded,
    check_boxes,
    gated_unet,
    gates,
    named,
    new_layers,
    phrase_features,
    without_gates,
)
from semcom_utils.generation.training.detector import LABELS
from semcom_utils.generation.training.grounded import (
    MAX_BOXES,
    TOLD,
    GroundedRecipe,
    _readout,
    coverage,
    exchanged,
    held_out,
    mixtures,
    obedience,
    scene_boxes,
)
from semcom_utils.generation.training.loop import train
from semcom_utils.generation.training.subject_autoencoder import coloured_scene

#: Parts of the names of the layers that grounding adds.
NEW = (".fuser.", "position_net.", "picture_net.")
BOX = [0.2, 0.3, 0.6, 0.9]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    """A tiny random checkpoint in the layout of the public one, its gates ajar."""
    folder = tmp_path_factory.mktemp("gligen")
    torch.manual_seed(0)
    stable_diffusion(folder, safety_checker=False, attention_type="gated")
    model = load("grounded", "full", folder=folder, device="cpu")
    for gate in gates(model.pipeline.unet):
        torch.nn.init.constant_(gate.alpha_attn, 1.0)
        torch.nn.init.constant_(gate.alpha_dense, 1.0)
    with torch.no_grad():  # as far apart as a trained model's
        for layer in (model.pipeline.unet.position_net.linears[-1], *(g.linear for g in gates(model.pipeline.unet))):
            layer.weight.mul_(30)
    return model


def draw(model, *arguments, seed=0, **options):
    return model(*arguments, generator=torch.Generator().manual_seed(seed), steps=2, **options)


def test_boxes_and_labels_move_what_is_drawn(public):
    one = draw(public, "a red ball on grass", ["red ball"], [BOX])
    assert one.shape == (1, 3, 32, 32) and 0 <= float(one.min()) <= float(one.max()) <= 1
    assert torch.equal(one, draw(public, "a red ball on grass", ["red ball"], [BOX]))
    for other in (
        draw(public, "a red ball on grass", ["red ball"], [[0.5, 0.3, 0.9, 0.9]]),
        draw(public, "a red ball on grass", ["blue cube"], [BOX]),
        draw(public, "a blue cube on sand", ["red ball"], [BOX]),
        draw(public, "a red ball on grass", [], []),
        draw(public, None, ["red ball"], [BOX]),
    ):
        assert not torch.equal(one, other)


def test_the_order_of_boxes_does_not_matter(public):
    boxes, labels = [BOX, [0.1, 0.1, 0.4, 0.5], [0.6, 0.2, 1.0, 0.8]], ["red ball", "blue cube", "green dog"]
    first = draw(public, "a picture", labels, boxes)
    same, other = (
        float((first - draw(public, "a picture", labels[::-1], there)).abs().max()) for there in (boxes[::-1], boxes)
    )
    assert same < 1e-4 < other and 5 * same < other, (same, other)


def test_a_batch_is_its_pictures_one_by_one(public):
    """Each row of a batch has its own boxes; without guidance, too, where the pipeline's batch is half as long."""
    for guidance in (3.0, 1.0):
        both = public(
            ["a red ball", "a blue cube"],
            [["red ball"], ["blue cube", "green dog"]],
            [[BOX], [BOX, [0.1, 0.1, 0.4, 0.5]]],
            generator=torch.Generator().manual_seed(0),
            steps=2,
            guidance=guidance,
        )
        other = public(
            ["a red ball", "a blue cube"],
            [["red ball"], ["blue cube", "green dog"]],
            [[BOX], [[0.5, 0.5, 0.9, 0.9], [0.1, 0.1, 0.4, 0.5]]],
            generator=torch.Generator().manual_seed(0),
            steps=2,
            guidance=guidance,
        )
        torch.testing.assert_close(both[0], other[0], atol=1e-5, rtol=0)
        assert not torch.equal(both[1], other[1])


def test_with_gates_off_it_is_the_plain_pipeline(public):
    with without_gates(public.pipeline.unet):
        plain = public.pipeline(
            "a red ball on grass",
            num_inference_steps=2,
            guidance_scale=3.0,
            output_type="pt",
            generator=torch.Generator().manual_seed(0),
            cross_attention_kwargs={
                "gligen": public.inputs([[]], [[]])
                | {
                    "masks": torch.zeros(2, 30),
                    **{name: torch.zeros(2, 30, size) for name, size in (("boxes", 4), ("positive_embeddings", 16))},
                }
            },
        ).images
    closed = draw(public, "a red ball on grass", ["red ball"], [BOX], share=0.0)
    torch.testing.assert_close(closed, plain.float(), atol=1e-6, rtol=0)
    half = draw(public, "a red ball on grass", ["red ball"], [BOX], share=0.5)
    assert not torch.equal(half, closed)
    assert not torch.equal(half, draw(public, "a red ball on grass", ["red ball"], [BOX], share=1.0))


def test_gates_are_on_again_afterwards_even_after_an_error(public):
    draw(public, "a red ball", ["red ball"], [BOX], share=0.5)
    assert all(gate.enabled for gate in gates(public.pipeline.unet))
    with pytest.raises(ValueError, match="^options must be the pipeline's own, got 'nonsense'"):
        draw(public, "a red ball", ["red ball"], [BOX], nonsense=7)
    with pytest.raises(ValueError, match="nonsense"):  # the pipeline's own check, after the gates are set
        draw(public, "a red ball", ["red ball"], [BOX], share=0.0, callback_on_step_end_tensor_inputs=["nonsense"])
    assert all(gate.enabled for gate in gates(public.pipeline.unet))
    with pytest.raises(KeyError), without_gates(public.pipeline.unet):
        assert not any(gate.enabled for gate in gates(public.pipeline.unet))
        raise KeyError
    assert all(gate.enabled for gate in gates(public.pipeline.unet))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a red ball", ["red ball"], [[0.2, 0.3, 1.2, 0.9]]), "boxes must lie inside.*1.2"),
        (("a red ball", ["red ball"], [[-0.1, 0.3, 0.5, 0.9]]), "boxes must lie inside"),
        (("a red ball", ["red ball"], [[0.5, 0.3, 0.5, 0.9]]), "boxes must lie inside"),
        (("a red ball", ["red ball"], [[0.2, 0.9, 0.5, 0.3]]), "boxes must lie inside"),
        (("a red ball", ["red ball"], [[12, 20, 40, 60]]), "boxes must lie inside"),
        (("a red ball", ["red ball"], [[0.2, 0.3, float("nan"), 0.9]]), "boxes must be finite"),
        (("a red ball", ["red ball"], [[0.2, 0.3, 0.9]]), r"boxes must be \[things, 4\]"),
        (("a red ball", ["red ball"], BOX), r"boxes must be \[things, 4\]"),
        (("a red ball", ["red ball"] * 31, [BOX] * 31), "boxes must be at most 30.*31"),
        (("a red ball", ["red ball"], [BOX, BOX]), "boxes must be as many as labels, got 2 boxes and 1 labels"),
        (("a red ball", ["red ball", "blue cube"], [BOX]), "boxes must be as many as labels"),
        (("a red ball", [""], [BOX]), "labels must name things"),
        (("a red ball", [3], [BOX]), "labels must"),
        (("", ["red ball"], [BOX]), "prompt must be a caption, or None"),
        (("  ", ["red ball"], [BOX]), "prompt must be a caption, or None"),
        ((["a red ball", ""], [["red ball"]] * 2, [[BOX]] * 2), "prompt must be a caption, or None"),
        ((["a red ball"] * 3, [["red ball"]] * 2, [[BOX]] * 2), "prompt, labels and boxes must be of as many pictures"),
    ],
)
def test_bad_input_is_refused_at_the_door(public, arguments, says):
    with pytest.raises(ValueError, match=says):
        draw(public, *arguments)


@pytest.mark.parametrize(
    ("options", "name"),
    [({"share": 1.5}, "share"), ({"guidance": float("nan")}, "guidance"), ({"steps": 0}, "steps")],
)
def test_bad_numbers_are_refused(public, options, name):
    with pytest.raises(ValueError, match=f"^{name} must"):
        public("a red ball", ["red ball"], [BOX], generator=torch.Generator(), **options)
    with pytest.raises(ValueError, match="^generator must"):
        public("a red ball", ["red ball"], [BOX], generator=np.random.default_rng(0))


coordinates = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda pair: pair[0] < pair[1])


@given(st.lists(st.tuples(coordinates, coordinates), max_size=4))
@settings(deadline=None, max_examples=50)
def test_every_box_inside_passes_unchanged(pairs):
    boxes = [[across[0], down[0], across[1], down[1]] for across, down in pairs]
    labels, array = check_boxes(["red ball"] * len(boxes), boxes, 4)
    assert array.shape == (len(boxes), 4) and len(labels) == len(boxes)
    np.testing.assert_array_equal(array, np.array(boxes).reshape(-1, 4))


@given(st.tuples(coordinates, coordinates), st.integers(0, 3), st.floats(1e-6, 100))
@settings(deadline=None, max_examples=50)
def test_every_box_that_leaves_the_picture_is_refused(pair, side, by):
    box = [pair[0][0], pair[1][0], pair[0][1], pair[1][1]]
    box[side] = -by if side < 2 else 1 + by
    with pytest.raises(ValueError, match="boxes must lie inside"):
        check_boxes(["red ball"], [box], 4)


def test_a_pipeline_without_grounding_is_refused(tmp_path):
    stable_diffusion(tmp_path, safety_checker=False)
    with pytest.raises(ValueError, match="gated"):
        load("grounded", "full", folder=tmp_path, device="cpu")
    with pytest.raises(ValueError, match="gated"):
        Grounded(load("text-to-image", "full", folder=tmp_path, device="cpu"))


def test_new_layers_start_finite_and_closed():
    """`from_pretrained(attention_type="gated")` leaves them as whatever was in memory."""
    plain = load("text-to-image", device="cpu").unet
    torch.manual_seed(0)
    made = gated_unet(plain)
    layers = new_layers(made)
    assert len(gates(made)) == len(layers) - 1 == 7
    assert all(torch.isfinite(p).all() for p in made.parameters())
    added = sum(p.numel() for layer in layers.values() for p in layer.parameters())
    assert added == sum(p.numel() for p in made.parameters()) - sum(p.numel() for p in plain.parameters())
    x, words = torch.randn(2, 16, 8, 8), torch.randn(2, 24, 128)
    grounding = {"boxes": torch.rand(2, 3, 4), "positive_embeddings": torch.randn(2, 3, 128), "masks": torch.ones(2, 3)}
    with torch.no_grad():
        closed = made(x, 5, words, cross_attention_kwargs={"gligen": grounding}).sample
        torch.testing.assert_close(closed, plain(x, 5, words).sample, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="unet must be one without grounding"):
        gated_unet(made)


def test_labels_have_features_that_differ():
    pipeline = load("text-to-image", device="cpu")
    labels = [f"{colour} {kind}" for colour in toyworld.COLOURS for kind in toyworld.KINDS]
    features = phrase_features(pipeline, labels)
    apart = torch.cdist(features, features) + torch.eye(len(labels)) * 99
    assert features.shape == (36, 128) and float(apart.min()) > 1.0


def test_a_label_gets_an_article_once():
    assert [named(label) for label in ("red ball", "orange cube", "a red ball", "the sun")] == [
        "a red ball",
        "an orange cube",
        "a red ball",
        "the sun",
    ]


@pytest.fixture(scope="module")
def recipe():
    made = GroundedRecipe(scenes=12)
    made.batch_size = 4
    return made


def test_only_the_new_layers_are_trained_stored_and_restored(recipe, tmp_path):
    torch.manual_seed(0)
    before = {name: value.clone() for name, value in recipe.build().unet.state_dict().items()}
    model, report = train(recipe, tmp_path / "state.pt", steps=3)
    assert np.isfinite(report["loss"])
    changed = {name for name, value in model.unet.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(any(part in name for part in NEW) for name in changed)
    layers = new_layers(model.unet).values()
    assert report["parameters"] == sum(p.numel() for layer in layers for p in layer.parameters())
    folder = tmp_path / "mini-grounded"
    folder.mkdir()
    recipe.save(model, folder)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1.1 * report["parameters"]  # eight bits each
    assert "/" not in (folder / "config.json").read_text()  # no path of this machine
    restored = recipe.restore(folder)
    for name, value in restored.unet.state_dict().items():
        there = model.unet.state_dict()[name]  # half a step of eight bits, of the largest in the row
        assert float((value - there).abs().max()) <= float(there.abs().max()) / 250 + 1e-6, name
    opened = load("grounded", folder=folder, device="cpu")
    assert opened.max_boxes == MAX_BOXES
    for name, value in opened.pipeline.unet.state_dict().items():
        torch.testing.assert_close(value, restored.unet.state_dict()[name])
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"base": "../elsewhere"}))
    with pytest.raises(ValueError, match="mini-text-to-image"):
        load("grounded", folder=folder, device="cpu")


def test_the_network_starts_as_the_plain_one_and_every_new_layer_learns(recipe):
    """From the second step on: in the first, the layers whose output starts at zero."""
    torch.manual_seed(0)
    model, batch = recipe.build(), recipe.batch(np.random.default_rng(0))
    x, words = torch.randn(4, 16, 8, 8), torch.randn(4, 24, 128)
    told = recipe.grounding(model, batch)
    with torch.no_grad():
        first = model.unet(x, 500, words, cross_attention_kwargs={"gligen": told}).sample
        with without_gates(model.unet):
            torch.testing.assert_close(first, model.unet(x, 500, words, cross_attention_kwargs={"gligen": told}).sample)
        for gate in gates(model.unet):
            gate.attn.to_out[0].weight.normal_(std=0.01)
            gate.ff.net[-1].weight.normal_(std=0.01)
    recipe.loss(model, 0.0, np.random.default_rng(0), torch.device("cpu")).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert [name for name in without if "null" not in name] == []
    assert all(p.grad is None for name, p in model.unet.named_parameters() if not any(part in name for part in NEW))


def test_what_the_network_is_told_of_a_scene(recipe):
    """Over many batches: boxes and labels of the things in sight and no others, some of them kept back."""
    rng, told, kept_back, silent = np.random.default_rng(1), 0, 0, 0
    empty = recipe.tokens([""])[0]
    for _ in range(30):
        batch = recipe.batch(rng)
        numbers = [*batch["chosen"].tolist(), *batch["patterned"].tolist()]
        for row, index in enumerate(numbers):
            plain = row < len(batch["chosen"])
            scene = recipe.scenes.scene(index) if plain else coloured_scene(index)
            there = ~np.isnan(scene.boxes[:, 0])
            masks, seen = batch["masks"][row].bool().numpy(), batch["seen"][row].bool().numpy()
            assert not masks[len(there) :].any() and not masks[: len(there)][~there].any()
            assert not (plain and seen.any()) and not (seen & ~np.pad(there, (0, 3 - len(there)))).any()
            np.testing.assert_allclose(batch["boxes"][row, : len(there)][there], scene.boxes[there] / 64, atol=1e-6)
            for place, thing in enumerate(scene.description.things):
                assert LABELS[int(batch["labels"][row, place])] == thing.label
                said = {TOLD[k] for k in batch["words"][row, place].nonzero().flatten().tolist()}
                assert said == {thing.colour, thing.kind}
                assert plain or int(batch["looks"][row, place].sum()) == 2
            told, kept_back = told + int(masks.sum()), kept_back + int(there.sum()) - int(masks.sum())
            silent += torch.equal(batch["tokens"][row], empty)
    assert told > kept_back > 0 and 0 < silent < 120
    boxes = scene_boxes(recipe.scenes, None)
    assert boxes.shape == (12, 3, 4) and np.nanmin(boxes) >= 0 and np.nanmax(boxes) <= 1


def test_coverage_of_cells():
    boxes = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.25, 0.5, 0.5, 1.0], [0.1, 0.1, 0.35, 0.2]]])
    whole, quarter, small = coverage(boxes, 4)[0]
    assert torch.equal(whole, torch.ones(4, 4))
    expected = torch.zeros(4, 4)
    expected[2:, 1] = 1
    torch.testing.assert_close(quarter, expected)
    assert float(small.sum() / 16) == pytest.approx(0.25 * 0.1, abs=1e-6)
    torch.testing.assert_close(small[0, :2] * 0.25 * 0.25, torch.tensor([0.15 * 0.1, 0.1 * 0.1]))


def test_help_with_where_to_look_is_nil_for_the_right_answer(recipe):
    """... and its hooks are gone afterwards."""
    model, batch = recipe.build(), recipe.batch(np.random.default_rng(2))
    either = torch.maximum(batch["masks"], batch["seen"])
    assert either.any()
    right = []
    for side, width in ((8, 64), (4, 128)):
        words = torch.zeros(4, side * side, len(TOLD))
        for row in range(4):
            for place in range(MAX_BOXES):
                covered = coverage(batch["boxes"][row, place][None, None], side).flatten()[:, None]
                words[row] += covered * batch["words"][row, place] * either[row, place]
                words[row] += covered * batch["looks"][row, place] * batch["seen"][row, place]
        right.append(torch.cat([words @ _readout(width).T, torch.zeros(4, 2 * MAX_BOXES, width)], dim=1))
    assert float(recipe.told_apart(right, batch)) < 1e-10
    assert float(recipe.told_apart([torch.zeros_like(part) for part in right], batch)) > 1e-3
    with pytest.raises(KeyError), mixtures(model.unet) as seen:
        recipe.loss(model, 0.9, np.random.default_rng(0), torch.device("cpu"))
        assert len(seen) == 7
        raise KeyError
    assert not any(gate.attn.to_out[0]._forward_pre_hooks for gate in gates(model.unet))


def test_obedience_of_known_pictures():
    scenes = held_out(9)
    perfect = [[(name, 0.9, box) for name, box in zip(scene.labels, scene.boxes, strict=True)] for scene in scenes]
    assert obedience(perfect, scenes) == {"box_iou": 1.0, "prompt_obeyed": 1.0}
    assert obedience([[] for _ in scenes], scenes) == {"box_iou": 0.0, "prompt_obeyed": 0.0}
    renamed = [[("red nothing", score, box) for _, score, box in claims] for claims in perfect]
    assert obedience(renamed, scenes)["box_iou"] == 0.0
    others = exchanged(scenes)
    assert all(len(other) == len(scene.boxes) for other, scene in zip(others, scenes, strict=True))
    moved = [
        [(name, 0.9, 64 * box) for name, box in zip(scene.labels, other, strict=True)]
        for scene, other in zip(scenes, others, strict=True)
    ]
    # Three things named from left to right stand much alike in all scenes; one alone may stand anywhere.
    alone = [row for row, scene in enumerate(scenes) if len(scene.boxes) == 1]
    one = obedience([moved[row] for row in alone], [scenes[row] for row in alone])
    assert one["box_iou"] < 0.4 and obedience(moved, scenes)["box_iou"] < 0.9
