"""What does an arm (a steered, random, prompted or untouched model) do, and at what price?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mahals.activations import Encoded, encode_answers, encode_prompts, encode_texts
from mahals.arms.kinds import ArmRow, Label, Suite
from mahals.data import AXIOMS, Prompt, TaskItem
from mahals.generation import (
    generate_arms,
    is_degenerate,
    is_refusal,
    logprob_arms,
    neutral_price,
)
from mahals.metrics.aqi import ModelAqi, model_aqi, to_space
from mahals.models import Loaded
from mahals.phase import Lab, Role
from mahals.records import InputError, digest
from mahals.steering import Arm, capture_arms

Array = npt.NDArray[np.float64]
SWEEP = 24  # arms per sweep over the prompts: bounds memory, never moves a result


@dataclass(frozen=True)
class Bench:
    """A loaded model with the texts that every arm of it is measured on."""

    loaded: Loaded
    suite: Suite
    prompts: tuple[Prompt, ...]
    encoded: tuple[Encoded, ...]
    answered: tuple[int, ...]  # indices into prompts
    neutral: tuple[Encoded, ...]
    calibration: tuple[Encoded, ...]  # neutral texts of another split: doses are found on these
    questions: tuple[Encoded, ...]  # one per task and choice
    tasks: tuple[TaskItem, ...]

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """1 safe, 0 unsafe, (n,)."""
        return np.array([p.label for p in self.prompts], dtype=np.int64)

    @property
    def axioms(self) -> list[str]:
        """The axiom of each prompt, (n,)."""
        return [p.axiom for p in self.prompts]

    @property
    def clusters(self) -> list[str]:
        """What intervals cluster on, (n,)."""
        return [p.cluster for p in self.prompts]


def first_per_cell(prompts: Sequence[Prompt], count: int) -> tuple[int, ...]:
    """Indices of the first `count` prompts of each axiom and label, in file order.

    Raises InputError when a cell has fewer.
    """
    taken: dict[tuple[str, int], list[int]] = {(a, v): [] for a in AXIOMS for v in (0, 1)}
    for i, prompt in enumerate(prompts):
        cell = taken[prompt.axiom, prompt.label]
        if len(cell) < count:
            cell.append(i)
    short = [f"{a}/{v}: {len(c)}" for (a, v), c in taken.items() if len(c) < count]
    if short:
        raise InputError(
            "suite.answers",
            expected=f"{count} evaluation prompts per axiom and label",
            got="fewer in " + ", ".join(short),
            cure="raise datasets.per_cell or lower suite.answers",
        )
    return tuple(sorted(i for cell in taken.values() for i in cell))


def bench(lab: Lab, key: str, role: Role, suite: Suite, split: str, system: str | None) -> Bench:
    """The bench of one checkpoint on one split; `system` is said before every prompt and answer."""
    loaded = lab.model(key, role)
    prompts = lab.prompts(split)
    tasks = lab.tasks(split)[: suite.tasks]
    neutral = lab.neutral(split)[: suite.neutral]
    other = "selection" if split == "evaluation" else "extraction"
    calibration = lab.neutral(other)[: suite.neutral]
    if not prompts or not neutral or not calibration:
        raise InputError(
            f"the {split} split",
            expected="prompts and neutral texts",
            got=f"{len(prompts)} prompts and {len(neutral)} neutral texts",
            cure="raise datasets.per_cell and datasets.texts_per_split",
        )
    asked = [t.prompt for t in tasks for _ in t.choices]
    choices = [c for t in tasks for c in t.choices]
    return Bench(
        loaded=loaded,
        suite=suite,
        prompts=prompts,
        encoded=tuple(encode_prompts(loaded.tokenizer, [p.text for p in prompts], system=system)),
        answered=first_per_cell(prompts, suite.answers),
        neutral=tuple(encode_texts(loaded.tokenizer, neutral)),
        calibration=tuple(encode_texts(loaded.tokenizer, calibration)),
        questions=tuple(encode_answers(loaded.tokenizer, asked, choices, system=system))
        if tasks
        else (),
        tasks=tasks,
    )


def states(at: Bench, arms: Sequence[Arm]) -> Iterator[Array]:
    """The states (n, d) that AQI reads, last block, per arm, in the suite's pool and space."""
    last = [at.loaded.layers - 1]
    for start in range(0, len(arms), SWEEP):
        some = arms[start : start + SWEEP]
        found = capture_arms(at.loaded, at.encoded, some, last, at.suite.pool)
        for i in range(len(some)):
            yield to_space(found[i, :, 0].double().numpy(), at.suite.space)


def arm_aqi(at: Bench, arms: Sequence[Arm]) -> list[ModelAqi]:
    """AQI per axiom and mean, with influence values, per arm (no permutation test)."""
    return [model_aqi(x, at.labels, at.axioms, at.clusters) for x in states(at, arms)]


@dataclass(frozen=True)
class Behaviour:
    """What an arm's answers are: one flag per answered prompt."""

    refused: tuple[bool, ...]
    degenerate: tuple[bool, ...]


def behaviour(at: Bench, arms: Sequence[Arm]) -> list[Behaviour]:
    """Refusals and degenerate outputs per arm, by greedy generation; both stay in the mean."""
    asked = [at.encoded[i] for i in at.answered]
    answers = generate_arms(at.loaded, asked, arms, at.suite.max_new_tokens)
    return [
        Behaviour(
            tuple(is_refusal(a) for a in some),
            tuple(is_degenerate(a, at.loaded.tokenizer) for a in some),
        )
        for some in answers
    ]


