"""Do judges that are known to agree, to differ or to know nothing look so, without a new answer?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mahals.evaluation.resistance import episodes
from mahals.maths.metrics.resistance import ResistanceTrial
from mahals.models.judges.attempts import truth_relevance
from mahals.models.judges.restarts import segment
from mahals.phases.esr_judges import PHASE
from mahals.phases.esr_judges import measure as judging
from mahals.phases.esr_judges.measure import Params
from mahals.phases.esr_judges.rows import TRIALS, Row
from mahals.records import from_plain
from tests.support.resistance_lab import (
    CONCEPTS,
    SETTING,
    TEXTS,
    TOPICS,
    ResistanceLab,
    lines,
    plain,
    resistance_lab,
    steps_of,
)
from tests.support.tiny_lab import refused, run
from tests.support.trials import trial

PARAMS = Params({"organism": ("truth", "lexical")}, 500, 4, "")
Stored = tuple[ResistanceTrial, str]


def restarts_in(prompt: str, concept: str, seed: int) -> str:
    """An answer about the concept that restarts and comes back."""
    topic = TOPICS[prompt]
    return f"{steps_of(concept, 2)} Wait, that is off topic. To {topic}: {steps_of(topic, seed)}"


def stored_trials(every: int = 2) -> list[Stored]:
    """Each evaluation prompt derailed to each concept, seeds 0 to 3; one of `every` comes back."""
    found: list[Stored] = []
    for prompt in SETTING.prompts("evaluation"):
        for concept in (c for c in CONCEPTS if SETTING.meets(prompt, c)):
            for seed in range(4):
                back = seed % every == 0
                text = restarts_in(prompt, concept, seed) if back else steps_of(concept, seed)
                known = trial(
                    prompt=prompt, concept=concept, direction=f"contrast:{concept}", boost=2.0,
                    seed=seed, line=len(found), starts=segment(text), situation="free",
                )  # fmt: skip
                found.append((known, text))
    return found


def lab_of(stored: Sequence[Stored]) -> ResistanceLab:
    """A lab in which esr stored these trials, esr_unsteered its own, and the others nothing."""
    lab = resistance_lab()
    lab.plant("esr", "trials.jsonl", lines([(t.prompt, text) for t, text in stored]))
    lab.phase = "esr_judges"
    lab.made = {(p, "A"): [] for p in TRIALS} | lab.made | {("esr", "A"): [t for t, _ in stored]}
    return lab


@cache
def judged() -> tuple[Row, ...]:
    """Of each 4 derailed answers one restarts and comes back."""
    with WithoutWriting():
        return tuple(run(PHASE, PARAMS, lab_of(stored_trials(every=4))))


class WithoutWriting:
    """Inside, a cell that is written is an error."""

    def __enter__(self) -> None:
        self.before = episodes.cached_answers

        def never(*_: Any) -> Any:
            raise AssertionError("an answer is generated")

        episodes.cached_answers = never

    def __exit__(self, *_: object) -> None:
        episodes.cached_answers = self.before


def one(rows: Sequence[Row], what: str, quantity: str, judge: str = "truth") -> Row:
    (found,) = [r for r in rows if (r.what, r.quantity, r.judge) == (what, quantity, judge)]
    return found


def test_nothing_is_written_and_the_sample_is_counted() -> None:
    stored, unsteered = stored_trials(every=4), len(TEXTS.prompts) * SETTING.seeds
    assert len(stored) % 4 == 0
    restarts = one(judged(), "trials", "restarting", "")
    others = one(judged(), "trials", "others", "")
    assert (restarts.n, restarts.population) == (len(stored) // 4,) * 2
    assert (others.n, others.population) == (len(stored) * 3 // 4 + unsteered,) * 2


@pytest.mark.parametrize("cap", [500, 6])
def test_rates_are_those_of_all_stored_answers(cap: int) -> None:
    """Derailed answers are alike, and unsteered ones: a sample says what all would."""
    stored = stored_trials(every=4)
    rows = run(PHASE, replace(PARAMS, answers=cap), lab_of(stored))
    n = len(stored) + len(TEXTS.prompts) * SETTING.seeds
    assert one(rows, "rates", "esr_rate").estimate == pytest.approx(len(stored) / 4 / n)
    assert one(rows, "rates", "recovery_multi").estimate == 1
    assert one(rows, "rates", "esr_rate").n == (n if cap == 500 else 6 + cap)
    first = one(rows, "rates", "first_score").estimate
    assert first is not None and (cap == 6 or first == pytest.approx(100 * (n - len(stored)) / n))


def test_to_exchanged_prompts_all_score_low() -> None:
    for judge in PARAMS.judges["organism"]:
        own, other = (one(judged(), w, "last_score", judge) for w in ("rates", "exchanged"))
        assert own.estimate is not None and own.estimate > 30
        assert other.estimate is not None and other.estimate < 10
        assert one(judged(), "exchanged", "recovery_multi", judge).estimate == 0


def test_an_exchanged_prompt_is_neither_the_asked_nor_the_concepts() -> None:
    def asks(*given: Any) -> Any:
        seen.extend(before(*given))
        return seen

    before, seen = judging._sample, list[Any]()
    judging._sample = asks
    try:
        run(PHASE, PARAMS, lab_of(stored_trials()))
    finally:
        judging._sample = before
    for s in seen:
        assert s.exchanged != s.trial.prompt and TOPICS[s.exchanged] != s.trial.concept
    assert len({s.exchanged for s in seen}) > 3


def test_the_same_answer_of_two_phases_is_one() -> None:
    stored = stored_trials()
    lab = lab_of(stored)
    lab.made["esr_boost", "A"] = [replace(t, level=0.0) for t, _ in stored]
    assert run(PHASE, PARAMS, lab) == run(PHASE, PARAMS, lab_of(stored))


def test_broken_text_and_trials_that_were_not_made_are_left_out() -> None:
    stored = stored_trials()
    lab = lab_of(stored)
    more = [replace(stored[0][0], seed=9, degenerate=True), trial(line=None, why="none", seed=9)]
    lab.made["esr", "A"] = [*lab.made["esr", "A"], *more]
    assert run(PHASE, PARAMS, lab) == run(PHASE, PARAMS, lab_of(stored))


def test_truth_knows_planted_answers() -> None:
    rates = [one(judged(), "planted", q) for q in ("recall", "false_splits", "direction", "auroc")]
    assert [r.estimate for r in rates] == [1, 0, 1, 1]
    assert rates[0].n > 10 and rates[0].low is not None and rates[0].low > 0.7


def test_judges_that_agree_and_one_of_the_contrary() -> None:
    with_contrary = replace(PARAMS, judges={"organism": ("truth", "lexical", "openai")})
    before = judging.scorer_of

    def scorer_of(lab: Any, key: str, texts: Any, references: Any) -> Any:
        if texts.setting.judge != "openai":
            return before(lab, key, texts, references)
        return lambda asked: [100 - (s or 0) for s in truth_relevance(asked)]

    judging.scorer_of = episodes.scorer_of = scorer_of
    try:
        rows = run(PHASE, with_contrary, lab_of(stored_trials(every=4)))
    finally:
        judging.scorer_of = episodes.scorer_of = before
    pairs = {(r.judge, r.other, r.quantity): r for r in rows if r.what == "pair"}
    same = pairs["truth", "lexical", "direction"]
    assert same.estimate is not None and same.estimate > 0.9
    assert pairs["truth", "openai", "direction"].estimate == 0
    assert pairs["truth", "openai", "first_scores"].estimate == pytest.approx(-1)
    assert pairs["truth", "lexical", "first_scores"].n == same.n * 4 + len(TEXTS.prompts) * 2
    assert one(rows, "planted", "direction", "openai").estimate == 0


def test_a_judge_that_cannot_start_is_an_absent_row_with_its_reason() -> None:
    rows = run(
        PHASE, replace(PARAMS, judges={"organism": ("openai", "truth")}), lab_of(stored_trials())
    )
    (absent,) = [r for r in rows if r.judge == "openai"]
    assert absent.estimate is None and absent.why is not None and "url" in absent.why
    assert not any(r.what == "pair" for r in rows)
    (line,) = [
        x for x in PHASE.summarize(rows, lab_of(()).kept("esr_judges")).lines if "openai" in x
    ]
    assert absent.why in line


def write(folder: Path, lines: Sequence[Any]) -> str:
    file = folder / "labelled.jsonl"
    file.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines))
    return str(file)


def labelled(repeats: int = 2) -> list[dict[str, Any]]:
    """Answers that restart and come back, and plain ones, to each evaluation prompt."""
    found = []
    for prompt in SETTING.prompts("evaluation"):
        concept = next(c for c in CONCEPTS if SETTING.meets(prompt, c))
        for seed in range(repeats):
            text = restarts_in(prompt, concept, seed)
            at = segment(text)[1]
            attempts = [text[:at].strip(), text[at:]]
            found += [{"prompt": prompt, "attempts": attempts},
                      {"prompt": prompt, "attempts": [steps_of(TOPICS[prompt], seed)]}]  # fmt: skip
    return found


def test_a_labelled_file_is_split_and_scored_as_it_is_labelled(tmp_path: Path) -> None:
    told = labelled()
    rows = run(PHASE, replace(PARAMS, labelled=write(tmp_path, told)), lab_of(stored_trials()))
    n = len(told) // 2
    for judge in PARAMS.judges["organism"]:
        known = {r.quantity: r for r in rows if (r.what, r.judge) == ("labelled", judge)}
        assert {q: (r.n, r.estimate) for q, r in known.items()} == {
            "recall": (n, 1),
            "false_splits": (3 * n, 0),
            "direction": (n, 1),
            "auroc": (3 * n, 1),
        }


def test_of_a_file_that_is_not_the_worlds_truth_is_absent(tmp_path: Path) -> None:
    told = [{**x, "prompt": x["prompt"] + " Please."} for x in labelled()]
    rows = run(PHASE, replace(PARAMS, labelled=write(tmp_path, told)), lab_of(stored_trials()))
    (absent,) = [r for r in rows if (r.what, r.judge) == ("labelled", "truth")]
    assert absent.why is not None and "Please" in absent.why
    assert one(rows, "labelled", "auroc", "lexical").estimate == 1


def test_a_broken_line_is_refused_before_anything_runs(tmp_path: Path) -> None:
    params = replace(PARAMS, labelled=write(tmp_path, [labelled()[0], "{"]))
    assert "labelled.jsonl, line 2" in str(refused(lambda: PHASE.plan(params, lab_of(()))))


def test_rows_lines_and_figures_say_what_was_found() -> None:
    rows = judged()
    assert [from_plain(Row, plain(r)) for r in rows] == list(rows)
    summary = PHASE.summarize(rows, lab_of(()).kept("esr_judges"))
    esr = one(rows, "rates", "esr_rate")
    assert summary.metrics["truth/rates/esr_rate"] == esr.estimate
    assert summary.metrics["truth/planted/recall_low"] == one(rows, "planted", "recall").low
    assert "truth-lexical/pair/direction" in summary.metrics
    assert any("restarting" in x and "answers stored" in x for x in summary.lines)
    assert summary.lines[0].startswith("planted:") and "93 to 97 %" in summary.lines[-1]
    figures = PHASE.draw(rows, lab_of(()).kept("esr_judges"))
    assert set(figures) == {"known", "agreement", "rates", "scores"}
    (axes,) = figures["scores"].get_axes()
    names = [t.get_text() for t in axes.get_yticklabels()]
    widths = [bar.get_width() for bar in axes.patches]  # type: ignore[attr-defined]
    first = one(rows, "rates", "first_score").estimate
    assert names[0] == "A, truth\nanswers stored" and widths[0] == pytest.approx(first)
    told = {n: [t.get_text() for t in f.legends[0].get_texts()] for n, f in figures.items()}
    assert told["scores"] == ["first score", "last score"]
    assert "first score" not in told["rates"] and "AUROC" in told["known"]
    assert PHASE.draw(rows[:2], lab_of(()).kept("esr_judges")) == {}
