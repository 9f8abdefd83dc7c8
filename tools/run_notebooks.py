"""Run a chapter: the MyST text that people edit becomes an executed notebook with nothing volatile in it.

    python tools/run_notebooks.py [-j N] [--out FOLDER [--set seed=1] [--second-run]] notebooks/*.md
    python tools/run_notebooks.py --prose notebooks/*.md

Without ``--out`` the notebook lands beside its text and is what the book, Colab and the tests read: commit both.
With ``--prose`` nothing runs: edited prose, captions and alt texts are taken over where the code is what was run.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
import papermill
import yaml

KEEP_CELL = ("tags", "mystnb")  # all that the book and the tests need of a cell's metadata
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}
WIDGET = "application/vnd.jupyter.widget-view+json"


def read_text(text: Path) -> nbformat.NotebookNode:
    """Read a MyST text notebook: no outputs, and cell ids that stay the same from run to run."""
    notebook = jupytext.read(text)
    for i, cell in enumerate(notebook.cells):
        cell["id"] = hashlib.sha1(f"{text.stem}:{i}".encode()).hexdigest()[:8]
    return notebook


def unwanted_outputs(notebook: nbformat.NotebookNode) -> list[str]:
    """List what differs from run to run or needs a live kernel, and so has no place in a stored notebook."""
    problems = []
    for i, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            shown = output.get("text", "") + "".join(str(v) for k, v in data.items() if k.startswith("text/"))
            if output.output_type == "error":
                problems.append(f"cell {i} raised {output.ename}: {output.evalue}")
            if output.output_type == "stream" and output.name == "stderr":
                problems.append(f"cell {i} wrote to stderr: {output.text[:300]}")
            if WIDGET in data:
                problems.append(f"cell {i} shows a widget (tqdm.auto?)")
            if found := re.search(r"0x[0-9a-f]{8,}", shown):
                problems.append(f"cell {i} prints an object's address, {found[0]}: end a plot with plt.show()")
            if found := re.search(r"/(?:root|home|tmp|Users|work)/\S*|site-packages", shown):
                problems.append(f"cell {i} prints a path of this machine, {found[0]}")
    return problems


def run(text: Path, out: Path | None = None, parameters: dict | None = None) -> tuple[Path, float]:
    """Execute one chapter in a fresh kernel; return the notebook's path and the seconds it took.

    Raises
    ------
    papermill.exceptions.PapermillExecutionError
        A cell raised.
    SystemExit
        A cell left something in its output that must not be stored (see :func:`unwanted_outputs`).
    """
    start = time.perf_counter()
    target = (out or text.parent) / f"{text.stem}.ipynb"
    notebook = read_text(text)
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    with tempfile.TemporaryDirectory() as folder:
        scratch = str(Path(folder) / target.name)
        nbformat.write(notebook, scratch)
        papermill.execute_notebook(
            scratch, scratch, parameters=parameters or {}, cwd=str(text.parent), kernel_name="python3",
            progress_bar=False, record_timing=False, request_save_on_cell_execute=False,
            start_timeout=120, execution_timeout=1800, extra_arguments=["--IPKernelApp.log_level=ERROR"],
            coalesce_streams=True,  # where a busy machine cuts a stream must not be stored
        )  # fmt: skip
        notebook = nbformat.read(scratch, 4)
    if problems := unwanted_outputs(notebook):
        raise SystemExit(f"{text}: not stored\n  " + "\n  ".join(problems))
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({k: cell.metadata[k] for k in KEEP_CELL if cell.metadata.get(k)})
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    nbformat.write(notebook, target)
    return target, time.perf_counter() - start


def take_over(text: Path) -> bool:
    """Bring a text's edited prose, captions and alt texts into its stored notebook, whose outputs stay.

    Returns
    -------
    bool
        Whether anything changed. Nothing does where the code is not what was run, or the chapter never was.
    """
    target = text.with_suffix(".ipynb")
    if not target.exists():
        return False
    written, ran = read_text(text), nbformat.read(target, 4)
    code = [[cell for cell in notebook.cells if cell.cell_type == "code"] for notebook in (written, ran)]
    if [cell.source.strip() for cell in code[0]] != [cell.source.strip() for cell in code[1]]:
        return False
    for cell, old in zip(*code, strict=True):
        cell.source, cell.outputs, cell.execution_count = old.source, old.outputs, old.execution_count
    for cell in written.cells:
        cell.metadata = nbformat.from_dict({k: cell.metadata[k] for k in KEEP_CELL if cell.metadata.get(k)})
    if written.cells == ran.cells:
        return False
    ran.cells = written.cells
    nbformat.write(ran, target)
    return True


def second_run(text: Path) -> dict:
    """Return the other parameters (seed, smaller budget) that the chapter's front matter names for its second run."""
    parameters = jupytext.read(text).metadata.get("second_run")
    if not parameters:
        raise SystemExit(f"{text}: no 'second_run:' in the front matter (other parameters, such as {{seed: 1}})")
    return dict(parameters)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-j", type=int, default=1, metavar="N", help="chapters at a time")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write here instead of beside the text")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="needs --out")
    parser.add_argument("--second-run", action="store_true", help="the parameters of the front matter; needs --out")
    parser.add_argument("--prose", action="store_true", help="run nothing; take edited prose and captions over")
    parser.add_argument("text", nargs="+", type=Path)
    args = parser.parse_args()
    if args.prose:
        if args.out or args.set or args.second_run:
            parser.error("--prose runs nothing: it goes without --out, --set and --second-run")
        for text in args.text:
            if take_over(text):
                print(f"prose of {text} taken over", flush=True)
        return 0
    given = {name: yaml.safe_load(value) for name, _, value in (item.partition("=") for item in args.set)}
    if (given or args.second_run) and not args.out:
        parser.error("a chapter run with other parameters is not the stored one: say where to, with --out FOLDER")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PYTHONHASHSEED", "0")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    with concurrent.futures.ProcessPoolExecutor(args.j) as pool:
        jobs = [
            pool.submit(run, text, args.out, (second_run(text) if args.second_run else {}) | given)
            for text in args.text
        ]
        for job in concurrent.futures.as_completed(jobs):
            path, seconds = job.result()
            print(f"{seconds:6.1f} s  {path}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
