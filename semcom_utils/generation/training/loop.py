"""One training loop for every mini checkpoint: resumable after a kill, with an average of the weights."""

from __future__ import annotations

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from semcom_utils.checks import positive_integer, real_number

__all__ = ["Recipe", "learning_rate", "train"]


class Recipe(ABC):
    """How one role is trained; a subclass says what the model is, what a batch is, and what its loss is.

    Attributes
    ----------
    role : str
        Name of the checkpoint's folder, without ``mini-``.
    steps : int
        Steps of a whole run.
    rate : float
        Highest learning rate.
    ema_decay : float
        Decay of the exponential moving average of the weights in a long run; it starts lower.
    targets : dict
        Held-out figure -> (least value, greatest value) that the checkpoint should reach.
    """

    role: str
    steps: int
    rate: float = 1e-3
    weight_decay: float = 1e-4
    ema_decay: float = 0.999
    targets: dict[str, tuple[float, float]] = {}

    @abstractmethod
    def build(self) -> torch.nn.Module:
        """Make the model, its weights drawn from torch's current generator."""

    @abstractmethod
    def loss(
        self, model: torch.nn.Module, progress: float, rng: np.random.Generator, device: torch.device
    ) -> torch.Tensor:
        """Loss of one batch, drawn with ``rng``; ``progress`` is the share of the run that is done, in [0, 1)."""

    @abstractmethod
    def evaluate(self, model: torch.nn.Module, device: torch.device) -> dict[str, float]:
        """Held-out figures."""

    @abstractmethod
    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Write the model in its public format."""

    @abstractmethod
    def restore(self, folder: Path) -> torch.nn.Module:
        """Read what :meth:`save` wrote, as float32."""

    def pictures(self, model: torch.nn.Module, device: torch.device) -> np.ndarray | None:  # noqa: B027
        """Pictures to look at, float [rows, columns, 3, height, width] in [0, 1]; None if the role makes none."""


def learning_rate(step: int, steps: int, peak: float, warm_up: int = 100, decay: float = 0.3) -> float:
    """Rise over ``warm_up`` steps, hold, and fall to a fiftieth along a line over the last ``decay`` of the run."""
    left = (steps - step) / max(decay * steps, 1)
    return peak * min(1.0, (step + 1) / warm_up, max(left, 0.02))


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
    state_file : pathlib.Path
        Weights, their average, the optimiser and the step; written every ``save_every`` seconds, whole or not at all.
    steps : int, optional
        Length of the whole run, earlier parts counted in; ``recipe.steps`` by default.
    minutes : float
        Plan the run so that this call ends within so many minutes: after 20 steps the number of steps is cut to what
        fits, and the learning rate falls towards that end.
    seed : int
    device : str
    save_every : float
        Seconds.
    initial : callable, optional
        Makes the model to start from, in place of ``recipe.build``.

    Returns
    -------
    model : torch.nn.Module
        With the averaged weights, in evaluation mode.
    report : dict
        ``steps``, ``minutes`` (all parts together), ``loss`` (mean of the last 100), ``seed``, ``threads``, and
        ``parameters`` (those that were trained).
    """
    steps = positive_integer("steps", recipe.steps if steps is None else steps)
    real_number("minutes", minutes, low=0.0, low_open=True, allow_inf=True)
    place = torch.device(device)
    torch.manual_seed(seed)
    model = (recipe.build if initial is None else initial)().to(place).train()
    if place.type == "cpu":
        model = model.to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).requires_grad_(False)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay
    )
    done, spent, losses = 0, 0.0, []
    if state_file.exists():
        state = torch.load(state_file, map_location=place, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        done, spent, losses = state["step"], state["minutes"], state["losses"]
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
            },
            partial,
        )
        partial.replace(state_file)

    bar = tqdm(total=planned, initial=done, desc=recipe.role, mininterval=5)
    step, timed = done, None
    while step < planned:
        if step == done + 5:
            timed = time.monotonic()
        if step == done + 25 and math.isfinite(minutes):
            pace = (time.monotonic() - timed) / 20
            planned = min(steps, step + int((60 * minutes - (time.monotonic() - began)) / pace))
            bar.total = planned
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, planned, recipe.rate)
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
    }
