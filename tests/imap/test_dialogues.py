"""The server says what the transcripts say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.imap.dialogue import Dialogue
from tests.kit.imap_house import ImapHouse

DIALOGUES = sorted((Path(__file__).parents[1] / "dialogues").glob("imap_*.imap"))


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem.removeprefix("imap_"))
async def test_dialogue(house: ImapHouse, path: Path) -> None:
    """Word for word, over real sockets."""
    await Dialogue(house, path).play()
