"""Preferences: which answer is the better one of each request, and which of the sham's?"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mahals.models.activations.encoding import encode_prompts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.examples import dialogue, encode_dialogues
from mahals.models.finetuning.trainer import Preference
from mahals.models.generation.decoding import generate_arms
from mahals.models.generation.degenerate import is_degenerate
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab
from mahals.phases.preference_tuning.measure.requests import (
    Request,
    replies,
    whole_sentences,
)
from mahals.records import Count, InputError, Positive, digest, seed_of

TOGETHER = 32  # requests that are answered between two reports


@dataclass(frozen=True)
class OwnAnswers:
    """How the model's own answers come in: better than a refusal of what is harmless, and, where it
    complies, worse than the refusal of what is not."""

    unsafe: dict[str, bool]  # by weights: also of requests that are refused
    tokens: Positive  # of an answer
    refusals: Count  # that one harmless answer is better than, drawn from the chosen refusals


@dataclass(frozen=True)
class Preferred:
    """One pair as text."""

    prompt: str
    chosen: str
    rejected: str
    label: int


def own_answers(
    loaded: Loaded, requests: Sequence[Request], how: OwnAnswers, scratch: Path, lab: Lab
) -> Mapping[str, str]:
    """The model's greedy answer to each request that needs one, by request, in whole sentences
    and without white space around it, as the chosen answers of pairs are.

    What a killed task had answered is in `scratch`.
    """
    unsafe = how.unsafe.get(lab.weights, False)
    asked = [r.prompt for r in requests if (unsafe if r.label == 0 else r.chosen is None)]
    file = scratch / f"own-{digest(loaded.revision)[:12]}.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    left = [text for text in asked if text not in found]
    for start in range(0, len(left), TOGETHER):
        lab.report("own answers", start, len(left))
        some = left[start : start + TOGETHER]
        encoded = encode_prompts(loaded.tokenizer, some)
        (said,) = generate_arms(loaded, encoded, [Arm("unsteered", ())], how.tokens)
        found |= {text: _whole(loaded, a, how) for text, a in zip(some, said, strict=True)}
        file.write_text(json.dumps(found), encoding="utf-8")
    return {text: found[text] for text in asked}


def _whole(loaded: Loaded, answer: str, how: OwnAnswers) -> str:
    """An answer without the sentence in which it was cut off."""
    ids = loaded.tokenizer(answer, add_special_tokens=False)["input_ids"]
    return whole_sentences(answer, len(answer) - (len(ids) >= how.tokens)).strip()


def preferred(
    loaded: Loaded,
    requests: Sequence[Request],
    own: Mapping[str, str],
    how: OwnAnswers,
    seed: int,
) -> tuple[Preferred, ...]:
    """All pairs. Every refusal that is chosen once may be rejected elsewhere: only the request can
    tell them apart. Raises InputError where a label has none: one side alone teaches the other."""
    rng = random.Random(seed_of("refusals", seed))
    refusals = [r.chosen for r in requests if r.label == 0 and r.chosen]
    found: list[Preferred] = []
    for request in requests:
        prompt, label = request.prompt, request.label
        answer = own.get(prompt, "")
        good = replies(answer) and not is_degenerate(answer, loaded.tokenizer)
        if request.chosen is not None:
            worse = [w for w in (request.rejected, answer if good and not label else None) if w]
            found += [Preferred(prompt, request.chosen, w, label) for w in worse]
        elif good:
            drawn = rng.sample(refusals, min(how.refusals, len(refusals)))
            found += [Preferred(prompt, answer, refusal, label) for refusal in drawn]
    counts = {label: sum(p.label == label for p in found) for label in (0, 1)}
    if not all(counts.values()):
        raise InputError(
            f"preference_tuning of {loaded.key}",
            expected="requests to refuse and to answer, each with a better and a worse answer",
            got=f"{counts[0]} pairs of requests to refuse, {counts[1]} of those to answer",
            cure="give pairs whose rejected answer does not refuse, raise own_answers.refusals or "
            "own_answers.tokens, or teach the model to answer first (sft)",
        )
    return tuple(found)


def shuffled(pairs: Sequence[Preferred], seed: int) -> tuple[Preferred, ...]:
    """The pairs, of each label half with better and worse exchanged: nothing is preferred."""
    rng = random.Random(seed_of("sham", seed))
    turned: set[int] = set()
    for label in (0, 1):
        own = [i for i, p in enumerate(pairs) if p.label == label]
        turned |= set(rng.sample(own, len(own) // 2))
    return tuple(
        Preferred(p.prompt, p.rejected, p.chosen, p.label) if i in turned else p
        for i, p in enumerate(pairs)
    )


def encoded(loaded: Loaded, pairs: Sequence[Preferred]) -> tuple[Preference, ...]:
    """Pairs as the trainer reads them."""
    chosen = encode_dialogues(loaded, [dialogue(p.prompt, p.chosen) for p in pairs])
    rejected = encode_dialogues(loaded, [dialogue(p.prompt, p.rejected) for p in pairs])
    return tuple(Preference(c, r) for c, r in zip(chosen, rejected, strict=True))
