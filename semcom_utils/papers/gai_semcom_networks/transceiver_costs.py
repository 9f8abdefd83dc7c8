"""Time, channel uses, bits and arithmetic of the three systems of section IV-D for ten pictures (Fig. 5).

Times are processor times of one thread, so that other work on the machine hardly changes them; the time on the air is
the number of channel uses over a stated number of them a second. The chapter
``notebooks/13f_generative_transceiver`` explains what is measured and why.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from semcom_utils.checks import checked, finite_array
from semcom_utils.effectiveness.picture_metrics import raw_metric
from semcom_utils.generation.arithmetic import operations as counted
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.papers.gai_semcom_networks import transceiver
from semcom_utils.papers.gai_semcom_networks.transceiver_curves import (
    BITS,
    CODE_RATE,
    SPREAD,
    pictures_of,
)
from semcom_utils.physical import DigitalLink
from semcom_utils.semantic.codecs import QUALITIES, decoded, jpeg, png
from semcom_utils.statistics import mean_interval, student_interval
from semcom_utils.studies import Study

__all__ = ["BANDWIDTH", "STUDIES", "SYSTEMS", "TRAINED", "costs_run", "costs_summary", "operations", "tie"]

SYSTEMS = ("prompts", "classical", "jpeg", "png")
#: Channel uses a second.
BANDWIDTH = 1e6
SNR_DB = 10.0
#: Pictures that a network saw in its training, steps times batch, from its card; what the joint training is counted by.
TRAINED = {
    "jscc": 15_597 * 128,
    "text-to-image": 5_400 * 64,
    "autoencoder": 4_013 * 64,
    "captioner": (1_571 + 1_202) * 64,
}
#: A step of training costs about three passes forward: one forward, two back (Kaplan et al., 2020).
TRAINING_PASSES = 3


class _Clock:
    """Processor time of one stage after the other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.process_time() - start
        return result


def _bits_of(files: list[bytes]) -> np.ndarray:
    return np.unpackbits(np.frombuffer(b"".join(files), np.uint8))


def _jpeg_as_good(picture: np.ndarray, ssim: float) -> bytes:
    """The smallest JPEG, of those from quality 1 up, that comes at least as near to the picture; else the best."""
    shown = picture.transpose(2, 0, 1)
    for quality in QUALITIES:
        file = jpeg(picture, quality)
        if raw_metric("ssim", decoded(file).transpose(2, 0, 1), shown) >= ssim:
            return file
    return file


@torch.no_grad()
def costs_run(task: dict) -> dict:
    """Send ten pictures by each system, and count.

    Parameters
    ----------
    task : dict
        ``seed``; ``pictures``, how many.

    Returns
    -------
    dict
        ``seconds``: system -> stage -> processor time for all pictures; ``uses``, ``bits``: system -> in all;
        ``raw_bits``, ``floating_bits``: of the pixels in 8 bits, and in 32; ``sent_bits``, ``jpeg_bits``,
        ``scan_bits``: of each picture's prompts, and of JPEG at their SSIM, ``ssim``; ``evaluations`` of the denoiser
        a picture; ``operations``, as :func:`operations`.
    """
    torch.set_num_threads(1)
    pictures, captions, labels = pictures_of(task["seed"], task["pictures"])
    named, n = transceiver.models(), task["pictures"]
    pipeline, model, link = named["text-to-image"], named["jscc"], DigitalLink(CODE_RATE, 1)
    arrays = [picture.permute(1, 2, 0).double().numpy() for picture in pictures]
    generator = torch.Generator().manual_seed(task["seed"])
    clocks, uses, bits = {system: _Clock() for system in SYSTEMS}, {}, {}

    def carried(system: str, payload: np.ndarray) -> np.ndarray:
        """Over the link, whose blocks are built beforehand; all pictures are one payload, to spare the building."""
        link.send(payload[: min(len(payload), 40_000)], SNR_DB, torch.Generator())
        result = clocks[system]("link", lambda: link.send(payload, SNR_DB, generator))
        uses[system], bits[system] = int(result.channel_uses), len(payload)
        return np.asarray(result.bits)

    transceiver.lloyd_max(BITS)  # a table; and what is only done the first time
    transceiver.draw(PromptedDenoiser(pipeline, named["captioner"](pictures[:1]), 1.0), torch.zeros(1, 16, 8, 8), 1)
    clock = clocks["prompts"]
    said = clock("captioner", lambda: named["captioner"](pictures))
    scale = pipeline.vae.config.scaling_factor
    z_0 = clock("autoencoder", lambda: pipeline.vae.encode(2 * pictures - 1).latent_dist.mode() * scale)
    denoiser = clock("text encoder", lambda: PromptedDenoiser(pipeline, said, 1.0))
    z_T = clock("inversion", lambda: transceiver.invert(denoiser, z_0) / SPREAD)
    planes = clock("rounding", lambda: transceiver.to_planes(z_T.numpy(), BITS))
    text = [transceiver.text_to_bits(caption) for caption in said]
    arrived = carried("prompts", np.concatenate([*text, planes.reshape(-1)]))[sum(map(len, text)) :]
    numbers = clock("rounding", lambda: transceiver.from_planes(arrived.reshape(planes.shape), BITS))
    heard = clock("text encoder", lambda: PromptedDenoiser(pipeline, said, 1.0))
    start = SPREAD * torch.from_numpy(numbers).float().reshape(z_T.shape)
    made = clock("drawing", lambda: transceiver.draw(heard, start))

    mean = torch.full((n,), SNR_DB)
    symbols = clocks["classical"]("encoder", lambda: model.encode(pictures, mean))
    clocks["classical"]("decoder", lambda: model.decode(symbols, mean[:, None]))
    uses["classical"], bits["classical"] = n * model.symbols, 2 * 8 * n * model.symbols

    found = transceiver.score(made, pictures, captions, labels)
    as_good = [_jpeg_as_good(array, float(ssim)) for array, ssim in zip(arrays, found["ssim"], strict=True)]
    clocks["jpeg"]("encoder", lambda: [jpeg(array, 75) for array in arrays])
    back = carried("jpeg", _bits_of(as_good))
    clocks["jpeg"]("decoder", lambda: [decoded(file) for file in as_good] if len(back) else None)
    files = clocks["png"]("encoder", lambda: [png(array) for array in arrays])
    carried("png", _bits_of(files))
    clocks["png"]("decoder", lambda: [decoded(file) for file in files])
    return {
        "seconds": {
            system: {stage: round(s, 4) for stage, s in clock.seconds.items()} for system, clock in clocks.items()
        },
        "uses": uses,
        "bits": bits,
        "raw_bits": int(8 * pictures.numel()),
        "floating_bits": int(32 * pictures.numel()),
        "sent_bits": [len(words) + planes[0].size for words in text],
        "jpeg_bits": [8 * len(file) for file in as_good],
        "scan_bits": [8 * (len(file) - file.index(b"\xff\xda") - 14) for file in as_good],
        "ssim": [round(float(value), 4) for value in found["ssim"]],
        "evaluations": 2 * transceiver.STEPS,
        "operations": operations(),
    }


