"""The card of a mini checkpoint: what it is, how it was trained, how well it does on what it never saw.

``python -m semcom_utils.generation.training.card`` writes the cards in ``data/models`` anew from their figures.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from ..checksums import seal
from .loop import Recipe

__all__ = ["card_text", "read_figures", "targets_reached", "write_card"]

#: Role -> (what it is, what it does not do).
_ABOUT = {
    "autoencoder": (
        "an autoencoder (`diffusers.AutoencoderKL`) between pictures of 3x64x64 numbers and latents of 16x8x8",
        "It knows the toy world only. Outside of it, colours and fine structure are lost.",
    ),
    "text-to-image": (
        "a text-to-image latent diffusion model (`diffusers.StableDiffusionPipeline`: a UNet that predicts v, a text "
        "encoder trained with it, mini-autoencoder, DDIM) that makes pictures of 64x64 pixels",
        "It understands the words of the toy world's grammar only, up to three things on one ground. Colours that a "
        "kind never had in training come out worse than known ones, and patterns are often blurred.",
    ),
    "receiver": (
        "the UNet of mini-text-to-image (`diffusers.UNet2DConditionModel`), fine-tuned on latents with channel noise",
        "It knows noise of channels between -6 and 15 dB; it expects the text encoder of mini-text-to-image as it is.",
    ),
    "clip": (
        "a contrastive image-text model (`transformers.CLIPModel`): how well does a caption fit a picture?",
        "It understands the toy world's grammar only. No training picture was darkened, blurred or noisy, and on such "
        "pictures it errs more often: the book's chapter on the toy world measures how much.",
    ),
    "detector": (
        "an object detector (`transformers.YolosForObjectDetection`) for 36 classes, each a colour and a kind",
        "It is the judge of other models, so it was trained on rendered scenes of every split: nothing said is new to "
        "it, only the scenes are. It does not read patterns, poses or the ground.",
    ),
    "captioner": (
        "a captioner (`transformers.BlipForConditionalGeneration`) that writes the canonical caption of a picture",
        "It can say what the toy world's grammar can say, and is trusted least where a kind has a colour that it never "
        "had in training (see `exact_attributes`).",
    ),
    "depth": (
        "a depth estimator (`transformers.DPTForDepthEstimation`) that gives inverse depth, from 0 at infinity to 1 on "
        "the lower rim of the picture",
        "It knows the toy world's one camera, so its scale means nothing elsewhere. The ground comes out nearly exact; "
        "things are blurred, thin ones most (see the error on things).",
    ),
    "controlnet": (
        "a control network (`diffusers.ControlNetModel`) for mini-text-to-image, one for five kinds of map: depth, "
        "segmentation, pose, soft edges and Canny's edges, each drawn by `semcom_utils.toyworld.maps`; the map's look "
        "tells its kind",
        "It knows maps of the toy world alone, and was taught on captions that fit their maps: if they contradict each "
        "other, expect neither to win.",
    ),
    "soft-edges": (
        "an edge detector (`diffusers.UNet2DModel`, its time step always 0) whose output's sigmoid is the probability "
        "of an edge",
        "It draws the outlines of things and the horizon, and leaves textures and shading out, as it was taught to.",
    ),
    "segmentation": (
        "a reader of classes and poses (`diffusers.UNet2DModel`, its time step always 0; its input is the picture with "
        "each 2x2 block of pixels stacked into channels, and its output, stacked likewise, has 8 channels for the "
        "classes and 14 for the joints of robots). The roles `segmentation` and `pose` share it",
        "It tells classes, not single things: two of a kind that touch are one area. Of two robots it takes every "
        "joint to belong to the nearer neck.",
    ),
}
#: Split -> what it holds for a model that was trained on ``train`` alone.
_SPLITS = {
    "train": "scenes drawn as those of training, with other seeds",
    "combinations": "scenes of which a caption says things together that were never said together in training",
    "attributes": "scenes in which a thing has a colour that its kind never had in training",
}
_SEEN = "scenes of a split that was learned from, with other seeds"
#: Figure -> what it is; a name that ends in a split is looked up without it.
_FIGURES = {
    "psnr_db": "PSNR after encoding and decoding, dB, mean of 256 pictures (`combinations`)",
    "psnr_db_lowest": "the lowest of them",
    "hue_error_degrees": "mean error of hue on coloured pixels of things, degrees",
    "latent_mean": "mean of the latents, before `scaling_factor`",
    "latent_std": "their standard deviation",
    "latent_std_lowest_channel": "that of the channel where it is lowest",
    "latent_std_highest_channel": "that of the channel where it is highest",
    "retrieval_of_100": "share of pictures whose caption is found among 100 (5 times 100 pictures, `combinations`)",
    "retrieval_of_100_unseen_attributes": "the same for `attributes`",
    "prefers_truth_to_misstatement": "share of pictures that fit their caption better than one with a wrong fact (500)",
    "map_50": "mean average precision, a box counting from an overlap of 0.5 (500 scenes)",
    "all_labels_right": "share of scenes where what scores above 0.5 has just the right labels (500)",
    "exact": "share of captions right word for word (400 scenes)",
    "mean_absolute_error": "mean absolute error of inverse depth (200 scenes, `combinations`)",
    "mean_absolute_error_on_things": "the same on the pixels of things",
    "f_score": "F score of pixels with probability above 0.6, to within a pixel (200 scenes, `combinations`)",
    "precision": "precision of the same",
    "recall": "recall of the same",
    "iou": "pixels of things with the right class, over pixels that are a thing's in truth or in the result, mean of "
    "200 scenes (`combinations`)",
    "pixels_right": "share of all pixels whose class is right",
    "keypoint_distance": "mean distance of visible joints in pixels, a missed one counted as 16 (`combinations`)",
    "robots_counted_right": "share of scenes in which as many robots are found as there are",
    "one_thing_right": "share of pictures of one thing where mini-detector finds just what the caption asked for (200)",
    "two_things_right": "the same for two things",
    "one_thing_right_unseen_attributes": "one thing, in a colour that its kind never had (`attributes`, 200)",
    "error_tuned": "mean squared error of the estimated latent (640 scenes, `combinations`)",
    "error_matched": "the same for mini-text-to-image told a matching later timestep",
    "error_resume": "the same for mini-text-to-image told nothing of the channel's noise",
    "error_over_resume": "`error_tuned` over `error_resume`",
    "two_things_right_unseen_attributes": "two things, at least one in such a colour (`attributes`, 200)",
    "depth_correlation": "depth sent and mini-depth's of the picture: correlation of what rises from the empty ground, "
    "mean of 60 scenes (`combinations`)",
    "depth_correlation_whole": "the same with the ground left in, which all scenes share",
    "segmentation_iou": "segmentation sent and mini-segmentation's of the picture: pixels with the same thing's class "
    "over pixels of things in either",
    "pose_distance": "pose sent and mini-segmentation's of the picture: mean distance of visible joints in pixels, a "
    "missed one counted as 16 (scenes with robots)",
    "soft_edges_f_score": "soft edges sent and mini-soft-edges' of the picture: F score to within a pixel, without the "
    "horizon, which all scenes share",
    "canny_f_score": "Canny's edges, likewise",
    "hits": "share of these pictures in which mini-detector finds just what the caption asked for, all kinds of map",
    "hits_uncontrolled": "the same for pictures of the same captions and noise without control",
    "hits_over_uncontrolled": "`hits` over `hits_uncontrolled`",
    **{
        f"hits_{kind}": f"`hits` of the pictures made with that kind of map alone: {kind}"
        for kind in ("depth", "segmentation", "pose", "soft-edges", "canny")
    },
}
#: Ending of a figure's name -> how it differs from the figure without it.
_ENDINGS = {
    "_shuffled": "the same against the map of another scene",
    "_uncontrolled": "the same of a picture made of the caption alone, from the same noise",
    "_of_scene": "the same of the scene's own picture: the best that the reader of the map allows",
    "_low": "lower end of its 95% bootstrap interval",
    "_high": "upper end of it",
}
#: Role -> a role of :func:`semcom_utils.generation.load` that opens it, where several do.
_LOADS = {"controlnet": "controlnet-segmentation"}
#: Role -> what `samples.png` shows.
_SAMPLES = {
    "autoencoder": "pictures of `combinations` above, the same after encoding and decoding below",
    "text-to-image": "pictures made from captions of `combinations`, of one thing (two rows, the same captions with "
    "other noise), two things (likewise) and three",
    "depth": "pictures of `combinations`, their exact inverse depth, and the model's",
    "soft-edges": "pictures of `combinations`, their exact edges softened as the training target is, and the model's",
    "segmentation": "pictures of `combinations`, their exact classes and the model's, their exact poses and the "
    "model's",
    "controlnet": "for each kind (depth, segmentation, pose, soft edges, Canny) the map sent, and the picture made of "
    "it and the caption",
}
#: Role -> the other checkpoints' weights that it stands on.
_STANDS_ON = {
    "text-to-image": "mini-autoencoder, whose weights stay as they are (a copy is in this folder, not counted above)",
    "controlnet": "mini-text-to-image, whose UNet's encoder it starts from and which stays as it is, and on "
    "mini-depth, mini-soft-edges, mini-segmentation and mini-detector, which measure it",
    "receiver": "mini-text-to-image, whose UNet it starts from and whose text encoder it keeps, and mini-autoencoder",
}
_DEFAULT_SCENES, _DEFAULT_SEED = 60_000, 0


def write_card(folder: Path, recipe: Recipe, report: dict, figures: dict, earlier: dict | None, *, device: str) -> None:
    """Write ``README.md`` and ``figures.json`` of a checkpoint.

    Parameters
    ----------
    folder : pathlib.Path
        Where the weights lie already.
    recipe : Recipe
    report : dict
        Of the run, from :func:`.loop.train`.
    figures : dict
        Name -> held-out value.
    earlier : dict or None
        What ``figures.json`` said before, if the run went on from those weights.
    device : str
    """
    parts = recipe.scenes if isinstance(recipe.scenes, dict) else {"train": recipe.scenes}
    checks = {
        name: {
            "value": figures.get(name),
            "target": [low if low > 0 else None, high if high < float("inf") else None],
            "reached": figures.get(name) is not None and low <= figures[name] <= high,
        }
        for name, (low, high) in recipe.targets.items()
    }
    content = {
        "role": recipe.role,
        "scenes": {split: len(scenes) for split, scenes in parts.items()},
        "runs": [*(earlier or {}).get("runs", []), {**report, "device": device, "torch": version("torch")}],
        "held_out": figures,
        "targets": checks,
    }
    (folder / "figures.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    (folder / "README.md").write_text(card_text(folder), "utf-8")


def card_text(folder: Path) -> str:
    """Text of a checkpoint's ``README.md``, from its ``figures.json`` and its weights."""
    content = read_figures(folder)
    role, scenes, runs, figures = (content[key] for key in ("role", "scenes", "runs", "held_out"))
    what, limits = _ABOUT[role]
    seen = [f"{count:,} of split `{split}` (seeds 0 to {count - 1:,})" for split, count in scenes.items()]
    weights = sorted(folder.rglob("*.safetensors"))
    lines = [
        "---",
        "license: cc-by-4.0",
        "library_name: " + ("transformers" if "transformers" in what else "diffusers"),
        "---",
        "",
        f"# mini-{role}",
        "",
        f"This is {what}. It has {runs[-1]['parameters']:,} parameters. It is part of the mini tier of the book "
        "*Generative Semantic Communication: five papers reproduced* (https://github.com/semcom-book/semcom-book). "
        "Load it, in the book's repository, with",
        "",
        "```python",
        "from semcom_utils.generation import load",
        "",
        f'model = load("{_LOADS.get(role, role)}")',
        "```",
        "",
        "or with the class named above, from this folder.",
        "",
        "## Training",
        "",
        f"Data: rendered scenes of `semcom_utils.toyworld`, {', '.join(seen)}. No other data. "
        + (f"It stands on {_STANDS_ON[role]}." if role in _STANDS_ON else "It starts from random weights."),
        "",
        "Commands, each with what it took:",
        "",
        *(f"{number}. {_command(role, run, scenes, number)}" for number, run in enumerate(runs, 1)),
        "",
        f"To go on from these weights: `python -m semcom_utils.generation.training {role} --more`.",
        "",
        "The weights are an average over the run (EMA), stored in float16.",
        "",
        "## Held-out figures",
        "",
        *_table(content),
        "",
        *(f"- `{split}`: {meaning}." for split, meaning in _splits(content).items()),
        *([""] if _splits(content) else []),
        "Figures are of the float32 weights before storing."
        + (" Pictures are made in 20 steps with guidance 3." if role in ("text-to-image", "controlnet") else "")
        + (f" `samples.png`: {_SAMPLES[role]}." if role in _SAMPLES else ""),
        "",
        "## Limits",
        "",
        limits + _short(content),
        "",
        "## Files",
        "",
        "| weights | bytes | SHA-256 |",
        "| --- | --- | --- |",
        *(
            f"| {path.relative_to(folder).as_posix()} | {path.stat().st_size:,} "
            f"| {hashlib.sha256(path.read_bytes()).hexdigest()} |"
            for path in weights
        ),
        "",
        "`SHA256SUMS` lists the sums of all files; `load` checks them before it reads anything.",
        "",
    ]
    return "\n".join(lines)


