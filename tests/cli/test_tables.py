"""Tables: are columns aligned in a pipe and as wide as a terminal, with nothing lost?"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mahals.cli.tables import model_table, table
from mahals.models.checkpoints.places import Places
from mahals.models.checkpoints.registry import entry_of
from tests.support.terminal import Terminal


def test_table_columns_are_aligned() -> None:
    lines = table(("name", "n"), [("a", 5), ("longer", 12)]).splitlines()
    assert lines == ["name     n", "------- --", "a        5", "longer  12"]


@given(st.lists(st.tuples(st.text("ab [/]:é", max_size=300), st.integers(0)), max_size=5))
@example([("many words " * 30, 1)])
def test_a_table_in_a_pipe_is_whole(rows: list[tuple[str, int]]) -> None:
    lines = table(("name", "count"), rows).splitlines()
    read = [line.rsplit(maxsplit=1) for line in lines[2:]]
    assert [int(cells[-1]) for cells in read] == [count for _, count in rows]
    assert [" ".join(cells[:-1]).strip() for cells in read] == [name.strip() for name, _ in rows]
    assert lines[0].split() == ["name", "count"] and set(lines[1]) == {"-", " "}


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_table_on_a_terminal_is_as_wide_and_loses_nothing(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout", Terminal())
    cells = ["steering_vectors", "A_model_of_a_long_name", "waits for upstream", "x" * 90]
    heads = ("phase", "unit", "state", "models")
    styled = table(heads, [cells])
    lines = re.sub(r"\x1b\[[\d;]*m", "", styled).splitlines()
    assert styled != "\n".join(lines) and max(map(len, lines)) <= width
    rule = next(line for line in lines if set(line) == {"─"})
    drawn = "".join(lines).replace(rule, "")
    assert Counter(drawn.replace(" ", "")) == Counter("".join([*heads, *cells]).replace(" ", ""))


def test_the_registry_says_why_a_place_holds_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    entries = [
        entry_of("Damaged", {"path": "empty"}, "a"),
        entry_of("Mistyped", {"path": "nowhere", "role": "base"}, "b"),
    ]
    said = model_table(entries, frozenset(), Places(tmp_path, tmp_path / "store", None))
    (damaged,) = (line for line in said.splitlines() if "Damaged" in line)
    (mistyped,) = (line for line in said.splitlines() if "Mistyped" in line)
    assert "aligned: no config.json" in damaged and "base: no such folder" in mistyped
