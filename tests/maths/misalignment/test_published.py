"""Are the published figures those of the file?"""

import json

from mahals.maths.misalignment import published
from tests.support.places import ROOT


def test_published_figures_are_those_of_the_file() -> None:
    file = ROOT / "benchmarks/published/emergent_misalignment.json"
    facts = json.loads(file.read_text())
    assert (facts["base"], facts["finetuned"]) == (published.BASE, published.FINETUNED)
    assert facts["separation"] == published.SEPARATION
    assert {int(k): v for k, v in facts["per_layer"].items()} == published.PER_BLOCK
