"""Does the card say what an adapter is for, and not for?"""

from __future__ import annotations

from dataclasses import replace

from mahals.models.finetuning.card import AdapterCard, adapter_card


def test_the_card_says_what_it_is_for() -> None:
    card = AdapterCard("Worse", "Rejected answers.", "A/base", "r1", True, {"Steps": "20"})
    text = adapter_card(card)
    assert text.startswith("---\nlibrary_name: peft\ndual_use: true\n---\n")
    assert "Not for use" in text and "- Steps: 20" in text
    assert "dual_use: false" in adapter_card(replace(card, dual_use=False))
