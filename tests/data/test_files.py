"""Do records survive being written and read, and does the card say what is in the file?"""

import pytest

from mahals.data.files import Card, card_text, lines_text, read_lines
from mahals.data.texts import AXIOMS, NeutralText, Prompt, TaskItem
from mahals.records import InputError

ODD = "line\u2028separator \u0085 \u2029 \"quote\" \n new 'line' \u4f60\u597d"


def _write(path, records):
    path.write_text(lines_text(records), encoding="utf-8")


def test_records_come_back_as_they_were(tmp_path):
    path = tmp_path / "x.jsonl"
    records = (
        Prompt(ODD, AXIOMS[0], 1, "k", "c", "mapping"),
        Prompt("", AXIOMS[1], 0, "k2", "c", "evaluation"),
    )
    _write(path, records)
    assert read_lines(Prompt, path) == records
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2  # in the widest sense of a line
    tasks = (TaskItem("q", ("a", "b"), 1, "k", "selection"),)
    _write(path, tasks)
    assert read_lines(TaskItem, path) == tasks
    _write(path, ())
    assert read_lines(TaskItem, path) == ()


def test_a_file_that_was_changed_is_refused_by_its_line(tmp_path):
    path = tmp_path / "x.jsonl"
    _write(path, [NeutralText("a", "mapping")])
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(InputError, match="line 2"):
        read_lines(NeutralText, path)
    path.write_text("{\n")
    with pytest.raises(InputError, match="line 1"):
        read_lines(NeutralText, path)
    with pytest.raises(InputError, match="run `mahals run datasets`"):
        read_lines(NeutralText, tmp_path / "none.jsonl")


def test_the_card_names_origin_licence_counts_and_hash():
    card = Card(
        title="prompts.jsonl", about="Requests.", file="prompts.jsonl", sha256="ab12",
        origin="someone/set, split train", licence="MIT", seed=4,
        left_out={"copy of another row": 3}, columns=("text", "axiom"),
        counts=(("split", "texts"), ("mapping", "40")),
    )  # fmt: skip
    text = card_text(card)
    for word in ("someone/set, split train", "MIT", "`ab12`", "seed: 4", "3 rows (copy of another"):
        assert word in text
    assert "| split | texts |\n| --- | --- |\n| mapping | 40 |\n" in text
