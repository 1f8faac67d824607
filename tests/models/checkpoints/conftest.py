"""A checkpoint's folder, written by a tiny model."""

import pytest

from tests.support.tiny_models import fresh


@pytest.fixture
def folder(tmp_path):
    here = tmp_path / "made"
    made = fresh("Llama")
    made.model.save_pretrained(here)
    made.tokenizer.save_pretrained(here)
    return here
