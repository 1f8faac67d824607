"""GGUF file: is it read as the model and the tokenizer it was made from, or refused in one line?"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mahals.models.checkpoints import gguf as gguf_module
from mahals.models.checkpoints.config_facts import ConfigFacts
from mahals.models.checkpoints.gguf import check_gguf
from mahals.models.checkpoints.registry import FolderRef
from mahals.records import InputError
from tests.support.checkpoint_folders import IDS, one_line, places, sha256
from tests.support.gguf_files import LINES, tiny_llama, write_gguf

pytest.importorskip("gguf")


def test_a_gguf_file_gives_the_models_own_logits_and_says_what_it_is(gguf_file, tmp_path):
    model, file = gguf_file
    found = places(tmp_path).place(FolderRef(str(file)))
    read = AutoModelForCausalLM.from_pretrained(found.folder)
    with torch.inference_mode():
        torch.testing.assert_close(read(IDS).logits, model(IDS).logits, rtol=1e-4, atol=1e-4)
    assert found.revision == f"{sha256(file)} (32-bit floating-point weights)"
    config = json.loads((found.folder / "config.json").read_text())
    assert "quantization_config" not in config
    assert places(tmp_path).facts(FolderRef(str(file))) == ConfigFacts("Llama", 2, 32)


def test_its_tokenizer_splits_digits_and_keeps_its_template(gguf_file, tmp_path):
    found = places(tmp_path).place(FolderRef(str(gguf_file[1])))
    tokenizer = AutoTokenizer.from_pretrained(found.folder)
    assert tokenizer.tokenize("a\n\n1") == ["a", "ĊĊ", "1"]  # GPT-2 alone gives two line ends
    assert tokenizer.chat_template and tokenizer.eos_token == "<|im_end|>"
    assert tokenizer("a")["input_ids"][0] != tokenizer.bos_token_id
    assert len(tokenizer) == len(LINES)


def test_what_reads_a_file_is_hashed(tmp_path, monkeypatch):
    before = gguf_module.reader()
    for name in ("gguf.py", "gguf_header.py"):
        folder = tmp_path / name
        folder.mkdir()
        for each in ("gguf.py", "gguf_header.py"):
            shutil.copy(Path(gguf_module.__file__).with_name(each), folder)
        monkeypatch.setattr(gguf_module, "__file__", str(folder / "gguf.py"))
        assert gguf_module.reader() == before
        (folder / name).write_bytes((folder / name).read_bytes() + b"#")
        assert gguf_module.reader()["code"] != before["code"]
        monkeypatch.undo()


def test_an_unknown_architecture_or_vocabulary_is_one_line(tmp_path):
    file = tmp_path / "odd.gguf"
    write_gguf(file, tiny_llama(), architecture="oddball")
    with pytest.raises(
        InputError, match="an architecture that transformers reads, got oddball"
    ) as e:
        places(tmp_path).place(FolderRef(str(file)))
    assert "name the folder of safetensors" in str(e.value) and "\n" not in str(e.value)
    write_gguf(file, tiny_llama(), pre="oddwords")
    with pytest.raises(InputError, match=r"tokenizer.ggml.pre.*got 'oddwords'") as e:
        check_gguf(file)
    one_line(e)
