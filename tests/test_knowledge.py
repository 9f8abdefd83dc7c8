"""Triples from captions, versions of a graph, and their vectors: exact where an exact answer is known."""

import re

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdflib import BNode, Graph
from rdflib.compare import isomorphic
from scipy.optimize import minimize_scalar

from semcom_utils.papers.gai_semcom_networks import knowledge_management as study
from semcom_utils.semantic.embedding import Embedding, average, expected_random_mrr, initial, ranks, train
from semcom_utils.semantic.knowledge import (
    KB,
    RELATIONS,
    Difference,
    Triple,
    VersionedGraph,
    graph_of,
    parse_caption,
    triples_of,
)

names = st.from_regex(r"[A-Z][a-z]{1,6}( [a-z]{2,6})?", fullmatch=True).filter(
    lambda name: not re.search(r"\b(is|lies|and)\b", name))  # fmt: skip
triples = st.builds(Triple, st.sampled_from("abc"), st.sampled_from(["in", "next to"]), st.sampled_from("xyz"))
graphs = st.frozensets(triples).map(graph_of)


def torch_seed(seed):
    return torch.Generator().manual_seed(seed)


# --- captions --------------------------------------------------------------------------------------------------------


@given(head=names, facts=st.lists(st.tuples(st.sampled_from(sorted(RELATIONS)), names), min_size=1, max_size=5))
def test_a_caption_of_the_grammar_is_read_back(head, facts):
    parts = [f"{wording} the {tail}" for wording, tail in facts]
    caption = f"The {head} is {', '.join(parts[:-1])}{' and ' if parts[1:] else ''}{parts[-1]}."
    assert parse_caption(caption) == [Triple(head, RELATIONS[wording], tail) for wording, tail in facts]


@pytest.mark.parametrize(
    "caption",
    ["", "The mill is red.", "The mill is in the", "A mill is in the park.", 7, "The mill is in the park, sometimes."],
)
def test_other_text_is_refused(caption):
    with pytest.raises(ValueError, match="caption must"):
        parse_caption(caption)


def test_the_city_says_what_it_says_and_hides_both_directions():
    captions, unsaid = study.city(np.random.default_rng(3))
    said = {triple for caption in captions for triple in parse_caption(caption)}
    assert len(said) + len(unsaid) == 2 * 112 + 64 and not said & set(unsaid)
    pairs = {frozenset((h, t)) for h, r, t in unsaid if r != "in"}
    assert pairs and not any(frozenset((h, t)) in pairs for h, _, t in said)


# --- graphs and versions ---------------------------------------------------------------------------------------------


PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no error


@PATIENT
@given(graph=graphs)
def test_text_to_rdf_and_back(graph):
    assert set(graph_of(triples_of(graph))) == set(graph)
    assert isomorphic(Graph().parse(data=graph.serialize(format="turtle"), format="turtle"), graph)


@PATIENT
@given(old=graphs, new=graphs)
def test_difference_leads_there_and_back(old, new):
    step = Difference.between(old, new)
    assert set(step.apply(old)) == set(new)
    assert set(step.inverse().apply(new)) == set(old)
    assert set(step.apply(step.apply(old))) == set(new)
    assert not step.added & step.removed


@PATIENT
@given(versions=st.lists(graphs, min_size=1, max_size=5), data=st.data())
def test_every_version_stays_within_reach(versions, data):
    history = VersionedGraph()
    assert [history.commit(graph) for graph in versions] == list(range(1, len(versions) + 1))
    for i, graph in enumerate(versions, 1):
        assert set(history.checkout(i)) == set(graph)
    target = data.draw(st.integers(0, len(versions)))
    before = set(history.checkout(target))
    history.revert(target)
    assert set(history.checkout()) == before and history.latest == len(versions) + 1
    assert history.compare(target, history.latest) == Difference(frozenset(), frozenset())


def test_order_of_two_edits_of_one_triple_matters():
    add = Difference(frozenset(graph_of([Triple("a", "in", "x")])), frozenset())
    empty = graph_of([])
    assert len(add.inverse().apply(add.apply(empty))) == 0
    assert len(add.apply(add.inverse().apply(empty))) == 1


def test_size_of_a_difference():
    step = Difference.between(graph_of([Triple("a", "in", "x")]), graph_of([Triple("a", "in", "x y")]))
    lines = [f"<{KB}a> <{KB}in> <{KB}{t}> .\n" for t in ("x", "x_y")]
    assert step.n_bits() == sum(8 * len(line) + 1 for line in lines)


def test_bad_graphs_and_versions():
    blank = Graph()
    blank.add((BNode(), KB["in"], KB["x"]))
    with pytest.raises(ValueError, match="new must have no blank nodes"):
        Difference.between(Graph(), blank)
    history = VersionedGraph()
    for version in (1, -1, 0.5):
        with pytest.raises(ValueError, match="version must be"):
            history.checkout(version)


# --- vectors ---------------------------------------------------------------------------------------------------------


def line(n=6):
    """Points of a line one unit apart: relation 0 is one step, exactly."""
    points = torch.zeros(n, 2)
    points[:, 0] = torch.arange(n)
    return Embedding(points, torch.tensor([[1.0, 0.0]])), np.array([(i, 0, i + 1) for i in range(n - 1)])


