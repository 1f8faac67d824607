"""What does each command do, and what does it print?

One function per command, named as the command; heavy imports stay inside, so that help is quick.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from mahals.records import InputError

Keys = Mapping[str, Any]


def models(options: Namespace, keys: Keys) -> int:
    """Prints the registry as a table."""
    from mahals.cli.tables import model_table, trained_organisms
    from mahals.workspace import Workspace, all_results, load_registry

    workspace = Workspace.locate()
    trained = trained_organisms(all_results(workspace))
    print(model_table(load_registry(workspace).values(), trained))
    return 0


def manifests(options: Namespace, keys: Keys) -> int:
    """Writes the generated files, or with --check says what is stale or missing (exit code 1)."""
    from mahals.manifests import gaps, read_sources, stale, write
    from mahals.workspace import Workspace

    sources = read_sources(Workspace.locate())
    found = gaps(sources)
    if not options.check:
        print("\n".join([*(f"wrote {n}" for n in write(sources)), *found]) or "all up to date")
        return 1 if found else 0
    old = [f"{name} is not up to date: run `mahals manifests`" for name in stale(sources)]
    print("\n".join([*old, *found]) or "all up to date")
    return 1 if old or found else 0


def cache(options: Namespace, keys: Keys) -> int:
    """Prints the sizes of the folders under .mahals; with --prune empties them."""
    from mahals.cli.tables import cache_table, state_folders
    from mahals.workspace import Workspace
    from mahals.workspace.files import remove

    workspace = Workspace.locate()
    if options.prune:
        _refuse_while_running(workspace)
        for folder in state_folders(workspace):
            remove(folder)
    print(cache_table(workspace))
    return 0
