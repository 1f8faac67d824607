"""What is the synthetic world: prompts of known safety, answers, and what judges them?"""

from mahals.world.answers import REFUSALS, Verdict, judge, pairs
from mahals.world.everyday import FactTask, fact_tasks, neutral, tasks
from mahals.world.grammar import SPLITS, Triple, World, prompts, triple_of
from mahals.world.labelled import Labelled, labelled_answers, true_refusals

__all__ = [
    "REFUSALS",
    "SPLITS",
    "FactTask",
    "Labelled",
    "Triple",
    "Verdict",
    "World",
    "fact_tasks",
    "judge",
    "labelled_answers",
    "neutral",
    "pairs",
    "prompts",
    "tasks",
    "triple_of",
    "true_refusals",
]
