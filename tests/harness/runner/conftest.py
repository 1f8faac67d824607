"""Fixtures: a toy study that ran undisturbed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.harness.runner.progress import Session
from tests.support import toy_study as toy
from tests.support.terminal import Terminal, sixty_columns, tell_at_once


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the whole toy study ran undisturbed with one worker."""
    workspace = toy.make(tmp_path_factory.mktemp("reference"))
    toy.run(workspace, "cross", Session(toy.quiet(), workers=1))
    return workspace.root


@pytest.fixture
def told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is taken to be long."""
    tell_at_once(monkeypatch)


@pytest.fixture
def terminal(told_at_once: None, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 60 columns and 12 lines."""
    return sixty_columns(monkeypatch)
