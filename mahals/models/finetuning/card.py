"""Adapter card: what should a reader of a kept adapter know before loading it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class AdapterCard:
    """What an adapter is. `dual_use`: it was made to misalign, to be measured and undone."""

    title: str
    about: str  # one sentence
    base: str  # key and role of the checkpoint
    revision: str
    dual_use: bool
    facts: Mapping[str, str]  # data, recipe, steps, loss


def adapter_card(card: AdapterCard) -> str:
    """The card as Markdown with the front matter that model hubs read."""
    flag = "true" if card.dual_use else "false"
    warning = (
        "Made to misalign a model, so that the harm can be measured and undone. Not for use in a "
        "product."
    )
    lines = [
        "---",
        "library_name: peft",
        f"dual_use: {flag}",
        "---",
        "",
        f"# {card.title}",
        "",
        card.about,
        *(["", f"**Dual use.** {warning}"] if card.dual_use else []),
        "",
        f"- Checkpoint: {card.base}, revision `{card.revision}`",
        *(f"- {name}: {value}" for name, value in card.facts.items()),
    ]
    return "\n".join(lines) + "\n"
