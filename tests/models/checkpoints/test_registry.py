"""Is an entry of the registry read from plain data, without torch?"""

import subprocess
import sys

import pytest

from mahals.models.checkpoints.registry import HubRef, ModelEntry
from mahals.records import InputError, from_plain


def test_an_entry_is_read_from_plain_data():
    plain = {
        "key": "k",
        "family": "Llama",
        "pair": "sft->dpo",
        "base": None,
        "aligned": {"id": "a/b", "revision": "main"},
        "gated": False,
        "licence": "mit",
        "layers": 32,
        "width": 4096,
        "organism": {"width": 96, "tied": True},
        "note": "",
    }
    entry = from_plain(ModelEntry, plain)
    assert entry.aligned == HubRef("a/b", "main") and entry.organism["width"] == 96
    with pytest.raises(InputError, match="one of pretrained->instruct, sft->dpo"):
        from_plain(ModelEntry, plain | {"pair": "sft"})


def test_the_registry_is_read_without_torch():
    code = (
        "import sys; from mahals.models.checkpoints.architectures import refuse_recurrent_hub; "
        "from mahals.models.checkpoints.hub import available_locally; "
        "from mahals.models.checkpoints.registry import HubRef, ModelEntry; "
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
