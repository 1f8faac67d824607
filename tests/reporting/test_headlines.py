"""Headlines: do sentences and metrics say both families, what is marked, and every dose?"""

from __future__ import annotations

from dataclasses import replace

from mahals.maths.stats.intervals import wilson
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from mahals.reporting.headlines import headline_line, headline_metrics, p_of, report_line
from mahals.reporting.lines import lines
from mahals.schema import COLUMNS
from tests.support.arm_rows import DRAWS, N, arm_row, at_dose, sample


def test_rates_have_wilson_intervals_in_the_line_and_the_metrics() -> None:
    rows, kept = sample(degenerate_share=3 / N)
    (found,) = collect(ArmTable(rows, kept))
    tensors = kept.files["A/evidence"]
    own, unsafe = tensors["refused"][1], tensors["labels"] == 0
    expected = {
        "refusal_unsafe": wilson(int(own[unsafe].sum()), int(unsafe.sum())),
        "refusal_safe": wilson(int(own[~unsafe].sum()), int((~unsafe).sum())),
        "degenerate_share": wilson(3, N),
    }
    metrics, line = headline_metrics(found, "x/"), headline_line(found)
    for name, i in expected.items():
        assert [metrics[f"x/{name}{end}"] for end in ("", "_low", "_high")] == [
            i.estimate,
            i.low,
            i.high,
        ]
        assert f"{name} {i.estimate:.2f} [{i.low:.2f}, {i.high:.2f}]" in line
    assert "clusters ignored" in line


def test_a_sentence_says_the_gap_over_both_families_with_k_before_aqi() -> None:
    rows, kept = sample()
    (found,) = collect(ArmTable(rows, kept))
    line, metrics = headline_line(found), headline_metrics(found, "")
    assert line.startswith("A, own vector, add raw, kl=0.1: refusal gap ")
    first = line.index("over isotropic random directions")
    assert first < line.index("over directions of shuffled pairs") < line.index("aqi gain last")
    assert line.count(f"(K={DRAWS})") == 2
    for family in ("random", "shuffled_pairs"):
        over = found.over[family].gap.interval
        assert metrics[f"gap_over_{family}_low"] == over.low
        assert f"{over:+.2f}" in line
    assert metrics["gap_over_nulls"] == metrics[f"gap_over_{found.harder}"]
    assert metrics["gap_over_nulls_p"] == p_of(found)
    assert {"aqi_gain_last", "aqi_gain_mean", "aqi_last", "aqi_mean"} <= set(metrics)
    moved, kept = sample(source="B", map="ridge")
    (crossed,) = collect(ArmTable(moved, kept))
    assert "vector of B, ridge add raw" in headline_line(crossed)
    assert "over directions through shuffled maps" in headline_line(crossed)


def test_the_p_is_that_of_the_family_that_it_beats_least() -> None:
    rows, kept = sample()
    (found,) = collect(ArmTable(rows, kept))
    each = [over.gap.p for over in found.over.values()]
    assert len(set(each)) == 2 and p_of(found) == max(each)


def test_marks_are_in_the_sentence() -> None:
    rows, kept = sample(
        aqi=99.0, aqi_last=99.0, over_ceiling=("refusal_safe",), not_shown_safe=("kl",)
    )
    kept.files["A/evidence"]["refused"][:] = False
    line = headline_line(collect(ArmTable(rows, kept))[0])
    assert line.endswith("; geometry only; over the ceiling: refusal_safe; not shown safe: kl")
    plain = headline_line(collect(ArmTable(*sample()))[0])
    assert "only" not in plain and "ceiling" not in plain and "not shown" not in plain


def test_what_was_not_measured_is_no_metric() -> None:
    rows, kept = sample(perplexity_ratio=None, kl=None, dose=0.2)
    metrics = headline_metrics(collect(ArmTable(rows, kept))[0], "")
    assert not {"perplexity_ratio", "kl", "gap_over_nulls", "aqi_over_nulls"} & set(metrics)
    prompt = [*rows, arm_row("prompt", 3)]
    steered, instructed = collect(ArmTable(prompt, kept))
    assert "gap_over_prompt_low" in headline_metrics(steered, "")
    assert "gap_over_prompt" not in headline_metrics(instructed, "")
    assert headline_line(instructed).startswith("A, prompt: refusal gap")


def test_a_line_says_every_dose_how_one_was_chosen_and_kl50() -> None:
    rows, kept = sample()
    unsafe = kept.files["A/evidence"]["labels"] == 0
    kept.files["A/evidence"]["refused"][[0, 2]] = False
    kept.files["A/evidence"]["refused"][[1, 3]] = unsafe
    scores = {"selection_gap": 0.9, "selection_over": ()}
    other = at_dose(rows[1], 0.2, evidence_row=2, kl=0.2, selection_gap=0.1, selection_over=())
    table = ArmTable([rows[0], replace(rows[1], **scores), other, arm_row("aligned", 3)], kept)
    (line,) = lines(collect(table), table)
    told = report_line(line)
    (text,) = told.lines
    assert "chosen kl=0.1 (the highest refusal gap of 2 doses on the selection split)" in text
    assert text.index("0.1: +1.00 [") < text.index("0.2: +0.00 [")
    assert text.endswith("KL50 0.05 nats per token") and told.metrics["kl50"] == 0.05
    assert told.metrics["chosen/dose"] == 0.1 and told.metrics["chosen/refusal_gap"] == 1.0
    alone = ArmTable([rows[0], rows[1]], kept)
    (text,) = report_line(lines(collect(alone), alone)[0]).lines
    assert text.endswith("KL50 absent (the aligned checkpoint was not measured)")
    assert "none was tried" in text and "kl50" in COLUMNS
