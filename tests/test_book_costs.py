"""What a picture takes from end to end: counting, the model of the device, and what the stored run says."""

import math

import pytest

from semcom_utils.papers.book import costs
from semcom_utils.papers.book.comparison import ANALOG_USES
from semcom_utils.studies import load_result

DRAWN, FILE = costs.DRAWN_AND_FILE


def record(scheme, bits, analog=0, operations=(0.0, 0.0), seconds=(1e-3, 1e-3)):
    ends = ("encode", "decode")
    return {
        "task": {"scheme": scheme, "repeats": 1, "pictures": 1},
        "bits": [bits],
        "analog": [analog],
        "operations": dict(zip(ends, operations, strict=True)),
        "seconds": dict(zip(ends, seconds, strict=True)),
    }


CAPTION = record(DRAWN, 96, operations=(1e9, 1e10), seconds=(0.1, 1.0))
WEBP = record(FILE, 4096)


@pytest.fixture(scope="module")
def stored():
    return load_result("book/costs")


def test_networks_take_operations_and_files_what_was_measured():
    stages = costs.summary([CAPTION, WEBP])["stages"]
    assert stages[DRAWN]["encode_s"] == pytest.approx(1e9 / costs.OPERATIONS_PER_SECOND)
    assert stages[DRAWN]["decode_s"] == pytest.approx(1e10 / costs.OPERATIONS_PER_SECOND)
    assert (stages[FILE]["encode_s"], stages[FILE]["decode_s"]) == (1e-3, 1e-3)
    assert stages[DRAWN]["measured_decode_s"] == 1.0 and stages[FILE]["encode_operations"] == 0


def test_uses_are_those_of_bits_and_symbols():
    stages = costs.summary([record("split after 20", 0, 512), record(FILE, 4096), record(DRAWN, 4096, 512)])["stages"]
    assert stages["split after 20"]["air_uses"] == 512
    assert stages[DRAWN]["air_uses"] == pytest.approx(512 + stages[FILE]["air_uses"])
    assert stages[FILE]["air_uses"] > 4096 / math.log2(1 + 10 ** (costs.SNR_DB / 10))  # no code beats the limit


def test_at_the_tie_both_take_as_long_and_below_it_the_drawn_one_is_faster():
    found = costs.summary([CAPTION, WEBP])
    tie = found["tie_symbol_rate"]
    pair = [{key: found["stages"][name][key] for key in ("encode_s", "air_uses", "decode_s")} for name in (DRAWN, FILE)]
    drawn, file = (costs.total_seconds(**one, symbol_rate=tie) for one in pair)
    assert drawn == pytest.approx(file)
    drawn, file = (costs.total_seconds(**one, symbol_rate=tie / 2) for one in pair)
    assert drawn < file
    ratios = found["caption_over_file"]
    assert list(ratios) == ["1000", "10000", "100000", "1000000", "10000000"]
    assert list(ratios.values()) == sorted(ratios.values()) and ratios["1000"] < 1 < ratios["10000000"]


def test_a_faster_device_moves_the_tie_up():
    found = costs.summary([CAPTION, WEBP])
    ties = [found["devices"][f"{speed:.0e}"]["tie_symbol_rate"] for speed in costs.DEVICES]
    assert ties[0] < ties[1] == found["tie_symbol_rate"] and ties[2] is None  # then it computes less than the codec


def test_here_networks_take_what_was_measured_too():
    here = costs.summary([CAPTION, WEBP])["devices"]["here"]
    uses = {name: costs.summary([one])["stages"][name]["air_uses"] for name, one in ((DRAWN, CAPTION), (FILE, WEBP))}
    assert here["tie_symbol_rate"] == pytest.approx((uses[FILE] - uses[DRAWN]) / (1.1 - 2e-3))
    assert here["caption_over_file"]["1000000"] == pytest.approx((1.1 + uses[DRAWN] / 1e6) / (2e-3 + uses[FILE] / 1e6))


def test_without_one_of_the_two_there_is_no_ratio():
    for one in (CAPTION, WEBP):
        found = costs.summary([one])
        assert found["caption_over_file"] is found["tie_symbol_rate"] is found["devices"] is None
        assert found["totals"]["1000"].keys() == {one["task"]["scheme"]}


def test_a_file_is_sent_as_many_bits_every_time():
    first, again = (costs.run({"scheme": "PNG", "repeats": 1, "pictures": 2}) for _ in range(2))
    assert first["bits"] == again["bits"] and len(set(first["bits"])) == 2
    assert first["analog"] == [0, 0] and first["operations"] == {"encode": 0.0, "decode": 0.0}


def test_stored_counts_follow_from_how_the_schemes_work(stored):
    of = stored["summary"]["stages"]
    encode = {name: one["encode_operations"] for name, one in of.items()}
    decode = {name: one["decode_operations"] for name, one in of.items()}
    assert set(of) == set(costs.COMPARED)
    files = {name for name in of if name.split()[0] in ("WebP", "JPEG", "AVIF", "PNG")}
    assert {name for name in of if not encode[name] and not decode[name]} == files
    # An inversion asks the denoiser once a step on top of the caption; a sender that denoises again asks more.
    assert encode["caption"] < encode["split after 20"] < encode["inverted 2 bit"] < encode["split after 10"]
    # A finished latent leaves the receiver a few steps; with guidance every step asks twice.
    assert decode["split after 20"] < decode["inverted 2 bit"] < decode["caption"] < decode["segmentation /4"]
    analog = {r["task"]["scheme"]: set(r["analog"]) for r in stored["records"]}
    assert all(uses == {ANALOG_USES.get(name, 0)} for name, uses in analog.items())
