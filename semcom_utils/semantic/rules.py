r"""Completion without vectors: rules along paths, counted on the facts that are known.

A rule says that whoever is joined by a path of relations is joined by another relation, too: *a sibling of a parent is
an uncle or an aunt*, *north, then east, then south is east*. Its confidence is the share of the pairs so joined for
which the conclusion is a known fact. Nothing is learned by gradient and nothing is told about the world. Triples are
integer arrays ``[n, 3]`` as in :mod:`semcom_utils.semantic.embedding`, and the scores can be ranked by its ``ranks``.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, positive_integer
from semcom_utils.semantic.embedding import indices, split

__all__ = ["PathRules", "mine"]


class PathRules(NamedTuple):
    """What rules say of every possible fact.

    Attributes
    ----------
    belief : torch.Tensor
        ``[relations, entities, entities]``, of relation, head and tail; 0 where no rule speaks.
    """

    belief: torch.Tensor

    @property
    def sizes(self) -> tuple[int, int]:
        """How many entities and relations there are.

        Returns
        -------
        tuple of int
            Entities, relations.
        """
        return self.belief.shape[1], self.belief.shape[0]

    @checked
    def distance(self, triples: torch.Tensor) -> torch.Tensor:
        """Minus the belief in facts, so that what is believed most has the least.

        Parameters
        ----------
        triples : torch.Tensor of int, ``[..., 3]``
            Indices of head, relation and tail.

        Returns
        -------
        torch.Tensor, ``[...]``
            At most 0.

        Raises
        ------
        ValueError
            If the triples are not whole numbers of that shape that index entities and relations.
        """
        n, relations = self.sizes
        h, r, t = split(triples, n, relations)
        return -self.belief[r, h, t]


@checked
def mine(
    triples: ArrayLike, n_entities: int, n_relations: int, *, length: int = 3, doubt: int = 2, support: int = 2
) -> PathRules:
    r"""Count every rule whose body is a path of at most ``length`` relations, and believe what the rules conclude.

    Relations are walked both ways. A body that goes one relation and straight back is left out, and so is the rule
    that concludes a fact from itself. With s pairs for which the conclusion is known among b that the body joins, the
    confidence is :math:`s / (b + \text{doubt})`. Several rules for one fact add up as independent witnesses would:
    the belief is :math:`-\sum \ln (1 - \text{confidence})`.

    Parameters
    ----------
    triples : array_like of int, ``[n, 3]``
        Known facts, right or wrong.
    n_entities, n_relations : int
        How many there are of each.
    length : int
        Relations in a body, at least 1.
    doubt, support : int
        Pairs that are added to b; and the least s for which a rule counts, at least 1.

    Returns
    -------
    PathRules
        Beliefs in all facts.

    Raises
    ------
    ValueError
        If the triples are not whole numbers of shape ``[n, 3]`` below these counts, or a setting is out of its range.
    """
    n, relations = positive_integer("n_entities", n_entities), positive_integer("n_relations", n_relations)
    known = indices(triples, n, relations)
    length, support = positive_integer("length", length), positive_integer("support", support)
    doubt = positive_integer("doubt", doubt, low=0)
    step = torch.zeros(2 * relations, n, n)
    step[known[:, 1], known[:, 0], known[:, 2]] = 1.0
    step[relations:] = step[:relations].mT  # the way back
    back = [(r + relations) % (2 * relations) for r in range(2 * relations)]
    belief = torch.zeros(relations, n, n)
    bodies: dict[tuple[int, ...], torch.Tensor] = {(): torch.eye(n)}
    for _ in range(length):
        bodies = {
            (*body, r): ((joined @ step[r]) > 0).float()
            for (body, joined), r in product(bodies.items(), range(2 * relations))
            if not body or body[-1] != back[r]
        }
        bodies = {body: joined for body, joined in bodies.items() if joined.any()}
        for body, joined in bodies.items():
            right = (joined * step[:relations]).sum((1, 2))
            confidence = (right / (joined.sum() + doubt)).clamp(max=0.999)
            confidence[right < support] = 0.0
            if len(body) == 1 and body[0] < relations:
                confidence[body[0]] = 0.0  # a fact from itself
            believed = np.flatnonzero(confidence.numpy() > 0)
            belief[believed] -= torch.log1p(-confidence[believed])[:, None, None] * joined
    return PathRules(belief)
