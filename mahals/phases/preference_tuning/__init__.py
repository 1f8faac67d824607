"""Does preference training on real pairs teach a model to refuse what is unsafe, and that alone?

It makes the aligned half of a model with `pair: trained`: answers first where the checkpoint never
saw a chat, then preferences. A gate on requests of its own decides whether that half exists.
"""

from mahals.phase import Cost, Phase

PHASE = Phase(
    __name__,
    needs=("datasets", "organisms"),
    per="model",
    cost=Cost(seconds=900.0, megabytes=8.0),
    fixed=(
        ("suite.answers", 1),
        ("suite.tasks", 1),
        ("suite.single_method", "contrast"),
        ("suite.doses", (1.0,)),
        ("suite.doses_beyond", ()),
        ("suite.nulls", 2),
        ("suite.dose_kl", 0.4),
    ),
)
