"""What do staff say of a mailbox of ours in the directory, and who said what before? And whose is a contested address?

Address, kind and holder never change here. What is said is read at every door when the page comes back, and kept with
who said it. Whoever is bound to a domain changes what is said of it and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

from aiohttp import web

from mss.accounts.staff import StaffMember
from mss.accounts.verification import idnps_of
from mss.directory.extras import NOTHING_KNOWN, SIZE_BYTES_MAX, Extra, Extras, Said
from mss.directory.ours import Change
from mss.directory.own import PHONE_CHARS_MAX, RANK_MAX, Own, Wish
from mss.model.directory import TEXT_CHARS_MAX
from mss.model.errors import BadValue, NotFound
from mss.model.ids import MailAddress, OwnerId, matricule_of
from mss.web.corrections import actor_of
from mss.web.forms import Form
from mss.web.rooms import DirectoryDesk
from mss.web.routing import Access, get, post
from mss.web.session import Visit
from mss.web.words import N_

MB = 1_000_000
"""As every page writes sizes."""
HERE, CONTESTED = "/desk/directory/mailbox", "/desk/directory/contested"
CONTESTED_MAX = 50
TEXTS = {
    "description": N_("Description"),
    "service": N_("Service"),
    "responsible": N_("Responsable"),
    "phone": N_("Téléphone du service"),
    "purpose": N_("À quoi sert cette adresse"),
}
"""What is said in words, by the names of the form and of `Own`."""
SAID = {**TEXTS, "paperless": N_("Zéro papier"), "rank": N_("Rang préféré")}
FIELDS = (*SAID, "patients", "xdm", "max_mb")
WHAT = {
    "said": N_("Description changée"),
    "unlisted": N_("Mise en liste rouge"),
    "withdrawn": N_("Retirée de l’annuaire"),
    "begun": N_("Boîte ouverte"),
    "closed": N_("Boîte fermée"),
    "reopened": N_("Boîte rouverte"),
}
_YES_OR_NO = {"yes": True, "no": False}
_NOT_LISTED = N_("Enregistré, mais personne ne la trouve encore : l’annuaire ne connaît pas son titulaire.")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of a change: its name, what stood, what stands."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class HistoryLine:
    at: datetime
    who: str
    what: str
    differences: tuple[Difference, ...]


def desk_of(visit: Visit) -> DirectoryDesk:
    """Raises NotFound where staff edit nothing."""
    if visit.rooms.desk is None or visit.rooms.desk.own is None:
        raise NotFound("directory desk")
    return visit.rooms.desk.own


def edit_link(visit: Visit, member: StaffMember, address: str) -> str:
    """Where this person changes what is said of an address; empty when it is not hers to say."""
    desk = visit.rooms.desk
    is_hers = desk is not None and desk.own is not None and desk.own.contests.is_ours(address.lower())
    return f"{HERE}?{urlencode({'address': address})}" if is_hers and member.sees(address.rpartition("@")[2]) else ""


async def count_contested(visit: Visit, member: StaffMember) -> int:
    """How many addresses wait for this person's word."""
    desk = visit.rooms.desk
    if desk is None or desk.own is None:
        return 0
    return sum(_may_decide(member, row.address) for row in await desk.own.contests.all())


async def show(visit: Visit) -> web.StreamResponse:
    """What is said of a mailbox, the form to change it, and its history."""
    return await _page(visit, await _address(visit, visit.request.query.get("address", "")))


async def save(visit: Visit) -> web.StreamResponse:
    """Change what is said: of each field only where something else was typed, so that what nobody said stays the
    national file's word."""
    address, member = await _address(visit, visit.form.get("address")), await visit.member()
    rooms, actor = desk_of(visit), actor_of(member)
    stands, extra = await _stands(visit, address), await _extra(rooms.extras, address)
    is_listed = True
    try:
        wish, said = _wish(visit.form, stands), _said(visit.form)
        after = await rooms.mailboxes.say(address, wish, actor)
        if after.own is not None and said != replace(extra.said, is_paperless=None):
            is_listed = await _note(rooms.extras, address, said, actor)
    except BadValue as problem:
        return await _page(visit, address, failure=str(problem), status=422)
    return visit.redirect(HERE, address=str(address), done="saved" if is_listed else "unseen")


