"""Strings that are mail addresses, nearly are, or are traps; and a second opinion about each.

The second grammar is written apart from ours, on purpose: two that agree about a million strings are hardly wrong
alike.
"""

from __future__ import annotations

import random

from tests.kit.pki import HOSPITAL_DOMAIN

WORDS = [
    "marie",
    "dubois",
    "a",
    "M",
    "x" * 63,
    "279035121518989",
    "no-one",
    "_",
    "+tag",
    "=",
    "#",
    "{",
    "'",
    "é",
    "\N{KELVIN SIGN}",
]
TRAPS = [
    ".",
    "..",
    "@",
    "@@",
    '"',
    '\\"',
    "%",
    "!",
    ",",
    ":",
    ";",
    "<",
    ">",
    "(x)",
    "[",
    "]",
    " ",
    "\t",
    "\\",
    "\0",
    "\x7f",
]
DOMAINS = [
    HOSPITAL_DOMAIN,
    HOSPITAL_DOMAIN.upper(),
    "ailleurs.example",
    "chu",
    "-a.example",
    "a-.example",
    "a_b.example",
]
TAILS = ["[127.0.0.1]", "chu.mssante.example.", "xn--mdecin-bva.example", "b" * 64 + ".example", "é.example", "1.2", ""]


def generated(chance: random.Random) -> str:
    """An address: plain, nearly plain, or out of pieces."""
    kind = chance.random()
    if kind < 0.25:
        local = ".".join(chance.choices(WORDS[:8], k=chance.randint(1, 3)))
        return f"{local}@{chance.choice(DOMAINS[:3])}"
    pieces = chance.choices([*WORDS, *TRAPS], k=chance.randint(1, 5))
    address = "".join(pieces) + "@" + chance.choice([*DOMAINS, *DOMAINS, *TAILS])
    if kind < 0.75:
        return address
    at = chance.randrange(len(address) + 1)
    return address[:at] + chance.choice([*TRAPS, *WORDS]) + address[at:]


_ATEXT = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789#$&'*+/=?^_`{|}~-")
_LDH = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


def second_opinion(text: str) -> tuple[str, str] | None:
    """Local part and domain (lower case) by a grammar written apart from ours, octet by octet; None for no address."""
    if text.count("@") != 1:
        return None
    local, domain = text.split("@")
    atoms, labels = local.split("."), domain.split(".")
    if not 1 <= len(local) <= 64 or len(text) > 254 or len(labels) < 2 or len(domain) > 253:
        return None
    if any(not atom or set(atom) - _ATEXT for atom in atoms):
        return None
    if any(not 1 <= len(label) <= 63 or set(label) - _LDH or "-" in (label[0], label[-1]) for label in labels):
        return None
    return local, domain.lower()
