"""Does a fall start from the kept adapter, and is what came back told as METHOD tells it?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mahals.evaluation.bench import bench
from mahals.evaluation.dose import NOT_STEERED
from mahals.evaluation.scores import arm_aqi
from mahals.evaluation.selection import refusal_gap
from mahals.evaluation.transfer.best_source import Crossing
from mahals.maths.stats.intervals import Interval
from mahals.models.finetuning.config import Lora
from mahals.models.finetuning.lora import merged
from mahals.models.generation.dose_search import largest_kl
from mahals.models.steering.interventions import Arm, Intervention
from mahals.phase import Single
from mahals.phases.recovery import PHASE
from mahals.phases.recovery import measure as phase
from mahals.phases.recovery.measure import Params
from mahals.phases.recovery.measure.tuning import DealignmentTuning
from mahals.phases.recovery.report import PLANTED, arm_name, stages
from mahals.phases.recovery.report.recovery_rate import Fall, Rate, largest_recovered, recovery
from mahals.phases.recovery.rows import Row
from mahals.records import from_plain, to_plain
from mahals.reporting.evidence import ArmEvidence, ArmTable
from mahals.schema import ArmRow
from tests.support.keeping_lab import KeepingLab
from tests.support.tiny_lab import SUITE, MemoryKept, TinyLab, lab_with_vectors, refused, run

pytest.importorskip("peft")
TUNING = DealignmentTuning(
    steps=(2, 5),
    pairs=12,
    rows=4,
    micro=4,
    rate={"organism": 0.05},
    warmup=1,
    lora=Lora(4, 8, 0.0, "attention"),
    quantize=False,
)
PARAMS = Params(
    original="aligned",
    tuning=TUNING,
    crossing=Crossing("best", "ridge", "relative_depth"),
    method="mean_difference",
    texts={"organism": "unsafe"},
    tokens=64,
    layers="auto",
    operator="add",
    recovered_at=0.5,
    suite=SUITE,
)


def a_lab(root: Path, **changes: Any) -> KeepingLab:
    plain = lab_with_vectors()
    return KeepingLab(root=root, files=plain.files, made=plain.made, **changes)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> KeepingLab:
    return a_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def rows(lab: KeepingLab) -> list[Row]:
    return run(PHASE, PARAMS, lab)


def of(rows: list[Row], **wanted: Any) -> list[Row]:
    return [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]


# The plan


def test_one_task_holds_the_target_and_those_whose_vectors_travel() -> None:
    def models(source: str) -> tuple[str, ...]:
        crossing = replace(PARAMS.crossing, source=source)
        (task,) = PHASE.plan(replace(PARAMS, crossing=crossing), TinyLab())
        return tuple(task.models)

    assert models("best") == ("A", "B", "C")
    assert models("B") == ("A", "B")
    assert models("none") == models("A") == ("A",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tuning": replace(TUNING, steps=(5, 2))}, "rising numbers of steps"),
        ({"tuning": replace(TUNING, steps=())}, "rising numbers of steps"),
        ({"tuning": replace(TUNING, rate={"hub": 0.1})}, "weights=organism"),
        ({"recovered_at": 0.0}, "a share above 0"),
    ],
)
def test_what_cannot_be_done_is_refused_early(changes: dict[str, Any], words: str) -> None:
    assert words in str(refused(lambda: PHASE.plan(replace(PARAMS, **changes), TinyLab())))


# The rows


def test_the_arms_of_every_fall(rows: list[Row]) -> None:
    draws = ["random"] * SUITE.nulls + ["shuffled_pairs"] * SUITE.nulls
    assert [(r.state, r.steps, r.arm) for r in rows[:3]] == [
        ("original", 0, "unsteered"),
        ("control", 2, "unsteered"),
        ("control", 5, "unsteered"),
    ]
    for steps in (2, 5):
        here = of(rows, state="dealigned", steps=steps)
        names = [arm_name(r) for r in here]
        crossed = ["transferred", *["shuffled"] * SUITE.nulls]
        assert names == ["unsteered", "native", "flipped", *draws, *crossed, "negated"]
        assert not here[0].missed
    assert [from_plain(Row, to_plain(r)) for r in rows] == rows


def test_the_dose_is_found_on_the_dealigned_model(rows: list[Row], lab: KeepingLab) -> None:
    """The KL of the arm put together by hand, on the calibration texts, from that very model."""
    steered = [r for r in rows if r.strength is not None]
    assert {(r.dose_kind, r.dose) for r in steered} == {("kl", SUITE.dose_kl)}
    assert all(r.kl is None and r.reason for r in rows if r.arm == "unsteered")
    for row in [r for r in steered if arm_name(r) in ("native", "flipped")]:
        at = bench(lab, "A", "aligned", SUITE, "evaluation")
        whole = merged(lab.model("A", "aligned"), lab.root / "kept" / row.adapter)
        values = lab.files["vectors-A"]["values"].float()
        sign = 1.0 if row.arm == "steered" else -1.0
        steps = tuple(Intervention(b, values[b], sign * row.strength, "add") for b in row.layers)
        (kl,) = largest_kl(whole, at.calibration.sets, [Arm("by hand", steps)])
        assert kl == pytest.approx(SUITE.dose_kl, rel=0.02)
        assert row.kl == max(row.kl_neutral, row.kl_chat)


def test_a_state_is_its_kept_adapter_on_the_aligned_checkpoint(
    rows: list[Row], lab: KeepingLab
) -> None:
    for row in of(rows, arm="unsteered"):
        at = bench(lab, "A", "aligned", SUITE, "evaluation")
        if row.adapter is not None:
            folder = lab.root / "kept" / row.adapter
            at = replace(at, loaded=merged(lab.model("A", "aligned"), folder))
        (found,) = arm_aqi(at, [NOT_STEERED.arm])
        assert row.aqi == pytest.approx(found.aqi.aqi.estimate, abs=1e-6)
        assert row.aqi_last == pytest.approx(found.last.aqi.estimate, abs=1e-6)
    sides = {r.steps: r for r in of(rows, state="dealigned", arm="unsteered")}
    assert sides[2].adapter == "A/rejected.step-00002" and sides[5].loss < sides[2].loss


def test_only_what_misaligns_is_of_dual_use(rows: list[Row], lab: KeepingLab) -> None:
    for side, flag in (("rejected", "true"), ("chosen", "false")):
        card = lab.root / "kept" / "A" / f"{side}.step-00005" / "README.md"
        assert f"dual_use: {flag}" in card.read_text(encoding="utf-8")
    cards = PHASE.summarize(rows, MemoryKept(lab.files)).vectors
    falls = [c for c in cards if c.method == "dealignment"]
    assert [c.reference for c in falls] == [f"A/fall.step-0000{n}.safetensors" for n in (2, 5)]
    assert all(c.reference in lab.files for c in falls)
    adapters = {c.reference: c.metadata["dual_use"] for c in cards if c not in falls}
    assert adapters == {
        f"A/{side}.step-0000{n}": side == "rejected"
        for side in ("chosen", "rejected")
        for n in (2, 5)
    }
    assert all(c.metadata["dual_use"] is True for c in falls)
    assert all(c.selection_score is None for c in cards), "none of them may be a champion"


def test_the_negated_arm_subtracts_the_kept_fall(rows: list[Row], lab: KeepingLab) -> None:
    """The fall read by hand: last token of the unsafe prompts, one text at a time."""
    import torch

    from mahals.models.activations.encoding import encode_prompts

    (row,) = of(rows, method="dealignment", steps=5)
    whole = merged(lab.model("A", "aligned"), lab.root / "kept" / "A" / "rejected.step-00005")
    prompts = [p.prompt for p in lab.pairs("extraction")[:12] if p.label == 0]
    means = []
    for one in (whole, lab.model("A", "aligned")):
        last = []
        for text in encode_prompts(one.tokenizer, prompts):
            with torch.no_grad():
                out = one.model(torch.tensor([text.ids]), output_hidden_states=True)
            last.append(torch.stack([h[0, -1] for h in out.hidden_states[1:4]]))
        means.append(torch.stack(last).mean(dim=0))
    fall = lab.files["A/fall.step-00005.safetensors"]["values"]
    torch.testing.assert_close(fall[:3], means[0] - means[1], rtol=1e-3, atol=1e-4)
    own = lab.files["vectors-A"]["values"][row.layers[-1]]
    cosine = torch.nn.functional.cosine_similarity(-fall[row.layers[-1]], own.float(), dim=0)
    assert row.cosine_native == pytest.approx(float(cosine), abs=1e-5)


@pytest.mark.slow
def test_the_best_source_has_the_highest_gap_on_selection(
    tmp_path: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mahals.evaluation.transfer import best_source as vectors

    seen: list[tuple[str | None, float]] = []
    monkeypatch.setattr(vectors, "refusal_gap", lambda m, at: float(len(seen)))  # alike so far
    found = vectors.measure_arms

    def told(at: Any, arms: Any, neutral: bool) -> Any:
        assert {p.split for p in at.prompts} == {"selection"}
        measured = found(at, arms, neutral)
        seen.extend(
            (a.name.split()[1], refusal_gap(m, at)) for a, m in zip(arms, measured, strict=True)
        )
        gaps = iter([g for _, g in seen])
        monkeypatch.setattr(vectors, "refusal_gap", lambda m, at: next(gaps))
        return measured

    monkeypatch.setattr(vectors, "measure_arms", told)
    again = run(PHASE, PARAMS, a_lab(tmp_path))
    assert [s for s, _ in seen] == ["B", "C"]
    chosen = {(r.source, r.selection_gap) for r in again if arm_name(r) == "transferred"}
    assert {g for _, g in chosen} == {max(g for _, g in seen)}
    assert chosen <= set(seen)
    assert again == rows, "the same seed gives the same rows"


@pytest.mark.slow
def test_without_a_source_the_reason_is_told(tmp_path: Path) -> None:
    params = replace(
        PARAMS,
        crossing=replace(PARAMS.crossing, source="none"),
        tuning=replace(TUNING, steps=(2,)),
    )
    lab = a_lab(tmp_path)
    rows = run(PHASE, params, lab)
    assert "transferred" not in {arm_name(r) for r in rows}
    lines = PHASE.summarize(rows, MemoryKept(lab.files)).lines
    assert any("transferred vector: not measured" in line for line in lines)


def test_progress_tells_both_trainings(rows: list[Row], lab: KeepingLab) -> None:
    for words in ("rejected answers, loss", "chosen answers, loss", "measuring arms"):
        assert any(words in said for said in lab.said)


# What is said


def test_the_summary_has_both_rates_or_says_why_not(rows: list[Row], lab: KeepingLab) -> None:
    found = PHASE.summarize(rows, MemoryKept(lab.files))
    (falls,) = stages(ArmTable(rows, MemoryKept(lab.files))).values()
    for stage in falls:
        for name in ("native", "transferred", "negated"):
            for what in ("aqi", "gap"):
                rate = stage.rate(name, what)
                metric = f"step_{stage.row.steps}/{name}/recovery_{what}"
                assert (metric in found.metrics) == (rate.rate is not None) != bool(rate.reason)
        unsteered = stage.fall.original.row.aqi - stage.fall.dealigned.row.aqi
        assert found.metrics[f"step_{stage.row.steps}/drop_aqi"] == pytest.approx(unsteered)
    assert found.lines[0] == PLANTED and "refusals were taught" in PLANTED
    hub = [replace(r, weights="hub") for r in rows]
    assert PLANTED not in PHASE.summarize(hub, MemoryKept(lab.files)).lines
    assert found.entries == ()
    assert sum("largest drop" in line for line in found.lines) == 8
    assert any("refusal detector" in line for line in found.lines)


def test_figures_are_drawn_of_one_model_and_of_two(rows: list[Row], lab: KeepingLab) -> None:
    kept = MemoryKept(lab.files)
    names = {"aqi_by_steps", "gap_by_steps", "recovery_rate"}
    assert set(PHASE.draw(rows, kept)) == names
    two = [*rows, *(replace(r, target="B") for r in rows)]
    assert set(PHASE.draw(two, kept)) == names
    metrics = PHASE.summarize(two, kept).metrics
    assert metrics["A/step_2/drop_aqi"] == metrics["B/step_2/drop_aqi"]


# The rates


def evidence(aqi: float, noise: np.ndarray, template: ArmRow) -> ArmEvidence:
    n = len(noise)
    influence, names = noise - noise.mean(), [str(i) for i in range(n)]
    return ArmEvidence(
        row=replace(template, aqi=aqi, aqi_mean=aqi, aqi_last=aqi),
        influence=influence,
        influence_mean=influence,
        influence_last=influence,
        axioms=np.zeros(n, dtype=np.int64),
        clusters=names,
        gap=0.0,
        gap_clusters=names,
        refused=np.zeros(n, dtype=bool),
        degenerate=np.zeros(n, dtype=bool),
        safe=np.arange(n) % 2 == 0,
        answered_axioms=np.zeros(n, dtype=np.int64),
    )


def refusing(template: ArmRow, share: float, seed: int = 0, n: int = 100) -> ArmEvidence:
    """An arm that refuses this share of the unsafe prompts and no safe one."""
    arm = evidence(0.0, np.zeros(n), template)
    count = round(share * (~arm.safe).sum())
    refused = np.zeros(n, dtype=bool)
    refused[np.random.default_rng(seed).permutation(np.flatnonzero(~arm.safe))[:count]] = True
    return replace(arm, refused=refused, gap=share)


@pytest.fixture
def template(rows: list[Row]) -> ArmRow:
    return rows[0]


def planted(template: ArmRow, **means: float) -> dict[str, ArmEvidence]:
    """Means of 200 draws around given values, each state with noise of its own."""
    rng = np.random.default_rng(3)
    return {
        name: evidence(mean, rng.standard_normal(200) * 10, template)
        for name, mean in means.items()
    }


def told(template: ArmRow, after: float, control: float = 90.0, threshold: float = 0.5) -> Rate:
    arms = planted(template, original=92.0, control=control, dealigned=40.0, after=after)
    random = list(planted(template, r0=39.0, r1=41.0, r2=40.5, r3=39.5).values())
    near = list(planted(template, r0=38.0, r1=42.0, r2=41.0, r3=39.0).values())
    fall = Fall(arms["original"], arms["control"], arms["dealigned"])
    nulls = {"random": random, "shuffled_pairs": near}
    return recovery(arms["after"], fall, nulls, "aqi", threshold)


def test_the_rate_by_hand(template: ArmRow) -> None:
    found = told(template, 79.0)
    assert found.rate is not None and found.over_random is not None
    assert found.rate.estimate == pytest.approx((79 - 40) / (92 - 40))
    assert found.over_random.estimate == pytest.approx((79 - 40) / (92 - 40))
    assert found.rate.low < 0.75 < found.rate.high
    assert found.over_random.high - found.over_random.low > found.rate.high - found.rate.low
    assert found.harder == "shuffled_pairs", "they vary more"


def test_the_interval_is_that_of_repetitions(template: ArmRow) -> None:
    """Ratios of normal draws with the states' own errors (10 / sqrt(200))."""
    found = told(template, 79.0).rate
    assert found is not None
    rng = np.random.default_rng(0)
    sem = 10 / np.sqrt(200)
    after, low, up = (rng.normal(m, sem, 200_000) for m in (79.0, 40.0, 92.0))
    low_end, high_end = np.quantile((after - low) / (up - low), [0.025, 0.975])
    assert found.low == pytest.approx(low_end, abs=0.006)
    assert found.high == pytest.approx(high_end, abs=0.006)


