"""Long runs: seeds and sweeps that survive a kill, with provenance, into ``data/results``.

``python -m semcom_utils.experiments`` lists the studies; ``python -m semcom_utils.experiments NAME`` runs one, or goes
on where it was stopped.
"""

from semcom_utils.experiments.runner import RESULTS, Study, load_result, provenance, run_study

__all__ = ["RESULTS", "Study", "load_result", "provenance", "run_study"]
