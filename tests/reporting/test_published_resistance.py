"""Does what is said to be published stand in the file of facts, number for number?"""

from __future__ import annotations

import json
import re

import pytest

from mahals.phases.registry import PHASES
from mahals.reporting.published_resistance import BY_PHASE, DIFFERS, MODELS, published_line
from tests.support.places import ROOT

FACTS = json.loads((ROOT / "benchmarks/published/esr.json").read_text(encoding="utf-8"))
ONE = FACTS["detectors_70B"]


def numbers(text: str) -> set[float]:
    """The numbers of a text but those of names (70B, Llama-3.3)."""
    plain = re.sub(r"\b[A-Z]\w*-[\w.-]+|\b\d+B\b", "", text).replace(",", "")
    return {float(x) for x in re.findall(r"-?\d+(?:\.\d+)?", plain)}


def test_the_models_are_those_that_were_counted() -> None:
    counted = {m: f for m, f in FACTS["models"].items() if "esr" in f}
    assert {m: (f["multi_attempt"], f["esr"], f["n"]) for m, f in counted.items()} == MODELS


def known(phase: str) -> set[float]:
    """What the file says of a phase's question."""
    unsteered, sweep = FACTS["unsteered"], FACTS["boost_sweep_70B"]
    ablated, random = ONE["ablated"], ONE["random"]
    judges, two, theirs = FACTS["judges"], FACTS["two_parts_70B"], FACTS["replications"]["A"]
    largest, small = (FACTS["models"][f"Llama-3.{m}"] for m in ("3-70B", "1-8B"))
    passage = theirs["passage_continued_unsteered"]
    parts: dict[str, list[float]] = {
        "esr_unsteered": [
            unsteered[0]["multi_attempt"],
            *(u["n"] for u in unsteered),
            *unsteered[0]["first_score"],
        ],
        "esr_saes": [
            largest["esr"], two["contrast_vectors_esr"], largest["layer"], largest["sae_layer"]
        ],
        "esr_threshold": [
            *(largest[n] for n in ("first_score", "n")), FACTS["replications"]["B"]["first_score"]
        ],
        "esr": [
            *(x for three in MODELS.values() for x in three),
            *(small[n] for n in ("multi_attempt_at_most", "esr_at_most", "n")),
            largest["first_score"],
            two["contrast_vectors_esr"],
            *two["restart_unsteered_on_derailed_text"],
            *two["restart_steered_same"],
            *two["corrections_succeed"].values(),
            *FACTS["replications"]["B"]["esr"],
            *(passage[n] for n in ("score_before", "score_after", "n")),
            *passage["restart_phrases"],
        ],
        "esr_boost": [sweep[name] for name in ("multi_peak", "esr_peak", "peak_sd")],
        "esr_prompts": [
            *(FACTS["wording_70B"][name] for name in ("multi_attempt", "esr")),
            *numbers(theirs["restarts"]["9B_wording"]),
        ],
        "esr_detectors": [
            ONE["latents"], theirs["strict_rule_latents"], theirs["detectors_over_unsteered"]
        ],
        "esr_ablation": [
            ONE["latents"], 0, *(x[n] for x in (ablated, random) for n in ("multi_attempt", "esr")),
            passage["detectors_ablated"], *passage["interval"],
        ],
        "esr_random": [random[n] for n in ("multi_attempt", "esr", "n", "first_score")],
        "esr_finetune": [],
        "esr_sequential": [
            FACTS["activations_70B"][n]
            for n in ("episodes", "baselines", "off_topic", "after", "baseline")
        ],
        "esr_activations": FACTS["activations_70B"]["ratio"],
        "esr_judges": [judges["multi_attempt_agreement_over"], *judges["direction_agreement"]],
    }  # fmt: skip
    return {float(x) for x in parts[phase]}


@pytest.mark.parametrize("phase", BY_PHASE)
def test_numbers_are_those_of_the_file(phase: str) -> None:
    assert numbers(BY_PHASE[phase]) == known(phase)


def test_an_early_version_and_what_is_measured_otherwise_are_said() -> None:
    early = ONE["early"]["first_score"]
    assert (
        abs(early["detectors"] - early["random"]) < 1
        and "no difference" in BY_PHASE["esr_ablation"]
    )
    assert FACTS["activations_70B"]["steering"] == "off while read"
    assert "steering is off while read" in BY_PHASE["esr_activations"]
    assert set(BY_PHASE) <= set(PHASES)


def test_a_line_says_what_differs_first() -> None:
    line = published_line("esr_judges")
    assert line.startswith(f"published ({DIFFERS}): ") and line.endswith("93 to 97 %")
    with pytest.raises(KeyError):
        published_line("same_arch")


TOLD = (
    r"(?:beside_published\(.+|trial_summary\(Evidence\(rows, kept\)|partial\(held_summary), "
    r'(?:phase=)?"(\w+)"'
)
"""Where a report names the phase beside whose findings it stands."""


def test_every_phase_of_which_something_is_published_says_it() -> None:
    reports = {p: ROOT / f"mahals/phases/{p}/report.py" for p in PHASES if p.startswith("esr")}
    told = {p: re.findall(TOLD, file.read_text(encoding="utf-8")) for p, file in reports.items()}
    assert {p: names for p, names in told.items() if names} == {p: [p] for p in BY_PHASE}
