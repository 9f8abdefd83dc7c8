"""SSIM, similarity and the judge over the SNR for the three systems of section IV-D (Fig. 4), under two accountings.

*Equal*: every system may take as many channel uses of BPSK as the prompts of that picture with a rate-1/2 code. *Own*:
each sends what it is said to send, at its own length: the prompts without a channel code (the survey calls BPSK its
channel code), the joint code once, the traditional system PNG behind the rate-1/2 code.

The chapter ``notebooks/13f_generative_transceiver`` explains what is measured and why.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from semcom_utils import toyworld
from semcom_utils.checks import checked, positive_integer
from semcom_utils.generation.jscc import CHANNELS
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.papers.gai_semcom_networks import transceiver
from semcom_utils.physical import DigitalLink
from semcom_utils.semantic.codecs import decoded, picture_from, png
from semcom_utils.statistics import lowest, mean_interval
from semcom_utils.studies import Study

__all__ = [
    "BITS",
    "CHECKSUM",
    "CODE_RATE",
    "EQUAL",
    "METRICS",
    "OWN",
    "RISING",
    "SNRS_DB",
    "SPREAD",
    "STUDIES",
    "SURE_DB",
    "Painter",
    "curves_run",
    "curves_summary",
    "pictures_of",
    "png_prefix",
    "prompts_of",
]

SNRS_DB = (0, 5, 10, 15, 20, 25, 30, 35)
#: Where the survey sees its system rise and lead, dB.
RISING = (10, 15, 20, 25, 30, 35)
CODE_RATE = 0.5
#: SNR, dB, above which nothing that is coded is lost without block fading, if it was not lost there.
SURE_DB = 10
#: Bits of a number of the visual prompt.
BITS = 2
#: Standard deviation of the numbers that inversion gives on pictures of the training split; both ends know it.
SPREAD = 0.4
#: Bits of the checksum of a payload up to 3,824 bits.
CHECKSUM = 16
EQUAL = ("prompts", "classical", "jpeg")
OWN = ("bare", "classical-once", "png")
METRICS = {"ssim": 1e-3, "similarity": 1e-3, "right": 1}
#: First scene of a seed; those of the training split, and of the other studies, are elsewhere.
FIRST = 5_200_000


@checked
def png_prefix(file: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """What a receiver shows of the beginning of a PNG file that Pillow wrote: whole rows, and grey below.

    Parameters
    ----------
    file : bytes
        The beginning, or all, of a file with one chunk of data; possibly nothing.
    shape : tuple of int
        Height, width and 3.

    Returns
    -------
    numpy.ndarray of float64, ``[height, width, 3]``
        In [0, 1].

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    if len(shape) != 3 or shape[2] != 3 or any(positive_integer("shape", n) > 10_000 for n in shape):
        raise ValueError(f"shape must be height, width and 3, got {shape!r}")
    height, width, _ = shape
    grey = np.full(shape, 0.5)
    start = file.find(b"IDAT") + 4
    if start < 4:
        return grey
    (length,) = struct.unpack(">I", file[start - 8 : start - 4])
    try:
        rows = zlib.decompressobj().decompress(file[start : start + length])
    except zlib.error:
        return grey
    whole = min(len(rows) // (1 + 3 * width), height)
    if not whole:
        return grey

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, whole, 8, 2, 0, 0, 0)
    body = zlib.compress(rows[: whole * (1 + 3 * width)])
    shorter = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    try:
        grey[:whole] = decoded(shorter)
    except ValueError:  # no such rows: the file was of another picture
        return np.full(shape, 0.5)
    return grey


