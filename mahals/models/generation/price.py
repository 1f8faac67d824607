"""Price: what does steering do to the probabilities of next tokens?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mahals.models.activations.batching import Batch, for_each
from mahals.models.activations.budget import tokens_at
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.checkpoints.tail import Tail, vocabulary_tail
from mahals.models.steering.interventions import Arm, fits
from mahals.models.steering.replay import ReadArm, replays
from mahals.records import InputError

LOGITS_PER_BATCH = 1 << 26  # tokens x vocabulary that are held at once (256 MiB in float32)


@dataclass(frozen=True)
class NeutralPrice:
    """What each arm costs on neutral text; lower is better. All float64 on the CPU."""

    kl: Tensor  # (arms,) nats per token, mean over all real tokens of all texts
    perplexity: Tensor  # (arms,) exp of the mean -log p of each token but a text's first
    per_text_kl: Tensor  # (arms, n) nats per token of each text
    per_text_nats: Tensor  # (arms, n) sum of -log p over the tokens of each text but its first
    predicted: Tensor  # (n,) how many tokens these are


def neutral_price(
    loaded: Loaded,
    encoded: Sequence[Encoded],
    arms: Sequence[Arm],
) -> NeutralPrice:
    """KL(unsteered || arm) of next-token distributions, and perplexity, of every arm.

    An arm of strength 0 has KL exactly 0. Raises InputError for no texts, only one-token texts, a
    text beyond the context, an arm that does not fit, or probabilities that are not finite.
    """
    fits(loaded, arms)
    tail = vocabulary_tail(loaded.model)
    kl = torch.zeros(len(arms), len(encoded), dtype=torch.float64)
    loss = torch.zeros(len(arms), len(encoded), dtype=torch.float64)

    def read(batch: Batch) -> None:
        pricer = _pricer(_TokenSums(kl, loss), batch, tail, loaded.layers - 1)
        replays(loaded, batch, arms, loaded.layers - 1, pricer)

    for_each(loaded, encoded, read, budget=price_budget(loaded))
    tokens = torch.tensor([len(e.ids) for e in encoded], dtype=torch.float64)
    predicted = tokens - 1
    if predicted.sum() < 1:
        raise InputError(
            "neutral texts",
            expected="one of two tokens or more",
            got="none",
            cure="give longer texts",
        )
    found = NeutralPrice(
        kl=kl.sum(1) / tokens.sum(),
        perplexity=(loss.sum(1) / predicted.sum()).exp(),
        per_text_kl=kl / tokens[None],
        per_text_nats=loss,
        predicted=predicted,
    )
    _check(loaded, arms, found.perplexity)
    return found


def logprob_arms(
    loaded: Loaded,
    encoded: Sequence[Encoded],
    arms: Sequence[Arm],
) -> Tensor:
    """(arms, n) float64: mean log-probability per token of each text's own tokens, in nats.

    Each token given all before it; higher is likelier. Raises InputError as `neutral_price`, and
    for a text whose own tokens begin at its first, which nothing predicts.
    """
    fits(loaded, arms)
    if any(e.start < 1 for e in encoded):
        raise InputError(
            "text to score",
            expected="a token before its own tokens",
            got="none",
            cure="encode it with encode_answers",
        )
    tail, last = vocabulary_tail(loaded.model), loaded.layers - 1
    found = torch.zeros(len(arms), len(encoded), dtype=torch.float64)

    def read(batch: Batch) -> None:
        replays(loaded, batch, arms, last, _scorer(found, batch, tail, last))

    for_each(loaded, encoded, read, budget=price_budget(loaded))
    counts = torch.tensor([e.stop - e.start for e in encoded], dtype=torch.float64)
    _check(loaded, arms, found.sum(1))
    return found / counts[None]


def _scorer(found: Tensor, batch: Batch, tail: Tail, last: int) -> ReadArm:
    """Writes the sum of log p over each text's own tokens to `found` (arms, n)."""
    at, targets = batch.own[:, 1:], batch.ids[:, 1:][batch.own[:, 1:]]
    texts = torch.tensor(batch.rows)
    owner = at.nonzero()[:, 0].cpu()

    def read(arm: int | None, block: int, states: Tensor) -> None:
        if block == last:
            logs = tail(states.to(at.device)[:, :-1][at]).to(at.device).log_softmax(-1)
            said = logs.gather(-1, targets[:, None])[:, 0]
            sums = _by_text(said, owner, len(texts))
            found[slice(None) if arm is None else arm, texts] = sums

    return read


@dataclass(frozen=True)
class _TokenSums:
    """Sums over the tokens of each text, (arms, n)."""

    kl: Tensor
    loss: Tensor


def _pricer(sums: _TokenSums, batch: Batch, tail: Tail, last: int) -> ReadArm:
    """Writes one batch to the sums: the unsteered values to every arm, then each arm's own."""
    real = batch.mask.bool()
    row, place = real.nonzero(as_tuple=True)
    followed = (row[1:] == row[:-1]).nonzero()[:, 0]  # tokens with a next one in their text
    targets = batch.ids[row, place][followed + 1]
    texts, owner = torch.tensor(batch.rows), row.cpu()
    unsteered: list[tuple[Tensor, Tensor]] = []  # log p and p

    def read(arm: int | None, block: int, states: Tensor) -> None:
        if block != last:
            return
        logs = tail(states.to(real.device)[real]).to(real.device).log_softmax(-1)
        loss = -logs[followed].gather(-1, targets[:, None])[:, 0]
        which = slice(None) if arm is None else arm
        sums.loss[which, texts] = _by_text(loss, owner[followed.cpu()], len(texts))
        if arm is None:
            unsteered.append((logs, logs.exp()))
        else:
            known, p = unsteered[0]
            kl = torch.sub(known, logs, out=logs).mul_(p).sum(-1)
            sums.kl[arm, texts] = _by_text(kl, owner, len(texts))

    return read


def _by_text(values: Tensor, owner: Tensor, texts: int) -> Tensor:
    """(texts,) float64: the sum of each text's token values (m,)."""
    sums = torch.zeros(texts, dtype=torch.float64)
    return sums.index_add(0, owner, values.cpu().double())  # not every device has float64


def price_budget(loaded: Loaded) -> int:
    """The padded tokens of one batch whose logits are held."""
    vocabulary = int(loaded.model.get_output_embeddings().weight.shape[0])
    return max(1, min(tokens_at(loaded), LOGITS_PER_BATCH // vocabulary))


def _check(loaded: Loaded, arms: Sequence[Arm], values: Tensor) -> None:
    bad = (~torch.isfinite(values)).nonzero()[:, 0].tolist()
    if bad:
        raise InputError(
            f"arm {arms[bad[0]].name} on {loaded.key}",
            expected="finite next-token probabilities",
            got=str(values[bad[0]].item()),
            cure="lower its strength",
        )
