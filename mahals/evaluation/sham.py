"""Sham: is there a checkpoint of a model that was trained on shuffled preferences?"""

from __future__ import annotations

from mahals.phase import Lab


def has_sham(lab: Lab, key: str) -> bool:
    """Whether the aligned half was trained here, and so was a sham, on shuffled preferences."""
    trained = lab.weights == "organism" or lab.entry(key).pair == "trained"
    return trained and lab.single(key) is None
