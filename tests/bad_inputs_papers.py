"""The papers' share of the good calls in `bad_inputs_calls`, by the same rules."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import torch

from semcom_utils import toyworld
from semcom_utils.control.d3qn import DuelingNetwork
from semcom_utils.generation import families, load
from semcom_utils.generation.gaussian import GaussianModel
from semcom_utils.generation.jscc import DeepJscc
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.papers.aigc_scm import message as prompts
from semcom_utils.papers.aigc_scm.case_study import case_scene
from semcom_utils.papers.aigc_scm.knowledge import receiver_b
from semcom_utils.papers.book import bench, comparison, measures, schemes
from semcom_utils.papers.book.link import Format
from semcom_utils.papers.gai_semcom_networks import model_families, smart_city
from semcom_utils.papers.isgc import scenario
from semcom_utils.papers.semaigc_root import scenario as root
from semcom_utils.papers.semaigc_root import workload
from semcom_utils.papers.semcom_for_aigc import fine_tuning, message, transceiver
from semcom_utils.physical import DigitalLink
from semcom_utils.semantic.codecs import jpeg
from semcom_utils.semantic.extractors import extract
from semcom_utils.semantic.knowledge import Triple

SCENE = toyworld.scene(4)
STATES = scenario.sample_states(2, np.random.default_rng(0))
SAID = prompts.Prompt("a red ball on grass", identifier=1)
PLACED = prompts.Prompt.placed(["red ball"], [[0.1, 0.2, 0.5, 0.9]])
THREE = next(s for s in (toyworld.describe(seed, textured=0.0) for seed in range(50)) if len(s.things) == 3)
SENT = message.Message("a red ball on grass", steps=1, guidance=1.0)
MAP = extract("segmentation", SCENE).downscaled(16)
TABLE = {"pose": {"ssim": 0.9, "mse": 0.8}, "depth": {"ssim": 0.7, "mse": 0.6}}
BITS = np.arange(20, 0, -1).reshape(2, 10)
IMAGES = torch.from_numpy(SCENE.image[None]).float()


def of(**values):
    return lambda: dict(values)


def delivery():
    head, behind = message.blocks(SENT)
    return transceiver.Delivery(head, behind or None, 1, 8 * len(head), 100)


class Pipeline:
    """Paints grey, at once."""

    unet = controlnet = torch.nn.Identity()

    def __call__(self, prompts, **options):
        return SimpleNamespace(images=np.full((len(prompts), 64, 64, 3), 0.5, np.float32))


class Seer:
    """Stands for CLIP and for the judge."""

    def images(self, images):
        return torch.ones(len(images), 2) / 2**0.5

    def texts(self, texts):
        return self.images(texts)

    def labels(self, images):
        return [["red ball"]] * len(images)


NAMED = {"controlled": Pipeline(), "text-to-image": Pipeline(), "clip": Seer(), "judge": Seer()}


@cache
def unet():
    """A network that has the two ends of the mini UNet and next to nothing between them."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8,
        in_channels=16,
        out_channels=16,
        layers_per_block=1,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        cross_attention_dim=128,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()


@cache
def latents():
    return fine_tuning.latents(1, 2, "train")


@cache
def adapted():
    return fine_tuning.adapted(unet(), "rank-1", 0)


def started():
    env = scenario.IsgcEnv()
    env.reset(seed=0)
    return env


REQUESTS = root.sample_states(2, np.random.default_rng(0))
CONSTANTS = root.RootConstants()
BOUND = {"local_density": [2e4], "rate": [1e6], "edge_speed": [1e9], "device_speed": [4e8], "c_1": [0.1], "c_2": [0.1]}


def always(a, snr_db=0.0):
    return np.ones(np.broadcast_shapes(np.shape(a), np.shape(snr_db)))


def half(states):
    return np.full(len(states), 10)


@cache
def figures():
    return workload.figures(half, always, n=10)


@cache
def asked():
    """The mini pipeline's encoders with a network of next to nothing."""
    return PromptedDenoiser(load("text-to-image"), ["a red ball on grass"], 1.0, unet())


def root_env():
    env = root.RootEnv(requests=4)
    env.reset(seed=0)
    return env


