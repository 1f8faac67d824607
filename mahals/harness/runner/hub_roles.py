"""Hub roles: which real checkpoint plays which part of a pair, and why is one not there?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mahals.phase import Role, Single
from mahals.records import InputError

if TYPE_CHECKING:
    from mahals.models.checkpoints.registry import ModelEntry, Ref


@dataclass(frozen=True)
class HubCheckpoint:
    """A checkpoint, and the adapters that are merged into it, in order."""

    ref: Ref
    adapters: tuple[str, ...]  # references of kept folders of preference_tuning


@dataclass(frozen=True)
class HubRoles:
    """What a model of the hub has. `rows`: those of preference_tuning; none for any other pair."""

    entry: ModelEntry
    rows: Sequence[Any]

    @property
    def single(self) -> Single | None:
        """Why there is but one checkpoint, and which half it is; None where there is a pair."""
        entry = self.entry
        if entry.pair == "trained":
            failed = next((r.reason for r in self.rows if r.checkpoint == "dpo" and not r.held), "")
            return Single("base", failed) if failed else None
        if entry.base is not None and entry.aligned is not None:
            return None
        role, other = ("aligned", "base") if entry.base is None else ("base", "aligned")
        note = f"; {entry.note.strip()}" if entry.note else ""
        reason = f"{entry.key} has no {other} checkpoint at weights=hub{note}"
        return Single("aligned" if role == "aligned" else "base", reason)

    def checkpoint(self, role: Role) -> HubCheckpoint:
        """What plays a role. Raises InputError where nothing does, with the reason."""
        single = self.single
        if self.entry.pair == "trained":
            found = self._trained(role, single)
        else:
            both = single is not None and single.role == "aligned" and role == "base"
            refs = {"base": self.entry.base, "aligned": self.entry.aligned}
            ref = self.entry.aligned if both else refs.get(role)
            found = None if ref is None else HubCheckpoint(ref, ())
        if found is None:
            raise self._absent(role, single)
        return found

    def _trained(self, role: Role, single: Single | None) -> HubCheckpoint | None:
        """The checkpoint the training began with, and what was trained on it."""
        ref = self.entry.base or self.entry.aligned
        adapters = {r.checkpoint: str(r.adapter) for r in self.rows if r.adapter is not None}
        first = (adapters["sft"],) if "sft" in adapters else ()
        own = {"pretrained": (), "base": first}
        if single is None:
            last = {"aligned": "dpo", "sham": "sham"}
            own |= {r: (*first, adapters[c]) for r, c in last.items() if c in adapters}
        return HubCheckpoint(ref, own[role]) if ref is not None and role in own else None

    def _absent(self, role: Role, single: Single | None) -> InputError:
        note = self.entry.note.strip()
        told = f"none at weights=hub; {note}" if note else "none at weights=hub"
        return InputError(
            f"{self.entry.key} ({role})",
            expected="a checkpoint of that role",
            got=told if single is None else single.reason,
            cure=f"name its place in benchmarks/models.yaml.{self.entry.key}, or another model",
        )
