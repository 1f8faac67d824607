"""Measure of esr_unsteered: what does a model answer without steering, and does it restart then?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mahals.data.how_to import HowToCounts, how_to
from mahals.evaluation.resistance.episodes import (
    Ask,
    EpisodeBench,
    EpisodeCell,
    episode_bench,
    trials,
    write_cells,
)
from mahals.evaluation.resistance.setting import (
    ANSWERS,
    FILE,
    PASSAGES,
    OwnTexts,
    ResistanceSetting,
    setting_text,
)
from mahals.evaluation.resistance.subjects import ALIGNED, aligned
from mahals.models.generation.sampling import Sampling
from mahals.models.judges.attempts import AttemptJudgeName
from mahals.models.judges.judge import Server
from mahals.phase import Lab
from mahals.phases.esr_unsteered.rows import Row
from mahals.records import Positive


@dataclass(frozen=True)
class AttemptJudging:
    """Who scores attempts, by weights, and what it needs besides its name."""

    name: Mapping[str, AttemptJudgeName]
    model: str  # model: a registry key; openai: the server's name of it
    server: Server


@dataclass(frozen=True)
class Params:
    """What the whole resistance study shares: texts, answers, blocks and the judge."""

    texts: Mapping[str, str]  # by weights: world | own | a file of how-to prompts, one a line
    counts: HowToCounts
    seeds: Positive  # answers to a prompt
    temperature: float
    repetition_penalty: Mapping[str, float]  # by weights; over the answer alone
    max_new_tokens: Mapping[str, Positive]
    first_tokens: Positive  # of an answer that situation `first` steers
    depth: float  # of the steered block, relative
    read_depth: float  # of the block whose latents are read and held
    judging: AttemptJudging


@dataclass(frozen=True)
class Task:
    """One model."""

    models: tuple[str, ...]


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task."""
    return [Task((lab.unit,))]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """A row for each answer to each question; the setting is kept for all phases after."""
    key = task.models[0]
    loaded = aligned(lab, key)
    setting = _setting(params, lab, loaded.layers)
    prompts, others = setting.texts.prompts, setting.texts.concepts.values()
    asked = [_cell(setting, prompts), _cell(setting, [q for q in others if q not in prompts])]
    unjudged = OwnTexts(setting, {})  # what scores are relative to is written here
    bench = EpisodeBench(lab, loaded, ALIGNED, unjudged, lambda asked: [None] * len(asked))
    answers: dict[str, tuple[str, ...]] = {}
    written = write_cells(bench, asked)
    for cell, texts in zip(asked, written, strict=True):
        for ask, answer in zip(cell.asks, texts, strict=True):
            answers[ask.prompt] = (*answers.get(ask.prompt, ()), answer.text)
    lab.keep_text(FILE, setting_text(setting))
    lines = [{"prompt": a.prompt, "answer": answers[a.prompt][a.seed]} for a in asked[1].asks]
    lab.keep_text(PASSAGES, "".join(json.dumps(line) + "\n" for line in lines))
    bench = episode_bench(lab, key, ALIGNED, OwnTexts(setting, answers))
    yield from trials(bench, asked[:1], ANSWERS.removesuffix(".jsonl"), written[:1])


def _cell(setting: ResistanceSetting, questions: Iterable[str]) -> EpisodeCell:
    asks = (Ask(q, s) for q in questions for s in range(setting.seeds))
    return EpisodeCell(None, 0.0, "unsteered", tuple(asks))


def _setting(params: Params, lab: Lab, layers: int) -> ResistanceSetting:
    at, source = lab.weights, params.texts[lab.weights]
    named = source if source in ("world", "own") else str(lab.file(source))
    return ResistanceSetting(
        how_to(named, params.counts, lab.seed),
        params.seeds,
        Sampling(params.temperature, params.repetition_penalty[at], params.max_new_tokens[at]),
        params.first_tokens,
        _block(params.depth, layers),
        _block(params.read_depth, layers),
        params.judging.name[at],
        params.judging.model,
        params.judging.server,
    )


def _block(depth: float, layers: int) -> int:
    """The block at a relative depth: the one whose output is that far up."""
    return min(layers - 1, max(0, round(depth * layers) - 1))
