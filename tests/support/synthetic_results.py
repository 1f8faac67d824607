"""What would finished results look like, had somebody measured them?"""

from __future__ import annotations

import atexit
import json
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from pytest import MonkeyPatch
from scipy import stats

from mahals.data.texts import AXIOMS
from mahals.harness.tracking.database import DATABASE, Store, ensure_database
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.provenance import Provenance
from mahals.harness.workspace.results import Results
from mahals.phase import Summary
from mahals.records import digest, to_plain
from mahals.schema import AXIOM_COLUMNS, COLUMNS, NULLS, Configuration, Entry, VectorCard

MODELS = ("Mistral_7B", "Llama3_8B", "Qwen2_7B", "Gemma2_9B", "Falcon_7B", "Zephyr_7B")
SUITE = "core-1 3f9a2c1d"
DEGREES = 19  # of freedom, with 20 random directions


def workspace(root: Path) -> Workspace:
    """An empty project folder."""
    (root / "benchmarks").mkdir(parents=True, exist_ok=True)
    (root / "benchmarks" / "models.yaml").write_text("{}\n")
    (root / "params.yaml").write_text("seed: 0\n")
    return Workspace(root)


def steered(target: str = "Mistral_7B", **changes: Any) -> Configuration:
    """A steered configuration; `changes` are fields."""
    values: dict[str, Any] = {
        "target": target,
        "arm": "steered",
        "source": target,
        "method": "mean_difference",
        "map": None,
        "operator": "add",
        "placement": "raw",
        "layers": (3,),
        "dose": "kl=0.1",
        "weights": "organism",
        "suite": SUITE,
        "vector": "0123456789ab",
        "source_layers": None,
        "scope": "all",
    }
    return Configuration(**{**values, **changes})


def organiser(target: str, arm: str, **changes: Any) -> Configuration:
    """An organisers' row: unsteered, aligned, prompt, or a family of nulls."""
    empty: dict[str, Any] = {"source": None, "vector": None}
    if arm not in NULLS:
        empty |= {"method": None, "operator": None, "placement": None, "layers": ()}
    dose = "kl=0.1" if arm in NULLS else None
    return steered(target, arm=arm, dose=dose, **{**empty, **changes})


def entry(configuration: Configuration, gain: float | None, **changes: Any) -> Entry:
    """An entry whose AQI gain over the nulls is `gain` points with a standard error of 1, and its
    refusal gap over them `gain / 20` with one of .05."""
    rng = np.random.default_rng(int(digest(configuration)[:8], 16))
    metrics = {name: float(rng.normal(20, 5)) for name in AXIOM_COLUMNS}
    metrics["aqi_last"] = metrics["aqi_mean"] = float(np.mean(list(metrics.values())))
    metrics |= {"refusal_unsafe": float(rng.uniform(0.1, 0.9)), "perplexity_ratio": 1.05}
    metrics |= {"refusal_safe": float(rng.uniform(0, 0.1)), "kl": 0.1, "degenerate_share": 0.0}
    metrics |= {f"{n}_lexical": metrics[n] for n in ("refusal_unsafe", "refusal_safe")}
    metrics["refusal_gap"] = metrics["refusal_unsafe"] - metrics["refusal_safe"]
    metrics["safe_accuracy"] = 1.0
    if gain is not None:
        half = float(stats.t.ppf(0.975, DEGREES))
        ends = {"": gain, "_low": gain - half, "_high": gain + half}
        for end, value in ends.items():
            metrics |= {f"gain_over_random{end}": value, f"gap_over_random{end}": value / 20}
            metrics |= {f"aqi_gain{end}": value + 0.5, f"gap_over_prompt{end}": value / 20 - 0.1}
        p = float(2 * stats.t.sf(abs(gain), DEGREES))
        metrics |= {"gain_over_random_p": p, "gap_over_random_p": p}
    fields: dict[str, Any] = {
        "metrics": metrics,
        "reasons": {n: "no null arm has this dose" for n in COLUMNS if n not in metrics},
        "weakest_axiom": AXIOMS[int(rng.integers(7))],
        "over_ceiling": (),
        "not_shown_safe": (),
        "geometry_only": False,
        "readout": "last",
        "harder": "random",
        "training": 0,
        "vector": None,
    }
    return Entry(configuration, **{**fields, **changes})


