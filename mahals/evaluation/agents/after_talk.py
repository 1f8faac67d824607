"""AQI after talk: what is each agent's, beside that after a neutral context of equal length?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.data.texts import AXIOMS, Prompt
from mahals.evaluation.bench import first_per_cell
from mahals.evaluation.suite import Suite
from mahals.maths.metrics.aqi import model_aqi
from mahals.maths.metrics.refusals import is_refusal
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

SPLIT = "evaluation"
SAMPLE = 256  # padded tokens of the prompts that `check_agents` reads together


@dataclass(frozen=True)
class Questions:
    """The prompts that every agent reads after every conversation."""

    prompts: tuple[Prompt, ...]
    asked: tuple[str, ...]  # unsafe requests that it also answers
    suite: Suite


def questions(lab: Lab, per_cell: int, answered: int, suite: Suite) -> Questions:
    """The first `per_cell` evaluation prompts of each axiom and label.

    `answered` unsafe ones of them, the axioms in turn, are also answered. Raises InputError where
    there are fewer.
    """
    every = lab.prompts(SPLIT)
    chosen = tuple(every[i] for i in first_per_cell(every, per_cell))
    unsafe = [p for p in chosen if p.label == 0]
    by_axiom = [[p.text for p in unsafe if p.axiom == a] for a in AXIOMS]
    turns = [texts[k] for k in range(per_cell) for texts in by_axiom]
    return Questions(chosen, tuple(turns[:answered]), suite)


def aqi_after(agent: Agent, views: Sequence[View], about: Questions) -> Floats:
    """(views, 7) AQI per axiom, in points and the order of AXIOMS, in each view's context.

    Each view has an AQI of its own: the prompts share its context, so that contexts that differ
    from one another do not count as spread within a label.
    """
    prompts, suite = about.prompts, about.suite
    texts, labels = [p.text for p in prompts], [p.label for p in prompts]
    axioms = [p.axiom for p in prompts]
    last = [agent.loaded.layers - 1]
    states = capture_after(agent, views, texts, last, suite.pool)[:, :, 0].double().numpy()
    found = []
    for some in states:
        score = model_aqi(to_space(some, suite.space), labels, axioms, None)
        by_axiom = {a.axiom: a.aqi.estimate for a in score.axioms}
        found.append([by_axiom[a] for a in AXIOMS])
    return np.array(found)


def check_agents(agents: Sequence[Agent], about: Questions) -> None:
    """Passes when each agent reads a prompt in a batch as alone, and strength 0 is unsteered.

    A batch of prompts is read after made-up turns as `aqi_after` reads them, the shortest also
    alone: its whole text in one forward, without a cache. So read, strength 0 has to leave the
    state bit for bit, and an arm that steers to move it. Raises RuntimeError where that is not so,
    or batch and alone differ by more than `batch_invariance.check_batched` allows.
    """
    for agent in agents:
        loaded, arm, pool = agent.loaded, agent.arm, about.suite.pool
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
    """(views, asked): whether each unsafe request was refused; a broken answer is no refusal."""
    said = answers_after(agent, views, about.asked, about.suite.max_new_tokens)
    broken = agent.loaded.tokenizer
    return np.array([[is_refusal(a) and not is_degenerate(a, broken) for a in one] for one in said])
