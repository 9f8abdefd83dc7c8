"""A world whose meaning is known: 64x64 scenes with captions, boxes, segmentation, depth, edges and poses, all exact.

The chapter ``notebooks/02_toy_world`` shows it, and why a known world lets us measure whether the meaning arrived.
"""

from .grammar import VOCABULARY, Meaning, Word, caption, meaning, paraphrase, parse_caption
from .rendering import CLASSES, Scene, render
from .sampling import (
    SPLITS,
    SUBJECTS,
    UNSEEN,
    describe,
    random_description,
    scene,
    split_of,
    subject,
    subject_scene,
)
from .scene import COLOURS, GROUNDS, KINDS, PATTERNS, POSES, SIZE, Camera, Description, Texture, Thing
from .things import JOINTS, SKELETONS

__all__ = [
    "CLASSES",
    "COLOURS",
    "GROUNDS",
    "JOINTS",
    "KINDS",
    "PATTERNS",
    "POSES",
    "SIZE",
    "SKELETONS",
    "SPLITS",
    "SUBJECTS",
    "UNSEEN",
    "VOCABULARY",
    "Camera",
    "Description",
    "Meaning",
    "Scene",
    "Texture",
    "Thing",
    "Word",
    "caption",
    "describe",
    "meaning",
    "paraphrase",
    "parse_caption",
    "random_description",
    "render",
    "scene",
    "split_of",
    "subject",
    "subject_scene",
]
