"""Is every sentence and number of `What was found` made of what several trainings measured?"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from docs import claim_rows, claims
from mahals.maths.stats.intervals import Interval
from mahals.phases.replication.measure import title
from mahals.phases.replication.report import summarize
from mahals.phases.replication.rows import Row
from mahals.phases.same_arch.report import _cosine_report
from mahals.phases.same_arch.report.sweep import variant
from mahals.records import InputError
from mahals.reporting.gains import gains_over
from mahals.reporting.headlines import headline_metrics
from mahals.reporting.multi_agent import Societies, Society
from mahals.reporting.multi_agent_report import report_society
from mahals.schema import Entry, claim_of
from tests.support.places import ROOT
from tests.support.swept_rows import agent, swept
from tests.support.synthetic_results import entry, steered

MODELS, TRAININGS = ("A", "B"), 3
SECTION = re.compile(r"^## What was found\n(.*?)(?=^## )", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[+\u2212]?\d+\.\d+")


def numbers(model: str | None) -> list[str]:
    """The metrics that the claims read: those of a model, or those of all together."""
    metrics = [c.metric for c in claims.CLAIMS if isinstance(c, claims.Claim)]
    chosen = [m for m in metrics if ("*" in m) == (model is not None)]
    return list(dict.fromkeys(m.replace("*", model or "") for m in chosen))


def lines() -> list[tuple[str, Entry]]:
    """Board lines: a model's own vector, and a crossing."""
    own, crossed = steered("A"), steered("A", source="B", map="ridge", source_layers=(2,))
    return [("same_arch", entry(own, None)), ("cross_arch", entry(crossed, None))]


def measured(holding: tuple[bool, ...] = (True, True, True)) -> dict[str, float]:
    """What replication says of made-up trainings; `holding`: where the crossing does."""
    rng, rows = np.random.default_rng(0), []
    for training, holds in enumerate(holding):
        for name in [*(n for m in MODELS for n in numbers(m)), *numbers(None)]:
            phase, _, metric = name.partition("/")
            value = float(rng.normal(0.3, 0.3))
            rows.append(Row(phase, training, metric, value, value - 0.2, value + 0.2, None))
        for phase, line in lines():
            gap = 0.4 + training / 100 if holds or phase == "same_arch" else -0.4
            name, shared = title(line.configuration), claim_of(line.configuration)
            line = entry(shared, None)
            rows.append(Row(phase, training, name, gap, gap - 0.1, gap + 0.1, line))
    return dict(summarize(rows, None).metrics)  # type: ignore[arg-type]


def cells(block: str) -> list[list[str]]:
    found = [line.strip("| ").split(" | ") for line in block.splitlines() if line.startswith("| ")]
    return found[1:]


@pytest.mark.parametrize("name", claims.TABLES)
def test_the_pages_hold_what_the_generator_makes(name: str) -> None:
    table = claims.TABLES[name]
    made = claims.block(claims.read(table.metrics), table.claims)
    for page in table.pages:
        text = page.read_text()
        cure = "run `python -m docs.claims`"
        assert claims.MARKS.placed(text, made) == text, f"{page.name} is not up to date: {cure}"


def test_what_a_table_reads_is_taken_of_a_replication_that_has_it(tmp_path: Path) -> None:
    """Its numbers with their intervals and counts, and no others."""
    table = replace(claims.TABLES["agents"], metrics=tmp_path / "kept.json")
    gap = "collaboration/none/A/gap_drift"
    found = {gap: -0.3, f"{gap}_low": -0.5, f"{gap}_held": 3, "other/A": 1.0, "trainings": 3}
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    claims.take(table, tmp_path / "metrics.json")
    assert claims.read(table.metrics) == {k: v for k, v in found.items() if k != "other/A"}
    (tmp_path / "metrics.json").write_text('{"other/A": 1.0, "trainings": 3}')
    with pytest.raises(InputError, match="a replication that has the table's phases, got 2 others"):
        claims.take(table, tmp_path / "metrics.json")


def test_outside_of_the_table_the_section_has_no_number() -> None:
    """A number that no program writes grows old: it stands in the table, or nowhere."""
    found = SECTION.search((ROOT / "README.md").read_text())
    assert found is not None, "README has a section `What was found`"
    head, _, rest = found[1].partition(claims.MARKS.begin)
    outside = re.sub(r"\]\([^)]*\)|`[^`]*`", "", head + rest.partition(claims.MARKS.end)[2])
    assert not re.findall(r"\d", outside), outside


def test_the_line_of_the_full_overlay_is_what_was_measured() -> None:
    kept = json.loads((ROOT / "docs/studies/same_arch_full.json").read_text())["entry"]
    values = [kept["metrics"][f"gap_over_random{end}"] for end in ("", "_low", "_high")]
    said = f"kept all bounds: {Interval(*values, 0.0):+.2f} over the harder nulls"
    assert said in (ROOT / "docs/findings.md").read_text()
    assert kept["over_ceiling"] == kept["not_shown_safe"] == []


