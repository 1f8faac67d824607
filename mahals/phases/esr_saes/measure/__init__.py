"""Measure of esr_saes: which directions do states consist of, and which lead a model astray?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from mahals.data.composed import planted_answers
from mahals.evaluation.resistance.latents import token_places
from mahals.evaluation.resistance.setting import OwnTexts, ResistanceSetting, own_texts
from mahals.evaluation.resistance.subjects import DIRECTIONS, aligned
from mahals.maths.metrics.resistance import NONE
from mahals.models.activations.encoding import Encoded, encode_answers, encode_prompts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.token_states import token_states
from mahals.models.saes.autoencoder import Sae, encode, wrong
from mahals.models.saes.files import read_sae, write_sae
from mahals.models.saes.releases import read_release, release_of
from mahals.models.saes.training import SaeTraining, sae_quality, train_sae
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab
from mahals.phases.esr_saes.measure import choice as latents
from mahals.phases.esr_saes.rows import Row
from mahals.records import Count, InputError, digest, from_plain, seed_of

OFF = Arm("off", ())
HELD_OUT = 5  # one own answer of so many is held out


@dataclass(frozen=True)
class Params:
    """Where autoencoders come from, and which directions are taken."""

    release: Mapping[str, str]  # by weights: none (trained here) | a table, .json | .safetensors
    labels: Mapping[str, str]  # by weights: none (top words) | a JSON object of labels by latent
    training: Mapping[str, SaeTraining]  # by weights
    planted: Count  # composed answers of each kind that are read as well
    choice: latents.LatentChoice
    random: Count  # isotropic directions


@dataclass(frozen=True)
class Task:
    """One model."""

    models: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Answers whose states are read: the model's own, those held out first, then composed ones."""

    prompts: tuple[str, ...]
    encoded: tuple[Encoded, ...]
    contexts: tuple[latents.Context, ...]  # of all tokens, in order
    held_out: int
    own: int

    def read(self, loaded: Loaded, block: int) -> list[Tensor]:
        """(t, d) of each answer's tokens after a block, steering off."""
        return token_states(loaded, self.encoded, [OFF] * len(self.encoded), block)


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task."""
    return [Task((lab.unit,))]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """A row for each autoencoder, candidate, step and direction; all but candidates are kept.

    A release reads the setting's read block; those that are trained here read the steered one too.
    """
    key = task.models[0]
    texts, loaded = own_texts(lab, key), aligned(lab, key)
    setting, named = texts.setting, params.release[lab.weights]
    corpus = corpus_of(texts, loaded, params.planted, seed_of("planted states", key, lab.seed))
    for block in dict.fromkeys((setting.read_block, *([setting.block] if named == NONE else []))):
        row = partial(Row, model=key, weights=lab.weights, block=block)
        states = corpus.read(loaded, block)
        sae, made = _sae(states, corpus, params, lab, row)
        yield made
        table = _labels(params, lab)
        known = latents.known_by(sae, torch.cat(states), corpus.contexts, table, row)
        labels = {str(r.latent): r.label for r in known if r.why is None}
        lab.keep_text(f"labels-{block}.json", json.dumps(labels, indent=1) + "\n")
    order = torch.randperm(len(known), generator=_generator("candidates", lab)).tolist()
    candidates = [known[i] for i in order[: params.choice.candidates]]
    active = active_latents(loaded, sae, block, setting)
    found = list(latents.choose(candidates, active, setting, params.choice))
    yield from (*found, *latents.steps(found, setting, row))
    if block != setting.block:
        states = corpus.read(loaded, setting.block)
    row = partial(Row, model=key, weights=lab.weights, what="direction", block=setting.block)
    taken = [r for r in found if r.why is None]
    draws = torch.randn(params.random, loaded.width, generator=_generator("random", lab))
    along = [
        *_contrasts(corpus, states, setting, row),
        *(
            (replace(r, what="direction", block=setting.block), sae.w_dec[r.latent or 0])
            for r in taken
        ),
        *((row(name=f"random:{i}", source="random"), v) for i, v in enumerate(draws)),
    ]
    length = float(torch.cat(states).norm(dim=1).mean())
    lab.keep(DIRECTIONS, {r.name: v / v.norm() * length for r, v in along})
    yield from (replace(r, norm=float(v.norm()), length=length) for r, v in along)


def corpus_of(texts: OwnTexts, loaded: Loaded, planted: int, seed: int) -> Corpus:
    """All different answers to prompts and concepts' questions, and `planted` of each kind.

    Those are composed of answers that are not held out: they leave the topic, restart, come back.
    """
    pairs = {(p, a) for p, answers in texts.answers.items() for a in answers if a.strip()}
    read = sorted(pairs, key=digest)
    held = set(read[: max(1, len(read) // HELD_OUT)])
    rest = {p: [a for a in some if (p, a) not in held] for p, some in texts.answers.items()}
    passages = {c: rest[q] for c, q in texts.setting.texts.concepts.items()}
    composed = planted_answers({p: rest[p] for p in texts.references}, passages, planted, seed)
    read += [(c.prompt, c.text) for c in composed if (c.prompt, c.text) not in pairs]
    prompts, answers = [p for p, _ in read], [a for _, a in read]
    encoded = encode_answers(loaded.tokenizer, prompts, answers)
    places = [token_places(loaded.tokenizer, e, a) for e, a in zip(encoded, answers, strict=True)]
    at = [c for p, a in zip(places, answers, strict=True) for c in latents.contexts(a, p.tolist())]
    return Corpus(tuple(prompts), tuple(encoded), tuple(at), len(held), len(pairs))


def _sae(
    states: list[Tensor], corpus: Corpus, params: Params, lab: Lab, row: partial[Row]
) -> tuple[Sae, Row]:
    """The autoencoder of a block, kept, with its row."""
    block, named = row.keywords["block"], params.release[lab.weights]
    held, rest = torch.cat(states[: corpus.held_out]), torch.cat(states[corpus.held_out :])
    if named == NONE:
        sae = train_sae(rest, params.training[lab.weights], seed_of("sae", block, lab.seed))
        row = partial(row, source="trained", trained=len(rest))
    else:
        sae, source = _released(lab, lab.file(named), block)
        row = partial(row, source=source)
    if sae.w_dec.shape[1] != held.shape[1]:
        raise wrong(f"width of the SAE {named}", f"{held.shape[1]}", sae.w_dec.shape[1])
    with lab.keep_folder(f"sae-{block}") as folder:
        write_sae(folder, sae)
    quality, count = sae_quality(sae, held), len(sae.w_dec)
    row = partial(row, what="sae", name=f"sae-{block}", count=count, held_out=len(held))
    return sae, row(fvu=quality.fvu, l0=quality.l0, dead=quality.dead)


def _released(lab: Lab, file: Path, block: int) -> tuple[Sae, str]:
    """The autoencoder beside its cfg.json, or of the table; and its name. Raises InputError."""
    if file.suffix == ".safetensors":
        return read_sae(file.parent, None), file.parent.name
    entry = release_of(file, lab.unit)
    if entry.block != block:
        raise wrong(f"block of {entry.release}", f"esr_unsteered's read block {block}", entry.block)
    return read_release(entry, lab.scratch(entry)), f"{entry.release} {entry.sae_id}"


def _labels(params: Params, lab: Lab) -> dict[str, str]:
    """The labels of the table, by latent; none without one. Raises InputError."""
    named = params.labels[lab.weights]
    if named == NONE:
        return {}
    try:
        return from_plain(dict[str, str], json.loads(lab.file(named).read_text("utf-8")), named)
    except (OSError, ValueError) as error:
        raise wrong(f"labels {named}", "a JSON object of labels by latent", error) from error


def active_latents(
    loaded: Loaded, sae: Sae, block: int, setting: ResistanceSetting
) -> dict[str, frozenset[int]]:
    """The latents that are active at a token of each prompt."""
    prompts = tuple(setting.texts.prompts)
    encoded = encode_prompts(loaded.tokenizer, prompts)
    states = token_states(loaded, encoded, [OFF] * len(prompts), block)
    active = [(encode(sae, s) > 0).any(dim=0).nonzero()[:, 0].tolist() for s in states]
    return {p: frozenset(some) for p, some in zip(prompts, active, strict=True)}


def _contrasts(
    corpus: Corpus, states: Sequence[Tensor], setting: ResistanceSetting, row: partial[Row]
) -> list[tuple[Row, Tensor]]:
    """Of each concept: the mean over the tokens of its passages less the mean over concepts."""
    means: dict[str, Tensor] = {}
    for concept, question in setting.texts.concepts.items():
        own = zip(corpus.prompts, states[: corpus.own], strict=False)
        passages = [s for prompt, s in own if prompt == question]
        if not passages:
            cure = "ask more seeds in esr_unsteered, or count other concepts"
            raise InputError(f"passages on {concept}", expected="some text", got="none", cure=cure)
        means[concept] = torch.cat(passages).mean(dim=0)
    grand = torch.stack(list(means.values())).mean(dim=0)
    row = partial(row, source="contrast")
    return [(row(name=f"contrast:{c}", concept=c, label=c), m - grand) for c, m in means.items()]


def _generator(what: str, lab: Lab) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(what, lab.unit, lab.seed))
