"""Does the harness find a direction that was planted in weights, and rank nothing where none is?"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from mahals.harness.leaderboard.ranking import BOUNDED, boards
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import effective, load_settings
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.phases.registry import load_phase
from tests.support.null_study import STUDIES, board, null, read
from tests.support.places import ROOT
from tests.support.tiny_lab import LAYERS, SUITE, UNSAFE, WIDTH, MemoryKept, TinyLab, run
from tests.support.tiny_models import config, tokenizer

TABLE = ROOT / "docs" / "studies" / "null_studies.csv"
REFUSAL, DANGER, READOUT, INERT = 0, 1, 2, 5  # dimensions of the planted model's states


def planted_pair(dimension: int) -> Any:
    """A pair whose aligned half holds a refusal direction in its weights, and nothing else new.

    Both halves: a word of danger writes DANGER, and a neuron of block 2 writes DANGER into READOUT
    where REFUSAL is on. Aligned: a bias of block 0 switches `dimension` on at every token.
    """
    shape = LlamaConfig(**{**config("Llama").to_dict(), "mlp_bias": True})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        model = AutoModelForCausalLM.from_config(shape).eval()
    tok = tokenizer()
    with torch.no_grad():
        table = model.get_input_embeddings().weight
        table[:, :3] = 0
        for word in UNSAFE:
            table[tok(f" {word}", add_special_tokens=False)["input_ids"][0], DANGER] = 1.0
        for block in model.model.layers:
            block.self_attn.o_proj.weight *= 0.02
            block.mlp.down_proj.weight *= 0.02
        mlp = model.model.layers[2].mlp
        mlp.gate_proj.weight[0] = torch.eye(WIDTH)[REFUSAL]
        mlp.up_proj.weight[0] = torch.eye(WIDTH)[DANGER]
        mlp.down_proj.weight[:, 0] = torch.eye(WIDTH)[READOUT]
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.model.layers[0].mlp.down_proj.bias[dimension] = 1.0
    roles = {"base": model, "aligned": other}
    loaded = {
        role: Loaded(m, tok, "A", role, f"planted:{role}", LAYERS, WIDTH, "organism")
        for role, m in roles.items()
    }
    return lambda key, role: loaded[role]


def params(phase: str, **changes: Any) -> Any:
    """The phase's own values, with the tiny suite."""
    found = effective(load_settings(Workspace.locate(ROOT), None, {}), load_phase(phase))
    return replace(found, suite=replace(SUITE, random_directions=8), **changes)


def measured(load: Any) -> tuple[TinyLab, Any, list[Any]]:
    """A lab in which vectors were made and steered with, their summary, and the rows."""
    lab = TinyLab(load=load, models=("A",))
    vectors = load_phase("steering_vectors")
    wanted = params("steering_vectors", methods=("mean_difference",), shuffles=0, left_out="none")
    lab.made["steering_vectors", "A"] = run(vectors, wanted, lab)
    phase = load_phase("same_arch")
    chosen = params("same_arch", lambdas=(0.0, 1.0), effects=False, propensity_draws=0)
    rows = run(phase, chosen, lab)
    return lab, phase.summarize(rows, MemoryKept(lab.files)), rows


@pytest.fixture(scope="module")
def planted() -> tuple[TinyLab, Any, list[Any]]:
    return measured(planted_pair(REFUSAL))


def test_the_planted_direction_is_found(planted: Any) -> None:
    lab = planted[0]
    (reference,) = {r.vectors for r in lab.made["steering_vectors", "A"]}
    values = lab.files[reference]["values"]
    cosine = values[:, REFUSAL] / values.norm(dim=1)
    assert cosine.min() > 0.95


def test_steering_with_it_gains_beyond_random_and_is_ranked(planted: Any) -> None:
    _, summary, rows = planted
    (line,) = boards(summary.entries)
    at = {e.configuration.arm: e for e in summary.entries if e.configuration.dose == "kl=0.05"}
    assert at["steered"].metrics["aqi_gain"] > 0
    assert at["steered"].metrics["gain_over_random_low"] > 0
    assert at["steered"].metrics["gain_over_random"] > at["steered"].metrics["aqi_gain"] / 2
    assert "gain_over_random_low" not in at["random"].metrics
    assert at["flipped"].metrics["aqi_gain"] < at["steered"].metrics["aqi_gain"] / 2
    best = line.ranked[0].entry.configuration
    assert (best.arm, best.method, best.target) == ("steered", "mean_difference", "A")
    unsteered = next(r for r in rows if r.arm == "unsteered")
    one = next(r for r in rows if r.arm == "steered" and r.dose == 1.0)
    aligned = next(r for r in rows if r.arm == "aligned")
    assert one.aqi == pytest.approx(aligned.aqi, abs=0.05)  # lambda 1 is the aligned checkpoint
    assert aligned.aqi > unsteered.aqi + 5


def test_a_direction_that_no_neuron_reads_is_found_and_not_ranked() -> None:
    """As large a change of the weights, as good a cosine: the same path finds no gain in it."""
    lab, summary, _ = measured(planted_pair(INERT))
    (reference,) = {r.vectors for r in lab.made["steering_vectors", "A"]}
    values = lab.files[reference]["values"]
    assert (values[:, INERT] / values.norm(dim=1)).min() > 0.95
    at = {e.configuration.arm: e for e in summary.entries if e.configuration.dose == "kl=0.05"}
    assert at["steered"].metrics["gain_over_random_low"] <= 0
    assert boards(summary.entries)[0].ranked == ()


# ---- where there is nothing


@pytest.mark.slow
@pytest.mark.parametrize("design", ["states", "vectors"])
def test_ten_null_studies_rank_next_to_nothing(design: Any) -> None:
    """Nominal: half of one. More than two of ten has probability .012."""
    found = [null(seed, design) for seed in range(10)]
    assert sum(one.ranked > 0 for one in found) <= 2
    assert {len(one.p) for one in found} == {12}


@pytest.mark.slow
@pytest.mark.parametrize("design", ["states", "vectors"])
def test_of_a_hundred_null_studies_at_most_ten_rank_anything(design: Any) -> None:
    """Nominal: five. More than ten has probability .011."""
    found = [null(seed, design) for seed in range(STUDIES)]
    assert sum(one.ranked > 0 for one in found) <= 10
    stored = [one for one in read(TABLE) if one.design == design]
    assert [one.ranked for one in found] == [one.ranked for one in stored]


def test_the_stored_null_studies_rank_nothing_to_speak_of() -> None:
    for design in ("states", "vectors"):
        stored = [one for one in read(TABLE) if one.design == design]
        assert len(stored) == STUDIES
        assert sum(one.ranked > 0 for one in stored) <= 10
    again = null(3, "vectors")
    like = [one for one in read(TABLE) if one.design == "vectors"][3]
    assert like.ranked == again.ranked and np.allclose(like.p, again.p, atol=1e-5)


def test_a_null_study_goes_through_the_whole_board() -> None:
    found = board(0, "states")
    tested = [line for line in found.lines if line.q is not None]
    assert len(tested) == 12 and {line.status for line in tested} == {"not beyond random"}
    assert all(set(BOUNDED) <= set(line.entry.metrics) for line in tested), "price is no obstacle"
    assert found.headline.startswith("No configuration beats its random control (0 of 12")