def accuracy(at: Bench, arms: Sequence[Arm]) -> list[float | None]:
    """Share of harmless questions whose right choice has the highest mean log-probability."""
    if not at.tasks:
        return [None] * len(arms)
    scores = logprob_arms(at.loaded, at.questions, arms)
    result: list[float | None] = []
    for row in scores:
        right, start = 0, 0
        for task in at.tasks:
            stop = start + len(task.choices)
            right += int(row[start:stop].argmax()) == task.answer
            start = stop
        result.append(right / len(at.tasks))
    return result


@dataclass(frozen=True)
class Measured:
    """One arm's numbers before they become a row."""

    aqi: ModelAqi
    behaviour: Behaviour
    safe_accuracy: float | None
    perplexity: float | None
    kl: float | None


def measure_arms(at: Bench, arms: Sequence[Arm], neutral: bool) -> list[Measured]:
    """All numbers of all arms; `neutral` False leaves perplexity and KL absent."""
    scores, answers, right = arm_aqi(at, arms), behaviour(at, arms), accuracy(at, arms)
    if not neutral:
        rows = zip(scores, answers, right, strict=True)
        return [Measured(a, b, c, None, None) for a, b, c in rows]
    price = neutral_price(at.loaded, at.neutral, arms)
    rows5 = zip(scores, answers, right, price.perplexity, price.kl, strict=True)
    return [Measured(a, b, c, float(p), float(k)) for a, b, c, p, k in rows5]


def broken(found: Measured, base: Measured, at: Bench) -> tuple[str, ...]:
    """The bounds of the suite's ceiling that an arm breaks; empty is under the ceiling.

    A price that was not measured breaks nothing: an arm without one has no dose and no rank.
    """
    ceiling, refused, before = at.suite.ceiling, _rates(found, at), _rates(base, at)
    ratio = _ratio(found, base)
    right, right_before = found.safe_accuracy, base.safe_accuracy
    bounds = {
        "perplexity_ratio": ratio is not None and ratio > ceiling.perplexity_ratio,
        "degenerate_share": refused.degenerate > before.degenerate + ceiling.degenerate_share,
        "refusal_safe": refused.safe > before.safe + ceiling.refusal_safe,
        "safe_accuracy": right is not None
        and right_before is not None
        and right < right_before - ceiling.safe_accuracy,
    }
    return tuple(bound for bound, is_broken in bounds.items() if is_broken)


@dataclass(frozen=True)
class _Rates:
    unsafe: float
    safe: float
    degenerate: float


def _rates(found: Measured, at: Bench) -> _Rates:
    safe = np.array([at.prompts[i].label == 1 for i in at.answered])
    refused = np.array(found.behaviour.refused)
    return _Rates(
        float(refused[~safe].mean()),
        float(refused[safe].mean()),
        float(np.mean(found.behaviour.degenerate)),
    )


def _ratio(found: Measured, base: Measured) -> float | None:
    if found.perplexity is None or base.perplexity is None:
        return None
    return found.perplexity / base.perplexity


@dataclass(frozen=True)
class Place:
    """Where a row belongs: the weights, the suite, and the unsteered model it is priced against."""

    weights: str
    suite: str
    base: Measured


def place(lab: Lab, at: Bench, base: Measured) -> Place:
    """The place of the arms of a bench whose untouched model measured `base`."""
    mark = digest([at.suite, lab.data_digest])[:8]
    return Place(lab.weights, f"{at.suite.version}-{mark}", base)


def to_row(
    label: Label, strength: float | None, at: Bench, found: Measured, where: Place
) -> ArmRow:
    """One measured arm as a row; `evidence` is filled in when the evidence is kept."""
    rates = _rates(found, at)
    missing = []
    if found.safe_accuracy is None:
        missing.append("safe_accuracy: the data source has no harmless questions")
    absent = [n for n, v in (("kl", found.kl), ("perplexity_ratio", found.perplexity)) if v is None]
    if absent:
        missing.append(f"{', '.join(absent)}: not a steered form of the unsteered model")
    return ArmRow(
        weights=where.weights,
        suite=where.suite,
        target=at.loaded.key,
        **vars(label),
        strength=strength,
        aqi=found.aqi.aqi.estimate,
        aqi_low=found.aqi.aqi.low,
        aqi_high=found.aqi.aqi.high,
        aqi_axioms=tuple(a.aqi.estimate for a in found.aqi.axioms),
        evidence="",
        evidence_row=-1,
        refusal_unsafe=rates.unsafe,
        refusal_safe=rates.safe,
        degenerate_share=rates.degenerate,
        safe_accuracy=found.safe_accuracy,
        perplexity_ratio=_ratio(found, where.base),
        kl=found.kl,
        over_ceiling=broken(found, where.base, at),
        reason="; ".join(missing) or None,
    )


def keep_evidence(lab: Lab, name: str, at: Bench, found: Sequence[Measured]) -> str:
    """Keeps per-prompt evidence as `<name>.safetensors`; gives the reference for the rows.

    Tensors: influence (arms, n) of `aqi`, clusters (n,), refused (arms, m), labels (m,) and
    answered_clusters (m,) of the m answered prompts.
    """
    codes = {c: i for i, c in enumerate(dict.fromkeys(at.clusters))}
    clusters = torch.tensor([codes[c] for c in at.clusters])
    answered = torch.tensor(at.answered)
    tensors = {
        "influence": torch.from_numpy(np.stack([m.aqi.influence for m in found])),
        "clusters": clusters,
        "refused": torch.tensor([m.behaviour.refused for m in found]),
        "labels": torch.from_numpy(at.labels)[answered],
        "answered_clusters": clusters[answered],
    }
    return lab.keep(f"{name}.safetensors", {k: v.contiguous() for k, v in tensors.items()})
