"""Openings: with what is an answer made to begin, which its writer may notice, leave or hold?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mahals.data.composed import compose, cut_at_sentence, restart_of
from mahals.evaluation.resistance.episodes import (
    OFF,
    Ask,
    EpisodeBench,
    EpisodeCell,
    drafts_of,
    stored_answers,
)
from mahals.evaluation.resistance.setting import PHASE as UNSTEERED
from mahals.evaluation.resistance.subjects import ALIGNED, BoostDirection
from mahals.maths.metrics.resistance import NONE, ResistanceTrial
from mahals.models.generation.sampling import Continuation, sample
from mahals.phase import Lab

PART = 0.5  # of a text: what an answer begins with
DERAILED = 50.0  # a first attempt of a lower score has left the topic


def passage_asks(bench: EpisodeBench, concept: str, split: str = "evaluation") -> tuple[Ask, ...]:
    """The asks of a split, each begun with the first half of a passage on the concept."""
    passages = bench.texts.passages[concept]
    return tuple(
        _begun(ask, cut_at_sentence(passages[ask.seed % len(passages)], PART))
        for ask in bench.asks(split, concept)
    )


def passage_cells(
    bench: EpisodeBench, along: Iterable[BoostDirection], split: str = "evaluation"
) -> list[EpisodeCell]:
    """A cell of situation `passage` for each concept, under its first direction: all are alike."""
    first: dict[str, BoostDirection] = {}
    for d in along:
        first.setdefault(d.concept, d)
    return [
        EpisodeCell(d, 0.0, "passage", passage_asks(bench, concept, split))
        for concept, d in first.items()
        if concept != NONE
    ]


def after_derailment(
    free: EpisodeCell,
    made: Sequence[ResistanceTrial],
    answers: Sequence[str],
    own: Mapping[tuple[str, int], str],
) -> list[EpisodeCell]:
    """Cells of `own_text`, `restarted` and `on_topic`, after the trials `made` of a free cell.

    `answers` are of those that were made; `own` the subject's unsteered ones by prompt and seed.
    Where a free answer did not leave the topic in words the three trials are absent.
    """
    asks: dict[str, list[Ask]] = {"own_text": [], "restarted": [], "on_topic": []}
    rest = iter(answers)
    for t in made:
        answer = "" if t.line is None else next(rest)
        why = t.why or _kept_on(t)
        text = "" if why else _derailed(t, answer)
        asks["own_text"].append(_begun(t, text, why))
        asks["restarted"].append(_begun(t, compose([text, restart_of(t.prompt)]).text, why))
        asks["on_topic"].append(_begun(t, _as_much(own.get((t.prompt, t.seed), ""), text), why))
    return [
        replace(free, situation=s, boost=0.0 if s in OFF else free.boost, asks=tuple(some))
        for s, some in asks.items()
    ]


def unsteered_answers(lab: Lab, key: str, name: str) -> dict[tuple[str, int], str]:
    """A subject's stored unsteered answers by prompt and seed."""
    phase = UNSTEERED if name == ALIGNED else "esr_finetune"
    rows = lab.rows(phase, key)
    made = [t for t in rows if t.subject == name and t.situation == "unsteered" and not t.why]
    texts = stored_answers(lab, phase, made)
    return {(t.prompt, t.seed): text for t, text in zip(made, texts, strict=True)}


def _begun(of: Ask | ResistanceTrial, prefix: str, why: str | None = None) -> Ask:
    """The ask of that prompt and seed, begun; `why` it cannot be, if it cannot."""
    if why is None and not prefix:
        why = "there is nothing to begin the answer with"
    return Ask(of.prompt, of.seed, "" if why else prefix, why)


def _kept_on(free: ResistanceTrial) -> str | None:
    """Why a free trial has no derailed text."""
    if free.degenerate:
        return "the steered answer is broken text"
    if free.first is None or free.first >= DERAILED:
        return "the steered answer did not leave the topic"
    return None


def _derailed(free: ResistanceTrial, answer: str) -> str:
    """The first attempt of a derailed trial, cut at a sentence; all of one that restarts."""
    if len(free.starts) > 1:
        return answer[: free.starts[1]].strip()
    return cut_at_sentence(answer, PART)


def _as_much(own: str, text: str) -> str:
    """The beginning of `own` in whole words, as long as `text`; a third is left to be written."""
    return own.strip()[: min(len(text), 2 * len(own) // 3)].rpartition(" ")[0]


def is_unmoved(
    bench: EpisodeBench,
    zero: EpisodeCell,
    written: Sequence[Continuation],
    own: Mapping[tuple[str, int], str],
) -> bool:
    """Whether answers at boost 0 are the unsteered ones, bit for bit.

    Of organisms the stored ones; elsewhere rounding differs between batches, so two equal batches.
    """
    if bench.lab.weights == "organism":
        return [a.text for a in written] == [own[a.prompt, a.seed] for a in zero.asks]
    off, sampling = replace(zero, direction=None), bench.texts.setting.sampling
    one, other = (sample(bench.loaded, drafts_of(bench, c), sampling) for c in (zero, off))
    return one == other
