"""Somebody carries the disk away: database, log of writes, bodies. Not a name, a number or a sentence can be read."""

from __future__ import annotations

import base64
import json
import os
import quopri
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from mss.demo.people import LABO, TIERS
from tests.campaigns.markers import FORMS, files_below, search
from tests.kit import documents
from tests.kit.demo import DOMINIQUE, KARIM, Demo, letter, on_the_wire, until
from tests.kit.laboratory import BIOLOGIST, health_mail, report, send
from tests.kit.onlooker import Onlooker
from tests.kit.webvisitor import Upload

pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.xdist_group("stolen"), pytest.mark.timeout(300)]

DOCTOR = "samir.benali@chu.mssante.example"
SOFTWARE = "dpi@chu.mssante.example"
WRITTEN = {
    "answer": "Je prends toujours mes comprimés le matin, même à jeun.",
    "photo": "boîte-de-comprimés.jpg",
    "held title": "Sérologie confidentielle à refaire",
    "held text": "Bonjour, votre sérologie est à refaire dès mardi prochain.",
    "queued subject": "Avis sur un nodule thyroïdien",
    "queued text": "Pourriez-vous relire l'échographie de cette patiente avant vendredi ?",
    "folder": "Patients à rappeler",
    "draft": "Brouillon : penser à rappeler la famille pour l'hospitalisation.",
}
"""What people write during the day."""
SENT = (
    "PAT-TROIS",
    "DOMINIQUE",
    "MARIE-LOUISE",
    "279035121518989",
    "Karim DEMONSTRATION",
    "CR d'examens biologiques",
    "le secrétariat du laboratoire vous lira",
    "TSH légèrement augmentée, à contrôler dans six semaines",
    "Hémoglobine",
    "_CR_d_examens_biologiques_PAT-TROIS_DOMINIQUE.pdf",
    "Anémie modérée",
    "Inès ROUSSEL",
)
"""What the demo's first mail and the fixtures bring."""
TRACES = ("IHE_XDM.zip", "METADATA.XML", "ClinicalDocument", "Content-Type:", "Message-ID:", "%PDF-1.")
"""Words of the formats themselves: where they stand, content stands in clear."""


@dataclass(frozen=True)
class Day:
    """A day in the life of two operators, over."""

    demo: Demo
    secrets: tuple[str, ...]

    def stolen(self) -> list[Path]:
        return files_below(self.demo.state("operator"), self.demo.state("other_operator"))


@pytest.fixture(scope="module")
def day() -> Iterator[Day]:
    """First mail, an answer with a photo, a held message, mail for a peer that is down, a doctor's folders."""
    demo = Demo()
    try:
        demo.start()
        told = _live(demo)
        demo.stop()
        yield Day(demo, (*SENT, *WRITTEN.values(), *TRACES, *told))
    finally:
        demo.remove()


def _live(demo: Demo) -> list[str]:
    """Returns further secrets: the addresses and Message-IDs of the day. Those of the public directory are none; who
    wrote to whom is one, so two that no directory knows write and are written to."""
    hers, his = demo.patient(DOMINIQUE), demo.patient(KARIM)
    _answer(demo)
    held = health_mail(his["address"], report(DOMINIQUE, WRITTEN["held title"]), text=WRITTEN["held text"])
    sent = send(demo, his["address"], held)
    until(lambda: sent.message_id.strip("<>") in demo.mss("held", "list", "--json").stdout)
    queued = letter(SOFTWARE, f"avis@{TIERS}", WRITTEN["queued subject"], WRITTEN["queued text"])
    demo.submit(SOFTWARE, [f"avis@{TIERS}"], on_the_wire(queued))
    until(lambda: TIERS in demo.mss("queue", "list", "--json").stdout)
    _tidy_up(demo)
    until(lambda: demo.mails(BIOLOGIST, f"Bo&AO4-tes partag&AOk-es/secretariat@{LABO}/INBOX"))
    Onlooker(demo).wait_until_judged()
    return [hers["address"], his["ins"], f"avis@{TIERS}", f"bio@{TIERS}", str(queued["Message-ID"]), sent.message_id]


def _answer(demo: Demo) -> None:
    visitor = demo.signed_in()
    link = until(lambda: visitor.get("/inbox").links(r"/inbox/[0-9]+"))[0]
    page = visitor.get(link)
    photo = Upload("attachment", WRITTEN["photo"], "image/jpeg", documents.make_jpeg(64, 64))
    answered = visitor.post(link, {"csrf": page.csrf, "once": "stolen", "body": WRITTEN["answer"]}, (photo,))
    assert "Votre réponse est envoyée" in answered.text
    document = visitor.get("/record").links(r"/record/[0-9]+")[0]
    assert "Hémoglobine" in visitor.get(document).text


