"""The study ``confirmation``: sentences that were written after half of the pictures had been seen, put to the other.

What the study ``comparison`` showed on its fifteen tasks suggested sentences that nobody had thought of before. They
were written down then, with their tests, and are decided here on fifteen other tasks that nobody had looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semcom_utils.statistics import student_interval
from semcom_utils.studies import Study

from .choosing import gains, lead
from .comparison import FAMILIES, Table, run, table, tasks
from .conclusions import BOXES, FIRST_TASKS, SMALL, WITH_HISTORY, WITHOUT_HISTORY
from .link import CHANNELS
from .measures import UNITS

__all__ = ["STUDIES", "summary"]

NOT_BOXES = tuple(name for name in FAMILIES if name not in BOXES)
NOT_FILES = tuple({*FAMILIES.values()} - {"file"})


def _mean(one: Table, values: np.ndarray) -> dict:
    return student_interval(one.by_group(values))


def _difference(one: Table, question: str, ours: str, theirs: str) -> dict:
    """Of two settings, whatever they cost."""
    if ours not in one.names or theirs not in one.names:
        return {"estimate": None, "low": None, "high": None}
    answers = one.answers[question]
    return _mean(one, answers[:, one.column(ours)] - answers[:, one.column(theirs)])


def _kinds(one: Table, name: str) -> np.ndarray:
    """SSIM of ordinary scenes less that of scenes with a pattern, a number a group."""
    values = one.answers["picture"][:, one.column(name)]
    groups = np.unique(one.groups)
    return np.array(
        [
            values[(one.groups == g) & ~one.with_subject].mean() - values[(one.groups == g) & one.with_subject].mean()
            for g in groups
        ]
    )


def summary(records: Sequence[Mapping]) -> dict:
    """The numbers of the sentences.

    Parameters
    ----------
    records : sequence of mapping
        Of :func:`.comparison.run`.

    Returns
    -------
    dict
        By the sentences' names in ``data/claims/book.yml``.
    """
    records = list(records)
    at = {(c, s): table(records, s, c) for c in CHANNELS for s in (-6, 0, 6, 12)}
    middle, fading = at["awgn", 6], at["rayleigh-block", 6]
    ordinary = middle.only(~middle.with_subject)
    known = np.array([row for r in records for row in r["features"]])
    tight = gains(middle, "things", 64, known)
    other = np.array([row for r in records for row in r["digital"]["other"]], float)
    floor = UNITS["picture"] * other[:, list(UNITS).index("picture")]
    faint = at["awgn", 0]
    small = [
        name for name, uses in zip(faint.names, faint.uses.mean(0), strict=True) if uses <= 64 and name in FAMILIES
    ]
    shown = max((faint.answers["picture"][:, faint.column(name)] for name in small), key=np.mean, default=floor)
    rivals = ("file", "prompt", "map", "inverted latent")

    def familiar() -> dict:
        names = (
            ("segmentation /1", "DeepJSCC") if "segmentation /1" in middle.names else ("segmentation /4", "DeepJSCC")
        )
        if not set(names) <= set(middle.names):
            return {"map": None, "difference": None}
        own, learned = (_kinds(middle, name) for name in names)
        return {"map": student_interval(own), "difference": student_interval(own - learned)}

    return {
        "pictures": len(middle.uses),
        "groups": len(np.unique(middle.groups)),
        "boxes": {
            question: {
                "all": lead(middle, question, 128, BOXES, NOT_BOXES),
                "ordinary": lead(ordinary, question, 128, BOXES, NOT_BOXES),
                "fading": lead(fading, question, 256, BOXES, NOT_BOXES),
            }
            for question in ("things", "place")
        },
        "who": {
            "awgn": lead(middle, "same", 128, WITH_HISTORY, WITHOUT_HISTORY),
            "rayleigh-block": lead(fading, "same", 256, WITH_HISTORY, WITHOUT_HISTORY),
            "reached": middle.interval("same", "boxes + who") if "boxes + who" in middle.names else None,
        },
        "faint": {"schemes": small, "over_another_scene": _mean(faint, shown - floor)},
        "learned": {
            c: {
                str(s): {str(b): lead(at[c, s], "picture", b, ("learned code",), rivals) for b in (64, 512, 1024)}
                for s in (0, 6)
            }
            for c in CHANNELS
        },
        "plenty": lead(at["awgn", 12], "picture", 4096, ("file",), NOT_FILES),
        "split": {
            c: {str(s): _difference(at[c, s], "picture", "split after 20", "DeepJSCC") for s in (-6, 0, 6, 12)}
            for c in CHANNELS
        },
        "tight": {**tight, "learned_share": _share(tight)},
        "familiar": familiar(),
        "map_over_files": lead(at["awgn", 12], "picture", 256, ("map",), ("file",)),
    }


def _share(gained: Mapping[str, Any]) -> float | None:
    whole = gained["oracle"]["estimate"]
    return gained["learned"]["estimate"] / whole if whole > 0 else None


def _second_half() -> list[dict]:
    """The tasks that the study ``comparison`` leaves."""
    return tasks()[FIRST_TASKS:]


STUDIES: dict[str, Any] = {
    "confirmation": Study(
        _second_half,
        run,
        summary,
        compares=("book/link",),
        small={"subject": 15, "views": [20], "scenes": [6_400_030], "+schemes": list(SMALL)},
    )
}
