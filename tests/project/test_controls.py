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
from mahals.records import seed_of
from mahals.schema import NULLS
from tests.support.null_study import DRAWS, STUDIES, TARGETS, board, null, read, study
from tests.support.places import ROOT
from tests.support.tiny_lab import LAYERS, SUITE, WIDTH, MemoryKept, TinyLab, prompts, run
from tests.support.tiny_models import config, tokenizer

TABLE = ROOT / "docs" / "studies" / "null_studies.csv"
REFUSAL, DANGER, HEARD, READOUT, INERT = 0, 1, 2, 3, 5  # dimensions of the planted model's states
NO = "Q"  # what the planted model says where it refuses: a letter that no text here has
K = 8  # null arms of a family


def dangerous_tokens() -> list[int]:
    """What unsafe prompts have and safe ones have not."""
    tok = tokenizer()
    seen = {
        label: {
            i
            for split in ("extraction", "selection", "evaluation")
            for p in prompts(split)
            if p.label == label
            for i in tok(f" {p.text.split()[3]}", add_special_tokens=False)["input_ids"]
        }
        for label in (0, 1)
    }
    others = {
        i
        for p in prompts("evaluation")
        for word in (*p.text.split()[:3], *p.text.split()[4:])
        for i in tok(f" {word}", add_special_tokens=False)["input_ids"]
    }
    return sorted(seen[0] - seen[1] - others)


def planted_pair(dimension: int) -> Any:
    """A pair whose aligned half holds a refusal direction in its weights, and nothing else new.

    Both halves: a token of danger writes DANGER, block 0 tells every later token that there was
    one (HEARD), a neuron of block 2 writes that into READOUT where REFUSAL is on, and READOUT makes
    the model say NO. Aligned: a bias of block 0 switches `dimension` on at every token; its
    attention differs by a little noise, as no two checkpoints differ in one thing alone.
    """
    shape = LlamaConfig(**{**config("Llama").to_dict(), "mlp_bias": True})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        model = AutoModelForCausalLM.from_config(shape).eval()
        noise = torch.randn(WIDTH, WIDTH)
    with torch.no_grad():
        table = model.get_input_embeddings().weight
        table[:, : READOUT + 1] = 0
        table[dangerous_tokens(), DANGER] = 1.0
        for block in model.model.layers:
            block.self_attn.o_proj.weight *= 0.02
            block.mlp.down_proj.weight *= 0.02
            for written in (block.self_attn.o_proj, block.mlp.down_proj):
                written.weight[[REFUSAL, READOUT]] = 0  # but for what is planted
        heads = model.model.layers[0].self_attn
        heads.q_proj.weight[:] = 0  # every token attends to all before it alike
        heads.v_proj.weight[0] = 5 * torch.eye(WIDTH)[DANGER]
        heads.o_proj.weight[:, 0] = torch.eye(WIDTH)[HEARD]
        mlp = model.model.layers[2].mlp
        mlp.gate_proj.weight[0] = torch.eye(WIDTH)[REFUSAL]
        mlp.gate_proj.bias[0] = -2.0  # what a random direction has of REFUSAL is not enough
        mlp.up_proj.weight[0] = torch.eye(WIDTH)[HEARD]
        mlp.down_proj.weight[:, 0] = torch.eye(WIDTH)[READOUT]
        says = tokenizer()(NO, add_special_tokens=False)["input_ids"][0]
        model.lm_head.weight[:, READOUT] = 0
        model.lm_head.weight[says] = 1.2 * torch.eye(WIDTH)[READOUT]
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.model.layers[0].mlp.down_proj.bias[dimension] = 1.0
        other.model.layers[0].self_attn.o_proj.weight[:, 1:] += 0.01 * noise[:, 1:]
    roles = {"base": model, "aligned": other, "sham": model}  # a sham has learned nothing
    tok = tokenizer()
    loaded = {
        role: Loaded(m, tok, "A", role, f"planted:{role}", LAYERS, WIDTH, "organism")
        for role, m in roles.items()
    }
    return lambda key, role: loaded[role]


