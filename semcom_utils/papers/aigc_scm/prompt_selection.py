r"""Prompts chosen by semantic noise (Wang et al., 2024, section V-A): how many items of a menu to send, and which.

The paper would send more prompts where semantic noise is high, as a channel code is made longer, and defines neither.
Here semantic noise is words that are read as other words: each colour and each kind of a caption, or of a box's label,
becomes another one with probability :math:`q`, each time that it is read. Places, maps and identifiers are no words and
are not misread. Sender and receiver estimate :math:`q` from words whose meaning both know, as noise from pilots.

The menu is a caption, boxes with labels, a control map and the identifier of a subject, whose picture the receiver
keeps. What a set of items is worth at a level of noise stands in a table, measured on training pictures. The best use
of a budget of bits gives each level a set so that the mean worth is highest while the mean of the bits keeps to the
budget: few enough tables to try them all. Its rivals do not look at the noise; one of them repeats the caption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from semcom_utils import toyworld
from semcom_utils.checks import checked, finite_array, numpy_generator, one_of, positive_integer, real_number
from semcom_utils.statistics import student_interval
from semcom_utils.studies import Study

from .message import OVERHEAD_BYTES, Prompt

__all__ = [
    "FACTOR",
    "ITEMS",
    "LEVELS",
    "PILOTS",
    "QUESTIONS",
    "SETS",
    "STUDIES",
    "best_table",
    "confusion",
    "drawn",
    "majority",
    "misread",
    "mixed",
    "run",
    "score",
    "set_bits",
    "study_scenes",
    "table_value",
    "tasks",
]

#: The menu, and the sets of it that are tried; ``caption thrice`` repeats one item and takes the majority of each word.
ITEMS = ("caption", "boxes", "map", "identifier")
SETS = {
    "caption": ("caption",),
    "caption thrice": ("caption",),
    "boxes": ("boxes",),
    "boxes, identifier": ("boxes", "identifier"),
    "caption, boxes": ("caption", "boxes"),
    "caption, boxes, identifier": ("caption", "boxes", "identifier"),
    "caption, map": ("caption", "map"),
    "all four": ITEMS,
}
#: Probabilities that a word is misread.
LEVELS = (0.0, 0.1, 0.3)
#: The right things, anywhere; or each where it was, boxes overlapping by half.
QUESTIONS = ("what", "where")
#: By how much the map is made smaller; pictures of each half; steps of the sampler; words that both ends know.
FACTOR, PICTURES, STEPS, PILOTS = 4, 16, 8, 32
GUIDANCE, OVERLAP = 3.0, 0.5


# --- semantic noise --------------------------------------------------------------------------------------------------


def _other(word: str, words: Sequence[str], noise: float, rng: np.random.Generator) -> str:
    if rng.random() >= noise:
        return word
    return str(rng.choice([one for one in words if one != word]))


@checked
def misread(text: str, noise: float, rng: np.random.Generator) -> str:
    """A caption, or a label, as it is read.

    Parameters
    ----------
    text : str
        Of the toy world's grammar, or a colour and a kind.
    noise : float
        Probability that a colour or a kind is taken for another one, in [0, 1].
    rng : numpy.random.Generator

    Returns
    -------
    str
        Likewise; a caption in canonical words.

    Raises
    ------
    ValueError
        If ``text`` is neither, or ``noise`` no probability.

    Examples
    --------
    >>> misread("red ball", 0.0, np.random.default_rng(0))
    'red ball'
    """
    real_number("noise", noise, low=0, high=1), numpy_generator("rng", rng)
    words = text.split()
    if len(words) == 2 and words[0] in toyworld.COLOURS and words[1] in toyworld.KINDS:
        colour = _other(words[0], list(toyworld.COLOURS), noise, rng)
        return f"{colour} {_other(words[1], list(toyworld.KINDS), noise, rng)}"
    said = toyworld.parse_caption(text)
    things = []
    for thing in said.things:
        colour = _other(thing.colour, list(toyworld.COLOURS), noise, rng)
        kind = _other(thing.kind, list(toyworld.KINDS), noise, rng)
        pose = (thing.pose or toyworld.POSES[0]) if kind == "robot" else None
        things.append(toyworld.Word(kind, colour, pose, thing.texture))
    return toyworld.Meaning(said.ground, tuple(things), False).canonical()


@checked
def majority(captions: Sequence[str]) -> str:
    """What most of several readings of one caption say, word by word; of the first where no two agree.

    Parameters
    ----------
    captions : sequence of str
        Of as many things each.

    Returns
    -------
    str
        In canonical words.

    Raises
    ------
    ValueError
        If there is none, one is none of the grammar, or their numbers of things differ.

    Examples
    --------
    >>> majority(["a red ball on sand", "a blue ball on sand", "a red cube on sand"])
    'a red ball on sand'
    """
    if not len(captions):
        raise ValueError("captions must be at least one, got none")
    try:
        meanings = [toyworld.parse_caption(caption) for caption in captions]
    except ValueError as error:
        raise ValueError(f"captions must be of the grammar: {error}") from error
    if len({len(meaning.things) for meaning in meanings}) > 1:
        raise ValueError(f"captions must name as many things each, got {list(captions)!r:.120}")

    def most(words: Sequence[str]) -> str:
        return max(words, key=lambda word: (words.count(word), -words.index(word)))

    things = []
    for each in zip(*(meaning.things for meaning in meanings), strict=True):
        kind = most([thing.kind for thing in each])
        pose = next((thing.pose for thing in each if thing.pose), toyworld.POSES[0]) if kind == "robot" else None
        things.append(toyworld.Word(kind, most([thing.colour for thing in each]), pose, each[0].texture))
    return toyworld.Meaning(meanings[0].ground, tuple(things), False).canonical()


@checked
def confusion(levels: Sequence[float], pilots: int) -> np.ndarray:
    """How often each level is taken for each, if the share of misread pilot words is all that is known.

    Parameters
    ----------
    levels : sequence of float
        Probabilities, rising.
    pilots : int
        Words whose meaning both ends know.

    Returns
    -------
    numpy.ndarray
        ``[levels, levels]``: rows of the true level, columns of the one nearest to the estimate; rows sum to 1.

    Raises
    ------
    ValueError
        If levels are no rising probabilities, or ``pilots`` is no positive whole number.
    """
    from scipy.stats import binom

    q = finite_array("levels", levels, low=0)
    if q.ndim != 1 or not len(q) or q[-1] > 1 or (np.diff(q) <= 0).any():
        raise ValueError(f"levels must be rising probabilities, got {list(levels)!r:.80}")
    counts = np.arange(positive_integer("pilots", pilots) + 1)
    nearest = np.abs(counts[:, None] / pilots - q).argmin(1)
    table = binom.pmf(counts[None, :], pilots, q[:, None])
    return np.stack([table[:, nearest == k].sum(1) for k in range(len(q))], 1)


# --- choosing --------------------------------------------------------------------------------------------------------


def _table(value: ArrayLike, bits: ArrayLike, weights: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    v, b, w = finite_array("value", value), finite_array("bits", bits, low=0), finite_array("weights", weights, low=0)
    if v.ndim != 2 or not v.size or b.shape != v.shape[1:] or w.shape != v.shape[:1] or not w.sum() > 0:
        raise ValueError(
            "value must be [levels, sets], bits [sets] and weights [levels], not all zero, got shapes "
            f"{v.shape}, {b.shape} and {w.shape}"
        )
    return v, b, w / w.sum()


@checked
def table_value(
    table: Sequence[int], value: ArrayLike, bits: ArrayLike, weights: ArrayLike, taken_for: ArrayLike | None = None
) -> tuple[float, float]:
    """Mean worth and mean bits of a table.

    Parameters
    ----------
    table : sequence of int
        Set for each level.
    value : array_like
        ``[levels, sets]``, worth of a set at a level.
    bits : array_like
        ``[sets]``.
    weights : array_like
        ``[levels]``, how often each level comes.
    taken_for : array_like, optional
        ``[levels, levels]``, as :func:`confusion` gives it; none is mistaken by default.

    Returns
    -------
    worth, bits : float

    Raises
    ------
    ValueError
        If shapes do not match, or there is no such set.
    """
    v, b, w = _table(value, bits, weights)
    if len(table) != len(w):
        raise ValueError(f"table must have a set for each of {len(w)} levels, got {list(table)!r:.80}")
    rows = [one_of("table", int(positive_integer("table", one, low=0)), range(len(b))) for one in table]
    seen = np.eye(len(w)) if taken_for is None else finite_array("taken_for", taken_for, low=0)
    if seen.shape != (len(w), len(w)):
        raise ValueError(f"taken_for must be [{len(w)}, {len(w)}], got shape {seen.shape}")
    return float(w @ (seen * v[:, rows]).sum(1)), float(w @ (seen @ b[rows]))


@checked
def best_table(value: ArrayLike, bits: ArrayLike, weights: ArrayLike, budget: float) -> tuple[int, ...]:
    """The table of most worth whose mean bits keep to the budget: all of them are tried.

    Parameters
    ----------
    value : array_like
        ``[levels, sets]``.
    bits : array_like
        ``[sets]``.
    weights : array_like
        ``[levels]``.
    budget : float
        Mean bits at most.

    Returns
    -------
    tuple of int
        Set for each level; of equals the one of fewest bits.

    Raises
    ------
    ValueError
        If shapes do not match, no table keeps to the budget, or there are more than a million of them.

    Examples
    --------
    >>> best_table([[0.9, 0.9], [0.2, 0.8]], [100, 300], [0.5, 0.5], 200)
    (0, 1)
    """
    v, b, w = _table(value, bits, weights)
    limit = real_number("budget", budget, low=0)
    if len(b) ** len(w) > 1_000_000:
        raise ValueError(f"value must allow at most a million tables, got {len(b)} sets at {len(w)} levels")
    every = np.array(list(product(range(len(b)), repeat=len(w))))
    worth, spent = v[np.arange(len(w)), every] @ w, b[every] @ w
    within = spent <= limit + 1e-9
    if not within.any():
        raise ValueError(f"budget must be at least {b.min():g} bits, the smallest set's, got {budget!r}")
    order = np.lexsort((spent[within], -np.round(worth[within], 12)))
    return tuple(int(one) for one in every[within][order[0]])


@checked
def mixed(value: ArrayLike, bits: ArrayLike, weights: ArrayLike, budget: float, one: int, other: int) -> float:
    """Worth of two sets in turn, whatever the noise, in the shares that spend the budget.

    Parameters
    ----------
    value, bits, weights : array_like
        As of :func:`best_table`.
    budget : float
        Mean bits; all that are left over once the dearer set is sent always buy nothing.
    one, other : int
        The cheaper and the dearer set.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there is no such set, the second is not dearer, or the budget does not pay for the first.
    """
    v, b, w = _table(value, bits, weights)
    first = one_of("one", int(positive_integer("one", one, low=0)), range(len(b)))
    second = one_of("other", int(positive_integer("other", other, low=0)), range(len(b)))
    if not b[first] < b[second]:
        raise ValueError(f"other must be dearer than one, got {b[second]:g} and {b[first]:g} bits")
    if real_number("budget", budget) < b[first]:
        raise ValueError(f"budget must pay for one, {b[first]:g} bits, got {budget!r}")
    share = min(1.0, (budget - b[first]) / (b[second] - b[first]))
    return float(w @ ((1 - share) * v[:, first] + share * v[:, second]))


# --- pictures --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _models() -> dict[str, Any]:
    """Those of the schemes, and the grounded model with the control network beside it."""
    from diffusers import StableDiffusionControlNetPipeline

    from semcom_utils.generation import load
    from semcom_utils.generation.grounding import Grounded

    from .schemes import models

    named = models()
    plain, grounded = load("controlnet-segmentation", device="cpu"), named["grounded"]
    names = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
    parts = {name: getattr(grounded.pipeline, name) for name in names}
    both = StableDiffusionControlNetPipeline(
        **parts, controlnet=plain.controlnet, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    plain.vae = grounded.pipeline.vae
    for pipeline in (plain, both):
        pipeline.set_progress_bar_config(disable=True)
    return named | {"controlled": plain, "everything": Grounded(both, grounded.max_boxes, grounded.share)}


def study_scenes(half: str, count: int = PICTURES) -> tuple[tuple[int, Any], ...]:
    """Scenes of the study: those of a subject on which the judge, asked about the source, finds just what is there.

    Parameters
    ----------
    half : {"training", "test"}
        Of subjects 0 to 14, or 15 to 29.
    count : int

    Returns
    -------
    tuple of (int, Scene)
        Number of the subject, and the scene, for ``count`` scenes.

    Raises
    ------
    ValueError
        If ``half`` is neither, or there are not as many scenes.
    """
    return _kept(one_of("half", half, ("training", "test")), positive_integer("count", count))


@lru_cache(maxsize=4)
def _kept(half: str, count: int) -> tuple[tuple[int, Any], ...]:
    from .case_study import case_scene
    from .schemes import models

    first = {"training": 0, "test": 15}[half]
    every = [(number, case_scene(number, view)) for view in range(6, 12) for number in range(first, first + 15)]
    judge = models()["judge"]
    sees = judge.right(np.stack([scene.image for _, scene in every]), [scene.labels for _, scene in every])
    kept = [one for one, right in zip(every, sees, strict=True) if right]
    if count > len(kept):
        raise ValueError(f"count must be at most {len(kept)}, got {count}")
    return tuple(kept[:count])


@checked
def set_bits(scene: toyworld.Scene, name: str) -> int:
    """Bits of a set of items, with one head for all.

    Parameters
    ----------
    scene : Scene
    name : str
        Key of ``SETS``.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is no such set.
    """
    from semcom_utils.semantic.extractors import extract

    items = SETS[one_of("name", name, SETS)]
    head = 8 * OVERHEAD_BYTES
    each = {
        "caption": (Prompt(scene.caption).bits - head) * (3 if name == "caption thrice" else 1),
        "boxes": Prompt.placed(scene.labels, scene.boxes / toyworld.SIZE).bits - head,
        "identifier": 8,
    }
    if "map" in items:
        each["map"] = extract("segmentation", scene).downscaled(FACTOR).bits
    return head + sum(each[item] for item in items)


def drawn(scenes: Sequence[tuple[int, Any]], name: str, noise: float, *, steps: int = STEPS) -> np.ndarray:
    """What the receiver draws of a set of items whose words it misreads.

    Parameters
    ----------
    scenes : sequence of (int, Scene)
        As :func:`study_scenes` gives them.
    name : str
        Key of ``SETS``.
    noise : float
        Probability that a word is misread.
    steps : int
        Of the sampler.

    Returns
    -------
    numpy.ndarray
        ``[scenes, 3, 64, 64]`` in [0, 1]. One scene starts from one noise, and an item is misread alike, in every set.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    import torch

    from semcom_utils.semantic.extractors import extract

    from .alignment import subject_place
    from .knowledge import stored_picture
    from .schemes import noise as start

    items = SETS[one_of("name", name, SETS)]
    real_number("noise", noise, low=0, high=1), positive_integer("steps", steps)
    if not len(scenes):
        raise ValueError("scenes must be at least one, got none")
    named = _models()
    captions, labels, boxes, pictures, maps = [], [], [], [], []
    for place, (number, scene) in enumerate(scenes):
        rng = np.random.default_rng([14_2026, number, place, round(1000 * noise)])
        read = [misread(scene.caption, noise, rng) for _ in range(3)]
        captions.append(majority(read) if name == "caption thrice" else read[0])
        labels.append([misread(label, noise, rng) for label in scene.labels])
        boxes.append(scene.boxes / toyworld.SIZE)
        subject = subject_place(scene)
        pictures.append([stored_picture(number) if k == subject else None for k in range(len(scene.labels))])
        if "map" in items:
            small = extract("segmentation", scene).downscaled(FACTOR)
            maps.append(small.upscaled.picture)
    latents = start([100 * number + place for place, (number, _) in enumerate(scenes)], named["text-to-image"])
    told = {"num_inference_steps": steps, "guidance_scale": GUIDANCE, "latents": latents, "output_type": "np"}
    if items == ("caption",):
        return named["text-to-image"](captions, **told).images.transpose(0, 3, 1, 2)
    if items == ("caption", "map"):
        return named["controlled"](captions, image=maps, **told).images.transpose(0, 3, 1, 2)
    words = captions if "caption" in items else [None] * len(scenes)
    return named["everything" if "map" in items else "grounded"](
        words,
        labels,
        boxes,
        pictures=pictures if "identifier" in items else None,
        generator=torch.Generator().manual_seed(0),  # the latents are all that is drawn
        latents=latents,
        steps=steps,
        guidance=GUIDANCE,
        **({"image": maps} if "map" in items else {}),
    ).numpy()


