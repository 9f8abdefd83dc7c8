"""One training loop for every mini checkpoint: resumable after a kill, with an average of the weights."""

from __future__ import annotations

import copy
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sized
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from tqdm.auto import tqdm

from semcom_utils.checks import checked, positive_integer, real_number
from semcom_utils.paths import MODELS

__all__ = ["Recipe", "forget_origin", "learning_rate", "train"]

_ORIGINS = ("_name_or_path", "name_or_path")
#: What a recipe trains.
Model = TypeVar("Model", bound=torch.nn.Module)


class Recipe(ABC, Generic[Model]):
    """How one role is trained; a subclass says what the model, a batch and its loss are, and what is measured.

    Methods that a subclass overrides mean there what they mean here.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (``reads`` in :data:`~semcom_utils.generation.roles.ROLES`).

    Attributes
    ----------
    role : str
        Name of the checkpoint's folder, without ``mini-``.
    scenes : collections.abc.Sized, or dict of str to collections.abc.Sized
        What is learned from, :class:`.data.Scenes` as a rule; by split if it is more than one, or no split.
    steps : int
        Steps of a whole run.
    rate : float
        Highest learning rate.
    weight_decay : float
        Of AdamW.
    ema_decay : float
        Decay of the exponential moving average of the weights in a long run; it starts lower.
    targets : dict
        Held-out figure -> (least value, greatest value) that the checkpoint should reach.
    watch_every : int or None
        Steps between two looks at the averaged weights by :meth:`watch`; None for none.
    by_clock : bool
        Whether the command line trains by :func:`.timed.train_timed`, whose learning rate follows the time, in place of
        :func:`train`.
    about, limits : str
        For the card: what the checkpoint is, and what it does not do.
    stands_on : str
        For the card: the other checkpoints' weights that it stands on; empty if it starts from random ones.
    data : str
        For the card: what is learned from, if it is no split.
    counted : str
        For the card: whose parameters are counted.
    added_to : str
        For the card: the checkpoint that :func:`~semcom_utils.generation.loading.load` adds the folder's weights to, if
        it holds only what was trained.
    options : str
        For the card: further arguments in the example of how it is loaded.
    precision : str
        For the card: how the weights are stored.
    made, samples : str
        For the card: how the judged pictures are made, and what :meth:`pictures` shows; empty if there are none.
    meanings : dict
        For the card: held-out figure -> what it is. A name that ends in a split is looked up without it.
    """

    role: str
    scenes: Sized | Mapping[str, Sized]
    steps: int
    rate: float = 1e-3
    weight_decay: float = 1e-4
    ema_decay: float = 0.999
    targets: dict[str, tuple[float, float]] = {}
    watch_every: int | None = None
    by_clock: bool = False
    about: str
    limits: str
    stands_on = data = added_to = options = made = samples = ""
    counted, precision = "It", "float16"
    meanings: dict[str, str] = {}

    def __init__(self, scratch: Path | None = None, scenes: int = 60_000, models: Path = MODELS) -> None:  # noqa: B027
        """Draw the scenes to learn from, and read the checkpoints of ``models`` that the recipe stands on."""

    @abstractmethod
    def build(self) -> Model:
        """Make the model, its weights drawn from torch's current generator (the trainer seeds it).

        Returns
        -------
        torch.nn.Module
            On the CPU.
        """

    @abstractmethod
    def loss(self, model: Model, progress: float, rng: np.random.Generator, device: torch.device) -> torch.Tensor:
        """Loss of one batch.

        Parameters
        ----------
        model : torch.nn.Module
            In training mode, on ``device``.
        progress : float
            Share of the run that is done, in [0, 1).
        rng : numpy.random.Generator
            Draws the batch; what PyTorch draws comes from its global generator, which the trainer seeds for every step.
        device : torch.device
            Where the model computes.

        Returns
        -------
        torch.Tensor
            A number, with its graph.
        """

    @abstractmethod
    def evaluate(self, model: Model, device: torch.device) -> dict[str, float]:
        """Measure the model on scenes that it did not learn from.

        Parameters
        ----------
        model : torch.nn.Module
            In evaluation mode, on ``device``.
        device : torch.device
            Where the model computes.

        Returns
        -------
        dict of str to float
            Held-out figures; what they are says ``meanings``.
        """

    @abstractmethod
    def save(self, model: Model, folder: Path) -> None:
        """Write the model in its public format, float16, safetensors.

        Parameters
        ----------
        model : torch.nn.Module
            On the CPU; its precision may be lowered in place.
        folder : pathlib.Path
            Exists.
        """

    @abstractmethod
    def restore(self, folder: Path) -> Model:
        """Read what :meth:`save` wrote, as float32.

        Parameters
        ----------
        folder : pathlib.Path
            Of the checkpoint.

        Returns
        -------
        torch.nn.Module
            On the CPU.
        """

    def groups(self, model: Model) -> list[dict]:
        """Parameter groups of the optimiser.

        Parameters
        ----------
        model : torch.nn.Module
            On the device where it is trained.

        Returns
        -------
        list of dict
            ``params``, and in some ``scale``, which multiplies the learning rate (1 if it is not there).
        """
        return [{"params": list(model.parameters())}]

    def watch(self, model: Model, device: torch.device) -> dict[str, float]:
        """Measure a few figures quickly, for the curve of a training; ``watch_every`` says how often.

        Parameters
        ----------
        model : torch.nn.Module
            The averaged weights so far, in evaluation mode, on ``device``.
        device : torch.device
            Where the model computes.

        Returns
        -------
        dict of str to float
            What ``figures.json`` keeps beside the step.
        """
        return {}

    def pictures(self, model: Model, device: torch.device) -> np.ndarray | None:  # noqa: B027
        """Pictures to look at, for the card.

        Parameters
        ----------
        model : torch.nn.Module
            In evaluation mode, on ``device``.
        device : torch.device
            Where the model computes.

        Returns
        -------
        numpy.ndarray or None
            Float ``[rows, columns, 3, height, width]`` in [0, 1]; None if the role makes none.
        """


