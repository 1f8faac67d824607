"""What does the harness rank where there is nothing: vectors of pairs that tell nothing?

A null study has two targets and three models that vectors come from, and one set of prompts whose
labels were drawn without looking at the states. A model's states hold a likeness of axiom and
cluster, its last block answers a push at an earlier one by a fixed random network, and it refuses
what lies far along one direction, so that every arm moves states, AQI and refusals a little.

The vectors are made as the harness makes them: mean differences of pairs whose two sides differ by
noise alone, which is far from isotropic; of another model moved by the map fitted on states of the
same texts. So are their nulls: isotropic directions, directions of the same pairs with half of the
sides exchanged within each axiom, and the other model's vector through maps fitted on shuffled
rows. No null is exchangeable with what it stands beside by construction: isotropic directions
judged against isotropic directions would pass whatever the rule was. Evidence, entries and board
are the package's own.

In the design "vectors" the states do tell safe from unsafe, and the model refuses along what tells
them; only the vectors hold nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mahals.data.texts import AXIOMS
from mahals.harness.leaderboard.ranking import Board, boards
from mahals.maths.metrics.aqi import ModelAqi, model_aqi
from mahals.maths.transfer.fitting import fit_map, fit_shuffled, move
from mahals.maths.vectors.estimators import mean_difference
from mahals.maths.vectors.random_directions import random_like, shuffled_pairs
from mahals.reporting.entries import entries
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from mahals.schema import UNSTEERED, ArmRow, Label
from tests.support.arm_rows import OF_ARM, evidence
from tests.support.tiny_lab import MemoryKept

STUDIES, DRAWS, WIDTH, PER_AXIOM = 100, 20, 16, 16
PAIRS, TEXTS = 12, 240  # pairs of an axiom, and texts that maps are fitted on
PUSH = 6.0  # length of every push
Design = Literal["states", "vectors"]  # what holds no safety information
TARGETS, OPERATORS, SOURCES = ("A", "B"), ("add", "add_preserve_norm"), ("A", "B", "C")


@dataclass(frozen=True)
class Null:
    """What one null study came to."""

    design: Design
    ranked: int
    smallest_q: float
    p: tuple[float, ...]  # of the refusal gap of each configuration


@dataclass(frozen=True)
class Prompts:
    """Labels in equal counts per axiom, drawn blindly; clusters of two."""

    labels: np.ndarray  # (n,) 1 safe
    axioms: list[str]
    clusters: list[str]


@dataclass(frozen=True)
class Model:
    """A model's states, its answer to a push, what it refuses, and its pairs."""

    states: np.ndarray  # (n, WIDTH) at the block that is pushed
    read: tuple[np.ndarray, np.ndarray]  # the network from there to the last block
    refusal: np.ndarray  # (WIDTH,) along which it refuses
    cutoff: float
    sides: tuple[np.ndarray, np.ndarray]  # (pairs, 1, WIDTH) aligned and base states of pairs
    texts: np.ndarray  # (TEXTS, WIDTH) on which maps are fitted

    def last(self, operator: str, push: np.ndarray | None) -> np.ndarray:
        """States after the last block, with a push at the earlier one."""
        at = self.states
        if push is not None:
            at = at + push
            if operator == "add_preserve_norm":
                sizes = np.linalg.norm(self.states, axis=1) / np.linalg.norm(at, axis=1)
                at = at * sizes[:, None]
        return np.asarray(at + np.tanh(at @ self.read[0]) @ self.read[1])


