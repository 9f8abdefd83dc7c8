"""One good call of every public function, for `test_bad_inputs`: by its own name, or by the names of its arguments."""

import shutil
import tempfile
from functools import cache, partial
from pathlib import Path

import bad_inputs_papers
import numpy as np
import torch

from semcom_utils import toyworld
from semcom_utils.control.branching import BranchingNetwork
from semcom_utils.control.d3qn import D3qnSettings, DuelingNetwork
from semcom_utils.control.diffusion_policy import DiffusionPolicy, MlpPolicy, Training, TwinCritic
from semcom_utils.control.joint_choice import JointChoiceEnv
from semcom_utils.control.library_agents import BatchVecEnv, library_agent
from semcom_utils.control.replay import Replay
from semcom_utils.generation import families, load
from semcom_utils.generation.gaussian import GaussianMixture, GaussianModel
from semcom_utils.generation.jscc import DeepJscc
from semcom_utils.generation.judging import Detection, Judge
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.generation.training.tokens import clip_tokenizer
from semcom_utils.generation.views import View
from semcom_utils.ledger import load_claims
from semcom_utils.paths import CLAIMS, ROOT
from semcom_utils.physical import AnalogLink, DigitalLink
from semcom_utils.semantic import codecs, embedding, knowledge, rules
from semcom_utils.semantic.extractors import extract
from semcom_utils.semantic.information import arithmetic_encode
from semcom_utils.semantic.map_coding import encode_map, encode_pose
from semcom_utils.studies import catalogue
from semcom_utils.toyworld.grammar import Word
from semcom_utils.toyworld.maps import control_array
from semcom_utils.toyworld.scene import Camera, Thing

#: Modules of the trainer whose functions nobody but its command calls; those of `controlnet` are named below.
TRAINER = ("autoencoder", "captioner", "card", "clip", "data", "detector", "jscc", "loop", "maps", "receiver")
TRAINER += ("grounded", "identity", "subject", "subject_autoencoder", "text_to_image", "timed", "tokens", "witt")
#: Modules and functions that are not called here, and why; what is below them is left out, too.
EXEMPT = {
    "checks": "what others are checked by; tests/test_tools.py tries them",
    "control.diffusion_policy.BatchEnv": "a protocol: tried by what follows it",
    "control.library_agents.BatchVecEnv.env_method": "refuses every call, as it says",
    "control.library_agents.BatchVecEnv.set_attr": "refuses every call, as it says",
    **{
        f"generation.training.{part}": "the trainer's own part, which nobody but its command calls"
        for part in (*TRAINER, "controlnet.ControlMaps", "controlnet.ControlNetRecipe")
    },
    **{
        f"generation.grounding.{part}": "looks into a network that its caller made; tests/test_grounding.py tries it"
        for part in ("Grounded", "gated_unet", "gates", "new_layers", "phrase_features", "picture_latents")
    },
    **{
        f"generation.eight_bits.{part}": "takes a network's weights by name; tests/test_eight_bits.py tries it"
        for part in ("from_eight_bits", "to_eight_bits")
    },
    "generation.grounding.without_gates": "a context of a network that its caller made; tests/test_grounding.py",
    **{
        f"papers.aigc_scm.{part}": "runs networks for seconds; tests/test_aigc_scm.py tries it"
        for part in (
            "alignment.Seen",
            "alignment.attributes",
            "alignment.measure",
            "alignment.object_alignment",
            "schemes.extract",
            "schemes.extract_all",
            "schemes.noise",
            "schemes.reconstruct",
        )
    },
    **{
        f"papers.aigc_scm.{part}": "runs networks for seconds; tests/test_aigc_scm_workflow.py tries it"
        for part in (
            "denoising.latents_of",
            "denoising.training_law",
            "latency.drawn",
            "latency.stage_seconds",
            "prompt_selection.drawn",
            "prompt_selection.study_scenes",
        )
    },
    "papers.book.bench.Scheme": "abstract: tried by its kinds",
    **{
        f"papers.book.schemes.{kind}.{part}": "runs networks for seconds; tests/test_book_bench.py tries it"
        for kind in ("InvertedScheme", "MappedScheme", "PromptScheme", "SplitScheme")
        for part in ("encode", "encode_all", "decode", "decode_all")
    },
    "ledger.verdicts.update_ledger": "writes into data/claims; tests/test_ledger.py tries what it refuses",
    "papers.gai_semcom_networks.transceiver_curves.Painter": "draws for seconds; tests/test_transceiver.py tries it",
    "papers.semaigc_root.pixels.denoised": "runs networks for seconds; tests/test_semaigc_root_studies.py tries it",
    "prose.glue": "hands any object on to the notebook",
    "studies.runner.run_study": "starts a study; tests/test_studies.py tries what it refuses",
    "studies.runner.summarise_again": "writes into data/results; tests/test_studies.py tries what it refuses",
    "semantic.embedding.Scorer": "a protocol: tried by what follows it",
    "generation.jscc.JointCode.load": "abstract: tests/test_whole_checkpoints.py tries it by its kinds",
    "generation.families.Family": "abstract: tried by its kinds",
}
#: Doors some of whose bad inputs still end in another error, and which: each is an expected failure.
LEFT: dict[str, str] = {}
ALPHA_BAR = torch.linspace(0.99, 0.01, 20, dtype=torch.float64)
SCENE = toyworld.scene(4)
ROBOT = next(s for s in (toyworld.scene(seed) for seed in range(50)) if len(s.keypoints))
PICTURE = np.linspace(0, 1, 8 * 8 * 3).reshape(8, 8, 3)
BATCH = torch.linspace(0, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
CHANNEL = [[0.9, 0.1], [0.1, 0.9]]
INTERVAL = {"estimate": 2.0, "low": 1.5, "high": 4.0}
PIXELS = np.linspace(-1.0, 1.0, 9).reshape(3, 3)
TRIPLES = [[0, 0, 1], [1, 0, 2], [2, 1, 0]]
POSE = np.full((1, 14, 3), 10)
VIEW = View(np.zeros((3, 8, 8)), np.full((8, 8), 0.5), np.ones((8, 8), bool))


@cache
def model(role):
    return load(role)


@cache
def claim():
    return next(one for one in load_claims("isgc") if one.checks)


@cache
def ledger():
    """A ledger of one paper, which is soon read."""
    made = Path(tempfile.mkdtemp())
    shutil.copy(CLAIMS / "aigc_scm.yml", made)
    return made


@cache
def folder():
    """A checkpoint of one small file with its sums."""
    from semcom_utils.generation.checksums import seal

    made = Path(tempfile.mkdtemp())
    (made / "config.json").write_text("{}")
    seal(made)
    return made


def generator():
    return torch.Generator().manual_seed(0)


def rng():
    return np.random.default_rng(0)


def gaussian():
    return GaussianModel(torch.zeros(2, dtype=torch.float64), 0.5)


def mixture():
    return GaussianMixture([0.5, 0.5], [gaussian(), GaussianModel(torch.ones(2, dtype=torch.float64), 0.5)])


def start():
    return embedding.initial(3, 2, 2, generator())


def facts():
    return knowledge.graph_of([knowledge.Triple("ball-1", "has-colour", "red")])


def versions():
    made = knowledge.VersionedGraph()
    made.commit(facts(), "one")
    made.commit(knowledge.graph_of([]), "two")
    return made


def zero(x, t=None, *more):
    return torch.zeros_like(x)


class Epsilon:
    """A denoiser of nothing, with all that a receiver asks of one."""

    prediction = "epsilon"
    __call__ = predict = staticmethod(zero)


class Env:
    """An environment of two steps."""

    def __new__(cls):
        import gymnasium

        class Two(gymnasium.Env):
            observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))
            action_space = gymnasium.spaces.Discrete(2)

            def reset(self, *, seed=None, options=None):
                super().reset(seed=seed)
                self.left = 2
                return np.zeros(2, np.float32), {}

            def step(self, action):
                self.left -= 1
                return np.zeros(2, np.float32), 1.0, self.left == 0, False, {}

        return Two()


