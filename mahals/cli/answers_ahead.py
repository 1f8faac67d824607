"""Answers ahead: how much will the resistance study write and judge, before anything is run?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mahals.cli.tables import table
from mahals.data.how_to import WORLD
from mahals.evaluation.resistance.episodes import PLANTED
from mahals.phases.esr.measure import AT_BOOST_0
from mahals.phases.esr_prompts.measure import WORDINGS

SETTING, DIRECTIONS = "esr_unsteered", "esr_saes"  # whose sections the counts of all others need
PIECES = 5  # texts of an answer that are scored: one, its first and last third, both sides of a cut
PLACES = 6  # situations of `esr` along a direction: passage has its own count


@dataclass(frozen=True)
class AnswersAhead:
    """What one phase asks of one model, at most."""

    trials: int
    searched: int = 0  # answers that are written for thresholds, checks and passages
    judged: int | None = None  # texts; None: as its answers ask

    @property
    def written(self) -> int:
        """Answers that are written."""
        return self.trials + self.searched

    @property
    def texts(self) -> int:
        """Texts that a judge scores; planted answers, on which it is tried, are among them."""
        return PIECES * self.written + 2 * PLANTED if self.judged is None else self.judged


@dataclass(frozen=True)
class _Design:
    """What the phases' counts are made of."""

    setting: Any  # Params of esr_unsteered
    saes: Any  # of esr_saes
    weights: str

    def answers(self, *splits: str) -> int:
        """Answers of one cell: every prompt of the splits, with every seed."""
        return sum(int(getattr(self.setting.counts, s)) for s in splits) * int(self.setting.seeds)

    @property
    def concepts(self) -> int:
        return int(self.setting.counts.concepts)

    def along(self, sources: tuple[str, ...]) -> int:
        """Directions of these sources."""
        known = {
            "contrast": self.concepts,
            "latent": int(self.saes.choice.wanted),
            "random": int(self.saes.random),
        }
        return sum(known[s] for s in sources)

    def search(self, params: Any) -> int:
        """Answers that the thresholds of all directions ask for."""
        each = params.search.queries * params.search.answers + self.answers("evaluation")
        return self.along(params.sources) * int(each)

    def held(self, params: Any) -> int:
        """Trials of one subject with nothing held, the detectors, and each random set."""
        steered = {"free": self.along(params.sources), "passage": self.concepts}
        cells = sum(steered[s] for s in params.sets.situations)
        sets = 2 + len(params.sets.kinds) * int(params.sets.draws)
        return sets * cells * self.answers("evaluation")


def answers_ahead(sections: Mapping[str, Any], weights: str) -> dict[str, AnswersAhead]:
    """Of each trial phase among `sections` (Params by phase), and of esr_judges; for one model.

    At most: every direction usable, every wanted latent found, no concept a prompt's own. Needs the
    sections SETTING and DIRECTIONS.
    """
    design = _Design(sections[SETTING], sections[DIRECTIONS], weights)
    return {n: _COUNTS[n](design, sections[n]) for n in sections if n in _COUNTS}


def ahead_page(found: Mapping[str, AnswersAhead], models: int, tokens: int) -> str:
    """A table by phase, of all models together; an answer has at most `tokens` tokens."""
    counts = [(n, (a.trials, a.written, a.written * tokens, a.texts)) for n, a in found.items()]
    rows = [(n, *(models * x for x in some)) for n, some in counts]
    rows.append(("together", *(models * sum(some[i] for _, some in counts) for i in range(4))))
    return table(("at most", "trials", "answers", "tokens written", "texts judged"), rows) + "\n"


def _unsteered(d: _Design, params: Any) -> AnswersAhead:
    passages = 0 if params.texts[d.weights] == WORLD else d.concepts * params.seeds
    return AnswersAhead(d.answers("taught", "calibration", "evaluation"), passages)


def _threshold(d: _Design, params: Any) -> AnswersAhead:
    return AnswersAhead(0, d.search(params))


def _finetune(d: _Design, params: Any) -> AnswersAhead:
    taught = len(params.shares) + len(params.modes)
    cells = 1 + d.concepts + d.along(params.sources)
    trials = (1 + taught) * cells * d.answers("evaluation", "taught")
    return AnswersAhead(trials, taught * d.search(params))


def _esr(d: _Design, params: Any) -> AnswersAhead:
    cells = (PLACES - 1) * d.along(params.sources) + d.concepts
    n, checked = len(params.subjects), AT_BOOST_0 if d.weights == "organism" else 4 * AT_BOOST_0
    return AnswersAhead(n * cells * d.answers("evaluation"), n * checked)


def _boost(d: _Design, params: Any) -> AnswersAhead:
    cells = d.along(params.sources) * len(params.levels)
    return AnswersAhead(len(params.subjects) * cells * d.answers("evaluation"))


def _prompts(d: _Design, params: Any) -> AnswersAhead:
    named = sum("{concept}" in str(text) for text in WORDINGS.values())
    steered = (len(WORDINGS) + named) * d.along(params.sources)
    cells = steered + len(WORDINGS) - named
    return AnswersAhead(len(params.subjects) * cells * d.answers("evaluation"))


def _ablation(d: _Design, params: Any) -> AnswersAhead:
    again = d.along(params.sources) * d.answers("evaluation")
    n = len(params.subjects)
    return AnswersAhead(n * (d.held(params) + again), n * d.search(params))


def _random(d: _Design, params: Any) -> AnswersAhead:
    return AnswersAhead(len(params.subjects) * d.held(params))


def _judges(d: _Design, params: Any) -> AnswersAhead:
    each = 2 * params.answers * 2 * PIECES + 2 * PLANTED  # to their own and to exchanged prompts
    return AnswersAhead(0, 0, len(params.judges[d.weights]) * each)


_COUNTS: Mapping[str, Callable[[_Design, Any], AnswersAhead]] = {
    "esr_unsteered": _unsteered,
    "esr_threshold": _threshold,
    "esr_finetune": _finetune,
    "esr": _esr,
    "esr_boost": _boost,
    "esr_prompts": _prompts,
    "esr_ablation": _ablation,
    "esr_random": _random,
    "esr_judges": _judges,
}
