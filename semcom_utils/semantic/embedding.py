r"""Knowledge as vectors: TransE, filtered ranks, and averaging between nodes.

TransE (Bordes et al., 2013) gives every entity and every relation a vector, such that a fact :math:`(h, r, t)` means
:math:`\mathbf{h} + \mathbf{r} \approx \mathbf{t}`. Triples are integer arrays ``[n, 3]`` of the indices of head,
relation and tail. The chapter ``notebooks/13c_knowledge_management`` derives and tests what is here.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.nn.functional import normalize

from semcom_utils.checks import checked, plain_array, positive_integer, real_number, shown, torch_generator

__all__ = ["Embedding", "Scorer", "average", "expected_random_mrr", "indices", "initial", "ranks", "split", "train"]


@runtime_checkable
class Scorer(Protocol):
    """What can be ranked: it knows how many entities and relations there are, and how far a fact is from holding."""

    @property
    def sizes(self) -> tuple[int, int]:
        """How many entities and relations there are.

        Returns
        -------
        tuple of int
            Entities, relations.
        """

    def distance(self, triples: torch.Tensor) -> torch.Tensor:
        """How far facts are from holding, in any unit.

        Parameters
        ----------
        triples : torch.Tensor of int, ``[..., 3]``
            Indices of head, relation and tail.

        Returns
        -------
        torch.Tensor, ``[...]``
            Small for what is believed.
        """


class Embedding(NamedTuple):
    """The vectors of a knowledge base.

    Attributes
    ----------
    entities : torch.Tensor
        ``[entities, dimension]``.
    relations : torch.Tensor
        ``[relations, dimension]``.
    """

    entities: torch.Tensor
    relations: torch.Tensor

    @property
    def sizes(self) -> tuple[int, int]:
        """How many entities and relations there are.

        Returns
        -------
        tuple of int
            Entities, relations.
        """
        return len(self.entities), len(self.relations)

    @checked
    def distance(self, triples: torch.Tensor) -> torch.Tensor:
        r"""How far facts are from holding: :math:`\lVert \mathbf{h} + \mathbf{r} - \mathbf{t} \rVert`.

        Parameters
        ----------
        triples : torch.Tensor of int, ``[..., 3]``
            Indices of head, relation and tail.

        Returns
        -------
        torch.Tensor, ``[...]``
            Euclidean distances.

        Raises
        ------
        ValueError
            If an argument is not what it should be.

        References
        ----------
        A. Bordes et al., "Translating embeddings for modeling multi-relational data", 2013, equation (1).
        """
        h, r, t = split(triples, *self.sizes)
        return (self.entities[h] + self.relations[r] - self.entities[t]).norm(dim=-1)


@checked
def split(triples: torch.Tensor, n_entities: int, n_relations: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Heads, relations and tails, each an index that there is.

    Parameters
    ----------
    triples : torch.Tensor of int, ``[..., 3]``
        Head, relation, tail.
    n_entities, n_relations : int
        How many there are of each.

    Returns
    -------
    heads, relations, tails : torch.Tensor
        Int64 ``[...]``.

    Raises
    ------
    ValueError
        If they are not whole numbers of that shape, or do not fit the counts.
    """
    if not triples.ndim or triples.shape[-1] != 3 or triples.is_floating_point() or triples.dtype == torch.bool:
        raise ValueError(f"triples must be whole numbers of shape [..., 3], got {triples.dtype} {list(triples.shape)}")
    n, relations = positive_integer("n_entities", n_entities), positive_integer("n_relations", n_relations)
    limit = torch.tensor([n, relations, n])
    if bool(((triples.cpu() < 0) | (triples.cpu() >= limit)).any()):
        raise ValueError(f"triples must index {n} entities and {relations} relations")
    heads, kinds, tails = triples.long().unbind(-1)
    return heads, kinds, tails


