"""Are latents found that an exchanged prompt wakes, are they kept, and tried on other prompts?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mahals.evaluation.resistance.episodes import EpisodeBench
from mahals.evaluation.resistance.held_sets import detector_sae, detector_set
from mahals.models.saes.autoencoder import Sae, encode
from mahals.models.saes.files import write_sae
from mahals.models.saes.training import SaeTraining
from mahals.models.steering.interventions import Arm
from mahals.phases.esr_detectors import PHASE
from mahals.phases.esr_detectors import measure as esr_detectors
from mahals.phases.esr_detectors.measure import Params
from mahals.phases.esr_detectors.rows import Row
from mahals.records import from_plain, seed_of
from tests.support.held_latents import wide
from tests.support.resistance_lab import SETTING, ResistanceLab, plain, resistance_lab
from tests.support.tiny_lab import WIDTH, run

LATENTS, DEAD = 40, 39
FOUND, SPURIOUS = (0, 1, 2, 3), (4, 5)  # more where the prompt is not the answer's own
TRAINING = SaeTraining(48, 4, 30, 64, 0.01)
PARAMS = Params(
    subjects=("aligned",),
    dictionary={"organism": "shared", "hub": "shared"},
    training=TRAINING,
    prompts={"organism": 8, "hub": 8},
    answers=2,
    permutations=2000,
    level=0.5,  # four prompts can be dealt in 24 ways
    random=6,
)
Read = list[tuple[str, str]]


def lab_of() -> ResistanceLab:
    lab = resistance_lab()
    lab.plant("esr_saes", f"labels-{SETTING.read_block}.json", json.dumps({"1": "wait"}))
    write_sae(lab.root / "esr_saes" / "A" / f"sae-{SETTING.read_block}", wide())
    lab.phase = "esr_detectors"
    return lab


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    """What was read. Another prompt wakes detectors; spurious ones where they are looked for."""
    every: Read = []

    def states(
        bench: EpisodeBench, _: Sae, texts: Sequence[tuple[str, str]], arms: Sequence[Arm]
    ) -> list[Any]:
        assert not any(arm.active for arm in arms)
        every.extend(texts)
        own = bench.texts.references
        return [_planted(p, a, a in own[p]) for p, a in texts]

    monkeypatch.setattr(esr_detectors, "latent_states", states)
    return every


def _planted(prompt: str, answer: str, own: bool) -> Any:
    values = np.random.default_rng(seed_of(prompt, answer)).random((3, LATENTS)) * 0.1
    searched = prompt not in SETTING.prompts("evaluation")
    values[1, list(FOUND)] += 1.0 - own
    values[1, list(SPURIOUS)] += searched * (1.0 - own)
    values[:, DEAD] = 0
    values[0] = 0  # a third of the tokens
    return values.astype(np.float32)


@pytest.fixture
def rows(read: Read) -> tuple[ResistanceLab, list[Row]]:
    lab = lab_of()
    return lab, run(PHASE, PARAMS, lab)


def test_detectors_are_found_and_tried_on_prompts_of_their_own(rows: Any, read: Read) -> None:
    _, made = rows
    assert [from_plain(Row, plain(r)) for r in made] == made
    latents = {r.latent: r for r in made if r.what == "detector"}
    assert {*FOUND, *SPURIOUS} <= set(latents)
    for i in (*FOUND, *SPURIOUS):
        assert latents[i].found == 1 and latents[i].q <= PARAMS.level
    assert all(latents[i].kept == 1 for i in FOUND)
    assert all(abs(latents[i].kept - 0.5) < 0.45 for i in SPURIOUS)
    beside = [r for r in made if r.what == "random"]
    assert len(beside) == PARAMS.random and not {r.latent for r in beside} & set(latents)
    evaluation = set(SETTING.prompts("evaluation"))
    answers = {p: {a for q, a in read if q == p} for p, _ in read}
    searched = [answers[p] for p in answers if p not in evaluation]
    assert len(searched) == 4 and all(found == searched[0] for found in searched)
    assert not searched[0] & set.union(*(answers[p] for p in evaluation))


def test_what_is_kept_is_what_later_phases_read(rows: Any) -> None:
    lab, made = rows
    told = detector_set(lab, "A", "aligned")
    latents = [r.latent for r in made if r.what == "detector"]
    assert list(told.detectors) == latents and told.dead == (DEAD,)
    assert told.labels[told.detectors.index(1)] == "wait"
    assert len(told.frequency) == LATENTS and told.frequency[DEAD] == 0
    assert told.frequency[20] == pytest.approx(2 / 3, abs=1e-5)
    assert (told.block, told.dictionary) == (SETTING.read_block, "shared")


def test_the_report_has_the_controls_beside_the_number(rows: Any) -> None:
    lab, made = rows
    summary = PHASE.summarize(made, lab.kept("esr_detectors"))
    (search,) = (r for r in made if r.what == "search")
    assert search.strict == 0 and search.live == LATENTS - 1 and search.prompts == 4
    assert summary.metrics["aligned/detectors"] == search.passed
    assert summary.metrics["aligned/exchanged"] == search.exchanged < search.passed
    assert (
        summary.metrics["aligned/detector_auc_found"] > summary.metrics["aligned/random_auc_found"]
    )
    assert "by the published strict rule 0" in summary.lines[0]
    assert "1 (wait)" in summary.lines[1]
    (figure,) = PHASE.draw(made, lab.kept("esr_detectors")).values()
    marks = [line for line in figure.get_axes()[0].get_lines() if line.get_gid() == "null"]
    assert [len(m.get_xdata()) for m in marks] == [PARAMS.random, search.passed]


def test_none_is_a_result(read: Read) -> None:
    lab = lab_of()
    made = run(PHASE, replace(PARAMS, level=1e-6), lab)
    assert detector_set(lab, "A", "aligned").detectors == ()
    assert [r.what for r in made] == ["search", *["random"] * PARAMS.random]
    assert PHASE.summarize(made, lab.kept("esr_detectors")).lines[1].endswith("none")


def test_answers_without_words_and_their_prompts_are_left_out(read: Read) -> None:
    lab = lab_of()
    blank = SETTING.prompts("taught")[0]
    file = lab.root / "esr_unsteered" / "A" / "answers.jsonl"
    told = [json.loads(line) for line in file.read_text().splitlines()]
    changed = [x | {"answer": " " if x["prompt"] == blank else x["answer"]} for x in told]
    file.write_text("".join(json.dumps(x) + "\n" for x in changed))
    made = run(PHASE, PARAMS, lab)
    assert made[0].prompts == 3 and blank not in {p for p, _ in read}


def test_an_own_dictionary_is_of_the_subjects_states_and_kept() -> None:
    lab = lab_of()
    own = replace(PARAMS, dictionary={"organism": "own"})
    made = run(PHASE, own, lab)
    (lab.root / "sae-aligned").rename(lab.root / "esr_detectors" / "A" / "sae-aligned")
    sae = detector_sae(lab, "A", "aligned")
    assert sae.w_dec.shape == (TRAINING.latents, WIDTH) and sae.k == TRAINING.k
    told = detector_set(lab, "A", "aligned")
    assert told.dictionary == "own" and set(told.labels) <= {""}
    assert made[0].live + len(told.dead) == TRAINING.latents
    assert encode(sae, sae.w_dec).shape == (TRAINING.latents, TRAINING.latents)
