"""Do the speed benchmarks say what they measured, and do all ways read the same states?"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.speed import peer_server, report, timing, ways
from benchmarks.speed.timing import Bar, Page, Seconds
from tests.support.light_repository import run
from tests.support.places import ROOT
from tests.support.tiny_models import LAYERS, PROMPTS, loaded

QUICK = ("capture", "sweep", "generation", "resampling", "sae", "bf16", "gpu")


def test_rounds_begin_with_another_way_each_and_ratios_stay_within_a_round() -> None:
    order: list[str] = []
    speed = {"a": iter([2.0, 6.0, 8.0]), "b": iter([1.0, 2.0, 2.0])}

    def way(name: str) -> timing.Way:
        def run() -> Seconds:
            order.append(name)
            value = next(speed[name])
            return Seconds(value, 3 * value)

        return run

    times = timing.interleaved({"a": way("a"), "b": way("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    line = timing.ratio("g", "w", (times["a"], times["b"]), Bar("<=", 2.5))
    assert (line.median, line.low, line.high, line.cpu, line.rounds) == (3.0, 2.0, 4.0, 3.0, 3)
    assert line.holds is False and line.bar == "<= 2.5"


def test_bars() -> None:
    assert Bar(">=", 4).holds(4) and not Bar(">=", 4).holds(3.99)
    assert Bar("<=", 50, "ms").holds(50) and str(Bar("<=", 50, "ms")) == "<= 50 ms"


def test_the_exponent_of_a_planted_power() -> None:
    assert timing.power([1, 2, 4, 8], [3 * n**1.7 for n in (1, 2, 4, 8)]) == pytest.approx(1.7)


def test_time_is_of_the_work_alone() -> None:
    seconds = timing.timed(lambda: sum(range(200_000)))()
    assert seconds.cpu > 0 and 0 < seconds.wall < 60


def test_peak_memory_sees_what_was_taken_and_given_back() -> None:
    held = peer_server.peak(lambda _: bytearray(80 << 20).count(1), None)  # type: ignore[arg-type]
    assert 75 << 20 < held < 160 << 20


def test_all_ways_read_the_same_states() -> None:
    at = loaded("Llama")
    texts = list(PROMPTS) * 4
    ours = ways.WAYS["ours"](at, texts)()
    ways.WAYS[ways.LIMIT](at, texts)()
    assert isinstance(ours, torch.Tensor)
    assert ours.shape[:2] == (len(texts), LAYERS)
    others = [ready(at, texts)() for name, ready in ways.WAYS.items() if "hidden" in name]
    assert len(others) == 2
    for other in others:  # its last state is the one after the final norm
        assert isinstance(other, torch.Tensor)
        torch.testing.assert_close(ours[:, :-1], other[:, :-1], rtol=1e-4, atol=1e-5)


def test_the_page_shows_bars_that_do_not_hold_and_says_why_a_line_is_absent(
    tmp_path: Path,
) -> None:
    page = Page("capture", "What?", {"processor": "p", "load average": "9.0"})
    page.lines.append(timing.of_values("16 blocks", "ours", [1.2, 1.3], ("x", Bar("<=", 1.1)), 1.0))
    page.lines.append(timing.of_values("16 blocks", "nan", [1.0], ("s", None), math.nan))
    page.lines.append(timing.absent("16 blocks", "repeng", "no environment"))
    page.notes.append("a note")
    page.write(tmp_path)
    assert json.loads((tmp_path / "capture.json").read_text())["lines"][0]["holds"] is False
    target = tmp_path / "SPEED.md"
    report.write(tmp_path, target, "Others ran.")
    text = target.read_text()
    assert "| ours | 1.25 x [1.2, 1.3] | 1 | 2 | <= 1.1 | **no** |" in text
    assert "| nan | 1 s |  | 1 |  |  |" in text
    assert "Absent: 16 blocks, repeng: no environment." in text
    assert "**Others ran.**" in text and "capture 9.0" in text and "* a note" in text
    assert "## Sweeps\n\nNot measured." in text
    assert "## SAE encode and clamp\n\nNot measured." in text


def test_a_machine_without_a_gpu_shows_what_one_had_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page("gpu", "What?", {"processor": "p"})
    page.lines.append(timing.absent("GPU", "all of it", "no GPU could be had"))
    page.write(tmp_path)
    kept, target = tmp_path / "kept", tmp_path / "SPEED.md"
    page.setting["device"], page.lines = "H200", [timing.absent("a model", "all", "no time")]
    page.write(kept)
    monkeypatch.setattr(report, "GPU", kept / "gpu.json")
    report.write(tmp_path, target, None)
    text = target.read_text()
    assert "device H200" in text and "Absent: a model, all: no time." in text
    assert "no GPU could be had" not in text


def test_every_script_is_on_the_page() -> None:
    folder = ROOT / "benchmarks/speed"
    scripts = {p.stem for p in folder.glob("*.py") if '__name__ == "__main__"' in p.read_text()}
    assert scripts - {"__main__", "peer_server", "tried"} == set(report.SCRIPTS)


@pytest.mark.slow
@pytest.mark.parametrize("script", QUICK)
def test_every_script_runs_at_toy_size(script: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", f"benchmarks.speed.{script}", "--tiny", "--rounds", "2"]
    run(ROOT, *words, "--out", str(tmp_path))
    page = timing.read_page(tmp_path / f"{script}.json")
    assert [line for line in page.lines if line.median is not None and line.median > 0]
    assert page.question in report.markdown([page], None)
