"""Measure of esr_saes: which directions do states consist of, and which lead a model astray?"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from mahals.data.composed import planted_answers
from mahals.data.world.words import HOW_TO
from mahals.evaluation.resistance.latents import token_places
from mahals.evaluation.resistance.setting import OwnTexts, ResistanceSetting, own_texts
from mahals.evaluation.resistance.subjects import DIRECTIONS, aligned
from mahals.maths.metrics.resistance import NONE
from mahals.models.activations.encoding import Encoded, encode_answers, encode_prompts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.token_states import token_states
from mahals.models.saes.autoencoder import Sae, encode, wrong
from mahals.models.saes.files import read_sae, write_sae
from mahals.models.saes.releases import SaeRelease, read_release, release_of
from mahals.models.saes.training import SaeTraining, sae_quality, train_sae
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab
from mahals.phases.esr_saes.rows import Row
from mahals.records import Count, InputError, Positive, digest, from_plain, seed_of

OFF = Arm("off", ())
HELD_OUT = 5  # one own answer of so many is held out
STEPS = ("live", "concrete", "silent", "chosen")
SKIPPED = "skipped: nothing here knows which concept a token belongs to"
TOP = 12  # tokens that activate a latent most: by these it is known
ONE_TOPIC = 0.8  # share of them that must be in steps of one topic
CHUNK = 256  # states that are encoded at once
_TOPICS = {step: topic for topic, steps in HOW_TO.items() for step in steps}
_STEP, _WORD = re.compile("|".join(map(re.escape, _TOPICS))), re.compile(r"\w[\w'-]*")
Context = tuple[str, str]  # of a token: the word, and the topic of the step that it is in, or none
Active = Mapping[str, set[int]]  # latents that are active at a token of each prompt


@dataclass(frozen=True)
class LatentChoice:
    """How many latents are looked at, and which are taken."""

    candidates: Positive
    wanted: Count
    silent: Literal["all", "met"]  # in all prompts (published), or in those it leads off


@dataclass(frozen=True)
class Params:
    """Where autoencoders come from, and which directions are taken."""

    release: Mapping[str, str]  # by weights: none | a table of those it names | a .safetensors
    labels: Mapping[str, str]  # by weights: none (top words) | a JSON object of labels by latent
    training: Mapping[str, SaeTraining]  # by weights
    planted: Count  # composed answers of each kind that are read as well
    choice: LatentChoice
    random: Count  # isotropic directions


@dataclass(frozen=True)
class Task:
    """One model."""

    models: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Answers whose states are read: the model's own, those held out first, then composed ones."""

    prompts: Sequence[str]  # of its own
    encoded: Sequence[Encoded]
    contexts: Sequence[Context]  # of all tokens, in order
    held_out: int


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task."""
    return [Task((lab.unit,))]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """A row for each autoencoder, candidate, step and direction; all but candidates are kept.

    A release reads the setting's read block; those that are trained here read the steered one too.
    Raises InputError for a release of other blocks or another width.
    """
    (key,) = task.models
    texts, loaded = own_texts(lab, key), aligned(lab, key)
    setting, release = texts.setting, _release(params, lab, texts.setting)
    corpus = corpus_of(texts, loaded, params.planted, seed_of("planted states", key, lab.seed))
    for block in dict.fromkeys((setting.read_block, setting.block)):
        states = token_states(loaded, corpus.encoded, [OFF] * len(corpus.encoded), block)
        if release is None or block == setting.read_block:
            row = partial(Row, key, lab.weights, block=block)
            taken = release or params.training[lab.weights]
            sae, made = _sae(states, corpus.held_out, taken, lab, row)
            yield made
            known = known_by(sae, torch.cat(states), corpus.contexts, _labels(params, lab), row)
            labels = {str(r.latent): r.label for r in known if r.why is None}
            lab.keep_text(f"labels-{block}.json", json.dumps(labels, indent=1) + "\n")
    order = torch.randperm(len(known), generator=_generator("candidates", lab)).tolist()
    candidates = [known[i] for i in order[: params.choice.candidates]]
    active = active_latents(loaded, sae, made.block, setting)
    found = list(choose(candidates, active, setting, params.choice))
    yield from (*found, *steps(found, setting, row))
    row = partial(row, what="direction", block=block)
    draws = torch.randn(params.random, loaded.width, generator=_generator("random", lab))
    along = [
        *_contrasts(corpus, states, setting, row),
        *((replace(r, **row.keywords), sae.w_dec[r.latent or 0]) for r in found if r.why is None),
        *((row(name=f"random:{i}", source="random"), v) for i, v in enumerate(draws)),
    ]
    length = float(torch.cat(states).norm(dim=1).mean())
    lab.keep(DIRECTIONS, {r.name: v / v.norm() * length for r, v in along})
    yield from (replace(r, norm=float(v.norm()), length=length) for r, v in along)


def corpus_of(texts: OwnTexts, loaded: Loaded, planted: int, seed: int) -> Corpus:
    """All different own answers, and `planted` of each kind composed of those not held out."""
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
    at = [c for p, a in zip(places, answers, strict=True) for c in contexts(a, p.tolist())]
    return Corpus(prompts[: len(pairs)], encoded, at, len(held))


def contexts(text: str, places: Sequence[int]) -> list[Context]:
    """The context of each token of a text; tokens begin at `places`, or one space later."""
    words = [(m.end(), m.group().lower()) for m in _WORD.finditer(text)]
    steps = [(m.start() - 1, m.end(), _TOPICS[m.group()]) for m in _STEP.finditer(text)]
    word_at = [next((word for end, word in words if end > at), "") for at in places]
    step_at = [next((t for start, end, t in steps if start <= at < end), NONE) for at in places]
    return list(zip(word_at, step_at, strict=True))


def _release(params: Params, lab: Lab, setting: ResistanceSetting) -> SaeRelease | Path | None:
    """The release of the table, or the folder, that is read; None: trained here.

    Raises InputError for a release that reads or is steered at another block than the setting.
    """
    named = params.release[lab.weights]
    if named == NONE:
        return None
    file = lab.file(named)
    if file.suffix == ".safetensors":  # beside its cfg.json
        return file.parent
    entry = release_of(file, lab.unit)
    if entry and (entry.steered, entry.block) != (setting.block, setting.read_block):
        raise InputError(
            f"blocks of {entry.release}",
            expected=f"esr_unsteered's, steered block {setting.block}, read block "
            f"{setting.read_block}",
            got=f"{entry.steered} and {entry.block}",
            cure=f"set esr_unsteered.blocks.{lab.weights} to {named}, or esr_saes.release."
            f"{lab.weights} to {NONE}",
        )
    return entry


def _sae(
    states: list[Tensor],
    held_out: int,
    taken: SaeRelease | Path | SaeTraining,
    lab: Lab,
    row: partial[Row],
) -> tuple[Sae, Row]:
    """The autoencoder of a block, kept, with its row. Raises InputError for one of another."""
    block, source = row.keywords["block"], "trained"
    held, rest = torch.cat(states[:held_out]), torch.cat(states[held_out:])
    if isinstance(taken, SaeTraining):
        sae = train_sae(rest, taken, seed_of("sae", block, lab.seed))
        row = partial(row, trained=len(rest))
    elif isinstance(taken, Path):
        sae, source = read_sae(taken, None), taken.name
    else:
        sae, source = read_release(taken, lab.scratch(taken)), f"{taken.release} {taken.sae_id}"
    row = partial(row, source=source)
    if sae.w_dec.shape[1] != held.shape[1]:
        raise wrong(f"width of the SAE {source}", f"{held.shape[1]}", sae.w_dec.shape[1])
    with lab.keep_folder(f"sae-{block}") as folder:
        write_sae(folder, sae)
    row = partial(row, what="sae", name=f"sae-{block}", count=len(sae.w_dec), held_out=len(held))
    return sae, row(**vars(sae_quality(sae, held)))


def _labels(params: Params, lab: Lab) -> dict[str, str]:
    """The labels of the table, by latent; none without one. Raises InputError."""
    named = params.labels[lab.weights]
    if named == NONE:
        return {}
    try:
        return from_plain(dict[str, str], json.loads(lab.file(named).read_text("utf-8")), named)
    except (OSError, ValueError) as error:
        raise wrong(f"labels {named}", "a JSON object of labels by latent", error) from error


def known_by(
    sae: Sae, states: Tensor, at: Sequence[Context], labels: Mapping[str, str], row: partial[Row]
) -> list[Row]:
    """A row for each latent: concept and words of the states (n, d) that activate it most."""
    best, rows = torch.zeros(0, len(sae.w_dec)), torch.zeros(0, len(sae.w_dec), dtype=torch.int64)
    for start in range(0, len(states), CHUNK):
        active = encode(sae, states[start : start + CHUNK])
        numbers = torch.arange(start, start + len(active))[:, None].expand_as(active)
        pooled, own = torch.cat([best, active]), torch.cat([rows, numbers])
        best, order = pooled.topk(min(TOP, len(pooled)), dim=0)
        rows = own.gather(0, order)
    found = []
    for latent in range(len(sae.w_dec)):
        one = row(what="latent", name=f"latent:{latent}", source="latent", latent=latent)
        top = [at[r] for r in rows[best[:, latent] > 0, latent].tolist()]
        if top:
            words = ", ".join(word for word, _ in Counter(word for word, _ in top).most_common(3))
            topic, most = Counter(topic for _, topic in top).most_common(1)[0]
            concept = topic if most >= ONE_TOPIC * len(top) else NONE
            one = replace(one, label=labels.get(str(latent), words), concept=concept)
        found.append(one if top else replace(one, step="live", why="active in no state"))
    return found


def active_latents(loaded: Loaded, sae: Sae, block: int, setting: ResistanceSetting) -> Active:
    """The latents that are active at a token of each prompt."""
    prompts = list(setting.texts.prompts)
    encoded = encode_prompts(loaded.tokenizer, prompts)
    states = token_states(loaded, encoded, [OFF] * len(prompts), block)
    active = [(encode(sae, s) > 0).any(dim=0).nonzero()[:, 0].tolist() for s in states]
    return dict(zip(prompts, map(set, active), strict=True))


def choose(
    candidates: Sequence[Row], active: Active, setting: ResistanceSetting, choice: LatentChoice
) -> Iterator[Row]:
    """The candidates in order, each with the step that it did not pass; the first ones stay."""
    left = choice.wanted
    for one in candidates:
        asked = [p for p in active if choice.silent == "all" or setting.meets(p, one.concept)]
        heard = sum(one.latent in active[p] for p in asked)
        if one.why is None and of_the_world(setting) and one.concept not in setting.texts.concepts:
            one = replace(one, step="concrete", why="its top tokens belong to no single concept")
        elif one.why is None and heard:
            one = replace(one, step="silent", why=f"active in {heard} of {len(asked)} prompts")
        elif one.why is None and left == 0:
            one = replace(one, step="chosen", why="enough were chosen before it")
        left -= one.why is None
        yield one


def steps(found: Sequence[Row], setting: ResistanceSetting, row: partial[Row]) -> Iterator[Row]:
    """How many candidates are left after each step."""
    for i, step in enumerate(("candidates", *STEPS)):
        left = sum(r.step is None or r.step in STEPS[i:] for r in found)
        why = SKIPPED if step == "concrete" and not of_the_world(setting) else None
        yield row(what="step", name=step, source="latent", count=left, why=why)


def of_the_world(setting: ResistanceSetting) -> bool:
    """Whether concepts are the world's: its steps say which one a token belongs to."""
    return set(setting.texts.concepts) <= set(HOW_TO)


def _contrasts(
    corpus: Corpus, states: Sequence[Tensor], setting: ResistanceSetting, row: partial[Row]
) -> Iterator[tuple[Row, Tensor]]:
    """Of each concept: the mean over the tokens of its passages less the mean over concepts."""
    means: dict[str, Tensor] = {}
    for concept, question in setting.texts.concepts.items():
        read = zip(corpus.prompts, states, strict=False)
        passages = [s for prompt, s in read if prompt == question]
        if not passages:
            cure = "ask more seeds in esr_unsteered, or count other concepts"
            raise InputError(f"passages on {concept}", expected="some text", got="none", cure=cure)
        means[concept] = torch.cat(passages).mean(dim=0)
    grand = torch.stack(list(means.values())).mean(dim=0)
    for c, mean in means.items():
        yield row(name=f"contrast:{c}", source="contrast", concept=c, label=c), mean - grand


def _generator(what: str, lab: Lab) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(what, lab.unit, lab.seed))
