"""The real jobs in a real worker: the same values as outside, and our refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mss.formats import cda, cdafiles, cdarender, filetypes, xdm
from mss.model.errors import Malformed
from mss.model.verdict import Reason
from mss.sandbox import client
from mss.sandbox.images import ImageFacts
from mss.sandbox.pool import Sandbox
from tests.kit.dirtyzip import DIALECTS, dirty
from tests.kit.documents import make_cda, make_package, make_pdf
from tests.kit.hostile import ARCHIVES

ROOT = Path(__file__).resolve().parents[2]

CDA = """<?xml version="1.0" encoding="{charset}"?>
<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3" extension="9"/><code code="11502-2"/>
<title>Compte rendu d\u2019\u00e9t\u00e9</title><effectiveTime value="20260105101500+0100"/>
<recordTarget><patientRole><id root="1.2.250.1.213.1.4.10" extension="279035121518989"/><patient><name>
<family qualifier="BR">PAT-TROIS</family><given>DOMINIQUE</given></name></patient></patientRole></recordTarget>
<component><structuredBody><component><section><title>Conclusion</title>
<text><paragraph>Tout va bien\u00a0: l\u2019\u00e9t\u00e9.<linkHtml href="https://evil.example/">x</linkHtml></paragraph></text>
</section></component></structuredBody></component></ClinicalDocument>"""


def document(charset: str = "UTF-8") -> bytes:
    return CDA.format(charset=charset).encode(charset)


@pytest.mark.parametrize("charset", ["UTF-8", "UTF-16", "windows-1252", "macintosh"])
async def test_a_document_is_read_as_it_would_be_outside(charset: str, sandbox: Sandbox) -> None:
    """Header, files and rendering of a CDA, also in the character sets of older software."""
    data = document(charset)
    header = await client.read_cda(sandbox, data, owner=1)
    assert header == cda.read_header(data)
    assert header.title == "Compte rendu d\u2019\u00e9t\u00e9"
    assert await client.cda_files(sandbox, data, owner=1) == cdafiles.embedded_files(data)
    shown = await client.render_cda(sandbox, data, owner=1)
    assert "Tout va bien\u00a0: l\u2019\u00e9t\u00e9." in shown.replace("&nbsp;", "\u00a0")
    assert "evil.example" not in shown


async def test_an_archive_gives_its_documents(sandbox: Sandbox) -> None:
    """Fiche and bytes of each, also from the archives that real senders spoil."""
    package = make_package(make_cda())
    for data in (package, *(dirty(package, dialect) for dialect in DIALECTS)):
        read = await client.read_package(sandbox, data, owner=1)
        assert read == xdm.read_package(data)
        assert read.documents[0].content == make_cda()


@pytest.mark.parametrize("name", ARCHIVES)
async def test_a_hostile_archive_is_refused_through_the_wall(name: str, sandbox: Sandbox) -> None:
    """With the reason that the reader gave, and the worker goes on."""
    build, reason = ARCHIVES[name]
    with pytest.raises(Malformed) as refused:
        await client.read_package(sandbox, build())
    assert refused.value.reason is reason


async def test_a_pdf_is_opened(sandbox: Sandbox) -> None:
    """Pages are counted; what only begins like a PDF is refused."""
    assert (
        await client.check_pdf(sandbox, make_pdf()) == filetypes.check_pdf(make_pdf()) == filetypes.PdfFacts(1, False)
    )
    with pytest.raises(Malformed) as refused:
        await client.check_pdf(sandbox, b"%PDF-1.7 no more")
    assert refused.value.reason is Reason.UNREADABLE


async def test_pictures_and_html_pass_through_a_worker(sandbox: Sandbox) -> None:
    """The jobs without a format of their own."""
    picture = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00\x00\x00\x00\x80" + bytes(9)
    assert await client.check_image(sandbox, picture) == ImageFacts("image/png", 256, 128)
    assert await client.sanitise_html(sandbox, "<p onclick=x>é</p>") == "<p>é</p>"
    assert await client.html_to_text(sandbox, "<p>é<p>b") == "é\nb"


_WHAT_IS_LOADED_LATE = """
import sys
from pathlib import Path
from mss.model.errors import MssError
from mss.sandbox import jobs
jobs.warm_up()
before = set(sys.modules)
for path in sorted(Path(sys.argv[1]).rglob("*")):
    if not path.is_file() or path.stat().st_size > 3_000_000:
        continue
    data = path.read_bytes()
    for name, job in jobs.JOBS.items():
        for bytes_given in (data, data[: len(data) // 2]):
            try:
                job({}, (bytes_given,))
            except MssError:
                pass
print(sorted(set(sys.modules) - before))
"""


def test_no_library_loads_anything_after_the_warm_up(tmp_path: Path) -> None:
    """A worker cannot open files: whatever a library imports late would fail there and work in our tests."""
    (tmp_path / "a.pdf").write_bytes(make_pdf())
    (tmp_path / "a.zip").write_bytes(make_package(make_cda()))
    (tmp_path / "b.xml").write_bytes(document())
    (tmp_path / "c.html").write_text("<p>x<table><td>y")
    told = subprocess.run(
        [sys.executable, "-c", _WHAT_IS_LOADED_LATE, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "[]\n"


@pytest.mark.slow
def test_no_library_loads_anything_late_for_the_official_samples(samples: Path) -> None:
    """The same with real archives and documents."""
    told = subprocess.run(
        [sys.executable, "-c", _WHAT_IS_LOADED_LATE, str(samples / "cda")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout == "[]\n"


async def test_the_official_samples_read_alike_inside_and_outside(samples: Path, sandbox: Sandbox) -> None:
    """Real CDA documents: equal headers, equal files, a rendering that shows the title."""
    seen = 0
    for number, path in enumerate(sorted((samples / "cda").rglob("*.xml"))):
        data = path.read_bytes()
        try:
            expected = cda.read_header(data)
        except Malformed:
            continue
        assert await client.read_cda(sandbox, data, owner=number % 5) == expected
        assert await client.cda_files(sandbox, data, owner=number % 5) == cdafiles.embedded_files(data)
        shown = await client.render_cda(sandbox, data, owner=number % 5)
        assert len(shown) > 0.8 * len(cdarender.render(data)), path.name
        seen += 1
    assert seen >= 10