def read_figures(folder: Path) -> dict:
    """What ``figures.json`` of a checkpoint says, or nothing."""
    path = folder / "figures.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def targets_reached(folder: Path) -> bool:
    """Whether a checkpoint is there and reached every target."""
    checks = read_figures(folder).get("targets")
    return bool(checks) and all(check["reached"] for check in checks.values())


def _command(role: str, run: dict, scenes: dict, number: int) -> str:
    options = [] if number == 1 else ["--more"]
    options += [f"--steps {run['steps']}"]
    options += [f"--scenes {scenes['train']}"] if scenes.get("train", _DEFAULT_SCENES) != _DEFAULT_SCENES else []
    options += [f"--seed {run['seed']}"] if run["seed"] != _DEFAULT_SEED else []
    place = "1 thread" if run["threads"] == 1 else f"{run['threads']} threads"
    return (
        f"`python -m semcom_utils.generation.training {role} {' '.join(options)}`: {run['minutes']:g} minutes on "
        f"{run['device']} ({place}, torch {run['torch']}), loss at the end {run['loss']:.4g}"
    )


def _split(name: str) -> str | None:
    return next((split for split in _SPLITS if name.endswith(f"_{split}")), None)


def _meaning(name: str) -> str:
    ending = next((ending for ending in _ENDINGS if name.endswith(ending) and name not in _FIGURES), None)
    if ending and name.removesuffix(ending) in _FIGURES:
        return f"`{name.removesuffix(ending)}`: {_ENDINGS[ending]}"
    split = _split(name)
    if split is None or name in _FIGURES:  # a whole name may end like a split
        same = f"{name}_combinations"
        return _FIGURES.get(name, "") + (f": `{same}`" if name in ("map_50", "exact") else "")
    return f"{_FIGURES.get(name.removesuffix(f'_{split}'), '')}, `{split}`"


