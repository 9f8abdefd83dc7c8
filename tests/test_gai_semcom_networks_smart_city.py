"""Three sensors in one learned space: what they see, what is trained, and that the stored result follows."""

import numpy as np
import pytest
import torch

from semcom_utils.papers.gai_semcom_networks import smart_city as study
from semcom_utils.studies import load_result

SMALL = {"train": 256, "validation": 64, "test": 100}


@pytest.fixture(scope="module")
def city():
    return study.readings(300, np.random.default_rng(0))


def test_readings_have_their_shapes_and_follow_the_generator(city):
    assert {k: v.shape[1] for k, v in city.x.items()} == {"camera": 192, "radar": 64, "report": 40}
    assert all(len(v) == 300 for v in (*city.x.values(), *city.y.values()))
    for task, answers in study.TASKS.items():
        assert city.y[task].unique().tolist() == list(range(answers))
    again = study.readings(5, np.random.default_rng(0))
    assert all(torch.equal(again.x[k], city.x[k][:5]) for k in study.SENSORS)
    assert torch.equal(city[3:7].y["count"], city.y["count"][3:7])


def test_each_sensor_is_blind_in_its_own_way(city):
    """The radar's readings say how many things there are, and nothing of their colours."""
    covered = city.x["radar"].sum(1)
    means = [float(covered[city.y["count"] == n].mean()) for n in range(3)]
    assert means == sorted(means)
    warned = [covered[city.y["warning"].bool() & (city.y["count"] == 0)],
              covered[~city.y["warning"].bool() & (city.y["count"] == 0)]]  # fmt: skip
    spread = torch.cat(warned).std() * (1 / len(warned[0]) + 1 / len(warned[1])) ** 0.5
    assert abs(warned[0].mean() - warned[1].mean()) < 4 * spread


def test_half_of_the_words_are_forgotten(city):
    """A caption of one thing has at least five words, of three at most twenty-one."""
    assert 2.5 < float(city.x["report"].sum(1).mean()) < 10.5 and float(city.x["report"].min()) == 0


def test_embeddings_are_unit_vectors_of_one_space(city):
    encoders = study.make_encoders(city, torch.Generator().manual_seed(0))
    e = study.embed(encoders, city[:20].x)
    assert {v.shape for v in e.values()} == {(20, study.EMBEDDING)}
    for name in ("camera", "radar"):
        assert e[name].norm(dim=1).tolist() == pytest.approx([1] * 20, abs=1e-5)


def test_contrast_at_chance_and_at_its_best():
    """Without knowledge it is the log of the batch; if partners alone are alike it is near zero."""
    n = 16
    same = study.City({k: torch.zeros(n, study.EMBEDDING) for k in study.SENSORS}, {"count": torch.zeros(n)})
    identity = torch.nn.ModuleDict({k: torch.nn.Identity() for k in study.SENSORS})
    assert float(study.contrast(identity, same)) == pytest.approx(np.log(n), abs=1e-5)
    apart = study.City({k: torch.eye(n, study.EMBEDDING) for k in study.SENSORS}, same.y)
    assert float(study.contrast(identity, apart)) < 1e-3
    swapped = study.City(apart.x | {"radar": apart.x["radar"].roll(1, 0)}, same.y)
    assert float(study.contrast(identity, swapped)) > 5  # partners that do not fit cost more than chance
    assert study.recall(identity, apart) == {"camera": 1.0, "radar": 1.0}
    assert study.recall(identity, swapped)["radar"] == 0.0


def test_training_stops_and_keeps_the_best_weights():
    x = torch.randn(400, 1, generator=torch.Generator().manual_seed(0))
    data = study.City({"v": x}, {"count": (x[:, 0] > 0).long()})
    model = torch.nn.Linear(1, 2)

    def loss(part):
        return torch.nn.functional.cross_entropy(model(part.x["v"]), part.y["count"])

    before = loss(data[300:]).item()
    paid = study.train([model], loss, data[:300], data[300:], torch.Generator().manual_seed(1))
    assert study.PATIENCE < paid <= study.MOST_EPOCHS and loss(data[300:]).item() <= before
    useless = study.train([model], lambda part: 0 * loss(part), data[:300], data[300:], torch.Generator())
    assert useless == 1 + study.PATIENCE


def test_run_learns_more_than_its_control():
    shared, random = (study.city_run({"seed": 5, "kind": kind, "sizes": SMALL}) for kind in ("shared", "random"))
    assert set(shared) >= {"heads", "alone", "separate", "majority", "recall", "operations", "epochs"}
    assert random["epochs"] == 0 and random["operations"]["space"] == 0
    assert shared["operations"]["all"] == pytest.approx(sum(v for k, v in shared["operations"].items() if k != "all"))
    assert sum(shared["heads"].values()) > sum(random["heads"].values()) - 0.05
    assert shared["recall"]["camera"] >= random["recall"]["camera"]


@pytest.mark.parametrize("n", [0, -3, 2.5, True])
def test_bad_number_of_places(n):
    with pytest.raises(ValueError, match="n must be"):
        study.readings(n, np.random.default_rng(0))


# --- the stored result -----------------------------------------------------------------------------------------------
def test_controls_of_the_stored_study_fail():
    summary = load_result("gai_semcom_networks/smart_city")["summary"]
    for kind in ("random", "shuffled"):
        assert summary[kind]["lowest_ratio"]["low"] < 0.95
        assert summary[kind]["recall"]["camera"]["high"] < 0.02


def test_operations_follow_from_epochs_and_sizes():
    """Six operations a parameter and sample; the stored counts are those of the networks as they are."""
    record = load_result("gai_semcom_networks/smart_city")["records"][0]
    generator = torch.Generator().manual_seed(0)
    encoders = study.make_encoders(study.readings(1, np.random.default_rng(0)), generator)
    weights = sum(p.numel() for p in encoders.parameters())
    table = 6 * 3 * study.BATCH * study.EMBEDDING
    expected = record["epochs"] * study.SIZES["train"] * (6 * weights + table)
    assert record["operations"]["space"] == pytest.approx(expected)
