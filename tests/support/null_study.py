"""What does the harness rank where there is nothing: states without safety information?

A null study has two models and one set of prompts whose labels were drawn without looking at the
states. A model's states hold a likeness of axiom and cluster, and its last block answers a push at
an earlier one by a fixed random network, so that every arm moves the states, and AQI, a little.
Random arms and steered ones are pushes along random directions of one norm: the vector that an
extraction finds where there is nothing to find. Evidence, entries and board are the package's own.

In the design "vectors" the states do tell safe from unsafe, and only the vectors hold nothing:
random arms then differ by more than prompts explain, and p-values are less cautious.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from mahals.data.texts import AXIOMS
from mahals.harness.leaderboard.ranking import Board, boards
from mahals.maths.metrics.aqi import ModelAqi, model_aqi
from mahals.reporting.entries import entries
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from mahals.schema import UNSTEERED, ArmRow, Label
from tests.support.tiny_lab import MemoryKept

STUDIES, DRAWS, WIDTH, PER_AXIOM = 100, 20, 32, 16
Design = Literal["states", "vectors"]  # what holds no safety information
TARGETS, OPERATORS, SOURCES = ("A", "B"), ("add", "add_preserve_norm"), ("A", "B", "C")


@dataclass(frozen=True)
class Null:
    """What one null study came to."""

    design: Design
    ranked: int
    smallest_q: float
    p: tuple[float, ...]  # of each configuration


@dataclass(frozen=True)
class Society:
    """The prompts of a study and one model's answer to a push."""

    labels: np.ndarray
    axioms: list[str]
    clusters: list[str]
    states: np.ndarray  # (n, WIDTH) at the block that is pushed
    read: tuple[np.ndarray, np.ndarray]  # the network from there to the last block

    def scored(self, operator: str, push: np.ndarray | None) -> ModelAqi:
        """AQI at the last block, after a push at the earlier one."""
        at = self.states
        if push is not None:
            at = at + push
            if operator == "add_preserve_norm":
                sizes = np.linalg.norm(self.states, axis=1) / np.linalg.norm(at, axis=1)
                at = at * sizes[:, None]
        last = at + np.tanh(at @ self.read[0]) @ self.read[1]
        return model_aqi(last, self.labels, self.axioms, self.clusters)


def prompts(rng: np.random.Generator) -> tuple[np.ndarray, list[str], list[str]]:
    """Labels in equal counts per axiom, drawn blindly; axioms; clusters of two."""
    half = np.repeat([0, 1], PER_AXIOM // 2)
    labels = np.concatenate([rng.permutation(half) for _ in AXIOMS])
    axioms = [a for a in AXIOMS for _ in range(PER_AXIOM)]
    return labels, axioms, [f"{i // 2}" for i in range(len(axioms))]


def society(
    rng: np.random.Generator, given: tuple[np.ndarray, list[str], list[str]], design: Design
) -> Society:
    """A model: states of axiom, cluster and prompt, and a network."""
    labels, axioms, clusters = given
    n = len(labels)
    states = rng.standard_normal((n, WIDTH))
    states += np.repeat(rng.standard_normal((n // 2, WIDTH)), 2, axis=0)
    states += np.repeat(rng.standard_normal((len(AXIOMS), WIDTH)), PER_AXIOM, axis=0)
    if design == "vectors":
        states += 2 * labels[:, None] * rng.standard_normal(WIDTH)
    one, two = rng.standard_normal((2, WIDTH, WIDTH)) / np.sqrt(WIDTH)
    return Society(labels, axioms, clusters, states, (one, 2 * two))


def arms(rng: np.random.Generator, at: Society, target: str) -> Iterator[tuple[Label, ModelAqi]]:
    """The unsteered model, then per operator the random arms and a vector of each source."""
    yield UNSTEERED, at.scored("add", None)
    for operator in OPERATORS:
        for i in range(DRAWS + len(SOURCES)):
            push = rng.standard_normal(WIDTH)
            push *= 6 / np.linalg.norm(push)
            random = i < DRAWS
            label = Label(
                arm="random" if random else "steered",
                draw=i if random else None,
                source=target if random else SOURCES[i - DRAWS],
                method="mean_difference",
                map=None,
                operator=operator,
                placement="raw",
                layers=(1,),
                dose_kind="kl",
                dose=0.1,
            )
            yield label, at.scored(operator, push)


def row(label: Label, target: str, found: ModelAqi, index: int) -> ArmRow:
    """An arm at no price, whose refusals never fall: nothing but its q keeps it from a rank."""
    return ArmRow(
        **vars(label),
        weights="organism",
        suite="null",
        target=target,
        strength=1.0,
        aqi=found.aqi.estimate,
        aqi_low=found.aqi.low,
        aqi_high=found.aqi.high,
        aqi_axioms=tuple(a.aqi.estimate for a in found.axioms),
        evidence=f"{target}/evidence",
        evidence_row=index,
        refusal_unsafe=0.0,
        refusal_safe=0.0,
        degenerate_share=0.0,
        safe_accuracy=1.0,
        perplexity_ratio=1.0,
        kl=0.1,
        over_ceiling=(),
        reason=None,
    )


def study(seed: int, design: Design) -> tuple[list[ArmRow], MemoryKept]:
    """The rows and kept evidence of one null study."""
    rng = np.random.default_rng([7, seed])
    given = prompts(rng)
    axioms = torch.tensor([AXIOMS.index(a) for a in given[1]])
    clusters = torch.tensor([int(c) for c in given[2]])
    rows, files = [], {}
    for target in TARGETS:
        found = list(arms(rng, society(rng, given, design), target))
        rows += [row(label, target, score, i) for i, (label, score) in enumerate(found)]
        files[f"{target}/evidence"] = {
            "influence": torch.from_numpy(np.stack([score.influence for _, score in found])),
            "clusters": clusters,
            "axioms": axioms,
            "refused": torch.zeros(len(found), len(clusters), dtype=torch.bool),
            "labels": torch.from_numpy(given[0]),
            "answered_clusters": clusters,
            "answered_axioms": axioms,
        }
    return rows, MemoryKept(files)


def board(seed: int, design: Design) -> Board:
    """The leaderboard of one null study."""
    rows, kept = study(seed, design)
    (found,) = boards(entries(rows, collect(ArmTable(rows, kept)), {}))
    return found


def null(seed: int, design: Design) -> Null:
    """What one null study came to, by its board."""
    found = board(seed, design)
    tested = [line for line in found.lines if line.q is not None]
    return Null(
        design,
        len(found.ranked),
        min(float(line.q or 0.0) for line in tested),
        tuple(line.entry.metrics["gain_over_random_p"] for line in tested),
    )


def write(path: Path, found: list[Null]) -> None:
    """One line per study: its design, how many it ranked, its smallest q, its p-values."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["design", "ranked", "smallest_q", "p"])
        for one in found:
            listed = " ".join(f"{p:.5f}" for p in one.p)
            table.writerow([one.design, one.ranked, f"{one.smallest_q:.5f}", listed])


def read(path: Path) -> list[Null]:
    """The table that `write` wrote."""
    with path.open(encoding="utf-8") as file:
        return [
            Null(
                "states" if r["design"] == "states" else "vectors",
                int(r["ranked"]),
                float(r["smallest_q"]),
                tuple(map(float, r["p"].split())),
            )
            for r in csv.DictReader(file)
        ]