def _splits(content: dict) -> dict[str, str]:
    text = " ".join(f"{name} {_meaning(name)}" for name in content["held_out"]) + _SAMPLES.get(content["role"], "")
    said = {split: meaning for split, meaning in _SPLITS.items() if f"`{split}`" in text or f"_{split}" in text}
    return {split: _SEEN if split in content["scenes"] else meaning for split, meaning in said.items()}


def _table(content: dict) -> list[str]:
    figures, checks = content["held_out"], content["targets"]
    rows = ["| figure | value | target | what it is |", "| --- | --- | --- | --- |"]
    for name in dict.fromkeys([*figures, *checks]):
        value = f"{figures[name]:.4g}" if name in figures else "not measured"
        rows.append(f"| {name} | {value} | {_target(checks.get(name))} | {_meaning(name)} |")
    return rows


def _target(check: dict | None) -> str:
    if check is None:
        return ""
    low, high = check["target"]
    asked = f"at least {low:g}" if low is not None else f"at most {high:g}"
    if check["value"] is None:
        return asked
    return f"{asked}: {'reached' if check['reached'] else '**missed**'}"


def _short(content: dict) -> str:
    """A sentence on targets that are missed or were not put to the test."""
    checks = content["targets"]
    missed = [name for name, check in checks.items() if check["value"] is not None and not check["reached"]]
    unknown = [name for name, check in checks.items() if check["value"] is None]
    return (f" It falls short of its target for {', '.join(missed)}; `--more` goes on." if missed else "") + (
        f" Not measured yet: {', '.join(unknown)}." if unknown else ""
    )


def main() -> None:
    """Write every card in ``data/models`` anew from its figures, and seal its folder."""
    for folder in sorted((Path(__file__).parents[3] / "data" / "models").glob("mini-*")):
        if read_figures(folder):
            (folder / "README.md").write_text(card_text(folder), "utf-8")
            seal(folder)


if __name__ == "__main__":
    main()
