"""Run studies on SLURM: this process starts a Dask scheduler, and SLURM starts one-core workers that connect to it.

    .venv/bin/python tools/cluster/slurm.py isgc/training --seeds 100 --workers 40 --time 02:00:00 --queue short

Run it where jobs may be submitted from and a process may stay for hours (in tmux, or itself in a small job). It waits
for SLURM to start the first worker; workers that come later join in. All other arguments are those of
``python -m semcom_utils.studies``. A worker that SLURM ends in mid-task costs that task another attempt; if this
process is ended, the same command goes on from the finished records. ``--print`` shows the job script and submits
nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from semcom_utils.studies.__main__ import main as studies


def cluster_of(arguments: argparse.Namespace):
    """A ``dask_jobqueue.SLURMCluster`` whose jobs are one worker of one core each.

    Parameters
    ----------
    arguments : argparse.Namespace
        ``queue``, ``account``, ``time``, ``memory`` and ``interface``, as SLURM names them; each but time and memory
        may be None.

    Returns
    -------
    dask_jobqueue.SLURMCluster
    """
    from dask_jobqueue import SLURMCluster

    return SLURMCluster(
        cores=1,
        processes=1,
        memory=arguments.memory,
        walltime=arguments.time,
        queue=arguments.queue,
        account=arguments.account,
        interface=arguments.interface,
        job_name="semcom-study",
        python=sys.executable,
        job_script_prologue=["export OMP_NUM_THREADS=1", f"cd '{Path.cwd()}'"],
        log_directory=str(Path("scratch") / "slurm"),
        scheduler_options={"dashboard": False},
    )


def main(argv: list[str] | None = None) -> int:
    """Entry point of the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process if None.

    Returns
    -------
    int
        Exit status, as that of ``python -m semcom_utils.studies``.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=10, metavar="N", help="SLURM jobs of one core (default: 10)")
    parser.add_argument("--queue", help="SLURM's partition")
    parser.add_argument("--account", help="the account that is charged")
    parser.add_argument("--time", default="04:00:00", help="wall time of a worker's job (default: 04:00:00)")
    parser.add_argument("--memory", default="4GB", help="memory of a worker (default: 4GB)")
    parser.add_argument("--interface", help="network interface that nodes share, such as ib0")
    parser.add_argument("--print", action="store_true", help="show the job script; submit nothing")
    arguments, study = parser.parse_known_args(argv)
    if arguments.workers < 1:
        parser.error(f"--workers must be at least 1, got {arguments.workers}")
    with cluster_of(arguments) as cluster:
        if arguments.print:
            print(cluster.job_script())
            return 0
        cluster.scale(jobs=arguments.workers)
        with cluster.get_client() as client:
            print(f"waiting for the first of {arguments.workers} workers", file=sys.stderr)
            client.wait_for_workers(1)
        return studies([*study, "--backend", "dask", "--address", cluster.scheduler_address])


if __name__ == "__main__":
    sys.exit(main())