@checked
def forget_origin(folder: Path) -> None:
    """Take out of a checkpoint's configurations from where on this machine the weights that it began with were read.

    The libraries write that down as ``_name_or_path``; it tells a reader nothing, and a stranger too much.

    Parameters
    ----------
    folder : pathlib.Path
        Of the checkpoint; the folders in it are searched, too.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    for path in sorted(folder.rglob("*.json")):
        settings = json.loads(path.read_text("utf-8"))
        if isinstance(settings, dict) and settings.keys() & set(_ORIGINS):
            kept = {name: value for name, value in settings.items() if name not in _ORIGINS}
            path.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")


@checked
def learning_rate(step: int, steps: int, peak: float, warm_up: int = 100, decay: float = 0.3) -> float:
    """Rise over ``warm_up`` steps, hold, and fall to a fiftieth along a line over the last ``decay`` of the run.

    Parameters
    ----------
    step, steps : int
        Where the run is, from 0, and its length.
    peak : float
        The highest rate.
    warm_up : int
        Steps of the rise.
    decay : float
        Share of the run, in (0, 1], over which the rate falls.

    Returns
    -------
    float
        At most ``peak``.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    left = (steps - step) / max(decay * steps, 1)
    return peak * min(1.0, (step + 1) / warm_up, max(left, 0.02))


