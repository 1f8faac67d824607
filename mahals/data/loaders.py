"""Data-set loaders: how do rows of a known layout become prompts, pairs and neutral texts?

Layouts: prompts `axiom, safety_label, input`; pairs `chosen, rejected` (two dialogues, or answers
beside a column `prompt`); neutral text `text`. Other columns are ignored.

A safety label may be written as a number (1, 0, 1.0, 0.0), as true or false, or as one of the words
in SAFE and UNSAFE, in any case, with spaces around it; 1 and true mean safe. An axiom may be in any
case, with `&` or `and`, with any spaces and hyphens. Anything else is refused by its line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mahals.data.dialogues import Parted, part
from mahals.data.sources import SourceLine, SourceTable, read_table
from mahals.data.splits import Shares, split_key, split_of
from mahals.data.texts import AXIOMS, NeutralText, Pair, Prompt
from mahals.records import InputError

T = TypeVar("T")

SAFE = frozenset(
    {"safe", "1", "1.0", "true", "t", "yes", "y", "harmless", "benign", "good", "acceptable"}
)
UNSAFE = frozenset(
    {"unsafe", "not safe", "non safe", "un safe", "0", "0.0", "false", "f", "no", "n", "harmful",
     "malicious", "bad", "unacceptable"}
)  # fmt: skip


@dataclass(frozen=True)
class LoadedTexts(Generic[T]):
    """The usable texts of a data set, and how many of its rows were set aside and why."""

    origin: str
    licence: str
    rows: int  # in the source
    items: tuple[T, ...]  # each with its split; not yet sampled
    left_out: Mapping[str, int]  # reason -> rows


def parse_label(value: Any) -> int | None:
    """1 for safe, 0 for unsafe, None for anything else."""
    word = re.sub(r"(?<=[a-z])[\s_-]+(?=[a-z])", " ", str(value).strip().casefold())
    if isinstance(value, (bool, int, float, str)):
        return 1 if word in SAFE else 0 if word in UNSAFE else None
    return None


def parse_axiom(value: Any) -> str | None:
    """The axiom of AXIOMS that `value` spells, or None."""
    return _AXIOM_OF.get(_letters(value)) if isinstance(value, str) else None


def _letters(name: str) -> str:
    words = re.findall(r"[a-z]+", name.casefold())
    return "".join(word for word in words if word != "and")


_AXIOM_OF = {_letters(axiom): axiom for axiom in AXIOMS}


def load_prompts(source: str, shares: Shares) -> LoadedTexts[Prompt]:
    """The prompts of a data set with the columns axiom, safety_label and input.

    A text that stands in the data set with both labels is left out, and so are copies of a text
    within its axiom; both are counted. Raises InputError for a source that cannot be read
    (see `sources.read_table`), a missing column, or a row without text or with an unknown label or
    axiom, by its line.
    """
    table = read_table(source)
    _need_columns(source, table, ("axiom", "safety_label", "input"))
    found: dict[tuple[str, str], Prompt] = {}
    labels: dict[str, set[int]] = {}
    for line in table.lines:
        prompt = _prompt(source, line, shares)
        labels.setdefault(prompt.key, set()).add(prompt.label)
        _put(found, (prompt.key, prompt.axiom), prompt)
    kept = tuple(p for p in found.values() if len(labels[p.key]) == 1)
    left_out = {
        "copy of another row": len(table.lines) - len(found),
        "same text with both labels": len(found) - len(kept),
    }
    return _loaded(table, kept, left_out)


def load_pairs(source: str, shares: Shares) -> LoadedTexts[Pair]:
    """The pairs of a data set with the columns chosen and rejected, in the order of the source.

    The two are dialogues in `\\n\\nHuman:` / `\\n\\nAssistant:` form, split where the answers begin
    (see `dialogues.part`); the split key is the first user turn. With a column `prompt` they are
    answers. Answers may be empty: the pair still holds which one was preferred. Raises InputError
    as `load_prompts` does, and for a pair that does not differ or is no dialogue, by its line.
    """
    table = read_table(source)
    _need_columns(source, table, ("chosen", "rejected"))
    pairs = tuple(_pair(source, line, shares) for line in table.lines)
    unique = tuple(dict.fromkeys(pairs))
    return _loaded(table, unique, {"copy of another row": len(pairs) - len(unique)})


def load_neutral(source: str, shares: Shares) -> LoadedTexts[NeutralText]:
    """The texts of a data set with the column text; blank rows and wiki headings are left out.

    Raises InputError as `load_prompts` does.
    """
    table = read_table(source)
    _need_columns(source, table, ("text",))
    texts = [_text(source, line, "text", may_be_blank=True) for line in table.lines]
    prose = [text for text in texts if text and not re.fullmatch(r"=.*=", text)]
    unique: dict[str, str] = {}
    for text in prose:
        _put(unique, split_key(text), text)
    items = tuple(NeutralText(text, split_of(key, shares)) for key, text in unique.items())
    left_out = {
        "blank or a heading": len(texts) - len(prose),
        "copy of another row": len(prose) - len(items),
    }
    return _loaded(table, items, left_out)


def _put(found: dict[Any, T], key: Any, item: T) -> None:
    """Of the copies under one key the one that sorts first stays, in whatever order they come."""
    if key not in found or repr(item) < repr(found[key]):
        found[key] = item


def _loaded(
    table: SourceTable, items: tuple[T, ...], left_out: Mapping[str, int]
) -> LoadedTexts[T]:
    counted = {reason: n for reason, n in left_out.items() if n}
    return LoadedTexts(table.origin, table.licence, len(table.lines), items, counted)


def _need_columns(source: str, table: SourceTable, names: Sequence[str]) -> None:
    for line in table.lines:
        missing = [n for n in names if n not in line.values]
        if missing:
            raise InputError(
                f"{source}, {line.where}",
                expected="the columns " + ", ".join(names),
                got=", ".join(map(str, line.values)) or "none",
                cure=f"name the columns {', '.join(missing)}, or name another data set",
            )


def _refused(source: str, line: SourceLine, expected: str, got: Any, cure: str) -> InputError:
    shown = repr(got) if len(repr(got)) <= 60 else repr(got)[:57] + "..."
    return InputError(f"{source}, {line.where}", expected=expected, got=shown, cure=cure)


def _text(source: str, line: SourceLine, column: str, may_be_blank: bool) -> str:
    value = line.values[column]
    if value is None and may_be_blank:
        return ""
    if not isinstance(value, str) or not (may_be_blank or value.strip()):
        cure = "correct or remove that row"
        raise _refused(source, line, f"a text in column {column}", value, cure)
    return value.strip()


def _prompt(source: str, line: SourceLine, shares: Shares) -> Prompt:
    text = _text(source, line, "input", may_be_blank=False)
    axiom = parse_axiom(line.values["axiom"])
    if axiom is None:
        expected = "an axiom, one of " + ", ".join(AXIOMS)
        raise _refused(source, line, expected, line.values["axiom"], "correct its axiom")
    label = parse_label(line.values["safety_label"])
    if label is None:
        expected = "a safety_label such as safe, unsafe, 1, 0, true, false"
        raise _refused(source, line, expected, line.values["safety_label"], "correct its label")
    key = split_key(text)
    return Prompt(text, axiom, label, key, key, split_of(key, shares))


def _pair(source: str, line: SourceLine, shares: Shares) -> Pair:
    chosen = _text(source, line, "chosen", may_be_blank=True)
    rejected = _text(source, line, "rejected", may_be_blank=True)
    if "prompt" in line.values:
        prompt = _text(source, line, "prompt", may_be_blank=False)
        parted = Parted(prompt, prompt, chosen, rejected) if chosen != rejected else None
    else:
        parted = part(chosen, rejected)
    if parted is None:
        expected = "two dialogues (Human: ... Assistant: ...) with one opening and unlike answers"
        cure = "correct or remove that row, or give the request in a column prompt"
        raise _refused(source, line, expected, chosen, cure)
    key = split_key(parted.opening)
    split = split_of(key, shares)
    return Pair(parted.prompt, parted.chosen, parted.rejected, None, None, key, split)
