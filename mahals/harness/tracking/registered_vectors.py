"""Registered vectors: which version is registered, which is the champion, and how does it load?"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mahals.harness.tracking.database import FINGERPRINT, Store, ensure_database, main_repository
from mahals.harness.tracking.model_versions import (
    NewVersion,
    adapter_content,
    adapter_params,
    create_version,
)
from mahals.harness.tracking.vector_files import (
    StoredVector,
    VectorConfig,
    check_fits,
    read_place,
    write_folder,
)
from mahals.records import InputError, digest
from mahals.schema import VectorCard

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from mahals.harness.workspace.results import Results
    from mahals.models.checkpoints.checkpoint import Loaded

CHAMPION = "champion"
CONTENT = "mahals.content"
TARGET, WEIGHTS = "mahals.target", "mahals.weights"
SCORE, CANONICAL = "selection_score", "canonical"
UNSAFE = re.compile(r"[^A-Za-z0-9_.=+ -]")


def registered_name(card: VectorCard, weights: str) -> str:
    """The registered model of a vector. Vectors of real checkpoints are apart from organisms'."""
    name = UNSAFE.sub("_", card.name)
    return name if weights == "organism" else f"{name}.{UNSAFE.sub('_', weights)}"


def register_vectors(item: Results, store: Store, run_id: str) -> tuple[str, ...]:
    """A version for each vector that a unit made, unless one with the same content is there.

    Then the alias `champion` goes to the best of each target. Gives the names of the models.
    """
    facts, names = item.run(), []
    cards = [card for card in item.summary().vectors if _own(item, card)]
    for card in cards:
        names.append(_register(item, card, store, run_id))
    for target in sorted({card.target for card in cards}):
        choose_champion(store, target, str(facts["weights"]))
    return tuple(names)


def _own(item: Results, card: VectorCard) -> bool:
    """A gather repeats the cards of its units: only the unit that kept a vector registers it."""
    return card.reference.partition("/")[0] == item.unit


def _register(item: Results, card: VectorCard, store: Store, run_id: str) -> str:
    """A card whose reference is a folder is an adapter's; any other is a vector's."""
    from mahals.harness.workspace.artifacts import KeptFiles

    weights = str(item.run()["weights"])
    name = registered_name(card, weights)
    source = KeptFiles(item.phase, {item.unit: item.kept()}).path(card.reference)
    tags = {FINGERPRINT: item.fingerprint, CANONICAL: str(item.is_canonical).lower()}
    if card.selection_score is not None:
        tags[SCORE] = repr(float(card.selection_score))
    if source.is_dir():
        new = _adapter_version(card, name, weights, run_id)
        _add(store, source, new, {**tags, CONTENT: adapter_content(source, name)})
        return name
    with tempfile.TemporaryDirectory() as place:
        config = write_folder(Path(place), source, card, weights)
        content = digest([name, config.sha256, config.revision])
        new = _vector_version(config, name, run_id)
        _add(store, Path(place), new, {**tags, CONTENT: content})
    return name


def _add(store: Store, folder: Path, new: NewVersion, tags: Mapping[str, str]) -> None:
    """The version, unless one with the same content is there, which then gets the newest tags."""
    known = {v.tags.get(CONTENT): v for v in _versions(store, new.name)}
    if tags[CONTENT] in known:
        _retag(store, known[tags[CONTENT]], tags)
    else:
        create_version(store, folder, replace(new, tags=tags))


def _vector_version(config: VectorConfig, name: str, run_id: str) -> NewVersion:
    params = {"method": config.method, "source": config.source, "target": config.target}
    params |= {"layers": str(config.layers), "width": str(config.width), "weights": config.weights}
    flags = {"dual_use": "True"} if config.metadata.get("dual_use") is True else {}
    return NewVersion(
        name=name,
        run=run_id,
        kind="steering vector",
        about=f"Steering vectors for {config.target} ({config.weights} weights), {config.method}.",
        description=f"{config.method} from {config.source}: {config.layers} x {config.width}",
        params=params,
        model_tags={
            TARGET: config.target,
            WEIGHTS: config.weights,
            "method": config.method,
            **flags,
        },
        tags={},
    )


