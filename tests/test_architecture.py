"""Imports go one way: tools <- toy world <- levels <- control <- papers, the engines beside (book/levels.md)."""

import ast
from pathlib import Path

import jupytext
import pytest

from derived_pages import chapter
from semcom_utils.paths import PAPERS, papers

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "semcom_utils"
TOOLS = {"checks", "figures", "paths", "pictures", "prose", "statistics"}  # they know nobody but each other
LEVELS = {"physical", "semantic", "generation", "effectiveness"}  # none knows another
ENGINES = {"studies", "ledger"}  # they run and judge what they find, and know no paper by name

#: What each room may import beside itself. Nothing else is in the package, and there is no exception.
MAY = {
    "__init__": {"paths"},  # the package's own file, which warns of a checkout whose code this is not
    **{tool: TOOLS for tool in TOOLS},
    **{engine: TOOLS for engine in ENGINES},
    "toyworld": TOOLS,  # data: every level may draw from it
    **{level: TOOLS | {"toyworld"} for level in LEVELS},
    "control": TOOLS | {"toyworld"} | LEVELS,
    "papers": TOOLS | {"toyworld"} | LEVELS | {"control"} | ENGINES,  # and of the papers its own alone
}
#: A chapter may do what its paper's package may.
CHAPTER = MAY["papers"]
#: The package that compares the papers: it may know all of them, and none of them may know it.
SYNTHESIS = "book"


def imported(source: str, module: str) -> set[str]:
    """Full names of what a source imports of the package, wherever in it and however it is written.

    ``from semcom_utils.a import b`` gives ``semcom_utils.a.b``, whether b is a module or a name in one. ``module`` is
    the importing module's name, with ``__init__`` for a package's own file.
    """
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*module.split(".")[: -node.level], *filter(None, [base])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "semcom_utils"}


def problems(source: str, module: str) -> list[str]:
    """What a module of the package imports against the rule."""
    parts = module.split(".")
    room = parts[1] if len(parts) > 1 else ""
    found = []
    for name in sorted(imported(source, module)):
        to = name.split(".")[1:]
        if not to or (len(to) == 1 and to[0].startswith("__")):  # the package itself, its version
            continue
        if to[0] != room and to[0] not in MAY.get(room, set()):
            found.append(f"{module} imports {name}: {room or 'the package'} may not know {to[0]}")
        if to[0] != room and any(part.startswith("_") and not part.endswith("__") for part in to):
            found.append(f"{module} imports {name}: what begins with _ is of its own room only")
        if to[0] == room == "papers" and to[1:2] != parts[2:3]:
            if parts[2:3] != [SYNTHESIS]:
                found.append(f"{module} imports {name}: a paper knows no other paper")
            elif any(part.startswith("_") and not part.endswith("__") for part in to):
                found.append(f"{module} imports {name}: what begins with _ is of its own paper only")
    if room in ENGINES:
        found += [f"{module} names the paper {name}" for name in named_papers(source)]
    return found


