"""Comments: what is written behind fields of a dataclass, and behind keys of a YAML text?"""

from __future__ import annotations

import ast
import inspect
import io
import re
import textwrap
import tokenize
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yaml import Node

BEHIND_KEY = re.compile(r"\s*:\s*(?:&\S+\s*)?(?:#\s*(.*))?$")  # and its anchor: a block follows
BEHIND_VALUE = re.compile(r"\s*#\s*(.*)$")

KeyPath = tuple[str, ...]


def field_comments(kind: type[Any]) -> dict[str, str]:
    """By field: the comment behind it, on any line of it, in the source of the dataclass."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if "__dataclass_fields__" in vars(each):
            found.update(_of_source(textwrap.dedent(inspect.getsource(each))))
    return found


def _of_source(source: str) -> dict[str, str]:
    lines: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0]] = token.string.lstrip("# ").rstrip()
    found = {}
    (defined,) = ast.parse(source).body
    for node in getattr(defined, "body", ()):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.end_lineno or node.lineno
            said = [lines[n] for n in range(node.lineno, last + 1) if n in lines]
            if said:
                found[node.target.id] = " ".join(said)
    return found


def key_comments(text: str) -> dict[KeyPath, str]:
    """By path of keys: the comment on the key's own line, behind all of its value there."""
    import yaml

    found: dict[KeyPath, str] = {}
    root = yaml.compose(text)
    if root is not None:
        _collect(root, text.splitlines(), (), found)
    return found


def _collect(node: Node, lines: list[str], path: KeyPath, found: dict[KeyPath, str]) -> None:
    from yaml import MappingNode

    if not isinstance(node, MappingNode):
        return
    for key, value in node.value:
        own = (*path, str(key.value))
        at, end = key.end_mark, value.end_mark
        match = BEHIND_KEY.match(lines[at.line][at.column :])
        if match is None and end.line == at.line:
            match = BEHIND_VALUE.match(lines[end.line][end.column :])
        if match is not None and match[1]:
            found[own] = match[1].strip()
        _collect(value, lines, own, found)
