"""Command line of the claim ledger: ``python -m semcom_utils.ledger check|update|table|scoreboard|errata``."""

from __future__ import annotations

import argparse
import sys

from semcom_utils.prose import speak_utf8

from .claims import LedgerError, load_ledger
from .errata import errata
from .render import claims_table, scoreboard
from .verdicts import check_ledger, ledger_notes, update_ledger, verdict


def main(argv: list[str] | None = None) -> int:
    """Run one command of the ledger.

    Parameters
    ----------
    argv : list of str, optional
        Its arguments; those of the process if None.

    Returns
    -------
    int
        Exit status: 1 if the ledger cannot be read or a stored verdict does not follow, else 0.
    """
    speak_utf8()
    parser = argparse.ArgumentParser("python -m semcom_utils.ledger", description="The book's claims and verdicts.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="fail if a stored verdict does not follow from its numbers")
    commands.add_parser("update", help="write the verdicts that follow from the numbers into data/claims/*.yml")
    commands.add_parser("table", help="print the claims and verdicts of one paper, or of all").add_argument(
        "paper", nargs="?", help="a paper's key, such as isgc"
    )
    for page in ("scoreboard", "errata"):
        commands.add_parser(page, help=f"print the book's page {page}.md, which `make book` writes")
    arguments = parser.parse_args(argv)
    try:
        return _run(arguments)
    except LedgerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "check":
        problems = check_ledger()
        for note in ledger_notes():
            print(f"note: {note}")
        for problem in problems:
            print(problem, file=sys.stderr)
        if problems:
            return 1
        claims = [claim for entries in load_ledger().values() for claim in entries]
        waiting = {claim.id: files for claim in claims if (files := verdict(claim).waits_for)}
        for claim_id, files in waiting.items():
            print(f"{claim_id} waits for {', '.join(files)}")
        print(f"{len(claims)} claims, every stored verdict follows; {len(waiting)} wait for their results")
        return 0
    if arguments.command == "update":
        changed = update_ledger()
        for claim, new in changed:
            print(f"{claim.id}: {claim.verdict} -> {new}")
        print(f"{len(changed)} verdicts changed")
        return 0
    if arguments.command == "table":
        for paper in [arguments.paper] if arguments.paper else load_ledger():
            print(f"{claims_table(paper, verdicts=True)!r}\n")
        return 0
    print({"scoreboard": scoreboard, "errata": errata}[arguments.command](), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
