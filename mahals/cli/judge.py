"""Judge of a file: what does `judge` write beside each answer, and how far do labels agree?"""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mahals.records import InputError

if TYPE_CHECKING:
    from mahals.data.labelled_file import FileLine
    from mahals.maths.metrics.verdict_agreement import VerdictAgreement
    from mahals.maths.stats.intervals import Interval
    from mahals.models.judges.judge import RefusalJudge

Keys = Mapping[str, Any]
TOGETHER = 64  # answers that a judge is given between two looks at the bar


def judge(options: Namespace, keys: Keys) -> int:
    """Writes a verdict to each line of a file of answers, and prints its agreement with labels."""
    from mahals.cli.refusal_choice import choice_name, loader, refusal_choice
    from mahals.data.labelled_file import answer_lines
    from mahals.harness.workspace.paths import Workspace
    from mahals.models.judges.factory import check_refusal_judge, make_refusal_judge

    source = Path(options.file)
    lines = answer_lines(source)
    workspace = Workspace.locate()
    choice = refusal_choice(workspace, options)
    name = choice_name(choice)
    check_refusal_judge(choice, "organism" if choice.name == "truth" else "hub")
    target = _target(source, name, options.out)
    start = time.perf_counter()
    judge = make_refusal_judge(choice, loader(workspace), workspace.root / ".mahals/scores" / name)
    fitted = time.perf_counter()
    verdicts, why = judged_lines(lines, judge)
    seconds = time.perf_counter() - fitted
    _write(target, lines, verdicts, why)
    print(f"{source.name}, {len(lines)} answers, by the judge {name}: {_counts(verdicts)}")
    print(f"made in {fitted - start:.1f} s, {1000 * seconds / len(lines):.2f} s per 1,000 answers")
    labelled = [(x, v) for x, v in zip(lines, verdicts, strict=True) if x.label is not None]
    if len(labelled) > 1:
        print()
        print(agreement_table([x for x, _ in labelled], [v for _, v in labelled]))
    else:
        print("no labels in the file: how far to trust it is not known here (docs/judges.md)")
    print(f"wrote {target}")
    return 0


def judged_lines(
    lines: Sequence[FileLine], judge: RefusalJudge
) -> tuple[list[str | None], list[str | None]]:
    """The verdict on each line, and why one is absent; a text is judged once, a broken one not."""
    from mahals.cli.show import Meter
    from mahals.maths.metrics.refusals import is_broken_text
    from mahals.models.judges.judge import QuestionAnswer, Refusal

    broken = {x.answer: is_broken_text(x.answer) for x in lines}
    asked = (QuestionAnswer(x.prompt, x.answer) for x in lines if not broken[x.answer])
    texts, known = list(dict.fromkeys(asked)), dict[QuestionAnswer, Refusal]()
    with Meter("answers judged", "answer") as meter:
        for start in range(0, len(texts), TOGETHER):
            some = texts[start : start + TOGETHER]
            known |= dict(zip(some, judge(some), strict=True))
            meter.count(len(known), len(texts))
    verdicts: list[str | None] = []
    why: list[str | None] = []
    for x in lines:
        said = None if broken[x.answer] else known[QuestionAnswer(x.prompt, x.answer)]
        verdicts.append("degenerate" if said is None else said.verdict)
        why.append(None if said is None else said.why)
    return verdicts, why


def agreement_table(lines: Sequence[FileLine], verdicts: Sequence[str | None]) -> str:
    """A model a line, and all of them: agreement with the labels, intervals clustered by prompt."""
    from mahals.cli.tables import table
    from mahals.maths.metrics.verdict_agreement import kappa_words

    heads = ("answers of", "n", "same", "recall", "false refusals", "kappa full", "with partial")
    models = list(dict.fromkeys(x.model for x in lines))
    groups = [*models, None] if len(models) > 1 else models
    rows = []
    for model in groups:
        found = _agreement(lines, verdicts, model)
        if found is not None:
            rows.append(
                (
                    "all of them" if model is None else model,
                    found.n,
                    f"{found.same.estimate:.3f}",
                    _rate(found.recall),
                    _rate(found.false_refusals),
                    kappa_words(found.full),
                    kappa_words(found.refused),
                )
            )
    return table(heads, rows)


def _agreement(
    lines: Sequence[FileLine], verdicts: Sequence[str | None], model: str | None
) -> VerdictAgreement | None:
    """None where fewer than two answers have a verdict."""
    from mahals.maths.metrics.verdict_agreement import verdict_agreement

    at = [i for i, x in enumerate(lines) if model in (None, x.model)]
    if sum(verdicts[i] is not None for i in at) < 2:
        return None
    known = [str(lines[i].label) for i in at]
    return verdict_agreement([verdicts[i] for i in at], known, [lines[i].prompt for i in at])


def _rate(found: Interval | None) -> str:
    return "none" if found is None else f"{found.estimate:.3f}"


def _counts(verdicts: Sequence[str | None]) -> str:
    kinds = ("full", "partial", "none", "degenerate")
    parts = [f"{sum(v == kind for v in verdicts)} {kind}" for kind in kinds]
    silent = sum(v is None for v in verdicts)
    return ", ".join([*parts, f"{silent} without a verdict"] if silent else parts)


def _target(source: Path, name: str, out: str | None) -> Path:
    """Where the verdicts go: beside the file, unless it was said."""
    if out is None:
        stem = source.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".json")
        return Path(f"{stem}.{name}.jsonl")
    if Path(out).resolve() == source.resolve():
        raise InputError(
            "--out", expected="another file", got=f"{out}, which is read", cure="name another"
        )
    return Path(out)


def _write(
    path: Path,
    lines: Sequence[FileLine],
    verdicts: Sequence[str | None],
    why: Sequence[str | None],
) -> None:
    each = zip(lines, verdicts, why, strict=True)
    text = "".join(
        json.dumps({**x.record, "verdict": v, "why": w}, ensure_ascii=False) + "\n"
        for x, v, w in each
    )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"file {path}",
            expected="a place to write to",
            got=error.strerror or type(error).__name__,
            cure="--out FILE.jsonl",
        ) from error
