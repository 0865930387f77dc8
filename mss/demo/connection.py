"""What does somebody need to reach the demo? `connection.json` for programs, a page of text for people."""

from __future__ import annotations

from typing import Any

from mss.accounts.onetime import to_base32
from mss.demo.papers import METRICS, PEER_FAULTS, PEER_OFFSET, Papers, application_name, ports_of, web_port
from mss.demo.people import (
    DOMAINS,
    MAILBOXES,
    NAMES,
    PATIENT_LIST,
    PATIENTS,
    STAFF_LOGIN,
    STAFF_NAME,
    TIERS,
    WEB_PROFESSIONAL,
    DemoPatient,
)
from mss.demo.seed import application_password, totp_secret, web_password
from mss.model.mailbox import MailboxKind

VERSION = 1


def connection(papers: Papers, pids: dict[str, dict[str, int]], host: str, base: int) -> dict[str, Any]:
    """The value of connection.json."""
    return {
        "version": VERSION,
        "ca": str(papers.ca),
        "trust_list": str(papers.trust_list),
        "operator": _operator(papers, "A", pids, host, base),
        "other_operator": _operator(papers, "B", pids, host, base),
        "peer": _peer(papers, host, base),
        "professionals": [
            {
                "name": box.name,
                "rpps": box.national_id,
                "address": box.address,
                "operator": box.operator,
                "username": box.address,
                "password": application_password(papers, box.address),
                **_way_in(papers, box.address),
            }
            for box in MAILBOXES
            if box.kind is MailboxKind.PERSONAL
        ],
        "team_mailboxes": [
            {"address": box.address, "operator": box.operator, "members": list(box.members)}
            for box in MAILBOXES
            if box.kind is MailboxKind.ORGANISATIONAL
        ],
        "applications": [
            {"address": box.address, "operator": box.operator, **_pair(papers, application_name(box.address))}
            for box in MAILBOXES
            if box.kind is MailboxKind.APPLICATION
        ],
        "patients": [_patient(papers, patient) for patient in PATIENT_LIST],
        "staff": [
            {
                "name": STAFF_NAME,
                "operator": "A",
                "login": STAFF_LOGIN,
                "password": web_password(papers, STAFF_LOGIN),
                "totp_secret": to_base32(totp_secret(papers, STAFF_LOGIN)),
            }
        ],
    }


def _way_in(papers: Papers, address: str) -> dict[str, Any]:
    """How a professional signs in to the pages, if she does."""
    if address != WEB_PROFESSIONAL:
        return {}
    secret = to_base32(totp_secret(papers, address))
    return {"web": {"login": address, "password": web_password(papers, address), "totp_secret": secret}}


def _operator(papers: Papers, name: str, pids: dict[str, dict[str, int]], host: str, base: int) -> dict[str, Any]:
    ports = ports_of(name, host, base)

    def at(service: int) -> dict[str, Any]:
        return {"host": host, "port": ports.of(service)}

    here = papers.directory / name.lower()
    found: dict[str, Any] = {
        "name": NAMES[name],
        "domains": list(DOMAINS[name]),
        "state": str(here / "state"),
        "smtp": at(25),
        "submission": at(587),
        "submissions": at(465),
        "imap": at(143),
        "imaps": at(993),
        "ldap": at(389),
        "ldaps": at(636),
        "metrics": {"url": f"http://{host}:{ports.of(METRICS)}/metrics"},
        "config": str(here / "mss.toml"),
        "pids": pids.get(name, {}),
    }
    if name == "A":
        found["patient_domain"] = PATIENTS
        found["web"] = {"url": f"http://{host}:{web_port(ports)}", "https_url": f"https://{host}:{ports.of(443)}"}
        token = papers.fhir_token.read_text(encoding="ascii")
        found["fhir"] = {"url": f"https://{host}:{ports.of(443)}/fhir", "token": token}
    return found


def _peer(papers: Papers, host: str, base: int) -> dict[str, Any]:
    faults = {fault.value: _pair(papers, f"peer-{fault.value}") for fault in PEER_FAULTS}
    listen = {"host": host, "port": base + PEER_OFFSET}
    return {"domain": TIERS, **_pair(papers, "relay-C"), "listen": listen, "faults": faults}


def _pair(papers: Papers, name: str) -> dict[str, str]:
    return {"certificate": str(papers.certificate(name)), "key": str(papers.key(name))}


def _patient(papers: Papers, patient: DemoPatient) -> dict[str, Any]:
    traits = patient.traits
    found: dict[str, Any] = {
        "name": patient.name,
        "birth_name": traits.birth_name,
        "given": " ".join(traits.given_names),
        "birth_date": traits.birth_date.isoformat(),
        "sex": traits.sex.value,
        "birth_place": traits.birth_place,
        "ins": patient.ins.value,
        "oid": patient.ins.oid.value,
        "address": patient.address,
        "active": patient.active,
    }
    if patient.active:
        found["login"] = patient.login
        found["password"] = web_password(papers, patient.login)
        found["totp_secret"] = to_base32(totp_secret(papers, patient.login))
    if patient.represented_by:
        found["represented_by"] = patient.represented_by
    return found


def for_people(papers: Papers, told: dict[str, Any]) -> str:
    """What a newcomer does first."""
    a, b = told["operator"], told["other_operator"]
    patient, doctor, staff = told["patients"][0], told["professionals"][0], told["staff"][0]
    biologist = next(one for one in told["professionals"] if one["operator"] == "B")
    team = next(one for one in told["team_mailboxes"] if one["operator"] == "B")
    return f"""
The demo runs: two operators, a laboratory's result already delivered.

  The patient      {a["web"]["url"]}/login
                   login     {patient["login"]}
                   password  {patient["password"]}
                   code      mss code {patient["totp_secret"]}   (or any one-time-code app)

  A doctor at A    {doctor["address"]}
                   password  {doctor["password"]}
                   IMAP      {a["imaps"]["host"]}:{a["imaps"]["port"]} (TLS) or {a["imap"]["port"]} (STARTTLS)
                   SMTP      {a["submissions"]["host"]}:{a["submissions"]["port"]} (TLS) or \
{a["submission"]["port"]} (STARTTLS)
                   LDAP      {a["ldaps"]["host"]}:{a["ldaps"]["port"]} (TLS), the address book ou=bal,o=mssante,c=fr
                   web       {a["web"]["url"]}/pro, the directory
                   login     {doctor["web"]["login"]}
                   password  {doctor["web"]["password"]}
                   code      mss code {doctor["web"]["totp_secret"]}

  The laboratory   {biologist["address"]}, member of {team["address"]}
  at B             password  {biologist["password"]}
                   IMAP      {b["imaps"]["host"]}:{b["imaps"]["port"]} (TLS)
                   SMTP      {b["submissions"]["host"]}:{b["submissions"]["port"]} (TLS)

  The desk at A    {a["web"]["url"]}/login, for what waits for a human
                   login     {staff["login"]}
                   password  {staff["password"]}
                   code      mss code {staff["totp_secret"]}

  FHIR at A        {a["fhir"]["url"]}/metadata; its token stands in connection.json

  Authority of all certificates   {told["ca"]}
  What the processes write        {papers.directory / "a" / "journal"}
  Everything, for programs        {papers.directory / "connection.json"}
  The journey of a message        mss trace MESSAGE-ID --config {a["config"]}

Ctrl-C ends it; the same command brings everything back.
"""
