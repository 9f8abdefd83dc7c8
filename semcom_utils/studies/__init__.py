"""Long runs: seeds and sweeps that survive a kill, with provenance, into ``data/results/<paper>/``.

``python -m semcom_utils.studies`` lists the studies; ``python -m semcom_utils.studies isgc/training`` runs one, or goes
on where it was stopped. The engine knows no paper by name: each package under :mod:`semcom_utils.papers` lists its
studies, and :func:`catalogue` collects them.
"""

from semcom_utils.studies.runner import Study, catalogue, find, load_result, run_study
from semcom_utils.studies.tasks import task_key

__all__ = [
    "Study",
    "catalogue",
    "find",
    "load_result",
    "run_study",
    "task_key",
]
