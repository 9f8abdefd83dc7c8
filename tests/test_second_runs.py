"""Every chapter runs with other parameters (another seed, a smaller budget), and they make a difference.

This shows that no chapter hangs on its stored outputs, on the order of runs, or on one lucky seed.
"""

from pathlib import Path

import nbformat
import pytest

from notebook_checks import code_cells, stored
from run_notebooks import run, second_run

TEXTS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.md"))


def printed(notebook):
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return "".join(output.text for output in outputs if output.output_type == "stream")


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_chapter_runs_with_other_parameters(text, tmp_path):
    path, _ = run(text, tmp_path, second_run(text), pack=False)
    assert printed(nbformat.read(path, 4)) != printed(stored(text)), "the parameters change nothing that is printed"
