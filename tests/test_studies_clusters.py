"""Studies on Ray and on Dask, started on this machine's loopback: the same results to the last digit as at home."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import cluster_study
import semcom_utils
from semcom_utils.studies import find, run_study
from semcom_utils.studies.backends import where

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
#: For what a busy machine takes a minute or more for: starting an interpreter that imports Dask.
PATIENCE_S = 300


def needs(module: str) -> None:
    if find_spec(module) is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(f"{module} is not installed: pip install -e '.[ray,dask]'")


@pytest.fixture(scope="module", autouse=True)
def environment():
    """What workers inherit: where the code is, one thread, and no token on the loopback."""
    with pytest.MonkeyPatch.context() as patch:
        paths = [str(Path(semcom_utils.__file__).parents[1]), str(Path(__file__).parent)]
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # a raylet ends itself if its helpers, Python processes, take longer than these to start
        patch.setenv("RAY_agent_register_timeout_ms", str(1000 * PATIENCE_S))
        patch.setenv("RAY_worker_register_timeout_seconds", str(PATIENCE_S))
        yield


def ran(study, folder, jobs=-1, **how) -> dict:
    return run_study(study, jobs=jobs, folder=folder, progress=False, **how)


def values(result: dict) -> list[dict]:
    return [{key: value for key, value in record.items() if key != "meta"} for record in result["records"]]


def lines(log: Path) -> list[tuple[int, str]]:
    return [(int(seed), node) for seed, node in (line.split() for line in log.read_text().splitlines())]


def same_as_at_home(result: dict, log: Path, folder: Path, **task) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster_study, "AT_HOME", True)
        home = ran(cluster_study.study(log, **task), folder / "home", jobs=1)
    assert values(result) == values(home) and result["summary"] == home["summary"]
    assert result["provenance"]["commits_of_records"] == home["provenance"]["commits_of_records"]


def of_a_real_study(folder: Path) -> list[dict]:
    result = ran(find("gai_semcom_networks/information_effectiveness"), folder, seeds=1, small=True)
    return [values(result), result["summary"]]


@contextmanager
def ray_nodes(n: int):
    """A Ray cluster of n nodes with one core each.

    A node gives its helpers, Python processes, some fifteen seconds to start, and aborts: on a busy machine it takes a
    few attempts.
    """
    import psutil
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    before = set(psutil.Process().children(recursive=True))
    for left in reversed(range(6)):
        cluster = Cluster()
        try:
            for _ in range(n):
                cluster.add_node(**small)
            cluster.wait_for_nodes()
            break
        except Exception:
            cluster.shutdown()
            for process in set(psutil.Process().children(recursive=True)) - before:  # of the node that aborted
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            if not left:
                raise
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


@contextmanager
def dask_workers(folder: Path, n: int, *arguments: str):
    """A Dask scheduler and n workers, each a process of its own, as on a cluster; gives address and workers."""
    file, started = folder / "scheduler.json", []

    def start(command, *options):
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{command}", "--host", "127.0.0.1", "--no-dashboard",
                 "--scheduler-file", str(file), *options],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
            )
        )  # fmt: skip

    try:
        start("scheduler", "--port", "0")
        for _ in range(n):
            start("worker", "--nthreads", "1", "--local-directory", str(folder / "dask"), *arguments)
        deadline = time.monotonic() + PATIENCE_S
        while not file.exists() or not file.read_text().strip():
            assert started[0].poll() is None, "the scheduler ended"
            assert time.monotonic() < deadline, "no scheduler"
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        from distributed import Client

        with Client(address, timeout=PATIENCE_S) as client:
            client.wait_for_workers(n, timeout=PATIENCE_S)
        yield address
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=PATIENCE_S)


def test_two_ray_nodes(tmp_path):
    needs("ray")
    log = tmp_path / "log"
    with ray_nodes(2) as address, where("ray", address):
        result = ran(cluster_study.study(log, kills=2, seconds=0.2), tmp_path / "ray")
        real = of_a_real_study(tmp_path / "ray")
    seen = lines(log)
    assert {seed for seed, _ in seen} == set(range(6)) and [s for s, _ in seen].count(2) == 2
    assert len({node for _, node in seen}) == 2, "both nodes worked"
    same_as_at_home(result, log, tmp_path, kills=2, seconds=0.2)
    assert real == of_a_real_study(tmp_path / "home")


def test_dask_scheduler_with_two_workers_of_which_one_is_killed(tmp_path):
    needs("distributed")
    log = tmp_path / "log"
    with dask_workers(tmp_path, 2, "--no-nanny") as address, where("dask", address):
        result = ran(cluster_study.study(log, n=8, kills=4, seconds=0.3), tmp_path / "dask")
        real = of_a_real_study(tmp_path / "dask")
    seen = lines(log)
    assert {seed for seed, _ in seen} == set(range(8)) and [s for s, _ in seen].count(4) == 2
    assert len({node for _, node in seen}) == 2, "both workers worked"
    assert len(result["records"]) == 8
    same_as_at_home(result, log, tmp_path, n=8, kills=4, seconds=0.3)
    assert real == of_a_real_study(tmp_path / "home")


def test_single_dask_worker_spares_the_driver(tmp_path):
    """The first of forty that SLURM starts: joblib would run everything in the driver, on the login node."""
    needs("distributed")
    with dask_workers(tmp_path, 1, "--no-nanny") as address, where("dask", address):
        result = ran(cluster_study.study(tmp_path / "log", n=3), tmp_path / "dask")
    assert len(result["records"]) == 3
    assert {node for _, node in lines(tmp_path / "log")} & {str(os.getpid())} == set()


def test_dask_workers_with_several_threads_are_refused(tmp_path):
    needs("distributed")
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        with pytest.raises(ValueError, match="Dask's workers must have one thread each"):
            with where("dask", cluster.scheduler_address):
                pass


def test_slurm_script_asks_for_workers_of_one_core(tmp_path):
    needs("dask_jobqueue")
    script = Path(__file__).parents[1] / "tools" / "cluster" / "slurm.py"
    options = ["--print", "--workers", "3", "--queue", "short", "--time", "01:00:00", "--memory", "2GB"]
    done = subprocess.run(
        [sys.executable, str(script), "isgc/fast", *options], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    job = done.stdout.splitlines()
    assert {"#SBATCH -p short", "#SBATCH --cpus-per-task=1", "#SBATCH --mem=2G", "#SBATCH -t 01:00:00"} <= set(job)
    assert f"cd '{tmp_path}'" in job and "export OMP_NUM_THREADS=1" in job
    assert "--nthreads 1 " in done.stdout


def test_files_for_ray_can_be_read():
    folder = Path(__file__).parents[1] / "tools" / "cluster"
    subprocess.run(["bash", "-n", str(folder / "ray.sbatch")], check=True)
    launcher = yaml.safe_load((folder / "ray.yaml").read_text(encoding="utf-8"))
    assert launcher["provider"]["type"] == "local"
    assert launcher["max_workers"] == launcher["min_workers"] == len(launcher["provider"]["worker_ips"])


@pytest.mark.parametrize("backend, module", [("ray", "ray"), ("dask", "distributed")])
def test_backend_that_is_not_installed_names_the_command(backend, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=rf"backend '{backend}' needs {module}: pip install .*\[{backend}\]"):
        with where(backend):
            pass
