"""Run keys: what do the top-level keys of params.yaml that are no sections say?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mahals.models.checkpoints.device import DeviceKeys, DeviceMap, Quantize
from mahals.phases.registry import STUDIES
from mahals.records import InputError, from_plain, unknown

Weights = Literal["organism", "hub"]
NO_MODEL = "none"
"""Value of the key `model` when no checkpoint of one's own is named."""


@dataclass(frozen=True)
class RunKeys:
    """The top-level keys of params.yaml that are not sections."""

    models: tuple[str, ...]
    model: str
    study: str
    overlay: str
    upstream: Literal["run", "require"]
    limit: int
    engine: str
    cache_gb: float
    weights: Weights
    seed: int
    device: str
    dtype: Literal["auto", "float32", "bfloat16"]
    quantize: Quantize
    device_map: DeviceMap

    @property
    def on(self) -> DeviceKeys:
        """What is asked of the device. Raises InputError for a name that is none."""
        return DeviceKeys(self.device, self.dtype, self.quantize, self.device_map)


def run_keys(values: Mapping[str, Any]) -> RunKeys:
    """The top-level keys of `values`, checked. Raises InputError on a wrong or missing one."""
    named = {k: values[k] for k in RunKeys.__dataclass_fields__ if k in values}
    if isinstance(named.get("models"), str):
        named["models"] = [name.strip() for name in named["models"].split(",") if name.strip()]
    keys = from_plain(RunKeys, named, "params.yaml")
    if not keys.models or len(set(keys.models)) != len(keys.models):
        raise InputError(
            "models",
            expected="at least one model, none twice",
            got=", ".join(keys.models) or "none",
            cure="name models of benchmarks/models.yaml, as [A, B]",
        )
    if keys.limit < 0:
        raise InputError(
            "limit", expected="0 or more", got=str(keys.limit), cure="0 measures all tasks"
        )
    if not keys.cache_gb >= 0:
        raise InputError(
            "cache_gb", expected="0 or more", got=str(keys.cache_gb), cure="0 keeps nothing"
        )
    _ = keys.on  # refuses what is no device
    if keys.study not in STUDIES:
        raise unknown("study", keys.study, STUDIES)
    return keys
