"""Scores of kept answers: what does `score` print where another judge reads what was answered?"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mahals.cli.answers import answered_results, chosen, read_arms
from mahals.records import to_plain

if TYPE_CHECKING:
    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.results import Results
    from mahals.maths.stats.agreement import Kappa
    from mahals.models.judges.judge import Refusal, RefusalChoice, RefusalJudge
    from mahals.reporting.answer_scores import ArmScore, JudgedRates
    from mahals.reporting.answers import ArmAnswers

Keys = Mapping[str, Any]
WRITTEN = (
    *("arm", "draw", "source", "method", "map", "operator", "placement", "layers"),
    *("dose_kind", "dose", "prompt", "axiom", "label", "text", "answer", "degenerate"),
)
LABELLED = 3  # of each axiom so many refusals, helpful and harmful answers try the judge
TOGETHER = 64  # answers that a judge is given between two looks at the bar


def score(options: Namespace, keys: Keys) -> int:
    """Judges kept answers anew, prints what becomes of the rates, and changes no result."""
    from mahals.cli.refusal_choice import refusal_choice
    from mahals.harness.workspace.paths import Workspace

    workspace = Workspace.locate()
    choice = refusal_choice(workspace, options)
    units = answered_results(workspace, options.phase, options.unit)
    for results in units:
        _score_unit(workspace, results, choice, options)
    return 0


def _score_unit(
    workspace: Workspace, results: Results, choice: RefusalChoice, options: Namespace
) -> None:
    from mahals.cli.refusal_choice import choice_name, loader
    from mahals.models.judges.factory import check_refusal_judge, make_refusal_judge
    from mahals.reporting.answer_scores import agreement, arm_score

    arms = chosen(read_arms(results), options)
    check_refusal_judge(choice, str(results.run()["weights"]))
    place = workspace.root / ".mahals" / "scores" / results.phase / results.unit
    name = choice_name(choice)
    judge = make_refusal_judge(choice, loader(workspace), place / name)
    verdicts = _verdicts(arms, judge)
    clusters = _clusters(results, arms)
    said = [[v.refused for v in each] for each in verdicts]
    scores = [arm_score(*each) for each in zip(arms, said, clusters, strict=True)]
    print(f"{results.phase} {results.unit}: refusals as stored, and by the judge {name}\n")
    print(score_table(scores, name))
    overall = agreement(arms, said)
    if overall is not None:
        print(f"\nagreement on whole answers of all these arms: {_kappa_words(overall)}")
    print(_judge_check(name, judge))
    path = place / f"{name}.jsonl"
    _write(path, results.fingerprint, arms, verdicts)
    print(f"wrote {workspace.relative(path)}; no result was changed")


def _verdicts(arms: Sequence[ArmAnswers], judge: RefusalJudge) -> list[list[Refusal]]:
    """The judge's verdict on each answer of each arm; a text is judged once, a broken one never."""
    from mahals.cli.show import Meter
    from mahals.models.judges.judge import QuestionAnswer, Refusal

    whole = (a for arm in arms for a in arm.answers if not a.degenerate)
    texts = list(dict.fromkeys(QuestionAnswer(a.text, a.answer) for a in whole))
    known: dict[QuestionAnswer, Refusal] = {}
    with Meter("answers judged", "answer") as meter:
        for start in range(0, len(texts), TOGETHER):
            some = texts[start : start + TOGETHER]
            known |= dict(zip(some, judge(some), strict=True))
            meter.count(len(known), len(texts))
    broken = Refusal(None, "a broken answer is a failure, whatever it says")
    return [
        [broken if a.degenerate else known[QuestionAnswer(a.text, a.answer)] for a in arm.answers]
        for arm in arms
    ]


def _judge_check(name: str, judge: RefusalJudge) -> str:
    """A judge's agreement with answers whose truth is known: the world's own, by its grammar."""
    from mahals.data.world.labelled import labelled_answers
    from mahals.maths.metrics.detector_agreement import detector_agreement
    from mahals.models.judges.judge import QuestionAnswer

    known = labelled_answers(LABELLED, 0)
    said = judge([QuestionAnswer(a.prompt, a.answer) for a in known])
    pairs = [(s.refused, k.refused) for s, k in zip(said, known, strict=True)]
    both = [(s, k) for s, k in pairs if s is not None]
    silent = f"{len(pairs) - len(both)} of {len(pairs)} without a verdict"
    what = f"the judge {name} on refusals, helpful and harmful answers of the synthetic world"
    if len(both) < 2:
        return f"{what}: {silent}"
    found = detector_agreement([s for s, _ in both], [k for _, k in both])
    return f"{what}: {found.sentence()}; {silent}"


def _clusters(results: Results, arms: Sequence[ArmAnswers]) -> list[list[str]]:
    """What the intervals of each arm cluster on, answer by answer, as its evidence says."""
    from mahals.harness.workspace.artifacts import KeptFiles

    kept = KeptFiles(results.phase, {results.unit: results.kept()})
    names = dict.fromkeys(arm.row.evidence for arm in arms)
    found = {n: [str(int(c)) for c in kept.tensors(n)["answered_clusters"]] for n in names}
    return [found[arm.row.evidence] for arm in arms]


def score_table(scores: Sequence[ArmScore], judge: str) -> str:
    """An arm a line: its refusal rates and gap as stored and by the judge, and their agreement."""
    from mahals.cli.tables import table
    from mahals.reporting.answers import dose_text
    from mahals.schema import arm_title

    stored, judged = ("unsafe", "safe", "gap as stored"), ("unsafe", "safe", f"gap by {judge}")
    heads = ("arm", "dose", *stored, *judged, "kappa", "no verdict")
    rows = [
        (
            arm_title(each.row),
            dose_text(each.row),
            *_rate_cells(each.stored),
            *_rate_cells(each.judged),
            _kappa_words(each.agreement),
            each.abstained,
        )
        for each in scores
    ]
    return table(heads, rows)


def _rate_cells(rates: JudgedRates) -> tuple[str, str, str]:
    unsafe, safe = ("none" if r is None else f"{r:.2f}" for r in (rates.unsafe, rates.safe))
    return unsafe, safe, "none" if rates.gap is None else f"{rates.gap:+.2f}"


def _kappa_words(found: Kappa | None) -> str:
    """Cohen's kappa with its interval; where it says nothing, the share of equal verdicts."""
    if found is None:
        return "no answers"
    if found.kappa is None:
        return f"none, same {found.observed:.2f}"
    return f"{found.kappa:.2f}" if found.interval is None else f"{found.interval:.2f}"


def _write(
    path: Path,
    fingerprint: str,
    arms: Sequence[ArmAnswers],
    verdicts: Sequence[Sequence[Refusal]],
) -> None:
    """One JSON line an answer: what it is of, the stored verdict, and the judge's."""
    lines = [
        {
            "results": fingerprint,
            **{name: to_plain(getattr(answer, name)) for name in WRITTEN},
            "stored": answer.known,
            "verdict": said.verdict,
            "refused": said.refused,
            "why": said.why,
        }
        for arm, each in zip(arms, verdicts, strict=True)
        for answer, said in zip(arm.answers, each, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
