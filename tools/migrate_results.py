"""Bring results of edition 0.1.0 to today's names and layout; does nothing to what is there already.

    python tools/migrate_results.py

A study was ``root_pictures`` and is ``semaigc_root/pictures``: one folder a paper. A record was one flat object and is
``{task, meta, values}``, so that a commit can't be taken for a measurement. ``data/results/renamed.json`` keeps the old
names: the ledger reads it where it compares a claim's test with the one that was committed under them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "data" / "results"
RENAMED = RESULTS / "renamed.json"
META = ("wall_time_s", "commit")


def migrated(result: dict, name: str) -> dict:
    """A result under its new name with records of three parts; values, tasks and the summary stay as they are."""
    records = []
    for record in result["records"]:
        if set(record) == {"task", "meta", "values"}:
            records.append(record)
            continue
        meta = {"commit": record.get("commit", "unknown"), "uncommitted_changes": None, "code": "unknown"}
        meta["wall_time_s"] = record["wall_time_s"]
        values = {key: value for key, value in record.items() if key not in ("task", *META)}
        records.append({"task": record["task"], "meta": meta, "values": values})
    command = f"python -m semcom_utils.studies {name}"
    return {**result, "study": name, "command": command, "records": records}


def main() -> int:
    renamed = json.loads(RENAMED.read_text(encoding="utf-8"))
    for old, new in renamed.items():
        source, target = RESULTS / f"{old}.json", RESULTS / f"{new}.json"
        if source.exists():
            target.parent.mkdir(exist_ok=True)
            subprocess.run(["git", "-C", str(ROOT), "mv", str(source), str(target)], check=True)
            print(f"{old} is now {new}")
        result = json.loads(target.read_text(encoding="utf-8"))
        text = json.dumps(migrated(result, new), allow_nan=False, ensure_ascii=False, indent=1) + "\n"
        if text != target.read_text(encoding="utf-8"):
            target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
