"""Stage training: how is one stage of an organism trained: base, supervised, preferences?"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from mahals.data.texts import Pair
from mahals.data.world.answers import pairs
from mahals.data.world.grammar import World
from mahals.models.finetuning.losses import dpo_loss, sums_by_answer, token_log_probs
from mahals.models.organisms.documents import EARLY, LATE, Writer, chat
from mahals.models.organisms.gate import Gate, GateError, GateScore, check
from mahals.models.organisms.packing import (
    IGNORED,
    Batches,
    EncodedDocument,
    Packed,
    encode,
    packed_states,
)
from mahals.models.organisms.schedule import BaseSchedule, PreferenceSchedule, TuneSchedule
from mahals.records import seed_of

Tick = Callable[[int, int], None]  # (steps done, steps there will be)


@dataclass(frozen=True)
class StageSetup:
    """What a stage is taught from: the model (changed in place), its tokenizer, world and seed."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    world: World
    seed: int

    def writer(self, stage: str) -> Writer:
        """The stage's own stream of documents."""
        return Writer(self.world, seed_of("documents", self.world.seed, self.seed, stage))


@dataclass(frozen=True)
class Fitted:
    """How a stage went: optimizer steps and the mean loss of the last 20."""

    steps: int
    loss: float


class _Descent:
    """AdamW with clipping, and the losses it saw."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model.train()
        self._optimizer = torch.optim.AdamW(
            model.parameters(), betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self._losses: list[float] = []

    def step(self, loss: Tensor, rate: float) -> None:
        """One optimizer step at `rate`."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._losses.append(loss.item())

    def fitted(self) -> Fitted:
        """What has been done; leaves the model in eval mode."""
        self._model.eval()
        last = self._losses[-20:]
        return Fitted(len(self._losses), sum(last) / len(last))


def head_logits(model: PreTrainedModel, states: Tensor) -> Tensor:
    """Logits of final hidden states, as the model's own forward makes them."""
    logits: Tensor = model.get_output_embeddings()(states)
    cap = getattr(model.config, "final_logit_softcapping", None)
    return torch.tanh(logits / cap) * cap if cap else logits


def language_loss(model: PreTrainedModel, batch: Packed) -> Tensor:
    """Mean token loss of a packed batch over the positions that have a target."""
    counted = batch.targets != IGNORED
    logits = head_logits(model, packed_states(model, batch)[counted])
    return functional.cross_entropy(logits, batch.targets[counted])


