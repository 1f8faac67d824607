"""Keys: does the help of a phase list all its keys, and is a wrong key met with the right one?"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mahals.cli import main
from mahals.cli.keys import KeySection, as_yaml, in_words, sections_of
from mahals.cli.overrides import RESERVED, value_of
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import load_settings
from mahals.phase import SHARED_SECTIONS
from mahals.phases.registry import PHASES, load_phase
from mahals.records import Among, AtLeast, OneOf
from tests.support.places import ROOT

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
RUN_KEYS = {key for key, value in PARAMS.items() if not isinstance(value, dict)}


def listed(phase: str, **sets: Any) -> list[KeySection]:
    workspace = Workspace(ROOT)
    return sections_of(workspace, load_settings(workspace, None, sets, phase), phase, RESERVED)


def leaves(value: Any, path: tuple[str, ...]) -> set[tuple[str, ...]]:
    if not isinstance(value, dict):
        return {path}
    return {leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))}


@pytest.mark.parametrize("phase", PHASES)
def test_every_key_of_a_phase_is_listed_and_can_be_typed_as_shown(phase: str) -> None:
    """Every value of params.yaml is under one key; what is shown for it, typed, changes nothing."""
    sections = [phase, *load_phase(phase).shared]
    wanted = {leaf for name in sections for leaf in leaves(PARAMS[name] or {}, (name,))}
    wanted -= {(phase,)}
    wanted |= {(name,) for name in RUN_KEYS}
    keys = [key for section in listed(phase) for key in section.keys]
    assert len({key.name for key in keys}) == len(keys)
    under: set[tuple[str, ...]] = set()
    for key in keys:
        path = tuple(key.name.split("."))
        full = path if len(path) > 1 or key.name in RUN_KEYS else (phase, key.name)
        found: Any = PARAMS
        for part in full:
            found = found[part]
        assert key.value == found
        below = leaves(found, full)
        assert not below & under
        under |= below
    assert under == wanted
    typed = {key.name: value_of(key.name, as_yaml(key.value)) for key in keys}
    assert not {name.split("=")[0] for name in typed} & RESERVED
    settings = load_settings(Workspace(ROOT), None, typed, phase)
    assert settings.values == load_settings(Workspace(ROOT), None, {}).values


def test_values_are_those_of_the_overlay_and_of_what_is_typed() -> None:
    overlay = yaml.safe_load((ROOT / "benchmarks/smoke.yaml").read_text())
    keys = {
        key.name: key
        for each in listed("cross_arch", overlay="smoke", draws=7)
        for key in each.keys
    }
    assert keys["suite.answers"].value == overlay["suite"]["answers"] != PARAMS["suite"]["answers"]
    assert keys["overlay"].value == "smoke"
    assert keys["draws"].value == 7


TYPES = {
    "number": float,
    "true | false": bool,
    "a | 2": Literal["a", 2],
    "auto | [number, ...]": Literal["auto"] | tuple[float, ...],
    "[whole number, text]": tuple[int, str],
    "[text, ...]": list[str],
    "{name: [a | b, ...]}": Mapping[str, tuple[Literal["a", "b"], ...]],
    "text | null": str | None,
    "x | y": Annotated[str, OneOf({"x": 1, "y": 2})],
    "whole number from 2": Annotated[int, AtLeast(2)],
    "all | one of models": Annotated[str, Among("models", ("all",))],
}


@pytest.mark.parametrize("words", TYPES)
def test_types_in_words(words: str) -> None:
    assert in_words(TYPES[words]) == words


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("a'é: #"),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab", min_size=1), inner),
        max_leaves=8,
    )
)
def test_a_shown_value_can_be_typed(value: Any) -> None:
    text = as_yaml(value)
    assert "\n" not in text and value_of("key", text) == value


@pytest.mark.parametrize("width", [50, 80, 200])
def test_the_help_of_a_phase(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["run", "--help", "same_arch", "--suite.answers", "5"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) < width
    text = " ".join(shown.split())
    for part in (
        load_phase("same_arch").question,
        "--lambdas 0 checks that nothing moves ([number, ...], now [0, 0.25, 0.5, 0.75, 1])",
        "--same_arch.unit of lambda: ",
        "--suite.answers evaluation prompts per axiom and label that are answered (whole number",
        "--workers N",
        "--limit measure at most so many tasks of a unit; 0 = all",
        "--seed whole number, now 0",
    ):
        assert part in text, part
    assert ", now 5)" in text.split("--suite.answers")[1].split("--suite.")[0]
    assert "pairs_per_split" not in text


@pytest.mark.parametrize("command", ["gather", "draw"])
def test_other_commands_of_a_phase_list_its_keys(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "datasets", "-h"]) == 0
    assert "--pairs_per_split" in capsys.readouterr().out


@pytest.mark.parametrize("width", [50, 80])
def test_help_without_a_phase_lists_phases_with_their_questions(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["run", "--help"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) < width
    text = " ".join(shown.split())
    assert all(f"{name} {load_phase(name).question}" in text for name in PHASES)
    assert "--lambdas 0" not in text and len(shown) < 6000
    assert main(["study", "-h"]) == 0
    assert load_phase("datasets").question not in " ".join(capsys.readouterr().out.split())


HINTS = {
    "near": (["run", "same_arch", "--lambada", "1"], "lambdas"),
    "set": (["run", "same_arch", "--set", "lambada=1"], "lambdas"),
    "an option's name": (["run", "same_arch", "--units", "state"], "same_arch.unit"),
    "nested": (["run", "recovery", "--tuning.steps", "[5]"], "recovery.tuning.steps"),
    "last part": (["run", "recovery", "--warmup", "3"], "recovery.tuning.warmup"),
    "section": (["run", "same_arch", "--sam_arch.lambdas", "[0]"], "lambdas"),
    "shared": (["run", "same_arch", "--suite.dose_k", "1"], "suite.dose_kl"),
    "of every run": (["draw", "datasets", "--wieghts", "hub"], "weights"),
    "upstream's": (["run", "same_arch", "--steering_vectors.pair", "3"], "steering_vectors.pairs"),
    "study": (["study", "--dose_k", "1"], "suite.dose_kl"),
    "none": (["run", "datasets", "--lambdas", "[0]"], None),
}


@pytest.mark.parametrize("words", HINTS)
def test_a_wrong_key_is_met_with_the_right_one_first(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "benchmarks").mkdir()
    for name in ("params.yaml", "benchmarks/models.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    line, meant = HINTS[words]
    assert main(line) == 2
    said = capsys.readouterr().err
    hint = f"did you mean {meant!r}? " if meant else ""
    assert said.startswith(f"mahals: {hint}unknown key '")
    known = said.split("expected one of ")[1].split(", got '")[0].split(", ")
    own = line[1] if line[0] != "study" else None
    roots = {name.split(".")[0] for name in known if "." in name}
    allowed = {own, *SHARED_SECTIONS}
    assert roots <= ({"steering_vectors"} if words == "upstream's" else allowed)
    bare = {name for name in known if "." not in name}
    assert bare <= RUN_KEYS | (set(PARAMS[own]) if own else set()) and bare >= RUN_KEYS


def test_in_a_terminal_an_error_is_as_wide(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["run", "same_arch", "--lambada", "1"]) == 2
    whole = capsys.readouterr().err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["run", "same_arch", "--lambada", "1"]) == 2
    wrapped = capsys.readouterr().err
    assert max(map(len, wrapped.splitlines())) < 60
    assert wrapped.split() == whole.split() and whole.count("\n") == 1
