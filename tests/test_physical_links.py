"""The links: error rates against closed forms, channel uses against hand counts, and what goes wrong on purpose."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semcom_utils.physical import AnalogLink, DigitalLink, finite_blocklength_error, uncoded_bit_error_rate
from semcom_utils.physical.digital import _checksum, _codec


def generator(seed):
    return torch.Generator().manual_seed(seed)


def random_bits(shape, seed):
    return np.random.default_rng(seed).integers(0, 2, shape, dtype=np.uint8)


# --- error rates -----------------------------------------------------------------------------------------------


def distance_from(expected, link, snr_db, bits=600_000):
    """How many standard errors the simulated bit error rate lies from ``expected``.

    The bits of a symbol share its noise and fading, so the sample is the symbol, not the bit.
    """
    sent = random_bits(bits, 10)
    per_symbol = (link.send(sent, snr_db, generator(11)).bits != sent).reshape(-1, link.bits_per_symbol).mean(1)
    assert per_symbol.sum() > 30, "too few errors to say anything"
    return abs(per_symbol.mean() - expected) / (per_symbol.std() / np.sqrt(len(per_symbol)))


UNCODED = [
    (1, "awgn", 0.0),
    (1, "awgn", 6.0),
    (1, "rayleigh-fast", 0.0),
    (1, "rayleigh-fast", 20.0),
    (2, "awgn", 8.0),
    (4, "awgn", 6.0),
    (4, "awgn", 15.0),
    (4, "rayleigh-fast", 6.0),
    (4, "rayleigh-fast", 25.0),
    (6, "awgn", 18.0),
]


@pytest.mark.parametrize(("order", "channel", "snr_db"), UNCODED)
def test_uncoded_error_rate_is_the_closed_form(order, channel, snr_db):
    link = DigitalLink(None, order, channel)
    assert distance_from(uncoded_bit_error_rate(order, snr_db, channel=channel), link, snr_db) < 3.29  # 99.9%
    # The check can fail: half a decibel off is far outside (on fading, where the curve is flat, one).
    wrong = uncoded_bit_error_rate(order, snr_db + (0.5 if channel == "awgn" else 1.0), channel=channel)
    assert distance_from(wrong, link, snr_db) > 3.29


def test_uncoded_block_fading_has_one_coefficient_per_block():
    link = DigitalLink(1, 2, "rayleigh-block", uncoded_block_bits=100)
    sent = random_bits(400_000, 12)
    result = link.send(sent, 5.0, generator(13))
    per_block = (result.bits != sent).reshape(4000, 100).mean(1)
    expected = uncoded_bit_error_rate(2, 5.0, channel="rayleigh-block")
    assert abs(per_block.mean() - expected) < 3.29 * per_block.std() / np.sqrt(4000)
    assert per_block.std() > 3 * np.sqrt(expected / 100)  # far more spread than independent errors would have
    assert (result.blocks, result.block_errors) == (4000, int((per_block > 0).sum()))
    assert np.array_equal(result.block_right, per_block == 0)


def test_ldpc_falls_off_a_cliff_behind_the_finite_blocklength_bound():
    link, sent = DigitalLink(), random_bits((96, 512), 14)
    rates = [link.send(sent, snr_db, generator(15)).block_error_rate for snr_db in (4.77, 6.2, 8.0)]
    assert rates[0] == 1.0 and 0.1 < rates[1] < 0.9 and rates[2] == 0.0
    uses = link.layout(512).channel_uses
    assert rates[1] > finite_blocklength_error(6.2, uses, 512 / uses)


def test_block_fading_leaves_errors_that_awgn_does_not():
    sent = random_bits((200, 64), 16)
    result = DigitalLink(channel="rayleigh-block").send(sent, 12.0, generator(17))
    assert 0.05 < result.block_error_rate < 0.5
    assert DigitalLink(channel="awgn").send(sent, 12.0, generator(17)).block_errors == 0


def test_a_receiver_told_the_wrong_snr_loses_blocks():
    link, sent = DigitalLink(), random_bits((96, 512), 18)
    right = link.send(sent, 6.8, generator(19))
    wrong = link.send(sent, 6.8, generator(19), assumed_snr_db=-10.0)
    assert right.block_error_rate < 0.15 and wrong.block_error_rate > right.block_error_rate + 0.5


# --- payloads and what they cost -------------------------------------------------------------------------------

# bits, blocks, k, checksum bits, padding, uses at code rate 1/2 and 16-QAM: computed by hand from TS 38.212.
BY_HAND = [
    (1, 1, 17, 16, 0, 9),  # 34 coded bits need 9 symbols
    (2, 1, 18, 16, 0, 9),
    (23, 1, 39, 16, 0, 20),
    (24, 1, 40, 16, 0, 20),
    (25, 1, 41, 16, 0, 21),
    (1000, 1, 1016, 16, 0, 508),
    (3824, 1, 3840, 16, 0, 1920),  # the last CRC16, the last block of base graph 2
    (3825, 1, 3849, 24, 0, 1925),
    (8424, 1, 8448, 24, 0, 4224),  # the largest single block
    (8425, 2, 4249, 72, 1, 4250),  # CRC24A and two CRC24B; 8449 is odd, so one zero; 2 x 8500 coded bits
    (8448, 2, 4260, 72, 0, 4260),
    (8449, 2, 4261, 72, 1, 4262),  # 8522 coded bits are 2130.5 symbols, so 2131 for each block
    (100_003, 12, 8360, 312, 5, 50_160),
]


@pytest.mark.parametrize(("bits", "blocks", "k", "checksum", "padding", "uses"), BY_HAND)
def test_payload_arrives_and_costs_what_the_hand_count_says(bits, blocks, k, checksum, padding, uses):
    link, sent = DigitalLink(), random_bits(bits, bits)
    result = link.send(sent, 12.0, generator(bits))
    layout = result.layout
    assert np.array_equal(result.bits, sent) and result.bits.dtype == sent.dtype
    assert (layout.blocks, layout.information_bits, layout.checksum_bits, layout.padding_bits) == (
        blocks,
        k,
        checksum,
        padding,
    )
    assert bits + checksum + padding == blocks * k
    assert result.channel_uses == layout.channel_uses == uses
    assert (result.bit_errors, result.block_errors, result.blocks, result.undetected_errors) == (0, 0, blocks, 0)
    assert result.accepted and result.crc_ok.shape == (blocks,) and result.crc_ok.all()


@pytest.mark.parametrize(("order", "bits", "uses"), [(1, 7, 7), (2, 7, 4), (4, 1, 1), (4, 9, 3), (6, 13, 3)])
def test_uncoded_padding_is_counted(order, bits, uses):
    sent = random_bits(bits, 20)
    result = DigitalLink(None, order).send(sent, 40.0, generator(21))
    assert np.array_equal(result.bits, sent) and result.channel_uses == uses
    assert result.layout.padding_bits == uses * order - bits
    assert result.crc_ok is None and result.accepted is None


# Payload and rate on both sides of each border of TS 38.212, section 7.2.2. The last is where the class says that it
# leaves the standard, which has base graph 1 with repetition there.
BASE_GRAPHS = [
    (292, 0.9, "bg2"),
    (293, 0.9, "bg1"),
    (3824, 0.67, "bg2"),
    (3824, 0.68, "bg1"),
    (3825, 0.5, "bg1"),
    (3825, 0.34, "bg1"),
    (3825, 0.2, "bg2"),
    (3825, 0.3, "bg2"),
]


@pytest.mark.parametrize(("bits", "rate", "base_graph"), BASE_GRAPHS)
def test_base_graph_is_chosen_as_in_the_standard(bits, rate, base_graph):
    assert DigitalLink(rate).layout(bits).base_graph == base_graph


@settings(max_examples=300, deadline=None)
@given(
    bits=st.integers(1, 3_000_000),
    order=st.sampled_from([1, 2, 4, 6, 8]),
    rate=st.one_of(st.floats(0.2, 948 / 1024), st.sampled_from([1 / 5, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4])),
)
def test_layout_keeps_the_rules_for_any_payload(bits, order, rate):
    layout = DigitalLink(rate, order).layout(bits)
    k, n, largest = layout.information_bits, layout.coded_bits, {"bg1": 8448, "bg2": 3840}[layout.base_graph]
    assert layout.blocks * k == bits + layout.checksum_bits + layout.padding_bits
    assert 0 <= layout.padding_bits < layout.blocks and 17 <= k <= largest
    assert n % order == 0 and layout.channel_uses * order == layout.blocks * n > bits
    mother = {"bg1": 1 / 3, "bg2": 1 / 5}[layout.base_graph]
    assert mother <= k / n <= 0.95  # what Sionna's encoder takes
    assert n >= k / rate - 1e-6 or n + order > k / mother  # the target rate, unless the mother code is the limit
    assert n - k / rate < order


@pytest.mark.parametrize("rate", [1 / 5, 0.3, 1 / 3, 0.67, 0.68, 948 / 1024])
@pytest.mark.parametrize("bits", [1, 293, 4000])
def test_every_corner_of_the_layouts_round_trips(rate, bits):
    sent = random_bits(bits, 22)
    result = DigitalLink(rate, 2).send(sent, 20.0, generator(23))
    assert np.array_equal(result.bits, sent) and result.accepted


@pytest.mark.parametrize("channel", ["awgn", "rayleigh-fast", "rayleigh-block"])
def test_many_payloads_at_once_keep_their_shape_library_and_type(channel):
    sent = torch.as_tensor(random_bits((2, 3, 40), 24), dtype=torch.int16)
    result = DigitalLink(channel=channel).send(sent, 60.0, generator(25))
    assert isinstance(result.bits, torch.Tensor) and result.bits.dtype == torch.int16
    assert torch.equal(result.bits, sent)
    assert result.accepted.shape == (2, 3) and result.crc_ok.shape == (2, 3, 1) and result.blocks == 6
    assert result.channel_uses == 6 * DigitalLink().layout(40).channel_uses


# --- checksums -------------------------------------------------------------------------------------------------


def test_checksums_tell_wrong_blocks_from_right_ones():
    """Near the cliff some blocks arrive and some do not; the receiver's verdict is the truth, block by block."""
    sent = random_bits(60_000, 26)
    result = DigitalLink().send(sent, 6.25, generator(27))
    assert 0 < result.block_errors < result.blocks
    assert np.array_equal(result.crc_ok, result.block_right) and result.undetected_errors == 0
    assert not result.accepted and result.bit_errors > 0
    many = DigitalLink().send(random_bits((300, 24), 28), 3.0, generator(29))
    assert many.block_errors > 30 and np.array_equal(many.accepted, many.block_right[:, 0])


