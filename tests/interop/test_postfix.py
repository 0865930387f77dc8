"""Mail to and from an operator that runs Postfix, both ways, over mutual TLS, with reports, and misbehaving."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.kit.demo import Demo, as_message, letter, on_the_wire, until
from tests.kit.postfix import Pair, Postfix, postfix, shows
from tests.kit.switch import Switch, switch

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

LARGE_OCTETS = 25 * 1024 * 1024
WAIT_S = 60.0
RESTRICTED = "smtpd_recipient_restrictions"


@pytest.fixture(scope="module")
def tiers(demo: Demo) -> Iterator[Postfix]:
    """The third operator. `later` puts everything off, `slow` takes three seconds for each recipient."""
    peer = demo.told["peer"]
    faults = {
        name: shows(Pair(Path(pair["certificate"]), Path(pair["key"])), "smtp")
        for name, pair in peer["faults"].items()
        if name != "weak_key"  # Postfix itself refuses to load it
    }
    ways = faults | {"nobody": {"smtp_tls_cert_file": "", "smtp_tls_key_file": ""}}
    doors = {
        "good": {},
        "later": {RESTRICTED: "defer"},
        "slow": {RESTRICTED: "sleep 3, permit_auth_destination, reject"},
    }
    own = Pair(Path(peer["certificate"]), Path(peer["key"]))
    to_port = demo.told["operator"]["smtp"]["port"]
    with postfix(peer["domain"], own, Path(demo.told["ca"]), to_port, doors=doors, ways=ways) as running:
        yield running


@pytest.fixture(scope="module")
def host(demo: Demo, tiers: Postfix) -> Iterator[Switch]:
    """What the demo reaches under the third operator's port; leads to its good door unless a test says otherwise."""
    listen = demo.told["peer"]["listen"]
    with switch(listen["host"], listen["port"]) as opened:
        opened.target = tiers.ports["good"]
        yield opened


@pytest.fixture
def doctor(demo: Demo) -> str:
    return next(str(one["address"]) for one in demo.told["professionals"] if one["operator"] == "A")


def submit(demo: Demo, sender: str, to: str, raw: bytes, *notify: str) -> None:
    """A professional of A sends, asking for these reports."""
    at = demo.operator_of(sender)["submissions"]
    person = next(one for one in demo.told["professionals"] if one["address"] == sender)
    with smtplib.SMTP_SSL(at["host"], at["port"], context=demo.tls(), timeout=WAIT_S) as client:
        client.login(person["username"], person["password"])
        client.sendmail(sender, [to], raw, rcpt_options=[f"NOTIFY={','.join(notify)}"] if notify else [])


def arrived(tiers: Postfix, words: str) -> bytes | None:
    return next((mail for mail in tiers.mails() if words.encode() in mail), None)


def read(demo: Demo, address: str, words: str) -> EmailMessage | None:
    """The mail in an INBOX of the demo in which these words stand."""
    return next((mail for mail in demo.mails(address) if words in mail.as_string()), None)


