"""SemAIGC's pictures (Cheng et al., 2023, Figs. 4 and 5): split denoising over a noisy channel, on the mini models.

The chapter ``notebooks/14_semaigc_root`` explains what is measured and why.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from skimage.metrics import structural_similarity

from semcom_utils import toyworld
from semcom_utils.checks import checked, one_of, positive_integer
from semcom_utils.generation import Judge, load
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.generation.samplers import timesteps
from semcom_utils.generation.schedules import convert
from semcom_utils.generation.split import receive, send
from semcom_utils.physical import AnalogLink
from semcom_utils.pictures import picture_numbers
from semcom_utils.statistics import lowest, mean_interval
from semcom_utils.studies import Study

__all__ = [
    "QUANTISERS",
    "SNRS_DB",
    "SPLITS",
    "STUDIES",
    "conditions",
    "edge_states",
    "fine_tuned",
    "models",
    "pictures_run",
    "quantise",
    "receiver_run",
    "tell",
]

STEPS, GUIDANCE = 20, 3.0
SNRS_DB = (-6, -3, 0, 3, 6, 9, 12, 15)
#: Splits at which the training-free receiver is looked at; 0 is Local AIGC, 20 sends a finished latent.
SPLITS = (5, 10, 14, 17, 19)
CONTROLS_AT = (-6, 0)
FADING_AT = 6
WRONG_BY_DB = 10
QUALITIES = (1, 5, 10, 20, 30, 50, 75, 90)  # of JPEG
#: Bits of a quantised number -> step of the best even quantiser of a standard normal (Max, 1960, table II).
QUANTISERS = {1: 1.5958, 2: 0.9957, 3: 0.5860, 4: 0.3352}
CAPTIONS = 10  # of a task
#: Metric -> in which unit its record is a whole number.
UNITS = {"similarity": 1e-3, "ssim": 1e-3, "noise": 1e-5}
COLOURS = ("red", "green", "blue")
METRICS = ("right", *UNITS, *COLOURS)


@lru_cache(maxsize=1)
def models() -> dict[str, Any]:
    """The mini models of the study, on the CPU.

    Returns
    -------
    dict
        ``text-to-image``, ``clip`` and ``receiver`` as :func:`load` gives them; ``judge``, a :class:`Judge`; and
        ``untrained``, a network of the same shape with random weights.
    """
    named = {role: load(role, device="cpu") for role in ("text-to-image", "clip", "receiver")}
    named["judge"] = Judge(load("detector", device="cpu"))
    unet = named["text-to-image"].unet
    with torch.random.fork_rng():
        torch.manual_seed(0)
        named["untrained"] = type(unet).from_config(unet.config).eval()
    return named


@checked
def conditions(snr_db: float) -> dict[str, tuple]:
    """What is compared at an SNR. All get the same latents and, at the same split, the same noise.

    Parameters
    ----------
    snr_db : float
        Es/N0 per complex channel use, dB.

    Returns
    -------
    dict
        Name -> (split, what :func:`receive` is told, by how many dB the receiver errs, whose network).

    Raises
    ------
    ValueError
        If ``snr_db`` is no number.
    """
    told = {f"matched-{a}": (a, {"receiver": "matched"}, 0, "own") for a in SPLITS}
    told["resume-10"] = (10, {"receiver": "resume"}, 0, "own")
    for receiver, predictor in (("printed", "plain"), ("printed", "tuned"), ("corrected", "tuned")):
        told[f"{receiver}-{predictor}-10"] = (10, {"receiver": receiver, "predictor": predictor}, 0, "own")
    if snr_db in CONTROLS_AT:
        told["optimist-10"] = (10, {"receiver": "matched"}, WRONG_BY_DB, "own")
        told["pessimist-10"] = (10, {"receiver": "matched"}, -WRONG_BY_DB, "own")
        told["untrained-10"] = (10, {"receiver": "matched"}, 0, "untrained")
    return told


@checked
def quantise(z: torch.Tensor, bits: int) -> torch.Tensor:
    """Round latents of unit power to 2^bits even levels about zero (:data:`QUANTISERS`).

    Parameters
    ----------
    z : torch.Tensor
        Of any shape.
    bits : int
        Key of :data:`QUANTISERS`.

    Returns
    -------
    torch.Tensor
        Of the shape of ``z``.

    Raises
    ------
    ValueError
        If there is no quantiser of so many bits, or ``z`` holds other than real numbers.

    Examples
    --------
    >>> quantise(torch.tensor([-3.0, 0.1]), 1)
    tensor([-0.7979,  0.7979])
    """
    step = QUANTISERS[one_of("bits", bits, QUANTISERS)]
    return (torch.floor(z / step).clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) + 0.5) * step


@checked
def edge_states(denoiser: PromptedDenoiser, z_T: torch.Tensor, splits: tuple[int, ...]) -> dict[int, torch.Tensor]:
    """What the edge would send for each split: z_t after so many of the 20 steps.

    Parameters
    ----------
    denoiser : PromptedDenoiser
        The edge's network under its prompts.
    z_T : torch.Tensor
        Noise to start from, ``[batch, channels, rows, columns]``.
    splits : tuple of int
        Each from 0 to 20, one at least.

    Returns
    -------
    dict of int to torch.Tensor
        Split -> state, of the shape of ``z_T``.

    Raises
    ------
    ValueError
        If ``z_T`` is no noise for these prompts, or a split none of those.
    """
    if (
        not z_T.is_floating_point()
        or tuple(z_T.shape[1:]) != denoiser.shape
        or not len(z_T)
        or len(z_T) % len(denoiser)
    ):
        form = ", ".join(map(str, denoiser.shape))
        raise ValueError(
            f"z_T must be floating-point [a multiple of {len(denoiser)}, {form}], got {z_T.dtype} {list(z_T.shape)}"
        )
    if not len(splits) or any(positive_integer("splits", a, low=0) > STEPS for a in splits):
        raise ValueError(f"splits must be whole numbers from 0 to {STEPS}, one at least, got {splits!r}"[:200])
    visited, states, z, done = timesteps(len(denoiser.alpha_bar), STEPS), {}, z_T, 0
    for a in sorted(splits):
        # the first steps of what is left: the state after them is that of the next timestep on the list
        z = send(denoiser, z, denoiser.alpha_bar, visited[done:], a - done)
        states[a], done = z, a
    return states


def _shown(name: str, pictures: torch.Tensor) -> None:
    """Refuse what are no pictures in floating-point numbers."""
    picture_numbers(name, pictures)
    if not pictures.is_floating_point() or pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(
            f"{name} must be floating-point [batch, 3, rows, columns], got {pictures.dtype} {list(pictures.shape)}"
        )


@checked(shapes={"pictures": "batch+ 3 rows+ columns+", "clean": "batch 3 rows columns"})
def tell(pictures: torch.Tensor, clean: torch.Tensor, captions: list[str], labels: list[list[str]]) -> dict:
    """How good pictures are: each metric of ``METRICS``.

    Parameters
    ----------
    pictures : torch.Tensor
        ``[batch, 3, rows, columns]`` in [0, 1].
    clean : torch.Tensor
        Those of the same noise without a channel, of the same shape.
    captions : list of str
        Semantic similarity is the mini CLIP's cosine of picture and caption.
    labels : list of list of str
        ``right`` where the judge finds just these things, kinds and colours.

    Returns
    -------
    dict
        Metric -> ``[batch]``. ``ssim`` is to ``clean``; ``noise`` the root of the high-frequency power where ``clean``
        is flat; ``red``, ``green`` and ``blue`` the mean shift of that colour against the other two.

    Raises
    ------
    ValueError
        If pictures are none, or there is not one caption and one list of labels for each.
    """
    _shown("pictures", pictures)
    _shown("clean", clean)
    for name, told in (("captions", captions), ("labels", labels)):
        if len(told) != len(pictures):
            raise ValueError(f"{name} must be one for each of {len(pictures)} pictures, got {len(told)}")
    named = models()
    image, target = named["clip"].images(pictures), named["clip"].texts(captions)
    x, y = pictures.numpy(), clean.numpy()
    noise = []
    for shown, ideal in zip(x, y, strict=True):
        flat = np.abs(ideal - ndimage.gaussian_filter(ideal, (0, 1, 1))).max(0) < 0.01
        rough = (shown - ndimage.gaussian_filter(shown, (0, 1, 1)))[:, flat]
        noise.append(float(np.sqrt(np.mean(rough**2))))
    shift = (x - y).mean((2, 3))
    return {
        "similarity": (image * target).sum(-1).numpy(),
        "right": named["judge"].right(pictures, labels).astype(float),
        "ssim": np.array(
            [structural_similarity(a, b, channel_axis=0, data_range=1.0) for a, b in zip(x, y, strict=True)]
        ),
        "noise": np.array(noise),
        **{name: 1.5 * (shift[:, i] - shift.mean(1)) for i, name in enumerate(("red", "green", "blue"))},
    }


def _stored(metrics: dict) -> dict:
    """Short: by picture whole multiples of :data:`UNITS`, what is right as a row of 0 and 1, means of the colours."""
    return {
        "right": "".join(str(int(hit)) for hit in metrics["right"]),
        **{name: np.round(metrics[name] / unit).astype(int).tolist() for name, unit in UNITS.items()},
        **{name: round(float(np.mean(metrics[name])), 5) for name in COLOURS},
    }


def _as_jpeg(picture: torch.Tensor, quality: int) -> tuple[torch.Tensor, int, int]:
    """Picture after JPEG, bytes of the file, and bytes of the entropy-coded scan alone."""
    buffer = io.BytesIO()
    image = Image.fromarray((picture.permute(1, 2, 0) * 255).round().byte().numpy())
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    data = buffer.getvalue()
    scan = len(data) - data.index(b"\xff\xda") - 2
    decoded = torch.from_numpy(np.array(Image.open(io.BytesIO(data))))
    return decoded.permute(2, 0, 1).float() / 255, len(data), scan


def _as_png(picture: torch.Tensor) -> int:
    buffer = io.BytesIO()
    Image.fromarray((picture.permute(1, 2, 0) * 255).round().byte().numpy()).save(buffer, "PNG", optimize=True)
    return len(buffer.getvalue())


def _asked(task: dict) -> tuple[list[str], list[list[str]]]:
    """Captions of a task and the labels of what each asks for."""
    scenes = [
        toyworld.describe(1000 * task["seed"] + i, "combinations", things=1 + i % 2, textured=0.0, inside=0.0)
        for i in range(task["captions"])
    ]
    return [toyworld.caption(scene) for scene in scenes], [[thing.label for thing in scene.things] for scene in scenes]


def _noise_of(seed: int, snr_db: int) -> torch.Generator:
    """The channel's noise of a task: the same at every split and for every receiver."""
    return torch.Generator().manual_seed(100_000 + 100 * seed + snr_db)


