"""What does the hub's cache hold, and which texts are there, for a study with no network?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from mahals.data.world.answers import pairs
from mahals.data.world.everyday import neutral
from mahals.data.world.grammar import SPLITS, World, prompts

TINY = {
    "datasets.per_cell": 6,
    "datasets.pairs_per_split": 20,
    "datasets.texts_per_split": 900,  # ten fitted rows for each dimension of the wider model
    "datasets.tasks_per_split": 4,
    "baseline_aqi.permutations": 20,
    "baseline_aqi.tsne": "false",  # t-SNE asks for more prompts than these
    "suite.answers": 1,
    "suite.neutral": 8,
    "suite.tasks": 4,
    "suite.max_new_tokens.hub": 4,
    "suite.nulls": 3,
}


def cache_checkpoint(
    hub: Path,
    ref: Mapping[str, str],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    """Puts a checkpoint where huggingface_hub would: files are links to blobs."""
    place = hub / f"models--{ref['id'].replace('/', '--')}"
    snapshot = place / "snapshots" / ref["revision"]
    model.save_pretrained(snapshot)
    tokenizer.save_pretrained(snapshot)
    link_blobs(place, ref["revision"])


def link_blobs(place: Path, revision: str) -> None:
    """Makes of a snapshot's files what huggingface_hub does: links to blobs, beside a branch."""
    (place / "refs").mkdir()
    (place / "refs/main").write_text(revision)
    (place / "blobs").mkdir()
    snapshot = place / "snapshots" / revision
    for number, path in enumerate(sorted(snapshot.iterdir())):
        blob = place / "blobs" / f"{number:040x}"
        path.rename(blob)
        path.symlink_to(os.path.relpath(blob, snapshot))


def write_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Data sets in the layouts of the hub's, written from the world; gives the keys for them."""
    world = World(0)
    rows: dict[str, list[dict[str, str]]] = {
        "prompts": [
            {"axiom": p.axiom, "safety_label": "safe" if p.label else "unsafe", "input": p.text}
            for split, _ in SPLITS
            for p in prompts(world, split, 40, 0)
        ],
        "pairs": [
            {
                "chosen": f"\n\nHuman: {p.prompt}\n\nAssistant: {p.chosen}",
                "rejected": f"\n\nHuman: {p.prompt}\n\nAssistant: {p.rejected}",
            }
            for split, _ in SPLITS
            for p in pairs(world, split, 60, 0)
        ],
        "neutral": [
            {"text": text} for text in chain(*(neutral(world, s, 1400, 0) for s, _ in SPLITS))
        ],
    }
    for name, lines in rows.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        yield f"datasets.{name}.hub", str(path)
