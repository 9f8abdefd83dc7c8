"""Command line of the claim ledger: ``python -m semcom_utils.ledger check|update|table|scoreboard|errata``."""

from __future__ import annotations

import argparse
import sys

from .claims import LedgerError, load_ledger
from .errata import errata
from .render import claims_table, page_path, scoreboard
from .verdicts import check_ledger, ledger_notes, update_ledger, verdict


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m semcom_utils.ledger", description="The book's claims and verdicts.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="fail if a stored verdict does not follow from its numbers")
    commands.add_parser("update", help="write the verdicts that follow from the numbers into data/claims/*.yml")
    commands.add_parser("table", help="print the claims and verdicts of one paper, or of all").add_argument(
        "paper", nargs="?", help="a paper's key, such as isgc"
    )
    for page in ("scoreboard", "errata"):
        command = commands.add_parser(page, help=f"print book/{page}.md")
        command.add_argument("--write", action="store_true", help="write the file instead")
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
    text = {"scoreboard": scoreboard, "errata": errata}[arguments.command]()
    if arguments.write:
        page_path(f"{arguments.command}.md").write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
