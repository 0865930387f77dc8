"""A hospital's software finds the FHIR door where connection.json says, with its token or its certificate."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.kit.demo import Demo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo"), pytest.mark.timeout(120)]


def ask(demo: Demo, url: str, token: str = "", certificate: dict[str, str] | None = None) -> tuple[int, Any]:
    """One request over https."""
    context = ssl.create_default_context(cafile=demo.told["ca"])
    if certificate is not None:
        context.load_cert_chain(certificate["certificate"], certificate["key"])
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def test_a_software_asks_the_door_that_connection_json_names(demo: Demo) -> None:
    """By token or by the certificate of an application mailbox; in clear, with a peer's certificate or without: not."""
    fhir = demo.told["operator"]["fhir"]
    status, statement = ask(demo, f"{fhir['url']}/metadata")
    assert (status, statement["resourceType"]) == (200, "CapabilityStatement")
    question = f"{fhir['url']}/Practitioner?name=lefevre"
    status, found = ask(demo, question, fhir["token"])
    assert (status, found["type"]) == (200, "searchset")
    ours, theirs = (
        next(one for one in demo.told["applications"] if one["operator"] == operator) for operator in ("A", "B")
    )
    assert ask(demo, question, certificate=ours)[0] == 200
    assert ask(demo, question, certificate=theirs)[0] == 401
    assert ask(demo, question, "wrong-token-of-more-than-32-characters", certificate=ours)[0] == 401
    assert ask(demo, question)[0] == 401
    plain = demo.told["operator"]["web"]["url"]
    status, refused = ask(demo, f"{plain}/fhir/Practitioner?name=lefevre", fhir["token"])
    assert (status, refused["resourceType"]) == (403, "OperationOutcome")
