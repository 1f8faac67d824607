"""After talk: what does each agent answer, and hold apart, beside neutral context of its length?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.data.categories import categories_of, measurable
from mahals.data.texts import Prompt
from mahals.evaluation.bench import first_per_cell
from mahals.evaluation.refusal_bench import RefusalBench, refusal_bench
from mahals.evaluation.scores import screened
from mahals.evaluation.suite import Suite
from mahals.maths.metrics.aqi import model_aqi
from mahals.maths.metrics.spaces import to_space
from mahals.maths.stats.intervals import Floats
from mahals.models.activations.batching import grouped
from mahals.models.activations.encoding import encode_prompts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.conversation.after import answers_after, capture_after, encode_after
from mahals.models.conversation.neutral import neutral_views, token_stream
from mahals.models.conversation.talks import Agent
from mahals.models.conversation.views import View
from mahals.models.generation.degenerate import is_degenerate
from mahals.models.steering.batch_invariance import check_same, check_strength
from mahals.phase import Lab
from mahals.records import seed_of
from mahals.schema import Readout

SPLIT = "evaluation"
SAMPLE = 256  # padded tokens of the prompts that `check_agents` reads together


@dataclass(frozen=True)
class Questions:
    """The prompts that every agent reads after every conversation: of each category as many."""

    prompts: tuple[Prompt, ...]
    asked: tuple[Prompt, ...]  # those it also answers: by category, of each the unsafe ones first
    readout: Readout
    suite: Suite
    judge: RefusalBench

    @property
    def per_axiom(self) -> int:
        """How many prompts of one category are read."""
        return len(self.prompts) // len(self.categories)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories, sorted."""
        return categories_of(self.prompts)


def questions(lab: Lab, per_cell: int, answers: int, suite: Suite) -> Questions:
    """The first `per_cell` evaluation prompts of each category and label.

    Of these the first `answers` of each category and label are also answered. A category with fewer
    is left out; raises InputError where every one has fewer.
    """
    found = measurable(lab.prompts(SPLIT), max(per_cell, answers), "prompts", SPLIT)
    every = found.prompts
    chosen = tuple(every[i] for i in first_per_cell(every, max(per_cell, answers)))
    cells = [
        [p for p in chosen if (p.axiom, p.label) == (a, v)]
        for a in found.categories
        for v in (0, 1)
    ]
    asked = tuple(p for cell in cells for p in cell[:answers])
    read = tuple(every[i] for i in first_per_cell(every, per_cell))
    return Questions(read, asked, suite.readout_of(lab.weights), suite, refusal_bench(lab, suite))


def aqi_after(agent: Agent, views: Sequence[View], about: Questions) -> Floats:
    """(views, C) AQI per category, in points and sorted by name, in each view's context.

    Each view has an AQI of its own: the prompts share its context, so that contexts that differ
    from one another do not count as spread within a label.
    """
    prompts, suite = about.prompts, about.suite
    texts, labels = [p.text for p in prompts], [p.label for p in prompts]
    axioms = [p.axiom for p in prompts]
    last, readout = [agent.loaded.layers - 1], suite.readout_of(agent.loaded.weights)
    states = capture_after(agent, views, texts, last, readout)[:, :, 0].double().numpy()
    found = []
    for some in states:
        score = model_aqi(to_space(some, suite.space), labels, axioms, None)
        found.append([a.aqi.estimate for a in score.axioms])
    return np.array(found)


def check_agents(agents: Sequence[Agent], about: Questions) -> None:
    """Passes when each agent reads a prompt in a batch as alone, and strength 0 is unsteered.

    A batch of prompts is read after made-up turns as `aqi_after` reads them, the shortest also
    alone: its whole text in one forward, without a cache. So read, strength 0 has to leave the
    state bit for bit, and an arm that steers to move it. Raises RuntimeError where that is not so,
    or batch and alone differ by more than `batch_invariance.check_batched` allows.
    """
    for agent in agents:
        loaded, arm = agent.loaded, agent.arm
        pool = about.suite.readout_of(loaded.weights)
        texts = _of_like_length(loaded, [p.text for p in about.prompts])
        seen = View((("user", texts[0]), ("assistant", texts[-1])))
        together = capture_after(agent, [seen], texts, [loaded.layers - 1], pool)[0, -1, 0]
        text = encode_after(agent, seen, texts[-1:])
        alone = check_strength(loaded, text[0], arm, pool)
        what = f"{arm.name}: a prompt's state after a talk"
        check_same(loaded, together, alone, what, len(texts))


def _of_like_length(loaded: Loaded, texts: Sequence[str]) -> list[str]:
    """The first batch of two texts or more, longest first."""
    groups = grouped([len(e.ids) for e in encode_prompts(loaded.tokenizer, texts)], SAMPLE)
    return [texts[i] for i in max(groups, key=lambda rows: len(rows) > 1)]


def neutral_of(lab: Lab, agent: Agent, views: Sequence[View]) -> list[View]:
    """Each view's neutral counterpart, turn by turn as long, of the evaluation split's texts."""
    stream = token_stream(agent.loaded.tokenizer, lab.neutral(SPLIT))
    seed = seed_of("neutral", agent.loaded.key, lab.seed)
    return neutral_views(agent.loaded.tokenizer, views, stream, seed)


def refused_after(agent: Agent, views: Sequence[View], about: Questions) -> npt.NDArray[np.bool_]:
    """(views, C, 2, answers): whether each request was refused, unsafe ones first, then safe ones.

    By the suite's judge. A
    broken answer is the failure: not refused where unsafe, and refused, as in not helped, where
    safe.
    """
    texts, labels = [p.text for p in about.asked], [p.label for p in about.asked]
    longest = about.suite.new_tokens_of(agent.loaded.weights)
    said = answers_after(agent, views, texts, longest)
    found = []
    for answers in said:
        broken = [is_degenerate(a, agent.loaded.tokenizer) for a in answers]
        refused = about.judge.refusals(texts, answers).refused
        found.append(screened(refused, broken, labels))
    each = np.array(found, dtype=np.bool_)
    count = len(about.categories)
    return each.reshape(len(views), count, 2, len(texts) // (2 * count))
