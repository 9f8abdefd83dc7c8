r"""Denoising by AIGC (Wang et al., 2024, section III-C): received latents as a state of the diffusion model.

A latent :math:`z` of unit power crosses an analog link and arrives as :math:`y = z + n`, :math:`n` of variance
:math:`\sigma^2` per number. Scaled by :math:`\sqrt{\bar\alpha}` with :math:`\bar\alpha = 1 / (1 + \sigma^2)` it *is* a
state of the forward process, of the timestep at which the schedule has that level. So the receiver needs no training:
it asks the model once for the posterior mean, or takes a few deterministic steps from there. Both hang on the noise
that the receiver is told.

A small network sees too little of weak noise. Its answer is multiplied by the gain that leaves least error on training
scenes, one number a timestep (:func:`gains`); for a perfect model it would be 1.

Its rivals are doing nothing and the linear estimate of least mean squared error, with mean and covariance of latents
of the training scenes. The latter is what the former would be if latents were Gaussian.

The study ``denoising`` compares them over SNR, told the noise, told it wrongly, and told what pilots say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, finite_array, positive_integer, real_number
from semcom_utils.statistics import student_interval
from semcom_utils.studies import Study

from .noise_estimate import estimate_noise, pilot_symbols

if TYPE_CHECKING:
    import torch

    from semcom_utils.generation.gaussian import GaussianModel

__all__ = [
    "ERRORS_DB",
    "LADDER",
    "PILOTS",
    "SNRS_DB",
    "STEPS",
    "STUDIES",
    "as_state",
    "denoise",
    "gains",
    "latents_of",
    "linear_estimate",
    "models",
    "run",
    "tasks",
    "training_law",
    "transmit",
]

#: Es/N0 per complex channel use, dB; by how much the receiver may be wrong about it.
SNRS_DB, ERRORS_DB = (-6, 0, 6, 12), (-6, -3, 0, 3, 6)
#: Deterministic steps of the longer way; pilots of the receiver that is told nothing; training scenes of the law.
STEPS, PILOTS, FIT = 5, 16, 3000
#: Measures of a latent and of its picture, and in which unit a record is a whole number.
UNITS = {"error": 1e-4, "ssim": 1e-4, "right": 1}
#: Pictures of the study, and of a task.
PICTURES, BLOCK = 32, 16
#: What is compared in pairs.
PAIRS = (
    ("calibrated", "nothing"),
    ("calibrated", "linear"),
    ("calibrated", "posterior"),
    ("calibrated", "calibrated pilots"),
    ("calibrated caption", "calibrated"),
    ("steps", "calibrated"),
    ("calibrated estimated", "calibrated mean"),
    ("calibrated estimated", "linear estimated"),
)
#: Timesteps at which the network's gain is measured, and training scenes for it.
LADDER, CALIBRATED_ON = (10, 40, 80, 120, 160, 220, 300, 400, 600, 800), 32


@checked
def as_state(received: torch.Tensor, variance: float, alpha_bar: torch.Tensor) -> tuple[torch.Tensor, float]:
    """A noisy latent as a state of the forward process.

    Parameters
    ----------
    received : torch.Tensor
        Latents of about unit variance with noise, ``[batch, ...]``.
    variance : float
        Of the noise, per number, at least 0.
    alpha_bar : torch.Tensor
        ᾱ, ``[T]``, falling.

    Returns
    -------
    state : torch.Tensor
        ``received`` times the root of 1 / (1 + variance).
    timestep : float
        In [0, T − 1], fractional; the nearest end where the schedule has no such level.

    Raises
    ------
    ValueError
        If an argument is none of these.

    Examples
    --------
    >>> import torch
    >>> levels = torch.tensor([0.9, 0.5, 0.1])
    >>> as_state(torch.ones(1, 2), 1.0, levels)
    (tensor([[0.7071, 0.7071]]), 1.0)
    """
    levels = finite_array("alpha_bar", alpha_bar.detach().cpu().double().numpy(), low=0, low_open=True)
    if levels.ndim != 1 or not len(levels) or levels[0] > 1 or (np.diff(levels) >= 0).any():
        raise ValueError(f"alpha_bar must be one row of falling numbers in (0, 1], got shape {levels.shape}")
    level = 1 / (1 + real_number("variance", variance, low=0))
    return received * level**0.5, float(np.interp(-level, -levels, np.arange(len(levels))))


@checked
def denoise(
    epsilon: Callable[[torch.Tensor, float], torch.Tensor],
    received: torch.Tensor,
    variance: float,
    alpha_bar: torch.Tensor,
    steps: int = 1,
) -> torch.Tensor:
    """What a diffusion model makes of noisy latents.

    Parameters
    ----------
    epsilon : callable
        The denoiser, ``epsilon(z, t)``, t fractional.
    received : torch.Tensor
        Latents with noise, ``[batch, ...]``.
    variance : float
        What the receiver takes the noise's variance per number to be.
    alpha_bar : torch.Tensor
        ᾱ, ``[T]``, falling.
    steps : int
        1: the model's posterior mean. More: so many deterministic (DDIM) steps, the timesteps evenly spaced.

    Returns
    -------
    torch.Tensor
        Of the shape of ``received``.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    from semcom_utils.generation.samplers import ddim_step
    from semcom_utils.generation.split import level_at

    z, start = as_state(received, variance, alpha_bar)
    times = np.linspace(start, 0, positive_integer("steps", steps) + 1)[:-1].tolist()
    levels = [level_at(alpha_bar, t) for t in times]
    if not start > 0:  # less noise than the schedule's cleanest state has
        return received
    for t, now, then in zip(times, levels, [*levels[1:], 1.0], strict=True):
        z = ddim_step(z, epsilon(z, t), now, then)
    return z


