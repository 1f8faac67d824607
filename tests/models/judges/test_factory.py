"""Does a judge that cannot know or cannot be reached refuse to start?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mahals.models.judges.factory import check_judge, make_judge
from mahals.models.judges.judge import JudgeChoice, Server
from mahals.records import InputError
from tests.support.judge_server import choice, needs_openai

CHOICE = JudgeChoice("truth", "", Server("", "", 1.0, 0, 60.0, True))


def test_a_judge_that_cannot_know_does_not_start() -> None:
    check_judge(CHOICE, "organism", True)
    for name in ("truth", "lexical"):
        for weights, world in (("hub", True), ("organism", False)):
            with pytest.raises(InputError, match=r"set judge\.name"):
                check_judge(replace(CHOICE, name=name), weights, world)
    check_judge(replace(CHOICE, name="model"), "hub", False)


def test_a_server_judge_without_url_or_key_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    needs_openai()
    with pytest.raises(InputError, match=r"judge\.server"):
        make_judge(choice(""), lambda _: None, tmp_path)
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(InputError, match="NO_SUCH_KEY"):
        make_judge(choice("http://x", key_variable="NO_SUCH_KEY"), lambda _: None, tmp_path)