class Copies:
    """What steps two copies of next to nothing at once."""

    n, observation_size, action_size = 2, 3, 1

    def reset(self):
        return np.zeros((2, 3), np.float32)

    def step(self, action):
        return self.reset(), np.zeros(2), np.ones(2, bool), np.ones(2, bool)


QUALITY = [[[0.1, 0.9], [0.2, 0.8]], [[0.3, 0.7], [0.2, 0.6]]]


def joint_env():
    env = JointChoiceEnv(QUALITY, [[1, 5], [1, 4]], 8)
    env.reset(seed=0)
    return env


@cache
def public_segmentation():
    """The full tier's classes on networks of a few random numbers: what they find is nothing, how they fail is seen."""
    import transformers as tr

    from semcom_utils.generation.loading import PublicSegmentation

    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = tr.ConvNextConfig(num_stages=4, hidden_sizes=[4, 8, 8, 8], depths=[1] * 4, out_features=stages)
    config = tr.UperNetConfig(
        backbone_config=backbone,
        hidden_size=8,
        pool_scales=[1, 2],
        auxiliary_in_channels=8,
        auxiliary_channels=8,
        num_labels=150,
    )
    processor = tr.SegformerImageProcessorPil(size={"height": 64, "width": 64})
    return PublicSegmentation(tr.UperNetForSemanticSegmentation(config).eval(), processor)


@cache
def public_pose():
    import transformers as tr

    from semcom_utils.generation.loading import PublicPose

    tower = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    backbone = tr.VitPoseBackboneConfig(image_size=[32, 24], patch_size=[8, 8], **tower, out_indices=[1])
    network = tr.VitPoseForPoseEstimation(tr.VitPoseConfig(backbone_config=backbone, num_labels=17)).eval()
    return PublicPose(network, tr.VitPoseImageProcessorPil(size={"height": 32, "width": 24}))


