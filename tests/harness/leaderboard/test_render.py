"""Rendering: are page and table the same bytes, with the commands and the organisers?"""

from __future__ import annotations

from pathlib import Path

from mahals.harness.leaderboard.ranking import line_key, rank
from mahals.harness.leaderboard.render import HEADS, Origin, terminal_table, write_markdown
from tests.support.synthetic_results import board_entries, entry, organiser, steered


def test_markdown_is_the_same_bytes_and_names_the_commands(tmp_path: Path) -> None:
    board = rank(board_entries(40))
    keys = (line_key(line.entry) for line in board.lines)
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
    title = (
        f"<summary>All {len(board.ranked)} ranked configurations ({len(board.ranked)})</summary>"
    )
    whole = text.split(title)[1].split("</details>")[0].splitlines()
    ranked = [row for row in whole if row.startswith("|") and row.split("|")[1].strip().isdigit()]
    assert len(ranked) == len(board.ranked) > 0


def test_a_board_of_another_precision_names_the_keys_that_measure_on_it(tmp_path: Path) -> None:
    for weights, typed in (
        ("hub 8bit", "-P weights=hub -P quantize=8bit"),
        ("hub bfloat16", "-P weights=hub -P dtype=bfloat16"),
    ):
        board = rank([entry(steered(weights=weights), 1.0)])
        origins = {line_key(board.lines[0].entry): Origin("same_arch", "it", "f" * 64, False)}
        text = write_markdown([board], origins, tmp_path / "a.md").read_text()
        assert f"    mlflow run . -e same_arch {typed}\n" in text


def test_the_page_shows_a_screen_of_each_model_first(tmp_path: Path) -> None:
    """Of a model: its best own vector, its best crossed one, the references and the nulls."""
    entries = board_entries(60)
    entries += [entry(organiser("Mistral_7B", arm), None) for arm in ("prompt", "shuffled")]
    board = rank(entries)
    text = write_markdown([board], {}, tmp_path / "a.md").read_text()
    screen = text.split("### Mistral_7B\n")[1].split("###")[0].split("<details>")[0]
    rows = [row.split("|") for row in screen.splitlines() if row.startswith("| ")][2:]
    own, crossed, *beside = (row[3].strip() for row in rows)
    assert own == "own" and "," in crossed
    assert beside == ["unsteered", "aligned", "prompt", "random, add", "shuffled, add"]
    assert text.index("### Mistral_7B") < text.index("<details>")


def test_the_page_says_of_which_training_and_in_how_many_a_line_holds(tmp_path: Path) -> None:
    board = rank([entry(steered(), 9.0)])
    key = line_key(board.lines[0].entry)
    origin = Origin("same_arch", "Mistral_7B", "f" * 64, True, "4 of 5")
    text = write_markdown([board], {key: origin}, tmp_path / "a.md").read_text()
    assert "## Weights `organism` (training seed 0)" in text and "| 4 of 5 |" in text
    real = rank([entry(steered(weights="hub"), 9.0, training=None)])
    assert "training seed" not in write_markdown([real], {}, tmp_path / "b.md").read_text()


def test_the_geometry_has_a_table_of_its_own(tmp_path: Path) -> None:
    board = rank([entry(steered(), 0.5, geometry_only=True), entry(steered("Qwen2_7B"), None)])
    text = write_markdown([board], {}, tmp_path / "a.md").read_text()
    assert "By gain in AQI over the nulls: the geometry, no claim (1)" in text
    assert "geometry only: AQI up, refusals not" in text


def test_terminal_table_shows_the_top_and_what_stands_beside_the_first() -> None:
    board = rank(board_entries(60))
    text = terminal_table(board, 5)
    assert text.splitlines()[0] == board.headline
    first = board.lines[0].entry.configuration.target
    for arm in ("unsteered", "aligned", "random, add"):
        assert any(row.split()[:1] == [first] and arm in row for row in text.splitlines())
    assert text.count("reference") == 2 and "null: isotropic" in text
    count = len([x for x in board.lines if x.entry.configuration.arm == "steered"])
    assert f"and {count - 5} more configurations" in text
