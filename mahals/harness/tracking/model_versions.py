"""Model versions: how does a folder become one of a registered model, an adapter's among them?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mahals.harness.tracking.database import Store
from mahals.records import InputError, digest
from mahals.schema import VectorCard

ADAPTER = ("adapter_config.json", "adapter_model.safetensors")  # peft's own layout


@dataclass(frozen=True)
class NewVersion:
    """What is registered: the name, the run that made it, and what it is."""

    name: str
    run: str
    kind: str  # steering vector or adapter
    about: str  # of the registered model
    description: str  # of the version
    params: Mapping[str, str]
    model_tags: Mapping[str, str]  # of the registered model
    tags: Mapping[str, str]  # of the version


def create_version(store: Store, folder: Path, new: NewVersion) -> None:
    """Logs the folder as a model of the run and registers it; the registered model is made once."""
    client = store.client
    experiment = client.get_run(new.run).info.experiment_id
    model = client.create_logged_model(
        experiment,
        name=new.name.replace(".", "-"),
        source_run_id=new.run,
        tags=dict(new.tags),
        params=dict(new.params),
        model_type=new.kind,
    )
    try:
        client.log_model_artifacts(model.model_id, str(folder))
        client.finalize_logged_model(model.model_id, "READY")
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise
    _ensure_registered(store, new)
    client.create_model_version(
        new.name,
        model.artifact_location,
        run_id=new.run,
        tags=dict(new.tags),
        description=new.description,
        model_id=model.model_id,
    )


def _ensure_registered(store: Store, new: NewVersion) -> None:
    from mlflow.exceptions import MlflowException

    try:
        store.client.create_registered_model(new.name, dict(new.model_tags), new.about)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def adapter_content(folder: Path, name: str) -> str:
    """A hash of an adapter's weights and config. Raises InputError for a folder without these."""
    missing = [file for file in ADAPTER if not (folder / file).is_file()]
    if missing:
        raise InputError(
            f"adapter {name}",
            expected="a folder with " + " and ".join(ADAPTER),
            got="no " + " and no ".join(missing),
            cure="run the phase that made it again",
        )
    return digest([name, *(sha256((folder / file).read_bytes()).hexdigest() for file in ADAPTER)])


def adapter_params(card: VectorCard, weights: str) -> dict[str, str]:
    """What MLflow shows of an adapter: flat facts of its card."""
    flat = {k: str(v) for k, v in card.metadata.items() if isinstance(v, (str, int, float))}
    return {**flat, "method": card.method, "target": card.target, "weights": weights}