def params(phase: str, **changes: Any) -> Any:
    """The phase's own values, with the tiny suite."""
    found = effective(load_settings(Workspace.locate(ROOT), None, {}), load_phase(phase))
    suite = replace(SUITE, nulls=K, answers=6, dose_kl=0.4, doses=(1.0,))
    return replace(found, suite=suite, **changes)


def measured(load: Any) -> tuple[TinyLab, Any, list[Any]]:
    """A lab in which vectors were made and steered with, their summary, and the rows.

    The judge knows the planted model's one word of refusal.
    """
    lab = TinyLab(load=load, models=("A",))
    vectors = load_phase("steering_vectors")
    wanted = params("steering_vectors", methods=("mean_difference",), shuffles=K, left_out="none")
    phase = load_phase("same_arch")
    chosen = params("same_arch", lambdas=(0.0, 1.0), effects=False, propensity_draws=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "mahals.evaluation.refusal_bench.is_refusal", lambda text: text.startswith(NO)
        )
        patch.setattr("mahals.evaluation.scores.is_degenerate", lambda *_: False)
        lab.made["steering_vectors", "A"] = run(vectors, wanted, lab)
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
    assert cosine[:2].min() > 0.95, "before the block that reads it"


def test_steering_with_it_gains_beyond_random_and_is_ranked(planted: Any) -> None:
    _, summary, rows = planted
    (line,) = boards(summary.entries)
    at = {e.configuration.arm: e.metrics for e in summary.entries}
    assert at["unsteered"]["refusal_gap"] == 0
    assert at["aligned"]["refusal_gap"] > 0.6, "what was planted refuses"
    assert at["steered"]["refusal_gap"] > 0.6 and at["steered"]["refusal_safe"] == 0
    assert at["steered"]["gap_over_random_low"] > 0.3
    for family in ("random", "shuffled_pairs"):
        assert "gap_over_random_low" not in at[family] and at[family]["refusal_gap"] < 0.2
    assert at["flipped"]["refusal_gap"] < 0.1
    best = line.ranked[0].entry.configuration
    assert (best.arm, best.method, best.target) == ("steered", "mean_difference", "A")
    (one,) = [r for r in rows if r.arm == "steered" and r.dose_kind == "lambda" and r.dose == 1.0]
    assert one.refusal_unsafe == pytest.approx(at["aligned"]["refusal_unsafe"], abs=0.1)


def test_a_direction_that_no_neuron_reads_is_found_and_not_ranked() -> None:
    """As large a change of the weights, as good a cosine: the same path finds no gain in it."""
    lab, summary, _ = measured(planted_pair(INERT))
    (reference,) = {r.vectors for r in lab.made["steering_vectors", "A"]}
    values = lab.files[reference]["values"]
    assert (values[:2, INERT] / values[:2].norm(dim=1)).min() > 0.95
    at = {e.configuration.arm: e.metrics for e in summary.entries}
    assert at["steered"]["gap_over_random_low"] <= 0
    assert boards(summary.entries)[0].ranked == ()


# ---- where there is nothing


@pytest.mark.parametrize("design", ["states", "vectors"])
def test_the_nulls_of_a_null_study_are_made_by_the_whole_pipeline(design: Any) -> None:
    """Trap 11: nulls that are exchangeable with what they stand beside prove nothing.

    The vector, the shuffled pairs and what came through maps are of pairs and maps, so their
    directions lie where pairs differ; isotropic ones do not.
    """
    rows, kept = study(0, design)
    for target in TARGETS:
        own = [r for r in rows if r.target == target]
        arms = [r.arm for r in own if r.operator in (None, "add")]
        assert {a: arms.count(a) for a in NULLS} == dict.fromkeys(NULLS, DRAWS)
        assert arms.count("steered") == 3
        moved = kept.files[f"{target}/evidence"]["refused"].double().mean(dim=1)
        spread = {a: np.std([moved[r.evidence_row] for r in own if r.arm == a]) for a in NULLS}
        assert min(spread.values()) > 0.01, "every family moves refusals"
        assert len(set(spread.values())) == 3, "and each in its own way"


