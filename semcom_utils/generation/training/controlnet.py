"""ControlNet: a copy of the UNet's encoder that reads a map, and tells the locked UNet where things belong."""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from semcom_utils import toyworld
from semcom_utils.toyworld.agreement import agreement, depth_correlation
from semcom_utils.toyworld.maps import MAPS, PALETTE, canny, control_array, control_picture

from .data import Scenes
from .detector import Judge
from .text_to_image import Denoiser, TextToImage

__all__ = ["FIGURES", "ControlMaps", "ControlNet", "silenced"]

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


class ControlMaps:
    """The maps of the first scenes of a split, made once and kept on disk as bytes.

    Parameters
    ----------
    scenes : Scenes
    folder : pathlib.Path, optional
        Where the maps are kept between runs; in memory alone if None.
    """

    def __init__(self, scenes: Scenes, folder: Path | None = None):
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
        """Maps as a ControlNet takes them, [batch, 3, 64, 64] in [0, 1]; ``kinds`` are names, one for each scene."""
        batch = np.empty((len(indices), 3, toyworld.SIZE, toyworld.SIZE), np.uint8)
        for row, (index, kind) in enumerate(zip(indices, kinds, strict=True)):
            stored = self.stored[index, _CHANNELS[kind]]
            batch[row] = PALETTE[stored].transpose(2, 0, 1) if kind == "segmentation" else stored
        return torch.from_numpy(batch).float() / 255