def named_papers(source: str) -> list[str]:
    """Papers that code names in a string: alone, or in a path of modules or files. Docstrings and examples may."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in prose
    ]
    return [
        key
        for key in papers()
        if any(text == key or f"papers.{key}" in text or f"papers/{key}" in text for text in texts)
    ]


def outside_problems(source: str, where: str, papers_allowed: set[str]) -> list[str]:
    """What a chapter, a tool or a benchmark imports against the rule."""
    found = []
    for name in sorted(imported(source, where)):
        to = name.split(".")[1:]
        if to and to[0] not in CHAPTER | {"papers", "__version__"}:
            found.append(f"{where} imports {name}: there is no such room")
        if to[:1] == ["papers"] and not set(to[1:2]) & papers_allowed:
            found.append(
                f"{where} imports {name}: it may know {' and '.join(sorted(papers_allowed)) or 'no paper'} only"
            )
        if any(part.startswith("_") and not part.endswith("__") for part in to):
            found.append(f"{where} imports {name}: what begins with _ is of its own room only")
    return found


def papers_of(paper: str) -> set[str]:
    """The papers that a chapter of this paper may know."""
    return set(papers()) if paper == SYNTHESIS else {paper}


def code_of(text: Path) -> str:
    return "\n".join(cell.source for cell in jupytext.read(text).cells if cell.cell_type == "code")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


MODULES = sorted(PACKAGE.rglob("*.py"))
CHAPTERS = sorted((ROOT / "notebooks").glob("*.md"))


def test_every_room_has_its_rule():
    """A room that nobody gave a place would be free."""
    rooms = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    tools = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("_")}
    assert rooms | tools | {"__init__"} == set(MAY) and tools == TOOLS
    assert {path.name for path in PAPERS.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(papers())


def test_the_rule_has_no_circle():
    """Whom a room knows does not know it, tools among themselves aside."""
    assert not [(a, b) for a in MAY for b in MAY[a] if a in MAY.get(b, ()) and not {a, b} <= TOOLS]


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_one_way(path):
    assert not problems(path.read_text(encoding="utf-8"), module_name(path))


@pytest.mark.parametrize("text", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_knows_its_own_paper_only(text):
    assert not outside_problems(code_of(text), text.stem, papers_of(chapter(text).paper))


@pytest.mark.parametrize("path", sorted((ROOT / "tools").glob("*.py")), ids=lambda path: path.name)
def test_tools_know_no_paper(path):
    assert not outside_problems(path.read_text(encoding="utf-8"), path.name, set())


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_benchmarks_import_what_there_is(path):
    assert not outside_problems(path.read_text(encoding="utf-8"), path.name, set(papers()))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("checks", "from semcom_utils.physical import capacity_awgn"),  # a tool knows a level
        ("paths", "def late():\n    import semcom_utils.papers.isgc.scenario"),  # ... or a paper, in a function
        ("physical.digital", "from ..generation import load"),  # a level knows another
        ("physical.digital", "from semcom_utils import semantic"),
        ("effectiveness.age", "if True:\n    from semcom_utils.control import queueing"),  # ... or control
        ("toyworld.scene", "from semcom_utils import generation"),  # data draws from nobody
        ("control.d3qn", "from semcom_utils.papers.isgc import scenario"),  # a method knows a paper
        ("control.d3qn", "from semcom_utils.studies import Study"),  # ... or an engine
        ("studies.runner", "from semcom_utils.ledger import verdict"),  # engines know each other
        ("studies.runner", "from semcom_utils import toyworld"),  # ... or more than tools
        ("ledger.errata", "from semcom_utils.papers.isgc.errata import numbers"),  # ... or a paper
        ("ledger.errata", "import_module('semcom_utils.papers.isgc.errata')"),  # ... by whatever name
        ("ledger.errata", "FIRST = 'isgc'"),
        ("papers.isgc.errata", "from semcom_utils.papers.semaigc_root.scenario import latency"),  # a paper another
        ("papers.isgc.errata", "from ..semaigc_root import scenario"),
        ("papers.isgc.__init__", "from ..semaigc_root import scenario"),
        ("papers.isgc.learning", "from semcom_utils.papers.book.bench import Scheme"),  # ... or what compares them
        ("papers.foundations.digital_link", "from ..book import link"),
        ("control.d3qn", "from semcom_utils.papers.book import bench"),
        ("studies.runner", "FIRST = 'data/results/papers/book'"),
        ("papers.book.schemes", "from semcom_utils.papers.isgc.scenario import _draw"),  # what is another's own
        ("papers.book.schemes", "from ..isgc import _draw"),
        ("papers.bookshop.shelf", "from ..isgc import scenario"),  # a paper with such a name is no exception
        ("papers.isgc.errata", "from semcom_utils.physical.digital import _codec"),  # what is private elsewhere
        ("papers.isgc.errata", "from semcom_utils.physical import _tables"),
        ("__init__", "from semcom_utils import physical"),  # the package's own file knows nobody
        ("newroom.thing", "from semcom_utils import checks"),  # a room without a rule may nothing
    ],
)  # fmt: skip
def test_what_breaks_the_rule_is_found(module, source):
    assert len(problems(source, f"semcom_utils.{module}")) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("physical.digital", "from .limits import capacity_awgn, _snr\nfrom semcom_utils.checks import one_of"),
        ("physical.__init__", "from .limits import capacity_awgn\nfrom . import digital"),
        ("generation.training.clip", "from semcom_utils import toyworld\nfrom ..checksums import seal"),
        ("control.d3qn", "from semcom_utils.generation import load"),
        ("papers.isgc.learning", "from semcom_utils.studies import Study\nfrom .scenario import reward"),
        ("papers.isgc.__init__", "from semcom_utils.studies.entry import Entry"),
        ("papers.book.schemes", "from semcom_utils.papers.aigc_scm import message\nfrom ..isgc import scenario"),
        ("papers.book.schemes", "from .bench import Scheme, _own"),  # its own, and all papers
        ("studies.provenance", "from semcom_utils import __version__"),
        ("studies.__main__", "HELP = 'a study, such as isgc/training'"),  # an example is no dependence
        ("ledger.__init__", "'''Its key, such as isgc.'''\nimport numpy"),
    ],
)
def test_what_keeps_the_rule_passes(module, source):
    assert not problems(source, f"semcom_utils.{module}")


def test_what_breaks_a_chapters_rule_is_found():
    def found(source):
        return len(outside_problems(source, "13_chapter", {"gai_semcom_networks"}))

    assert found("from semcom_utils.papers.isgc.scenario import reward") == 1
    assert found("from semcom_utils import papers") == 1
    assert found("from semcom_utils.control.diffusion_policy import _schedule") == 1
    assert found("from semcom_utils.experiments import load_result") == 1  # a name of the old house
    assert found("from semcom_utils.papers.gai_semcom_networks import smart_city") == 0
    assert found("from semcom_utils import toyworld, __version__\nimport semcom_utils.ledger") == 0


def test_the_chapter_that_compares_may_know_every_paper():
    both = "from semcom_utils.papers.isgc import scenario\nfrom semcom_utils.papers.book import bench"
    assert not outside_problems(both, "20_one_bench", papers_of("book"))
    assert len(outside_problems(both, "10_isgc", papers_of("isgc"))) == 1  # ... and no other chapter may know it
    assert len(outside_problems(both, "01_link", papers_of("foundations"))) == 2
    assert len(outside_problems("from semcom_utils.papers.isgc import _draw", "20_one_bench", papers_of("book"))) == 1
