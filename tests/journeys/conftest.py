"""A real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, sync_playwright

from tests.kit import programs

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESK = {"width": 1200, "height": 900}


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[BrowserContext]:
    """A browser that nobody has used: a French person's, in Paris."""
    with sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=programs.require("chromium"),
            headless=False,  # the flag below is the headless mode that is a whole browser
            args=list(FLAGS),
            locale="fr-FR",
            timezone_id="Europe/Paris",
            viewport={"width": DESK["width"], "height": DESK["height"]},
        )
        yield context
        context.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Where pictures go: MSS_SCREENSHOTS, for eyes; else nowhere that lasts."""
    chosen = Path(os.environ.get("MSS_SCREENSHOTS", tmp_path / "pictures"))
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen
