"""Methods: are those that compare two checkpoints left out, by name, where there is one?"""

from __future__ import annotations

from mahals.phase import Single
from mahals.phases.steering_vectors.measure.methods import methods_of
from tests.support.tiny_lab import refused

ONE = Single("aligned", "no base is public")


def test_a_pair_has_all_methods_and_one_checkpoint_its_own() -> None:
    asked = ("mean_difference", "svd_k", "contrast", "probe")
    assert methods_of(asked, None, "A").methods == asked
    found = methods_of(asked, ONE, "A")
    assert found.methods == ("contrast", "probe")
    assert found.reason == "mean_difference, svd_k: no base is public"
    assert methods_of(("pca",), ONE, "A").reason is None


def test_where_none_is_left_the_ones_that_exist_are_named() -> None:
    said = str(refused(lambda: methods_of(("mean_difference",), ONE, "A")))
    assert "contrast, pca, probe" in said and "no base is public" in said
    assert "steering_vectors.methods" in said
