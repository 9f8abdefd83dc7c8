"""A digital link: bits in, bits out, every channel use counted. Thin over Sionna's 5G blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from semcom_utils.checks import (
    checked,
    one_of,
    plain_array,
    positive_integer,
    real_number,
    torch_device,
    torch_generator,
)
from semcom_utils.physical.channels import CHANNELS, complex_normal, fading

__all__ = ["DigitalLink", "Layout", "LinkResult"]

_LARGEST_BLOCK = {"bg1": 8448, "bg2": 3840}  # information bits of a code block, TS 38.212 section 5.2.2
_INVERSE_RATE = {"bg1": 3, "bg2": 5}  # of the mother codes; below that 5G repeats bits, which Sionna does not
#: Payload bits as received, whether each block is right, whether its checksum holds, and whether all of them do.
_Received = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor | None]


@dataclass(frozen=True)
class Layout:
    """How one payload is cut into code blocks, and what it costs.

    Attributes
    ----------
    payload_bits : int
        What the caller sends.
    blocks : int
        Code blocks of the payload.
    information_bits, coded_bits : int
        Per block: the k bits that enter the LDPC encoder (payload, padding, checksums) and the n that leave it.
    checksum_bits, padding_bits : int
        Of the whole payload: CRC bits of all kinds, and zero bits that fill the last block (or, uncoded, the last
        symbol).
    transport_crc : str or None
        The checksum over the whole payload, ``"CRC16"`` or ``"CRC24A"``; None when uncoded.
    base_graph : str or None
        The LDPC base graph, ``"bg1"`` or ``"bg2"``; None when uncoded.
    channel_uses : int
        Complex channel uses of the whole payload.
    """

    payload_bits: int
    blocks: int
    information_bits: int
    coded_bits: int
    checksum_bits: int
    padding_bits: int
    transport_crc: str | None
    base_graph: str | None
    channel_uses: int

    @property
    def rate(self) -> float:
        """Payload bits per complex channel use, all overhead counted."""
        return self.payload_bits / self.channel_uses


@dataclass(frozen=True)
class LinkResult:
    """What arrived, what it cost, and how wrong it is.

    Attributes
    ----------
    bits : numpy.ndarray or torch.Tensor
        The received payload, in the shape, type and library of what was sent. Nothing is erased: where the
        checksum fails these are still the decoder's best guess.
    channel_uses : int
        Complex channel uses of the whole call.
    bit_errors : int
        Payload bits that arrived wrong.
    blocks, block_errors : int
        Code blocks sent, and those whose k information bits did not all arrive right (checksums included). In the
        uncoded modes a block is ``uncoded_block_bits`` payload bits.
    crc_ok : numpy.ndarray or None
        What the receiver knows: bool, ``[..., blocks of a payload]``, whether each block passed its checksum. None
        in the uncoded modes, where the receiver knows nothing.
    accepted : numpy.ndarray or None
        bool, ``[...]``, one per payload: every checksum passed, that over the whole payload too. None when uncoded.
    layout : Layout
        How each payload was cut.
    block_right : numpy.ndarray
        The truth beside ``crc_ok``: bool, ``[..., blocks of a payload]``, whether each block arrived right.
    """

    bits: np.ndarray | torch.Tensor
    channel_uses: int
    bit_errors: int
    blocks: int
    block_errors: int
    crc_ok: np.ndarray | None
    accepted: np.ndarray | None
    layout: Layout
    block_right: np.ndarray

    @property
    def bit_error_rate(self) -> float:
        """Share of the payload bits that arrived wrong."""
        return self.bit_errors / (self.layout.payload_bits * (self.blocks // self.layout.blocks))

    @property
    def block_error_rate(self) -> float:
        """Share of the code blocks that arrived wrong."""
        return self.block_errors / self.blocks

    @property
    def undetected_errors(self) -> int:
        """Blocks that arrived wrong though their checksum passed (0 when uncoded: nothing is checked)."""
        return 0 if self.crc_ok is None else int((self.crc_ok & ~self.block_right).sum())


class DigitalLink:
    r"""Bits over a noisy channel with the channel code of 5G, or uncoded.

    A payload becomes one 5G transport block (3GPP TS 38.212). With a payload of A bits:

    1. a checksum over the payload is appended: CRC16 up to 3,824 bits, CRC24A above;
    2. if the result is longer than the largest code block (8,448 bits for base graph 1, 3,840 for base graph 2) it is
       cut into equal code blocks, each with a CRC24B of its own. 5G only allows payload sizes that divide evenly;
       here any size goes, and fewer zero bits than there are blocks are put after the payload to make it divide;
    3. each block of k bits is LDPC-encoded, rate-matched to n bits, the smallest multiple of ``bits_per_symbol``
       with k / n at most ``code_rate``, interleaved (section 5.4.2.2) and mapped to Gray-labelled QAM.

    Checksums and padding are sent, so they are counted. What is not sent and not counted: the control channel that
    would tell the receiver the payload's length and the format, pilots, scrambling, retransmissions.

    Where this leaves the standard: between code rates 1/4 and 1/3, and payloads above 3,824 bits, base graph 2 is
    used instead of base graph 1 with repetition (which Sionna does not do); n is the same for all blocks; and the
    size of a payload is free.

    Parameters
    ----------
    code_rate : float or None
        Target k / n from 1/5 to 948/1024. None (or 1) sends the bits uncoded, with hard decisions and no checksum.
    bits_per_symbol : {1, 2, 4, 6, 8}
        BPSK, QPSK, 16-, 64- or 256-QAM. BPSK spends a whole complex use on a real symbol: of the noise of variance
        :math:`N_0` per use only the real part, :math:`N_0 / 2`, then matters.
    channel : {"awgn", "rayleigh-block", "rayleigh-fast"}
        No fading; one Rayleigh coefficient per code block (uncoded: per ``uncoded_block_bits``), independent from
        block to block; one per symbol. The receiver knows the coefficients, the transmitter does not.
    iterations : int
        Belief propagation iterations (sum-product, flooding).
    uncoded_block_bits : int
        Uncoded modes only: payload bits that share a fading coefficient and count as one block.
    device : str
        Where Sionna computes, such as ``"cpu"`` or ``"cuda:0"``. The noise is drawn where the generator lives.

    Raises
    ------
    ValueError
        If an argument is none of the above; the message names it.

    References
    ----------
    3GPP TS 38.212, "Multiplexing and channel coding", sections 5.2.2, 5.4.2.2, 7.2.1 and 7.2.2; TS 38.211, section 5.1
    (the labels of the constellation points).

    Examples
    --------
    >>> link = DigitalLink(code_rate=0.5, bits_per_symbol=4)
    >>> link.layout(1).channel_uses  # 1 bit and 16 of checksum, coded to 36 bits
    9
    """

    @checked
    def __init__(
        self,
        code_rate: float | None = 0.5,
        bits_per_symbol: int = 4,
        channel: str = "awgn",
        *,
        iterations: int = 20,
        uncoded_block_bits: int = 8448,
        device: str = "cpu",
    ) -> None:
        order = positive_integer("bits_per_symbol", bits_per_symbol)
        self.bits_per_symbol = one_of("bits_per_symbol", order, (1, 2, 4, 6, 8))
        self.channel = one_of("channel", channel, CHANNELS)
        if code_rate is None or (not isinstance(code_rate, bool | np.bool_) and code_rate == 1):
            self.code_rate = None
        else:
            self.code_rate = real_number("code_rate", code_rate, low=1 / 5, high=948 / 1024)
        self.iterations = positive_integer("iterations", iterations)
        self.uncoded_block_bits = positive_integer("uncoded_block_bits", uncoded_block_bits)
        if self.uncoded_block_bits % self.bits_per_symbol:
            raise ValueError(
                f"uncoded_block_bits must be a multiple of bits_per_symbol ({self.bits_per_symbol}), "
                f"got {uncoded_block_bits}"
            )
        self.device = str(torch_device("device", device))

    def __repr__(self) -> str:
        settings = f"code_rate={self.code_rate}, bits_per_symbol={self.bits_per_symbol}, channel={self.channel!r}"
        return f"DigitalLink({settings})"

    @checked
    def layout(self, payload_bits: int) -> Layout:
        """How a payload of that many bits would be cut, and what it would cost, without sending it.

        Parameters
        ----------
        payload_bits : int
            At least 1.

        Returns
        -------
        Layout
            Blocks, bits of every kind, and complex channel uses.

        Raises
        ------
        ValueError
            If ``payload_bits`` is no whole number of at least 1.
        """
        bits = positive_integer("payload_bits", payload_bits)
        per_symbol, rate = self.bits_per_symbol, self.code_rate
        if rate is None:
            uses, blocks = -(-bits // per_symbol), -(-bits // self.uncoded_block_bits)
            inside = min(bits, self.uncoded_block_bits)
            return Layout(bits, blocks, inside, inside, 0, uses * per_symbol - bits, None, None, uses)
        # TS 38.212, section 7.2.2 (base graph; 1/3 stands for 1/4, see the class), 7.2.1 (CRC), 5.2.2 (segmentation)
        base_graph = "bg2" if bits <= 292 or (bits <= 3824 and rate <= 0.67) or rate < 1 / 3 else "bg1"
        transport_crc, crc = ("CRC24A", 24) if bits > 3824 else ("CRC16", 16)
        largest, whole = _LARGEST_BLOCK[base_graph], bits + crc
        blocks, block_crc = (1, 0) if whole <= largest else (-(-whole // (largest - 24)), 24)
        k = -(-whole // blocks) + block_crc
        # Rounding n up to whole symbols must not push a block below the mother code's rate.
        symbols = min(math.ceil(k / rate / per_symbol - 1e-9), _INVERSE_RATE[base_graph] * k // per_symbol)
        return Layout(
            payload_bits=bits,
            blocks=blocks,
            information_bits=k,
            coded_bits=symbols * per_symbol,
            checksum_bits=crc + blocks * block_crc,
            padding_bits=blocks * (k - block_crc) - whole,
            transport_crc=transport_crc,
            base_graph=base_graph,
            channel_uses=blocks * symbols,
        )

    @checked
    def send(
        self,
        bits: np.ndarray | torch.Tensor,
        snr_db: float,
        generator: torch.Generator,
        *,
        assumed_snr_db: float | None = None,
    ) -> LinkResult:
        r"""Send payloads and return what the receiver makes of them.

        Parameters
        ----------
        bits : array_like of 0 and 1, shape ``[..., payload]``
            The last axis is one payload of at least 1 bit; leading axes are independent payloads of that size.
        snr_db : float
            (Mean) :math:`E_s/N_0` per complex channel use, in dB, from -100 to 100.
        generator : torch.Generator
            Source of the fading and the noise, and of nothing else: the same state gives the same result.
        assumed_snr_db : float, optional
            The SNR that the receiver believes in; by default the true one.

        Returns
        -------
        LinkResult
            The received payloads, the channel uses and the errors.

        Raises
        ------
        ValueError
            If an argument is none of the above; the message names it.
        """
        sent = _check_bits(bits).to(self.device)
        snr_db = real_number("snr_db", snr_db, low=-100.0, high=100.0)
        torch_generator("generator", generator)
        assumed = snr_db
        if assumed_snr_db is not None:
            assumed = real_number("assumed_snr_db", assumed_snr_db, low=-100.0, high=100.0)
        payloads = sent.reshape(-1, sent.shape[-1])
        layout = self.layout(payloads.shape[1])
        noise_power, assumed_power = 10.0 ** (-snr_db / 10.0), 10.0 ** (-assumed / 10.0)
        with torch.no_grad():
            send = self._send_uncoded if self.code_rate is None else self._send_coded
            received, right, crc_ok, accepted = send(payloads, layout, noise_power, assumed_power, generator)
        lead = sent.shape[:-1]
        received = received.reshape(sent.shape)
        return LinkResult(
            bits=_like(received, bits),
            channel_uses=len(payloads) * layout.channel_uses,
            bit_errors=int((received != sent).sum()),
            blocks=right.numel(),
            block_errors=int((~right).sum()),
            crc_ok=None if crc_ok is None else crc_ok.reshape(*lead, -1).cpu().numpy(),
            accepted=None if accepted is None else accepted.reshape(lead).cpu().numpy(),
            layout=layout,
            block_right=right.reshape(*lead, -1).cpu().numpy(),
        )

    @checked
    def send_file(
        self, file: bytes, snr_db: float, generator: torch.Generator, *, assumed_snr_db: float | None = None
    ) -> tuple[bytes, LinkResult]:
        """Send a file, and keep what the receiver can trust: the bytes before the first block that it knows is lost.

        Parameters
        ----------
        file : bytes
            At least one byte.
        snr_db : float
            (Mean) :math:`E_s/N_0` per complex channel use, in dB, from -100 to 100.
        generator : torch.Generator
            Source of the fading and the noise, and of nothing else.
        assumed_snr_db : float, optional
            The SNR that the receiver believes in; by default the true one.

        Returns
        -------
        bytes, LinkResult
            What can be used of the file, and the link's result. An uncoded link knows of no loss: all bytes come back,
            wrong as they may be.

        Raises
        ------
        ValueError
            If an argument is none of the above; the message names it.
        """
        if not isinstance(file, bytes | bytearray) or not file:
            raise ValueError(f"file must be at least one byte, got {file!r:.40}")
        bits = np.unpackbits(np.frombuffer(file, np.uint8))
        result = self.send(bits, snr_db, generator, assumed_snr_db=assumed_snr_db)
        arrived = np.asarray(result.bits)
        if result.crc_ok is not None and not result.accepted:
            lost = 0 if result.crc_ok.all() else int(np.argmin(result.crc_ok))
            body = result.layout.information_bits - (24 if result.layout.blocks > 1 else 0)
            arrived = arrived[: lost * body // 8 * 8]
        return np.packbits(arrived).tobytes(), result

    def _send_uncoded(
        self,
        payloads: torch.Tensor,
        layout: Layout,
        noise_power: float,
        assumed_power: float,
        generator: torch.Generator,
    ) -> _Received:
        padded = torch.nn.functional.pad(payloads, (0, layout.padding_bits))
        mapper, demapper = _mapping(self.bits_per_symbol, True, self.device)
        x = mapper(padded)
        per_block = min(self.uncoded_block_bits // self.bits_per_symbol, x.shape[1])
        h = fading(self.channel, len(x) * layout.blocks, per_block, generator, self.device)
        if h is not None:
            h = h.expand(-1, per_block).reshape(len(x), -1)[:, : x.shape[1]]
        noise = complex_normal(x.shape, generator, self.device)
        y, no = _receive(x, h, noise, noise_power, assumed_power)
        received = demapper(y, no)[:, : layout.payload_bits]
        tail = layout.blocks * self.uncoded_block_bits - layout.payload_bits
        wrong = torch.nn.functional.pad(received != payloads, (0, tail))
        return received, ~wrong.reshape(len(x), layout.blocks, -1).any(-1), None, None

    def _send_coded(
        self,
        payloads: torch.Tensor,
        layout: Layout,
        noise_power: float,
        assumed_power: float,
        generator: torch.Generator,
    ) -> _Received:
        k, block_crc, transport_crc = layout.information_bits, 24 if layout.blocks > 1 else 0, layout.transport_crc
        assert transport_crc is not None  # only an uncoded payload has none
        mapper, demapper = _mapping(self.bits_per_symbol, False, self.device)
        encoder, decoder = _codec(
            k, layout.coded_bits, self.bits_per_symbol, layout.base_graph, self.iterations, self.device
        )
        padded = torch.nn.functional.pad(payloads, (0, layout.padding_bits))
        transport = torch.cat([padded, _checksum(padded, transport_crc, self.device)], dim=1)
        blocks = transport.reshape(-1, k - block_crc)
        if block_crc:
            append, check = _block_crc(k - block_crc, self.device)
            blocks = append(blocks)
        uses = layout.coded_bits // self.bits_per_symbol
        h = fading(self.channel, len(blocks), uses, generator, self.device)
        noise = complex_normal((len(blocks), uses), generator, self.device)
        decoded = torch.empty_like(blocks)
        # Belief propagation is bound by memory: on a CPU, batches that stay in the cache are several times faster.
        step = max(1, (16_384 if self.device == "cpu" else 4_194_304) // k)
        for i in range(0, len(blocks), step):
            part = slice(i, i + step)
            x = mapper(encoder(blocks[part]))
            y, no = _receive(x, None if h is None else h[part], noise[part], noise_power, assumed_power)
            decoded[part] = decoder(demapper(y, no))
        right = (decoded == blocks).all(-1).reshape(len(payloads), layout.blocks)
        body, crc_ok = check(decoded) if block_crc else (decoded, None)
        body = body.reshape(len(payloads), -1)
        length = payloads.shape[1] + layout.padding_bits
        whole_ok = (_checksum(body[:, :length], transport_crc, self.device) == body[:, length:]).all(-1)
        crc_ok = whole_ok[:, None] if crc_ok is None else crc_ok.reshape(len(payloads), layout.blocks)
        return body[:, : payloads.shape[1]], right, crc_ok, whole_ok & crc_ok.all(-1)


def _receive(
    x: torch.Tensor, h: torch.Tensor | None, noise: torch.Tensor, noise_power: float, assumed_power: float
) -> tuple[torch.Tensor, float | torch.Tensor]:
    """Channel and equaliser: y = h x + w, then y / h, with the noise power that the receiver believes is left."""
    if h is None:
        return x + math.sqrt(noise_power) * noise, assumed_power
    return x + math.sqrt(noise_power) * noise / h, (assumed_power / h.abs().square()).expand(x.shape)


def _check_bits(bits: object) -> torch.Tensor:
    if isinstance(bits, bool | np.bool_):
        raise ValueError(f"bits must be a list of 0 and 1, got {bits!r}")
    # A tensor stays on its device; an array may be a view in any order.
    tensor = (
        bits if isinstance(bits, torch.Tensor) else torch.from_numpy(_ordered(plain_array("bits", bits, booleans=True)))
    )
    if tensor.ndim == 0 or tensor.numel() == 0:
        raise ValueError(f"bits must have at least one bit on its last axis, got shape {tuple(tensor.shape)}")
    if tensor.is_complex() or not ((tensor == 0) | (tensor == 1)).all():
        raise ValueError("bits must hold only 0 and 1, got other values")
    return tensor.to(torch.float32)


def _ordered(array: np.ndarray) -> np.ndarray:
    """In one piece, forwards, and of a kind that PyTorch has."""
    return np.array(array, np.float64 if array.dtype.kind == "u" else array.dtype, order="C")


def _like(tensor: torch.Tensor, original: object) -> np.ndarray | torch.Tensor:
    """``tensor`` in the library and type of ``original`` (lists become uint8 arrays)."""
    if isinstance(original, torch.Tensor):
        return tensor.to(original.device, original.dtype)
    return tensor.cpu().numpy().astype(original.dtype if isinstance(original, np.ndarray) else np.uint8)


def _checksum(bits: torch.Tensor, name: str, device: str, width: int = 8192) -> torch.Tensor:
    """The CRC of each row of ``bits``, for rows of any length.

    Sionna's encoder holds a dense matrix of row length by CRC length, too large for megabits. A checksum can be
    carried along instead: that of a message [a, b] is that of b with its first bits flipped by the checksum of a.
    Zeros put in front change nothing.
    """
    width = min(bits.shape[1], width)
    encoder = _crc_encoder(name, width, device)
    pieces = torch.nn.functional.pad(bits, (-bits.shape[1] % width, 0)).reshape(len(bits), -1, width)
    state = encoder(pieces[:, 0])[:, width:]
    for i in range(1, pieces.shape[1]):
        piece = pieces[:, i].clone()
        piece[:, : state.shape[1]] = (piece[:, : state.shape[1]] != state).to(piece.dtype)
        state = encoder(piece)[:, width:]
    return state


def _sionna() -> tuple[Any, Any, Any]:
    """Import Sionna's blocks late, and without what importing it does to PyTorch's default generator (a new seed)."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        from sionna.phy import mapping
        from sionna.phy.fec import crc, ldpc
    return ldpc, crc, mapping


