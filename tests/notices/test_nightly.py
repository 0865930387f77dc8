"""What became of a sending mailbox's mail: by Message-ID, once a night, to nobody but its accountable sender."""

from __future__ import annotations

import csv
import io
from email.message import EmailMessage

from mss.mail.contents import Contents, Octets
from mss.mail.holding import Doubt
from mss.mail.ledger import COLUMNS
from mss.model.ids import MailAddress
from mss.model.verdict import Reason
from mss.notices.nightly import KEPT_DAYS
from mss.store import outcomeschema
from tests.kit.documents import HUGO, OUR_OID, ZOE, make_cda
from tests.kit.house import HOSPITAL, LABORATORY, House, words_of

DAY_S = 86_400.0
READER = MailAddress.parse(f"qualite@{LABORATORY.domain}")


def table(mail: EmailMessage) -> list[dict[str, str]]:
    """The table of a nightly mail."""
    (attached,) = [part for part in mail.iter_attachments() if part.get_content_type() == "text/csv"]
    return list(csv.DictReader(io.StringIO(attached.get_content())))


async def nightly(house: House) -> list[EmailMessage]:
    return [mail for mail in await house.sent() if str(mail["Subject"]).startswith("[Bilan]")]


class Suspicious:
    """An antivirus that finds something in mail that says so."""

    is_resting = False

    async def doubt(self, octets: Octets) -> Doubt | None:
        return Doubt(Reason.VIRUS_FOUND, "Test") if b"suspicious" in Contents.of(octets).whole() else None


async def sent_today(house: House) -> dict[str, str]:
    """A mail of each kind. Message-ID by what should become of it."""
    house.scan_with(Suspicious())
    zoe = await house.enrol(ZOE)
    nobody = MailAddress.parse(f"{HUGO.ins.value}@{zoe.address.domain}")
    ids = {}
    mails = {
        "filed": house.health_mail(zoe.address, make_cda(ZOE)),
        "quiet": house.health_mail(zoe.address, make_cda(ZOE, unique_id=f"{OUR_OID}.1^2"), receipt=False),
        "held": house.health_mail(zoe.address, make_cda(HUGO)),
        "unreachable": house.health_mail(nobody, make_cda(HUGO)),
        "shown": house.health_mail(zoe.address),
        "infected": house.health_mail(zoe.address, text="Something suspicious.\n"),
        "both": house.health_mail(zoe.address, make_cda(ZOE, unique_id=f"{OUR_OID}.1^3")),
    }
    for kind, raw in mails.items():
        to = {"unreachable": [nobody], "both": [zoe.address, nobody]}.get(kind, [zoe.address])
        await house.deliver(raw, LABORATORY, *to)
        ids[kind] = next(line[12:] for line in raw.decode().split("\r\n") if line.startswith("Message-ID: "))
    await house.run_tasks()
    return ids


async def test_each_sending_mailbox_reads_what_became_of_its_mail(house: House) -> None:
    """Filed, held, unreachable, with codes; a success that nobody asked about too; no name, no INS, no subject."""
    ids = await sent_today(house)
    tables = house.nightly({LABORATORY: READER})
    await tables.look()
    assert not table((await nightly(house))[0]), "of the day before"
    house.clock.forward(3600)
    await house.run_tasks()
    house.clock.forward(DAY_S)
    await tables.look()
    mail = (await nightly(house))[-1]
    assert mail["X-Envelope-To"] == str(READER)
    assert mail["Auto-Submitted"] == "auto-generated"
    rows = table(mail)
    assert tuple(rows[0]) == COLUMNS
    told = [(row["message_id"], row["outcome"], row["code"], row["reason"], row["documents"]) for row in rows]
    assert sorted(told) == sorted(
        [
            (ids["filed"], "filed", "", "", "1"),
            (ids["quiet"], "filed", "", "", "1"),
            (ids["held"], "held", "904", "ins-mismatch", "1"),
            (ids["unreachable"], "unreachable", "", "unreachable", "0"),
            (ids["shown"], "shown", "", "", "0"),
            (ids["infected"], "held", "906", "virus-found", "0"),
            (ids["both"], "filed", "", "", "1"),
            (ids["both"], "unreachable", "", "unreachable", "0"),
        ]
    )
    assert len({(row["message_id"], row["copy"]) for row in rows}) == len(rows)
    assert all(row["received_at"] <= row["at"] for row in rows)
    whole = mail.as_string()
    assert not [word for word in (ZOE.ins.value, HUGO.ins.value, "MARCHAND", "Compte rendu") if word in whole]


