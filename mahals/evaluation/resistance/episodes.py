"""Episodes: what does a subject write in each cell, where does it restart, and how good is it?

Arms share prompts, seeds and random numbers. Answers are kept by content: another judge needs none.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import cycle
from typing import Any

from mahals.data.composed import planted_answers
from mahals.evaluation.resistance.answer_cache import cached_answers
from mahals.evaluation.resistance.setting import OwnTexts, own_texts
from mahals.evaluation.resistance.subjects import BoostDirection, aligned, subject
from mahals.maths.metrics.resistance import NONE, ResistanceTrial, Threshold
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.degenerate import is_degenerate
from mahals.models.generation.sampling import Continuation, Draft, encode_openings
from mahals.models.judges.attempts import Attempted, AttemptScorer, attempt_scorer
from mahals.models.judges.planted import PlantedAgreement, planted_agreement
from mahals.models.judges.restarts import segment
from mahals.models.saes.steering import Hold
from mahals.models.steering.interventions import Arm, Intervention
from mahals.phase import Lab
from mahals.records import seed_of, to_plain

OFF = ("unsteered", "own_text", "passage")  # situations without steering
PLANTED = 24  # answers of known truth that a judge is tried on
CLAUSE = re.compile(r"(?<=[.!?])\s+|, then ")
VARIED = ("boost", "level", "situation", "ablated", "variant")  # columns of a cell
PARTS = ("head", "tail", "sham_head", "sham_tail")  # of an answer of one attempt


@dataclass(frozen=True)
class Ask:
    """One trial of a cell; `why` it cannot be made, if it cannot."""

    prompt: str
    seed: int
    prefix: str = ""
    why: str | None = None


@dataclass(frozen=True, eq=False)
class EpisodeCell:
    """What is varied. Holds act at all tokens; the boost as the situation says."""

    direction: BoostDirection | None
    boost: float
    situation: str
    asks: tuple[Ask, ...]
    level: float | None = None
    ablated: str = NONE
    holds: tuple[Hold, ...] = ()
    variant: str = NONE
    system: str | None = None


@dataclass(frozen=True, eq=False)
class EpisodeBench:
    """A subject, with the texts and the judge that all of its trials share."""

    lab: Lab
    loaded: Loaded
    subject: str
    texts: OwnTexts
    scorer: AttemptScorer

    def asks(self, split: str, concept: str, first_seed: int = 0) -> tuple[Ask, ...]:
        """Every prompt of a split that the concept may derail, with every seed."""
        setting = self.texts.setting
        met = [p for p in setting.prompts(split) if setting.meets(p, concept)]
        return tuple(Ask(p, first_seed + s) for p in met for s in range(setting.seeds))

    def asks_at(self, threshold: Threshold) -> tuple[Ask, ...]:
        """The asks of evaluation along its direction; a single absent one where it is no use."""
        if threshold.usable:
            return self.asks("evaluation", threshold.concept)
        return (Ask("", 0, why=f"no usable threshold: {threshold.why}"),)

    def columns(self, d: BoostDirection | None) -> dict[str, Any]:
        """Who is steered along what, as rows have it."""
        names = ("direction", "source", "concept")
        along = (NONE, NONE, NONE) if d is None else (d.name, d.source, d.concept)
        who = {"model": self.loaded.key, "weights": self.lab.weights, "subject": self.subject}
        return who | dict(zip(names, along, strict=True))


def episode_bench(lab: Lab, key: str, name: str, texts: OwnTexts | None = None) -> EpisodeBench:
    """The bench of a subject. Raises InputError for a judge that cannot know or start."""
    texts = texts or own_texts(lab, key)
    loaded = subject(lab, key, name)
    return EpisodeBench(lab, loaded, name, texts, scorer_of(lab, key, texts, texts.references))


def scorer_of(
    lab: Lab, key: str, texts: OwnTexts, references: Mapping[str, Sequence[str]]
) -> AttemptScorer:
    """The setting's judge. Raises InputError for one that cannot know or start."""
    setting = texts.setting
    load = partial(aligned, lab, setting.judge_model if setting.judge == "model" else key)
    return attempt_scorer(setting.judge, references, load, setting, lab.cache)


