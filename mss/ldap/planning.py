"""Which questions of the one search find everybody for whom a filter can hold? Pure.

The search knows names, jobs, places, structures, numbers and addresses by their beginnings. A filter becomes a few
questions whose answers hold all that is asked for; what they bring too much, `entries.holds` takes away. A filter that
says nothing of the kind would list everybody, and is not answered. A piece in the middle (`*fort*`) is looked for at
the beginning of a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mss.directory.keys import NAME_LETTERS_MIN, Question
from mss.directory.words import fold, words
from mss.ldap.requests import All, Any, Equal, Filter, Like, Present, Unknowable

QUESTIONS_MAX = 12
"""Of one filter. Mail programs ask by five attributes at once, and most of them are one question here."""

_GIVEN = {"givenname", "gn"}
_NAMES = {"cn", "commonname", "2.5.4.3", "sn", "surname", "givenname", "gn", "displayname"}
_FAMILY = {"sn", "surname"}
_WHOLE = {"cn", "commonname", "2.5.4.3", "displayname"}
_MAILS = {"mail", "rfc822mailbox", "uid", "userid"}
_STRUCTURES = {"o", "organizationname", "company", "ou", "organizationalunitname", "department", "description"}
_PLACES = {"l", "localityname", "city", "postalcode", "st", "stateorprovincename"}
_NUMBERS = {"employeenumber", "mssstructure"}
_KNOWN_ELSE = {"objectclass", "personaltitle", "employeetype", "street", "streetaddress", "mssasof"}

Plan = tuple[Question, ...] | None
"""Questions of which any may bring an answer; () when nothing can; None when they would be about everybody."""


def questions(asked: Filter) -> Plan:
    """The questions of a filter, none of which another says as well."""
    plan = _of(asked)
    return plan and tuple(one for one in plan if one.kinds != _PEOPLE or replace(one, kinds=frozenset()) not in plan)


def _of(asked: Filter) -> Plan:
    """The same, some of them perhaps needless as long as nothing narrows them."""
    match asked:
        case All(parts):
            return _narrowest(_plans(parts))
        case Any(parts):
            return _joined([_of(part) for part in parts])
        case Equal() | Like():
            return _leaf(asked)
        case Present(name):
            return None if _is_known(name) else ()
        case Unknowable():
            return ()
    return None


def _plans(parts: Sequence[Filter]) -> list[Plan]:
    """The questions of each part that must hold. A family name beside a given name is one question about both: a tenth
    of the country is called Marie, and who walks them all does not come to the end."""
    for given in parts:
        if isinstance(given, Equal | Like) and given.name in _GIVEN:
            for named in parts:
                if (both := _with_given(named, given)) is not None:
                    return [both, *(_of(part) for part in parts if part is not named and part is not given)]
    return [_of(part) for part in parts]


def _with_given(named: Filter, given: Equal | Like) -> Plan:
    """Questions about a name together with a given name; None when there are none that bring everybody."""
    match named:
        case Any(parts) if parts:
            return _joined([_with_given(part, given) for part in parts])
        case Equal() | Like() if named.name in _FAMILY:
            return _both_names(named, given)
        case Equal(name, value, False) if name in _WHOLE:
            if not _may_hold(value, given):
                return _both_names(named, given)  # only a family name can be meant
            plan = _leaf(named)
            return plan and plan[:1]  # a person, who is called so in all
    return None


def _may_hold(value: str, given: Equal | Like) -> bool:
    """Whether a whole name may be one that the given name is a part of."""
    begun = words(given.value if isinstance(given, Equal) else given.first)
    return not begun or any(word.startswith(begun[0]) for word in words(value))


def _both_names(family: Equal | Like, given: Equal | Like) -> Plan:
    """One of the two is whole, the other may be a beginning: it comes last, as somebody types."""
    for first, last in ((family, given), (given, family)):
        begun = last.value if isinstance(last, Equal) else last.first if last.pieces == (last.first,) else ""
        if isinstance(first, Equal) and begun and len(fold(first.value + begun)) >= NAME_LETTERS_MIN:
            alike = first.sounds_alike or (isinstance(last, Equal) and last.sounds_alike)
            return (Question(name=f"{first.value} {begun}", sounds_alike=alike),)
    return None


def _is_known(name: str) -> bool:
    return name in _NAMES | _MAILS | _STRUCTURES | _PLACES | _NUMBERS | _KNOWN_ELSE | {"title"}


def _joined(plans: list[Plan]) -> Plan:
    found: dict[Question, None] = {}
    for plan in plans:
        if plan is None:
            return None
        found |= dict.fromkeys(plan)
    return tuple(found) if len(found) <= QUESTIONS_MAX else None


def _narrowest(plans: list[Plan]) -> Plan:
    """Where all must hold, the questions of one part bring everybody. The others narrow them where they can."""
    known = [plan for plan in plans if plan is not None]
    if not known:
        return None
    if () in known:
        return ()
    best = min(known, key=lambda plan: (_width(plan), len(plan)))
    for plan in known:
        if len(plan) == 1 and plan is not best:
            best = tuple(_narrowed(question, plan[0]) for question in best)
    return best


def _width(plan: tuple[Question, ...]) -> int:
    """How many people a question may be about, by its kind: the greatest of the plan counts."""

    def width(question: Question) -> int:
        parts = (question.identifier, question.address, question.name, question.structure, question.job)
        return next((rank for rank, part in enumerate(parts) if part), len(parts))

    return max(map(width, plan))


def _narrowed(question: Question, other: Question) -> Question:
    """Also in that place or with that job, where the question says nothing of it."""
    if question.identifier or question.address or question.kinds == _PEOPLE:
        return question
    if other.place and not question.place:
        question = replace(question, place=other.place)
    if other.job and not question.job:
        question = replace(question, job=other.job)
    return question


def _leaf(asked: Equal | Like) -> Plan:
    name = asked.name
    pieces = (asked.value,) if isinstance(asked, Equal) else asked.pieces
    if not _is_known(name):
        return ()  # nobody has it: not true of anybody
    if name in _MAILS:
        start = asked.value if isinstance(asked, Equal) else asked.first or max(pieces, key=len, default="")
        return (Question(address=start),) if len(start.strip()) >= NAME_LETTERS_MIN else None
    text = " ".join(pieces)
    if len(fold(text).replace(" ", "")) < (1 if name in _PLACES else NAME_LETTERS_MIN):
        return None
    if name in _NUMBERS:
        return (Question(identifier=text),) if isinstance(asked, Equal) else None
    if name == "title":
        return (Question(job=text),)
    if name in _PLACES:
        return (Question(place=text),) if isinstance(asked, Equal) else None
    if name in _STRUCTURES:
        return _of_structure(name, text)
    if name in _NAMES:
        is_whole = isinstance(asked, Equal) and not asked.sounds_alike
        return _of_name(name, text, is_whole=is_whole, sounds_alike=isinstance(asked, Equal) and asked.sounds_alike)
    return None


_PEOPLE = frozenset({"PER", "CAB"})
"""Of a question that is not narrowed: a given name alone is known of the whole country only."""


def _of_name(name: str, text: str, *, is_whole: bool, sounds_alike: bool) -> Plan:
    """A person by her name; a team or a software by a word of its own, which is its name here. `is_whole`: nothing
    stands before or behind it, so that one word is never a given name alone."""
    people = Question(name=text, sounds_alike=sounds_alike)
    if name in _GIVEN:
        return (replace(people, kinds=_PEOPLE),)
    titles = ("dr", "pr", "m", "mme", "mlle", "me")
    plain = [word for word in words(text) if word not in titles]
    if plain and plain != words(text):
        people = replace(people, name=" ".join(plain))
    longest = max(words(text), key=len)
    found = [people]
    if " " not in people.name and name not in _FAMILY and not is_whole:
        found.append(replace(people, kinds=_PEOPLE))
    if len(longest) >= NAME_LETTERS_MIN:
        found.append(Question(structure=longest, kinds=frozenset({"ORG", "APP", "CAB"}), of_teams=True))
    return tuple(found)


def _of_structure(name: str, text: str) -> Plan:
    return (Question(structure=text),) if len(max(words(text), key=len)) >= NAME_LETTERS_MIN else None