def test_checksum_of_a_long_payload_is_sionnas():
    from sionna.phy.fec.crc import CRCEncoder

    bits = torch.as_tensor(random_bits((2, 20_001), 30), dtype=torch.float32)
    for name in ("CRC16", "CRC24A"):
        assert torch.equal(_checksum(bits, name, "cpu"), CRCEncoder(name, device="cpu")(bits)[:, 20_001:])
    flipped = bits.clone()
    flipped[0, 123] = 1 - flipped[0, 123]
    assert (_checksum(flipped, "CRC24A", "cpu") != _checksum(bits, "CRC24A", "cpu")).any(1).tolist() == [True, False]


# --- the same as Sionna by hand, reproducible, cheap to import -------------------------------------------------


def test_link_is_the_same_as_sionnas_blocks_called_by_hand():
    from sionna.phy.fec.crc import CRCEncoder
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
    from sionna.phy.mapping import Demapper, Mapper

    sent = torch.as_tensor(random_bits((200, 240), 31), dtype=torch.float32)
    encoder = LDPC5GEncoder(256, 512, num_bits_per_symbol=4, device="cpu")
    blocks, no = CRCEncoder("CRC16", device="cpu")(sent), 10**-0.62
    w = torch.randn((200, 128), dtype=torch.complex64, generator=generator(32))  # the link's own noise
    llr = Demapper("app", "qam", 4, device="cpu")(Mapper("qam", 4, device="cpu")(encoder(blocks)) + no**0.5 * w, no)

    def decode(rule):
        decoder = LDPC5GDecoder(encoder, cn_update=rule, num_iter=20, device="cpu")
        return torch.cat([decoder(part) for part in llr.split(64)])  # the link's batches: 16,384 bits

    ours = DigitalLink().send(sent, 6.2, generator(32))
    assert 20 < ours.block_errors < 180
    assert torch.equal(ours.bits, decode("boxplus")[:, :240])
    # Sionna's default rule is the same mathematics: blocks are lost or right alike, but for rare close calls.
    lost = (decode("boxplus-phi") != blocks).any(1).numpy()
    assert (lost == ours.block_right[:, 0]).mean() < 0.02


