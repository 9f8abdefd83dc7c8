"""What the study ``comparison`` is summed up to: the numbers on which the sentences of the book's conclusion rest.

The sentences and their tests are in ``data/claims/book.yml``, committed before the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semcom_utils.statistics import share_interval, student_interval
from semcom_utils.studies import Study

from .choosing import BUDGETS, best_within, front, gains, lead
from .comparison import ANALOG_USES, FAMILIES, SNRS_DB, Table, run, table, tasks
from .link import CHANNELS
from .measures import QUESTIONS, UNITS

__all__ = [
    "BOXES",
    "DRAWN",
    "FIRST_TASKS",
    "MIDDLE",
    "PIXELS",
    "SMALL",
    "STUDIES",
    "WITHOUT_HISTORY",
    "WITH_HISTORY",
    "summary",
]

#: The SNR of most sentences, dB; families that draw what they show.
MIDDLE, DRAWN = 6, ("prompt", "map", "inverted latent", "split latent")
WITHOUT_HISTORY = tuple(name for name in FAMILIES if not name.endswith("+ who"))
WITH_HISTORY = tuple(name for name in FAMILIES if name.endswith("+ who"))
#: Tasks of this study, of thirty.
FIRST_TASKS = 15
#: One setting of each family, for a run that a test can afford.
SMALL = (
    *("caption", "boxes", "boxes + who", "segmentation /8", "inverted 1 bit", "split after 20"),
    *("WITT low", "DeepJSCC", "WebP 50", "thumbnail 12 B"),
)
BOXES, PIXELS = ("boxes", "boxes + who"), ("file", "learned code")


def _winners(at: Mapping[tuple, Table]) -> dict[tuple, Any]:
    """The best fixed scheme in every cell of channel, SNR, budget and question."""
    return {
        (*place, budget, question): best_within(one, question, budget)
        for place, one in at.items()
        for budget in BUDGETS
        for question in QUESTIONS
    }


def _listed(winners: Mapping[tuple, Any]) -> dict:
    """Channel -> SNR -> budget -> question -> name, mean answer and number of rivals of the best scheme."""
    listed: dict = {}
    for (channel, snr, budget, question), best in winners.items():
        at = listed.setdefault(channel, {}).setdefault(str(snr), {}).setdefault(str(budget), {})
        at[question] = None if best is None else [best.name, round(best.value, 3), len(best.rivals)]
    return listed


def _agreement(one: Mapping[tuple, Any], other: Mapping[tuple, Any]) -> dict:
    """In what share of the cells the same family is best."""
    both = [(best, other[cell]) for cell, best in one.items() if best is not None and other[cell] is not None]
    same = sum(a.family == b.family for a, b in both)
    return {"same": same, "cells": len(both), "share": same / len(both)}


def summary(records: Sequence[Mapping]) -> dict:
    """The numbers of the conclusion.

    Parameters
    ----------
    records : sequence of mapping
        Of :func:`.comparison.run`.

    Returns
    -------
    dict
        ``leads``: a sentence's name -> channel -> SNR -> by how much one group of schemes is ahead of another
        (:func:`.choosing.lead`); and what each key says.
    """
    records = list(records)
    at = {(channel, snr): table(records, snr, channel) for channel in CHANNELS for snr in SNRS_DB}
    bound = {(channel, snr): table(records, snr, channel, at_limit=True) for channel in CHANNELS for snr in SNRS_DB}
    middle = at["awgn", MIDDLE]
    rows = {name: np.array([row for r in records for row in r["digital"][name]], float) for name in ("source", "other")}
    floors = {
        which: {
            q: student_interval(one.by_group(unit * rows[which][rows[which][:, k] >= least, k]))
            for k, (q, unit) in enumerate(UNITS.items())
            for least, one in [(0 if q == "same" else -np.inf, middle.asked(q))]
        }
        for which in rows
    }
    truly = np.array([one for r in records for one in r["truly"]])
    shows = np.array([number >= 0 for r in records for number in np.array(r["digital"]["grey"])[:, 2]])

    def leads(question: str, budget: float, ours: Sequence[str], theirs: Sequence[str]) -> dict:
        return {c: {str(s): lead(at[c, s], question, budget, ours, theirs) for s in SNRS_DB} for c in CHANNELS}

    def of_kind(subject: bool, ours: Sequence[str], theirs: Sequence[str]) -> dict:
        """The lead in SSIM within 512 uses, on pictures with or without a subject."""
        return {
            c: {
                str(s): lead(at[c, s].only(at[c, s].with_subject == subject), "picture", 512, ours, theirs)
                for s in SNRS_DB
            }
            for c in CHANNELS
        }

    winners, bounds = _winners(at), _winners(bound)
    everywhere = {
        f"{channel} {snr} {budget}": name
        for (channel, snr) in at
        for budget in BUDGETS
        if len(names := {b.name for q in QUESTIONS if (b := winners[channel, snr, budget, q]) is not None}) == 1
        for name in names
    }
    on_front = {
        f"{channel} {snr}": [one.names[k] for k in front(one.uses.mean(0), one.mean("picture"))]
        for (channel, snr), one in at.items()
    }
    known = np.array([row for r in records for row in r["features"]])
    chosen = {
        question: {str(budget): gains(middle, question, budget, known) for budget in (64, 128, 256, 512, 1024)}
        for question in QUESTIONS
    }

    def learned_share() -> dict:
        """The learned chooser's gain as a share of the oracle's, over questions and budgets."""
        cells = [one for of in chosen.values() for one in of.values()]
        own = sum(one["learned"]["estimate"] for one in cells)
        return {"of_oracle": own / sum(one["oracle"]["estimate"] for one in cells), "cells": len(cells)}

    def falls(question: str, names: Sequence[str]) -> dict:
        """What block fading costs schemes, at the mean SNR."""
        fading = at["rayleigh-block", MIDDLE]
        return {
            name: {
                "answer": student_interval(
                    middle.by_group(middle.answers[question][:, middle.column(name)])
                    - fading.by_group(fading.answers[question][:, fading.column(name)])
                ),
                "uses_ratio": float(
                    fading.uses[:, fading.column(name)].mean() / middle.uses[:, middle.column(name)].mean()
                ),
            }
            for name in names
            if name in middle.names
        }

    return {
        "pictures": len(middle.uses),
        "groups": len(np.unique(middle.groups)),
        "floors": floors,
        "judge_sees_the_truth": {
            "ordinary": share_interval(int(truly[~shows].sum()), int((~shows).sum())) if (~shows).any() else None,
            "subject": share_interval(int(truly[shows].sum()), int(shows.sum())) if shows.any() else None,
        },
        "leads": {
            "prompt_over_pixels_64": leads("things", 64, ("prompt",), PIXELS),
            "prompt_over_all_512": leads("things", 512, ("prompt",), tuple({*FAMILIES.values()} - {"prompt"})),
            "pixels_over_drawn_1024": leads("picture", 1024, PIXELS, DRAWN),
            "boxes_over_all_100": leads("place", 100, BOXES, tuple(n for n in FAMILIES if n not in BOXES)),
            "map_over_boxes_300": leads("place", 300, ("map",), BOXES),
            "history_over_none_100": leads("same", 100, WITH_HISTORY, WITHOUT_HISTORY),
            "learned_over_files_768": leads("picture", 768, ("learned code",), ("file",)),
            "split_over_jscc_600": leads("picture", 600, ("split latent",), ("DeepJSCC",)),
        },
        "by_kind": {
            "map_over_pixels_ordinary": of_kind(False, ("map",), PIXELS),
            "pixels_over_map_subject": of_kind(True, PIXELS, ("map",)),
        },
        "same_within_100": {
            "with": max(_reached(middle, "same", 100, WITH_HISTORY)),
            "without": max(_reached(middle, "same", 100, WITHOUT_HISTORY)),
        },
        "best": _listed(winners),
        "best_for_everything": {"cells": len(at) * len(BUDGETS), "where": everywhere, "count": len(everywhere)},
        "limit_agrees": {
            channel: _agreement(
                {c: b for c, b in winners.items() if c[0] == channel},
                {c: b for c, b in bounds.items() if c[0] == channel},
            )
            for channel in CHANNELS
        },
        "split_over_jscc": {
            c: {
                str(s): student_interval(
                    at[c, s].by_group(
                        at[c, s].answers["picture"][:, at[c, s].column("split after 20")]
                        - at[c, s].answers["picture"][:, at[c, s].column("DeepJSCC")]
                    )
                )
                for s in SNRS_DB
            }
            for c in CHANNELS
        },
        "inverted_on_front": sum(any(n.startswith("inverted") for n in names) for names in on_front.values()),
        "fading": falls("picture", ("caption", "boxes", "WebP 50", *ANALOG_USES)),
        "choosing": chosen,
        "learned_chooser": learned_share(),
    }


def _reached(one: Table, question: str, budget: float, names: Sequence[str]) -> list[float]:
    """Mean answers of schemes within a budget; 0 stands for none."""
    within = one.uses.mean(0) <= budget
    return [0.0] + [
        float(value)
        for name, value, inside in zip(one.names, one.mean(question), within, strict=True)
        if inside and name in names
    ]


def _first_half() -> list[dict]:
    """The tasks that were looked at; the others are kept for what they suggest (:mod:`.confirmation`)."""
    return tasks()[:FIRST_TASKS]


STUDIES: dict[str, Any] = {
    "comparison": Study(
        _first_half,
        run,
        summary,
        compares=("book/link",),
        small={"subject": 0, "views": [20], "scenes": [6_400_000], "+schemes": list(SMALL)},
    ),
}
