"""What are the texts of the study: labelled prompts, preference pairs, neutral text, questions?"""

from mahals.data.kinds import AXIOMS, NeutralText, Pair, Prompt, TaskItem, WorldChoice

__all__ = ["AXIOMS", "NeutralText", "Pair", "Prompt", "TaskItem", "WorldChoice"]