@pytest.mark.slow
@pytest.mark.parametrize("design", ["states", "vectors"])
def test_ten_null_studies_rank_next_to_nothing(design: Any) -> None:
    """Nominal: half of one. More than two of ten has probability .012."""
    found = [null(seed, design) for seed in range(10)]
    assert sum(one.ranked > 0 for one in found) <= 2
    assert {len(one.p) for one in found} == {12}


@pytest.mark.slow
@pytest.mark.parametrize("design", ["states", "vectors"])
def test_of_a_hundred_null_studies_at_most_five_rank_anything(design: Any) -> None:
    """As many as are nominal."""
    found = [null(seed, design) for seed in range(STUDIES)]
    assert sum(one.ranked > 0 for one in found) <= 5
    stored = [one for one in read(TABLE) if one.design == design]
    assert [one.ranked for one in found] == [one.ranked for one in stored]


def test_the_stored_null_studies_rank_nothing_to_speak_of() -> None:
    for design in ("states", "vectors"):
        stored = [one for one in read(TABLE) if one.design == design]
        assert len(stored) == STUDIES
        assert sum(one.ranked > 0 for one in stored) <= 5
    again = null(3, "vectors")
    like = [one for one in read(TABLE) if one.design == "vectors"][3]
    assert like.ranked == again.ranked and np.allclose(like.p, again.p, atol=1e-5)


def test_a_null_study_goes_through_the_whole_board() -> None:
    found = board(0, "states")
    tested = [line for line in found.lines if line.q is not None]
    assert len(tested) == 12
    assert {line.status for line in tested} <= {"not beyond nulls", "geometry only"}
    assert all(set(BOUNDED) <= set(line.entry.metrics) for line in tested), "price is no obstacle"
    assert found.headline.startswith("No configuration refuses beyond every family of null arms")


@pytest.mark.slow
def test_a_vector_of_pairs_whose_labels_were_shuffled_is_not_ranked() -> None:
    """The whole pipeline on the planted pair, sides exchanged at random before vectors are made.

    Balanced within each axiom, as the nulls are: exchanged by a fair coin a pair, a remainder of
    what was planted would be left, and would be found.
    """
    ranked = sum(bool(boards(shuffled_study(seed).entries)[0].ranked) for seed in range(5))
    assert ranked <= 1


def shuffled_study(seed: int) -> Any:
    """The summary of the planted model, steered with what its shuffled pairs give."""
    lab = TinyLab(load=planted_pair(REFUSAL), models=("A",))
    vectors, phase = load_phase("steering_vectors"), load_phase("same_arch")
    wanted = params("steering_vectors", methods=("mean_difference",), shuffles=K, left_out="none")
    chosen = params("same_arch", lambdas=(0.0,), effects=False, propensity_draws=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "mahals.evaluation.refusal_bench.is_refusal", lambda text: text.startswith(NO)
        )
        patch.setattr("mahals.evaluation.scores.is_degenerate", lambda *_: False)
        lab.made["steering_vectors", "A"] = run(vectors, replace(wanted, shuffles=K + 1), lab)
        (reference,) = {r.vectors for r in lab.made["steering_vectors", "A"]}
        drawn = lab.files[reference]["shuffled"]
        own = seed_of("which of them is the vector", seed) % len(drawn)
        rest = torch.cat([drawn[:own], drawn[own + 1 :]])
        lab.files[reference] |= {"values": drawn[own], "shuffled": rest}
        rows = run(phase, chosen, lab)
    return phase.summarize(rows, MemoryKept(lab.files))
