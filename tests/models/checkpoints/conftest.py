"""Fixtures: a checkpoint's folder and a GGUF file, each written by a tiny model."""

import pytest

from tests.support.gguf_files import tiny_llama, write_gguf
from tests.support.tiny_models import fresh


@pytest.fixture
def folder(tmp_path):
    here = tmp_path / "made"
    made = fresh("Llama")
    made.model.save_pretrained(here)
    made.tokenizer.save_pretrained(here)
    return here


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    """A tiny model, and its GGUF file as llama.cpp's converter lays it out."""
    pytest.importorskip("gguf")
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    model = tiny_llama()
    write_gguf(file, model)
    return model, file
