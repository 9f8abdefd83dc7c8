"""Run a chapter: the MyST text that people edit becomes an executed notebook with nothing volatile in it.

    python tools/run_notebooks.py [-j N] [--out FOLDER [--set seed=1] [--second-run]] notebooks/*.md
    python tools/run_notebooks.py --prose notebooks/*.md
    python tools/run_notebooks.py --out FOLDER --measure "one free core of a server" notebooks/*.md

Without ``--out`` the notebook lands beside its text and is what the book, Colab and the tests read: commit both.
With ``--prose`` nothing runs: edited prose, captions, alt texts and the layout of code are taken over where the code
does what was run. Both bring the first cell, which all chapters share, to what ``colab_cell.py`` says today.
With ``--measure`` processor time and memory of each run go into the chapter's front matter, which the page shows.
"""

from __future__ import annotations

import argparse
import ast
import base64
import concurrent.futures
import contextlib
import difflib
import hashlib
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
import numpy as np
import oxipng
import papermill
import yaml
from PIL import Image

from semcom_utils.prose import speak_utf8

KEEP_CELL = ("tags", "mystnb")  # all that the book and the tests need of a cell's metadata
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}
PNG = "image/png"
WIDGET = "application/vnd.jupyter.widget-view+json"
#: What a parameter may be, in words.
KINDS = {bool: "truth value (true or false)", int: "whole number", float: "number", str: "text", tuple: "list"}
FIRST_CELL = (Path(__file__).parent / "colab_cell.py").read_text(encoding="utf-8").strip()


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


def parameters_of(text: Path) -> dict[str, object]:
    """Names and values in the cell of a chapter that is marked *parameters*."""
    for cell in jupytext.read(text).cells:
        if "parameters" in cell.metadata.get("tags", []):
            body = ast.parse(cell.source).body
            set_here = [(n.targets[0], n.value) for n in body if isinstance(n, ast.Assign)]
            set_here += [(n.target, n.value) for n in body if isinstance(n, ast.AnnAssign) and n.value is not None]
            return {ast.unparse(name): _literal(value) for name, value in set_here}
    return {}


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:  # an expression: anything may take its place
        return None


def read_parameters(text: Path, items: list[str]) -> dict[str, object]:
    """``NAME=VALUE`` of the command line as values of the kind that the chapter has: 2e3 is 2000 where it counts.

    Raises
    ------
    ValueError
        If the chapter has no such parameter, or one of another kind; the message lists what there is.
    """
    known, given = parameters_of(text), {}
    for item in items:
        name, sign, value = item.partition("=")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise ValueError(
                f"{text.name} has no parameter {name!r}{f', did you mean {near[0]!r}' if near else ''}; it has "
                + (", ".join(f"{key}={default!r}" for key, default in known.items()) or "none")
            )
        if not sign:
            raise ValueError(f"{name} must be set as {name}=VALUE, got {item!r}")
        given[name] = _like(name, yaml.safe_load(value), known[name], value)
    return given


def _like(name: str, value: object, default: object, written: str) -> object:
    """A value as the kind of a parameter's default, if it can be one."""
    if isinstance(value, str) and not isinstance(default, str):
        with contextlib.suppress(ValueError):  # YAML takes 2e3 for a word
            value = float(value)
    if isinstance(default, bool) or default is None:
        fits = default is None or isinstance(value, bool)
    elif isinstance(default, int):
        fits = not isinstance(value, bool) and isinstance(value, int | float) and float(value).is_integer()
        value = int(value) if fits else value
    elif isinstance(default, float):
        fits = not isinstance(value, bool) and isinstance(value, int | float)
        value = float(value) if fits else value
    else:
        fits = isinstance(value, type(default)) or isinstance(default, tuple) and isinstance(value, list)
        value = tuple(value) if fits and isinstance(default, tuple) else value
    if not fits:
        kind = "a " + KINDS.get(type(default), type(default).__name__)
        raise ValueError(f"{name} must be {kind}, like its value {default!r}, got {written!r}")
    return value


@contextlib.contextmanager
def no_bars() -> Iterator[None]:
    """Progress bars are for whoever waits at a kernel: tqdm shows none, and nothing of them is stored."""
    before = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    try:
        yield
    finally:
        os.environ.pop("TQDM_DISABLE")
        if before is not None:
            os.environ["TQDM_DISABLE"] = before


