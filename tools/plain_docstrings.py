"""A Sphinx extension: docstrings as people write them.

A docstring names a thing of the package by its last name, wherever its page documents it:
``:func:`optimal_allocation``` is found under ``semcom_utils.control.allocation``. Where several things have that name,
the one nearest to the docstring is meant, in its class, its module, its package; if that leaves a choice the build
fails and lists the candidates. A name that nothing documents is a warning, and so an error of the build, as ever. An
attribute that its class describes is not described again. And a colon in a constant's comment is a colon.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable

from sphinx.util.logging import getLogger
from sphinx.util.nodes import make_refnode


def candidates(target: str, names: Iterable[str], module: str | None = None, within: str | None = None) -> list[str]:
    """The documented names that a reference may mean: one is an answer, several are a question, none is a gap.

    Parameters
    ----------
    target : str
        As written: ``reward``, ``BatchIsgcEnv.step``, or by the package that offers a thing of its modules,
        ``toyworld.Scene``.
    names : iterable of str
        Full names of all that is documented.
    module, within : str, optional
        Full name of the module whose docstring refers, and of the class in it.

    Returns
    -------
    list of str
        Sorted.
    """
    names = sorted(set(names))
    parent, _, last = target.rpartition(".")
    found = [name for name in names if name == target or name.endswith(f".{target}")]
    if not found and parent:
        found = [name for name in names if f".{parent}." in f".{name}" and name.endswith(f".{last}")]
    # a bare name is that of a thing in a module, unless the class that refers has it, or only classes do
    members = {name for name in found if name.rpartition(".")[0] in names}
    own_class = f"{module}.{within}" if within and not str(within).startswith(f"{module}.") else within
    scopes = [own_class] if own_class else []
    while module:  # the module, then the packages around it
        scopes.append(module)
        module = module.rpartition(".")[0]
    for scope in [*scopes, None]:
        near = [name for name in found if scope is None or name.startswith(f"{scope}.")]
        directly = [name for name in near if name == f"{scope}.{target}"]
        if near:
            return directly or [name for name in near if name not in members] or near
    return []


def find_by_last_name(app, env, node, contnode):
    """Resolve a Python reference that Sphinx could not, by the last part of its name."""
    if node.get("refdomain") != "py":
        return None
    objects = {name: entry for name, entry in env.get_domain("py").objects.items() if entry.objtype != "module"}
    found = candidates(node["reftarget"], objects, node.get("py:module"), node.get("py:class"))
    if len(found) > 1:
        getLogger(__name__).warning(
            "%s may mean %s: write more of its name", node["reftarget"], " or ".join(found), location=node
        )
    if len(found) != 1:
        return None
    entry = objects[found[0]]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, found[0])


def keep_prose(app, what, name, thing, options, lines):
    """Keep a constant's comment whole: napoleon would read "Queues: what may wait" as a type and its meaning."""
    if what in ("data", "attribute") and lines:
        lines[:0] = ["..", ""]  # an empty comment


def described_attributes(docstring: str | None) -> set[str]:
    """Names in the section Attributes of a class's NumPy-style docstring; ``a, b : int`` names two."""
    section = re.search(
        r"^Attributes\n-+\n(.*?)(?=^\w[^\n]*\n-{3,}$|\Z)", inspect.cleandoc(docstring or ""), re.M | re.S
    )
    heads = re.findall(r"^(\w[^:\n]*)", section[1], re.M) if section else []
    return {name.strip() for head in heads for name in head.split(",")}


def describe_once(app, what, name, thing, skip, options):
    """Leave a field out where the class describes it: Sphinx would document it twice, and warn."""
    if what != "class" or skip:
        return None
    context = app.env.temp_data
    owner = getattr(sys.modules.get(context.get("autodoc:module")), context.get("autodoc:class") or "", None)
    return True if name in described_attributes(getattr(owner, "__doc__", None)) else None


def setup(app):
    app.connect("autodoc-skip-member", describe_once)
    app.connect("missing-reference", find_by_last_name)
    app.connect("autodoc-process-docstring", keep_prose, priority=400)  # before napoleon, at 500
    return {"parallel_read_safe": True}
