"""The study ``comparison``: every scheme on the same pictures, and what is measured of what arrives.

A digital message arrives whole or not at all, so its picture is drawn once, whatever the channel; cost and delivery at
an SNR follow from :mod:`.link`. An analog one is sent at every SNR over both channels, with one draw of fading and
noise a picture. Half of the pictures show a subject whom the receiver met before, as in chapter 12, alone and beside
another thing, in views that no other study has seen; the other half are ordinary scenes of things that were never
together in any model's training. On these a scheme with an identifier has nobody to name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, one_of, plain_array, shown
from semcom_utils.papers.aigc_scm.alignment import subject_place
from semcom_utils.papers.aigc_scm.case_study import case_scene, partner
from semcom_utils.papers.aigc_scm.knowledge import KnowledgeBase, receiver_b
from semcom_utils.statistics import student_interval

from .bench import GREY, Arrival, Knowledge
from .link import CHANNELS, best_format, fate, limit
from .measures import UNITS, Asked, features
from .schemes import all_schemes

__all__ = [
    "ANALOG_USES",
    "FAMILIES",
    "FIRST",
    "SNRS_DB",
    "SPLIT",
    "VIEWS",
    "Table",
    "knowledge_of",
    "run",
    "table",
    "tasks",
]

#: Es/N0 per complex channel use, dB; scenes of a subject: even views show it alone, odd ones beside another thing.
SNRS_DB, VIEWS = (-6, 0, 6, 12, 20), (20, 21)
#: Numbers of the ordinary scenes, two a task, and their split.
FIRST, SPLIT = 6_400_000, "combinations"
#: Name of a scheme -> its family, and complex channel uses of its symbols, which do not hang on the picture.
FAMILIES = {scheme.name: scheme.family for scheme in all_schemes()}
ANALOG_USES = {
    "split after 10": 512,
    "split after 20": 512,
    "WITT low": 64,
    "WITT low x4": 256,
    "DeepJSCC": 512,
    "WITT high": 768,
    "WITT high x2": 1536,
}


def tasks() -> list[dict]:
    """One task a subject, with two ordinary scenes.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    return [
        {"subject": number, "views": list(VIEWS), "scenes": [FIRST + 2 * number, FIRST + 2 * number + 1]}
        for number in range(toyworld.SUBJECTS)
    ]


@lru_cache(maxsize=64)
def _base(number: int | None) -> KnowledgeBase:
    """What the receiver knows: of a subject all that it can be told, its picture and its adapter."""
    if number is None:
        return receiver_b()
    return receiver_b().told(number, "picture").told(number, "adapter")


@checked
def knowledge_of(scene: Any, number: int | None, seed: int, **channel: Any) -> Knowledge:
    """What both ends know of a scene, and of the subject in it whom the receiver met before.

    Parameters
    ----------
    scene : Scene
    number : int or None
        Of the subject; None if there is none.
    seed : int
    **channel
        ``snr_db`` and ``channel``.

    Returns
    -------
    Knowledge

    Raises
    ------
    ValueError
        If the scene shows no subject though there is a number, or an argument is out of its range.
    """
    if not isinstance(scene, toyworld.Scene):
        raise ValueError(f"scene must be a Scene, got {type(scene).__name__}")
    if number is None:
        return Knowledge(seed=seed, base=_base(None), **channel)
    one_of("number", number, range(toyworld.SUBJECTS))
    place = subject_place(scene)
    return Knowledge(
        seed=seed,
        base=_base(number),
        subject=number,
        place=scene.boxes[place],
        beside=np.delete(scene.boxes, place, axis=0),
        **channel,
    )


def _rows(answers: Mapping[str, np.ndarray]) -> list[list[int]]:
    """A row a picture, whole numbers in their units; -1 stands for a question that does not arise."""
    columns = [np.round(np.nan_to_num(answers[name], nan=-1) / unit).astype(int) for name, unit in UNITS.items()]
    return np.stack(columns, axis=1).tolist()


