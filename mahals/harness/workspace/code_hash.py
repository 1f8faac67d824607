"""Code hash: through which source files is a phase measured, and what is their hash?"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mahals.harness.workspace.files import sha256
from mahals.phase import Phase

ROOTS: tuple[str, ...] = (
    "mahals.harness.runner.lab",
    "mahals.harness.runner.worker",
    "mahals.harness.workspace.settings",
)
"""What every phase is measured through besides its own `rows` and `measure`."""

OUTSIDE: tuple[str, ...] = ("mahals", "mahals.phases.registry")
"""What only names: the package's face, and the list of phases."""

TELLERS = ("matplotlib", "numpy", "scipy", "scikit-learn", "nashpy", "quantecon", "pygambit")
"""Libraries that sentences and figures are made with."""

TELLING_ROOTS: tuple[str, ...] = ("mahals.harness.runner.finish",)
"""What every phase is told and drawn through besides its own `report` and `figures`."""


def code_closure(phase: Phase) -> tuple[Path, ...]:
    """The files of the package that rows and kept files depend on, sorted.

    All that the phase's `rows` and `measure` and the roots of the runner import; not what reports,
    draws, schedules, tracks or names phases. Read from the source without running it: imports
    inside functions count, those under `if TYPE_CHECKING` do not; a package's __init__ counts with
    each of its modules, but for a phase's own, which says only where the phase stands.
    """
    parts = (f"{phase.module}.rows", f"{phase.module}.measure")
    return _closure((*parts, *ROOTS), frozenset((*OUTSIDE, phase.module)))


def telling_closure(phase: Phase) -> tuple[Path, ...]:
    """The files of the package that metrics, sentences and figures depend on, given rows, sorted.

    All that the phase's `rows`, `report` and `figures` and the root of the runner import, read as
    in `code_closure`. They are in no fingerprint: what they make is made again in seconds.
    """
    parts = (f"{phase.module}.{part}" for part in ("rows", "report", "figures"))
    return _closure((*parts, *TELLING_ROOTS), frozenset((*OUTSIDE, phase.module)))


def code_digest(phase: Phase) -> str:
    """SHA-256 over names and bytes of `code_closure`, 64 hexadecimal digits."""
    return _digest(code_closure(phase))


def telling_digest(phase: Phase) -> str:
    """SHA-256 over names and bytes of `telling_closure` and the libraries that numbers and pictures
    come from, 64 hexadecimal digits."""
    return _digest(telling_closure(phase), _tellers())


@lru_cache(maxsize=1)
def _tellers() -> tuple[str, ...]:
    """The versions of what tells and draws; an optional library may be absent."""
    found = []
    for name in TELLERS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} absent")
    return tuple(found)


def _digest(files: Iterable[Path], more: Iterable[str] = ()) -> str:
    total = hashlib.sha256("\n".join(more).encode())
    for path in files:
        total.update(f"{'/'.join(path.parts[-2:])} {_file_hash(path)}\n".encode())
    return total.hexdigest()


def _file_hash(path: Path) -> str:
    """Of a module of this package as it was when this process began, whatever is edited since:
    what is loaded is never newer in the record than it is."""
    return AS_LOADED.get(path) or sha256(path)


@lru_cache(maxsize=64)
def _closure(roots: tuple[str, ...], outside: frozenset[str]) -> tuple[Path, ...]:
    files: dict[str, Path] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        path = None if name in files else _module_file(name)
        if path is None:
            continue
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        if name not in outside:
            files[name] = path
            waiting.extend(_imports(name, path))
    return tuple(sorted(files.values()))


@lru_cache(maxsize=1024)
def _module_file(name: str) -> Path | None:
    """The source of a module without importing it; None when `name` is not a module."""
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None):
        return Path(str(loaded.__file__))
    parts = name.split(".")
    top = importlib.util.find_spec(parts[0])
    if top is None or top.origin is None:
        return None
    place = Path(top.origin)
    if len(parts) == 1:
        return place
    base = place.parent.joinpath(*parts[1:])
    options = (base / "__init__.py", base.with_name(base.name + ".py"))
    return next((path for path in options if path.is_file()), None)


def _imports(name: str, path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = []
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - (node.level - 1)]
            base = ".".join([*parents, *([node.module] if node.module else [])])
            module = base if node.level else node.module or ""
            found += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return [module for module in found if module.split(".")[0] == "mahals"]


def _executed(tree: ast.AST) -> list[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`."""
    nodes: list[ast.AST] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
        else:
            waiting.extend(ast.iter_child_nodes(node))
    return nodes


AS_LOADED = {path: sha256(path) for path in sorted(Path(__file__).parents[2].rglob("*.py"))}
