"""Sham: is it there exactly where the aligned half was trained here?"""

from __future__ import annotations

from dataclasses import replace

from mahals.evaluation.sham import has_sham
from mahals.models.checkpoints.registry import ModelEntry
from mahals.phase import Single
from tests.support.tiny_lab import TinyLab


class Trained(TinyLab):
    """A lab whose pairs are trained here."""

    def entry(self, key: str) -> ModelEntry:
        return replace(super().entry(key), pair="trained")


def test_a_sham_is_there_where_the_pair_was_trained_here() -> None:
    failed = {"A": Single("base", "its gate failed")}
    assert has_sham(TinyLab(), "A"), "of an organism"
    assert not has_sham(TinyLab(weights="hub"), "A"), "a pair that somebody published"
    assert has_sham(Trained(weights="hub"), "A")
    assert not has_sham(Trained(weights="hub", singles=failed), "A"), "no half that passed"
