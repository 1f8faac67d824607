"""Pair states: what are a model's on the two sides of pairs, and which vectors follow?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from transformers import PreTrainedTokenizerBase

from mahals.data.texts import Pair
from mahals.maths.stats.intervals import Floats
from mahals.maths.vectors.estimators import (
    SteeringVectors,
    contrast,
    mean_difference,
    pca,
    probe,
    svd_k,
)
from mahals.maths.vectors.pairs import Vectors
from mahals.maths.vectors.random_directions import shuffled_pairs
from mahals.models.activations.batching import shorten
from mahals.models.activations.cache import cached_states, facts, tokens_hash
from mahals.models.activations.encoding import Encoded, encode_answers, encode_prompts
from mahals.phase import Lab
from mahals.records import InputError, digest
from mahals.schema import OF_MODELS, Method, Pool, Texts

Side = tuple[Literal["aligned", "base"], str]  # a checkpoint, and what it reads
OF_ANSWERS = {"contrast": contrast, "pca": pca, "probe": probe}  # chosen minus rejected, base


@dataclass(frozen=True)
class PairReading:
    """What is read of each pair, and how."""

    texts: Texts  # what the methods that compare two models read
    pool: Pool
    tokens: int  # longer texts lose their beginning
    svd_k: int
    svd_centered: bool


class PairReader:
    """Captures each set of states once, for all methods that use it.

    Pairs of one axiom and label are neighbours, in an order by hash, so that even and odd rows hold
    the same mixture: data whose lines alternate (safe and unsafe, one wording and another) would
    otherwise be halved into the two.
    """

    def __init__(self, reading: PairReading, lab: Lab, key: str, pairs: Sequence[Pair]) -> None:
        self._reading, self._lab, self._key = reading, lab, key
        self._pairs = sorted(pairs, key=_cell)
        self._encodings: dict[str, list[Encoded]] = {}
        self._states: dict[Side, Floats] = {}

    def read(self, methods: Sequence[Method]) -> None:
        """Reads the states of all `methods` now, and reports each set of them as progress."""
        sides = list(dict.fromkeys(s for method in methods for s in self._sides(method)))
        for i, side in enumerate(sides):
            self._lab.report("reading states", i, len(sides))
            self._read(side)
        self._lab.report("reading states", len(sides), len(sides))

    def vectors(self, method: Method) -> SteeringVectors:
        """The vectors of one method, from the states it compares."""
        states = self.states(method)
        if method == "svd_k":
            return svd_k(*states, self._reading.svd_k, self._reading.svd_centered)
        if method == "mean_difference":
            return mean_difference(*states)
        return OF_ANSWERS[method](*states)

    def decisive(self, method: Method) -> list[object]:
        """All that decides a method's vectors: weights, tokens, how they are read and compared."""
        told: list[object] = [method, asdict(self._reading), self.categories(method)]
        for role, texts in self._sides(method):
            encoded = shorten(self._encoded(texts), self._reading.tokens)
            told += [role, facts(self._lab.model(self._key, role)), tokens_hash(encoded)]
        return told

    def shuffled(self, of: SteeringVectors, method: Method, draws: int, seed: int) -> Vectors:
        """The control from shuffled pairs (draws, L, d) of a vector that this reader made."""
        return shuffled_pairs(of, self.states(method), self.categories(method), draws, seed)

    def states(self, method: Method) -> tuple[Floats, Floats]:
        """Both sides (n, L, d) that a method compares."""
        one, other = self._sides(method)
        return self._read(one), self._read(other)

    def categories(self, method: Method) -> list[str | None]:
        """The axiom of each row that a method reads; the halves of a shuffle are drawn in these."""
        return self.axioms() if method in OF_MODELS else [p.axiom for p in self._pairs]

    def axioms(self) -> list[str | None]:
        """The axiom of each row that the methods which compare two models read."""
        unsafe = self._reading.texts == "unsafe"
        return [p.axiom for p in self._pairs if p.label == 0 or not unsafe]

    def texts(self, method: Method) -> Texts:
        """Which texts a method reads."""
        return self._reading.texts if method in OF_MODELS else "answers"

    def shortened(self, method: Method) -> int:
        """How many of a method's texts lost their beginning."""
        used = [e for texts in self._used(method) for e in self._encoded(texts)]
        return sum(len(e.ids) > self._reading.tokens for e in used)

    def empty(self, method: Method) -> int:
        """How many of a method's answers are empty: read where they would begin."""
        return sum(not said for t in self._used(method) for said in self._said(t))

    def _sides(self, method: Method) -> tuple[Side, Side]:
        if method in OF_MODELS:
            return ("aligned", self._reading.texts), ("base", self._reading.texts)
        return ("base", "answers"), ("base", "rejected")

    def _used(self, method: Method) -> tuple[str, ...]:
        return tuple(dict.fromkeys(texts for _, texts in self._sides(method)))

    def _said(self, texts: str) -> list[str]:
        """The answers that `texts` names; none for prompts."""
        if texts not in ("answers", "rejected"):
            return []
        return [p.chosen if texts == "answers" else p.rejected for p in self._pairs]

    def _encoded(self, texts: str) -> list[Encoded]:
        """Encoded by the base's tokenizer, also for the aligned model: the same text for both."""
        if texts not in self._encodings:
            tokenizer = self._lab.model(self._key, "base").tokenizer
            if said := self._said(texts):
                self._encodings[texts] = self._answered(tokenizer, said)
            else:
                asked = self._unsafe() if texts == "unsafe" else [p.prompt for p in self._pairs]
                self._encodings[texts] = encode_prompts(tokenizer, asked)
        return self._encodings[texts]

    def _answered(self, tokenizer: PreTrainedTokenizerBase, said: Sequence[str]) -> list[Encoded]:
        """Prompt and answer; where nothing was said, up to where the answer would begin."""
        pairs = list(zip(self._pairs, said, strict=True))
        silent = sum(not answer for answer in said)
        if silent and self._reading.pool == "mean":
            raise InputError(
                "steering_vectors.pool",
                expected="last, where answers are empty",
                got=f"mean, and {silent} of {len(said)} answers without a token to average over",
                cure="set steering_vectors.pool to last, or leave those pairs out of the data",
            )
        spoken = [(p.prompt, answer) for p, answer in pairs if answer]
        full = iter(encode_answers(tokenizer, [p for p, _ in spoken], [a for _, a in spoken]))
        bare = iter(encode_prompts(tokenizer, [p.prompt for p, answer in pairs if not answer]))
        return [next(full) if answer else next(bare) for answer in said]

    def _unsafe(self) -> list[str]:
        asked = [p.prompt for p in self._pairs if p.label == 0]
        if not asked:
            labels = {p.label for p in self._pairs}
            raise InputError(
                "steering_vectors.texts",
                expected="pairs with unsafe prompts, for `unsafe`",
                got="pairs without labels" if labels <= {None} else "safe prompts alone",
                cure="set steering_vectors.texts to answers for this data source",
            )
        return asked

    def _read(self, side: Side) -> Floats:
        if side not in self._states:
            role, texts = side
            loaded = self._lab.model(self._key, role)
            encoded = shorten(self._encoded(texts), self._reading.tokens)
            every = list(range(loaded.layers))
            states = cached_states(self._lab.cache, loaded, encoded, every, self._reading.pool)
            self._states[side] = states.double().numpy()
        return self._states[side]


def _cell(pair: Pair) -> tuple[str, str, str]:
    """Where a pair stands among the others: by axiom, label and the hash of its texts."""
    return pair.axiom or "", str(pair.label), digest([pair.prompt, pair.chosen, pair.rejected])
