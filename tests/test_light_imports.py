"""What needs only NumPy starts at once: the heavy libraries are imported where they are used."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PAPERS = Path(__file__).parents[1] / "semcom_utils" / "papers"
HEAVY = {"torch", "sionna", "diffusers", "transformers", "stable_baselines3", "gymnasium", "simpy", "pandas", "skimage"}
LIGHT = (
    "checks",
    "paths",
    "pictures",
    "prose",
    "statistics",
    "physical",
    "physical.channels",
    "physical.limits",
    "semantic",
    "semantic.codecs",
    "semantic.information",
    "semantic.knowledge",
    "effectiveness",
    "effectiveness.age",
    "toyworld",
    "control",
    "control.allocation",
    "control.association",
    "control.queueing",
    "ledger",
    "studies",
    "papers",
    *(f"papers.{path.parent.name}" for path in sorted(PAPERS.glob("*/__init__.py"))),
)
SECONDS = 2.0  # of processor time; idle it is a half. A busy machine must not fail this, an import of PyTorch must


def run(code: str) -> tuple[float, set[str]]:
    """Processor time of some code in a fresh interpreter, and the heavy libraries that it loads."""
    report = (
        f"import json, sys, time\n{code}\n"
        f"print(json.dumps([time.process_time(), sorted({HEAVY!r} & set(sys.modules))]))"
    )
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    seconds, heavy = json.loads(done.stdout.splitlines()[-1])
    return seconds, set(heavy)


def test_light_modules_load_nothing_heavy():
    lines = [
        f"import semcom_utils.{module}\nheavy = {HEAVY!r} & set(sys.modules)\nassert not heavy, ({module!r}, heavy)"
        for module in LIGHT
    ]
    assert run("\n".join(lines))[1] == set()


@pytest.mark.parametrize(
    "code",
    [
        "from semcom_utils.physical import capacity_awgn; assert capacity_awgn(0.0) == 1.0",
        "from semcom_utils.toyworld import describe; describe(1)",
        "from semcom_utils.studies.__main__ import main; main([])",
        "from semcom_utils.ledger import load_ledger; load_ledger()",
    ],
)
def test_start_is_quick(code):
    seconds, heavy = run(code)
    assert heavy == set() and seconds < SECONDS


def test_a_link_brings_pytorch_but_not_sionna():
    """Or the tests above would pass for want of anything to load."""
    _, heavy = run("from semcom_utils.physical import DigitalLink; DigitalLink().layout(8)")
    assert "torch" in heavy and "sionna" not in heavy


def test_what_physical_lacks_is_an_attribute_error():
    import semcom_utils.physical as physical

    assert set(physical.__all__) <= set(dir(physical))
    with pytest.raises(AttributeError, match="no attribute 'AnalogueLink'"):
        _ = physical.AnalogueLink