def run(task: dict) -> dict:
    """All schemes on the scenes of one subject.

    Parameters
    ----------
    task : dict
        ``subject``; ``views``, numbers of its scenes; ``scenes``, numbers of ordinary ones; optionally ``schemes``,
        names, in place of all.

    Returns
    -------
    dict
        ``truly``, whether the judge sees in the sender's pictures what is there. ``features``, a row a scene.
        ``bits``: scheme -> bits of each scene's message. ``digital``: scheme, ``source`` (the pictures themselves),
        ``other`` (other scenes) or ``grey`` -> a row a scene of :data:`.measures.UNITS` in their units. ``analog``:
        channel -> SNR -> scheme -> the same.
    """
    import torch

    from semcom_utils.generation.jscc import carry

    torch.set_num_threads(1)
    views, ordinary = task["views"], task["scenes"]
    numbers = [task["subject"]] * len(views) + [None] * len(ordinary)
    scenes = [case_scene(task["subject"], view) for view in views] + [toyworld.scene(n, SPLIT) for n in ordinary]
    asked = Asked(scenes, numbers)
    images = list(asked.pictures)
    seeds = [100 * task["subject"] + place for place in range(len(scenes))]
    others = [case_scene(partner(task["subject"]), view + 1) for view in views]
    others += [toyworld.scene(n + 1000, SPLIT) for n in ordinary]
    record: dict[str, Any] = {
        "truly": [int(one) for one in asked.truly],
        "features": [[round(float(x), 4) for x in row] for row in features(asked.pictures)],
        "bits": {},
        "digital": {
            "source": _rows(asked.answer(asked.pictures)),
            "other": _rows(asked.answer(np.stack([scene.image for scene in others]))),
            "grey": _rows(asked.answer(np.full_like(asked.pictures, GREY))),
        },
        "analog": {},
    }
    wanted = [s for s in all_schemes() if "schemes" not in task or s.name in task["schemes"]]
    known = [knowledge_of(*one) for one in zip(scenes, numbers, seeds, strict=True)]
    for scheme in wanted:
        if scheme.name in ANALOG_USES:
            continue
        messages = scheme.encode_all(images, known)
        record["bits"][scheme.name] = [len(message.bits) for message in messages]
        made = scheme.decode_all([Arrival(message.bits) for message in messages], known)
        record["digital"][scheme.name] = _rows(asked.answer(np.clip(made, 0, 1)))
    untold = {
        s.name: s.encode_all(images, known) for s in wanted if s.name in ANALOG_USES and s.family != "learned code"
    }
    for c, channel in enumerate(CHANNELS):
        for snr_db in SNRS_DB:
            there = [
                knowledge_of(*one, snr_db=float(snr_db), channel=channel)
                for one in zip(scenes, numbers, seeds, strict=True)
            ]
            at = record["analog"].setdefault(channel, {}).setdefault(str(snr_db), {})
            for scheme in wanted:
                if scheme.name not in ANALOG_USES:
                    continue
                messages = untold.get(scheme.name) or scheme.encode_all(images, there)  # a learned code is told
                record["bits"][scheme.name] = [len(message.bits) for message in messages]
                received = []
                for message, seed in zip(messages, seeds, strict=True):
                    # Fading and noise of a picture are the same for all schemes that send as many symbols.
                    generator = torch.Generator().manual_seed(1000 * seed + 100 * c + snr_db)
                    z = torch.from_numpy(message.symbols)[None]
                    z_hat, after = carry(z, torch.tensor([float(snr_db)]), channel, generator)
                    received.append(Arrival(message.bits, z_hat[0].numpy(), float(after[0, 0])))
                made = scheme.decode_all(received, there)
                at[scheme.name] = _rows(asked.answer(np.clip(made, 0, 1)))
    return record


