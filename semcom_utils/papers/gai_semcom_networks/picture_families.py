r"""Are a VAE's pictures blurred, and a GAN's not? Table II's statement about pictures, put to scenes of the toy world.

The third study behind the chapter "Families of generative models" (III of the survey). Scenes of 32 x 32 pixels; one
generator for all, and the same number of operations of training. The VAE has a likelihood whose variance is the best
one for its errors (Rybkin et al., 2021): with a fixed variance it is free to ignore what it could draw, and blurs for
that alone. The GAN is told apart by a hinge loss with spectral normalisation (Miyato et al., 2018). Between them is the
VAE whose decoder also has to pass the GAN's critic (after Larsen et al., 2016).

Sharpness is energy in high spatial frequencies. White noise has much of it, so each model is also asked how far its
pictures are from the data's as a whole. By that distance, not by their detail, the models are tuned: six settings each,
on seeds of their own (study ``blur_tuning``).
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from scipy.fft import dctn
from torch import Tensor, nn

from semcom_utils import toyworld
from semcom_utils.checks import checked, one_of, positive_integer
from semcom_utils.control.diffusion_policy import initialised
from semcom_utils.generation import load
from semcom_utils.generation.arithmetic import operations
from semcom_utils.generation.gaussian import GaussianModel, frechet_distance
from semcom_utils.pictures import picture_numbers
from semcom_utils.statistics import student_interval
from semcom_utils.studies import Study, load_result

__all__ = [
    "HELD_OUT",
    "MODELS",
    "OPERATIONS",
    "SPACES",
    "STUDIES",
    "TUNING_OPERATIONS",
    "blur_run",
    "blur_summary",
    "detail",
    "pictures",
    "tuned",
    "tuning_run",
    "tuning_summary",
]

SIZE, LATENT, BATCH = 32, 32, 64
#: What is trained.
MODELS = ("vae", "gan", "vae-critic")
#: Scenes to learn from, and pictures that each model is judged by.
TRAINING, SAMPLES = 6000, 1000
#: Of the training, counted: three minutes of a core.
OPERATIONS = 1e13
#: Of the tuning.
TUNING_OPERATIONS = 3e12
#: What was tried of each model: Adam's rate; that of its critic; and the weight of the critic's word beside the VAE's
#: loss, in nats a picture. As in DCGAN (2e-4 for both) and with the critic quicker than the generator.
SPACES = {
    "vae": [{"rate": rate} for rate in (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 4e-3)],
    "gan": [{"rate": rate, "critic_rate": quick} for rate in (1e-4, 2e-4, 4e-4) for quick in (2e-4, 4e-4)],
    "vae-critic": [
        {"rate": rate, "critic_rate": 4e-4, "word": word} for rate in (5e-4, 1e-3) for word in (100.0, 300.0, 1000.0)
    ],
}
TUNING_SEEDS = range(2)
#: What was best after the tuning's share of operations and came to no number in a whole training (seed 101).
RAN_AWAY = {"vae": [{"rate": 4e-3}]}
SEEDS = range(100, 105)
#: First seed of scenes that no model learnt from.
HELD_OUT = 5_000_000


@checked
@lru_cache(2)
def pictures(first: int, count: int) -> Tensor:
    """Toy scenes of one plain thing, half as large: each pixel is the mean of four.

    Parameters
    ----------
    first : int
        Seed of the first scene.
    count : int
        How many.

    Returns
    -------
    torch.Tensor
        ``[count, 3, 32, 32]`` in [0, 1].

    Raises
    ------
    ValueError
        If ``count`` is no positive whole number, or ``first`` no seed.
    """
    positive_integer("count", count)
    positive_integer("first", first, low=0)
    scenes = np.stack([toyworld.scene(first + k, things=1, textured=0, inside=0).image for k in range(count)])
    return torch.from_numpy(scenes).reshape(count, 3, SIZE, 2, SIZE, 2).mean((3, 5))


def _fine(n: int) -> np.ndarray:
    """Which waves of an n x n picture count as detail, ``[n, n]``."""
    u, v = np.mgrid[:n, :n]
    return np.hypot(u, v) >= n / 2


@checked
def detail(images: Any) -> np.ndarray:
    """Energy of pictures in high spatial frequencies: above half of what the grid of pixels can hold.

    Of the grey picture, by the discrete cosine transform, which has no jump at the border.

    Parameters
    ----------
    images : torch.Tensor or numpy.ndarray
        ``[batch, 3, n, n]`` in [0, 1].

    Returns
    -------
    numpy.ndarray
        ``[batch]``, mean square of the part of the picture that is so fine.

    Raises
    ------
    ValueError
        If these are no square pictures.

    Examples
    --------
    >>> stripes = np.tile([0.0, 1.0], 16) * np.ones((1, 3, 32, 32))
    >>> detail(stripes).round(2), detail(0 * stripes)
    (array([0.25]), array([0.]))
    """
    x = picture_numbers("images", images)
    if x.ndim != 4 or x.shape[1] != 3 or x.shape[2] != x.shape[3]:
        raise ValueError(f"images must be [batch, 3, n, n], got {list(x.shape)}")
    power = dctn(x.mean(1), axes=(1, 2), norm="ortho") ** 2
    return (power * _fine(x.shape[2])).mean((1, 2))


def _down(channels_in: int, channels: int, wrap: Callable = lambda layer: layer) -> list[nn.Module]:
    return [wrap(nn.Conv2d(channels_in, channels, 4, 2, 1)), nn.LeakyReLU(0.2)]


def _encoder(outputs: int, wrap: Callable = lambda layer: layer) -> nn.Module:
    """Pictures ``[batch, 3, 32, 32]`` to ``[batch, outputs]``; the critic, too."""
    layers = [*_down(3, 16, wrap), *_down(16, 32, wrap), *_down(32, 64, wrap), nn.Flatten()]
    return nn.Sequential(*layers, wrap(nn.Linear(64 * 16, outputs)))


def _generator() -> nn.Module:
    """``[batch, LATENT]`` to pictures in [0, 1] (after Radford et al., 2016); of all three models."""
    layers: list[nn.Module] = [nn.Linear(LATENT, 64 * 16), nn.Unflatten(1, (64, 4, 4)), nn.BatchNorm2d(64), nn.ReLU()]
    for wide, narrow in ((64, 48), (48, 24)):
        layers += [nn.ConvTranspose2d(wide, narrow, 4, 2, 1), nn.BatchNorm2d(narrow), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(24, 3, 4, 2, 1), nn.Sigmoid())


class _Trained:
    """A generator with what it takes to train it: ``step`` makes one step."""

    def __init__(self, name: str, seed: int, settings: dict[str, float]) -> None:
        self.name, self.settings, self.draws = name, settings, torch.Generator().manual_seed(seed)
        self.generator = initialised(_generator, seed)
        taught = list(self.generator.parameters())
        if name != "gan":
            self.encoder = initialised(lambda: _encoder(2 * LATENT), seed + 1)
            taught += self.encoder.parameters()
        betas = (0.9, 0.999) if name == "vae" else (0.0, 0.9)
        self.adam = torch.optim.Adam(taught, settings["rate"], betas)
        if name != "vae":
            spectral = nn.utils.parametrizations.spectral_norm
            self.critic = initialised(lambda: _encoder(1, spectral), seed + 2)
            self.critic_adam = torch.optim.Adam(self.critic.parameters(), settings["critic_rate"], (0.0, 0.9))

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, LATENT, generator=self.draws)

    def _likelihood(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Nats of a picture, less a constant: negative evidence bound with the best variance; and what is drawn."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        drawn = self.generator(mean + (log_variance / 2).exp() * self._noise(len(x)))
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
        return 0.5 * x[0].numel() * (drawn - x).square().mean().log() + divergence, drawn

    def step(self, x: Tensor) -> None:
        loss, made = torch.zeros(()), []
        if self.name != "gan":
            loss, drawn = self._likelihood(x)
            made = [drawn]
        if self.name != "vae":
            made.append(self.generator(self._noise(len(x))))
            fake = torch.cat(made)
            said = torch.relu(1 + self.critic(fake.detach())).mean() + torch.relu(1 - self.critic(x)).mean()
            self.critic_adam.zero_grad()
            said.backward()
            self.critic_adam.step()
            loss = loss - self.settings.get("word", 1.0) * self.critic(fake).mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()

    @torch.no_grad()
    def _quietly(self, work: Callable[[], Tensor]) -> Tensor:
        """With the running averages of the batch normalisation in place of a batch's own."""
        self.generator.eval()
        made = work()
        self.generator.train()
        return made

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Pictures ``[count, 3, 32, 32]``."""
        return self._quietly(lambda: self.generator(torch.randn(count, LATENT, generator=generator)))

    def again(self, x: Tensor) -> Tensor:
        """What comes back of pictures by way of the mean of their code."""
        return self._quietly(lambda: self.generator(self.encoder(x).chunk(2, 1)[0]))


def _learnt(task: dict) -> tuple[_Trained, int]:
    """A model that has had its share of operations, and the number of steps."""
    x, settings = pictures(0, task.get("training", TRAINING)), task.get("settings") or tuned(task["model"])
    counted = operations(lambda: _Trained(task["model"], 0, settings).step(x[:BATCH]))[1]
    steps = max(1, round(task.get("operations", OPERATIONS) / counted))
    model, order = _Trained(task["model"], task["seed"], settings), torch.Generator().manual_seed(task["seed"] + 5)
    for _ in range(steps):
        model.step(x[torch.randint(len(x), (BATCH,), generator=order)])
    return model, steps


@checked
@lru_cache
def tuned(model: str) -> dict[str, float]:
    """What a model was tuned to: of :data:`SPACES` the setting whose pictures were nearest to held-out scenes.

    Parameters
    ----------
    model : str
        Of :data:`MODELS`.

    Returns
    -------
    dict
        ``rate`` and, of a model with a critic, ``critic_rate`` and ``word``.

    Raises
    ------
    ValueError
        If ``model`` is none of these.
    """
    return load_result("gai_semcom_networks/blur_tuning")["summary"][one_of("model", model, MODELS)]["best"]


@torch.no_grad()
def _law(x: Tensor) -> GaussianModel:
    """Mean and covariance of what the mini CLIP sees in pictures."""
    seen = load("clip", device="cpu").images(nn.functional.interpolate(x, scale_factor=2, mode="bilinear")).double()
    return GaussianModel(seen.mean(0), torch.cov(seen.T))


def _sheet(x: Tensor) -> str:
    """The first eight pictures in a row, as a PNG in base64: what the chapter shows."""
    row = (255 * x[:8]).round().byte().permute(2, 0, 3, 1).reshape(SIZE, -1, 3).numpy()
    file = io.BytesIO()
    Image.fromarray(row).quantize(128, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def tuning_run(task: dict) -> dict:
    """Train a model with one of the settings that are tried.

    Parameters
    ----------
    task : dict
        ``model``, of :data:`MODELS`; ``settings``, of :data:`SPACES`; ``seed``; ``operations``. Optionally ``samples``
        and ``training`` in place of ``SAMPLES`` and ``TRAINING``.

    Returns
    -------
    dict
        ``detail`` of its pictures and their ``distance`` from held-out scenes, as :func:`blur_run` has it.
    """
    torch.set_num_threads(1)
    n, (model, _) = task.get("samples", SAMPLES), _learnt(task)
    x = model.sample(n, torch.Generator().manual_seed(task["seed"] + 6))
    return {"detail": float(detail(x).mean()), "distance": frechet_distance(_law(x), _law(pictures(HELD_OUT, 2 * n)))}


def tuning_summary(records: list[dict]) -> dict:
    """What was tried, and the best of it.

    Parameters
    ----------
    records : list of dict
        Of :func:`tuning_run`.

    Returns
    -------
    dict
        Model -> ``tried``, for each setting ``settings`` with the means over seeds of ``distance`` and ``detail``; and
        ``best``, those settings of the least distance that train to the end (``RAN_AWAY`` do not).
    """
    summary = {}
    for name, space in SPACES.items():
        tried: list[dict[str, Any]] = []
        for settings in space:
            ours = [r for r in records if r["task"]["model"] == name and r["task"]["settings"] == settings]
            means = {key: float(np.mean([r[key] for r in ours])) for key in ("distance", "detail")}
            tried.append({"settings": settings, **means})
        whole = [one for one in tried if one["settings"] not in RAN_AWAY.get(name, [])]
        summary[name] = {"tried": tried, "best": min(whole, key=lambda one: one["distance"])["settings"]}
    return summary


def blur_run(task: dict) -> dict:
    """Train a model, or take fresh scenes; look at its pictures.

    Parameters
    ----------
    task : dict
        ``model``, of :data:`MODELS`, or ``"data"``; ``seed``. Optionally ``samples``, ``training`` and ``operations``
        in place of ``SAMPLES``, ``TRAINING`` and ``OPERATIONS``.

    Returns
    -------
    dict
        ``detail``, its mean over the pictures; ``distance`` from held-out scenes, of what the mini CLIP sees
        (2-Wasserstein of the fitted Gaussians, as the Fréchet distance of Heusel et al., 2017); ``steps``; of the
        study's first seed ``sheet``, eight pictures. Of a model that encodes ``again``: detail of held-out scenes that
        it drew again. Of the VAE, ``noisy`` (its pictures with white noise up to the data's detail), and of the data
        ``blurred`` (by a Gaussian of a pixel's width): detail and distance, the controls.
    """
    torch.set_num_threads(1)
    name, seed, n = task["model"], task["seed"], task.get("samples", SAMPLES)
    reference = pictures(HELD_OUT, 2 * n)
    law, draws = _law(reference), torch.Generator().manual_seed(seed + 6)

    def told(x: Tensor) -> dict[str, float]:
        return {"detail": float(detail(x).mean()), "distance": frechet_distance(_law(x), law)}

    if name == "data":
        x = pictures(HELD_OUT + (seed + 1) * 10_000, n)
        soft = torch.from_numpy(ndimage.gaussian_filter(x.numpy(), (0, 0, 1, 1)))
        record: dict[str, Any] = told(x) | {"blurred": told(soft), "steps": 0}
    else:
        model, steps = _learnt(task)
        x = model.sample(n, draws)
        record = {**told(x), "steps": steps}
        if name != "gan":
            record["again"] = float(detail(model.again(reference[:n])).mean())
        if name == "vae":
            missing = max(0.0, float(detail(reference).mean()) - record["detail"])
            spread = math.sqrt(3 * missing / _fine(SIZE).mean())  # the grey of three colours has a third of a variance
            record["noisy"] = told((x + spread * torch.randn(x.shape, generator=draws)).clamp(0, 1))
    return record | ({"sheet": _sheet(x)} if seed == SEEDS[0] else {})


def blur_summary(records: list[dict]) -> dict:
    """What the chapter tells and the ledger checks.

    Parameters
    ----------
    records : list of dict
        Of :func:`blur_run`.

    Returns
    -------
    dict
        Model or control -> ``detail``, ``distance`` and ``of_data`` (detail over the same seed's data), intervals over
        seeds; ``again`` likewise, of those that encode, as a share of the data's detail; ``critic_adds``, detail that
        the critic adds to the VAE's pictures; ``steps``.
    """
    by = {name: [r for r in records if r["task"]["model"] == name] for name in ("data", *MODELS)}
    rows: dict[str, list[dict]] = dict(by) | {
        "blurred-data": [r["blurred"] for r in by["data"]],
        "noisy-vae": [r["noisy"] for r in by["vae"]],
    }
    whole = np.array([r["detail"] for r in by["data"]])
    summary: dict[str, Any] = {
        name: {key: student_interval([r[key] for r in chosen]) for key in ("detail", "distance")}
        | {"of_data": student_interval(np.array([r["detail"] for r in chosen]) / whole)}
        for name, chosen in rows.items()
    }
    for name in ("vae", "vae-critic"):
        summary[name]["again"] = student_interval(np.array([r["again"] for r in by[name]]) / whole)
    pairs = zip(by["vae-critic"], by["vae"], strict=True)
    return summary | {
        "critic_adds": student_interval([told["detail"] - plain["detail"] for told, plain in pairs]),
        "steps": {name: by[name][0]["steps"] for name in MODELS},
    }


STUDIES = {
    "blur_tuning": Study(
        lambda: [
            {"model": name, "settings": settings, "seed": seed, "operations": TUNING_OPERATIONS}
            for seed in TUNING_SEEDS
            for name, space in SPACES.items()
            for settings in space
        ],
        tuning_run,
        tuning_summary,
        small={"operations": 1e9, "+samples": 50, "+training": 64},
    ),
    "blur": Study(
        lambda: [{"model": name, "seed": seed} for seed in SEEDS for name in ("data", *MODELS)],
        blur_run,
        blur_summary,
        reads=("gai_semcom_networks/blur_tuning",),
        small={"+operations": 1e9, "+samples": 160, "+training": 64},
    ),
}