#: Name of an argument -> how a good value is made; a function's own are in CALLS.
VALUES = {
    "generator": generator,
    "rng": rng,
    "snr_db": lambda: 10.0,
    "channel": lambda: CHANNEL,
    "x": lambda: torch.zeros(3, 2),
    "x_t": lambda: torch.zeros(3, 2, dtype=torch.float64),
    "n": lambda: 3,
    "parameters": lambda: 500,
    "dimension": lambda: 2,
    "alpha_bar": lambda: ALPHA_BAR,
    "alpha_bar_t": lambda: 0.5,
    "alpha_bar_s": lambda: 0.7,
    "epsilon": lambda: torch.zeros(3, 2, dtype=torch.float64),
    "values": lambda: [1.0, 2.0, 4.0, 3.0, 5.0],
    "level": lambda: 0.9,
    "intervals": lambda: [INTERVAL],
    "p": lambda: [0.5, 0.25, 0.25],
    "meanings": lambda: [0, 0, 1],
    "load": lambda: 0.5,
    "rates": lambda: [[1.0, 2.0], [2.0, 1.0], [1.0, 1.0]],
    "budgets": lambda: [3.0, 3.0],
    "station": lambda: [0, 1, 1],
    "latency_loads": lambda: [[1.0, 2.0]],
    "bandwidth": lambda: [10.0],
    "allocation": lambda: [[5.0, 5.0]],
    "latency_budget": lambda: [2.0],
    "price_rates": lambda: [[1.0, 1.0]],
    "quality": lambda: [[0.1, 0.9], [0.2, 0.8]],
    "bits": lambda: [[1, 5], [1, 4]],
    "budget": lambda: 8,
    "images": lambda: BATCH,
    "texts": lambda: ["a red ball on grass"],
    "picture": lambda: PICTURE,
    "triples": lambda: TRIPLES,
    "known": lambda: TRIPLES,
    "kind": lambda: "depth",
    "description": lambda: SCENE.description,
    "name": lambda: "x",
    "change": lambda: 0.2,
    "success": lambda: 0.5,
    "observations": lambda: np.zeros((3, 2)),
    "visited": lambda: [15, 10, 5],
    "graph": facts,
    "old": lambda: 0,
    "new": lambda: 1,
    "version": lambda: 0,
    "z": lambda: torch.zeros(1, model("text-to-image").unet.config.in_channels, 8, 8),
    "t": lambda: 5.0,
    "folder": folder,
    "sent": lambda: control_array(SCENE, "depth"),
    "found": lambda: control_array(SCENE, "depth"),
    "scene": lambda: SCENE,
    "said": lambda: SCENE.description,
}
LAYERS = {"inputs": 2, "outputs": 2, "hidden": 4}
COEFFICIENTS = {"alpha_t": 0.9, "alpha_bar_t": 0.5, "alpha_bar_prev": 0.55, "sigma2_prev": 0.1, "sigma2_step": 0.05}


def of(**values):
    return lambda: dict(values)


def branching():
    return BranchingNetwork(1, 2, 2, 4)


def network():
    return DuelingNetwork(2, 2, 4)


def policy():
    return DiffusionPolicy(3, 1, steps=2, width=4)


def critic():
    return TwinCritic(3, 1, width=4)


@cache
def ppo():
    return library_agent("ppo", Copies(), 0, width=4, n_steps=2, batch_size=4, n_epochs=1)


