"""Comments: is each found behind its field or key?"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mahals.cli.comments import field_comments, key_comments
from tests.support.places import ROOT


@dataclass(frozen=True)
class Below:
    """Its own comments."""

    rate: float  # of learning


@dataclass(frozen=True)
class Above(Below):
    """A field over several lines, one without a comment, one whose comment has a # in it."""

    names: dict[
        str,
        str,
    ]  # by weights
    plain: int
    odd: str = "# no comment"  # one with a # in it

    def method(self) -> None:
        inner: int = 3  # no field
        del inner


def test_comments_behind_fields() -> None:
    said = {"rate": "of learning", "names": "by weights", "odd": "one with a # in it"}
    assert field_comments(Above) == said


YAML = """# of no key
a: 1  # one
b: "# text"   # two # words
c: &anchor      # three
  d: [1,
    2]  # end of a list
  e: {f: 1, g: '#'}   # five
h: *anchor
i: text#no comment
j:
  # of no key
  k: {l: 1}
"""


def test_comments_behind_keys() -> None:
    assert key_comments(YAML) == {
        ("a",): "one",
        ("b",): "two # words",
        ("c",): "three",
        ("c", "e"): "five",
        ("h", "e"): "five",
    }
    assert key_comments("") == {}


def test_every_comment_of_params_yaml_is_behind_a_key() -> None:
    """Told from its lines, of which none has a # in a value."""
    text = (ROOT / "params.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    behind = {match[1].strip() for line in lines if (match := re.search(r"\s#\s+(.*)", line))}
    assert set(key_comments(text).values()) == behind
