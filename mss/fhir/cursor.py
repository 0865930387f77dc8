"""Where does the next page begin, and is this really a link that we gave? A signed, opaque token.

It holds the generations, the walk, its last key and number; it is signed together with the question, so that it opens
the next page of that question and nothing else.
"""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass

from mss.crypto.keys import Lookup
from mss.directory.walking import Mark
from mss.fhir.outcome import wrong
from mss.model.errors import BadValue

TOKEN_CHARS_MAX = 1_200
SIGNATURE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in one answer."""

    mark: Mark
    generations: dict[int, int]


class Cursors:
    """Writes and reads tokens."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def token(self, cursor: Cursor, question: str) -> str:
        """`question`: the request that it goes on with."""
        body = json.dumps([str(cursor.mark), sorted(cursor.generations.items())], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._signature(body, question) + body).decode().rstrip("=")

    def read(self, token: str, question: str) -> Cursor:
        """Raises Refused for everything that we have not given with this question."""
        refusal = wrong("_page_token: follow the link 'next' of the answer before as it stands")
        try:
            if len(token) > TOKEN_CHARS_MAX:
                raise refusal
            octets = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
            signature, body = octets[:SIGNATURE_BYTES], octets[SIGNATURE_BYTES:]
            if not hmac.compare_digest(signature, self._signature(body, question)):
                raise refusal
            mark, generations = json.loads(body)
            return Cursor(Mark.parse(mark), {int(source): int(number) for source, number in generations})
        except (ValueError, TypeError, BadValue):
            raise refusal from None

    def _signature(self, body: bytes, question: str) -> bytes:
        signed = f"{question}\0{base64.b64encode(body).decode()}"
        return self._lookup.of("fhir page", signed)[:SIGNATURE_BYTES]
