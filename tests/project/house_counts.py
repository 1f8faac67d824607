"""House counts: how large, how tangled and how repetitive is the package?

    python -m tests.project.house_counts [FOLDER]

FOLDER is a checkout, this one if none is given. Read from the source as text, so that two commits
can be held against each other: `git worktree add /elsewhere COMMIT` makes a second folder.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

TELLING = ("mahals.cli", "mahals.manifests", "mahals.tracking", "mahals.leaderboard")
NAMED_BY_DESIGN = {"Params", "Task", "Row"}  # once a phase


class House:
    """The modules of a checkout's package, parsed."""

    def __init__(self, root: Path) -> None:
        self.files = {
            name_of(path.relative_to(root)): path for path in (root / "mahals").rglob("*.py")
        }
        self.text = {name: path.read_text(encoding="utf-8") for name, path in self.files.items()}
        self.tree = {name: ast.parse(text) for name, text in self.text.items()}
        self.imports = {name: set(self._imports(name)) for name in self.files}

    def _imports(self, name: str) -> Iterator[str]:
        for node in executed(self.tree[name]):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def lines(self, names: Iterable[str]) -> int:
        """Lines of these modules."""
        return sum(self.text[name].count("\n") for name in names)

    def closure(self, roots: Iterable[str], outside: Iterable[str]) -> set[str]:
        """The modules that are imported from `roots` on, with their packages."""
        found, waiting, left = set[str](), list(roots), tuple(outside)
        while waiting:
            name = waiting.pop()
            if name in found or name not in self.files:
                continue
            waiting.append(name.rpartition(".")[0])
            if any(name == o or (o != "mahals" and name.startswith(f"{o}.")) for o in left):
                continue
            found.add(name)
            waiting += self.imports[name]
        return found

    def phases(self) -> list[str]:
        """The names of the phases, files or folders."""
        inside = {n.split(".")[2] for n in self.files if n.startswith("mahals.phases.")}
        return sorted(inside - {"registry"})

    def fingerprint(self, phase: str) -> set[str]:
        """The modules in a phase's fingerprint, by the roots of the layout that is there."""
        own = f"mahals.phases.{phase}"
        if f"{own}.measure" not in self.files:
            return self.closure((own, "mahals.runner", "mahals.workspace"), TELLING)
        roots = ("runner.lab", "runner.worker", "workspace.settings")
        parts = (f"{own}.rows", f"{own}.measure", *(f"mahals.harness.{root}" for root in roots))
        found = self.closure(parts, ("mahals", "mahals.phases.registry"))
        return found - {own}


def name_of(path: Path) -> str:
    """The dotted name of a module, given its path from the root."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        typed = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        waiting.extend(node.orelse if typed else ast.iter_child_nodes(node))  # type: ignore[attr-defined]


def top_level(root: Path) -> list[str]:
    """What `ls mahals` shows, without the face, the entry point and the marker of types."""
    quiet = {"__init__.py", "__main__.py", "__pycache__", "py.typed"}
    return sorted(p.name for p in (root / "mahals").iterdir() if p.name not in quiet)


def edges(house: House) -> set[tuple[str, str]]:
    """Which top folder or module imports which other."""
    top = {".".join(name.split(".")[:2]) for name in house.files} - {"mahals"}
    found = set()
    for name, imported in house.imports.items():
        source = ".".join(name.split(".")[:2])
        for other in imported:
            target = ".".join(other.split(".")[:2])
            if source in top and target in top and source != target:
                found.add((source, target))
    return found


def repeated_classes(house: House) -> dict[str, list[str]]:
    """Class names that stand in two modules or more, but what every phase defines."""
    where = defaultdict(list)
    for name, tree in house.tree.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                where[node.name].append(name)
    twice = {cls: sorted(names) for cls, names in where.items() if len(names) > 1}
    return {cls: names for cls, names in sorted(twice.items()) if cls not in NAMED_BY_DESIGN}


def functions(house: House) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every function with its module."""
    for name, tree in house.tree.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield name, node


def passing_rows_and_kept(house: House) -> list[str]:
    """Functions that take rows and kept files and hand them on, or load of them themselves."""
    found = []
    for name, node in functions(house):
        names = {a.arg for a in (*node.args.args, *node.args.kwonlyargs)}
        if "kept" in names and any(re.fullmatch(r"rows|row|real|grid|found", n) for n in names):
            found.append(f"{name}.{node.name}")
    return found


def report(root: Path) -> Iterator[str]:
    """The counts, a line each."""
    house = House(root)
    longest = max(house.files, key=lambda name: house.lines([name]))
    module, function = max(functions(house), key=lambda f: (f[1].end_lineno or 0) - f[1].lineno)
    size = (function.end_lineno or 0) - function.lineno + 1
    yield f"entries at top level: {len(top_level(root))}"
    yield f"import edges between them: {len(edges(house))}"
    for phase in house.phases():
        yield f"lines in the fingerprint of {phase}: {house.lines(house.fingerprint(phase))}"
    twice = repeated_classes(house)
    yield f"class names defined twice or more: {len(twice)} {' '.join(twice)}".rstrip()
    yield f"functions that take rows and kept: {len(passing_rows_and_kept(house))}"
    yield f"package lines: {house.lines(house.files)} in {len(house.files)} files"
    yield f"longest file: {house.lines([longest])} lines, {longest}"
    yield f"longest function: {size} lines, {module}.{function.name}"


if __name__ == "__main__":
    here = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2]
    print("\n".join(report(here)))