def trials(
    bench: EpisodeBench,
    cells: Sequence[EpisodeCell],
    name: str,
    answers: Sequence[Sequence[Continuation]] | None = None,
) -> list[ResistanceTrial]:
    """The trials of all cells, in order; answers are kept as `<name>.jsonl`.

    `answers` are what `write_cells` gave, where it was asked before.
    """
    made, lines = list[ResistanceTrial](), list[dict[str, str]]()
    answers = write_cells(bench, cells) if answers is None else answers
    for cell, texts in zip(cells, answers, strict=True):
        written = iter(texts)
        for ask in cell.asks:
            trial = place_trial(bench, cell, ask, name)
            if ask.why is None:
                answer = next(written)
                trial = replace(trial, line=len(lines), tokens=answer.tokens)
                lines.append({"prompt": ask.prompt, "prefix": ask.prefix, "answer": answer.text})
            made.append(trial)
    bench.lab.keep_text(f"{name}.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    known = agreement_of(bench.lab, bench.loaded.key, bench.texts)
    told = to_plain({"sentence": known.sentence(), **vars(known)})
    bench.lab.keep_text(f"{name}.judge.json", json.dumps(told) + "\n")
    return judged(bench, made, [line["prefix"] + line["answer"] for line in lines])


def stored_answers(lab: Lab, phase: str, made: Iterable[ResistanceTrial]) -> list[str]:
    """The whole answer of each of an upstream phase's trials that were made, in order."""
    kept = lab.kept(phase)
    lines = cache(lambda file: kept.path(file).read_text("utf-8").split("\n"))
    found = (json.loads(lines(t.answers)[t.line or 0]) for t in made)
    return [str(line["prefix"] + line["answer"]) for line in found]


def place_trial(bench: EpisodeBench, cell: EpisodeCell, ask: Ask, name: str) -> ResistanceTrial:
    """A trial with all that its cell and ask say, before anything is written."""
    setting, columns = bench.texts.setting, bench.columns(cell.direction)
    return ResistanceTrial(
        **columns,
        **{name: getattr(cell, name) for name in VARIED},
        prompt=ask.prompt,
        taught=setting.taught(ask.prompt, columns["concept"]),
        seed=ask.seed,
        answers=f"{bench.lab.unit}/{name}.jsonl",
        line=None,
        prefix=len(ask.prefix),
        judge=setting.judge,
        agreement=f"{bench.lab.unit}/{name}.judge.json",
        why=ask.why,
    )


def write_cells(bench: EpisodeBench, cells: Sequence[EpisodeCell]) -> list[list[Continuation]]:
    """What the subject writes to every ask of each cell that can be made, after its prefix."""
    drafts = [drafts_of(bench, cell) for cell in cells]
    return cached_answers(bench.lab, bench.loaded, drafts, bench.texts.setting.sampling)


def drafts_of(bench: EpisodeBench, cell: EpisodeCell) -> list[Draft]:
    """What a cell asks a model to write, of the asks that can be made."""
    setting, made = bench.texts.setting, [a for a in cell.asks if a.why is None]
    steps: tuple[Intervention, ...] = ()
    if cell.direction is not None and cell.situation not in OFF:
        steps = (Intervention(setting.block, cell.direction.vector, cell.boost, "add"),)
    prompts, prefixes = [a.prompt for a in made], [a.prefix for a in made]
    encoded = encode_openings(bench.loaded.tokenizer, prompts, prefixes, cell.system)
    first = setting.first_tokens if cell.situation == "first" else None
    return [
        Draft(e, Arm(cell.situation, steps), cell.holds, first, _seed(bench, a))
        for e, a in zip(encoded, made, strict=True)
    ]


def _seed(bench: EpisodeBench, ask: Ask) -> int:
    return seed_of("episode", bench.loaded.key, ask.prompt, ask.seed, bench.lab.seed)


def judged(
    bench: EpisodeBench,
    made: Sequence[ResistanceTrial],
    answers: Sequence[str],
    *,
    parts: bool = True,
) -> list[ResistanceTrial]:
    """The trials with their attempts and scores; `answers` whole, of those that were made.

    Broken text scores 0. With `parts` a single attempt is scored in thirds too, and cut where
    others restart.
    """
    found, texts = list(made), iter(answers)
    whole = {i: next(texts) for i, t in enumerate(made) if t.line is not None}
    for i, a in whole.items():
        broken = _is_broken(bench, a, made[i].prefix)
        found[i] = replace(made[i], starts=segment(a), degenerate=broken)
    shams = _sham_places(found, whole)
    pieces = {
        i: _pieces(a, found[i].starts, shams.get(i))[: None if parts else len(found[i].starts)]
        for i, a in whole.items()
        if not found[i].degenerate
    }
    asked = [Attempted(made[i].prompt, text) for i, some in pieces.items() for text in some]
    scores = iter(bench.scorer(asked))
    for i in whole:
        n = len(found[i].starts)
        known = [next(scores) for _ in pieces[i]] if i in pieces else [0.0] * n
        others: dict[str, Any] = dict(zip(PARTS, known[n:], strict=False))
        found[i] = replace(found[i], scores=tuple(known[:n]), **others)
    return found


def _is_broken(bench: EpisodeBench, answer: str, prefix: int) -> bool:
    """Whether what was written is broken text; to end where the prefix ends is not."""
    written = answer[prefix:]
    ended = bool(prefix) and not written.strip()
    return not ended and is_degenerate(written, bench.loaded.tokenizer)


def _pieces(answer: str, starts: Sequence[int], sham: int | None) -> list[str]:
    """The attempts; of a single one also its first and last third, and both sides of a cut."""
    ends = [*starts[1:], len(answer)]
    found = [answer[a:b].strip() for a, b in zip(starts, ends, strict=True)]
    places = clause_places(answer)
    if len(starts) > 1 or not places:
        return found
    third = max(1, (len(places) + 1) // 3)
    found += [answer[: places[third - 1]], answer[places[-third] :]]
    return found if sham is None else [*found, answer[:sham], answer[sham:]]


def clause_places(answer: str) -> list[int]:
    """The characters at which clauses after the first begin."""
    return [m.end() for m in CLAUSE.finditer(answer.rstrip()) if m.end() < len(answer)]


def _sham_places(made: Sequence[ResistanceTrial], whole: Mapping[int, str]) -> dict[int, int]:
    """Where each one-attempt answer is cut: at the clause nearest to where others restart.

    The others are those of its situation, of what is held in it and of its wording.
    """

    def arm(i: int) -> tuple[str, str, str]:
        return made[i].situation, made[i].ablated, made[i].variant

    shares: dict[tuple[str, str, str], list[float]] = {}
    for i, a in whole.items():
        own = [s / len(a) for s in made[i].starts[1:] if s >= made[i].prefix - 1]
        shares.setdefault(arm(i), []).extend(own)
    turns = {name: cycle(some) for name, some in shares.items() if some}
    found = {}
    for i, a in whole.items():
        options = clause_places(a) if len(made[i].starts) == 1 and arm(i) in turns else []
        if options:
            wanted = next(turns[arm(i)]) * len(a)
            found[i] = min(options, key=lambda at: abs(at - wanted))
    return found


def agreement_of(lab: Lab, key: str, texts: OwnTexts) -> PlantedAgreement:
    """How well the setting's judge knows planted answers of the same model, none of which it has.

    They are made of every other answer and passage; its references are the rest of the answers.
    """
    answers, passages = (
        {name: a[::2] for name, a in some.items()} for some in (texts.references, texts.passages)
    )
    known = {p: a[1::2] or a for p, a in texts.references.items()}
    planted = planted_answers(answers, passages, PLANTED, seed_of("planted", key, lab.seed))
    return planted_agreement(planted, segment, scorer_of(lab, key, texts, known))
