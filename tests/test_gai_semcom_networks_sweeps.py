"""What the survey's verdicts hang on: rules of service, sweeps, rivals of vectors, wordings, equal computation."""

import numpy as np
import pytest
import torch

from semcom_utils.generation.families import FAMILIES, make
from semcom_utils.papers.gai_semcom_networks import (
    knowledge_rivals,
    model_budgets,
    model_families,
    resource_sweeps,
    value_rules,
    wordings,
)
from semcom_utils.papers.gai_semcom_networks.semantic_information import code_block
from semcom_utils.semantic import embedding, rules


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# --- who is served -----------------------------------------------------------------------------------------------


def test_equal_systems_are_served_by_age_and_a_very_stable_one_never():
    assert np.array_equal(value_rules.rule_table("value", 1.1, 1.1), value_rules.rule_table("age", 1.1, 1.1))
    assert value_rules.rule_table("value", 0.6, 1.1).all() and not value_rules.rule_table("first", 0.6, 1.1).any()


def test_no_rule_loses_less_than_the_best():
    run = value_rules.value_run({"first": 0.9, "slots": 20_000, "seed": 3})
    assert all(run["best"]["loss"] <= 1.005 * run[rule]["loss"] for rule in run)
    assert run["value"]["loss"] < min(run[rule]["loss"] for rule in ("age", "second", "timetable"))


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="rule must be"):
        value_rules.rule_table("youngest", 0.9, 1.1)


# --- resources ---------------------------------------------------------------------------------------------------