def prompts(rng: np.random.Generator) -> Prompts:
    half = np.repeat([0, 1], PER_AXIOM // 2)
    labels = np.concatenate([rng.permutation(half) for _ in AXIOMS])
    axioms = [a for a in AXIOMS for _ in range(PER_AXIOM)]
    return Prompts(labels, axioms, [f"{i // 2}" for i in range(len(axioms))])


def model(rng: np.random.Generator, given: Prompts, design: Design, texts: np.ndarray) -> Model:
    """States of axiom, cluster and prompt, a network, a threshold, and pairs of noise."""
    n = len(given.labels)
    sizes = np.sqrt(np.arange(1, WIDTH + 1) ** -1.0)  # pairs differ in few directions
    basis = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
    states = rng.standard_normal((n, WIDTH))
    states += np.repeat(rng.standard_normal((n // 2, WIDTH)), 2, axis=0)
    states += np.repeat(rng.standard_normal((len(AXIOMS), WIDTH)), PER_AXIOM, axis=0)
    tells = basis[0] if design == "vectors" else rng.standard_normal(WIDTH)
    tells = tells / np.linalg.norm(tells)
    if design == "vectors":
        states -= 4 * given.labels[:, None] * tells
    one, two = rng.standard_normal((2, WIDTH, WIDTH)) / np.sqrt(WIDTH)
    noise = rng.standard_normal((2, len(AXIOMS) * PAIRS, 1, WIDTH)) * sizes @ basis
    made = Model(states, (one, 2 * two), tells, 0.0, (noise[0], noise[1]),
                 texts @ rng.standard_normal((texts.shape[1], WIDTH))
                 + 0.5 * rng.standard_normal((len(texts), WIDTH)))  # fmt: skip
    unsteered = made.last("add", None) @ tells
    return Model(**{**vars(made), "cutoff": float(np.quantile(unsteered, 0.7))})


def own_directions(of: Model, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The vector (WIDTH,) of a model's pairs, and those of the pairs with sides exchanged."""
    found = mean_difference(*of.sides)
    axioms = [a for a in AXIOMS for _ in range(PAIRS)]
    return found.values[0], shuffled_pairs(found, of.sides, axioms, DRAWS, seed)[:, 0]


def crossed(source: Model, to: Model, vector: np.ndarray, draws: range, seed: int) -> np.ndarray:
    """(1 + draws, WIDTH): another model's vector through its map, then through shuffled ones."""
    fits = [fit_map("ridge", source.texts, to.texts, seed, None)]
    fits += [fit_shuffled("ridge", source.texts, to.texts, seed + 1 + k, None) for k in draws]
    return np.stack([move(fit, vector, PUSH) for fit in fits])


def arms(models: dict[str, Model], target: str, seed: int) -> Iterator[tuple[Label, Any]]:
    """Label and push of the unsteered model, then per operator the nulls and the vectors."""
    at = models[target]
    vectors = {name: own_directions(models[name], seed) for name in SOURCES}
    own, pairs = vectors[target]
    pushes: list[tuple[dict[str, Any], np.ndarray]] = [({"source": target}, own)]
    others = [name for name in SOURCES if name != target]
    for turn, name in enumerate(others):
        turns = range(turn, DRAWS, len(others))  # a target's shuffled maps are of all its sources
        straight, *through = crossed(models[name], at, vectors[name][0], turns, seed)
        pushes.append(({"source": name, "map": "ridge"}, straight))
        pushes += [
            ({"arm": "shuffled", "map": "ridge", "draw": k, "source": name}, push)
            for k, push in zip(turns, through, strict=True)
        ]
    isotropic = random_like(own, DRAWS, seed + len(target))
    for family, some in (("random", isotropic), ("shuffled_pairs", pairs)):
        pushes += [({"arm": family, "draw": k}, push) for k, push in enumerate(some)]
    yield UNSTEERED, None
    for operator in OPERATORS:
        for named, push in pushes:
            label = {"arm": "steered", "method": "mean_difference", "operator": operator, **named}
            yield (
                Label(**label, placement="raw", layers=(1,), dose_kind="kl", dose=0.1),
                PUSH * push / np.linalg.norm(push),
            )


def row(label: Label, target: str, found: ModelAqi, index: int) -> ArmRow:
    """An arm at no price: nothing but its q keeps it from a rank."""
    aqi = found.aqi.estimate
    of_arm = {
        **OF_ARM,
        "suite": "null",
        "target": target,
        "at_headline": label.operator is not None,
        "aqi": aqi,
        "aqi_last": aqi,
        "aqi_mean": aqi,
        "aqi_low": found.aqi.low,
        "aqi_high": found.aqi.high,
        "aqi_axioms": tuple(a.aqi.estimate for a in found.axioms),
        "evidence": f"{target}/evidence",
        "evidence_row": index,
    }
    return ArmRow(**vars(label), **of_arm)


def study(seed: int, design: Design) -> tuple[list[ArmRow], MemoryKept]:
    """The rows and kept evidence of one null study."""
    rng = np.random.default_rng([7, seed])
    given = prompts(rng)
    texts = rng.standard_normal((TEXTS, WIDTH))
    models = {name: model(rng, given, design, texts) for name in SOURCES}
    rows, files = [], {}
    codes = {"clusters": [int(c) for c in given.clusters],
             "axioms": [AXIOMS.index(a) for a in given.axioms]}  # fmt: skip
    of_prompts = {**codes, **{f"answered_{k}": v for k, v in codes.items()}}
    for target in TARGETS:
        at, influence, refused = models[target], [], []
        for i, (label, push) in enumerate(arms(models, target, seed)):
            last = at.last(label.operator or "add", push)
            score = model_aqi(last, given.labels, given.axioms, given.clusters)
            influence.append(score.influence)
            refused.append(last @ at.refusal > at.cutoff)
            shares = [float(refused[-1][given.labels == x].mean()) for x in (0, 1)]
            one = row(label, target, score, i)
            rows.append(replace(one, refusal_unsafe=shares[0], refusal_safe=shares[1]))
        files[f"{target}/evidence"] = evidence(
            np.stack(influence), np.stack(refused), labels=given.labels, **of_prompts
        )
    return rows, MemoryKept(files)


def board(seed: int, design: Design) -> Board:
    """The leaderboard of one null study."""
    table = ArmTable(*study(seed, design))
    (found,) = boards(entries(table, collect(table), {}))
    return found


def null(seed: int, design: Design) -> Null:
    """What one null study came to, by its board."""
    found = board(seed, design)
    tested = [line for line in found.lines if line.q is not None]
    return Null(
        design,
        len(found.ranked),
        min(float(line.q or 0.0) for line in tested),
        tuple(line.entry.metrics["gap_over_random_p"] for line in tested),
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
