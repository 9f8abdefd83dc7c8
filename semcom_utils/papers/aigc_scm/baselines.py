"""The study ``baselines``: what else could be sent in as many channel uses (Wang et al., 2024, Fig. 6).

The paper compares its schemes with WITT and with JPEG on one link at one SNR. Here the rivals get what an engineer
would give them. WITT is told the SNR. A file is a JPEG without the header, on which both ends have agreed, or whichever
of raw pixels, JPEG and WebP, small or large, comes nearest to the picture; and the SNR, or the mean SNR of a fading
channel, chooses modulation and code rate. What does not arrive stays grey.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked
from semcom_utils.physical import DigitalLink
from semcom_utils.semantic.codecs import decoded, jpeg, picture_from
from semcom_utils.statistics import student_interval
from semcom_utils.studies import Study

from .alignment import Seen, measure
from .case_study import VIEWS, case_scene, witt
from .channel import (
    JPEG_QUALITY,
    SNR_DB,
    WITT_USES,
    best_format,
    file_size,
    paper_link,
    psnr_db,
    rows_of,
    squeezed,
    uses,
)
from .schemes import extract_all

__all__ = [
    "BUDGETS",
    "CHANNELS",
    "METHODS",
    "ORDINARY",
    "REPORTED",
    "SPLIT",
    "STUDIES",
    "SWEPT",
    "bytes_within",
    "chosen_link",
    "fitted_scan",
    "run",
    "tasks",
]

#: Channels, and the (mean) SNRs at which everything is sent, dB.
CHANNELS = {"awgn": (0.0, 5.0, 10.0), "rayleigh-block": (5.0, 10.0, 20.0)}
#: Both rates of WITT; JPEG as a file and, without its header, in WITT's higher rate, on the paper's link; the best file
#: in each of WITT's rates, in the format that the SNR allows.
METHODS = ("WITT-high", "WITT-low", "JPEG", "JPEG-high", "file-high", "file-low")
#: Ordinary scenes of the toy world, without a subject: numbers that no model was trained on, and the split they are of.
ORDINARY, SPLIT = range(3_200_000, 3_200_030), "combinations"
#: Complex channel uses that the best file may take at the paper's SNR.
BUDGETS = (32, 64, 120, 220, 400, 768, 1500)
#: What is kept of :data:`.alignment.MEASURES` in a budget, and the unit of a stored whole number; and over SNRs.
REPORTED = {"image": 1e-3, "object": 1e-3, "text": 1e-3, "box": 1e-3, "identity": 1e-3, "psnr": 0.01, "ssim": 1e-3}
SWEPT = {"image": 1e-3, "psnr": 0.01, "ssim": 1e-3}


@checked
@lru_cache(maxsize=64)
def chosen_link(snr_db: float, channel: str) -> DigitalLink:
    """The link in the format that an SNR allows.

    Parameters
    ----------
    snr_db : float
        (Mean) Es/N0 per complex channel use, dB.
    channel : str
        Key of :data:`CHANNELS`.

    Returns
    -------
    DigitalLink

    Raises
    ------
    ValueError
        If the channel is another, or ``snr_db`` no number.
    """
    order, rate = best_format(snr_db, channel=channel)
    return DigitalLink(rate, order, channel)


@checked
def bytes_within(channel_uses: int, link: DigitalLink) -> int:
    """The most bytes that a link carries in so many complex channel uses, checksum and padding included.

    Parameters
    ----------
    channel_uses : int
    link : DigitalLink

    Returns
    -------
    int
        Zero if not even one.

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> bytes_within(64, paper_link()), uses(8 * 14, paper_link())
    (14, 64)
    """
    size = 0
    while uses(8 * (size + 1), link) <= channel_uses:
        size += 1
    return size


@checked
def fitted_scan(picture: Any, limit: int) -> np.ndarray | None:
    """What arrives of a picture as JPEG without the header, at the highest quality that fits.

    Parameters
    ----------
    picture : array_like
        ``[3, rows, columns]`` in [0, 1].
    limit : int
        Bytes that may be sent.

    Returns
    -------
    numpy.ndarray or None
        Float64, of the shape of ``picture``; None if no quality fits.

    Raises
    ------
    ValueError
        If ``picture`` is none.
    """
    rows = rows_of(picture)
    for quality in range(95, 0, -1):
        file = jpeg(rows, quality, optimise=False)
        if file_size(file, "scan") <= limit:
            return decoded(file).transpose(2, 0, 1)
    return None


def _scene(number: int, view: int) -> toyworld.Scene:
    """A scene of the case study, or, where ``view`` is negative, an ordinary one."""
    return case_scene(number, view) if view >= 0 else toyworld.scene(number, SPLIT)


@lru_cache(maxsize=4096)
def _file(number: int, view: int, limit: int) -> np.ndarray:
    if limit < 3:  # not even one pixel
        return np.full((3, toyworld.SIZE, toyworld.SIZE), 0.5, np.float32)
    return squeezed(_scene(number, view).image, limit)[0].astype(np.float32)


@lru_cache(maxsize=1024)
def _scan(number: int, view: int, limit: int) -> np.ndarray | None:
    return fitted_scan(_scene(number, view).image, limit)


@lru_cache(maxsize=1)
def _clip() -> Any:
    from semcom_utils.generation import load

    return load("clip", device="cpu")


@lru_cache(maxsize=1)
def _named() -> dict[str, Any]:
    from semcom_utils.generation import Judge, load

    named = {role: load(role, device="cpu") for role in ("captioner", "identity")}
    return named | {"clip": _clip(), "judge": Judge(load("detector", device="cpu"))}


def tasks() -> list[dict]:
    """All subjects at one SNR of one channel, or in one budget of channel uses; ordinary scenes at 10 dB.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    places: list[dict[str, Any]] = [
        {"channel": channel, "snr_db": snr} for channel, snrs in CHANNELS.items() for snr in snrs
    ]
    both = [*places, *({"budget": budget} for budget in BUDGETS)]
    subjects = [{**place, "subjects": list(range(toyworld.SUBJECTS)), "views": list(VIEWS)} for place in both]
    ordinary = [
        {"channel": channel, "snr_db": 10.0, "first": ORDINARY[0], "scenes": len(ORDINARY)} for channel in CHANNELS
    ]
    return subjects + ordinary


