"""A model role is one entry in one place: loading, training, cards and tests derive from it."""

import json
import re
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from semcom_utils.generation import ROLES, load, loading
from semcom_utils.generation.roles import Role, recipe_class, trainable
from semcom_utils.generation.training import __main__ as trainer
from semcom_utils.generation.training.loop import Recipe
from semcom_utils.paths import MODELS


class LineRecipe(Recipe):
    """A regression that a machine does in milliseconds."""

    role, steps, rate = "line", 200, 1e-1
    targets = {"error": (0.0, 10.0)}
    about, limits = "a line (`diffusers`)", "It is straight."
    meanings = {"error": "distance from the truth"}

    def __init__(self, scratch=None, scenes=5, models=MODELS):
        self.scenes, self.read = range(scenes), sorted(path.name for path in models.glob("mini-*"))

    def build(self):
        return torch.nn.Linear(3, 1)

    def loss(self, model, progress, rng, device):
        x = torch.from_numpy(rng.normal(size=(8, 3))).float()
        return (model(x) - x.sum(1, keepdim=True)).square().mean()

    def evaluate(self, model, device):
        return {"error": float((model.weight - 1).abs().max())}

    def save(self, model, folder):
        save_file(model.state_dict(), folder / "line.safetensors")
        (folder / "part").mkdir(exist_ok=True)
        (folder / "part" / "config.json").write_text(json.dumps({"_name_or_path": str(folder), "slope": "é"}))

    def restore(self, folder):
        return open_line(folder, torch.float32)


def open_line(folder, dtype):
    model = torch.nn.Linear(3, 1)
    model.load_state_dict(load_file(folder / "line.safetensors"))
    return model.to(dtype)


def test_a_new_role_is_one_entry(tmp_path, monkeypatch, capsys):
    """With nothing but an entry it is trained by the command line, described, sealed and loaded."""
    home = ModuleType("semcom_utils.generation.training.line")
    home.LineRecipe = LineRecipe
    monkeypatch.setitem(sys.modules, home.__name__, home)
    for module, name, place in (
        (trainer, "MODELS", tmp_path / "models"),
        (trainer, "SCRATCH", tmp_path / "scratch"),
        (loading, "MODELS", tmp_path / "models"),
    ):
        monkeypatch.setattr(module, name, place)
    with pytest.raises(SystemExit):
        trainer.main(["line"])
    assert "ROLE must be one of" in capsys.readouterr().err
    monkeypatch.setitem(ROLES, "line", Role(open_line, instead="a line needs no public one", recipe="line:LineRecipe"))
    trainer.main(["line", "--device", "cpu", "--threads", "1", "--scenes", "7"])
    model = load("line", device="cpu")
    assert np.abs(model.weight.detach().numpy() - 1).max() < 0.5
    kept = json.loads((tmp_path / "models" / "mini-line" / "part" / "config.json").read_text("utf-8"))
    assert kept == {"slope": "é"}  # where the weights lay is nobody's business
    card = (tmp_path / "models" / "mini-line" / "README.md").read_text("utf-8")
    assert all(told in card for told in ("a line (`diffusers`)", "It is straight.", "distance from the truth"))
    with pytest.raises(ValueError, match="a line needs no public one"):
        load("line", "full", device="cpu")


@pytest.mark.parametrize("role", ROLES)
def test_what_an_entry_names_is_there(role):
    entry = ROLES[role]
    assert callable(entry.opener())
    assert bool(entry.repository) != bool(entry.instead), "a repository, or a word on why there is none"
    assert (entry.gigabytes > 0) == bool(entry.repository)
    assert (entry.mini or role) in trainable(), f"no recipe makes mini-{entry.mini or role}"


@pytest.mark.parametrize("checkpoint", trainable())
def test_a_recipe_says_what_its_card_needs(checkpoint):
    recipe = recipe_class(checkpoint)
    assert issubclass(recipe, Recipe) and recipe.role == checkpoint
    assert recipe.about and recipe.limits and recipe.targets and set(recipe.targets) <= set(recipe.meanings)
    order = list(trainable())
    for other in trainable()[checkpoint].reads:
        assert order.index(other) < order.index(checkpoint), f"{checkpoint} reads {other}, which comes later"
    stands = [other for other in order if re.search(rf"mini-{other}(?![\w-])", recipe.stands_on)]
    assert set(stands) <= set(trainable()[checkpoint].reads)


def test_an_unknown_checkpoint_is_refused():
    with pytest.raises(ValueError, match="^checkpoint must be one of"):
        recipe_class("painter")


def test_the_roles_are_listed_without_any_heavy_library():
    code = (
        "import sys, semcom_utils.generation as g; list(g.ROLES)\n"
        "heavy = {'torch', 'diffusers', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from semcom_utils.generation import load, send\n"
        "assert callable(load) and callable(send) and 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(ImportError, match="nothing"):
        from semcom_utils.generation import nothing  # noqa: F401
