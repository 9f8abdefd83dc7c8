"""Where the tasks run: this machine's processes, a Ray cluster, or a Dask cluster, all through joblib.

Workers need the same checkout (or the package installed) and nothing else: tasks go out and records come back over the
cluster's own connections, so no common disk is asked for, and only the driver writes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib

from semcom_utils.checks import checked, one_of, positive_integer

__all__ = ["BACKENDS", "where"]

BACKENDS = ("local", "ray", "dask")
OBJECT_STORE_BYTES = 200 * 2**20  # of a Ray that is started here; records are small
WAIT_S = 60  # for the first workers of a cluster; a queue's own waiting is done before


@contextmanager
@checked
def where(backend: str = "local", address: str | None = None, workers: int | None = None) -> Iterator[None]:
    """Run what is inside on a backend.

    Parameters
    ----------
    backend : {"local", "ray", "dask"}
        "ray" and "dask" need the optional extras of those names.
    address : str, optional
        Of a running cluster: Ray's head (``host:6379`` or ``auto``), Dask's scheduler (``tcp://host:8786``). Without
        one a cluster is started on this machine, and ended afterwards.
    workers : int, optional
        Processes of a cluster that is started here; one a core if None.

    Yields
    ------
    None
        :func:`joblib.parallel_config` is set inside.

    Raises
    ------
    ValueError
        If ``backend`` is none of them, ``workers`` is no positive whole number, or a Dask worker has several threads:
        tasks set the threads and the random state of a whole process. If a Ray cluster has a single core.
    ModuleNotFoundError
        If the extra is not installed, with the command that installs it.
    """
    one_of("backend", backend, BACKENDS)
    workers = positive_integer("workers", workers) if workers is not None else joblib.cpu_count()
    if backend == "local":
        with joblib.parallel_config(backend="loky"):
            yield
    elif backend == "ray":
        with _ray(address, workers):
            yield
    else:
        with _dask(address, workers):
            yield


@contextmanager
def _ray(address: str | None, workers: int) -> Iterator[None]:
    ray = _needed("ray", "ray")
    _needed("ray.util.joblib", "ray").register_ray()
    ours = not ray.is_initialized()
    if ours:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
        own: dict[str, Any] = {"address": address}
        if address is None:  # "local": without an address Ray would join whatever cluster it finds on this machine
            own = {
                "address": "local",
                "num_cpus": workers,
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
            }
        ray.init(**own, log_to_driver=False, configure_logging=False)
    try:
        deadline = time.monotonic() + WAIT_S
        while (cores := int(ray.cluster_resources().get("CPU", 0))) < 2:  # nodes may still be joining
            if time.monotonic() > deadline:
                raise ValueError(f"a Ray cluster must have at least 2 cores, got {cores}: with one, joblib runs here")
            time.sleep(0.2)
        # one core a worker: without the word, Ray may put all workers on one node
        with joblib.parallel_config(backend="ray", ray_remote_args={"num_cpus": 1}):
            yield
    finally:
        if ours:
            ray.shutdown()


@contextmanager
def _dask(address: str | None, workers: int) -> Iterator[None]:
    distributed = _needed("distributed", "dask")
    own = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.Client(**(own if address is None else {"address": address})) as client:
        client.wait_for_workers(1, timeout=WAIT_S)
        threads = {worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()}
        if threads != {1}:
            raise ValueError(f"Dask's workers must have one thread each (--nthreads 1), got {sorted(threads)}")
        with joblib.parallel_config(backend="dask"):
            joined = joblib.parallel.get_active_backend()[0]
            cores = joined.effective_n_jobs
            # with a single worker, the first of many perhaps, joblib would run everything here in the driver
            joined.effective_n_jobs = lambda n_jobs: max(2, cores(n_jobs))
            yield


def _needed(module: str, extra: str):
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"backend {extra!r} needs {module.partition('.')[0]}: pip install 'semcom-utils[{extra}]', in the checkout "
            f".venv/bin/pip install -e '.[{extra}]'"
        ) from None