def test_same_seed_same_result_and_other_seed_other_result():
    for link in (DigitalLink(), DigitalLink(None, 1, "rayleigh-fast"), DigitalLink(channel="rayleigh-block")):
        sent = random_bits((40, 100), 33)
        torch.rand(3)  # global state must not matter
        first, again, other = (link.send(sent, 5.0, generator(seed)).bits for seed in (34, 34, 35))
        assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_importing_the_level_and_sending_leave_sionna_and_the_global_generator_alone():
    code = """
import sys, torch, semcom_utils.physical as p
assert not any(m.startswith("sionna") for m in sys.modules), "imported too early"
state = torch.get_rng_state()
p.DigitalLink().send([1, 0, 1], 10.0, torch.Generator().manual_seed(1))
assert "sionna" in sys.modules and torch.equal(state, torch.get_rng_state())
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the analog link -------------------------------------------------------------------------------------------


def test_analog_noise_has_the_variance_that_the_snr_says():
    z = np.random.default_rng(36).normal(2.0, 3.0, (50, 1001))
    result = AnalogLink().send(z, 7.0, generator(37))
    assert result.channel_uses == 25_025 and result.latent.shape == z.shape and result.latent.dtype == z.dtype
    power = (z**2).sum() / 25_025  # per complex use
    assert result.scale == pytest.approx(np.sqrt(power))
    expected = power / 10**0.7 / 2  # per real number
    assert np.var(result.latent - z) == pytest.approx(expected, rel=4 * np.sqrt(2 / z.size))
    assert np.allclose(result.error_variance, expected) and result.side_information_bits == 32


@pytest.mark.parametrize("channel", ["awgn", "rayleigh-fast", "rayleigh-block"])
@pytest.mark.parametrize("equaliser", ["zf", "mmse"])
def test_analog_error_is_what_the_receiver_expects(channel, equaliser):
    link = AnalogLink(channel, equaliser=equaliser)
    z = torch.complex(*torch.randn(2, 60_000, generator=generator(38), dtype=torch.float64))
    result = link.send(z, 4.0, generator(39))
    assert result.channel_uses == 60_000 and result.latent.dtype == torch.complex128
    ratio = (result.latent - z).abs().square() / result.error_variance
    assert ratio.mean() == pytest.approx(1.0, abs=0.03)


def test_mmse_beats_zero_forcing_on_fading():
    z = torch.randn(20_000, generator=generator(40))
    errors = [
        (AnalogLink("rayleigh-fast", equaliser=e).send(z, 5.0, generator(41)).latent - z).square().mean()
        for e in ("mmse", "zf")
    ]
    assert errors[0] < 0.5 < errors[1]


EDGES = [np.array(1.5), np.zeros(5), torch.full((3,), 1e-20), np.array([1 + 2j]), torch.ones(1, 2, 3)]


@pytest.mark.parametrize("z", EDGES)
def test_analog_edges(z):
    result = AnalogLink().send(z, 90.0, generator(42))
    assert type(result.latent) is type(z) and result.latent.dtype == z.dtype and result.latent.shape == z.shape
    assert np.allclose(np.asarray(result.latent), np.asarray(z), rtol=1e-3, atol=1e-24)
    assert result.channel_uses == (z.size if np.iscomplexobj(z) else -(-np.asarray(z).size // 2))


def test_analog_same_seed_same_result():
    z = torch.randn(100, generator=generator(43))
    a, b, c = (AnalogLink("rayleigh-fast").send(z, 3.0, generator(s)).latent for s in (44, 44, 45))
    assert torch.equal(a, b) and not torch.equal(a, c)


# --- bad input -------------------------------------------------------------------------------------------------

G = generator(0)
BAD = [
    ("code_rate", lambda: DigitalLink(code_rate=0.1)),
    ("code_rate", lambda: DigitalLink(code_rate=0.99)),
    ("code_rate", lambda: DigitalLink(code_rate="1/2")),
    ("code_rate", lambda: DigitalLink(code_rate=True)),
    ("code_rate", lambda: DigitalLink(code_rate=np.bool_(True))),
    ("bits_per_symbol", lambda: DigitalLink(bits_per_symbol=3)),
    ("bits_per_symbol", lambda: DigitalLink(bits_per_symbol=True)),
    ("channel", lambda: DigitalLink(channel="rayleigh")),
    ("iterations", lambda: DigitalLink(iterations=0)),
    ("uncoded_block_bits", lambda: DigitalLink(None, 4, uncoded_block_bits=6)),
    ("payload_bits", lambda: DigitalLink().layout(0)),
    ("bits", lambda: DigitalLink().send([], 1.0, G)),
    ("bits", lambda: DigitalLink().send(np.zeros((0, 4)), 1.0, G)),
    ("bits", lambda: DigitalLink().send(1, 1.0, G)),
    ("bits", lambda: DigitalLink().send([0, 2], 1.0, G)),
    ("bits", lambda: DigitalLink().send([0, float("nan")], 1.0, G)),
    ("bits", lambda: DigitalLink().send("0101", 1.0, G)),
    ("snr_db", lambda: DigitalLink().send([1], float("inf"), G)),
    ("snr_db", lambda: DigitalLink().send([1], [1.0, 2.0], G)),
    ("assumed_snr_db", lambda: DigitalLink().send([1], 1.0, G, assumed_snr_db=float("nan"))),
    ("generator", lambda: DigitalLink().send([1], 1.0, 7)),
    ("channel", lambda: AnalogLink("rician")),
    ("equaliser", lambda: AnalogLink(equaliser="ZF")),
    ("latent", lambda: AnalogLink().send(["1.0"], 1.0, G)),
    ("latent", lambda: AnalogLink().send(np.arange(3), 1.0, G)),
    ("latent", lambda: AnalogLink().send(np.zeros(0), 1.0, G)),
    ("latent", lambda: AnalogLink().send(torch.tensor([1.0, float("nan")]), 1.0, G)),
    ("snr_db", lambda: AnalogLink().send(np.ones(1), "high", G)),
    ("generator", lambda: AnalogLink().send(np.ones(1), 1.0, np.random.default_rng(1))),
]


@pytest.mark.parametrize(("name", "call"), BAD)
def test_bad_arguments_are_named(name, call):
    with pytest.raises(ValueError, match=rf"^{name} must "):
        call()


@settings(max_examples=40, deadline=None)
@given(snr_db=st.floats(-100, 100), assumed=st.floats(-100, 100), seed=st.integers(0, 2**31))
def test_any_snr_gives_bits_and_honest_counts(snr_db, assumed, seed):
    sent = random_bits(30, seed)
    result = DigitalLink(channel="rayleigh-fast").send(sent, snr_db, generator(seed), assumed_snr_db=assumed)
    assert set(np.unique(result.bits)) <= {0, 1} and result.bit_errors == (result.bits != sent).sum()
    assert result.block_errors == (0 if result.block_right.all() else 1)


def test_codecs_are_built_once():
    """A link asks Sionna for a codec of the same size once, not at each call."""
    _codec.cache_clear()
    for _ in range(3):
        DigitalLink().send(random_bits(77, 46), 10.0, generator(47))
    assert _codec.cache_info().misses == 1
