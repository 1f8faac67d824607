"""Measure of preference_tuning: does training on real pairs make an aligned half, or none?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mahals.data.texts import Pair
from mahals.evaluation.suite import Suite
from mahals.models.finetuning.config import Lora
from mahals.phase import Lab, Role
from mahals.phases.preference_tuning.measure.gate import (
    Examined,
    GateRule,
    examined,
    gate_bench,
    keep_gate_answers,
    kept_share,
    tried_texts,
    verdict,
)
from mahals.phases.preference_tuning.measure.preferences import (
    OwnAnswers,
    own_answers,
    preferred,
    shuffled,
)
from mahals.phases.preference_tuning.measure.requests import (
    Requests,
    divided,
    replies,
    untouched_pairs,
)
from mahals.phases.preference_tuning.measure.training import (
    AnswerTuning,
    PreferenceTuning,
    Trained,
    TrainingPlace,
    Wanted,
    is_taught_answers,
    teach_answers,
    teach_preferences,
)
from mahals.phases.preference_tuning.rows import Row
from mahals.records import InputError, seed_of

START: Mapping[str, Role] = {"organism": "base", "hub": "pretrained"}
"""What the training begins with, by weights: the checkpoint before any training here."""


@dataclass(frozen=True)
class Params:
    """What is taught, how, and what the result must show."""

    requests: Requests
    own_answers: OwnAnswers
    sft: AnswerTuning
    dpo: PreferenceTuning
    lora: Lora
    gate: GateRule
    suite: Suite


@dataclass(frozen=True)
class Task:
    """One model: its trainings follow one another."""

    models: tuple[str, ...]


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task. Raises InputError for weights without a rate, and a pair that is not trained."""
    if lab.weights not in params.dpo.rate:
        raise InputError(
            "preference_tuning.dpo.rate",
            expected=f"a rate for weights={lab.weights}",
            got=", ".join(params.dpo.rate) or "none",
            cure=f"add {lab.weights}: 0.001",
        )
    if not 0 < params.requests.gate < 1:
        raise InputError(
            "preference_tuning.requests.gate",
            expected="a share between 0 and 1",
            got=f"{params.requests.gate:g}",
            cure="for example 0.25",
        )
    if lab.weights == "hub" and lab.entry(lab.unit).pair != "trained":
        raise InputError(
            f"preference_tuning of {lab.unit}",
            expected="a model with `pair: trained`",
            got=f"`pair: {lab.entry(lab.unit).pair}`",
            cure="set its pair in benchmarks/models.yaml, or name other models",
        )
    return [Task((lab.unit,))]


@dataclass(frozen=True)
class _Told:
    """What the rows of one model are written from."""

    params: Params
    lab: Lab
    revision: str

    def row(self, found: Examined, trained: Trained | None, start: Examined | None) -> Row:
        """The row of one checkpoint, examined; `start` is what it was trained from."""
        rise = None if start is None else found.rise_over(start)
        ratio = None if start is None else found.price.ratio_over(start.price)
        refused, safe = found.refused, found.safe
        held, reason = (None, None)
        if found.checkpoint == "dpo" and start is not None:
            held, reason = verdict(found, start, self.params.gate)
        return Row(
            model=self.lab.unit,
            weights=self.lab.weights,
            checkpoint=found.checkpoint,
            start=None if start is None else start.checkpoint,
            revision=self.revision,
            adapter=None if trained is None else trained.adapter,
            examples=0 if trained is None else trained.examples,
            losses=() if trained is None else trained.losses,
            share=None if trained is None else trained.share,
            unsafe=int((~safe).sum()),
            safe=int(safe.sum()),
            judge=found.at.judge.name,
            refusal_unsafe=float(refused[~safe].mean()),
            refusal_safe=float(refused[safe].mean()),
            gap=found.gap.estimate,
            gap_low=found.gap.low,
            gap_high=found.gap.high,
            rise=None if rise is None else rise.estimate,
            rise_low=None if rise is None else rise.low,
            rise_high=None if rise is None else rise.high,
            degenerate_share=sum(found.said.degenerate) / len(found.said.degenerate),
            perplexity=found.loss.perplexity,
            perplexity_ratio=None if ratio is None else ratio.estimate,
            perplexity_ratio_low=None if ratio is None else ratio.low,
            answers=keep_gate_answers(self.lab, found),
            held=held,
            reason=reason,
        )


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Trains answers where they are wanted, then preferences and the sham; examines each.

    A killed training goes on where it stood. Raises InputError for too few requests.
    """
    key, place = task.models[0], TrainingPlace(lab.scratch(task), lab, params.lora)
    division = divided(lab, params.requests, params.suite.neutral)
    at = gate_bench(lab, START[lab.weights], params.suite, division.gate)
    told = _Told(params, lab, at.loaded.revision)
    loaded, start = at.loaded, examined(at, at.loaded, "before")
    yield told.row(start, None, None)
    if is_taught_answers(loaded, params.sft, lab):
        kept = frozenset(r.key for r in division.gate)
        taught = teach_answers(loaded, _chosen(lab, params, kept), params.sft, place)
        before, loaded, start = start, taught.loaded, examined(at, taught.loaded, "sft")
        yield told.row(start, taught, before)
    own = own_answers(loaded, division.trained, params.own_answers, place.scratch, lab)
    seed = seed_of("preferences", key, lab.seed)
    pairs = preferred(loaded, division.trained, own, params.own_answers, seed)
    share = kept_share(tried_texts(lab, at), loaded, params.dpo.shares, place.scratch)
    dpo = teach_preferences(loaded, pairs, params.dpo, place, Wanted("dpo", share))
    yield told.row(examined(at, dpo.loaded, "dpo"), dpo, start)
    part = dpo.share
    del dpo  # its weights leave memory before the sham is trained
    alike = Wanted("sham", lambda folder: part)
    sham = teach_preferences(loaded, shuffled(pairs, seed), params.dpo, place, alike)
    yield told.row(examined(at, sham.loaded, "sham"), sham, start)


def _chosen(lab: Lab, params: Params, kept: frozenset[str]) -> list[Pair]:
    """The pairs whose chosen answers are taught: of the same splits, short, none of the gate's.

    Raises InputError where none is left.
    """
    most = params.requests.characters
    every = untouched_pairs(lab, params.requests.splits, params.suite.neutral)
    pairs = [p for p in every if p.key not in kept and p.chosen.strip()]
    short = [p for p in pairs if len(p.prompt) + len(p.chosen) <= 2 * most]
    found = short if params.sft.answers == "all" else [p for p in short if replies(p.chosen)]
    if not found:
        raise InputError(
            "preference_tuning.sft",
            expected="chosen answers to teach",
            got=f"none of {len(every)}, of which {len(short)} are short enough",
            cure="set sft.answers: all, raise requests.characters, or set sft.when: never",
        )
    return found
