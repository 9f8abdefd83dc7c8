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
    "soft-edges": (
        "an edge detector (`diffusers.UNet2DModel`, its time step always 0) whose output's sigmoid is the probability "
        "of an edge",
        "It draws the outlines of things and the horizon, and leaves textures and shading out, as it was taught to.",
    ),
    "subject-autoencoder": (
        "the decoder of mini-autoencoder (`diffusers.AutoencoderKL`) after fine-tuning on patterns whose marks have "
        "any colour: what personalised models draw with",
        "It knows the toy world only. Its encoder is mini-autoencoder's.",
    ),
    "jscc": (
        "deep joint source-channel coding (`semcom_utils.generation.jscc.DeepJscc`): pictures of 64x64 pixels to 512 "
        "complex channel symbols and back, told the SNR",
        "It knows the toy world only, SNRs from -6 to 24 dB, and one bandwidth: 512 complex uses for 12,288 samples, "
        "1/24. It is trained for the mean squared error, so at low SNR it blurs.",
    ),
    "identity": (
        "a classifier (`transformers.ResNetForImageClassification`) of the toy world's thirty subjects: which of them "
        "does a picture, or a box of it, show?",
        "It is the judge of personalised models and has seen rendered views only. It always names one of the thirty: "
        "what is none of them is not told apart.",
    ),
    "subject": (
        "thirty low-rank adapters (LoRA, in diffusers' format) of the UNet of mini-text-to-image, one for each of the "
        "toy world's subjects: after `sks`, the word that means nothing to the others, the model draws that subject",
        "One adapter knows one subject. It was taught that subject alone on a ground; the pattern comes out less sharp "
        "than rendered.",
    ),
    "grounded": (
        "what grounding adds to mini-text-to-image: gated self-attention (`diffusers.UNet2DConditionModel` with "
        "`attention_type=\"gated\"`) that puts named things where their boxes are",
        "It takes up to three boxes, each with a colour and a kind. It knows boxes that the toy world's camera could "
        "have given: a thing's size follows from where it stands, and a box of another size is obeyed less well.",
    ),
}
#: Split -> what it holds for a model that was trained on ``train`` alone.
_SPLITS = {
    "train": "scenes drawn as those of training, with other seeds",
    "combinations": "scenes of which a caption says things together that were never said together in training",
    "attributes": "scenes in which a thing has a colour that its kind never had in training",
}
#: Role -> whose parameters are counted, where it is not the whole.
_WHO = {"subject": "Each adapter"}
#: Role whose data is no split -> what it is.
_DATA = {
    "identity": "views from number 1,000 on of each subject",
    "subject": "the first six views of each subject, and pictures of its kind that mini-text-to-image made",
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
    "one_thing_right": "share of pictures of one thing where mini-detector finds just what the caption asked for (200)",
    "two_things_right": "the same for two things",
    "one_thing_right_unseen_attributes": "one thing, in a colour that its kind never had (`attributes`, 200)",
    "error_tuned": "mean squared error of the estimated latent (640 scenes, `combinations`)",
    "error_matched": "the same for mini-text-to-image told a matching later timestep",
    "error_resume": "the same for mini-text-to-image told nothing of the channel's noise",
    "error_over_resume": "`error_tuned` over `error_resume`",
    "psnr_db_coloured": "PSNR, dB, of 100 scenes with patterns in all colours, none of them a subject's",
    "psnr_db_coloured_before": "the same for mini-autoencoder",
    "hue_error_degrees_coloured": "mean error of hue on their coloured pixels of things, degrees",
    "hue_error_degrees_coloured_before": "the same for mini-autoencoder",
    **{
        f"psnr_db_{channel}_{snr}": f"PSNR, dB, over {what} at {snr} dB (128 pictures, `combinations`)"
        for channel, what in (
            ("awgn", "AWGN"),
            ("rayleigh_block", "Rayleigh fading with one gain a picture, known to the receiver"),
            ("rayleigh_fast", "Rayleigh fading with one gain a symbol, known to the receiver"),
        )
        for snr in (0, 10, 20)
    },
    "gain_of_10_db": "what 10 dB in place of 0 dB gains over AWGN, dB of PSNR",
    "identity_right": "share of pictures in which the right one of thirty subjects is likeliest",
    "identity_right_in_box": "the same, told the subject's box",
    "identity_right_without": "the same for pictures that the model without adapter makes of the same prompts",
    "identity_right_caption": "the same for what it makes of captions that name colour and pattern",
    "ground_right": "share of pictures with adapter on the ground that was asked for",
    "box_iou": "mean overlap (intersection over union) of the boxes sent and the best box of the same label that "
    "mini-detector finds in the picture, 0 where it finds none (200 scenes of one to three things, `combinations`)",
    "box_iou_shuffled": "the same for pictures drawn with the boxes of another scene with as many things",
    "box_iou_none": "the same for pictures drawn without boxes: where things stand by chance",
    "box_iou_no_caption": "the same for pictures drawn from labels and boxes without a caption",
    "box_iou_rendered": "the same for the rendered scenes: what the judge leaves within reach",
    "prompt_obeyed": "share of these pictures in which mini-detector finds just the labels that were sent",
    "prompt_obeyed_shuffled": "the same with the boxes of another scene",
    "prompt_obeyed_none": "the same without boxes",
    "prompt_obeyed_no_caption": "the same without a caption",
    "two_things_right_unseen_attributes": "two things, at least one in such a colour (`attributes`, 200)",
}
#: Role -> what `samples.png` shows.
_SAMPLES = {
    "autoencoder": "pictures of `combinations` above, the same after encoding and decoding below",
    "text-to-image": "pictures made from captions of `combinations`, of one thing (two rows, the same captions with "
    "other noise), two things (likewise) and three",
    "depth": "pictures of `combinations`, their exact inverse depth, and the model's",
    "soft-edges": "pictures of `combinations`, their exact edges softened as the training target is, and the model's",
    "subject-autoencoder": "scenes with patterns in all colours, the same after mini-autoencoder, and after this one",
    "jscc": "pictures of `combinations`, and the same after AWGN at 20, 10 and 0 dB",
    "subject": "for ten subjects (columns) a rendered view, pictures with its adapter on the four grounds, and one "
    "without adapter",
    "grounded": "rendered scenes of `combinations` with the boxes that are sent; drawn from caption and boxes (two "
    "rows, the same with other noise), from labels and boxes without a caption, and from the caption without boxes",
}
#: Roles whose figures are of pictures that they draw.
_DRAWING = ("text-to-image", "grounded", "subject")
#: Role whose folder holds only what was trained -> what that is added to.
_BASE = {
    "grounded": "mini-text-to-image",
    "subject": "mini-text-to-image",
    "subject-autoencoder": "mini-autoencoder",
}
#: Role -> the other checkpoints' weights that it stands on.
_STANDS_ON = {
    "text-to-image": "mini-autoencoder, whose weights stay as they are (a copy is in this folder, not counted above)",
    "receiver": "mini-text-to-image, whose UNet it starts from and whose text encoder it keeps, and mini-autoencoder",
    "subject-autoencoder": "mini-autoencoder, from whose weights it starts",
    "grounded": "mini-text-to-image, whose weights stay as they are, and mini-autoencoder",
    "subject": "mini-text-to-image, whose weights stay as they are, and mini-subject-autoencoder; mini-identity judges",
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
        f"This is {what}. {_WHO.get(role, 'It')} has {runs[-1]['parameters']:,} parameters. It is part of the mini "
        "tier of the book *Generative Semantic Communication: five papers reproduced* "
        "(https://github.com/semcom-book/semcom-book). Load it, in the book's repository, with",
        "",
        "```python",
        "from semcom_utils.generation import load",
        "",
        f'model = load("{role}"{", identifier=0" if role == "subject" else ""})',
        "```",
        "",
        f"The folder holds only what was trained; `load` adds it to {_BASE[role]}."
        if role in _BASE
        else "or with the class named above, from this folder.",
        "",
        "## Training",
        "",
        f"Data: rendered scenes of `semcom_utils.toyworld`, {_DATA.get(role, ', '.join(seen))}. No other data. "
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
        + (" Pictures are made in 20 steps with guidance 3." if role in _DRAWING else "")
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
