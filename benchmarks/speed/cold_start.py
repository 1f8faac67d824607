"""Cold start: how soon is there a help text, and how soon does a run begin its first task?

The first task is measured in a copy of what a run needs, with a hook that ends the run where the
first task would begin; the limit is a python that imports the modules that the worker has by then.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

from benchmarks.speed import setting
from benchmarks.speed.timing import Bar, Page, Seconds, Way, interleaved, of_values, ratio

ROOT = Path(__file__).parents[2]
HELP, FIRST = Bar("<=", 0.3, "s"), Bar("<=", 1.3)
UNIT = "Llama3_8B"

AT_FIRST_TASK = '''
import functools, importlib.abc, importlib.machinery, json, os, sys, time

class Finder(importlib.abc.MetaPathFinder):
    """Ends the process where the first task begins, having written when that was."""

    def find_spec(self, name, path, target=None):
        if name != "mahals.harness.runner.worker":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        run = spec.loader.exec_module

        def loaded(module):
            run(module)
            whole = module.measure_task

            @functools.wraps(whole)
            def measure_task(argument, report):
                if argument.spec.phase != "organisms":
                    return whole(argument, report)
                import importlib
                argument.spec.workspace.phase(argument.spec.phase)
                found = {"at": time.time(), "modules": sorted(sys.modules)}
                with open(os.environ["MAHALS_FIRST_TASK"], "w") as file:
                    json.dump(found, file)
                os.kill(os.getppid(), 9)
                os._exit(0)

            module.measure_task = measure_task

        spec.loader.exec_module = loaded
        return spec

sys.meta_path.insert(0, Finder())
'''


def environment(folder: Path) -> dict[str, str]:
    """An environment whose python ends at the first task of `organisms`."""
    path = f"{folder}:{ROOT}"
    found = {**os.environ, "PYTHONPATH": path, "MAHALS_FIRST_TASK": str(folder / "first.json")}
    found.pop("MLFLOW_TRACKING_URI", None)
    return found


def first_task(root: Path) -> Seconds:
    """From typing `mahals run organisms` to its first task; what came before it is finished."""
    mark = root / "hook/first.json"
    mark.unlink(missing_ok=True)
    words = [sys.executable, "-m", "mahals", "run", "organisms", "--unit", UNIT, "--workers", "1"]
    began = time.time()
    subprocess.run(
        words, cwd=root, env=environment(root / "hook"), capture_output=True, check=False
    )
    if not mark.is_file():
        raise RuntimeError("the run did not reach its first task")
    return Seconds(json.loads(mark.read_text())["at"] - began, float("nan"))


def prepared(root: Path) -> None:
    """A folder with the values, the registry and the finished phase `datasets`."""
    (root / "benchmarks").mkdir()
    for name in ("params.yaml", "pyproject.toml", "benchmarks/models.yaml"):
        shutil.copy(ROOT / name, root / name)
    (root / "hook").mkdir()
    (root / "hook/sitecustomize.py").write_text(AT_FIRST_TASK)
    words = [sys.executable, "-m", "mahals", "run", "datasets", "--workers", "1"]
    here = {**environment(root / "hook"), "PYTHONPATH": str(ROOT)}
    subprocess.run(words, cwd=root, env=here, capture_output=True, check=True)


def importing(modules: list[str]) -> Way:
    """A python from its start to where it has imported modules."""
    program = f"import time, {', '.join(modules)}; print(time.time())"

    def run() -> Seconds:
        began = time.time()
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return Seconds(float(done.stdout) - began, float("nan"))

    return run


def command(words: list[str]) -> Way:
    """A process from its start to its end."""

    def run() -> Seconds:
        began, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
        subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
        after = getrusage(RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Seconds(time.perf_counter() - began, used)

    return run


def packages(root: Path) -> list[str]:
    """The packages, and this package's modules, that the worker has at its first task."""
    names = json.loads((root / "hook/first.json").read_text())["modules"]
    heavy = ("torch", "transformers", "numpy", "tokenizers", "safetensors", "yaml", "tqdm")
    found = [n for n in heavy if n in names]
    found += [n for n in names if n.startswith("mahals.")]
    found += [n for n in names if n.startswith("transformers.models.") and ".modeling_" in n]
    return found


def measure(options: setting.Options) -> Page:
    """Seconds to the help, and to the first task over the imports."""
    page = Page("cold_start", str(__doc__), setting.machine())
    with TemporaryDirectory() as folder:
        root = Path(folder)
        prepared(root)
        first_task(root)  # also compiles
        needed = packages(root)
        ways: dict[str, Way] = {
            "python": command([sys.executable, "-c", "pass"]),
            "help": command([sys.executable, "-m", "mahals", "--help"]),
            "imports": importing(needed),
            "first task": lambda: first_task(root),
        }
        times = interleaved(ways, options.rounds)
    help_walls = [t.wall for t in times["help"]]
    page.lines.append(of_values("mahals --help", "from start to end", help_walls, ("s", HELP)))
    bare = (times["help"], times["python"])
    page.lines.append(ratio("mahals --help", "over a python that does nothing", bare, None))
    both = [a.wall / b.wall for a, b in zip(times["first task"], times["imports"], strict=True)]
    group = "mahals run organisms, to its first task"
    page.lines.append(of_values(group, "over the imports it needs", both, ("x", FIRST)))
    walls = [t.wall for t in times["first task"]]
    page.lines.append(of_values(group, "from start", walls, ("s", None)))
    return page


if __name__ == "__main__":
    chosen = setting.options(__doc__)
    measure(chosen).write(chosen.out)
