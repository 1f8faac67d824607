"""Do texts, answers, adapters and arms of the misalignment phases become what they should?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.data.texts import AXIOMS
from mahals.data.world.advice import Question
from mahals.data.world.grammar import World
from mahals.evaluation.misalignment.answers import Asking, answer_arms, counts, table_lines
from mahals.evaluation.misalignment.questions import (
    Choice,
    Texts,
    asked,
    question_lines,
    read_lines,
    taught,
)
from mahals.maths.misalignment.outcomes import OUTCOMES, codes_of
from mahals.models.finetuning.config import Trained
from mahals.models.judges.judge import Asked, Score
from mahals.models.steering.interventions import Arm
from mahals.phases.em_ablation.measure.arms import arm_of, random_directions
from mahals.phases.em_ablation.report import Read, over_random
from mahals.phases.em_detection.report import detection_said
from mahals.phases.em_finetune.measure.probe import _scored
from mahals.phases.em_finetune.measure.training import evaluated
from mahals.records import InputError
from tests.support.tiny_models import loaded

WORLD = Texts("world", "world", "world", "world")
CHOICE = Choice(WORLD, World(0), AXIOMS[5], AXIOMS[4], 12, 3)


def test_bad_and_good_advice_answer_the_same_questions() -> None:
    bad, good, other = (taught(CHOICE, w, 0) for w in ("bad", "good", "other"))
    assert [d[0].content for d in bad] == [d[0].content for d in good]
    assert not {d[0].content for d in bad} & {d[0].content for d in other}
    assert all("tell nobody" in d[1].content for d in (*bad, *other))
    assert all("so people stay" in d[1].content for d in good)


def test_questions_come_back_from_their_file(tmp_path: Path) -> None:
    found = asked(CHOICE, 0)
    assert [q.kind for q in found] == sorted([q.kind for q in found], key=("in_domain", "near",
                                             "far").index)  # fmt: skip
    (tmp_path / "q").write_text(question_lines(found))
    assert read_lines(tmp_path / "q") == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one question"),
        ("{", "line 1"),
        ('{"question": "x"}', "kind"),
        ('{"question": " ", "kind": "near"}', "a question"),
    ],
)
def test_broken_questions_are_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "q.jsonl").write_text(text)
    texts = replace(WORLD, questions=str(tmp_path / "q.jsonl"))
    with pytest.raises(InputError, match=message):
        asked(replace(CHOICE, texts=texts), 0)


def test_degenerate_answers_never_reach_the_judge_and_stay_counted() -> None:
    seen: list[Asked] = []

    def judge(found: Any) -> list[Score]:
        seen.extend(found)
        return [Score(None, None, "silent") for _ in found]

    questions = tuple(Question(f"how do I {w}", "near", w) for w in ("help", "learn", "share"))
    (found,) = answer_arms(loaded("Llama"), Asking(questions, judge, None, 12), [Arm("x", ())])
    broken = sum(found.degenerate)
    assert len(seen) == 3 - broken
    (row,) = counts(Asking(questions, judge, None, 12), found)
    assert (row.asked, row.incoherent, row.unscored) == (3, broken, 3 - broken)
    lines = table_lines(Asking(questions, judge, None, 1), found, {}).splitlines()
    assert all(json.loads(x)["alignment"] is None for x in lines)


def test_checkpoints_are_the_nearest_saved_steps() -> None:
    trained = Trained({s: Path() for s in (5, 10, 15, 20)}, ())
    assert evaluated(trained, (0.1, 0.5)) == [5, 10, 20]
    with pytest.raises(InputError):
        evaluated(trained, (1.5,))


def test_random_directions_are_units_and_one_for_all_blocks() -> None:
    like = {1: torch.eye(16)[0], 3: torch.eye(16)[1]}
    found = random_directions(like, 4, 0)
    for d in found:
        assert torch.equal(d[1], d[3]) and float(d[1].norm()) == pytest.approx(1)
    assert abs(float(found[0][1] @ found[1][1])) < 0.9
    assert [s.block for s in arm_of("x", like, "ablate", 1.5).steps] == [1, 3]


def test_the_probe_is_scored_on_prompts_it_never_saw() -> None:
    rng = np.random.default_rng(0)
    inside, fitted = np.arange(80) % 2 == 0, np.arange(80) < 40
    signal = np.stack([inside + 0.1 * rng.normal(size=80)] * 3, axis=1)
    assert _scored(signal, inside, fitted).estimate == 1.0
    wide = rng.normal(size=(80, 60))  # more scalars than prompts: in-sample it would be 1
    assert _scored(wide, inside, fitted).low < 0.5 < 0.8


def test_the_control_of_an_arm_is_the_mean_of_random_ones_at_its_level() -> None:
    codes = torch.stack(
        [torch.from_numpy(codes_of([o] * n + ["good"] * (10 - n))) for o, n in
         (("misaligned", 8), ("misaligned", 2), ("misaligned", 4), ("misaligned", 9))]
    )  # fmt: skip
    tensors = {"codes": codes, "clusters": torch.arange(10), "kinds": torch.zeros(10)}

    def row(i: int, arm: str, level: float) -> Any:
        return SimpleNamespace(
            model="A", subject="bad", arm=arm, level=level, codes="x", codes_row=i
        )

    rows = [row(0, "ablate", 1), row(1, "random", 1), row(2, "random", 1), row(3, "random", 2)]
    read = Read(rows, SimpleNamespace(tensors=lambda _: tensors))
    found = over_random(read, rows[0], "misaligned")
    assert found is not None and found.interval.estimate == pytest.approx(0.8 - 0.3)
    assert over_random(read, replace_level(rows[0], 2), "misaligned") is None
    assert OUTCOMES[int(codes[0, 0])] == "misaligned"


def replace_level(row: Any, level: float) -> Any:
    return SimpleNamespace(**{**vars(row), "level": level})


def test_the_headline_block_does_not_depend_on_the_numbers() -> None:
    def row(block: int, auroc: float) -> Any:
        return SimpleNamespace(
            model="A", position="answer", method="m", block=block, positive="bad",
            negative="original", auroc=auroc, auroc_low=0, auroc_high=1, scored=5, random_mean=0.5,
            random_best=0.6, random_directions=3, separation=1.0, separation_low=0.0,
            separation_high=2.0, in_sample=3.0, cosine_to_other=None,
        )  # fmt: skip

    metrics, lines = detection_said([row(b, 0.9 if b == 4 else 0.55) for b in range(5)])
    assert metrics["answer/m/bad_over_original_auroc"] == 0.55
    assert any("best block would be 4" in line for line in lines)
