"""Terminal: what does a person see of what was told, and when is everything told at once?"""

from __future__ import annotations

import io
import re

import pytest

from mahals.harness.runner import progress


def tell_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is taken to be long."""
    monkeypatch.setattr(progress, "SHOW_AFTER", 0.0)
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)


def sixty_columns(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 60 columns and 12 lines."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "12")
    return Terminal()


class Terminal(io.StringIO):
    """What a terminal was told."""

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        """What a person sees, from the first line on."""
        return seen(self.getvalue())


def seen(told: str) -> list[str]:
    """The lines of a terminal that was told this: a cursor that goes up, lines that are wiped."""
    lines, at, column = [""], 0, 0
    for code, up, text in re.findall(r"(\x1b\[(\d*)[?\d;]*[A-Za-z])|([^\x1b])", told):
        if code.endswith("A"):
            at -= int(up or 1)
        elif code.endswith("K"):
            lines[at] = ""
        elif text == "\r":
            column = 0
        elif text == "\n":
            at, column = at + 1, 0
            lines += [""] * (at + 1 - len(lines))
        elif text:
            lines[at] = lines[at][:column].ljust(column) + text + lines[at][column + 1 :]
            column += 1
    return "\n".join(line.rstrip() for line in lines).rstrip("\n").split("\n")
