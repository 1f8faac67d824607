"""Are scores of attempts asked for once, whatever phase or process, and never another judge's?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from mahals.evaluation.resistance.episodes import scorer_of
from mahals.evaluation.resistance.setting import own_texts
from mahals.models.activations.store import CacheFolder
from mahals.models.judges import attempts
from mahals.models.judges.attempt_cache import AT_ONCE, cached_relevance
from mahals.models.judges.attempts import Attempted, attempt_scorer
from mahals.models.judges.judge import QuestionAnswer, Server
from mahals.phase import StatesPlace
from mahals.records import InputError
from tests.models.judges.test_attempts import Named
from tests.support.judge_server import choice, needs_openai, reply
from tests.support.resistance_lab import SETTING, resistance_lab
from tests.support.tiny_models import fresh

ASKED = [QuestionAnswer("q", t) for t in ("3", "x", "3", "40")]
SERVER = Named("m", Server("", "", 1.0, 0, 60.0, False))


class Counted:
    """A scorer that remembers what it was asked, and may be killed."""

    def __init__(self, kill_after: int | None = None) -> None:
        self.made, self.seen, self._kill_after = 0, list[str](), kill_after

    def make(self) -> Any:
        self.made += 1
        return self.score

    def score(self, asked: Sequence[QuestionAnswer]) -> list[float | None]:
        if self._kill_after is not None and len(self.seen) >= self._kill_after:
            raise KeyboardInterrupt
        self.seen += [a.answer for a in asked]
        return [float(a.answer) if a.answer.isdigit() else None for a in asked]


@pytest.fixture()
def place(tmp_path: Path) -> CacheFolder:
    return StatesPlace(tmp_path / "states", 10**7)


def test_a_text_is_scored_once_and_an_abstention_stays_one(place: CacheFolder) -> None:
    one, two, other = Counted(), Counted(), Counted()
    expected = [3, None, 3, 40]
    assert cached_relevance(place, "judge", one.make)(ASKED) == expected
    assert one.seen == ["3", "x", "40"]
    assert cached_relevance(place, "judge", two.make)(ASKED) == expected and not two.made
    asked = [*ASKED, QuestionAnswer("p", "3"), QuestionAnswer("q", "5")]
    assert cached_relevance(place, "judge", two.make)(asked) == [*expected, 3, 5]
    assert two.seen == ["3", "5"], "of another prompt, and a new text"
    assert cached_relevance(place, "other", other.make)(ASKED) == expected and len(other.seen) == 3


def test_what_is_torn_or_renamed_is_not_believed(place: CacheFolder) -> None:
    cached_relevance(place, "judge", Counted().make)(ASKED)
    first, second, third = sorted(place.folder.iterdir())
    first.write_text("{")
    third.write_bytes(second.read_bytes())
    again = Counted()
    assert cached_relevance(place, "judge", again.make)(ASKED) == [3, None, 3, 40]
    assert len(again.seen) == 2


def test_a_kill_costs_one_group_at_most(place: CacheFolder) -> None:
    many = [QuestionAnswer("q", str(i)) for i in range(AT_ONCE + 10)]
    with pytest.raises(KeyboardInterrupt):
        cached_relevance(place, "judge", Counted(kill_after=1).make)(many)
    resumed = Counted()
    found = cached_relevance(place, "judge", resumed.make)(many)
    assert found == [float(i) for i in range(AT_ONCE + 10)] and len(resumed.seen) == 10


def test_a_limit_of_0_keeps_none_and_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path,
) -> None:
    one = Counted()
    score = cached_relevance(StatesPlace(tmp_path / "none", 0), "judge", one.make)
    assert score(ASKED) == score(ASKED) and len(one.seen) == 8 and one.made == 1
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cache_gb"):
        cached_relevance(StatesPlace(tmp_path / "file", 10**6), "judge", one.make)(ASKED)
    assert len(one.seen) == 8, "said before it is scored"


def _score(place: CacheFolder) -> None:
    many = [QuestionAnswer("q", str(i)) for i in range(200)]
    for _ in range(3):
        found = cached_relevance(place, "judge", Counted().make)(many)
        assert found == [float(i) for i in range(200)]


def test_processes_share_it(place: CacheFolder) -> None:
    workers = [get_context("fork").Process(target=_score, args=(place,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [w.exitcode for w in workers] == [0] * 4
    _score(place)
    assert len(list(place.folder.iterdir())) == 200


REFERENCES = {"how do I help": ["share a garden"], "the old": ["town. a quiet river"]}
TEXTS = [Attempted("how do I help", t) for t in ("share a garden now", "", "the cat", "a town")]


@pytest.mark.parametrize("name", ["model", "embedding"])
def test_a_checkpoint_reads_a_text_once(
    name: Any, place: CacheFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores are as without a cache; other references or another checkpoint read anew."""
    forwards: list[int] = []
    capture = attempts.capture

    def counted(loaded: Any, encoded: Any, *more: Any) -> Any:
        forwards.append(len(encoded))
        return capture(loaded, encoded, *more)

    monkeypatch.setattr(attempts, "capture", counted)

    def scores(references: Any = REFERENCES, seed: int = 0, limit: int = 10**7) -> Any:
        one = fresh("Llama", seed)
        one.model.config.max_position_embeddings = 4096
        object.__setattr__(one, "revision", f"revision {seed}")
        where = StatesPlace(place.folder, limit)
        return attempt_scorer(name, references, lambda: one, SERVER, where)(TEXTS)

    plain = scores(limit=0)
    forwards.clear()
    assert scores() == pytest.approx(plain, abs=1e-3) and forwards
    forwards.clear()
    assert scores() == pytest.approx(plain, abs=1e-3) and not forwards
    scores(seed=1)
    assert forwards
    forwards.clear()
    scores({**REFERENCES, "the old": ["town"]})
    assert bool(forwards) == (name == "embedding"), "references are what it compares with"


def test_another_seed_and_another_phase_ask_the_server_nothing(serve: Any, tmp_path: Path) -> None:
    needs_openai()
    url, script = serve(reply('{"score": 50}'), reply("no idea"), reply("no idea"), reply("9"))
    setting = replace(SETTING, judge="openai", judge_model="m", server=choice(url).server)

    def scores(seed: int, phase: str) -> Any:
        lab = resistance_lab()
        lab.seed, lab.phase = seed, phase
        lab.cache = StatesPlace(tmp_path / "states", 10**7)
        texts = replace(own_texts(lab, "A"), setting=setting)
        return scorer_of(lab, "A", texts, texts.references)(ASKED[:2])

    assert scores(0, "esr") == [50, None] and len(script.seen) == 3
    assert scores(1, "esr") == scores(0, "esr_boost") == [50, None]
    assert len(script.seen) == 3
