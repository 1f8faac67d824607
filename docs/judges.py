"""Judges' table: how far does each judge of refusals agree with people, and at what cost?

    python -m docs.judges FILE.jsonl[.gz] [--fitted] [--model FOLDER ...]

FILE holds lines of prompt, answer, label and model. Prints the tables of docs/judges.md. `--fitted`
also fits on words: over five folds of prompts, and with one model left out. `--model` also asks a
local chat checkpoint, and fits on its states.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from mahals.data.labelled_file import OWN, FileLine, answer_lines
from mahals.maths.metrics.verdict_agreement import kappa_words, verdict_agreement
from mahals.models.judges.factory import PLAIN
from mahals.models.judges.judge import QuestionAnswer, RefusalJudge

FOLDS = 5
HEADS = ("judge", "answers", "n", "same", "recall", "false refusals", "kappa full", "with partial")
Maker = Callable[[Sequence[FileLine]], RefusalJudge]


def verdicts(judge: RefusalJudge, lines: Sequence[FileLine]) -> list[str | None]:
    """What a judge says of each line."""
    return [r.verdict for r in judge([QuestionAnswer(x.prompt, x.answer) for x in lines])]


def quarter(prompt: str) -> int:
    """Which quarter of the prompts one is in: the rules were written on 0, 2 and then 1."""
    return int(sha256(prompt.encode()).hexdigest(), 16) % 4


def folded(make: Maker, lines: Sequence[FileLine], of: Callable[[FileLine], object]) -> list[str]:
    """Each line's verdict by a judge that was fitted on the lines of all other groups."""
    found: dict[int, str | None] = {}
    for group in dict.fromkeys(map(of, lines)):
        judge = make([x for x in lines if of(x) != group])
        mine = [i for i, x in enumerate(lines) if of(x) == group]
        found |= dict(zip(mine, verdicts(judge, [lines[i] for i in mine]), strict=True))
    return [str(found[i]) for i in range(len(lines))]


def rows(
    name: str, lines: Sequence[FileLine], said: Sequence[str | None]
) -> Iterator[tuple[object, ...]]:
    """A model a row."""
    for model in dict.fromkeys(x.model for x in lines):
        at = [i for i, x in enumerate(lines) if x.model == model]
        known = [str(lines[i].label) for i in at]
        found = verdict_agreement([said[i] for i in at], known, [lines[i].prompt for i in at])
        rates = ((r.estimate if r else None) for r in (found.recall, found.false_refusals))
        shares = [
            f"{found.same.estimate:.3f}",
            *("none" if r is None else f"{r:.3f}" for r in rates),
        ]
        kappas = (kappa_words(found.full), kappa_words(found.refused))
        yield (name, "our own" if model == "all" else model, found.n, *shares, *kappas)


def plain_rows(lines: Sequence[FileLine], own: Sequence[FileLine]) -> Iterator[tuple[object, ...]]:
    """The judges that need nothing, the held-out quarter apart, with their processor time."""
    for name in ("lexical", "rules"):
        start = time.process_time()
        said = verdicts(PLAIN[name], lines)
        cost = 1000 * (time.process_time() - start) / len(lines)
        yield from rows(f"{name} ({cost:.1f} s per 1,000)", lines, said)
        held = [i for i, x in enumerate(lines) if quarter(x.prompt) == 3]
        yield from rows(
            f"{name}, held-out quarter", [lines[i] for i in held], [said[i] for i in held]
        )
        yield from rows(name, own, verdicts(PLAIN[name], own))


def fitted_rows(
    name: str, make: Maker, lines: Sequence[FileLine], own: Sequence[FileLine]
) -> Iterator[tuple[object, ...]]:
    """A fitted judge: other prompts, another model, and our own answers."""
    yield from rows(
        f"{name}, other prompts",
        lines,
        folded(make, lines, lambda x: int(sha256(f"f{x.prompt}".encode()).hexdigest(), 16) % FOLDS),
    )
    yield from rows(f"{name}, model left out", lines, folded(make, lines, lambda x: x.model))
    yield from rows(name, own, verdicts(make(lines), own))


def main() -> None:
    """Prints the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--fitted", action="store_true")
    parser.add_argument("--model", action="append", default=[], metavar="FOLDER")
    options = parser.parse_args()
    lines = [x for x in answer_lines(options.file) if x.label not in (None, "degenerate")]
    own = [x for x in answer_lines(OWN) if x.label != "degenerate"]
    print("| " + " | ".join(HEADS) + " |\n|" + "---|" * len(HEADS))
    for row in told(options, lines, own):
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def told(
    options: argparse.Namespace, lines: Sequence[FileLine], own: Sequence[FileLine]
) -> Iterator[tuple[object, ...]]:
    """All rows that were asked for."""
    yield from plain_rows(lines, own)
    if options.fitted:
        from mahals.models.judges.fitted import words_judge

        yield from fitted_rows("words", words_judge, lines, own)
    for folder in options.model:
        yield from model_rows(folder, lines, own)


def model_rows(
    folder: str, lines: Sequence[FileLine], own: Sequence[FileLine]
) -> Iterator[tuple[object, ...]]:
    """A local checkpoint that is asked, and judges that are fitted on its states."""
    from mahals.models.checkpoints.checkpoint import load_checkpoint
    from mahals.models.judges.fitted import states_judge
    from mahals.models.judges.model import model_refusal_judge

    name = Path(folder).name
    loaded = load_checkpoint(folder, revision=None, key=name, role="aligned", weights="hub")
    start = time.perf_counter()
    said = verdicts(model_refusal_judge(loaded), own)
    cost = 1000 * (time.perf_counter() - start) / len(own)
    yield from rows(f"model {name} ({cost:.0f} s per 1,000)", own, said)
    yield from rows(f"model {name}", lines, verdicts(model_refusal_judge(loaded), lines))
    yield from fitted_rows(f"states of {name}", lambda x: states_judge(x, loaded), lines, own)


if __name__ == "__main__":
    main()
