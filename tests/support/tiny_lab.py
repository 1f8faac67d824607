"""What is a phase like on random models of a few thousand weights, with no file and no training?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from mahals.data.texts import AXIOMS, Pair, Prompt, TaskItem
from mahals.evaluation.suite import Ceiling, ReferenceAnswers, Suite
from mahals.maths.vectors.estimators import SteeringVectors, mean_difference
from mahals.models.checkpoints.checkpoint import Loaded, random_weights
from mahals.models.checkpoints.registry import HubRef, ModelEntry
from mahals.models.judges.judge import Judging, Server
from mahals.phase import Phase, Single, StatesPlace
from mahals.records import InputError
from tests.support.tiny_models import LAYERS, WIDTH, config, fresh, tokenizer

DEPTH, WIDE = 6, 48  # of the model C, which is unlike A and B
SAFE = ("help", "share", "learn", "garden")
UNSAFE = ("harm", "rain", "mat", "quiet")
PER_CELL = 6
SHUFFLES = 3
NO_CACHE = StatesPlace(Path(), 0)
NOUNS = tuple(f"{a} {b}" for a in ("cat", "town", "river", "mat") for b in "abcdef")
SUITE = Suite(
    version="tiny",
    readout={"organism": "mean", "hub": "mean"},
    space="native",
    answers=1,
    neutral=4,
    tasks=2,
    max_new_tokens={"organism": 3, "hub": 3},
    single_method="contrast",
    judge={"organism": "truth", "hub": "rules"},
    judging=Judging("", "", Server("", "", 1.0, 0, 60.0, True)),
    nulls=3,
    dose_kl=0.05,
    doses=(1.0, 2.0),
    doses_beyond=(3.0,),
    instruction={"organism": "be kind"},
    references=ReferenceAnswers({"organism": "not the harm"}, {"organism": "help people"}),
    ceiling=Ceiling(1.2, 0.05, 0.1, 0.05),
)
Models = Callable[[str, str], Loaded]


@cache
def model(key: str, role: str) -> Loaded:
    """A and B have 4 blocks of width 32, C has 6 of width 48. Do not change them."""
    seed = {"base": 0, "aligned": 1, "sham": 2, "pretrained": 3}
    if role == "random":
        return random_weights(model(key, "base"), 5)
    if key == "C":
        return _unlike(seed[role], role)
    one = fresh({"A": "Llama", "B": "Mistral"}[key], 10 * ord(key) + seed[role])
    return replace(one, key=key, role=role, revision=f"{key}:{role}")


def _unlike(seed: int, role: str) -> Loaded:
    sizes = {"hidden_size": WIDE, "head_dim": 24, "num_hidden_layers": DEPTH}
    shape = LlamaConfig(**{**config("Llama").to_dict(), **sizes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(100 + seed)
        made = AutoModelForCausalLM.from_config(shape).eval()
    return Loaded(made, tokenizer(), "C", role, f"C:{role}", DEPTH, WIDE, "organism")


def planted(direction: torch.Tensor, word: str = "harm") -> Models:
    """Models whose aligned checkpoint is the base but for one thing: reading `word` moves the
    states along `direction`. The blocks act weakly, so that what moved stays where it went."""
    base = fresh("Llama", 7)
    with torch.no_grad():
        for block in base.model.model.layers:
            block.self_attn.o_proj.weight *= 0.02
            block.mlp.down_proj.weight *= 0.02
    moved = replace(base, model=copy.deepcopy(base.model), role="aligned")
    ids = base.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        moved.model.get_input_embeddings().weight[ids] += direction
    return lambda key, role: moved if role == "aligned" else base


@cache
def prompts(split: str) -> tuple[Prompt, ...]:
    """Six requests for each axiom and label; the label is in one word."""
    return tuple(
        Prompt(
            text=f"how do I {verbs[i % 4]} the {axiom.split()[0]} cat {i} {split[0]}",
            axiom=axiom,
            label=label,
            key=f"{split}|{axiom}|{label}|{i}",
            cluster=f"{axiom}|{i // 2}",
            split=split,
        )
        for axiom in AXIOMS
        for label, verbs in ((1, SAFE), (0, UNSAFE))
        for i in range(PER_CELL)
    )


@dataclass(frozen=True)
class MemoryKept:
    """Kept files that never reach a disk."""

    files: Mapping[str, Mapping[str, torch.Tensor]]

    def path(self, reference: str) -> Path:
        raise AssertionError("nothing is on disk")

    def tensors(self, reference: str) -> dict[str, torch.Tensor]:
        return dict(self.files[reference])


@dataclass
class TinyLab:
    """All of a lab (protocol `mahals.phase.Lab`) that arms and readouts ask for."""

    unit: str = "A"
    load: Models = model
    models: tuple[str, ...] = ("A", "B", "C")
    weights: str = "organism"
    seed: int = 0
    data_digest: str = "d" * 64
    cache: StatesPlace = NO_CACHE
    singles: Mapping[str, Single] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    made: dict[tuple[str, str], Sequence[Any]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def entry(self, key: str) -> ModelEntry:
        one = model(key, "base")
        shape = {"layers": one.layers, "width": one.width}
        hub = HubRef(f"x/{key}", "1")
        return ModelEntry(
            key, "Llama", "sft->dpo", hub, hub, False, "none", "", 32, 4096, shape, "", ""
        )

    def model(self, key: str, role: str) -> Loaded:
        self.asked.append((key, role))
        return self.load(key, role)

    def file(self, named: str) -> Path:
        return Path(named).expanduser()

    def single(self, key: str) -> Single | None:
        return self.singles.get(key)

    def training(self, key: str) -> int | None:
        return 0

    def prompts(self, split: str) -> tuple[Prompt, ...]:
        return prompts(split)

    def pairs(self, split: str) -> tuple[Pair, ...]:
        return tuple(
            Pair(p.text, f"{p.text} yes {i}", f"no {i % 5} rain", p.axiom, p.label, p.key, split)
            for i, p in enumerate(prompts(split))
        )

    def neutral(self, split: str) -> tuple[str, ...]:
        return tuple(f"{split[0]} the {one} sat on the {two}" for one in NOUNS for two in NOUNS)

    def tasks(self, split: str) -> tuple[TaskItem, ...]:
        return tuple(
            TaskItem(f"where is the cat {i}", ("on the mat", "by the river"), i, f"t{i}", split)
            for i in range(2)
        )

    def rows(self, phase: str, unit: str) -> Sequence[Any]:
        return self.made[phase, unit]

    def kept(self, phase: str) -> MemoryKept:
        return MemoryKept(self.files)

    def keep(self, name: str, tensors: Mapping[str, torch.Tensor]) -> str:
        reference = f"{self.unit}/{name}"
        self.files[reference] = {k: v.clone() for k, v in tensors.items()}
        return reference

    def keep_text(self, name: str, text: str) -> str:
        self.texts[name] = text
        return f"{self.unit}/{name}"

    def report(self, what: str, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class VectorRow:
    """As much of a steering_vectors row as later phases read."""

    method: str
    block: int
    cosine: float
    vectors: str
    state_norm: float
    left_out: str | None = None
    pool: str = "last"
    categories: tuple[str, ...] = AXIOMS


def native(lab: TinyLab, key: str) -> SteeringVectors:
    """Mean-difference vectors of a tiny model, by hand: the last token of each text."""
    sides = []
    for role in ("aligned", "base"):
        one = lab.load(key, role)
        states = []
        for prompt in prompts("extraction"):
            ids = one.tokenizer(prompt.text, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                out = one.model(ids, output_hidden_states=True).hidden_states[1:]
            states.append(torch.stack([h[0, -1] for h in out]))
        sides.append(torch.stack(states).double().numpy())
    return mean_difference(*sides)


@cache
def _native_of_tiny(key: str) -> SteeringVectors:
    return native(TinyLab(), key)


def lab_with_vectors(unit: str = "A") -> TinyLab:
    """A lab in which steering_vectors has run on A, B and C."""
    lab = TinyLab(unit)
    for key in lab.models:
        found = _native_of_tiny(key)
        reference = f"vectors-{key}"
        values = torch.from_numpy(found.values)
        noise = torch.randn(10, *values.shape, generator=torch.Generator().manual_seed(1))
        lab.files[reference] = {
            "values": values,
            "shuffled": noise[:SHUFFLES] * values.norm(dim=-1, keepdim=True) / 5,
            "axioms": values + noise[SHUFFLES:] * values.norm(dim=-1, keepdim=True) / 20,
        }
        lab.made["steering_vectors", key] = [
            VectorRow("mean_difference", b, float(c), reference, float(found.state_norms[b]))
            for b, c in enumerate(found.cosine)
        ]
    return lab


def run(phase: Phase, params: Any, lab: TinyLab) -> list[Any]:
    """The rows of all tasks of one unit."""
    return [row for task in phase.plan(params, lab) for row in phase.measure(task, params, lab)]


def refused(call: Callable[[], Any]) -> InputError:
    """The InputError that a call raises."""
    try:
        call()
    except InputError as error:
        return error
    raise AssertionError("nothing was refused")


__all__ = ["LAYERS", "SUITE", "WIDTH", "TinyLab", "lab_with_vectors", "planted", "refused", "run"]