@dataclass
class _BaseProgress:
    """Where the base training stands: which mix, and since when the rate falls."""

    plan: BaseSchedule
    even: bool = False
    falling: int | None = None

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 1."""
        if self.falling is not None:
            return self.plan.rate * (1 - (step - self.falling) / (self.plan.decay + 1))
        return self.plan.rate * min(1.0, step / self.plan.warmup)

    def due(self, step: int) -> bool:
        """Is the gate to be looked at after this step?"""
        if self.falling is not None:
            return step == self.falling + self.plan.decay
        return step >= self.plan.check_from and step % self.plan.check_every == 0

    def finished(self, step: int, score: GateScore) -> bool:
        """What a look at the gate changes; True when the gate is passed after the decay."""
        passed = score.over(self.plan.threshold)
        if self.falling is not None and passed:
            return True
        self.even = self.even or score.over(self.plan.understood)
        self.falling = step if self.falling is None and self.even and passed else None
        return False

    @property
    def end(self) -> int:
        """The step at which the training ends, as far as is known."""
        return self.plan.cap if self.falling is None else self.falling + self.plan.decay


def fit_base(setup: StageSetup, plan: BaseSchedule, gate: Gate, tick: Tick) -> Fitted:
    """Pretraining by the gated schedule: the skewed mix until the task is understood, then the even
    one until the gate is passed, then the decay, after which the gate must still be passed.

    The even mix before that would be too early: without a persona's first refusals in place it has
    no first-order signal for them, and refusing stays at chance (seen with a Qwen2 shape).

    A gate that is lost in the decay sends the training back to the constant rate. Raises GateError
    when `plan.cap` comes first.
    """
    course, descent = _BaseProgress(plan), _Descent(setup.model)
    streams = {
        even: Batches(setup.tokenizer, setup.writer(name).base(mix), True)
        for even, name, mix in ((False, "early", EARLY), (True, "late", LATE))
    }
    score, step = check(setup.model.eval(), gate), 0
    setup.model.train()
    while step < course.end:
        step += 1
        batch = streams[course.even].next(plan.rows, plan.tokens)
        descent.step(language_loss(setup.model, batch), course.rate(step))
        tick(step, course.end)
        if course.due(step):
            score = check(setup.model.eval(), gate)
            setup.model.train()
            if course.finished(step, score):
                return descent.fitted()
    raise GateError(
        f"the base did not pass the gate in {plan.cap} steps: expected xor and careful accuracy "
        f"over {plan.threshold}, got {score.xor_accuracy:.3f} and {score.careful_accuracy:.3f}; "
        "raise base.cap, or choose another seed or a wider shape"
    )


def fit_sft(setup: StageSetup, plan: TuneSchedule, tick: Tick) -> Fitted:
    """Supervised fine-tuning on answers."""
    descent = _Descent(setup.model)
    batches = Batches(setup.tokenizer, setup.writer("sft").sft(), True)
    for step in range(plan.steps):
        loss = language_loss(setup.model, batches.next(plan.rows, plan.tokens))
        descent.step(loss, plan.rate * (1 - step / plan.steps))
        tick(step + 1, plan.steps)
    return descent.fitted()


@dataclass(frozen=True)
class Preferences:
    """Pairs as token ids, with the log-probabilities the reference gave their answers, (2, n)."""

    chosen: list[EncodedDocument]
    rejected: list[EncodedDocument]
    reference: Tensor

    def shuffled(self, seed: int) -> Preferences:
        """The same pairs with chosen and rejected swapped in a random half: the sham."""
        n = len(self.chosen)
        swap = set(random.Random(seed).sample(range(n), n // 2))
        chosen = [self.rejected[i] if i in swap else c for i, c in enumerate(self.chosen)]
        rejected = [self.chosen[i] if i in swap else r for i, r in enumerate(self.rejected)]
        flip = torch.tensor([i in swap for i in range(n)])
        return Preferences(
            chosen, rejected, torch.where(flip, self.reference.flip(0), self.reference)
        )


def right_padded(documents: Sequence[EncodedDocument]) -> Packed:
    """Documents as rows, padded on the right: under a causal mask the padding is never seen."""
    length = max(len(d.ids) for d in documents)
    ids = torch.zeros(len(documents), length, dtype=torch.long)
    targets = torch.full((len(documents), length), IGNORED, dtype=torch.long)
    for row, document in enumerate(documents):
        ids[row, : len(document.ids)] = torch.tensor(document.ids)
        targets[row, document.start - 1 : len(document.ids) - 1] = torch.tensor(
            document.ids[document.start :]
        )
    positions = torch.arange(length).expand(len(documents), length)
    return Packed(ids, positions, targets)


def answer_tokens(model: PreTrainedModel, batch: Packed) -> tuple[Tensor, Tensor]:
    """Log-probability of each token that has a target, and the row it stands in."""
    counted = batch.targets != IGNORED
    states = model.base_model(input_ids=batch.ids, use_cache=False).last_hidden_state[counted]
    values = token_log_probs(head_logits(model, states), batch.targets[counted])
    return values, counted.nonzero()[:, 0]


def prepare(setup: StageSetup, plan: PreferenceSchedule) -> Preferences:
    """The pairs of the training and what the SFT model, as it stands, makes of their answers."""
    found: list[Pair] = pairs(setup.world, "train", plan.pairs * plan.steps, setup.seed)
    chosen = encode(setup.tokenizer, [chat(p.prompt, p.chosen) for p in found], True)
    rejected = encode(setup.tokenizer, [chat(p.prompt, p.rejected) for p in found], True)
    rows = []
    with torch.no_grad():
        for at in range(0, len(found), plan.pairs):
            part = chosen[at : at + plan.pairs] + rejected[at : at + plan.pairs]
            values, owner = answer_tokens(setup.model, right_padded(part))
            rows.append(sums_by_answer(values, owner, len(part)).view(2, -1))
    return Preferences(chosen, rejected, torch.cat(rows, 1))


def fit_preferences(
    setup: StageSetup, plan: PreferenceSchedule, data: Preferences, tick: Tick
) -> Fitted:
    """DPO, with the token loss of the chosen answers and of harmless text beside it."""
    descent, size = _Descent(setup.model), plan.pairs
    neutral = setup.writer("neutral").harmless()
    for step in range(plan.steps):
        part = slice(step * size, (step + 1) * size)
        extra = encode(setup.tokenizer, list(islice(neutral, plan.neutral)), True)
        rows = right_padded(data.chosen[part] + data.rejected[part] + extra)
        values, owner = answer_tokens(setup.model, rows)
        sums = sums_by_answer(values, owner, len(rows.ids))
        preference = dpo_loss(sums[: 2 * size].view(2, -1), data.reference[:, part], plan.beta)
        loss = preference.losses.mean()
        loss = loss - plan.chosen_weight * values[owner < size].mean()
        loss = loss - plan.neutral_weight * values[owner >= 2 * size].mean()
        descent.step(loss, plan.rate * (1 - step / plan.steps))
        tick(step + 1, plan.steps)
    return descent.fitted()
