"""Does the board rank what beats its random control at an allowed price, and nothing else?"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from mahals.cli import show as showing
from mahals.harness.manifests.dvc_stages import BOARD
from mahals.records import InputError
from tests.support.synthetic_results import (
    Made,
    entry,
    steered,
    workspace,
    write_results,
)


def test_the_page_in_git_outlives_a_publish_without_results_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, page = workspace(tmp_path), tmp_path / BOARD
    page.parent.mkdir(exist_ok=True)
    page.write_text("what was committed")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="stored results: expected those of a study, got none"):
        showing.publish(Namespace(), {})
    write_results(place, Made(canonical=False, entries=[entry(steered(), 6.0)]))
    assert showing.publish(Namespace(), {}) == 0
    assert page.read_text() == "what was committed"
    write_results(place, Made(entries=[entry(steered(), 6.0)]))
    assert showing.publish(Namespace(), {}) == 0
    assert "Mistral_7B" in page.read_text()
