"""Registry entry: what does the registry say about a model?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

PairKind = Literal["pretrained->instruct", "sft->dpo", "instruct-only"]


@dataclass(frozen=True)
class HubRef:
    """A checkpoint on the model hub."""

    id: str  # organisation/name
    revision: str  # commit hash (pinned), branch or tag


@dataclass(frozen=True)
class ModelEntry:
    """One entry of benchmarks/models.yaml."""

    key: str
    family: str
    pair: PairKind  # of the hub checkpoints; an organism's is always sft->dpo
    base: HubRef | None  # None where no unaligned half is public
    aligned: HubRef
    gated: bool  # the hub asks for an accepted licence and a token
    licence: str
    layers: int  # decoder blocks of the hub checkpoint
    width: int  # of its residual stream
    organism: Mapping[str, Any]  # the shape of its organism (mahals.models.organisms.shapes)
    note: str
