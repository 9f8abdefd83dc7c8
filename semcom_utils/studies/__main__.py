"""``python -m semcom_utils.studies [NAME ...]``: list the studies, or run some, here or on a cluster."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from semcom_utils.prose import speak_utf8
from semcom_utils.studies.backends import BACKENDS, where
from semcom_utils.studies.runner import catalogue, find, run_study, summarise_again

SCRATCH = Path("scratch") / "results"


def main(argv: list[str] | None = None) -> int:
    """Entry point of the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process if None.

    Returns
    -------
    int
        Exit status: 0 if all went well, 130 if it was interrupted; argparse leaves with 2 at wrong arguments.
    """
    speak_utf8()
    parser = argparse.ArgumentParser(prog="python -m semcom_utils.studies", description=__doc__)
    parser.add_argument(
        "name", nargs="*", metavar="NAME", help="a study, such as isgc/training; without, all are listed"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="N seeds for each setting in place of the study's own")
    parser.add_argument("--small", action="store_true", help="the small version that the tests run")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help=f"where results go (data/results; with --seeds or --small {SCRATCH})"
    )
    parser.add_argument("--summary", action="store_true", help="sum up the stored records anew; no task runs")
    parser.add_argument("--jobs", type=int, default=-1, metavar="N", help="tasks at a time (default: one a core)")
    parser.add_argument("--backend", choices=BACKENDS, default="local", help="where tasks run (default: local)")
    parser.add_argument("--address", help="the cluster's address (default: one started here)")
    arguments = parser.parse_args(argv)
    known = catalogue()
    if unknown := sorted(set(arguments.name) - set(known)):
        parser.error(f"no study named {', '.join(unknown)}; there are {', '.join(known)}")
    if arguments.address and arguments.backend == "local":
        parser.error("--address names a cluster: it goes with --backend ray or dask")
    if arguments.jobs == 1 and arguments.backend != "local":
        parser.error("--jobs 1 runs all tasks in this process: leave it out with --backend ray or dask")
    if arguments.seeds is not None and arguments.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {arguments.seeds}")
    if not arguments.name:
        for name, entry in known.items():
            print(f"{name:44} {entry.about}")
        return 0
    reduced = arguments.small or arguments.seeds is not None
    folder = arguments.out or (SCRATCH if reduced else None)
    how = {"seeds": arguments.seeds, "small": arguments.small, "folder": folder}
    if arguments.summary:
        for name in arguments.name:
            result = summarise_again(find(name), **how)
            print(f"{name}: {len(result['records'])} records summed up")
        return 0
    try:
        with where(arguments.backend, arguments.address, arguments.jobs if arguments.jobs > 0 else None):
            for name in arguments.name:
                result = run_study(find(name), jobs=arguments.jobs, **how)
                print(f"{name}: {len(result['records'])} records, {result['provenance']['wall_time_s']} s of work")
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the finished records", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