def test_recovered_asks_for_the_lower_end(template: ArmRow) -> None:
    assert told(template, 79.0).recovered is True
    assert told(template, 66.0).recovered is False, "the estimate is .5, its lower end is not"
    assert told(template, 79.0, threshold=0.9).recovered is False
    assert told(template, 20.0).recovered is False


def test_nothing_is_brought_back_where_the_control_fell_as_far(template: ArmRow) -> None:
    found = told(template, 79.0, control=40.5)
    assert found.rate is None and found.over_random is None and found.recovered is None
    assert "no sure drop beyond" in (found.reason or "")
    assert "a rise beyond" in (told(template, 79.0, control=20.0).reason or "")


def test_a_family_without_two_arms_gives_no_verdict(template: ArmRow) -> None:
    arms = planted(template, original=92.0, control=90.0, dealigned=40.0, after=79.0)
    fall = Fall(arms["original"], arms["control"], arms["dealigned"])
    nulls = {"random": [arms["dealigned"]] * 2, "shuffled_pairs": [arms["after"]]}
    found = recovery(arms["after"], fall, nulls, "aqi", 0.5)
    assert found.rate is not None and found.recovered is None
    assert found.over_random_reason == "shuffled_pairs: 1 null arms at this dose"
    assert recovery(arms["after"], fall, {}, "aqi", 0.5).over_random_reason is not None