@checked
def fine_tuned(denoiser: PromptedDenoiser) -> Callable[[torch.Tensor, float, float], torch.Tensor]:
    """A fine-tuned network as ``receive`` asks it: its v, at the level that the excess makes, as unit noise.

    Parameters
    ----------
    denoiser : PromptedDenoiser
        With the receiver's network.

    Returns
    -------
    callable
        ``eta(z, t, excess)``, for the predictor ``"network"`` of :func:`receive`.

    Raises
    ------
    ValueError
        If ``denoiser`` is none.
    """

    def eta(z, t, excess):
        level = float(denoiser.alpha_bar[int(t)]) / (1 + excess)
        return convert(denoiser.predict(z, t), z / (1 + excess) ** 0.5, level, have="v", want="epsilon")

    return eta


def receiver_run(task: dict) -> dict:
    """The paper's receiver, a network fine-tuned on channel-noised latents, beside resuming and the map; split 10.

    Parameters
    ----------
    task : dict
        As of :func:`pictures_run`; captions, latents and noise are the same as there.

    Returns
    -------
    dict
        ``snr_db``: SNR -> receiver -> metrics.
    """
    torch.set_num_threads(1)
    named, seed = models(), task["seed"]
    captions, labels = _asked(task)
    own = PromptedDenoiser(named["text-to-image"], captions, GUIDANCE)
    tuned = PromptedDenoiser(named["text-to-image"], captions, GUIDANCE, named["receiver"])
    levels, visited = own.alpha_bar, timesteps(len(own.alpha_bar), STEPS)
    states = edge_states(own, own.noise(torch.Generator().manual_seed(seed)), (10, STEPS))
    clean, record = own.decode(states[STEPS]), {}
    for snr_db in task.get("snrs_db", SNRS_DB):
        arrived = AnalogLink("awgn").send(states[10], snr_db, _noise_of(seed, snr_db))
        variance, row = float(arrived.error_variance.flatten()[0]), {}
        for name, asked, told in (
            ("resume", own, {"receiver": "resume"}),
            ("matched", own, {"receiver": "matched"}),
            ("printed", fine_tuned(tuned), {"receiver": "printed", "predictor": "network"}),
            ("corrected", fine_tuned(tuned), {"receiver": "corrected", "predictor": "network"}),
        ):
            z_0 = receive(
                asked,
                torch.as_tensor(arrived.latent),
                levels,
                visited[10:],
                variance,
                generator=torch.Generator().manual_seed(seed),
                **told,
            )
            row[name] = _stored(tell(own.decode(z_0), clean, captions, labels))
        record[str(snr_db)] = row
    return {"snr_db": record}