async def _note(extras: Extras, address: MailAddress, said: Said, actor: str) -> bool:
    """What it takes; False while no door shows the address."""
    try:
        await extras.say(address, said, actor)
    except NotFound:
        return False
    return True


async def _address(visit: Visit, typed: str) -> MailAddress:
    """An address of ours that is this person's business. Raises NotFound."""
    member, rooms = await visit.member(), desk_of(visit)
    try:
        address = MailAddress.parse(typed.strip())
    except BadValue:
        raise NotFound("mailbox") from None
    is_patient = matricule_of(address) is not None
    if is_patient or not rooms.contests.is_ours(address.key) or not member.sees(address.domain):
        raise NotFound("mailbox")
    return address


async def _page(visit: Visit, address: MailAddress, failure: str = "", status: int = 200) -> web.Response:
    rooms = desk_of(visit)
    known = await rooms.mailboxes.of(address)
    is_typed = visit.request.method == "POST"
    said = {name: visit.form.get(name) for name in FIELDS} if is_typed else await _stands(visit, address)
    return await visit.page(
        "ownmailbox.html",
        status=status,
        here=HERE,
        address=address,
        is_unlisted=known is not None and known.row.is_unlisted,
        texts=TEXTS,
        said=said,
        failure=failure,
        done=visit.request.query.get("done", ""),
        not_listed=_NOT_LISTED,
        history=await _history(visit, await rooms.mailboxes.history(address)),
        text_chars_max=TEXT_CHARS_MAX,
        phone_chars_max=PHONE_CHARS_MAX,
        rank_max=RANK_MAX,
        size_mb_max=SIZE_BYTES_MAX // MB,
    )


async def _extra(extras: Extras, address: MailAddress) -> Extra:
    return (await extras.of([address.key])).get(address.key, NOTHING_KNOWN)