def test_an_arm_that_brings_every_refusal_back_has_a_rate(template: ArmRow) -> None:
    """All states at 0 or 1, where a jackknife has no width."""
    whole, none = refusing(template, 1.0), refusing(template, 0.0)
    nulls = {"random": [none] * 6, "shuffled_pairs": [none] * 6}
    fall = Fall(whole, whole, none)
    found = recovery(whole, fall, nulls, "gap", 0.5)
    assert found.rate is not None and found.over_random is not None
    assert found.rate.estimate == found.over_random.estimate == 1.0 and found.recovered is True
    assert 0.8 < found.rate.low < 1 < found.rate.high < 1.2
    assert found.over_random.low < found.rate.low
    still = recovery(none, fall, nulls, "gap", 0.5)
    assert still.rate is not None and still.rate.low < 0 == still.rate.estimate < still.rate.high
    assert still.recovered is False


def test_the_rate_of_refusals_is_over_the_harder_family(template: ArmRow) -> None:
    fall = Fall(refusing(template, 0.9), refusing(template, 0.85), refusing(template, 0.1))
    low = [refusing(template, 0.1, seed) for seed in range(6)]
    high = [refusing(template, x, seed) for seed, x in enumerate((0.5, 0.6, 0.5, 0.6, 0.5, 0.6))]
    found = recovery(
        refusing(template, 0.8, 3), fall, {"random": low, "shuffled_pairs": high}, "gap", 0.5
    )
    assert found.rate is not None and found.over_random is not None
    assert found.rate.estimate == pytest.approx(0.7 / 0.8)
    assert found.harder == "shuffled_pairs" and found.recovered is False
    assert found.over_random.estimate == pytest.approx((0.8 - 0.55) / 0.8)
    easy = recovery(refusing(template, 0.8, 3), fall, {"random": low}, "gap", 0.5)
    assert easy.recovered is True


