"""Measure of esr_detectors: which latents are active where an answer is another prompt's?"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch

from mahals.evaluation.resistance.episodes import EpisodeBench, episode_bench
from mahals.evaluation.resistance.held_sets import DetectorSet
from mahals.evaluation.resistance.latents import latent_states
from mahals.evaluation.resistance.subjects import SubjectTask, model_sae, plan_subjects
from mahals.maths.metrics.off_topic import detector_search, exchange_auc
from mahals.maths.metrics.permutation import Permutations
from mahals.maths.stats.intervals import Floats
from mahals.models.activations.encoding import encode_answers
from mahals.models.generation.token_states import token_states
from mahals.models.saes.autoencoder import Sae
from mahals.models.saes.files import write_sae
from mahals.models.saes.training import SaeTraining, train_sae
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab
from mahals.phases.esr_detectors.rows import Row
from mahals.records import AtLeast, Positive, Several, seed_of, to_plain

OFF, Task, plan = Arm("off", ()), SubjectTask, plan_subjects


@dataclass(frozen=True)
class Params:
    """In whose states detectors are looked for, in which dictionary, by which test."""

    subjects: Annotated[tuple[str, ...], AtLeast(1)]  # aligned, or checkpoints of esr_finetune
    dictionary: Mapping[str, Literal["shared", "own"]]  # by weights; own: of the subject's states
    training: SaeTraining  # of an own one
    prompts: Mapping[str, Several]  # by weights: of the search at most, and as many of the trial
    answers: Positive  # to each, and each to every prompt
    permutations: Positive
    level: float  # of false discoveries
    random: Positive  # live latents that stand beside


def measure(task: SubjectTask, params: Params, lab: Lab) -> Iterator[Row]:
    """The search in one subject, its detectors, and random live latents.

    Found on taught and calibration prompts, tried on evaluation prompts; steering is off.
    """
    (key,), name, kind = task.models, task.subject, params.dictionary[lab.weights]
    bench, seed = episode_bench(lab, key, name), seed_of("detectors", key, name, lab.seed)
    block = bench.texts.setting.read_block
    asked, others = (_asked(bench, s, params) for s in (("taught", "calibration"), ("evaluation",)))
    if kind == "own":
        pairs = [(p, a) for p in asked for answers in asked.values() for a in answers]
        encoded = encode_answers(bench.loaded.tokenizer, *zip(*pairs, strict=True))
        states = token_states(bench.loaded, encoded, [OFF] * len(encoded), block)
        sae, labels = train_sae(torch.cat(states), params.training, seed), {}
        with lab.keep_folder(f"sae-{name}") as folder:
            write_sae(folder, sae)
    else:
        file = lab.kept("esr_saes").path(f"{key}/labels-{block}.json")
        sae, labels = model_sae(lab, key, block), json.loads(file.read_text(encoding="utf-8"))
    active, shares = _activity(bench, sae, asked)
    found = detector_search(active, params.level, Permutations(params.permutations, seed))
    often = shares[~np.eye(len(shares), dtype=bool)].mean(axis=(0, 1))
    kept = exchange_auc(_activity(bench, sae, others)[0])
    known = {"q": found.q, "found": exchange_auc(active), "kept": kept, "frequency": often}
    detectors = np.flatnonzero(found.q <= params.level)
    row: Callable[..., Row] = partial(Row, key, lab.weights, name, kind, len(asked))
    counts = {"live": len(found.live), "passed": len(detectors), "strict": len(found.strict)}
    yield row(what="search", exchanged=found.exchanged, q=float(found.q.min()), **counts)
    rest = np.random.default_rng(seed).permutation(np.setdiff1d(found.live, detectors))
    for what, some in (("detector", detectors), ("random", rest[: params.random])):
        for i in some.tolist():
            values = {column: float(of[i]) for column, of in known.items()}
            yield row(what=what, latent=i, label=labels.get(str(i), ""), **values)
    named = tuple(labels.get(str(i), "") for i in detectors)
    dead = np.setdiff1d(np.arange(len(often)), found.live)
    latents = (tuple(x.tolist()) for x in (detectors, dead, np.round(often, 6)))
    told = to_plain(DetectorSet(block, kind, named, *latents))
    lab.keep_text(f"detectors-{name}.json", json.dumps(told) + "\n")


def _asked(bench: EpisodeBench, splits: Sequence[str], params: Params) -> dict[str, list[str]]:
    """Prompts of some splits, each with as many own answers; one with fewer is left out."""
    own, count = bench.texts.references, params.answers
    prompts = [p for split in splits for p in bench.texts.setting.prompts(split)]
    texts = {p: [a for a in own[p] if a.strip()][:count] for p in prompts}
    full = [(p, some) for p, some in texts.items() if len(some) == count]
    return dict(full[: params.prompts[bench.lab.weights]])


def _activity(bench: EpisodeBench, sae: Sae, asked: Mapping[str, Sequence[str]]) -> Floats:
    """(2, n, n, s, m): the most at a token, and the share of tokens, of answers to each prompt."""
    rows, n = [], len(asked)
    for prompt in asked:
        texts = [(prompt, a) for answers in asked.values() for a in answers]
        states = latent_states(bench, sae, texts, [OFF] * len(texts))
        rows.append([[f.max(axis=0) for f in states], [(f > 0).mean(axis=0) for f in states]])
    found = np.array(rows, dtype=np.float64).swapaxes(0, 1)
    return found.reshape(2, n, n, -1, found.shape[-1])
