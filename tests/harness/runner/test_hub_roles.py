"""Hub roles: does each part of a pair have its checkpoint, or the reason why there is none?"""

from __future__ import annotations

from dataclasses import replace

from mahals.harness.runner.hub_roles import HubRoles
from mahals.models.checkpoints.registry import HubRef, ModelEntry
from mahals.phases.preference_tuning.rows import Checkpoint, Row
from tests.support.tiny_lab import refused

ENTRY = ModelEntry(
    "A",
    "Llama",
    "trained",
    HubRef("x/A", "1"),
    None,
    False,
    "none",
    "",
    4,
    32,
    None,
    "made here",
    "",
)


def row(checkpoint: Checkpoint, held: bool | None = None, reason: str | None = None) -> Row:
    """A row of preference_tuning, whose figures do not matter here."""
    return Row(
        model="A",
        weights="hub",
        checkpoint=checkpoint,
        start=None if checkpoint == "before" else "before",
        revision="1",
        adapter=None if checkpoint == "before" else f"A/{checkpoint}",
        examples=8,
        share=None if checkpoint == "before" else 1.0,
        losses=(),
        unsafe=20,
        safe=20,
        judge="rules",
        refusal_unsafe=0.5,
        refusal_safe=0.0,
        gap=0.5,
        gap_low=0.4,
        gap_high=0.6,
        rise=None,
        rise_low=None,
        rise_high=None,
        degenerate_share=0.0,
        perplexity=20.0,
        perplexity_ratio=None,
        perplexity_ratio_low=None,
        answers=f"A/{checkpoint}.answers.jsonl",
        held=held,
        reason=reason,
    )


def test_a_half_that_fails_is_absent_with_its_figures() -> None:
    failed = [row("before"), row("dpo", False, "its gap rose by +0.01"), row("sham")]
    roles = HubRoles(ENTRY, failed)
    assert roles.single is not None
    assert (roles.single.role, roles.single.reason) == ("base", "its gap rose by +0.01")
    assert roles.checkpoint("base").adapters == ()
    for role in ("aligned", "sham"):
        assert "its gap rose by +0.01" in str(refused(lambda r=role: roles.checkpoint(r)))


def test_a_half_that_passes_is_the_start_and_its_adapters() -> None:
    passed = [row("before"), row("dpo", True), row("sham")]
    for more, first in (([], ()), ([row("sft")], ("A/sft",))):
        roles = HubRoles(ENTRY, [*passed, *more])
        assert roles.single is None
        assert roles.checkpoint("pretrained").adapters == ()
        assert roles.checkpoint("base").adapters == first
        assert roles.checkpoint("aligned").adapters == (*first, "A/dpo")
        assert roles.checkpoint("sham").adapters == (*first, "A/sham")


def test_a_model_with_one_checkpoint_says_why_and_gives_it_for_both() -> None:
    only = replace(ENTRY, pair="instruct-only", base=None, aligned=HubRef("x/A", "2"))
    roles = HubRoles(only, ())
    assert roles.single is not None and roles.single.role == "aligned"
    assert "A has no base checkpoint" in roles.single.reason
    assert roles.checkpoint("base") == roles.checkpoint("aligned")
    assert "no base checkpoint" in str(refused(lambda: roles.checkpoint("sham")))
