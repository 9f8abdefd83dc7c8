"""The bench: what every scheme must be and do, over the real link where it is cheap, and a reader's own among them."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from semcom_utils import toyworld
from semcom_utils.generation import load
from semcom_utils.papers.aigc_scm.channel import squeezed
from semcom_utils.papers.book import comparison
from semcom_utils.papers.book.bench import GREY, Arrival, Knowledge, Packet, Scheme, transmit
from semcom_utils.papers.book.choosing import BUDGETS, best_within, front, gains, lead
from semcom_utils.papers.book.comparison import ANALOG_USES, FAMILIES, SNRS_DB, knowledge_of, table, tasks
from semcom_utils.papers.book.link import CHANNELS, COPIES, TRIES, best_format, fate, limit
from semcom_utils.papers.book.measures import QUESTIONS, UNITS
from semcom_utils.papers.book.schemes import (
    CODECS,
    LATENT,
    LEARNED,
    FileScheme,
    InvertedScheme,
    LearnedScheme,
    MappedScheme,
    PromptScheme,
    SplitScheme,
    ThumbnailScheme,
    all_schemes,
)
from semcom_utils.physical import DigitalLink
from semcom_utils.semantic.codecs import decoded, jpeg, png

pytestmark = pytest.mark.usefixtures("one_thread")
PICTURE = toyworld.scene(4).image.astype(np.float32)
ROWS = PICTURE.astype(float).transpose(1, 2, 0)
KNOWN = Knowledge()


def back(scheme: Scheme, picture=PICTURE) -> np.ndarray:
    """Without a channel."""
    message = scheme.encode(picture, KNOWN)
    snr_db = None if message.symbols is None else KNOWN.snr_db
    return scheme.decode(Arrival(message.bits, message.symbols, snr_db), KNOWN)


class MeanColour(Scheme):
    """A reader's own scheme: one colour in three bytes."""

    name, family = "mean colour", "one colour"

    def encode(self, picture, knowledge):
        return Packet.of_bytes(bytes(np.round(255 * picture.mean((1, 2))).astype(np.uint8)))

    def decode(self, received, knowledge):
        colour = np.frombuffer(received.data, np.uint8) / 255
        return np.broadcast_to(colour[:, None, None], (3, toyworld.SIZE, toyworld.SIZE)).astype(np.float32)


# --- every scheme ----------------------------------------------------------------------------------------------------
def test_every_scheme_has_a_name_of_its_own_and_a_family():
    schemes = all_schemes()
    assert len({scheme.name for scheme in schemes}) == len(schemes) == len(FAMILIES)
    assert {scheme.name: scheme.family for scheme in schemes} == FAMILIES
    assert set(FAMILIES.values()) == {"prompt", "map", "inverted latent", "split latent", "learned code", "file"}


def test_symbols_are_as_many_as_the_networks_make():
    uses = {}
    for scheme in all_schemes():
        if isinstance(scheme, LearnedScheme):
            uses[scheme.name] = scheme.copies * LEARNED[scheme.role]
        elif isinstance(scheme, SplitScheme):
            uses[scheme.name] = LATENT
    assert uses == ANALOG_USES


KINDS = (
    PromptScheme("NI"),
    MappedScheme("canny", 1),
    InvertedScheme(1),
    SplitScheme(10),
    LearnedScheme("jscc"),
    FileScheme("png"),
    ThumbnailScheme(12),
    MeanColour(),
)


