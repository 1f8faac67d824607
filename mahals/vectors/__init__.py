"""Which direction takes a model's states from base to aligned, or from rejected to chosen?"""

from mahals.vectors.axioms import (
    Agreement,
    AxiomDirections,
    agreement,
    axiom_directions,
)
from mahals.vectors.controls import likeness, random_like, shuffled_pairs
from mahals.vectors.estimates import (
    SteeringVectors,
    contrast,
    mean_difference,
    pca,
    probe,
    svd_k,
)
from mahals.vectors.pairs import Vectors
from mahals.vectors.placement import increments

__all__ = [
    "Agreement",
    "AxiomDirections",
    "SteeringVectors",
    "Vectors",
    "agreement",
    "axiom_directions",
    "contrast",
    "increments",
    "likeness",
    "mean_difference",
    "pca",
    "probe",
    "random_like",
    "shuffled_pairs",
    "svd_k",
]
