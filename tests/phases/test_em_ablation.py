"""Do the arms do what they say: nothing at 0, one dose for all, one function in two forms?"""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("peft")

from mahals.evaluation.arms import Direction, isotropic
from mahals.evaluation.bench import DoseTexts, bench
from mahals.evaluation.misalignment.answers import Answered
from mahals.evaluation.scores import Shift
from mahals.evaluation.suite import NeutralLoss
from mahals.maths.misalignment.outcomes import codes_of
from mahals.models.generation.price import neutral_price
from mahals.models.judges.judge import Score
from mahals.models.steering.interventions import Arm
from mahals.phases.em_ablation import PHASE
from mahals.phases.em_ablation import measure as em_ablation
from mahals.phases.em_ablation.measure import Task
from mahals.phases.em_ablation.measure.arms import Outcome, ablations
from mahals.phases.em_ablation.report import (
    PLANTED,
    AblationTable,
    over_harder,
    restored_over_harder,
)
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


def test_every_arm_has_both_null_families_at_one_dose(rows: list[Row]) -> None:
    assert [from_plain(Row, to_plain(r)) for r in rows] == rows
    for subject, arm in (("bad", "ablate"), ("good", "ablate"), ("original", "induce")):
        for row in of(rows, subject=subject, arm=arm, family=None):
            for family in ("random", "shuffled_pairs"):
                nulls = of(rows, subject=subject, arm=arm, family=family, level=row.level)
                missed = sum(family in why for why in row.missed)
                assert len(nulls) + missed >= (0 if row.level == 0 else ABLATION.nulls)
                assert all(c.kl > 0 for c in nulls if row.level > 0)
                assert [c.draw for c in nulls] == sorted({c.draw for c in nulls})
    induced = of(rows, arm="induce", family=None)[0]
    assert induced.kl == max(induced.kl_neutral, induced.kl_chat)
    assert induced.kl == pytest.approx(0.05, rel=0.5)


def test_the_shuffled_arms_are_those_that_em_detection_kept() -> None:
    lab, task = detected(), Task(("A",), "bad")
    own, nulls = em_ablation._directions(task, ABLATION, lab.model("A", "base"), lab)
    rows = [r for r in lab.made["em_detection", "A"] if r.position == ABLATION.position]
    drawn = lab.kept("em_detection").tensors(rows[0].shuffled)[ABLATION.method]
    shuffled = [d for d in nulls if d.label.arm == "shuffled_pairs"]
    assert len(shuffled) == len(nulls) - len(shuffled) == ABLATION.nulls
    for k, each in enumerate(shuffled):
        assert each.label.draw == k and set(each.vectors) == set(own.vectors)
        assert all(v.equal(drawn[k][b]) for b, v in each.vectors.items())
    more = replace(ABLATION, nulls=len(drawn) + 1)
    with pytest.raises(InputError, match=r"em_detection\.shuffles: expected 4 or more"):
        em_ablation._directions(task, more, lab.model("A", "base"), lab)


@pytest.mark.parametrize("swapped", [False, True])
def test_doses_are_equal_on_the_texts_they_were_found_on(swapped: bool) -> None:
    """The larger of the KL on neutral text and on chat, by hand from both, whichever that is."""
    at = bench(detected(), "A", "base", SUITE, "evaluation")
    if swapped:
        at = replace(at, calibration=DoseTexts(at.calibration.chat, at.calibration.neutral))
    vectors = {1: torch.eye(32)[3], 2: torch.eye(32)[4]}
    label = Label(arm="steered", operator="ablate", layers=(1, 2))
    random = isotropic(label, vectors, 3, 0)
    plan = ablations(at, Direction(label, vectors, 1.0), (0.0, 1.0), random)
    arms = [p.dosed.arm for p in plan.arms]
    sides = (at.calibration.neutral, at.calibration.chat)
    neutral, chat = (neutral_price(at.loaded, some, arms).kl.tolist() for some in sides)
    kl = [max(both) for both in zip(neutral, chat, strict=True)]
    assert [p.family for p in plan.arms[:2]] == [None, None] and kl[0] == 0
    assert kl[2:] == pytest.approx([kl[1]] * len(kl[2:]), rel=0.02) and kl[1] > 0
    assert len(plan.arms) + len(plan.missed) == 5


