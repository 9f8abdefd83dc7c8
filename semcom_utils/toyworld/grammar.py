"""Captions: a small grammar, written in several ways and read back to one meaning.

::

    caption   = [prefix] things "on" ground | "on" ground "," things
    things    = thing | thing "and" thing | thing "," thing "and" thing | thing relation thing
    thing     = ("a" | "an") [texture] colour kind [pose]
    relation  = "left of" | "right of" | "in"

Things are named from left to right, unless a relation says otherwise. The canonical caption has no prefix, no relation
but "in", and each word's first synonym: two captions mean the same exactly if their canonical captions are equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from semcom_utils.checks import checked, numpy_generator, one_of

from .scene import COLOURS, GROUNDS, KINDS, PATTERNS, POSES, Description

__all__ = ["PREFIXES", "SYNONYMS", "VOCABULARY", "Meaning", "Word", "caption", "meaning", "paraphrase", "parse_caption"]

#: What may stand before a caption without changing its meaning.
PREFIXES = ("a picture of", "a photo of")
#: Kind word -> other words for it.
SYNONYMS = {
    "ball": ("sphere",),
    "cube": ("block",),
    "cone": ("pyramid",),
    "bucket": ("pail",),
    "dog": ("puppy",),
    "robot": ("android",),
}
_KIND = {word: kind for kind in KINDS for word in (kind, *SYNONYMS[kind])}
_THING = re.compile(
    rf"(?P<article>an?) (?:(?P<texture>{'|'.join(PATTERNS)}) )?(?P<colour>{'|'.join(COLOURS)}) "
    rf"(?P<kind>{'|'.join(_KIND)})"
    rf"(?: (?P<pose>{'|'.join(POSES)}))?"
)
#: Every word of the grammar.
VOCABULARY = tuple(
    dict.fromkeys(
        [
            "a",
            "an",
            "and",
            "in",
            "left",
            "right",
            "of",
            "on",
            ",",
            *" ".join(PREFIXES).split(),
            *COLOURS,
            *_KIND,
            *POSES,
            *PATTERNS,
            *GROUNDS,
        ]
    )
)


@checked
@dataclass(frozen=True)
class Word:
    """What a caption says of one thing: everything but where it stands.

    Parameters
    ----------
    kind, colour : str
        Keys of ``KINDS`` and ``COLOURS``.
    pose : str, optional
        One of ``POSES``, for a robot; no other kind has one.
    texture : str, optional
        One of ``PATTERNS``.

    Raises
    ------
    ValueError
        If a word is none of the grammar's, or a robot has no pose.
    """

    kind: str
    colour: str
    pose: str | None = None
    texture: str | None = None

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)
        one_of("colour", self.colour, COLOURS)
        one_of("pose", self.pose, POSES if self.kind == "robot" else (None,))
        one_of("texture", self.texture, (None, *PATTERNS))

    @checked
    def text(self, kind: str | None = None) -> str:
        """Name the thing, with its article.

        Parameters
        ----------
        kind : str, optional
            A synonym to use.

        Returns
        -------
        str
            Such as "an orange robot waving".

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        words = [word for word in (self.texture, self.colour, kind or self.kind, self.pose) if word]
        return f"{'an' if words[0][0] in 'aeiou' else 'a'} {' '.join(words)}"


@checked
@dataclass(frozen=True)
class Meaning:
    """What a caption states.

    Parameters
    ----------
    ground : str
        Key of ``GROUNDS``.
    things : tuple of Word
        One to three, from left to right.
    inside : bool
        Whether the first of two is in the second, a bucket.

    Raises
    ------
    ValueError
        If this is no meaning of the grammar.
    """

    ground: str
    things: tuple[Word, ...]
    inside: bool = False

    def __post_init__(self) -> None:
        one_of("ground", self.ground, GROUNDS)
        things = self.things if isinstance(self.things, tuple) else ()
        if not 1 <= len(things) <= 3 or not all(isinstance(thing, Word) for thing in things):
            raise ValueError(f"things must be a tuple of one to three of Word, got {self.things!r}")
        kinds = [thing.kind for thing in self.things]
        if self.inside and kinds not in (["dog", "bucket"], ["ball", "bucket"]):
            raise ValueError(f"inside must be False unless things are a dog or a ball, then a bucket, got {kinds}")

    def canonical(self) -> str:
        """The meaning's one canonical caption.

        Returns
        -------
        str
            Two meanings are equal exactly if these are.
        """
        return f"{_join([thing.text() for thing in self.things], self.inside)} on {self.ground}"


