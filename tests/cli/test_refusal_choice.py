"""Choice of a judge of refusals: is what was typed before what params.yaml says?"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from mahals.cli.refusal_choice import choice_name, refusal_choice
from mahals.harness.workspace.paths import Workspace
from mahals.records import InputError
from tests.support.places import ROOT


def typed(**words: str | None) -> Namespace:
    return Namespace(**{"judge": "rules", "model": None, "labelled": None, "url": None, **words})


def test_what_is_typed_comes_before_params() -> None:
    found = refusal_choice(
        Workspace(ROOT), typed(judge="openai", model="big/judge 1", url="http://x/v1")
    )
    assert (found.name, found.model, found.server.url) == ("openai", "big/judge 1", "http://x/v1")
    assert found.labelled == "" and found.server.retries > 0
    assert choice_name(found) == "openai-big-judge-1"
    assert choice_name(refusal_choice(Workspace(ROOT), typed())) == "rules"


def test_an_unknown_judge_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'lexical'"):
        refusal_choice(Workspace(ROOT), typed(judge="lexial"))
