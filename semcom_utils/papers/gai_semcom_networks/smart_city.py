"""Smart city (VII-B of the survey): three sensors in one learned space, and what three tasks make of it.

A place of the city is a scene of the toy world. Three sensors see it, each with its own blindness: a camera at night
sees colours and shapes through noise, a radar sees where things are and nothing else, a witness names things and
forgets words. The chapter ``notebooks/13d_resource_allocation`` explains what is measured and why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize

from semcom_utils import toyworld
from semcom_utils.checks import checked, positive_integer, real_number, shown
from semcom_utils.generation.families import mlp
from semcom_utils.statistics import iqm_interval, lowest
from semcom_utils.studies import Study

__all__ = [
    "SENSORS",
    "STUDIES",
    "TASKS",
    "City",
    "city_run",
    "contrast",
    "embed",
    "make_encoders",
    "readings",
    "recall",
    "train",
]

SENSORS = ("camera", "radar", "report")
#: Task -> number of answers. How many things are there? Does anything move by itself? Is anything red or orange?
TASKS = {"count": 3, "alive": 2, "warning": 2}
EMBEDDING, HIDDEN, HEAD, BATCH, RATE, PATIENCE, MOST_EPOCHS = 32, 128, 32, 128, 1e-3, 5, 100
SIZES = {"train": 4000, "validation": 1000, "test": 2000}
SEEDS = range(100, 110)  # tried out on seeds 0 to 2


@dataclass(frozen=True)
class City:
    """What three sensors read at places of a city, and the right answers.

    Attributes
    ----------
    x : dict of str to torch.Tensor
        Sensor -> readings, ``[n, numbers]``.
    y : dict of str to torch.Tensor
        Task -> right answer, int ``[n]``.
    """

    x: dict[str, torch.Tensor]
    y: dict[str, torch.Tensor]

    def __getitem__(self, rows: slice | torch.Tensor) -> City:
        """Some of the places (a slice or indices)."""
        return City({k: v[rows] for k, v in self.x.items()}, {k: v[rows] for k, v in self.y.items()})


def _pooled(image: np.ndarray) -> np.ndarray:
    """Mean over blocks of 8 x 8 pixels, flat."""
    return image.reshape(*image.shape[:-2], 8, 8, 8, 8).mean((-3, -1)).ravel()


@checked
def readings(n: int, rng: np.random.Generator) -> City:
    """Draw places and let the sensors look at them.

    Parameters
    ----------
    n : int
        Number of places.
    rng : numpy.random.Generator
        Draws places, noise and words.

    Returns
    -------
    City
        ``camera``: the picture's means over blocks, with noise of standard deviation 0.2, 192 numbers. ``radar``: the
        share of each block that things cover, with noise of 0.2, 64 numbers. ``report``: how often each word is said,
        half of the words forgotten, one number a word of the vocabulary. All about zero mean.

    Raises
    ------
    ValueError
        If ``n`` is no positive integer, or ``rng`` no generator.
    """
    words = {word: i for i, word in enumerate(toyworld.VOCABULARY)}
    x: dict[str, list] = {name: [] for name in SENSORS}
    y: dict[str, list] = {name: [] for name in TASKS}
    for _ in range(positive_integer("n", n)):
        description = toyworld.random_description(rng, split=None)
        scene = toyworld.render(description)
        picture, covered = _pooled(scene.image), _pooled((scene.instances > 0).astype(float))
        x["camera"].append(picture - 0.5 + 0.2 * rng.normal(size=picture.shape))
        x["radar"].append(covered + 0.2 * rng.normal(size=covered.shape))
        said = [words[word] for word in toyworld.paraphrase(description, rng).replace(",", " ,").split()]
        heard = [word for word in said if rng.random() < 0.5]
        x["report"].append(np.bincount(heard, minlength=len(words)).astype(float))
        things = description.things
        y["count"].append(len(things) - 1)
        y["alive"].append(any(thing.kind in ("dog", "robot") for thing in things))
        y["warning"].append(any(thing.colour in ("red", "orange") for thing in things))
    return City(
        {k: torch.tensor(np.array(v), dtype=torch.float32) for k, v in x.items()},
        {k: torch.tensor(np.array(v), dtype=torch.long) for k, v in y.items()},
    )


@checked
def make_encoders(city: City, generator: torch.Generator) -> torch.nn.ModuleDict:
    """One untrained network a sensor, from its readings to 32 numbers.

    Parameters
    ----------
    city : City
        Readings and answers.
    generator : torch.Generator
        Draws the weights.

    Returns
    -------
    torch.nn.ModuleDict
        Sensor -> network.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    return torch.nn.ModuleDict({k: mlp(v.shape[1], EMBEDDING, HIDDEN, generator) for k, v in city.x.items()})


