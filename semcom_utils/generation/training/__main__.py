"""Train the mini checkpoints: ``python -m semcom_utils.generation.training [ROLE ...]``.

Without a role, every checkpoint that has not reached its targets is trained, in the order in which they need each
other.
A run can be killed at any moment; the same command goes on where it stopped. ``--more`` goes on from the shipped
weights.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .card import read_figures, targets_reached, write_card
from .loop import Recipe, train

MODELS = Path(__file__).parents[3] / "data" / "models"
SCRATCH = Path(__file__).parents[3] / "scratch"


def recipe(role: str, scratch: Path, models: Path, scenes: int) -> Recipe:
    """Make the recipe of a role; it reads the checkpoints that it stands on from ``models``."""
    if role == "autoencoder":
        from .autoencoder import Autoencoder

        return Autoencoder(scratch, scenes)
    if role == "clip":
        from .clip import Clip

        return Clip(scratch, scenes)
    if role == "detector":
        from .detector import Detector

        return Detector(scratch, scenes)
    if role == "captioner":
        from .captioner import Captioner

        return Captioner(scratch, scenes)
    if role == "depth":
        from .maps import Depth

        return Depth(scratch, scenes)
    if role == "soft-edges":
        from .maps import SoftEdges

        return SoftEdges(scratch, scenes)
    if role == "receiver":
        from .receiver import Receiver

        return Receiver(models / "mini-text-to-image", models / "mini-autoencoder", scratch, scenes)
    if role == "grounded":
        from .grounded import GroundedDrawer

        return GroundedDrawer(
            models / "mini-text-to-image", models / "mini-autoencoder", scratch, scenes, models / "mini-detector"
        )
    if role == "subject-autoencoder":
        from .subject_autoencoder import SubjectAutoencoder

        return SubjectAutoencoder(models / "mini-autoencoder", scratch, scenes)
    if role == "jscc":
        from .jscc import Jscc

        return Jscc(scratch, scenes)
    if role == "identity":
        from .identity import Identity

        return Identity(scratch)
    if role == "subject":
        from .subject import Subject

        return Subject(
            models / "mini-text-to-image", models / "mini-autoencoder", models / "mini-subject-autoencoder", scratch,
            models / "mini-identity",
        )
    from .text_to_image import TextToImage

    return TextToImage(models / "mini-autoencoder", scratch, scenes, models / "mini-detector")


ROLES = (
    "autoencoder",
    "detector",
    "text-to-image",
    "receiver",
    "clip",
    "captioner",
    "depth",
    "soft-edges",
    "grounded",
    "subject-autoencoder",
    "identity",
    "subject",
    "jscc",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m semcom_utils.generation.training", description=__doc__)
    parser.add_argument("roles", nargs="*", metavar="ROLE", help=f"one of {', '.join(ROLES)}; all that wait by default")
    parser.add_argument("--steps", type=int, help="length of the whole run (default: the recipe's)")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="plan the run to end within so many minutes"
    )
    parser.add_argument("--scenes", type=int, default=60_000, help="how many scenes to learn from (default: 60,000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of the processor")
    parser.add_argument(
        "--more", action="store_true", help="start from the weights in data/models, not from random ones"
    )
    parser.add_argument(
        "--evaluate-only", action="store_true", help="figures, pictures and card of what is in scratch/training"
    )
    arguments = parser.parse_args()
    for role in arguments.roles:
        if role not in ROLES:
            parser.error(f"ROLE must be one of {', '.join(ROLES)}, got {role!r}")
    torch.set_num_threads(arguments.threads)
    waiting = arguments.roles or [role for role in ROLES if not targets_reached(MODELS / f"mini-{role}")]
    for role in waiting:
        folder = MODELS / f"mini-{role}"
        made = recipe(role, SCRATCH / "scenes", MODELS, arguments.scenes)
        earlier = read_figures(folder) if arguments.more else None
        model, report = train(
            made,
            SCRATCH / "training" / f"{role}.pt",
            device=arguments.device,
            minutes=arguments.minutes,
            seed=arguments.seed,
            steps=1 if arguments.evaluate_only else arguments.steps,
            initial=(lambda made=made, folder=folder: made.restore(folder)) if arguments.more else None,
        )
        figures = made.evaluate(model, torch.device(arguments.device))
        print(json.dumps({**report, **figures}, indent=2))
        pictures = made.pictures(model, torch.device(arguments.device))
        folder.mkdir(parents=True, exist_ok=True)
        made.save(model.cpu(), folder)
        if pictures is not None:
            save_grid(pictures, folder / "samples.png")
        write_card(folder, made, report, figures, earlier, device=arguments.device)
        from ..checksums import seal

        seal(folder)


def save_grid(pictures: np.ndarray, path: Path) -> None:
    """Write pictures [rows, columns, 3, height, width] in [0, 1] as one PNG."""
    rows, columns, _, height, width = pictures.shape
    grid = np.round(255 * np.clip(pictures, 0, 1)).astype(np.uint8).transpose(0, 3, 1, 4, 2)
    Image.fromarray(grid.reshape(rows * height, columns * width, 3)).save(path)


if __name__ == "__main__":
    main()