@checked
def linear_estimate(law: GaussianModel, received: torch.Tensor, variance: float) -> torch.Tensor:
    """The linear estimate of least mean squared error: μ + Σ (Σ + σ² I)⁻¹ (y − μ).

    Parameters
    ----------
    law : GaussianModel
        Mean and covariance of latents.
    received : torch.Tensor
        Latents with noise, ``[batch, ...]``.
    variance : float
        What the receiver takes the noise's variance per number to be, above 0.

    Returns
    -------
    torch.Tensor
        Of the shape of ``received``.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    from semcom_utils.generation.gaussian import GaussianModel

    if not isinstance(law, GaussianModel):
        raise ValueError(f"law must be a GaussianModel, got {type(law).__name__}")
    level = 1 / (1 + real_number("variance", variance, low=0, low_open=True))
    if not received.is_floating_point() or received.ndim < 1 or received.shape[1:] != law.mean.shape:
        raise ValueError(
            f"received must be floating-point [batch, {', '.join(map(str, law.mean.shape))}], got {received.dtype} "
            f"{list(received.shape)}"
        )
    return law.denoise(received * level**0.5, level)


@checked
def transmit(
    latents: torch.Tensor, snr_db: float, channel: str, generator: torch.Generator, pilots: int = PILOTS
) -> dict[str, Any]:
    """Latents through the analog link, each in a block of its own behind its pilots.

    Two numbers are a complex channel use; power is 1 per use over the latent. The receiver divides by the gain: on
    ``awgn`` it is 1, on ``rayleigh-block`` what the pilots say.

    Parameters
    ----------
    latents : torch.Tensor
        ``[batch, ...]``, an even number of numbers each.
    snr_db : float
        Mean Es/N0 per complex channel use, dB, from -100 to 100.
    channel : str
        ``"awgn"`` or ``"rayleigh-block"``.
    generator : torch.Generator
        Draws gains and noise.
    pilots : int
        Of a block.

    Returns
    -------
    dict
        ``received`` in the sender's scale, of the shape of ``latents``; and variances of its noise per number,
        ``[batch]``: ``true``, ``mean`` (by the mean SNR alone) and ``estimated``.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    import torch

    from .noise_estimate import send_pilots

    size = latents[0].numel() if latents.ndim > 1 and len(latents) else 1
    if size % 2 or not size or not latents.is_floating_point() or not torch.isfinite(latents).all():
        raise ValueError(
            f"latents must be [batch, ...] of finite floating-point numbers, an even number each, got {latents.dtype} "
            f"{list(latents.shape)}"
        )
    batch, flat = len(latents), latents.flatten(1).double().numpy()
    said, gains = send_pilots(pilots, batch, snr_db, channel, generator)
    known = estimate_noise(said, pilot_symbols(pilots), gains if channel == "awgn" else None)
    half = (flat**2).mean(1)  # the power of one real number
    noise = (
        np.sqrt(half[:, None] * 10 ** (-snr_db / 10))
        * torch.randn(flat.shape, generator=generator, dtype=torch.float64).numpy()
    )
    # Noise is circular, so turning it back with the gain's phase changes nothing: amplitudes are enough.
    gain, hat = gains[:, None], known.gain[:, None]
    uses = flat[:, 0::2] + 1j * flat[:, 1::2]
    arrived = (gain * uses + noise[:, 0::2] + 1j * noise[:, 1::2]) / hat
    back = np.stack([arrived.real, arrived.imag], -1).reshape(flat.shape)
    return {
        "received": torch.from_numpy(back).to(latents.dtype).reshape(latents.shape),
        "true": half * 10 ** (-snr_db / 10) / np.abs(gains) ** 2,
        "mean": half * 10 ** (-snr_db / 10),
        "estimated": half * known.variance / np.abs(known.gain) ** 2,
    }


