"""Harmless requests: are all different, and none of them one that a study evaluates on?"""

from __future__ import annotations

import csv

import pytest

from mahals.data.harmless import NEAR, PLAIN, harmless_requests
from tests.support.places import SHARED


def test_the_harmless_requests_are_all_different() -> None:
    assert len({*NEAR, *PLAIN}) == len(NEAR) + len(PLAIN) == len(harmless_requests(near=True))
    assert harmless_requests(near=False) == PLAIN


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real texts are not beside the project")
def test_none_is_a_prompt_of_xstest() -> None:
    with (SHARED / "xstest-prompts.csv").open(encoding="utf-8", newline="") as file:
        prompts = {row["prompt"].strip().casefold() for row in csv.DictReader(file)}
    assert len(prompts) > 400 and not prompts & {r.strip().casefold() for r in (*NEAR, *PLAIN)}
