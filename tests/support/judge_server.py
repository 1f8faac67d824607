"""Judge server: scripts and replies of an OpenAI-compatible server."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mahals.models.judges.judge import JudgeChoice, Server


@dataclass
class Script:
    """What the server does with its requests, one after another; the last goes on for ever."""

    turns: list[Any]
    seen: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


def reply(token: str, top: dict[str, float] | None = None) -> dict[str, Any]:
    logprobs = None
    if top is not None:
        each = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in top.items()]
        logprobs = {"content": [{**each[0], "top_logprobs": each}], "refusal": None}
    message = {"role": "assistant", "content": token, "refusal": None}
    choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": logprobs}
    return {
        "id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice],
    }  # fmt: skip


def choice(url: str, **more: Any) -> JudgeChoice:
    server = Server(url, "", 5.0, 3, 60000.0, True)
    return JudgeChoice("openai", "m", replace(server, **more))


def needs_openai() -> None:
    pytest.importorskip("openai")