def _snrs(records: list[dict]) -> list[int]:
    """SNRs in dB that were measured, rising."""
    return sorted(int(snr) for snr in records[0]["snr_db"])


def _receiver_summary(records: list[dict]) -> dict:
    snrs = _snrs(records)

    def cells(snr, name):
        return [r["snr_db"][str(snr)][name] for r in records]

    def pooled(name, metric):
        """Gain over resuming of each picture, mean over the SNRs."""
        return mean_interval(
            np.mean([_values(cells(snr, name), metric) - _values(cells(snr, "resume"), metric) for snr in snrs], axis=0)
        )

    names = ("matched", "printed", "corrected")
    return {
        "snr_db": {str(snr): {name: _cell(cells(snr, name)) for name in ("resume", *names)} for snr in snrs},
        "gain": {name: {metric: pooled(name, metric) for metric in ("similarity", "right")} for name in names},
        "pictures": sum(len(r["snr_db"]["0"]["resume"]["right"]) for r in records),
    }


def pictures_run(task: dict) -> dict:
    """One batch of captions through every condition.

    Parameters
    ----------
    task : dict
        ``seed``; ``captions``, how many: of one and two things by turns, from held-out combinations; ``snrs_db``
        instead of ``SNRS_DB``, optionally (with those of ``CONTROLS_AT``).

    Returns
    -------
    dict
        Metrics (as of :func:`tell`, shortened) of the ``clean`` pictures, of ``another_seed``, by SNR and condition
        (``snr_db``), under ``fading``, ``quantised`` and after ``jpeg``; ``power`` of the states, ``png_bytes`` and
        ``caption_bytes``.
    """
    torch.set_num_threads(1)
    named, seed = models(), task["seed"]
    captions, labels = _asked(task)
    own = PromptedDenoiser(named["text-to-image"], captions, GUIDANCE)
    denoisers = {
        "own": own,
        "untrained": PromptedDenoiser(named["text-to-image"], captions, GUIDANCE, named["untrained"]),
    }
    levels, visited = own.alpha_bar, timesteps(len(own.alpha_bar), STEPS)
    draws = torch.Generator().manual_seed(seed)
    states = edge_states(own, own.noise(draws), (*SPLITS, STEPS))
    clean = own.decode(states[STEPS])
    other = own.decode(send(own, own.noise(draws), levels, visited, STEPS))
    record: dict[str, Any] = {
        "clean": _stored(tell(clean, clean, captions, labels)),
        "another_seed": _stored(tell(other, clean, captions, labels)),
        "power": {str(a): round(float(z.square().mean()), 4) for a, z in states.items()},
        "caption_bytes": [len(caption.encode()) for caption in captions],
    }

    def judged(z_0):
        return _stored(tell(own.decode(z_0), clean, captions, labels))

    link, by_snr = AnalogLink("awgn"), {}
    for snr_db in task.get("snrs_db", SNRS_DB):
        row, arrived = {}, {}
        for a, z in states.items():
            arrived[a] = link.send(z, snr_db, _noise_of(seed, snr_db))
        for name, (a, told, wrong_db, whose) in conditions(snr_db).items():
            variance = float(arrived[a].error_variance.flatten()[0]) / 10 ** (wrong_db / 10)
            row[name] = judged(
                receive(
                    denoisers[whose],
                    torch.as_tensor(arrived[a].latent),
                    levels,
                    visited[a:],
                    variance,
                    generator=torch.Generator().manual_seed(seed),
                    **told,
                )
            )
        row["nothing-20"] = judged(arrived[STEPS].latent)  # Non-fine-tuning
        if snr_db in CONTROLS_AT:  # noise as strong, drawn evenly from above zero
            for a in (10, STEPS):
                spread = (3 * arrived[a].error_variance.flatten()[0]) ** 0.5
                same = torch.Generator().manual_seed(200_000 + 100 * seed + snr_db)
                z = states[a] + spread * torch.rand(states[a].shape, generator=same)
                row[f"uniform-{a}"] = judged(
                    z if a == STEPS else receive(own, z, levels, visited[a:], 0.0, receiver="resume")
                )
        by_snr[str(snr_db)] = row
    record["snr_db"] = by_snr

    # every picture has its own fading coefficient, which the receiver knows
    faded: list[torch.Tensor] = []
    plain: list[torch.Tensor] = []
    for i, caption in enumerate(captions):
        alone = PromptedDenoiser(named["text-to-image"], [caption], GUIDANCE)
        z = states[10][i : i + 1]
        seen = AnalogLink("rayleigh-block").send(z, FADING_AT, torch.Generator().manual_seed(300_000 + 100 * seed + i))
        variance = float(seen.error_variance.flatten()[0])
        draw = torch.randn(z.shape, generator=torch.Generator().manual_seed(400_000 + 100 * seed + i))
        for received, kept in ((torch.as_tensor(seen.latent), faded), (z + variance**0.5 * draw, plain)):
            kept.append(receive(alone, received, levels, visited[10:], variance))
    record["fading"] = {"rayleigh": judged(torch.cat(faded)), "awgn": judged(torch.cat(plain))}

    record["quantised"] = {}
    for bits in QUANTISERS:
        row = {}
        for a in (10, STEPS):
            z = quantise(states[a], bits)
            variance = float((z - states[a]).square().mean())
            row[f"nothing-{a}" if a == STEPS else f"resume-{a}"] = judged(
                z if a == STEPS else receive(own, z, levels, visited[a:], 0.0, receiver="resume")
            )
            if a != STEPS:
                row[f"matched-{a}"] = judged(receive(own, z, levels, visited[a:], variance))
            row[f"variance-{a}"] = round(variance, 5)
        record["quantised"][str(bits)] = row

    record["png_bytes"] = [_as_png(picture) for picture in clean]
    record["jpeg"] = {}
    for quality in QUALITIES:
        coded = [_as_jpeg(picture, quality) for picture in clean]
        record["jpeg"][str(quality)] = _stored(tell(torch.stack([c[0] for c in coded]), clean, captions, labels)) | {
            "bytes": [c[1] for c in coded],
            "scan_bytes": [c[2] for c in coded],
        }
    return record