# --- models, latents, their law --------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def models() -> dict[str, Any]:
    """The mini models of the study, on the CPU.

    Returns
    -------
    dict
        ``text-to-image``, ``judge``, and ``untrained``, a network of the same shape with random weights.
    """
    import torch

    from semcom_utils.generation import Judge, load

    pipeline = load("text-to-image", device="cpu")
    pipeline.unet.to(memory_format=torch.channels_last)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = type(pipeline.unet).from_config(pipeline.unet.config).eval()
    return {"text-to-image": pipeline, "judge": Judge(load("detector", device="cpu")), "untrained": untrained}


def latents_of(images: Any, autoencoder: Any) -> torch.Tensor:
    """Latents of pictures in the diffusion model's scale.

    Parameters
    ----------
    images : array_like
        ``[batch, 3, 64, 64]`` in [0, 1].
    autoencoder : diffusers.AutoencoderKL

    Returns
    -------
    torch.Tensor
        ``[batch, channels, rows, columns]``.

    Raises
    ------
    ValueError
        If ``images`` are none.
    """
    import torch

    array = finite_array("images", images, low=0)
    if array.ndim != 4 or array.shape[1] != 3 or not len(array) or array.max() > 1:
        raise ValueError(f"images must be [batch, 3, rows, columns] in [0, 1], got shape {array.shape}")
    x = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    with torch.no_grad():
        parts = [autoencoder.encode(2 * part - 1).latent_dist.mean for part in x.split(64)]
    return torch.cat(parts) * autoencoder.config.scaling_factor


def training_law(scenes: int = FIT) -> GaussianModel:
    """Mean and covariance of the latents of training scenes.

    Parameters
    ----------
    scenes : int
        How many, the first ones of the split ``train``; at least 2.

    Returns
    -------
    GaussianModel
        In double precision. The sample's covariance is drawn a little towards a multiple of the identity, by as much
        as leaves least error (Ledoit and Wolf, 2004).

    Raises
    ------
    ValueError
        If ``scenes`` is no whole number of at least 2.
    """
    return _law(positive_integer("scenes", scenes, low=2))


@lru_cache(maxsize=2)
def _law(number: int) -> GaussianModel:
    import torch

    from semcom_utils.generation.gaussian import GaussianModel

    autoencoder = models()["text-to-image"].vae
    blocks = [range(first, min(first + 256, number)) for first in range(0, number, 256)]
    parts = [latents_of(np.stack([toyworld.scene(seed).image for seed in block]), autoencoder) for block in blocks]
    z = torch.cat(parts).double()
    mean, x = z.mean(0), (z - z.mean(0)).flatten(1)
    sample, d = x.T @ x / len(x), x.shape[1]
    level = sample.trace() / d
    far = ((sample - level * torch.eye(d)) ** 2).sum()
    scatter = ((x**2).sum(1) ** 2).mean() - (sample**2).sum()
    share = float((scatter / len(x) / far).clamp(0, 1)) if float(far) > 0 else 1.0
    return GaussianModel(mean, (1 - share) * sample + share * level * torch.eye(d, dtype=z.dtype))


