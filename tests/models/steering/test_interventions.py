"""Are arms that do not fit a model refused by name?"""

import pytest
import torch

from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.replay import capture_arms
from mahals.records import InputError
from tests.support.steering_arms import UNSTEERED, encoded_for
from tests.support.tiny_models import LAYERS, WIDTH, loaded, vector


def test_arms_that_do_not_fit_are_refused():
    at, good = loaded("Llama"), vector(1)
    bad = [
        (Intervention(LAYERS, good, 1.0, "add"), "block from 0 to 3"),
        (Intervention(-1, good, 1.0, "add"), "block from 0 to 3"),
        (Intervention(1, torch.ones(WIDTH + 1), 1.0, "add"), r"shape \(33,\)"),
        (Intervention(1, good * float("nan"), 1.0, "add"), "finite strength"),
        (Intervention(1, good, float("inf"), "add"), "finite strength"),
        (Intervention(1, good * 0, 1.0, "ablate"), "not all 0 to ablate"),
        (Intervention(1, good, 1.0, "ad"), "did you mean 'add'"),
    ]
    for step, match in bad:
        with pytest.raises(InputError, match=match), steered(at.model, [Arm("x", (step,))], [0]):
            pass
        with pytest.raises(InputError, match=match):
            capture_arms(at, encoded_for(at), [Arm("x", (step,))], [3], "mean")
    with pytest.raises(ValueError, match="beyond 1"), steered(at.model, [UNSTEERED], [1]):
        pass
    with pytest.raises(InputError, match="arms"):
        capture_arms(at, encoded_for(at), [], [3], "mean")