@checked
def embed(encoders: torch.nn.ModuleDict, x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Every sensor's readings as vectors in the one space.

    Parameters
    ----------
    encoders : torch.nn.ModuleDict
        As of :func:`make_encoders`.
    x : dict of str to torch.Tensor
        Sensor -> readings, ``[n, numbers]``.

    Returns
    -------
    dict of str to torch.Tensor
        Sensor -> vectors of unit length, ``[n, 32]``.

    Raises
    ------
    ValueError
        If ``encoders`` has no networks, or ``x`` lacks the readings of one, or has others.
    """
    if not len(encoders):
        raise ValueError("encoders must hold a network at least, got none")
    for name, network in encoders.items():
        first = next((layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)), None)
        numbers = "numbers" if first is None else first.in_features
        rows = x.get(name)
        fits = isinstance(rows, torch.Tensor) and rows.ndim == 2 and rows.is_floating_point()
        if rows is None or not fits or (first is not None and rows.shape[1] != numbers):
            raise ValueError(f"x must hold floating-point [n, {numbers}] for the {name}, got {shown(rows)}")
    return _embed(encoders, x)


def _embed(encoders: torch.nn.ModuleDict, x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: normalize(encoders[name](x[name]), dim=1) for name in encoders}


@checked
def contrast(encoders: torch.nn.ModuleDict, city: City, temperature: float = 0.1) -> torch.Tensor:
    """InfoNCE over the three pairs of sensors: readings of one place belong together, of two places do not.

    The loss of van den Oord et al. (2018), both ways for each pair, as CLIP and ImageBind have it.

    Parameters
    ----------
    encoders : torch.nn.ModuleDict
        As of :func:`make_encoders`.
    city : City
        Readings and answers.
    temperature : float
        Divides the cosines, above 0.

    Returns
    -------
    torch.Tensor
        A number, in nats.

    Raises
    ------
    ValueError
        If ``temperature`` is not above 0, or ``encoders`` are not two sensors at least.
    """
    real_number("temperature", temperature, low=0, low_open=True)
    if len(encoders) < 2:
        raise ValueError(f"encoders must be those of two sensors at least, got {len(encoders)}")
    e = list(_embed(encoders, city.x).values())
    target = torch.arange(len(e[0]))
    pairs = [(e[i] @ e[j].T) / temperature for i in range(len(e)) for j in range(i)]
    both = (cross_entropy(s, target) + cross_entropy(s.T, target) for s in pairs)
    return sum(both, torch.zeros(())) / (2 * len(pairs))


def _parameters(*modules) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@checked
def train(
    modules: Sequence[torch.nn.Module],
    loss: Callable[[City], torch.Tensor],
    data: City,
    validation: City,
    generator: torch.Generator,
) -> int:
    """Adam until the loss on the validation set has not fallen for five epochs; the best epoch's weights are kept.

    Parameters
    ----------
    modules : sequence of torch.nn.Module
        What learns, in place.
    loss : callable
        ``loss(city)``, a number.
    data, validation : City
        To learn from, and to stop by.
    generator : torch.Generator
        Shuffles.

    Returns
    -------
    int
        Passes of the training set that were paid for: epochs, the last five included.

    Raises
    ------
    ValueError
        If the loss on the validation set is never a finite number, or an argument is not what it should be.
    """
    weights = [p for module in modules for p in module.parameters()]
    if not weights or len({id(p) for p in weights}) < len(weights):
        raise ValueError("modules must hold parameters, each of them once, got none, or one twice")
    for name, part in (("data", data), ("validation", validation)):
        if not part.y or not len(next(iter(part.y.values()))):
            raise ValueError(f"{name} must hold a place at least, got none")
    optimiser = torch.optim.Adam(weights, RATE)
    n, best, since, paid = len(next(iter(data.y.values()))), np.inf, 0, 0
    kept: list[torch.Tensor] = []
    while paid < MOST_EPOCHS and since < PATIENCE:
        paid += 1
        for rows in torch.randperm(n, generator=generator).split(BATCH):
            optimiser.zero_grad()
            loss(data[rows]).backward()
            optimiser.step()
        with torch.no_grad():
            size = len(next(iter(validation.y.values())))
            value = float(np.mean([float(loss(validation[rows])) for rows in torch.arange(size).split(BATCH)]))
        if value < best:
            best, kept, since = value, [p.detach().clone() for p in weights], 0
        else:
            since += 1
    if not kept:
        raise ValueError("loss must be a finite number on the validation set, got none in any epoch")
    with torch.no_grad():
        for p, was in zip(weights, kept, strict=True):
            p.copy_(was)
    return paid


def _fused(encoders, x, sensors=SENSORS) -> torch.Tensor:
    """The sum of the sensors' vectors: fusion without a parameter of its own."""
    e = _embed(encoders, x)
    return sum((e[name] for name in sensors), torch.zeros(()))


def _accuracy(head, vectors, answers) -> float:
    return float((head(vectors).argmax(1) == answers).float().mean())


def _heads(encoders, sets, generator, sensors=SENSORS) -> tuple[dict[str, float], dict[str, float]]:
    """Train a head for each task on vectors that stay as they are; accuracies on the test set, and operations paid.

    Six operations a parameter and sample for a training step (two forward, four back), two for using a network.
    """
    with torch.no_grad():
        vectors = [_fused(encoders, part.x, sensors) for part in sets]
    frozen = [City({"v": v}, part.y) for v, part in zip(vectors, sets, strict=True)]
    accuracy, operations = {}, {}
    for task, answers in TASKS.items():
        head = mlp(EMBEDDING, answers, HEAD, generator)
        paid = train([head], lambda c: cross_entropy(head(c.x["v"]), c.y[task]), frozen[0], frozen[1], generator)  # noqa: B023
        accuracy[task] = _accuracy(head, vectors[2], sets[2].y[task])
        operations[task] = 6.0 * _parameters(head) * len(vectors[0]) * paid
    operations["vectors"] = 2.0 * sum(_parameters(encoders[name]) for name in sensors) * len(vectors[0])
    return accuracy, operations


@checked
def recall(encoders: torch.nn.ModuleDict, city: City, candidates: int = 100) -> dict[str, float]:
    """How often, among so many reports, the one nearest to a camera's (a radar's) vector is that of the same place.

    Parameters
    ----------
    encoders : torch.nn.ModuleDict
        As of :func:`make_encoders`.
    city : City
        Readings and answers.
    candidates : int
        Reports among which one is right; divides the number of places.

    Returns
    -------
    dict of str to float
        ``camera`` and ``radar``, in [0, 1].

    Raises
    ------
    ValueError
        If ``candidates`` is no positive number, or ``encoders`` lacks a sensor.
    """
    positive_integer("candidates", candidates)
    if not set(SENSORS) <= set(encoders):
        raise ValueError(f"encoders must be those of {', '.join(SENSORS)}, got {', '.join(encoders)}")
    with torch.no_grad():
        e = embed(encoders, city.x)
    out = {}
    for name in ("camera", "radar"):
        hits = [
            (a @ b.T).argmax(1) == torch.arange(len(a))
            for a, b in zip(e[name].split(candidates), e["report"].split(candidates), strict=True)
        ]
        out[name] = float(torch.cat(hits).float().mean())
    return out


def city_run(task: dict, *, progress: bool = False) -> dict:
    """One space for three tasks against three separate systems, on the same places.

    A separate system has the encoders of the shared space and one head, trained together from the task's answers. The
    shared space is trained from pairs alone, without any answer; then each task trains its head.

    Parameters
    ----------
    task : dict
        ``seed``; ``kind``: ``"shared"`` (everything), ``"shuffled"`` (the sensors' readings are paired at random while
        the space is learnt) or ``"random"`` (the space is not learnt). ``sizes`` instead of ``SIZES``, optionally.
    progress : bool
        Whether to show a bar of what is trained.

    Returns
    -------
    dict
        Accuracies of the ``heads`` on the fused vectors and their ``operations``; for ``"shared"`` also those of each
        sensor ``alone``, of the ``separate`` systems, and the ``majority`` answer's.
    """
    from tqdm.auto import tqdm

    torch.set_num_threads(1)
    rng, generator = np.random.default_rng(task["seed"]), torch.Generator().manual_seed(task["seed"])
    sizes = task.get("sizes") or SIZES
    stages = 2 + (len(SENSORS) + len(TASKS) if task["kind"] == "shared" else 0)
    bar = tqdm(total=stages, desc=f"city, {task['kind']}", **({} if progress else {"disable": True}))
    sets = [readings(n, rng) for n in sizes.values()]
    encoders, paid = make_encoders(sets[0], generator), 0
    if task["kind"] != "random":
        paired = sets[:2]
        if task["kind"] == "shuffled":
            paired = [
                City({k: v[torch.randperm(len(v), generator=generator)] for k, v in part.x.items()}, part.y)
                for part in paired
            ]
        paid = train([encoders], lambda c: contrast(encoders, c), paired[0], paired[1], generator)
    bar.update()
    # the table of likenesses costs a product of vectors for each pair of a batch, three pairs of sensors
    table = 6.0 * 3 * BATCH * EMBEDDING
    learning = paid * len(sets[0].y["count"]) * (6.0 * _parameters(encoders) + table)
    heads, operations = _heads(encoders, sets, generator)
    bar.update()
    record = {
        "epochs": paid,
        "heads": heads,
        "recall": recall(encoders, sets[2]),
        "operations": {"space": learning, **operations, "all": learning + sum(operations.values())},
    }
    if task["kind"] != "shared":
        bar.close()
        return record
    alone, separate, cost = {}, {}, {}
    for name in SENSORS:
        alone[name] = _heads(encoders, sets, generator, (name,))[0]
        bar.update()
    for name, answers in TASKS.items():
        own, head = make_encoders(sets[0], generator), mlp(EMBEDDING, answers, HEAD, generator)
        epochs = train(
            [own, head],
            lambda c: cross_entropy(head(_fused(own, c.x)), c.y[name]),  # noqa: B023
            sets[0],
            sets[1],
            generator,
        )
        with torch.no_grad():
            separate[name] = _accuracy(head, _fused(own, sets[2].x), sets[2].y[name])
        cost[name] = 6.0 * _parameters(own, head) * len(sets[0].y[name]) * epochs
        bar.update()
    bar.close()
    majority = {name: float((sets[2].y[name] == sets[0].y[name].mode()[0]).float().mean()) for name in TASKS}
    return record | {"alone": alone, "separate": separate, "separate_operations": cost, "majority": majority}


def _summary(records: list[dict]) -> dict:
    of = {kind: [r for r in records if r["task"]["kind"] == kind] for kind in ("shared", "shuffled", "random")}
    shared = of["shared"]
    out: dict[str, dict[str, Any]] = {
        name: {t: iqm_interval([r[name][t] for r in shared]) for t in TASKS} for name in ("separate", "majority")
    }
    out["alone"] = {s: {t: iqm_interval([r["alone"][s][t] for r in shared]) for t in TASKS} for s in SENSORS}
    best = {t: max(SENSORS, key=lambda s: out["alone"][s][t]["estimate"]) for t in TASKS}
    for kind, chosen in of.items():
        out[kind] = {t: iqm_interval([r["heads"][t] for r in chosen]) for t in TASKS}
        # paired by the seed: the same places
        ratios = {
            t: iqm_interval([r["heads"][t] / s["separate"][t] for r, s in zip(chosen, shared, strict=True)])
            for t in TASKS
        }
        gains = {
            t: iqm_interval([r["heads"][t] - s["alone"][best[t]][t] for r, s in zip(chosen, shared, strict=True)])
            for t in TASKS
        }
        out[kind] |= {
            "ratio": ratios,
            "lowest_ratio": lowest(ratios.values()),
            "gain": gains,
            "lowest_gain": lowest(gains.values()),
            "recall": {s: iqm_interval([r["recall"][s] for r in chosen]) for s in ("camera", "radar")},
        }
    space = [r["operations"]["space"] + r["operations"]["vectors"] for r in shared]
    head = [np.mean([r["operations"][t] for t in TASKS]) for r in shared]
    system = [np.mean([r["separate_operations"][t] for t in TASKS]) for r in shared]
    share = [r["operations"]["all"] / sum(r["separate_operations"].values()) for r in shared]
    even = [s / (one - h) for s, h, one in zip(space, head, system, strict=True)]
    return out | {
        "best_sensor": best,
        "share_of_operations": iqm_interval(share),
        "tasks_to_break_even": iqm_interval(even),
        "epochs": iqm_interval([r["epochs"] for r in shared]),
    }


STUDIES = {
    "smart_city": Study(
        lambda: [{"seed": s, "kind": k} for k in ("shared", "shuffled", "random") for s in SEEDS],
        city_run,
        _summary,
        small={"+sizes": {"train": 20, "validation": 20, "test": 20}},
    ),
}
