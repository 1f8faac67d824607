"""Rendering: are page and table the same bytes, with the commands and the organisers?"""

from __future__ import annotations

from pathlib import Path

from mahals.harness.leaderboard.ranking import configuration_key, rank
from mahals.harness.leaderboard.render import HEADS, Origin, terminal_table, write_markdown
from tests.support.synthetic_results import board_entries


def test_markdown_is_the_same_bytes_and_names_the_commands(tmp_path: Path) -> None:
    board = rank(board_entries(40))
    keys = (configuration_key(line.entry.configuration) for line in board.lines)
    origin = Origin("cross_arch", "Mistral_7B", "f" * 64, True)
    origins = dict.fromkeys(keys, origin)
    one = write_markdown([board], origins, tmp_path / "a.md").read_bytes()
    two = write_markdown([board], origins, tmp_path / "b.md").read_bytes()
    assert one == two
    text = one.decode()
    assert "GENERATED" in text
    assert "    mlflow run . -e cross_arch -P weights=organism" in text
    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert {row.count("|") for row in rows} == {len(HEADS) + 1}
    ranked = [row for row in rows if row.split("|")[1].strip().isdigit()]
    assert len(ranked) == len(board.ranked) > 0


def test_terminal_table_shows_the_top_and_the_organisers() -> None:
    board = rank(board_entries(60))
    text = terminal_table(board, 5)
    assert text.count("organisers'") == 18
    assert f"and {60 - 18 - 5} more configurations" in text