class ControlNet(TextToImage):
    """One network for every kind of map (Zhang et al., 2023); the map's look tells its kind.

    The UNet and the text encoder are locked. The network starts as a copy of the UNet's encoder; what it says enters
    the UNet's decoder through convolutions that start at zero, so the first step changes nothing, and only they learn
    from it. They, and the block that reads the map, which the UNet has no weights for, learn at several times the rate.

    Where things stand is decided early in a generation, at high noise: t is drawn with a density that grows with it.
    """

    role = "controlnet"
    steps = 3000
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

    def __init__(
        self,
        text_to_image: Path,
        autoencoder: Path,
        scratch: Path | None = None,
        scenes: int = 60_000,
        models: Path | None = None,
    ):
        super().__init__(autoencoder, scratch, scenes)
        self.text_to_image, self.models = text_to_image, models
        base = super().restore(text_to_image).requires_grad_(False).eval()
        self.unet, self.text_encoder = base.unet.to(memory_format=torch.channels_last), base.text_encoder
        self.maps = ControlMaps(self.scenes, scratch)

    def build(self):
        from diffusers import ControlNetModel

        return ControlNetModel.from_unet(self.unet, conditioning_embedding_out_channels=(8, 24, 64, 64))

    def groups(self, model):
        new = ("controlnet_cond_embedding", "controlnet_down_blocks", "controlnet_mid_block")
        parts = {True: [], False: []}
        for name, weights in model.named_parameters():
            parts[name.startswith(new)].append(weights)
        return [{"params": parts[False]}, {"params": parts[True], "scale": self.faster}]

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Numbers of a batch's scenes, kinds of their maps, and captions."""
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

    def loss(self, model, progress, rng, device):
        chosen, kinds, captions = self.draw(rng)
        mean, std = (torch.from_numpy(array[chosen]).float() * self.scale for array in (self.mean, self.std))
        z_0 = (mean + std * torch.randn(mean.shape)).to(device)
        alpha_bar = self.alpha_bar.to(device)
        t = torch.from_numpy((len(alpha_bar) * np.sqrt(rng.random(len(chosen)))).astype(np.int64)).to(device)
        signal, noise = (root[:, None, None, None] for root in (alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()))
        epsilon = torch.randn(z_0.shape).to(device)
        v = signal * epsilon - noise * z_0
        unet, text_encoder = self.unet.to(device), self.text_encoder.to(device)
        with torch.no_grad():
            said = text_encoder(self.tokens(captions).to(device)).last_hidden_state
        z_t, shown = signal * z_0 + noise * epsilon, self.maps.pictures(chosen, kinds).to(device)
        down, middle = model(z_t, t, said, controlnet_cond=shown, return_dict=False)
        found = unet(
            z_t, t, said, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample
        return (found - v).square().mean()

    def control_pipeline(self, model):
        """The locked model with its control, as a diffusers pipeline."""
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
        """Pictures [batch, 3, 64, 64] in [0, 1] from captions and maps (uint8 [batch, 64, 64, 3])."""
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
    def readers(self) -> dict:
        """The learned extractors, which find maps in pictures."""
        from ..loading import load

        return {
            kind: load(kind, folder=self.models / f"mini-{'segmentation' if kind == 'pose' else kind}", device="cpu")
            for kind in MAPS
            if kind != "canny"
        }

    def read(self, pictures: np.ndarray, kind: str) -> list[np.ndarray]:
        """The map of each picture, found by the extractor."""
        if kind == "canny":
            return [canny(picture) for picture in np.clip(pictures, 0, 1)]
        return [np.asarray(found) for found in self.readers()[kind](np.clip(pictures, 0, 1))]

    def held_out(self, kind: str, count: int, first: int = 1_000_000) -> list[toyworld.Scene]:
        """Scenes of ``combinations``; for poses, with a robot."""
        scenes, seed = [], first
        while len(scenes) < count:
            scene = toyworld.scene(seed, "combinations")
            if kind != "pose" or len(scene.keypoints):
                scenes.append(scene)
            seed += 1
        return scenes

    def watch(self, model, device):
        if self.models is None:
            return {}
        seen = {}
        for kind in MAPS:
            scenes = self.held_out(kind, 8, 2_000_000)
            sent = [control_array(scene, kind) for scene in scenes]
            shown = np.stack([control_picture(array, kind) for array in sent])
            # Without guidance, and in few steps: quick, and enough to see when control comes.
            made = self.controlled(
                model, [scene.caption for scene in scenes], shown, device, steps=10, guidance=1.0
            )
            scores = [agreement(a, b, kind) for a, b in zip(sent, self.read(made, kind), strict=True)]
            seen[FIGURES[kind]] = round(float(np.mean(scores)), 4)
        print(seen, flush=True)
        return seen

    def evaluate(self, model, device, count: int = 60):
        """For each kind: the map sent against the map found in the picture, and the controls of that.

        ``_shuffled``: against the map of another scene. ``_uncontrolled``: in a picture made of the caption alone, from
        the same noise; a ControlNet whose zero convolutions are still zero makes just that one, to the bit.
        ``_of_scene``: found in the scene's own picture, which is the best that the extractor allows.
        """
        if self.models is None:
            return {}
        figures, hits, alone = {}, [], {}
        judge = Judge.load(self.models / "mini-detector")
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
            asked = [sorted(scene.labels) for scene in scenes]
            named = [[sorted(label for label, _, _ in things) for things in judge(images)] for images in (made, plain)]
            hits.append([[a == b for a, b in zip(asked, labels, strict=True)] for labels in named])
            figures[f"hits_{kind}"] = float(np.mean(hits[-1][0]))
        figures["hits"], figures["hits_uncontrolled"] = (float(np.mean([h[k] for h in hits])) for k in (0, 1))
        figures["hits_over_uncontrolled"] = figures["hits"] / max(figures["hits_uncontrolled"], 1e-9)
        return figures

    def pictures(self, model, device):
        rows = []
        for kind in MAPS:
            scenes = self.held_out(kind, 10)
            shown = np.stack([control_picture(control_array(scene, kind), kind) for scene in scenes])
            made = self.controlled(model, [scene.caption for scene in scenes], shown, device)
            rows += [shown.transpose(0, 3, 1, 2) / 255, made]
        return np.stack(rows)

    def save(self, model, folder):
        model.half().save_pretrained(folder, safe_serialization=True)

    def restore(self, folder):
        from diffusers import ControlNetModel

        return ControlNetModel.from_pretrained(folder, dtype=torch.float32)


def silenced(model: torch.nn.Module) -> torch.nn.Module:
    """A copy of a ControlNet whose zero convolutions are still zero: what comes of a training that trains nothing."""
    silent = copy.deepcopy(model)
    with torch.no_grad():
        for name, weights in silent.named_parameters():
            if name.startswith(("controlnet_down_blocks", "controlnet_mid_block")):
                weights.zero_()
    return silent
