"""Data-set sources: where do the rows come from, and on which line does each one stand?

What is read is a local file (`.parquet`, `.csv`, `.json`, `.jsonl`, the last three also with `.gz`)
or the id of a hub data set, with options as in a URL:
`Anthropic/hh-rlhf?data_dir=harmless-base&revision=09be8c5&split=train`. Short names and options for
columns are taken off before, in `presets`.
Parquet and the hub are read by Hugging Face `datasets`; text files by the standard library, because
a refused row has to be named by its line and `datasets` does not keep lines.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from mahals.records import InputError, unknown

if TYPE_CHECKING:
    import datasets

SUFFIXES: tuple[str, ...] = (
    ".parquet", ".csv", ".csv.gz", ".json", ".json.gz", ".jsonl", ".jsonl.gz",
)  # fmt: skip
OPTIONS: tuple[str, ...] = ("name", "data_dir", "revision", "split")
"""What may follow the `?` of a hub id; `split` is train where it is not given."""

LICENCES: Mapping[str, str] = {
    "Anthropic/hh-rlhf": "MIT",
    "Salesforce/wikitext": "CC BY-SA 3.0 and GFDL",
    "walledai/XSTest": "CC BY 4.0",
    "Paul/XSTest": "CC BY 4.0",
    "allenai/ai2_arc": "CC BY-SA 4.0",
    "cais/mmlu": "MIT",
}
"""Licences as the data sets' own cards state them."""


@dataclass(frozen=True)
class SourceLine:
    """One row and where it stands: the line of a text file, the row number elsewhere (from 1)."""

    where: str  # "line 12" or "row 12"
    values: Mapping[str, Any]  # by column name, lower case


@dataclass(frozen=True)
class SourceTable:
    """A data set as it was read."""

    origin: str  # what a card says: file name and hash, or hub id with its options
    licence: str
    lines: tuple[SourceLine, ...]


def is_local(source: str) -> bool:
    """Whether `source` names a local file and not a hub data set."""
    return source.endswith(SUFFIXES) or source.startswith(("/", "./", "../", "~"))


def read_table(source: str) -> SourceTable:
    """All rows of a source, in the order of the source.

    Raises InputError for a missing or unreadable file, an unknown suffix or option, a line that
    does not parse, and a hub data set that cannot be reached.
    """
    table = _local(source) if is_local(source) else _hub(source)
    if not table.lines:
        raise InputError(
            f"data set {source}", expected="at least one row", got="none", cure="give another file"
        )
    return table


def _local(source: str) -> SourceTable:
    path = Path(source).expanduser()
    if not source.endswith(SUFFIXES):
        raise InputError(
            f"data file {source}",
            expected="a name ending in " + ", ".join(SUFFIXES),
            got=repr(path.name),
            cure="convert it to JSON lines",
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"data file {source}",
            expected="a file that can be read",
            got=error.strerror or type(error).__name__,
            cure="correct the path in the datasets section",
        ) from error
    suffix = path.name.removesuffix(".gz").rpartition(".")[2]
    lines = _parquet(path) if suffix == "parquet" else _text(source, content, suffix)
    origin = f"{path.name}, SHA-256 {hashlib.sha256(content).hexdigest()}"
    return SourceTable(origin, "as stated by whoever provides the file", tuple(lines))


def _text(source: str, content: bytes, suffix: str) -> Iterator[SourceLine]:
    try:
        plain = gzip.decompress(content) if source.endswith(".gz") else content
        text = plain.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(
            f"data file {source}",
            expected="UTF-8 text" + (" packed with gzip" if source.endswith(".gz") else ""),
            got=str(error),
            cure="save the file again",
        ) from error
    reader = {"csv": _csv_lines, "json": _json_items, "jsonl": _json_lines}[suffix]
    return reader(source, text)


def _columns(source: str, where: str, values: Any) -> SourceLine:
    if not isinstance(values, Mapping):
        raise InputError(
            f"{source}, {where}",
            expected="an object with named columns",
            got=type(values).__name__,
            cure="write one JSON object a row",
        )
    return SourceLine(where, {str(k).strip().lower(): v for k, v in values.items()})


def _parse(source: str, where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = error.lineno + (int(where.split()[-1]) - 1 if where else 0)
        raise InputError(
            f"{source}, line {line}", expected="JSON", got=error.msg, cure="correct that line"
        ) from error


def _json_lines(source: str, text: str) -> Iterator[SourceLine]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"line {number}"
            yield _columns(source, where, _parse(source, where, line))


def _json_items(source: str, text: str) -> Iterator[SourceLine]:
    data = _parse(source, "", text)
    if not isinstance(data, list):
        raise InputError(
            f"data file {source}",
            expected="a list of objects",
            got=type(data).__name__,
            cure="write a list, or one object a line and the suffix .jsonl",
        )
    for number, item in enumerate(data, 1):
        yield _columns(source, f"row {number}", item)


def _csv_rows(source: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line each one starts on (a quoted text may run over several)."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        for values in reader:
            yield start, values
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{source}, line {start}", expected="CSV", got=str(error), cure="correct that line"
        ) from error


def _csv_lines(source: str, text: str) -> Iterator[SourceLine]:
    rows = _csv_rows(source, text)
    _, header = next(rows, (1, []))
    for start, values in rows:
        where = f"line {start}"
        if not values:
            continue
        if len(values) != len(header):
            raise InputError(
                f"{source}, {where}",
                expected=f"{len(header)} columns ({', '.join(header)})",
                got=str(len(values)),
                cure="quote texts that hold commas",
            )
        yield _columns(source, where, dict(zip(header, values, strict=True)))


def _rows(source: str, data: datasets.Dataset) -> Iterator[SourceLine]:
    """Rows of a `datasets` table; a class label becomes the name that its number stands for."""
    named = {c: f for c, f in data.features.items() if hasattr(f, "int2str")}
    for number, values in enumerate(data, 1):
        words = {c: f.int2str(values[c]) for c, f in named.items() if values[c] is not None}
        yield _columns(source, f"row {number}", {**values, **words})


def _parquet(path: Path) -> Iterator[SourceLine]:
    import datasets  # seconds to import

    with tempfile.TemporaryDirectory() as folder:
        try:
            data = datasets.Dataset.from_parquet(str(path), cache_dir=folder, keep_in_memory=True)
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise InputError(
                f"data file {path}",
                expected="a parquet file",
                got=str(error.__cause__ or error),
                cure="save the file again",
            ) from error
        yield from _rows(str(path), data)


def _hub(source: str) -> SourceTable:
    import datasets

    name, _, query = source.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for key in options:
        if key not in OPTIONS:
            raise unknown(f"option of data set {name}", key, OPTIONS)
    options.setdefault("split", "train")
    try:
        data = datasets.load_dataset(name, **options)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise InputError(
            f"data set {source}",
            expected="a hub data set that can be reached, or a local file",
            got=str(error).splitlines()[0] if str(error) else type(error).__name__,
            cure="check the id and the network, or name a local copy in the datasets section",
        ) from error
    origin = ", ".join([name, *(f"{k} {v}" for k, v in sorted(options.items()))])
    licence = LICENCES.get(name) or data.info.license or "not stated by the data set"
    return SourceTable(origin, licence, tuple(_rows(source, data)))
