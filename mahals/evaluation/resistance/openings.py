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
Own = Mapping[tuple[str, int], str]
"""A subject's unsteered answers by prompt and seed."""


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
    three trials are absent.
    """
    asks: dict[str, list[Ask]] = {"own_text": [], "restarted": [], "on_topic": []}
    rest = iter(answers)
    for t in made:
        answer = "" if t.line is None else next(rest)
        why = t.why
        if t.degenerate:
            why = "the steered answer is broken text"
        elif why is None and (t.first is None or t.first >= DERAILED):
            why = "the steered answer did not leave the topic"
        restarts = len(t.starts) > 1  # then all of the first attempt is put there
        part = answer[: t.starts[1]].strip() if restarts else cut_at_sentence(answer, PART)
        text = "" if why else part
        good = own.get((t.prompt, t.seed), "")  # in whole words; a third is left to be written
        as_much = good.strip()[: min(len(text), 2 * len(good) // 3)].rpartition(" ")[0]
        asks["own_text"].append(_begun(t, text, why))
        asks["restarted"].append(_begun(t, compose([text, restart_of(t.prompt)]).text, why))
        asks["on_topic"].append(_begun(t, as_much, why))
    return [
        replace(free, situation=s, boost=0.0 if s in episodes.OFF else free.boost, asks=tuple(some))
        for s, some in asks.items()
    ]


def _begun(of: Ask | ResistanceTrial, prefix: str, why: str | None) -> Ask:
    """The ask of that prompt and seed, begun; `why` it cannot be, if it cannot."""
    why = why or (None if prefix else "there is nothing to begin the answer with")
    return Ask(of.prompt, of.seed, "" if why else prefix, why)


def unsteered_answers(lab: Lab, key: str, name: str) -> dict[tuple[str, int], str]:
    """A subject's stored unsteered answers by prompt and seed."""
    phase = UNSTEERED if name == ALIGNED else "esr_finetune"
    rows = lab.rows(phase, key)
    made = [t for t in rows if t.subject == name and t.situation == "unsteered" and not t.why]
    texts = episodes.stored_answers(lab, phase, made)
    return {(t.prompt, t.seed): text for t, text in zip(made, texts, strict=True)}


def is_unmoved(
    bench: EpisodeBench, zero: EpisodeCell, written: Sequence[Continuation], own: Own
) -> bool:
    """Whether answers at boost 0 are the unsteered ones, bit for bit.

    Of organisms the stored ones; elsewhere rounding differs between batches, so two equal batches.
    """
    if bench.lab.weights == "organism":
        return [a.text for a in written] == [own[a.prompt, a.seed] for a in zero.asks]
    off, sampling = replace(zero, direction=None), bench.texts.setting.sampling
    one, other = (sample(bench.loaded, episodes.drafts_of(bench, c), sampling) for c in (zero, off))
    return one == other
