"""The card of data/: does a clone have it, and does it say what is there?"""

from __future__ import annotations

import subprocess
from dataclasses import fields

import yaml

from mahals.data.presets import chosen_source
from mahals.data.sources import LICENCES
from mahals.phases.datasets import PHASE
from mahals.phases.datasets.measure import KINDS
from tests.support.places import ROOT

CARD = ROOT / "data" / "README.md"


def test_git_takes_the_card_and_dvc_the_texts() -> None:
    outs = [f"data/{name}" for name in PHASE.keeps]
    for name, ignored in [("data/README.md", False), *((out, True) for out in outs)]:
        asked = subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT, check=False)
        assert (asked.returncode == 0) == ignored, name
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["datasets"]
    kept = {next(iter(out)) for out in stage["outs"] if isinstance(out, dict)}
    assert {out for out in kept if out.startswith("data")} == set(outs)


def test_the_card_names_every_file_column_source_and_licence() -> None:
    text = CARD.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in PHASE.keeps)
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    columns = [line for line in text.splitlines() if line.startswith("| `") and "`split`" in line]
    for file, kind in KINDS.items():
        (row,) = (line for line in columns if line.startswith(f"| `{file}.jsonl`"))
        named = ", ".join(f"`{field.name}`" for field in fields(kind))
        assert row.endswith(f"| {named} |")
        source = yaml.safe_load((ROOT / "params.yaml").read_text())["datasets"][file]
        assert source["organism"] == "world"
        hub = chosen_source(source["hub"]).place.partition("?")[0]
        assert f"`{hub}`" in rows[f"{file}.jsonl"]
        assert f"`{source['hub'].partition('?')[0]}`" in rows[f"{file}.jsonl"]
        assert LICENCES.get(hub, "") in rows[f"{file}.jsonl"]
