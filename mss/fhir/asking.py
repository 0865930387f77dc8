"""What does a FHIR search ask? A query string into a question of the directory, or a refusal that says what to write.

Pure. Every parameter stands in the table of mss/fhir/parameters.py. One that is not there is refused: who ignores a
filter answers another question, and names the wrong doctor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mss.directory.conditions import Condition, Field, How
from mss.directory.entries import ENTRIES_MAX
from mss.directory.keys import Question
from mss.directory.wholes import Unit
from mss.fhir.moments import Span
from mss.fhir.outcome import wrong
from mss.fhir.sorting import Order, order_of

PARAMETERS_MAX = 30
VALUE_CHARS_MAX = 400
VALUES_MAX = 50
"""After commas: what a software resolves at once of its address book."""
PAGE_DEFAULT = 50
ELEMENTS_MAX = 20
_OF_RESOURCES = ("_id", "_lastUpdated")
"""Of those with a low line, the ones that ask something of a resource; the others are of the answer."""


@dataclass(slots=True)
class Draft:
    """A question while its parameters are read."""

    name: str = ""
    phonetic: str = ""
    place: str = ""
    jobs: list[str] = field(default_factory=list)
    job_codes: list[str] = field(default_factory=list)
    kinds: frozenset[str] | None = None
    conditions: list[Condition] = field(default_factory=list)
    ids: tuple[str, ...] = ()
    person: str = ""
    """The id of a Practitioner whose roles are asked for, where it is no national number."""
    changed: list[tuple[Span, ...]] = field(default_factory=list)
    matches_nobody: bool = False
    """Asked for what no entry can be: another system's number, something inactive."""

    def ask(self, of: Field, how: How, texts: tuple[str, ...]) -> None:
        self.conditions.append(Condition(of, how, texts))

    def question(self) -> Question:
        """Raises Refused when parts cannot stand together."""
        conditions = tuple(self.conditions)
        numbered = any(one.field in (Field.PERSON_NUMBER, Field.ADDRESS) for one in conditions)
        if self.name and self.phonetic:
            raise wrong("name and phonetic together: ask one of them")
        if self.phonetic and numbered:
            raise wrong("phonetic with identifier or mailbox-mss: the number says who it is, leave phonetic out")
        name = self.name or self.phonetic
        if self.name and numbered:
            conditions, name = (*conditions, Condition(Field.NAME, How.STARTS, (self.name,))), ""
        if len(self.jobs) + len(self.job_codes) > 1:
            raise wrong("more than one profession or specialty: ask one, and look at the answers for the other")
        return Question(
            name=name,
            job=next(iter(self.jobs), ""),
            job_code=next(iter(self.job_codes), ""),
            place=self.place,
            kinds=self.kinds or frozenset(),
            conditions=conditions,
            has_address=False,
            sounds_alike=bool(self.phonetic),
        )


Apply = Callable[[Draft, str, tuple[str, ...]], None]
"""Takes the modifier (or "") and the values between commas."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A row of the table."""

    name: str
    kind: str
    """FHIR's search parameter type."""
    says: str
    apply: Apply
    modifiers: tuple[str, ...] = ()
    definition: str = ""


Table = dict[str, Parameter]


@dataclass(frozen=True, slots=True)
class Asked:
    """A search, understood."""

    unit: Unit
    question: Question = field(default_factory=Question)
    ids: tuple[str, ...] = ()
    person: str = ""
    matches_nobody: bool = False
    count: int = PAGE_DEFAULT
    elements: tuple[str, ...] = ()
    include: frozenset[str] = frozenset()
    page_token: str = ""
    changed: tuple[tuple[Span, ...], ...] = ()
    """When it was last changed: of each, one must hold."""
    order: Order = ()
    said: tuple[tuple[str, str], ...] = ()
    """The parameters as they came, for links; without the page's token."""

    def keeps(self, changed: datetime) -> bool:
        """Whether what was last changed then is asked for."""
        return all(any(span.holds(changed) for span in spans) for spans in self.changed)