@contextlib.contextmanager
def surroundings() -> Iterator[None]:
    """What a kernel must not take from its user: a backend that shows nothing, a settings file, a home of no use."""
    kept = dict(os.environ)
    os.environ.setdefault("PYTHONHASHSEED", "0")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.environ.pop("MPLBACKEND", None)  # the kernel sets the one that puts figures into the notebook
    try:
        with tempfile.TemporaryDirectory() as folder:
            if not _usable(Path(os.path.expanduser("~"))):
                for name in (
                    "MPLCONFIGDIR",
                    "IPYTHONDIR",
                    "JUPYTER_RUNTIME_DIR",
                    "JUPYTER_CONFIG_DIR",
                    "JUPYTER_DATA_DIR",
                ):
                    os.environ.setdefault(name, str(Path(folder) / name.lower()))
                    Path(os.environ[name]).mkdir(parents=True, exist_ok=True)
            yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _usable(home: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=home):
            return True
    except OSError:
        return False


def packed_figure(png: bytes, mean: float = 0.5, most: int = 24) -> bytes:
    """A figure with a palette of 64 to 256 colours, a third as large or less, where nobody sees the difference.

    Parameters
    ----------
    png : bytes
        As matplotlib writes it.
    mean, most : float
        How far colours may be off on average, and at the worst pixel, of 255.

    Returns
    -------
    bytes
        Every pixel as it came, and packed better, where the palette would be further off, or larger: photographs and
        noise. What has a palette comes back as it is.
    """
    with Image.open(io.BytesIO(png)) as opened:
        if opened.mode == "P":
            return png
        seen_through = "A" in opened.mode and opened.getchannel("A").getextrema()[0] < 255
        figure = opened.convert("RGB")
    kept = [png]
    for colours in () if seen_through else (64, 128, 256):
        few = figure.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
        off = np.abs(np.asarray(few.convert("RGB"), int) - np.asarray(figure))
        if off.mean() <= mean and off.max() <= most:
            few.save(file := io.BytesIO(), "PNG", optimize=True)
            kept.append(file.getvalue())
            break
    least = min(kept, key=len)
    return min(oxipng.optimize_from_memory(least, level=4), least, key=len)


def run(
    text: Path, out: Path | None = None, parameters: dict | None = None, *, pack: bool = True
) -> tuple[Path, float]:
    """Execute one chapter in a fresh kernel; return the notebook's path and the seconds it took.

    Figures are packed (:func:`packed_figure`), unless nobody will keep them.

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
    with tempfile.TemporaryDirectory() as folder, no_bars():
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
        for output in cell.get("outputs", []):
            if pack and (png := output.get("data", {}).get(PNG)):
                output["data"][PNG] = base64.b64encode(packed_figure(base64.b64decode(png))).decode()
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    nbformat.write(notebook, target)
    return target, time.perf_counter() - start


def renew_first_cell(text: Path) -> bool:
    """Put the shared first cell into a chapter's text, in place of an older one; tell whether that changed anything.

    A text whose first cell is another one stays as it is.
    """
    source = text.read_text(encoding="utf-8")
    found = re.search(r"^```\{code-cell\}[^\n]*\n:tags: \[remove-cell\]\n\n(.*?)\n```$", source, re.M | re.S)
    if found is None or "google.colab" not in found[1] or found[1].strip() == FIRST_CELL:
        return False
    text.write_text(source[: found.start(1)] + FIRST_CELL + source[found.end(1) :], encoding="utf-8")
    return True


def does(source: str) -> str:
    """What code does: its syntax tree, for which layout and comments are nothing, nor where a docstring is wrapped."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a line that is IPython's
        return source.strip()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (words := ast.get_docstring(node)):
            node.body[0] = ast.Expr(ast.Constant(" ".join(words.split())))
    return ast.dump(tree)


def _essence(cell: nbformat.NotebookNode) -> str:
    """What a cell does to the chapter: the shared first cell does nothing, in any edition."""
    shared = "remove-cell" in cell.metadata.get("tags", []) and "google.colab" in cell.source
    return "the shared first cell" if shared else does(cell.source)


def take_over(text: Path) -> bool:
    """Bring a text's edited prose, captions, alt texts and layout into its stored notebook, whose outputs stay.

    Returns
    -------
    bool
        Whether anything changed. Nothing does where the code does not do what was run, or the chapter never was.
    """
    target = text.with_suffix(".ipynb")
    if not target.exists():
        return False
    written, ran = read_text(text), nbformat.read(target, 4)
    code = [[cell for cell in notebook.cells if cell.cell_type == "code"] for notebook in (written, ran)]
    if [_essence(cell) for cell in code[0]] != [_essence(cell) for cell in code[1]]:
        return False
    for cell, old in zip(*code, strict=True):
        if cell.source.strip() == old.source.strip():
            cell.source = old.source
        cell.outputs, cell.execution_count = old.outputs, old.execution_count
    for cell in written.cells:
        cell.metadata = nbformat.from_dict({k: cell.metadata[k] for k in KEEP_CELL if cell.metadata.get(k)})
    if written.cells == ran.cells:
        return False
    ran.cells = written.cells
    nbformat.write(ran, target)
    return True


