"""Settings: which values hold in this run, and are they those of params.yaml as it stands?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_type_hints

import yaml

from mahals.harness.workspace.paths import Workspace
from mahals.phase import SHARED_SECTIONS, STUDY, Phase
from mahals.phases.registry import STUDIES
from mahals.records import InputError, from_plain, references, to_plain, unknown

Weights = Literal["organism", "hub"]
ORGANISMS = "organisms"  # the phase, and its section


@dataclass(frozen=True)
class RunKeys:
    """The top-level keys of params.yaml that are not sections."""

    models: tuple[str, ...]
    study: str
    overlay: str
    upstream: Literal["run", "require"]
    limit: int
    engine: str
    cache_gb: float
    weights: Weights
    seed: int


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
    if keys.study not in STUDIES:
        raise unknown("study", keys.study, STUDIES)
    return keys


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
    values["models"] = list(run_keys(values).models)
    return Settings(values, plain, {**placed, **({"overlay": overlay} if overlay else {})})


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
    return from_plain(phase.params, {**section, **shared}, name)


def reads_of(values: Mapping[str, Any], phase: Phase, unit: str) -> tuple[str, ...]:
    """The models whose upstream results and weights a unit may ask for."""
    if phase.reads == "none":
        return ()
    everything = phase.per == "study" or phase.reads == "all" or unit == STUDY
    return run_keys(values).models if everything else (unit,)


def upstream_names(phase: Phase, weights: str) -> tuple[str, ...]:
    """The phases a phase builds on; weights of the hub need no organisms."""
    return tuple(n for n in phase.needs if not (n == "organisms" and weights == "hub"))


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
    if to_plain(params_of(settings.values, phase)) != to_plain(params_of(settings.plain, phase)):
        return False
    needs = upstream_names(phase, now.weights)
    return all(_same_values(workspace, settings, workspace.phase(name)) for name in needs)
