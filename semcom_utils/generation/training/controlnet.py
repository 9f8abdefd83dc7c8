"""ControlNet: a copy of the UNet's encoder that reads a map, and tells the locked UNet where things belong."""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from semcom_utils import toyworld
from semcom_utils.checks import checked
from semcom_utils.paths import MODELS
from semcom_utils.toyworld.agreement import agreement, depth_correlation
from semcom_utils.toyworld.maps import MAPS, PALETTE, canny, control_array, control_picture

from ..judging import Judge
from ..loading import load
from .data import Scenes
from .text_to_image import Denoiser, TextToImageRecipe

__all__ = ["FIGURES", "ControlMaps", "ControlNetRecipe", "silenced"]

#: Channels of a scene's stored maps: depth, class, soft edges, Canny's edges (one each), and the drawn pose (three).
_CHANNELS = {"depth": 0, "segmentation": 1, "soft-edges": 2, "canny": 3, "pose": slice(4, 7)}
#: Kind of map -> name of its figure. Less is better for the pose's distance alone.
FIGURES = {
    "depth": "depth_correlation",
    "segmentation": "segmentation_iou",
    "pose": "pose_distance",
    "soft-edges": "soft_edges_f_score",
    "canny": "canny_f_score",
}
#: Ending of a figure's name -> how it differs from the figure without it.
_ENDINGS = {
    "_low": "lower end of its 95% bootstrap interval",
    "_high": "upper end of it",
    "_shuffled": "the same against the map of another scene",
    "_uncontrolled": "the same of a picture made of the caption alone, from the same noise",
    "_of_scene": "the same of the scene's own picture: the best that the reader of the map allows",
}
_MEANINGS = {
    "depth_correlation": "depth sent and mini-depth's of the picture: correlation of what rises from the empty ground, "
    "mean of 60 scenes (`combinations`)",
    "segmentation_iou": "segmentation sent and mini-segmentation's of the picture: pixels with the same thing's class "
    "over pixels of things in either",
    "pose_distance": "pose sent and mini-segmentation's of the picture: mean distance of visible joints in pixels, a "
    "missed one counted as 16 (scenes with robots)",
    "soft_edges_f_score": "soft edges sent and mini-soft-edges' of the picture: F score to within a pixel, without the "
    "horizon, which all scenes share",
    "canny_f_score": "Canny's edges, likewise",
}


class ControlMaps:
    """The maps of the first scenes of a split, made once and kept on disk as bytes.

    Parameters
    ----------
    scenes : Scenes
        Whose maps.
    folder : pathlib.Path, optional
        Where the maps are kept between runs; in memory alone if None.
    """

    def __init__(self, scenes: Scenes, folder: Path | None = None) -> None:
        kept = None if folder is None else Path(folder) / f"maps-{scenes.split}-{len(scenes)}.npy"
        robots = [any(t.kind == "robot" for t in scenes.description(k).things) for k in range(len(scenes))]
        #: Numbers of the scenes that show a robot.
        self.with_robot = np.flatnonzero(robots)
        if kept is not None and kept.exists():
            self.stored = np.load(kept, mmap_mode="r")
            return
        self.stored = np.empty((len(scenes), 7, toyworld.SIZE, toyworld.SIZE), np.uint8)
        for index in tqdm(range(len(scenes)), desc="maps", mininterval=5):
            scene = scenes.scene(index)
            for kind, channel in _CHANNELS.items():
                array = control_array(scene, kind)
                if kind == "segmentation":
                    self.stored[index, channel] = array
                else:
                    picture = control_picture(array, kind)
                    self.stored[index, channel] = picture.transpose(2, 0, 1) if kind == "pose" else picture[:, :, 0]
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_suffix(".partial.npy")
            np.save(partial, self.stored)
            partial.replace(kept)

    def pictures(self, indices: np.ndarray, kinds: np.ndarray) -> torch.Tensor:
        """Maps as a ControlNet takes them.

        Parameters
        ----------
        indices : numpy.ndarray
            Numbers of the scenes, ``[batch]``.
        kinds : numpy.ndarray
            Kind of each one's map, ``[batch]``.

        Returns
        -------
        torch.Tensor
            ``[batch, 3, 64, 64]`` in [0, 1].
        """
        batch = np.empty((len(indices), 3, toyworld.SIZE, toyworld.SIZE), np.uint8)
        for row, (index, kind) in enumerate(zip(indices, kinds, strict=True)):
            stored = self.stored[index, _CHANNELS[kind]]
            batch[row] = PALETTE[stored].transpose(2, 0, 1) if kind == "segmentation" else stored
        return torch.from_numpy(batch).float() / 255


