"""What is this repository like with phases that cost nothing, so that all around them can be tried?

A copy of the working tree as a git repository of its own. The phases after `datasets` are replaced
by stand-ins with the same needs, units and reads, which measure one row each.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from mahals.phases.registry import PHASES, load_phase
from tests.support.places import ROOT

BIN = Path(sys.executable).parent
MODELS = ["Llama3_8B", "Mistral_7B"]
STAND_IN = {
    "__init__": '''"""Does all that is around {name} work?"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__, needs={all_needs}, per="model", cost=Cost(0.1, 0.1), reads="{reads}",
)
''',
    "rows": '''"""Rows of {name}: what is known of a part?"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    unit: str
    part: int
    value: float
''',
    "measure": '''"""Measure of {name}: what is the value of a part?"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from mahals.phases.{name}.rows import Row


@dataclass(frozen=True)
class Params:
    {fields}


@dataclass(frozen=True)
class Task:
    models: tuple[str, ...]
    part: int


def plan(params: Params, lab: Any) -> list[Task]:
    return [Task((lab.unit,), part) for part in range(3)]


def measure(task: Task, params: Params, lab: Any) -> Any:
    if "LIGHT_LOG" in os.environ:
        with open(os.environ["LIGHT_LOG"], "a") as log:
            log.write(f"{name} {{lab.unit}} {{task.part}}\\n")
    if os.environ.get("LIGHT_HELD") == f"{{lab.unit}} {{task.part}}":
        time.sleep(3600)
    units = lab.models if {all_models} else (lab.unit,)
    above = [row.value for need in {needs} for unit in units for row in lab.rows(need, unit)]
    lab.keep_text(f"part{{task.part}}.txt", f"{{lab.unit}} {{sum(above)}}")
    shape = lab.entry(lab.unit).organism["ff"] if "{name}" == "organisms" else 0
    yield Row(lab.unit, task.part, sum(above) + len(str(params)) + task.part + lab.seed + shape)
''',
    "report": '''"""Report of {name}: what is the sum?"""

from __future__ import annotations

from typing import Any

from mahals.phase import Summary
from mahals.schema import Configuration, Entry


def summarize(rows: Any, kept: Any) -> Summary:
    total = sum(row.value for row in rows)
    units = sorted({{row.unit for row in rows}}) if {entries} else []
    entries = tuple(
        Entry(
            Configuration(
                unit, "steered", unit, "{name}", None, "add", "raw", (1,), "kl=0.1",
                "organism", "light", None, None, "all",
            ),
            {{"refusal_gap": 0.6, "gap_over_random": 0.5, "gap_over_random_low": 0.1 + index / 10,
             "gap_over_random_high": 0.9, "gap_over_random_p": 1e-6, "perplexity_ratio": 1.0,
             "degenerate_share": 0.0, "refusal_safe": 0.0, "safe_accuracy": 1.0}},
            reasons={{}}, weakest_axiom=None, over_ceiling=(), not_shown_safe=(),
            geometry_only=False, vector=None, readout="last", harder="random", training=0,
        )
        for index, unit in enumerate(units)
    )
    return Summary({{"value": total}}, (f"The value is {{total}}.",), entries, ())
''',
    "figures": '''"""Figures of {name}: which value has each part?"""

from __future__ import annotations

from typing import Any


def draw(rows: Any, kept: Any) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 2))
    figure.subplots().bar([row.part for row in rows], [row.value for row in rows])
    return {{"values": figure}}
''',
}
"""The parts of a stand-in phase."""
FIELDS = {
    "organisms": {"size": 2},
    "same_arch": {"lambdas": [0, 1]},
    "cross_arch": {"source": "all"},
}
TYPES = {int: "int", list: "tuple[float, ...]", str: "str"}


def make(folder: Path) -> Path:
    """The light repository in `folder`, committed.

    A stand-in writes each task into the file LIGHT_LOG and does not end the one LIGHT_HELD names.
    """
    copy_tree(folder)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params |= {"models": MODELS}
    params["datasets"] |= {"per_cell": 2, "pairs_per_split": 4, "texts_per_split": 4}
    for name in PHASES:
        if name != "datasets":
            params[name] = FIELDS.get(name, {"number": 1})
            place = folder / "mahals" / "phases" / name
            shutil.rmtree(place)
            place.mkdir()
            for part, text in _stand_in(name, params[name]).items():
                (place / f"{part}.py").write_text(text)
            (folder / "tests" / "phases" / f"test_{name}.py").touch()
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    run(folder, "python", "-m", "mahals", "manifests")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=light")
    return folder


MEASURED = ("results/", "data/", "dvc.lock", "benchmarks/LEADERBOARD.md")  # a copy has none yet


def copy_tree(folder: Path) -> None:
    """The files of the working tree that git would take, and nothing else."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(MEASURED):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)


def environment(**changes: str) -> dict[str, str]:
    """What a user without conda has: this interpreter's programs and the system's."""
    hidden = ("MLFLOW_", "DVC_", "CONDA", "GIT_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    plain = [
        part for part in ("/usr/local/bin", "/usr/bin", "/bin") if not Path(part, "conda").exists()
    ]
    kept |= {"PATH": os.pathsep.join([str(BIN), *plain]), "OMP_NUM_THREADS": "1"}
    return {**kept, **changes}


def run(
    folder: Path, *words: str, env: Mapping[str, str] | None = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """A finished command; fails with all it said when its exit code is not `code`."""
    done = subprocess.run(
        words, cwd=folder, env=env or environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, f"{words} gave {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def git(folder: Path, *words: str) -> str:
    """What a git command printed."""
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    return run(folder, "git", *who, *words).stdout


def _stand_in(name: str, params: Mapping[str, object]) -> dict[str, str]:
    phase = load_phase(name)
    per_model = tuple(need for need in phase.needs if load_phase(need).per == "model")
    values = dict(
        name=name,
        fields="\n    ".join(f"{key}: {TYPES[type(value)]}" for key, value in params.items()),
        needs=repr(per_model),
        all_needs=repr(phase.needs),
        all_models=phase.reads == "all",
        entries=name in ("same_arch", "cross_arch"),
        reads=phase.reads,
    )
    return {part: text.format(**values) for part, text in STAND_IN.items()}
