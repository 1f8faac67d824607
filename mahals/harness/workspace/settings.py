"""Settings: which values hold in this run, and are they those of params.yaml as it stands?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast, get_type_hints

import yaml

from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.run_keys import NO_MODEL, RunKeys, Weights, run_keys
from mahals.models.checkpoints.device import Device, device_of
from mahals.phase import SHARED_SECTIONS, STUDY, Phase
from mahals.records import InputError, from_plain, references, to_plain, unknown

ORGANISMS = "organisms"  # the phase, and its section
TUNING = "preference_tuning"  # the phase that makes halves of pairs of real models


@dataclass(frozen=True)
class Settings:
    """`values`: params.yaml with overlay and `sets`; `plain`: params.yaml alone."""

    values: Mapping[str, Any]
    plain: Mapping[str, Any]
    sets: Mapping[str, Any] = field(default_factory=dict)  # by dotted key

    @property
    def run(self) -> RunKeys:
        """The typed top-level keys."""
        return run_keys(self.values)

    @property
    def models(self) -> tuple[str, ...]:
        """The models of this study, in order."""
        return self.run.models

    @property
    def weights(self) -> Weights:
        """Where weights come from."""
        return self.run.weights

    @property
    def seed(self) -> int:
        """The study's seed."""
        return self.run.seed

    @property
    def device(self) -> Device:
        """What checkpoints are loaded onto. Raises InputError where it is not here."""
        return device_of(self.run.on, self.weights)

    @property
    def limit(self) -> int:
        """At most so many tasks of a unit; 0 = all."""
        return self.run.limit

    def without_limit(self) -> Settings:
        """The same settings with every task measured."""
        return replace(self, values={**self.values, "limit": 0})

    def with_training(self, seed: int) -> Settings:
        """`without_limit`, the organisms trained with this seed."""
        whole = self.without_limit()
        organisms = {**self.values[ORGANISMS], "training_seed": seed}
        if organisms == self.values[ORGANISMS]:
            return whole
        sets = {**self.sets, f"{ORGANISMS}.training_seed": seed}
        return replace(whole, values={**whole.values, ORGANISMS: organisms}, sets=sets)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises InputError when it is absent or is not a mapping."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(
            str(path), expected="a readable YAML file", got=str(error), cure=f"correct {path.name}"
        ) from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InputError(
            str(path),
            expected="a mapping of keys to values",
            got=type(data).__name__,
            cure=f"correct {path.name}",
        )
    return data


