"""Do precise prompts make generation more reliable (Liu et al., 2023, section II-B)? Spread over seeds against length.

A scene of three things is described by more and more of its caption: nothing, then its ground with one, two and three
things on it. All of these are prompts as the model was trained on; a ground without things, or things without a ground,
are none. For each such prompt the model makes pictures from several seeds; each is compared to the whole caption.
Beside them stand prompts of as many words that say nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, one_of, positive_integer
from semcom_utils.statistics import mean_interval
from semcom_utils.studies import Study

from .message import Message, caption_words
from .transceiver import generate, models

__all__ = ["LENGTHS", "STUDIES", "empty_words", "phrases", "precision_run"]

#: Phrases of the caption that a prompt holds; a prompt has things and a ground, or nothing.
LENGTHS = (0, 2, 3, 4)


@checked
def phrases(description: toyworld.Description, length: int) -> str:
    """A truthful prompt of some of the phrases of a caption: the ground and things from the left.

    Parameters
    ----------
    description : toyworld.Description
        Of three things.
    length : int
        One of :data:`LENGTHS`.

    Returns
    -------
    str
        The whole caption for the longest, and nothing for 0.

    Raises
    ------
    ValueError
        If ``length`` is none of the choices, or there are not three things.

    Examples
    --------
    >>> scene = toyworld.describe(7500, "combinations", things=3, textured=0.0)
    >>> phrases(scene, 4) == toyworld.caption(scene), phrases(scene, 0)
    (True, '')
    """
    one_of("length", length, LENGTHS)
    said = toyworld.meaning(description)
    if len(said.things) != LENGTHS[-1] - 1:
        raise ValueError(f"description must be of {LENGTHS[-1] - 1} things, got {len(said.things)}")
    if length == 0:
        return ""
    return toyworld.Meaning(said.ground, said.things[: length - 1]).canonical()


@checked
def empty_words(words: int) -> str:
    """A prompt of a given number of words that says nothing.

    Parameters
    ----------
    words : int
        At least 0.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If ``words`` is no whole number of at least 0.

    Examples
    --------
    >>> empty_words(5)
    'a picture of a picture'
    """
    return " ".join(("a picture of " * positive_integer("words", words, low=0)).split()[:words])


def precision_run(task: dict) -> dict:
    """One scene: pictures of prompts of every length, and of empty words, from several seeds.

    Parameters
    ----------
    task : dict
        ``seed``, of the scene; ``pictures``, seeds for each prompt; ``steps`` of the sampler.

    Returns
    -------
    dict
        ``truthful`` and ``empty``: for each length the ``words``, and in ten-thousandths the ``similarity`` of each
        picture to the whole caption, their standard deviation over seeds (``spread``), and the mean cosine of the
        pictures of a prompt with each other (``agreement``). The shortest prompt is the same in both.

    Raises
    ------
    ValueError
        If ``pictures`` is no whole number of at least 2.
    """
    from semcom_utils.generation import one_thread

    one_thread()
    number = positive_integer("pictures", task["pictures"], low=2)
    description = toyworld.describe(7500 + task["seed"], "combinations", things=3, textured=0.0, inside=0.0)
    caption = toyworld.caption(description)
    truthful = [phrases(description, length) for length in LENGTHS]
    counts = [len(caption_words(text)) for text in truthful]
    empty = [empty_words(count) for count in counts]
    prompts = list(dict.fromkeys([*truthful, *empty]))
    seeds = [100 * task["seed"] + k for k in range(number)]
    contents = generate([Message(text, seed=seed, steps=task["steps"]) for text in prompts for seed in seeds])
    clip = models()["clip"]
    vectors = clip.images(contents).numpy().reshape(len(prompts), number, -1)
    target = clip.texts([caption]).numpy()[0]
    record: dict[str, Any] = {"caption": caption}
    pairs = np.triu_indices(number, 1)
    for name, group in (("truthful", truthful), ("empty", empty)):
        record[name] = []
        for text, count in zip(group, counts, strict=True):
            own = vectors[prompts.index(text)]
            similarity = own @ target
            record[name].append(
                {
                    "words": count,
                    "similarity": [round(10_000 * float(value)) for value in similarity],
                    "spread": round(10_000 * float(similarity.std(ddof=1))),
                    "agreement": round(10_000 * float((own @ own.T)[pairs].mean())),
                }
            )
    return record


def _precision_summary(records: list[dict]) -> dict:
    def of(record: dict, name: str, measure: str) -> np.ndarray:
        return np.array([np.mean(cell[measure]) / 10_000 for cell in record[name]])

    def slope(record: dict, name: str, measure: str, start: int = 0) -> float:
        return float(np.polyfit(LENGTHS[start:], of(record, name, measure)[start:], 1)[0])

    summary: dict[str, Any] = {"scenes": len(records)}
    for name in ("truthful", "empty"):
        summary[name] = {
            measure: {
                str(length): mean_interval([of(r, name, measure)[place] for r in records])
                for place, length in enumerate(LENGTHS)
            }
            for measure in ("words", "similarity", "spread", "agreement")
        }
        summary[name]["slope"] = {
            measure: mean_interval([slope(r, name, measure) for r in records])
            for measure in ("similarity", "spread", "agreement")
        }
        summary[name]["slope_from_two"] = {
            measure: mean_interval([slope(r, name, measure, 1) for r in records])
            for measure in ("similarity", "spread", "agreement")
        }
    summary["slope_less_empty"] = {
        measure: mean_interval([slope(r, "truthful", measure) - slope(r, "empty", measure) for r in records])
        for measure in ("similarity", "spread", "agreement")
    }
    return summary


STUDIES = {
    "precision": Study(
        lambda: [{"seed": seed, "pictures": 8, "steps": 10} for seed in range(30)],
        precision_run,
        _precision_summary,
        small={"pictures": 2, "steps": 2},
    )
}
