"""Which checkpoint, along which directions, at whose thresholds?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mahals.evaluation.resistance.subjects import (
    SubjectChoice,
    aligned,
    derailments,
    directions,
    model_sae,
    plan_subjects,
    subject,
    thresholds_of,
)
from mahals.evaluation.resistance.thresholds import thresholds_text
from mahals.models.finetuning.config import Lora
from mahals.models.finetuning.lora import with_new_adapter
from mahals.models.saes.files import write_sae
from mahals.phase import Single
from mahals.records import InputError
from tests.support.resistance_lab import (
    CONCEPTS,
    ResistanceLab,
    direction_row,
    resistance_lab,
    threshold,
)
from tests.support.small_saes import small
from tests.support.tiny_lab import WIDTH


def test_directions_are_rows_of_these_sources_with_their_vectors() -> None:
    lab = resistance_lab()
    lab.made["esr_saes", "A"] = [
        replace(direction_row("sae", "contrast", "none"), what="sae"),
        *lab.made["esr_saes", "A"],
        direction_row("random:0", "random", "none"),
    ]
    found = directions(lab, "A", ["contrast"])
    assert [d.name for d in found] == [f"contrast:{c}" for c in CONCEPTS]
    assert [d.concept for d in found] == list(CONCEPTS)
    for i, d in enumerate(found):
        assert d.vector.equal(torch.eye(WIDTH)[i])
    with pytest.raises(InputError, match="name a source that esr_saes makes"):
        directions(lab, "A", ["latent"])


def test_each_direction_has_its_subjects_own_threshold() -> None:
    lab = resistance_lab()
    own = [threshold(CONCEPTS[1], subject="planted", boost=9.0), threshold("gone")]
    lab.plant("esr_finetune", "thresholds-planted.json", thresholds_text(own))
    assert [t.boost for t in thresholds_of(lab, "A", "planted")] == [9.0, 2.0]
    (one,) = derailments(lab, "A", "planted", ["contrast"])
    assert (one.direction.concept, one.threshold) == (CONCEPTS[1], own[0])
    assert [d.direction.concept for d in derailments(lab, "A", "aligned", ["contrast"])] == list(
        CONCEPTS
    )


def test_a_model_of_one_checkpoint_is_its_own_aligned_one() -> None:
    lab = ResistanceLab()
    assert aligned(lab, "A").role == "aligned"
    lab.singles = {"A": Single("base", "no other")}
    assert aligned(lab, "A").role == "base"


def test_a_tuned_subject_is_the_aligned_one_with_its_adapter(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    lab = ResistanceLab(root=tmp_path)
    before = aligned(lab, "A")
    tuned = with_new_adapter(before, Lora(2, 4, 0.0, "attention"), 0)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.1)
    folder = tmp_path / "esr_finetune/A/adapter-planted"
    tuned.save_pretrained(folder, save_embedding_layers=False)
    found = subject(lab, "A", "planted")
    assert found.revision != before.revision and found.key == "A"
    ids = torch.tensor([[1, 7, 9]])
    with torch.no_grad():
        assert not torch.equal(found.model(ids).logits, before.model(ids).logits)
    assert subject(lab, "A", "aligned").revision == before.revision


def test_the_autoencoder_of_a_block_is_read_from_its_folder(tmp_path: Path) -> None:
    lab = ResistanceLab(root=tmp_path)
    sae = small("topk")
    write_sae(tmp_path / "esr_saes/A/sae-2", sae)
    assert model_sae(lab, "A", 2).w_dec.equal(sae.w_dec)


def test_a_task_for_each_subject() -> None:
    tasks = plan_subjects(SubjectChoice(("aligned", "planted"), ("contrast",)), ResistanceLab())
    assert [(t.models, t.subject) for t in tasks] == [(("A",), "aligned"), (("A",), "planted")]
