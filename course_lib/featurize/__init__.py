"""Molecules in, tables out: fingerprints, Mordred's descriptors, conformers and augmentation."""

from course_lib.featurize.augment import augment, join2d, molecule_weights, summarize
from course_lib.featurize.conformers import PROTOCOLS, ConformerSet, conformers
from course_lib.featurize.descriptors3d import descriptors3d

__all__ = [
    "PROTOCOLS",
    "ConformerSet",
    "augment",
    "conformers",
    "descriptors3d",
    "join2d",
    "molecule_weights",
    "summarize",
]