ROOT = {
    "algorithm.airs": of(name="latent"),
    "algorithm.proposition_draws": of(kind="own", n=3),
    "algorithm.true_values": lambda: {
        "network": DuelingNetwork(7, 21, 4),
        "seen": root.observe(REQUESTS),
        "rewards": np.ones((2, 21)),
        "discount": 0.9,
    },
    "errata.reverse_step": of(alpha=0.98, alpha_bar_prev=0.6, sigma2_prev=0.2, sigma2_step=0.05),
    "pictures.edge_states": lambda: {"denoiser": asked(), "z_T": torch.zeros(1, *asked().shape), "splits": (1,)},
    "pictures.fine_tuned": lambda: {"denoiser": asked()},
    "pictures.quantise": of(z=torch.zeros(2, 3), bits=1),
    "pictures.tell": of(pictures=IMAGES, clean=IMAGES, captions=["a red ball on grass"], labels=[["red ball"]]),
    "pixels.encode": lambda: {"denoiser": asked(), "pictures": IMAGES[..., :16, :16]},
    "pixels.noisy_pixels": of(pictures=IMAGES[..., :4, :4]),
    "pixels.pixel_success": of(),
    "scenario.RootConstants.limit": of(low=[5.0, 6.0]),
    "scenario.RootConstants.speed_up": of(cores=4),
    "scenario.RootEnv.step": of(action=3),
    **{f"scenario.{name}": of(**BOUND) for name in ("compression_bound", "printed_bound")},
    **{
        f"scenario.{name}": of(states=REQUESTS)
        for name in (
            "edge_aigc_latency",
            "expected_satisfaction",
            "link_rate",
            "local_aigc_latency",
            "observe",
            "optimal_action",
        )
    },
    "scenario.frameworks": of(states=REQUESTS, action=[3, 4], success=always),
    "scenario.interpolated_success": of(splits=[0, 10, 20], snrs_db=[0.0, 5.0], table=np.full((3, 2), 0.5)),
    "scenario.latency": of(action=[3, 4], states=REQUESTS),
    **{
        f"scenario.{name}": of(seconds=[5.0, 10.0], low=[4.0, 6.0], high=[20.0, 30.0])
        for name in ("printed_reward", "satisfaction")
    },
    "scenario.served": of(seconds=[5.0, 10.0], success=[0.5, 0.7], low=[4.0, 6.0]),
    "workload.converged_after": of(episodes=[10, 20, 30], values=[0.5, 0.995, 1.0]),
    "workload.figures": of(policy=half, success=always, n=10),
    "workload.figures_summary": lambda: {"axes": [figures()]},
    "workload.held_out": of(n=3),
    "workload.noise_schedule": of(kind="linear", steps=2, samples=10),
    "workload.rank_correlations": of(policy=half),
}
PLACES = [Triple("mill", "north of", "school"), Triple("school", "in", "Docks"), Triple("mill", "in", "Heights")]
MACHINE = {"period": 5, "quiet": 490.0, "fault": 2.0, "step": 4.0, "success": 0.9, "alarm": 3.0}


@cache
def small_city():
    return smart_city.readings(2, np.random.default_rng(0))


@cache
def encoders():
    return smart_city.make_encoders(small_city(), torch.Generator().manual_seed(0))


@cache
def family():
    return families.make("autoregressive", 2, torch.Generator().manual_seed(0), parameters=200)


def learner():
    """What learns nothing, in six epochs: its weights, its loss, and what it looks at."""
    return {
        "modules": [torch.nn.Linear(1, 1)],
        "loss": lambda city: torch.zeros((), requires_grad=True),
        "data": small_city(),
        "validation": small_city(),
    }


PAIRED = {"originals": IMAGES, "captions": ["a red ball"], "labels": [SCENE.labels]}