class ControlNetRecipe(TextToImageRecipe):
    """One network for every kind of map (Zhang et al., 2023); the map's look tells its kind.

    The UNet and the text encoder are locked. The network starts as a copy of the UNet's encoder; what it says enters
    the UNet's decoder through convolutions that start at zero, so the first step changes nothing, and only they learn
    from it. They, and the block that reads the map, which the UNet has no weights for, learn at several times the rate.

    Where things stand is decided early in a generation, at high noise: t is drawn with a density that grows with it.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads: mini-autoencoder, mini-text-to-image, and, to measure what
        comes out, mini-detector, mini-depth, mini-soft-edges and mini-segmentation.
    """

    role = "controlnet"
    steps = 2200
    rate = 4e-4
    batch_size = 32
    #: Factor of the learning rate for what starts from nothing.
    faster = 6.0
    #: Share of the captions that are dropped: a caption names the things already, and the map should be read.
    dropped = 0.4
    watch_every = 100
    targets = {
        "segmentation_iou": (0.7, 1.0),
        "segmentation_iou_shuffled": (0.0, 0.3),
        "depth_correlation_whole": (0.9, 1.0),
        "pose_distance": (0.0, 4.0),
        "hits_over_uncontrolled": (1.0, float("inf")),
    }
    about = (
        "a control network (`diffusers.ControlNetModel`) for mini-text-to-image, one for five kinds of map: depth, "
        "segmentation, pose, soft edges and Canny's edges, each drawn by `semcom_utils.toyworld.maps`; the map's look "
        "tells its kind"
    )
    limits = (
        "It knows maps of the toy world alone, and was taught on captions that fit their maps; what it makes of a map "
        "that contradicts the caption was not measured. A scene's depth as a whole correlates with any other's (see "
        "`depth_correlation_whole_shuffled`): read `depth_correlation` instead."
    )
    stands_on = (
        "mini-text-to-image, whose UNet's encoder it starts from and which stays as it is, and on mini-depth, "
        "mini-soft-edges, mini-segmentation and mini-detector, which measure it"
    )
    samples = (
        "for each kind (depth, segmentation, pose, soft edges, Canny) the map sent, and the picture made of it and the "
        "caption"
    )
    meanings = {
        **{
            f"{name}{ending}": f"`{name}`: {differs}" if ending else meaning
            for name, meaning in _MEANINGS.items()
            for ending, differs in {"": "", **_ENDINGS}.items()
        },
        "depth_correlation_whole": "`depth_correlation` with the ground left in, which all scenes share",
        "depth_correlation_whole_shuffled": "the same against the map of another scene",
        **{f"hits_{kind}": f"`hits` of the pictures made with one kind of map: {kind}" for kind in MAPS},
        "hits": "share of all these pictures in which mini-detector finds just what the caption asked for",
        "hits_uncontrolled": "the same for pictures of the same captions and noise without control",
        "hits_over_uncontrolled": "`hits` over `hits_uncontrolled`",
    }

    def __init__(self, scratch: Path | None = None, scenes: int = 60_000, models: Path = MODELS) -> None:
        super().__init__(scratch, scenes, models)
        self.models = models
        base = super().restore(models / "mini-text-to-image").requires_grad_(False).eval()
        self.unet, self.text_encoder = base.unet.to(memory_format=torch.channels_last), base.text_encoder
        self.maps = ControlMaps(self.scenes, scratch)

    # It stands on the same latents and captions as its base class, and trains another network beside its own.
    def build(self) -> torch.nn.Module:  # type: ignore[override]
        from diffusers import ControlNetModel

        return ControlNetModel.from_unet(self.unet, conditioning_embedding_out_channels=(8, 24, 64, 64))

    def groups(self, model: torch.nn.Module) -> list[dict]:
        new = ("controlnet_cond_embedding", "controlnet_down_blocks", "controlnet_mid_block")
        parts: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
        for name, weights in model.named_parameters():
            parts[name.startswith(new)].append(weights)
        return [{"params": parts[False]}, {"params": parts[True], "scale": self.faster}]

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Draw what a batch shows.

        Parameters
        ----------
        rng : numpy.random.Generator
            Draws scenes, kinds and captions.

        Returns
        -------
        chosen, kinds : numpy.ndarray
            Numbers of the scenes and kinds of their maps, ``[batch]``.
        captions : list of str
            Some of them empty.
        """
        chosen = rng.integers(len(self.scenes), size=self.batch_size)
        kinds = rng.choice(MAPS, size=self.batch_size)
        # A pose without a robot is a black picture: one in eight is enough.
        empty = (kinds == "pose") & (rng.random(self.batch_size) < 7 / 8)
        chosen[empty] = rng.choice(self.maps.with_robot, size=empty.sum())
        captions = [
            "" if rng.random() < self.dropped else toyworld.paraphrase(self.scenes.description(index), rng)
            for index in chosen
        ]
        return chosen, kinds, captions

    def loss(
        self, model: torch.nn.Module, progress: float, rng: np.random.Generator, device: torch.device
    ) -> torch.Tensor:
        chosen, kinds, captions = self.draw(rng)
        mean, std = (torch.from_numpy(array[chosen]).float() * self.scale for array in (self.mean, self.std))
        z_0 = (mean + std * torch.randn(mean.shape)).to(device)
        alpha_bar = self.alpha_bar.to(device)
        t = torch.from_numpy((len(alpha_bar) * np.sqrt(rng.random(len(chosen)))).astype(np.int64)).to(device)
        signal, noise = (root[:, None, None, None] for root in (alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()))
        epsilon = torch.randn(z_0.shape).to(device)
        v = signal * epsilon - noise * z_0
        unet = self.unet.to(device)
        text_encoder = self.text_encoder.to(device)  # type: ignore[arg-type]  # the library types `to` wrongly
        with torch.no_grad():
            said = text_encoder(self.tokens(captions).to(device)).last_hidden_state
        z_t, shown = signal * z_0 + noise * epsilon, self.maps.pictures(chosen, kinds).to(device)
        down, middle = model(z_t, t, said, controlnet_cond=shown, return_dict=False)
        found = unet(z_t, t, said, down_block_additional_residuals=down, mid_block_additional_residual=middle).sample
        return (found - v).square().mean()

    def control_pipeline(self, model: torch.nn.Module) -> Any:
        """The locked model with its control, as a diffusers pipeline.

        Parameters
        ----------
        model : torch.nn.Module
            A ``diffusers.ControlNetModel``.

        Returns
        -------
        diffusers.StableDiffusionControlNetPipeline
            Without a safety checker.
        """
        from diffusers import StableDiffusionControlNetPipeline

        pipeline = StableDiffusionControlNetPipeline(
            vae=self.autoencoder,
            text_encoder=self.text_encoder,
            tokenizer=self.tokenizer,
            unet=self.unet,
            controlnet=model,
            scheduler=self.scheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    @torch.no_grad()
    def controlled(
        self,
        model: torch.nn.Module,
        captions: list[str],
        maps: np.ndarray,
        device: torch.device,
        seed: int = 0,
        steps: int = 20,
        guidance: float = 3.0,
    ) -> np.ndarray:
        """Draw pictures from captions and maps.

        Parameters
        ----------
        model : torch.nn.Module
            A ``diffusers.ControlNetModel``.
        captions : list of str
            One a picture.
        maps : numpy.ndarray
            Uint8 ``[batch, 64, 64, 3]``.
        device : torch.device
            Where to compute.
        seed : int
            Of the noise.
        steps : int
            Of the generation.
        guidance : float
            Scale of classifier-free guidance; 1 is none.

        Returns
        -------
        numpy.ndarray
            ``[batch, 3, 64, 64]`` in [0, 1].
        """
        pipeline = self.control_pipeline(model).to(device)
        pictures = []
        for start in range(0, len(captions), 60):
            part = torch.from_numpy(np.ascontiguousarray(maps[start : start + 60])).permute(0, 3, 1, 2).float() / 255
            images = pipeline(
                captions[start : start + 60],
                image=part,
                num_inference_steps=steps,
                guidance_scale=guidance,
                output_type="np",
                generator=torch.Generator().manual_seed(seed + start),
                height=toyworld.SIZE,
                width=toyworld.SIZE,
            ).images
            pictures.append(images.transpose(0, 3, 1, 2))
        return np.concatenate(pictures)

    @lru_cache  # noqa: B019
    def readers(self) -> dict[str, Any]:
        """The learned extractors, which find maps in pictures.

        Returns
        -------
        dict of str to callable
            Kind of map -> its extractor; Canny's detector learns nothing, and is not among them.
        """
        return {
            kind: load(kind, folder=self.models / f"mini-{'segmentation' if kind == 'pose' else kind}")
            for kind in MAPS
            if kind != "canny"
        }

    def read(self, pictures: np.ndarray, kind: str) -> list[np.ndarray]:
        """Find the map in each picture.

        Parameters
        ----------
        pictures : numpy.ndarray
            ``[batch, 3, 64, 64]`` in [0, 1].
        kind : str
            Of the map.

        Returns
        -------
        list of numpy.ndarray
            As :func:`~semcom_utils.toyworld.maps.control_array` gives them.
        """
        if kind == "canny":
            return [canny(picture) for picture in np.clip(pictures, 0, 1)]
        return [np.asarray(found) for found in self.readers()[kind](np.clip(pictures, 0, 1))]

    def held_out(self, kind: str, count: int, first: int = 1_000_000) -> list[toyworld.Scene]:
        """Scenes that were not learned from.

        Parameters
        ----------
        kind : str
            Of the map; scenes for a pose show a robot.
        count : int
            How many.
        first : int
            Seed of the first that is looked at.

        Returns
        -------
        list of Scene
            Of ``combinations``.
        """
        scenes: list[toyworld.Scene] = []
        seed = first
        while len(scenes) < count:
            scene = toyworld.scene(seed, "combinations")
            if kind != "pose" or len(scene.keypoints):
                scenes.append(scene)
            seed += 1
        return scenes

    def watch(self, model: torch.nn.Module, device: torch.device) -> dict[str, float]:
        if not (self.models / "mini-segmentation").is_dir():
            return {}
        seen = {}
        for kind in MAPS:
            scenes = self.held_out(kind, 8, 2_000_000)
            sent = [control_array(scene, kind) for scene in scenes]
            shown = np.stack([control_picture(array, kind) for array in sent])
            # Without guidance, and in few steps: quick, and enough to see when control comes.
            made = self.controlled(model, [scene.caption for scene in scenes], shown, device, steps=10, guidance=1.0)
            scores = [agreement(a, b, kind) for a, b in zip(sent, self.read(made, kind), strict=True)]
            seen[FIGURES[kind]] = round(float(np.mean(scores)), 4)
        return seen

    def evaluate(self, model: torch.nn.Module, device: torch.device, count: int = 60) -> dict[str, float]:
        """For each kind: the map sent against the map found in the picture, and the controls of that.

        ``_shuffled``: against the map of another scene. ``_uncontrolled``: in a picture made of the caption alone, from
        the same noise; a ControlNet whose zero convolutions are still zero makes just that one, to the bit.
        ``_of_scene``: found in the scene's own picture, which is the best that the extractor allows.

        Parameters
        ----------
        model : torch.nn.Module
            In evaluation mode, on ``device``.
        device : torch.device
            Where the model computes.
        count : int
            How many scenes for each kind.

        Returns
        -------
        dict of str to float
            Held-out figures; none if a checkpoint that measures them is missing.
        """
        if not all((self.models / f"mini-{name}").is_dir() for name in ("segmentation", "detector", "depth")):
            return {}
        figures, hits, alone = {}, [], {}
        judge = Judge(load("detector", folder=self.models / "mini-detector", device=device))
        rng = np.random.default_rng(0)
        for kind in MAPS:
            scenes = self.held_out(kind, count)
            captions = [scene.caption for scene in scenes]
            sent = [control_array(scene, kind) for scene in scenes]
            shown = np.stack([control_picture(array, kind) for array in sent])
            made = self.controlled(model, captions, shown, device)
            if tuple(captions) not in alone:  # all kinds but the pose have the same scenes
                alone[tuple(captions)] = self.generate(Denoiser(self.unet, self.text_encoder), captions, device)
            plain = alone[tuple(captions)]
            own = np.stack([scene.image for scene in scenes])
            others = sent[1:] + sent[:1]
            found = self.read(made, kind)
            name = FIGURES[kind]
            for ending, one, other in (
                ("", sent, found),
                ("_shuffled", others, found),
                ("_uncontrolled", sent, self.read(plain, kind)),
                ("_of_scene", sent, self.read(own, kind)),
            ):
                scores = np.array([agreement(a, b, kind) for a, b in zip(one, other, strict=True)])
                figures[name + ending] = float(scores.mean())
                if not ending:
                    means = scores[rng.integers(count, size=(2000, count))].mean(1)
                    figures[f"{name}_low"], figures[f"{name}_high"] = map(float, np.quantile(means, [0.025, 0.975]))
            if kind == "depth":
                for ending, one in (("", sent), ("_shuffled", others)):
                    figures[f"{name}_whole{ending}"] = float(
                        np.mean([depth_correlation(a, b, backdrop=True) for a, b in zip(one, found, strict=True)])
                    )
            asked = [scene.labels for scene in scenes]
            hits.append([judge.right(np.clip(images, 0, 1), asked).mean() for images in (made, plain)])
            figures[f"hits_{kind}"] = float(hits[-1][0])
        figures["hits"], figures["hits_uncontrolled"] = map(float, np.mean(hits, axis=0))
        figures["hits_over_uncontrolled"] = figures["hits"] / max(figures["hits_uncontrolled"], 1e-9)
        return figures

    def pictures(self, model: torch.nn.Module, device: torch.device) -> np.ndarray:
        rows = []
        for kind in MAPS:
            scenes = self.held_out(kind, 10)
            shown = np.stack([control_picture(control_array(scene, kind), kind) for scene in scenes])
            made = self.controlled(model, [scene.caption for scene in scenes], shown, device)
            rows += [shown.transpose(0, 3, 1, 2) / 255, made]
        return np.stack(rows)

    def save(self, model: Any, folder: Path) -> None:
        model.half().save_pretrained(folder, safe_serialization=True)

    def restore(self, folder: Path) -> torch.nn.Module:  # type: ignore[override]  # as build
        from diffusers import ControlNetModel

        return ControlNetModel.from_pretrained(folder, dtype=torch.float32)


@checked
def silenced(model: torch.nn.Module) -> torch.nn.Module:
    """A ControlNet whose zero convolutions are still zero: what comes of a training that trains nothing.

    Parameters
    ----------
    model : torch.nn.Module
        A ``diffusers.ControlNetModel``; it stays as it is.

    Returns
    -------
    torch.nn.Module
        A copy that controls nothing.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    silent = copy.deepcopy(model)
    with torch.no_grad():
        for name, weights in silent.named_parameters():
            if name.startswith(("controlnet_down_blocks", "controlnet_mid_block")):
                weights.zero_()
    return silent
