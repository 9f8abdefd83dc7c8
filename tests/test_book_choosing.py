"""Fronts, the best within a budget, leads and choosers, on tables that are made up."""

import numpy as np
import pytest

from semcom_utils.papers.book.choosing import (
    best_within,
    chosen_by_learning,
    front,
    gains,
    lead,
    oracle,
)
from semcom_utils.papers.book.comparison import FAMILIES, Table
from semcom_utils.papers.book.measures import UNITS

NAMES = ("caption", "boxes", "WebP 50", "DeepJSCC")


def made(answers, uses, groups=None, names=NAMES, **others) -> Table:
    """A table on which every question has the same answers, but for ``others``."""
    q, u = np.asarray(answers, float), np.asarray(uses, float)
    u = np.broadcast_to(u, q.shape).copy()
    groups = np.arange(len(q)) // 2 if groups is None else np.asarray(groups)
    every = {name: np.asarray(others.get(name, q), float) for name in UNITS}
    return Table(names[: q.shape[1]], u, np.ones(q.shape), every, groups)


def random_table(seed: int, binary: bool = False) -> Table:
    rng = np.random.default_rng(seed)
    q = rng.random((24, 4))
    return made(np.round(q) if binary else q, rng.integers(5, 200, (24, 4)), np.arange(24) // 4)


def test_front_of_known_points():
    assert front([10, 20, 15, 30], [0.5, 0.4, 0.6, 0.9]) == [0, 2, 3]
    assert front([10, 10, 10], [0.1, 0.3, 0.3]) == [1]  # of equal cost the best, of equals the first
    assert front([3, 2, 1], [0.5, 0.5, 0.5]) == [2]
    assert front([], []) == []


@pytest.mark.parametrize("seed", range(20))
def test_nothing_surpasses_the_front_and_it_surpasses_the_rest(seed):
    rng = np.random.default_rng(seed)
    uses, quality = rng.integers(1, 9, 12).astype(float), rng.integers(0, 5, 12) / 4
    kept = front(uses, quality)

    def surpassed(k):
        better = (uses <= uses[k]) & (quality >= quality[k]) & ((uses < uses[k]) | (quality > quality[k]))
        return better.any()

    assert not any(surpassed(k) for k in kept)
    points = {(uses[k], quality[k]) for k in kept}
    assert all(surpassed(k) or (uses[k], quality[k]) in points for k in range(12))


def test_the_best_keeps_the_budget_and_knows_its_rivals():
    one = made([[0.2, 0.5, 0.9, 0.91]] * 4 + [[0.2, 0.7, 0.9, 0.89]] * 4, [10, 20, 30, 40])
    assert best_within(one, "things", 5) is None
    assert best_within(one, "things", 25)[:2] == ("boxes", "prompt")
    best = best_within(one, "things", 100)
    assert best.name == "WebP 50" and best.family == FAMILIES["WebP 50"] and best.value == pytest.approx(0.9)
    assert best.rivals == ("DeepJSCC",)  # caption and boxes are clearly worse


@pytest.mark.parametrize("seed", range(10))
def test_a_lead_changes_its_sign_with_its_sides(seed):
    one = random_table(seed)
    there, back = (lead(one, "things", 120, *sides) for sides in ((["prompt"], ["file"]), (["file"], ["prompt"])))
    assert there["estimate"] == pytest.approx(-back["estimate"])
    assert (there["low"], there["high"]) == pytest.approx((-back["high"], -back["low"]))
    assert lead(one, "things", 120, ["file"], ["WebP 50"])["estimate"] == 0  # a family of one is that one


def test_being_chosen_is_no_advantage():
    """Twenty schemes of pure chance: the best of them leads a twenty-first where it is chosen, and nowhere else."""
    leads, chosen_there = [], []
    names = tuple(FAMILIES)[:21]
    for seed in range(30):
        q = np.random.default_rng(seed).random((24, 21))
        one = made(q, 10.0, np.arange(24), names)
        leads.append(lead(one, "things", 50, names[:20], names[20:])["estimate"])
        chosen_there.append(q[:, :20].mean(0).max() - q[:, 20].mean())
    assert abs(np.mean(leads)) < 0.05 < 0.08 < np.mean(chosen_there)


def test_a_side_with_nothing_within_the_budget_shows_nothing():
    one = made([[0.4, 0.5, 0.9, 0.9]] * 4, [10, 20, 300, 400])
    assert lead(one, "things", 50, ["prompt"], ["file", "learned code"])["estimate"] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="ours and theirs must be names"):
        lead(one, "things", 50, ["nobody"], ["file"])


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_the_oracle_keeps_the_budget_and_gives_no_less_than_the_fixed_scheme(seed, binary):
    """But for what one picture can gain, which one price of a channel use may leave on the table."""
    one = random_table(seed, binary)
    rows, answers = np.arange(len(one.uses)), one.answers["things"]
    for budget in (60, 90, 120, 150):
        choice = oracle(one, "things", budget)
        assert one.uses[rows, choice].sum() <= budget * len(rows) + 1e-9
        fixed = best_within(one, "things", budget)
        base = 0 if fixed is None else answers[:, one.column(fixed.name)].sum()
        assert answers[rows, choice].sum() >= base - np.ptp(answers, axis=1).max()
    assert answers[rows, oracle(one, "things", 1e9)].tolist() == answers.max(1).tolist()


