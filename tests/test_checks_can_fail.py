"""The checks that guard the book can fail: each is shown a small chapter, or a small site, with one thing broken.

The code that looks is the code that CI uses: conftest.py under nbval, tools/notebook_checks.py, tools/site_checks.py.
"""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import pytest

from conftest import same_output
from notebook_checks import (
    FIRST_CELL,
    code_cells,
    form_problems,
    output_problems,
    pair_problems,
    parameter_problems,
    stored,
)
from run_notebooks import run, take_over
from site_checks import figure_count, link_problems, page_problems, served

ROOT = Path(__file__).parents[1]
LIBRARY = "def loss(steps, factor={factor}):\n    return factor * 3.14159 / steps\n"
CHAPTER = f"""\
---
jupytext:
  text_representation: {{extension: .md, format_name: myst, format_version: 0.13}}
kernelspec: {{display_name: Python 3, language: python, name: python3}}
second_run: {{steps: 5}}
---

# A chapter

```{{code-cell}} ipython3
:tags: [remove-cell]

{FIRST_CELL}
```

```{{code-cell}} ipython3
import matplotlib.pyplot as plt
from library import loss
```

```{{code-cell}} ipython3
:tags: [parameters]

steps = 10
```

```{{code-cell}} ipython3
print(f"loss {{loss(steps):.4f}} after {{steps}} steps")
```

```{{code-cell}} ipython3
---
mystnb:
  figure:
    name: fig-loss
    caption: The loss, by steps.
  image:
    alt: A falling curve.
---
plt.plot(range(1, steps), [loss(n) for n in range(1, steps)])
plt.show()
```
"""


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """A folder with a sound chapter and the library it imports."""
    folder = tmp_path_factory.mktemp("chapter") / "sound"
    folder.mkdir()
    (folder / "library.py").write_text(LIBRARY.format(factor=1.0))
    (folder / "small.md").write_text(CHAPTER)
    run(folder / "small.md")
    return folder


@pytest.fixture
def broken(chapter, tmp_path):
    """A copy of the sound chapter to break: its text, and a function that edits the stored notebook."""
    folder = shutil.copytree(chapter, tmp_path / "chapter")

    def edit(change):
        notebook = stored(folder / "small.md")
        change(notebook)
        nbformat.write(notebook, folder / "small.ipynb")
        return stored(folder / "small.md")

    return folder / "small.md", edit


def cell_with(notebook, text):
    return next(cell for cell in notebook.cells if cell.cell_type == "code" and text in cell.source)


def test_sound_chapter_passes(chapter):
    text = chapter / "small.md"
    notebook = stored(text)
    found = [*pair_problems(text), *output_problems(notebook), *form_problems(notebook), *parameter_problems(text)]
    assert not found


def test_a_run_is_repeatable_to_the_byte(chapter, tmp_path):
    """Nothing volatile is stored: no times, no fresh cell ids."""
    again, _ = run(chapter / "small.md", tmp_path)
    assert again.read_bytes() == (chapter / "small.ipynb").read_bytes()


def test_where_a_stream_was_cut_is_not_stored(broken):
    text, _ = broken
    pieces = 'import time\nprint("one ", end="", flush=True)\ntime.sleep(0.5)\nprint("two", flush=True)\n'
    text.write_text(text.read_text().replace('print(f"loss', f'{pieces}print(f"loss'))
    run(text)
    (stream,) = cell_with(stored(text), 'print("one ').outputs
    assert stream.text.startswith("one two\nloss")


# --- what nbval sees, with the tolerance of conftest.py -----------------------------------------------------------


def test_nbval_fails_where_it_should(chapter, tmp_path):
    """One pytest run, as in `make test`, over copies of the chapter: sound, or with one thing broken."""

    def variant(name, change=None, factor=1.0):
        folder = shutil.copytree(chapter, tmp_path / name)
        (folder / "library.py").write_text(LIBRARY.format(factor=factor))
        if change:
            notebook = stored(folder / "small.md")
            change(notebook)
            nbformat.write(notebook, folder / "small.ipynb")

    def number(notebook):
        output = cell_with(notebook, "print(").outputs[0]
        output.text = output.text.replace("0.31", "0.37")

    def count(notebook):
        output = cell_with(notebook, "print(").outputs[0]
        output.text = output.text.replace("10 steps", "11 steps")

    def missing(notebook):
        cell_with(notebook, "print(").outputs = []

    def raises(notebook):
        cell_with(notebook, "print(").source += "\nraise RuntimeError('broken')"

    variant("sound")
    variant("number", number)
    variant("count", count)
    variant("missing", missing)
    variant("raises", raises)
    variant("library_4_percent", factor=1.04)
    variant("library_3_per_mille", factor=1.003)
    shutil.copy(ROOT / "conftest.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env",
               "--rootdir", str(tmp_path), "--junitxml", "report.xml", "."]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    failed, passed = set(), set()
    for case in ET.parse(tmp_path / "report.xml").iter("testcase"):
        folder = re.search(r"(sound|number|count|missing|raises|library_\w+?)\b", case.get("classname"))[1]
        (failed if case.find("failure") is not None else passed).add(folder)
    assert failed == {"number", "count", "missing", "raises", "library_4_percent"}, process.stdout[-3000:]
    assert {"sound", "library_3_per_mille"} <= passed