def _adapter_version(card: VectorCard, name: str, weights: str, run_id: str) -> NewVersion:
    params = adapter_params(card, weights)
    flags = {"dual_use": params["dual_use"]} if "dual_use" in params else {}
    return NewVersion(
        name=name,
        run=run_id,
        kind="adapter",
        about=f"Adapters of {card.target} ({weights} weights), {card.method}.",
        description=", ".join(f"{k} {v}" for k, v in sorted(params.items())),
        params=params,
        model_tags={TARGET: card.target, WEIGHTS: weights, "method": card.method, **flags},
        tags={},
    )


def _retag(store: Store, version: ModelVersion, tags: Mapping[str, str]) -> None:
    """The same vector measured again: its newest score counts; once canonical, always."""
    for key, value in tags.items():
        stays = key == CANONICAL and version.tags.get(key) == "true"
        if not stays and version.tags.get(key) != value:
            store.client.set_model_version_tag(version.name, str(version.version), key, value)


def _versions(store: Store, name: str) -> list[ModelVersion]:
    found: list[ModelVersion] = []
    token: str | None = None
    while True:
        page = store.client.search_model_versions(f"name='{name}'", 1000, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def choose_champion(store: Store, target: str, weights: str) -> tuple[str, str] | None:
    """Gives the alias `champion` to the target's vector with the highest score on the selection
    split, and takes it from the others; canonical results go before all others. Gives (name,
    version), None when no vector of the target has a score."""
    condition = f"tags.`{TARGET}` = '{target}' and tags.`{WEIGHTS}` = '{weights}'"
    models = store.client.search_registered_models(condition, 1000)
    scored = [
        (
            version.tags.get(CANONICAL) == "true",
            float(version.tags[SCORE]),
            -int(version.version),
            version,
        )
        for model in models
        for version in _versions(store, model.name)
        if SCORE in version.tags
    ]
    best = max(scored, key=lambda row: row[:3])[3] if scored else None
    for model in models:
        holder = dict(model.aliases).get(CHAMPION)
        wanted = str(best.version) if best is not None and best.name == model.name else None
        if holder is not None and wanted is None:
            store.client.delete_registered_model_alias(model.name, CHAMPION)
        elif wanted is not None and str(holder) != wanted:
            store.client.set_registered_model_alias(model.name, CHAMPION, wanted)
    return (best.name, str(best.version)) if best is not None else None


def load_vector(
    place: str | Path, model: Loaded | None = None, root: Path | str | None = None
) -> StoredVector:
    """A steering vector, from `models:/<name>@<alias>`, `models:/<name>/<version>` or a path.

    A path is a vector's folder, or a bare safetensors file with a tensor `values` (layers,
    width). With `model`, layers, width and revision must be the model's. `root` is the
    repository whose registry is asked (default: the one around the current folder). Raises
    InputError when it is unknown, damaged or of another architecture.
    """
    text = str(place)
    vector = _from_registry(text, root) if text.startswith("models:/") else read_place(Path(place))
    if model is not None:
        check_fits(vector, model, text)
    return vector


def _from_registry(uri: str, root: Path | str | None) -> StoredVector:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    from mahals.harness.workspace.paths import Workspace

    home = main_repository(root) if root is not None else Workspace.locate().root
    store = ensure_database(home)
    try:
        version = _resolve(store, uri.removeprefix("models:/"))
        folder = download_artifacts(artifact_uri=version.source, tracking_uri=store.uri)
    except (MlflowException, OSError) as error:
        raise InputError(
            f"steering vector {uri}",
            expected=f"one of the registered vectors: {_known_names(store)}",
            got=str(error).splitlines()[0],
            cure="run `python -m mahals publish`, or correct the name",
        ) from error
    return read_place(Path(folder))


def _resolve(store: Store, text: str) -> ModelVersion:
    name, at, alias = text.partition("@")
    if at:
        return store.client.get_model_version_by_alias(name, alias)
    name, slash, version = text.rpartition("/")
    if not slash or not version.isdigit():
        raise InputError(
            f"steering vector models:/{text}",
            expected="models:/<name>@<alias> or models:/<name>/<version>",
            got=f"models:/{text}",
            cure=f"write models:/{text}@{CHAMPION}",
        )
    return store.client.get_model_version(name, version)


def _known_names(store: Store) -> str:
    models: Sequence[Any] = store.client.search_registered_models(max_results=1000)
    return ", ".join(sorted(model.name for model in models)) or "none yet"
