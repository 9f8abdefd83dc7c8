r"""Knowledge as triples (head, relation, tail): read from captions, kept as RDF, versioned by differences.

A caption states facts about one subject, ``"The Cedar library is north of the Elm school and in the Old Town."``;
each fact becomes a triple. Triples live in an ``rdflib.Graph``; a version is what was added to the one before and what
was removed. The chapter ``notebooks/13c_knowledge_management`` explains the choices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from rdflib import BNode, Graph, Namespace, URIRef

from semcom_utils.checks import checked, positive_integer

__all__ = ["KB", "RELATIONS", "Difference", "Triple", "VersionedGraph", "graph_of", "parse_caption", "triples_of"]

#: Namespace of the entities and relations that captions speak of.
KB = Namespace("urn:semcom:")
#: Wordings of the grammar -> relation. Several wordings may mean the same.
RELATIONS = {
    "to the north of": "north of",
    "north of": "north of",
    "to the south of": "south of",
    "south of": "south of",
    "to the east of": "east of",
    "east of": "east of",
    "to the west of": "west of",
    "west of": "west of",
    "next to": "next to",
    "beside": "next to",
    "inside": "in",
    "in": "in",
}
_SENTENCE = re.compile(r"(?i:the) (?P<head>[\w' -]+?) (?:is|lies) (?P<facts>.+)\.")
_FACT = re.compile(rf"(?P<wording>{'|'.join(sorted(RELATIONS, key=len, reverse=True))}) the (?P<tail>[\w' -]+)")


class Triple(NamedTuple):
    """One fact: ``head`` stands in ``relation`` to ``tail``.

    Attributes
    ----------
    head, relation, tail : str
        Plain text, as a caption has it.
    """

    head: str
    relation: str
    tail: str


@checked
def parse_caption(caption: str) -> list[Triple]:
    """Read the facts that a caption states.

    The grammar, in which ``wording`` is a key of :data:`RELATIONS`::

        caption  = "The" name ("is" | "lies") fact {"," fact} ["and" fact] "."
        fact     = wording "the" name

    Parameters
    ----------
    caption : str
        One sentence of this grammar.

    Returns
    -------
    list of Triple
        In the order of the text; the wordings are replaced by the relations that they mean.

    Raises
    ------
    ValueError
        If the caption, or one fact in it, is not of this grammar; the message quotes the part.

    Examples
    --------
    >>> parse_caption("The Elm school lies beside the Cedar library.")
    [Triple(head='Elm school', relation='next to', tail='Cedar library')]
    """
    sentence = _SENTENCE.fullmatch(caption.strip()) if isinstance(caption, str) else None
    if sentence is None:
        raise ValueError(f"caption must read 'The NAME is FACT, FACT and FACT.', got {caption!r}")
    triples = []
    for part in re.split(r", and |, | and ", sentence["facts"]):
        fact = _FACT.fullmatch(part)
        if fact is None:
            raise ValueError(f"caption must state facts such as 'north of the NAME', got {part!r} in {caption!r}")
        triples.append(Triple(sentence["head"], RELATIONS[fact["wording"]], fact["tail"]))
    return triples


def _term(text: str) -> URIRef:
    return KB[text.replace(" ", "_")]


def _text(term: object) -> str:
    return str(term).removeprefix(str(KB)).replace("_", " ")


@checked
def graph_of(triples: Iterable[Triple]) -> Graph:
    """The RDF graph of some triples: blanks in names become underscores under :data:`KB`.

    Parameters
    ----------
    triples : iterable of Triple
        Facts; one that is named twice is one triple.

    Returns
    -------
    rdflib.Graph
        With the prefix ``kb``.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    graph = Graph()
    graph.bind("kb", KB)
    for triple in triples:
        if (
            not isinstance(triple, tuple | list)
            or len(triple) != 3
            or not all(isinstance(part, str) for part in triple)
        ):
            raise ValueError(f"triples must be of three texts each, got {triple!r:.80}")
        head, relation, tail = triple
        graph.add((_term(head), _term(relation), _term(tail)))
    return graph