@pytest.mark.parametrize("scheme", KINDS, ids=lambda scheme: scheme.name)
def test_every_scheme_refuses_by_name_what_it_cannot_take(scheme):
    """Before any network is opened, and a reader's own class too, without a line of its own."""
    got = Arrival([1, 0], np.ones(3), 10.0)
    for picture in (None, "x", PICTURE[:2], 2 * PICTURE + 1, np.full_like(PICTURE, np.nan)):
        with pytest.raises(ValueError, match="^picture must be"):
            scheme.encode(picture, KNOWN)
        with pytest.raises(ValueError, match="^pictures must be"):
            scheme.encode_all([picture], [KNOWN])
    for knowledge in (None, "x", 3):
        with pytest.raises(ValueError, match="^knowledge must be of Knowledge"):
            scheme.encode(PICTURE, knowledge)
        with pytest.raises(ValueError, match="^knowledge must be of Knowledge"):
            scheme.decode(received=got, knowledge=knowledge)
    for received in (None, b"ab", [1, 0]):
        with pytest.raises(ValueError, match="^received must be of Arrival"):
            scheme.decode(received, KNOWN)
    for name, call in (("pictures", scheme.encode_all), ("received", scheme.decode_all)):
        for none in (None, "x", [], 3):
            with pytest.raises(ValueError, match=f"^{name} must be"):
                call(none, [KNOWN])
    with pytest.raises(ValueError, match="^knowledge must be 1, one a picture, got"):
        scheme.encode_all([PICTURE], [KNOWN, KNOWN])


@pytest.mark.parametrize("scheme", [LearnedScheme("witt-low"), SplitScheme(20)], ids=lambda scheme: scheme.name)
def test_what_needs_symbols_says_so(scheme):
    for received in (Arrival([1, 0]), Arrival([1, 0], np.ones(3), 10.0)):
        with pytest.raises(ValueError, match="^received must hold .* symbols, got"):
            scheme.decode(received, KNOWN)


# --- without a channel -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("codec", CODECS)
def test_a_file_is_the_codecs_own(codec):
    scheme = FileScheme(codec, 30)
    file = jpeg(ROWS, 30, optimise=False) if codec == "jpeg" else CODECS[codec](ROWS, 30)
    assert np.array_equal(back(scheme), decoded(file).transpose(2, 0, 1))
    bits = len(scheme.encode(PICTURE, KNOWN).bits)
    assert bits < 8 * len(file) - 2000 if codec == "jpeg" else bits == 8 * len(file)


def test_png_loses_nothing_that_eight_bits_can_hold():
    assert np.abs(back(FileScheme("png")) - PICTURE).max() <= 0.5 / 255 + 1e-6
    assert len(FileScheme("png").encode(PICTURE, KNOWN).bits) == 8 * len(png(ROWS))


@pytest.mark.parametrize("limit_bytes", [3, 12, 75, 160])
def test_a_thumbnail_fits_and_is_about_the_best_that_does(limit_bytes):
    """Of two qualities whose files are as long the worse may be taken."""
    scheme = ThumbnailScheme(limit_bytes)
    assert len(scheme.encode(PICTURE, KNOWN).bits) <= 8 * (limit_bytes + 1)
    best, _, _ = squeezed(PICTURE, limit_bytes)
    errors = [float(np.mean((picture - PICTURE) ** 2)) for picture in (back(scheme), best)]
    assert errors[0] < 1.2 * errors[1]


@pytest.mark.parametrize("copies", [1, 2])
def test_a_learned_code_is_its_network_on_all_copies(copies):
    scheme, network = LearnedScheme("witt-low", copies), load("witt-low")
    message = scheme.encode(PICTURE, KNOWN)
    assert message.analog == 64 * copies and not message.bits.size
    assert np.mean(np.abs(message.symbols) ** 2) == pytest.approx(1.0, abs=0.01)
    assert np.array_equal(message.symbols[:64], message.symbols[-64:])
    together = torch.tensor([KNOWN.snr_db + 10 * np.log10(copies)], dtype=torch.float32)
    with torch.no_grad():
        z = network.encode(torch.from_numpy(PICTURE[None]), together, "awgn")
        own = network.decode(z, together[:, None])[0].clamp(0, 1)
    assert np.allclose(back(scheme), own.numpy(), atol=1e-5)


