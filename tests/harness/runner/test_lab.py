"""Lab: does a task get what it asks for, and room of its own?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import toy_study as toy


def test_two_tasks_may_not_keep_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_TROUBLE", "twice")
    with pytest.raises(ValueError, match=r"same.txt' is kept by two tasks"):
        toy.run(toy.make(tmp_path), "grow")
