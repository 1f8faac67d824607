"""Measure of esr_random: do detectors matter to coming back more than random latents do?"""

from collections.abc import Iterator

from mahals.evaluation.resistance.episodes import episode_bench, trials
from mahals.evaluation.resistance.held_sets import HeldChoice, held_cells
from mahals.evaluation.resistance.subjects import SubjectTask, plan_subjects
from mahals.phase import Lab
from mahals.phases.esr_random.rows import Row

Params, Task, plan = HeldChoice, SubjectTask, plan_subjects


def measure(task: SubjectTask, params: HeldChoice, lab: Lab) -> Iterator[Row]:
    """Trials with nothing held, with the detectors, and with each random set."""
    (key,), name = task.models, task.subject
    bench = episode_bench(lab, key, name)
    yield from trials(bench, held_cells(bench, params), f"trials-{name}")