def _values(cells: list[dict], metric: str) -> np.ndarray:
    """By picture where it is stored so, else by task."""
    if metric in UNITS:
        return UNITS[metric] * np.concatenate([cell[metric] for cell in cells])
    if metric == "right":
        return np.array([int(hit) for cell in cells for hit in cell["right"]], float)
    return np.array([cell[metric] for cell in cells])


def _cell(cells: list[dict]) -> dict:
    return {metric: mean_interval(_values(cells, metric)) for metric in METRICS}


def _summary(records: list[dict]) -> dict:
    snrs, half = _snrs(records), len(records) // 2
    choosing, judging = (records[:half], records[half:]) if half else (records, records)  # one record can't be halved

    def cells(snr_db, name, part=records):
        return [r["clean"] if name == "clean" else r["snr_db"][str(snr_db)][name] for r in part]

    def gain(one, other, metric, part=records):
        return mean_interval(_values(one, metric) - _values(other, metric))

    summary: dict[str, Any] = {
        "clean": _cell([r["clean"] for r in records]),
        "another_seed": _cell([r["another_seed"] for r in records]),
        "power": {a: float(np.mean([r["power"][a] for r in records])) for a in records[0]["power"]},
        "snr_db": {
            str(snr): {name: _cell(cells(snr, name)) for name in records[0]["snr_db"][str(snr)]} for snr in snrs
        },
        "pictures": sum(len(r["clean"]["right"]) for r in records),
    }
    # Success of a request, for the latency model: rows are splits, columns are SNRs.
    splits = (0, *SPLITS, STEPS)
    summary["success"] = {
        "splits": list(splits),
        "snrs_db": snrs,
        "table": [
            [
                float(
                    np.mean(
                        _values(
                            cells(snr, "clean" if a == 0 else "nothing-20" if a == STEPS else f"matched-{a}"), "right"
                        )
                    )
                )
                for snr in snrs
            ]
            for a in splits
        ],
    }
    # SemAIGC chooses its split by SNR on one half of the captions, and is judged on the other.
    chosen = {
        snr: max(SPLITS, key=lambda a: _values(cells(snr, f"matched-{a}", choosing), "similarity").mean())
        for snr in snrs
    }
    summary["chosen_split"] = {str(snr): a for snr, a in chosen.items()}
    versus = {}
    for snr in snrs:
        ours = cells(snr, f"matched-{chosen[snr]}", judging)
        versus[str(snr)] = {
            other: {
                metric: gain(ours, cells(snr, name, judging), metric, judging)
                for metric in ("similarity", "right", "noise", "ssim")
            }
            for other, name in (
                ("non_root", "matched-10"),
                ("non_root_resume", "resume-10"),
                ("non_fine_tuning", "nothing-20"),
                ("edge", "clean"),
            )
        }
        versus[str(snr)]["ssim"] = mean_interval(_values(ours, "ssim"))
        versus[str(snr)]["ssim_other_seed"] = mean_interval(_values([r["another_seed"] for r in judging], "ssim"))
        versus[str(snr)]["ssim_over_other_seed"] = mean_interval(
            _values(ours, "ssim") - _values([r["another_seed"] for r in judging], "ssim")
        )
    summary["semaigc"] = versus
    lows = {
        other: {
            metric: lowest(versus[str(s)][other][metric] for s in snrs)["low"] for metric in ("similarity", "right")
        }
        for other in ("non_root", "non_fine_tuning")
    }
    summary["lowest_gain"] = lows
    summary["snrs_with_gain"] = {
        other: {
            metric: sum((versus[str(s)][other][metric]["low"] or 0.0) > 0 for s in snrs)
            for metric in ("similarity", "right")
        }
        for other in lows
    }
    summary["ssim_over_other_seed_low"] = lowest(versus[str(s)]["ssim_over_other_seed"] for s in snrs)["low"]
    # What the receiver does with the noise, everything else equal: split 10, against resuming.
    summary["over_resume"] = {
        str(snr): {
            name: {
                metric: gain(cells(snr, name), cells(snr, "resume-10"), metric) for metric in ("similarity", "right")
            }
            for name in records[0]["snr_db"][str(snr)]
            if name.endswith("-10") and name != "resume-10"
        }
        for snr in snrs
    }
    over = summary["over_resume"]
    summary["lowest_over_resume"] = {
        name: lowest(over[str(snr)][name]["similarity"] for snr in snrs)["low"] for name in over[str(snrs[-1])]
    }
    # ... where there is noise worth speaking of
    summary["lowest_over_resume_to_6_db"] = {
        name: lowest(over[str(snr)][name]["similarity"] for snr in snrs if snr <= 6)["low"]
        for name in over[str(snrs[-1])]
    }
    summary["fading"] = {name: _cell([r["fading"][name] for r in records]) for name in ("rayleigh", "awgn")}
    summary["fading"]["loss"] = {
        metric: gain([r["fading"]["awgn"] for r in records], [r["fading"]["rayleigh"] for r in records], metric)
        for metric in ("similarity", "right", "ssim")
    }
    summary["tint"] = {
        str(snr): {
            name: {colour: mean_interval(_values(cells(snr, name), colour)) for colour in COLOURS}
            for name in ("resume-10", "matched-10", f"matched-{chosen[snr]}", "nothing-20", "uniform-10", "uniform-20")
        }
        for snr in CONTROLS_AT
    }
    summary["tint"]["non_root_over_semaigc"] = gain(
        cells(-6, "matched-10"), cells(-6, f"matched-{chosen[-6]}"), "green"
    )
    summary["tint"]["uniform_over_gaussian"] = {
        str(a): mean_interval(np.abs(_colours(cells(-6, f"uniform-{a}"))) - np.abs(_colours(cells(-6, name))))
        for a, name in ((10, "resume-10"), (STEPS, "nothing-20"))
    }
    summary["tint"]["semaigc"] = mean_interval(_values(cells(-6, f"matched-{chosen[-6]}"), "green"))
    summary["quantised"] = {
        bits: {
            name: (
                _cell([r["quantised"][bits][name] for r in records])
                if not name.startswith("variance")
                else float(np.mean([r["quantised"][bits][name] for r in records]))
            )
            for name in records[0]["quantised"][bits]
        }
        for bits in map(str, QUANTISERS)
    }
    summary["jpeg"] = {
        str(q): _cell([r["jpeg"][str(q)] for r in records])
        | {size: float(np.mean([r["jpeg"][str(q)][size] for r in records])) for size in ("bytes", "scan_bytes")}
        for q in QUALITIES
    }
    summary["png_bytes"] = float(np.mean([r["png_bytes"] for r in records]))
    bits = 8 * np.concatenate([r["caption_bytes"] for r in records])
    summary["caption_share"] = {
        "mini": mean_interval(bits / (16 * 8 * 8 * 16)),  # of a latent of 16-bit numbers
        "paper": mean_interval(bits / (4 * 64 * 64 * 16)),
    }
    summary["channel_uses"] = _channel_uses(records, cells)
    return summary