@pytest.mark.parametrize(
    "stored_text, again, agree",
    [
        ("loss 0.314 after 10 steps", "loss 0.319 after 10 steps", True),  # 1.6 per cent
        ("loss 0.314 after 10 steps", "loss 0.330 after 10 steps", False),  # 5 per cent
        ("loss 0.314 after 10 steps", "loss 0.314 after 11 steps", False),  # whole numbers are exact
        ("loss 0.314", "cost 0.314", False),  # words are exact
        ("rate 0.02", "rate 0.03", True),  # one unit of the last digit
        ("rate 0.02", "rate 0.04", False),
        ("error 2.5e-05", "error 2.6e-05", True),
        ("error 2.50e-05", "error 2.60e-05", False),
        ("error 2e-05", "error 2e-04", False),
        ("  9.99 dB", " 10.01 dB", True),  # a table's padding
        ("gain 1.0 dB", "gain -1.0 dB", False),
        ("mean nan", "mean 0.1", False),
        ("1.0 2.0", "1.0", False),
    ],
)
def test_tolerance(stored_text, again, agree):
    assert same_output(stored_text, again) is agree


# --- what nbval does not see --------------------------------------------------------------------------------------


def test_text_edited_after_the_run(broken):
    text, _ = broken
    text.write_text(text.read_text().replace("steps = 10", "steps = 12"))
    assert pair_problems(text) == ["small.md: cell 3 differs; run: make notebooks CHAPTER=small"]


def test_text_never_run(broken):
    text, _ = broken
    text.with_suffix(".ipynb").unlink()
    assert pair_problems(text) == ["small.md was never run"]


def test_edited_prose_is_taken_over_without_a_run(broken):
    text, _ = broken
    before = stored(text)
    assert not take_over(text)  # nothing to do, and the file is not touched
    text.write_text(text.read_text().replace("The loss, by steps.", "The loss over the steps.") + "\nA last word.\n")
    assert pair_problems(text)
    assert take_over(text)
    after = stored(text)
    assert not pair_problems(text) and not output_problems(after)
    assert [cell.outputs for cell in code_cells(after)] == [cell.outputs for cell in code_cells(before)]
    assert after.cells[-1].source.endswith("A last word.")


def test_edited_code_is_not_taken_over(broken):
    text, _ = broken
    before = text.with_suffix(".ipynb").read_bytes()
    text.write_text(text.read_text().replace("steps = 10", "steps = 12") + "\nA last word.\n")
    assert not take_over(text)
    assert text.with_suffix(".ipynb").read_bytes() == before
    text.with_suffix(".ipynb").unlink()
    assert not take_over(text)
    assert not text.with_suffix(".ipynb").exists()


def test_stripped_notebook(broken):
    def strip(notebook):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None

    problems = output_problems(broken[1](strip))
    assert "not executed from top to bottom in a fresh kernel" in problems
    assert "code cell 4 prints, but its output is missing" in problems
    assert "code cell 5 draws, but its figure is missing" in problems


def test_cells_run_out_of_order(broken):
    def reorder(notebook):
        cell_with(notebook, "print(").execution_count = 9

    assert output_problems(broken[1](reorder)) == ["not executed from top to bottom in a fresh kernel"]


def test_figure_missing(broken):
    def drop(notebook):
        cell_with(notebook, "plt.show").outputs = []

    assert output_problems(broken[1](drop)) == ["code cell 5 draws, but its figure is missing"]


@pytest.mark.parametrize(
    "output, problem",
    [
        (nbformat.v4.new_output("stream", name="stderr", text="UserWarning"), "wrote to stderr"),
        (nbformat.v4.new_output("stream", name="stdout", text="<Line2D at 0x7f0011223344>"), "object's address"),
        (nbformat.v4.new_output("stream", name="stdout", text="saved /home/me/x.png"), "path of this machine"),
        (nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[]), "raised ValueError"),
        (nbformat.v4.new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}}), "widget"),
    ],
)
def test_outputs_that_must_not_be_stored(broken, output, problem):
    def add(notebook):
        cell_with(notebook, "print(").outputs.append(output)

    (found,) = output_problems(broken[1](add))
    assert problem in found


