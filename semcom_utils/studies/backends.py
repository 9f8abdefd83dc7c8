"""Where the tasks run: this machine's processes, a Ray cluster, or a Dask cluster, all through joblib.

Workers need the same checkout (or the package installed) and nothing else: tasks go out and records come back over the
cluster's own connections, so no common disk is asked for, and only the driver writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import joblib

from semcom_utils.checks import one_of

__all__ = ["BACKENDS", "where"]

BACKENDS = ("local", "ray", "dask")


@contextmanager
def where(backend: str = "local", address: str | None = None) -> Iterator[None]:
    """Run what is inside on a backend.

    Parameters
    ----------
    backend : {"local", "ray", "dask"}
        "ray" and "dask" need the optional extras of those names.
    address : str, optional
        Of a running cluster: Ray's head (``host:6379`` or ``auto``), Dask's scheduler (``tcp://host:8786``). Without
        one a cluster is started on this machine, and ended afterwards.

    Raises
    ------
    ValueError
        If ``backend`` is none of them.
    ModuleNotFoundError
        If the extra is not installed, with the command that installs it.
    """
    one_of("backend", backend, BACKENDS)
    if backend == "local":
        with joblib.parallel_config(backend="loky"):
            yield
    elif backend == "ray":
        ray = _needed("ray", "ray")
        _needed("ray.util.joblib", "ray").register_ray()
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
        try:
            with joblib.parallel_config(backend="ray"):
                yield
        finally:
            ray.shutdown()
    else:
        distributed = _needed("distributed", "dask")
        with distributed.Client(address=address) as client, joblib.parallel_config(backend="dask"):
            client.wait_for_workers(1, timeout=60)
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
