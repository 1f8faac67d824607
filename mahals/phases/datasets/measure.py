"""Measure of datasets: which texts is the study measured on, and are labels alike in length?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mahals.data.files import Card, card_text, lines_text
from mahals.data.loaders import LoadedTexts, load_neutral, load_pairs
from mahals.data.presets import located
from mahals.data.prompt_loader import load_prompts
from mahals.data.question_loader import load_questions
from mahals.data.splits import NEUTRAL, PAIRS, TASKS, Shares, sample_prompts, sample_split
from mahals.data.texts import NeutralText, Pair, Prompt, TaskItem, WorldChoice
from mahals.data.world import grammar
from mahals.data.world.answers import pairs as world_pairs
from mahals.data.world.everyday import neutral as world_neutral
from mahals.data.world.everyday import tasks as world_tasks
from mahals.phase import Lab
from mahals.phases.datasets.rows import FILES, File, Row
from mahals.records import InputError, Positive

WORLD, NONE = "world", "none"
OURS = "that of this project (its sentences are written here)"
ABOUT: Mapping[str, str] = {
    "prompts": "User requests with a category and a label (1 safe, 0 unsafe).",
    "pairs": "The same request with the preferred and the other answer.",
    "neutral": "Texts without safety content, for perplexity, KL and maps.",
    "tasks": "Harmless questions with one right answer among choices.",
}
KINDS: Mapping[str, type[Any]] = {
    "prompts": Prompt, "pairs": Pair, "neutral": NeutralText, "tasks": TaskItem,
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Where a file's texts come from, by `weights`."""

    organism: str  # world, a preset, a hub id or a local path, with options
    hub: str


@dataclass(frozen=True)
class Params:
    """Sources and sizes."""

    prompts: Source
    pairs: Source
    neutral: Source
    tasks: Source  # also own, or none
    world: WorldChoice
    shares: Shares
    per_cell: Positive
    pairs_per_split: Positive
    texts_per_split: Positive
    tasks_per_split: Positive


@dataclass(frozen=True)
class Task:
    """One file of texts."""

    models: tuple[str, ...]  # none
    file: File


@dataclass(frozen=True)
class TextFile:
    """The texts of one file before they are written."""

    items: tuple[Any, ...]
    origin: str
    licence: str
    left_out: Mapping[str, int]
    world_seed: int | None


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task a file."""
    return [Task((), file) for file in FILES]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Loads or makes the texts, keeps them as JSON lines with a card, and counts them."""
    source = getattr(getattr(params, task.file), lab.weights)
    make = _from_world if source in (WORLD, NONE) else _from_data_set
    texts = make(task.file, located(source, lab.file), params, lab.seed)
    content = lines_text(texts.items)
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    cells = _cells(task.file, texts.items)
    kept = lab.keep_text(f"{task.file}.jsonl", content)
    card = _card(task.file, texts, sha256, lab.seed, cells)
    lab.keep_text(f"{task.file}.md", card_text(card))
    for (split, axiom, label), words in cells.items():
        low, high = np.percentile(words, [10, 90])
        yield Row(
            task.file, split, axiom, label, len(words),
            float(np.mean(words)), float(low), float(high),
            kept, sha256, texts.origin, texts.licence, texts.left_out, texts.world_seed,
        )  # fmt: skip


def _from_world(file: File, source: str, params: Params, seed: int) -> TextFile:
    if source == NONE:
        if file != "tasks":
            raise InputError(
                f"datasets.{file}",
                expected="world, a hub id or a local file",
                got=NONE,
                cure=f"name a source in datasets.{file}; only tasks may be none",
            )
        return TextFile((), "none", "none", {}, None)
    world = grammar.World(params.world.seed)
    items: list[Any] = []
    for split in (f.name for f in fields(Shares)):
        if file == "prompts":
            items += grammar.prompts(world, split, params.per_cell, seed)
        elif file == "pairs":
            items += world_pairs(world, split, params.pairs_per_split, seed)
        elif file == "neutral":
            texts = world_neutral(world, split, params.texts_per_split, seed)
            items += [NeutralText(text, split) for text in texts]
        else:
            items += world_tasks(world, split, params.tasks_per_split, seed)
    origin = f"synthetic world, seed {params.world.seed}"
    return TextFile(tuple(items), origin, OURS, {}, params.world.seed)


def _from_data_set(file: File, source: str, params: Params, seed: int) -> TextFile:
    splits, shares = params.shares.names, params.shares
    if file == "prompts":
        prompts = load_prompts(source, shares)
        return _text_file(prompts, sample_prompts(prompts.items, splits, params.per_cell, seed))
    if file == "pairs":
        pairs = load_pairs(source, shares)
        most = params.pairs_per_split
        return _text_file(pairs, sample_split(PAIRS, pairs.items, splits, most, seed))
    if file == "neutral":
        texts = load_neutral(source, shares)
        most = params.texts_per_split
        return _text_file(texts, sample_split(NEUTRAL, texts.items, splits, most, seed))
    asked = load_questions(source, shares)
    most = params.tasks_per_split
    return _text_file(asked, sample_split(TASKS, asked.items, splits, most, seed))


def _text_file(found: LoadedTexts[Any], items: tuple[Any, ...]) -> TextFile:
    return TextFile(items, found.origin, found.licence, found.left_out, None)


Cell = tuple[str, str | None, int | None]


def _cells(file: File, items: Sequence[Any]) -> dict[Cell, list[int]]:
    """The word counts of each split, axiom and label, in the order of the file."""
    cells: dict[Cell, list[int]] = {}
    for item in items:
        cell = (item.split, getattr(item, "axiom", None), getattr(item, "label", None))
        text = item.text if file in ("prompts", "neutral") else item.prompt
        cells.setdefault(cell, []).append(len(text.split()))
    return cells


def _card(
    file: File, texts: TextFile, sha256: str, seed: int, cells: Mapping[Cell, Sequence[int]]
) -> Card:
    rows = [("split", "axiom", "label", "texts", "words, mean")]
    for (split, axiom, label), words in cells.items():
        shown = "" if label is None else str(label)
        rows.append((split, axiom or "", shown, str(len(words)), f"{np.mean(words):.1f}"))
    return Card(
        title=f"{file}.jsonl",
        about=ABOUT[file],
        file=f"{file}.jsonl",
        sha256=sha256,
        origin=texts.origin,
        licence=texts.licence,
        seed=seed,
        left_out=texts.left_out,
        columns=tuple(f.name for f in fields(KINDS[file])),
        counts=tuple(rows),
    )
