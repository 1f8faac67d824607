"""Replication: is what holds in some trainings told apart from what holds in all?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from scipy import stats

from mahals.phase import Summary
from mahals.phases.replication import PHASE
from mahals.phases.replication.measure import Params
from mahals.phases.replication.report import claims
from mahals.phases.replication.rows import Row
from mahals.schema import Entry
from tests.support.synthetic_results import entry, organiser, steered

PARAMS = Params(trainings=5, first_models=0, phases=("same_arch",))
GAINS = (3.0, 2.5, 3.5, 2.0, 4.0)


@dataclass(frozen=True)
class Retrained:
    """As much of a lab as the phase asks for: what same_arch says of each training."""

    said: Mapping[int, Summary]

    @property
    def trainings(self) -> tuple[int, ...]:
        return tuple(self.said)

    def summary(self, phase: str, training: int) -> Summary:
        assert phase == "same_arch"
        return self.said[training]


def line(gap: float | None, vector: str, over: tuple[str, ...] = (), dose: str = "kl=0.1") -> Entry:
    """A steered line of the board whose gap has a half width of .1."""
    found = entry(steered(vector=vector, dose=dose), None, over_ceiling=over)
    ends = {"": 0.0, "_low": -0.1, "_high": 0.1}
    gaps = {} if gap is None else {f"gap_over_random{end}": gap + d for end, d in ends.items()}
    return replace(found, metrics={**found.metrics, **gaps})


def told(gain: float, half: float, *lines: Entry) -> Summary:
    metrics = {"A/gain": gain, "A/gain_low": gain - half, "A/gain_high": gain + half}
    return Summary({**metrics, "A/gain_p": 0.01, "A/aqi": 7.0}, (), lines, ())


def rows_of(said: Sequence[Summary], first: int = 0) -> list[Row]:
    lab = Retrained({first + i: each for i, each in enumerate(said)})
    tasks = PHASE.plan(PARAMS, lab)  # type: ignore[arg-type]
    return [row for task in tasks for row in PHASE.measure(task, PARAMS, lab)]  # type: ignore[arg-type]


def summary_of(said: Sequence[Summary]) -> Summary:
    return PHASE.summarize(rows_of(said), None)  # type: ignore[arg-type]


def test_a_number_has_the_mean_and_the_t_interval_of_its_trainings() -> None:
    metrics = summary_of([told(gain, 1.0) for gain in GAINS]).metrics
    ends = stats.ttest_1samp(GAINS, 0).confidence_interval(0.95)
    assert metrics["trainings"] == 5
    assert metrics["same_arch/A/gain"] == pytest.approx(3.0)
    assert metrics["same_arch/A/gain_low"] == pytest.approx(ends.low)
    assert metrics["same_arch/A/gain_high"] == pytest.approx(ends.high)
    assert metrics["same_arch/A/gain_held"] == 5
    assert "same_arch/A/gain_p" not in metrics, "a p-value is no estimate"
    assert metrics["same_arch/A/aqi"] == 7 and "same_arch/A/aqi_low" not in metrics, "no spread"
    assert "same_arch/A/aqi_held" not in metrics, "no interval of its own"


def test_an_interval_between_trainings_ends_where_the_number_does() -> None:
    wide = {
        "gap_over_random": 0.9,
        "refusal_unsafe": 0.4,
        "attack_success_steered_over_random": 0.1,
    }
    said = [
        Summary({f"A/{k}": v * far for k, v in wide.items()}, (), (), ()) for far in (0.0, 1.0, 0.1)
    ]
    metrics = summary_of(said).metrics
    ends = {k: (metrics[f"same_arch/A/{k}_low"], metrics[f"same_arch/A/{k}_high"]) for k in wide}
    assert ends["gap_over_random"][1] == 1.0 and ends["gap_over_random"][0] > -1.0
    assert ends["refusal_unsafe"][0] == 0.0 and ends["refusal_unsafe"][1] < 1.0
    assert ends["attack_success_steered_over_random"][0] < 0.0, "a difference of shares"


def test_what_holds_in_some_trainings_is_counted() -> None:
    said = [told(gain, 2.9) for gain in GAINS]  # above 0 where the gain is 3 or more
    assert summary_of(said).metrics["same_arch/A/gain_held"] == 3
    turned = [*said[:-1], told(-9.0, 1.0)]  # now the mean is about 0.4
    assert summary_of(turned).metrics["same_arch/A/gain_held"] == 2


def test_a_line_holds_above_0_and_under_the_ceiling_at_each_trainings_own_dose() -> None:
    gaps = (0.5, 0.5, 0.05, None, 0.5)
    over = ((), (), (), (), ("perplexity_ratio",))
    doses = ("kl=0.05", "kl=0.1", "kl=0.2", "kl=0.1", "kl=0.1")
    many = enumerate(zip(gaps, over, doses, strict=True))
    lines = [line(g, f"{i:012}", o, d) for i, (g, o, d) in many]
    found = summary_of([told(3.0, 1.0, each) for each in lines])
    name = "same_arch/board/Mistral_7B/own/mean_difference/add/raw/blocks_3"
    assert found.metrics[f"{name}_held"] == 2
    assert found.metrics[name] == pytest.approx(1.55 / 4)
    assert found.metrics[f"{name}_trainings"] == 4, "one has no gap"
    (joined,) = found.entries
    assert joined.configuration == steered(vector=None, dose=None)
    assert joined.metrics == {"trainings_held": 2.0}
    assert any("holds in 2 of 5" in sentence for sentence in found.lines)


def test_controls_claim_nothing() -> None:
    control = entry(organiser("A", "random"), None)
    assert all(row.line is None for row in rows_of([told(1.0, 1.0, control)] * 2))


def test_the_share_of_differences_beyond_their_interval_is_told() -> None:
    far = [told(gain, 0.1) for gain in (0.0, 0.0, 5.0)]  # 2 of 3 pairs
    metrics = summary_of(far).metrics
    assert metrics["same_arch/apart_share"] == pytest.approx(2 / 3)
    assert metrics["same_arch/pairs"] == 3


def test_one_training_is_no_number() -> None:
    found = summary_of([told(3.0, 1.0, line(0.5, "0" * 12))])
    assert found.metrics == {} and found.entries == ()
    assert "Fewer than two trainings" in found.lines[0]


def test_every_training_is_a_dot_of_the_forest() -> None:
    rows = rows_of([told(g, 1.0, line(g / 10, f"{i:012}")) for i, g in enumerate(GAINS)])
    figures = PHASE.draw(rows, None)  # type: ignore[arg-type]
    assert set(figures) == {"board", "same_arch"}
    for name, scale in (("board", 10.0), ("same_arch", 1.0)):
        mean, dots = figures[name].axes[0].lines[:2]  # of same_arch the own half width is 1
        assert dots.get_xdata() == pytest.approx([g / scale for g in GAINS])
        assert mean.get_xdata() == pytest.approx([3.0 / scale])
    assert PHASE.draw(rows[:2], None) == {}  # type: ignore[arg-type]


def test_what_has_no_width_and_likeness_are_not_drawn() -> None:
    """An interval as narrow as rounding would stretch the axis; levels above 0 are always alike."""
    spans = {"gap": 0.1, "kappa": 2e-16, "homophily_aligned": 0.01}
    rows = [
        Row("same_arch", training, name, value, value - half, value + half, None)
        for training, value in enumerate((1.0, 1.25))
        for name, half in spans.items()
    ]
    (axes,) = PHASE.draw(rows, None)["same_arch"].axes  # type: ignore[arg-type]
    assert [text.get_text().split()[0] for text in axes.get_yticklabels()] == ["gap"]


def test_the_seeds_are_those_of_the_rows() -> None:
    rows = rows_of([told(g, 1.0) for g in GAINS], first=7)
    assert "seeds 7, 8, 9, 10, 11" in PHASE.summarize(rows, None).lines[0]  # type: ignore[arg-type]
    assert [len(claim.rows) for claim in claims(rows)] == [5, 5]
