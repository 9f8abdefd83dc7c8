"""The card of a mini checkpoint: what it is, how it was trained, how well it does on what it never saw."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from .loop import Recipe

__all__ = ["read_figures", "targets_reached", "write_card"]

#: Role -> (what it is, what it does not do).
_ABOUT = {
    "autoencoder": (
        "an autoencoder (`diffusers.AutoencoderKL`) between pictures 3x64x64 and latents 16x8x8",
        "It knows the toy world only; other pictures come back blurred and in wrong colours.",
    ),
    "text-to-image": (
        "a text-to-image latent diffusion model (`diffusers.StableDiffusionPipeline`, v-prediction)",
        "It understands the words of the toy world's grammar only. What it gets wrong most: see the held-out figures.",
    ),
    "clip": (
        "a contrastive image-text model (`transformers.CLIPModel`)",
        "It understands the toy world's grammar only.",
    ),
    "detector": (
        "an object detector (`transformers.YolosForObjectDetection`) for 36 classes, colour and kind",
        "It was trained on rendered scenes of every split, so that it can judge held-out ones.",
    ),
    "captioner": (
        "a captioner (`transformers.BlipForConditionalGeneration`) that writes canonical captions",
        "It says what the grammar can say.",
    ),
    "depth": (
        "a depth estimator (`transformers.DPTForDepthEstimation`); it returns inverse depth, 1 at the lower rim",
        "Its scale is the toy world's: one fixed camera.",
    ),
    "soft-edges": (
        "a soft edge detector (`diffusers.UNet2DModel`, time step 0); an edge's probability is its output's sigmoid",
        "It draws the outlines of things and the horizon, and leaves textures out.",
    ),
}


def write_card(folder: Path, recipe: Recipe, report: dict, figures: dict, earlier: dict | None, *, device: str) -> None:
    """Write ``README.md`` and ``figures.json`` of a checkpoint; ``earlier`` are the figures of the run before."""
    what, limits = _ABOUT[recipe.role]
    runs = [*(earlier or {}).get("runs", []), {**report, "device": device, "torch": version("torch")}]
    checks = {
        name: {
            "value": figures.get(name),
            "target": [low if low > 0 else None, high if high < float("inf") else None],
            "reached": figures.get(name) is not None and low <= figures[name] <= high,
        }
        for name, (low, high) in recipe.targets.items()
    }
    (folder / "figures.json").write_text(
        json.dumps({"role": recipe.role, "runs": runs, "held_out": figures, "targets": checks}, indent=2) + "\n",
        "utf-8",
    )
    lines = [
        "---",
        "license: cc-by-4.0",
        "library_name: " + ("transformers" if "transformers" in what else "diffusers"),
        "---",
        "",
        f"# mini-{recipe.role}",
        "",
        f'This is {what}, for the book\'s mini tier. Load it with `semcom_utils.generation.load("{recipe.role}")`.',
        "",
        "## Training",
        "",
        f"Data: {len(_scenes(recipe)):,} scenes of `semcom_utils.toyworld`, split `train`, seeds from 0 up.",
        "",
        *(
            f"- {run['steps']:,} steps in {run['minutes']:g} minutes ({run['device']}, {run['threads']} threads, "
            f"seed {run['seed']}, torch {run['torch']}; last loss {run['loss']:.4g}; {run['parameters']:,} parameters)"
            for run in runs
        ),
        "",
        f"Command: `python -m semcom_utils.generation.training {recipe.role} --steps {runs[-1]['steps']}`; "
        f"to go on from these weights: `python -m semcom_utils.generation.training {recipe.role} --more`.",
        "",
        "Weights: average over the run (EMA), stored in float16.",
        "",
        "## Held-out figures",
        "",
        "| figure | value | target |",
        "| --- | --- | --- |",
        *(f"| {name} | {value:.4g} | {_target(recipe, name, checks)} |" for name, value in figures.items()),
        "",
        "`combinations` are scenes whose things were never together in training, `attributes` hold a colour that the "
        "kind never had. Figures are of the float32 weights before storing.",
        "",
        "## Limits",
        "",
        limits,
        "",
        "SHA-256 of every file: `SHA256SUMS` in this folder; `load` checks it.",
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines), "utf-8")


def read_figures(folder: Path) -> dict:
    """What ``figures.json`` of a checkpoint says, or nothing."""
    path = folder / "figures.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def targets_reached(folder: Path) -> bool:
    """Whether a checkpoint is there and reached every target."""
    checks = read_figures(folder).get("targets")
    return bool(checks) and all(check["reached"] for check in checks.values())


def _scenes(recipe: Recipe):
    return recipe.scenes["train"] if isinstance(recipe.scenes, dict) else recipe.scenes


def _target(recipe: Recipe, name: str, checks: dict) -> str:
    if name not in recipe.targets:
        return ""
    low, high = recipe.targets[name]
    asked = f"at least {low:g}" if high in (1.0, float("inf")) else f"at most {high:g}"
    return f"{asked}: {'reached' if checks[name]['reached'] else '**missed**'}"
