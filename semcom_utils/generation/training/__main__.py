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
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from semcom_utils.paths import MODELS, ROOT
from semcom_utils.prose import speak_utf8

from ..checksums import seal
from ..roles import recipe_class, trainable
from .card import read_figures, targets_reached, write_card
from .loop import forget_origin, train
from .timed import restored, train_timed

#: Where scenes and half-trained models are kept.
SCRATCH = ROOT / "scratch"


def main(arguments: list[str] | None = None) -> None:
    """Train what the command line asks for, and write weights, pictures, card and sums into ``data/models``.

    Parameters
    ----------
    arguments : list of str, optional
        In place of the command line's.
    """
    speak_utf8()
    known = list(trainable())
    parser = argparse.ArgumentParser(prog="python -m semcom_utils.generation.training", description=__doc__)
    parser.add_argument("roles", nargs="*", metavar="ROLE", help=f"one of {', '.join(known)}; all that wait by default")
    parser.add_argument("--steps", type=int, help="length of the whole run (default: the recipe's)")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="plan the run to end within so many minutes"
    )
    parser.add_argument("--batch", type=int, help="pictures of a batch (default: the recipe's)")
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
    chosen = parser.parse_args(arguments)
    for role in chosen.roles:
        if role not in known:
            parser.error(f"ROLE must be one of {', '.join(known)}, got {role!r}")
    if chosen.batch is not None and chosen.batch < 1:
        parser.error(f"--batch must be at least 1, got {chosen.batch}")
    torch.set_num_threads(chosen.threads)
    waiting = chosen.roles or [role for role in known if not targets_reached(MODELS / f"mini-{role}")]
    for role in waiting:
        folder = MODELS / f"mini-{role}"
        made = recipe_class(role)(SCRATCH / "scenes", chosen.scenes, MODELS)
        if chosen.batch is not None:
            made.batch_size = chosen.batch  # type: ignore[attr-defined]
        earlier = read_figures(folder) if chosen.more else None
        initial = partial(made.restore, folder) if chosen.more else None
        options = {"device": chosen.device, "minutes": chosen.minutes, "seed": chosen.seed, "initial": initial}
        if not made.by_clock:
            steps = 1 if chosen.evaluate_only else chosen.steps
            model, report = train(made, SCRATCH / "training" / f"{role}.pt", steps=steps, **options)
        else:
            if not chosen.evaluate_only:
                train_timed(made, SCRATCH / "training" / role, steps=chosen.steps, **options)
            model, report = restored(made, SCRATCH / "training" / role)
        figures = made.evaluate(model, torch.device(chosen.device))
        print(json.dumps({**report, **figures}, indent=2))
        pictures = made.pictures(model, torch.device(chosen.device))
        folder.mkdir(parents=True, exist_ok=True)
        made.save(model.cpu(), folder)
        forget_origin(folder)
        if pictures is not None:
            save_grid(pictures, folder / "samples.png")
        write_card(folder, made, report, figures, earlier, device=chosen.device)
        seal(folder)


def save_grid(pictures: np.ndarray, path: Path) -> None:
    """Write pictures as one PNG, with a palette of 256 colours: a third as large, to be looked at, not to be measured.

    Parameters
    ----------
    pictures : numpy.ndarray
        Float ``[rows, columns, 3, height, width]`` in [0, 1]; what lies outside is cut.
    path : pathlib.Path
        Of the file.
    """
    rows, columns, _, height, width = pictures.shape
    grid = np.round(255 * np.clip(pictures, 0, 1)).astype(np.uint8).transpose(0, 3, 1, 4, 2)
    whole = Image.fromarray(grid.reshape(rows * height, columns * width, 3))
    whole.quantize(256, kmeans=3).save(path, optimize=True)


if __name__ == "__main__":
    main()
