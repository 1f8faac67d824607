"""Measure of esr_unsteered: what does a model answer without steering, and does it restart then?"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mahals.data.how_to import HowToCounts, how_to
from mahals.evaluation.resistance import episodes, subjects
from mahals.evaluation.resistance import setting as settings
from mahals.models.generation.sampling import Sampling
from mahals.models.judges.attempts import AttemptJudgeName
from mahals.models.judges.judge import Server
from mahals.models.saes.releases import release_of
from mahals.phase import Lab
from mahals.phases.esr_unsteered.rows import Row
from mahals.records import InputError, Positive

Task, plan = subjects.ModelTask, subjects.plan_model
DEPTH = "depth"


@dataclass(frozen=True)
class _Blocks:
    """Which block is steered, and the latents of which one are read."""

    steered: int
    read: int


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
    blocks: Mapping[str, str]  # by weights: depth | a table of SAE releases, for models it names
    depth: float  # of the steered block, relative, where no table names the model
    read_depth: float  # of the block whose latents are read and held
    judging: AttemptJudging


def measure(task: subjects.ModelTask, params: Params, lab: Lab) -> Iterator[Row]:
    """A row for each answer to each prompt; the setting is kept for all phases after."""
    (key,), aligned = task.models, subjects.ALIGNED
    loaded = subjects.aligned(lab, key)
    setting = _setting(params, lab, loaded.layers)
    texts, unjudged = setting.texts, settings.OwnTexts(setting, {})  # a judge needs these answers
    bench = episodes.EpisodeBench(lab, loaded, aligned, unjudged, lambda asked: [None] * len(asked))
    others = [q for q in texts.concepts.values() if q not in texts.prompts]
    cells = []
    for questions in (texts.prompts, others):
        asks = tuple(episodes.Ask(q, s) for q in questions for s in range(setting.seeds))
        cells.append(episodes.EpisodeCell(None, 0.0, "unsteered", asks))
    written, answers = episodes.write_cells(bench, cells), dict[str, tuple[str, ...]]()
    for cell, some in zip(cells, written, strict=True):
        for ask, answer in zip(cell.asks, some, strict=True):
            answers[ask.prompt] = (*answers.get(ask.prompt, ()), answer.text)
    lab.keep_text(settings.FILE, settings.setting_text(setting))
    lines = [{"prompt": q, "answer": answer} for q in others for answer in answers[q]]
    lab.keep_text(settings.PASSAGES, "".join(json.dumps(line) + "\n" for line in lines))
    bench = episodes.episode_bench(lab, key, aligned, settings.OwnTexts(setting, answers))
    name = settings.ANSWERS.removesuffix(".jsonl")
    yield from episodes.trials(bench, cells[:1], name, written[:1])


def _setting(params: Params, lab: Lab, layers: int) -> settings.ResistanceSetting:
    at, source = lab.weights, params.texts[lab.weights]
    named = source if source in ("world", "own") else str(lab.file(source))
    blocks = _blocks(params, lab, layers)
    return settings.ResistanceSetting(
        how_to(named, params.counts, lab.seed),
        params.seeds,
        Sampling(params.temperature, params.repetition_penalty[at], params.max_new_tokens[at]),
        params.first_tokens,
        blocks.steered,
        blocks.read,
        params.judging.name[at],
        params.judging.model,
        params.judging.server,
    )


def _blocks(params: Params, lab: Lab, layers: int) -> _Blocks:
    """The published blocks of a model that the table names, else those at the relative depths.

    Raises InputError for a table that cannot be read, and blocks that the model does not have.
    """
    named = params.blocks[lab.weights]
    entry = None if named == DEPTH else release_of(lab.file(named), lab.unit)
    if entry is None:
        return _Blocks(_block(params.depth, layers), _block(params.read_depth, layers))
    if entry.block >= layers:
        raise InputError(
            f"block of {entry.release} in {named}",
            expected=f"one of the {layers} of {lab.unit}, from 0",
            got=str(entry.block),
            cure=f"correct the table, or set esr_unsteered.blocks.{lab.weights} to {DEPTH}",
        )
    return _Blocks(entry.steered, entry.block)


def _block(depth: float, layers: int) -> int:
    """The block at a relative depth: the one whose output is that far up."""
    return min(layers - 1, max(0, round(depth * layers) - 1))
