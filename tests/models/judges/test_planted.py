"""Is a judge told by what it finds in answers whose attempts are known, planted or in a file?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mahals.data.composed import RESTARTS, Planted, Texts, planted_answers, restart_of
from mahals.maths.stats.intervals import wilson
from mahals.models.judges.attempts import Attempted, AttemptScorer, reference_relevance
from mahals.models.judges.planted import (
    LabelledAttempts,
    PlantedAgreement,
    by_halves,
    labelled_agreement,
    labelled_attempts,
    planted_agreement,
)
from mahals.models.judges.restarts import segment
from mahals.records import canonical, from_plain
from tests.support.places import SHARED
from tests.support.tiny_lab import refused

ANSWERS = {f"How do I mend number {n}?": ["Mend it. Mend it well."] for n in range(8)}
PASSAGES = {"ice": ["Ice is cold. Ice melts."], "lava": ["Lava is hot. Lava flows."]}
PLANTED = planted_answers(ANSWERS, PASSAGES, 8, 0)
TRUTH = {p.text: p.starts for p in PLANTED}


def mending(asked: Sequence[Attempted]) -> list[float | None]:
    """The share of the sentences that mend, of 100."""
    found: list[float | None] = []
    for a in asked:
        told = a.answer.removeprefix(restart_of(a.question)).split(". ")
        found.append(100 * sum(s.startswith("Mend") for s in told) / len(told))
    return found


def test_a_perfect_judge_has_full_marks() -> None:
    found = planted_agreement(PLANTED, TRUTH.__getitem__, mending)
    assert found.recall == found.direction == wilson(16, 16)
    assert found.false_splits == wilson(0, len(PLANTED) - 16)
    assert found.auroc is not None and found.auroc.estimate == 1
    assert (found.restarts, found.single, found.compared) == (16, len(PLANTED) - 16, 16)
    assert (found.on_topic, found.off_topic, found.abstained) == (16, 8, 0)


def test_a_judge_of_the_contrary_is_wrong_throughout() -> None:
    def contrary(asked: Sequence[Attempted]) -> list[float | None]:
        return [100 - score for score in mending(asked) if score is not None]

    found = planted_agreement(PLANTED, TRUTH.__getitem__, contrary)
    assert found.direction == wilson(0, 16)
    assert found.auroc is not None and found.auroc.estimate == 0


def test_a_judge_without_an_opinion_recognises_no_direction() -> None:
    found = planted_agreement(PLANTED, TRUTH.__getitem__, lambda asked: [50.0] * len(asked))
    assert found.direction == wilson(0, 16)
    assert found.auroc is not None and found.auroc.estimate == 0.5


@pytest.mark.parametrize(("off", "hits"), [(-6, 0), (-5, 16), (5, 16), (6, 0)])
def test_a_boundary_is_found_within_five_characters(off: int, hits: int) -> None:
    def shifted(text: str) -> tuple[int, ...]:
        return (0, *(start + off for start in TRUTH[text][1:]))

    found = planted_agreement(PLANTED, shifted, mending)
    assert found.recall == wilson(hits, 16)
    assert found.compared == hits and (found.direction is None) == (hits == 0)
    assert found.auroc is not None and found.auroc.estimate == 1  # of the planted first attempts


def test_splits_of_one_attempt_are_false_and_its_start_is_no_restart() -> None:
    everywhere = planted_agreement(PLANTED, lambda text: (0, *range(1, len(text), 8)), mending)
    assert everywhere.false_splits == wilson(len(PLANTED) - 16, len(PLANTED) - 16)
    assert everywhere.recall == wilson(16, 16)
    nowhere = planted_agreement(PLANTED, lambda _: (0,), mending)
    assert nowhere.recall == wilson(0, 16) and nowhere.false_splits == wilson(0, nowhere.single)
    early = [Planted("p", "Hm. No: do it.", (0, 4), "improves", True)]
    assert planted_agreement(early, lambda _: (0,), mending).recall == wilson(0, 1)


def test_the_last_attempt_is_the_one_that_the_judge_makes() -> None:
    """A third attempt that falls again makes a rise a fall."""
    text = "Ice. Wait: Mend it. Wait: Ice."
    planted = [Planted("p", text, (0, 5), "improves", True)]
    assert planted_agreement(planted, lambda _: (0, 5), plain_share).direction == wilson(1, 1)
    assert planted_agreement(planted, lambda _: (0, 5, 20), plain_share).direction == wilson(0, 1)


def plain_share(asked: Sequence[Attempted]) -> list[float | None]:
    return [float("Mend" in a.answer) for a in asked]


def test_auroc_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores: dict[Attempted, float] = {}

    def drawn(asked: Sequence[Attempted]) -> list[float | None]:
        scores.update((a, float(rng.integers(0, 6))) for a in asked)
        return [scores[a] for a in asked]

    found = planted_agreement(PLANTED, TRUTH.__getitem__, drawn)
    firsts = [p for p in PLANTED if p.kind != "silent"]
    values = [scores[Attempted(p.prompt, p.text[: (*p.starts, None)[1]].strip())] for p in firsts]
    expected = roc_auc_score([p.kind != "improves" for p in firsts], values)
    assert found.auroc is not None and found.auroc.estimate == pytest.approx(expected)
    assert found.auroc.low <= expected <= found.auroc.high and 0 < expected < 1


def test_abstentions_are_counted_and_stand_in_no_number() -> None:
    def shy(asked: Sequence[Attempted]) -> list[float | None]:
        return [None if s == 0 else s for s in mending(asked)]

    found = planted_agreement(PLANTED, TRUTH.__getitem__, shy)
    asked = {Attempted(p.prompt, text) for p in PLANTED for text in attempts(p)}
    assert found.attempts == len(asked)
    assert found.abstained == sum(s is None for s in shy(list(asked))) > 0
    assert (found.compared, found.off_topic, found.on_topic) == (0, 0, 16)
    assert found.direction is None and found.auroc is None


def attempts(planted: Planted) -> list[str]:
    """The attempts that are judged: of silent answers none."""
    bounds = (*planted.starts, len(planted.text))
    texts = [planted.text[a:b].strip() for a, b in pairwise(bounds)]
    return [] if planted.kind == "silent" else texts


def test_each_attempt_is_judged_once() -> None:
    asked: list[Attempted] = []

    def counting(some: Sequence[Attempted]) -> list[float | None]:
        asked.extend(some)
        return mending(some)

    planted_agreement([*PLANTED, *PLANTED], TRUTH.__getitem__, counting)
    assert len(asked) == len(set(asked)) > 0


def test_it_is_told_in_one_line_and_comes_back_from_a_file() -> None:
    found = planted_agreement(PLANTED, TRUTH.__getitem__, mending)
    told = found.sentence()
    assert "\n" not in told and "restarts found 1.00 [0.81, 1.00] of 16" in told
    assert f"false splits 0.00 [0.00, {wilson(0, found.single).high:.2f}] of {found.single}" in told
    assert told.endswith(f"0 of {found.attempts} attempts unscored")
    assert from_plain(PlantedAgreement, json.loads(canonical(found))) == found


def test_nothing_planted_is_absent_and_not_zero() -> None:
    none = planted_agreement([], TRUTH.__getitem__, mending)
    rates = (none.recall, none.false_splits, none.direction, none.auroc)
    assert rates == (None,) * 4 and none.attempts == 0
    assert "restarts found absent of 0" in none.sentence()
    assert from_plain(PlantedAgreement, json.loads(canonical(none))) == none


OFF = "Lava is hot. Lava flows."
LINES = [
    LabelledAttempts(p, (f"{OFF} Off {i}.", f"{RESTARTS[i]}Mend it. On {i}."))
    for i, p in enumerate("aabab")
]


def write(folder: Path, lines: Sequence[str]) -> Path:
    (folder / "file.jsonl").write_text("\n".join(lines))
    return folder / "file.jsonl"


def test_lines_come_in_order_and_blank_ones_are_none(tmp_path: Path) -> None:
    texts = [json.dumps({"prompt": x.prompt, "attempts": x.attempts}) for x in LINES]
    assert labelled_attempts(write(tmp_path, [*texts[:2], " ", *texts[2:], ""])) == LINES


@pytest.mark.parametrize(
    ("broken", "got"),
    [
        ("{", "JSON"),
        ("[]", "line 2"),
        ('{"prompt": "p"}', "attempts"),
        ('{"prompt": "p", "attempts": []}', "line 2"),
        ('{"prompt": "p", "attempts": [1]}', "line 2"),
        ('{"prompt": "p", "attempt": ["a"]}', "attempt"),
    ],
)
def test_a_broken_line_is_named(broken: str, got: str, tmp_path: Path) -> None:
    good = json.dumps({"prompt": "p", "attempts": ["a"]})
    error = str(refused(lambda: labelled_attempts(write(tmp_path, [good, broken]))))
    assert "file.jsonl, line 2" in error and got in error


def test_a_file_without_lines_and_one_that_is_missing_are_refused(tmp_path: Path) -> None:
    assert "file.jsonl" in str(refused(lambda: labelled_attempts(write(tmp_path, [""]))))
    assert "no.jsonl" in str(refused(lambda: labelled_attempts(tmp_path / "no.jsonl")))


def mends(asked: Sequence[Attempted]) -> list[float | None]:
    return [100.0 * ("Mend" in a.answer) for a in asked]


def test_where_the_words_agree_with_the_labels_all_is_found() -> None:
    plain = [LabelledAttempts("a", ("Mend it. Mend it well.",))]
    found = labelled_agreement([*LINES, *plain], mends)
    assert found.recall == found.direction == wilson(5, 5)
    assert found.false_splits == wilson(0, 11)  # 5 first attempts, 5 last ones, a plain answer
    assert found.auroc is not None and found.auroc.estimate == 1
    assert (found.on_topic, found.off_topic, found.abstained) == (6, 5, 0)


def test_restarts_without_words_and_restarts_in_one_attempt_are_errors() -> None:
    silent = LabelledAttempts("a", (OFF, "Mend it."))
    split = LabelledAttempts("a", (f"{OFF} {RESTARTS[0]}Mend it.",))
    found = labelled_agreement([*LINES, silent, split], mends)
    assert found.recall == wilson(5, 6) and found.false_splits == wilson(1, 13)


def test_no_text_is_scored_by_its_own_line() -> None:
    asked = list[tuple[str, list[str]]]()

    def judge(known: Texts) -> AttemptScorer:
        def score(some: Sequence[Attempted]) -> list[float | None]:
            asked.extend((a.answer[-2], [x[-2] for x in known[a.question]]) for a in some)
            return [0.0] * len(some)

        return score

    texts = [Attempted(x.prompt, a) for x in LINES for a in x.attempts]
    assert by_halves(LINES, judge)(texts) == [0.0] * len(texts)
    others = [("0", ["1"]), ("1", ["0", "3"]), ("3", ["1"]), ("2", ["4"]), ("4", ["2"])]
    assert sorted(asked) == sorted(others * 2)
    assert by_halves(LINES[1:3], judge)(texts[2:6]) == [None] * 4  # one line a prompt


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
def test_a_models_own_self_corrections() -> None:
    """91 answers in two attempts and 38 plain ones, which nobody here wrote."""
    lines = labelled_attempts(SHARED / "self-correction-examples.jsonl")
    two, one = ([x for x in lines if (len(x.attempts) > 1) == several] for several in (True, False))
    assert (len(two), len(one)) == (91, 38)
    found = labelled_agreement(lines, by_halves(lines, reference_relevance))
    assert found.recall == wilson(91, 91) and found.false_splits == wilson(0, 91 + 91 + 38)
    assert not any(len(segment(x.attempts[0])) > 1 for x in lines)
    assert found.auroc is not None and found.auroc.estimate >= 0.97
    firsts = labelled_agreement(two, by_halves(lines, reference_relevance))
    assert firsts.on_topic == firsts.off_topic == 91  # corrections against first attempts
    assert firsts.auroc is not None and firsts.auroc.estimate >= 0.97
