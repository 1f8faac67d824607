"""Report page: does every sentence stand under its model, with every figure?"""

from __future__ import annotations

from mahals.harness.runner.report_page import GENERAL, grouped, report_page
from mahals.harness.workspace.provenance import Provenance

LINES = (
    "Llama3_8B: aqi 3.0",
    "Mistral_7B, own vector, add raw: aqi +0.02 (p<.05)",
    "Llama3_8B -> Mistral_7B by ridge over shuffled maps: aqi -0.03",
    "P(best) 0.3",
    "Mistral_7Bis: not a model of this study",
)
OF = Provenance("organism", (0,), (), ("Mistral_7B", "Llama3_8B"))


def test_sentences_stand_under_the_model_they_begin_with() -> None:
    found = grouped(LINES, OF.models)
    assert list(found) == [GENERAL, "Mistral_7B", "Llama3_8B"]
    assert found["Mistral_7B"] == [LINES[1], LINES[2]]
    assert found["Llama3_8B"] == [LINES[0]]
    assert found[GENERAL] == [LINES[3], LINES[4]]


def test_the_page_says_of_what_it_is_and_links_every_file() -> None:
    files = {f"b.{form}": b"" for form in ("svg", "png", "pdf")} | {"a.png": b""}
    page = report_page("same_arch, study", "Does it?", OF, LINES, files)
    assert page.splitlines()[:3] == ["# same_arch, study", "", "Does it?"]
    assert "organism weights, training seed 0 (a declared positive control)" in page
    assert "* Mistral_7B, own vector, add raw: aqi +0.02 (p\\<.05)" in page
    assert page.index("figures/a.png") < page.index("figures/b.png")
    assert "b: [PDF](figures/b.pdf) [PNG](figures/b.png) [SVG](figures/b.svg)" in page
    assert page.count("![") == 2
    assert report_page("t", "q?", OF, (), {}).endswith("Nothing was said of these rows.\n")
