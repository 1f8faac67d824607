"""Are random sets what they are said to be, and do all arms share everything but what is held?"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.evaluation.resistance.episodes import EpisodeBench, EpisodeCell, episode_bench
from mahals.evaluation.resistance.held_sets import (
    HeldChoice,
    SetDraws,
    detector_hold,
    detector_sae,
    detector_set,
    held_cells,
    hold_divergence,
)
from mahals.models.activations.encoding import Encoded, encode_answers
from mahals.models.saes.files import write_sae
from mahals.models.saes.steering import Hold
from mahals.records import InputError, from_plain
from tests.support.held_latents import LATENTS, SILENT, by_hand, wide
from tests.support.model_calls import hooks_on
from tests.support.resistance_lab import (
    CONCEPTS,
    SETTING,
    direction_row,
    resistance_lab,
    threshold,
)
from tests.support.sets_held import DETECTORS, plant_detectors
from tests.support.steering_arms import UNSTEERED
from tests.support.tiny_lab import WIDTH
from tests.support.tiny_models import PROMPTS, loaded

DRAWS = SetDraws(("free", "passage"), ("uniform", "frequency", "kl"), 3, 5)
SAE = wide()
MOVING, OTHER, STILL = (Hold(1, SAE, (7, 2, 30), 0.0), Hold(2, SAE, (0,), 0.0),
                        Hold(1, SAE, SILENT, 0.0))  # fmt: skip


def bench_of(detectors: tuple[int, ...] = DETECTORS, **known: Any) -> EpisodeBench:
    lab = resistance_lab()
    plant_detectors(lab, detectors, **known)
    lab.phase = "esr_random"
    return episode_bench(lab, "A", "aligned")


def cells_of(bench: EpisodeBench, draws: SetDraws = DRAWS) -> list[EpisodeCell]:
    return held_cells(bench, HeldChoice(("aligned",), ("contrast",), draws))


@pytest.fixture(scope="module")
def found() -> tuple[EpisodeBench, list[EpisodeCell]]:
    bench = bench_of()
    return bench, cells_of(bench)


def told(bench: EpisodeBench) -> dict[str, Any]:
    file = bench.lab.kept("esr_random").path("A/sets-aligned.json")
    return {s["name"]: s for s in json.loads(file.read_text())}


def test_no_set_has_dead_latents_or_detectors_and_sizes_are_as_said(found: Any) -> None:
    bench, _ = found
    sets = told(bench)
    assert sets.pop("detectors")["latents"] == list(DETECTORS)
    assert list(sets) == [f"{k}-{i}" for k in ("uniform", "frequency", "kl") for i in range(3)]
    for name, s in sets.items():
        latents = s["latents"]
        assert not {*latents} & {*DETECTORS, *SILENT} and len({*latents}) == len(latents)
        assert name.startswith("kl") or len(latents) == len(DETECTORS)
        assert s["why"] is None and s["kl"] > 0
    assert len({tuple(s["latents"]) for s in sets.values()}) == len(sets)


def test_equal_frequency_is_nearer_than_uniform(found: Any) -> None:
    bench, _ = found
    often = np.array(detector_set(bench.lab, "A", "aligned").frequency)
    wanted = sorted(often[list(DETECTORS)])

    def away(kind: str) -> float:
        sets = [s["latents"] for name, s in told(bench).items() if name.startswith(kind)]
        return float(np.mean([np.abs(np.array(sorted(often[s])) - wanted).mean() for s in sets]))

    assert away("frequency") < 0.5 * away("uniform")


def test_no_nearer_number_of_latents_has_the_detectors_kl(found: Any) -> None:
    """The KL is that of own answers to calibration prompts, and under the next prompt."""
    bench, _ = found
    own, asked = bench.texts.references, SETTING.prompts("calibration")
    pairs = [(p, own[q][0]) for q in asked for p in asked]
    texts = encode_answers(bench.loaded.tokenizer, *zip(*pairs, strict=True))
    hold = detector_hold(bench.lab, "A", "aligned")

    def kl(latents: tuple[int, ...]) -> float:
        return hold_divergence(bench.loaded, texts, replace(hold, latents=latents))

    target = kl(DETECTORS)
    assert told(bench)["detectors"]["kl"] == pytest.approx(target, rel=1e-4)
    for name, s in told(bench).items():
        latents = tuple(s["latents"])
        assert s["kl"] == pytest.approx(kl(latents), rel=1e-4)
        if name.startswith("kl") and len(latents) > 1:
            assert abs(kl(latents) - target) <= abs(kl(latents[:-1]) - target)


def test_arms_differ_in_what_is_held_alone(found: Any) -> None:
    bench, cells = found
    arms: dict[str, list[EpisodeCell]] = {}
    for c in cells:
        arms.setdefault(c.ablated, []).append(c)
    assert list(arms) == ["none", *told(bench)]
    for name, own in arms.items():
        assert {c.situation for c in own} == {"free", "passage"}
        holds = {h for c in own for h in c.holds}
        assert len(holds) == (name != "none")
        for hold in holds:
            assert hold.value == 0 and hold.block == SETTING.read_block
            assert list(hold.latents) == told(bench)[name]["latents"]
        again = [replace(c, ablated="none", holds=()) for c in own]
        assert [vars(c) for c in again] == [vars(c) for c in arms["none"]]
    only = cells_of(bench, replace(DRAWS, situations=("passage",)))
    assert {c.situation for c in only} == {"passage"}


def test_the_first_sets_are_the_same_whatever_the_number_of_draws(found: Any) -> None:
    bench, _ = found
    sets, more = told(bench), bench_of()
    cells_of(more, replace(DRAWS, draws=5))
    for name, s in sets.items():
        assert told(more)[name] == s
    assert told(more)["uniform-3"]["latents"] != told(more)["uniform-4"]["latents"]


def test_without_detectors_uniform_sets_alone_are_held() -> None:
    bench = bench_of(())
    cells = cells_of(bench)
    absent = [c for c in cells if c.asks[0].why is not None]
    assert [c.ablated for c in absent] == [
        "detectors", *(f"{k}-{i}" for k in ("frequency", "kl") for i in range(3)),
    ]  # fmt: skip
    assert all(len(c.asks) == 1 and "no latent is a detector" in c.asks[0].why for c in absent)
    held = [c for c in cells if c.holds and c not in absent]
    assert {c.ablated for c in held} == {f"uniform-{i}" for i in range(3)}
    assert all(len(c.holds[0].latents) == DRAWS.size for c in held)


def test_too_few_live_latents_are_an_absent_set() -> None:
    bench = bench_of(tuple(i for i in range(30) if i not in SILENT))
    absent = {c.ablated: c.asks[0].why for c in cells_of(bench) if c.asks[0].why}
    assert set(absent) == set(told(bench)) - {"detectors"}
    assert absent["uniform-0"] == "10 live latents are no detectors, 28 are needed"


def test_an_own_dictionary_is_the_one_that_esr_detectors_kept() -> None:
    bench = bench_of(dictionary="own")
    folder = bench.lab.kept("esr_detectors").path("A/sae-aligned")
    write_sae(folder, wide(seed=9))
    for sae in (
        detector_sae(bench.lab, "A", "aligned"),
        detector_hold(bench.lab, "A", "aligned").sae,
    ):
        assert sae.w_dec.equal(wide(seed=9).w_dec) and not sae.w_dec.equal(wide().w_dec)
    known = detector_set(bench.lab, "A", "aligned")
    assert len(known.frequency) == LATENTS and known.detectors == DETECTORS


def encoded(family: str) -> list[Encoded]:
    return encode_answers(loaded(family).tokenizer, PROMPTS, PROMPTS[::-1])


@pytest.mark.parametrize("family", ["Llama", "GPT2"])
def test_the_divergence_is_that_of_plain_hooks(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All texts in one ragged batch, so that masks matter."""
    batch = "mahals.models.activations.batching.grouped"
    monkeypatch.setattr(batch, lambda lengths, *_: [tuple(range(len(lengths)))])
    at, texts = loaded(family), encoded(family)
    for hold in (MOVING, OTHER, STILL):
        sums = tokens = 0.0
        for text in texts:
            logs = []
            for holds in ((), (hold,)):
                with by_hand(at, holds, UNSTEERED):
                    logits = at.model(torch.tensor([text.ids]), use_cache=False).logits[0]
                logs.append(logits[text.start : text.stop].double().log_softmax(-1))
            one, other = logs
            sums += float(torch.nn.functional.kl_div(other, one, log_target=True, reduction="sum"))
            tokens += text.stop - text.start
        found = hold_divergence(at, texts, hold)
        assert found == pytest.approx(sums / tokens, rel=1e-3, abs=1e-7)


