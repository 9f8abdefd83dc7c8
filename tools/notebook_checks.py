"""What a chapter must satisfy beyond "it runs": each function lists the problems it finds, in words.

nbval re-executes the stored notebooks and compares outputs, but it passes a notebook that was stripped of them, and it
compares no pictures. These checks look at what it does not see.
"""

from __future__ import annotations

import ast
from pathlib import Path

import jupytext
import nbformat

from run_notebooks import FIRST_CELL, KEEP_CELL, read_text, unwanted_outputs

MAX_LINES, MAX_WIDTH = 40, 88  # what a page shows without scrolling sideways at a desk's width


def stored(text: Path) -> nbformat.NotebookNode:
    """Read the notebook that belongs to a chapter's text."""
    return nbformat.read(text.with_suffix(".ipynb"), 4)


def tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def calls(source: str) -> set[str]:
    """Name the functions that a cell is sure to call: not those in a definition or under an ``if``."""
    found, queue = set(), list(ast.parse(source).body)
    while queue:
        node = queue.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.If | ast.Try):
            continue
        if isinstance(node, ast.Call):
            found.add(ast.unparse(node.func))
        queue.extend(ast.iter_child_nodes(node))
    return found


def has_output(cell: nbformat.NotebookNode, *, stream: str = "", mime: str = "") -> bool:
    streams = {output.name for output in cell.outputs if output.output_type == "stream"}
    return stream in streams or any(mime in output.get("data", {}) for output in cell.outputs)


def has_figure(cell: nbformat.NotebookNode) -> bool:
    return has_output(cell, mime="image/png")


def pair_problems(text: Path) -> list[str]:
    """Compare the text that people edit with the notebook that was run: cell by cell, kind, source and metadata."""
    if not text.with_suffix(".ipynb").exists():
        return [f"{text.name} was never run"]

    def essence(notebook):
        return [
            (cell.cell_type, cell.source.strip(), {k: cell.metadata[k] for k in KEEP_CELL if cell.metadata.get(k)})
            for cell in notebook.cells
        ]

    written, ran = essence(read_text(text)), essence(stored(text))
    changed = [f"cell {i} differs" for i, (a, b) in enumerate(zip(written, ran, strict=False)) if a != b]
    if len(written) != len(ran):
        changed.append(f"{len(written)} cells in the text, {len(ran)} in the notebook")
    return [f"{text.name}: {change}; run: make notebooks CHAPTER={text.stem}" for change in changed]


def output_problems(notebook: nbformat.NotebookNode) -> list[str]:
    """Every cell was executed, once, in order, and left what its code promises and nothing that must not be stored."""
    cells = code_cells(notebook)
    problems = unwanted_outputs(notebook)
    if [cell.execution_count for cell in cells] != list(range(1, len(cells) + 1)):
        problems.append("not executed from top to bottom in a fresh kernel")
    for i, cell in enumerate(cells, 1):
        called = calls(cell.source)
        if "print" in called and not has_output(cell, stream="stdout"):
            problems.append(f"code cell {i} prints, but its output is missing")
        if "plt.show" in called and not has_figure(cell):
            problems.append(f"code cell {i} draws, but its figure is missing")
        if "glue" in called and not has_output(cell, mime="application/papermill.record/text/plain"):
            problems.append(f"code cell {i} glues a number, but the number is missing")
    skipped = {"nbval-ignore-output", "nbval-skip"}
    if not any(has_output(cell, stream="stdout") and not skipped & set(tags(cell)) for cell in cells):
        problems.append("no cell prints anything that a second run could be compared with")
    return problems


def form_problems(notebook: nbformat.NotebookNode) -> list[str]:
    """First cell, parameters, length and width of cells, and a name, a caption and alt text for each figure."""
    cells, problems = code_cells(notebook), []
    if not cells or cells[0].source.strip() != FIRST_CELL or "remove-cell" not in tags(cells[0]):
        problems.append("the first code cell is not tools/colab_cell.py, tagged remove-cell")
    if (n := sum("parameters" in tags(cell) for cell in cells)) != 1:
        problems.append(f"{n} cells are tagged 'parameters'; there must be one")
    for i, cell in enumerate(cells, 1):
        if (n := len(cell.source.strip().splitlines())) > MAX_LINES:
            problems.append(f"code cell {i} has {n} lines, more than {MAX_LINES}")
        wide = [line for line in cell.source.splitlines() if len(line) > MAX_WIDTH]
        problems += [f"code cell {i} has a line of {len(line)} characters, more than {MAX_WIDTH}" for line in wide]
        if has_figure(cell):
            about = cell.metadata.get("mystnb", {})
            have = {**about.get("figure", {}), **about.get("image", {})}
            missing = [key for key in ("name", "caption", "alt") if not have.get(key)]
            problems += [f"the figure of code cell {i} has no {key}" for key in missing]
    return problems


def parameter_problems(text: Path) -> list[str]:
    """The second run must change parameters that exist, and change at least one of them."""
    notebook = jupytext.read(text)
    other = notebook.metadata.get("second_run")
    if not other:
        return ["the front matter names no parameters for the second run, such as  second_run: {seed: 7}"]
    values = {}
    for cell in notebook.cells:
        if "parameters" in tags(cell):
            exec(cell.source, values)  # the cell holds plain assignments, nothing else
    unknown = sorted(set(other) - set(values))
    problems = [f"the second run sets {name}, which is no parameter" for name in unknown]
    if not unknown and all(values[name] == value for name, value in other.items()):
        problems.append("the second run changes no parameter")
    return problems
