"""The shared first cell, run as Colab would run it: fake ``google.colab``, small repository, pip only recorded.

``benchmarks/replay_first_cell.py`` runs it with pip and the network, beside other versions of PyTorch.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import distributions, version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CELL = (ROOT / "tools" / "colab_cell.py").read_text(encoding="utf-8")
RUN_TWICE = """
import contextlib, io, json, os, subprocess, sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
commands, really_run, said = [], subprocess.run, io.StringIO()
def run(command, **options):
    commands.append(command)
    if command[0] == "git":
        return really_run(command, **options)
    return subprocess.CompletedProcess(command, int(os.environ.get("PIP_FAILS", 0)), "it needs b ", "there is a")
subprocess.run = run
with contextlib.redirect_stdout(said):
    for _ in range(2):
        exec(compile(open(sys.argv[1]).read(), "cell", "exec"), {})
import semcom_utils
print(json.dumps({"commands": commands, "folder": os.getcwd(), "package": semcom_utils.__file__,
                  "edition": semcom_utils.EDITION, "said": said.getvalue().splitlines()}))
"""


def git(*arguments, folder):
    names = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    """A small repository with the two folders that the cell needs: an edition, and what came after it."""
    folder = tmp_path / "origin"
    (folder / "semcom_utils").mkdir(parents=True)
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "01_chapter.ipynb").write_text("")
    git("init", "-q", folder=folder)
    for edition in ("v0.1.0", "later"):
        (folder / "semcom_utils" / "__init__.py").write_text(f"EDITION = {edition!r}")
        git("add", ".", folder=folder)
        git("commit", "-q", "-m", edition, folder=folder)
        git("tag", edition, folder=folder)
    return folder


def on_colab(repository, tmp_path, **environment):
    content = tmp_path / "content"
    content.mkdir(exist_ok=True)
    (tmp_path / "cell.py").write_text(CELL.replace("/content", str(content)))
    environment = os.environ | {"SEMCOM_REPO": repository.as_uri()} | environment
    done = subprocess.run(
        [sys.executable, "-c", RUN_TWICE, str(tmp_path / "cell.py")],
        env=environment, cwd=content, capture_output=True, text=True,
    )  # fmt: skip
    return content / "semcom-book", done


def test_on_colab(repository, tmp_path):
    here, done = on_colab(repository, tmp_path)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert [command[0] for command in seen["commands"]] == ["git", sys.executable], "each is done once"
    assert seen["folder"] == str(here / "notebooks")
    assert seen["package"] == str(here / "semcom_utils" / "__init__.py"), "importable without a restart"
    assert seen["edition"] == "v0.1.0", "what the edition holds, not what came later"
    keep = seen["commands"][1][seen["commands"][1].index("-c") + 1]
    assert Path(keep).read_text() == f"numpy=={version('numpy')}\ntorch=={version('torch')}\n"
    first, second, ready, *last = seen["said"]
    assert (first[:6], second[:6]) == ("1 of 2", "2 of 2") and re.fullmatch(r"ready after \d+ s", ready)
    assert len(last) == 2 and set(last) == {
        "This chapter runs on Colab's machine, with Colab's own PyTorch and NumPy. "
        "The mini models compute on the processor."
    }


def test_an_edition_that_is_not_out_yet(repository, tmp_path):
    git("tag", "-d", "v0.1.0", folder=repository)
    _, done = on_colab(repository, tmp_path)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["edition"] == "later"
    assert "there is no edition v0.1.0 yet: this is the book of today" in seen["said"]


def test_what_fails_says_why(repository, tmp_path):
    _, done = on_colab(repository, tmp_path, SEMCOM_REPO=(tmp_path / "none").as_uri())
    assert "RuntimeError: git clone -q --depth failed" in done.stderr and "repository exists" in done.stderr
    _, done = on_colab(repository, tmp_path, PIP_FAILS="1")
    assert "RuntimeError" in done.stderr and "pip install failed:\nit needs b there is a" in done.stderr


def load_replay():
    spec = importlib.util.spec_from_file_location("replay", ROOT / "benchmarks" / "replay_first_cell.py")
    replay = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(replay)
    return replay


def test_a_replay_knows_what_should_come_of_a_version():
    replay = load_replay()
    assert replay.as_expected("99.0.1", "both stay; 60 packages to install")
    assert not replay.as_expected("99.0.1", "replaces torch 2.13.0; 60 packages to install")
    assert not replay.as_expected("99.0.1", "refused: no room")
    named = f"refused: semcom-utils depends on torch>={replay.LEAST} / The user requested (constraint) torch==1.0.0"
    assert replay.as_expected("1.0.0", named)
    assert not replay.as_expected("1.0.0", "refused: ResolutionImpossible")
    assert not replay.as_expected("1.0.0", "both stay; 60 packages to install")


def test_elsewhere_it_changes_nothing_and_says_so(monkeypatch, capsys):
    def refuse(*args, **options):
        raise AssertionError("the cell started a command")

    monkeypatch.setattr(subprocess, "run", refuse)
    before = os.getcwd(), list(sys.path)
    exec(compile(CELL, "cell", "exec"), {})
    assert (os.getcwd(), list(sys.path)) == before
    assert capsys.readouterr().out == (
        "This chapter runs in this kernel; nothing had to be installed. The mini models compute on the processor.\n"
    )


def test_its_edition_is_the_book_s():
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert re.findall(r'"SEMCOM_EDITION", "(.*?)"', CELL) == [f"v{about['version']}"]


def test_a_stand_in_has_a_name_and_a_version_and_nothing_else(tmp_path):
    replay = load_replay()
    with zipfile.ZipFile(replay.stand_in(tmp_path, "torch", "9.9.9")) as wheel:
        wheel.extractall(tmp_path / "there")
    (found,) = distributions(path=[str(tmp_path / "there")])
    assert (found.name, found.version) == ("torch", "9.9.9")
    assert {path.name for path in (tmp_path / "there").iterdir()} == {"torch-9.9.9.dist-info"}
