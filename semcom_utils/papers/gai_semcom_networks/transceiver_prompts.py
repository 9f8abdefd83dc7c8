"""What each prompt is worth, the best protection of both at one budget, and meaning over the bits received.

``transceiver_prompts`` draws pictures from every pair of a textual prompt (own, none, another picture's) and a visual
one (none, another's, or its k heaviest planes of bits). ``transceiver_frames`` measures how often a coded block of
each prompt is lost, by real blocks over AWGN. Together they give what a protection earns on a fading channel: expected
quality is the quality of what arrives, weighted by the probability that just this arrives. The chapter
``notebooks/13f_generative_transceiver`` explains both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, ndtri

from semcom_utils.checks import checked, finite_array, plain_array, positive_integer, real_number
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.papers.gai_semcom_networks import transceiver
from semcom_utils.papers.gai_semcom_networks.transceiver_curves import (
    METRICS,
    SPREAD,
    Painter,
    pictures_of,
    prompts_of,
)
from semcom_utils.physical import DigitalLink
from semcom_utils.statistics import mean_interval, share_interval
from semcom_utils.studies import Study

__all__ = [
    "BUDGET",
    "CHECKSUM",
    "OTHERS",
    "STUDIES",
    "TEXTS",
    "TEXT_BITS",
    "TEXT_RATES",
    "VISUALS",
    "bpsk_snr_db",
    "expected_quality",
    "frames_run",
    "frames_summary",
    "frames_tasks",
    "lost_on_fading",
    "prompts_run",
    "prompts_summary",
    "visual_rate",
]

TEXTS = ("own", "none", "other")
#: Visual prompts: none, another picture's, the exact numbers, and the heaviest planes of four.
VISUALS = ("none", "other", "1", "2", "3", "4", "exact")
#: Pairs that are drawn beside those with the picture's own text.
OTHERS = ("none/none", "none/1", "none/2", "none/3", "other/2", "other/other")
#: Channel uses of BPSK that both prompts share, and bits of a usual textual prompt.
BUDGET, TEXT_BITS, CHECKSUM = 4300, 66, 16
NUMBERS = 1024
TEXT_RATES = (0.2, 0.5, 0.8)
#: SNRs at which blocks are sent, dB from where a code of the rate could just do it.
OFFSETS = (0.0, 0.5, 1.0, 1.5, 2.0)


# --- what each prompt is worth ---------------------------------------------------------------------------------------


def prompts_run(task: dict) -> dict:
    """Pictures from every pair of prompts, and from the autoencoder's latent rounded alike, without any diffusion.

    Parameters
    ----------
    task : dict
        ``seed``; ``pictures``, how many.

    Returns
    -------
    dict
        ``scores``: ``text/visual`` -> metric -> whole multiples of ``METRICS``, one a picture; ``third/third`` for both
        of a third picture, ``latent/k`` for the latent, ``classical`` for the joint code at 10 dB over AWGN. ``bits``:
        of the text of each; ``symbols`` of the joint code.
    """
    torch.set_num_threads(1)
    pictures, captions, labels = pictures_of(task["seed"], task["pictures"])
    said, z = prompts_of(pictures)
    named, bits = transceiver.models(), transceiver.MOST_BITS
    planes, painter, n = transceiver.to_planes(z.numpy(), bits), Painter(pictures, captions, labels), len(said)
    keys: dict[str, list] = {}
    for i, other in enumerate([(i + 1) % n for i in range(n)]):
        for text, words in zip(TEXTS, (said[i], "", said[other]), strict=True):
            for visual in VISUALS[:-1]:
                if text != "own" and f"{text}/{visual}" not in OTHERS:
                    continue
                sent = (
                    planes[i][: int(visual)] if visual.isdigit() else planes[other][:2] if visual == "other" else None
                )
                keys.setdefault(f"{text}/{visual}", []).append(painter.ask(i, words, sent, bits))
        third = (i + 2) % n
        keys.setdefault("third/third", []).append(painter.ask(i, said[third], planes[third][:2], bits))
    painter.paint()
    rows: dict[str, list[dict]] = {name: [painter.scores[key] for key in found] for name, found in keys.items()}
    denoiser, everyone = PromptedDenoiser(named["text-to-image"], said, 1.0), list(range(n))
    with torch.no_grad():
        vae = named["text-to-image"].vae
        z_0 = vae.encode(2 * pictures - 1).latent_dist.mode() * vae.config.scaling_factor
        rows["own/exact"] = painter.tell(everyone, transceiver.draw(denoiser, z * SPREAD))
        for k in range(1, bits + 1):
            rounded = transceiver.from_planes(transceiver.to_planes(z_0.numpy(), bits)[:, :k], bits)
            latent = torch.from_numpy(rounded).float().reshape(z_0.shape)
            rows[f"latent/{k}"] = painter.tell(everyone, denoiser.decode(latent))
        rows["latent/exact"] = painter.tell(everyone, denoiser.decode(z_0))
    noise = torch.Generator().manual_seed(task["seed"])
    rows["classical"] = painter.tell(everyone, named["jscc"].send(pictures, 10.0, generator=noise))
    return {
        "scores": {
            name: {metric: [round(row[metric] / unit) for row in found] for metric, unit in METRICS.items()}
            for name, found in rows.items()
        },
        "bits": [len(transceiver.text_to_bits(caption)) for caption in said],
        "symbols": named["jscc"].symbols,
    }


def _shares(values: Any, dropped: str, rng: np.random.Generator) -> dict:
    """Of the distance from both prompts to another picture's two: which share a missing prompt costs.

    Ratios of means over the pictures, resampled: ``ssim``, ``similarity`` and the first less the second.
    """
    table = {
        metric: np.stack([values(name, metric) for name in ("own/2", dropped, "other/other")])
        for metric in ("ssim", "similarity")
    }
    draws = rng.integers(table["ssim"].shape[1], size=(2000, table["ssim"].shape[1]))

    def share(rows: np.ndarray) -> np.ndarray:
        full, less, floor = rows
        return (full - less) / (full - floor)

    point = {metric: float(share(rows.mean(1))) for metric, rows in table.items()}
    boot = {metric: share(rows[:, draws].mean(2)) for metric, rows in table.items()}
    point["difference"], boot["difference"] = point["ssim"] - point["similarity"], boot["ssim"] - boot["similarity"]
    return {
        name: {
            "estimate": value,
            "low": float(np.quantile(boot[name], 0.025)),
            "high": float(np.quantile(boot[name], 0.975)),
        }
        for name, value in point.items()
    }


def prompts_summary(records: list[dict]) -> dict:
    """What the chapter draws and the ledger checks.

    Parameters
    ----------
    records : list of dict
        Of :func:`prompts_run`.

    Returns
    -------
    dict
        ``quality``: pair of prompts -> metric -> interval; ``shares`` of ``_shares``, ``text_over_visual`` being
        the difference turned round for a missing text; ``uses_ratio``: channel uses of the prompts over the joint
        code's, at the fewest planes with a similarity not below its, with and without the text; ``pictures``.
    """

    def values(name: str, metric: str) -> np.ndarray:
        return METRICS[metric] * np.concatenate([np.array(r["scores"][name][metric], float) for r in records])

    quality = {
        name: {metric: mean_interval(values(name, metric)) for metric in METRICS} for name in records[0]["scores"]
    }
    shares = {
        what: _shares(values, name, np.random.default_rng(0))
        for what, name in {
            "without visual": "own/none",
            "without text": "none/2",
            "another visual": "own/other",
            "another text": "other/2",
            "both another's": "third/third",
        }.items()
    }
    for row in shares.values():
        row["turned"] = {
            "estimate": -row["difference"]["estimate"],
            "low": -row["difference"]["high"],
            "high": -row["difference"]["low"],
        }
    text = float(np.mean([n for r in records for n in r["bits"]]))
    symbols = records[0]["symbols"]
    enough = next(
        (
            k
            for k in range(1, transceiver.MOST_BITS + 1)
            if mean_interval(values(f"own/{k}", "similarity") - values("classical", "similarity"))["high"] >= 0
        ),
        transceiver.MOST_BITS,
    )
    return {
        "quality": quality,
        "shares": shares,
        "text_bits": text,
        "planes_as_similar": enough,
        "bits_ratio": {
            "uses": (text + enough * NUMBERS) / symbols,
            "bytes": (text + enough * NUMBERS) / (8 * 2 * symbols),
            "uses without text": enough * NUMBERS / symbols,
            "bytes without text": enough * NUMBERS / (8 * 2 * symbols),
        },
        "pictures": len(values("own/2", "ssim")),
    }


# --- protection ------------------------------------------------------------------------------------------------------


@checked
def bpsk_snr_db(rate: float) -> float:
    """SNR that BPSK needs at least to carry a rate over AWGN.

    Parameters
    ----------
    rate : float
        Bits per channel use, in (0, 1).

    Returns
    -------
    float
        Es/N0 per complex channel use, dB.

    Raises
    ------
    ValueError
        If ``rate`` is out of its range.

    Examples
    --------
    >>> round(bpsk_snr_db(0.5), 1)
    -2.8
    """
    real_number("rate", rate, low=1e-3, high=0.999)
    normal = ndtri((np.arange(4000) + 0.5) / 4000)

    def capacity(snr_db: float) -> float:
        """1 - E[log2(1 + exp(-L))] with the log-likelihood ratio L, N(4 snr, 8 snr) (the sent bit being 0)."""
        snr = 10 ** (snr_db / 10)
        ratio = 4 * snr + math.sqrt(8 * snr) * normal
        return 1 + float(np.mean(np.log2(expit(ratio))))

    return float(brentq(lambda snr_db: capacity(snr_db) - rate, -35.0, 15.0))


@checked
def visual_rate(text_rate: float, planes: int, budget: int = BUDGET, text_bits: int = TEXT_BITS) -> float | None:
    """Code rate that is left for the visual prompt.

    Parameters
    ----------
    text_rate : float
        Of the textual prompt, in (0, 1).
    planes : int
        Planes of bits of the visual prompt, 1 to 4.
    budget, text_bits : int
        Channel uses of BPSK for both, and bits of the textual prompt.

    Returns
    -------
    float or None
        None where the link has no such rate, from 0.2 to 0.92.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> round(visual_rate(0.5, 2), 3)
    0.499
    """
    real_number("text_rate", text_rate, low=0, high=1, low_open=True, high_open=True)
    if positive_integer("planes", planes) > transceiver.MOST_BITS:
        raise ValueError(f"planes must be 1 to {transceiver.MOST_BITS}, got {planes}")
    left = positive_integer("budget", budget) - math.ceil(
        (positive_integer("text_bits", text_bits) + CHECKSUM) / text_rate
    )
    rate = (planes * NUMBERS + CHECKSUM) / left if left > 0 else math.inf
    return rate if 0.2 <= rate <= 0.92 else None


def frames_run(task: dict) -> dict:
    """Send blocks of one prompt over AWGN at one SNR.

    Parameters
    ----------
    task : dict
        ``payload_bits``, ``rate``, ``offset_db`` (from :func:`bpsk_snr_db`), ``blocks``, ``seed``.

    Returns
    -------
    dict
        ``snr_db``, ``lost``, ``blocks``.
    """
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(task["seed"])
    payloads = torch.randint(0, 2, (task["blocks"], task["payload_bits"]), generator=generator)
    snr_db = bpsk_snr_db(task["rate"]) + task["offset_db"]
    accepted = DigitalLink(task["rate"], 1).send(payloads, snr_db, generator).accepted
    assert accepted is not None  # only uncoded links know nothing
    return {"snr_db": round(snr_db, 3), "lost": int((~accepted).sum()), "blocks": task["blocks"]}


@checked
def lost_on_fading(snr_db: float, at_db: ArrayLike, lost: ArrayLike) -> float:
    r"""Probability that a block is lost where one Rayleigh gain holds for it, from its losses on AWGN.

    .. math:: \Pr\{\text{lost}\} = \int_0^\infty e^{-g}\, p(g\,\mathrm{snr})\, \mathrm{d}g ,

    with p linear in the SNR in dB between the measured points, one below them and zero above.

    Parameters
    ----------
    snr_db : float
        Mean Es/N0, dB, from -50 to 100.
    at_db, lost : array_like
        SNRs, rising, and the shares of blocks lost there on AWGN.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> round(lost_on_fading(10.0, [-0.01, 0.01], [1.0, 0.0]), 4), round(1 - float(np.exp(-0.1)), 4)
    (0.0952, 0.0952)
    """
    snr = 10 ** (real_number("snr_db", snr_db, low=-50.0, high=100.0) / 10)
    x, p = finite_array("at_db", at_db), finite_array("lost", lost, low=0)
    if x.ndim != 1 or x.shape != p.shape or len(x) < 2 or (np.diff(x) <= 0).any():
        raise ValueError(f"at_db must be rising, two numbers at least, as many as lost, got shape {x.shape}")
    if (p > 1).any():
        raise ValueError(f"lost must lie in [0, 1], got {p.max():g}")
    share = -np.expm1(-np.exp(np.linspace(-30.0, math.log(700.0), 20_001)))  # of the gain's law, finely near zero
    gain = -np.log1p(-np.minimum((share[1:] + share[:-1]) / 2, 1 - 1e-16))
    return float(np.sum(np.diff(share) * np.interp(10 * np.log10(gain * snr), x, p, left=1.0, right=0.0)))


@checked
def expected_quality(quality: np.ndarray, lost_text: float, lost_visual: float) -> float:
    """Mean quality where each prompt is lost by itself.

    Parameters
    ----------
    quality : numpy.ndarray, ``[2, 2]``
        First axis: the textual prompt arrived or not; second: the visual one.
    lost_text, lost_visual : float
        Probabilities.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> expected_quality(np.array([[1.0, 0.5], [0.0, 0.0]]), 0.5, 0.5)
    0.375
    """
    table = finite_array("quality", plain_array("quality", quality))
    if table.shape != (2, 2):
        raise ValueError(f"quality must be [2, 2], got shape {table.shape}")
    text, visual = (
        real_number(name, value, low=0, high=1)
        for name, value in (("lost_text", lost_text), ("lost_visual", lost_visual))
    )
    return float(np.array([1 - text, text]) @ table @ np.array([1 - visual, visual]))


def frames_tasks() -> list[dict]:
    """Every block that a protection needs, at SNRs around its limit.

    Returns
    -------
    list of dict
        For :func:`frames_run`.
    """
    blocks = [(TEXT_BITS, rate, 60) for rate in TEXT_RATES]
    for planes in (1, 2, 3):
        found = {visual_rate(rate, planes) for rate in TEXT_RATES}
        blocks += [(planes * NUMBERS, rate, 10) for rate in sorted(rate for rate in found if rate is not None)]
    points = [
        {"payload_bits": bits, "rate": rate, "offset_db": offset + (1.0 if bits == TEXT_BITS else 0.0), "blocks": n}
        for bits, rate, n in blocks
        for offset in OFFSETS
    ]
    return [{**point, "seed": 7000 + k} for k, point in enumerate(points)]


def frames_summary(records: list[dict]) -> dict:
    """Share of blocks lost over the SNR.

    Parameters
    ----------
    records : list of dict
        Of :func:`frames_run`.

    Returns
    -------
    dict
        ``curves``: one entry a block: ``payload_bits``, ``rate``, ``snr_db``, ``lost`` (intervals).
    """
    curves: dict[tuple, list[dict]] = {}
    for record in records:
        curves.setdefault((record["task"]["payload_bits"], record["task"]["rate"]), []).append(record)
    return {
        "curves": [
            {
                "payload_bits": bits,
                "rate": rate,
                "snr_db": [r["snr_db"] for r in rows],
                "lost": [share_interval(r["lost"], r["blocks"]) for r in rows],
            }
            for (bits, rate), rows in curves.items()
        ]
    }


def _tasks() -> list[dict]:
    return [{"seed": 100 + seed, "pictures": 3} for seed in range(4)]


STUDIES = {
    "transceiver_prompts": Study(_tasks, prompts_run, prompts_summary, small={"pictures": 2}),
    "transceiver_frames": Study(
        frames_tasks, frames_run, frames_summary, small={"payload_bits": 66, "offset_db": 0.0, "blocks": 2}
    ),
}
