"""What a receiver knows, and what it cost to share (Wang et al., 2024, section IV-A).

Receiver B holds general models alone, receiver C also the history: of a subject that was met before, a stored picture
(which the scheme HA shows to the grounded model) or an adapter of the text-to-image model's weights (HI). The paper
counts neither. Here each comes with its bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, finite_array, one_of, positive_integer, shown
from semcom_utils.paths import MODELS
from semcom_utils.semantic.codecs import decoded, jpeg

from .channel import rows_of

__all__ = [
    "GENERAL",
    "HISTORY",
    "VIEWS",
    "KnowledgeBase",
    "adapter_bits",
    "break_even",
    "general_bits",
    "picture_bits",
    "receiver_b",
    "receiver_c",
    "stored_picture",
    "views_bits",
]

#: The models that both receivers hold, which know no subject.
GENERAL = ("text-to-image", "grounded", "subject-autoencoder")
#: What a receiver can be told of a subject.
HISTORY = ("picture", "adapter")
#: Views from which an adapter is taught: the other way to share one is to send these and let the receiver train.
VIEWS = 6
#: JPEG quality at which a stored picture is shared.
QUALITY = 90


@checked
@cache
def stored_picture(number: int) -> np.ndarray:
    """The picture of a subject that is stored: what the subject fills of its view 0, after JPEG.

    Parameters
    ----------
    number : int
        Of the subject, 0 to 29.

    Returns
    -------
    numpy.ndarray
        Float32 ``[3, 32, 32]`` in [0, 1], not to be written to.

    Raises
    ------
    ValueError
        If there is no such subject.
    """
    picture = decoded(_stored_file(number)).transpose(2, 0, 1).astype(np.float32)
    picture.flags.writeable = False
    return picture


@cache
def _stored_file(number: int) -> bytes:
    import torch

    from semcom_utils.generation.grounding import WINDOW
    from semcom_utils.generation.identity import windows

    scene = toyworld.subject_scene(number, 0)
    image = torch.from_numpy(scene.image)[None]
    filled = windows(image, scene.boxes[:1] / toyworld.SIZE, WINDOW)[0].clamp(0, 1)
    return jpeg(filled.permute(1, 2, 0).numpy(), QUALITY)


@checked
def picture_bits(number: int) -> int:
    """Bits of a subject's stored picture as it is shared.

    Parameters
    ----------
    number : int
        Of the subject.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is no such subject.
    """
    return 8 * len(_stored_file(number))


@checked
def adapter_bits(number: int) -> int:
    """Bits of a subject's adapter, as the file that holds its weights (16 bits each).

    Parameters
    ----------
    number : int
        Of the subject.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is no such subject.
    FileNotFoundError
        If the checkpoint is not there.
    """
    toyworld.subject(number)
    path = MODELS / "mini-subject" / f"subject-{number:02d}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"the checkpoint mini-subject is not in {MODELS}; fetch it with the repository")
    return 8 * path.stat().st_size


@checked
@cache
def views_bits(number: int) -> int:
    """Bits of the views that an adapter is taught from, as JPEG files: the receiver then trains it itself.

    Parameters
    ----------
    number : int
        Of the subject.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is no such subject.
    """
    images = [toyworld.subject_scene(number, view).image for view in range(VIEWS)]
    return 8 * sum(len(jpeg(image.transpose(1, 2, 0), QUALITY)) for image in images)


def general_bits() -> int:
    """Bits of the weights of the general models at the mini tier, which both receivers hold before anything is sent.

    Returns
    -------
    int

    Raises
    ------
    FileNotFoundError
        If a checkpoint is not there.
    """
    total = 0
    for role in GENERAL:
        files = list((MODELS / f"mini-{role}").rglob("*.safetensors"))
        if not files:
            raise FileNotFoundError(f"the checkpoint mini-{role} is not in {MODELS}; fetch it with the repository")
        total += 8 * sum(path.stat().st_size for path in files)
    return total


@checked
@dataclass(frozen=True)
class KnowledgeBase:
    """What a receiver holds beyond the general models.

    Parameters
    ----------
    name : str
        Of the receiver.
    pictures : mapping of int to numpy.ndarray
        Subject -> its stored picture, ``[3, rows, columns]`` in [0, 1].
    adapters : frozenset of int
        Subjects whose adapter it holds.
    bits : int
        What sharing all this took.

    Raises
    ------
    ValueError
        If a subject is unknown, or a picture none.
    """

    name: str = "B"
    pictures: Mapping[int, Any] = field(default_factory=dict)
    adapters: frozenset[int] = frozenset()
    bits: int = 0

    def __post_init__(self) -> None:
        for name, told in (("pictures", self.pictures), ("adapters", self.adapters)):
            known = isinstance(told, Mapping if name == "pictures" else Set)
            whole = known and all(isinstance(number, int) and not isinstance(number, bool) for number in told)
            if not whole or not all(0 <= number < toyworld.SUBJECTS for number in told):
                raise ValueError(f"{name} must be of subjects, 0 to {toyworld.SUBJECTS - 1}, got {shown(told)}")
        for picture in self.pictures.values():
            array = finite_array("pictures", picture)
            if array.ndim != 3 or array.shape[0] != 3 or array.size == 0 or array.min() < 0 or array.max() > 1:
                raise ValueError(f"pictures must be [3, rows, columns] in [0, 1], got shape {array.shape}")
        positive_integer("bits", self.bits, low=0)
        object.__setattr__(self, "pictures", MappingProxyType(dict(self.pictures)))
        object.__setattr__(self, "adapters", frozenset(self.adapters))

    def __str__(self) -> str:
        if not (self.pictures or self.adapters):
            return f"receiver {self.name}: general models alone"
        return (
            f"receiver {self.name}: general models, stored pictures of {len(self.pictures)} subjects, adapters of "
            f"{len(self.adapters)}; {self.bits:,} bits shared"
        )

    @checked
    def knows(self, number: int | None, what: str) -> bool:
        """Whether it holds a subject's picture or adapter.

        Parameters
        ----------
        number : int or None
            Of the subject; nobody holds anything of None.
        what : str
            One of :data:`HISTORY`.

        Returns
        -------
        bool

        Raises
        ------
        ValueError
            If ``what`` is none of these.
        """
        return number in {"picture": self.pictures, "adapter": self.adapters}[one_of("what", what, HISTORY)]

    @checked
    def told(self, number: int, what: str, *, picture: Any = None, bits: int | None = None) -> KnowledgeBase:
        """The knowledge after something more was shared.

        Parameters
        ----------
        number : int
            Of the subject.
        what : str
            One of :data:`HISTORY`.
        picture : array_like, optional
            In place of :func:`stored_picture`: what the receiver itself cut from a picture that it was sent, say.
        bits : int, optional
            What it took, in place of :func:`picture_bits` or :func:`adapter_bits`; nothing if it is known already.

        Returns
        -------
        KnowledgeBase
            Another one; this stays as it is.

        Raises
        ------
        ValueError
            If there is no such subject, ``what`` is none of these, or a picture is told where an adapter should be.
        """
        toyworld.subject(number)
        if self.knows(number, what):
            return self
        if what == "adapter":
            if picture is not None:
                raise ValueError("picture must be None for an adapter, got one")
            cost = adapter_bits(number) if bits is None else bits
            return replace(self, adapters=self.adapters | {number}, bits=self.bits + cost)
        cost = picture_bits(number) if bits is None else bits
        kept = stored_picture(number) if picture is None else rows_of(picture).transpose(2, 0, 1)
        return replace(self, pictures={**self.pictures, number: kept}, bits=self.bits + cost)


def receiver_b() -> KnowledgeBase:
    """The paper's receiver with general knowledge alone.

    Returns
    -------
    KnowledgeBase
    """
    return KnowledgeBase("B")


def receiver_c() -> KnowledgeBase:
    """The paper's receiver with the history of all subjects.

    Returns
    -------
    KnowledgeBase
        With pictures and adapters of all thirty.

    Raises
    ------
    FileNotFoundError
        If the adapters are not there.
    """
    base = KnowledgeBase("C")
    for number in range(toyworld.SUBJECTS):
        for what in HISTORY:
            base = base.told(number, what)
    return base


@checked
def break_even(shared: float, saving: float) -> float:
    """How many transmissions pay for what was shared.

    Parameters
    ----------
    shared : float
        What sharing took, in channel uses or bits.
    saving : float
        What each transmission then saves, in the same unit.

    Returns
    -------
    float
        A whole number; infinite if nothing is saved.

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> break_even(1000, 300), break_even(1000, 0)
    (4.0, inf)
    """
    return float(np.ceil(shared / saving)) if saving > 0 else float("inf")
