"""Warnings: does anything here rest on what a library says it will remove?"""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from mahals.models.activations.encoding import encode_prompts
from mahals.models.conversation.after import answers_after, capture_after
from mahals.models.conversation.converse import converse
from mahals.models.conversation.talks import Agent, Opening, TalkSchedule
from mahals.models.conversation.views import view
from mahals.models.generation.decoding import generate_arms
from mahals.models.generation.prefill import read_prompts
from mahals.models.steering.interventions import Arm
from tests.support.light_repository import copy_tree, environment, git, run
from tests.support.tiny_models import FAMILIES, LAYERS, PROMPTS, loaded

NONE = Arm("unsteered", ())


@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_is_asked_in_a_way_that_goes(family: str) -> None:
    one = loaded(family)
    texts = encode_prompts(one.tokenizer, PROMPTS[:2])
    agents = [Agent(name, one, NONE) for name in ("a", "b")]
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        assert len(generate_arms(one, texts, [NONE, Arm("same", ())], 3)) == 2
        read_prompts(one, texts, [NONE], [(0, 0), (0, 0)])
        talk = converse(agents, [Opening("o", PROMPTS[:2])], TalkSchedule("pair", 1, 3, 0))[0]
        seen = [view(talk, 0)]
        assert len(answers_after(agents[0], seen, PROMPTS[:2], 2)[0]) == 2
        states = capture_after(agents[0], seen, PROMPTS[:2], [LAYERS - 1], "last")
    assert states.shape[:3] == (1, 2, 1)


@pytest.mark.slow
def test_no_phase_runs_into_what_goes(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message=copy")
    strict = environment(PYTHONWARNINGS="error::FutureWarning")  # of the worker processes, too
    words = ("python", "-m", "mahals", "study", "--overlay", "smoke", "--limit", "1")
    run(tmp_path, *words, env=strict)
