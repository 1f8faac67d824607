"""Answer tables: which answers of a unit does its MLflow run show, and what does it leave out?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mahals.harness.tracking.database import Store
from mahals.reporting.answers import SUFFIX, KeptAnswer, dose_text, read_answers
from mahals.schema import NULLS, arm_title

if TYPE_CHECKING:
    from mlflow.entities import Run

    from mahals.harness.workspace.results import Results

ROWS = 2_000  # more make the table of MLflow's pages slow
NAME = "answers.json"
NOTE = "answers"  # tag: what the table holds of how many


@dataclass(frozen=True)
class AnswerSample:
    """Answers to show, and in words what they are of all there are."""

    answers: tuple[KeptAnswer, ...]
    note: str


def log_answers(item: Results, store: Store, run: Run) -> None:
    """The unit's answers as the table `answers.json` of its run; nothing where none are kept."""
    place = item.kept()
    kept = [place.folder / name for name in sorted(place.hashes) if name.endswith(SUFFIX)]
    if not kept:
        return
    suite = item.run()["inputs"]["params"].get("suite", {})
    every = [a for path in kept for a in read_answers(path)]
    sample = sample_of(every, suite.get("dose_kl"))
    store.client.set_tag(run.info.run_id, NOTE, sample.note)
    store.client.log_table(run.info.run_id, table_of(sample.answers), NAME)


def sample_of(answers: Sequence[KeptAnswer], dose: float | None, limit: int = ROWS) -> AnswerSample:
    """All answers, or where they are more than `limit` those that fit, of whole arms if it can be.

    First of arms at the headline `dose` (KL) or without one, then of each null family the first
    draw alone, then the answers to evenly spaced prompts.
    """
    kept, left = list(answers), list[str]()
    if len(kept) > limit:
        kept = [a for a in kept if a.dose is None or (a.dose_kind, a.dose) == ("kl", dose)]
        left.append(f"arms without a dose or at KL {dose:g}" if dose else "arms without a dose")
    if len(kept) > limit:
        kept = [a for a in kept if a.arm not in NULLS or not a.draw]
        left.append("one draw of each null family")
    if len(kept) > limit:
        prompts = sorted({a.prompt for a in kept})
        each = max(1, limit * len(prompts) // len(kept))
        spaced = {prompts[i * len(prompts) // each] for i in range(each)}
        kept = [a for a in kept if a.prompt in spaced]
        left.append(f"{len(spaced)} of {len(prompts)} prompts")
    of = f"{len(kept)} of {len(answers)} answers"
    return AnswerSample(tuple(kept), f"{of}: {', '.join(left)}" if left else f"all {len(kept)}")


def table_of(answers: Sequence[KeptAnswer]) -> dict[str, list[Any]]:
    """Columns by name, one value an answer, in an order to read them in."""
    columns: dict[str, list[Any]] = {
        "prompt": [a.prompt for a in answers],
        "kind": ["safe" if a.label else "unsafe" for a in answers],
        "axiom": [a.axiom for a in answers],
        "text": [a.text for a in answers],
        "arm": [arm_title(a) for a in answers],
        "dose": [dose_text(a) for a in answers],
        "answer": [a.answer for a in answers],
        "verdict": [a.verdict for a in answers],
    }
    for name in ("lexical", "truth", "judged", "degenerate"):
        columns[name] = [getattr(a, name) for a in answers]
    return columns
