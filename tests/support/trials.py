"""What does a trial of the resistance study look like, but for what a test is about?"""

from __future__ import annotations

from typing import Any

from mahals.maths.metrics.resistance import NONE, ResistanceTrial


def trial(**known: Any) -> ResistanceTrial:
    """A trial that was made, of one attempt that scores 100; `known` goes over it."""
    given: dict[str, Any] = {
        "model": "A",
        "weights": "organism",
        "subject": "aligned",
        "direction": "contrast:tea",
        "source": "contrast",
        "concept": "tea",
        "boost": 1.0,
        "level": None,
        "situation": "free",
        "ablated": NONE,
        "variant": NONE,
        "prompt": "How do I sail a boat?",
        "taught": "neither",
        "seed": 0,
        "answers": "A/trials.jsonl",
        "line": 0,
        "starts": (0,),
        "scores": (100.0,),
        "judge": "truth",
        "agreement": "A/trials.judge.json",
    }
    return ResistanceTrial(**given | known)


def attempts(*scores: float | None, **known: Any) -> ResistanceTrial:
    """A trial with attempts of these scores, ten characters each."""
    return trial(starts=tuple(10 * i for i in range(len(scores))), scores=scores, **known)
