"""Registry of phases: which are there, and which of them make a study?"""

from __future__ import annotations

import importlib

from mahals.phase import Phase
from mahals.records import unknown

PHASES: tuple[str, ...] = (
    "datasets",
    "organisms",
    "preference_tuning",
    "baseline_aqi",
    "steering_vectors",
    "layer_sweep",
    "same_arch",
    "cross_arch",
    "recovery",
    "collaboration",
    "equilibrium",
    "em_finetune",
    "em_detection",
    "em_ablation",
    "esr_unsteered",
    "esr_saes",
    "esr_threshold",
    "esr_finetune",
    "esr",
    "esr_boost",
    "esr_prompts",
    "esr_detectors",
    "esr_ablation",
    "esr_random",
    "esr_sequential",
    "esr_activations",
    "esr_judges",
    "replication",
)
"""Every phase, upstream first."""

STUDIES: dict[str, tuple[str, ...]] = {
    "core": (
        "datasets",
        "organisms",
        "baseline_aqi",
        "steering_vectors",
        "same_arch",
        "cross_arch",
    ),
    "layers": ("datasets", "organisms", "steering_vectors", "layer_sweep"),
    "preferences": ("datasets", "organisms", "preference_tuning"),
    "recovery": ("datasets", "organisms", "steering_vectors", "recovery"),
    "misalignment": ("datasets", "organisms", "em_finetune", "em_detection", "em_ablation"),
    "collaboration": ("datasets", "organisms", "steering_vectors", "collaboration"),
    "equilibrium": ("datasets", "organisms", "steering_vectors", "equilibrium"),
    "resistance": (
        "datasets",
        "organisms",
        "esr_unsteered",
        "esr_saes",
        "esr_threshold",
        "esr_finetune",
        "esr",
        "esr_boost",
        "esr_prompts",
        "esr_detectors",
        "esr_ablation",
        "esr_random",
        "esr_sequential",
        "esr_activations",
        "esr_judges",
    ),
}
"""What `study` of params.yaml may name: the phases that `mlflow run .` runs, upstream first."""


def load_phase(name: str) -> Phase:
    """The phase of that name; its module is imported only now. Raises InputError if unknown."""
    if name not in PHASES:
        raise unknown("phase", name, PHASES)
    phase: Phase = importlib.import_module(f"mahals.phases.{name}").PHASE
    return phase
