"""Browser: how is the leaderboard served and opened, and how soon are its lines there?"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mahals.harness.leaderboard.collect import Collected, publish_leaderboard
from mahals.harness.leaderboard.ranking import Board, line_key
from mahals.harness.leaderboard.render import Origin
from mahals.harness.leaderboard.saved_view import Address
from mahals.harness.tracking.database import Store
from tests.support.synthetic_results import board_entries

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
ROW = ".ag-center-cols-container [role=row]"


def publish(count: int, store: Store) -> Board:
    entries = tuple(board_entries(count))
    keys = (line_key(e) for e in entries)
    origin = Origin("same_arch", "Mistral_7B", "f" * 64, True)
    return publish_leaderboard(Collected(entries, dict.fromkeys(keys, origin)), store)[0]


@contextmanager
def served(address: Address, folder: Path) -> Iterator[None]:
    """The MLflow UI, started by the very command that the leaderboard prints."""
    assert address.command is not None
    words = address.command.split()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with (folder / "ui.log").open("w") as log:
        server = subprocess.Popen(
            [*words, "--workers", "1"],
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        try:
            health = address.url.partition("/#")[0] + "/health"
            until = time.monotonic() + 240
            while not _answers(health):
                assert time.monotonic() < until, (folder / "ui.log").read_text()
                time.sleep(0.25)
            yield
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@contextmanager
def page_of(width: int) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": 1000})
        yield page
        browser.close()


def opened(page: Any, address: Address) -> float:
    """Seconds until the view shows its first line."""
    began = time.monotonic()
    page.goto("about:blank")
    page.goto(address.url)
    page.wait_for_selector(ROW, timeout=120_000)
    return time.monotonic() - began


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