@lru_cache(maxsize=1)
def gains() -> tuple[float, ...]:
    """What the network's answers are multiplied by at the timesteps :data:`LADDER`.

    Returns
    -------
    tuple of float
        The regression of v on what the network says of it without a caption, over training scenes.
    """
    import torch

    from semcom_utils.generation.prompted import PromptedDenoiser
    from semcom_utils.generation.schedules import add_noise, convert
    from semcom_utils.generation.split import level_at

    pipeline = models()["text-to-image"]
    scenes = [toyworld.scene(20_000 + k) for k in range(CALIBRATED_ON)]
    z = latents_of(np.stack([scene.image for scene in scenes]), pipeline.vae)
    network, found = PromptedDenoiser(pipeline, [""], 1.0), []
    for t in LADDER:
        noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(t))
        level = level_at(network.alpha_bar, float(t))
        state = add_noise(z, noise, level)
        v = convert(noise, state, level, have="epsilon", want="v")
        said = network.predict(state, float(t))
        found.append(float((v * said).sum() / (said * said).sum()))
    return tuple(found)


# --- the study -------------------------------------------------------------------------------------------------------


def tasks() -> list[dict]:
    """Blocks of pictures, at each SNR on AWGN and at some on block fading.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    points = [("awgn", snr) for snr in SNRS_DB] + [("rayleigh-block", snr) for snr in (3, 9)]
    return [
        {"channel": channel, "snr_db": snr, "first": first, "pictures": BLOCK, "fit": FIT}
        for channel, snr in points
        for first in range(0, PICTURES, BLOCK)
    ]


def _conditions(channel: str) -> dict[str, tuple]:
    """Name -> (who estimates, what is told of the noise, by how many dB it is wrong)."""
    if channel == "awgn":
        wrong = {
            f"{who} {error:+d}" if error else who: (who, "true", error)
            for who in ("linear", "calibrated", "steps")
            for error in ERRORS_DB
        }
        return {
            "nothing": ("nothing", "true", 0),
            "posterior": ("posterior", "true", 0),
            **wrong,
            **{f"{who} pilots": (who, "estimated", 0) for who in ("linear", "calibrated")},
            **{f"{who} caption": (f"{who} caption", "true", 0) for who in ("calibrated", "steps")},
            "untrained": ("untrained", "true", 0),
        }
    return {
        "nothing": ("nothing", "true", 0),
        **{
            f"{who} {told}" if told != "true" else who: (who, told, 0)
            for who in ("linear", "calibrated")
            for told in ("true", "mean", "estimated")
        },
    }


def run(task: dict) -> dict:
    """All receivers on a block of pictures.

    Parameters
    ----------
    task : dict
        ``channel``; mean ``snr_db``; ``first`` picture and number of ``pictures``; ``fit``, scenes of the law.

    Returns
    -------
    dict
        Condition -> measure -> a whole number a picture (``UNITS``): squared error of the latent over its energy,
        SSIM of the decoded picture to the one that was sent, and whether the judge finds the right things.
        ``clean`` is the latent as it was sent. Where the receiver is wrong by 3 dB, the latent alone is looked at.
    """
    import torch

    from semcom_utils.generation.prompted import PromptedDenoiser

    named = models()
    pipeline = named["text-to-image"]
    scenes = [
        toyworld.scene(7000 + task["first"] + k, "combinations", textured=0.0, inside=0.0)
        for k in range(task["pictures"])
    ]
    images = np.stack([scene.image for scene in scenes])
    z = latents_of(images, pipeline.vae)
    generator = torch.Generator().manual_seed(100 * task["first"] + int(task["snr_db"]) + 50)
    sent = transmit(z, float(task["snr_db"]), task["channel"], generator)
    untold = [""] * len(scenes)
    networks = {
        "": PromptedDenoiser(pipeline, untold, 1.0),
        "caption": PromptedDenoiser(pipeline, [scene.caption for scene in scenes], 1.0),
        "untrained": PromptedDenoiser(pipeline, untold, 1.0, named["untrained"]),
    }
    law = training_law(task["fit"])
    found = {"clean": _measured(z, z, images, scenes, named)}
    for name, (who, told, error) in _conditions(task["channel"]).items():
        variances = sent[told] * 10 ** (-error / 10)
        made = _estimate(who, sent["received"], variances, networks, law)
        if abs(error) == 3:
            found[name] = {"error": _whole("error", _lost(made, z))}
        else:
            found[name] = _measured(made, z, images, scenes, named)
    return found


def _estimate(who: str, received: Any, variances: np.ndarray, networks: Mapping[str, Any], law: Any) -> Any:
    """One receiver on a batch; latents of nearly one noise are denoised together."""
    import torch

    if who == "nothing":
        return received
    if who == "linear":
        parts = [linear_estimate(law, y[None].double(), float(v)) for y, v in zip(received, variances, strict=True)]
        return torch.cat(parts).to(received.dtype)
    kind, _, words = who.partition(" ")
    network = networks["untrained" if kind == "untrained" else words]
    steps = STEPS if kind == "steps" else 1
    return _each(network, received, variances, steps, plain=kind in ("posterior", "untrained"))


def _each(network: Any, received: Any, variances: np.ndarray, steps: int, plain: bool) -> Any:
    """Denoise latents of a noise each: one batch through the network, a timestep each."""
    import torch

    from semcom_utils.generation.samplers import ddim_step
    from semcom_utils.generation.schedules import convert
    from semcom_utils.generation.split import level_at

    alpha_bar, n = network.alpha_bar, len(received)
    states = [as_state(y[None], float(v), alpha_bar) for y, v in zip(received, variances, strict=True)]
    z, starts = torch.cat([state for state, _ in states]), np.array([max(t, 1e-3) for _, t in states])
    ladder = np.linspace(starts, 0, steps + 1)
    told = network.told if len(network.told) == n else network.told[:1].expand(n, -1, -1)
    for k in range(steps):
        now = torch.tensor([level_at(alpha_bar, t) for t in ladder[k]])
        then = torch.tensor([level_at(alpha_bar, t) for t in ladder[k + 1]]) if k + 1 < steps else torch.ones(n)
        with torch.no_grad():
            said = network.unet(z, torch.tensor(ladder[k]), told).sample
        if not plain:
            said = said * torch.tensor(np.interp(ladder[k], LADDER, gains()), dtype=z.dtype).reshape(-1, 1, 1, 1)
        noise = convert(said, z, now, have=network.prediction, want="epsilon")
        z = torch.cat([ddim_step(z[i : i + 1], noise[i : i + 1], float(now[i]), float(then[i])) for i in range(n)])
    return z


def _measured(made: Any, sent: Any, images: np.ndarray, scenes: Sequence[Any], named: Mapping[str, Any]) -> dict:
    import torch
    from skimage.metrics import structural_similarity

    vae = named["text-to-image"].vae
    with torch.no_grad():
        pictures = (vae.decode(made.float() / vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1).numpy()
    values = {
        "error": _lost(made, sent),
        "ssim": [
            structural_similarity(a, b, channel_axis=0, data_range=1.0)
            for a, b in zip(images.astype(np.float32), pictures, strict=True)
        ],
        "right": named["judge"].right(pictures, [scene.labels for scene in scenes]),
    }
    return {name: _whole(name, each) for name, each in values.items()}


def _lost(made: Any, sent: Any) -> np.ndarray:
    return ((made - sent) ** 2).flatten(1).sum(1).numpy() / (sent**2).flatten(1).sum(1).numpy()


def _whole(name: str, values: Any) -> list[int]:
    return [round(float(value) / UNITS[name]) for value in values]


def _column(records: Sequence[Mapping], condition: str, measure: str) -> np.ndarray:
    return np.concatenate([np.array(r[condition][measure]) for r in records]) * UNITS[measure]


def _summary(records: Sequence[Mapping]) -> dict:
    summary: dict[str, Any] = {}
    for channel in dict.fromkeys(r["task"]["channel"] for r in records):
        place = summary.setdefault(channel, {})
        for snr in dict.fromkeys(r["task"]["snr_db"] for r in records if r["task"]["channel"] == channel):
            part = [r for r in records if r["task"]["channel"] == channel and r["task"]["snr_db"] == snr]
            names = [name for name in part[0] if name not in ("task", "meta")]
            point = place.setdefault(str(snr), {})
            point["is"] = {
                name: {measure: student_interval(_column(part, name, measure)) for measure in part[0][name]}
                for name in names
            }
            # in pairs, over the pictures: how much less of the error, and how much more of SSIM
            for key, measure, sign in (("saved", "error", -1), ("ssim_gained", "ssim", 1)):
                point[key] = {
                    f"{one} over {other}": student_interval(
                        sign * (_column(part, one, measure) - _column(part, other, measure))
                    )
                    for one, other in PAIRS
                    if one in names and other in names
                }
    return summary


STUDIES = {"denoising": Study(tasks, run, _summary, small={"first": 0, "pictures": 1, "fit": 8})}
