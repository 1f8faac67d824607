"""Is what README and docs say true of the code: commands, columns, phases, numbers, the example?"""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from mahals.cli import FLAGS, KEYED, OPTIONS, build_parser
from mahals.cli.overrides import split
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import load_settings
from mahals.maths.metrics.aqi_paper import aqi_published
from mahals.maths.metrics.permutation import omega2
from mahals.phases.registry import PHASES, load_phase
from mahals.schema import COLUMNS
from tests.support.places import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md")
METHOD = (ROOT / "docs/method.md").read_text()
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def commands(page: Path) -> list[list[str]]:
    """The words of every indented or quoted command of ours, comments and explanations cut."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    text = re.sub(r" *\\\n *", " ", text)  # a command that goes on in the next line
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    lines += re.findall(r"`([^`\n]+)`", text)
    found = []
    for line in lines:
        for part in line.split(" && "):
            part = re.split(r"\s{3,}", part)[0].replace("python -m mahals", "mahals")
            if part.startswith(("mahals ", "mlflow run ")):
                found.append(shlex.split(part))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_parse_and_name_what_exists(page: Path) -> None:
    workspace = Workspace.locate(ROOT)
    points = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    own = ("./", "organisation/")  # the reader's own checkpoint: not here
    for words in commands(page):
        if words[0] == "mlflow":
            entry = words[words.index("-e") + 1] if "-e" in words else "main"
            assert entry in points, words
            pairs = [words[i + 1] for i, w in enumerate(words) if w == "-P"]
            phase = entry if entry in PHASES else None
            keys = dict(pair.split("=", 1) for pair in pairs)
            load_settings(workspace, None, {k: yaml.safe_load(v) for k, v in keys.items()}, phase)
            continue
        rest = words[1:]
        if {"PHASE", "--check", "--prune"} & set(rest) or rest in [[name] for name in KEYED]:
            continue
        if page.name == "adding-a-phase.md" and "norms" in rest:
            continue  # the phase that this page makes: `test_adding_a_phase.py` types it
        if rest[0] not in KEYED:
            build_parser().parse_args(rest)
            continue
        taken = split(rest, FLAGS, OPTIONS)
        options = build_parser().parse_args(taken.known)
        phase = getattr(options, "phase", None)
        assert phase is None or phase in PHASES, words
        keys = {k: v for k, v in taken.keys.items() if not str(v).startswith(own)}
        load_settings(workspace, None, keys, phase)


def test_commands_were_found() -> None:
    assert len(commands(ROOT / "README.md")) >= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        place, _, anchor = link.partition("#")
        if place.startswith("http"):
            continue
        target = (page.parent / place) if place else page
        assert target.is_file(), f"{page.name}: {link}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}
            assert anchor in slugs, f"{page.name}: {link}"


def test_readme_lists_every_phase_once() -> None:
    text = (ROOT / "README.md").read_text()
    listed = tuple(re.findall(r"^\| `(\w+)` \| [^|]+\? \|$", text, re.MULTILINE))
    assert listed == PHASES, "give each phase a row with its question, in the order of PHASES"
    for name in PHASES:
        question = load_phase(name).question
        row = f"| `{name}` | {question[0].lower()}{question[1:]} |"
        assert row in text, f"README asks another question than {name}: {row}"


def test_leaderboard_page_explains_every_column() -> None:
    text = (ROOT / "docs/reading-the-leaderboard.md").read_text()
    explained = set()
    for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE):
        names = re.findall(r"`(\w+)`", row)
        if "..." in row:
            first, last = (COLUMNS.index(name) for name in names)
            explained |= set(COLUMNS[first : last + 1])
        else:
            explained |= {names[0] + n if n.startswith("_") else n for n in names}
    assert explained == {*COLUMNS, "q", "weakest_axiom"}


def published() -> dict[str, list[dict[str, str]]]:
    by_model: dict[str, list[dict[str, str]]] = {}
    with (ROOT / "benchmarks/published/phase1_aqi_rows.csv").open() as file:
        for row in csv.DictReader(file):
            by_model.setdefault(row["model"], []).append(row)
    return by_model


def test_the_table_on_the_published_score_is_what_its_rows_give() -> None:
    said = dict(re.findall(r"^\| (\w+_\w+) \| (.+) \|$", METHOD, re.MULTILINE))
    assert set(said) == set(published())
    for model, rows in published().items():
        ch, xb = ([float(r[name]) for r in rows] for name in ("chi", "xb"))
        matched = ch[-1] * 398 / 2798
        equal_n = aqi_published([*ch[:-1], matched], xb, 0.5)[-1]
        numbers = (float(rows[-1]["aqi"]), ch[-1], matched, min(ch[:-1]), equal_n)
        assert said[model] == " | ".join(f"{x:.1f}" for x in numbers)


def test_the_sentences_on_the_published_score_hold() -> None:
    products, misses, means = [], [], {}
    for model, rows in published().items():
        ch, xb, n = (np.array([float(r[k]) for r in rows]) for k in ("chi", "xb", "n"))
        products += list(ch * xb / ((n - 2) / 4))
        misses += list(np.abs(aqi_published(ch, xb, 0.5) - [float(r["aqi"]) for r in rows]))
        means[model] = float(omega2(0.25 / (0.25 + xb), n)[:-1].mean())
        assert float(rows[-1]["xb_norm"]) == 10.0
    assert max(abs(p - 1) for p in products) < 0.0005
    assert 0.013 < max(misses) < 0.014
    assert max(means, key=means.__getitem__) == "Qwen2_7B"
    assert f"({means['Qwen2_7B']:.1f})" in METHOD


def test_the_table_on_intervals_is_the_stored_simulation() -> None:
    """`tests/project/test_coverage.py` holds the stored one to the simulation."""
    from docs import draw_method

    assert draw_method.coverage_table() in METHOD
    rows = draw_method.null_study.read(ROOT / "docs/studies/null_studies.csv")
    ranked = {d: sum(r.ranked > 0 for r in rows if r.design == d) for d in ("states", "vectors")}
    assert f"{ranked['states']} of 100 ranked anything" in METHOD
    assert f"{ranked['vectors']} of 100" in METHOD
    small = np.mean([p < 0.05 for r in rows if r.design == "vectors" for p in r.p])
    assert f"{100 * small:.1f} % of the p-values" in METHOD


def test_the_table_on_gaps_of_rates_is_what_the_package_gives() -> None:
    from docs import coverage_of_gaps as gaps

    assert gaps.table() in METHOD
    rates, n = gaps.ARMS[1], gaps.COUNTS[0]
    made = gaps.arm(rates, n, gaps.REPETITIONS)
    (stored,) = [
        r for r in gaps.read(gaps.TABLE) if (r.what, r.truth, r.n) == (made.what, made.truth, n)
    ]
    assert made == stored
    rows = [r for r in gaps.read(gaps.TABLE) if r.what != "null"]
    assert min(r.share for r in rows) >= 0.93


def test_every_test_that_the_method_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", METHOD)
    assert len(named) >= 15
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"
