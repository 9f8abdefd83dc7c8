"""The autoencoder of personalised models: mini-autoencoder, taught to draw patterns in every colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from semcom_utils import toyworld

from .autoencoder import Autoencoder, hue_error
from .data import Scenes, to_bytes
from .text_to_image import encode_scenes

__all__ = ["SubjectAutoencoder", "coloured_scene", "is_a_subject"]


def is_a_subject(thing: toyworld.Thing) -> bool:
    """Whether one of the toy world's subjects has the thing's kind, colour, pattern and colour of marks."""
    looks = [(kind, colour, texture.pattern, texture.colour) for kind, colour, texture in map(toyworld.subject, range(
        toyworld.SUBJECTS))]
    texture = thing.texture
    return texture is not None and (thing.kind, thing.colour, texture.pattern, tuple(texture.colour)) in looks


def coloured_scene(seed: int) -> toyworld.Scene:
    """A scene whose things wear patterns with marks of any colour, but none that a subject wears."""
    rng = np.random.default_rng([9_2023, seed])
    plain = toyworld.random_description(rng, None, textured=1.0)
    things = []
    for thing in plain.things:
        while True:
            mark = rng.choice([name for name in MARKS if name != thing.colour])
            texture = toyworld.Texture(thing.texture.pattern, MARKS[mark], float(rng.uniform(0.35, 0.55)))
            made = toyworld.Thing(thing.kind, thing.colour, thing.x, thing.y, thing.pose, texture)
            if not is_a_subject(made):
                break
        things.append(made)
    return toyworld.render(toyworld.Description(plain.ground, tuple(things), plain.inside))


MARKS = {"white": (0.97, 0.97, 0.97), "black": (0.10, 0.10, 0.12), **toyworld.COLOURS}


class SubjectAutoencoder(Autoencoder):
    """Fine-tunes mini-autoencoder, whose latents of ordinary scenes stay where they are.

    That one has seen white marks only, and turns other patterns into something else, whatever latents a model makes.
    Half of each batch is patterns of all colours, under the evidence bound it was trained with. The other half is
    ordinary scenes: the encoder's posterior stays near the old one's (their divergence takes the place of that from
    the prior), and the decoder learns from latents that the old encoder gave. So the text-to-image model's latents
    mean the same to both.
    """

    role = "subject-autoencoder"
    steps = 900
    rate = 1e-3
    ema_decay = 0.99
    targets = {"psnr_db": (30.0, np.inf), "psnr_db_coloured": (27.0, np.inf), "latent_shift": (0.0, 0.1)}

    def __init__(self, autoencoder: Path, scratch: Path | None = None, scenes: int = 20_000, coloured: int = 4_000):
        super().__init__(scratch, scenes)
        self.folder = autoencoder
        self.old = Autoencoder.restore(self, autoencoder).eval().requires_grad_(False)
        self.mean, self.std = encode_scenes(self.old, self.scenes, scratch)
        self.coloured = [coloured_scene(seed) for seed in range(coloured)]
        self.patterns = np.stack([to_bytes(scene.image) for scene in self.coloured])
        self.coloured = [scene.description for scene in self.coloured]

    def build(self):
        return Autoencoder.restore(self, self.folder)

    def crops(self, rng: np.random.Generator, count: int) -> torch.Tensor:
        """Crops of 32x32 around things with coloured patterns, in [-1, 1]."""
        crops = []
        for index in rng.integers(len(self.patterns), size=count):
            things = self.coloured[index].things
            thing = things[rng.integers(len(things))]
            centre = np.array([thing.y - 0.45 * thing.scale, thing.x]) + rng.uniform(-12, 12, 2)
            row, column = np.clip(np.round(centre - 16), 0, 32).astype(int)
            crops.append(self.patterns[index][:, row : row + 32, column : column + 32])
        return torch.from_numpy(np.stack(crops)).float() / 127.5 - 1

    def loss(self, model, progress, rng, device):
        if progress > 2 / 3:
            chosen = rng.integers(len(self.patterns), size=4)
            x = torch.from_numpy(self.patterns[chosen]).float() / 127.5 - 1
        else:
            x = self.crops(rng, 16)
        x = x.to(device)
        posterior = model.encode(x).latent_dist
        x_hat = model.decode(posterior.sample()).sample
        loss = (x_hat - x).square().mean() / (8 * self.pixel_variance) + posterior.kl().sum() / x.numel()
        chosen = rng.integers(len(self.scenes), size=4)
        x = torch.from_numpy(self.scenes.images[np.sort(chosen)]).float().to(device) / 127.5 - 1
        mean, std = (torch.from_numpy(part[np.sort(chosen)]).float().to(device) for part in (self.mean, self.std))
        std = std.clamp(min=1e-4)
        posterior = model.encode(x).latent_dist
        apart = 0.5 * (
            ((posterior.mean - mean) / std).square() + (posterior.std / std).square() - 1
        ) - posterior.std.log() + std.log()
        x_hat = model.decode(mean + std * torch.randn(mean.shape).to(device)).sample
        return loss + (x_hat - x).square().mean() / (8 * self.pixel_variance) + apart.sum() / x.numel()

    @torch.no_grad()
    def evaluate(self, model, device):
        figures = super().evaluate(model, device)
        figures = {name: figures[name] for name in ("psnr_db", "hue_error_degrees")}
        x = torch.from_numpy(np.array(self.held_out.images)).float().to(device) / 127.5 - 1
        new, old = (part.to(device).encode(x).latent_dist for part in (model, self.old))
        figures["latent_shift"] = float((new.mean - old.mean).square().mean() / old.mean.var())
        figures["psnr_db_old_latents"] = psnr(model.decode(old.mean).sample, x)
        scenes = [coloured_scene(seed) for seed in range(1_000_000, 1_000_100)]
        x = torch.from_numpy(np.stack([scene.image for scene in scenes])).float().to(device) * 2 - 1
        masks = np.stack([scene.instances > 0 for scene in scenes])
        for name, network in (("coloured", model), ("coloured_before", self.old)):
            x_hat = network.decode(network.encode(x).latent_dist.mean).sample
            figures[f"psnr_db_{name}"] = psnr(x_hat, x)
            figures[f"hue_error_degrees_{name}"] = hue_error(*(
                (part.cpu() / 2 + 0.5).clamp(0, 1).numpy() for part in (x, x_hat)), masks)
        return figures

    @torch.no_grad()
    def pictures(self, model, device):
        x = torch.from_numpy(np.stack([coloured_scene(seed).image for seed in range(1_000_000, 1_000_010)])).float()
        rows = [x]
        for network in (self.old, model):
            back = network.to(device).decode(network.encode((2 * x - 1).to(device)).latent_dist.mean).sample.cpu()
            rows.append((back / 2 + 0.5).clamp(0, 1))
        return torch.stack(rows).numpy()

    def save(self, model, folder):
        # The factor stays the old one's: the text-to-image model was trained with it.
        model.register_to_config(scaling_factor=self.old.config.scaling_factor)
        model.half().save_pretrained(folder, safe_serialization=True)
        without_paths(folder / "config.json")


def psnr(x_hat: torch.Tensor, x: torch.Tensor) -> float:
    """Mean PSNR of pictures in [-1, 1], in dB."""
    error = ((x_hat.clamp(-1, 1) - x) / 2).square().mean((1, 2, 3))
    return float((-10 * error.log10()).mean())


def without_paths(path: Path) -> None:
    """Drop from a JSON file what names the machine's folders: where a library read the weights from."""
    import json

    content = json.loads(path.read_text("utf-8"))
    kept = {name: value for name, value in content.items() if name not in ("_name_or_path", "base_model_name_or_path")}
    path.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
