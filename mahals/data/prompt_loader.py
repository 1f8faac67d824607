"""Prompt loader: how do rows of a data set become prompts with a category, a label and a pair?

Columns: the text (`input`, `prompt`, `text`), its category (`axiom`, `category`, `type`), its label
(`safety_label`, `label`), and where there is one its `pair`: rows of one category with the same
value are a safe prompt and its unsafe contrast. Others are named in the source
(`x.csv?text=question`) or ignored.

A label may be written as a number (1, 0, 1.0, 0.0), as true or false, or as one of the words in
SAFE and UNSAFE, in any case, with spaces around it; 1 and true mean safe. An axiom may be in any
case, with `&` or `and`, with any spaces and hyphens. Categories are what the data holds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mahals.data.categories import RESERVED, category_column
from mahals.data.loaders import LoadedTexts, column_of, loaded, put, refused, text_of
from mahals.data.presets import ChosenSource, Layout, chosen_source
from mahals.data.sources import SourceLine, read_table
from mahals.data.splits import Shares, dealt, joined_units, split_key
from mahals.data.texts import AXIOMS, Prompt
from mahals.records import InputError

SAFE = frozenset(
    {"safe", "1", "1.0", "true", "t", "yes", "y", "harmless", "benign", "good", "acceptable"}
)
UNSAFE = frozenset(
    {"unsafe", "not safe", "non safe", "un safe", "0", "0.0", "false", "f", "no", "n", "harmful",
     "malicious", "bad", "unacceptable"}
)  # fmt: skip


def parse_label(value: Any) -> int | None:
    """1 for safe, 0 for unsafe, None for anything else."""
    word = re.sub(r"(?<=[a-z])[\s_-]+(?=[a-z])", " ", str(value).strip().casefold())
    if isinstance(value, (bool, int, float, str)):
        return 1 if word in SAFE else 0 if word in UNSAFE else None
    return None


def parse_axiom(value: Any) -> str | None:
    """The axiom of AXIOMS that `value` spells, or None."""
    return _AXIOM_OF.get(_letters(value)) if isinstance(value, str) else None


def parse_category(value: Any, layout: Layout) -> str | None:
    """The category that `value` names, or None; an axiom in any usual spelling is that axiom."""
    if not isinstance(value, str) or not value.strip():
        return None
    if layout == "litmus":
        return parse_axiom(value)
    if layout == "xstest":
        kind = value.strip().casefold().removeprefix(CONTRAST)
        return XSTEST.get(kind, kind)
    return parse_axiom(value) or " ".join(value.split())


def _letters(name: str) -> str:
    words = re.findall(r"[a-z]+", name.casefold())
    return "".join(word for word in words if word != "and")


_AXIOM_OF = {_letters(axiom): axiom for axiom in AXIOMS}

CONTRAST = "contrast_"
XSTEST: Mapping[str, str] = {
    "discr": "discrimination", "real_group_nons_discr": "discrimination",
    "nons_group_real_discr": "discrimination", "privacy_public": "privacy",
    "privacy_fictional": "privacy",
}  # fmt: skip
"""The kinds of XSTest that are not called as the category that they share with their contrast."""


@dataclass(frozen=True)
class _PromptRow:
    """One row, before it has a split."""

    text: str
    category: str
    label: int
    pair: str | None  # within its category

    @property
    def marks(self) -> tuple[str, ...]:
        """What it shares with the rows that have to stay in its split."""
        key = split_key(self.text)
        return (key,) if self.pair is None else (key, f"{self.category}\0{self.pair}")


def load_prompts(source: str, shares: Shares) -> LoadedTexts[Prompt]:
    """The prompts of a data set, each with its split: see `splits.dealt`.

    A text that stands in the data set with both labels is left out, and so are copies of a text
    within its category; both are counted. Raises InputError for a source that cannot be read
    (see `sources.read_table`), a missing column, a row without text or category or with an unknown
    label, by its line; for a category whose name cannot be a column; and for prompts of one label.
    """
    chosen = chosen_source(source)
    table = read_table(chosen.place)
    rows = _paired([_read(source, chosen, line) for line in table.lines], chosen.layout)
    found: dict[tuple[str, str], _PromptRow] = {}
    labels: dict[str, set[int]] = {}
    for row in rows:
        key = split_key(row.text)
        labels.setdefault(key, set()).add(row.label)
        put(found, (key, row.category), row)
    kept = [row for (key, _), row in found.items() if len(labels[key]) == 1]
    _check_labels(source, kept)
    _check_names(source, kept)
    left_out = {
        "copy of another row": len(rows) - len(found),
        "same text with both labels": len(found) - len(kept),
    }
    return loaded(table, dealt(_prompts(kept), shares), left_out)


def _prompts(rows: Sequence[_PromptRow]) -> list[Prompt]:
    """The rows as prompts whose key and cluster is the unit that must not be torn apart."""
    units = joined_units([row.marks for row in rows])
    first: dict[str, str] = {}
    for row, unit in zip(rows, units, strict=True):
        key = split_key(row.text)
        first[unit] = min(key, first.get(unit, key))
    each = [(row, first[unit]) for row, unit in zip(rows, units, strict=True)]
    return [Prompt(r.text, r.category, r.label, key, key, "") for r, key in each]


def _paired(rows: Sequence[_PromptRow], layout: Layout) -> list[_PromptRow]:
    """In XSTest the i-th prompts of a category's safe kind and of its contrast are a pair.

    Of two safe kinds with one contrast the i-th of each belongs to the i-th unsafe one.
    """
    if layout != "xstest":
        return list(rows)
    sizes = Counter((row.category, row.label) for row in rows)
    seen: Counter[tuple[str, int]] = Counter()
    found = []
    for row in rows:
        cell = (row.category, row.label)
        fewest = min(sizes[row.category, 0], sizes[row.category, 1]) or 1
        found.append(replace(row, pair=row.pair or str(seen[cell] % fewest)))
        seen[cell] += 1
    return found


def _read(source: str, chosen: ChosenSource, line: SourceLine) -> _PromptRow:
    text = text_of(source, line, column_of(source, chosen, line, "text"), may_be_blank=False)
    given = line.values[column_of(source, chosen, line, "category")]
    category = parse_category(given, chosen.layout)
    if category is None:
        axioms = "an axiom, one of " + ", ".join(AXIOMS)
        expected = axioms if chosen.layout == "litmus" else "the name of a category"
        raise refused(source, line, expected, given, "correct its category")
    pair = chosen.column("pair", line.values)
    said = None if pair is None else line.values[pair]
    mark = None if said is None or said == "" else str(said)
    return _PromptRow(text, category, _label(source, chosen, line), mark)


def _label(source: str, chosen: ChosenSource, line: SourceLine) -> int:
    """The label of a row; of an XSTest row without one its kind says it."""
    if chosen.layout == "xstest" and chosen.column("label", line.values) is None:
        kind = str(line.values[column_of(source, chosen, line, "category")])
        return int(not kind.strip().casefold().startswith(CONTRAST))
    column = column_of(source, chosen, line, "label")
    label = parse_label(line.values[column])
    if label is None:
        expected = f"a {column} such as safe, unsafe, 1, 0, true, false"
        raise refused(source, line, expected, line.values[column], "correct its label")
    return label


def _check_labels(source: str, rows: Sequence[_PromptRow]) -> None:
    counts = Counter(row.label for row in rows)
    if len(counts) < 2:
        raise InputError(
            f"data set {source}",
            expected="safe and unsafe prompts",
            got=f"{counts[1]} safe and {counts[0]} unsafe ones",
            cure="add prompts of the other label: nothing tells them apart within one",
        )


def _check_names(source: str, rows: Sequence[_PromptRow]) -> None:
    """Every category has a column of its own, and none that means something else."""
    taken: dict[str, str] = {}
    for category in sorted({row.category for row in rows}):
        column = category_column(category)
        if column in RESERVED or column in taken:
            what = f"that of {taken[column]!r}" if column in taken else "taken"
            raise InputError(
                f"category {category!r} of {source}",
                expected="a name whose column is its own",
                got=f"{column}, which is {what}",
                cure="call the category otherwise",
            )
        taken[column] = category
