"""The study behind the chapter "The digital link and its limits".

    python -m semcom_utils.studies foundations/digital_link

Two questions, one task per point of a curve:

- ``block-errors``: how often a code block is lost at an SNR. Blocks are sent until enough were lost (or until
  ``max_blocks``), so every point is known to about the same relative precision.
- ``photograph``: what becomes of a real photograph sent as JPEG over the link. The photograph may use one complex
  channel use per six of its samples; the JPEG quality is the highest that fits.

A run takes about twenty minutes on one core; the results file says how long the last one took.
"""

from __future__ import annotations

import numpy as np
import torch

from semcom_utils.checks import checked, one_of, positive_integer
from semcom_utils.physical import DigitalLink
from semcom_utils.semantic.codecs import best_jpeg, picture_from
from semcom_utils.studies import Study

__all__ = [
    "PHOTOGRAPHS",
    "SAMPLES_PER_USE",
    "STUDIES",
    "block_error_point",
    "jpeg_that_fits",
    "photograph",
    "photograph_point",
    "run",
    "summarise",
    "tasks",
]

#: Real photographs inside scikit-image's package: an astronaut, a cat, a cup of coffee, a rocket.
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
SAMPLES_PER_USE = 6  # real samples (pixels times three colours) for one complex channel use
LOST = 100  # block errors after which a point is known well enough


@checked
def photograph(name: str) -> np.ndarray:
    """One of :data:`PHOTOGRAPHS` at half size, cut to whole 16 by 16 squares.

    Parameters
    ----------
    name : str
        One of :data:`PHOTOGRAPHS`.

    Returns
    -------
    numpy.ndarray
        float64, ``[height, width, 3]`` in [0, 1], rounded to 8 bits.

    Raises
    ------
    ValueError
        If ``name`` is none of them.
    """
    from skimage import data

    full = getattr(data, one_of("name", name, PHOTOGRAPHS))().astype(float)
    height, width = full.shape[0] // 32 * 16, full.shape[1] // 32 * 16
    squares = full[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3)
    return np.round(squares.mean((1, 3))) / 255.0


@checked
def jpeg_that_fits(picture: np.ndarray, link: DigitalLink, channel_uses: int) -> tuple[bytes, int]:
    """The JPEG of highest quality whose transmission, all overhead counted, fits in ``channel_uses``.

    Parameters
    ----------
    picture : numpy.ndarray, ``[height, width, 3]``
        In [0, 1].
    link : DigitalLink
        What would carry it.
    channel_uses : int
        Complex channel uses that it may take.

    Returns
    -------
    bytes, int
        The file and its quality, 1 to 95.

    Raises
    ------
    ValueError
        If not even quality 1 fits.
    """
    positive_integer("channel_uses", channel_uses)
    try:
        return best_jpeg(picture, lambda file: link.layout(8 * len(file)).channel_uses <= channel_uses)
    except ValueError as error:
        if not str(error).startswith("fits"):
            raise
        raise ValueError(f"channel_uses must be enough for quality 1, got {channel_uses}") from None