def body_of(raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def test_mail_reaches_postfix_and_its_receipt_comes_back(demo: Demo, tiers: Postfix, host: Switch, doctor: str) -> None:
    """With our certificate, as it was written; what the sender asked is understood there, and the receipt, whose sender
    is empty, is let in here."""
    mail = letter(f"Ada <{doctor}>", f"bio@{tiers.domain}", "Vers Postfix", "Santé\n..\n.x\n")
    raw = on_the_wire(mail)
    submit(demo, doctor, f"bio@{tiers.domain}", raw, "SUCCESS")
    found = until(lambda: arrived(tiers, str(mail["Message-ID"])), WAIT_S)
    assert body_of(found) == body_of(raw)
    assert b"(verified OK)" in found
    receipt = until(lambda: read(demo, doctor, "Successful Mail Delivery Report"), WAIT_S)
    assert str(mail["Message-ID"]) in receipt.as_string()
    assert receipt["Return-Path"].strip() in ("<>", "")
    assert "Action: delivered" in receipt.as_string()


def test_mail_of_postfix_arrives_and_is_reported(demo: Demo, tiers: Postfix, host: Switch, doctor: str) -> None:
    """Delivered, to who asks; and a bounce, for what nobody takes, to its own sender."""
    mail = letter(f"bio@{tiers.domain}", doctor, "De Postfix", "Bonjour.\n")
    tiers.send(f"bio@{tiers.domain}", [doctor], on_the_wire(mail), rcpt=["NOTIFY=SUCCESS"], mail=["ENVID=QQ+2B1"])
    found = until(lambda: read(demo, doctor, str(mail["Message-ID"])), WAIT_S)
    assert found["Subject"] == "De Postfix"
    receipt = until(lambda: arrived(tiers, "Original-Envelope-Id: QQ+1"), WAIT_S)
    assert b"Return-Path: <>" in receipt
    assert b"Action: delivered" in receipt
    unknown = f"nobody.at.all@{doctor.partition('@')[2]}"
    tiers.send(f"bio@{tiers.domain}", [unknown], on_the_wire(letter(f"bio@{tiers.domain}", unknown, "x", "x\n")))
    bounce = until(lambda: arrived(tiers, "Status: 5.1.1"), WAIT_S)
    assert b"550 5.1.1" in bounce
    assert "Trusted TLS connection established" in tiers.log


def test_of_patients_postfix_learns_nothing(demo: Demo, tiers: Postfix, host: Switch) -> None:
    """Who asks for a receipt reads "passed on", whoever exists."""
    patient = demo.patient()["address"]
    sender = f"curieux@{tiers.domain}"
    tiers.send(
        sender, [patient], on_the_wire(letter(sender, patient, "x", "x\n")), rcpt=["NOTIFY=SUCCESS"], mail=["ENVID=p1"]
    )
    receipt = until(lambda: arrived(tiers, "Original-Envelope-Id: p1"), WAIT_S)
    assert b"Action: relayed" in receipt


def test_25_megabytes_cross_both_ways(demo: Demo, tiers: Postfix, host: Switch, doctor: str) -> None:
    """Whole."""
    line = "x" * 75 + "\n"
    there = on_the_wire(letter(doctor, f"grand@{tiers.domain}", "Grand", line * (LARGE_OCTETS // 77)))
    back = on_the_wire(letter(f"grand@{tiers.domain}", doctor, "Grand retour", line * (LARGE_OCTETS // 77)))
    submit(demo, doctor, f"grand@{tiers.domain}", there)
    tiers.send(f"grand@{tiers.domain}", [doctor], back)
    found = until(lambda: arrived(tiers, "Subject: Grand\n"), WAIT_S)
    assert body_of(found) == body_of(there)
    returned = until(lambda: read(demo, doctor, "Subject: Grand retour"), WAIT_S)
    assert returned.get_content().rstrip() == as_message(back).get_content().rstrip()
    forget(demo, doctor, "Grand retour")


def forget(demo: Demo, address: str, subject: str) -> None:
    """Others who use this demo read the same folder."""
    client = demo.imap(address)
    client.select("INBOX")
    _, found = client.uid("SEARCH", "SUBJECT", f'"{subject}"')
    for uid in found[0].split():
        client.uid("STORE", uid.decode(), "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()


def _reasons(demo: Demo, domain: str) -> list[str]:
    """Why mail for a domain waits, as staff reads it."""
    rows = json.loads(demo.mss("queue", "list", "--json").stdout)
    return [row["last_reason"] for row in rows if row["next_hop"] == domain]


def test_who_says_later_or_is_slow_keeps_nobody_waiting(demo: Demo, tiers: Postfix, host: Switch, doctor: str) -> None:
    """Mail for another operator passes at once; what waited goes when it may."""
    other = next(one["address"] for one in demo.told["professionals"] if one["operator"] == "B")
    waited = []
    for door in ("later", "slow"):
        host.target = tiers.ports[door]
        host.cut()
        mail = letter(doctor, f"bio@{tiers.domain}", f"Porte {door}", "x\n")
        submit(demo, doctor, f"bio@{tiers.domain}", on_the_wire(mail))
        waited.append(str(mail["Message-ID"]))
        quick = letter(doctor, other, f"Pendant {door}", "x\n")
        submit(demo, doctor, other, on_the_wire(quick))
        until(lambda words=str(quick["Message-ID"]): read(demo, other, words), 5.0)  # type: ignore[misc]
        if door == "later":  # its 4xx is heard before the next door opens
            until(lambda: any(why.startswith("peer-refused 4") for why in _reasons(demo, tiers.domain)), WAIT_S)
    host.target = tiers.ports["good"]
    flushed = demo.mss("queue", "flush", tiers.domain)
    assert flushed.returncode == 0, flushed.stderr
    for message_id in waited:
        until(lambda words=message_id: arrived(tiers, words), WAIT_S)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("who", "told"),
    [
        ("nobody", "530 5.7.0"),
        ("revoked", "550 5.7.1"),
        ("expired", "alert"),
        ("wrong_use", "alert"),
    ],
)
def test_a_wrong_certificate_sends_nothing(
    demo: Demo, tiers: Postfix, host: Switch, doctor: str, who: str, told: str
) -> None:
    """Refused in words, or ended by an alert; and the mail is nowhere."""
    sender, subject = f"{who}@{tiers.domain}", f"Avec {who}"
    tiers.send(sender, [doctor], on_the_wire(letter(sender, doctor, subject, "x\n")))

    def line() -> str | None:
        lines = tiers.log.splitlines()
        ids = {one.split(": ")[1] for one in lines if f"from=<{sender}>" in one}
        said = [one for one in lines if any(f" {known}: " in one for known in ids) and f"to=<{doctor}>" in one]
        return next((one for one in said if "status=" in one), None)

    found = until(line, WAIT_S)
    assert "status=sent" not in found
    assert told in found or told == "alert", found
    assert read(demo, doctor, subject) is None


def test_a_domain_of_somebody_else_sends_nothing(demo: Demo, tiers: Postfix, host: Switch, doctor: str) -> None:
    """A good certificate, and the laboratory's name."""
    sender = "resultats@labo.mssante.example"
    tiers.send(sender, [doctor], on_the_wire(letter(sender, doctor, "Usurpation", "x\n")))
    until(lambda: "said: 550 5.7.1 Sending domain does not belong to this certificate" in tiers.log or None, WAIT_S)
    assert read(demo, doctor, "Usurpation") is None
