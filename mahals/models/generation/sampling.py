"""Sampling: what does a model write by chance, each answer by a seed of its own?

The chance of a row at a step is a hash of its seed and the step: no answer depends on the others in
its batch, which is left padded.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerBase

from mahals.models.activations.batching import check_lengths, grouped, model_inputs, pad, takes
from mahals.models.activations.budget import halving, tokens_in_flight
from mahals.models.activations.capture import check_finite
from mahals.models.activations.encoding import Encoded, encode_answers, encode_prompts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.decoding import PADDING, stop_ids
from mahals.models.saes.steering import Hold
from mahals.models.steering.holding import held
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, fits
from mahals.models.steering.scope import TokenPlaces, places
from mahals.records import InputError, seed_of
from mahals.usage import note_budget


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. Raises InputError for numbers that choose none."""

    temperature: float  # 0: the most likely token each time
    repetition_penalty: float  # above 1: tokens that the answer has become less likely; 1: none
    max_new_tokens: int

    def __post_init__(self) -> None:
        penalty, most = self.repetition_penalty, self.max_new_tokens
        if not (0 <= self.temperature < math.inf and 0 < penalty < math.inf and most >= 1):
            expected = "temperature >= 0, repetition_penalty > 0 and max_new_tokens >= 1"
            raise InputError("sampling", expected=expected, got=str(self), cure="change it")


@dataclass(frozen=True, eq=False)
class Draft:
    """An answer that is to be written."""

    encoded: Encoded  # of `encode_prompts` or `encode_openings`
    arm: Arm
    holds: tuple[Hold, ...]  # at all tokens
    steered_tokens: int | None  # the arm acts on what is given and so many tokens more; None: all
    seed: int


@dataclass(frozen=True)
class Continuation:
    """What a model wrote after what was given, without the end token."""

    text: str
    tokens: int


def encode_openings(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    prefixes: Sequence[str],
    system: str | None = None,
) -> list[Encoded]:
    """Each prompt and the beginning of its answer, tokenized as one text; own: the beginning.

    As `encode_answers` has it; with an empty beginning as `encode_prompts`. InputError as these.
    """
    return [
        encode_answers(tokenizer, [prompt], [prefix], system=system)[0]
        if prefix
        else encode_prompts(tokenizer, [prompt], system=system)[0]
        for prompt, prefix in zip(prompts, prefixes, strict=True)
    ]


def sample(loaded: Loaded, drafts: Sequence[Draft], sampling: Sampling) -> list[Continuation]:
    """What the model writes to each draft, in order; the same whatever drafts come together.

    At temperature 0, without penalty and holds, the tokens of `generate_arms`. Raises InputError
    for no drafts, a length beyond the context, an arm or a hold that does not fit, or, above
    temperature 0, logits that are not finite.
    """
    check_lengths(loaded, [d.encoded for d in drafts], sampling.max_new_tokens)
    fits(loaded, [d.arm for d in drafts])
    lengths = [len(d.encoded.ids) + sampling.max_new_tokens for d in drafts]
    budget = tokens_in_flight(loaded)
    note_budget(budget)
    found: dict[int, Continuation] = {}
    groups = grouped(lengths, budget, PADDING)
    written = halving(loaded, groups, lambda g: _write(loaded, [drafts[i] for i in g], sampling))
    for group, answers in written:
        for i, ids in zip(group, answers, strict=True):
            given = len(drafts[i].encoded.ids) - drafts[i].encoded.prompt
            found[i] = _continuation(loaded, ids, given)
    return [found[i] for i in range(len(drafts))]


def _write(loaded: Loaded, drafts: Sequence[Draft], sampling: Sampling) -> list[list[int]]:
    """The tokens of each answer of a batch, its beginning and end token included."""
    batch = pad(loaded, [d.encoded for d in drafts], range(len(drafts)), "left")
    inputs, cache = model_inputs(loaded, batch), DynamicCache(config=loaded.model.config)
    last = {"logits_to_keep": 1} if takes(loaded, "logits_to_keep") else {}
    stops, rows = stop_ids(loaded), list(range(len(drafts)))
    limits = [math.inf if d.steered_tokens is None else d.steered_tokens for d in drafts]
    answers = [list(d.encoded.ids[d.encoded.prompt :]) for d in drafts]
    with (
        torch.inference_mode(),
        held(loaded.model, [d.holds for d in drafts]) as holding,
        steered(loaded.model, [*(d.arm for d in drafts), Arm("unsteered", ())], rows) as steering,
    ):
        at, mask = places(batch), batch.mask
        for step in range(1, sampling.max_new_tokens + 1):
            steering.places = at
            out = loaded.model(**inputs, **last, cache=cache, use_cache=True).logits
            logits = out[:, -1].float()
            _penalize(logits, [answers[d] for d in rows], sampling.repetition_penalty)
            seeds = [seed_of(drafts[d].seed, step) for d in rows]
            newest = _tokens(loaded, logits, sampling.temperature, seeds)
            for d, token in zip(rows, newest[:, 0].tolist(), strict=True):
                answers[d].append(token)
            going = [r for r, d in enumerate(rows) if answers[d][-1] not in stops]
            if step == sampling.max_new_tokens or not going:
                break
            if len(going) < len(rows):
                rows = [rows[r] for r in going]
                cache.batch_select_indices(torch.tensor(going))
                holding.select(rows)
            mask = torch.cat([mask[going], torch.ones_like(newest[going])], dim=1)
            at = TokenPlaces(at.positions[going, -1:] + 1, at.prompts[going])
            inputs = {"input_ids": newest[going], "attention_mask": mask}
            inputs |= {"position_ids": at.positions} if takes(loaded, "position_ids") else {}
            acting = tuple(d if step <= limits[d] else len(drafts) for d in rows)
            if acting != steering.rows:
                steering.select(acting)
    return answers


def _penalize(logits: Tensor, answers: Sequence[list[int]], by: float) -> None:
    """Divides positive logits of tokens that an answer has, multiplies others (1909.05858)."""
    for row, ids in zip(logits, answers, strict=True):
        if ids and by != 1:
            row[ids] = torch.where(row[ids] < 0, row[ids] * by, row[ids] / by)


def _tokens(loaded: Loaded, logits: Tensor, temperature: float, seeds: Sequence[int]) -> Tensor:
    """(rows, 1): where the sum of probabilities, in float64, first exceeds the row's chance."""
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    at = torch.device("cpu") if logits.device.type == "mps" else logits.device  # has no float64
    below = (logits.to(at).double() / temperature).softmax(-1).cumsum(-1)
    whole = below[:, -1:]
    check_finite(whole, loaded)
    chances = [(seed >> 10) / 2**53 for seed in seeds]  # in [0, 1)
    levels = whole * torch.tensor(chances, dtype=torch.float64, device=at)[:, None]
    return torch.searchsorted(below, levels, right=True).to(logits.device)


def _continuation(loaded: Loaded, ids: Sequence[int], given: int) -> Continuation:
    """What comes after the first `given` tokens: read alone, some lose their first space."""
    own = list(ids[:-1] if ids[-1] in stop_ids(loaded) else ids)
    texts = [loaded.tokenizer.decode(x, skip_special_tokens=False) for x in (own[:given], own)]
    return Continuation(str(texts[1])[len(texts[0]) :], len(own) - given)