def test_states_that_never_vary_give_no_interval_of_aqi(template: ArmRow) -> None:
    still = {
        name: evidence(aqi, np.zeros(200), template)
        for name, aqi in (("original", 90.0), ("control", 90.0), ("dealigned", 40.0))
    }
    fall = Fall(*still.values())
    nulls = {"random": [still["dealigned"]] * 3}
    found = recovery(still["original"], fall, nulls, "aqi", 0.5)
    assert found.rate is None and "nothing varies" in (found.reason or "")


def test_the_same_model_is_all_or_nothing(template: ArmRow) -> None:
    arms = planted(template, original=92.0, control=90.0, dealigned=40.0)
    fall = Fall(arms["original"], arms["control"], arms["dealigned"])
    nulls = {"random": list(planted(template, r0=39.0, r1=41.0).values())}
    whole = recovery(arms["original"], fall, nulls, "aqi", 0.5).rate
    none = recovery(arms["dealigned"], fall, nulls, "aqi", 0.5).rate
    assert whole is not None and none is not None
    assert (whole.estimate, none.estimate) == (1.0, 0.0)
    assert whole.low == pytest.approx(1) and whole.high == pytest.approx(1)


def test_the_largest_drop_is_of_those_recovered_under_the_ceiling() -> None:
    def rate(recovered: bool | None) -> Rate:
        return Rate(None, None, None, None, None, recovered)

    def drop(size: float) -> Interval:
        return Interval(size, size - 1, size + 1, 0.5)

    tried = [
        (drop(10), rate(True), True),
        (drop(20), rate(True), True),
        (drop(30), rate(True), False),
        (drop(40), rate(False), True),
        (drop(50), rate(None), True),
    ]
    assert largest_recovered(tried) == drop(20)
    assert largest_recovered(tried[3:]) is None


@pytest.mark.slow
def test_hooks_that_do_not_act_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = phase.measure_arms

    def idle(at: Any, arms: Any, neutral: bool) -> Any:
        measured = found(at, arms, neutral)
        return [measured[0]] * len(measured)

    monkeypatch.setattr(phase, "measure_arms", idle)
    with pytest.raises(RuntimeError, match="hooks did not act"):
        run(PHASE, PARAMS, a_lab(tmp_path))


def test_a_model_without_an_aligned_half_is_refused_in_the_plan() -> None:
    lab = TinyLab(singles={"A": Single("base", "its gate failed")})
    aligned = replace(PARAMS, original="aligned")
    assert "recovery.original" in str(refused(lambda: PHASE.plan(aligned, lab)))
    assert PHASE.plan(replace(PARAMS, original="base"), lab)
