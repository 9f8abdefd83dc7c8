"""What bits cost on the bench: the expected cost and delivery against the real link, and Shannon's limit below both."""

import math

import numpy as np
import pytest
import torch

from semcom_utils.papers.book.bench import Knowledge, Packet, carried
from semcom_utils.papers.book.link import (
    CHANNELS,
    COPIES,
    DELIVERED,
    FORMATS,
    OFFSETS_DB,
    PAYLOADS,
    TRIES,
    Format,
    best_format,
    block_loss,
    fate,
    limit,
    summary,
    tasks,
)
from semcom_utils.physical import DigitalLink, min_snr_db
from semcom_utils.statistics import student_interval
from semcom_utils.studies import load_result

pytestmark = pytest.mark.usefixtures("one_thread")
CHOSEN = Format(2, 1 / 2)


def lost_share(channel: str, snr_db: float, payload: int, blocks: int) -> float:
    generator = torch.Generator().manual_seed(11)
    payloads = torch.randint(0, 2, (blocks, payload), generator=generator)
    result = DigitalLink(CHOSEN.code_rate, CHOSEN.bits_per_symbol, channel).send(payloads, snr_db, generator)
    return float((~np.asarray(result.accepted)).mean())


@pytest.mark.parametrize(("channel", "above_db"), [("awgn", 0.5), ("rayleigh-block", 5.0)])
def test_losses_are_those_of_the_real_link(channel, above_db):
    """On the slope of the measured fall, and averaged over the gain."""
    snr_db, blocks, payload = float(min_snr_db(1.0)) + above_db, 300, 64
    told = block_loss(payload, CHOSEN, snr_db, channel)
    assert 0.1 < told < 0.9
    spread = math.sqrt(told * (1 - told) * (1 / blocks + 1 / PAYLOADS[payload]))
    assert abs(lost_share(channel, snr_db, payload, blocks) - told) < 3.3 * spread


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_message_costs_on_average_what_its_fate_says(channel):
    knowledge, generator = Knowledge(snr_db=4.0, channel=channel), torch.Generator().manual_seed(5)
    bits = np.random.default_rng(0).integers(0, 2, 64)
    told = fate(64, best_format(64, 4.0, channel), 4.0, channel)
    sent = [carried(Packet(bits), knowledge, generator) for _ in range(60)]
    used = student_interval([uses for _, uses in sent], level=0.999)
    assert used["low"] <= told.channel_uses <= used["high"]
    arrived = [received for received, _ in sent if received is not None]
    assert all(np.array_equal(received.bits, bits) for received in arrived)
    assert len(arrived) >= 60 * told.delivered - 3


def test_repetition_is_counted_as_written():
    """Up to TRIES transmissions, each lost with the same probability: a geometric law that is cut off."""
    snr_db = float(min_snr_db(1.0)) + 0.5
    p, told = block_loss(64, CHOSEN, snr_db, "awgn"), fate(64, CHOSEN, snr_db, "awgn")
    once = DigitalLink(CHOSEN.code_rate, CHOSEN.bits_per_symbol).layout(64).channel_uses
    assert told.channel_uses == pytest.approx(once * sum(p**k for k in range(TRIES)))
    assert told.delivered == pytest.approx(1 - p**TRIES)
    never = fate(64, CHOSEN, -40.0, "awgn")
    assert never.delivered == 0 and never.channel_uses == TRIES * once
    twice = fate(64, CHOSEN._replace(copies=2), 30.0, "awgn")
    assert twice.channel_uses == pytest.approx(2 * fate(64, CHOSEN, 30.0, "awgn").channel_uses)


@pytest.mark.parametrize("channel", CHANNELS)
def test_losses_fall_with_the_snr_and_with_copies(channel):
    for order, rate in FORMATS:
        by_snr = [block_loss(200, Format(order, rate), snr, channel) for snr in np.arange(-10.0, 40.0, 1.0)]
        # what was measured of rare losses, one block of hundreds, need not fall from point to point
        assert all(a >= b - 0.02 for a, b in zip(by_snr, by_snr[1:], strict=False)) and by_snr[0] > by_snr[-1] + 0.5
        by_copies = [block_loss(200, Format(order, rate, copies), 3.0, channel) for copies in COPIES]
        assert all(a >= b - 0.02 for a, b in zip(by_copies, by_copies[1:], strict=False))
    assert block_loss(64, CHOSEN, 3.0, "awgn") == block_loss(
        64, CHOSEN._replace(copies=2), 3.0 - 10 * math.log10(2), "awgn"
    )


def test_between_measured_payloads_the_loss_lies_between():
    snr_db = float(min_snr_db(1.0)) + 0.5
    few, some, many = (block_loss(bits, CHOSEN, snr_db, "awgn") for bits in (64, 128, 256))
    assert min(few, many) <= some <= max(few, many)
    assert block_loss(10, CHOSEN, snr_db, "awgn") == few  # shorter and longer ones as the nearest that was measured


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("snr_db", [0.0, 6.0, 20.0])
@pytest.mark.parametrize("bits", [60, 1500])
def test_the_best_format_delivers_and_nothing_that_delivers_is_cheaper(channel, snr_db, bits):
    chosen = best_format(bits, snr_db, channel)
    told = fate(bits, chosen, snr_db, channel)
    others = [fate(bits, Format(*one, copies), snr_db, channel) for one in FORMATS for copies in COPIES]
    sure = [one.channel_uses for one in others if one.delivered >= DELIVERED]
    assert told.delivered >= DELIVERED and told.channel_uses == min(sure)
    assert limit(bits, snr_db, channel) < told.channel_uses


def test_where_nothing_delivers_the_surest_is_taken():
    told = fate(2000, best_format(2000, -30.0, "rayleigh-block"), -30.0, "rayleigh-block")
    others = [fate(2000, Format(*one, c), -30.0, "rayleigh-block").delivered for one in FORMATS for c in COPIES]
    assert told.delivered == max(others) < DELIVERED


def test_the_limit_is_shannons():
    assert limit(100, 0.0, "awgn") == pytest.approx(100.0)
    assert limit(100, 10 * math.log10(3), "awgn") == pytest.approx(50.0)
    # With fading: the best of R exp(-(2^R - 1) / snr), here found by another way than on a grid of rates.
    snr, R = 10.0, 1.0
    for _ in range(200):  # R 2^R ln 2 = snr, by Newton's method
        R -= (R * 2**R * math.log(2) - snr) / (2**R * math.log(2) * (1 + R * math.log(2)))
    assert limit(100, 10.0, "rayleigh-block") == pytest.approx(100 / (R * math.exp(-(2**R - 1) / snr)), rel=1e-4)
    assert all(limit(100, float(s), "rayleigh-block") > limit(100, float(s), "awgn") for s in (-6, 0, 6, 12, 20))


def test_every_fall_was_measured_to_its_end():
    stored = load_result("book/link")
    assert len(tasks()) == len(FORMATS) * len(PAYLOADS) * len(OFFSETS_DB) == len(stored["records"])
    again = summary(stored["records"])
    assert again["lost"] == stored["summary"]["lost"] and len(again["lost"]) == len(FORMATS)
    assert all(gap is not None and 0 < gap <= OFFSETS_DB[-1] for gap in again["gap_db"].values())
