"""Quote a number of the run in the book's prose, so that nobody types a result."""

from __future__ import annotations

__all__ = ["glue"]


def glue(name: str, value: object) -> None:
    """Store ``value`` in the notebook under ``name``; the reader sees nothing, MyST's ``{glue:text}`` role finds it.

    It writes what ``myst_nb.glue`` writes, without importing Sphinx (which Colab lacks).

    Parameters
    ----------
    name : str
        The key, unique in the chapter, such as ``share-diffusion``.
    value : object
        A number, or text that is already formatted.
    """
    from IPython.display import display

    display(
        {"application/papermill.record/text/plain": repr(value)},
        raw=True,
        metadata={"scrapbook": {"name": name, "mime_prefix": "application/papermill.record/"}},
    )
