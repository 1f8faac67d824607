"""Does one checkpoint give the same rows as a GGUF file, as a folder and in the hub's cache?"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import all_results
from mahals.kernels import PINNED
from tests.support.gguf_files import tiny_llama, write_gguf
from tests.support.hub_checkpoints import TINY, link_blobs, write_texts
from tests.support.light_repository import copy_tree, environment, git, run

pytestmark = pytest.mark.slow

KEY = "Mine"
REVISION = "0123456789abcdef0123456789abcdef01234567"
VALUES = {
    "weights": "hub",
    "models": f"[{KEY}]",
    "overlay": "smoke",
    "steering_vectors.methods": "[contrast]",
    "same_arch.method": "contrast",
    "same_arch.placements": "[raw]",
    "same_arch.lambdas": "[0]",
    "steering_vectors.shuffles": 2,
    "suite.nulls": 2,
}
PLACES = {"revision", "seconds"}  # what a row says of where its weights lay


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The rows of same_arch by the layout of the checkpoint, which has one name in all."""
    pytest.importorskip("gguf")
    base = tmp_path_factory.mktemp("layouts")
    root, home = base / "copy", base / "hf"
    copy_tree(root)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=copy")
    model = tiny_llama()
    with torch.no_grad():
        model.model.norm.weight *= 30  # a sure model: its words depend on its states
    write_gguf(root / "mine.gguf", model, context=1024)
    hub = home / "hub"
    told = environment(HF_HOME=str(home), HF_HUB_CACHE=str(hub), HF_HUB_OFFLINE="1")
    env = {name: value for name, value in told.items() if name not in PINNED}
    values = VALUES | {k: v for k, v in TINY.items() if k not in VALUES} | dict(write_texts(base))
    keys = [word for k, v in values.items() for word in (f"--{k}", str(v))]
    found = {}
    for layout, place in {
        "gguf": {"path": "mine.gguf"},
        "folder": {"path": "a-folder"},
        "hub": {"id": "mine/tiny", "revision": REVISION},
    }.items():
        registry = root / "benchmarks/models.yaml"
        entries = yaml.safe_load(registry.read_text())
        registry.write_text(yaml.safe_dump(entries | {KEY: place}, sort_keys=False))
        run(root, "python", "-m", "mahals", "run", "same_arch", *keys, env=env)
        found[layout] = _rows(root)
        if layout == "gguf":
            _lay_out(root, hub)
    return found


def _lay_out(root: Path, hub: Path) -> None:
    """What was read from the GGUF file, as a folder of its own and as the hub's cache has it."""
    (kept,) = Workspace(root).checkpoints.glob("mine*")
    shutil.copytree(kept, root / "a-folder")
    place = hub / "models--mine--tiny"
    shutil.copytree(kept, place / "snapshots" / REVISION)
    link_blobs(place, REVISION)


def _rows(root: Path) -> list[dict[str, Any]]:
    """Of the newest run of same_arch."""
    results = [r for r in all_results(Workspace(root)) if (r.phase, r.unit) == ("same_arch", KEY)]
    newest = max(results, key=lambda r: str(r.run()["finished"]))
    return [{k: v for k, v in vars(r).items() if k not in PLACES} for r in newest.rows()]


def test_a_checkpoint_gives_the_same_rows_in_every_layout(
    measured: dict[str, list[dict[str, Any]]],
) -> None:
    first = measured["gguf"]
    assert {"steered", "random", "shuffled_pairs"} <= {row["arm"] for row in first}
    assert len({row["aqi"] for row in first}) > 5, "every arm moves the states its own way"
    assert measured["folder"] == first
    assert measured["hub"] == first
