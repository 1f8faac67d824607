"""Do judges agree on who comes back, on stored answers, planted ones and a labelled file?"""

from mahals.phase import Cost, Phase

TRIALS = ("esr_unsteered", "esr_finetune", "esr", "esr_boost", "esr_prompts", "esr_ablation",
          "esr_random")  # fmt: skip
NEEDS = ("organisms", *TRIALS)
PHASE = Phase(__name__, needs=NEEDS, per="model", cost=Cost(seconds=30.0, megabytes=0.5))