def test_work_has_mean_one_and_the_variance_that_was_asked_for():
    drawn = resource_sweeps.work((400_000,), 4.0, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(1, abs=0.02) and drawn.var() == pytest.approx(4, rel=0.2)


def test_an_update_that_gives_way_delays_a_user_by_the_rest_of_one_packet():
    # ready at 0, sent back to back; users at 10.5 and at the end
    end = resource_sweeps.UPDATE + 50.0
    run = resource_sweeps._giving_way(np.array([10.5, end]), np.array([1.0, 1.0]), np.array([0.0]))
    assert run["wait"] == pytest.approx(0.25)  # half a packet, and nothing
    assert run["delay"] == pytest.approx((resource_sweeps.UPDATE + 1.0) / 3600)


def test_more_messages_seen_cannot_hurt_much_and_a_cap_lowers_all():
    task = {"seed": 5, "networks": 4}
    exact, few = (resource_sweeps.caps_run({**task, "cap_db": 23.0, "samples": k}) for k in (None, 3))
    free = resource_sweeps.caps_run({**task, "cap_db": None, "samples": None})
    assert exact["matching"]["below_minimum"] == 0 < few["matching"]["below_minimum"]
    assert all(exact[name]["messages"] < free[name]["messages"] for name in ("matching", "channel", "best_snr"))


# --- rules and vectors -------------------------------------------------------------------------------------------


def test_the_family_is_consistent():
    facts = set(knowledge_rivals.family(np.random.default_rng(2)))
    back = {"parent of": "child of", "grandparent of": "grandchild of", "aunt or uncle of": "niece or nephew of",
            "sibling of": "sibling of", "married to": "married to"}  # fmt: skip
    assert all((t, back[r], h) in facts for h, r, t in facts if r in back)
    assert all(h != t for h, _, t in facts)
    married = {(h, t) for h, r, t in facts if r == "married to"}
    assert not married & {(h, t) for h, r, t in facts if r == "sibling of"}


def test_misread_facts_are_as_many_as_asked_for_and_wrong():
    said = knowledge_rivals.family(np.random.default_rng(2))
    heard = knowledge_rivals.misread(said, 0.2, np.random.default_rng(1))
    changed = np.mean([a != b for a, b in zip(said, heard, strict=True)])
    assert changed == pytest.approx(0.2, abs=0.05)
    assert all(a.head == b.head and (a.relation == b.relation or a.tail == b.tail) for a, b in zip(said, heard))  # noqa: B905


@pytest.mark.parametrize("name", knowledge_rivals.WORLDS)
def test_no_world_gives_away_what_it_asks(name):
    known, asked, *_ = knowledge_rivals.world(name, 0.0, 0.3, 1)
    pairs = {frozenset((h, t)) for h, _, t in known.tolist()}
    assert not pairs & {frozenset((h, t)) for h, _, t in asked.tolist()}


def test_the_map_of_a_city_without_errors_answers_nearly_all():
    assert knowledge_rivals.rivals_run(dict(world="city", error=0.0, gap=0.1, method="map", seed=1))["mrr"] > 0.95


def test_rules_find_a_composition_and_leave_the_rest_alone():
    # 0 -> 3 -> 6, 1 -> 4 -> 7, 2 -> 5 -> 8 by relation 0 and 1; relation 2 joins the ends, for two of the three
    facts = [(i, 0, i + 3) for i in range(3)] + [(i + 3, 1, i + 6) for i in range(3)] + [(0, 2, 6), (1, 2, 7)]
    mined = rules.mine(facts, 9, 3, length=2)
    belief = mined.belief[2]
    assert belief[2, 8] > 0 and belief[2, 6] == belief[2, 7] == 0
    assert embedding.ranks(mined, [(2, 2, 8)], facts).tolist() == [1, 1]
    assert mined.sizes == (9, 3)


@pytest.mark.parametrize("arguments", [{"length": 0}, {"support": 0}, {"doubt": -1}])
def test_rules_refuse_bad_settings(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} must be"):
        rules.mine([(0, 0, 1)], 2, 1, **arguments)


def test_vectors_of_length_one_and_decay():
    facts = [(0, 0, 1), (1, 0, 2), (2, 0, 3)]
    start = embedding.initial(4, 1, 3, seeded())
    unit = embedding.train(start, facts, seeded(1), steps=20, unit=True)
    assert torch.allclose(unit.entities.norm(dim=1), torch.ones(4), atol=1e-5)
    free, small = (embedding.train(start, facts, seeded(1), steps=50, decay=d) for d in (0.0, 0.3))
    assert small.entities.norm() < free.entities.norm()
    with pytest.raises(ValueError, match="decay must be"):
        embedding.train(start, facts, seeded(1), decay=-1.0)


# --- wordings ----------------------------------------------------------------------------------------------------


def test_meanings_bind_above_one_bit_and_not_below():
    blocks = {rate: code_block(300, rate, 0.2, 0.3, np.random.default_rng(4)) for rate in (0.9, 1.1)}
    assert blocks[0.9] == {"decoded": True, "distinct": True}
    assert blocks[1.1] == {"decoded": True, "distinct": False}


def test_errors_of_meaning_by_hand():
    even = [0.0, 0.5, 0.5]
    # half of the messages say aqua, half of these are guessed wrong
    assert wordings.error_of_meaning(even, "careless", 0.0) == pytest.approx(0.25)
    assert wordings.error_of_meaning(even, "careless", 0.0, times=2) == pytest.approx(0.125)
    assert wordings.error_of_meaning(even, "careful", 0.0) == pytest.approx(0.0)
    assert wordings.error_of_meaning(even, "careful", 1.0) == pytest.approx(0.5)


# --- equal computation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_waves_change_what_a_network_sees_and_nothing_else(family):
    model = make(family, 2, seeded(), waves=3)
    x = model.sample(5, seeded(1))
    assert x.shape == (5, 2) and model.loss(x.detach(), seeded(2)).isfinite()
    with pytest.raises(ValueError, match="waves must be"):
        make(family, 2, seeded(), waves=-1)


def test_the_score_parts_law_and_square():
    ends = {name: model_budgets.budget_run({"family": name, "waves": 0, "size": "small", "seed": 3})
            for name in ("data", "square")}  # fmt: skip
    assert ends["data"]["learnt"] == pytest.approx(0.97, abs=0.02) and ends["data"]["modes"] == 25
    assert ends["square"]["learnt"] == pytest.approx(0, abs=0.03) and ends["square"]["modes"] == 0
    middles = model_families.centres(model_families.law())[:4]
    assert model_budgets.learnt(middles.repeat(1000, 1)) < 0.17  # a heap too many does not make up for one missing


def test_operations_are_six_a_parameter_and_point():
    model = make("diffusion", 2, seeded())
    products = sum(p.numel() for p in model.painter.parameters() if p.ndim == 2)
    # the first layer's input needs no gradient
    first = next(p.numel() for p in model.painter.parameters() if p.ndim == 2)
    assert model_budgets.operations_a_step(model) == 256 * (6 * products - 2 * first)


def test_a_law_has_the_spread_that_was_asked_for():
    points = model_families.draw(model_families.law(spread=0.04), 0.04)(4000, seeded())
    near = torch.cdist(points, model_families.centres(model_families.law())).min(1).values
    assert float(near.square().mean() / 2) == pytest.approx(0.04**2, rel=0.1)
