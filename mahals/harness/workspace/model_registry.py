"""Model registry: which models may be measured, and what is each?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import read_yaml
from mahals.records import InputError, from_plain, unknown

if TYPE_CHECKING:
    from mahals.models.checkpoints.registry import ModelEntry


def load_registry(workspace: Workspace) -> dict[str, ModelEntry]:
    """The entries of benchmarks/models.yaml by key, in file order.

    Raises InputError when an entry has unknown, missing or mistyped keys.
    """
    from mahals.models.checkpoints.registry import ModelEntry

    entries = {}
    for key, data in read_yaml(workspace.registry_file).items():
        where = f"benchmarks/models.yaml.{key}"
        if not isinstance(data, Mapping):
            raise InputError(where, expected="a mapping", got=repr(data), cure=f"correct {where}")
        entries[str(key)] = from_plain(ModelEntry, {"key": key, **data}, where)
    return entries


def check_models(models: Iterable[str], registry: Mapping[str, ModelEntry]) -> None:
    """Raises InputError for the first model that the registry lacks, naming the nearest one."""
    for key in models:
        if key not in registry:
            raise unknown("model", key, registry)


def check_architectures(models: Iterable[str], registry: Mapping[str, ModelEntry]) -> None:
    """Raises InputError for the first model whose hub checkpoints no run could measure.

    As far as the registry and the configs in the hub's cache tell; nothing is fetched.
    """
    from mahals.models.checkpoints.architectures import refuse_recurrent_hub

    for entry in map(registry.__getitem__, models):
        for ref in (entry.base, entry.aligned):
            if ref is not None:
                refuse_recurrent_hub(ref, entry.family)