# --- what a channel makes of it --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Table:
    """Schemes at one SNR of one channel.

    Parameters
    ----------
    names : tuple of str
        Of the schemes.
    uses : numpy.ndarray
        ``[pictures, schemes]``: expected complex channel uses.
    delivered : numpy.ndarray
        ``[pictures, schemes]``: probability that the bits arrive.
    answers : dict of str to numpy.ndarray
        Each of :data:`.measures.UNITS`, ``[pictures, schemes]``, expected over what arrives and what does not; NaN for
        a question that does not arise.
    groups : numpy.ndarray
        ``[pictures]``: the task that a picture is of. Those of one task share a subject, and are not independent.
    """

    names: tuple[str, ...]
    uses: np.ndarray
    delivered: np.ndarray
    answers: dict[str, np.ndarray]
    groups: np.ndarray

    @checked
    def asked(self, question: str) -> Table:
        """The pictures of which a question arises.

        Parameters
        ----------
        question : str
            Key of :data:`.measures.UNITS`.

        Returns
        -------
        Table

        Raises
        ------
        ValueError
            If there is no such question.
        """
        return self.only(~np.isnan(self.answers[one_of("question", question, UNITS)]).any(1))

    @property
    def with_subject(self) -> np.ndarray:
        """Whether a picture shows a subject, ``[pictures]``."""
        return ~np.isnan(self.answers["same"]).any(1)

    def only(self, rows: np.ndarray) -> Table:
        """Some of the pictures.

        Parameters
        ----------
        rows : numpy.ndarray
            Bool ``[pictures]``.

        Returns
        -------
        Table

        Raises
        ------
        ValueError
            If ``rows`` are no truth values, or not as many as pictures.
        """
        rows = plain_array("rows", rows, booleans=True)
        if rows.dtype != bool or rows.shape != self.groups.shape:
            raise ValueError(f"rows must be a truth value for each of {len(self.groups)} pictures, got {shown(rows)}")
        answers = {name: values[rows] for name, values in self.answers.items()}
        return Table(self.names, self.uses[rows], self.delivered[rows], answers, self.groups[rows])

    @checked
    def mean(self, question: str) -> np.ndarray:
        """Mean answer of each scheme, ``[schemes]``.

        Parameters
        ----------
        question : str
            Key of :data:`.measures.UNITS`.

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        ValueError
            If there is no such question.
        """
        return self.asked(question).answers[question].mean(0)

    def by_group(self, values: np.ndarray) -> np.ndarray:
        """Means over the pictures of each group.

        Parameters
        ----------
        values : numpy.ndarray
            ``[pictures, ...]``.

        Returns
        -------
        numpy.ndarray
            ``[groups, ...]``, in the order of their numbers.

        Raises
        ------
        ValueError
            If there is not a value for each picture.
        """
        values = plain_array("values", values, booleans=True)
        if values.shape[:1] != self.groups.shape:
            raise ValueError(f"values must be one for each of {len(self.groups)} pictures, got {shown(values)}")
        return np.stack([values[self.groups == one].mean(0) for one in np.unique(self.groups)])

    @checked
    def interval(self, question: str, name: str) -> dict:
        """Mean answer of a scheme with its interval over groups.

        Parameters
        ----------
        question : str
            Key of :data:`.measures.UNITS`.
        name : str
            Of the scheme.

        Returns
        -------
        dict
            ``estimate``, ``low``, ``high``, ``n``.

        Raises
        ------
        ValueError
            If there is no such question or scheme.
        """
        one = self.asked(question)
        return student_interval(one.by_group(one.answers[question][:, one.column(name)]))

    @checked
    def column(self, name: str) -> int:
        """Place of a scheme.

        Parameters
        ----------
        name : str

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If there is no such scheme.
        """
        return self.names.index(one_of("name", name, self.names))


@checked
def table(
    records: Sequence[Mapping], snr_db: int, channel: str, *, at_limit: bool = False, leave_out: Sequence[str] = ()
) -> Table:
    """What every scheme costs and gives at an SNR.

    Parameters
    ----------
    records : sequence of mapping
        Of the study ``comparison``.
    snr_db : int
        One of :data:`SNRS_DB`.
    channel : str
        One of :data:`.link.CHANNELS`.
    at_limit : bool
        Whether bits cost what they do at Shannon's limit, and always arrive, in place of the best code and modulation.
    leave_out : sequence of str
        Families that are not to be there.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    one_of("snr_db", snr_db, SNRS_DB), one_of("channel", channel, CHANNELS)
    if not len(records):
        raise ValueError("records must hold at least one, got none")
    families = {name: FAMILIES.get(name, name) for name in records[0]["bits"]}
    names = tuple(name for name, family in families.items() if family not in leave_out)
    bits = np.array([[one for r in records for one in r["bits"][name]] for name in names]).T
    grey = np.array([row for r in records for row in r["digital"]["grey"]], float)
    uses, delivered, rows = np.zeros(bits.shape), np.ones(bits.shape), np.zeros((*bits.shape, len(UNITS)))
    for k, name in enumerate(names):
        for i, size in enumerate(bits[:, k].tolist()):
            if size and at_limit:
                uses[i, k] = limit(size, float(snr_db), channel)
            elif size:
                uses[i, k], delivered[i, k] = _fate(size, float(snr_db), channel)
        if name in ANALOG_USES:
            uses[:, k] += ANALOG_USES[name]
            rows[:, k] = [row for r in records for row in r["analog"][channel][str(snr_db)][name]]
        else:
            rows[:, k] = [row for r in records for row in r["digital"][name]]
    none = (grey[:, None] < 0) & (np.array(list(UNITS)) == "same")
    rows = np.where(none, np.nan, delivered[:, :, None] * rows + (1 - delivered[:, :, None]) * grey[:, None])
    answers = {name: unit * rows[:, :, k] for k, (name, unit) in enumerate(UNITS.items())}
    groups = np.array([r["task"]["subject"] for r in records for _ in r["truly"]])
    return Table(names, uses, delivered, answers, groups)


@lru_cache(maxsize=100_000)
def _fate(bits: int, snr_db: float, channel: str) -> tuple[float, float]:
    return tuple(fate(bits, best_format(bits, snr_db, channel), snr_db, channel))  # type: ignore[return-value]