@torch.no_grad()
def operations() -> dict[str, float]:
    """Floating-point operations of one picture through each network, counted by PyTorch, two for a product and sum.

    Returns
    -------
    dict of str to float
        ``denoiser``, one evaluation; ``autoencoder``, there and back; ``text encoder``; ``captioner``, all its words;
        ``jscc``, there and back.
    """
    pictures, _, _ = pictures_of(0, 1)
    named = transceiver.models()
    pipeline, model = named["text-to-image"], named["jscc"]
    said = named["captioner"](pictures)
    denoiser = PromptedDenoiser(pipeline, said, 1.0)
    z, mean = torch.zeros(1, *denoiser.shape), torch.zeros(1)

    def there_and_back() -> None:
        denoiser.decode(pipeline.vae.encode(2 * pictures - 1).latent_dist.mode())

    return {
        "denoiser": counted(lambda: denoiser.predict(z, 500))[1],
        "autoencoder": counted(there_and_back)[1],
        "text encoder": counted(lambda: PromptedDenoiser(pipeline, said, 1.0))[1] / 2,
        "captioner": counted(lambda: named["captioner"](pictures))[1],
        "jscc": counted(lambda: model.decode(model.encode(pictures, mean), mean[:, None]))[1],
    }


def _arithmetic(one: dict[str, float]) -> dict:
    """Training and one picture of each system, in floating-point operations."""
    picture = one["captioner"] + one["autoencoder"] + 2 * one["text encoder"] + 2 * transceiver.STEPS * one["denoiser"]
    passes = {
        "text-to-image": one["denoiser"] + one["text encoder"],
        "autoencoder": one["autoencoder"],
        "captioner": one["captioner"],
    }
    pretrained = sum(TRAINING_PASSES * TRAINED[name] * cost for name, cost in passes.items())
    joint = TRAINING_PASSES * TRAINED["jscc"] * one["jscc"]
    return {
        "one": one,
        "picture": {"prompts": picture, "classical": one["jscc"]},
        "training": {"prompts": 0.0, "classical": joint, "pretrained": pretrained},
    }


@checked
def tie(seconds: np.ndarray, uses: np.ndarray) -> float:
    """Channel uses a second at which two systems take equally long, computing and on the air.

    Parameters
    ----------
    seconds, uses : numpy.ndarray, ``[2]``
        Of computing, and channel uses, of each.

    Returns
    -------
    float
        Below it the one with fewer uses is faster; infinity if it computes less, too, zero if it needs fewer in
        neither.

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> tie(np.array([2.0, 1.0]), np.array([1e6, 3e6]))
    2000000.0
    """
    s, u = finite_array("seconds", seconds, low=0), finite_array("uses", uses, low=0)
    for name, array in (("seconds", s), ("uses", u)):
        if array.shape != (2,):
            raise ValueError(f"{name} must be two numbers, got shape {array.shape}")
    saved, spent = u[1] - u[0], s[0] - s[1]
    if saved * spent > 0:
        return float(saved / spent)
    return float("inf") if saved >= 0 else 0.0


