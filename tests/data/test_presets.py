"""Does a source say where its rows are and which column is which?"""

import pytest

from mahals.data.presets import PRESETS, chosen_source, local_path
from mahals.data.sources import is_local
from mahals.records import InputError


def test_a_preset_stands_for_a_hub_id_whose_options_can_be_changed():
    assert chosen_source("litmus").place == "hasnat79/litmus"
    assert chosen_source("hh-rlhf").place.startswith("Anthropic/hh-rlhf?data_dir=harmless-base&rev")
    found = chosen_source("xstest?revision=abc&split=train")
    assert found.place == "walledai/XSTest?split=train&revision=abc" and found.layout == "xstest"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_given_a_file(name):
    found = chosen_source(f"{name}?path=../a+b/x.csv&text=Words")
    assert found.place == "../a+b/x.csv" and found.columns == {"text": "words"}
    assert found.layout == PRESETS[name].layout
    assert is_local(chosen_source(f"{name}?path=x.txt").place)


def test_a_hub_id_and_a_file_stay_what_they_are():
    assert chosen_source("a/b?split=dev&text=q").place == "a/b?split=dev"
    assert chosen_source("a/b").place == "a/b"
    assert chosen_source("x.csv?category=kind").place == "x.csv"
    assert chosen_source("Paul/XSTest").layout == "xstest"
    assert chosen_source("x.csv").layout == "plain"


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("xstest?pth=x.csv", "path"), ("x.csv?split=dev", "category"),
        ("a/b?revison=1", "revision"),
        ("hh-rlhf?take=reply", "replies"), ("xstest?path=", "a file after path="),
    ],
)  # fmt: skip
def test_an_unknown_option_is_refused_by_name(source, word):
    with pytest.raises(InputError, match=word):
        chosen_source(source)


def test_the_file_of_a_source_is_known_to_who_hashes_it():
    assert local_path("xstest?path=../x.csv&text=q") == "../x.csv"
    assert local_path("../x.csv?text=q") == local_path("../x.csv") == "../x.csv"
    assert local_path("xstest") is local_path("a/b?text=q") is local_path("What is it?") is None
