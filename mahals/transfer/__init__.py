"""How does a direction of one model become a direction of another, and of which block?

A map is fitted between the two *base* models on texts that have nothing to do with the steering
pairs. Fitted on the pairs themselves, with fewer rows than dimensions, a least-squares map gives
back the target's own vector between any two spaces, random ones too; rows are therefore counted.
"""

from mahals.transfer.fitting import KINDS, LinearMap, MapKind, fit_map, fit_shuffled, move
from mahals.transfer.layers import CkaMatch, LayerMatch, farthest_layer, match_by_cka, match_layer

__all__ = [
    "KINDS",
    "CkaMatch",
    "LayerMatch",
    "LinearMap",
    "MapKind",
    "farthest_layer",
    "fit_map",
    "fit_shuffled",
    "match_by_cka",
    "match_layer",
    "move",
]
