"""Whatever a software sends, the door keeps its own description: no fault, no undescribed answer, always FHIR."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import schemathesis
from fhir.resources.R4B.operationoutcome import OperationOutcome
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mss.crypto.keys import Lookup
from mss.directory.walking import Mark
from mss.directory.wholes import Unit
from mss.fhir.asking import split, understand
from mss.fhir.batch import requests_of
from mss.fhir.cursor import Cursor, Cursors
from mss.fhir.outcome import Refused
from mss.fhir.parameters import INCLUDES, TABLES
from mss.fhir.resources import ELEMENTS
from tests.kit.fhirdoor import TOKEN, copied, open_door

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 25
"""Of each operation, the same at every run: some three seconds in all."""
QUIET = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
PATCHES = settings(QUIET, max_examples=4)
"""Of each of the six that publish: a patch is large."""


def ask_everything(description: dict[str, Any]) -> dict[str, int]:
    """Every operation of the description, with what schemathesis makes up; how often each status came."""
    statuses: dict[str, int] = {}
    schema = schemathesis.openapi.from_dict(description)
    base = description["servers"][0]["url"]
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]

        @(PATCHES if operation.method.lower() == "patch" else QUIET)
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            response = case.call(base_url=base, headers={"Authorization": f"Bearer {TOKEN}"})
            case.validate_response(response, checks=CHECKS)
            statuses[str(response.status_code)] = statuses.get(str(response.status_code), 0) + 1
            if response.status_code >= 400:
                OperationOutcome.model_validate(json.loads(response.content))

        ask()
    return statuses


async def test_the_door_keeps_its_own_description(filled: Path, tmp_path: Path) -> None:
    """schemathesis asks and publishes what the served OpenAPI description allows, and much that makes no sense."""
    domains = frozenset(("chu.mssante.example",))
    async with open_door(copied(filled, tmp_path), tmp_path, (), publishes=domains) as door:
        description = (await door.ask("/openapi.json", token="")).body
        before = await door.everything("/Organization?mailbox-mss:contains=mssante")
        statuses = await asyncio.to_thread(ask_everything, description)
        assert sum(statuses.values()) >= 7 * EXAMPLES
        assert "500" not in statuses
        assert {"400", "404", "422"} <= statuses.keys()
        assert len(await door.everything("/Organization?mailbox-mss:contains=mssante")) == len(before)


ANY_PAIRS = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from(sorted({name for table in TABLES.values() for name in table})),
            st.sampled_from(["_count", "_elements", "_include", "_id", "_page_token", "_format", "name:exact"]),
            st.text(max_size=20),
        ),
        st.one_of(
            st.text(max_size=40), st.sampled_from(["Lefèvre", "a|b", "|", "\\,", "SM04", "PER", "Practitioner/1"])
        ),
    ),
    max_size=6,
)


def status_of(work: Callable[[], object]) -> int:
    """200, or that of the refusal; anything else that is raised is the test's to hear."""
    try:
        work()
    except Refused as refused:
        return refused.status
    return 200


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(Unit), ANY_PAIRS)
def test_any_query_is_understood_or_refused(unit: Unit, pairs: list[tuple[str, str]]) -> None:
    """Nothing but a refusal comes out of the reading of a query."""
    assert status_of(lambda: understand(unit, pairs, TABLES, INCLUDES, ELEMENTS)) in (200, 400)


NAMES = st.sampled_from(["resourceType", "type", "entry", "request", "method", "url"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(ANY_JSON)
def test_any_batch_is_read_or_refused(body: Any) -> None:
    """Whatever JSON it is."""
    assert status_of(lambda: requests_of(body, "https://localhost/fhir")) in (200, 400)
    whole = {"resourceType": "Bundle", "type": "batch", "entry": body}
    assert status_of(lambda: requests_of(whole, "https://localhost/fhir")) in (200, 400)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_commas_of_a_value_are_told_from_those_between_values(values: list[str]) -> None:
    """What was escaped comes back whole."""
    escaped = ",".join("".join(f"\\{one}" if one in ",|$\\" else one for one in value) for value in values)
    assert list(split(escaped)) == values


@given(st.text(max_size=60), st.integers(0, 99), st.text("ABCabc_-", min_size=1, max_size=4))
def test_a_token_opens_its_own_question_only(key: str, walk: int, noise: str) -> None:
    """Any other question, any changed token, is refused."""
    cursors = Cursors(Lookup(b"a key"))
    cursor = Cursor(Mark(walk, key, 7), {1: 3})
    token = cursors.token(cursor, "Practitioner?name=x")
    assert cursors.read(token, "Practitioner?name=x") == cursor
    assert status_of(lambda: cursors.read(token, "Practitioner?name=y")) == 400
    assert status_of(lambda: cursors.read(noise + token, "Practitioner?name=x")) == 400
