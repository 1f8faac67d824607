"""Do detectors that matter lie outside random sets, and others among them?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from mahals.evaluation.resistance.held_sets import SetDraws
from mahals.phases.esr_random import PHASE
from mahals.phases.esr_random.measure import Params
from tests.support.resistance_lab import resistance_lab, written_by
from tests.support.sets_held import DETECTORS, plant_detectors, watchful
from tests.support.tiny_lab import run

DRAWS = 4
PARAMS = Params(
    ("aligned",),
    ("contrast",),
    SetDraws(("passage",), ("uniform", "frequency", "kl"), DRAWS, 5),
)


def results(detectors: tuple[int, ...]) -> Any:
    lab = resistance_lab()
    plant_detectors(lab, detectors)
    lab.phase = "esr_random"
    with written_by(watchful):
        return lab, run(PHASE, PARAMS, lab)


@pytest.fixture(scope="module")
def found() -> Any:
    return results(DETECTORS)


def test_detectors_that_matter_are_lower_than_every_random_set(found: Any) -> None:
    lab, rows = found
    kinds = {t.ablated.partition("-")[0] for t in rows}
    assert kinds == {"none", "detectors", "uniform", "frequency", "kl"}
    assert len({t.ablated for t in rows}) == 2 + 3 * DRAWS
    metrics = PHASE.summarize(rows, lab.kept("esr_random")).metrics
    for kind in ("uniform", "frequency", "kl"):
        assert metrics[f"beyond_{kind}/multi_attempt_rate"] == -1
        assert metrics[f"beyond_{kind}/multi_attempt_rate_high"] < 0
        assert metrics[f"beyond_{kind}/multi_attempt_rate_p_random"] == 1 / (1 + DRAWS)


def test_detectors_that_do_not_matter_lie_among_them() -> None:
    lab, rows = results((4, 8, 20))
    metrics = PHASE.summarize(rows, lab.kept("esr_random")).metrics
    assert metrics["beyond_kl/multi_attempt_rate"] == 0
    assert metrics["beyond_kl/multi_attempt_rate_p_random"] == 1


def test_the_figure_marks_the_detectors_among_the_sets(found: Any) -> None:
    lab, rows = found
    (figure,) = PHASE.draw(rows, lab.kept("esr_random")).values()
    lines = figure.get_axes()[0].get_lines()
    dots = [line for line in lines if line.get_gid() == "null"]
    nothing, mark = (line for line in lines if line.get_gid() == "landmark")
    assert [len(d.get_xdata()) for d in dots] == [DRAWS] * 3
    assert all(y == 1 for d in dots for y in d.get_ydata()) and list(mark.get_ydata()) == [0]
    assert (list(nothing.get_xdata()), list(nothing.get_ydata())) == ([0], [1])


def test_sets_that_move_no_next_token_are_in_the_figure() -> None:
    lab, rows = results(DETECTORS)
    file = lab.kept("esr_random").path("A/sets-aligned.json")
    still = [{**told, "kl": 0.0} for told in json.loads(file.read_text())]
    file.write_text(json.dumps(still))
    (figure,) = PHASE.draw(rows, lab.kept("esr_random")).values()
    marks = figure.get_axes()[0].get_lines()
    dots = [line for line in marks if line.get_gid() == "null"]
    assert len(dots) == 3 and all(x == 0 for d in dots for x in d.get_xdata())
    assert len([line for line in marks if line.get_gid() == "landmark"]) == 2


def test_without_detectors_uniform_sets_are_still_held() -> None:
    lab, rows = results(())
    assert {t.ablated for t in rows if t.line is not None} == {
        "none", *(f"uniform-{k}" for k in range(DRAWS)),
    }  # fmt: skip
    summary = PHASE.summarize(rows, lab.kept("esr_random"))
    assert summary.metrics["equal_size/multi_attempt_rate"] == 1
    assert any("9 trials absent: no latent is a detector" in x for x in summary.lines)
    (figure,) = PHASE.draw(rows, lab.kept("esr_random")).values()
    gids = [line.get_gid() for line in figure.get_axes()[0].get_lines()]
    assert gids.count("landmark") == 1


def test_what_is_asked_differs_in_what_is_held_alone(found: Any) -> None:
    _, rows = found
    arms: dict[str, list[Any]] = {}
    for t in rows:
        arms.setdefault(t.ablated, []).append((t.direction, t.prompt, t.seed, t.boost, t.prefix))
    assert all(cells == arms["none"] for cells in arms.values())
