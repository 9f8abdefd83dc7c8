"""Every study of the book: a small version runs from end to end, and every stored summary follows from its records."""

import json
import math

import pytest

from semcom_utils.studies import catalogue, find, load_result, task_key


def same(a, b, relative=1e-6):
    """Whether two summaries say the same; decimals to a part in a million."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k], relative) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float | int):
        return math.isclose(a, b, rel_tol=relative, abs_tol=1e-9)
    return a == b


@pytest.mark.parametrize("name", catalogue())
def test_stored_summary_follows_from_the_stored_records(name):
    study, stored = find(name), load_result(name)
    assert [task_key(r["task"]) for r in stored["records"]] == [task_key(t) for t in study.tasks()], "run it again"
    again = json.loads(json.dumps(study.summarise(stored["records"])))
    assert same(again, stored["summary"])
