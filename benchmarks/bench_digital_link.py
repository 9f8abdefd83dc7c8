"""Does DigitalLink cost anything beside the Sionna blocks it is made of? Information bits per second of both.

    python benchmarks/bench_digital_link.py [--repeats 15]

Both send the same number of bits in batches of the same size through the same blocks: checksum, LDPC encoder, mapper,
AWGN, demapper, LDPC decoder, check. One thing only DigitalLink does: for the long payload it also computes and checks
the checksum over the whole, for which the chain by hand sends zeros; that work counts as overhead. The two take
turns (``timing.py``); the limit is an overhead of 5%.
"""

from __future__ import annotations

import argparse
import sys

import torch
from sionna.phy.channel import AWGN
from sionna.phy.fec.crc import CRCDecoder, CRCEncoder
from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
from sionna.phy.mapping import Demapper, Mapper

from semcom_utils.physical import DigitalLink
from timing import paired, verdict

LIMIT = 0.05
SNR_DB = 12.0
#: name, payloads, bits of each (the long one is cut into 12 code blocks)
CASES = [("short payloads", 128, 496), ("one long payload", 1, 100_008)]


def by_hand(layout, payload_bits):
    """The chain of Sionna blocks for payloads of that layout, ready to be called on [payloads, payload_bits]."""
    split = layout.blocks > 1
    crc = CRCEncoder("CRC24B" if split else layout.transport_crc, device="cpu")
    check = CRCDecoder(crc, device="cpu")
    encoder = LDPC5GEncoder(
        layout.information_bits, layout.coded_bits, num_bits_per_symbol=4, bg=layout.base_graph, device="cpu"
    )
    decoder = LDPC5GDecoder(encoder, cn_update="boxplus", num_iter=20, device="cpu")
    mapper, demapper, awgn = Mapper("qam", 4, device="cpu"), Demapper("app", "qam", 4, device="cpu"), AWGN(device="cpu")
    no, step = 10 ** (-SNR_DB / 10), max(1, 16_384 // layout.information_bits)

    def call(bits):
        if split:  # stand-in for the checksum over the whole payload: as many bits, no work
            bits = torch.cat([bits, torch.zeros(len(bits), 24 + layout.padding_bits)], 1).reshape(layout.blocks, -1)
        blocks = crc(bits)
        out = [decoder(demapper(awgn(mapper(encoder(part)), no), no)) for part in blocks.split(step)]
        received, passed = check(torch.cat(out))
        return received, passed.all()

    return call


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, help="interleaved pairs for each case, 2 or more")
    repeats = parser.parse_args().repeats
    if repeats < 2:
        parser.error(f"--repeats must be at least 2, for an interval, got {repeats}")
    torch.set_num_threads(1)
    generator, link, missed = torch.Generator().manual_seed(1), DigitalLink(0.5, 4, "awgn"), 0
    for name, payloads, payload_bits in CASES:
        bits = torch.randint(0, 2, (payloads, payload_bits), generator=generator, dtype=torch.float32)
        hand = by_hand(link.layout(payload_bits), payload_bits)

        def ours(bits=bits, name=name):
            if not link.send(bits, SNR_DB, generator).accepted.all():
                raise SystemExit(f"{name}: the link lost a block at {SNR_DB} dB, so the work was not the same")

        def by_blocks(bits=bits, hand=hand, name=name):
            if not hand(bits)[1].item():
                raise SystemExit(f"{name}: the chain lost a block at {SNR_DB} dB, so the work was not the same")

        with torch.no_grad():
            ratio = paired(ours, by_blocks, repeats)
        speed = [bits.numel() / seconds for seconds in (ratio.first, ratio.second)]
        print(f"{name}: {speed[0]:,.0f} information bits a second, by hand {speed[1]:,.0f}")
        missed |= verdict(f"{name}, DigitalLink over the chain by hand", ratio, 1 + LIMIT)
    return missed


if __name__ == "__main__":
    sys.exit(main())