async def test_a_copy_is_counted_once_however_often_it_is_told_of(house: House) -> None:
    """Held by the antivirus, let go, held by the bridge, refused by a person: three lines, one refusal.
    The sums add up to the mails that were sent."""
    house.scan_with(Suspicious())
    zoe = await house.enrol(ZOE)
    for raw in (
        house.health_mail(zoe.address, make_cda(HUGO), text="suspicious\n"),
        house.health_mail(zoe.address),
    ):
        await house.deliver(raw, LABORATORY, zoe.address)
    await house.run_tasks()
    (found,) = await house.triage.held_list()
    await house.triage.file(found.id, "erik")
    await house.run_tasks()
    house.clock.forward(60)
    (held,) = await house.triage.held_list()
    assert held.reason == "ins-mismatch"
    await house.triage.reject(held.id, "erik", "autre patient")
    await house.run_tasks()
    house.clock.forward(DAY_S)
    await house.nightly({LABORATORY: READER}).look()
    mail = (await nightly(house))[-1]
    rows = table(mail)
    assert [row["outcome"] for row in rows if row["reason"]] == ["held", "held", "refused"]
    assert len({row["copy"] for row in rows if row["reason"]}) == 1
    french = words_of(mail).partition("-- English")[0]
    sums = {line.split()[1]: int(line.split()[0]) for line in french.splitlines() if line.startswith("  ")}
    assert sums.pop("au") == sum(sums.values()) == 2
    assert sums == {"refused": 1, "shown": 1}


async def test_a_table_is_sent_once_and_a_day_without_mail_is_told(house: House) -> None:
    """A look, a restart, a house that was away for three days: each day once."""
    tables = house.nightly({LABORATORY: READER})
    assert await tables.look() == 1
    assert await tables.look() == 0
    assert await house.nightly({LABORATORY: READER}).look() == 0
    house.clock.forward(3 * DAY_S)
    assert await tables.look() == 3
    subjects = [mail["Subject"] for mail in await nightly(house)]
    assert len(set(subjects)) == 4
    house.clock.forward(30 * DAY_S)
    assert await tables.look() == 1


async def test_whoever_is_unreachable_is_in_no_table_before_her_sender_was_told(house: House) -> None:
    """Or the table would say within seconds what the notice says after a random while."""
    ids = await sent_today(house)
    today = house.clock.now().date()
    rows = await house.store.read(lambda c: house.ledger.lines(c, LABORATORY, today, today))
    assert {row["message_id"] for row in rows} == set(ids.values()) - {ids["unreachable"]}
    house.clock.forward(3600)
    await house.run_tasks()
    rows = await house.store.read(lambda c: house.ledger.lines(c, LABORATORY, today, today))
    assert [row["outcome"] for row in rows if row["message_id"] == ids["unreachable"]] == ["unreachable"]
    other = MailAddress.parse(f"curieux@{HOSPITAL}")
    assert not await house.store.read(lambda c: house.ledger.lines(c, other, today, today))


async def test_old_lines_are_forgotten_and_the_store_names_nobody(house: House) -> None:
    """Hashes, fates, reasons; a quarter of a year."""
    ids = await sent_today(house)
    rows = await house.store.read(lambda c: list(c.execute(outcomeschema.outcome.select())))
    assert rows
    stored = b"".join(bytes(repr(row), "utf-8") for row in rows)
    assert not [sent_id for sent_id in ids.values() if sent_id.encode() in stored]
    house.clock.forward((KEPT_DAYS + 2) * DAY_S)
    await house.nightly({}).look()
    assert not await house.store.read(lambda c: list(c.execute(outcomeschema.outcome.select())))
