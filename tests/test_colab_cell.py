"""The standard first cell, run as Colab would run it: fake ``google.colab``, small repository, pip only recorded."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

CELL = (Path(__file__).parents[1] / "tools" / "colab_cell.py").read_text(encoding="utf-8")
RUN_TWICE = """
import json, os, subprocess, sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
commands, really_run = [], subprocess.run
def run(command, **options):
    commands.append(command)
    if command[0] == "git":
        return really_run(command, **options)
subprocess.run = run
for _ in range(2):
    exec(compile(open(sys.argv[1]).read(), "cell", "exec"), {})
import semcom_utils
print(json.dumps({"commands": commands, "folder": os.getcwd(), "package": semcom_utils.__file__}))
"""


def git(*arguments, folder):
    names = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    """A small repository with the two folders that the cell needs."""
    folder = tmp_path / "origin"
    for file in ("semcom_utils/__init__.py", "notebooks/01_chapter.ipynb"):
        (folder / file).parent.mkdir(parents=True)
        (folder / file).write_text("")
    git("init", "-q", folder=folder)
    git("add", ".", folder=folder)
    git("commit", "-q", "-m", "first", folder=folder)
    return folder


def test_on_colab(repository, tmp_path):
    content = tmp_path / "content"
    content.mkdir()
    (tmp_path / "cell.py").write_text(CELL.replace("/content", str(content)))
    done = subprocess.run(
        [sys.executable, "-c", RUN_TWICE, str(tmp_path / "cell.py")],
        env=os.environ | {"SEMCOM_REPO": repository.as_uri()}, cwd=content, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    here = content / "semcom-book"
    assert [command[0] for command in seen["commands"]] == ["git", sys.executable], "each is done once"
    assert seen["folder"] == str(here / "notebooks")
    assert seen["package"] == str(here / "semcom_utils" / "__init__.py"), "importable without a restart"
    keep = seen["commands"][1][seen["commands"][1].index("-c") + 1]
    assert Path(keep).read_text() == f"numpy=={version('numpy')}\ntorch=={version('torch')}\n"


def test_elsewhere_it_does_nothing(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("the cell started a command")

    monkeypatch.setattr(subprocess, "run", refuse)
    before = os.getcwd(), list(sys.path)
    exec(compile(CELL, "cell", "exec"), {})
    assert (os.getcwd(), list(sys.path)) == before