def test_an_oracle_is_worth_what_schemes_differ_in():
    q = np.tile([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]], (10, 1))
    found = gains(made(q, 10.0), "things", 20, np.zeros((20, 1)))
    assert found["fixed_value"] == 0.5 and found["oracle_value"] == 1.0 and found["oracle"]["estimate"] == 0.5
    same = gains(made(np.tile([[1.0, 0.2, 0.1, 0.0]], (20, 1)), 10.0), "things", 20, np.zeros((20, 1)))
    assert same["oracle"]["estimate"] == same["learned"]["estimate"] == 0


def planted(seed: int) -> tuple[Table, np.ndarray]:
    """Two schemes, of which on each picture one is right; which, the first of two numbers tells."""
    rng = np.random.default_rng(seed)
    tells = rng.integers(0, 2, 80)
    q = np.stack([tells == 0, tells == 1], axis=1)
    return made(q, [10.0, 12.0], np.arange(80) // 4), np.stack([tells, rng.random(80)], axis=1)


@pytest.mark.parametrize("seed", range(5))
def test_the_learned_chooser_finds_a_planted_rule(seed):
    one, known = planted(seed)
    choice = chosen_by_learning(one, "things", 20, known)
    assert one.answers["things"][np.arange(80), choice].mean() == 1.0
    found = gains(one, "things", 20, known)
    assert found["learned"]["estimate"] == found["oracle"]["estimate"] > 0.3


def test_from_noise_nothing_is_gained():
    gained = []
    for seed in range(12):
        one, _ = planted(seed)
        noise = np.random.default_rng(100 + seed).random((80, 5))
        gained.append(gains(one, "things", 20, noise)["learned"]["estimate"])
    assert np.mean(gained) < 0.02


def test_nobody_is_judged_by_what_taught_him():
    """Each group has a rule of its own, which the other groups contradict: whoever peeked would be right."""
    q = np.array([[1.0, 0.0]] * 4 + [[0.0, 1.0]] * 4)
    one = made(q, 10.0, [0] * 4 + [1] * 4)
    known = np.array([[0.0]] * 4 + [[1.0]] * 4)
    choice = chosen_by_learning(one, "things", 20, known)
    assert one.answers["things"][np.arange(8), choice].mean() == 0.0


def test_a_chooser_pays_for_what_it_takes():
    """The dear scheme is always right; the budget has room for it where it is needed, and not on all pictures."""
    rng = np.random.default_rng(0)
    need = rng.integers(0, 2, 80)
    one = made(np.stack([need == 0, np.ones(80)], axis=1), [10.0, 110.0], np.arange(80) // 4)
    choice = chosen_by_learning(one, "things", 75, need[:, None])
    assert one.uses[np.arange(80), choice].mean() <= 75
    assert one.answers["things"][np.arange(80), choice].mean() == 1.0
    cheap = chosen_by_learning(one, "things", 10, need[:, None])
    assert set(cheap.tolist()) == {0}


def test_pictures_of_which_a_question_does_not_arise_are_left_out():
    same = np.full((8, 4), np.nan)
    same[::2] = [[0.9, 0.1, 0.0, 0.0], [0.8, 0.2, 0.0, 0.0], [0.7, 0.1, 0.0, 0.0], [0.9, 0.3, 0.0, 0.0]]
    one = made(np.tile([[0.1, 0.2, 0.3, 0.4]], (8, 1)), 10.0, same=same)
    assert one.with_subject.tolist() == [True, False] * 4
    assert len(one.asked("same").groups) == 4 and len(one.asked("things").groups) == 8
    assert one.mean("same").tolist() == pytest.approx([0.825, 0.175, 0.0, 0.0])
    assert best_within(one, "same", 20).name == "caption" and best_within(one, "things", 20).name == "DeepJSCC"
    assert gains(one, "same", 20, np.zeros((8, 1)))["fixed"] == "caption"
    few = one.only(np.arange(8) < 2)
    assert few.groups.tolist() == [0, 0] and few.names == one.names and few.uses.shape == (2, 4)
    with pytest.raises(ValueError, match="rows must be a truth value for each of 8 pictures"):
        one.only(np.arange(8))
    assert one.interval("same", "boxes")["n"] == 4
    with pytest.raises(ValueError, match="name must be one of 'caption'"):
        one.interval("same", "nobody")
