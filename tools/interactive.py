"""Sphinx directive for a figure that a reader moves.

    :::{interactive} isgc-triangle
    :title: The band between three hops
    :still: fig-isgc-simplex
    :data: semcom_utils.papers.isgc.scenario.moving_figure

    What to try, in a sentence or two.
    :::

Its formulas and its drawing are scripts of the book (``book/_static/figures``). Numbers that it needs come from the
function that the option ``data`` names in full, and travel in the page, so that it works without a server. Without
JavaScript the reader is sent to the still figure. Pages without such a figure load nothing.
"""

from __future__ import annotations

import importlib
import json
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxDirective

SCRIPTS = ("figures/models.js", "figures/figures.js")
STYLE = "figures/figures.css"


#: What ``figures.js`` can draw.
FIGURES = ("isgc-triangle", "short-blocks", "best-split", "age")


def data_of(path: str) -> dict:
    """What the function of that full name returns: the chapter that names it knows its paper, this tool knows none."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)()


class interactive(nodes.General, nodes.Element):
    """The place of a figure in a page; its child is what stands there without JavaScript."""


class Interactive(SphinxDirective):
    """``interactive``: name as the argument, ``title`` and ``still`` as options, what to try as the content."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict] = dict.fromkeys(("title", "still", "data"), directives.unchanged_required)

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in FIGURES:
            raise self.error(f"interactive must be one of {', '.join(FIGURES)}, got {name}")
        for option in ("title", "still"):
            if option not in self.options:
                raise self.error(f"interactive {name} needs the option {option}")
        place = interactive(name=name, title=self.options["title"], data=self.options.get("data", ""))
        still = pending_xref(
            "",
            nodes.inline(text="the figure"),
            refdomain="std",
            reftype="numref",
            reftarget=self.options["still"],
            refexplicit=False,
            refwarn=True,
            refdoc=self.env.docname,
        )
        fallback = nodes.paragraph("", "", nodes.Text("This figure moves where JavaScript runs. Its still is "), still)
        fallback += nodes.Text(".")
        place += fallback
        advice = nodes.container(classes=["interactive-advice"])
        self.state.nested_parse(self.content, self.content_offset, advice)
        return [*advice.children, place]


def visit_html(translator, node: interactive) -> None:
    title = translator.attval(node["title"])
    says = f'data-figure="{node["name"]}" data-title="{title}" role="group" aria-label="{title}"'
    translator.body.append(f'<div class="interactive" {says}>\n')
    if node["data"]:  # "</script>" in a text would end it
        text = json.dumps(data_of(node["data"])).replace("</", "<\\/")
        translator.body.append(f'<script type="application/json">{text}</script>\n')


def depart_html(translator, node: interactive) -> None:
    translator.body.append("</div>\n")


def skip(translator, node: interactive) -> None:
    """In a medium without scripts only the words in its place appear."""


def add_scripts(app, page, template, context, doctree) -> None:
    if doctree is not None and next(iter(doctree.findall(interactive)), None) is not None:
        app.add_css_file(STYLE)
        for script in SCRIPTS:
            app.add_js_file(script, loading_method="defer")


def setup(app):
    app.add_node(interactive, html=(visit_html, depart_html), epub=(skip, skip), latex=(skip, skip), text=(skip, skip))
    app.add_directive("interactive", Interactive)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
