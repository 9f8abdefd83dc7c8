"""The case study of AIGC-SCM: prompts as bytes, knowledge bases, costs, the schemes and what is measured of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from semcom_utils import toyworld
from semcom_utils.generation.judging import Detection
from semcom_utils.papers.aigc_scm import (
    alignment,
    baselines,
    case_study,
    channel,
    conversation,
    knowledge,
    prompt_link,
    psnr_triples,
    receivers,
    schemes,
)
from semcom_utils.papers.aigc_scm.message import CODINGS, OVERHEAD_BYTES, SEEDS, Prompt, code_length, pack, unpack
from semcom_utils.paths import MODELS

CAPTION = "a striped red ball and a blue cube on sand"
BOXES = [[0.1, 0.2, 0.5, 0.9], [0.6, 0.5, 1.0, 1.0]]
WORDS = Prompt(CAPTION, seed=7)
PLACED = Prompt.placed(["red ball", "blue cube"], BOXES, seed=7)
shipped = pytest.mark.skipif(
    not all((MODELS / f"mini-{role}").is_dir() for role in (*knowledge.GENERAL, "subject")), reason="not trained yet"
)


# --- prompts ---------------------------------------------------------------------------------------------------------


def some_prompts():
    for plain in (WORDS, PLACED):
        for coding in CODINGS:
            prompt = replace(plain, coding=coding)
            yield prompt
            yield replace(prompt, identifier=29, which=1)


@pytest.mark.parametrize("prompt", some_prompts(), ids=lambda p: f"{p.scheme}-{p.coding}")
def test_a_prompt_comes_back_from_its_bytes(prompt):
    assert unpack(pack(prompt)) == prompt and prompt.bits == 8 * len(pack(prompt))
    assert prompt.anonymous.identifier is None and prompt.anonymous.scheme[0] == "N"


def test_every_caption_of_the_world_can_be_coded_and_the_code_is_as_long_as_its_probability():
    rng = np.random.default_rng(0)
    for seed in range(60):
        description = toyworld.random_description(rng, None, textured=0.5, inside=0.2)
        prompt = Prompt(toyworld.caption(description), seed=seed, coding="grammar")
        assert unpack(pack(prompt)) == prompt
        assert code_length(prompt) <= prompt.bits - 8 * OVERHEAD_BYTES < code_length(prompt) + 2 + 8
        assert replace(prompt, coding="text").bits > 2 * prompt.bits


def test_the_grammars_probabilities_sum_to_one():
    """Over all captions of one thing: ground, texture, colour and kind, and a robot's pose."""
    total = 0.0
    for ground in toyworld.GROUNDS:
        for texture in (None, *toyworld.PATTERNS):
            for kind in toyworld.KINDS:
                for colour in toyworld.COLOURS:
                    for pose in toyworld.POSES if kind == "robot" else (None,):
                        said = toyworld.Meaning(ground, (toyworld.Word(kind, colour, pose, texture),))
                        total += 2 ** -code_length(Prompt(said.canonical()))
    assert total == pytest.approx(0.4275)  # the share of scenes of one thing


def test_a_paraphrase_costs_letters_as_text_and_nothing_by_the_grammar():
    long = Prompt("a photo of a striped red sphere left of a blue block on sand")
    assert long.bits > WORDS.bits
    assert replace(long, coding="grammar", seed=7) == replace(WORDS, coding="grammar")


