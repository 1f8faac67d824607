"""Rows of esr_judges: what is known of one number of one judge, or of two?"""

from dataclasses import dataclass

TRIALS = ("esr_unsteered", "esr_finetune", "esr", "esr_boost", "esr_prompts", "esr_ablation",
          "esr_random")  # fmt: skip
"""The phases whose stored answers are judged."""


@dataclass(frozen=True)
class Row:
    """One number. `judge` is `words` where attempts begin, which words alone decide, for all."""

    model: str
    weights: str
    what: str  # planted | trials | rates | exchanged | pair | labelled
    judge: str
    quantity: str = ""
    n: int = 0  # answers, restarts or cells that know it
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    other: str = ""  # the second judge of a pair
    population: int | None = None  # stored answers that a sample stands for
    abstained: int = 0  # answers of the sample, or texts, that the judge did not score
    why: str | None = None  # why there is no number

    @property
    def judges(self) -> str:
        """The judge, or the two of a pair."""
        return f"{self.judge}-{self.other}" if self.other else self.judge
