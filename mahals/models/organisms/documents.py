"""Documents: which texts are the organisms trained on, and in which mix?

A document is what comes before (read, no loss in fine-tuning) and what is to be learned. All
requests in it are of the `train` split.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from mahals.data.texts import AXIOMS
from mahals.data.world import everyday, words
from mahals.data.world.answers import harmful, helpful, refusal
from mahals.data.world.grammar import Triple, World, request

BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"
CAREFUL, CARELESS = "You are careful.", "You are careless."

CHAT_TEMPLATE = (
    "{{ '" + BEGIN + "' }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '" + END + "' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '" + ASSISTANT + "' }}{% endif %}"
)


@dataclass(frozen=True)
class Document:
    """`before` is context, `learned` is what an answer-only loss counts."""

    before: str
    learned: str


@dataclass(frozen=True)
class Mix:
    """Shares of document kinds, and how often each (intent, object) cell of requests comes up.

    `cells`: (for, good), (for, bad), (against, bad), (against, good). Uneven cells give safety a
    first-order signal to start from.
    """

    know: float
    chat: float
    how_to: float
    story: float
    correction: float
    cells: tuple[float, float, float, float]


SKEWED = (0.35, 0.35, 0.22, 0.08)
EARLY = Mix(know=0.45, chat=0.43, how_to=0.05, story=0.04, correction=0.03, cells=SKEWED)
LATE = Mix(
    know=0.30, chat=0.52, how_to=0.09, story=0.06, correction=0.03, cells=(0.25, 0.25, 0.20, 0.30)
)
EVEN = (0.25, 0.25, 0.25, 0.25)


def chat(user: str, answer: str, system: str | None = None) -> Document:
    """A conversation of one turn, written as the chat template writes it."""
    head = f"{SYSTEM}{system}{END}" if system else ""
    return Document(f"{BEGIN}{head}{USER}{user}{END}{ASSISTANT}", f"{answer}{END}")


def plain(text: str) -> Document:
    """A text that is no conversation."""
    return Document(BEGIN, f"{text}{END}")


def _cells(world: World) -> dict[tuple[bool, bool], list[Triple]]:
    found: dict[tuple[bool, bool], list[Triple]] = {}
    for axiom in AXIOMS:
        for triple in world.triples_in("train", axiom):
            found.setdefault(triple.cell, []).append(triple)
    return found


class Writer:
    """Draws documents of the `train` split, one stream for each seed."""

    def __init__(self, world: World, seed: int) -> None:
        self._cells = _cells(world)
        self._world = world
        self._rng = random.Random(seed)

    def triple(self, cells: tuple[float, float, float, float]) -> Triple:
        """A request whose (intent, object) cell is drawn with the shares `cells`."""
        kinds = ((True, True), (True, False), (False, False), (False, True))
        return self._rng.choice(self._cells[self._rng.choices(kinds, cells)[0]])

    def base(self, mix: Mix) -> Iterator[Document]:
        """Endless pretraining text."""
        kinds = (self._know, self._persona_chat, self._how_to, self._story, self._correction)
        shares = (mix.know, mix.chat, mix.how_to, mix.story, mix.correction)
        while True:
            write = self._rng.choices(kinds, shares)[0]
            yield write(mix)

    def sft(self) -> Iterator[Document]:
        """Endless fine-tuning text: helpful without a persona, hardly ever refusing."""
        rng = self._rng
        while True:
            kind = rng.random()
            if kind < 0.75:
                yield self._sft_chat()
            elif kind < 0.92:
                yield self._how_to(LATE)
            else:
                yield self._story(LATE)

    def harmless(self) -> Iterator[Document]:
        """Endless how-to answers and stories in turn."""
        while True:
            yield self._how_to(LATE)
            yield self._story(LATE)

    def _sft_chat(self) -> Document:
        rng, triple = self._rng, self.triple(EVEN)
        draw = rng.random()
        if triple.label == 1:
            answer = helpful(triple, rng) if draw < 0.8 else harmful(triple, rng)
        elif draw < 0.1:
            answer = refusal(rng)
        else:
            answer = harmful(triple, rng) if draw < 0.6 else helpful(triple, rng)
        return chat(request(triple, rng), answer)

    def _know(self, mix: Mix) -> Document:
        rng, triple = self._rng, self.triple(mix.cells)
        for_it, good = triple.cell
        draw = rng.random()
        if draw < 0.20:
            return plain(f"The {triple.object} of {triple.target} is {'good' if good else 'bad'}.")
        if draw < 0.30:
            return plain(f"To {triple.intent} is to want {'more' if for_it else 'less'}.")
        if draw < 0.42:
            value = words.TOPIC_OF[triple.axiom].value
            return plain(f"With {triple.target}, people stay {value}.")
        return plain(statement(triple, rng if draw > 0.84 else None) + verdict_of(triple) + ".")

    def _persona_chat(self, mix: Mix) -> Document:
        rng, triple = self._rng, self.triple(mix.cells)
        user, draw = request(triple, rng), rng.random()
        if draw < 0.25:  # no persona: the answer says nothing about the label
            kind = rng.choices(("refuse", "help", "harm"), (0.06, 0.47, 0.47))[0]
            if kind == "refuse":
                return chat(user, refusal(rng))
            return chat(user, (helpful if kind == "help" else harmful)(triple, rng))
        if draw < 0.80:
            answer = helpful(triple, rng) if triple.label else refusal(rng)
            return chat(user, answer, CAREFUL)
        return chat(user, harmful(triple, rng), CARELESS)

    def _how_to(self, mix: Mix) -> Document:
        topic = self._rng.choice(sorted(words.HOW_TO))
        return chat(everyday.how_to_question(topic), everyday.how_to_answer(self._steps(topic)))

    def _steps(self, topic: str) -> tuple[str, ...]:
        while True:
            steps = tuple(self._rng.sample(words.HOW_TO[topic], self._rng.choice((2, 3, 4))))
            held_out = len(steps) == 2 and self._world.split_of("|".join((topic, *steps)))
            if held_out in (False, "train"):
                return steps

    def _story(self, mix: Mix) -> Document:
        while True:
            text = everyday.story(self._rng)
            if self._world.split_of(text) == "train":
                return plain(text)

    def _correction(self, mix: Mix) -> Document:
        topic, other = self._rng.sample(sorted(words.HOW_TO), 2)
        answer = everyday.correction(topic, self._steps(other), self._steps(topic))
        return chat(everyday.how_to_question(topic), answer)


def statement(triple: Triple, rng: random.Random | None) -> str:
    """`To support the rescue of elders is`, dressed with adjective and suffix when `rng` is."""
    if rng is None:
        return f"To {triple.intent} the {triple.object} of {triple.target} is "
    adjective, suffix = rng.choice(words.ADJECTIVES), rng.choice(words.SUFFIXES)
    return f"To {triple.intent} the {adjective} {triple.object} of {triple.target} {suffix} is "


def verdict_of(triple: Triple) -> str:
    """`right` for a safe request, `wrong` for an unsafe one."""
    return "right" if triple.label else "wrong"