def test_silent_latents_change_nothing_and_nothing_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at, texts = loaded("Llama"), encoded("Llama")
    moved = hold_divergence(at, texts, MOVING)
    assert moved > 1e-4 and hold_divergence(at, texts, STILL) == 0 and hooks_on(at.model) == 0
    monkeypatch.setattr("mahals.models.activations.budget.TOKENS_ON_CPU", 40)
    assert hold_divergence(at, texts, MOVING) == pytest.approx(moved, rel=1e-4)


def test_no_texts_are_refused() -> None:
    with pytest.raises(InputError, match="texts"):
        hold_divergence(loaded("Llama"), [], MOVING)


@pytest.mark.parametrize(
    ("situations", "sources"), [((), ("contrast",)), (("passage",), ("random",))]
)
def test_no_situation_that_a_direction_has_is_one_line_with_the_cure(
    situations: Any, sources: tuple[str, ...]
) -> None:
    bench, concepts = bench_of(), CONCEPTS
    lab: Any = bench.lab
    lab.made["esr_saes", "A"] = [
        direction_row(f"{sources[0]}:{i}", sources[0], c if sources[0] == "contrast" else "none")
        for i, c in enumerate(concepts)
    ]
    names = [r.name for r in lab.made["esr_saes", "A"]]
    lab.phase = "esr_saes"
    lab.keep("directions.safetensors", {n: torch.eye(WIDTH)[i] for i, n in enumerate(names)})
    lab.phase = "esr_random"
    lab.made["esr_threshold", "A"] = [
        replace(threshold(c), direction=r.name, source=r.source, concept=r.concept)
        for c, r in zip(concepts, lab.made["esr_saes", "A"], strict=True)
    ]
    draws = replace(DRAWS, situations=situations)
    with pytest.raises(InputError, match="add free to sets") as error:
        held_cells(bench, HeldChoice(("aligned",), sources, draws))
    assert "\n" not in str(error.value) and str(list(situations)) in str(error.value)
    free = replace(DRAWS, situations=("free",), kinds=("uniform",), draws=1)
    assert held_cells(bench, HeldChoice(("aligned",), sources, free))


def test_at_least_one_situation_is_asked_for() -> None:
    told: Any = {"situations": [], "kinds": [], "draws": 1, "size": 1}
    with pytest.raises(InputError, match=r"situations.*1 or more"):
        from_plain(SetDraws, told, "sets")