SURVEY = {
    "transceiver.draw": lambda: {"denoiser": asked(), "z_T": torch.zeros(1, *asked().shape), "steps": 1},
    "transceiver.from_planes": of(planes=np.array([[[0, 1]]]), bits=2),
    "transceiver.invert": lambda: {
        "denoiser": asked(),
        "z_0": torch.zeros(1, *asked().shape),
        "steps": 1,
    },
    "transceiver.lloyd_max": of(bits=2),
    "transceiver.repeated": lambda: {
        "model": DeepJscc(64, (8, 8, 8)),
        "images": IMAGES,
        "snr_db": 5.0,
        "channel": "awgn",
        "repeats": 2,
        "generator": torch.Generator().manual_seed(0),
    },
    "transceiver.scan_that_fits": of(picture=SCENE.image.transpose(1, 2, 0).astype(float), bits=4000),
    "transceiver.score": of(pictures=IMAGES, **PAIRED),
    "transceiver.text_from_bits": of(bits=np.zeros(6, int)),
    "transceiver.text_to_bits": of(caption="a red ball"),
    "transceiver.to_planes": of(z=np.zeros((1, 2)), bits=2),
    "transceiver_costs.tie": of(seconds=np.array([2.0, 1.0]), uses=np.array([1.0, 3.0])),
    "transceiver_curves.pictures_of": of(seed=1, n=1),
    "transceiver_curves.png_prefix": of(file=b"x", shape=(8, 8, 3)),
    "transceiver_curves.prompts_of": of(pictures=IMAGES),
    "transceiver_prompts.bpsk_snr_db": of(rate=0.5),
    "transceiver_prompts.expected_quality": of(quality=np.ones((2, 2)), lost_text=0.1, lost_visual=0.1),
    "transceiver_prompts.lost_on_fading": of(snr_db=5.0, at_db=[0.0, 1.0], lost=[1.0, 0.0]),
    "transceiver_prompts.visual_rate": of(text_rate=0.5, planes=2),
    "information_effectiveness.link_data": of(answer=2.0),
    **{
        f"information_effectiveness.{name}": of(threshold=3, change=0.2, success=0.6)
        for name in ("matched_eagerness", "matched_threshold")
    },
    **{f"information_effectiveness.{name}": of(**MACHINE) for name in ("matched_alarm", "missed_by_clock")},
    "knowledge_management.best_update_interval": of(kappa=0.1),
    "knowledge_management.indexed": of(lists=PLACES),
    "knowledge_management.stale_share": of(x=[0.5, 1.0]),
    "knowledge_management.update_cost": of(interval=[0.5, 1.0], kappa=0.1),
    "knowledge_rivals.draw_map": of(
        known=np.array([[0, 0, 1], [1, 1, 2]]),
        entities=["mill", "school", "Docks"],
        relations=["north of", "in"],
        rounds=1,
    ),
    "knowledge_rivals.family": of(couples=1),
    "knowledge_rivals.misread": of(said=PLACES, error=0.5),
    "knowledge_rivals.world": of(name="family", error=0.1, gap=0.1, seed=0),
    "model_budgets.learnt": of(x=torch.zeros(2, 2)),
    "model_budgets.operations_a_step": lambda: {"model": family()},
    **{f"model_families.{name}": lambda: {"mixture": model_families.law(1)} for name in ("centres", "draw")},
    "model_families.evaluations": lambda: {"model": family()},
    "model_families.law": of(),
    "model_families.score_samples": lambda: {"mixture": model_families.law(1)},
    "picture_families.detail": of(images=np.zeros((1, 3, 8, 8))),
    "picture_families.pictures": of(first=0, count=1),
    "picture_families.tuned": of(model="vae"),
    "resource_allocation.best_split": of(),
    "resource_allocation.matching_methods": of(snr_db=np.full((2, 3), 10.0), matching=np.full((2, 3), 0.5)),
    "resource_allocation.split_latency": of(share=[0.0, 0.5]),
    "resource_sweeps.work": of(shape=(2, 3), variability=4.0),
    "semantic_information.code_block": of(rate=0.5, lost=0.1, paraphrased=0.1),
    "semantic_information.partly_heard": of(lost=0.1, paraphrased=0.1),
    "semantic_information.uneven_by_grid": of(lost=0.1, paraphrased=0.1, step=0.25),
    "smart_city.contrast": lambda: {"encoders": encoders(), "city": small_city()},
    "smart_city.embed": lambda: {"encoders": encoders(), "x": small_city().x},
    "smart_city.make_encoders": lambda: {"city": small_city()},
    "smart_city.recall": lambda: {"encoders": encoders(), "city": small_city(), "candidates": 2},
    "smart_city.train": learner,
    "value_rules.best_rule": of(first=0.9, second=1.1, rounds=2),
    "value_rules.rule_table": of(rule="value", first=0.9, second=1.1),
    "wordings.error_of_meaning": of(prior=[0.5, 0.25, 0.25], speaker="careful", lost=0.1),
}
LEARNED = {
    "semcom_for_aigc.fine_tuning.adapted": lambda: {"unet": unet(), "learner": "rank-1", "seed": 0},
    "semcom_for_aigc.fine_tuning.denoising_loss": lambda: {"unet": unet(), "scenes": latents(), "rounds": 1},
    "semcom_for_aigc.fine_tuning.dotted": of(description=SCENE.description),
    "semcom_for_aigc.fine_tuning.fine_tune": lambda: {
        "unet": adapted(),
        "scenes": latents(),
        "rate": 1e-3,
        "seed": 0,
        "steps": 1,
    },
    "semcom_for_aigc.fine_tuning.in_style": of(images=IMAGES),
    "semcom_for_aigc.fine_tuning.latents": of(first=1, count=1, split="train"),
    "semcom_for_aigc.fine_tuning.parameters_of": of(learner="rank-1"),
    "semcom_for_aigc.fine_tuning.randomised": lambda: {"unet": adapted(), "seed": 0},
    "semcom_for_aigc.fine_tuning.rounded": lambda: {"unet": adapted(), "bits": 8},
    "semcom_for_aigc.fine_tuning.sent_parameters": lambda: {"unet": adapted()},
}
SENDING = {
    "semcom_for_aigc.transceiver.asked_labels": of(caption="a red ball on grass"),
    "semcom_for_aigc.transceiver.choose": lambda: {
        "candidates": [SENT],
        "caption": "a red ball on grass",
        "limit": 1,
        "named": NAMED,
    },
    "semcom_for_aigc.transceiver.engineer_prompt": of(caption=SCENE.caption, picture=SCENE, kinds=["segmentation"]),
    "semcom_for_aigc.transceiver.evaluations": of(message=SENT),
    "semcom_for_aigc.transceiver.generate": of(messages=[SENT], named=NAMED),
    "semcom_for_aigc.transceiver.infer": of(received=transceiver.Received(SENT, False), named=NAMED),
    "semcom_for_aigc.transceiver.prompt": of(caption="a red ball on grass", words="things"),
    "semcom_for_aigc.transceiver.receive": lambda: {"delivery": delivery()},
    "semcom_for_aigc.transceiver.send": lambda: {"message": SENT, "link": DigitalLink(None)},
    "semcom_for_aigc.transceiver.transmit": lambda: {
        "caption": SCENE.caption,
        "picture": None,
        "link": DigitalLink(None),
        "limit": 1,
        "seeds": 1,
        "named": NAMED,
    },
    "semcom_for_aigc.transceiver.validate": of(contents=SCENE.image[None], captions=[SCENE.caption], named=NAMED),
}
CASE = {
    "alignment.box_overlaps": of(found=[], labels=["red ball"], boxes=[[1.0, 2.0, 9.0, 9.0]]),
    "alignment.saturation": of(picture=SCENE.image),
    "alignment.sharpness": of(picture=SCENE.image),
    "alignment.subject_place": lambda: {"scene": case_scene(0, 0)},
    "baselines.bytes_within": lambda: {"channel_uses": 30, "link": DigitalLink(None)},
    "baselines.chosen_link": of(channel="awgn"),
    "baselines.fitted_scan": of(picture=SCENE.image, limit=400),
    "case_study.another": of(number=1),
    "case_study.case_scene": of(number=1, view=1),
    "case_study.partner": of(number=1),
    "channel.best_format": of(channel="awgn"),
    "channel.file_over_link": lambda: {"picture": SCENE.image, "link": DigitalLink(None)},
    "channel.file_size": of(file=jpeg(SCENE.image.transpose(1, 2, 0), 50), codec="jpeg"),
    "channel.paper_link": of(channel="awgn"),
    "channel.psnr_db": of(one=SCENE.image, other=SCENE.image),
    "channel.ratio": of(channel_uses=100.0),
    "channel.rows_of": of(picture=SCENE.image),
    "channel.send_prompt": lambda: {"prompt": PLACED, "link": DigitalLink(None)},
    "channel.smallest_file": of(picture=SCENE.image, codec="jpeg", least_db=20.0),
    "channel.squeezed": of(picture=SCENE.image[:, ::4, ::4], limit=20),
    "channel.uses": of(bits=100),
    "conversation.costs": of(number=1, view=1, coding="text"),
    "knowledge.KnowledgeBase": of(name="B"),
    "knowledge.KnowledgeBase.knows": of(number=1, what="picture"),
    "knowledge.KnowledgeBase.told": of(number=1, what="picture", bits=8),
    "knowledge.adapter_bits": of(number=1),
    "knowledge.break_even": of(shared=10.0, saving=2.0),
    "knowledge.picture_bits": of(number=1),
    "knowledge.stored_picture": of(number=1),
    "knowledge.views_bits": of(number=1),
    "message.Prompt": of(caption="a red ball on grass"),
    "message.Prompt.placed": of(labels=["red ball"], boxes=[[0.1, 0.2, 0.5, 0.9]]),
    "message.code_length": of(prompt=SAID),
    "message.pack": of(prompt=SAID),
    "message.unpack": of(data=prompts.pack(SAID)),
    "prompt_link.repeats": of(lost=0.5),
    "psnr_triples.redrawn": of(description=SCENE.description),
    "psnr_triples.triple": of(seed=1, third="any"),
    "receivers.with_word": of(prompt=SAID, word="sks"),
    "schemes.personal_caption": of(prompt=SAID),
    "schemes.steered_by": of(prompt=SAID, knowledge=receiver_b()),
    "schemes.with_identifier": of(prompt=PLACED, identifier=2, box=[1.0, 2.0, 9.0, 9.0]),
}
CHOICE = {"value": [[0.9, 0.9], [0.2, 0.8]], "bits": [100.0, 300.0], "weights": [0.5, 0.5]}
STAGES = {"captioner": 0.1, "text encoder": 0.1, "decoder": 0.1, "step": 0.1}
WORKFLOW = {
    "denoising.as_state": of(received=torch.zeros(2, 4), variance=1.0),
    "denoising.denoise": of(epsilon=lambda z, t: z, received=torch.zeros(2, 4), variance=1.0),
    "denoising.linear_estimate": lambda: {
        "law": GaussianModel(torch.zeros(4), 1.0),
        "received": torch.zeros(2, 4),
        "variance": 1.0,
    },
    "denoising.transmit": of(latents=torch.ones(2, 4), channel="awgn", pilots=4),
    "feedback.own_score": of(found=[], labels=["red ball"], boxes=[[1.0, 2.0, 9.0, 9.0]]),
    "feedback.rounds": of(policy="chance", unknown=[[0.1], [0.2]], known=[[0.3], [0.4]], reported=[[0.5], [0.6]]),
    "latency.break_even_hz": of(computed=0.5, channel_uses=100.0, file_uses=900.0),
    "latency.prompt_seconds": of(stages=STAGES, channel_uses=100.0, bandwidth_hz=1e3, steps=2),
    **{f"noise_estimate.{name}": of(pilots=4) for name in ("pilot_symbols", "db_spread")},
    "noise_estimate.estimate_noise": of(received=np.array([[1.0, -1.0]]), pilots=np.array([1.0, -1.0])),
    "noise_estimate.fisher_information": of(variance=0.5, energy=4.0, pilots=4),
    "noise_estimate.noise_from_power": of(received=np.array([[1.0, -1.0]])),
    "noise_estimate.pilots_needed": of(error_db=3.0),
    "noise_estimate.send_pilots": of(pilots=4, blocks=2, channel="awgn"),
    "noise_estimate.within_db": of(pilots=4, error_db=3.0),
    "prompt_selection.best_table": of(**CHOICE, budget=200.0),
    "prompt_selection.confusion": of(levels=[0.0, 0.3], pilots=4),
    "prompt_selection.majority": of(captions=["a red ball on grass"]),
    "prompt_selection.misread": of(text="a red ball on grass", noise=0.5),
    "prompt_selection.mixed": of(**CHOICE, budget=200.0, one=0, other=1),
    "prompt_selection.score": of(found=[], labels=["red ball"], boxes=[[1.0, 2.0, 9.0, 9.0]], question="what"),
    "prompt_selection.set_bits": of(scene=SCENE, name="caption"),
    "prompt_selection.table_value": of(table=[0, 1], **CHOICE),
}
CAMPUS = {
    "budget_uses": of(budget=4),
    "campus_scene": of(seed=1, kind="near"),
    "depth_from": of(pictures=np.stack([SCENE.image] * 2), cameras=(toyworld.Camera(), toyworld.Camera(0.5))),
    "latents_of": of(pictures=SCENE.image[None]),
    "payload_bits": of(uses=600, pictures=2),
    "pictures_of": of(latents=np.zeros((1, 16, 8, 8))),
    "rendered_for": of(
        user=toyworld.Camera(0.1), pictures=SCENE.image[None], depths=[SCENE.depth], cameras=[toyworld.Camera()]
    ),
    "send_latents": of(latents=np.zeros((1, 16, 8, 8)), bits=np.ones(1024, int), seed=1),
    "viewpoints": of(seed=1),
    "watched_cells": of(box=(0, 0, 8, 17)),
}
#: A bench of two schemes and four pictures of two groups.
BENCH = comparison.Table(
    ("caption", "WebP 50"),
    np.array([[10.0, 100.0]] * 4),
    np.ones((4, 2)),
    {name: np.array([[0.1, 0.9], [0.5, 0.6], [0.2, 0.9], [0.6, 0.4]]) for name in measures.UNITS},
    np.array([0, 0, 1, 1]),
)
FILE = schemes.FileScheme("jpeg", 5)
FILED = bench.Arrival(FILE.encode(SCENE.image, bench.Knowledge()).bits)
SMALL = schemes.ThumbnailScheme(12)
THUMBED = bench.Arrival(SMALL.encode(SCENE.image, bench.Knowledge()).bits)
CHOICE_OF_SCHEME = {"table": BENCH, "question": "things", "budget": 60.0}
#: Schemes that run no network of diffusion.
CHEAP = ("FileScheme", "LearnedScheme", "ThumbnailScheme")
SIGNALS = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.5]]


