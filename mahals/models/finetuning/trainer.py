"""Trainer: how is a model tuned on answers or preferences, step by step, to the same bytes?"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.config import (
    Run,
    TrainingConfig,
    TrainingResult,
    check_config,
    examples_of_step,
    rate_at,
)
from mahals.models.finetuning.examples import IGNORED, Example, TrainingBatch, batch
from mahals.models.finetuning.lora import trainable, with_new_adapter
from mahals.models.finetuning.losses import dpo_loss, sums_by_answer, token_log_probs
from mahals.models.finetuning.resume import (
    TrainingState,
    checkpoint_at,
    load_state,
    save_checkpoint,
    save_state,
)
from mahals.records import InputError, digest, seed_of

CLIP = 1.0  # of the gradient's norm
Losses = Callable[[Any, Sequence[int]], Iterator[Tensor]]
"""(model, the examples of a step) -> the parts of the step's loss, which add up to it."""


def train_answers(
    loaded: Loaded, examples: Sequence[Example], config: TrainingConfig, run: Run
) -> TrainingResult:
    """Fine-tunes a copy of the checkpoint on the learned tokens of the examples.

    The loss of a step is the mean over all its learned tokens. The same arguments give the same
    bytes with as many threads, killed and taken up again or not: on one CPU, and with pinned
    kernels on every one. Raises InputError for no examples, for one over the model's context, for a
    recipe that cannot be followed, and as soon as a loss or a gradient is not a finite number.
    """
    check_config(config, run)
    _check_data(loaded, examples)

    def losses(model: Any, picked: Sequence[int]) -> Iterator[Tensor]:
        rows = [examples[i] for i in picked]
        learned = sum(sum(r.learned[1:]) for r in rows)
        for part in _parts(rows, config.micro):
            values, _ = learned_tokens(model, batch(part, loaded.device))
            yield -values.sum() / learned

    mark = digest([_identity(loaded, config, run), examples])
    start = trainable(loaded, quantize=config.quantize)
    return _Training(start, config, run, mark).run(losses, len(examples))


@dataclass(frozen=True)
class Preference:
    """The same request with the better and the worse answer, both as tokens."""

    chosen: Example
    rejected: Example


@dataclass(frozen=True)
class Dpo:
    """How preferences become a loss."""

    beta: float  # how far the policy may go from the reference: lower is farther
    chosen_weight: float  # times the mean token loss of the chosen answers, added


def train_preferences(
    loaded: Loaded, pairs: Sequence[Preference], dpo: Dpo, config: TrainingConfig, run: Run
) -> TrainingResult:
    """Fine-tunes a copy of the checkpoint by DPO (Rafailov et al. 2023), itself the reference.

    Of an SFT checkpoint this makes the other half of a pair SFT -> DPO. A step's loss is the mean
    over its pairs. Otherwise as `train_answers`.
    """
    check_config(config, run)
    _check_data(loaded, [e for p in pairs for e in (p.chosen, p.rejected)])
    start = trainable(loaded, quantize=config.quantize)
    with torch.no_grad():
        parts = [_sums(start.model, p, loaded) for p in _parts(pairs, config.micro)]
    reference = torch.cat(parts)

    def losses(model: Any, picked: Sequence[int]) -> Iterator[Tensor]:
        learned = sum(sum(pairs[i].chosen.learned[1:]) for i in picked)
        for part in _parts(picked, config.micro):
            own = _sums(model, [pairs[i] for i in part], loaded)
            found = dpo_loss(own.T, reference[list(part)].T, dpo.beta)
            said = dpo.chosen_weight * own[:, 0].sum() / learned
            yield found.losses.sum() / len(picked) - said

    mark = digest([_identity(loaded, config, run), dpo, pairs])
    return _Training(start, config, run, mark).run(losses, len(pairs))


def learned_tokens(model: Any, rows: TrainingBatch) -> tuple[Tensor, Tensor]:
    """Log-probability of each learned token (k,) and the row it stands in (k,), in row order."""
    counted = rows.targets != IGNORED
    logits = model(input_ids=rows.ids, use_cache=False).logits[counted].float()
    return token_log_probs(logits, rows.targets[counted]), counted.nonzero()[:, 0]


