"""What scripts read: lists in JSON whose ids survive, and indicators that no spreadsheet runs."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable

from mss.cli import stats
from mss.config import load
from mss.formats.csvtext import as_text
from mss.foundation import Foundation, lay
from mss.mail.contents import Octets
from mss.mail.counting import Tally
from mss.mail.holding import Doubt
from mss.mail.reception import Peer
from mss.mail.submit import HouseMail, Submission
from mss.model.clock import to_ms
from mss.model.ids import MailAddress, OwnerId, lane_of
from mss.model.message import Envelope
from mss.model.verdict import Accept, Reason, Refuse
from mss.store import handovers, owners
from mss.store.handovers import HandoverAct, NewHandover
from mss.store.indicators import Count
from tests.cli.conftest import Operator, Said, mss

DOCTOR = MailAddress.parse("dr.house@chu.mssante.example")
LAB = MailAddress.parse("resultats@labo.mssante.example")
JSON_READERS_KEEP = 2**53


SINK = """
[sinks.dpi]
kind = "hl7v2"
host = "127.0.0.1"
port = {port}
authorities = "authorities.pem"
receiving_application = "DPI"
receiving_facility = "CHU"
takes = [{{}}]
"""


def in_the_house(operator: Operator, work: Callable[[Foundation], Awaitable[None]]) -> None:
    """Something that no command does."""

    async def inside() -> None:
        ground = await lay(load(operator.config), "test", hears=False)
        try:
            await work(ground)
        finally:
            await ground.close()

    asyncio.run(inside())


def test_ids_are_texts_and_lead_back(operator: Operator) -> None:
    """An id has 63 bits and most readers of JSON keep 53: as a number it would name something else."""

    class Suspicious:
        is_resting = False

        async def doubt(self, octets: Octets) -> Doubt | None:
            return Doubt(Reason.VIRUS_FOUND, "Test")

    async def work(ground: Foundation) -> None:
        hashed = ground.public.lookup.address(DOCTOR.key)
        owner = await ground.store.read(lambda c: owners.find(c, hashed))
        assert owner is not None
        lines = (f"From: {DOCTOR}", f"To: {LAB}", "Message-ID: <un@chu.mssante.example>", "", "Bonjour", "")
        mail = "\r\n".join(lines).encode()
        await HouseMail(ground.house, ground.dispatch).send(OwnerId(owner), DOCTOR, (LAB,), mail)
        submission = Submission(
            ground.house,
            ground.recipients,
            ground.dispatch,
            ground.public.lookup,
            lambda domain: True,
            ground.clock,
            ground.chance,
            Suspicious(),
        )
        envelope = Envelope(DOCTOR, (LAB,), ground.clock.now())
        receipt = await submission.message(
            Peer(f"login:{owner}", account=OwnerId(owner)), envelope, mail.replace(b"<un@", b"<deux@")
        )
        assert receipt.verdict == Accept()

    in_the_house(operator, work)
    queued = json.loads(operator.mss("queue", "list", "--json").out)
    (held,) = json.loads(operator.mss("held", "list", "--json").out)
    assert {"id", "message_id", "document", "reason", "code", "held_at", "age", "told", "told_at"} <= set(held)
    for row in (*queued, held):
        assert isinstance(row["id"], str)
        assert int(row["id"]) > JSON_READERS_KEEP
    shown = json.loads(operator.mss("held", "show", held["id"], "--json").out)
    assert (shown["id"], shown["reason"]) == (held["id"], "virus-found")
    waiting = next(row for row in queued if row["state"] == "waiting")
    assert operator.mss("queue", "hold", waiting["id"]).code == 0
    listed = json.loads(operator.mss("held", "list", "--json").out)
    assert [row["reason"] for row in listed] == ["virus-found", "kept-by-staff"]
    assert operator.mss("queue", "release", waiting["id"]).code == 0
    assert operator.mss("held", "file", held["id"]).code == 0
    assert json.loads(operator.mss("held", "list", "--json").out) == []
    again = operator.mss("held", "file", held["id"])
    assert (again.code, again.err.count("\n")) == (1, 1)


def test_stats_are_told_in_three_forms(operator: Operator) -> None:
    """Columns for people, JSON for scripts, CSV for spreadsheets; all the same numbers."""

    async def work(ground: Foundation) -> None:
        tally = Tally(ground.store, ground.clock)
        tally.note("=cmd|' /C calc'!A0", Refuse(Reason.MAILBOX_UNKNOWN))
        tally.note("CN=relais.labo.mssante.example", Refuse(Reason.TOO_LARGE))
        await tally.write()

    in_the_house(operator, work)
    words = ("stats", "--by", "what,peer,kind")
    shown = operator.mss(*words)
    assert shown.code == 0
    assert "mailbox-unknown" in shown.out
    told = {row["peer"]: row["n"] for row in json.loads(operator.mss(*words, "--json").out) if row["what"] == "refused"}
    assert told == {"=cmd|' /C calc'!A0": 1, "CN=relais.labo.mssante.example": 1}
    rows = list(csv.DictReader(io.StringIO(operator.mss(*words, "--csv").out)))
    peers = {row["peer"] for row in rows if row["what"] == "refused"}
    assert peers == {"'=cmd|' /C calc'!A0", "CN=relais.labo.mssante.example"}
    assert operator.mss("stats", "--structure", "750712184").out == "nothing was counted in these days\n"


def test_no_cell_is_a_formula() -> None:
    """Whatever a peer calls itself; numbers stay numbers, an empty share stays empty."""
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "plain", 'with "quotes", commas']
    text = as_text([{"peer": name, "n": 1, "share": None} for name in names], ("peer", "n", "share"))
    cells = [row["peer"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert cells == [*(f"'{name}" for name in names[:7]), *names[7:]]
    assert "plain,1,\r\n" in text


def test_a_share_of_nothing_is_no_number() -> None:
    """A structure that sent letters only has no share, and divides by nothing."""
    (row,) = stats.of_structure([(Count(20260105, "to-patient", structure="1"), 3)])
    assert (row["sent_to_patients"], row["with_documents"], row["ins_qualified_share"]) == (3, 0, None)


def test_what_a_sink_is_owed_is_listed_tried_and_given_up(operator: Operator) -> None:
    """Ids and reasons only; whoever gives up says why; a sink that does not answer is red in the doctor's list."""
    config = operator.file("sinks.toml", operator.config.read_text() + SINK.format(port=1))

    def sink(*words: str) -> Said:
        return mss("sink", *words, "--config", config)

    async def work(ground: Foundation) -> None:
        hashed = ground.public.lookup.address(DOCTOR.key)
        owner = await ground.store.read(lambda c: owners.find(c, hashed))
        assert owner is not None
        owed = NewHandover(2**60, "dpi", HandoverAct.FILE, 7, 0, owner, 8, b"", to_ms(ground.clock.now()))
        await ground.store.write(lane_of(owner), lambda c: handovers.add(c, owner, owed))

    in_the_house(operator, work)
    (row,) = json.loads(sink("list", "--json").out)
    assert (row["id"], row["sink"], row["state"], row["act"]) == (str(2**60), "dpi", "waiting", "file")
    assert "owner" not in row
    assert sink("show", row["id"]).code == 0
    assert sink("retry", row["id"]).code == 0
    assert "say why" in sink("drop", row["id"], "--why", " ").err
    assert sink("drop", row["id"], "--why", "Envoyé par fax.").code == 0
    assert "is dropped" in sink("retry", row["id"]).err
    assert sink("show", "7").err.startswith("mss: 7 is owed to no sink")
    assert sink("list").out.strip() == "nothing is owed"
    probed = sink("probe")
    assert (probed.code, "sink dpi: " in probed.out) == (1, True)


