"""Mail as practices get it: French words in quoted-printable, one in four with a scanned page behind it."""

from __future__ import annotations

import random
from base64 import encodebytes
from quopri import encodestring

_PROSE = """compte-rendu consultation contrôle tension artérielle glycémie à jeun traitement poursuivi bonne tolérance
patient revu ce jour sans plainte particulière examen clinique normal auscultation cardiaque régulière pas d'œdème
échographie réalisée résultats joints bilan biologique hémoglobine créatinine à renouveler dans trois mois cher confrère
merci de m'avoir adressé cette dame née le pour avis bien confraternellement ordonnance kinésithérapie dix séances
radiographie thoracique foyer absent vaccination à jour allergie pénicilline"""
_WORDS = _PROSE.split()
_SUBJECTS = ("=?utf-8?q?R=C3=A9sultats?=", "Dosage", "Courrier", "Bilan")
WORDS_MIN, WORDS_MAX = 120, 320
SCAN_BYTES = 6_000
SCAN_ONE_IN = 4


def letter(chance: random.Random) -> bytes:
    """A message of some 3 kB, with a scanned page some 11 kB; no two alike."""
    number = chance.getrandbits(64)
    words = [chance.choice(_WORDS) for _ in range(chance.randint(WORDS_MIN, WORDS_MAX))]
    text = "\r\n".join(" ".join(words[at : at + 12]) for at in range(0, len(words), 12)) + "\r\n"
    body = encodestring(text.replace("\r\n", "\n").encode()).replace(b"\n", b"\r\n")
    head = (
        f"From: =?utf-8?q?Laboratoire_de_la_R=C3=A9publique?= <bio{number % 50}@labo.example>\r\n"
        f"To: Louise Garnier <louise@chu.example>, secretariat@chu.example\r\n"
        f"Subject: {chance.choice(_SUBJECTS)} {number:016x}\r\n"
        f"Date: Mon, {1 + number % 28} Jan 2026 10:{number % 60:02d}:00 +0100\r\n"
        f"Message-ID: <{number:016x}@labo.example>\r\nMIME-Version: 1.0\r\n"
    ).encode()
    part = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + body
    if number % SCAN_ONE_IN:
        return head + part
    edge = b"--edge-%016x" % number
    scan = encodebytes(chance.randbytes(SCAN_BYTES)).replace(b"\n", b"\r\n")
    name = b'Content-Type: application/pdf; name="page.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
    kind = b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n' % edge[2:]
    placed = b'Content-Disposition: attachment; filename="page.pdf"\r\n\r\n'
    return b"".join((head, kind, edge, b"\r\n", part, b"\r\n", edge, b"\r\n", name, placed, scan, edge, b"--\r\n"))
