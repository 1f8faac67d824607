"""MLflow plugin: in which environment does a plain `mlflow run .` run where there is no conda?

MLproject names conda.yaml, so MLflow looks for conda and fails where there is none. MLflow loads
its context-provider plugins before it reads its command line; this one adds `--env-manager local`
there, for this project alone, and says so. An `--env-manager` that was given always wins.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

OPTIONS_WITH_VALUE = frozenset(
    (
        *("-e", "--entry-point", "-v", "--version", "-P", "--param-list", "-A", "--docker-args"),
        *("--experiment-name", "--experiment-id", "-b", "--backend", "-c", "--backend-config"),
        *("--env-manager", "--storage-dir", "--run-id", "--run-name"),
    )
)


class CurrentEnvironment:
    """An MLflow run-context provider without tags: loading it is what matters."""

    def in_context(self) -> bool:
        """False: this plugin adds no tags to runs."""
        return False

    def tags(self) -> dict[str, str]:
        """No tags."""
        return {}


def project_of(arguments: Sequence[str]) -> Path | None:
    """The folder that `mlflow run` was asked to run; None if the arguments say anything else.

    `arguments` are what follows the program's name. None too when `--env-manager` or another
    backend than `local` is given: then the choice is already made.
    """
    if not arguments or arguments[0] != "run":
        return None
    uri: str | None = None
    rest = iter(arguments[1:])
    for argument in rest:
        name, _, value = argument.partition("=")
        if name == "--env-manager":
            return None
        if argument.startswith("-"):
            takes_next = argument in OPTIONS_WITH_VALUE
            value = next(rest, "") if takes_next else value
            if name in ("-b", "--backend") and value != "local":
                return None
        elif uri is None:
            uri = argument
    return None if uri is None else Path(uri.removeprefix("file://"))


def is_this_project(folder: Path) -> bool:
    """Whether the folder's MLproject bears this project's name."""
    try:
        text = (folder / "MLproject").read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(r"^name:\s*['\"]?mahals['\"]?\s*$", text, re.MULTILINE) is not None


def has_conda(environ: Mapping[str, str]) -> bool:
    """Whether MLflow would find a conda: by MLFLOW_CONDA_HOME, CONDA_EXE or on PATH."""
    named = environ.get("MLFLOW_CONDA_HOME") or environ.get("CONDA_EXE")
    return bool(named) or shutil.which("conda", path=environ.get("PATH", "")) is not None


def choose(arguments: list[str], environ: Mapping[str, str]) -> bool:
    """Adds `--env-manager local` to `mlflow run` arguments where it is needed; whether it did."""
    folder = project_of(arguments)
    if folder is None or has_conda(environ) or not is_this_project(folder):
        return False
    arguments[1:1] = ["--env-manager", "local"]
    return True


def _is_mlflow(program: str) -> bool:
    return Path(program).stem == "mlflow" or Path(program).parts[-2:] == ("mlflow", "__main__.py")


def _at_load() -> None:
    module_run = sys.orig_argv[1:3] == ["-m", "mlflow"]  # argv[0] is "-m" this early
    if not module_run and not _is_mlflow(sys.argv[0]):
        return
    arguments = sys.argv[1:]
    if not choose(arguments, os.environ):
        return
    sys.argv[1:] = arguments
    here = str(Path(sys.executable).parent)
    os.environ["PATH"] = here + os.pathsep + os.environ.get("PATH", "")  # MLproject says `python`
    print(f"mahals: no conda found, running in this environment ({sys.prefix})", file=sys.stderr)


_at_load()
