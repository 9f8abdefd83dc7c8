"""Latency (Wang et al., 2024, sections IV and V-C): the time of each stage, and what fewer sampling steps save.

What a picture takes from source to destination is extraction, the prompt's way over the link, and generation. The
first and the last are computed, on one core and for one picture at a time; the way in between is channel uses over
bandwidth, a complex use per second and hertz. Sent as a file, the picture takes longer on the air and next to nothing
to compute. So there is a bandwidth above which the file is faster.

Few-step sampling is the cheapest of the ways to save time that the paper names ("model optimisation"): the same
network, asked less often.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, one_of, positive_integer, real_number
from semcom_utils.semantic.codecs import decoded, jpeg
from semcom_utils.statistics import share_interval, student_interval
from semcom_utils.studies import Study

from .channel import JPEG_QUALITY, SNR_DB, paper_link, uses
from .message import Prompt, pack

__all__ = [
    "BANDWIDTHS_HZ",
    "COMPUTED",
    "MEGAHERTZ",
    "STAGES",
    "STEPS",
    "STUDIES",
    "break_even_hz",
    "drawn",
    "prompt_seconds",
    "run",
    "stage_seconds",
    "tasks",
]

#: Steps of the sampler that are compared; 20 is what the other studies draw with.
STEPS = (20, 8, 4, 2, 1)
#: Stages that are timed. ``step`` is one of the sampler, two questions to the network (with the caption and without);
#: the link's stages hold coding, the simulated channel and decoding, which hardware does in no time.
STAGES = (
    "captioner",
    "detector",
    "link of the prompt",
    "text encoder",
    "step",
    "decoder",
    "JPEG coding",
    "link of JPEG",
    "JPEG decoding",
)
#: Those of a caption's way that are computed once; steps come on top.
COMPUTED = ("captioner", "text encoder", "decoder")
#: The claim's bandwidth, and those of the figure, in hertz.
MEGAHERTZ = 1e6
BANDWIDTHS_HZ = tuple(10.0 ** (k / 4) for k in range(8, 33))
#: Pictures that are timed; captions that are drawn, and how many in a task.
TIMED, CAPTIONS, BLOCK = 12, 80, 40
GUIDANCE = 3.0


@checked
def prompt_seconds(stages: Mapping[str, float], channel_uses: float, bandwidth_hz: float, steps: int) -> float:
    """Extraction, transmission and generation of a picture that is sent as a caption.

    Parameters
    ----------
    stages : mapping of str to float
        Seconds of :data:`COMPUTED` and of ``step``.
    channel_uses : float
        Complex channel uses of the prompt.
    bandwidth_hz : float
        Above 0.
    steps : int
        Of the sampler.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If a stage is missing or a number out of its range.

    Examples
    --------
    >>> prompt_seconds({"captioner": 0.1, "text encoder": 0.0, "decoder": 0.1, "step": 0.02}, 100, 1e3, 10)
    0.5
    """
    for name in (*COMPUTED, "step"):
        if name not in stages:
            raise ValueError(f"stages must have {', '.join((*COMPUTED, 'step'))}, got {sorted(map(str, stages))}")
        real_number(f"stages[{name!r}]", stages[name], low=0)
    air = real_number("channel_uses", channel_uses, low=0) / real_number(
        "bandwidth_hz", bandwidth_hz, low=0, low_open=True
    )
    return sum(stages[name] for name in COMPUTED) + positive_integer("steps", steps) * stages["step"] + air


@checked
def break_even_hz(computed: float, channel_uses: float, file_uses: float, file_computed: float = 0.0) -> float:
    """The bandwidth at which prompt and file take equally long; above it the file is faster.

    Parameters
    ----------
    computed : float
        Seconds of extraction and generation.
    channel_uses, file_uses : float
        Complex channel uses of prompt and file.
    file_computed : float
        Seconds that coding and decoding the file take.

    Returns
    -------
    float
        Hertz; infinite where the prompt is never slower, 0 where it is never faster.

    Raises
    ------
    ValueError
        If a number is negative.

    Examples
    --------
    >>> break_even_hz(0.5, 100, 8100)
    16000.0
    """
    more = real_number("computed", computed, low=0) - real_number("file_computed", file_computed, low=0)
    less = real_number("file_uses", file_uses, low=0) - real_number("channel_uses", channel_uses, low=0)
    if less <= 0:
        return 0.0
    return less / more if more > 0 else float("inf")


def _scenes(first: int, count: int) -> list[Any]:
    return [toyworld.scene(9000 + first + k, "combinations", textured=0.0, inside=0.0) for k in range(count)]


def _models() -> dict[str, Any]:
    from .denoising import models

    return models()


def stage_seconds(rounds: int = TIMED) -> dict[str, list[float]]:
    """Time each stage on pictures, one at a time, with one thread.

    Parameters
    ----------
    rounds : int
        Pictures; one more, which is not counted, goes first.

    Returns
    -------
    dict of str to list of float
        For each of :data:`STAGES`, seconds of processor time a picture, which other work on the machine changes little.

    Raises
    ------
    ValueError
        If ``rounds`` is no positive whole number.
    """
    import torch

    from semcom_utils.generation import load

    positive_integer("rounds", rounds)
    named, captioner, link = _models(), load("captioner", device="cpu"), paper_link()
    pipeline, judge = named["text-to-image"], named["judge"]
    network = pipeline.unet
    spent: dict[str, list[float]] = {name: [] for name in STAGES}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for k, scene in enumerate(_scenes(0, rounds + 1)):
            record = _Watch(spent, k > 0)
            image = scene.image[None]
            record("captioner", partial(captioner, image))
            record("detector", partial(judge, image))
            file = record("JPEG coding", partial(jpeg, scene.image.transpose(1, 2, 0), JPEG_QUALITY))
            record("JPEG decoding", partial(decoded, file))
            for name, data in (("the prompt", pack(Prompt(scene.caption, seed=k))), ("JPEG", file)):
                bits = np.unpackbits(np.frombuffer(data, np.uint8))
                source = torch.Generator().manual_seed(k)
                record(f"link of {name}", partial(link.send, bits, SNR_DB, source))
            text = _text(pipeline, scene.caption)
            encoded = record("text encoder", partial(pipeline.text_encoder, text)).last_hidden_state
            z = torch.randn(2, network.config.in_channels, 8, 8, generator=torch.Generator().manual_seed(k))
            record("step", partial(network, z, 500, encoded))
            record("decoder", partial(pipeline.vae.decode, z[:1]))
    finally:
        torch.set_num_threads(before)
    return spent


class _Watch:
    """Adds what a call took to a stage."""

    def __init__(self, spent: dict[str, list[float]], counted: bool) -> None:
        self.spent, self.counted = spent, counted

    def __call__(self, name: str, call: Callable[[], Any]) -> Any:
        import torch

        with torch.no_grad():
            begun = time.process_time()
            made = call()
            took = time.process_time() - begun
        if self.counted:
            self.spent[one_of("name", name, STAGES)].append(took)
        return made


def _text(pipeline: Any, caption: str) -> Any:
    return pipeline.tokenizer(["", caption], padding="max_length", truncation=True, return_tensors="pt").input_ids


def drawn(first: int, count: int, steps: int) -> dict[str, list]:
    """Pictures of captions with so many steps, and how right they are.

    Parameters
    ----------
    first, count : int
        Scenes whose captions are drawn.
    steps : int
        Of the sampler.

    Returns
    -------
    dict of str to list
        ``right``: the judge finds just the things of the caption; ``found``: share of them that it finds. Pictures of
        one scene start from one noise, whatever the number of steps.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    import torch

    positive_integer("first", first, low=0), positive_integer("count", count), positive_integer("steps", steps)
    named, scenes = _models(), _scenes(first, count)
    pipeline = named["text-to-image"]
    shape = (pipeline.unet.config.in_channels, 8, 8)
    noise = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(first + k)) for k in range(count)])
    images = pipeline(
        [scene.caption for scene in scenes],
        num_inference_steps=steps,
        guidance_scale=GUIDANCE,
        latents=noise,
        output_type="np",
    ).images.transpose(0, 3, 1, 2)
    seen = named["judge"].labels(images)
    return {
        "right": [int(names == sorted(scene.labels)) for names, scene in zip(seen, scenes, strict=True)],
        "found": [_share(names, scene.labels) for names, scene in zip(seen, scenes, strict=True)],
    }


