"""Measure of esr: steered off topic, does a model come back, and by what does it notice?"""

from collections.abc import Iterator
from dataclasses import replace

from mahals.evaluation.resistance import openings, subjects
from mahals.evaluation.resistance.episodes import EpisodeCell, episode_bench, trials, write_cells
from mahals.phase import Lab
from mahals.phases.esr.rows import Row

AT_BOOST_0 = 4  # answers that are compared with unsteered ones
Params, Task, plan = subjects.SubjectChoice, subjects.SubjectTask, subjects.plan_subjects


def measure(task: subjects.SubjectTask, params: subjects.SubjectChoice, lab: Lab) -> Iterator[Row]:
    """Trials in each situation along each direction, at the subject's own thresholds.

    Raises RuntimeError where an answer at boost 0 is not the stored unsteered one.
    """
    (key,), name = task.models, task.subject
    bench, own = episode_bench(lab, key, name), openings.unsteered_answers(lab, key, name)
    along = subjects.derailments(lab, key, name, params.sources)
    free, first = (
        [EpisodeCell(d.direction, d.threshold.boost, s, bench.asks_at(d.threshold)) for d in along]
        for s in ("free", "first")
    )
    one, boost = along[0].direction, along[0].threshold.boost
    zero = EpisodeCell(one, 0.0, "free", bench.asks("evaluation", one.concept)[:AT_BOOST_0])
    beside = replace(zero, boost=boost)
    cells = [*free, *first, *openings.passage_cells(bench, (d.direction for d in along))]
    unmoved, *answers = write_cells(bench, [zero, *cells])
    if not openings.is_unmoved(bench, zero, beside, unmoved, own):
        raise RuntimeError(f"{key}, {name}: at boost 0 the answers are not the unsteered ones")
    made = trials(bench, cells, f"trials-{name}", answers)
    yield from made
    rest, after = iter(made), list[EpisodeCell]()
    for cell, written in zip(free, answers, strict=False):
        some, texts = [next(rest) for _ in cell.asks], [a.text for a in written]
        after += openings.after_derailment(cell, some, texts, own)
    yield from trials(bench, after, f"after-{name}")