@lru_cache(maxsize=16)
def _codec(k: int, n: int, bits_per_symbol: int, base_graph: str, iterations: int, device: str) -> tuple[Any, Any]:
    ldpc, _, _ = _sionna()
    place = {"precision": "single", "device": device}
    encoder = ldpc.LDPC5GEncoder(k, n, num_bits_per_symbol=bits_per_symbol, bg=base_graph, **place)
    # "boxplus" is the same sum-product rule as Sionna's default "boxplus-phi", with tanh: faster on a CPU.
    decoder = ldpc.LDPC5GDecoder(encoder, cn_update="boxplus", num_iter=iterations, **place)
    return encoder, decoder


@lru_cache(maxsize=16)
def _mapping(bits_per_symbol: int, hard: bool, device: str) -> tuple[Any, Any]:
    _, _, mapping = _sionna()
    kind = ("pam" if bits_per_symbol == 1 else "qam", bits_per_symbol)
    rule = "maxlog" if hard else "app"  # for hard decisions the nearest point decides, and that is maxlog's sign
    return (
        mapping.Mapper(*kind, precision="single", device=device),
        mapping.Demapper(rule, *kind, hard_out=hard, precision="single", device=device),
    )


@lru_cache(maxsize=16)
def _crc_encoder(name: str, length: int, device: str) -> Any:
    _, crc, _ = _sionna()
    return crc.CRCEncoder(name, k=length, precision="single", device=device)


@lru_cache(maxsize=16)
def _block_crc(length: int, device: str) -> tuple[Any, Any]:
    _, crc, _ = _sionna()
    encoder = _crc_encoder("CRC24B", length, device)
    return encoder, crc.CRCDecoder(encoder, precision="single", device=device)