def costs_summary(records: list[dict]) -> dict:
    """What the chapter shows and the ledger checks.

    Parameters
    ----------
    records : list of dict
        Of :func:`costs_run`.

    Returns
    -------
    dict
        ``seconds``, ``air``, ``uses``, ``bits``; ``saved``: seconds that the prompts save over JPEG and PNG, and
        over them with channel decoding for nothing; ``replaced``: what the source coding that diffusion replaces
        takes, less what diffusion takes; these are intervals over a few repetitions (Student's), the following over
        pictures; ``bits_ratio``; ``arithmetic``.
    """

    def total(record: dict, system: str, free_link: bool = False) -> float:
        stages = record["seconds"][system]
        computed = sum(s for stage, s in stages.items() if not (free_link and stage == "link"))
        return computed + record["uses"][system] / BANDWIDTH

    def saved(other: str, free_link: bool = False) -> dict:
        return student_interval([total(r, other, free_link) - total(r, "prompts", free_link) for r in records])

    diffusion = ("autoencoder", "text encoder", "inversion", "drawing")

    def replaced(other: str) -> dict:
        return student_interval([
            r["seconds"][other]["encoder"] + r["seconds"][other]["decoder"]
            - sum(r["seconds"]["prompts"][stage] for stage in diffusion)
            for r in records
        ])  # fmt: skip

    def ratio(name: str) -> dict:
        own = np.concatenate([np.array(r["sent_bits"], float) for r in records])
        return mean_interval(own / np.concatenate([np.array(r[name], float) for r in records]))

    raw = [sum(r["sent_bits"]) / r["raw_bits"] for r in records]
    sums = {system: student_interval([sum(r["seconds"][system].values()) for r in records]) for system in SYSTEMS}
    uses = {system: student_interval([float(r["uses"][system]) for r in records]) for system in SYSTEMS}

    def tied(other: str) -> float | None:
        """None where the prompts compute less, too: no rate makes them the slower ones."""
        pair = ("prompts", other)
        rate = tie(
            np.array([sums[name]["estimate"] for name in pair]), np.array([uses[name]["estimate"] for name in pair])
        )
        return rate if np.isfinite(rate) else None

    arithmetic = _arithmetic(records[0]["operations"])
    picture, training = arithmetic["picture"], arithmetic["training"]
    each = picture["prompts"] - picture["classical"]

    def spent(n: float, pretrained: bool) -> float:
        """Operations of the prompts over those of the joint code, for n pictures."""
        return (n * picture["prompts"] + pretrained * training["pretrained"]) / (
            n * picture["classical"] + training["classical"]
        )

    return {
        "stages": {
            system: {stage: student_interval([r["seconds"][system][stage] for r in records]) for stage in stages}
            for system, stages in records[0]["seconds"].items()
        },
        "seconds": sums,
        "air": {system: uses[system]["estimate"] / BANDWIDTH for system in SYSTEMS},
        "uses": uses,
        "bits": {system: student_interval([float(r["bits"][system]) for r in records]) for system in SYSTEMS},
        "raw_bits": records[0]["raw_bits"],
        "saved": {
            "jpeg": saved("jpeg"),
            "png": saved("png"),
            "jpeg, decoding free": saved("jpeg", True),
            "png, decoding free": saved("png", True),
        },
        "replaced": {other: replaced(other) for other in ("jpeg", "png")},
        "tie": {other: tied(other) for other in ("jpeg", "png")},
        "bits_ratio": {
            "raw": mean_interval(raw),
            "jpeg": ratio("jpeg_bits"),
            "jpeg without headers": ratio("scan_bits"),
            "floating noise over raw": records[0]["floating_bits"] / records[0]["raw_bits"],
        },
        "evaluations": records[0]["evaluations"],
        "arithmetic": arithmetic,
        "operations_ratio": {
            "1000": spent(1e3, False),
            "1000, pre-training counted": spent(1e3, True),
            "1000000": spent(1e6, False),
        },
        "pictures_until_turn": {
            "without pre-training": training["classical"] / each,
            "with pre-training": (training["classical"] - training["pretrained"]) / each,
        },
        "ssim": mean_interval(np.concatenate([r["ssim"] for r in records])),
    }


def _tasks() -> list[dict]:
    return [{"seed": 200 + seed, "pictures": 10} for seed in range(12)]


STUDIES = {"transceiver_costs": Study(_tasks, costs_run, costs_summary, small={"pictures": 1})}