@checked
def meaning(description: Description) -> Meaning:
    """What a caption of the scene can state.

    Parameters
    ----------
    description : Description
        The scene.

    Returns
    -------
    Meaning
        The description without places and without what no word says.

    Raises
    ------
    ValueError
        If ``description`` is none.
    """
    if not isinstance(description, Description):
        raise ValueError(f"description must be a Description, got {type(description).__name__}")
    words = tuple(
        Word(thing.kind, thing.colour, thing.pose, thing.texture.pattern if thing.texture else None)
        for thing in description.things
    )
    return Meaning(description.ground, words, description.inside)


@checked
def caption(description: Description) -> str:
    """The canonical caption of a scene.

    Parameters
    ----------
    description : Description
        The scene.

    Returns
    -------
    str
        See :meth:`Meaning.canonical`.

    Raises
    ------
    ValueError
        If ``description`` is none.
    """
    return meaning(description).canonical()


@checked
def paraphrase(statement: Meaning | Description, rng: np.random.Generator) -> str:
    """Write a meaning in one of the grammar's ways, drawn at random.

    Parameters
    ----------
    statement : Meaning or Description
        What to say.
    rng : numpy.random.Generator
        Chooses synonyms, relation and order.

    Returns
    -------
    str
        A caption that :func:`parse_caption` reads back to the same meaning.

    Raises
    ------
    ValueError
        If ``statement`` is neither, or ``rng`` is no ``numpy.random.Generator``.
    """
    if not isinstance(statement, Meaning | Description):
        raise ValueError(f"statement must be a Meaning or a Description, got {type(statement).__name__}")
    numpy_generator("rng", rng)
    said = meaning(statement) if isinstance(statement, Description) else statement
    names = [
        thing.text(str(rng.choice([thing.kind, *SYNONYMS[thing.kind]])) if rng.random() < 0.4 else None)
        for thing in said.things
    ]
    relation = rng.integers(3)
    if len(names) == 2 and not said.inside and relation:
        things = f"{names[0]} left of {names[1]}" if relation == 1 else f"{names[1]} right of {names[0]}"
    else:
        things = _join(names, said.inside)
    draw = rng.random()
    if draw < 0.2:
        return f"on {said.ground}, {things}"
    return f"{PREFIXES[int(draw < 0.3)]} {things} on {said.ground}" if draw < 0.4 else f"{things} on {said.ground}"


@checked
def parse_caption(text: str) -> Meaning:
    """Read a caption.

    Parameters
    ----------
    text : str
        A caption of this module's grammar; case and repeated spaces do not matter.

    Returns
    -------
    Meaning
        What it states.

    Raises
    ------
    ValueError
        If the text is not of the grammar; the message quotes the part that could not be read.

    Examples
    --------
    >>> parse_caption("A photo of a blue block right of a red ball on sand").canonical()
    'a red ball and a blue cube on sand'
    """
    if not isinstance(text, str):
        raise ValueError(f"text must be a caption, got {text!r}")
    rest = re.sub(r"\s*,\s*", ", ", " ".join(text.lower().split())).removesuffix(".")
    if match := re.fullmatch(rf"on ({'|'.join(GROUNDS)}), (.+)", rest):
        ground, rest = match.groups()
    else:
        for prefix in PREFIXES:
            rest = rest.removeprefix(f"{prefix} ")
        match = re.fullmatch(rf"(.+) on ({'|'.join(GROUNDS)})", rest)
        if not match:
            raise ValueError(f"text must name its ground, 'on' one of {', '.join(GROUNDS)}, got {text!r}")
        rest, ground = match.groups()
    parts = re.split(r"( left of | right of | in |, | and )", rest)
    things, links = tuple(_read_thing(part, text) for part in parts[::2]), "".join(parts[1::2])
    if links not in ("", " and ", " left of ", " right of ", " in ", ",  and "):
        raise ValueError(
            f"text must join one to three things by 'and', two by 'left of', 'right of' or 'in', got {text!r}"
        )
    if links == " in " and (things[0].kind not in ("dog", "ball") or things[1].kind != "bucket"):
        raise ValueError(f"text may put only a dog or a ball 'in' a bucket, got {text!r}")
    return Meaning(ground, things[::-1] if links == " right of " else things, links == " in ")


def _read_thing(part: str, text: str) -> Word:
    match = _THING.fullmatch(part)
    if not match or (match["pose"] is not None) != (_KIND[match["kind"]] == "robot"):
        raise ValueError(f"text must name things as 'a red ball' or 'a blue robot waving', got {part!r} in {text!r}")
    return Word(_KIND[match["kind"]], match["colour"], match["pose"], match["texture"])


def _join(names: list[str], inside: bool) -> str:
    if inside:
        return " in ".join(names)
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
