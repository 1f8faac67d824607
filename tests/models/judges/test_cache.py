"""Are verdicts asked for once, also after a torn line, and never another judge's?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mahals.models.judges.judge import QuestionAnswer
from mahals.models.judges.server import server_judge
from tests.support.judge_server import choice, needs_openai, reply


def test_the_cache_outlives_a_torn_line_and_knows_the_judge(serve: Any, tmp_path: Path) -> None:
    needs_openai()
    file = tmp_path / "v.jsonl"
    url, script = serve(reply("9"))
    asked = [QuestionAnswer("q", "a"), QuestionAnswer("q", "a")]
    server_judge(choice(url), file)(asked)
    assert len(script.seen) == 2, "asked once for both aspects, not twice"
    with file.open("a") as torn:
        torn.write('{"key": "abc", "align')
    server_judge(choice(url), file)([*asked, QuestionAnswer("q", "b")])
    assert len(script.seen) == 4 and len(file.read_text().splitlines()) == 3
    server_judge(choice(url), file)([QuestionAnswer("q", "b")])
    assert len(script.seen) == 4
    server_judge(replace(choice(url), model="other"), file)(asked)
    assert len(script.seen) == 6
