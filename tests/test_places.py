"""The book works wherever it lies and whoever's machine it is, or says what is wrong and what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import nbformat
import pytest

import run_notebooks
from semcom_utils import figures, paths
from semcom_utils.generation import load, loading
from semcom_utils.prose import speak_utf8

ROOT = Path(__file__).parents[1]
CHAPTER = """---
jupytext:
  text_representation: {extension: .md, format_name: myst, format_version: 0.13}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

```{code-cell} ipython3
:tags: [parameters]

updates = 100
rate: float = 0.5
name = "a"
pair = (1, 2)
live = True
seed = None
```

```{code-cell} ipython3
from semcom_utils.figures import use_house_style
import matplotlib.pyplot as plt
use_house_style()
plt.plot([1, updates])
plt.title("é α")
plt.show()
print(updates, type(updates).__name__)
```
"""


@pytest.fixture
def chapter(tmp_path):
    text = tmp_path / "Größe und Maß" / "ein_kapitel.md"
    text.parent.mkdir()
    text.write_text(CHAPTER, encoding="utf-8")
    return text


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("updates=2e3", 2000),
        ("updates=20", 20),
        ("rate=1", 1.0),
        ("rate=1e-3", 0.001),
        ("name=b", "b"),
        ("name='2e3'", "2e3"),
        ("pair=[3, 4]", (3, 4)),
        ("live=false", False),
        ("seed=7", 7),
    ],
)
def test_a_parameter_is_of_the_kind_that_the_chapter_has(item, value, chapter):
    (found,) = run_notebooks.read_parameters(chapter, [item]).values()
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("updatse=3", "no parameter 'updatse', did you mean 'updates'; it has updates=100,"),
        ("updates=2.5", "updates must be a whole number, like its value 100, got '2.5'"),
        ("updates=many", "updates must"),
        ("updates=true", "updates must"),
        ("updates", "updates must be set as updates=VALUE"),
        ("rate=fast", "rate must"),
        ("live=1", "live must"),
        ("pair=3", "pair must"),
        ("=3", "no parameter"),
    ],
)
def test_another_parameter_is_an_error_that_lists_them(item, says, chapter):
    with pytest.raises(ValueError, match=says):
        run_notebooks.read_parameters(chapter, [item])


def test_the_command_line_says_so(chapter, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["run_notebooks.py", "--out", str(tmp_path), "--set", "updatse=3", str(chapter)])
    with pytest.raises(SystemExit):
        run_notebooks.main()
    assert "did you mean 'updates'" in capsys.readouterr().err


@pytest.mark.parametrize("text", sorted((ROOT / "notebooks").glob("*.md")), ids=lambda path: path.stem)
def test_every_second_run_sets_parameters_that_the_chapter_has(text):
    assert set(run_notebooks.second_run(text)) <= set(run_notebooks.parameters_of(text))


def test_a_chapter_shows_its_figures_whatever_surrounds_it(chapter, tmp_path, monkeypatch):
    """MPLBACKEND=Agg, a settings file that asks for TeX and another font, a home that is none, a path with accents."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.family: Helvetica\nbackend: pdf\n")
    for name, value in {"MPLBACKEND": "Agg", "MATPLOTLIBRC": str(tmp_path), "HOME": "/proc/none"}.items():
        monkeypatch.setenv(name, value)
    for name in ("MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    with run_notebooks.surroundings():
        target, _ = run_notebooks.run(chapter, tmp_path, {"updates": 3})
    outputs = [output for cell in nbformat.read(target, 4).cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any(output.get("text") == "3 int\n" for output in outputs)
    assert os.environ["MPLBACKEND"] == "Agg"


def test_the_house_style_overrules_a_settings_file():
    kept = dict(mpl.rcParams)
    try:
        mpl.rcParams.update({"text.usetex": True, "font.family": ["Helvetica"], "lines.color": "red"})
        figures.use_house_style()
        assert not mpl.rcParams["text.usetex"] and mpl.rcParams["font.family"] == ["sans-serif"]
        assert mpl.rcParams["axes.grid"] and mpl.rcParams["lines.color"] == "C0"
    finally:
        mpl.rcParams.update(kept)


@pytest.mark.parametrize("page", ["scoreboard", "errata"])
def test_a_page_is_printed_whatever_the_console_can_say(page, tmp_path):
    environment = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(
        [sys.executable, "-m", "semcom_utils.ledger", page], capture_output=True, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.decode("utf-8")) > 1000


def test_what_is_no_console_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(sys, "stdout", object())
    speak_utf8()


def copied(to):
    """The package and what it needs of a checkout, as an unpacked archive has it: no git, no environment."""
    (to / "data").mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "semcom_utils", to / "semcom_utils", ignore=ignore)
    shutil.copytree(ROOT / "data" / "claims", to / "data" / "claims")
    shutil.copytree(ROOT / "data" / "models" / "mini-soft-edges", to / "data" / "models" / "mini-soft-edges")
    return to


USE = (
    "import semcom_utils, torch; torch.set_num_threads(1)\n"
    "from semcom_utils.generation import load\n"
    "from semcom_utils.studies.provenance import checkout_state\n"
    "load('soft-edges'); print(semcom_utils.__file__); print(checkout_state()['commit'])"
)


def python(code, cwd, path):
    environment = {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=cwd)


def test_an_unpacked_archive_works_with_spaces_and_accents_and_by_a_link(tmp_path):
    there = copied(tmp_path / "Größe und Maß" / "le livre (1)")
    link = tmp_path / "link"
    link.symlink_to(there)
    for folder in (there, link):
        done = python(USE, folder, folder)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        file, commit = done.stdout.splitlines()
        assert Path(file).resolve().is_relative_to(there) and commit == "unknown"


def test_another_checkout_s_code_says_so(tmp_path):
    """A copy of a checkout with its .venv runs the code of the old folder."""
    there = copied(tmp_path / "copy")
    done = python("import semcom_utils", there / "data", ROOT)
    assert done.returncode == 0
    assert "you stand in another checkout" in done.stderr and "make book" in done.stderr
    assert python("import semcom_utils", ROOT, ROOT).stderr == ""
    assert python("import semcom_utils", tmp_path, ROOT).stderr == ""


def test_a_package_without_a_checkout_says_what_to_do(tmp_path):
    shutil.copytree(ROOT / "semcom_utils", tmp_path / "site-packages" / "semcom_utils")
    done = python("from semcom_utils.generation import load; load('clip')", tmp_path, tmp_path / "site-packages")
    assert "FileNotFoundError: the checkpoint mini-clip belongs to a checkout" in done.stderr
    assert "pip install --editable" in done.stderr
    done = python("from semcom_utils.generation import load; load('soft-edges')", ROOT, tmp_path / "site-packages")
    assert done.returncode == 0, done.stderr  # Colab: a copy elsewhere, started in the checkout


def test_make_knows_a_folder_that_was_moved_and_names_with_spaces(tmp_path):
    if shutil.which("make") is None:
        pytest.skip("no make here")
    there = copied(tmp_path / "book")
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, there)
    (there / "notebooks").mkdir()
    (there / "notebooks" / "Copy of 10_isgc.ipynb").write_text("{}")
    (there / ".venv" / "bin").mkdir(parents=True)
    (there / ".venv" / ".ready").write_text(str(there))

    def plan(*targets):
        done = subprocess.run(["make", "-n", *targets], cwd=there, capture_output=True, text=True)
        assert "No rule to make target" not in done.stderr.replace("book/", ""), done.stderr
        return done.stdout

    assert "venv" not in plan("lint").replace(".venv/bin", "")
    there = there.rename(tmp_path / "moved")
    assert "-m venv --clear .venv" in plan("lint")


def test_paths_survive_a_folder_that_is_gone(tmp_path, monkeypatch):
    load("soft-edges")  # PyTorch, when first imported, asks for the folder itself
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    assert paths.other_checkout() is None and paths.repository_root() == ROOT
    assert loading.MODELS.is_dir() and load("soft-edges") is not None


def test_configurations_name_no_machine():
    for path in paths.MODELS.rglob("*.json"):
        assert "_name_or_path" not in path.read_text("utf-8"), path