def _tidy_up(demo: Demo) -> None:
    """A doctor reads, makes a folder with a telling name, keeps a draft."""
    mail = letter(f"bio@{TIERS}", DOCTOR, WRITTEN["queued subject"], WRITTEN["queued text"])
    demo.relay(f"bio@{TIERS}", [DOCTOR], on_the_wire(mail))
    folder = WRITTEN["folder"].replace("à", "&AOA-")
    client = demo.imap(DOCTOR)
    try:
        assert client.create(f'"{folder}"')[0] == "OK"
        client.select("INBOX")
        assert client.uid("FETCH", "1:*", "(ENVELOPE BODY[])")[0] == "OK"
        assert client.uid("STORE", "1:*", "+FLAGS", "(\\Seen confidentiel-nodule)")[0] == "OK"
        assert client.uid("COPY", "1:*", f'"{folder}"')[0] == "OK"
        draft = on_the_wire(letter(DOCTOR, DOCTOR, WRITTEN["queued subject"], WRITTEN["draft"]))
        assert client.append(f'"{folder}"', "(\\Draft)", imap_moment(), draft)[0] == "OK"
        assert client.uid("SEARCH", "TEXT", "nodule")[0] == "OK"
    finally:
        client.logout()


def imap_moment() -> str:
    return time.strftime('"%d-%b-%Y %H:%M:%S +0000"', time.gmtime())


def test_the_stolen_state_tells_nothing(day: Day) -> None:
    """No name, number, subject, sentence or file name, in any form, in any file."""
    stolen = day.stolen()
    octets = sum(path.stat().st_size for path in stolen)
    print(f"\nstolen state: {len(stolen)} files, {octets} octets, {len(day.secrets)} secrets in {len(FORMS)} forms")
    assert octets > 500_000, "too little to prove anything"
    assert search(stolen, [*day.secrets, "confidentiel-nodule"]) == []


def test_the_log_tells_nothing(day: Day) -> None:
    """Everything that all processes wrote to stderr: JSON lines, ids and reasons only."""
    written = [path.read_text().splitlines() for path in day.demo.journals]
    lines = [json.loads(line) for of_operator in written for line in of_operator]
    assert {"edge", "works"} <= {line["process"] for line in lines}
    assert len(lines) > 20
    assert search([day.demo.log, *day.demo.journals], day.secrets) == []


def test_no_key_lies_in_the_state(day: Day) -> None:
    """Whoever has the state and not the keys has nothing to open it with."""
    keys = [path.read_bytes() for path in files_below(day.demo.directory / "keys" / "operator-a")]
    assert len(keys) >= 6
    secret = [key for key in keys if len(key) == 32]
    for path in day.stolen():
        data = path.read_bytes()
        assert not [key for key in secret if key in data or key.hex().encode() in data.lower()], path.name


WRITERS: dict[str, tuple[Callable[[str], bytes], ...]] = {
    "clear": (str.encode, lambda text: text.upper().encode(), lambda text: text.encode("latin-1")),
    "base64": (
        lambda text: base64.encodebytes(text.encode()),
        lambda text: base64.encodebytes(b"1" + text.encode()),
        lambda text: base64.urlsafe_b64encode(b"12" + text.encode()),
    ),
    "quoted-printable": (
        lambda text: quopri.encodestring(text.encode()),
        lambda text: quopri.encodestring(text.encode(), quotetabs=True),
        lambda text: quopri.encodestring(text.encode("latin-1"), header=True),
    ),
    "utf-16": (lambda text: text.encode("utf-16-le"), lambda text: text.upper().encode("utf-16-be")),
    "percent": (
        lambda text: quote(text).encode(),
        lambda text: quote(text, safe="").lower().encode(),
        lambda text: quote_plus(text).encode(),
    ),
    "hex": (lambda text: text.encode().hex().encode(), lambda text: text.upper().encode().hex().upper().encode()),
    "json": (lambda text: json.dumps(text).encode(),),
}
"""How other software writes text: the standard library's encoders, not ours."""


@pytest.mark.parametrize("form", FORMS)
def test_a_file_in_clear_is_found(form: str, day: Day, tmp_path: Path) -> None:
    """Each secret, written by other people's encoders among other words: the same search finds each copy."""
    for number, secret in enumerate(day.secrets):
        for kind, write in enumerate(WRITERS[form]):
            planted = tmp_path / f"{form}-{number}-{kind}"
            planted.write_bytes(os.urandom(1000) + write(f"Avant {secret} après") + os.urandom(1000))
            assert search([planted], [secret]), (planted.name, secret)


def test_a_mail_kept_in_clear_is_found(day: Day, tmp_path: Path) -> None:
    """As mail writes it: folded base64 and quoted-printable, subject as encoded word."""
    mail = health_mail("x@patient.mssante.example", report(DOMINIQUE), text=WRITTEN["held text"])
    mail.replace_header("Subject", f"{WRITTEN['queued subject']} {WRITTEN['answer']}")
    (tmp_path / "body").write_bytes(on_the_wire(mail))
    found = {finding.secret for finding in search([tmp_path / "body"], day.secrets)}
    assert {WRITTEN["held text"], "IHE_XDM.zip", "Content-Type:"} <= found
    written = letter(DOCTOR, DOCTOR, "Sujet", WRITTEN["answer"])
    written.set_content(WRITTEN["answer"] * 20, cte="base64")
    (tmp_path / "base64").write_bytes(on_the_wire(written))
    assert WRITTEN["answer"] in {finding.secret for finding in search([tmp_path / "base64"], day.secrets)}