def test_every_number_of_the_table_is_a_metric() -> None:
    """Read back from the page: each decimal is some metric, rounded as it is written."""
    metrics = claims.read(claims.METRICS)
    for known, page in ((metrics, ROOT / "README.md"), (measured(), None)):
        if known is None:
            continue
        text = claims.block(known) if page is None else page.read_text()
        block = text.partition(claims.MARKS.begin)[2].partition(claims.MARKS.end)[0]
        rounded = {f"{abs(v):.{digits}f}" for v in known.values() for digits in (1, 2)}
        said = NUMBER.findall(block)
        assert said and {n.lstrip("+\u2212") for n in said} <= rounded


@pytest.mark.parametrize("metrics", [None, {}, {"trainings": 1.0}])
def test_before_two_trainings_nothing_is_claimed(metrics: dict[str, float] | None) -> None:
    made = claims.block(metrics)
    assert "Not yet measured at R >= 2 trainings" in made and "|" not in made


def test_a_row_says_the_mean_its_interval_and_the_trainings_in_which_it_holds() -> None:
    metrics = measured()
    name = "same_arch/A/add/raw/chosen/gap_over_nulls"
    mean, low, high = (metrics[name + end] for end in ("", "_low", "_high"))
    (row,) = [c for c in cells(claims.block(metrics)) if c[0].endswith("nulls: A")]
    assert row[1] == f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]".replace("-", "\u2212")
    assert row[2] == f"{metrics[f'{name}_held']:.0f} of 3"
    assert "DPO" in row[3]


def test_the_lowest_and_the_highest_model_are_named() -> None:
    metrics = measured()
    name = "same_arch/{}/add/raw/chosen/gap_over_prompt"
    order = sorted(MODELS, key=lambda m: metrics[name.format(m)])
    said = [c[0] for c in cells(claims.block(metrics)) if "careful prompt" in c[0]]
    assert [words[-1] for words in said] == order


def test_lines_that_hold_in_all_trainings_are_counted_and_crossings_named() -> None:
    def crossings(*holding: bool) -> list[list[str]]:
        found = cells(claims.block(measured(holding)))
        return [c for c in found if "architectures" in c[0] or "B into A" in c[0]]

    count, named = crossings(True, True, True)
    assert count[1:3] == ["of 1 lines", "1 in all 3, 1 in some"]
    assert named[1:3] == ["+0.41 [+0.39, +0.43]", "3 of 3"]
    (count,) = crossings(True, False, True)
    assert count[2] == "0 in all 3, 1 in some"


def test_what_lies_at_a_floor_has_a_row_and_no_number() -> None:
    metrics = {n: v for n, v in measured().items() if "attack_success_unsteered" not in n}
    (row,) = [c for c in cells(claims.block(metrics)) if "attack on the models unsteered" in c[0]]
    assert row[1:3] == ["no number: at a floor, or too few models", claim_rows.ABSENT]


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        claims.MARKS.placed("# A page", claims.block(None))


def test_the_claims_read_metrics_that_the_phases_make() -> None:
    """Under the names that same_arch gives to an arm, to all models together, to a vector."""
    seed = count()
    arm, base, prompt, *nulls = (agent("A", 1.0, [1, 0] * 7, next(seed)) for _ in range(7))
    found = gains_over(arm, base, {"random": nulls[:2], "shuffled_pairs": nulls[2:]}, prompt)
    place = variant(swept("steered", 0, operator="add", placement="raw"))
    made = set(headline_metrics(found, f"*/{place}chosen/")) | set(
        headline_metrics(found, "*/aligned/")
    )
    pair = tuple(agent(t, 20.0 + i, [1, 0] * 7, i) for i, t in enumerate(MODELS))
    states = {n: Society(n, pair) for n in ("unsteered", "steered", "aligned")}
    draws = {"random": tuple(Society(f"random {i}", pair) for i in range(2))}
    made |= set(report_society(Societies(MODELS, states, draws)).metrics)  # type: ignore[arg-type]
    some = [gains_over(agent("A", 1.0, [1, 0] * (3 + i) + [0, 0] * (4 - i), i), base, {}, None)
            for i in range(4)]  # fmt: skip
    for i, e in enumerate(some):
        object.__setattr__(e, "row", swept("steered", 0, cosine=0.1 * i))
    made |= set(_cosine_report("", some).metrics)
    wanted = {c.metric.removeprefix("same_arch/") for c in claims.CLAIMS
              if isinstance(c, claims.Claim)}  # fmt: skip
    assert wanted <= made, wanted - made
