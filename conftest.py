"""How a re-executed chapter is compared with the stored one, and the fixtures that several test files share.

Floating-point sums differ in their last bits between processors, and training amplifies that. So two outputs agree
when the text between the decimals is the same and each decimal differs by at most 2 per cent, or by one unit of the
last printed digit if that is more. Whole numbers are text: they must be the same. Blanks before a decimal do not count,
since a table pads 9.99 where it does not pad 10.01.
"""

import math
import os
import re
from functools import cache
from pathlib import Path

import pytest

RELATIVE = 0.02
SITE = Path(__file__).parent / "_build" / "html"
DECIMAL = re.compile(r"[ \t]*[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE][-+]\d))(?:[eE][-+]?\d+)?")


def same_output(stored: str, again: str) -> bool:
    """Tell whether two outputs agree within the tolerance."""
    if DECIMAL.sub("#", stored) != DECIMAL.sub("#", again):
        return False
    pairs = zip(DECIMAL.findall(stored), DECIMAL.findall(again), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=RELATIVE, abs_tol=1.01 * last_unit(a)) for a, b in pairs)


def last_unit(number: str) -> float:
    """Return one unit of the last printed digit: 0.01 for "3.14", 1e-5 for "2.50e-03"."""
    mantissa, _, exponent = number.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


class Near(str):
    """A string that equals another within the tolerance: nbval compares outputs with ``==`` and ``!=``."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        return isinstance(other, str) and same_output(str(self), str(other))

    def __ne__(self, other):
        return not self == other


def pytest_configure(config):
    """Hand nbval strings that compare with the tolerance."""
    if getattr(config.option, "nbval", False):
        from nbval.plugin import IPyNbCell

        os.environ["TQDM_DISABLE"] = "1"  # a kernel that nobody waits at shows no progress bars; none is stored either
        exact = IPyNbCell.sanitize

        def sanitize(cell, output):
            clean = exact(cell, output)
            return Near(clean) if isinstance(clean, str) else clean

        IPyNbCell.sanitize = sanitize


#: Files of tests, and tests that are jobs of their own, that take more than a quarter of a minute; others: ten seconds.
SECONDS = {
    "test_bad_inputs.py": 130,
    "test_stored_studies.py": 240,
    "test_lab.py": 150,
    "test_claims_can_fail.py": 120,
    "test_studies_clusters.py": 110,
    "test_site_pages.py": 60,
    "test_generation_loading.py": 60,
    "test_every_page_in_a_browser": 45,
    "test_training.py": 40,
    "test_places.py": 40,
    "test_derived_pages.py": 30,
    "test_gai_semcom_networks_smart_city.py": 30,
    "test_checks_can_fail.py": 25,
    "test_diffusion_policy.py": 25,
    "test_public_names.py": 25,
    "test_semaigc_root_studies.py": 25,
    "test_semcom_for_aigc_adapters.py": 25,
    "test_semcom_for_aigc_control.py": 25,
    "test_toyworld.py": 25,
    "test_aigc_scm.py": 20,
    "test_allocation.py": 20,
    "test_interactive.py": 20,
    "test_whole_checkpoints.py": 20,
}
PAGE = re.compile(r"test_every_page_in_a_browser|test_second_runs\.py")


def job(nodeid: str) -> str:
    """What one worker takes as a whole: a file, but each second run of a chapter and each part of the pages alone."""
    return nodeid if PAGE.search(nodeid) else nodeid.split("::", 1)[0]


@cache
def expected_seconds(name: str) -> float:
    """How long a job takes, roughly: of a chapter what its front matter says, of its second run two thirds of that."""
    if chapter := re.search(r"notebooks/(\w+)\.ipynb|test_second_runs\.py::.*\[(\w+)\]", name):
        text = Path(__file__).parent / "notebooks" / f"{chapter[1] or chapter[2]}.md"
        found = re.search(r"^  run: \{seconds: ([\d.]+)", text.read_text("utf-8"), re.M) if text.is_file() else None
        return (float(found[1]) if found else 90.0) * (1 if chapter[1] else 2 / 3)
    return next((seconds for part, seconds in SECONDS.items() if part in name), 10.0)


def pytest_collection_modifyitems(items):
    """The longest jobs come first: what two workers have left at the end is short, and neither waits for the other."""
    items.sort(key=lambda item: (-expected_seconds(job(item.nodeid)), job(item.nodeid)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With ``--dist loadfile``, what takes minutes is cut into jobs of its own, and jobs keep the order from above."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # xdist's own order: those with most tests first

    class ByFileOrRun(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return job(nodeid)

    return ByFileOrRun(config, log)


@pytest.fixture(scope="module")
def one_thread():
    """PyTorch on one thread: two wait for each other without sleeping, for minutes beside another busy process."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def browser_flags() -> tuple[str, ...]:
    """Flags of Chromium beside the usual ones; a file of tests may have a fixture of its own."""
    return ()


@pytest.fixture(scope="module")
def chrome(browser_flags):
    """A headless Chromium, which is slow to start; without one the tests are skipped, but not in CI."""
    from site_checks import BrowserMissing, browser

    try:
        with browser(*browser_flags) as driver:
            yield driver
    except BrowserMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def address():
    """Where the built site is served."""
    from site_checks import served

    with served(SITE) as url:
        yield url
