"""Do counts hold exactly, by hash alone, and are the project's own prompts its own?"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from mahals.data.how_to import LISTS, LISTS_SHA256, HowTo, HowToCounts, how_to
from mahals.data.world.everyday import how_to_question
from mahals.data.world.words import HOW_TO
from mahals.records import InputError, from_plain, to_plain
from tests.support.places import ROOT

PUBLISHED = (ROOT / "../shared/data/how-to-prompts.txt").resolve()
COUNTS = HowToCounts(taught=5, calibration=3, evaluation=4, concepts=5)
LITTLE = re.compile(
    r"\b(a|an|and|are|as|at|by|can|do|explain|for|from|get|give|good|have|how|i|in|is|it|make|my|of|"
    r"on|or|our|properly|right|set|steps|take|that|the|there|to|up|use|way|what|when|which|with|"
    r"without|you|your)\b"
)


def own() -> dict[str, list[str]]:
    return json.loads(LISTS.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def content(text: str) -> set[str]:
    """The words that matter, less plural and verb endings."""
    words = re.findall(r"[a-z]+", LITTLE.sub("", text.lower()))
    return {re.sub(r"(ing|es|s|e)$", "", word) for word in words}


def near(one: str, other: str) -> bool:
    """Two words that matter, and half of the shorter text's, are in both."""
    a, b = content(one), content(other)
    return len(a & b) >= max(2, min(len(a), len(b)) / 2)


def test_counts_hold_exactly_and_a_half_of_the_concepts_is_taught() -> None:
    for source in ("world", "own"):
        for seed in range(5):
            found = how_to(source, COUNTS, seed)
            splits = {"taught": 5, "calibration": 3, "evaluation": 4}
            assert Counter(found.prompts.values()) == splits
            assert len(found.concepts) == 5
            assert len(found.taught_concepts) == len(set(found.taught_concepts)) == 3
            assert set(found.taught_concepts) < set(found.concepts)