@checked
def triples_of(graph: Graph) -> list[Triple]:
    """The triples of a graph as text, sorted, so that the order never depends on hashing.

    Parameters
    ----------
    graph : rdflib.Graph
        As :func:`graph_of` makes it.

    Returns
    -------
    list of Triple
        Sorted by head, relation and tail.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    return sorted(Triple(_text(head), _text(relation), _text(tail)) for head, relation, tail in graph)


class Difference(NamedTuple):
    """What leads from one graph to another.

    Attributes
    ----------
    added, removed : frozenset
        Triples of RDF terms.
    """

    added: frozenset
    removed: frozenset

    @classmethod
    @checked
    def between(cls, old: Graph, new: Graph) -> Difference:
        """The difference that turns ``old`` into ``new``.

        Parameters
        ----------
        old, new : rdflib.Graph
            Two graphs without blank nodes.

        Returns
        -------
        Difference
            What ``new`` has more, and what it has less.

        Raises
        ------
        ValueError
            If a graph holds a blank node: it has no name of its own, so sets of triples cannot be compared
            (``rdflib.compare`` solves that harder problem).
        """
        for name, graph in (("old", old), ("new", new)):
            blank = next((term for triple in graph for term in triple if isinstance(term, BNode)), None)
            if blank is not None:
                raise ValueError(f"{name} must have no blank nodes, got {blank!r}")
        before, after = frozenset(old), frozenset(new)
        return cls(after - before, before - after)

    def inverse(self) -> Difference:
        """The way back.

        Returns
        -------
        Difference
            What was added is removed, and the other way round.
        """
        return Difference(self.removed, self.added)

    @checked
    def apply(self, graph: Graph) -> Graph:
        """Apply the difference; a triple to remove that is not there is not missed.

        Parameters
        ----------
        graph : rdflib.Graph
            Left as it is.

        Returns
        -------
        rdflib.Graph
            ``graph`` without what is removed, with what is added.

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        result = Graph()
        result.bind("kb", KB)
        for triple in (frozenset(graph) - self.removed) | self.added:
            result.add(triple)
        return result

    def n_bits(self) -> int:
        """Size as sent: one line of N-Triples a triple, eight bits a byte, and one bit a line for its sign.

        Returns
        -------
        int
            Bits.
        """
        return sum(1 + 8 * len(f"{h.n3()} {r.n3()} {t.n3()} .\n".encode()) for h, r, t in self.added | self.removed)


class VersionedGraph:
    """A graph with its history: version 0 is empty, every later version is a difference to the one before.

    Attributes
    ----------
    differences : list of Difference
        One a version.
    notes : list of str
        One note a version.
    """

    def __init__(self) -> None:
        self.differences: list[Difference] = []
        self.notes: list[str] = []

    @property
    def latest(self) -> int:
        """Number of the newest version, 0 while nothing is committed."""
        return len(self.differences)

    @checked
    def checkout(self, version: int | None = None) -> Graph:
        """The graph of a version.

        Parameters
        ----------
        version : int, optional
            From 0 to :attr:`latest`; the newest by default.

        Returns
        -------
        rdflib.Graph
            A new one each time.

        Raises
        ------
        ValueError
            If there is no such version.
        """
        version = self.latest if version is None else self._checked(version)
        graph = Graph()
        graph.bind("kb", KB)
        for difference in self.differences[:version]:
            graph = difference.apply(graph)
        return graph

    @checked
    def commit(self, graph: Graph, note: str = "") -> int:
        """Store a graph as the next version.

        Parameters
        ----------
        graph : rdflib.Graph
            Without blank nodes; left as it is.
        note : str
            What a reader of the history should know.

        Returns
        -------
        int
            Number of the new version.

        Raises
        ------
        ValueError
            If the graph holds a blank node.
        """
        self.differences.append(Difference.between(self.checkout(), graph))
        self.notes.append(note)
        return self.latest

    @checked
    def compare(self, old: int, new: int) -> Difference:
        """What changed from one version to another.

        Parameters
        ----------
        old, new : int
            Versions, in either order.

        Returns
        -------
        Difference
            What turns the graph of ``old`` into that of ``new``.

        Raises
        ------
        ValueError
            If there is no such version.
        """
        positive_integer("old", old, low=0)
        positive_integer("new", new, low=0)
        return Difference.between(self.checkout(old), self.checkout(new))

    @checked
    def revert(self, version: int) -> int:
        """Make the newest version equal to an older one; nothing of the history is lost.

        Parameters
        ----------
        version : int
            The one to go back to.

        Returns
        -------
        int
            Number of the new version.

        Raises
        ------
        ValueError
            If there is no such version.
        """
        return self.commit(self.checkout(version), f"back to version {self._checked(version)}")

    def _checked(self, version: int) -> int:
        if positive_integer("version", version, low=0) > self.latest:
            raise ValueError(f"version must be at most {self.latest}, got {version}")
        return version