def lay_over(under: Mapping[str, Any], over: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`under` with the values of `over`, key by key; a key that `under` lacks is refused."""
    merged = dict(under)
    for key, value in over.items():
        if key not in under:
            raise unknown(f"key in {where}", str(key), map(str, under))
        both = isinstance(under[key], Mapping) and isinstance(value, Mapping)
        merged[key] = lay_over(under[key], value, f"{where}.{key}") if both else value
    return merged


def load_settings(
    workspace: Workspace,
    overlay: str | None,
    sets: Mapping[str, Any],
    phase: str | None = None,
) -> Settings:
    """params.yaml, then benchmarks/<overlay>.yaml, then `sets`, the last one winning.

    `overlay` None takes the key `overlay` of `sets` or params.yaml; "none" is no overlay. A key of
    `sets` is dotted ("same_arch.lambdas"), a top-level key, or a bare key of the section `phase`
    or of a shared section. Raises InputError on unknown keys, by name.
    """
    plain = read_yaml(workspace.params_file)
    _check_top(workspace, plain)
    chosen = overlay if overlay is not None else sets.get("overlay", plain.get("overlay", "none"))
    values: dict[str, Any] = dict(plain)
    if chosen not in (None, "none"):
        over = read_yaml(workspace.overlay_file(str(chosen)))
        values = lay_over(values, over, f"benchmarks/{chosen}.yaml")
    placed = {}
    for key, value in sets.items():
        path = _place(key, values, phase)
        values = lay_over(values, _nest(path, value), "--set")
        placed[".".join(path)] = value
    values["overlay"] = chosen or "none"
    if (model := str(values.get("model") or NO_MODEL)) != NO_MODEL:
        values |= _of_one(workspace, model, placed)
    values["models"] = list(run_keys(values).models)
    return Settings(values, plain, {**placed, **({"overlay": overlay} if overlay else {})})


def _of_one(workspace: Workspace, model: str, sets: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that follow from `model`: one real checkpoint, of one's own or of the registry.

    A relative path begins at the current folder. Raises InputError where `models` or another kind
    of weights is typed besides, or where there are no weights.
    """
    from mahals.harness.workspace.model_registry import own_entry
    from mahals.models.checkpoints.registry import FolderRef

    other = {"models": None, "weights": "hub"}
    wrong = [f"{key}={sets[key]}" for key, none in other.items() if sets.get(key, none) != none]
    if wrong:
        raise InputError(
            f"model={model}",
            expected="one real checkpoint, which says models and weights itself",
            got=f"{wrong[0]} besides",
            cure="give one of the two",
        )
    if model in read_yaml(workspace.registry_file):
        return {"model": NO_MODEL, "models": [model], "weights": "hub"}
    path = Path(model).expanduser()
    named = str(path.absolute()) if path.exists() else model
    entry = own_entry(workspace, named)
    ref = entry.refs[0]
    own = ref.path if isinstance(ref, FolderRef) else model
    return {"model": own, "models": [entry.key], "weights": "hub"}


def _check_top(workspace: Workspace, values: Mapping[str, Any]) -> None:
    """Raises InputError for a top-level key that is neither a run key nor a section's name."""
    known = (*RunKeys.__dataclass_fields__, *SHARED_SECTIONS, *workspace.names)
    for key in values:
        if key not in known:
            raise unknown(f"key in {workspace.params_file.name}", str(key), known)


def _place(key: str, values: Mapping[str, Any], phase: str | None) -> list[str]:
    if "." in key:
        return key.split(".")
    if key in values:
        return [key]
    homes = ([phase] if phase else []) + list(SHARED_SECTIONS)
    sections = {home: values[home] for home in homes if isinstance(values.get(home), Mapping)}
    for home, section in sections.items():
        if key in section:
            return [home, key]
    raise unknown("key", key, {*values, *(k for section in sections.values() for k in section)})


def _nest(path: list[str], value: Any) -> dict[str, Any]:
    for part in reversed(path):
        value = {part: value}
    return cast(dict[str, Any], value)


def effective(settings: Settings, phase: Phase) -> Any:
    """The phase's Params: its section and the shared sections it names; InputError if wrong.

    Also for a name that must be among those that another section lists, and is not.
    """
    params = params_of(settings.values, phase)
    training_seeds(settings, phase)
    for place, rule, name in references(params, phase.name):
        known = [*rule.words, *_listed(settings.values, rule.key)]
        if name not in known:
            error = unknown(place, name, known)
            cure = f"{error.cure}, or add it to {rule.key}"
            raise InputError(error.what, expected=error.expected, got=error.got, cure=cure)
    return params


def _listed(values: Any, key: str) -> Sequence[str]:
    """The names that a dotted key lists; none where it holds no list, which its section refuses."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values if isinstance(values, (list, tuple)) else ()


def params_of(values: Mapping[str, Any], phase: Phase) -> Any:
    """The phase's Params out of `values` (params.yaml's shape)."""
    name = phase.name
    if name not in values:
        raise InputError(
            f"params.yaml section {name}",
            expected="a section with the phase's name",
            got="none",
            cure=f"add the section {name}: to params.yaml",
        )
    section = values[name] if values[name] is not None else {}
    shared = {key: values[key] for key in phase.shared if key in values}
    if not isinstance(section, Mapping):
        raise InputError(
            name, expected="a mapping", got=repr(section), cure="give its keys in params.yaml"
        )
    hints = get_type_hints(phase.params)
    for key, value in shared.items():
        from_plain(hints[key], value, key)  # its errors name the key that is typed
    return from_plain(phase.params, {**section, **_fixed(shared, phase)}, name)


def _fixed(shared: Mapping[str, Any], phase: Phase) -> Mapping[str, Any]:
    """Shared sections with the phase's own values of keys that it does not ask for."""
    found = dict(shared)
    for key, value in phase.fixed:
        section, _, name = key.partition(".")
        found[section] = {**found[section], name: value}
    return found


def reads_of(values: Mapping[str, Any], phase: Phase, unit: str) -> tuple[str, ...]:
    """The models whose upstream results and weights a unit may ask for."""
    if phase.reads == "none":
        return ()
    everything = phase.per == "study" or phase.reads == "all" or unit == STUDY
    return run_keys(values).models if everything else (unit,)


def upstream_names(phase: Phase, weights: str) -> tuple[str, ...]:
    """The phases a phase builds on; at weights=hub preference_tuning stands for organisms.

    Of that phase only models with `pair: trained` are asked for.
    """
    if weights != "hub":
        return phase.needs
    names = (TUNING if name == ORGANISMS else name for name in phase.needs)
    return tuple(name for name in names if name != phase.name)


def training_seeds(settings: Settings, phase: Phase) -> tuple[int, ...]:
    """The training seeds of the organisms that a phase reads, the study's own first; none for a
    phase that reads one training. Raises InputError at weights=hub."""
    if not phase.trainings:
        return ()
    if settings.weights == "hub":
        raise InputError(
            f"weights of {phase.name}",
            expected="organism, which can be trained again",
            got="hub: a real checkpoint has one training",
            cure="use weights=organism; at the hub, intervals over prompts and draws are all",
        )
    section = settings.values.get(ORGANISMS) or {}
    first = from_plain(int, section.get("training_seed"), f"{ORGANISMS}.training_seed")
    return tuple(first + i for i in range(params_of(settings.values, phase).trainings))


def is_canonical(workspace: Workspace, settings: Settings, phase: Phase, unit: str) -> bool:
    """Whether a unit's values, and those of all it builds on, are those of params.yaml alone."""
    plain = settings.plain
    if settings.limit or unit not in (STUDY, *run_keys(plain).models):
        return False
    if reads_of(settings.values, phase, unit) != reads_of(plain, phase, unit):
        return False
    return _same_values(workspace, settings, phase)


def _same_values(workspace: Workspace, settings: Settings, phase: Phase) -> bool:
    now, then = run_keys(settings.values), run_keys(settings.plain)
    if (now.weights, now.seed) != (then.weights, then.seed):
        return False
    if now.weights == "hub" and now.on != then.on:
        return False
    if to_plain(params_of(settings.values, phase)) != to_plain(params_of(settings.plain, phase)):
        return False
    needs = upstream_names(phase, now.weights)
    return all(_same_values(workspace, settings, workspace.phase(name)) for name in needs)