def _colours(cells: list[dict]) -> np.ndarray:
    """Size of the mean colour shift of each task."""
    return np.linalg.norm([_values(cells, colour) for colour in COLOURS], axis=0)


def _channel_uses(records: list[dict], cells) -> dict:
    """Complex channel uses of the latent and of pictures that are as good, at capacity, the best any code could do.

    JPEG takes the lowest quality whose similarity is not below the latent's by more than 0.005 on average.
    """
    latent = 16 * 8 * 8 / 2
    table: dict[str, Any] = {}
    for snr in _snrs(records):
        ours = max((f"matched-{a}" for a in SPLITS), key=lambda name: _values(cells(snr, name), "similarity").mean())
        wanted = _values(cells(snr, ours), "similarity").mean() - 0.005
        capacity = np.log2(1 + 10 ** (snr / 10))
        good = [q for q in QUALITIES if _values([r["jpeg"][str(q)] for r in records], "similarity").mean() >= wanted]
        row = {"latent": latent, "png": mean_interval(8 * np.concatenate([r["png_bytes"] for r in records]) / capacity)}
        if good:
            for name, size in (("jpeg", "bytes"), ("jpeg_scan", "scan_bytes")):
                row[name] = mean_interval(
                    8 * np.concatenate([r["jpeg"][str(good[0])][size] for r in records]) / capacity
                )
            row["quality"] = good[0]
        table[str(snr)] = row
    rows = list(table.values())
    for name in ("png", "jpeg", "jpeg_scan"):
        uses = [row[name] for row in rows if name in row]
        low = lowest(uses)["low"] if uses else None  # none: no JPEG is as good as the latent
        table[f"lowest_{name}_over_latent"] = None if low is None else low / latent
    return table


def _tasks() -> list[dict]:
    return [{"seed": seed, "captions": CAPTIONS} for seed in range(100, 110)]


#: One picture, at the SNRs of the controls.
SMALL = {"captions": 1, "+snrs_db": list(CONTROLS_AT)}

STUDIES = {
    "pictures": Study(_tasks, pictures_run, _summary, small=SMALL),
    "receiver": Study(_tasks, receiver_run, _receiver_summary, small=SMALL | {"+snrs_db": [0]}),
}