def test_form(broken):
    def deform(notebook):
        cell_with(notebook, "google.colab").source += "\n"  # blank ends do not count
        cell_with(notebook, "steps = 10").metadata.tags = []
        cell_with(notebook, "print(").source += "\nx = 1" * 40
        cell_with(notebook, "plt.show").metadata.mystnb.image.alt = " ".strip()
        cell_with(notebook, "plt.show").metadata.mystnb.figure.pop("caption")

    assert form_problems(broken[1](deform)) == [
        "0 cells are tagged 'parameters'; there must be one",
        "code cell 4 has 41 lines, more than 40",
        "the figure of code cell 5 has no caption",
        "the figure of code cell 5 has no alt",
    ]


def test_another_first_cell(broken):
    def change(notebook):
        cell = cell_with(notebook, "google.colab")
        cell.source = cell.source.replace("--depth", "--depht")

    assert form_problems(broken[1](change)) == ["the first code cell is not tools/colab_cell.py, tagged remove-cell"]


@pytest.mark.parametrize(
    "other, problem",
    [
        ("{}", "names no parameters"),
        ("{step: 5}", "sets step, which is no parameter"),
        ("{steps: 10}", "changes no parameter"),
    ],
)
def test_second_run_that_shows_nothing(broken, other, problem):
    text, _ = broken
    text.write_text(text.read_text().replace("second_run: {steps: 5}", f"second_run: {other}"))
    (found,) = parameter_problems(text)
    assert problem in found


def test_running_refuses_what_must_not_be_stored(broken):
    text, _ = broken
    text.write_text(text.read_text().replace("\nplt.show()", ""))
    with pytest.raises(SystemExit, match="address"):
        run(text)


# --- the site -----------------------------------------------------------------------------------------------------

SOUND_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>p</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><main><h1>p</h1>{}</main></html>"""


@pytest.mark.parametrize(
    "body, problem",
    [
        ('<script src="https://cdn.example.org/x.js"></script>', "asks the network: https://cdn.example.org/x.js"),
        ("<p>the capacity $$C$$ is</p>", "not rendered: the capacity $$C$$ is"),
        ("<p>see {eq}`eq-x`</p>", "not rendered"),
        (r'<span class="math">\(C\)</span>', "formula left raw"),
        ("<mjx-merror data-mjx-error='Undefined control sequence'></mjx-merror>", "Undefined control sequence"),
        ("<script>null.x</script>", "console"),
        ("<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>", "image without alt text"),
        ("<img alt='gone' src='gone.png'>", "404 for"),
        ("<div style='width: 900px'>wide</div>", "at a phone's width of 390"),
        ("<main><article style='overflow: hidden'><div style='width: 900px'>hidden</div></article></main>", "cut off"),
    ],
)
def test_browser_sees(chrome, tmp_path, body, problem):
    (tmp_path / "page.html").write_text(SOUND_PAGE.format(body))
    with served(tmp_path) as url:
        found = page_problems(chrome, f"{url}page.html")
    assert any(problem in line for line in found), found


def test_browser_finds_nothing_on_a_sound_page(chrome, tmp_path):
    (tmp_path / "page.html").write_text(SOUND_PAGE.format("<p>Price: $5, <code>$$x$$</code></p>"))
    with served(tmp_path) as url:
        assert page_problems(chrome, f"{url}page.html") == []


def test_links(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#here">1</a><a href="b.html#gone">2</a><a href="c.html">3</a>')
    (tmp_path / "b.html").write_text('<p id="here"></p><a href="https://example.org">out</a>')
    assert link_problems(tmp_path) == ["a.html: b.html#gone has no such anchor", "a.html: c.html leads nowhere"]


def test_figures_are_counted(tmp_path):
    """A figure that the build lost, or an image that no cell drew, changes or leaves the count."""
    drawn = [f'<img src="../_images/{digit * 40}.png">' for digit in "ab"]
    (tmp_path / "both.html").write_text(f"<main>{''.join(drawn)}<img src='../_static/stack.svg'></main>")
    (tmp_path / "lost.html").write_text(f"<main>{drawn[0]}</main>")
    assert figure_count(tmp_path / "both.html") == 2
    assert figure_count(tmp_path / "lost.html") == 1
