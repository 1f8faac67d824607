"""Model registry: which models may be measured, and what is each?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.run_keys import NO_MODEL
from mahals.harness.workspace.settings import ORGANISMS, TUNING, read_yaml
from mahals.records import InputError, unknown

if TYPE_CHECKING:
    from mahals.models.checkpoints.places import Places
    from mahals.models.checkpoints.registry import ModelEntry


def load_registry(workspace: Workspace, model: str = NO_MODEL) -> dict[str, ModelEntry]:
    """The entries of benchmarks/models.yaml by key, in file order, then one for `model`.

    `model`, the run key: a checkpoint of one's own. What an entry does not state of family, layers
    and width is read from the checkpoint's config where that is here. Raises InputError when an
    entry has unknown, missing or mistyped keys.
    """
    from mahals.models.checkpoints.registry import entry_of

    places = places_of(workspace)
    entries = {}
    for key, data in read_yaml(workspace.registry_file).items():
        entry = entry_of(str(key), data, f"benchmarks/models.yaml.{key}")
        entries[str(key)] = _completed(entry, places, strict=False)
    if model != NO_MODEL:
        own = own_entry(workspace, model)
        entries[own.key] = _completed(own, places, strict=True)
    return entries


def places_of(workspace: Workspace) -> Places:
    """Where the project's checkpoints are looked for and kept."""
    from mahals.models.checkpoints.places import Places

    return Places(workspace.root, workspace.checkpoints, None)


def own_entry(workspace: Workspace, model: str) -> ModelEntry:
    """The entry of a folder, a GGUF file or a hub id.

    It is aligned where its tokenizer has a chat template, else base: a model has that template
    once it was tuned to answer. Raises InputError where there are no weights.
    """
    from mahals.models.checkpoints.hub import fetch_texts
    from mahals.models.checkpoints.own import is_tuned, key_of, own_checkpoint, typed_ref
    from mahals.models.checkpoints.registry import FolderRef, entry_of

    ref = typed_ref(model, workspace.root)
    here = own_checkpoint(workspace.root / ref.path) if isinstance(ref, FolderRef) else None
    tuned = is_tuned(here if here is not None else fetch_texts(ref))  # type: ignore[arg-type]
    key = key_of(ref)
    if key in read_yaml(workspace.registry_file):
        key = f"{key}_own"
    data = {**vars(ref), "role": "aligned" if tuned else "base", "note": "named by --model"}
    return entry_of(key, data, f"--model {model}")


def check_models(models: Iterable[str], registry: Mapping[str, ModelEntry]) -> None:
    """Raises InputError for the first model that the registry lacks, naming the nearest one."""
    for key in models:
        if key not in registry:
            raise unknown("model", key, registry)


def check_organisms(models: Iterable[str], registry: Mapping[str, ModelEntry]) -> None:
    """Raises InputError for the first model of which no organism can be trained."""
    for key in models:
        if registry[key].organism is None:
            having = [name for name, entry in registry.items() if entry.organism is not None]
            raise InputError(
                f"organism of {key}",
                expected="a model with an organism: " + ", ".join(having),
                got=f"{key}, a real checkpoint alone",
                cure="use weights=hub, or name another model",
            )


def trained_pairs(models: Iterable[str], registry: Mapping[str, ModelEntry]) -> tuple[str, ...]:
    """Those of the models whose other half preference_tuning makes, at weights=hub."""
    return tuple(m for m in models if m in registry and registry[m].pair == "trained")


def phases_of(
    study: Iterable[str],
    weights: str,
    models: Iterable[str],
    registry: Mapping[str, ModelEntry],
) -> tuple[str, ...]:
    """The phases of a study that have something to do.

    What makes checkpoints is `organisms`; at weights=hub it is preference_tuning, and that only
    where the pair of one of the models is trained here.
    """
    if weights != "hub":
        return tuple(study)
    trained = trained_pairs(models, registry)
    named = (TUNING if name == ORGANISMS else name for name in study)
    return tuple(dict.fromkeys(name for name in named if trained or name != TUNING))


def check_architectures(models: Iterable[str], registry: Mapping[str, ModelEntry]) -> None:
    """Raises InputError for the first model whose hub checkpoints no run could measure.

    As far as the registry and the configs in the hub's cache tell; nothing is fetched.
    """
    from mahals.models.checkpoints.architectures import refuse_recurrent_hub
    from mahals.models.checkpoints.registry import HubRef

    for entry in map(registry.__getitem__, models):
        for ref in entry.refs:
            if isinstance(ref, HubRef):
                refuse_recurrent_hub(ref, entry.family or "")


def check_places(
    models: Iterable[str], registry: Mapping[str, ModelEntry], workspace: Workspace
) -> None:
    """Raises InputError for the first real checkpoint that cannot be had, before anything runs.

    A branch of the hub is resolved to its commit, and a config fetched where the entry states no
    depth; weights are not fetched. A package under terms is fetched by `mahals models --get` alone.
    """
    from mahals.models.checkpoints.gguf import check_gguf
    from mahals.models.checkpoints.hub import fetch_texts, is_commit
    from mahals.models.checkpoints.own import own_checkpoint
    from mahals.models.checkpoints.registry import FolderRef, HubRef, PackageRef

    places = places_of(workspace)
    for entry in map(registry.__getitem__, models):
        for ref in entry.refs:
            if isinstance(ref, HubRef) and (entry.layers is None or not is_commit(ref.revision)):
                fetch_texts(ref)
            elif isinstance(ref, FolderRef):
                own = own_checkpoint(workspace.root / Path(ref.path).expanduser())
                if own.is_file() and places.local(ref) is None:
                    check_gguf(own)
            elif isinstance(ref, PackageRef) and entry.terms and places.local(ref) is None:
                raise terms_unread(entry)


def terms_unread(entry: ModelEntry) -> InputError:
    """The error for a checkpoint whose terms nobody has accepted here."""
    return InputError(
        f"licence of {entry.key}",
        expected=f"acceptance of {entry.licence} ({entry.terms})",
        got="none",
        cure=f"read them, then `mahals models --get {entry.key} --accept-licence`",
    )


def _completed(entry: ModelEntry, places: Places, *, strict: bool) -> ModelEntry:
    """The entry with what its checkpoint's config says, where it is here."""
    if None not in (entry.family, entry.layers, entry.width):
        return entry
    for ref in entry.refs:
        try:
            facts = places.facts(ref)
        except InputError:
            if strict:
                raise
            continue  # said when the model is measured
        if facts is not None:
            return replace(
                entry,
                family=entry.family or facts.family,
                layers=entry.layers or facts.layers,
                width=entry.width or facts.width,
            )
    return entry
