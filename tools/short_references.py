"""A Sphinx extension: a docstring names a thing of the package by its last name, wherever its page documents it.

``:func:`optimal_allocation``` is found under ``semcom_utils.control.allocation``; a name that nothing documents is
still a warning, and so an error of the build.
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


def setup(app):
    app.connect("missing-reference", find_by_last_name)
    return {"parallel_read_safe": True}
