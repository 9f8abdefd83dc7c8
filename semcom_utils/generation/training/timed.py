"""A training loop for a GPU that is lent for minutes: the learning rate follows the clock, nothing waits for Python.

It does what :func:`.loop.train` does for recipes whose loss draws its batch on the device. In place of a number of
steps it may be given a number of minutes, and it writes weights and what it saw while it runs.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from semcom_utils.checks import positive_integer, real_number

from .loop import Model, Recipe

__all__ = ["cosine_rate", "restored", "train_timed"]

#: What a run tells of itself, beside weights and log.
REPORT = "report.json"


def cosine_rate(progress: float, step: int, peak: float, warm_up: int = 200) -> float:
    """Rise over ``warm_up`` steps; fall with the run's progress along half a cosine to a hundredth.

    Parameters
    ----------
    progress : float
        Share of the run that is done, in [0, 1].
    step : int
        From 0.
    peak : float
        The highest rate.
    warm_up : int
        Steps of the rise.

    Returns
    -------
    float
        At most ``peak``.
    """
    fall = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
    return peak * fall * min(1.0, (step + 1) / warm_up)


def train_timed(
    recipe: Recipe[Model],
    folder: Path,
    *,
    minutes: float = math.inf,
    steps: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    save_every: float = 60.0,
    initial: Callable[[], Model] | None = None,
    say: Callable[[str], None] = print,
) -> tuple[Model, dict]:
    """Run a recipe for a number of minutes, or of steps, whichever ends first.

    Batches follow from the seed, but how many fit into the time does not: only a run that ends by ``steps`` can be
    repeated to the bit.

    Parameters
    ----------
    recipe : Recipe
        What to train, and how. Its ``loss`` is called with the run's one generator.
    folder : pathlib.Path
        Where the averaged weights (by ``recipe.save``) and ``log.json`` are written, at the end and every
        ``save_every`` seconds, and ``report.json`` at the end; made if it is not there.
    minutes : float
        Of training, from the first step on; the rate falls towards their end.
    steps : int, optional
        At most so many; ``recipe.steps`` if there is no limit in minutes, otherwise none.
    seed : int
        Of weights and batches.
    device : str
        Where to compute.
    save_every : float
        Seconds.
    initial : callable, optional
        Makes the model to start from, in place of ``recipe.build``.
    say : callable
        Told a line now and then.

    Returns
    -------
    model : torch.nn.Module
        With the averaged weights, in evaluation mode, on ``device``.
    report : dict
        As :func:`.loop.train` gives it, and ``batch``, ``device``, ``torch`` and, if there was one, ``limit`` (in
        minutes); ``curve`` is some of the log's lines.

    Raises
    ------
    ValueError
        If ``minutes`` is no positive number, or ``steps`` no positive integer.
    """
    real_number("minutes", minutes, low=0.0, low_open=True, allow_inf=True)
    if steps is None:
        steps = recipe.steps if math.isinf(minutes) else 10**9
    positive_integer("steps", steps)
    place = torch.device(device)
    fast = place.type == "cuda"
    if fast:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(seed)
    model = (recipe.build if initial is None else initial)().to(place).train()
    average = copy.deepcopy(model).requires_grad_(False).eval()
    learned: list[torch.Tensor] = list(model.parameters())
    kept: list[torch.Tensor] = list(average.parameters())
    optimiser = torch.optim.AdamW(
        recipe.groups(model), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=fast
    )
    rng = np.random.default_rng([seed, 1])
    folder.mkdir(parents=True, exist_ok=True)
    waiting: list[torch.Tensor] = []
    lines: list[dict] = []

    def look(step: int) -> None:
        """Read the losses that wait on the device (the only place where the loop waits for it)."""
        seen, norms = torch.stack(waiting).float().cpu().unbind(1)
        waiting.clear()
        lines.append(
            {
                "step": step,
                "seconds": round(time.monotonic() - began, 1),
                "loss": float(seen.mean()),
                "gradient": float(norms.mean()),
                "rate": optimiser.param_groups[0]["lr"],
            }
        )

    def store(step: int) -> None:
        copied = copy.deepcopy(average).cpu()
        partial = folder / "partial"
        partial.mkdir(exist_ok=True)
        recipe.save(copied, partial)
        for path in sorted(partial.iterdir()):
            path.replace(folder / path.name)
        partial.rmdir()
        (folder / "log.json").write_text(json.dumps({"step": step, "lines": lines}, indent=1) + "\n", "utf-8")

    # The first batch loads kernels, which is no training; the clock starts behind it.
    recipe.loss(model, 0.0, rng, place).backward()
    optimiser.zero_grad(set_to_none=True)
    if fast:
        torch.cuda.synchronize()
    began = saved = time.monotonic()
    limit, step, progress = 60 * minutes, 0, 0.0
    while step < steps and progress < 1:
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(progress, step, recipe.rate) * group.get("scale", 1.0)
        loss = recipe.loss(model, progress, rng, place)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimiser.step()
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(kept, learned, 1 - min(recipe.ema_decay, step / (step + 10)))
        waiting.append(torch.stack([loss.detach(), norm.detach()]))
        if step % 100 == 0 or step == steps:
            look(step)
        elapsed = time.monotonic() - began
        progress = max(step / steps, elapsed / limit)
        if time.monotonic() - saved > save_every:
            if waiting:
                look(step)
            saved = time.monotonic()
            store(step)
            say(f"{recipe.role}: {json.dumps(lines[-1])}")
    if waiting:
        look(step)
    with torch.no_grad():
        for target, current in zip(average.buffers(), model.buffers(), strict=True):
            target.copy_(current)
    store(step)
    say(f"{recipe.role}: {json.dumps(lines[-1])}")
    report = {
        "steps": step,
        "minutes": round((time.monotonic() - began) / 60, 1),
        **({} if math.isinf(minutes) else {"limit": minutes}),
        "batch": getattr(recipe, "batch_size", None),
        "loss": lines[-1]["loss"],
        "seed": seed,
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "device": torch.cuda.get_device_name(place) if fast else device,
        "torch": str(torch.__version__),
        "curve": lines[:: max(1, len(lines) // 10)],
    }
    (folder / REPORT).write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return average, report


def restored(recipe: Recipe[Model], folder: Path) -> tuple[Model, dict]:
    """What :func:`train_timed` left in a folder, there or on another machine.

    Parameters
    ----------
    recipe : Recipe
        What was trained.
    folder : pathlib.Path
        Of the run.

    Returns
    -------
    model : torch.nn.Module
        With the weights as they were stored, in evaluation mode, on the CPU.
    report : dict
        As :func:`train_timed` gave it.

    Raises
    ------
    FileNotFoundError
        If no run ended there.
    """
    path = folder / REPORT
    if not path.is_file():
        raise FileNotFoundError(f"folder must hold the {REPORT} of a run that ended, {folder} holds none")
    return recipe.restore(folder).eval(), json.loads(path.read_text("utf-8"))
