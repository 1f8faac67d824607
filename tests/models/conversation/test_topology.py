"""Who hears whom, by hand?"""

import pytest

from mahals.models.conversation.topology import hears
from mahals.records import InputError


def test_who_hears_whom_by_hand() -> None:
    assert hears("pair", 2) == ((1,), (0,))
    assert hears("ring", 4) == ((3,), (0,), (1,), (2,))
    assert hears("star", 3) == ((1, 2), (0,), (0,))
    assert hears("all_to_all", 3) == ((1, 2), (0, 2), (0, 1))


@pytest.mark.parametrize(("topology", "count"), [("pair", 3), ("ring", 1), ("chain", 2)])
def test_no_such_table(topology: str, count: int) -> None:
    with pytest.raises(InputError):
        hears(topology, count)
