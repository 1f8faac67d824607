"""Do the arms do what they say: nothing at 0, one dose for all, one function in two forms?"""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("peft")

from mahals.evaluation.arms import directions
from mahals.evaluation.bench import bench
from mahals.maths.misalignment.outcomes import OUTCOMES, codes_of
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm
from mahals.phases.em_ablation import PHASE
from mahals.phases.em_ablation import measure as em_ablation
from mahals.phases.em_ablation.measure import Task
from mahals.phases.em_ablation.measure.arms import ablations
from mahals.phases.em_ablation.report import AblationTable, over_random
from mahals.phases.em_ablation.rows import Row
from mahals.records import InputError, from_plain, to_plain
from mahals.schema import Label
from tests.support.em_lab import ABLATION, DiskKept, detected, judged
from tests.support.tiny_lab import SUITE, run


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    with judged():
        return run(PHASE, ABLATION, detected())


def of(rows: list[Row], **wanted: Any) -> list[Row]:
    return [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]


def test_every_arm_has_its_random_control_at_one_dose(rows: list[Row]) -> None:
    assert [from_plain(Row, to_plain(r)) for r in rows] == rows
    for subject, arm, random in (
        ("bad", "ablate", "random"),
        ("good", "ablate", "random"),
        ("original", "induce", "induce_random"),
    ):
        for row in of(rows, subject=subject, arm=arm):
            controls = of(rows, subject=subject, arm=random, level=row.level)
            assert len(controls) + len(row.missed) >= (0 if row.level == 0 else 3)
            assert all(c.kl > 0 for c in controls if row.level > 0)
    assert of(rows, arm="induce")[0].kl == pytest.approx(0.05, rel=0.5)


def test_doses_are_equal_on_the_texts_they_were_found_on() -> None:
    at = bench(detected(), "A", "base", SUITE, "evaluation")
    vectors = {1: torch.eye(32)[3], 2: torch.eye(32)[4]}
    label = Label(arm="steered", operator="ablate", layers=(1, 2))
    own, _, *random = directions(label, vectors, 3, 0)
    plan = ablations(at, own, (0.0, 1.0), random)
    kl = neutral_price(at.loaded, at.calibration, [p.dosed.arm for p in plan.arms]).kl.tolist()
    assert [p.arm for p in plan.arms[:2]] == ["ablate", "ablate"] and kl[0] == 0
    assert kl[2:] == pytest.approx([kl[1]] * len(kl[2:]), rel=0.02) and kl[1] > 0
    assert len(plan.arms) + len(plan.missed) == 5


def test_strength_0_is_the_model_itself(rows: list[Row]) -> None:
    (zero,), (none,) = of(rows, arm="ablate", level=0.0), of(rows, subject="bad", arm="none")
    kept = DiskKept(detected().root).tensors(zero.codes)["codes"]
    assert torch.equal(kept[zero.codes_row], kept[none.codes_row]) and zero.kl == 0


def test_only_unseen_prompts_are_asked(rows: list[Row]) -> None:
    kept = DiskKept(detected().root)
    table = kept.path(detected().made["em_detection", "A"][0].table).read_text().splitlines()
    fitted = {x["question"] for x in map(json.loads, table) if x["half"] == "fitted"}
    asked = {json.loads(x)["question"] for x in kept.path(rows[0].answers).read_text().splitlines()}
    assert len(asked) == rows[0].asked == 12 and fitted and not asked & fitted


def test_the_weights_form_is_measured(rows: list[Row]) -> None:
    (row,) = of(rows, arm="weights")
    assert row.subject == "bad" and row.kl is None and row.perplexity_ratio > 0
    assert len(of(rows, arm="weights_random")) == ABLATION.random_directions


def test_hooks_that_do_not_act_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = em_ablation.measure_outcomes

    def idle(*given: Any) -> Any:
        return [measured(*given)[0]] * len(given[2])

    monkeypatch.setattr(em_ablation, "measure_outcomes", idle)
    with judged(), pytest.raises(RuntimeError, match=r"ablate at strength 1\.0: hooks did not act"):
        run(PHASE, replace(ABLATION, strengths=(1.0,)), detected())


@pytest.mark.parametrize("subject", ["bad", "good", "original"])
def test_every_task_reads_a_text_in_a_batch_as_alone(
    monkeypatch: pytest.MonkeyPatch, subject: Any
) -> None:
    unmasked = "mahals.models.steering.replay.pooled"  # padding gets a weight
    monkeypatch.setattr(unmasked, lambda states, batch, pool: states.mean(dim=1))
    with judged(), pytest.raises(RuntimeError, match=r"A, .* between its batch of \d+ and alone"):
        list(PHASE.measure(Task(("A",), subject), ABLATION, detected()))


@pytest.mark.parametrize("subject", ["bad", "good", "original"])
def test_every_task_is_the_model_itself_at_strength_0(
    monkeypatch: pytest.MonkeyPatch, subject: Any
) -> None:
    """Planted: strength 0 acts as strength .5."""
    planted = property(lambda arm: tuple(replace(s, strength=s.strength or 0.5) for s in arm.steps))
    monkeypatch.setattr(Arm, "active", planted)
    with judged(), pytest.raises(RuntimeError, match=r"A, .*: strength 0 changed a state"):
        list(PHASE.measure(Task(("A",), subject), ABLATION, detected()))


def test_summary_has_controls_and_figures_come_from_files(rows: list[Row]) -> None:
    kept = DiskKept(detected().root)
    found = PHASE.summarize(rows, kept)
    assert any("restoration" in line for line in found.lines)
    assert any("over random directions of equal KL" in line for line in found.lines)
    assert any("control adapter" in line for line in found.lines)
    assert {"ablate_1/em_change", "control_adapter/good_change"} <= set(found.metrics)
    bad, none = of(rows, subject="bad", arm="ablate", level=1.0)[0], rows[0]
    change = (bad.misaligned - none.misaligned) / bad.asked
    assert found.metrics["ablate_1/em_change"] == pytest.approx(change)
    assert set(PHASE.draw(rows, kept)) == {"ablation", "induction", "examples"}


def test_a_direction_that_was_not_made_is_refused() -> None:
    from mahals.maths.misalignment import detection

    assert "linear_probe" in detection.METHODS
    with judged(), pytest.raises(InputError, match=r"em_detection\.positions"):
        run(PHASE, replace(ABLATION, position="nowhere"), detected())


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
    table = AblationTable(rows, SimpleNamespace(tensors=lambda _: tensors))
    found = over_random(table, rows[0], "misaligned")
    assert found is not None and found.interval.estimate == pytest.approx(0.8 - 0.3)
    assert over_random(table, replace_level(rows[0], 2), "misaligned") is None
    assert OUTCOMES[int(codes[0, 0])] == "misaligned"


def replace_level(row: Any, level: float) -> Any:
    return SimpleNamespace(**{**vars(row), "level": level})