def test_a_perfect_model_ranks_first_and_a_blind_one_in_the_middle():
    model, facts = line()
    assert ranks(model, facts, facts).tolist() == [1] * 10
    blind = Embedding(torch.zeros(6, 2), torch.zeros(1, 2))
    assert ranks(blind, facts, facts).tolist() == [3.5] * 10


def test_known_facts_do_not_compete():
    model, _ = line()
    asked, known = np.array([[0, 0, 2]]), np.array([[0, 0, 1]])
    assert ranks(model, asked, known)[0] == 1.5  # 0 and 2 are one off; 1, nearer, is known
    assert ranks(model, asked, asked)[0] == 2.5


def test_random_mrr_is_what_random_vectors_get():
    rng = np.random.default_rng(0)
    facts = np.unique(
        np.stack([rng.integers(12, size=40), rng.integers(2, size=40), rng.integers(12, size=40)], 1), axis=0
    )
    asked, known = facts[:6], facts[6:]
    expected = expected_random_mrr(asked, known, 12, 2)
    drawn = []
    for _ in range(400):  # a random order of the entities for each question
        model = Embedding(torch.tensor(rng.normal(size=(12, 8))), torch.tensor(100 * rng.normal(size=(2, 8))))
        drawn.append(np.mean(1 / ranks(model, asked, known)))
    assert abs(np.mean(drawn) - expected) < 4 * np.std(drawn) / 20


def test_training_learns_what_is_there_and_leaves_the_start_alone():
    _, facts = line(10)
    start = initial(10, 1, 3, torch_seed(0))
    kept = start.entities.clone()
    model = train(start, facts, torch_seed(1), steps=200)
    assert torch.equal(start.entities, kept)
    assert np.mean(1 / ranks(model, facts, facts)) > 0.9 > np.mean(1 / ranks(start, facts, facts))
    again = train(start, facts, torch_seed(1), steps=200)
    assert torch.equal(model.entities, again.entities)


def test_averaging_weighs_by_use():
    start = Embedding(torch.full((4, 1), 9.0), torch.full((1, 1), 9.0))
    models = [Embedding(torch.full((4, 1), value), torch.full((1, 1), value)) for value in (0.0, 6.0)]
    shards = [np.array([[0, 0, 1]]), np.array([[1, 0, 2], [1, 0, 2]])]
    mean = average(start, models, shards)
    assert mean.entities.ravel().tolist() == pytest.approx([0, 4, 6, 9])
    assert mean.relations.item() == pytest.approx(4)


def test_federated_scores_apart_for_what_a_node_has_met():
    run = study.federated({"seed": 5, "rounds": 2, "steps": 5, "same_data": False})
    share = np.array(run["met_share"])
    assert (0 < share).all() and (share < 1).all()
    for name in ("local", "shared"):
        together = share * run[f"{name}_met"] + (1 - share) * run[f"{name}_new"]
        assert together == pytest.approx(np.broadcast_to(run[name], 4), abs=1e-6)
    assert np.mean(run["local_met"]) > np.mean(run["local_new"]) + 0.2 and 0 < run["expert"] <= 1


@pytest.mark.parametrize("bad", [[[0, 0]], [[0, 0, 6]], [[0, 1, 0]], [[-1, 0, 0]], [[0.0, 0.0, 1.0]], np.empty((0, 3))])
def test_bad_triples(bad):
    model, facts = line()
    for call in (
        lambda: train(model, bad, torch_seed(0)),
        lambda: ranks(model, bad, facts),
        lambda: ranks(model, facts, bad),
        lambda: average(model, [model], [bad]),
    ):
        with pytest.raises(ValueError, match="(triples|known|shards) must"):
            call()


def test_bad_nodes():
    model, facts = line()
    with pytest.raises(ValueError, match="models and shards"):
        average(model, [model], [facts, facts])


# --- when to update --------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(kappa=st.floats(1e-4, 0.95))
def test_closed_form_is_the_minimum(kappa):
    exact = study.best_update_interval(kappa)
    found = minimize_scalar(
        lambda x: study.update_cost(x, kappa), bounds=(1e-3, 20), method="bounded", options={"xatol": 1e-9}
    ).x
    assert exact == pytest.approx(found, rel=1e-3)
    assert study.update_cost(exact, kappa) <= study.update_cost(found, kappa) + 1e-12


def test_limits_of_the_closed_form():
    assert study.best_update_interval(1.0) == np.inf == study.best_update_interval(3.0)
    assert study.best_update_interval(0.0) == 0
    assert study.best_update_interval(1e-6) == pytest.approx(np.sqrt(2e-6), rel=1e-3)


def test_simulated_cost_is_the_formula():
    run = study.update_run({"seed": 1, "kappa": 0.1, "horizon": 20_000})
    assert np.allclose(run["cost"], study.update_cost(study.INTERVALS, 0.1), atol=0.02)


def test_version_study_counts_failures_too():
    shares = study.version_run({"seed": 1, "sequences": 3, "edits": 3})
    assert shares == {"undone": 1.0, "rolled_back": 1.0, "same_in_either_order": 0.0}