def understand(
    unit: Unit, pairs: Sequence[tuple[str, str]], tables: dict[Unit, Table], includes: dict[Unit, dict[str, str]],
    elements: dict[Unit, tuple[str, ...]],
) -> Asked:  # fmt: skip
    """Read a query. Raises Refused."""
    if len(pairs) > PARAMETERS_MAX:
        raise wrong(f"more than {PARAMETERS_MAX} parameters")
    draft, asked = Draft(), Asked(unit, said=tuple(pair for pair in pairs if pair[0] != "_page_token"))
    seen: set[str] = set()
    for name, value in pairs:
        if len(value) > VALUE_CHARS_MAX * 4 or len(name) > VALUE_CHARS_MAX:
            raise wrong(f"a value longer than {VALUE_CHARS_MAX * 4} characters")
        if "\x00" in value:
            raise wrong("NUL in a value")
        if name.startswith("_") and name.partition(":")[0] not in _OF_RESOURCES:
            asked = _of_result(asked, name, value, includes[unit], elements[unit], seen)
        elif value.strip():
            _read(draft, tables[unit], name, value)
        else:
            raise wrong(f"{_short(name)} is empty: leave it out, or say what to look for")
        seen.add(name)
    if draft.ids and any(not name.startswith("_") for name, _ in pairs):
        raise wrong("_id together with other parameters: an id alone says which one it is")
    return replace(
        asked,
        question=draft.question(),
        ids=draft.ids,
        person=draft.person,
        changed=tuple(draft.changed),
        matches_nobody=draft.matches_nobody,
    )


def _read(draft: Draft, table: Table, typed: str, value: str) -> None:
    name, _, modifier = typed.partition(":")
    if "." in typed:  # a chain, its type perhaps said: organization:Organization.name
        head, _, rest = typed.partition(".")
        name, _, modifier = rest.partition(":")
        name = f"{head.partition(':')[0]}.{name}"
    parameter = table.get(name)
    if parameter is None:
        known = ", ".join(sorted(table))
        raise wrong(f"there is no parameter {_short(typed)} here; there are {known}", "not-supported")
    if modifier and modifier not in parameter.modifiers:
        allowed = ", ".join(f":{one}" for one in parameter.modifiers) or "none"
        raise wrong(f"{_short(typed)}: its modifiers are: {allowed}", "not-supported")
    values = split(value)
    if len(values) > VALUES_MAX:
        raise wrong(f"{name}: more than {VALUES_MAX} values; ask in several requests")
    if any(len(one) > VALUE_CHARS_MAX for one in values):
        raise wrong(f"{name}: a value longer than {VALUE_CHARS_MAX} characters")
    if not all(one.strip() for one in values):
        raise wrong(f"{name}: an empty value between commas")
    parameter.apply(draft, modifier, values)


def split(value: str) -> tuple[str, ...]:
    """Values between commas, with backslashes before what is meant as a letter (FHIR R4 §3.1.1.4.0.1)."""
    values, current, escaped = [], "", False
    for letter in value:
        if escaped:
            current += letter if letter in ",|$\\" else "\\" + letter
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == ",":
            values.append(current)
            current = ""
        else:
            current += letter
    return (*values, current + "\\" * escaped)


# ── parameters of the answer ──

_SAID_AND_DONE = {"_total": ("none",), "_summary": ("false",), "_format": (), "_pretty": ("true", "false"), "_type": ()}
"""Accepted where they ask for what is done anyway; `_format` and `_type` are judged by the door."""

_NO_HAS = (
    "_has is not supported, as in the national directory: ask PractitionerRole?practitioner.… or organization.…, with "
    "_include"
)


def _of_result(
    asked: Asked, name: str, value: str, includes: dict[str, str], elements: tuple[str, ...], seen: set[str]
) -> Asked:
    if name in ("_include", "_revinclude"):
        meant = [code for code, way in includes.items() if way == name and value in (code, "*")]
        if not meant:
            can = ", ".join(code for code, way in includes.items() if way == name) or "none"
            raise wrong(f"{name}={_short(value)}: here there can be: {can}", "not-supported")
        return replace(asked, include=asked.include | frozenset(meant))
    if name.partition(":")[0] == "_has":
        raise wrong(_NO_HAS, "not-supported")
    if name in seen:
        raise wrong(f"{name} twice")
    if name == "_count":
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            raise wrong("_count is a whole number")
        return replace(asked, count=min(int(value), ENTRIES_MAX))
    if name == "_elements":
        return replace(asked, elements=_elements(value, elements))
    if name == "_page_token":
        return replace(asked, page_token=value)
    if name == "_sort":
        return replace(asked, order=order_of(asked.unit, value))
    allowed = _SAID_AND_DONE.get(name)
    if allowed is None or (allowed and value not in allowed):
        raise wrong(f"{_short(name)}={_short(value)} is not supported here", "not-supported")
    return asked


def _elements(value: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(one.strip() for one in value.split(","))
    if len(names) > ELEMENTS_MAX:
        raise wrong(f"_elements: more than {ELEMENTS_MAX}")
    always = ("id", "meta", "resourceType")
    for name in names:
        if name not in (*known, *always):
            raise wrong(f"_elements: there is no {_short(name)} here; there are {', '.join(known)}")
    return tuple(name for name in names if name not in always) or ("id",)


def _short(text: str) -> str:
    """What was typed, of which an answer repeats a little."""
    return "".join(one for one in text[:40] if one.isprintable())
