"""Openings: with what is an answer made to begin, which its writer may notice, leave or hold?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mahals.data.composed import PART, compose, cut_at_sentence, restart_of
from mahals.evaluation.resistance import episodes
from mahals.evaluation.resistance.episodes import Ask, EpisodeBench, EpisodeCell
from mahals.evaluation.resistance.setting import PHASE as UNSTEERED
from mahals.evaluation.resistance.subjects import ALIGNED, BoostDirection
from mahals.maths.metrics.resistance import NONE, ResistanceTrial
from mahals.models.generation.sampling import Continuation, sample
from mahals.phase import Lab

DERAILED = 50.0  # a first attempt of a lower score has left the topic
Own = Mapping[tuple[str, int], tuple[str, float | None]]
"""A subject's unsteered answers by prompt and seed, each with the score of its first attempt."""


def passage_cells(
    bench: EpisodeBench, along: Iterable[BoostDirection], split: str = "evaluation"
) -> list[EpisodeCell]:
    """A cell of situation `passage` for each concept, under its first direction: all are alike.

    Each answer is begun with the first half of a passage on the concept.
    """
    first: dict[str, BoostDirection] = {}
    for d in along:
        first.setdefault(d.concept, d)
    first.pop(NONE, None)
    cells = []
    for concept, d in first.items():
        parts = [cut_at_sentence(text, PART) for text in bench.texts.passages[concept]]
        begun = (_begun(a, parts[a.seed % len(parts)], None) for a in bench.asks(split, concept))
        cells.append(EpisodeCell(d, 0.0, "passage", tuple(begun)))
    return cells


def after_derailment(
    free: EpisodeCell, made: Sequence[ResistanceTrial], answers: Sequence[str], own: Own
) -> list[EpisodeCell]:
    """Cells of `own_text`, `restarted` and `on_topic`, after the trials `made` of a free cell.

    `answers` are of those that were made. Where a free answer did not leave the topic in words the
    three trials are absent; the last, too, where its own unsteered answer is not on it.
    """
    asks: dict[str, list[Ask]] = {"own_text": [], "restarted": [], "on_topic": []}
    rest = iter(answers)
    for t in made:
        answer = "" if t.line is None else next(rest)
        why = t.why
        if t.degenerate:
            why = "the steered answer is broken text"
        elif why is None and t.first is None:
            why = "the judge gave the steered answer no score"
        elif why is None and t.first is not None and t.first >= DERAILED:
            why = "the steered answer did not leave the topic"
        restarts = len(t.starts) > 1  # then all of the first attempt is put there
        part = answer[: t.starts[1]].strip() if restarts else cut_at_sentence(answer, PART)
        text = "" if why else part
        good, score = own.get((t.prompt, t.seed), ("", None))
        off = score is None or score < DERAILED
        bad = "its own unsteered answer is not on the topic" if off else None
        # in whole words; a third is left to be written
        as_much = good.strip()[: min(len(text), 2 * len(good) // 3)].rpartition(" ")[0]
        asks["own_text"].append(_begun(t, text, why))
        asks["restarted"].append(_begun(t, compose([text, restart_of(t.prompt)]).text, why))
        asks["on_topic"].append(_begun(t, as_much, why or bad))
    return [
        replace(free, situation=s, boost=0.0 if s in episodes.OFF else free.boost, asks=tuple(some))
        for s, some in asks.items()
    ]


def _begun(of: Ask | ResistanceTrial, prefix: str, why: str | None) -> Ask:
    """The ask of that prompt and seed, begun; `why` it cannot be, if it cannot."""
    why = why or (None if prefix else "there is nothing to begin the answer with")
    return Ask(of.prompt, of.seed, "" if why else prefix, why)


def unsteered_answers(lab: Lab, key: str, name: str) -> Own:
    """A subject's stored unsteered answers."""
    phase = UNSTEERED if name == ALIGNED else "esr_finetune"
    rows = lab.rows(phase, key)
    made = [t for t in rows if t.subject == name and t.situation == "unsteered" and not t.why]
    texts = episodes.stored_answers(lab, phase, made)
    return {(t.prompt, t.seed): (text, t.first) for t, text in zip(made, texts, strict=True)}


def is_unmoved(
    bench: EpisodeBench,
    zero: EpisodeCell,
    beside: EpisodeCell,
    written: Sequence[Continuation],
    own: Own,
) -> bool:
    """Whether answers at boost 0 are the unsteered ones, bit for bit, in a batch with steered ones.

    Of organisms the stored ones; elsewhere rounding differs between batches, so two of equal texts,
    in one of which those of `beside` are steered.
    """
    if bench.lab.weights == "organism":
        return [a.text for a in written] == [own[a.prompt, a.seed][0] for a in zero.asks]
    batches = ((zero, beside), (replace(zero, direction=None), replace(beside, direction=None)))
    drafts = [[d for cell in cells for d in episodes.drafts_of(bench, cell)] for cells in batches]
    one, other = (sample(bench.loaded, some, bench.texts.setting.sampling) for some in drafts)
    return one[: len(zero.asks)] == other[: len(zero.asks)]
