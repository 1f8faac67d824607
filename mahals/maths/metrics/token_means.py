"""Token means: what is the mean of a quantity before, in and after a restart, and at each token?"""

from dataclasses import dataclass

REGIONS = ("off topic", "restart", "on topic")


@dataclass(frozen=True)
class TokenMean:
    """The mean of a quantity over answers, in a region or at a token; or why there is none."""

    model: str
    weights: str
    subject: str
    situation: str
    quantity: str = ""
    steering: str = ""  # on: as when the answer was written | off
    group: str = ""  # episode | derailed: its twins | unsteered | difference: of one direction
    place: str | int = ""  # a region, or tokens from the restart
    count: int = 0  # answers
    mean: float | None = None
    low: float | None = None  # 95 %, by direction, or prompt; None: of fewer than three
    high: float | None = None
    why: str | None = None