def test_messages_are_of_bits_or_of_symbols_of_unit_power():
    assert Packet.of_bytes(b"\x80\x01").bits.tolist() == [1] + 14 * [0] + [1]
    assert Arrival(Packet.of_bytes(b"ab").bits).data == b"ab"
    for wrong in ({"bits": [0, 2]}, {"bits": [[0, 1]]}, {"symbols": [2.0, 2.0]}, {"symbols": [[1.0]]}, {"bits": []}):
        with pytest.raises(ValueError, match="^(bits|symbols) must"):
            Packet(**wrong)


# --- over the link ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_file_over_a_good_link_arrives_as_it_was_and_costs_its_layout(channel):
    scheme, known = FileScheme("jpeg", 5), replace(KNOWN, snr_db=40.0, channel=channel)
    picture, used, message = transmit(scheme, PICTURE, known, torch.Generator().manual_seed(1))
    chosen = best_format(len(message.bits), 40.0, channel)
    layout = DigitalLink(chosen.code_rate, chosen.bits_per_symbol, channel).layout(len(message.bits))
    assert used == chosen.copies * layout.channel_uses
    assert used == pytest.approx(fate(len(message.bits), chosen, 40.0, channel).channel_uses, rel=0.01)
    assert np.array_equal(picture, back(scheme).astype(np.float32))


def test_what_is_lost_shows_grey_and_has_cost_all_its_tries():
    picture, used, message = transmit(
        MeanColour(), PICTURE, replace(KNOWN, snr_db=-45.0), torch.Generator().manual_seed(1)
    )
    assert (picture == GREY).all()
    chosen = best_format(len(message.bits), -45.0, "awgn")
    layout = DigitalLink(chosen.code_rate, chosen.bits_per_symbol).layout(len(message.bits))
    assert chosen.copies in COPIES and used == TRIES * chosen.copies * layout.channel_uses


def test_symbols_arrive_with_noise_and_cost_their_number():
    scheme = LearnedScheme("witt-low")
    clear, bad = (
        transmit(scheme, PICTURE, replace(KNOWN, snr_db=snr_db), torch.Generator().manual_seed(1))
        for snr_db in (30.0, -10.0)
    )
    assert clear[1] == bad[1] == 64
    errors = [float(np.mean((picture - PICTURE) ** 2)) for picture, _, _ in (clear, bad)]
    assert errors[0] < errors[1]


# --- the comparison --------------------------------------------------------------------------------------------------
def record(subject: int, rng: np.random.Generator) -> dict:
    """What a task of two pictures gives, made up: the first has a subject."""

    def rows() -> list[list[int]]:
        things, place, same, ssim, alike = (rng.integers(0, n, 2).tolist() for n in (2, 101, 2, 1001, 1001))
        return [[things[k], place[k], -1 if k else same[k], ssim[k], alike[k], 200] for k in (0, 1)]

    digital = [name for name in FAMILIES if name not in ANALOG_USES]
    return {
        "task": {"subject": subject},
        "truly": [1, 1],
        "features": rng.random((2, 7)).tolist(),
        "bits": {name: [0, 0] if family == "learned code" else [80, 96] for name, family in FAMILIES.items()},
        "digital": {name: rows() for name in ("source", "other", "grey", *digital)},
        "analog": {c: {str(s): {name: rows() for name in ANALOG_USES} for s in SNRS_DB} for c in CHANNELS},
    }


def records(n: int = 4) -> list[dict]:
    rng = np.random.default_rng(3)
    return [record(subject, rng) for subject in range(n)]