def test_a_sink_that_is_named_by_halves_is_refused_in_words(new_operator: Callable[..., Operator]) -> None:
    """Which settings are missing, before anything starts."""
    operator = new_operator()
    text = operator.config.read_text()
    operator.config.write_text(text + SINK.format(port=1).replace('host = "127.0.0.1"', ""))
    said = operator.mss("sink", "list")
    assert (said.code, "this kind of sink needs host" in said.err) == (1, True)
    operator.config.write_text(text + SINK.format(port=1).replace("sinks.dpi", 'sinks."D P I"'))
    assert "a sink is named" in operator.mss("sink", "list").err


def test_what_is_hidden_from_a_mail_program_is_told_and_offered_again(operator: Operator) -> None:
    """With what goes with it; the mask stays until it is lifted."""
    words = ("mailbox", "mask", str(DOCTOR), "--json")
    hidden = json.loads(operator.mss(*words, "--hide", "condstore").out)
    assert [row["hidden"] for row in hidden] == ["CONDSTORE", "QRESYNC"]
    assert json.loads(operator.mss(*words).out) == hidden
    assert json.loads(operator.mss(*words, "--offer", "CONDSTORE").out) == []


def test_what_a_sending_mailbox_was_told_is_asked_by_its_address(operator: Operator) -> None:
    """A table, also an empty one; what is no address is told in a line."""
    said = operator.mss("stats", "--sender", "bio@labo.mssante.example", "--csv")
    assert said.out.splitlines() == ["at,message_id,copy,received_at,outcome,code,reason,documents"]
    said = operator.mss("stats", "--sender", "bio@labo.mssante.example")
    assert "it was told nothing in these days" in said.out
    said = operator.mss("stats", "--sender", "bio")
    assert (said.code, len(said.err.strip().splitlines())) == (1, 1)