def block_error_point(task: dict) -> dict:
    """Send blocks until enough of them were lost, or the most were sent.

    Parameters
    ----------
    task : dict
        ``code_rate``, ``bits_per_symbol``, ``channel``, ``payload_bits``, ``snr_db``, ``lost`` (how many are enough),
        ``max_blocks``, ``seed``; ``iterations`` of the decoder, optionally.

    Returns
    -------
    dict
        ``blocks`` sent, ``block_errors``, and ``channel_uses`` of one block.
    """
    iterations = task.get("iterations", 20)
    link = DigitalLink(task["code_rate"], task["bits_per_symbol"], task["channel"], iterations=iterations)
    generator = torch.Generator().manual_seed(task["seed"])
    bits, blocks, errors = task["payload_bits"], 0, 0
    batch = max(1, 16_384 // bits)
    while errors < task["lost"] and blocks < task["max_blocks"]:
        payloads = torch.randint(0, 2, (min(batch, task["max_blocks"] - blocks), bits), generator=generator)
        result = link.send(payloads, task["snr_db"], generator)
        blocks, errors = blocks + result.blocks, errors + result.block_errors
    return {"blocks": blocks, "block_errors": errors, "channel_uses": link.layout(bits).channel_uses}


def photograph_point(task: dict) -> dict:
    """Send one photograph once as JPEG.

    Parameters
    ----------
    task : dict
        ``image``, ``code_rate``, ``bits_per_symbol``, ``channel``, ``snr_db``, ``seed``.

    Returns
    -------
    dict
        ``psnr_db`` of what is shown, ``psnr_sent_db`` of what was sent, ``quality``, and what the link counted.
    """
    from skimage.metrics import peak_signal_noise_ratio

    picture, link = photograph(task["image"]), DigitalLink(task["code_rate"], task["bits_per_symbol"], task["channel"])
    file, quality = jpeg_that_fits(picture, link, picture.size // SAMPLES_PER_USE)
    arrived, result = link.send_file(file, task["snr_db"], torch.Generator().manual_seed(task["seed"]))
    return {
        "psnr_db": float(peak_signal_noise_ratio(picture, picture_from(arrived, picture.shape), data_range=1.0)),
        "psnr_sent_db": float(peak_signal_noise_ratio(picture, picture_from(file, picture.shape), data_range=1.0)),
        "quality": quality,
        "payload_bits": result.layout.payload_bits,
        "channel_uses": result.channel_uses,
        "blocks": result.blocks,
        "block_errors": result.block_errors,
        "undetected_errors": result.undetected_errors,
    }


def tasks() -> list[dict]:
    """All points of the study, each with a seed of its own.

    Returns
    -------
    list of dict
        For :func:`run`.
    """
    link = {"code_rate": 0.5, "bits_per_symbol": 4, "channel": "awgn"}
    # Payload bits, SNRs (dB), losses to wait for. Short blocks are followed down to 1 loss in 100, long ones, where a
    # point costs more, to 1 in 10. Each has a point below Shannon's limit for 2 bits per use, where next to nothing
    # should arrive, and one has a point at 10 dB, where nothing should be lost: that one ends at its most blocks.
    grid = [
        (128, "awgn", [4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.0], LOST),
        (512, "awgn", [4.5, 5.0, 5.5, 6.0, 6.4, 6.8, 7.2, 10.0], LOST),
        (2048, "awgn", [4.5, 5.6, 5.8, 6.0, 6.2, 6.4], LOST),
        (8424, "awgn", [4.5, 5.8, 6.0, 6.1, 6.2, 6.3, 6.4], LOST // 2),
        (512, "rayleigh-block", [0.0, 5.0, 10.0, 15.0, 20.0, 25.0], LOST),
    ]
    # The chapter quotes the loss under fading at 10 dB as a number, and at 15 dB it is nearest to outage.
    finer = {("rayleigh-block", 10.0): 10 * LOST, ("rayleigh-block", 15.0): 3 * LOST}
    points = [
        {
            **link,
            "kind": "block-errors",
            "channel": channel,
            "payload_bits": bits,
            "snr_db": snr_db,
            "lost": finer.get((channel, snr_db), lost),
            "max_blocks": 5_000 if snr_db == 10.0 else 20_000,
        }
        for bits, channel, snrs, lost in grid
        for snr_db in snrs
    ]
    cliffs = [(name, 4, [3.0, 5.0, 5.8, 6.0, 6.2, 6.3, 6.4, 6.6, 7.0, 8.0, 10.0, 15.0]) for name in PHOTOGRAPHS]
    cliffs += [("astronaut", 2, [-1.0, 0.6, 0.9, 1.0, 1.1, 1.2, 2.0, 10.0])]
    cliffs += [("astronaut", 6, [6.0, 9.0, 10.2, 10.4, 10.5, 10.6, 10.8, 15.0])]
    points += [
        {"kind": "photograph", **link, "image": name, "bits_per_symbol": order, "snr_db": snr_db, "repeat": repeat}
        for name, order, snrs in cliffs
        for snr_db in snrs
        for repeat in range(4)
    ]
    points += [  # how much of the distance to the bound is the decoder's haste
        {
            **link,
            "kind": "block-errors",
            "payload_bits": 2048,
            "snr_db": snr_db,
            "lost": LOST,
            "max_blocks": 20_000,
            "iterations": 50,
        }
        for snr_db in (5.6, 5.8, 6.0, 6.05)
    ]
    points += [  # very short payloads have no cliff: what is left of their losses at 9 and 10 dB?
        {**link, "kind": "block-errors", "payload_bits": bits, "snr_db": snr_db, "lost": LOST, "max_blocks": 5_000}
        for bits, snrs in ((8, (4.5, 9.0, 10.0)), (24, (4.5, 9.0, 10.0)), (128, (9.0, 10.0)), (512, (9.0,)))
        for snr_db in snrs
    ]
    return [{**point, "seed": 20_000 + i} for i, point in enumerate(points)]


def run(task: dict) -> dict:
    """What was measured at one point. Depends on nothing but the task.

    Parameters
    ----------
    task : dict
        ``kind``: ``"block-errors"`` (:func:`block_error_point`) or ``"photograph"`` (:func:`photograph_point`).

    Returns
    -------
    dict
        As of these.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    measure = {"block-errors": block_error_point, "photograph": photograph_point}
    return measure[one_of("kind", task["kind"], measure)](task)


def summarise(records: list[dict]) -> dict:
    """The records grouped by curve, in the order of the SNR: what the chapter draws.

    Parameters
    ----------
    records : list of dict
        Of :func:`run`, each with its ``task``.

    Returns
    -------
    dict
        ``block_errors``: one entry per payload size and channel, with lists over ``snr_db``. ``photographs``: one
        entry per picture and modulation; ``psnr_db`` and the counts are lists over ``snr_db`` of lists over repeats.
    """
    curves: dict[tuple, list[dict]] = {}
    for record in records:
        point = {**record["task"], **record}
        point.setdefault("iterations", 20)
        what = point["image"] if point["kind"] == "photograph" else (point["payload_bits"], point["iterations"])
        curves.setdefault((point["kind"], point["channel"], point["bits_per_symbol"], what), []).append(point)
    out: dict[str, list] = {"block_errors": [], "photographs": []}
    for (kind, *_), points in curves.items():
        points.sort(key=lambda r: (r["snr_db"], r.get("repeat", 0)))
        snrs = sorted({r["snr_db"] for r in points})
        common: tuple[str, ...]
        if kind == "block-errors":
            common = ("channel", "code_rate", "bits_per_symbol", "iterations", "payload_bits", "channel_uses")
            columns = {key: [r[key] for r in points] for key in ("blocks", "block_errors")}
        else:
            common = (
                "channel",
                "code_rate",
                "bits_per_symbol",
                "image",
                "quality",
                "payload_bits",
                "channel_uses",
                "blocks",
                "psnr_sent_db",
            )
            columns = {
                key: [[r[key] for r in points if r["snr_db"] == snr_db] for snr_db in snrs]
                for key in ("psnr_db", "block_errors", "undetected_errors")
            }
        curve = {**{key: points[0][key] for key in common}, "snr_db": snrs, **columns}
        out["block_errors" if kind == "block-errors" else "photographs"].append(curve)
    return out


STUDIES = {
    "digital_link": Study(
        tasks, run, summarise, small={"max_blocks": 2, "lost": 1, "image": "rocket", "snr_db": 10.0, "repeat": 0}
    )
}