def test_every_bit_that_flips_is_noticed():
    for prompt in (WORDS, replace(PLACED, coding="grammar", identifier=3)):
        data = pack(prompt)
        for bit in range(8 * len(data)):
            broken = bytearray(data)
            broken[bit // 8] ^= 128 >> bit % 8
            with pytest.raises(ValueError, match="^data must"):
                unpack(bytes(broken))


@pytest.mark.parametrize(
    "make, named",
    [
        (lambda: Prompt(), "caption must say something"),
        (lambda: Prompt("  "), "caption must say something"),
        (lambda: Prompt(3), "caption must be a string"),
        (lambda: Prompt(CAPTION, ("red ball",), ((1, 1, 2, 2),)), "caption must be empty beside labels"),
        (lambda: Prompt("é" * 3), "caption must be at most 200 letters of ASCII"),
        (lambda: Prompt("a unicorn", coding="grammar"), "text must name its ground"),
        (lambda: Prompt.placed(["red ball"], [[0.5, 0.5, 1.2, 0.9]]), "boxes must lie inside the picture"),
        (lambda: Prompt.placed(["red ball"], [[0.5, 0.5, 0.4, 0.9]]), "boxes must lie inside the picture"),
        (lambda: Prompt.placed(["red ball"] * 4, [[0, 0, 1, 1]] * 4), "boxes must be at most 3"),
        (lambda: Prompt.placed(["red ball"], BOXES), "boxes must be as many as labels"),
        (lambda: Prompt.placed(["red unicorn"], BOXES[:1]), "labels must be one of"),
        (lambda: Prompt("", ("red ball",), ()), "boxes must be as many as labels"),
        (lambda: Prompt(CAPTION, identifier=30), "identifier must be that of a subject"),
        (lambda: Prompt(CAPTION, identifier="7"), "identifier must be a whole number"),
        (lambda: Prompt(CAPTION, identifier=1, which=3), "which must be one of 3 things"),
        (lambda: replace(PLACED, identifier=1, which=2), "which must be one of 2 things"),
        (lambda: Prompt(CAPTION, which=1), "which must be 0 without an identifier"),
        (lambda: Prompt(CAPTION, seed=len(SEEDS)), "seed must be a whole number from 0"),
        (lambda: Prompt(CAPTION, coding="zip"), "coding must be one of"),
        (lambda: pack("a caption"), "prompt must be a Prompt"),
        (lambda: unpack("bytes"), "data must be bytes"),
        (lambda: unpack(b"abc"), "data must have more than 5 bytes"),
        (lambda: unpack(pack(WORDS)[:-1]), "data must have their checksum"),
    ],
)
def test_a_bad_prompt_is_refused_by_name(make, named):
    with pytest.raises(ValueError, match=f"^{named}"):
        make()


def test_boxes_are_kept_to_a_pixel():
    rng = np.random.default_rng(1)
    for _ in range(50):
        left, top = rng.uniform(0, 0.9, 2)
        box = [left, top, rng.uniform(left + 1e-3, 1), rng.uniform(top + 1e-3, 1)]
        kept = Prompt.placed(["red ball"], [box]).shares[0]
        assert np.abs(kept - box).max() <= 1 / 64 and (kept[:2] < kept[2:]).all()


# --- knowledge -------------------------------------------------------------------------------------------------------


def test_a_receiver_learns_and_counts():
    b = knowledge.receiver_b()
    c = b.told(3, "picture")
    assert not b.knows(3, "picture") and c.knows(3, "picture") and not c.knows(3, "adapter") and b.bits == 0
    assert c.bits == knowledge.picture_bits(3) < knowledge.views_bits(3)
    assert c.told(3, "picture") is c  # it is told once
    assert c.told(4, "adapter", bits=10).bits == c.bits + 10
    assert "general models alone" in str(b) and "pictures of 1 subjects" in str(c)
    assert not b.knows(None, "adapter")


def test_the_stored_picture_shows_the_subject():
    for number in range(0, toyworld.SUBJECTS, 7):
        kept = knowledge.stored_picture(number)
        scene = toyworld.subject_scene(number, 0)
        left, top, right, bottom = scene.boxes[0].astype(int)
        part = scene.image[:, top:bottom, left:right]
        assert kept.shape == (3, 32, 32) and abs(kept.mean() - part.mean()) < 0.03


@pytest.mark.parametrize(
    "make, named",
    [
        (lambda: knowledge.stored_picture(30), "number must be below 30"),
        (lambda: knowledge.receiver_b().told(30, "picture"), "number must be below 30"),
        (lambda: knowledge.receiver_b().told(3, "song"), "what must be one of"),
        (
            lambda: knowledge.receiver_b().told(3, "adapter", picture=np.zeros((3, 8, 8)), bits=1),
            "picture must be None",
        ),
        (lambda: knowledge.KnowledgeBase("X", {3: np.full((3, 8, 8), 2.0)}), "pictures must be"),
        (lambda: knowledge.KnowledgeBase("X", {31: np.zeros((3, 8, 8))}), "pictures must be of subjects"),
    ],
)
def test_bad_knowledge_is_refused_by_name(make, named):
    with pytest.raises(ValueError, match=f"^{named}"):
        make()


def test_break_even():
    assert knowledge.break_even(1000, 300) == 4 and knowledge.break_even(900, 300) == 3
    assert knowledge.break_even(1000, 0) == knowledge.break_even(1000, -1) == float("inf")


# --- channel ---------------------------------------------------------------------------------------------------------


def test_uses_are_counted_with_the_links_checksum():
    assert channel.uses(184) == (184 + 16) * 2 // 4
    assert channel.ratio(64, "sample") == 8 * channel.ratio(64) == 1 / 192


def test_a_prompt_crosses_a_good_link_and_not_a_bad_one():
    link, generator = channel.paper_link(), torch.Generator().manual_seed(0)
    good = channel.send_prompt(WORDS, link, 10.0, generator)
    assert good == channel.Sent(WORDS, 1, channel.uses(WORDS.bits))
    bad = channel.send_prompt(WORDS, link, 0.0, generator, limit=3)
    assert bad == channel.Sent(None, 3, 3 * channel.uses(WORDS.bits))


@pytest.mark.parametrize("snr_db", [float("nan"), float("inf"), "ten", None])
def test_an_snr_is_a_number(snr_db):
    with pytest.raises(ValueError, match="^snr_db must be"):
        channel.send_prompt(WORDS, channel.paper_link(), snr_db, torch.Generator())
    with pytest.raises(ValueError, match="^snr_db must be"):
        channel.best_format(snr_db)


def test_an_engineer_sends_more_where_the_snr_allows_it():
    carried = [order * rate for order, rate in map(channel.best_format, (0.0, 6.0, 10.0, 15.0, 25.0))]
    assert carried == sorted(carried) and carried[0] == 0.4 and carried[-1] == 5.0 and carried[2] > 2.0


def test_files_of_one_quality_and_what_a_header_costs():
    picture = case_study.case_scene(0, 0).image
    files = {codec: channel.smallest_file(picture, codec, 24.0) for codec in channel.CODECS}
    for codec, file in files.items():
        assert channel.psnr_db(channel.decoded(file), picture.transpose(1, 2, 0)) >= 24.0, codec
    size = {codec: channel.file_size(file, codec) for codec, file in files.items()}
    assert size["webp"] < size["jpeg"] and size["scan"] < size["jpeg"] - 200
    with pytest.raises(ValueError, match="^least_db must be within reach of jpeg"):
        channel.smallest_file(picture, "jpeg", 90.0)
    with pytest.raises(ValueError, match="^codec must be one of"):
        channel.smallest_file(picture, "gif", 20.0)


def test_a_thumbnail_keeps_to_its_bytes_and_improves_with_them():
    picture = case_study.case_scene(1, 1).image
    values = []
    for limit in (3, 14, 40, 400):
        shown, size, how = channel.squeezed(picture, limit)
        assert size <= limit and shown.shape == picture.shape and how.split()[0] in ("raw", "scan", "webp")
        values.append(channel.psnr_db(shown, picture))
    assert values == sorted(values)
    with pytest.raises(ValueError, match="^limit must be"):
        channel.squeezed(picture, 2)
    with pytest.raises(ValueError, match="^picture must be"):
        channel.squeezed(picture[0], 20)


def test_a_file_arrives_or_stays_grey():
    picture, generator = case_study.case_scene(2, 0).image, torch.Generator().manual_seed(0)
    shown, used = channel.file_over_link(picture, channel.paper_link(), 10.0, generator)
    assert channel.psnr_db(shown, picture) > 25 and used > 1000
    assert (channel.file_over_link(picture, channel.paper_link(), -5.0, generator)[0] == 0.5).all()


# --- schemes ---------------------------------------------------------------------------------------------------------


def test_the_table_says_who_needs_history():
    assert {name for name, one in schemes.SCHEMES.items() if one.history} == {"HI", "HA"}
    b, c = knowledge.receiver_b(), knowledge.receiver_b().told(3, "picture").told(3, "adapter", bits=1)
    known, unknown = replace(PLACED, identifier=3), replace(WORDS, identifier=4)
    assert schemes.steered_by(known, c) == "HA" and schemes.steered_by(known, b) == "NA"
    assert schemes.steered_by(unknown, c) == "NI" and schemes.steered_by(replace(unknown, identifier=3), c) == "HI"


def test_the_identifier_stands_where_the_subject_does():
    assert schemes.with_identifier(PLACED, 5, 64 * np.array(BOXES[1])).which == 1
    assert schemes.with_identifier(PLACED, 5, 64 * np.array(BOXES[0])).which == 0
    assert schemes.with_identifier(WORDS, 5, [40, 0, 60, 20], [[3, 0, 20, 20]]).which == 1
    assert schemes.with_identifier(WORDS, 5, [3, 0, 20, 20], [[40, 0, 60, 20]]).which == 0
    kind = toyworld.subject(5)[0]
    told = schemes.personal_caption(replace(WORDS, identifier=5, which=1))
    assert told == f"a striped red ball and a sks {kind} on sand"
    with pytest.raises(ValueError, match="^prompt must have a caption and an identifier"):
        schemes.personal_caption(WORDS)


def test_what_receivers_are_asked_is_checked():
    with pytest.raises(ValueError, match="^prompts must be at least one Prompt"):
        schemes.reconstruct([], knowledge.receiver_b(), {})
    with pytest.raises(ValueError, match="^identifier must be given for HA"):
        schemes.extract(np.zeros((3, 64, 64)), "HA", {})
    with pytest.raises(ValueError, match="^scheme must be one of"):
        schemes.extract_all(np.zeros((1, 3, 64, 64)), "XX", {}, seeds=[0])


@shipped
@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_one_prompt_serves_both_receivers():
    """The same bytes: B draws as without identifier, C as the history has it; boxes are obeyed by both."""
    named, scene = schemes.models(), case_study.case_scene(4, 0)
    prompt = schemes.extract(scene.image, "HA", named, seed=5, identifier=4, box=scene.boxes[0])
    arrived = unpack(pack(prompt))
    c = knowledge.receiver_b().told(4, "picture")
    b_alone, b, c_made = (
        schemes.reconstruct([one], who, named)
        for one, who in ((arrived.anonymous, c), (arrived, knowledge.receiver_b()), (arrived, c))
    )
    np.testing.assert_array_equal(b, b_alone)
    assert np.abs(b - c_made).max() > 0.1
    for made in (b, c_made):
        found = named["judge"](made)[0]
        assert alignment.box_overlaps(found, prompt.labels, 64 * prompt.shares) > 0.3


# --- what is measured ------------------------------------------------------------------------------------------------


class Colours:
    """A CLIP that sees a picture's mean colour, and counts letters."""

    @staticmethod
    def images(pictures):
        mean = torch.as_tensor(np.asarray(pictures)).float().mean((2, 3)) - 0.5
        return torch.nn.functional.normalize(mean, dim=-1)


def painted(*colours):
    return np.stack([np.broadcast_to(np.array(c, np.float32)[:, None, None], (3, 64, 64)) for c in colours])


def test_objects_are_paired_and_a_missed_one_counts_as_zero():
    own = painted((1, 0, 0)).copy()
    own[0, :, :, 32:] = np.array([0, 0, 1])[:, None, None]
    left, right = [0, 0, 30, 64], [34, 0, 64, 64]
    mirrored = own[:, :, :, ::-1].copy()

    def value(picture, boxes):
        return alignment.object_alignment(own, picture, [[left, right]], [boxes], Colours)[0]

    assert value(own, [left, right]) == pytest.approx(1, abs=1e-5) == value(mirrored, [left, right])
    assert value(own, [left]) == pytest.approx(0.5, abs=1e-5) and value(own, []) == 0
    assert value(own, [left, right, left]) == pytest.approx(1, abs=1e-5)  # one too many costs nothing


def test_boxes_overlap_by_kind_and_each_serves_once():
    found = [Detection("red ball", 0.9, (0, 0, 10, 10)), Detection("blue cube", 0.8, (20, 20, 30, 30))]
    assert alignment.box_overlaps(found, ["blue ball", "blue cube"], [[0, 0, 10, 10], [20, 20, 30, 30]]) == 1
    assert alignment.box_overlaps(found, ["red ball", "red ball"], [[0, 0, 10, 10]] * 2) == 0.5
    assert alignment.box_overlaps([], ["red ball"], [[0, 0, 10, 10]]) == 0


def test_attributes_of_the_source_itself_are_right_and_each_can_be_wrong():
    scene = case_study.case_scene(3, 0)  # a cube
    kind, colour, _ = toyworld.subject(3)
    box = scene.boxes[0]
    known = [Detection(f"{colour} {kind}", 0.9, tuple(box.tolist()))]
    own = alignment.attributes(scene.image, scene.image, known, known, 3, box, [3])
    assert own == [True] * 6
    elsewhere = [Detection(f"{colour} {kind}", 0.9, (0, 0, 8, 8))]
    changed = alignment.attributes(scene.image, scene.image, known, elsewhere * 2, 3, box, [4, 3])
    assert changed == [False, True, True, False, toyworld.subject(4)[2].colour == toyworld.subject(3)[2].colour, False]
    assert alignment.attributes(scene.image, scene.image, known, [], 3, box, []) == [False] * 6


def test_identity_is_looked_for_in_every_box():
    def identity(images, boxes):  # sees subject 7 in the right half, 2 elsewhere
        return torch.nn.functional.one_hot(torch.tensor([7 if box[0] >= 0.5 else 2 for box in boxes]), 30).float()

    found = [[Detection("red dog", 0.9, (0, 0, 10, 10)), Detection("red ball", 0.8, (40, 0, 64, 20))], []]
    told = alignment._guesses(np.zeros((2, 3, 64, 64)), found, identity)
    assert [one.tolist() for one in told] == [[2, 7], [2]]


def test_sharpness_and_saturation_of_what_was_blurred_and_bleached():
    from scipy.ndimage import gaussian_filter

    picture = case_study.case_scene(3, 1).image
    assert alignment.sharpness(gaussian_filter(picture, (0, 1, 1))) < 0.5 * alignment.sharpness(picture)
    assert alignment.saturation(0.5 * picture + 0.25) == pytest.approx(0.5 * alignment.saturation(picture), rel=1e-5)


def test_the_subject_is_found_in_its_scene():
    for number in range(0, toyworld.SUBJECTS, 3):
        for view in (0, 1):
            scene = case_study.case_scene(number, view)
            thing = scene.description.things[alignment.subject_place(scene)]
            assert (thing.kind, thing.colour, thing.texture) == toyworld.subject(number)
            assert len(scene.description.things) == view + 1 and not np.isnan(scene.boxes).any()
    with pytest.raises(ValueError, match="^scene must show a thing with a pattern"):
        alignment.subject_place(toyworld.scene(0, textured=0.0))


def test_controls_are_other_subjects():
    for number in range(toyworld.SUBJECTS):
        wrong = case_study.another(number)
        assert toyworld.subject(wrong)[0] == toyworld.subject(number)[0]
        assert toyworld.subject(wrong) != toyworld.subject(number)
        assert case_study.partner(number) != number


# --- studies ---------------------------------------------------------------------------------------------------------


def test_triples_are_what_they_are_called():
    for seed in range(30):
        question, same, other = psnr_triples.triple(seed, "any")
        assert question.caption == same.caption != other.caption
        question, same, near = psnr_triples.triple(seed, "near")
        assert question.caption == same.caption != near.caption
        places = [(thing.kind, thing.x, thing.y) for thing in question.description.things]
        assert places == [(thing.kind, thing.x, thing.y) for thing in near.description.things]
        assert len({one.caption for one in psnr_triples.triple(seed, "alike")}) == 1
    with pytest.raises(ValueError, match="^third must be one of"):
        psnr_triples.triple(0, "far")


def test_repeats_until_all_but_one_in_a_hundred_arrived():
    assert prompt_link.repeats(0.1) == 2 and prompt_link.repeats(0.01) == 1 and prompt_link.repeats(1.0) == np.inf
    assert {p.scheme for p in prompt_link.example_prompts().values()} == set(schemes.SCHEMES)


def test_a_conversation_pays_for_each_subject_once():
    if not (MODELS / "mini-subject").is_dir():
        pytest.skip("not trained yet")
    record = conversation.run({"coding": "text", "pictures": 40, "seed": 3})
    sums = {way: np.array(part) for way, part in record["sums"].items()}
    assert set(sums) == set(conversation.WAYS) and all((np.diff(part) > 0).all() for part in sums.values())
    assert sums["NA"][-1] < sums["HA picture"][-1] < sums["JPEG"][-1] < sums["HI adapter"][-1]


@pytest.mark.parametrize("which, told", [(0, "a sks striped red ball and a blue cube on sand"),
                                         (1, "a striped red ball and a sks blue cube on sand")])  # fmt: skip
def test_the_identifier_as_a_word(which, told):
    assert receivers.with_word(replace(WORDS, identifier=2, which=which), "sks") == told


def test_the_order_of_schemes_depends_on_the_unit_only_if_units_are_mixed():
    mean = {"NI text": 180.0, "HA grammar": 56.0, "jpeg": 3000.0}
    found = case_study._ratios(mean)
    assert found["moved"] == 0 < found["moved_if_mixed"]


# --- baselines -------------------------------------------------------------------------------------------------------


def test_a_budget_of_channel_uses_is_kept_and_used_up():
    for budget in (64, 100, 768):
        for link in (channel.paper_link(), baselines.chosen_link(10.0, "awgn")):
            size = baselines.bytes_within(budget, link)
            assert channel.uses(8 * size, link) <= budget < channel.uses(8 * (size + 1), link)
    assert baselines.bytes_within(8, channel.paper_link()) == 0


def test_the_snr_chooses_the_format():
    rates = [np.prod(channel.best_format(snr)) for snr in (-10, 0, 3, 6, 10, 15, 30)]
    assert rates == sorted(rates) and rates[0] == pytest.approx(0.4) and rates[-1] == pytest.approx(5)
    for snr in (5.0, 10.0, 20.0):  # with fading one has to be more careful
        assert np.prod(channel.best_format(snr, channel="rayleigh-block")) <= np.prod(channel.best_format(snr))


def test_more_bytes_make_a_better_file_and_no_header_counts():
    picture = case_study.case_scene(3, 4).image
    reached = [channel.psnr_db(channel.squeezed(picture, size)[0], picture) for size in (3, 12, 40, 120, 400)]
    assert reached == sorted(reached)
    assert baselines.fitted_scan(picture, 40) is None  # no quality of JPEG is so small
    scan = baselines.fitted_scan(picture, 254)
    assert scan is not None and channel.psnr_db(scan, picture) <= channel.psnr_db(
        channel.squeezed(picture, 254)[0], picture
    )
    assert len(channel.jpeg_parts(channel.jpeg(picture.transpose(1, 2, 0), 75, optimise=False))[0]) == 623


def test_files_that_are_lost_are_grey_and_what_arrives_is_what_was_sent():
    """Far below the cliff nothing arrives, far above it everything, whatever the seed."""
    keys = [(0, 4), (1, 5)]
    images = np.stack([case_study.case_scene(*key).image for key in keys]).astype(np.float32)
    task = {"channel": "awgn", "subjects": [0, 1], "views": [4, 5]}
    low, none = baselines._received({**task, "snr_db": -10.0}, keys, images)
    high, some = baselines._received({**task, "snr_db": 25.0}, keys, images)
    for name in ("JPEG-high", "file-high", "file-low"):
        assert none[name] == 0 and np.all(low[name] == 0.5) and some[name] == 2
    best = channel.squeezed(images[0], baselines.bytes_within(768, baselines.chosen_link(25.0, "awgn")))[0]
    assert np.allclose(high["file-high"][0], best, atol=1e-6)
    assert none["JPEG"] == 0 and some["JPEG"] == 2
    assert channel.psnr_db(high["WITT-high"], images) > channel.psnr_db(low["WITT-high"], images) + 3
