"""The files at the root agree with each other: pins, names, versions, commands."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import semcom_utils

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
URL = PROJECT["urls"]["Repository"]
EXTRAS = PROJECT["optional-dependencies"]
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.md"))
REQUIREMENTS = [Requirement(r) for r in PROJECT["dependencies"] + [r for extra in EXTRAS.values() for r in extra]]


def name(text):
    return re.sub(r"[-_.]+", "-", text).lower()


PINS = {
    name(requirement.name): requirement
    for requirement in map(Requirement, (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
}


def read(file):
    return (ROOT / file).read_text(encoding="utf-8")


def test_constraints_are_exact_and_unique():
    assert len(PINS) == len(read("constraints.txt").splitlines())
    for pin in PINS.values():
        assert re.fullmatch(r"==[^*]+", str(pin.specifier)), f"{pin} is no exact pin"


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_bounds_contain_the_pin(requirement):
    assert name(requirement.name) in PINS, f"constraints.txt does not pin {requirement.name}: make pins"
    version = str(PINS[name(requirement.name)].specifier).removeprefix("==")
    assert requirement.specifier.contains(version, prereleases=True), f"{requirement} excludes the pin {version}"


def test_bounds_are_loose():
    """Colab must keep its own PyTorch and NumPy: an exact pin in pyproject.toml would replace them."""
    for requirement in REQUIREMENTS:
        exact = {bound.operator for bound in requirement.specifier} & {"==", "==="}
        assert not exact, f"the pin of {requirement} belongs in constraints.txt"


def test_installed_versions_are_the_pins():
    """... or the tests would tell nothing about what `make book` installs."""
    for requirement in REQUIREMENTS:
        installed = Version(importlib.metadata.version(requirement.name)).public
        pinned = str(PINS[name(requirement.name)].specifier).removeprefix("==")
        assert installed == pinned, f"{requirement.name} {installed} is installed, {pinned} is pinned: make book"


def test_jupyter_book_is_1_x():
    """2.x ignores _config.yml and _toc.yml, builds nothing and exits with 0."""
    assert importlib.metadata.version("jupyter-book").startswith("1.")


def test_environment_yml_takes_its_versions_from_constraints():
    environment = yaml.safe_load(read("environment.yml"))
    conda = [d for d in environment["dependencies"] if isinstance(d, str)]
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert "--constraint constraints.txt" in pip
    assert pip[-1] == f"--editable .[{','.join(EXTRAS)}]", "environment.yml must install every extra"
    versioned = [d for d in conda + pip if re.search(r"[=<>]=?\d", d)]
    python = versioned[0].removeprefix("python=")
    assert versioned == [f"python={python}"], "only Python has a version in environment.yml"
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)


def test_makefile_installs_every_extra_under_the_constraints():
    makefile = read("Makefile")
    assert f".[{','.join(EXTRAS)}]" in makefile
    assert "--constraint constraints.txt" in makefile


def test_pre_commit_runs_what_lint_runs():
    """... with the tools of .venv, so that no hook needs the network or another version."""
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", read("Makefile"), re.M).group(1)
    (local,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    hooks = [hook["entry"].replace(" --force-exclude", "") for hook in local["hooks"]]
    steps = [line.strip().replace("$(BIN)", ".venv/bin") for line in lint.splitlines()]
    assert [step.removesuffix(" .").removesuffix(" --check") for step in steps] == hooks
    assert local["repo"] == "local" and all(hook["language"] == "system" for hook in local["hooks"])


def test_deprecations_of_what_we_call_are_errors():
    """A filter that names no module would silence, or fail on, what libraries call of each other."""
    filters = tomllib.loads(read("pyproject.toml"))["tool"]["pytest"]["ini_options"]["filterwarnings"]
    assert "error::DeprecationWarning:semcom_utils" in filters
    for line in filters:
        action, message, _, *module = line.split(":")
        assert message or any(module), f"{line} names neither a message nor a module"


def test_one_address():
    """The repository's address stands in pyproject.toml; wherever else it is written it is the same."""
    assert yaml.safe_load(read("_config.yml"))["repository"]["url"] == URL
    assert yaml.safe_load(read("CITATION.cff"))["repository-code"] == URL
    for file in ("tools/colab_cell.py", "README.md", "book/run.md"):
        assert URL in read(file), f"{file} does not name {URL}"
    for file in ("README.md", "book/run.md", "tools/colab_cell.py", "CONTRIBUTING.md", "_config.yml"):
        for found in re.findall(r"github(?:\.com)?/([\w.-]+/semcom[\w-]*)", read(file)):
            assert URL.endswith(found), f"{file} names github.com/{found}"


def test_one_version():
    assert PROJECT["version"] == semcom_utils.__version__ == str(yaml.safe_load(read("CITATION.cff"))["version"])
    assert f"## {PROJECT['version']}" in read("CHANGELOG.md")


def test_citation_has_what_the_format_requires():
    """Citation File Format 1.2.0: required fields, and the types that people get wrong."""
    citation = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in ("software", "dataset")
    assert all(set(author) & {"name", "family-names"} for author in citation["authors"])


def test_readme_commands_exist():
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.M))
    for file in ("README.md", "CONTRIBUTING.md", "book/run.md", "book/course.md"):
        code = "\n".join(re.findall(r"`[^`]+`|^make .*$", read(file), re.M))
        used = set(re.findall(r"\bmake ([a-z]+)\b", code))
        assert used <= targets, f"{file} names make {used - targets}"


def test_readme_has_a_colab_badge_for_each_chapter():
    colab = URL.replace("https://github.com/", "https://colab.research.google.com/github/")
    about = yaml.safe_load(read("CITATION.cff"))
    opens = f"v{about['version']}" if about.get("date-released") else "main"
    assert sorted(re.findall(rf"{colab}/blob/{opens}/notebooks/(\w+)\.ipynb", read("README.md"))) == CHAPTERS


def test_bibliography_is_clean():
    """One entry a key, and no entry that nothing cites."""
    keys = re.findall(r"^@\w+\{([^,]+),", read("references.bib"), re.M)
    assert len(keys) == len(set(keys))
    prose = "".join(read(path) for folder in ("book", "notebooks") for path in (ROOT / folder).glob("*.md"))
    cited = {key.strip() for group in re.findall(r"\{cite:\w+\}`([^`]+)`", prose) for key in group.split(",")}
    assert set(keys) == cited, f"never cited: {set(keys) - cited}; no entry: {cited - set(keys)}"