@checked
def pictures_of(seed: int, n: int) -> tuple[torch.Tensor, list[str], list[list[str]]]:
    """Held-out pictures of a seed: things together that were never together in any model's training.

    Parameters
    ----------
    seed, n : int
        Which, from 0 to 9,999, and how many, from 1 to 100.

    Returns
    -------
    pictures : torch.Tensor
        float32 ``[n, 3, 64, 64]``.
    captions : list of str
        The true ones.
    labels : list of list of str
        What is on each.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    if not 0 <= seed < 10_000:
        raise ValueError(f"seed must be from 0 to 9999, got {seed}")
    if positive_integer("n", n) > 100:
        raise ValueError(f"n must be at most 100, got {n}")
    scenes = [toyworld.scene(FIRST + 100 * seed + i, "combinations") for i in range(n)]
    pictures = torch.from_numpy(np.stack([scene.image for scene in scenes])).float()
    return pictures, [toyworld.caption(scene.description) for scene in scenes], [scene.labels for scene in scenes]


@torch.no_grad()
@checked(shapes={"pictures": "batch+ 3 64 64"})
def prompts_of(pictures: torch.Tensor) -> tuple[list[str], torch.Tensor]:
    """What the generative sender makes of pictures: the textual prompts, and the visual ones before rounding.

    Parameters
    ----------
    pictures : torch.Tensor
        ``[batch, 3, 64, 64]`` in [0, 1].

    Returns
    -------
    captions : list of str
        The captioner's.
    z_T : torch.Tensor
        float32 ``[batch, channels, rows, columns]``, of unit variance more or less: divided by :data:`SPREAD`.

    Raises
    ------
    ValueError
        If ``pictures`` are none.
    """
    if not pictures.is_floating_point() or not bool(((pictures >= 0) & (pictures <= 1)).all()):
        raise ValueError(f"pictures must be floating-point in [0, 1], got {pictures.dtype}")
    named = transceiver.models()
    captions = named["captioner"](pictures)
    vae = named["text-to-image"].vae
    z_0 = vae.encode(2 * pictures.float() - 1).latent_dist.mode() * vae.config.scaling_factor
    return captions, transceiver.invert(PromptedDenoiser(named["text-to-image"], captions, 1.0), z_0) / SPREAD


class Painter:
    """Draws what receivers ask for, each thing once: pictures that depend on the same prompts are the same.

    Parameters
    ----------
    originals : torch.Tensor
        ``[batch, 3, 64, 64]``.
    captions : list of str
        True ones, for the score.
    labels : list of list of str
        What is on each.

    Raises
    ------
    ValueError
        If ``originals`` are no tensor.
    """

    @checked
    def __init__(self, originals: torch.Tensor, captions: list[str], labels: list[list[str]]) -> None:
        self.originals, self.captions, self.labels = originals, captions, labels
        self.wanted: dict[tuple, tuple[str, torch.Tensor]] = {}
        self.scores: dict[tuple, dict[str, float]] = {}

    def noise(self, i: int) -> torch.Tensor:
        """The visual prompt that a receiver makes up where none arrived, the same whenever it does; not rescaled.

        Parameters
        ----------
        i : int
            Which picture.

        Returns
        -------
        torch.Tensor
            ``[16, 8, 8]``, standard normal.
        """
        return torch.randn(16, 8, 8, generator=torch.Generator().manual_seed(100 + i))

    @checked
    def ask(self, i: int, text: str, planes: np.ndarray | None, bits: int = BITS) -> tuple:
        """Note what picture ``i`` would be made of.

        Parameters
        ----------
        i : int
            Which picture.
        text : str
            The textual prompt that arrived; possibly empty.
        planes : numpy.ndarray, optional
            ``[k, 1024]``, the planes of the visual prompt that arrived; None where none did.
        bits : int
            Of a number at the sender.

        Returns
        -------
        tuple
            A key, for :meth:`score`.

        Raises
        ------
        ValueError
            If ``planes`` are none.
        """
        if not 0 <= i < len(self.originals):
            raise ValueError(f"i must be that of one of {len(self.originals)} pictures, got {i}")
        key = (i, text, None if planes is None else (planes.shape, planes.tobytes()), bits)
        if planes is None:
            z = self.noise(i)
        else:
            z = SPREAD * torch.from_numpy(transceiver.from_planes(planes[None], bits)).float().reshape(16, 8, 8)
        self.wanted.setdefault(key, (text, z))
        return key

    def paint(self, chunk: int = 16) -> None:
        """Draw and judge all that was asked for.

        Parameters
        ----------
        chunk : int
            How many at a time.

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        keys = [key for key in self.wanted if key not in self.scores]
        for start in range(0, len(keys), positive_integer("chunk", chunk)):
            part = keys[start : start + chunk]
            denoiser = PromptedDenoiser(
                transceiver.models()["text-to-image"], [self.wanted[key][0] for key in part], 1.0
            )
            pictures = transceiver.draw(denoiser, torch.stack([self.wanted[key][1] for key in part]))
            for key, row in zip(part, self.tell([key[0] for key in part], pictures), strict=True):
                self.scores[key] = row

    @checked
    def look(self, i: int, picture: np.ndarray) -> dict[str, float]:
        """Score one picture, each once: most files arrive whole at most SNRs.

        Parameters
        ----------
        i : int
            The original that it stands for.
        picture : numpy.ndarray
            ``[64, 64, 3]`` in [0, 1].

        Returns
        -------
        dict of str to float
            As of :meth:`tell`.

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        key = (i, picture.astype(np.float32).tobytes())
        if key not in self.scores:
            self.scores[key] = self.tell([i], torch.from_numpy(picture).permute(2, 0, 1)[None].float())[0]
        return self.scores[key]

    @checked
    def tell(self, which: list[int], pictures: torch.Tensor) -> list[dict[str, float]]:
        """Score pictures against the originals that they stand for.

        Parameters
        ----------
        which : list of int
            The original of each.
        pictures : torch.Tensor
            ``[batch, 3, 64, 64]`` in [0, 1].

        Returns
        -------
        list of dict
            Metric of :data:`METRICS` -> value, for each.

        Raises
        ------
        ValueError
            If there is not one of each.
        """
        if len(which) != len(pictures) or not all(0 <= i < len(self.originals) for i in which):
            raise ValueError(f"which must name the original of each of {len(pictures)} pictures, got {which!r:.80}")
        told = transceiver.score(
            pictures, self.originals[which], [self.captions[i] for i in which], [self.labels[i] for i in which]
        )
        return [{name: float(told[name][k]) for name in METRICS} for k in range(len(which))]


def _grey() -> np.ndarray:
    return np.full((64, 64, 3), 0.5)


def _fates(i: int, channel: str, snr_db: int, sent: dict, links: dict, generator: torch.Generator) -> dict[str, Any]:
    """What arrives of each coded system of one picture: real blocks, sent once."""
    coded = links[channel][0]
    text, planes = sent["text"][i], sent["planes"][i]
    header, scan, _ = sent["jpeg"][i]
    payload = np.concatenate(
        [np.unpackbits(np.frombuffer(scan, np.uint8)), np.zeros(transceiver.QUALITY_BITS, np.uint8)]
    )
    prefix, _ = coded.send_file(sent["png"][i], snr_db, generator)
    return {
        "text": bool(coded.send(text, snr_db, generator).accepted),
        "planes": bool(coded.send(planes.reshape(-1), snr_db, generator).accepted),
        "jpeg": picture_from(header + scan, (64, 64, 3))
        if coded.send(payload, snr_db, generator).accepted
        else _grey(),
        "png": png_prefix(prefix, (64, 64, 3)),
    }


def _arrivals(
    i: int, channel: str, snr_db: int, sent: dict, painter: Painter, links: dict, fates: dict
) -> dict[str, Any]:
    """What each digital system of one picture shows over one channel: keys of the painter, or pictures.

    Without block fading, what arrives at :data:`SURE_DB` arrives above it, too: no block is sent there.
    """
    text, planes, said = sent["text"][i], sent["planes"][i], sent["captions"]
    place = CHANNELS.index(channel)
    generator = torch.Generator().manual_seed(((sent["seed"] * 100 + i) * 10 + place) * 100 + snr_db)
    at = snr_db if channel == "rayleigh-block" else min(snr_db, SURE_DB)
    if (channel, at) not in fates:
        fates[channel, at] = _fates(i, channel, at, sent, links, generator)
    fate = fates[channel, at]
    shown: dict[str, Any] = {"jpeg": fate["jpeg"], "png": fate["png"]}
    shown["prompts"] = painter.ask(i, said[i] if fate["text"] else "", planes if fate["planes"] else None)
    both = np.asarray(links[channel][1].send(np.concatenate([text, planes.reshape(-1)]), snr_db, generator).bits)
    noisy_text, noisy_planes = transceiver.text_from_bits(both[: len(text)]), both[len(text) :].reshape(planes.shape)
    shown["bare"] = painter.ask(i, noisy_text, noisy_planes)
    if snr_db == SNRS_DB[0] and channel == "awgn":
        shown["text-protected"] = painter.ask(i, said[i], noisy_planes)
        shown["visual-protected"] = painter.ask(i, noisy_text, planes)
    shown["both-protected"] = painter.ask(i, said[i], planes)
    other = (i + 1) % len(said)
    shown["shuffled"] = painter.ask(i, said[other], sent["planes"][other])
    return shown


def curves_run(task: dict) -> dict:
    """A batch of pictures through every system, channel and SNR.

    Parameters
    ----------
    task : dict
        ``seed``; ``pictures``, how many.

    Returns
    -------
    dict
        ``scores``: channel -> SNR -> system -> metric -> whole multiples of :data:`METRICS`, one a picture; ``uses``:
        system -> channel uses of each picture; ``bits``: of the text of each picture; ``caption_right``.
    """
    torch.set_num_threads(1)
    pictures, captions, labels = pictures_of(task["seed"], task["pictures"])
    said, z = prompts_of(pictures)
    arrays = [picture.permute(1, 2, 0).double().numpy() for picture in pictures]
    links = {channel: (DigitalLink(CODE_RATE, 1, channel), DigitalLink(None, 1, channel)) for channel in CHANNELS}
    coded = links["awgn"][0]
    sent: dict[str, Any] = {
        "seed": task["seed"],
        "captions": said,
        "text": [transceiver.text_to_bits(caption) for caption in said],
        "planes": transceiver.to_planes(z.numpy(), BITS),
        "png": [png(array) for array in arrays],
    }
    visual = sent["planes"][0].size
    uses = [coded.layout(len(text)).channel_uses + coded.layout(visual).channel_uses for text in sent["text"]]
    sent["jpeg"] = [
        transceiver.scan_that_fits(array, int(n * CODE_RATE) - CHECKSUM) for array, n in zip(arrays, uses, strict=True)
    ]
    model = transceiver.models()["jscc"]
    repeats = min(uses) // model.symbols
    painter = Painter(pictures, captions, labels)
    cells: dict[tuple, list] = {}
    for i in range(len(pictures)):
        fates: dict[tuple, dict] = {}
        for channel in CHANNELS:
            for snr_db in SNRS_DB:
                for system, shown in _arrivals(i, channel, snr_db, sent, painter, links, fates).items():
                    cells.setdefault((channel, snr_db, system), []).append(shown)
    for c, channel in enumerate(CHANNELS):
        for snr_db in SNRS_DB:
            noise = torch.Generator().manual_seed(((task["seed"] * 100 + 99) * 10 + c) * 100 + snr_db)
            for system, times in (("classical", repeats), ("classical-once", 1)):
                back = transceiver.repeated(model, pictures, float(snr_db), channel, times, noise)
                cells[channel, snr_db, system] = list(back.permute(0, 2, 3, 1).numpy())
    painter.paint()
    scores: dict[str, Any] = {}
    for (channel, snr_db, system), shown in cells.items():
        if isinstance(shown[0], tuple):
            rows = [painter.scores[key] for key in shown]
        else:
            rows = [painter.look(i, one) for i, one in enumerate(shown)]
        scores.setdefault(channel, {}).setdefault(str(snr_db), {})[system] = {
            name: [round(row[name] / unit) for row in rows] for name, unit in METRICS.items()
        }
    return {
        "scores": scores,
        "uses": {
            "prompts": uses,
            "bare": [len(text) + visual for text in sent["text"]],
            "classical": [repeats * model.symbols] * len(uses),
            "classical-once": [model.symbols] * len(uses),
            "jpeg": [
                coded.layout(8 * len(scan) + transceiver.QUALITY_BITS).channel_uses for _, scan, _ in sent["jpeg"]
            ],
            "png": [coded.layout(8 * len(file)).channel_uses for file in sent["png"]],
        },
        "bits": [len(text) for text in sent["text"]],
        "caption_right": [int(one == other) for one, other in zip(said, captions, strict=True)],
    }


def _values(records: list[dict], channel: str, snr_db: int, system: str, metric: str) -> np.ndarray:
    """One number a picture."""
    return METRICS[metric] * np.concatenate(
        [np.array(r["scores"][channel][str(snr_db)][system][metric], float) for r in records]
    )


def _lead(values: Callable, one: str, others: tuple[str, ...]) -> dict:
    """Paired difference in SSIM to each other system; at each channel, the SNR of :data:`RISING` where it is least."""
    return {
        other: {
            channel: lowest(
                mean_interval(values(channel, snr, one, "ssim") - values(channel, snr, other, "ssim")) for snr in RISING
            )
            for channel in CHANNELS
        }
        for other in others
    }


def curves_summary(records: list[dict]) -> dict:
    """What the chapter draws and the ledger checks.

    Parameters
    ----------
    records : list of dict
        Of :func:`curves_run`.

    Returns
    -------
    dict
        ``curves``: channel -> SNR -> system -> metric -> interval; ``lead``, ``rise``, ``fall``; ``uses``.
    """
    values = partial(_values, records)
    protected = ("text-protected", "visual-protected")
    systems = (*EQUAL, *OWN, "shuffled", "both-protected")

    def fall(system: str, channel: str, metric: str) -> dict:
        high = values(channel, SNRS_DB[-1], "bare" if system in protected else system, metric)
        return mean_interval(high - values(channel, SNRS_DB[0], system, metric))

    return {
        "curves": {
            channel: {
                str(snr): {
                    system: {metric: mean_interval(values(channel, snr, system, metric)) for metric in METRICS}
                    for system in systems
                }
                for snr in SNRS_DB
            }
            for channel in CHANNELS
        },
        "lead": {
            "equal": _lead(values, "prompts", ("classical", "jpeg")),
            "own": _lead(values, "bare", ("classical-once", "png")),
            "shuffled": _lead(values, "shuffled", ("classical", "jpeg")),
        },
        "rise": {
            name: {
                channel: mean_interval(
                    values(channel, RISING[-1], system, "ssim") - values(channel, RISING[0], system, "ssim")
                )
                for channel in CHANNELS
            }
            for name, system in {"prompts": "prompts", "bare": "bare", "protected": "both-protected"}.items()
        },
        "fall": {
            system: {
                channel: {metric: fall(system, channel, metric) for metric in ("ssim", "similarity")}
                for channel in CHANNELS
            }
            for system in ("prompts", "bare", "both-protected")
        }
        | {system: {"awgn": {m: fall(system, "awgn", m) for m in ("ssim", "similarity")}} for system in protected},
        "uses": {
            system: float(np.mean([n for r in records for n in r["uses"][system]])) for system in records[0]["uses"]
        },
        "captions_right": mean_interval([n for r in records for n in r["caption_right"]]),
        "pictures": sum(len(r["bits"]) for r in records),
    }


def _tasks() -> list[dict]:
    return [{"seed": seed, "pictures": 3} for seed in range(4)]


STUDIES = {"transceiver_curves": Study(_tasks, curves_run, curves_summary, small={"pictures": 2})}