def test_a_table_holds_what_is_to_be_expected():
    made = records()
    one = table(made, 6, "awgn")
    assert one.names == tuple(made[0]["bits"]) and one.uses.shape == (8, len(FAMILIES))
    k, told = one.column("caption"), fate(80, best_format(80, 6.0, "awgn"), 6.0, "awgn")
    assert one.uses[0, k] == pytest.approx(told.channel_uses) and one.delivered[0, k] == pytest.approx(told.delivered)
    grey, own = made[0]["digital"]["grey"][0], made[0]["digital"]["caption"][0]
    expected = told.delivered * own[3] + (1 - told.delivered) * grey[3]
    assert one.answers["picture"][0, k] == pytest.approx(0.001 * expected)
    assert one.with_subject.tolist() == [True, False] * 4 and one.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    j = one.column("DeepJSCC")
    assert (one.uses[:, j] == 512).all() and (one.delivered[:, j] == 1).all()
    assert one.answers["place"][0, j] == pytest.approx(0.01 * made[0]["analog"]["awgn"]["6"]["DeepJSCC"][0][1])
    split = one.column("split after 10")
    assert one.uses[0, split] == pytest.approx(512 + told.channel_uses)  # its caption travels as bits


def test_at_the_limit_bits_cost_what_shannon_says_and_always_arrive():
    one = table(records(), 0, "rayleigh-block", at_limit=True)
    k = one.column("PNG")
    assert one.uses[0, k] == pytest.approx(limit(80, 0.0, "rayleigh-block")) and (one.delivered == 1).all()
    assert (one.uses <= table(records(), 0, "rayleigh-block").uses + 1e-9).all()


def test_a_table_can_leave_families_out_and_refuses_what_it_does_not_know():
    one = table(records(), 20, "awgn", leave_out=("file", "map"))
    assert {FAMILIES[name] for name in one.names} == {*FAMILIES.values()} - {"file", "map"}
    for wrong in ({"snr_db": 7}, {"channel": "fast"}, {"records": []}):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must"):
            table(**{"records": records(1), "snr_db": 6, "channel": "awgn"} | wrong)


def test_a_task_a_subject_and_no_scene_twice():
    made = tasks()
    assert [task["subject"] for task in made] == list(range(toyworld.SUBJECTS))
    scenes = [number for task in made for number in task["scenes"]]
    assert len(set(scenes)) == len(scenes) == 2 * toyworld.SUBJECTS


def test_who_is_met_before_is_known_to_both_ends():
    from semcom_utils.papers.aigc_scm.case_study import case_scene

    known = knowledge_of(case_scene(3, 1), 3, 7, snr_db=0.0, channel="rayleigh-block")
    assert (known.subject, known.seed, known.snr_db, known.channel) == (3, 7, 0.0, "rayleigh-block")
    assert np.shape(known.place) == (4,) and np.shape(known.beside)[1] == 4
    assert knowledge_of(toyworld.scene(4), None, 7).subject is None
    for wrong, named in (((None, 3, 7), "scene"), ((toyworld.scene(4), 30, 7), "number")):
        with pytest.raises(ValueError, match=f"^{named} must"):
            knowledge_of(*wrong)


def test_a_readers_own_scheme_appears_in_everything(monkeypatch):
    class Own(MeanColour):
        family: ClassVar[str] = "file"

    monkeypatch.setattr(comparison, "all_schemes", lambda: [Own(), ThumbnailScheme(12)])
    task = {"subject": 0, "views": [20], "scenes": [6_400_000]}
    made = comparison.run(task)
    assert set(made["bits"]) == {"mean colour", "thumbnail 12 B"} and made["bits"]["mean colour"] == [24, 24]
    assert made["digital"]["mean colour"][0][list(UNITS).index("picture")] > 100  # a SSIM of a tenth
    one = table([{**made, "task": task}, {**made, "task": {**task, "subject": 1}}], 6, "awgn")
    assert one.names[0] == "mean colour" and one.uses[0, 0] < one.uses[0, 1]
    assert 0 in front(one.uses.mean(0), one.mean("picture"))
    for question in QUESTIONS:
        assert best_within(one, question, float(one.uses[:, 0].max())).name == "mean colour"
        assert best_within(one, question, max(BUDGETS)).name in one.names
    assert lead(one, "picture", 100, ["thumbnail 12 B"], ["mean colour"])["n"] == 2
    found = gains(one, "picture", float(one.uses[:, 0].max()) + 1, np.zeros((4, 1)))
    assert found["fixed"] == "mean colour"
