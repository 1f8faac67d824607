"""Are the top-level keys typed, and what is asked of the device with them?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.harness.workspace.run_keys import run_keys
from mahals.models.checkpoints.device import DeviceKeys
from mahals.records import InputError
from tests.support.toy_study import PARAMS


def test_the_device_is_one_of_the_run_keys() -> None:
    keys = run_keys({**PARAMS, "device": "cuda:1", "quantize": "4bit"})
    assert keys.on == DeviceKeys("cuda:1", "auto", "4bit", "none")
    assert run_keys({**PARAMS, "models": "A, B"}).models == ("A", "B")


@pytest.mark.parametrize("name", ["cuda:", "gpu", "cuda1", "CPU"])
def test_what_is_no_device_is_refused_by_its_key(name: str) -> None:
    with pytest.raises(InputError, match="device: expected auto, cpu, cuda, cuda:1 or mps"):
        run_keys({**PARAMS, "device": name})
    assert not Path(name).exists()