def indices(triples: ArrayLike, n_entities: int, n_relations: int, name: str = "triples") -> torch.Tensor:
    """Triples as whole numbers that fit the counts.

    Parameters
    ----------
    triples : array_like of int, ``[n, 3]``
        Head, relation, tail; at least one.
    n_entities, n_relations : int
        How many there are of each.
    name : str
        What an error calls the triples.

    Returns
    -------
    torch.Tensor
        Int64 ``[n, 3]``.

    Raises
    ------
    ValueError
        If they are not whole numbers of that shape, or do not fit the counts.
    """
    if not isinstance(name, str):
        raise ValueError(f"name must be text, got {shown(name)}")
    plain = plain_array(name, triples)
    positive_integer("n_entities", n_entities)
    positive_integer("n_relations", n_relations)
    if plain.ndim != 2 or plain.shape[1] != 3 or not len(plain) or plain.dtype.kind == "f":
        raise ValueError(f"{name} must be whole numbers of shape [n, 3], got {plain.dtype} of shape {plain.shape}")
    array = torch.from_numpy(plain.astype(np.int64))  # a copy: a view may run backwards
    limit = torch.tensor([n_entities, n_relations, n_entities])
    if (array < 0).any() or (array >= limit).any():
        raise ValueError(f"{name} must index {n_entities} entities and {n_relations} relations, got {array.amax(0)}")
    return array.long()


@checked
def initial(n_entities: int, n_relations: int, dimension: int, generator: torch.Generator) -> Embedding:
    """Uniform random vectors within ``0.6 / sqrt(dimension)`` of zero.

    A tenth of what TransE's authors use: from too far apart, vectors of entities with few facts never come together.

    Parameters
    ----------
    n_entities, n_relations : int
        How many there are of each.
    dimension : int
        Length of a vector.
    generator : torch.Generator
        Source of the numbers.

    Returns
    -------
    Embedding
        Untrained vectors, float32.

    Raises
    ------
    ValueError
        If a size is no positive whole number, or ``generator`` is no ``torch.Generator``.
    """
    bound = 0.6 / positive_integer("dimension", dimension) ** 0.5
    sizes = positive_integer("n_entities", n_entities), positive_integer("n_relations", n_relations)
    torch_generator("generator", generator)
    return Embedding(*(bound * (2 * torch.rand(size, dimension, generator=generator) - 1) for size in sizes))