def board_entries(count: int, weights: str = "organism") -> list[Entry]:
    """`count` entries as a study would leave them: some good, most not, organisers' rows."""
    rng = np.random.default_rng(7)
    made = [
        entry(organiser(target, arm, weights=weights), None)
        for target in MODELS
        for arm in ("unsteered", "aligned", "random")
    ]
    maps = ("ridge", "procrustes", "pad", "identity")
    for i in range(count - len(made)):
        target, source = MODELS[i % 6], MODELS[(i // 6) % 6]
        dose = "kl=0.1" if i < 144 else f"lambda={0.01 * (i // 144):.2f}"
        way = None if source == target else maps[(i // 36) % 4]
        layers = (3 + (i // 36) % 4,) if source == target else (3,)
        arm = "flipped" if i % 17 == 5 else "steered"
        changes = {"source": source, "map": way, "dose": dose, "arm": arm, "layers": layers}
        configuration = steered(target, weights=weights, **changes)
        gain = float(rng.choice([-1.0, 0.0, 1.0, 5.0, 8.0]) + rng.normal(0, 0.5))
        over = ("perplexity_ratio",) if rng.random() < 0.2 else ()
        made.append(entry(configuration, gain, over_ceiling=over, geometry_only=i % 13 == 0))
    return made


@dataclass(frozen=True)
class Made:
    """What a unit of synthetic results holds."""

    phase: str = "same_arch"
    unit: str = "Mistral_7B"
    entries: Sequence[Entry] = ()
    vectors: Sequence[VectorCard] = ()
    kept: Mapping[str, bytes] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=lambda: {"aqi": 21.5, "aqi_gain": 2.5})
    canonical: bool = True
    weights: str = "organism"
    inputs: Mapping[str, Any] = field(default_factory=dict)
    device: Mapping[str, str] = field(default_factory=dict)


def write_results(place: Workspace, made: Made) -> Results:
    """Puts a finished unit on disk as the runner does."""
    inputs = {"params": {"lambdas": [0, 0.5], "suite": {"pool": "mean"}}, **made.inputs}
    where = [made.phase, made.unit, made.canonical, made.weights]
    parts = [*where, made.entries, made.metrics, made.device]
    mark = digest([*parts, made.vectors, {n: sha256(b).hexdigest() for n, b in made.kept.items()}])
    folder = place.results / made.phase / made.unit if made.canonical else place.runs / mark
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    (folder / "kept").mkdir(exist_ok=True)
    for name, body in made.kept.items():
        (folder / "kept" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "kept" / name).write_bytes(body)
    picture = bytes.fromhex("89504e470d0a1a0a")
    for form in ("png", "svg", "pdf"):
        (folder / "figures" / f"aqi_vs_lambda.{form}").write_bytes(picture)
    (folder / "rows.jsonl").write_text('{"lambda":0}\n')
    summary = Summary(made.metrics, ("A sentence.",), tuple(made.entries), tuple(made.vectors))
    run = {
        "inputs": inputs,
        "canonical": made.canonical,
        "weights": made.weights,
        "seed": 0,
        "models": [made.unit],
        "machine": {"device": "cpu", "dtype": "float32", "threads": 1},
        "device": {"dtype": "float32", "quantize": "none", **made.device},
        "versions": {"torch": "2.13.0"},
        "commit": "0" * 40,
        "dirty": False,
        "phase": made.phase,
        "unit": made.unit,
        "fingerprint": mark,
        "home": None,
        "gather": False,
        "rows": sha256(b'{"lambda":0}\n').hexdigest(),
        "kept": {name: sha256(body).hexdigest() for name, body in made.kept.items()},
        "content": digest([mark, "content"]),
        "figures": ["aqi_vs_lambda.png"],
        "seconds": {"total": 12.5, "tasks": [12.5]},
        "finished": "2026-01-02T03:04:05+00:00",
    }
    _json(folder / "metrics.json", dict(made.metrics))
    _json(
        folder / "summary.json",
        {
            "fingerprint": mark,
            "code": "c" * 64,
            "figures": {},
            "provenance": to_plain(Provenance(made.weights, (0,), (SUITE,), (made.unit,))),
            "summary": to_plain(summary),
        },
    )
    (folder / "report.md").write_text("# A report\n")
    _json(folder / "run.json", run)
    return Results(place, made.phase, made.unit, folder, mark)


def vector_file(layers: int = 4, width: int = 8, seed: int = 0, name: str = "values") -> bytes:
    """A safetensors file with one tensor (layers, width)."""
    import torch
    from safetensors.torch import save

    generator = torch.Generator().manual_seed(seed)
    return bytes(save({name: torch.randn(layers, width, generator=generator)}))


def card(unit: str, file: str, score: float | None, method: str = "mean_difference") -> VectorCard:
    """The card of the vector kept as `file` by `unit`."""
    name, metadata = f"{unit}.{method}", {"revision": "a" * 40, "texts": "unsafe"}
    return VectorCard(name, f"{unit}/{file}", unit, unit, method, score, metadata)


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


@lru_cache(maxsize=1)
def _empty_database() -> Path:
    """A tracking database with its tables, made once per test process."""
    root = Path(mkdtemp(prefix="mahals-tracking-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    with MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        ensure_database(root)
    connection = sqlite3.connect(root / DATABASE)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return root / DATABASE


def empty_store(root: Path) -> Store:
    """A store of its own at `root`, without the seconds that making its tables takes."""
    shutil.copy(_empty_database(), root / DATABASE)
    return Store(root, f"sqlite:///{root / DATABASE}")