@cache
def questioned():
    return measures.Asked([SCENE], [None])


BOOK = {
    "bench.Packet": of(bits=[1, 0, 1], symbols=np.array([1.0, 1j])),
    "bench.Packet.of_bytes": of(data=b"ab"),
    "bench.Arrival": of(bits=[1, 0, 1], symbols=np.array([1.0, 1j]), snr_db=10.0),
    "bench.carried": lambda: {"message": bench.Packet([1, 0] * 20), "knowledge": bench.Knowledge()},
    "bench.transmit": of(scheme=FILE, picture=SCENE.image, knowledge=bench.Knowledge()),
    "choosing.best_within": of(**CHOICE_OF_SCHEME),
    "choosing.chosen_by_learning": of(**CHOICE_OF_SCHEME, known=SIGNALS),
    "choosing.front": of(uses=[10.0, 20.0], quality=[0.5, 0.9]),
    "choosing.gains": of(**CHOICE_OF_SCHEME, known=SIGNALS),
    "choosing.lead": of(**CHOICE_OF_SCHEME, ours=("caption",), theirs=("file",)),
    "choosing.oracle": of(**CHOICE_OF_SCHEME),
    "comparison.Table.by_group": of(values=np.arange(4.0)),
    "comparison.Table.column": of(name="caption"),
    "comparison.Table.interval": of(question="things", name="caption"),
    "comparison.Table.only": of(rows=np.array([True, True, False, True])),
    **{f"comparison.Table.{name}": of(question="things") for name in ("asked", "mean")},
    "comparison.knowledge_of": lambda: {"scene": case_scene(0, 0), "number": 0, "seed": 1},
    **{f"link.{name}": of(bits=100, channel="awgn") for name in ("best_format", "limit")},
    "link.block_loss": of(payload_bits=100, chosen=Format(2, 1 / 2), channel="awgn"),
    "link.fate": of(bits=100, chosen=Format(2, 1 / 2), channel="awgn"),
    "measures.Asked": of(scenes=[SCENE], numbers=[4]),
    "measures.Asked.answer": of(pictures=SCENE.image[None]),
    "measures.features": of(pictures=SCENE.image[None]),
    "schemes.FileScheme": of(codec="jpeg", quality=5),
    "schemes.InvertedScheme": of(planes=1),
    "schemes.LearnedScheme": of(role="witt-low"),
    "schemes.MappedScheme": of(kind="canny", factor=1),
    "schemes.PromptScheme": of(scheme="NI"),
    "schemes.SplitScheme": of(split=10),
    "schemes.ThumbnailScheme": of(limit=12),
    **{f"schemes.{name}.encode": of(picture=SCENE.image, knowledge=bench.Knowledge()) for name in CHEAP},
    "schemes.FileScheme.decode": of(received=FILED, knowledge=bench.Knowledge()),
    "schemes.ThumbnailScheme.decode": of(received=THUMBED, knowledge=bench.Knowledge()),
    "schemes.LearnedScheme.decode": of(received=bench.Arrival((), np.ones(64), 10.0), knowledge=bench.Knowledge()),
}
CALLS = {
    **{f"book.{name}": call for name, call in BOOK.items()},
    **{f"isgc.coordination.{name}": call for name, call in CAMPUS.items()},
    **{f"isgc.{module}.search_space": of(method="ppo") for module in ("equal_effort", "learning")},
    "isgc.learning.evaluate": lambda: {
        "decide": lambda o: np.zeros((len(o), 3)),
        "env": scenario.BatchIsgcEnv(1, np.random.default_rng(0)),
        "states": STATES,
    },
    "isgc.learning.held_out_states": of(n=2),
    **{f"aigc_scm.{name}": call for name, call in (CASE | WORKFLOW).items()},
    "book.costs.total_seconds": of(encode_s=0.5, air_uses=100.0, decode_s=1.0, symbol_rate=1e3),
    "isgc.scenario.BatchIsgcEnv": of(n=2, rng=np.random.default_rng(0)),
    "isgc.scenario.BatchIsgcEnv.execute": of(states=STATES, action=np.zeros((2, 3))),
    "isgc.scenario.BatchIsgcEnv.step": of(action=np.zeros((2, 3))),
    "isgc.scenario.IsgcEnv.step": of(action=np.zeros(3)),
    "isgc.scenario.bandwidth_from_action": of(action=np.zeros((2, 3)), bandwidth=10.0),
    "isgc.scenario.observe": of(states=STATES),
    **{f"isgc.scenario.{name}": of(states=STATES) for name in ("allocation_problem", "computation_times")},
    **{f"isgc.scenario.{name}": of(states=STATES) for name in ("latency_budget", "spectral_rates")},
    **{
        f"isgc.scenario.{name}": of(states=STATES, allocation=np.full((2, 3), 3.0))
        for name in ("reward", "share_of_optimum", "utility")
    },
    "foundations.digital_link.jpeg_that_fits": lambda: {
        "picture": np.linspace(0, 1, 48).reshape(4, 4, 3),
        "link": DigitalLink(None),
        "channel_uses": 100_000,
    },
    "foundations.digital_link.photograph": of(name="coffee"),
    "semcom_for_aigc.allocation.agent_settings": of(form="flat", rate=1e-3),
    "semcom_for_aigc.allocation.channel_uses": of(bits=BITS),
    "semcom_for_aigc.allocation.many_services": of(quality=np.full((3, 2, 4), 0.5), bits=BITS[:, :4], services=2),
    "semcom_for_aigc.allocation.settled_after": of(rewards=[0.0, 0.0, 1.0, 1.0, 1.0], window=2),
    "semcom_for_aigc.allocation.train_agent": of(
        name="branching", quality=np.full((3, 2, 4), 0.5), bits=BITS[:, :4], budget=40, seed=0, decisions=2
    ),
    "semcom_for_aigc.allocation.value_of": of(choice=[0, 1], quality=[[0.1, 0.9], [0.2, 0.8]]),
    "semcom_for_aigc.control.map_agreement": lambda: {
        "pipeline": Pipeline(),
        "kind": "canny",
        "scenes": [SCENE, SCENE],
        "steps": 1,
    },
    **LEARNED,
    "semcom_for_aigc.measures.ground_of": of(picture=SCENE.image, covered=np.zeros((64, 64), bool)),
    "semcom_for_aigc.measures.jpeg_bits": of(picture=SCENE.image),
    "semcom_for_aigc.measures.meaning_bits": of(said=toyworld.parse_caption("a red ball on sand")),
    "semcom_for_aigc.measures.overlap": of(found=[], labels=SCENE.labels, boxes=SCENE.boxes),
    "semcom_for_aigc.measures.structure": of(
        one=SCENE.image, other=SCENE.image, masks={"rest": np.ones((64, 64), bool)}
    ),
    "semcom_for_aigc.message.Message": of(caption="a red ball on grass"),
    "semcom_for_aigc.message.Message.of": of(caption="a red ball on grass", semantic_map=MAP),
    "semcom_for_aigc.message.blocks": of(message=SENT),
    "semcom_for_aigc.message.byte_table": of(message=SENT),
    "semcom_for_aigc.message.caption_words": of(caption="a red ball on grass"),
    "semcom_for_aigc.message.decode_words": of(data=message.encode_words("a red ball on grass")),
    "semcom_for_aigc.message.encode_words": of(caption="a red ball on grass"),
    "semcom_for_aigc.message.head_alone": of(head=message.blocks(SENT)[0]),
    "semcom_for_aigc.message.pack": of(message=SENT),
    "semcom_for_aigc.message.unpack": of(data=message.pack(SENT)),
    "semcom_for_aigc.personalisation.wishes": of(message=SENT),
    "semcom_for_aigc.precision.empty_words": of(words=3),
    "semcom_for_aigc.precision.phrases": of(description=THREE, length=2),
    "semcom_for_aigc.quality.choose_pair": of(table=TABLE, metric="ssim"),
    "semcom_for_aigc.quality.first_clear_drop": of(
        measure=[[1.0, 0.9, 0.1], [1.0, 0.8, 0.2]], floor=[0.0, 0.0], factors=(1, 2, 3)
    ),
    "semcom_for_aigc.quality.linearity": of(quality=[1.0, 0.75, 0.5], factors=(1, 2, 3)),
    "semcom_for_aigc.scenario.pictures": lambda: {
        "pipeline": Pipeline(),
        "captions": ["a red ball on grass"],
        "maps": None,
        "seeds": [1],
    },
    "semcom_for_aigc.scenario.semantic_map": of(extractor="canny", networks={}),
    **SENDING,
    **{f"gai_semcom_networks.{name}": call for name, call in SURVEY.items()},
    **{f"semaigc_root.{name}": call for name, call in ROOT.items()},
    "semcom_for_aigc.validation.study_scene": of(seed=1),
}
CALLS = {f"papers.{name}": call for name, call in CALLS.items()}
INSTANCES = {
    "papers.book.comparison.Table": lambda: BENCH,
    "papers.book.measures.Asked": questioned,
    "papers.book.schemes.FileScheme": lambda: FILE,
    "papers.book.schemes.LearnedScheme": lambda: schemes.LearnedScheme("witt-low"),
    "papers.book.schemes.ThumbnailScheme": lambda: SMALL,
    "papers.aigc_scm.knowledge.KnowledgeBase": receiver_b,
    "papers.isgc.scenario.BatchIsgcEnv": lambda: scenario.BatchIsgcEnv(2, np.random.default_rng(0)),
    "papers.isgc.scenario.IsgcEnv": started,
    "papers.semaigc_root.scenario.RootConstants": lambda: CONSTANTS,
    "papers.semaigc_root.scenario.RootEnv": root_env,
}
