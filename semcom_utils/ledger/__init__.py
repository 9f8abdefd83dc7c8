"""The claim ledger: what the papers claim, how each claim is tested, and the verdict that the numbers give.

``data/claims/<paper>.yml`` holds the claims of one paper, ``data/results/*.json`` the numbers, and this package brings
them together. Nobody types a verdict that does not follow: :func:`verdict` computes it from the acceptance test's
checks, :func:`check_ledger` lists every stored verdict and every piece of evidence that does not hold, and a test of
the suite fails on any. A claims file reads like this::

    paper: {key: isgc, prefix: isgc, name: ISGC, title: ..., cite: lin2023isgc, number: 0,
            chapter: notebooks/10_isgc, scope: which parts of the paper the list covers}
    claims:
      - id: isgc-gain-percent             # starts with the paper's prefix
        verdict: not attempted            # written by `python -m semcom_utils.ledger update`
        statement: The diffusion policy improves the reward over PPO by 8.3 percent.      # our own words
        where: {section: VI}              # and figure, table, equation
        kind: number                      # equation | number | ordering | trend | cost
        role: central                     # central | supporting
        printed: {value: 8.3, unit: "%", obtained: text}
        setting: {text: ours, deviations: [one, another]}
        acceptance:
          text: The paired gain's interval lies above zero, its estimate within one point of 8.3%.
          committed: 2026-11-22           # before the run; later changes go to history: [{date, change, reason, was}]
          checks:
            - {name: a gain, value: isgc/training.json#/summary/gain_over_ppo_percent/low, op: ">", bound: 0}
            - {value: isgc/training.json#/summary/gain_over_ppo_percent/estimate, op: within, bound: [7.3, 9.3]}
        estimate: {at: isgc/training.json#/summary/gain_over_ppo_percent, unit: "%"}      # pointers, no numbers
        evidence: [{results: isgc/training.json#/summary}, {notebook: notebooks/10_isgc, cell: fig-isgc-training}]
        counter_check: what would have refuted it
        control: {text: the negative control, checks: [...]}     # the test on what must not pass it

A value or bound is a number or a pointer: a file of ``data/results``, ``#``, and a JSON pointer into it. All checks
hold: ``reproduced``; some: ``partly``; none: ``not reproduced``; ``acceptance.verdict_if`` says otherwise where a claim
needs it (``{all: direction holds at reduced scale}`` for a mini model). While a results file does not exist the claim
is ``not attempted``. A claim without checks is ``not attempted``, ``not testable here`` (with a ``reason``), or
``contradicted by the paper itself`` with a test of ``tests/`` as evidence. ``book/ledger_format.md`` tells it all;
``schema.json`` is the authority. A statement that is an identity or theorem, or a simulation of a formula's own model
where the paper prints no setting, ``holds by derivation``: its checks guard our code, and the explanation derives it.

Command line: ``python -m semcom_utils.ledger check``, or ``update``, ``table [PAPER]``, ``scoreboard``, ``errata``.
In a chapter: ``claims_table("isgc")`` at the head, ``claims_table("isgc", verdicts=True)`` at the foot.
"""

from .claims import Claim, LedgerError, Paper, load_claims, load_ledger
from .errata import errata
from .findings import findings
from .render import claims_table, scoreboard, slug, verdict_box
from .verdicts import (
    VERDICTS,
    CheckOutcome,
    Estimate,
    Problem,
    Verdict,
    check_ledger,
    estimates,
    ledger_notes,
    resolve,
    update_ledger,
    verdict,
)

__all__ = [
    "VERDICTS",
    "CheckOutcome",
    "Claim",
    "Estimate",
    "LedgerError",
    "Paper",
    "Problem",
    "Verdict",
    "check_ledger",
    "claims_table",
    "errata",
    "estimates",
    "findings",
    "ledger_notes",
    "load_claims",
    "load_ledger",
    "resolve",
    "scoreboard",
    "slug",
    "update_ledger",
    "verdict",
    "verdict_box",
]