SMALL_DQN = D3qnSettings(hidden=4, batch=2, warm_up=2, replay=4)
CALLS = {
    **bad_inputs_papers.CALLS,
    "control.association.message_rates": of(matching=[[1.0, 0.5]], snr_db=[[10.0, 5.0]], bits_per_message=8.0),
    "control.association.messages": of(bandwidth=[1.0, 1.0, 1.0]),
    "control.branching.BranchingNetwork": of(inputs=1, services=2, options=2, hidden=4),
    "control.branching.BranchingNetwork.forward": of(x=torch.zeros(3, 1)),
    "control.branching.head_values": lambda: {"network": branching(), "observation": np.ones(1)},
    "control.branching.independent": of(values=np.ones((2, 3)), observation=np.ones(1)),
    "control.branching.train_branching": lambda: {"env": joint_env(), "episodes": 1, "seed": 0},
    "control.d3qn.DuelingNetwork": of(inputs=2, actions=2, hidden=4),
    "control.d3qn.double_target": lambda: {
        "network": network(),
        "target": network(),
        "r": torch.zeros(3),
        "x_next": torch.zeros(3, 2),
        "ended": torch.zeros(3),
        "discount": 0.9,
    },
    "control.d3qn.greedy": lambda: {"network": network()},
    "control.d3qn.train_d3qn": lambda: {"env": Env(), "episodes": 1, "seed": 0},
    **{
        f"control.diffusion_policy.{name}": of(observation_size=3, action_size=1, width=4)
        for name in ("DiffusionPolicy", "MlpPolicy", "TwinCritic")
    },
    "control.diffusion_policy.DiffusionPolicy.forward": lambda: {
        "observation": torch.zeros(2, 3),
        "generator": generator(),
    },
    "control.diffusion_policy.MlpPolicy.forward": of(observation=torch.zeros(2, 3)),
    "control.diffusion_policy.TwinCritic.forward": of(observation=torch.zeros(2, 3), action=torch.zeros(2, 1)),
    "control.diffusion_policy.act": lambda: {"policy": policy(), "observation": np.zeros((2, 3))},
    "control.diffusion_policy.batch_env": of(name="value", value=Copies()),
    "control.diffusion_policy.initialised": of(build=torch.nn.Identity, seed=0),
    "control.diffusion_policy.train": lambda: {
        "policy": policy(),
        "critic": critic(),
        "env": Copies(),
        "settings": Training(updates=1, batch_size=2),
    },
    "control.diffusion_policy.vp_schedule": of(steps=3),
    "control.library_agents.BatchVecEnv": of(batch=Copies()),
    "control.library_agents.BatchVecEnv.env_is_wrapped": of(wrapper_class=object),
    "control.library_agents.BatchVecEnv.get_attr": of(attr_name="n"),
    "control.library_agents.BatchVecEnv.step_async": of(actions=np.zeros((2, 1))),
    "control.library_agents.library_agent": of(name="ppo", env=Copies(), seed=0, width=4),
    "control.library_agents.library_dqn": lambda: {"env": Env(), "seed": 0, "settings": SMALL_DQN},
    "control.library_agents.train_library_agent": lambda: {"agent": ppo(), "steps": 1},
    "control.joint_choice.JointChoiceEnv": of(quality=QUALITY),
    "control.joint_choice.JointChoiceEnv.choice": of(action=np.array([0, 1])),
    "control.joint_choice.JointChoiceEnv.step": of(action=np.array([0, 1])),
    "control.joint_choice.bit_budget": of(uses=10),
    "control.joint_choice.joint_values": of(quality=QUALITY),
    "control.joint_choice.variance_split": of(quality=QUALITY, choice=[0, 1], explore=0.1),
    "control.queueing.departures": of(arrivals=[0.0, 1.0, 5.0], service=[2.0, 2.0, 1.0]),
    "control.queueing.priority_waits": of(loads=(0.3, 0.3), means=(1.0, 1.0)),
    "control.replay.Replay": of(capacity=4, observation_size=2),
    "control.replay.Replay.add": of(
        observation=[[0.0, 1.0]], action=[1], reward=[0.5], next_observation=[[1.0, 0.0]], done=[False]
    ),
    "control.replay.Replay.take": of(rows=[0, 1]),
    "effectiveness.age.age_penalty": of(age=[1.0, 2.0], growth=1.1),
    "effectiveness.age.average_age": of(generated=[0.0, 1.0], received=[0.5, 1.5], start=0.5, end=2.0),
    "effectiveness.age.error_by_age": of(threshold=3, change=0.2, success=0.5),
    "effectiveness.age.simulate_queue": of(load=0.5, updates=10),
    **{
        f"effectiveness.picture_metrics.{name}": of(metric="ssim", one=SCENE.image, other=SCENE.image)
        for name in ("normalised", "raw_metric")
    },
    "effectiveness.picture_metrics.picture_quality": of(one=SCENE.image, other=SCENE.image),
    "generation.arithmetic.operations": of(work=int),
    "generation.checksums.seal": of(folder=folder()),
    **{
        f"generation.families.{name}.{method}": values
        for name in ("Adversarial", "Autoregressive", "CouplingFlow", "Diffusion", "VariationalAutoencoder")
        for method, values in {"build": of(parameters=500), "sample": of(n=3)}.items()
    },
    "generation.families.Autoregressive.logits": of(before=None, i=0, n=3),
    "generation.families.CouplingFlow.coefficients": of(k=0, x=torch.zeros(3, 2)),
    "generation.families.Diffusion.epsilon": of(t=5, x_t=torch.zeros(3, 2)),
    "generation.families.fit": lambda: {
        "model": families.make("autoregressive", 2, generator(), parameters=200),
        "draw": lambda n, g: torch.randn(n, 2, generator=g),
        "steps": 1,
        "batch": 4,
    },
    "generation.families.make": of(name="autoregressive"),
    "generation.families.mlp": of(**LAYERS),
    "generation.families.width": of(inputs=2, outputs=2, parameters=500),
    "generation.gaussian.GaussianMixture": lambda: {"weights": [0.5, 0.5], "components": [gaussian(), gaussian()]},
    "generation.gaussian.GaussianModel": of(mean=torch.zeros(2), covariance=0.5),
    "generation.gaussian.GaussianModel.low_rank": of(mean=torch.zeros(2), factor=torch.ones(2, 1), variance=0.1),
    "generation.gaussian.GaussianModel.sampler_law": of(alpha_bar=[0.1, 0.5, 0.9]),
    "generation.gaussian.frechet_distance": lambda: {"a": gaussian(), "b": gaussian()},
    "generation.grounding.check_boxes": of(labels=["red ball"], boxes=[[0.1, 0.2, 0.5, 0.9]], limit=3),
    "generation.grounding.named": of(label="orange dog"),
    "generation.identity.Identity.__call__": of(images=BATCH),
    "generation.identity.windows": of(images=BATCH, boxes=[[0.0, 0.0, 0.5, 0.5]], side=4),
    "generation.judging.Judge": lambda: {"detector": model("detector")},
    "generation.judging.Judge.right": of(asked=[["red ball"]]),
    "generation.judging.box_overlap": of(one=(0, 0, 2, 2), other=(1, 0, 3, 2)),
    "generation.judging.one_claim_each": of(claims=[Detection("red ball", 0.9, (0.0, 0.0, 2.0, 2.0))]),
    "generation.loading.Captioner.__call__": of(images=BATCH, max_new_tokens=1),
    "generation.loading.PublicPose.__call__": of(images=BATCH, boxes=[[(2.0, 2.0, 12.0, 14.0)]]),
    "generation.loading.load": of(role="soft-edges"),
    "generation.loading.memory_plan": of(free_bytes=10**10),
    "generation.parsing.figures": of(probability=np.full((14, 16, 16), 0.1)),
    "generation.parsing.parse": lambda: {"model": model("pose").model, "x": torch.zeros(1, 3, 16, 16)},
    "generation.prompted.PromptedDenoiser": lambda: {
        "pipeline": model("text-to-image"),
        "prompts": ["a red ball on grass"],
    },
    "generation.roles.recipe_class": of(checkpoint="clip"),
    "generation.samplers.guide": of(unconditional=torch.zeros(3), conditional=torch.ones(3), scale=2.0),
    "generation.samplers.sample": of(epsilon=zero, x_T=torch.zeros(3, 2, dtype=torch.float64)),
    "generation.samplers.timesteps": of(training=100, steps=5),
    "generation.schedules.add_noise": of(x_0=torch.zeros(3, 2), epsilon=torch.zeros(3, 2), alpha_bar=0.5),
    "generation.schedules.alphas_cumprod": of(steps=20),
    "generation.schedules.convert": of(
        value=torch.zeros(3, 2), x_t=torch.zeros(3, 2), alpha_bar=0.5, have="epsilon", want="x0"
    ),
    "generation.schedules.per_picture": of(value=0.5, x=torch.zeros(3, 2)),
    "generation.schedules.signal_to_noise": of(alpha_bar=0.5),
    "generation.split.level_at": of(timestep=3.0),
    "generation.split.matched_timestep": of(timestep=3.0, noise_variance=0.1),
    "generation.split.printed_noise_coefficient": of(
        **{k: v for k, v in COEFFICIENTS.items() if k != "alpha_bar_prev"}
    ),
    "generation.split.semantic_noise_coefficient": of(
        **{k: v for k, v in COEFFICIENTS.items() if k != "alpha_bar_prev"}
    ),
    "generation.split.reverse_step": of(**{k: v for k, v in COEFFICIENTS.items() if k != "alpha_bar_t"}),
    "generation.split.receive": lambda: {
        "epsilon": Epsilon(),
        "received": torch.zeros(3, 2, dtype=torch.float64),
        "noise_variance": 0.1,
        "predictor": "plain",
    },
    "generation.split.send": of(epsilon=zero, z_T=torch.zeros(3, 2, dtype=torch.float64), steps=2),
    "generation.training.controlnet.silenced": of(model=torch.nn.Linear(1, 1)),
    "generation.words.known_words": lambda: {"tokenizer": clip_tokenizer()},
    "generation.words.unknown_words": of(known=["a", "red"], texts=["a red bal"]),
    "generation.words.watched": lambda: {"tokenizer": clip_tokenizer()},
    **{
        f"ledger.{name}": of(folder=ledger())
        for name in ("claims.load_ledger", "render.scoreboard", "verdicts.check_ledger", "verdicts.ledger_notes")
    },
    "ledger.claims.load_claims": of(paper="isgc"),
    "ledger.claims.parse_yaml": of(text="a: 1"),
    "ledger.errata.errata_numbers": of(paper="isgc"),
    "ledger.findings.filled": of(
        sentence="It is {x:.2f}.",
        numbers={"x": "isgc/by_hand.json#/summary/diffusion/share/estimate"},
        where="a page",
        results_dir=None,
    ),
    "ledger.errata.errata_prose": of(paper="isgc"),
    "ledger.errata.fill": of(template=folder() / "config.json", numbers={"a": 1.0}),
    "ledger.precedence.precedence_faults": lambda: {"claim": claim(), "results": {}, "renamed": {}, "root": ROOT},
    "ledger.precedence.precedence_notes": of(results={}, root=ROOT),
    "ledger.render.claims_table": of(paper="isgc"),
    "ledger.render.slug": of(verdict_name="reproduced"),
    "ledger.render.verdict_box": lambda: {"claim_id": claim().id},
    "ledger.verdicts.check_outcome": lambda: {"check": claim().checks[0]},
    "ledger.verdicts.estimates": lambda: {"claim": claim()},
    "ledger.verdicts.resolve": of(pointer="isgc/training.json#/summary"),
    "ledger.verdicts.verdict": lambda: {"claim": claim()},
    "physical.analog.AnalogLink": of(channel="awgn"),
    "physical.analog.AnalogLink.send": of(latent=np.ones(4)),
    "physical.channels.complex_normal": of(shape=(2, 3)),
    "physical.channels.fading": of(channel="rayleigh-fast", blocks=2, symbols=3),
    "physical.digital.DigitalLink": of(channel="awgn"),
    "physical.digital.DigitalLink.layout": of(payload_bits=100),
    "physical.digital.DigitalLink.send": of(bits=np.array([0, 1, 1, 0])),
    "physical.digital.DigitalLink.send_file": of(file=b"abc"),
    "physical.limits.finite_blocklength_error": of(block_length=100, rate=1.0),
    "physical.limits.finite_blocklength_rate": of(block_length=100, error_probability=0.01),
    "physical.limits.min_snr_db": of(rate=1.0, channel="awgn"),
    "physical.limits.outage_probability_rayleigh": of(rate=1.0),
    "physical.limits.uncoded_bit_error_rate": of(bits_per_symbol=4, channel="awgn"),
    "pictures.picture_bytes": lambda: {"name": "picture", "picture": SCENE_PICTURE},
    "pictures.picture_numbers": of(name="value", value=PICTURE),
    "pictures.pictures_bytes": of(name="images"),
    "prose.with_interval": of(interval=INTERVAL),
    "semantic.codecs.avif": of(quality=50),
    "semantic.codecs.webp": of(quality=50),
    "semantic.codecs.jpeg_parts": of(file=codecs.jpeg(PICTURE, 50, optimise=False)),
    "semantic.codecs.best_jpeg": of(fits=lambda file: True),
    "semantic.codecs.decoded": of(file=codecs.png(PICTURE)),
    "semantic.codecs.jpeg": of(quality=50),
    "semantic.codecs.picture_from": of(file=codecs.jpeg(PICTURE, 50), shape=(8, 8, 3)),
    "semantic.embedding.Embedding.distance": of(triples=torch.tensor(TRIPLES)),
    "semantic.embedding.average": lambda: {
        "start": start(),
        "models": [start(), start()],
        "shards": [TRIPLES, TRIPLES],
    },
    "semantic.embedding.expected_random_mrr": of(n_entities=3, n_relations=2),
    **{
        f"generation.jscc.JointCode.{way}": of(
            images=torch.full((2, 3, 64, 64), 0.5), snr_db=torch.zeros(2), channel="awgn"
        )
        for way in ("encode", "forward")
    },
    "generation.jscc.JointCode.decode": of(z_hat=torch.ones(2, 64, dtype=torch.complex64), snr_db=torch.zeros(2, 1)),
    "generation.jscc.JointCode.send": of(images=torch.full((2, 3, 64, 64), 0.5), channel="awgn"),
    "generation.jscc.JointCode.save": lambda: {"folder": Path(tempfile.mkdtemp())},
    "generation.jscc.carry": of(z=torch.ones(2, 3, dtype=torch.complex64), snr_db=torch.zeros(2), channel="awgn"),
    "generation.jscc.effective_snr_db": of(snr_db=torch.zeros(2, 3)),
    "generation.jscc.told": of(snr_db=torch.zeros(2), fading=True),
    "generation.jscc.unit_power": of(z=torch.ones(2, 3, dtype=torch.complex64)),
    "generation.views.fill_holes": lambda: {"view": VIEW},
    "generation.views.merge_views": of(views=[VIEW, VIEW], weights=[1.0, 2.0]),
    "generation.views.reproject": of(disparity=np.full((8, 8), 0.5), one=Camera(), other=Camera(0.1)),
    "generation.views.sweep_depth": of(
        pictures=np.zeros((2, 3, 8, 8)), cameras=[Camera(), Camera(0.1)], reference=0, disparities=[0.0, 0.5, 1.0]
    ),
    "generation.views.warp_view": of(
        picture=np.zeros((3, 8, 8)), disparity=np.full((8, 8), 0.5), one=Camera(), other=Camera(0.1)
    ),
    "semantic.embedding.indices": of(triples=TRIPLES, n_entities=3, n_relations=3),
    "semantic.embedding.split": of(triples=torch.tensor(TRIPLES), n_entities=3, n_relations=3),
    "semantic.rules.PathRules.distance": of(triples=torch.tensor(TRIPLES)),
    "semantic.rules.mine": of(triples=TRIPLES, n_entities=3, n_relations=3),
    "semantic.embedding.initial": of(n_entities=3, n_relations=2, dimension=2),
    "semantic.embedding.ranks": lambda: {"model": start()},
    "semantic.embedding.train": lambda: {"start": start(), "steps": 1},
    "semantic.extractors.SemanticMap": of(kind="depth", array=np.zeros((64, 64))),
    "semantic.extractors.SemanticMap.downscaled": of(factor=4),
    "semantic.extractors.decode": lambda: {"data": extract("depth", SCENE).encoded, "kind": "depth"},
    "semantic.extractors.extract": of(kind="canny", source=SCENE.image),
    "semantic.information.arithmetic_decode": of(code=arithmetic_encode([0, 1], [3, 1]), n=2, frequencies=[3, 1]),
    "semantic.information.arithmetic_encode": of(symbols=[0, 1], frequencies=[3, 1]),
    "semantic.information.channel_capacity": of(channel=CHANNEL, max_steps=50, tolerance=0.1),
    "semantic.information.meaning_capacity": of(channel=CHANNEL, meanings=[0, 1]),
    "semantic.information.mutual_information": of(joint=[[0.4, 0.1], [0.1, 0.4]]),
    "semantic.information.similarity_entropy": of(similarity=np.eye(3)),
    "semantic.knowledge.Difference.between": lambda: {"old": facts(), "new": facts()},
    "semantic.knowledge.graph_of": of(triples=[knowledge.Triple("ball-1", "has-colour", "red")]),
    "semantic.knowledge.parse_caption": of(caption="The Elm school lies beside the Cedar library."),
    "semantic.latent_coding.decode_latent": of(message=np.array([0, 1, 1]), bits=np.array([1, 2])),
    "semantic.latent_coding.encode_latent": of(latent=np.array([0.3, -1.0]), bits=np.array([1, 2])),
    "semantic.latent_coding.even_step": of(bits=2),
    "semantic.latent_coding.shared_bits": of(payload=5, weights=np.zeros(3)),
    "semantic.map_coding.decode_map": of(data=encode_map(np.zeros((4, 4), int), "depth"), shape=(4, 4)),
    "semantic.map_coding.decode_pose": of(data=encode_pose(POSE, 64), side=64),
    "semantic.map_coding.encode_map": of(array=np.zeros((4, 4), int)),
    "semantic.map_coding.encode_pose": of(cells=POSE, side=64),
    "semantic.map_coding.png_bytes": of(array=np.zeros((4, 4), int)),
    "semantic.public_maps.draw_ade": of(classes=np.zeros((4, 4), int)),
    "semantic.public_maps.draw_openpose": of(people=np.ones((1, 18, 3)), shape=(16, 16)),
    "semantic.public_maps.openpose_joints": of(people=np.ones((1, 17, 3))),
    "semantic.public_maps.public_picture": of(kind="canny", picture=BATCH[0].numpy(), size=64),
    "statistics.energy_distance": of(x=[[0.0, 1.0], [1.0, 0.0]], y=[[0.0, 1.0], [2.0, 0.0]]),
    "statistics.share_interval": of(count=3, n=10),
    "statistics.slope_interval": of(y=[1.0, 2.0, 3.1, 4.0], x=[0.0, 1.0, 2.0, 3.0]),
    "studies.backends.where": of(backend="local"),
    "studies.provenance.code_hash": of(module="semcom_utils.checks"),
    "studies.provenance.is_ours": of(module="numpy"),
    "studies.runner.file_hash": lambda: {"name": next(iter(catalogue()))},
    "studies.runner.find": lambda: {"name": next(iter(catalogue()))},
    "studies.runner.load_result": lambda: {"name": next(iter(catalogue()))},
    "studies.tasks.task_key": of(task={"seed": 1}),
    "studies.tasks.with_seeds": of(tasks=[{"seed": 1}], n=2),
    "studies.tasks.with_small_tasks": of(tasks=[{"seed": 1}], small={}),
    "toyworld.agreement.edge_f_score": of(sent=SCENE.edges, found=SCENE.edges),
    "toyworld.agreement.keypoint_distance": of(sent=ROBOT.keypoints, found=ROBOT.keypoints),
    "toyworld.agreement.segmentation_iou": of(sent=SCENE.segmentation, found=SCENE.segmentation),
    "toyworld.drawing.capsule": of(x=PIXELS, y=PIXELS.T, start=(0.0, 0.0), end=(1.0, 1.0), radius=0.5),
    "toyworld.drawing.coverage": of(distance=PIXELS, pixels_per_unit=2.0),
    "toyworld.drawing.ellipse": of(x=PIXELS, y=PIXELS.T, centre=(0.0, 0.0), radii=(1.0, 0.5)),
    "toyworld.drawing.polygon": of(x=PIXELS, y=PIXELS.T, corners=[(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]),
    "toyworld.grammar.Meaning": of(ground="grass", things=(Word("ball", "red"),)),
    "toyworld.grammar.Word": of(kind="ball", colour="red"),
    "toyworld.grammar.Word.text": of(kind="ball"),
    "toyworld.grammar.paraphrase": of(statement=SCENE.description),
    "toyworld.grammar.parse_caption": of(text="a red ball on grass"),
    "toyworld.maps.canny": of(image=SCENE.image),
    "toyworld.maps.control_picture": of(array=control_array(SCENE, "depth")),
    "toyworld.maps.draw_edges": of(array=control_array(SCENE, "depth")),
    "toyworld.maps.draw_pose": of(keypoints=ROBOT.keypoints),
    "toyworld.maps.draw_segmentation": of(labels=SCENE.segmentation),
    "toyworld.maps.soften": of(edges=SCENE.edges),
    "toyworld.sampling.describe": of(seed=1),
    "toyworld.sampling.scene": of(seed=1),
    "toyworld.sampling.subject": of(number=1),
    "toyworld.sampling.subject_scene": of(number=1, view=1),
    "toyworld.rendering.render": lambda: {"description": SCENE.description, "camera": Camera(0.1)},
    "toyworld.scene.Camera": of(right=0.5, up=0.5, forward=0.5),
    "toyworld.scene.Camera.sees": of(x=20.0, y=50.0, scale=19.0),
    "toyworld.scene.Description": of(ground="grass", things=(Thing("ball", "red", 20.0, 50.0),)),
    "toyworld.scene.Texture": of(pattern="striped"),
    "toyworld.scene.Thing": of(kind="ball", colour="red", x=20.0, y=50.0),
    "toyworld.things.parts": of(thing=Thing("ball", "red", 20.0, 50.0), x=PIXELS, y=PIXELS.T),
}


def family(name):
    return lambda: families.make(name, 2, generator(), parameters=300)


def filled():
    replay = Replay(4, 2)
    replay.add(np.zeros((3, 2)), [0, 1, 0], [0.0] * 3, np.zeros((3, 2)), [False] * 3)
    return replay


@cache
def denoiser():
    return PromptedDenoiser(model("text-to-image"), ["a red ball on grass"])


#: Class -> how one is made whose methods are called.
INSTANCES = {
    **bad_inputs_papers.INSTANCES,
    "control.branching.BranchingNetwork": branching,
    "control.d3qn.DuelingNetwork": network,
    "control.diffusion_policy.DiffusionPolicy": policy,
    "control.diffusion_policy.MlpPolicy": lambda: MlpPolicy(3, 1, width=4),
    "control.diffusion_policy.TwinCritic": critic,
    "control.joint_choice.JointChoiceEnv": joint_env,
    "control.library_agents.BatchVecEnv": lambda: BatchVecEnv(Copies()),
    "control.replay.Replay": filled,
    "generation.families.Adversarial": family("gan"),
    "generation.families.Autoregressive": family("autoregressive"),
    "generation.families.CouplingFlow": family("flow"),
    "generation.families.Diffusion": family("diffusion"),
    "generation.families.VariationalAutoencoder": family("vae"),
    "generation.gaussian.GaussianMixture": mixture,
    "generation.gaussian.GaussianModel": gaussian,
    "generation.identity.Identity": partial(model, "identity"),
    "generation.judging.Judge": lambda: Judge(model("detector")),
    **{
        f"generation.loading.{name}": partial(model, role)
        for name, role in {
            "Captioner": "captioner",
            "Clip": "clip",
            "Depth": "depth",
            "Detector": "detector",
            "Pose": "pose",
            "Segmentation": "segmentation",
            "SoftEdges": "soft-edges",
        }.items()
    },
    "generation.loading.PublicPose": public_pose,
    "generation.loading.PublicSegmentation": public_segmentation,
    "generation.prompted.PromptedDenoiser": denoiser,
    "physical.analog.AnalogLink": AnalogLink,
    "physical.digital.DigitalLink": lambda: DigitalLink(None),
    "generation.jscc.JointCode": cache(lambda: DeepJscc(64, (4, 4, 4))),
    "semantic.embedding.Embedding": start,
    "semantic.rules.PathRules": lambda: rules.mine(TRIPLES, 3, 3),
    "semantic.extractors.SemanticMap": lambda: extract("depth", SCENE),
    "semantic.knowledge.Difference": lambda: knowledge.Difference.between(facts(), facts()),
    "semantic.knowledge.VersionedGraph": versions,
    "toyworld.grammar.Word": lambda: Word("ball", "red"),
    "toyworld.scene.Camera": lambda: Camera(0.5),
}


def _shown():
    from PIL import Image

    return Image.fromarray((SCENE.image.transpose(1, 2, 0) * 255).astype(np.uint8))


SCENE_PICTURE = _shown()