def _received(task: dict, keys: list[tuple[int, int]], images: np.ndarray) -> tuple[dict[str, np.ndarray], dict]:
    """What arrives by each method, ``[pictures, 3, 64, 64]``, and the share of files that arrive whole."""
    import torch

    generator = torch.Generator().manual_seed(round(7919 * (1 + task["snr_db"])) + keys[0][0])
    snr_db, channel = task["snr_db"], task["channel"]
    pictures = {
        f"WITT-{rate}": code.send(torch.from_numpy(images), snr_db, channel, generator=generator).numpy()
        for rate, code in witt().items()
    }
    arrived, paper, chosen = {}, paper_link(channel), chosen_link(snr_db, channel)

    def lost(link: DigitalLink, size: int) -> list[int | None]:
        """For each picture, the first block that is lost of so many bytes; None if all arrive."""
        result = link.send(torch.randint(0, 2, (len(keys), 8 * size), generator=generator), snr_db, generator)
        right, whole = np.asarray(result.crc_ok), np.asarray(result.accepted)
        return [None if fine else int(np.argmin(row)) for row, fine in zip(right, whole, strict=True)]

    def shown(name: str, link: DigitalLink, size: int, made: Sequence[np.ndarray | None]) -> None:
        """A file of one block arrives whole or not at all."""
        failed = lost(link, size) if size else [0] * len(keys)
        got = [None if first is not None else one for first, one in zip(failed, made, strict=True)]
        arrived[name] = sum(one is not None for one in got)
        pictures[name] = np.stack([np.full(images.shape[1:], 0.5) if one is None else one for one in got])

    # All JPEG files travel in slots as long as the longest of them; of a broken one the beginning is shown.
    files = [jpeg(image.transpose(1, 2, 0), JPEG_QUALITY) for image in images]
    slot = max(map(len, files))
    layout = paper.layout(8 * slot)
    body = (layout.information_bits - (24 if layout.blocks > 1 else 0)) // 8
    kept = [
        file if first is None else file[: first * body] for file, first in zip(files, lost(paper, slot), strict=True)
    ]
    arrived["JPEG"] = sum(len(a) == len(b) for a, b in zip(kept, files, strict=True))
    rows = images.transpose(0, 2, 3, 1).shape[1:]
    pictures["JPEG"] = np.stack([picture_from(file, rows).transpose(2, 0, 1) for file in kept])
    size = bytes_within(WITT_USES["high"], paper)
    shown("JPEG-high", paper, size, [_scan(*key, size) for key in keys])
    for rate, budget in WITT_USES.items():
        size = bytes_within(budget, chosen)
        shown(f"file-{rate}", chosen, size, [_file(*key, size) for key in keys])
    return pictures, arrived


def run(task: dict) -> dict:
    """Send the scenes of some subjects, and measure what arrives.

    Parameters
    ----------
    task : dict
        ``subjects``; ``views``, numbers of their scenes; ``channel`` and ``snr_db``, or ``budget``, the complex channel
        uses of a file at the paper's SNR, which is taken to arrive. Or the ``first`` of some ordinary ``scenes``.

    Returns
    -------
    dict
        Method -> for each subject the mean over its scenes of ``SWEPT`` (in a budget :data:`REPORTED`), in its
        units; ``arrived``, how many files arrive whole. Of ordinary scenes, PSNR and SSIM one by one.
    """
    if "first" in task:
        return _ordinary(task)
    keys = [(number, view) for number in task["subjects"] for view in task["views"]]
    scenes = [case_scene(*key) for key in keys]
    images = np.stack([scene.image for scene in scenes]).astype(np.float32)
    if "budget" not in task:
        pictures, arrived = _received(task, keys, images)
        swept = {name: _swept(images, made, len(task["subjects"])) for name, made in pictures.items()}
        return {"arrived": arrived, **swept}
    size = bytes_within(task["budget"], chosen_link(SNR_DB, "awgn"))
    made = np.stack([_file(*key, size) for key in keys])
    named = _named()
    boxes = extract_all(images, "NA", named, seeds=[0] * len(keys))
    numbers = [number for number, _ in keys]
    values = measure(scenes, Seen.of(images, named), boxes, Seen.of(made, named), numbers, named)
    rows = np.stack([np.asarray(values[m], float) / unit for m, unit in REPORTED.items()], axis=1)
    means = rows.reshape(len(task["subjects"]), len(task["views"]), -1).mean(1)
    return {"bytes": size, "file": np.round(means).astype(int).tolist()}