@checked
def train(
    start: Embedding,
    triples: ArrayLike,
    generator: torch.Generator,
    *,
    steps: int = 400,
    rate: float = 0.05,
    margin: float = 1.0,
    negatives: int = 8,
    unit: bool = False,
    decay: float = 0.0,
) -> Embedding:
    r"""Pull true triples together, push corrupted ones apart by a margin (Adam on all triples at once).

    Every step replaces, for ``negatives`` copies of each triple, head or tail by a random entity and lowers

    .. math:: \textstyle\sum \max(0,\ m + d(h, r, t) - d(h', r, t')).

    Parameters
    ----------
    start : Embedding
        Left as it is.
    triples : array_like of int, ``[n, 3]``
        Known facts.
    generator : torch.Generator
        Source of the corruptions.
    steps, negatives : int
        Steps of Adam, and corruptions of each triple in a step.
    rate, margin : float
        Adam's step size, and :math:`m`.
    unit : bool
        Keep the vectors of the entities at length one, as TransE's authors do: before every step, and at the end.
    decay : float
        Weight of half the squared length of all vectors in the gradient, at least 0.

    Returns
    -------
    Embedding
        The trained vectors.

    Raises
    ------
    ValueError
        If the triples are not whole numbers of shape ``[n, 3]``, or do not fit the vectors; or if a setting is out of
        its range, or ``generator`` is no ``torch.Generator``.

    References
    ----------
    A. Bordes et al., "Translating embeddings for modeling multi-relational data", 2013, equation (1).
    """
    torch_generator("generator", generator)
    n, relations = len(start.entities), len(start.relations)
    known = indices(triples, n, relations)
    model = Embedding(*(part.clone().requires_grad_() for part in start))
    rate, decay = (
        real_number("rate", rate, low=0, low_open=True, high=1e6),
        real_number("decay", decay, low=0, high=1e6),
    )
    optimiser = torch.optim.Adam(model, lr=rate, weight_decay=decay)

    def constrain():
        if unit:
            with torch.no_grad():
                model.entities.copy_(normalize(model.entities, dim=1))

    true = known.repeat(positive_integer("negatives", negatives), 1)
    for _ in range(positive_integer("steps", steps, low=0)):
        constrain()
        at = 2 * torch.randint(2, (len(true), 1), generator=generator)  # column 0, the head, or 2, the tail
        false = true.scatter(1, at, torch.randint(n, (len(true), 1), generator=generator))
        loss = torch.relu(margin + model.distance(true) - model.distance(false)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    constrain()
    return Embedding(*(part.detach() for part in model))


def _candidates(triples: torch.Tensor, known: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Per question (tails asked first, then heads) all completions ``[2 * m, n, 3]``, and which compete ``[2 * m, n]``.

    Filtered as usual: a completion that is another known fact is no wrong answer, so it does not compete.
    """
    questions, competes = [], []
    facts = set(map(tuple, known.tolist())) | set(map(tuple, triples.tolist()))
    for column in (2, 0):
        every = triples[:, None, :].repeat(1, n, 1)
        every[:, :, column] = torch.arange(n)
        truth = torch.arange(n) == triples[:, column, None]
        fact = torch.tensor([[tuple(row) in facts for row in block] for block in every.tolist()])
        questions.append(every)
        competes.append(~fact | truth)
    return torch.cat(questions), torch.cat(competes)


@checked
def ranks(model: Scorer, triples: ArrayLike, known: ArrayLike) -> np.ndarray:
    """Filtered ranks of the right answers to (h, r, ?) and (?, r, t); ties count half.

    Parameters
    ----------
    model : Scorer
        Trained vectors, or rules.
    triples : array_like of int, ``[m, 3]``
        Held-out facts.
    known : array_like of int, ``[n, 3]``
        All other facts: they are left out of the ranking.

    Returns
    -------
    numpy.ndarray, ``[2 * m]``
        Tails first, then heads; 1 is best. Their mean reciprocal is the MRR.

    Raises
    ------
    ValueError
        If the triples are not whole numbers of shape ``[n, 3]``, or do not fit the vectors.

    References
    ----------
    A. Bordes et al., "Translating embeddings for modeling multi-relational data", 2013, section 4.2 ("filtered").
    """
    if isinstance(model, type) or not isinstance(model, Scorer):
        raise ValueError(f"model must have sizes and a distance, got {shown(model)}")
    n, n_relations = model.sizes
    asked = indices(triples, n, n_relations)
    every, competes = _candidates(asked, indices(known, n, n_relations, "known"), n)
    score = model.distance(every).masked_fill(~competes, torch.inf)
    truth = score.gather(1, torch.cat([asked[:, 2], asked[:, 0]])[:, None])
    return (0.5 + (score < truth).sum(1) + 0.5 * (score == truth).sum(1)).numpy()


@checked
def expected_random_mrr(triples: ArrayLike, known: ArrayLike, n_entities: int, n_relations: int) -> float:
    r"""MRR of a random order, exactly: the mean of :math:`H_c / c` over questions with c competing answers.

    Parameters
    ----------
    triples, known : array_like of int, ``[m, 3]`` and ``[n, 3]``
        As for :func:`ranks`.
    n_entities, n_relations : int
        How many there are of each.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the triples are not whole numbers of shape ``[n, 3]`` below these counts.
    """
    positive_integer("n_entities", n_entities)
    positive_integer("n_relations", n_relations)
    asked = indices(triples, n_entities, n_relations)
    _, competes = _candidates(asked, indices(known, n_entities, n_relations, "known"), n_entities)
    return float(np.mean([(1 / np.arange(1, c + 1)).mean() for c in competes.sum(1).tolist()]))


@checked
def average(start: Embedding, models: list[Embedding], shards: list) -> Embedding:
    """One round of federated averaging: each vector is averaged over the nodes, weighted by how often they use it.

    Parameters
    ----------
    start : Embedding
        What the round began with; a vector that no node uses stays as it was.
    models : list of Embedding
        One a node.
    shards : list of array_like of int, ``[n, 3]``
        The facts of each node. They stay there: the server needs the counts alone.

    Returns
    -------
    Embedding
        The averaged vectors.

    Raises
    ------
    ValueError
        If models and shards are not one a node, or facts do not fit the vectors.

    References
    ----------
    H. B. McMahan et al., "Communication-efficient learning of deep networks from decentralized data", 2017 (the
    average; the weights by use are ours).
    """
    if len(models) != len(shards) or not models:
        raise ValueError(f"models and shards must be one a node, got {len(models)} and {len(shards)}")
    n, n_relations = len(start.entities), len(start.relations)
    parts = []
    for part, size, columns in ((0, n, (0, 2)), (1, n_relations, (1,))):
        counts = torch.stack(
            [
                torch.bincount(indices(shard, n, n_relations, "shards")[:, columns].ravel(), minlength=size)
                for shard in shards
            ]
        ).float()
        share = (counts / counts.sum(0).clamp(min=1))[:, :, None]
        mean = (share * torch.stack([model[part] for model in models])).sum(0)
        parts.append(torch.where(counts.sum(0)[:, None] > 0, mean, start[part]))
    return Embedding(*parts)