@checked
def score(found: Sequence[Any], labels: Sequence[str], boxes: ArrayLike, question: str) -> float:
    """Share of the right things on a picture.

    Parameters
    ----------
    found : sequence of Detection
    labels : sequence of str
        Of the source.
    boxes : array_like
        ``[things, 4]``, pixels, of the source.
    question : str
        One of :data:`QUESTIONS`.

    Returns
    -------
    float
        Things that were found with the right label (and place), over the larger of the numbers of things.

    Raises
    ------
    ValueError
        If ``question`` is none of these, labels and boxes do not match, or what was found is none.
    """
    from scipy.optimize import linear_sum_assignment

    from semcom_utils.generation.judging import Detection, box_overlap

    one_of("question", question, QUESTIONS)
    places = finite_array("boxes", boxes, last=4).tolist()
    if np.ndim(places) != 2 or len(places) != len(labels) or not len(labels):
        raise ValueError(f"boxes must be as many as labels, at least one, got {len(places)} and {len(labels)}")
    if not all(isinstance(one, Detection) for one in found):
        raise ValueError(f"found must hold detections, got {found!r:.80}")
    table = np.array(
        [
            [one.label == label and (question == "what" or box_overlap(one.box, box) >= OVERLAP) for one in found]
            for label, box in zip(labels, places, strict=True)
        ],
        float,
    ).reshape(len(labels), len(found))
    return float(table[linear_sum_assignment(-table)].sum() / max(len(labels), len(found)))