@checked
def train(
    recipe: Recipe,
    state_file: Path,
    *,
    steps: int | None = None,
    minutes: float = math.inf,
    seed: int = 0,
    device: str = "cpu",
    save_every: float = 60.0,
    initial: Callable[[], torch.nn.Module] | None = None,
) -> tuple[torch.nn.Module, dict]:
    """Run a recipe, or go on where it stopped.

    Parameters
    ----------
    recipe : Recipe
        What to train, and how.
    state_file : pathlib.Path
        Weights, their average, the optimiser and the step; written every ``save_every`` seconds, whole or not at all.
    steps : int, optional
        Length of the whole run, earlier parts counted in; ``recipe.steps`` by default.
    minutes : float
        Plan the run so that this call ends within so many minutes: after 20 steps the number of steps is cut to what
        fits, and the learning rate falls towards that end.
    seed : int
        Of weights and batches.
    device : str
        Where to compute.
    save_every : float
        Seconds.
    initial : callable, optional
        Makes the model to start from, in place of ``recipe.build``.

    Returns
    -------
    model : torch.nn.Module
        With the averaged weights, in evaluation mode.
    report : dict
        ``steps``, ``minutes`` (all parts together), ``loss`` (mean of the last 100), ``seed``, ``threads``,
        ``parameters`` (how many numbers are learned) and, of a recipe that watches, ``curve``: for each
        look the step and what was seen.

    Raises
    ------
    ValueError
        If ``steps`` is no positive integer or ``minutes`` no positive number.
    """
    steps = positive_integer("steps", recipe.steps if steps is None else steps)
    real_number("minutes", minutes, low=0.0, low_open=True, allow_inf=True)
    place = torch.device(device)
    torch.manual_seed(seed)
    model = (recipe.build if initial is None else initial)().to(place).train()
    if place.type == "cpu":
        # torch's types of Module.to leave this argument out
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(model).requires_grad_(False)
    optimiser = torch.optim.AdamW(
        recipe.groups(model), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay
    )
    done, spent, losses, curve = 0, 0.0, [], []
    if state_file.exists():
        state = torch.load(state_file, map_location=place, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        done, spent, losses = state["step"], state["minutes"], state["losses"]
        curve = state.get("curve", [])
    began, saved, planned = time.monotonic(), time.monotonic(), steps

    def store(step: int) -> None:
        state_file.parent.mkdir(parents=True, exist_ok=True)
        partial = state_file.with_suffix(".partial")
        torch.save(
            {
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
                "minutes": spent + (time.monotonic() - began) / 60,
                "losses": losses[-100:],
                "curve": curve,
            },
            partial,
        )
        partial.replace(state_file)

    def look(step: int) -> None:
        average.eval()
        curve.append({"step": step, **recipe.watch(average, place)})

    bar = tqdm(total=planned, initial=done, desc=recipe.role, mininterval=5)
    if recipe.watch_every and not curve:
        look(done)
    step, timed = done, began
    while step < planned:
        if step == done + 5:
            timed = time.monotonic()
        if step == done + 25 and math.isfinite(minutes):
            pace = (time.monotonic() - timed) / 20
            planned = min(steps, step + int((60 * minutes - (time.monotonic() - began)) / pace))
            bar.total = planned
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, planned, recipe.rate) * group.get("scale", 1.0)
        # A batch is a function of the seed and the step: a run that was killed and resumed sees the same ones.
        torch.manual_seed(int(np.random.SeedSequence([seed, step]).generate_state(1)[0]))
        loss = recipe.loss(model, step / planned, np.random.default_rng([seed, step]), place)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        decay = min(recipe.ema_decay, step / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
            for kept, current in zip(average.buffers(), model.buffers(), strict=True):
                kept.copy_(current)
        losses.append(loss.item())
        bar.update()
        bar.set_postfix(loss=f"{np.mean(losses[-100:]):.4f}", refresh=False)
        if recipe.watch_every and (step % recipe.watch_every == 0 or step == planned):
            look(step)
        if time.monotonic() - saved > save_every:
            store(step)
            saved = time.monotonic()
    bar.close()
    if step > done:
        store(step)
    average.eval()
    return average, {
        "steps": step,
        "minutes": round(spent + (time.monotonic() - began) / 60, 1),
        "loss": float(np.mean(losses[-100:])),
        "seed": seed,
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        **({"curve": curve} if curve else {}),
    }
