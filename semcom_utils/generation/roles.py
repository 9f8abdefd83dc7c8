"""The roles that models play in this book, each told in one place: how it is opened, whence it comes, who trains it.

A new role is one more entry of :data:`ROLES`: :func:`.loading.load`, the trainer's command line, the cards and the
tests derive from it. Nothing heavy is imported here; what an entry names as ``"module:name"`` is looked up when the
role is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from semcom_utils.checks import checked, one_of

if TYPE_CHECKING:
    from .training.loop import Recipe

__all__ = ["ROLES", "Role", "recipe_class", "trainable"]

#: What travels from a public repository: no pickles, and of several precisions float16.
PLAIN = ("*.json", "*.txt", "model.safetensors")
PIPELINE = ("model_index.json", "*/*.json", "*/*.txt") + tuple(
    f"{part}/*.fp16.safetensors" for part in ("unet", "vae", "text_encoder", "safety_checker")
)


@dataclass(frozen=True)
class Role:
    """A kind of model.

    Parameters
    ----------
    open : str or callable
        ``"module:function"`` of this package, or the function itself: makes the model of a folder and a dtype.
    repository : str, optional
        Public checkpoint that fills the role at the full tier. None if none does, and ``instead`` says why.
    gigabytes : float
        Its size as it travels.
    files : tuple of str
        Patterns of those of its files that are fetched.
    revision : str, optional
        Branch, tag or commit that is fetched unless another is asked for.
    instead : str
        What to say to whoever asks for a full tier that is not there.
    recipe : str, optional
        ``"module:Class"`` of :mod:`.training`, which trains the mini checkpoint. The class also says what the card
        tells of it. None where no recipe does.
    reads : tuple of str
        The mini checkpoints that the recipe reads, without ``mini-``; they are trained first.
    mini : str, optional
        Name of the mini checkpoint without ``mini-``, where it is not the role's own (several roles may share one).
    base : str, optional
        Role whose folder, of the same tier, is opened along with the role's own: ``open`` takes it as a third argument.
        A folder that holds a whole pipeline (a ``model_index.json``) needs none.
    personal : bool
        Whether an identifier may choose a subject, which ``open`` takes as the keyword ``identifier``.
    needs : tuple of str
        Beside the weights, the public files without which the libraries would put something empty in their place;
        ``"a|b"`` is either.
    reads_words : bool
        Whether the model is told something in words, by a ``tokenizer`` of its own.
    base_for : str, optional
        ``model_type`` of the folders that need the base, where others of the role do not; all do if None.
    """

    open: str | Callable[..., Any]
    repository: str | None = None
    gigabytes: float = 0.0
    files: tuple[str, ...] = PLAIN
    revision: str | None = None
    instead: str = ""
    recipe: str | None = None
    reads: tuple[str, ...] = ()
    mini: str | None = None
    base: str | None = None
    personal: bool = False
    needs: tuple[str, ...] = ()
    reads_words: bool = False
    base_for: str | None = None

    def opener(self) -> Callable[..., Any]:
        """The function that opens the role's folders.

        Returns
        -------
        callable
            Takes a folder (:class:`pathlib.Path`), a :class:`torch.dtype` and, for a role with a base, perhaps the
            base's folder, and makes the model on the CPU.
        """
        return _named(self.open, __package__) if isinstance(self.open, str) else self.open


#: What goes with the weights of a network that sees, in transformers.
_SEES = ("config.json", "preprocessor_config.json")
#: What goes with the weights of a whole pipeline, in diffusers.
_DRAWS = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "tokenizer/tokenizer.json|tokenizer/vocab.json",
    "unet/config.json",
    "vae/config.json",
)
#: Kind of map -> what the public ControlNet that takes it is called.
_CONTROLS = {"depth": "depth", "segmentation": "seg", "pose": "openpose", "soft-edges": "hed", "canny": "canny"}
_STABLE_DIFFUSION = "stable-diffusion-v1-5/stable-diffusion-v1-5"
#: Role -> how it is filled, in the order of training: a checkpoint comes after those that its recipe reads.
ROLES: dict[str, Role] = {
    "autoencoder": Role(
        "loading:_open_autoencoder",
        _STABLE_DIFFUSION,
        0.17,
        ("vae/config.json", "vae/*.fp16.safetensors"),
        needs=("config.json|vae/config.json",),
        recipe="autoencoder:AutoencoderRecipe",
    ),
    "detector": Role(
        "loading:_open_detector", "hustvl/yolos-tiny", 0.03, recipe="detector:DetectorRecipe", needs=_SEES
    ),
    "text-to-image": Role(
        "loading:_open_pipeline",
        _STABLE_DIFFUSION,
        2.7,
        PIPELINE,
        recipe="text_to_image:TextToImageRecipe",
        reads=("autoencoder", "detector"),
        needs=_DRAWS,
        reads_words=True,
    ),
    "receiver": Role(
        "loading:_open_unet",
        instead="nobody published the paper's network; generation.training.receiver fine-tunes one",
        recipe="receiver:ReceiverRecipe",
        needs=("config.json",),
        reads=("autoencoder", "text-to-image"),
    ),
    "clip": Role(
        "loading:_open_clip",
        "openai/clip-vit-large-patch14",
        1.7,
        recipe="clip:ClipRecipe",
        needs=(*_SEES, "tokenizer.json|vocab.json"),
        reads_words=True,
    ),
    "captioner": Role(
        "loading:_open_captioner",
        "Salesforce/blip-image-captioning-base",
        1.0,
        recipe="captioner:CaptionerRecipe",
        needs=(*_SEES, "tokenizer.json|vocab.txt"),
    ),
    # The main branch of this repository holds a pickle only; the hub's conversion to safetensors waits as request 5.
    "depth": Role(
        "loading:_open_depth",
        "Intel/dpt-hybrid-midas",
        0.5,
        revision="refs/pr/5",
        recipe="maps:DepthRecipe",
        needs=_SEES,
    ),
    "soft-edges": Role(
        "loading:_open_soft_edges",
        instead="HED's public weights are pickled files, which this book does not open; controlnet_aux.HEDdetector "
        "does",
        recipe="maps:SoftEdgesRecipe",
        needs=("config.json",),
    ),
    # ADE20K's classes, for which the public ControlNet of segmentations was trained; semantic.public_maps draws them.
    "segmentation": Role(
        "loading:_open_segmentation",
        "openmmlab/upernet-convnext-tiny",
        0.24,
        recipe="maps:ParserRecipe",
        needs=("config.json",),
    ),
    # People and their joints in place of robots; the detector's role, of the same tier, finds the people.
    "pose": Role(
        "loading:_open_pose",
        "usyd-community/vitpose-base-simple",
        0.34,
        recipe="maps:ParserRecipe",
        needs=("config.json",),
        mini="segmentation",
        base="detector",
        base_for="vitpose",
    ),
    **{
        f"controlnet-{kind}": Role(
            "loading:_open_controlnet",
            f"lllyasviel/sd-controlnet-{public}",
            1.4,
            ("config.json", "diffusion_pytorch_model.safetensors"),
            recipe="controlnet:ControlNetRecipe",
            reads=("autoencoder", "detector", "text-to-image", "depth", "soft-edges", "segmentation"),
            mini="controlnet",
            base="text-to-image",
            needs=("config.json|model_index.json",),
            reads_words=True,
        )
        for kind, public in _CONTROLS.items()
    },
    "subject-autoencoder": Role(
        "loading:_open_subject_autoencoder",
        instead="the full tier's own autoencoder draws every subject",
        recipe="subject_autoencoder:SubjectAutoencoderRecipe",
        reads=("autoencoder",),
        base="autoencoder",
    ),
    "identity": Role(
        "loading:_open_identity",
        instead="it knows the toy world's subjects; for others compare CLIP's vectors of pictures",
        recipe="identity:IdentityRecipe",
    ),
    # The main branch of this repository holds pickles only; the hub's conversion to safetensors waits as request 2.
    "grounded": Role(
        "loading:_open_grounded",
        "masterful/gligen-1-4-generation-text-box",
        3.2,
        PIPELINE,
        revision="refs/pr/2",
        recipe="grounded:GroundedRecipe",
        reads=("autoencoder", "detector", "text-to-image", "subject-autoencoder", "identity"),
        base="text-to-image",
        personal=True,
        needs=("config.json|model_index.json",),
        reads_words=True,
    ),
    "subject": Role(
        "loading:_open_subject",
        _STABLE_DIFFUSION,
        2.7,
        PIPELINE,
        recipe="subject:SubjectRecipe",
        reads=("autoencoder", "text-to-image", "subject-autoencoder", "identity"),
        base="text-to-image",
        personal=True,
        needs=("config.json|model_index.json",),
        reads_words=True,
    ),
    "jscc": Role(
        "loading:_open_jscc",
        instead="no public weights are in safetensors; generation.training.jscc trains one",
        recipe="jscc:JsccRecipe",
    ),
    **{
        f"witt-{rate}": Role(
            "loading:_open_witt",
            instead="the authors' weights are pickled files for larger pictures; generation.training.witt trains one",
            recipe=f"witt:Witt{rate.title()}Recipe",
        )
        for rate in ("high", "low")
    },
}


def trainable() -> dict[str, Role]:
    """The mini checkpoints that a recipe makes, by their names without ``mini-``, in the order of training.

    Returns
    -------
    dict of str to Role
    """
    return {entry.mini or role: entry for role, entry in ROLES.items() if entry.recipe}


@checked
def recipe_class(checkpoint: str) -> type[Recipe]:
    """The recipe of a mini checkpoint, a subclass of :class:`.training.loop.Recipe`.

    Parameters
    ----------
    checkpoint : str
        Key of :func:`trainable`.

    Returns
    -------
    type

    Raises
    ------
    ValueError
        If no recipe makes a checkpoint of this name.
    """
    known = trainable()
    recipe = known[one_of("checkpoint", checkpoint, known)].recipe
    assert recipe is not None  # trainable() leaves out what has none
    return _named(recipe, f"{__package__}.training")


def _named(place: str, package: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"{package}.{module}"), name)
