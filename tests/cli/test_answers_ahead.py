"""Does a dry run count what the resistance study writes and judges, before anything is written?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.cli import main
from mahals.cli.answers_ahead import AnswersAhead, answers_ahead
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import effective, load_settings
from mahals.phases.registry import STUDIES, load_phase
from tests.support.places import ROOT

SETS = {
    "esr_unsteered.counts": {"taught": 2, "calibration": 1, "evaluation": 3, "concepts": 4},
    "esr_unsteered.seeds": 5,
    "esr_saes.choice.wanted": 3,
    "esr_saes.random": 2,
    "esr_threshold.sources": ["contrast", "latent", "random"],
    "esr_threshold.search": {"queries": 7, "answers": 2},
    "esr_finetune.shares": [0, 0.5],
    "esr_finetune.modes": ["sham"],
    "esr_finetune.sources": ["contrast"],
    "esr_finetune.search": {"queries": 2, "answers": 3},
    "esr.subjects": ["aligned", "planted"],
    "esr.sources": ["contrast", "random"],
    "esr_boost.subjects": ["aligned"],
    "esr_boost.sources": ["random"],
    "esr_boost.levels": [-1, 0, 1],
    "esr_prompts.subjects": ["aligned"],
    "esr_ablation.sets": {"situations": ["free"], "kinds": ["kl"], "draws": 2},
    "esr_ablation.search": {"queries": 1, "answers": 4},
    "esr_random.sets": {"situations": ["free", "passage"], "kinds": ["uniform", "kl"], "draws": 3},
    "esr_judges.answers": 10,
}


def ahead(weights: str = "organism", overlay: str | None = None) -> dict[str, AnswersAhead]:
    settings = load_settings(Workspace(ROOT), overlay, SETS if overlay is None else {})
    phases = STUDIES["resistance"][2:]
    return answers_ahead({n: effective(settings, load_phase(n)) for n in phases}, weights)


def test_a_design_is_counted_as_by_hand() -> None:
    found = ahead()
    of = {n: (a.trials, a.written) for n, a in found.items()}
    assert of == {
        "esr_unsteered": (6 * 5, 30),
        "esr_threshold": (0, 9 * (7 * 2 + 15)),  # nine directions, each on 15 fresh answers
        "esr_finetune": (4 * (1 + 4 + 4) * 25, 900 + 3 * 4 * (6 + 15)),
        "esr": (2 * (5 * 6 + 4) * 15, 1020 + 2 * 4),
        "esr_boost": (3 * 2 * 15, 90),
        "esr_prompts": ((11 * 4 + 7) * 15, 765),  # nine wordings, two of them name the concept
        "esr_ablation": (4 * 4 * 15 + 4 * 15, 300 + 4 * (4 + 15)),
        "esr_random": (8 * 8 * 15, 960),
        "esr_judges": (0, 0),
    }
    assert found["esr_boost"].texts == 5 * 90 + 48
    assert found["esr_judges"].texts == 3 * (20 * 2 * 5 + 48)
    assert ahead("hub")["esr_unsteered"].written == 30 + 4 * 5, "a passage on each concept"


def test_the_small_study_writes_at_most_a_quarter_of_a_million_tokens() -> None:
    settings = load_settings(Workspace(ROOT), "small", {})
    tokens = settings.values["esr_unsteered"]["max_new_tokens"]["hub"]
    assert 100_000 < tokens * sum(a.written for a in ahead("hub", "small").values()) <= 250_000


def test_a_dry_run_shows_the_counts_of_all_models(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ["--models", "[Llama3_8B, Qwen2_7B]", "--esr_unsteered.seeds", "1"]
    assert main(["run", "esr_threshold", "--dry-run", *keys]) == 0
    shown = capsys.readouterr().out
    lines = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line}
    written = 2 * 12 + 2 * 24 * (8 * 6 + 4)
    assert lines["together"] == ["24", str(written), str(64 * written), str(5 * written + 4 * 48)]
    assert main(["run", "steering_vectors", "--dry-run", "--models", "[Llama3_8B]"]) == 0
    assert "texts judged" not in capsys.readouterr().out
