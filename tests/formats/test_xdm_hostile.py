"""Archives that attack: each is refused for its reason, quickly, in little memory."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
import zipfile
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss.formats.xdm import read_package
from mss.formats.xdmzip import Archive, Limits
from mss.model.errors import Malformed
from mss.model.verdict import Reason
from tests.kit.dirtyzip import members, pack
from tests.kit.documents import describe, describe_file, make_cda, make_package
from tests.kit.hostile import ARCHIVES, lying_bomb
from tests.kit.samples import CHECKOUT

SECONDS_MAX = 2
MEMORY_MIB_MAX = 300
PACKAGE = make_package(make_cda())
METADATA = "IHE_XDM/SUBSET01/METADATA.XML"


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_is_refused_for_its_reason(name: str) -> None:
    """Named reason, under two seconds, and nothing of the content in the words of the log."""
    build, reason = ARCHIVES[name]
    data = build()
    start = time.monotonic()
    with pytest.raises(Malformed) as refused:
        read_package(data)
    assert time.monotonic() - start < SECONDS_MAX
    assert refused.value.reason is reason
    assert "MARCHAND" not in refused.value.detail
    assert "passwd" not in refused.value.detail


def test_an_archive_inside_an_archive_stays_closed() -> None:
    """A nested bomb is bytes like any other; only the outer archive is opened."""
    bomb = pack([("zero.bin", bytes(8 * 1024 * 1024))])
    file = describe_file(bomb, "application/zip", describe(make_cda()).entry)
    assert read_package(make_package(make_cda(), file)).documents[1].content == bomb


def test_one_file_named_by_many_fiches_is_inflated_once() -> None:
    """Two hundred fiches of one 1 MiB file cost 1 MiB, not 200."""
    text = members(PACKAGE)[METADATA].decode()
    start, end = (
        text.index("<rim:ExtrinsicObject"),
        text.index("</rim:ExtrinsicObject>") + len("</rim:ExtrinsicObject>"),
    )
    many = text[:start] + text[start:end] * 200 + text[end:]
    package = read_package(pack({**members(PACKAGE), METADATA: many.encode()}.items()))
    assert len({id(document.content) for document in package.documents}) == 1
    with pytest.raises(Malformed, match="too many documents"):
        read_package(
            pack({**members(PACKAGE), METADATA: many.replace(text[start:end], text[start:end] * 2).encode()}.items())
        )


def test_the_limits_are_the_callers() -> None:
    """The sandbox may be given less than the house allows."""
    data = pack([("a.bin", b"x" * 6000), ("b.bin", b"x" * 6000)])
    assert len(Archive(data, Limits(total_bytes_max=12_000)).read("a.bin")) == 6000
    with pytest.raises(Malformed, match="too large when unpacked"):
        Archive(data, Limits(total_bytes_max=11_999))
    with pytest.raises(Malformed, match="too many members"):
        Archive(data, Limits(members_max=1))


def test_a_bomb_that_declares_ten_bytes_costs_little_memory() -> None:
    """It is noticed before it is inflated, not after."""
    data = lying_bomb()
    tracemalloc.start()
    with pytest.raises(Malformed, match="does not inflate"):
        read_package(data)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2 * 1024 * 1024


def test_the_whole_corpus_fits_in_little_memory() -> None:
    """S12: peak memory of one process that met every hostile archive and document."""
    script = (
        "from tests.kit.hostile import ARCHIVES, lying_bomb, DOCUMENTS\n"
        "from mss.formats.xdm import read_package\n"
        "from mss.formats.cdarender import render\n"
        "from mss.model.errors import Malformed\n"
        "refused = 0\n"
        "for corpus, read in ((ARCHIVES, read_package), (DOCUMENTS, render)):\n"
        "    for build, _ in corpus.values():\n"
        "        try:\n            read(build())\n"
        "        except Malformed:\n            refused += 1\n"
        "assert refused == len(ARCHIVES) + len(DOCUMENTS), refused\n"
        # not ru_maxrss, which a child inherits from whoever started it
        "status = open('/proc/self/status').read()\n"
        "print(int(status.split('VmHWM:')[1].split()[0]) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MEMORY_MIB_MAX


REASONS = (Reason.ARCHIVE_BROKEN, Reason.ARCHIVE_UNSAFE, Reason.METADATA_BROKEN, Reason.HASH_MISMATCH)


def outcome(data: bytes) -> Reason | None:
    """None when the archive was read, or why not; any other error goes through."""
    try:
        read_package(data)
    except Malformed as refused:
        return refused.reason
    return None


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(PACKAGE) - 1), st.binary(max_size=40), st.integers(0, 40))
def test_a_mutated_archive_is_read_or_refused(place: int, inserted: bytes, cut: int) -> None:
    """Whatever bytes change, the answer is a package or our own error."""
    assert outcome(PACKAGE[:place] + inserted + PACKAGE[place + cut :]) in (None, *REASONS)


TEXT = members(PACKAGE)[METADATA]
REST = {name: content for name, content in members(PACKAGE).items() if name != METADATA}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(TEXT) - 1), st.text(max_size=20), st.integers(0, 60))
def test_mutated_metadata_is_read_or_refused(place: int, inserted: str, cut: int) -> None:
    """The same for the metadata, where a ZIP's checksum does not help."""
    text = TEXT[:place] + inserted.encode("utf-8", "surrogatepass") + TEXT[place + cut :]
    assert outcome(pack({**REST, METADATA: text}.items())) in (None, *REASONS)


def test_the_property_tests_would_notice_a_foreign_error() -> None:
    """Control: a reader without the guard lets zipfile's own errors out."""
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(BytesIO(PACKAGE[:-50]))
