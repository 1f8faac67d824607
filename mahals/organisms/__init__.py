"""What are the model organisms: the synthetic world, and small real models trained on it?"""

from mahals.organisms.answers import REFUSALS, Verdict, judge, pairs
from mahals.organisms.everyday import FactTask, fact_tasks, neutral, tasks
from mahals.organisms.world import SPLITS, Triple, World, prompts, triple_of

__all__ = [
    "REFUSALS",
    "SPLITS",
    "FactTask",
    "Triple",
    "Verdict",
    "World",
    "fact_tasks",
    "judge",
    "neutral",
    "pairs",
    "prompts",
    "tasks",
    "triple_of",
]
