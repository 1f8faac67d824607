"""Answer tables: does a run show its answers, and say what it leaves out?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from mahals.harness.tracking.answer_tables import NAME, NOTE, sample_of, table_of
from mahals.harness.tracking.database import Store
from mahals.harness.tracking.runs import publish
from mahals.harness.workspace.paths import Workspace
from tests.support.kept_answers import answered_rows, lines_of
from tests.support.synthetic_results import Made, write_results

ROWS, ANSWERS = answered_rows()


def test_the_run_of_a_unit_shows_its_answers_as_one_table(place: Workspace, store: Store) -> None:
    import mlflow

    halves = (ANSWERS[:12], ANSWERS[12:])
    kept = {f"{n}.answers.jsonl": lines_of(half).encode() for n, half in enumerate(halves)}
    kept["other.jsonl"] = b'{"a": 1}\n'
    publish([write_results(place, Made(kept=kept))], store)
    experiment = store.experiment("same_arch")
    (run,) = store.client.search_runs([experiment])
    listed = store.client.list_artifacts(run.info.run_id)
    assert NAME in [f.path for f in listed]
    tables = store.client.list_artifacts(run.info.run_id, "tables")
    assert [f.path for f in tables] == ["tables/other.json"]
    assert run.data.tags[NOTE] == f"all {len(ANSWERS)}"
    mlflow.set_tracking_uri(store.uri)
    table = store.client.load_table(experiment, NAME, [run.info.run_id])
    assert table["answer"].tolist() == [a.answer for a in ANSWERS]
    assert table["dose"].tolist()[:4] == [""] * 4 and "kl=0.2" in table["dose"].tolist()
    assert set(table["verdict"]) == {"refused", "answered", "broken"}


def test_a_unit_without_answers_has_no_table(place: Workspace, store: Store) -> None:
    publish([write_results(place, Made(kept={"other.jsonl": b'{"a": 1}\n'}))], store)
    (run,) = store.client.search_runs([store.experiment("same_arch")])
    assert NOTE not in run.data.tags
    assert NAME not in [f.path for f in store.client.list_artifacts(run.info.run_id)]


@pytest.mark.parametrize(
    ("limit", "arms", "note"),
    [
        (32, 8, "all 32"),
        (31, 6, "24 of 32 answers: arms without a dose or at KL 0.1"),
        (
            23,
            5,
            "20 of 32 answers: arms without a dose or at KL 0.1, one draw of each null family",
        ),
        (
            10,
            5,
            "10 of 32 answers: arms without a dose or at KL 0.1, one draw of each null family, "
            "2 of 4 prompts",
        ),
    ],
)
def test_what_is_left_out_is_said(limit: int, arms: int, note: str) -> None:
    found = sample_of(ANSWERS, 0.1, limit)
    assert len(found.answers) <= limit and found.note == note
    assert len({(a.arm, a.draw, a.dose) for a in found.answers}) == arms
    doses = {a.dose for a in found.answers}
    assert doses == ({None, 0.1} if arms < 8 else {None, 0.05, 0.1, 0.2})


def test_a_table_says_what_an_answer_counts_as() -> None:
    mine = replace(ANSWERS[0], lexical=True, truth=False)
    (verdict,) = table_of([mine])["verdict"]
    assert verdict == "answered (detector: refused)"
    assert table_of([replace(mine, truth=None)])["verdict"] == ["refused"]
    assert table_of([replace(mine, degenerate=True)])["verdict"] == ["broken"]
    assert len({len(column) for column in table_of(ANSWERS).values()}) == 1