def measured(text: Path, out: Path | None, parameters: dict) -> tuple[Path, float, float]:
    """Run a chapter as :func:`run` does, in a process that runs no other: what did its kernel take?

    Returns
    -------
    path : pathlib.Path
        The notebook.
    seconds : float
        Processor time, which other work on the machine hardly changes: the wall time on a free core.
    gigabytes : float
        The most memory.
    """
    import resource  # POSIX only

    path, _ = run(text, out, parameters)
    took = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    return path, took.ru_utime + took.ru_stime, took.ru_maxrss * unit / 1e9


def note_cost(text: Path, seconds: float, gigabytes: float, machine: str) -> None:
    """Write what a run took into the front matter of a chapter, in place of what stood there.

    Raises
    ------
    ValueError
        If the front matter has no line ``  run: {...}`` under ``chapter``.
    """
    source = text.read_text(encoding="utf-8")
    line = f'  run: {{seconds: {seconds:.0f}, gigabytes: {gigabytes:.1f}, machine: "{machine}"}}'
    front, end, rest = source.partition("\n---\n")
    noted, n = re.subn(r"^  run: \{.*\}$", lambda _: line, front, flags=re.M)
    if n != 1:
        raise ValueError(f"{text.name} must have one line '  run: {{...}}' in its front matter, got {n}")
    text.write_text(noted + end + rest, encoding="utf-8")


def second_run(text: Path) -> dict:
    """Return the other parameters (seed, smaller budget) that the chapter's front matter names for its second run."""
    parameters = jupytext.read(text).metadata.get("second_run")
    if not parameters:
        raise SystemExit(f"{text}: no 'second_run:' in the front matter (other parameters, such as {{seed: 1}})")
    return dict(parameters)


def main() -> int:
    speak_utf8()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-j", type=int, default=1, metavar="N", help="chapters at a time")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write here instead of beside the text")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="needs --out")
    parser.add_argument("--second-run", action="store_true", help="the parameters of the front matter; needs --out")
    parser.add_argument("--measure", metavar="MACHINE", help="note time and memory, on this machine; needs --out")
    parser.add_argument("--prose", action="store_true", help="run nothing; take edited prose and captions over")
    parser.add_argument("text", nargs="+", type=Path)
    args = parser.parse_args()
    if args.prose:
        if args.out or args.set or args.second_run:
            parser.error("--prose runs nothing: it goes without --out, --set and --second-run")
        for text in args.text:
            if renew_first_cell(text):
                print(f"{text} has today's first cell", flush=True)
            if take_over(text):
                print(f"prose of {text} taken over", flush=True)
        return 0
    for text in args.text:
        if not text.is_file():
            parser.error(f"there is no {text}")
    try:
        given = {text: read_parameters(text, args.set) for text in args.text}
    except (ValueError, yaml.YAMLError) as error:
        parser.error(str(error))
    if (args.set or args.second_run) and not args.out:
        parser.error("a chapter run with other parameters is not the stored one: say where to, with --out FOLDER")
    if args.measure and (not args.out or args.set or args.second_run or args.j > 1):
        parser.error("--measure times chapters as they are, one after the other: it goes with --out alone")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    else:
        for text in args.text:
            renew_first_cell(text)
    if args.measure:
        for text in args.text:  # a fresh process for each: what its kernels took is its own
            with surroundings(), concurrent.futures.ProcessPoolExecutor(1) as pool:
                path, seconds, gigabytes = pool.submit(measured, text, args.out, {}).result()
            note_cost(text, seconds, gigabytes, args.measure)
            print(f"{seconds:6.1f} s, {gigabytes:.1f} GB  {path}", flush=True)
        return 0
    print("running", *args.text, "(a minute or a few each, with nothing to see)", flush=True)
    with surroundings(), concurrent.futures.ProcessPoolExecutor(args.j) as pool:
        jobs = [
            pool.submit(run, text, args.out, (second_run(text) if args.second_run else {}) | given[text])
            for text in args.text
        ]
        for job in concurrent.futures.as_completed(jobs):
            path, seconds = job.result()
            print(f"{seconds:6.1f} s  {path}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
