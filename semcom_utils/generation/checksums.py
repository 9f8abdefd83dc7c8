"""SHA-256 sums of a checkpoint's files: written when it is made, checked before anything in it is used."""

from __future__ import annotations

import hashlib
from pathlib import Path

from semcom_utils.checks import checked

__all__ = ["NAME", "seal", "verify"]

#: File that lists the sums, in the format of ``sha256sum``.
NAME = "SHA256SUMS"
#: What systems and editors leave beside a checkpoint's files, without being asked; no library reads it.
_STRAY = ("Thumbs.db", "desktop.ini", "Icon\r", "__pycache__", "__MACOSX")


@checked
def seal(folder: Path) -> None:
    """Write the sums of every file in a folder.

    Parameters
    ----------
    folder : pathlib.Path

    Raises
    ------
    ValueError
        If ``folder`` is not a folder, or holds nothing.
    """
    sums = _sums(_folder(folder))
    if not sums:
        raise ValueError(f"folder must hold the files of a checkpoint, {folder} is empty")
    (Path(folder) / NAME).write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()), "utf-8")


@checked
def verify(folder: Path) -> None:
    """Check every file of a folder against its sums; no weights are read for anything else before that.

    Parameters
    ----------
    folder : pathlib.Path

    Raises
    ------
    ValueError
        If the list of sums is missing or unreadable, or a file is missing, unlisted, cut short or changed. The message
        names the file, and what to do. Hidden files and others that systems leave about do not count.
    """
    folder = _folder(folder)
    role = folder.resolve().name.removeprefix("mini-")
    mend = (
        f"fetch the folder anew (git checkout -- data/models/mini-{role}), or train it again "
        f"(python -m semcom_utils.generation.training {role})"
    )
    listing = folder / NAME
    if not listing.is_file():
        raise ValueError(f"{folder.name} must hold {NAME}, the sums of its files; {mend}")
    listed = {}
    for line in listing.read_text("utf-8", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            raise ValueError(f"{folder.name}/{NAME} must hold lines 'SHA-256  name', got {line!r}; {mend}")
        listed[name] = digest
    found = _sums(folder)
    for name, digest in listed.items():
        if name not in found:
            raise ValueError(f"{folder.name}/{name} must be there, {NAME} lists it; {mend}")
        if found[name] != digest:
            if (folder / name).stat().st_size < 200 and (folder / name).read_bytes().startswith(b"../"):
                raise ValueError(
                    f"{folder.name}/{name} must be a link to another checkpoint's file, and what fetched or unpacked "
                    "the book only wrote down where it leads: clone where git can make links (git clone -c "
                    "core.symlinks=true; on Windows, in WSL), or copy that file here"
                )
            if hashlib.sha256((folder / name).read_bytes().replace(b"\r\n", b"\n")).hexdigest() == digest:
                raise ValueError(
                    f"{folder.name}/{name} is whole but for its line ends, which something made Windows' (CRLF): clone "
                    f"or unpack again without that (git clone -c core.autocrlf=false), or train it again "
                    f"(python -m semcom_utils.generation.training {role})"
                )
            raise ValueError(
                f"{folder.name}/{name} is damaged (SHA-256 {found[name][:12]}, listed {digest[:12]}); {mend}"
            )
    if extra := sorted(found.keys() - listed.keys()):
        raise ValueError(f"{folder.name}/{extra[0]} must be listed in {NAME}, or not be there; {mend}")


def _folder(folder: Path) -> Path:
    if not Path(folder).is_dir():
        raise ValueError(f"folder must be a folder that exists, got {str(folder)!r}")
    return Path(folder)


def _sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _stray(path.relative_to(folder)))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _stray(path: Path) -> bool:
    return path.name == NAME or any(part.startswith(".") or part.endswith("~") or part in _STRAY for part in path.parts)
