"""Long runs: seeds and sweeps that survive a kill, with provenance, into ``data/results/<paper>/``.

``python -m semcom_utils.studies`` lists the studies; ``python -m semcom_utils.studies isgc/training`` runs one, or goes
on where it was stopped. The engine knows no paper by name: each package under :mod:`semcom_utils.papers` lists its
studies, and :func:`catalogue` collects them.
"""

from semcom_utils.studies.entry import Entry
from semcom_utils.studies.runner import Study, catalogue, find, load_result, run_study, summarise_again
from semcom_utils.studies.tasks import task_key, with_seeds, with_small_tasks

__all__ = [
    "Entry",
    "Study",
    "catalogue",
    "find",
    "load_result",
    "run_study",
    "summarise_again",
    "task_key",
    "with_seeds",
    "with_small_tasks",
]
