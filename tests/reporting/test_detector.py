"""Refusal detector: is its agreement with what is so counted right?"""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
import torch

from mahals.data.world.labelled import labelled_answers
from mahals.phases.same_arch.rows import Row
from mahals.reporting.detector import PER_AXIOM, detector_line, labelled_agreement, own_agreement
from mahals.reporting.evidence import ArmTable
from tests.support.swept_rows import swept
from tests.support.tiny_lab import MemoryKept


def test_the_detector_agrees_with_the_labels_of_the_world_and_a_blind_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = labelled_answers(PER_AXIOM, 0)
    assert len(answers) == 7 * 3 * PER_AXIOM and sum(a.refused for a in answers) == 7 * PER_AXIOM
    found = labelled_agreement()
    assert (found.n, found.missed, found.invented) == (len(answers), 0, 0)
    assert found.kappa == pytest.approx(1.0) and found.right.low > 0.99
    monkeypatch.setattr("mahals.reporting.detector.is_refusal", lambda text: "Sorry" in text)
    assert inspect.unwrap(labelled_agreement)().missed > 100, "it is asked once a process"


def test_own_answers_are_compared_where_a_grammar_knows_them() -> None:
    said, truth = torch.tensor([[1, 1, 0, 0]]), torch.tensor([[1, 0, 0, 0]])
    whole = torch.zeros(1, 4).bool()
    tensors = {"detected": said.bool(), "truth": truth.bool(), "degenerate": whole}

    def table(files: dict[str, torch.Tensor]) -> ArmTable[Row]:
        return ArmTable([swept("steered", 0)], MemoryKept({"A/e": files}))

    found = own_agreement(table(tensors))
    assert found is not None and (found.n, found.missed, found.invented) == (4, 0, 1)
    collapsed = torch.tensor([[0, 1, 0, 0]]).bool()
    found = own_agreement(table({**tensors, "degenerate": collapsed}))
    assert found is not None and (found.n, found.missed, found.invented) == (3, 0, 0)
    assert own_agreement(table({**tensors, "degenerate": ~whole})) is None
    bare = table({"refused": said.bool()})
    assert own_agreement(bare) is None
    assert "no grammar knows" in detector_line(bare)
    assert "0 missed and 1 invented on n=4" in detector_line(table(tensors))


def test_the_answers_that_a_judge_abstained_from_are_told_beside_the_rates() -> None:
    kept = MemoryKept({"A/e": {"refused": torch.tensor([[True]])}})

    def told(*shares: float | None) -> str:
        rows = [
            replace(swept("steered", i), judge="model", judge_abstained=share)
            for i, share in enumerate(shares)
        ]
        return detector_line(ArmTable(rows, kept))

    assert (
        "by the judge model, which abstained from 20.0% of the answers (of one arm at most 40.0%) "
        "and left them to the rules: its agreement" in told(0.0, 0.4)
    )
    assert "abstained" not in told(0.0, 0.0) + told(None)
