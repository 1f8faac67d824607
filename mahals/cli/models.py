"""Command `models`: which models are there, and how does one come to this machine?"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mahals.records import InputError

if TYPE_CHECKING:
    from mahals.harness.workspace.paths import Workspace
    from mahals.models.checkpoints.registry import ModelEntry

Keys = Mapping[str, Any]


def models(options: Namespace, keys: Keys) -> int:
    """Prints the registry as a table; with --get KEY fetches that model's checkpoints."""
    from mahals.cli.tables import model_table, trained_organisms
    from mahals.harness.workspace.model_registry import check_models, load_registry, places_of
    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.results import all_results

    workspace = Workspace.locate()
    registry = load_registry(workspace)
    if options.get is not None:
        check_models([options.get], registry)
        _get(workspace, registry[options.get], options.accept_licence)
        return 0
    if options.accept_licence:
        cure = "add --get KEY"
        raise InputError("--accept-licence", expected="a model to get", got="none", cure=cure)
    trained = trained_organisms(all_results(workspace))
    print(model_table(registry.values(), trained, places_of(workspace)))
    return 0


def _get(workspace: Workspace, entry: ModelEntry, accepted: bool) -> None:
    """Fetches what is not here; says the licence before, and after where it lies.

    Raises InputError where terms are not accepted, or a checkpoint cannot be had.
    """
    from mahals.harness.workspace.model_registry import places_of, terms_unread

    places = places_of(workspace)
    asks = f" ({entry.terms})" if entry.terms else ""
    print(f"{entry.key}: licence {entry.licence}{asks}", flush=True)
    if entry.terms and not accepted and any(places.local(ref) is None for ref in entry.refs):
        raise terms_unread(entry)
    for role, ref in (("base", entry.base), ("aligned", entry.aligned)):
        if ref is None:
            continue
        print(f"{role}: {places.said(ref)} ...", flush=True)
        found = places.place(ref)
        weights = places.weights(ref)
        said = f"; {weights}" if weights else ""
        print(f"{role}: {found.folder}, revision {found.revision[:12]}{said}")
