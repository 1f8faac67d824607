"""Published resistance: what did others find (with sources: benchmarks/published/esr.json)?"""

from __future__ import annotations

from dataclasses import replace

from mahals.phase import Summary

DIFFERS = "other models, SAEs, prompts and judges, there one that splits and scores at once"
MODELS = {
    "Llama-3.3-70B": (7.4, 3.8, 4877),
    "Gemma-2-27B": (1.1, 0.7, 4914),
    "Gemma-2-9B": (1.0, 0.5, 4668),
    "Gemma-2-2B": (0.1, 0.1, 4948),
}
"""Per cent of trials that restart, and that come back; trials."""
BY_PHASE: dict[str, str] = {
    "esr_unsteered": "unsteered 0 of 13,118 restart (a later version: of 7,892), first scores 87.8 "
    "to 91.8",
    "esr_saes": "70B along latents ESR 3.8 %, along contrast vectors 3.6 %; latents of block 50 "
    "are added at block 33",
    "esr_threshold": "70B at its thresholds: first score 26.3 over 4877 trials; a replication with "
    "a contrast vector 29.3",
    "esr": "restarts / ESR, of trials: "
    + "; ".join(f"{m} {a} / {b} % of {n}" for m, (a, b, n) in MODELS.items())
    + "; Llama-3.1-8B at most 1.1 / 1.0 % of 4512; 70B first score 26.3; 70B on its own derailed "
    "text restarts in 7 to 13.5 % unsteered, in 2 to 3 % steered, and corrections succeed in 95 % "
    "unsteered, in 50 % steered; with a contrast vector ESR 3.6 %, by a replication 1 of 760; by "
    "another a passage that is continued unsteered rises from 18 to 62 silently (200 of Gemma-2, "
    "0 restarts in 600)",
    "esr_boost": "70B: restarts peak at 2.7 %, ESR at 1.0 %, near -0.3 sd of the threshold",
    "esr_prompts": "70B told to watch itself and return: restarts 31.7 %, ESR 14.8 %; by a "
    "replication Gemma-2-9B with the wording restarts in 2.7 % of 440",
    "esr_detectors": "70B: 26 detectors; by a replication none of Gemma-2 passes the strict rule "
    "(0), and detectors, 6 times as active as unsteered, are as active in steered text that never "
    "restarts",
    "esr_ablation": "70B, 26 detectors held at 0: restarts 5.5 %, ESR 2.8 %; random sets 7.9 % and "
    "4.2 %; an earlier version of the same repository found no difference to random sets; by a "
    "replication a passage that Gemma-2 continues changes by -1.5 [-5.0, 2.0] points, as with "
    "random sets",
    "esr_random": "70B: random sets 7.9 % restarts, 4.2 % ESR of 14,450, first score 27.1",
    "esr_sequential": "70B, 146 episodes: detectors 0.0119 off topic, 0.0058 after, beside 0.0027 "
    "in 50 baselines, which are on topic, and steering is off while read",
    "esr_finetune": "8B: restarts rise with the share of self-corrections, what they gain does not",
    "esr_activations": "70B: detectors 4.4 times their baseline off topic, 2.1 after; baselines "
    "are on topic, and steering is off while read",
    "esr_judges": "judges agree on restarts in over 95 %, on their direction in 93 to 97 %",
}


def published_line(phase: str) -> str:
    """What was published of a phase's question, in one sentence, with what differs."""
    return f"published ({DIFFERS}): {BY_PHASE[phase]}"


def beside_published(summary: Summary, phase: str) -> Summary:
    """The summary with what was published of the same question as its last sentence."""
    return replace(summary, lines=(*summary.lines, published_line(phase)))
