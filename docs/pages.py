"""Pages: is what a program writes between two marks of a page what it would write now?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Marks:
    """What stands before and after a part of a page that is written by a program."""

    begin: str
    end: str

    def around(self, lines: Sequence[str]) -> str:
        """A part with its marks."""
        return "\n".join([self.begin, "", *lines, "", self.end])

    def placed(self, page: str, made: str) -> str:
        """A page with the part, its marks included, in its place. ValueError without marks."""
        head, begin, rest = page.partition(self.begin)
        _, end, tail = rest.partition(self.end)
        if not begin or not end:
            raise ValueError(f"the page lacks the marks {self.begin!r} and {self.end!r}")
        return head + made + tail


def rewrite(parts: Sequence[tuple[Path, str]], marks: Marks, command: str, check: bool) -> int:
    """Writes each part into its page and says which were old; 1 with `check`, which writes nothing,
    where one is."""
    old = []
    for page, made in parts:
        text = page.read_text(encoding="utf-8")
        new = marks.placed(text, made)
        if new != text:
            old.append(page.name)
            if not check:
                page.write_text(new, encoding="utf-8")
    verb = f"is not up to date: run `{command}`" if check else "written"
    print("\n".join(f"{name} {verb}" for name in old) or "all up to date")
    return int(check and bool(old))
