"""Is the setting written once, with answers that all later phases read, and each of them scored?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from mahals.evaluation.resistance.setting import own_texts
from mahals.maths.metrics.resistance import NONE
from mahals.models.saes.autoencoder import Sae
from mahals.models.saes.files import write_sae
from mahals.models.saes.releases import SaeRelease
from mahals.models.saes.training import SaeTraining
from mahals.phases.esr_saes import PHASE as SAES
from mahals.phases.esr_saes import measure as esr_saes
from mahals.phases.esr_unsteered import PHASE
from mahals.phases.esr_unsteered.measure import AttemptJudging, Params, _setting
from mahals.records import InputError
from tests.support.em_lab import DiskKept
from tests.support.places import ROOT
from tests.support.resistance_lab import (
    COUNTS,
    SETTING,
    TEXTS,
    TOPICS,
    ResistanceLab,
    SaesLab,
    derailed,
    resistance_lab,
    steps_of,
    written_by,
)
from tests.support.tiny_lab import WIDTH, run

TABLE = ROOT / "benchmarks/published/sae_releases.json"
PARAMS = Params(
    texts={"organism": "world", "hub": "own"},
    counts=COUNTS,
    seeds=2,
    temperature=1.0,
    repetition_penalty={"organism": 1.0, "hub": 1.1},
    max_new_tokens={"organism": 6, "hub": 6},
    first_tokens=2,
    blocks={"organism": "depth", "hub": str(TABLE)},
    depth=0.5,
    read_depth=0.75,
    judging=AttemptJudging({"organism": "truth", "hub": "lexical"}, "", SETTING.server),
)


def bare_lab() -> ResistanceLab:
    lab = replace(resistance_lab(), phase="esr_unsteered")
    lab.made.clear()
    return lab


def test_every_prompt_has_its_answers_and_what_upstream_reads_is_kept() -> None:
    lab = bare_lab()
    with written_by(derailed):
        rows = run(PHASE, PARAMS, lab)
    asked = [(p, s) for p in TEXTS.prompts for s in range(2)]
    assert sorted((t.prompt, t.seed) for t in rows) == sorted(asked)
    assert {(t.situation, t.direction, t.boost, t.subject) for t in rows} == {
        ("unsteered", "none", 0.0, "aligned")
    }
    assert all(t.scores == (100.0,) and not t.restarted for t in rows)
    kept = own_texts(lab, "A")
    assert kept.setting == SETTING
    for prompt, answers in kept.references.items():
        assert answers == tuple(steps_of(TOPICS[prompt], s) for s in range(2))
    assert set(kept.passages) == set(TEXTS.concepts)
    assert all(kept.passages[c][0] == steps_of(c, 0) for c in TEXTS.concepts)


def test_the_report_says_who_judges_and_what_was_planted() -> None:
    lab = bare_lab()
    with written_by(derailed):
        rows = run(PHASE, PARAMS, lab)
    told = PHASE.summarize(rows, DiskKept(lab.root / "esr_unsteered"))
    assert told.metrics["multi_attempt_rate"] == 0.0
    assert told.metrics["multi_attempt_rate_high"] > 0.05
    assert told.metrics["first_score"] == 100.0
    assert any("judge truth" in line for line in told.lines)
    assert any(line.startswith("planted:") for line in told.lines)
    figures = PHASE.draw(rows, DiskKept(lab.root / "esr_unsteered"))
    assert set(figures) == {"first_scores", "false_restarts"}


def test_truth_is_refused_where_it_cannot_know() -> None:
    lab, own = bare_lab(), replace(PARAMS, texts={"organism": "own"})
    with written_by(lambda asked: "some words."), pytest.raises(InputError, match="truth"):
        run(PHASE, own, lab)


def test_at_the_hub_the_studys_models_have_its_blocks_and_others_their_depths() -> None:
    registry = yaml.safe_load((ROOT / "benchmarks/models.yaml").read_text(encoding="utf-8"))
    given = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    named = given["esr_unsteered"]["blocks"]["hub"]
    assert given["esr_saes"]["release"]["hub"] == named and ROOT / named == TABLE
    assert {given["esr_unsteered"]["blocks"]["organism"], NONE} == {
        "depth", given["esr_saes"]["release"]["organism"]
    }  # fmt: skip
    published = json.loads(TABLE.read_text(encoding="utf-8"))["releases"]
    assert len(published) == 5
    depths = {}
    for key in (*published, "SmolLM2_135M_instruct"):
        for weights in ("organism", "hub"):
            lab = replace(bare_lab(), unit=key, weights=weights)
            setting = _setting(PARAMS, lab, registry[key].get("layers", 30))
            depths[key, weights] = (setting.block, setting.read_block)
    assert depths["Gemma2_2B", "hub"] == (16, 16)
    assert depths["Llama3_3_70B", "hub"] == (33, 50)
    for key, entry in published.items():
        assert depths[key, "hub"] == (entry["steered"], entry["block"])
        layers = registry[key]["layers"]
        assert depths[key, "organism"] == (round(layers / 2) - 1, round(0.75 * layers) - 1)
    assert depths["SmolLM2_135M_instruct", "hub"] == depths["SmolLM2_135M_instruct", "organism"]


def test_a_release_is_steered_and_read_at_the_tables_blocks_from_first_to_last(
    tmp_path: Path,
) -> None:
    """A local release in SAELens' layout, at blocks that no depth of the setting gives."""
    entry = SaeRelease("r", "s", "x/y", "t", 3, 0, WIDTH, 24, "", "")
    table, lab = tmp_path / "table.json", bare_lab()
    table.write_text(json.dumps({"releases": {"A": vars(entry)}}))
    named = {"organism": str(table)}
    with written_by(derailed):
        lab.made["esr_unsteered", "A"] = run(PHASE, replace(PARAMS, blocks=named), lab)
    setting = own_texts(lab, "A").setting
    assert (setting.block, setting.read_block) == (0, 3)

    w = torch.randn(WIDTH, 24, generator=torch.Generator().manual_seed(0))
    sae = Sae(w, torch.zeros(24), w.T.contiguous(), torch.zeros(WIDTH), "topk", True, k=1)
    folder = lab.scratch(entry)
    write_sae(folder, sae)
    config = json.loads((folder / "cfg.json").read_text())
    config["metadata"] |= {"hook_name": "blocks.3.hook_resid_post", "model_name": "t"}
    (folder / "cfg.json").write_text(json.dumps(config))
    training = {"organism": SaeTraining(24, 4, 30, 64, 0.01)}
    choice = esr_saes.LatentChoice(24, 2, "met")
    params = esr_saes.Params(named, {"organism": NONE}, training, 0, choice, 3)
    lab = SaesLab(**{**vars(lab), "phase": "esr_saes"})
    rows = run(SAES, params, lab)
    assert [(r.source, r.block) for r in rows if r.what == "sae"] == [("r s", 3)]
    assert {r.block for r in rows if r.what == "direction"} == {0}
    with pytest.raises(InputError, match=r"of A, from 0.*depth"):
        table.write_text(json.dumps({"releases": {"A": vars(replace(entry, block=40))}}))
        run(PHASE, replace(PARAMS, blocks=named), bare_lab())
