"""Molecules in, tables out: fingerprints, graphs, Mordred's descriptors, conformers and augmentation."""

from course_lib.featurize.augmentation import augment, join2d, molecule_weights, summarize
from course_lib.featurize.embedding import PROTOCOLS, ConformerSet, conformers
from course_lib.featurize.fingerprints import maccs, morgan
from course_lib.featurize.graphs import graphs
from course_lib.featurize.mordred_2d import mordred2d
from course_lib.featurize.spatial import descriptors3d
from course_lib.featurize.tables import to_parquet
from course_lib.featurize.transformer import Descriptors
from course_lib.featurize.variants import enumerate_smiles, jitter

__all__ = [
    "PROTOCOLS",
    "ConformerSet",
    "Descriptors",
    "augment",
    "conformers",
    "descriptors3d",
    "enumerate_smiles",
    "graphs",
    "jitter",
    "join2d",
    "maccs",
    "molecule_weights",
    "mordred2d",
    "morgan",
    "summarize",
    "to_parquet",
]
