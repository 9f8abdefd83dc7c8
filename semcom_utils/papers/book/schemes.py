"""The schemes of the five papers and their rivals behind one interface (:class:`.bench.Scheme`).

Each class is as thin as its chapter's functions allow: what a prompt, a map, an inversion or a learned code is, is
written and explained there. Here all of them get the same picture, the same knowledge and the same link.

================  ======================================================  ===========================================
family            what is sent                                            from
================  ======================================================  ===========================================
caption, boxes    a caption; labels and boxes                             AIGC-SCM, schemes NI and NA (chapter 12)
identifier        the same, and who the subject is                        AIGC-SCM, schemes HI and HA
maps              a caption and a control map, made smaller               SemCom for AIGC (chapter 11)
inverted latent   a caption and the noise that leads to the picture       the survey's experiment (chapter 13f)
split latent      a caption and an analog state of the diffusion          SemAIGC/ROOT (chapter 14)
learned code      the symbols of a deep joint source-channel code         DeepJSCC (13f) and WITT (12)
file              JPEG, WebP, AVIF or PNG, or a thumbnail                 what an engineer would send
================  ======================================================  ===========================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

import semcom_utils.papers.book.bench as bench  # Sphinx cannot tell two classes named Scheme apart
from semcom_utils.checks import checked, one_of, positive_integer
from semcom_utils.papers.aigc_scm import message as prompts
from semcom_utils.papers.aigc_scm import schemes as aigc_scm
from semcom_utils.papers.aigc_scm.channel import squeezed
from semcom_utils.papers.gai_semcom_networks import transceiver
from semcom_utils.papers.gai_semcom_networks.transceiver_curves import SPREAD
from semcom_utils.papers.semcom_for_aigc import message as maps
from semcom_utils.papers.semcom_for_aigc import transceiver as semcom_for_aigc
from semcom_utils.semantic.codecs import avif, decoded, jpeg, jpeg_parts, png, webp
from semcom_utils.semantic.extractors import extract
from semcom_utils.toyworld import SIZE

from .bench import Arrival, Knowledge, Packet, Scheme

__all__ = [
    "CODECS",
    "FACTORS",
    "FINISHING",
    "LEARNED",
    "MAPPED",
    "SPLITS",
    "STEPS",
    "FileScheme",
    "InvertedScheme",
    "LearnedScheme",
    "MappedScheme",
    "PromptScheme",
    "SplitScheme",
    "ThumbnailScheme",
    "all_schemes",
]

#: Kinds of control map, and the role of the network that finds each in a picture.
MAPPED = {"canny": None, "soft-edges": "soft-edges", "depth": "depth", "segmentation": "segmentation", "pose": "pose"}
#: Denoising steps of the split latent; after how many of them the sender stops.
STEPS, SPLITS = 20, (10, 20)
#: Steps that the receiver takes from a latent that was finished before it was sent.
FINISHING = 5
#: Complex symbols of a latent of the diffusion, two numbers in each.
LATENT = 512
#: Learned codes and the complex symbols that each makes of a picture.
LEARNED = {"jscc": 512, "witt-high": 768, "witt-low": 64}
#: Factors of each kind of map: large, the largest at which chapter 11 sees it serve, and beyond.
FACTORS = {"canny": (1, 2, 4), "soft-edges": (2, 4), "depth": (2, 4, 8), "segmentation": (1, 4, 8), "pose": (1,)}
#: How a thumbnail is written, and its rows and columns; a byte says which.
_HOWS = (*(("raw", side) for side in range(1, 6)), *((k, s) for k in ("scan", "webp") for s in (8, 16, 24, 32, 48, 64)))
#: The end-of-image marker, which is not sent.
_END = b"\xff\xd9"
#: Kinds of file; the header of a JPEG is agreed on.
CODECS: dict[str, Callable[..., bytes]] = {"jpeg": jpeg, "webp": webp, "avif": avif}


def _stack(pictures: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([np.asarray(one, np.float32) for one in pictures])


class PromptScheme(Scheme):
    """AIGC-SCM's four schemes: caption or labels and boxes, without or with an identifier.

    Parameters
    ----------
    scheme : str
        Key of :data:`semcom_utils.papers.aigc_scm.schemes.SCHEMES`.
    coding : str
        How the prompt is written: ``"grammar"``, which both ends know, or ``"text"``.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """

    family: ClassVar[str] = "prompt"

    @checked
    def __init__(self, scheme: str, coding: str = "grammar") -> None:
        self.scheme, self.coding = one_of("scheme", scheme, aigc_scm.SCHEMES), one_of("coding", coding, prompts.CODINGS)
        self.name = {"NI": "caption", "NA": "boxes", "HI": "caption + who", "HA": "boxes + who"}[scheme]

    def encode(self, picture: np.ndarray, knowledge: Knowledge) -> Packet:
        # The prompt, written and with its checksum
        return self.encode_all([picture], [knowledge])[0]

    def encode_all(self, pictures: Sequence[np.ndarray], knowledge: Sequence[Knowledge]) -> list[Packet]:
        seeds = [known.seed for known in knowledge]
        made = aigc_scm.extract_all(_stack(pictures), self.scheme, aigc_scm.models(), seeds=seeds, coding=self.coding)
        if aigc_scm.SCHEMES[self.scheme].history:
            made = [
                prompt
                if known.subject is None
                else aigc_scm.with_identifier(prompt, known.subject, known.place, known.beside)
                for prompt, known in zip(made, knowledge, strict=True)
            ]
        return [Packet.of_bytes(prompts.pack(prompt)) for prompt in made]

    def decode(self, received: Arrival, knowledge: Knowledge) -> np.ndarray:
        # The picture that the receiver's models draw of the prompt, with what they know of the subject
        return aigc_scm.reconstruct([prompts.unpack(received.data)], knowledge.base)[0]

    def decode_all(self, received: Sequence[Arrival], knowledge: Sequence[Knowledge]) -> np.ndarray:
        if any(known.base is not knowledge[0].base for known in knowledge):
            return super().decode_all(received, knowledge)
        return aigc_scm.reconstruct([prompts.unpack(one.data) for one in received], knowledge[0].base)


class MappedScheme(Scheme):
    """SemCom for AIGC: a caption and a control map, found in the picture by a network and made smaller.

    Parameters
    ----------
    kind : str
        Key of :data:`MAPPED`.
    factor : int
        By which the map is made smaller, 1 to 16.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """

    family: ClassVar[str] = "map"

    @checked
    def __init__(self, kind: str, factor: int) -> None:
        self.kind, self.factor = one_of("kind", kind, MAPPED), one_of("factor", factor, range(1, 17))
        self.name = f"{kind} /{factor}"

    def encode(self, picture: np.ndarray, knowledge: Knowledge) -> Packet:
        # The message of the paper: header, caption and map, each with its checksum
        return self.encode_all([picture], [knowledge])[0]

    def encode_all(self, pictures: Sequence[np.ndarray], knowledge: Sequence[Knowledge]) -> list[Packet]:
        captions = aigc_scm.models()["captioner"](_stack(pictures))
        made = []
        for picture, caption, known in zip(pictures, captions, knowledge, strict=True):
            found = extract(self.kind, np.asarray(picture, np.float32), _network(self.kind)).downscaled(self.factor)
            made.append(Packet.of_bytes(maps.pack(maps.Message.of(caption, found, seed=known.seed))))
        return made

    def decode(self, received: Arrival, knowledge: Knowledge) -> np.ndarray:
        # The picture that the controlled model makes of caption and map
        return self.decode_all([received], [knowledge])[0]

    def decode_all(self, received: Sequence[Arrival], knowledge: Sequence[Knowledge]) -> np.ndarray:
        return semcom_for_aigc.generate([maps.unpack(one.data) for one in received])


@lru_cache(maxsize=8)
def _network(kind: str) -> Any:
    from semcom_utils.generation import load

    role = MAPPED[kind]
    return None if role is None else load(role, device="cpu")


class InvertedScheme(Scheme):
    """The survey's transceiver: a caption, and the noise from which deterministic sampling leads to the picture.

    Parameters
    ----------
    planes : int
        Bits to which a number of the noise is rounded, 1 to 4.

    Raises
    ------
    ValueError
        If ``planes`` is none of these.
    """

    family: ClassVar[str] = "inverted latent"

    @checked
    def __init__(self, planes: int) -> None:
        self.planes = one_of("planes", positive_integer("planes", planes), range(1, transceiver.MOST_BITS + 1))
        self.name = f"inverted {planes} bit"

    def encode(self, picture: np.ndarray, knowledge: Knowledge) -> Packet:
        # A byte that counts words, the words, the planes of bits
        return self.encode_all([picture], [knowledge])[0]

    def encode_all(self, pictures: Sequence[np.ndarray], knowledge: Sequence[Knowledge]) -> list[Packet]:
        import torch

        from semcom_utils.papers.gai_semcom_networks.transceiver_curves import prompts_of

        captions, z_T = prompts_of(torch.from_numpy(_stack(pictures)))
        planes = transceiver.to_planes(z_T.numpy(), self.planes)
        made = []
        for caption, rows in zip(captions, planes, strict=True):
            words = transceiver.text_to_bits(caption)
            made.append(Packet(np.concatenate([_number(len(words) // transceiver.WORD_BITS), words, rows.ravel()])))
        return made

    def decode(self, received: Arrival, knowledge: Knowledge) -> np.ndarray:
        # The picture to which the noise leads under the caption
        return self.decode_all([received], [knowledge])[0]

    def decode_all(self, received: Sequence[Arrival], knowledge: Sequence[Knowledge]) -> np.ndarray:
        import torch

        from semcom_utils.generation.prompted import PromptedDenoiser

        captions, planes = [], []
        for one in received:
            words, rest = _words(one.bits)
            captions.append(words)
            planes.append(rest.reshape(self.planes, -1))
        pipeline = transceiver.models()["text-to-image"]
        denoiser = PromptedDenoiser(pipeline, captions, 1.0)
        z_T = SPREAD * torch.from_numpy(transceiver.from_planes(np.stack(planes), self.planes)).float()
        return transceiver.draw(denoiser, z_T.reshape(len(planes), *denoiser.shape)).numpy()


def _number(value: int) -> np.ndarray:
    return np.unpackbits(np.array([value], np.uint8))


def _words(bits: np.ndarray) -> tuple[str, np.ndarray]:
    """A caption behind a byte that counts its words, and the bits that follow."""
    end = 8 + int(np.packbits(bits[:8])[0]) * transceiver.WORD_BITS
    return transceiver.text_from_bits(bits[8:end]), bits[end:]


class SplitScheme(Scheme):
    """SemAIGC for a picture that is there: a state of its diffusion crosses the channel as analog symbols.

    The sender inverts the picture, as the survey's does, and denoises for ``split`` of :data:`STEPS` steps again, which
    leads through the states of *this* picture; the one that is reached is sent. The receiver takes the channel's noise
    for noise of the diffusion, maps the state to the later timestep that has as much, and takes the steps that are
    left; of a state that was finished before it was sent, :data:`FINISHING`. Caption and scale travel as bits.

    Parameters
    ----------
    split : int
        Steps that the sender takes.

    Raises
    ------
    ValueError
        If ``split`` is none of :data:`SPLITS`.
    """

    family: ClassVar[str] = "split latent"

    @checked
    def __init__(self, split: int) -> None:
        self.split = one_of("split", split, SPLITS)
        self.name = f"split after {split}"

    def encode(self, picture: np.ndarray, knowledge: Knowledge) -> Packet:
        # A byte of scale, the caption, and the state as symbols
        return self.encode_all([picture], [knowledge])[0]

    def encode_all(self, pictures: Sequence[np.ndarray], knowledge: Sequence[Knowledge]) -> list[Packet]:
        import torch

        from semcom_utils.generation.prompted import PromptedDenoiser
        from semcom_utils.generation.samplers import timesteps
        from semcom_utils.generation.split import send

        named = transceiver.models()
        images = torch.from_numpy(_stack(pictures))
        captions = named["captioner"](images)
        vae = named["text-to-image"].vae
        denoiser = PromptedDenoiser(named["text-to-image"], captions, 1.0)
        with torch.no_grad():
            z = vae.encode(2 * images - 1).latent_dist.mode() * vae.config.scaling_factor
            if self.split < STEPS:
                z_T = transceiver.invert(denoiser, z, STEPS)
                visited = timesteps(len(denoiser.alpha_bar), STEPS)
                z = send(denoiser, z_T, denoiser.alpha_bar, visited, self.split)
        made = []
        for caption, state in zip(captions, z.flatten(1).numpy(), strict=True):
            words = transceiver.text_to_bits(caption)
            scale = float(np.sqrt(np.mean(state**2)))
            half = len(state) // 2
            symbols = (state[:half] + 1j * state[half:]) / (scale * math.sqrt(2))
            head = np.concatenate([_number(round(64 * scale)), _number(len(words) // transceiver.WORD_BITS), words])
            made.append(Packet(head, symbols))
        return made

    def decode(self, received: Arrival, knowledge: Knowledge) -> np.ndarray:
        # The picture that the rest of the denoising makes of the noisy state
        import torch

        from semcom_utils.generation.prompted import PromptedDenoiser
        from semcom_utils.generation.samplers import timesteps
        from semcom_utils.generation.split import receive
        from semcom_utils.papers.aigc_scm.denoising import denoise

        received = _with_symbols(received, LATENT)
        scale = np.packbits(received.bits[:8])[0] / 64
        caption, _ = _words(received.bits[8:])
        denoiser = PromptedDenoiser(transceiver.models()["text-to-image"], [caption], 1.0)
        numbers = scale * math.sqrt(2) * np.concatenate([received.symbols.real, received.symbols.imag])
        z = torch.from_numpy(numbers.astype(np.float32)).reshape(1, *denoiser.shape)
        variance = scale**2 / 10 ** (float(received.snr_db or 0.0) / 10)
        with torch.no_grad():
            if self.split < STEPS:
                visited = timesteps(len(denoiser.alpha_bar), STEPS)[self.split :]
                z = receive(denoiser, z, denoiser.alpha_bar, visited, variance)
            else:
                z = denoise(denoiser, z, variance, denoiser.alpha_bar, FINISHING)
            return denoiser.decode(z)[0].numpy()


def _with_symbols(received: Arrival, number: int) -> Arrival:
    got = 0 if received.symbols is None else len(received.symbols)
    if got != number:
        raise ValueError(f"received must hold {number} symbols, got {got}")
    return received


class LearnedScheme(Scheme):
    """A deep joint source-channel code: a network makes the symbols, another the picture.

    Parameters
    ----------
    role : str
        Key of :data:`LEARNED`.
    copies : int
        How often each symbol is sent, in the same fading state; the receptions are added up.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """

    family: ClassVar[str] = "learned code"

    @checked
    def __init__(self, role: str, copies: int = 1) -> None:
        self.role, self.copies = one_of("role", role, LEARNED), positive_integer("copies", copies)
        self.name = {"jscc": "DeepJSCC", "witt-high": "WITT high", "witt-low": "WITT low"}[role] + (
            f" x{copies}" if copies > 1 else ""
        )

    def encode(self, picture: np.ndarray, knowledge: Knowledge) -> Packet:
        # The network's symbols for the SNR that all copies have together
        import torch

        together = torch.tensor([knowledge.snr_db + 10 * math.log10(self.copies)])
        with torch.no_grad():
            z = _code(self.role).encode(torch.from_numpy(_stack([picture])), together, knowledge.channel)
        return Packet(symbols=z[0].repeat(self.copies).numpy())

    def decode(self, received: Arrival, knowledge: Knowledge) -> np.ndarray:
        # The network's picture of the mean of all copies
        import torch

        received = _with_symbols(received, LEARNED[self.role] * self.copies)
        z = torch.from_numpy(received.symbols).reshape(self.copies, -1).mean(0, keepdim=True)
        together = torch.tensor([[float(received.snr_db or 0.0) + 10 * math.log10(self.copies)]])
        with torch.no_grad():
            return _code(self.role).decode(z, together)[0].clamp(0, 1).numpy()


@lru_cache(maxsize=4)
def _code(role: str) -> Any:
    from semcom_utils.generation import load

    return load(role, device="cpu")


class FileScheme(Scheme):
    """A picture file; of a JPEG the header is agreed on, and the quality is sent in its place.

    Parameters
    ----------
    codec : str
        Key of :data:`CODECS`, or ``"png"``, which loses nothing.
    quality : int, optional
        1 to 95; none for PNG.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """

    family: ClassVar[str] = "file"

    @checked
    def __init__(self, codec: str, quality: int | None = None) -> None:
        self.codec = one_of("codec", codec, (*CODECS, "png"))
        if (quality is None) != (codec == "png"):
            raise ValueError(f"quality must be given for all but png, got {quality} for {codec}")
        self.quality = quality if quality is None else one_of("quality", quality, range(1, 96))
        named = {"jpeg": "JPEG", "webp": "WebP", "avif": "AVIF", "png": "PNG"}[codec]
        self.name = named if quality is None else f"{named} {quality}"

    def encode(self, picture: np.ndarray, knowledge: Knowledge) -> Packet:
        # The file
        rows = np.asarray(picture, float).transpose(1, 2, 0)
        if self.quality is None:
            return Packet.of_bytes(png(rows))
        if self.codec == "jpeg":
            return Packet.of_bytes(bytes([self.quality]) + jpeg_parts(jpeg(rows, self.quality, optimise=False))[1])
        return Packet.of_bytes(CODECS[self.codec](rows, self.quality))

    def decode(self, received: Arrival, knowledge: Knowledge) -> np.ndarray:
        # The picture in the file
        data = received.data
        if self.codec == "jpeg":
            data = _jpeg_header(data[0]) + data[1:] + _END
        return decoded(data).transpose(2, 0, 1)


@lru_cache(maxsize=256)
def _jpeg_header(quality: int, side: int = SIZE) -> bytes:
    """What both ends know of every JPEG of a size: that size, and the tables."""
    return jpeg_parts(jpeg(np.zeros((side, side, 3)), quality, optimise=False))[0]


class ThumbnailScheme(Scheme):
    """The best small picture in so many bytes, made large again: raw pixels, JPEG or WebP, whichever is nearest.

    Parameters
    ----------
    limit : int
        Bytes that it may take, at least 3.

    Raises
    ------
    ValueError
        If ``limit`` is none.
    """

    family: ClassVar[str] = "file"

    @checked
    def __init__(self, limit: int) -> None:
        self.limit = positive_integer("limit", limit, low=3)
        self.name = f"thumbnail {limit} B"

    def encode(self, picture: np.ndarray, knowledge: Knowledge) -> Packet:
        # A byte that says how it is written, and the thumbnail's bytes
        from PIL import Image

        _, size, how = squeezed(picture, self.limit)
        kind, side = how.split()[0], int(how.split()[1])
        whole = Image.fromarray(np.round(255 * np.asarray(picture, float).transpose(1, 2, 0)).astype(np.uint8))
        if kind == "raw":
            data = np.asarray(whole.resize((side, side), Image.Resampling.BOX)).tobytes()
        else:
            small = np.asarray(whole.resize((side, side), Image.Resampling.LANCZOS), float) / 255
            data = next(one for one in _written(small, kind) if len(one) == size)
        return Packet.of_bytes(bytes([_HOWS.index((kind, side))]) + data)

    def decode(self, received: Arrival, knowledge: Knowledge) -> np.ndarray:
        # The thumbnail, interpolated
        from PIL import Image

        data = received.data
        kind, side = _HOWS[data[0]]
        if kind == "raw":
            small = np.frombuffer(data[1:], np.uint8).reshape(side, side, 3)
        else:
            file = _jpeg_header(data[1], side) + data[2:] + _END if kind == "scan" else data[1:]
            small = np.round(255 * decoded(file)).astype(np.uint8)
        large = Image.fromarray(small).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        return np.asarray(large).transpose(2, 0, 1) / 255


def _written(small: np.ndarray, kind: str) -> Iterator[bytes]:
    """A thumbnail as a file, from the worst quality to the best; of a JPEG its quality and what follows the header."""
    for quality in range(1, 96):
        if kind == "webp":
            yield webp(small, quality)
        else:
            yield bytes([quality]) + jpeg_parts(jpeg(small, quality, optimise=False))[1]


def all_schemes() -> list[bench.Scheme]:
    """Every scheme in every setting that is compared.

    Returns
    -------
    list of bench.Scheme
        Of names that differ.
    """
    return [
        *(PromptScheme(scheme) for scheme in aigc_scm.SCHEMES),
        *(MappedScheme(kind, factor) for kind, factors in FACTORS.items() for factor in factors),
        *(InvertedScheme(planes) for planes in (1, 2, 4)),
        *(SplitScheme(split) for split in SPLITS),
        *(LearnedScheme(role, copies) for role, copies in (("witt-low", 1), ("witt-low", 4), ("jscc", 1))),
        *(LearnedScheme("witt-high", copies) for copies in (1, 2)),
        *(ThumbnailScheme(limit) for limit in (12, 27, 48, 75, 110, 160)),
        *(FileScheme("jpeg", quality) for quality in (5, 20, 50, 80, 95)),
        *(FileScheme("webp", quality) for quality in (1, 20, 50, 80, 95)),
        *(FileScheme("avif", quality) for quality in (10, 50, 80)),
        FileScheme("png"),
    ]
