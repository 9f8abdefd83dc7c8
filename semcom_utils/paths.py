"""Where the files of the checkout lie, worked out in one place.

Colab installs a copy of the package outside the checkout, so the working directory and its parents come second.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from pkgutil import iter_modules

__all__ = [
    "BOOK",
    "CLAIMS",
    "MODELS",
    "NOTEBOOKS",
    "PAPERS",
    "RESULTS",
    "ROOT",
    "other_checkout",
    "papers",
    "repository_root",
]


def repository_root() -> Path:
    """The folder that holds ``data/claims``: the checkout this package lies in, or the one we stand in.

    Returns
    -------
    Path
        Where none is found, the folder above the package: what is then read from it is missed by name.
    """
    above = Path(__file__).resolve().parents[1]
    places = [above]
    with contextlib.suppress(OSError):  # we may stand in a folder that is gone
        places += [Path.cwd(), *Path.cwd().parents]
    for folder in places:
        if (folder / "data" / "claims").is_dir():
            return folder
    return above


#: The checkout.
ROOT = repository_root()
#: The prose pages.
BOOK = ROOT / "book"
#: The chapters, texts and executed notebooks.
NOTEBOOKS = ROOT / "notebooks"
#: The claims, one file a paper.
CLAIMS = ROOT / "data" / "claims"
#: The results of the studies, one folder a paper.
RESULTS = ROOT / "data" / "results"
#: The mini checkpoints, one folder each.
MODELS = ROOT / "data" / "models"
#: The packages of the papers, wherever this package lies.
PAPERS = Path(__file__).resolve().parent / "papers"


def other_checkout() -> Path | None:
    """The checkout that we stand in, if this package is not its own.

    A checkout that was copied with its ``.venv`` runs the code of the folder that it was copied from.

    Returns
    -------
    Path or None
        That folder.
    """
    ours = Path(__file__).resolve().parent
    with contextlib.suppress(OSError):  # we may stand in a folder that is gone
        here = Path.cwd()
        for folder in (here, *here.parents):
            theirs = folder / "semcom_utils"
            if (theirs / "paths.py").is_file() and (folder / "data" / "claims").is_dir():
                return None if theirs.resolve() == ours else folder
    return None


def papers() -> list[str]:
    """The keys of the papers, the foundations among them: the packages under :data:`PAPERS`, none of them imported.

    Returns
    -------
    list of str
        In alphabetical order.
    """
    return sorted(module.name for module in iter_modules([str(PAPERS)]) if module.ispkg)
