"""What are the model organisms: the synthetic world, and small real models trained on it?"""

from mahals.organisms.answers import REFUSALS, Verdict, judge, pairs
from mahals.organisms.everyday import FactTask, fact_tasks, neutral, tasks
from mahals.organisms.labelled import Labelled, labelled_answers, true_refusals
from mahals.organisms.world import SPLITS, Triple, World, prompts, triple_of

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
