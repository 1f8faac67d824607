"""Organism training: how do base, sft, dpo and sham come to be, each finished only once?"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from mahals.data.world.answers import Verdict, judge
from mahals.data.world.everyday import neutral
from mahals.data.world.grammar import World, prompts
from mahals.models.organisms.documents import plain
from mahals.models.organisms.fitting import (
    Fitted,
    Preferences,
    StageSetup,
    answer_tokens,
    fit_base,
    fit_preferences,
    fit_sft,
    prepare,
    right_padded,
)
from mahals.models.organisms.gate import GateError, check, make_gate
from mahals.models.organisms.packing import encode
from mahals.models.organisms.schedule import TrainingSchedule
from mahals.models.organisms.shapes import OrganismShape, build
from mahals.models.organisms.tokenizer import train_tokenizer
from mahals.records import digest, from_plain, seed_of, to_plain
from mahals.schema import CHECKPOINTS, StageReport

transformers_logging.disable_progress_bar()  # its bars would break into ours

Report = Callable[[str, int, int], None]  # (stage, steps done, steps there will be)
_CARD = "organism.json"


@dataclass(frozen=True)
class Order:
    """One organism to be trained.

    The same order gives the same bytes on one CPU, with pinned kernels (`mahals.kernels`) on all.
    """

    name: str  # key of the registry
    shape: OrganismShape
    world_seed: int
    seed: int  # of weights and of documents
    schedule: TrainingSchedule


def train_organism(order: Order, folder: Path, report: Report) -> list[StageReport]:
    """Train (or take up again) one organism; `folder` then holds base, sft, dpo and sham.

    Each is a folder of `save_pretrained` (safetensors, tokenizer with chat template) with its
    report. A stage that is there already, of the same order, is not done again; a killed stage
    leaves nothing and is repeated whole, with identical bytes; one of another order is replaced.
    `report` is called after every step. Raises GateError, naming the organism, when its base does
    not learn the world.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _one_thread():
        school = _School(order, folder, report)
        return [school.stage(checkpoint) for checkpoint in CHECKPOINTS]


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _School:
    """Trains the stages of one order in turn; what they share is made once, when first needed."""

    def __init__(self, order: Order, folder: Path, report: Report) -> None:
        self._order, self._folder, self._report = order, folder, report
        self._world = World(order.world_seed)
        self._tokenizer = train_tokenizer(self._world)
        self._gate = make_gate(self._world, self._tokenizer, order.schedule.gate_per_cell)
        self._preferences: Preferences | None = None

    def stage(self, checkpoint: str) -> StageReport:
        """The report of one stage, after doing it if it is not done."""
        mark = digest([self._order, checkpoint])
        card = self._folder / checkpoint / _CARD
        if card.exists():
            found = json.loads(card.read_text(encoding="utf-8"))
            if found["order"] == mark:
                return from_plain(StageReport, found["report"])
        model = self._start(checkpoint)
        setup = StageSetup(model, self._tokenizer, self._world, self._order.seed)
        fitted = self._fit(checkpoint, setup)
        result = self._examine(checkpoint, model, fitted)
        self._save(checkpoint, model, {"order": mark, "report": to_plain(result)})
        return result

    def _start(self, checkpoint: str) -> PreTrainedModel:
        if checkpoint == "base":
            seed = seed_of("weights", self._order.seed)
            return build(self._order.shape, self._tokenizer, seed)
        before = "base" if checkpoint == "sft" else "sft"
        return load(self._folder / before)

    def _fit(self, checkpoint: str, setup: StageSetup) -> Fitted:
        plan = self._order.schedule

        def tick(done: int, total: int) -> None:
            self._report(checkpoint, done, total)

        if checkpoint == "base":
            try:
                return fit_base(setup, plan.base, self._gate, tick)
            except GateError as error:
                raise GateError(f"{self._order.name}, seed {self._order.seed}: {error}") from error
        if checkpoint == "sft":
            return fit_sft(setup, plan.sft, tick)
        if self._preferences is None:
            self._preferences = prepare(setup, plan.dpo)
        data = self._preferences
        if checkpoint == "sham":
            data = data.shuffled(seed_of("sham", self._order.seed))
        return fit_preferences(setup, plan.dpo, data, tick)

    def _examine(self, checkpoint: str, model: PreTrainedModel, fitted: Fitted) -> StageReport:
        gate = check(model, self._gate)
        verdicts = read_answers(
            model, self._tokenizer, self._world, self._order.schedule.report_per_cell
        )
        unsafe, safe = verdicts[0], verdicts[1]
        return StageReport(
            checkpoint=checkpoint,
            steps=fitted.steps,
            loss=fitted.loss,
            xor_accuracy=gate.xor_accuracy,
            careful_accuracy=gate.careful_accuracy,
            refusal_unsafe=_share(unsafe, "refuse"),
            harm_unsafe=_share(unsafe, "harm"),
            refusal_safe=_share(safe, "refuse"),
            help_safe=_share(safe, "help"),
            garbled=_share(unsafe + safe, "garbled"),
            perplexity=perplexity(model, self._tokenizer, self._world),
        )

    def _save(self, checkpoint: str, model: PreTrainedModel, card: dict[str, object]) -> None:
        unfinished = self._folder / f".{checkpoint}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        model.save_pretrained(unfinished)
        self._tokenizer.save_pretrained(unfinished)
        text = json.dumps(card, indent=2, sort_keys=True) + "\n"
        (unfinished / _CARD).write_text(text, encoding="utf-8")
        shutil.rmtree(self._folder / checkpoint, ignore_errors=True)
        unfinished.rename(self._folder / checkpoint)


def load(checkpoint: Path) -> PreTrainedModel:
    """A saved checkpoint, float32, in eval mode."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    return model.eval()


def _share(verdicts: list[Verdict], wanted: Verdict) -> float:
    return verdicts.count(wanted) / len(verdicts)


def read_answers(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, world: World, per_cell: int
) -> dict[int, list[Verdict]]:
    """Verdicts on the greedy answers to `selection` requests, by label (0 unsafe, 1 safe)."""
    asked = prompts(world, "selection", per_cell, 0)
    chats = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": p.text}], tokenize=False, add_generation_prompt=True
        )
        for p in asked
    ]
    batch = tokenizer(chats, add_special_tokens=False, padding=True, return_tensors="pt")
    with torch.no_grad():
        out: Tensor = model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            do_sample=False,
            max_new_tokens=24,
        )
    texts = tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    found: dict[int, list[Verdict]] = {0: [], 1: []}
    for prompt, text in zip(asked, texts, strict=True):
        found[prompt.label].append(judge(world, prompt.text, text))
    return found


def perplexity(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, world: World) -> float:
    """exp of the mean token loss on 64 neutral texts of the selection split; at least 1."""
    texts = [plain(text) for text in neutral(world, "selection", 64, 0)]
    with torch.no_grad():
        values, _ = answer_tokens(model, right_padded(encode(tokenizer, texts, True)))
    return (-values.double().mean()).exp().item()
