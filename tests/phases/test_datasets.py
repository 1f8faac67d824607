"""Does the phase leave the texts it says it leaves, whatever they come from?"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml

from mahals.data.files import read_lines
from mahals.data.texts import AXIOMS, NeutralText, Pair, Prompt, TaskItem
from mahals.phases.datasets import PHASE
from mahals.phases.datasets.measure import Params, Source, Task
from mahals.phases.datasets.rows import FILES, Row
from mahals.records import InputError, from_plain, to_plain
from mahals.reporting.plots.picture import saved
from tests.support.places import ROOT

REAL = ROOT / "../shared/data/hh-rlhf-harmless-base-test.jsonl.gz"
SPLITS = ("extraction", "mapping", "selection", "evaluation")
KINDS = {"prompts": Prompt, "pairs": Pair, "neutral": NeutralText, "tasks": TaskItem}


@dataclass
class FolderLab:
    """As much of a lab as this phase asks for."""

    folder: Path
    weights: str = "organism"
    seed: int = 0
    kept: list[str] = field(default_factory=list)

    def file(self, named: str) -> Path:
        return Path(named)

    def keep_text(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        self.kept.append(name)
        return f"study/{name}"


@pytest.fixture(scope="module")
def shipped() -> Params:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    return from_plain(Params, values["datasets"] | {"world": values["world"]})


@pytest.fixture(scope="module")
def small(shipped) -> Params:
    return replace(shipped, per_cell=3, pairs_per_split=14, texts_per_split=5, tasks_per_split=4)


@pytest.fixture(scope="module")
def made(small, tmp_path_factory) -> tuple[list[Row], Path]:
    """Rows and folder of one run at small sizes."""
    folder = tmp_path_factory.mktemp("made")
    return _run(small, folder), folder


def _run(params: Params, folder: Path, seed: int = 0, weights: str = "organism") -> list[Row]:
    folder.mkdir(exist_ok=True)
    lab = FolderLab(folder, weights, seed)
    return [row for task in PHASE.plan(params, lab) for row in PHASE.measure(task, params, lab)]


def test_the_phase_names_every_file_it_keeps(made):
    _, folder = made
    assert {path.name for path in folder.iterdir()} == set(PHASE.keeps)
    assert PHASE.home == "data"


def _jsonl(path: Path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_the_files_hold_what_the_rows_say(made):
    rows, folder = made
    for file in FILES:
        path = folder / f"{file}.jsonl"
        cells = Counter(
            (item.split, getattr(item, "axiom", None), getattr(item, "label", None))
            for item in read_lines(KINDS[file], path)
        )
        found = [row for row in rows if row.file == file]
        assert {(r.split, r.axiom, r.label): r.count for r in found} == cells
        assert {r.sha256 for r in found} == {hashlib.sha256(path.read_bytes()).hexdigest()}
        assert {r.kept for r in found} == {f"study/{file}.jsonl"}
        card = (folder / f"{file}.md").read_text()
        assert found[0].sha256 in card and found[0].origin in card and found[0].licence in card
    assert [from_plain(Row, to_plain(row)) for row in rows] == rows


def test_prompts_are_balanced_and_no_split_key_is_in_two_splits(made):
    rows, folder = made
    cells = {(r.split, r.axiom, r.label): r.count for r in rows if r.file == "prompts"}
    assert cells == {(s, a, n): 3 for s in SPLITS for a in AXIOMS for n in (0, 1)}
    keys: dict[str, set[str]] = {split: set() for split in SPLITS}
    for file in ("prompts", "pairs"):
        for item in read_lines(KINDS[file], folder / f"{file}.jsonl"):
            keys[item.split].add(item.key)
    assert sum(map(len, keys.values())) == len(set.union(*keys.values()))


def test_two_runs_give_the_same_bytes_and_another_seed_other_texts(made, small, tmp_path):
    first, folder = made
    again, other = (_run(small, tmp_path / str(seed), seed) for seed in (0, 1))
    assert first == again
    for file in PHASE.keeps:
        assert (folder / file).read_bytes() == (tmp_path / "0" / file).read_bytes()
    hashes = [{r.file: r.sha256 for r in rows} for rows in (first, other)]
    assert all(hashes[0][file] != hashes[1][file] for file in FILES)


def test_real_sources_are_chosen_by_weights(small, tmp_path):
    prompts = [
        {"axiom": a, "safety_label": word, "input": f"{word} {a} {i}"}
        for a in AXIOMS
        for word in ("safe", "unsafe")
        for i in range(60)
    ]
    pairs = [{"prompt": f"p {i}", "chosen": "yes", "rejected": "no"} for i in range(120)]
    texts = [{"text": f"A text {i}."} for i in range(60)]
    params = replace(
        small,
        prompts=Source("world", _jsonl(tmp_path / "p.jsonl", prompts)),
        pairs=Source("world", _jsonl(tmp_path / "q.jsonl", [*pairs, pairs[0]])),
        neutral=Source("world", _jsonl(tmp_path / "t.jsonl", [*texts, {"text": " "}])),
        tasks=Source("world", "none"),
        pairs_per_split=5,
    )
    rows = _run(params, tmp_path / "out", weights="hub")
    count = Counter(dict.fromkeys(FILES, 0))
    for row in rows:
        count[row.file] += row.count
    assert count == {"prompts": 4 * 7 * 2 * 3, "pairs": 20, "neutral": 20, "tasks": 0}
    assert (tmp_path / "out" / "tasks.jsonl").read_bytes() == b""
    pair_row = next(r for r in rows if r.file == "pairs")
    assert pair_row.left_out == {"copy of another row": 1}
    assert pair_row.origin.startswith("q.jsonl, SHA-256 ") and pair_row.world_seed is None
    assert "1 rows (copy of another row)" in (tmp_path / "out" / "pairs.md").read_text()


def test_splits_without_a_share_are_left_out_of_real_texts(small, tmp_path):
    path = _jsonl(tmp_path / "t.jsonl", [{"text": f"A text {i}."} for i in range(12)])
    params = replace(
        small,
        neutral=Source(path, "none"),
        shares=replace(small.shares, mapping=0, selection=0, evaluation=0),
        texts_per_split=12,
    )
    rows = list(PHASE.measure(Task((), "neutral"), params, FolderLab(tmp_path)))
    assert [(r.split, r.count) for r in rows] == [("extraction", 12)]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"prompts": Source("none", "none")}, "datasets.prompts"),
        ({"tasks": Source("/nowhere/q.jsonl", "own")}, "/nowhere/q.jsonl"),
        ({"neutral": Source("/nowhere/x.jsonl", "own")}, "/nowhere/x.jsonl"),
    ],
)
def test_bad_params_are_refused_by_name(small, tmp_path, change, word):
    with pytest.raises(InputError, match=word.replace(".", r"\.")):
        _run(replace(small, **change), tmp_path)


def test_too_few_rows_are_refused_and_nothing_is_kept(small, tmp_path):
    path = _jsonl(tmp_path / "t.jsonl", [{"text": f"A text {i}."} for i in range(3)])
    lab = FolderLab(tmp_path)
    with pytest.raises(InputError, match="too few neutral texts"):
        params = replace(small, neutral=Source(path, path))
        list(PHASE.measure(Task((), "neutral"), params, lab))
    assert not lab.kept


def test_the_summary_counts_by_hand_and_finds_the_length_gap(made):
    rows, folder = made
    summary = PHASE.summarize(rows, None)
    assert summary.metrics["prompts"] == 4 * 7 * 2 * 3
    assert summary.metrics["pairs"] == 4 * 14
    assert summary.metrics["neutral"] == 20 and summary.metrics["tasks"] == 16
    words = {(a, n): [] for a in AXIOMS for n in (0, 1)}
    for prompt in read_lines(Prompt, folder / "prompts.jsonl"):
        if prompt.split == "evaluation":
            words[(prompt.axiom, prompt.label)].append(len(prompt.text.split()))
    gap = max(abs(sum(words[(a, 1)]) - sum(words[(a, 0)])) / 3 for a in AXIOMS)
    assert summary.metrics["words_gap"] == pytest.approx(gap)
    assert summary.metrics["categories"] == 7
    assert len(summary.lines) == 6


def test_the_figure_shows_the_means_of_the_rows(made):
    rows, _ = made
    figures = PHASE.draw(rows, None)
    assert set(figures) == {"prompt_words"}
    (axes,) = figures["prompt_words"].axes
    drawn = sorted(round(bar.get_width(), 6) for bar in axes.patches)
    cells = [r for r in rows if r.file == "prompts" and r.split == "evaluation"]
    assert drawn == sorted(round(r.words_mean, 6) for r in cells)
    assert saved(figures["prompt_words"])["png"].startswith(b"\x89PNG")
    assert not PHASE.draw([r for r in rows if r.file == "tasks"], None)


@pytest.mark.slow
def test_the_shipped_sizes_can_be_had_from_the_world(shipped, tmp_path):
    rows = _run(shipped, tmp_path)
    prompts = read_lines(Prompt, tmp_path / "prompts.jsonl")
    assert len(prompts) == 4 * 7 * 2 * shipped.per_cell == len({p.text for p in prompts})
    neutral = next(r for r in rows if r.file == "neutral")
    assert neutral.count == shipped.texts_per_split


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.exists(), reason="../shared/data is absent")
def test_all_real_pairs_in_one_split(small, tmp_path):
    params = replace(
        small,
        pairs=Source(str(REAL), str(REAL)),
        shares=replace(small.shares, mapping=0, selection=0, evaluation=0),
        pairs_per_split=2312,
    )
    rows = list(PHASE.measure(Task((), "pairs"), params, FolderLab(tmp_path)))
    assert [(r.split, r.count) for r in rows] == [("extraction", 2312)]
    assert len(read_lines(Pair, tmp_path / "pairs.jsonl")) == 2312


XSTEST = ROOT / "../shared/data/xstest-prompts.csv"


@pytest.mark.shared_data
@pytest.mark.skipif(not XSTEST.exists(), reason="../shared/data is absent")
def test_prompts_pairs_neutral_and_questions_of_real_sources(shipped, tmp_path):
    params = replace(
        shipped,
        prompts=Source("world", f"xstest?path={XSTEST}"),
        pairs=Source("world", f"hh-rlhf?path={REAL}"),
        neutral=Source("world", f"hh-rlhf?take=replies&path={REAL}"),
    )
    rows = _run(params, tmp_path / "real", weights="hub")
    prompts = {(r.split, r.axiom, r.label): r.count for r in rows if r.file == "prompts"}
    assert len(prompts) == 4 * 8 * 2 and sum(prompts.values()) == 450
    assert {n for (s, _, v), n in prompts.items() if s == "evaluation" and not v} == {10}
    assert {(r.file, r.count) for r in rows if r.file == "pairs"} == {("pairs", 280)}
    kept = {f: read_lines(KINDS[f], tmp_path / "real" / f"{f}.jsonl") for f in FILES}
    for file in ("prompts", "pairs", "tasks"):
        assert len({(i.key, i.split) for i in kept[file]}) == len({i.key for i in kept[file]})
    place = {p.chosen: p.split for p in kept["pairs"]}
    assert all(place.get(t.text, t.split) == t.split for t in kept["neutral"])
    report = PHASE.summarize(rows, None)
    assert "8 categories" in "".join(report.lines)