async def _stands(visit: Visit, address: MailAddress) -> dict[str, str]:
    """What everybody reads now, as the form writes it: our word, else the national file's."""
    desk, rooms = visit.rooms.desk, desk_of(visit)
    known, said = await rooms.mailboxes.of(address), (await _extra(rooms.extras, address)).said
    found = await desk.directory.at(address.key) if desk and desk.directory else ()
    listing = found[0].listing if found else None
    own = known.own if known else None
    stands = {name: _text(getattr(own, name, None)) or _text(getattr(listing, name, None)) for name in SAID}
    stands["purpose"] = stands["purpose"] or said.purpose
    stands |= {"patients": _text(said.accepts_patients), "xdm": _text(said.accepts_xdm)}
    return stands | {"max_mb": str(said.size_bytes_max // MB) if said.size_bytes_max else ""}


def _text(value: str | int | bool | None) -> str:
    if value is None or (value == 0 and not isinstance(value, bool)):
        return ""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _wish(form: Form, stands: Mapping[str, str]) -> Wish:
    """What the form asks for. Raises BadValue."""
    if "unlisted" in form.fields:
        return Wish(is_unlisted=True)
    typed = {name: " ".join(form.get(name).split()) for name in SAID}
    texts = {name: typed[name] for name in TEXTS if typed[name] != stands[name]}
    rank = typed["rank"]
    if rank and not (rank.isascii() and rank.isdigit() and len(rank) <= 2):
        raise BadValue(f"the order of preference is a number from 1 to {RANK_MAX}")
    return Wish(
        **texts,
        paperless=_YES_OR_NO.get(typed["paperless"]) if typed["paperless"] != stands["paperless"] else None,
        rank=int(rank or 0) if rank != stands["rank"] else None,
        is_unlisted=False,
        holder=idnps_of(form.get("holder")),
    )


def _said(form: Form) -> Said:
    """What it takes. Raises BadValue."""
    size = form.get("max_mb").strip()
    if size and not (size.isascii() and size.isdigit() and len(size) <= 4):
        raise BadValue(f"the largest message is a number of MB up to {SIZE_BYTES_MAX // MB}")
    patients, xdm = (_YES_OR_NO.get(form.get(name)) for name in ("patients", "xdm"))
    return Said(form.get("purpose"), int(size or 0) * MB, patients, xdm)


async def _history(visit: Visit, changes: list[Change]) -> list[HistoryLine]:
    """Newest first, each with what it changed."""
    lines = []
    for at, change in enumerate(changes):
        before = changes[at + 1].own if at + 1 < len(changes) else None
        who = await _who(visit, change.actor)
        lines.append(HistoryLine(change.at, who, WHAT.get(change.what, change.what), _differences(before, change.own)))
    return lines


def _differences(before: Own | None, after: Own | None) -> tuple[Difference, ...]:
    if after is None:
        return ()
    pairs = ((name, _text(getattr(before, name, None)), _text(getattr(after, name))) for name in SAID)
    return tuple(Difference(SAID[name], old, new) for name, old, new in pairs if old != new)


async def _who(visit: Visit, actor: str) -> str:
    """The name of somebody of the staff; anybody else as the audit knows him."""
    kind, _, number = actor.partition(":")
    if kind != "staff" or not number.isdigit() or visit.rooms.desk is None:
        return actor
    try:
        return (await visit.rooms.desk.staff.one(OwnerId(int(number)))).name
    except NotFound:
        return actor


# ── contested addresses ──


async def contested(visit: Visit) -> web.StreamResponse:
    """Addresses that a file gave to somebody else, and what can be decided."""
    return await _contested_page(visit)


async def believe(visit: Visit) -> web.StreamResponse:
    """The file is right: the address is the new holder's from the next import on."""
    member, rooms = await visit.member(), desk_of(visit)
    try:
        address = MailAddress.parse(visit.form.get("address"))
        if not _may_decide(member, address.key):
            raise NotFound("contested address")
        await rooms.contests.believe_file(address, actor_of(member))
    except BadValue:
        return await _contested_page(visit, failure=N_("Elle n’est plus contestée, ou elle est à nous."), status=409)
    return visit.redirect(CONTESTED, done="1")


def _may_decide(member: StaffMember, address: str) -> bool:
    """Foreign addresses are the business of whoever is bound to no domain."""
    return member.sees(address.rpartition("@")[2])


async def _contested_page(visit: Visit, failure: str = "", status: int = 200) -> web.Response:
    member, rooms = await visit.member(), desk_of(visit)
    rows = [row for row in await rooms.contests.all() if _may_decide(member, row.address)]
    numbers = {number for row in rows[:CONTESTED_MAX] for number in (row.holder, row.claimed_by)}
    names = {number: await _named(visit, number) for number in numbers}
    return await visit.page(
        "contested.html",
        status=status,
        rows=[(row, rooms.contests.is_ours(row.address)) for row in rows[:CONTESTED_MAX]],
        total=len(rows),
        names=names,
        failure=failure,
        here=CONTESTED,
    )


async def _named(visit: Visit, number: str) -> str:
    """Who has a national number, as far as the directory knows."""
    search = visit.rooms.desk.directory if visit.rooms.desk else None
    if search is None or not number:
        return ""
    person, site = await search.person(number), await search.site(number)
    if person is not None:
        return f"{person.professional.given} {person.professional.family}".strip()
    return site.structure.name if site is not None else ""


ROUTES = (
    get(HERE, show, Access.STAFF),
    post(HERE, save, Access.STAFF),
    get(CONTESTED, contested, Access.STAFF),
    post(CONTESTED, believe, Access.STAFF),
)
