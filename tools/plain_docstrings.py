"""A Sphinx extension: docstrings as people write them.

A docstring names a thing of the package by its last name, wherever its page documents it.

``:func:`optimal_allocation``` is found under ``semcom_utils.control.allocation``; a name that nothing documents is
still a warning, and so an error of the build. And a colon in a constant's comment is a colon.
"""

from sphinx.util.nodes import make_refnode


def find_by_last_name(app, env, node, contnode):
    """Resolve a Python reference that Sphinx could not, by the last part of its name."""
    if node.get("refdomain") != "py":
        return None
    python, last = env.get_domain("py"), node["reftarget"].rpartition(".")[2]
    matches = sorted(python.find_obj(env, None, None, last, node.get("reftype"), 1), key=lambda match: len(match[0]))
    if not matches:
        return None
    name, entry = matches[0]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, name)


def keep_prose(app, what, name, thing, options, lines):
    """Keep a constant's comment whole: napoleon would read "Queues: what may wait" as a type and its meaning."""
    if what in ("data", "attribute") and lines:
        lines[:0] = ["..", ""]  # an empty comment


def setup(app):
    app.connect("missing-reference", find_by_last_name)
    app.connect("autodoc-process-docstring", keep_prose, priority=400)  # before napoleon, at 500
    return {"parallel_read_safe": True}