# --- the study -------------------------------------------------------------------------------------------------------


def tasks() -> list[dict]:
    """Each half of the pictures at each level of noise.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    return [
        {"half": half, "noise": noise, "pictures": PICTURES, "steps": STEPS}
        for half in ("training", "test")
        for noise in LEVELS
    ]


def run(task: dict) -> dict:
    """All sets at one level of noise.

    Parameters
    ----------
    task : dict
        ``half``, ``noise``, number of ``pictures``, ``steps``.

    Returns
    -------
    dict
        ``what`` and ``where``: set -> a score a picture, in thousandths; ``bits``: set -> bits a picture.
    """
    scenes, judge = study_scenes(task["half"], task["pictures"]), _models()["judge"]
    found: dict[str, Any] = {question: {} for question in QUESTIONS} | {"bits": {}}
    for name in SETS:
        seen = judge(drawn(scenes, name, task["noise"], steps=task["steps"]))
        for question in QUESTIONS:
            found[question][name] = [
                round(1000 * score(part, scene.labels, scene.boxes, question))
                for part, (_, scene) in zip(seen, scenes, strict=True)
            ]
        found["bits"][name] = [set_bits(scene, name) for _, scene in scenes]
    return found


def _values(records: Sequence[Mapping], question: str, half: str) -> np.ndarray:
    """Scores ``[levels, sets, pictures]``."""
    part = [r for r in records if r["task"]["half"] == half]
    return np.array([[r[question][name] for name in SETS] for r in part]) / 1000


def _summary(records: Sequence[Mapping]) -> dict:
    names, weights = list(SETS), np.ones(len({r["task"]["noise"] for r in records}))
    bits = np.array([np.mean([r["bits"][name] for r in records]) for name in names])
    taken = confusion(sorted({r["task"]["noise"] for r in records}), PILOTS)
    one, every = names.index("caption"), names.index("all four")
    summary: dict[str, Any] = {"bits": dict(zip(names, bits.tolist(), strict=True)), "taken_for": taken.tolist()}
    budgets = np.linspace(bits[one], bits[every], 9)
    for question in QUESTIONS:
        taught, test = _values(records, question, "training"), _values(records, question, "test")
        mean_taught, mean = taught.mean(2), test.mean(2)
        place: dict[str, Any] = {
            "test": {name: [student_interval(level) for level in test[:, k]] for k, name in enumerate(names)},
            "budgets": [],
        }
        for budget in budgets.tolist():
            table = best_table(mean_taught, bits, weights, budget)
            fixed = best_table(mean_taught.mean(0)[None], bits, [1.0], budget)[0]
            worth, spent = table_value(table, mean, bits, weights)
            optimum = best_table(mean, bits, weights, budget)
            each = test[np.arange(len(weights)), list(table)].mean(0)
            share = (budget - bits[one]) / (bits[every] - bits[one])
            blind = ((1 - share) * test[:, one] + share * test[:, every]).mean(0)
            place["budgets"].append(
                {
                    "budget": budget,
                    "table": [names[k] for k in table],
                    "policy": worth,
                    "spent": spent,
                    "estimated": table_value(table, mean, bits, weights, taken)[0],
                    "optimum": table_value(optimum, mean, bits, weights)[0],
                    "one_or_all": mixed(mean, bits, weights, budget, one, every),
                    "fixed": {"set": names[fixed], "worth": float(mean[:, fixed].mean())},
                    "over_one_or_all": student_interval(each - blind),
                    "over_fixed": student_interval(each - test[:, fixed].mean(0)),
                }
            )
        summary[question] = place
    return summary


STUDIES = {"prompt_selection": Study(tasks, run, _summary, small={"pictures": 1, "steps": 1})}