def _sums(model: Any, pairs: Sequence[Preference], loaded: Loaded) -> Tensor:
    """(n, 2) log-probabilities of the chosen and of the rejected answers."""
    rows = batch([e for p in pairs for e in (p.chosen, p.rejected)], loaded.device)
    values, owner = learned_tokens(model, rows)
    return sums_by_answer(values.cpu(), owner.cpu(), len(rows.ids)).view(-1, 2)


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]


def _identity(loaded: Loaded, config: TrainingConfig, run: Run) -> list[object]:
    """All that decides a training but its data."""
    return [loaded.key, loaded.role, loaded.revision, config, run.seed, sorted(run.save)]


def _check_data(loaded: Loaded, examples: Sequence[Example]) -> None:
    context = loaded.context
    none = [i for i, e in enumerate(examples) if not any(e.learned[1:])]
    long = [i for i, e in enumerate(examples) if context is not None and len(e.ids) > context]
    if not examples or none or long:
        got = f"example {none[0]} with none" if none else "no example"
        got = f"example {long[0]} of {len(examples[long[0]].ids)} tokens" if long else got
        raise InputError(
            "training data",
            expected=f"examples with a learned token, within the context of {loaded.key} "
            f"({context or 'no limit'})",
            got=got,
            cure="leave such examples out, or give others",
        )


class _Training:
    """One training from its start, or from where a killed one stood."""

    def __init__(self, start: Loaded, config: TrainingConfig, run: Run, mark: str) -> None:
        self._start, self._config, self._run, self._mark = start, config, run, mark
        if config.lora is None:
            self._model: Any = copy.deepcopy(start.model).requires_grad_(True)
        else:
            self._model = with_new_adapter(start, config.lora, run.seed)
        self._weights = [p for p in self._model.parameters() if p.requires_grad]
        # fused, its roots are exact on every CPU
        self._optimizer = torch.optim.AdamW(
            self._weights, lr=config.rate, weight_decay=0.0, fused=start.device.type == "cpu"
        )
        self._losses: list[float] = []
        state = load_state(run.folder, mark)
        if state is not None:
            self._go_on(state)

    def _go_on(self, state: TrainingState) -> None:
        self._losses = list(state.losses)
        with torch.no_grad():
            for own, found in zip(self._weights, state.weights, strict=True):
                own.copy_(found)
        self._optimizer.load_state_dict(state.optimizer)

    def run(self, losses: Losses, examples: int) -> TrainingResult:
        """All steps that are left; `examples` is how many there are to draw from."""
        config, run = self._config, self._run
        saved = {*run.save, config.steps}
        self._model.train()
        for step in range(len(self._losses) + 1, config.steps + 1):
            picked = examples_of_step(run.seed, step, config.rows, examples)
            with _drawn_from(seed_of("step", run.seed, step), self._start.device):
                parts = self._backward(losses(self._model, picked))
            self._step(step, parts)
            if step in saved:
                save_checkpoint(run.folder, step, self._model, self._start)
            if step % run.every == 0 or step == config.steps:
                self._save()
            run.report(f"{run.name}, loss {self._losses[-1]:.3f}", step, config.steps)
        self._model.eval()
        found = {s: checkpoint_at(run.folder, s) for s in sorted(saved)}
        return TrainingResult(found, tuple(self._losses))

    def _backward(self, parts: Iterator[Tensor]) -> float:
        total = 0.0
        for loss in parts:
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    def _step(self, step: int, loss: float) -> None:
        norm = float(torch.nn.utils.clip_grad_norm_(self._weights, CLIP))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise InputError(
                f"{self._run.name}, step {step}",
                expected="a finite loss and gradient",
                got=f"loss {loss}, gradient {norm}",
                cure="lower the rate, warm up longer, or use another dtype than float16",
            )
        for group in self._optimizer.param_groups:
            group["lr"] = rate_at(self._config, step)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._losses.append(loss)

    def _save(self) -> None:
        weights = [w.detach().cpu() for w in self._weights]
        state = TrainingState(self._losses, weights, self._optimizer.state_dict())
        save_state(self._run.folder, self._mark, state)


@contextmanager
def _drawn_from(seed: int, device: torch.device) -> Iterator[None]:
    """What the model draws inside (dropout) is decided by the seed; nothing outside is."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
