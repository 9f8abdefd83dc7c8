"""The autoencoder of personalised models: mini-autoencoder with a decoder that draws patterns in every colour."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from semcom_utils import toyworld
from semcom_utils.paths import MODELS

from ..eight_bits import to_eight_bits
from ..roles import ROLES
from .autoencoder import AutoencoderRecipe, hue_error
from .data import to_bytes
from .text_to_image import encode_scenes

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

__all__ = [
    "MARKS",
    "SubjectAutoencoderRecipe",
    "coloured_description",
    "coloured_scene",
    "is_a_subject",
    "with_decoder",
]

#: Colours that a pattern's marks can have.
MARKS = {"white": (0.97, 0.97, 0.97), "black": (0.10, 0.10, 0.12), **toyworld.COLOURS}


@lru_cache
def _subjects() -> frozenset:
    return frozenset(
        (kind, colour, texture.pattern, tuple(texture.colour))
        for kind, colour, texture in map(toyworld.subject, range(toyworld.SUBJECTS))
    )


def is_a_subject(thing: toyworld.Thing) -> bool:
    """Whether one of the toy world's subjects has the thing's kind, colour, pattern and colour of marks.

    Parameters
    ----------
    thing : Thing
        Of whatever scene.

    Returns
    -------
    bool
    """
    texture = thing.texture
    return texture is not None and (thing.kind, thing.colour, texture.pattern, tuple(texture.colour)) in _subjects()


def coloured_description(seed: int) -> toyworld.Description:
    """What a scene shows whose things wear patterns with marks of any colour, but none that a subject wears.

    Parameters
    ----------
    seed : int
        At least 0.

    Returns
    -------
    Description
    """
    rng = np.random.default_rng([9_2023, seed])
    plain = toyworld.random_description(rng, None, textured=1.0)
    things = []
    for thing in plain.things:
        assert thing.texture is not None  # all are textured
        pattern = thing.texture.pattern
        while True:
            mark = rng.choice([name for name in MARKS if name != thing.colour])
            texture = toyworld.Texture(pattern, MARKS[mark], float(rng.uniform(0.35, 0.55)))
            made = toyworld.Thing(thing.kind, thing.colour, thing.x, thing.y, thing.pose, texture)
            if not is_a_subject(made):
                break
        things.append(made)
    return toyworld.Description(plain.ground, tuple(things), plain.inside)


def coloured_scene(seed: int) -> toyworld.Scene:
    """The scene of :func:`coloured_description`.

    Parameters
    ----------
    seed : int
        At least 0.

    Returns
    -------
    Scene
        Rendered.
    """
    return toyworld.render(coloured_description(seed))


class SubjectAutoencoderRecipe(AutoencoderRecipe):
    """Fine-tunes the decoder of mini-autoencoder; the encoder, and with it what latents mean, stays as it is.

    mini-autoencoder has seen white marks only. Its encoder tells other colours apart well (latents of balls with
    other marks lie 80 and more standard deviations apart), but its decoder draws them wrong. Half of each batch is
    patterns of all colours, half ordinary scenes.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads: mini-autoencoder.
    coloured : int
        How many scenes with patterns of all colours to learn from.
    """

    role = "subject-autoencoder"
    steps = 10_000
    rate = 1e-3
    ema_decay = 0.998
    batch_size = 12
    targets = {"psnr_db": (30.0, np.inf), "psnr_db_coloured": (27.0, np.inf)}
    about = (
        "the decoder of mini-autoencoder (`diffusers.AutoencoderKL`) after fine-tuning on patterns whose marks have "
        "any colour: what personalised models draw with"
    )
    limits = "It knows the toy world only. Its encoder is mini-autoencoder's."
    stands_on = "mini-autoencoder, from whose weights it starts"
    precision = "eight bits a weight, with a scale for each row (vectors in float16)"
    added_to = "mini-autoencoder"
    samples = "scenes with patterns in all colours, the same after mini-autoencoder, and after this one"
    meanings = AutoencoderRecipe.meanings | {
        "psnr_db_coloured": "PSNR, dB, of 100 scenes with patterns in all colours, none of them a subject's",
        "psnr_db_coloured_before": "the same for mini-autoencoder",
        "hue_error_degrees_coloured": "mean error of hue on their coloured pixels of things, degrees",
        "hue_error_degrees_coloured_before": "the same for mini-autoencoder",
    }

    def __init__(
        self, scratch: Path | None = None, scenes: int = 20_000, models: Path = MODELS, *, coloured: int = 6_000
    ) -> None:
        super().__init__(scratch, scenes, models)
        self.folder = models / "mini-autoencoder"
        old = super().restore(self.folder).eval()
        self.mean, self.std = encode_scenes(old, self.scenes, scratch)
        made = [coloured_scene(seed) for seed in range(coloured)]
        self.described = [scene.description for scene in made]
        self.patterns = np.stack([to_bytes(scene.image) for scene in made])
        parts = []
        with torch.no_grad():
            for start in range(0, coloured, 100):
                posterior = old.encode(_floats(self.patterns[start : start + 100])).latent_dist
                parts.append((posterior.mean, posterior.std))
        self.patterns_mean, self.patterns_std = (torch.cat(part) for part in zip(*parts, strict=True))

    def build(self) -> AutoencoderKL:
        return _decoder_alone(super().restore(self.folder))

    def loss(
        self, model: AutoencoderKL, progress: float, rng: np.random.Generator, device: torch.device
    ) -> torch.Tensor:
        chosen = rng.integers(len(self.patterns), size=self.batch_size * (1 if progress > 2 / 3 else 4))
        mean, std = self.patterns_mean[chosen], self.patterns_std[chosen]
        x, z = _floats(self.patterns[chosen]), mean + std * torch.randn(mean.shape)
        if progress <= 2 / 3:  # a quarter of the picture, around a thing
            parts = zip(
                *(self._quarter(x_, z_, self.described[k], rng) for x_, z_, k in zip(x, z, chosen, strict=True)),
                strict=True,
            )
            x, z = (torch.stack(part) for part in parts)
        loss = self._error(model, x.to(device), z.to(device))
        chosen = np.sort(rng.integers(len(self.scenes), size=self.batch_size))
        mean, std = (torch.from_numpy(part[chosen]).float() for part in (self.mean, self.std))
        x, z = _floats(self.scenes.images[chosen]), mean + std * torch.randn(mean.shape)
        return loss + self._error(model, x.to(device), z.to(device))

    def _quarter(
        self, x: torch.Tensor, z: torch.Tensor, description: toyworld.Description, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        things = description.things
        thing = things[rng.integers(len(things))]
        middle = np.array([thing.y - 0.45 * thing.scale, thing.x]) / 8 + rng.uniform(-1, 1, 2)
        row, column = np.clip(np.round(middle - 2), 0, 4).astype(int)
        part = np.s_[:, row : row + 4, column : column + 4]
        return x[:, 8 * row : 8 * row + 32, 8 * column : 8 * column + 32], z[part]

    def _error(self, model: AutoencoderKL, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return (model.decode(z).sample - x).square().mean() / (8 * self.pixel_variance)

    @torch.no_grad()
    def evaluate(self, model: AutoencoderKL, device: torch.device) -> dict[str, float]:
        figures = super().evaluate(model, device)
        figures = {name: figures[name] for name in ("psnr_db", "hue_error_degrees")}
        scenes = [coloured_scene(seed) for seed in range(1_000_000, 1_000_100)]
        x = torch.from_numpy(np.stack([scene.image for scene in scenes])).float().to(device) * 2 - 1
        masks = np.stack([scene.instances > 0 for scene in scenes])
        old = super().restore(self.folder).eval().to(device)
        for name, network in (("coloured", model), ("coloured_before", old)):
            x_hat = network.decode(network.encode(x).latent_dist.mean).sample
            error = ((x_hat.clamp(-1, 1) - x) / 2).square().mean((1, 2, 3))
            figures[f"psnr_db_{name}"] = float((-10 * error.log10()).mean())
            seen, back = ((part.cpu() / 2 + 0.5).clamp(0, 1).numpy() for part in (x, x_hat))
            figures[f"hue_error_degrees_{name}"] = hue_error(seen, back, masks)
        return figures

    @torch.no_grad()
    def pictures(self, model: AutoencoderKL, device: torch.device) -> np.ndarray:
        x = torch.from_numpy(np.stack([coloured_scene(seed).image for seed in range(1_000_000, 1_000_010)])).float()
        rows = [x]
        for network in (super().restore(self.folder).eval(), model):
            back = network.to(device).decode(network.encode((2 * x - 1).to(device)).latent_dist.mean).sample.cpu()
            rows.append((back / 2 + 0.5).clamp(0, 1))
        return torch.stack(rows).numpy()

    def save(self, model: AutoencoderKL, folder: Path) -> None:
        from safetensors.torch import save_file

        weights = {
            name: value
            for name, value in model.state_dict().items()
            if name.startswith(("decoder.", "post_quant_conv."))
        }
        save_file(to_eight_bits(weights), folder / "decoder.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps({"base": "mini-autoencoder"}, indent=2) + "\n", "utf-8")

    def restore(self, folder: Path) -> AutoencoderKL:
        return _decoder_alone(with_decoder(self.folder, folder).train())


def with_decoder(autoencoder: Path, decoder: Path) -> AutoencoderKL:
    """The autoencoder of a folder with the decoder of another, which :class:`SubjectAutoencoderRecipe` wrote.

    Parameters
    ----------
    autoencoder, decoder : pathlib.Path
        Folders of the two checkpoints.

    Returns
    -------
    diffusers.AutoencoderKL
        Float32, on the CPU, in evaluation mode.
    """
    return ROLES["subject-autoencoder"].opener()(decoder, torch.float32, autoencoder).eval()


def _decoder_alone(model: AutoencoderKL) -> AutoencoderKL:
    """The same model, whose decoder alone learns."""
    model.requires_grad_(False)
    model.decoder.requires_grad_(True)
    model.post_quant_conv.requires_grad_(True)
    return model


def _floats(images: np.ndarray) -> torch.Tensor:
    """Bytes [batch, 3, rows, columns] as numbers in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).float() / 127.5 - 1
