"""GGUF header: is what a file says of itself read without its weights, and a torn one refused?"""

import numpy as np
import pytest

from mahals.models.checkpoints.config_facts import ConfigFacts
from mahals.models.checkpoints.gguf_header import read_header
from mahals.records import InputError
from tests.support.checkpoint_folders import one_line

gguf = pytest.importorskip("gguf")
KINDS = gguf.GGMLQuantizationType


def written(path, tensors, block_count=2):
    """A GGUF file with tensors of the types given: (type, rows of 32 numbers)."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_embedding_length(32)
    if block_count is not None:
        writer.add_block_count(block_count)
    writer.add_array("numbers", [1.5, 2.5, 3.5])
    writer.add_array("nested", [["a", "bc"], ["def"]])
    writer.add_bool("after.lists", True)
    for i, (kind, rows) in enumerate(tensors):
        values = np.linspace(-1, 1, 32 * rows, dtype=np.float32).reshape(rows, 32)
        writer.add_tensor(f"t{i}", gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_header_needs_no_weights(gguf_file, tmp_path):
    model, file = gguf_file
    header = read_header(file)
    assert header.facts == ConfigFacts("llama", 2, 32)
    assert header.has_template and header.weights == "32-bit floating-point weights"
    torn = tmp_path / "torn.gguf"
    torn.write_bytes(file.read_bytes()[: -4 * sum(p.numel() for p in model.parameters())])
    assert read_header(torn) == header


def test_lists_are_passed_over_and_what_follows_them_is_read(tmp_path):
    values = read_header(written(tmp_path / "a.gguf", [])).values
    assert values["after.lists"] is True
    assert not {"numbers", "nested"} & set(values)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ([(KINDS.F16, 4)], "16-bit floating-point weights"),
        ([(KINDS.F16, 4), (KINDS.F32, 1)], "32-bit floating-point weights"),
        ([(KINDS.Q8_0, 4)], "8-bit (100%) weights read back to float32"),
        (
            [(KINDS.Q4_0, 3), (KINDS.Q4_1, 3), (KINDS.F32, 2)],
            "4-bit (75%), 32-bit (25%) weights read back to float32",
        ),
    ],
)
def test_the_numbers_are_told_by_their_share_of_the_weights(tensors, said, tmp_path):
    assert read_header(written(tmp_path / "a.gguf", tensors)).weights == said


def test_a_file_that_is_torn_or_of_another_kind_is_one_line(tmp_path):
    file = written(tmp_path / "a.gguf", [(KINDS.F32, 1)])
    whole = file.read_bytes()
    for body in (b"", whole[:10], whole[:60], whole[:150], b"GGML" + whole[4:], b"{}" * 40):
        file.write_bytes(body)
        with pytest.raises(InputError, match="a GGUF file of version 2 or 3, whole") as error:
            read_header(file)
        one_line(error)
    written(file, [], block_count=None)
    with pytest.raises(InputError, match="without architecture, depth or width") as error:
        read_header(file)
    one_line(error)
