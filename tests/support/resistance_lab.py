"""What does the resistance study find where it is known what a model writes, and after what?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from safetensors.torch import save_file

from mahals.data.how_to import HowToCounts, how_to
from mahals.data.world.everyday import how_to_answer, how_to_question
from mahals.data.world.words import HOW_TO
from mahals.evaluation.resistance import episodes
from mahals.evaluation.resistance.setting import ResistanceSetting, setting_text
from mahals.maths.metrics.resistance import NONE, Threshold
from mahals.models.generation.sampling import Continuation, Draft, Sampling
from mahals.models.judges.judge import Server
from mahals.models.saes.steering import Hold
from mahals.phases.esr_saes.rows import Row as SaeRow
from mahals.records import to_plain
from tests.support.em_lab import DiskKept, DiskLab
from tests.support.tiny_lab import WIDTH
from tests.support.tiny_models import tokenizer
from tests.support.trials import trial

COUNTS = HowToCounts(taught=2, calibration=2, evaluation=3, concepts=4)
TEXTS = how_to("world", COUNTS, 0)
SETTING = ResistanceSetting(
    texts=TEXTS,
    seeds=2,
    sampling=Sampling(1.0, 1.0, 6),
    first_tokens=2,
    block=1,
    read_block=2,
    judge="truth",
    judge_model="",
    server=Server("", "", 1.0, 0, 60.0, True),
)
BOOST = 2.0  # from here on a direction derails
TOPICS = {how_to_question(topic): topic for topic in HOW_TO}
CONCEPTS = tuple(TEXTS.concepts)


@dataclass(frozen=True)
class Request:
    """What a model is asked to write."""

    prompt: str
    prefix: str
    system: str | None
    boost: float
    concept: str | None  # of what it is steered along
    tokens: int | None  # that are steered
    seed: int
    holds: tuple[Hold, ...] = ()


Writer = Callable[[Request], str]


def steps_of(topic: str, seed: int) -> str:
    """An answer of two, three or four steps."""
    return how_to_answer(HOW_TO[topic][: 2 + seed % 3])


def derailed(asked: Request) -> str:
    """Steered far enough it is about the concept, and after a few tokens alone it comes back."""
    topic = TOPICS[asked.prompt]
    if asked.concept is None or asked.boost < BOOST:
        return steps_of(topic, asked.seed)
    text = steps_of(asked.concept, asked.seed)
    if asked.tokens is None:
        return text
    return f"{text} Wait, that is off topic. To {topic}: {steps_of(topic, asked.seed)}"


@dataclass
class ResistanceLab(DiskLab):
    """A lab whose kept files lie in a folder of each phase and unit."""

    phase: str = "esr"
    reports: list[tuple[int, int]] = field(default_factory=list)

    def keep(self, name: str, tensors: Mapping[str, torch.Tensor]) -> str:
        save_file({k: v.contiguous() for k, v in tensors.items()}, self._place(name))
        return f"{self.unit}/{name}"

    def keep_text(self, name: str, text: str) -> str:
        self._place(name).write_text(text)
        return f"{self.unit}/{name}"

    def kept(self, phase: str) -> DiskKept:
        return DiskKept(self.root / phase)

    def report(self, what: str, done: int, total: int) -> None:
        self.reports.append((done, total))

    def _place(self, name: str) -> Path:
        place = self.root / self.phase / self.unit / name
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def plant(self, phase: str, name: str, text: str) -> None:
        """A kept file of an upstream phase."""
        before, self.phase = self.phase, phase
        self.keep_text(name, text)
        self.phase = before


class SaesLab(ResistanceLab):
    """A lab that keeps folders where it keeps files."""

    def keep_folder(self, name: str) -> Any:
        return nullcontext(self._place(name))


def lines(asked: Sequence[tuple[str, str]]) -> str:
    """Prompts and answers as JSON lines."""
    return "".join(json.dumps({"prompt": p, "prefix": "", "answer": a}) + "\n" for p, a in asked)


def threshold(concept: str, **known: Any) -> Threshold:
    """A usable threshold along the concept."""
    given = Threshold(
        "A", "organism", "aligned", f"contrast:{concept}", "contrast", concept, NONE, 30.0, BOOST,
        0.1, 5, False, 30.0, 20.0, 40.0, 0.0, True, None,
    )  # fmt: skip
    return replace(given, **known)


def direction_row(name: str, source: str, concept: str) -> SaeRow:
    """A row of esr_saes."""
    return SaeRow("A", "organism", "direction", name, SETTING.block, source, concept)


def resistance_lab(writer: Writer = derailed, concepts: Sequence[str] = CONCEPTS) -> ResistanceLab:
    """A lab in which all that is upstream of `esr` ran on A, with these directions usable."""
    lab = ResistanceLab(root=Path(mkdtemp()))
    lab.plant("esr_unsteered", "setting.json", setting_text(SETTING))
    answers = [(p, s) for p in TEXTS.prompts for s in range(SETTING.seeds)]
    asked = [Request(p, "", None, 0.0, None, None, s) for p, s in answers]
    lab.plant("esr_unsteered", "answers.jsonl", lines([(a.prompt, writer(a)) for a in asked]))
    passages = [(q, steps_of(c, 0)) for c, q in TEXTS.concepts.items() if q not in TEXTS.prompts]
    lab.plant("esr_unsteered", "passages.jsonl", lines(passages))
    lab.made["esr_unsteered", "A"] = [
        trial(
            prompt=p, seed=s, line=i, answers="A/answers.jsonl", direction=NONE, concept=NONE,
            source=NONE, boost=0.0, situation="unsteered",
        )
        for i, (p, s) in enumerate(answers)
    ]  # fmt: skip
    names = [f"contrast:{c}" for c in concepts]
    vectors = {name: torch.eye(WIDTH)[i] for i, name in enumerate(names)}
    lab.phase = "esr_saes"
    lab.keep("directions.safetensors", vectors)
    lab.phase = "esr"
    rows = [direction_row(n, "contrast", c) for n, c in zip(names, concepts, strict=True)]
    lab.made["esr_saes", "A"] = rows
    lab.made["esr_threshold", "A"] = [threshold(c) for c in concepts]
    return lab


def request_of(draft: Draft, concepts: Sequence[str]) -> Request:
    """What a draft asks for, read from its tokens and its arm."""
    text = tokenizer().decode(list(draft.encoded.ids), skip_special_tokens=False)
    before, _, prefix = text.partition("<assistant>")
    system, _, prompt = before.removeprefix("<begin>").partition("<user>")
    told = system.removeprefix("<system>").removesuffix("<end>") or None
    (step,) = draft.arm.active or (None,)
    return Request(
        prompt.removesuffix("<end>"),
        prefix,
        told,
        0.0 if step is None else step.strength,
        None if step is None else concepts[int(step.direction.argmax())],
        draft.steered_tokens,
        draft.seed,
        draft.holds,
    )


@contextmanager
def written_by(writer: Writer, concepts: Sequence[str] = CONCEPTS) -> Iterator[list[Request]]:
    """Inside, every cell is written by `writer`; gives what was asked of it, in order."""
    before, asked = episodes.cached_answers, list[Request]()
    seeds = episodes._seed

    def write(
        _: Any, __: Any, cells: Sequence[Sequence[Draft]], ___: Any
    ) -> list[list[Continuation]]:
        found = []
        for drafts in cells:
            requests = [request_of(d, concepts) for d in drafts]
            asked.extend(requests)
            found.append([Continuation(writer(r), 5) for r in requests])
        return found

    episodes.cached_answers = write
    episodes._seed = lambda _, ask: ask.seed
    try:
        yield asked
    finally:
        episodes.cached_answers, episodes._seed = before, seeds


def plain(value: Any) -> Any:
    """What a row is in a file."""
    return json.loads(json.dumps(to_plain(value)))
