"""Does the leaderboard open in a browser, ranked, with just its columns, and soon?"""

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

import pytest

from mahals.harness.leaderboard.collect import Collected, publish_leaderboard
from mahals.harness.leaderboard.ranking import Board, configuration_key
from mahals.harness.leaderboard.render import Origin
from mahals.harness.leaderboard.saved_view import Address, view_url
from mahals.harness.tracking.database import Store
from tests.support.synthetic_results import SUITE, board_entries, empty_store

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
ROW = ".ag-center-cols-container [role=row]"


def publish(count: int, store: Store) -> Board:
    entries = tuple(board_entries(count))
    keys = (configuration_key(e.configuration) for e in entries)
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


def test_the_view_opens_ranked_with_its_columns(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    board = publish(60, store)
    address = view_url(board, store, free_port())
    with served(address, tmp_path), page_of(1920) as page:
        opened(page, address)
        assistant = page.get_by_role("button", name="Close").first
        if assistant.is_visible():
            assistant.click()
        page.wait_for_timeout(1500)
        heads = page.locator(".ag-header-cell-text, [data-testid^=sort-header]").all_inner_texts()
        shown = [head.strip() for head in heads if head.strip()]
        names = page.locator(".ag-pinned-left-cols-container a").all_inner_texts()
        note = page.get_by_text("configurations beat their random control").first
        assert note.is_visible()
        picture = os.environ.get("MAHALS_SCREENSHOT", str(tmp_path / "leaderboard.png"))
        page.screenshot(path=picture)
        boxes = page.locator("input").all()
        assert any(SUITE in box.input_value() for box in boxes)
    from mahals.harness.leaderboard.ranking import label

    wanted = [label(line.entry.configuration) for line in board.lines]
    assert len(names) >= 10
    assert names == wanted[: len(names)]
    for column in ("rank", "note", "gain_over_random", "gain_over_random_low", "q", "aqi"):
        assert column in shown
    assert "aqi_justice_rights" not in shown


@pytest.mark.slow
def test_a_thousand_configurations_open(tmp_path: Path) -> None:
    """The time is printed, not tested: machines differ."""
    store = empty_store(tmp_path)
    board = publish(1000, store)
    address = view_url(board, store, free_port())
    with served(address, tmp_path), page_of(1920) as page:
        opened(page, address)  # the server's and the browser's first time
        print(f"1,000 configurations: {opened(page, address):.1f} s to the first line")
        assert page.locator(ROW).count() > 0
