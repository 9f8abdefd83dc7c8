"""The card of a mini checkpoint: what it is, how it was trained, how well it does on what it never saw.

``python -m semcom_utils.generation.training.card`` writes the cards in ``data/models`` anew from their figures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sized
from importlib.metadata import version
from pathlib import Path

from semcom_utils.paths import MODELS

from ..checksums import seal
from ..roles import ROLES, recipe_class
from .loop import Recipe

__all__ = ["card_text", "main", "read_figures", "targets_reached", "write_card"]

#: Split -> what it holds for a model that was trained on ``train`` alone.
_SPLITS = {
    "train": "scenes drawn as those of training, with other seeds",
    "combinations": "scenes of which a caption says things together that were never said together in training",
    "attributes": "scenes in which a thing has a colour that its kind never had in training",
}
_SEEN = "scenes of a split that was learned from, with other seeds"
_DEFAULT_SCENES, _DEFAULT_SEED = 60_000, 0


def write_card(folder: Path, recipe: Recipe, report: dict, figures: dict, earlier: dict | None, *, device: str) -> None:
    """Write ``README.md`` and ``figures.json`` of a checkpoint.

    Parameters
    ----------
    folder : pathlib.Path
        Where the weights lie already.
    recipe : Recipe
        What was trained.
    report : dict
        Of the run, from :func:`.loop.train`; its ``device`` and ``torch``, if it names them, are where it was trained.
    figures : dict
        Name -> held-out value.
    earlier : dict or None
        What ``figures.json`` said before, if the run went on from those weights.
    device : str
        Where it was trained, if the report does not say.
    """
    parts: Mapping[str, Sized] = recipe.scenes if isinstance(recipe.scenes, Mapping) else {"train": recipe.scenes}
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
        "runs": [*(earlier or {}).get("runs", []), {"device": device, "torch": version("torch"), **report}],
        "held_out": figures,
        "targets": checks,
    }
    (folder / "figures.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    (folder / "README.md").write_text(card_text(folder, type(recipe)), "utf-8")


def card_text(folder: Path, recipe: type[Recipe] | None = None) -> str:
    """Text of a checkpoint's ``README.md``, from its ``figures.json``, its weights and what its recipe says of it.

    Parameters
    ----------
    folder : pathlib.Path
        Of the checkpoint.
    recipe : type, optional
        The recipe's class; by default the one of :data:`.roles.ROLES`.

    Returns
    -------
    str
        Markdown, with the front matter that the hub reads.

    Raises
    ------
    ValueError
        If no recipe makes a checkpoint of the role that ``figures.json`` names.
    """
    content = read_figures(folder)
    recipe = recipe_class(content["role"]) if recipe is None else recipe
    role, scenes, runs, figures = (content[key] for key in ("role", "scenes", "runs", "held_out"))
    what = recipe.about
    seen = [f"{count:,} of split `{split}` (seeds 0 to {count - 1:,})" for split, count in scenes.items()]
    splits = _splits(content, recipe)
    weights = sorted(folder.rglob("*.safetensors"))
    opens = [name for name, entry in ROLES.items() if (entry.mini or name) == role] or [role]
    lines = [
        "---",
        "license: cc-by-4.0",
        "library_name: " + next((name for name in ("transformers", "diffusers") if name in what), "pytorch"),
        "---",
        "",
        f"# mini-{role}",
        "",
        f"This is {what}. {recipe.counted} has {runs[-1]['parameters']:,} parameters. It is part of the mini tier of "
        "the book *Generative Semantic Communication: five papers reproduced* "
        "(https://github.com/semcom-book/semcom-book). Load it, in the book's repository, with",
        "",
        "```python",
        "from semcom_utils.generation import load",
        "",
        *(f'model = load("{name}"{recipe.options and f", {recipe.options}"})' for name in opens),
        "```",
        "",
        f"The folder holds only what was trained; `load` adds it to {recipe.added_to}."
        if recipe.added_to
        else "or with the class named above, from this folder.",
        "",
        "## Training",
        "",
        f"Data: rendered scenes of `semcom_utils.toyworld`, {recipe.data or ', '.join(seen)}. No other data. "
        + (f"It stands on {recipe.stands_on}." if recipe.stands_on else "It starts from random weights."),
        "",
        "Commands, each with what it took:",
        "",
        *(f"{number}. {_command(role, run, scenes, number)}" for number, run in enumerate(runs, 1)),
        "",
        f"To go on from these weights: `python -m semcom_utils.generation.training {role} --more`.",
        "",
        "The weights are an average over the run (EMA), stored in "
        + recipe.precision
        + "."
        + (
            " The learning rate followed the clock, so the same command repeats the run, but not to the bit."
            if any("limit" in run for run in runs)
            else ""
        ),
        "",
        "## Held-out figures",
        "",
        *_table(content, recipe.meanings),
        "",
        *(f"- `{split}`: {meaning}." for split, meaning in splits.items()),
        *([""] if splits else []),
        f"Figures are of the {_judged(content, recipe)}."
        + (f" {recipe.made}" if recipe.made else "")
        + (f" `samples.png`: {recipe.samples}." if recipe.samples else ""),
        "",
        "## Limits",
        "",
        recipe.limits + _short(content),
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
    """What ``figures.json`` of a checkpoint says.

    Parameters
    ----------
    folder : pathlib.Path
        Of the checkpoint.

    Returns
    -------
    dict
        Empty if the file is not there.
    """
    path = folder / "figures.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def targets_reached(folder: Path) -> bool:
    """Whether a checkpoint is there and reached every target.

    Parameters
    ----------
    folder : pathlib.Path
        Of the checkpoint.

    Returns
    -------
    bool
        False, too, if it has no targets.
    """
    checks = read_figures(folder).get("targets") or {}
    return bool(checks) and all(check["reached"] for check in checks.values())


def _command(role: str, run: dict, scenes: dict, number: int) -> str:
    options = [] if number == 1 else ["--more"]
    options += [f"--minutes {run['limit']:g}"] if "limit" in run else [f"--steps {run['steps']}"]
    options += [f"--batch {run['batch']}"] if "batch" in run else []
    options += [f"--scenes {scenes['train']}"] if scenes.get("train", _DEFAULT_SCENES) != _DEFAULT_SCENES else []
    options += [f"--seed {run['seed']}"] if run["seed"] != _DEFAULT_SEED else []
    place = "1 thread" if run["threads"] == 1 else f"{run['threads']} threads"
    done = f" and {run['steps']:,} steps" if "limit" in run else ""
    return (
        f"`python -m semcom_utils.generation.training {role} {' '.join(options)}`: {run['minutes']:g} minutes{done} on "
        f"{run['device']} ({place}, torch {run['torch']}), loss at the end {run['loss']:.4g}"
        + (f"; {run['note']}" if "note" in run else "")
    )


def _judged(content: dict, recipe: type[Recipe]) -> str:
    stored = recipe.by_clock or any(run.get("judged") == "stored" for run in content["runs"])
    return "weights as stored" if stored else "float32 weights before storing"


def _split(name: str) -> str | None:
    return next((split for split in _SPLITS if name.endswith(f"_{split}")), None)


def _meaning(name: str, meanings: dict[str, str]) -> str:
    split = _split(name)
    if split is None or name in meanings:  # a whole name may end like a split
        same = f"{name}_combinations"
        return meanings.get(name, "") + (f": `{same}`" if name in ("map_50", "exact") else "")
    return f"{meanings.get(name.removesuffix(f'_{split}'), '')}, `{split}`"


def _splits(content: dict, recipe: type[Recipe]) -> dict[str, str]:
    text = " ".join(f"{name} {_meaning(name, recipe.meanings)}" for name in content["held_out"]) + recipe.samples
    said = {split: meaning for split, meaning in _SPLITS.items() if f"`{split}`" in text or f"_{split}" in text}
    return {split: _SEEN if split in content["scenes"] else meaning for split, meaning in said.items()}


def _table(content: dict, meanings: dict[str, str]) -> list[str]:
    figures, checks = content["held_out"], content["targets"]
    rows = ["| figure | value | target | what it is |", "| --- | --- | --- | --- |"]
    for name in dict.fromkeys([*figures, *checks]):
        value = f"{figures[name]:.4g}" if name in figures else "not measured"
        rows.append(f"| {name} | {value} | {_target(checks.get(name))} | {_meaning(name, meanings)} |")
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
    for folder in sorted(MODELS.glob("mini-*")):
        if read_figures(folder):
            (folder / "README.md").write_text(card_text(folder), "utf-8")
            seal(folder)


if __name__ == "__main__":
    main()
