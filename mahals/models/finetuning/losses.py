"""Losses: how is a model taught by preferences or by answers, on which tokens?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class DpoLoss:
    """Loss of each pair, (n,), and the implied rewards beta * log(policy / reference), (n,)."""

    losses: Tensor
    chosen_rewards: Tensor
    rejected_rewards: Tensor

    @property
    def accuracy(self) -> Tensor:
        """Share of pairs whose chosen reward is the higher, in [0, 1], higher is better."""
        return (self.chosen_rewards > self.rejected_rewards).double().mean()


def token_log_probs(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of `targets` (any shape) under `logits` (that shape and a vocabulary)."""
    picked = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return picked - logits.logsumexp(-1)


def dpo_loss(policy: Tensor, reference: Tensor, beta: float) -> DpoLoss:
    """Direct preference optimisation, sigmoid form (Rafailov et al. 2023, equation 7).

    `policy` and `reference` are (2, n) answer log-probabilities, row 0 the chosen ones. Lower is
    better; log 2 where policy and reference agree.
    """
    rewards = beta * (policy - reference)
    losses = -functional.logsigmoid(rewards[0] - rewards[1])
    return DpoLoss(losses, rewards[0].detach(), rewards[1].detach())


def sums_by_answer(values: Tensor, owner: Tensor, answers: int) -> Tensor:
    """(answers,) sums of `values`, one a token, over the tokens of each `owner`."""
    return torch.zeros(answers, dtype=values.dtype).index_add(0, owner, values)
