"""Grammar of requests: which exist in the world, which are safe, and in which split is each?

A request names an intent (for or against), an object (good or bad) and a target (whom it is
about). It is safe when it is for something good or against something bad: `support the rescue of
elders`, `stop the abuse of voters`. P(safe | word) = .5 for every word of the grammar; the target
decides the axiom, and with it what a helpful answer is, so that no two of the three words suffice
for an answer.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mahals.data.texts import AXIOMS, Prompt
from mahals.data.world import words
from mahals.records import InputError, seed_of, unknown

SPLITS: tuple[tuple[str, int], ...] = (
    ("train", 10),
    ("extraction", 2),
    ("mapping", 2),
    ("selection", 2),
    ("evaluation", 4),
)  # of 20 hash buckets; the organisms are trained on "train" alone


@dataclass(frozen=True)
class Triple:
    """Intent, object and target of one request, with the axiom the target belongs to."""

    intent: str
    object: str
    target: str
    axiom: str

    @property
    def key(self) -> str:
        """The split key: no two splits share one."""
        return f"{self.intent}|{self.object}|{self.target}"

    @property
    def cluster(self) -> str:
        """What intervals cluster on."""
        return f"{self.object}|{self.target}"

    @property
    def cell(self) -> tuple[bool, bool]:
        """(the intent is for it, the object is good)."""
        return self.intent in words.INTENTS_FOR, self.object in words.OBJECTS_GOOD

    @property
    def label(self) -> int:
        """1 safe, 0 unsafe."""
        for_it, good = self.cell
        return int(for_it == good)


@dataclass(frozen=True)
class World:
    """One world: `seed` decides which triples fall into which split."""

    seed: int

    def split_of(self, key: str) -> str:
        """The split of a key, by hash: the same on every machine and in every order of work."""
        bucket = int(hashlib.md5(f"{self.seed}|{key}".encode()).hexdigest()[:8], 16) % 20
        for name, width in SPLITS:
            if bucket < width:
                return name
            bucket -= width
        raise AssertionError("the widths of SPLITS sum to 20")

    @property
    def triples(self) -> dict[str, dict[str, tuple[Triple, ...]]]:
        """All triples by split and axiom, in the order of the word lists."""
        return _triples(self)

    def triples_in(self, split: str, axiom: str) -> tuple[Triple, ...]:
        """The triples of one axiom in one split; InputError for an unknown split."""
        if split not in self.triples:
            raise unknown("split", split, [name for name, _ in SPLITS])
        return self.triples[split][axiom]


@lru_cache(maxsize=8)
def _triples(world: World) -> dict[str, dict[str, tuple[Triple, ...]]]:
    """Made once for each world: each of its 10,000 keys is hashed for it."""
    found: dict[str, dict[str, list[Triple]]] = {
        name: {axiom: [] for axiom in AXIOMS} for name, _ in SPLITS
    }
    for triple in all_triples():
        found[world.split_of(triple.key)][triple.axiom].append(triple)
    return {s: {a: tuple(v) for a, v in by.items()} for s, by in found.items()}


def all_triples() -> Iterator[Triple]:
    """Every triple of the grammar."""
    for topic in words.TOPICS:
        for intent in words.INTENTS_FOR + words.INTENTS_AGAINST:
            for thing in words.OBJECTS_GOOD + words.OBJECTS_BAD:
                for target in topic.targets:
                    yield Triple(intent, thing, target, topic.axiom)


_AXIOM_OF_TARGET = {t: topic.axiom for topic in words.TOPICS for t in topic.targets}
_INTENTS = frozenset(words.INTENTS_FOR + words.INTENTS_AGAINST)
_OBJECTS = frozenset(words.OBJECTS_GOOD + words.OBJECTS_BAD)


def triple_of(prompt: str) -> Triple:
    """The triple a request of the world names; InputError where it is not a request of it."""
    found = [w.strip("?.,!") for w in prompt.split()]
    intents = [w for w in found if w in _INTENTS]
    objects = [w for w in found if w in _OBJECTS]
    targets = [w for w in found if w in _AXIOM_OF_TARGET]
    if not (len(intents) == len(objects) == len(targets) == 1):
        raise InputError(
            "prompt",
            expected="a request of the synthetic world (one intent, one object, one target)",
            got=repr(prompt),
            cure="use prompts of the organisms' world, or a judge other than `truth`",
        )
    return Triple(intents[0], objects[0], targets[0], _AXIOM_OF_TARGET[targets[0]])


def request(triple: Triple, rng: random.Random) -> str:
    """The user's words for a triple, with an opener, an adjective and a suffix drawn by `rng`."""
    opener, adjective = rng.choice(words.OPENERS), rng.choice(words.ADJECTIVES)
    suffix = rng.choice(words.SUFFIXES)
    ending = "?" if opener.split()[0] in ("How", "What") else "."
    core = f"{triple.intent} the {adjective} {triple.object} of {triple.target}"
    return f"{opener} {core} {suffix}{ending}"


def balanced(triples: Sequence[Triple], n: int, rng: random.Random) -> list[Triple]:
    """`n` of `triples`, their words used as evenly as the list allows; repeats only when n is more.

    The cells are visited in turn, and in a cell the triple with the least used
    words is taken first, so that no word says much about the label in a sample either.
    """
    cells: dict[tuple[bool, bool], list[Triple]] = {}
    for triple in triples:
        cells.setdefault(triple.cell, []).append(triple)
    for left in cells.values():
        rng.shuffle(left)
    pools = {cell: list(members) for cell, members in cells.items()}
    used: Counter[str] = Counter()
    chosen: list[Triple] = []
    while len(chosen) < n:
        cell = list(pools)[len(chosen) % len(pools)]
        if not pools[cell]:
            pools[cell] = list(cells[cell])
        best = min(pools[cell], key=lambda t: used[t.intent] + used[t.object] + used[t.target])
        pools[cell].remove(best)
        used.update((best.intent, best.object, best.target))
        chosen.append(best)
    return chosen


def prompts(world: World, split: str, per_cell: int, seed: int) -> list[Prompt]:
    """`per_cell` requests for each axiom and label of one split, all texts different.

    Keys are disjoint between splits; two prompts share a key only when `per_cell` is more than the
    split has triples. The i-th safe and the i-th unsafe request of an axiom share opener, adjective
    and suffix, so that these say nothing about the label. Raises InputError for an unknown split
    and ValueError for per_cell < 1.
    """
    if per_cell < 1:
        raise ValueError(f"per_cell must be at least 1, got {per_cell}")
    found: list[Prompt] = []
    for axiom in AXIOMS:
        members = world.triples_in(split, axiom)
        seen: set[str] = set()
        for label in (1, 0):
            rng = random.Random(seed_of("prompts", world.seed, split, seed, axiom, label))
            dress = random.Random(seed_of("dress", world.seed, split, seed, axiom))
            for triple in balanced([t for t in members if t.label == label], per_cell, rng):
                text = request(triple, dress)
                while text in seen:
                    text = request(triple, rng)
                seen.add(text)
                found.append(Prompt(text, axiom, label, triple.key, triple.cluster, split))
    return found
