"""Speed benchmarks: how is everything measured once, and SPEED.md written from it?

    python -m benchmarks.speed [--texts FILE] [--peers PYTHON] [--only capture,sweep] ...

`--shared "six other jobs ran"` says on the page that the machine was not calm; `--report` measures
nothing and writes the page from what is stored.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.speed import report

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "SPEED.md"


def main() -> int:
    """Runs the scripts one after another; 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts")
    parser.add_argument("--peers")
    parser.add_argument("--checkpoint", help="an organism's folder, for bf16's effect on AQI")
    parser.add_argument("--study", action="append", default=[], help="LABEL=FOLDER, for times")
    parser.add_argument("--rounds", default="5")
    parser.add_argument("--only", help="names of scripts, with commas")
    parser.add_argument("--shared", help="what else ran on the machine")
    parser.add_argument("--report", action="store_true", help="only write the page")
    parser.add_argument("--out", type=Path, default=Path(".mahals/speed"))
    chosen = parser.parse_args()
    names = chosen.only.split(",") if chosen.only else list(report.SCRIPTS)
    failed = [] if chosen.report else [name for name in names if not measured(name, chosen)]
    drawn = chosen.out / "growth.png"
    if drawn.is_file():
        shutil.copy(drawn, HERE / "growth.png")
    report.write(chosen.out, PAGE, chosen.shared)
    print(f"\nwritten: {PAGE.relative_to(Path.cwd())}; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def measured(name: str, chosen: argparse.Namespace) -> bool:
    """Runs one script; whether it came to its end."""
    words = [sys.executable, "-m", f"benchmarks.speed.{name}", "--out", str(chosen.out)]
    if name == "study":
        words += [word for study in chosen.study for word in ("--study", study)]
    else:
        words += ["--rounds", chosen.rounds]
        words += ["--texts", chosen.texts] if chosen.texts else []
        words += ["--peers", chosen.peers] if chosen.peers else []
        words += ["--checkpoint", chosen.checkpoint] if chosen.checkpoint and name == "bf16" else []
    (chosen.out / f"{name}.json").unlink(missing_ok=True)  # of another run
    began = time.monotonic()
    ended = subprocess.run(words, check=False).returncode == 0
    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    return ended


if __name__ == "__main__":
    raise SystemExit(main())