def test_the_price_is_judged_item_by_item(rows: list[Row]) -> None:
    """Broken answers count as not helped; the bounds are the suite's, by interval."""
    score = Score(100, 100, None)
    said = ("help", "", "no", "help")

    def outcome(refused: tuple[bool, ...], degenerate: tuple[bool, ...]) -> Outcome:
        answered = Answered(said, (score,) * 4, codes_of(["good"] * 4), refused, degenerate, None)
        loss = NeutralLoss((1.0, 2.0), (2, 2))
        return Outcome(answered, Shift(0.1, 0.2), loss, (True, False))

    price = outcome((True, False, False, False), (False, True, False, False)).price("aabb")
    assert price.not_helped == (True, True, False, False)
    assert price.degenerate == (False, True, False, False) and price.safe_accuracy == 0.5
    for row in rows:
        assert not set(row.over_ceiling) & set(row.not_shown_safe)
    none = of(rows, subject="bad", arm="none")[0]
    assert none.over_ceiling == () and none.perplexity_ratio == 1.0


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
    (row,) = of(rows, arm="weights", family=None)
    assert row.subject == "bad" and row.kl is None and row.perplexity_ratio > 0
    for family in ("random", "shuffled_pairs"):
        assert len(of(rows, arm="weights", family=family)) == ABLATION.nulls


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
    assert any("over the harder null directions of equal KL" in line for line in found.lines)
    assert not any("no interval" in line for line in found.lines)
    assert any("control adapter" in line for line in found.lines)
    assert {"ablate_1/em_change", "control_adapter/good_change"} <= set(found.metrics)
    for name in ("ablate_1/misaligned_over_random", "weights/good_over_random"):
        assert {name, f"{name}_low", f"{name}_high"} <= set(found.metrics)
    assert found.lines[0] == PLANTED and "careless persona" in PLANTED
    hub = [replace(r, weights="hub") for r in rows]
    assert PLANTED not in PHASE.summarize(hub, kept).lines
    bad, none = of(rows, subject="bad", arm="ablate", level=1.0, family=None)[0], rows[0]
    change = (bad.misaligned - none.misaligned) / bad.asked
    assert found.metrics["ablate_1/em_change"] == pytest.approx(change)
    assert set(PHASE.draw(rows, kept)) == {"ablation", "induction", "examples"}


def test_a_direction_that_was_not_made_is_refused() -> None:
    from mahals.maths.misalignment import detection

    assert "linear_probe" in detection.METHODS
    with judged(), pytest.raises(InputError, match=r"em_detection\.positions"):
        run(PHASE, replace(ABLATION, position="nowhere"), detected())


ASKED = 10


def told(*shares: tuple[str, float, str | None, int]) -> tuple[AblationTable, list[Any]]:
    """A table of arms at a level, of one family or none, with so many misaligned answers."""
    outcomes = [["misaligned"] * n + ["good"] * (ASKED - n) for *_, n in shares]
    codes = torch.stack([torch.from_numpy(codes_of(o)) for o in outcomes])
    tensors = {"codes": codes, "clusters": torch.arange(ASKED), "kinds": torch.zeros(ASKED)}
    rows = [
        SimpleNamespace(
            model="A", subject="bad", arm=arm, level=level, family=family, codes="x", codes_row=i
        )
        for i, (arm, level, family, _) in enumerate(shares)
    ]
    return AblationTable(rows, SimpleNamespace(tensors=lambda _: tensors)), rows


def test_an_arm_is_compared_with_the_harder_family_at_its_level() -> None:
    table, rows = told(
        ("ablate", 1, None, 1),
        *[("ablate", 1, "random", 9)] * 5, *[("ablate", 1, "shuffled_pairs", n) for n in (3, 4, 5)],
        ("ablate", 2, None, 1), ("ablate", 2, "random", 9), ("ablate", 2, "random", 8),
    )  # fmt: skip
    fall = over_harder(table, rows[0], "misaligned")
    assert fall is not None and fall.family == "shuffled_pairs"
    assert fall.over.interval.estimate == pytest.approx(0.1 - 0.4)
    rise = over_harder(table, rows[0], "good")
    assert rise is not None and rise.family == "shuffled_pairs"
    assert rise.over.interval.estimate == pytest.approx(0.9 - 0.6)
    assert over_harder(table, rows[9], "misaligned") is None, "one family alone says nothing"


def test_to_induce_is_to_raise_misalignment() -> None:
    table, rows = told(
        ("induce", 1, None, 9),
        *[("induce", 1, "random", 1)] * 4,
        *[("induce", 1, "shuffled_pairs", n) for n in (6, 5, 6, 5)],
    )  # fmt: skip
    up = over_harder(table, rows[0], "misaligned")
    assert up is not None and up.family == "shuffled_pairs"
    assert up.over.interval.estimate == pytest.approx(0.9 - 0.55)


def test_a_perfect_arm_beside_nulls_that_do_nothing_has_numbers() -> None:
    table, rows = told(
        ("ablate", 1, None, 0), *[("ablate", 1, f, 10) for f in ("random", "shuffled_pairs") * 5],
        ("none", 0, None, 10), ("none", 0, None, 0),
    )  # fmt: skip
    found = over_harder(table, rows[0], "misaligned")
    assert found is not None and found.over.interval.estimate == -1.0
    assert -1.0 <= found.over.interval.low < found.over.interval.high < -0.2
    back = restored_over_harder(table, rows[0], *rows[-2:])
    assert back is not None and back[1].estimate == pytest.approx(1.0) and back[1].low > 0.2
