"""Names: does each class name mean one thing, and does each module say first what it is about?"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PHASE_PARTS = {"Params", "Task", "Row"}  # each phase has its own: mahals/phase.py finds them there
NOUN_FIRST = re.compile(
    r"(?!(How|What|Which|Who|Whom|Where|When|Why|Does|Do|Did|Is|Are|Was|Has|Have|Can|Could|Would"
    r"|At|In|On|To|All)\b)[A-Z][^:?]{0,45}: [^?]*[^\s?]\?"
)


def sources(*folders: str) -> dict[str, str]:
    """The text of each module in the folders, by its path in the repository."""
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in found}


def is_phase_part(path: str, name: str) -> bool:
    """Whether a phase's folder must define this class here, as every phase's does."""
    inside = re.fullmatch(r"mahals/phases/\w+/(measure|measure/__init__|rows)\.py", path)
    return inside is not None and name in PHASE_PARTS


def defined_twice(texts: Mapping[str, str]) -> list[str]:
    """A sentence for each class name that is defined in more than one place."""
    places: dict[str, list[str]] = defaultdict(list)
    for path, text in texts.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and not is_phase_part(path, node.name):
                places[node.name].append(f"{path}:{node.lineno}")
    return [
        f"class {name} is defined in {' and '.join(there)}: "
        "rename all but one after what they hold, or merge them"
        for name, there in sorted(places.items())
        if len(there) > 1
    ]


def wrong_first_lines(texts: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each module whose first line is not its noun and its question."""
    for path, text in texts.items():
        first = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
        if re.fullmatch(r"mahals/phases/\w+/__init__\.py", path):
            if not re.fullmatch(r"[A-Z][^?]*\?", first):
                yield f"{path} starts {first!r}: a phase's first line is its question alone"
        elif not NOUN_FIRST.fullmatch(first):
            yield f"{path} starts {first!r}: begin with its noun, a colon and its question"


def test_no_class_name_is_defined_twice() -> None:
    assert not (found := defined_twice(sources("mahals"))), "\n".join(found)


def test_first_lines_are_a_noun_and_its_question() -> None:
    found = list(wrong_first_lines(sources("mahals", "benchmarks")))
    assert not found, "\n".join(found)


def test_a_class_that_two_modules_define_is_told_with_both() -> None:
    row, step = "class Row:\n    ...\n", "class Step:\n    ...\n"
    fine = {"mahals/phases/a/rows.py": row, "mahals/phases/b/rows.py": row, "mahals/c.py": step}
    assert defined_twice(fine) == []
    (told,) = defined_twice({**fine, "mahals/d.py": "\n" + step})
    assert "class Step" in told and "mahals/c.py:1 and mahals/d.py:2" in told and "rename" in told
    (told,) = defined_twice({**fine, "mahals/e.py": row, "mahals/f.py": row})
    assert "class Row" in told and "mahals/e.py:1 and mahals/f.py:1" in told


@pytest.mark.parametrize(
    ("path", "first", "right"),
    [
        ("mahals/a.py", "Byte-limited file cache: which files stay, which leave first?", True),
        ("mahals/a.py", "CKA: how alike do two models hold the same texts?", True),
        ("mahals/a.py", "Which files stay, which leave first?", False),
        ("mahals/a.py", "How is an adapter trained: how long, how fast?", False),
        ("mahals/a.py", "Cache: files stay until there is no room.", False),
        ("mahals/a.py", "Cache: which files stay? The newest.", False),
        ("mahals/a.py", "", False),
        ("mahals/phases/a/__init__.py", "Does a vector move a model?", True),
        ("mahals/phases/a/__init__.py", "A phase about vectors.", False),
        ("mahals/phases/a/report/__init__.py", "Does a vector move a model?", False),
    ],
)
def test_what_a_first_line_may_be(path: str, first: str, right: bool) -> None:
    assert (not list(wrong_first_lines({path: f'"""{first}"""\n'}))) == right