def _swept(images: np.ndarray, made: np.ndarray, subjects: int) -> list[list[int]]:
    """What ``SWEPT`` says of pictures, mean over the scenes of each subject."""
    from skimage.metrics import structural_similarity

    pictures = np.clip(made, 0, 1).astype(np.float32)
    clip = _clip()
    cosines = (np.asarray(clip.images(images)) * np.asarray(clip.images(pictures))).sum(1)
    rows = [
        (cosine, psnr_db(a, b), structural_similarity(a, b, channel_axis=0, data_range=1.0))
        for cosine, a, b in zip(cosines, images, pictures, strict=True)
    ]
    means = (np.array(rows, float) / list(SWEPT.values())).reshape(subjects, -1, len(SWEPT)).mean(1)
    return np.round(means).astype(int).tolist()


def _ordinary(task: dict) -> dict:
    """PSNR (hundredths of dB) and SSIM (thousandths) of ordinary scenes, by method."""
    from skimage.metrics import structural_similarity

    keys = [(task["first"] + k, -1) for k in range(task["scenes"])]
    images = np.stack([_scene(*key).image for key in keys]).astype(np.float32)
    pictures, arrived = _received(task, keys, images)
    record: dict[str, Any] = {"arrived": arrived}
    for name, made in pictures.items():
        record[name] = [
            [
                round(100 * psnr_db(a, b)),
                round(1000 * float(structural_similarity(a, b.astype(np.float32), channel_axis=0, data_range=1.0))),
            ]
            for a, b in zip(images, np.clip(made, 0, 1), strict=True)
        ]
    return record


def _columns(records: Sequence[Mapping], name: str, what: Mapping[str, float]) -> dict[str, np.ndarray]:
    rows = np.array([row for r in records for row in r[name]], float)
    return {m: rows[:, k] * unit for k, (m, unit) in enumerate(what.items())}


def _summary(records: list[dict]) -> dict:
    by: dict[str, dict] = {}
    for channel, snr in dict.fromkeys(
        (r["task"]["channel"], r["task"]["snr_db"]) for r in records if "arrived" in r and "subjects" in r["task"]
    ):
        part = [
            r
            for r in records
            if (r["task"].get("channel"), r["task"].get("snr_db")) == (channel, snr) and "subjects" in r["task"]
        ]
        values = {name: _columns(part, name, SWEPT) for name in METHODS}
        sent = sum(len(r["task"]["subjects"]) * len(r["task"]["views"]) for r in part)
        point: dict[str, Any] = {
            name: {m: student_interval(column) for m, column in columns.items()} for name, columns in values.items()
        }
        point["arrived"] = {name: sum(r["arrived"][name] for r in part) / sent for name in METHODS[2:]}
        order, rate = best_format(snr, channel=channel)
        point["format"] = {"bits_per_symbol": order, "code_rate": rate}
        # Paired over subjects, in dB: WITT against what takes as many channel uses.
        point["psnr_of_witt_over"] = {
            f"{one} {two}": student_interval(values[f"WITT-{one}"]["psnr"] - values[two]["psnr"])
            for one, two in (("high", "JPEG-high"), ("high", "file-high"), ("low", "file-low"))
        }
        by.setdefault(channel, {})[f"{snr:g}"] = point
    curve = {}
    for budget in dict.fromkeys(r["task"]["budget"] for r in records if "budget" in r["task"]):
        part = [r for r in records if r["task"].get("budget") == budget]
        curve[str(budget)] = {
            "bytes": part[0]["bytes"],
            **{m: student_interval(column) for m, column in _columns(part, "file", REPORTED).items()},
        }
    ordinary = {}
    for r in records:
        if "first" in r["task"]:
            both = {name: np.array(r[name], float) * [0.01, 1e-3] for name in METHODS}
            ordinary[r["task"]["channel"]] = {
                **{
                    name: {"psnr": student_interval(v[:, 0]), "ssim": student_interval(v[:, 1])}
                    for name, v in both.items()
                },
                "psnr_of_witt_over": {
                    f"{one} {two}": student_interval(both[f"WITT-{one}"][:, 0] - both[two][:, 0])
                    for one, two in (("high", "JPEG-high"), ("high", "file-high"), ("low", "file-low"))
                },
            }
    return {"by_channel": by, "curve": curve, "ordinary": ordinary}


STUDIES = {
    "baselines": Study(
        tasks,
        run,
        _summary,
        small={"subjects": [0], "views": [5], "snr_db": 10.0, "channel": "awgn", "budget": 64, "scenes": 2},
    )
}