def _share(found: Sequence[str], asked: Sequence[str]) -> float:
    left, met = list(found), 0
    for name in asked:
        if name in left:
            left.remove(name)
            met += 1
    return round(met / max(len(asked), len(found)), 4)


# --- the study -------------------------------------------------------------------------------------------------------


def tasks() -> list[dict]:
    """The stages' times, and blocks of captions for each number of steps.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    blocks = [
        {"what": "steps", "steps": steps, "first": first, "count": BLOCK}
        for steps in STEPS
        for first in range(0, CAPTIONS, BLOCK)
    ]
    return [{"what": "stages", "steps": 0, "first": 0, "count": TIMED}, *blocks]


def run(task: dict) -> dict:
    """Times of the stages, or pictures of a number of steps.

    Parameters
    ----------
    task : dict
        ``what``, ``"stages"`` or ``"steps"``; number of ``steps``; ``first`` and ``count``, captions.

    Returns
    -------
    dict
        ``values``: of the stages, stage -> microseconds a picture, and ``prompt`` and ``file``, bits of a caption and
        of a JPEG file; of the steps, what :func:`drawn` gives.
    """
    if task["what"] == "steps":
        return {"values": drawn(task["first"], task["count"], task["steps"])}
    spent = stage_seconds(task["count"])
    scenes = _scenes(1, task["count"])
    return {
        "values": {
            **{name: [round(1e6 * value) for value in each] for name, each in spent.items()},
            "prompt": [Prompt(scene.caption).bits for scene in scenes],
            "file": [8 * len(jpeg(scene.image.transpose(1, 2, 0), JPEG_QUALITY)) for scene in scenes],
        }
    }


def _summary(records: Sequence[Mapping]) -> dict:
    timed = next(r["values"] for r in records if r["task"]["what"] == "stages")
    stages = {name: statistics.median(timed[name]) / 1e6 for name in STAGES}
    prompt_uses = float(np.mean([uses(bits) for bits in timed["prompt"]]))
    file_uses = float(np.mean([uses(bits) for bits in timed["file"]]))
    right, found, saves = {}, {}, {}
    for steps in dict.fromkeys(r["task"]["steps"] for r in records if r["task"]["what"] == "steps"):
        part = [r["values"] for r in records if r["task"]["steps"] == steps]
        column = np.array([v for values in part for v in values["right"]])
        right[str(steps)] = share_interval(int(column.sum()), len(column))
        found[str(steps)] = student_interval([v for values in part for v in values["found"]])
        computed = prompt_seconds(stages, 0, MEGAHERTZ, steps)
        saves[str(steps)] = {
            "seconds": prompt_seconds(stages, prompt_uses, MEGAHERTZ, steps),
            "over_file": prompt_seconds(stages, prompt_uses, MEGAHERTZ, steps) / (file_uses / MEGAHERTZ),
            "over_file_at_100_hz": prompt_seconds(stages, prompt_uses, 100.0, steps) / (file_uses / 100.0),
            "over_file_at_100_mhz": prompt_seconds(stages, prompt_uses, 1e8, steps) / (file_uses / 1e8),
            "break_even_hz": break_even_hz(computed, prompt_uses, file_uses),
        }
    most = right[str(max(map(int, right)))]["estimate"]
    cheap = min(int(k) for k, share in right.items() if share["estimate"] >= most - 0.05)
    return {
        "stages": {name: {"median": stages[name], "least": min(timed[name]) / 1e6} for name in STAGES},
        "uses": {"prompt": prompt_uses, "file": file_uses},
        "right": right,
        "found": found,
        "by_steps": saves,
        "fewest_steps": cheap,
        "fewest": saves[str(cheap)],
    }


STUDIES = {"latency": Study(tasks, run, _summary, small={"first": 0, "count": 1})}
