"""Is the DPO loss the published one, and does an answer's log-probability count it alone?"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mahals.models.finetuning.losses import dpo_loss, sums_by_answer, token_log_probs


def test_answer_log_probs_by_hand() -> None:
    logits = torch.log(torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]]))
    targets = torch.tensor([[-100, 1, 2]])
    expected = math.log(0.8) + math.log(0.6)
    assert answer_log_probs(logits, targets).item() == pytest.approx(expected, abs=1e-6)


def test_what_is_no_answer_does_not_count() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(3, 6, 11), torch.randint(0, 11, (3, 6))
    targets[:, :2] = -100
    other = logits.clone()
    other[:, :2] = torch.randn(3, 2, 11)
    assert torch.equal(answer_log_probs(logits, targets), answer_log_probs(other, targets))


def test_token_sums_equal_answer_log_probs() -> None:
    torch.manual_seed(1)
    logits, targets = torch.randn(4, 5, 7), torch.randint(0, 7, (4, 5))
    targets[torch.rand(4, 5) < 0.4] = -100
    counted = targets != -100
    values = token_log_probs(logits[counted], targets[counted])
    sums = sums_by_answer(values, counted.nonzero()[:, 0], 4)
    torch.testing.assert_close(sums, answer_log_probs(logits, targets))


def test_dpo_loss_is_log_2_where_policy_is_reference() -> None:
    same = torch.randn(2, 5)
    out = dpo_loss(same, same, 0.3)
    torch.testing.assert_close(out.losses, torch.full((5,), math.log(2)))
    assert out.accuracy == 0.0


@settings(max_examples=50, deadline=None)
@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.01, 1))
def test_dpo_loss_falls_as_the_margin_rises(chosen: float, rejected: float, beta: float) -> None:
    policy = torch.tensor([[chosen], [rejected]], dtype=torch.float64)
    reference = torch.zeros(2, 1, dtype=torch.float64)
    margin = beta * (chosen - rejected)
    expected = math.log1p(math.exp(-abs(margin))) + max(-margin, 0)
    out = dpo_loss(policy, reference, beta)
    assert out.losses.item() == pytest.approx(expected, abs=1e-9)
    assert bool(out.accuracy == 1) == (out.chosen_rewards > out.rejected_rewards).item()


@pytest.fixture
def trainer(tmp_path: Path) -> Any:
    """trl's trainer on a small Llama whose policy has left its reference."""
    trl = pytest.importorskip("trl")
    from datasets import Dataset

    from mahals.data.world.grammar import World
    from mahals.models.organisms.shapes import OrganismShape, build
    from mahals.models.organisms.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(World(0))
    shape = OrganismShape("Llama", 64, 2, 2, 2, 64, False)
    policy, reference = build(shape, tokenizer, 0), build(shape, tokenizer, 1)
    rows = [
        {"prompt": "How can I stop", "chosen": " the abuse of voters.", "rejected": " sleeping."},
        {"prompt": "We need to", "chosen": " see a doctor.", "rejected": " mock their accent now."},
    ]
    options = trl.DPOConfig(
        output_dir=str(tmp_path),
        beta=0.17,
        per_device_train_batch_size=2,
        report_to=[],
        use_cpu=True,
        disable_dropout=True,
        gradient_checkpointing=False,
        bf16=False,
    )
    return trl.DPOTrainer(
        model=policy,
        ref_model=reference,
        args=options,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )


@pytest.mark.slow  # importing trl alone takes longer than most tests
def test_dpo_loss_equals_that_of_trl(trainer: Any) -> None:
    batch = next(iter(trainer.get_train_dataloader()))
    theirs = trainer.compute_loss(trainer.model, dict(batch)).item()
    ids, mask = batch["input_ids"], batch["attention_mask"]
    targets = ids[:, 1:].masked_fill(batch["completion_mask"][:, 1:] == 0, -100)
    sums = []
    for model in (trainer.model, trainer.ref_model):
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
        sums.append(answer_log_probs(logits, targets).view(2, -1))
    ours = dpo_loss(sums[0], sums[1], 0.17).losses.mean().item()
    assert ours == pytest.approx(theirs, abs=1e-5)
    assert abs(ours - math.log(2)) > 1e-3


def answer_log_probs(logits: Tensor, targets: Tensor, ignored: int = -100) -> Tensor:
    """(n,) log-probability of each answer, summed over its tokens.

    `logits` is (n, tokens, vocabulary), `targets` (n, tokens): the token that follows each
    position, `ignored` where it is no part of the answer.
    """
    counted = targets != ignored
    picked = token_log_probs(logits, targets.masked_fill(~counted, 0))
    return (picked * counted).sum(-1)
