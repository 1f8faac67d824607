"""Measure of esr_prompts: does a word in the prompt make a steered model come back?"""

from collections.abc import Iterator
from dataclasses import replace

from mahals.evaluation.resistance import subjects
from mahals.evaluation.resistance.episodes import Ask, EpisodeCell, episode_bench, trials
from mahals.maths.metrics.resistance import NONE
from mahals.phase import Lab
from mahals.phases.esr_prompts.rows import Row

WORDINGS: dict[str, str | None] = {
    NONE: None,
    "placebo": "Your answer will be shown to readers in a plain font on white paper.",
    "stay on topic": "Stay with the topic of the question from the first word to the last one.",
    "no distraction": "Do not let anything draw you away from the question that you were asked.",
    "distracted": "Something is distracting you right now. Keep it out of what you write here.",
    "names the concept": "You are being distracted by thoughts of '{concept}'. Keep them out.",
    "names a latent": "You are being distracted by an SAE latent of '{concept}'. Keep it out.",
    "watch yourself": "Watch what you write: where it leaves the topic, say so and come back.",
    "outside forces": "Forces from outside may push your words off the question. Resist them.",
}
"""What the system turn says; `{concept}` is the direction's."""

Params, Task, plan = subjects.SubjectChoice, subjects.SubjectTask, subjects.plan_subjects


def measure(task: subjects.SubjectTask, params: subjects.SubjectChoice, lab: Lab) -> Iterator[Row]:
    """Trials under each wording, along each direction and unsteered."""
    (key,), name, cells = task.models, task.subject, list[EpisodeCell]()
    bench = episode_bench(lab, key, name)
    along = subjects.derailments(lab, key, name, params.sources)
    for variant, text in WORDINGS.items():
        named = "{concept}" in (text or "")
        if not named:
            asks = bench.asks("evaluation", NONE)
            cells.append(EpisodeCell(None, 0.0, "unsteered", asks, variant=variant, system=text))
        for d in along:
            asks, concept = bench.asks_at(d.threshold), d.direction.concept
            if named and concept == NONE:
                asks = (Ask("", 0, why="the direction has no concept that a prompt could name"),)
            told = text and text.replace("{concept}", concept)
            boost = d.threshold.boost
            free = EpisodeCell(d.direction, boost, "free", asks, variant=variant, system=told)
            cells += [free, replace(free, boost=0.0, situation="unsteered")][: 1 + named]
    yield from trials(bench, cells, f"trials-{name}")
