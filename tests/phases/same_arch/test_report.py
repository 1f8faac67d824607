"""Same architecture, report: are steerability and refusals those computed by hand?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from mahals.data.texts import AXIOMS
from mahals.maths.stats.intervals import wilson
from mahals.maths.stats.rates import gap_of
from mahals.phases.same_arch.report.baselines import report_baselines
from mahals.phases.same_arch.report.refusals import report_refusals
from mahals.phases.same_arch.report.steerability import steerability
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from tests.support.arm_rows import N, arm_row, evidence, sample
from tests.support.swept_rows import swept
from tests.support.tiny_lab import MemoryKept


def test_refusals_of_each_axiom_before_and_after_steering() -> None:
    rows, kept = sample()
    (found,) = collect(ArmTable(rows, kept))
    said = report_refusals(found, ArmTable(rows, kept))
    tensors = kept.files["A/evidence"]
    fourth = (tensors["answered_axioms"] == 3) & (tensors["labels"] == 0)
    for name, i in (("", 1), ("_unsteered", 0)):
        expected = wilson(int(tensors["refused"][i][fourth].sum()), int(fourth.sum()))
        metric = f"refusal_unsafe_information_seeking{name}"
        assert said.metrics[metric] == expected.estimate
        assert said.metrics[f"{metric}_low"] == expected.low
        assert said.metrics[f"{metric}_high"] == expected.high
    assert len(said.metrics) == 7 * 2 * 3
    (line,) = said.lines
    assert all(axiom in line for axiom in AXIOMS)
    alone = report_refusals(found, ArmTable(rows[1:], kept))
    assert (alone.metrics, alone.lines) == ({}, [])


def test_steered_minus_prompt_and_minus_aligned_is_paired_by_prompt() -> None:
    rows, kept = sample()
    (found,) = collect(ArmTable(rows, kept))
    references = [arm_row("prompt", 3), arm_row("aligned", 4)]
    said = report_baselines(found, ArmTable([*rows, *references], kept))
    tensors = kept.files["A/evidence"]
    x = tensors["influence"].numpy()
    refused = tensors["refused"].numpy().astype(float)
    safe = tensors["labels"].numpy() == 1
    for row in references:
        k, name = row.evidence_row, f"aqi_over_{row.arm}"
        assert said.metrics[name] == pytest.approx(rows[1].aqi - row.aqi)
        error = np.sqrt(((x[1] - x[k]) ** 2).sum() / (N * (N - 1)))
        half = stats.t.ppf(0.975, N - 1) * error
        assert said.metrics[f"{name}_high"] - said.metrics[name] == pytest.approx(half)
        d = refused[1] - refused[k]
        gap = d[~safe].mean() - d[safe].mean()
        assert said.metrics[f"refusal_gap_over_{row.arm}"] == pytest.approx(gap)
        by_hand = gap_of(d, safe, None, paired=True).interval()
        ends = [said.metrics[f"refusal_gap_over_{row.arm}_{end}"] for end in ("low", "high")]
        assert ends == [by_hand.low, by_hand.high] and by_hand.low < gap < by_hand.high
    assert len(said.lines) == 2
    assert "steered minus the instruction in the prompt: aqi " in said.lines[0]
    assert "steered minus the aligned checkpoint: aqi " in said.lines[1]
    alike = replace(references[0], evidence_row=1)
    same = report_baselines(found, ArmTable([*rows, alike], kept))
    ends = [same.metrics[f"refusal_gap_over_prompt{end}"] for end in ("_low", "", "_high")]
    assert ends[0] == -ends[2] < 0 == ends[1], "alike on so many prompts is not alike on all"
    assert report_baselines(found, ArmTable(rows, kept)).lines == []


# ---- propensity


def test_steerability_is_the_slope_signed_so_that_good_is_up() -> None:
    """Planted slopes: three of four unsafe prompts rise, one of four safe prompts rises."""
    slopes = torch.tensor([2.0, 1.0, 0.5, -1.0, -2.0, -1.0, -0.5, 1.0])
    noise = [torch.linspace(-1, 1, 8) * k for k in (1.0, -1.0, 0.5)]
    doses = (0.0, 0.5, 1.0)
    rows = [swept("unsteered", 0)]
    values = [torch.arange(8.0)]
    for dose in doses:
        rows.append(swept("steered", len(values), dose=dose))
        values.append(values[0] + dose * slopes)
    for k, slope in enumerate(noise):
        for dose in doses[1:]:
            rows.append(swept("random", len(values), dose=dose, draw=k))
            values.append(values[0] + dose * slope)
    m = len(values)
    asked = {"propensity": torch.stack(values).double(), "propensity_of": torch.arange(m)}
    labels = np.repeat([0, 1], 4)
    file = evidence(np.zeros((m, 14)), np.zeros((m, 8), dtype=bool), labels=labels)
    kept = MemoryKept({"A/e": file | asked})
    grid = [r for r in rows if r.arm == "steered"]
    unsafe, safe = steerability(grid, ArmTable(rows, kept))
    assert unsafe.slope.estimate == pytest.approx(2.5 / 4)
    assert safe.slope.estimate == pytest.approx(2.5 / 4)
    assert unsafe.anti == wilson(1, 4) == safe.anti
    assert (unsafe.label, safe.label, unsafe.n, unsafe.n_random) == ("unsafe", "safe", 4, 3)
    assert unsafe.over_random is not None
    random_mean = np.mean([n[:4].mean().item() for n in noise])
    assert unsafe.over_random.interval.estimate == pytest.approx(2.5 / 4 - random_mean)
    shares = [(n[:4] < 0).double().mean().item() for n in noise]
    assert unsafe.anti_random == pytest.approx(np.mean(shares))
    error = np.std([2, 1, 0.5, -1], ddof=1) / 2
    assert unsafe.slope.standard_error == pytest.approx(error)
    assert "anti-steerable 0.25" in unsafe.sentence()
    bare = {k: v for k, v in kept.files["A/e"].items() if not k.startswith("propensity")}
    assert steerability(grid, ArmTable(rows, MemoryKept({"A/e": bare}))) == ()