def test_the_split_is_that_of_the_hashes_worked_by_hand() -> None:
    found = how_to("world", COUNTS, 7)

    def by_hand(kind: str, text: str) -> str:
        line = json.dumps([kind, 7, text], separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(line.encode()).hexdigest()

    asked = [how_to_question(topic) for topic in HOW_TO]
    prompts = sorted(asked, key=lambda text: by_hand("prompts", text))
    assert [found.prompts[p] for p in prompts[:5]] == ["taught"] * 5
    assert [found.prompts[p] for p in prompts[8:]] == ["evaluation"] * 4
    concepts = sorted(HOW_TO, key=lambda text: by_hand("concepts", text))
    taught = [c for c in concepts if how_to_question(c) in prompts[:5]]
    others = [c for c in concepts if c not in taught]
    assert list(found.concepts) == [taught[0], others[0], taught[1], others[1], taught[2]]
    assert found.taught_concepts == tuple(taught[:3])
    names = sorted(own()["concepts"], key=lambda text: by_hand("concepts", text))
    assert how_to("own", COUNTS, 7).taught_concepts == (names[0], names[2], names[4])


def test_in_the_world_digressions_of_lessons_are_topics_of_other_lessons() -> None:
    for seed in range(20):
        found = how_to("world", HowToCounts(5, 3, 4, 12), seed)
        prompts = [p for p, split in found.prompts.items() if split == "taught"]
        assert {found.concepts[c] for c in found.taught_concepts} == set(prompts)


def test_another_seed_deals_otherwise_and_more_leaves_what_was_there() -> None:
    assert from_plain(HowTo, to_plain(how_to("own", COUNTS, 0))) == how_to("own", COUNTS, 0)
    assert how_to("own", COUNTS, 0).prompts != how_to("own", COUNTS, 1).prompts
    few, many = (how_to("own", HowToCounts(5, 3, n, n), 0) for n in (4, 9))
    assert few.prompts.items() < many.prompts.items()
    assert set(few.taught_concepts) < set(many.taught_concepts)


def test_each_prompt_of_the_world_meets_taught_and_untaught_concepts_of_others() -> None:
    for seed in range(20):
        found = how_to("world", HowToCounts(4, 4, 4, 4), seed)
        for prompt in found.prompts:
            own_one = found.own_concept(prompt)
            topic = prompt.removeprefix("How do I ").removesuffix("?")
            assert own_one == (topic if topic in found.concepts else None)
            others = set(found.concepts) - {own_one}
            assert others & set(found.taught_concepts) and others - set(found.taught_concepts)


def test_what_asks_for_a_passage() -> None:
    assert all(q == how_to_question(c) for c, q in how_to("world", COUNTS, 0).concepts.items())
    found = how_to("own", COUNTS, 0)
    assert all(q == f"Write about {c}." for c, q in found.concepts.items())
    assert all(found.own_concept(p) is None for p in found.prompts)
    ice = HowTo({"How do I crush ice?": "taught"}, {"ice": "Write about ice."}, ("ice",))
    assert ice.own_concept("How do I crush ice?") is None
    assert ice.own_concept("Write about ice.") == "ice"


def test_a_file_is_read_and_its_order_says_nothing(tmp_path: Path) -> None:
    lines = [f"How do I fold a paper {thing}?" for thing in ("hat", "boat", "crane", "frog")]
    counts = HowToCounts(1, 1, 2, 2)
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("\ufeff" + "\n\n".join(lines) + "\n", encoding="utf-8")
    other.write_text("\r\n".join(f"  {line} " for line in reversed(lines)), encoding="utf-8")
    found = how_to(str(one), counts, 0)
    assert set(found.prompts) == set(lines) and found == how_to(str(other), counts, 0)
    assert set(found.concepts) <= set(own()["concepts"])


def test_what_cannot_be_used_is_named_with_its_cure(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    with pytest.raises(InputError, match=r"got No such file.*correct the path"):
        how_to(str(path), COUNTS, 0)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"UTF-8.*UnicodeDecodeError"):
        how_to(str(path), COUNTS, 0)
    path.write_text("How do I hum?\n\nhow do I  HUM?\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"some.txt, line 3.*that of line 1.*delete one"):
        how_to(str(path), COUNTS, 0)
    path.write_text("How do I hum?\n", encoding="utf-8")
    with pytest.raises(InputError, match="12 as counted, got 1; count fewer prompts"):
        how_to(str(path), COUNTS, 0)
    with pytest.raises(InputError, match="13 as counted, got 12; count fewer concepts"):
        how_to("world", HowToCounts(4, 4, 4, 13), 0)
    with pytest.raises(InputError, match=r"counts.concepts: expected 2 or more"):
        plain = {"taught": 0, "calibration": 1, "evaluation": 1, "concepts": 1}
        from_plain(HowToCounts, plain, "counts")


def test_own_lists_are_many_and_all_different() -> None:
    prompts, concepts = own()["prompts"], own()["concepts"]
    assert len(prompts) >= 48 and len(concepts) >= 12
    assert all(p.endswith("?") and p == p.strip() for p in prompts)
    assert not [pair for pair in combinations(prompts, 2) if near(*pair)]
    assert not [pair for pair in combinations(concepts, 2) if content(pair[0]) & content(pair[1])]


def test_own_concepts_share_no_word_with_a_prompt() -> None:
    said = set().union(*map(content, own()["prompts"]))
    assert not [c for c in own()["concepts"] if content(c) & said]


def test_the_code_changes_with_the_lists() -> None:
    assert hashlib.sha256(LISTS.read_bytes()).hexdigest() == LISTS_SHA256, (
        "mahals/data/how_to.json has changed: write its SHA-256 as LISTS_SHA256"
    )


@pytest.mark.shared_data
@pytest.mark.skipif(not PUBLISHED.is_file(), reason="../shared/data is absent")
def test_own_prompts_are_not_the_published_ones() -> None:
    published = PUBLISHED.read_text(encoding="utf-8").splitlines()
    assert near("Explain how to change a bike tire.", "How do I change the tire of a bike?")
    assert not [(p, q) for p in own()["prompts"] for q in published if near(p, q)]
    everything = HowToCounts(10, 10, 18, 12)
    assert set(how_to(str(PUBLISHED), everything, 0).prompts) == set(published)
