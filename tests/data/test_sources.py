"""Do all file kinds give the same rows, and is a broken one refused by its line?"""

import csv
import gzip
import json
from pathlib import Path

import pytest

from mahals.data.sources import is_local, read_table
from mahals.records import InputError

ROWS = [
    {"axiom": "Information Seeking", "safety_label": "safe", "input": 'a, "quoted"\ntext'},
    {"axiom": "Justice and Rights", "safety_label": "Unsafe", "input": "NA"},
    {"axiom": "wisdom & knowledge", "safety_label": "1", "input": "caf\u00e9 \u2028 end"},
]


def _write(path: Path, rows=ROWS) -> str:
    name = path.name
    if name.endswith(".parquet"):
        import datasets

        datasets.Dataset.from_list(rows).to_parquet(str(path))
        return str(path)
    opener = gzip.open if name.endswith(".gz") else open
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        if ".csv" in name:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        elif ".jsonl" in name:
            file.write("\n".join(json.dumps(r, ensure_ascii=False) for r in rows))
        else:
            json.dump(rows, file, indent=1)
    return str(path)


@pytest.mark.parametrize(
    "name", ["x.parquet", "x.csv", "x.csv.gz", "x.json", "x.json.gz", "x.jsonl", "x.jsonl.gz"]
)
def test_every_file_kind_gives_the_rows_that_were_written(tmp_path, name):
    table = read_table(_write(tmp_path / name))
    assert [dict(line.values) for line in table.lines] == ROWS
    assert table.origin.startswith(name)


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
def test_text_files_read_as_hugging_face_datasets_reads_them(tmp_path, name):
    import datasets

    path = _write(tmp_path / name)
    kind = "csv" if name.endswith("csv") else "json"
    options = {"keep_default_na": False} if kind == "csv" else {}
    reader = {"csv": datasets.Dataset.from_csv, "json": datasets.Dataset.from_json}[kind]
    theirs = reader(path, cache_dir=str(tmp_path / "cache"), **options)
    assert [dict(line.values) for line in read_table(path).lines] == list(theirs)


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,"two\nlines"\n\n3,4\n', encoding="utf-8")
    assert [line.where for line in read_table(str(path)).lines] == ["line 2", "line 5"]
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n', encoding="utf-8")
    assert [line.where for line in read_table(str(path)).lines] == ["line 1", "line 3"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.jsonl", b'{"a": 1}\n{"a": \n', ("line 2", "JSON")),
        ("x.jsonl", b"[1, 2]\n", ("line 1", "named columns")),
        ("x.json", b'[{"a": 1},\n {"a" 2}]', ("line 2", "JSON")),
        ("x.json", b'{"a": 1}', ("a list of objects",)),
        ("x.csv", b"a,b\n1,2\n1,2,3\n", ("line 3", "2 columns", "got 3")),
        ("x.csv", b'a,b\n1,2\n3,"open\n', ("line 3", "CSV")),
        ("x.csv", b"a,b\n\xff\xfe,2\n", ("UTF-8",)),
        ("x.jsonl.gz", b"not packed", ("gzip",)),
        ("x.parquet", b"not parquet", ("parquet",)),
        ("x.jsonl", b"", ("at least one row",)),
        ("x.csv", b"a,b\n", ("at least one row",)),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_table(str(path))
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_unknown_suffix_are_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_table(str(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match=r"ending in \.parquet"):
        read_table(str(tmp_path / "prompts.txt"))


def test_hub_ids_are_not_taken_for_files():
    assert not is_local("Anthropic/hh-rlhf?split=train")
    assert not is_local("hasnat79/litmus")
    assert is_local("../x.jsonl.gz") and is_local("x.parquet") and is_local("/data/x.txt")


def test_the_hub_is_read_through_datasets(tmp_path, monkeypatch):
    """The hub's layout in a folder of that name, which `load_dataset` reads as it does the hub."""
    folder = tmp_path / "someone" / "litmus" / "data"
    folder.mkdir(parents=True)
    _write(folder / "train.jsonl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    table = read_table("someone/litmus")
    assert [dict(line.values) for line in table.lines] == ROWS
    assert table.lines[1].where == "row 2"
    assert table.origin == "someone/litmus, split train"
    with pytest.raises(InputError, match="local copy"):
        read_table("someone/litmus?split=dev")


def test_hub_options_reach_datasets_and_class_labels_become_names(monkeypatch):
    import datasets

    asked = {}
    features = datasets.Features(
        {"safety_label": datasets.ClassLabel(names=["safe", "unsafe"]), "n": datasets.Value("int8")}
    )

    def load(name, **options):
        asked.update(options, id=name)
        rows = {"safety_label": [0, 1, None], "n": [7, 8, 9]}
        return datasets.Dataset.from_dict(rows, features=features)

    monkeypatch.setattr(datasets, "load_dataset", load)
    table = read_table("Anthropic/hh-rlhf?data_dir=harmless-base&revision=09be8c5")
    assert asked == {
        "id": "Anthropic/hh-rlhf", "data_dir": "harmless-base", "revision": "09be8c5",
        "split": "train",
    }  # fmt: skip
    assert [line.values["safety_label"] for line in table.lines] == ["safe", "unsafe", None]
    assert table.licence == "MIT"
    assert "revision 09be8c5" in table.origin


def test_an_unknown_hub_option_and_an_unreachable_hub_are_refused(monkeypatch):
    import datasets

    with pytest.raises(InputError, match=r"revision"):
        read_table("Anthropic/hh-rlhf?revison=1")

    def load(name, **options):
        raise ConnectionError("Couldn't reach 'a/b' on the Hub\nmore")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(InputError, match=r"Couldn't reach.*local copy"):
        read_table("a/b")
