"""A site of the tests: rooms on a store, the server on a free port, people who write, a browser without a screen."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from mss.accounts.departed import Departures
from mss.accounts.professionals import Professionals
from mss.accounts.slowdown import Budget
from mss.directory.extras import Extras
from mss.directory.search import Search
from mss.formats import mime
from mss.formats.summary import summarise
from mss.mail.conversations import Conversations
from mss.mail.delivery import Delivery
from mss.mail.dispatch import Dispatch
from mss.mail.holding import Holder
from mss.mail.mailboxes import PatientInbox
from mss.mail.parcels import Letter
from mss.mail.queue import QueuePutter
from mss.mail.recipients import House, Recipients
from mss.mail.replies import PatientReplies
from mss.model.clock import ManualClock, SeededChance
from mss.model.document import Author, Coded, DocumentEntry
from mss.model.ids import MailAddress, lane_of
from mss.record.service import Actor, Records
from mss.sandbox.pool import Sandbox
from mss.store import messages, owners
from mss.store.changes import ChangeBus
from mss.store.owners import MailboxRow
from mss.store.sealing import Sealer
from mss.web.directory import SEARCH_EVERY_S, SEARCHES_AT_ONCE
from mss.web.rooms import Rooms, Surgery
from mss.web.server import Listening, WebServer
from tests.kit.people import Cellar, Person, cellar

LAB = ("Laboratoire Bélanger", "equipe@labo.mssante.example")
HOUSE = House(
    host="mail.ville.mssante.example",
    domains=frozenset({"ville.mssante.example", "patient.mssante.example"}),
    patient_domain="patient.mssante.example",
    accepts_test_identities=True,
    postmaster=MailAddress.parse("postmaster@ville.mssante.example"),
)
NORMAL = frozenset({"N"})


@dataclass
class File:
    """An attachment of a test."""

    name: str
    data: bytes
    media_type: str = "application/octet-stream"


class Site:
    """Everything that a test of the pages needs. Its professionals have verified names when `known` says so."""

    def __init__(self, house: Cellar, sandbox: Sandbox) -> None:
        lookup, clock, chance, store = house.public.lookup, house.clock, house.chance, house.store
        bus, sealer = ChangeBus("test"), Sealer(clock, chance)
        self.house, self.clock = house, clock
        self.known: dict[str, str] = {}
        self._delivery = Delivery(store, house.bodies, house.public, sealer, bus, clock, chance)
        recipients = Recipients(store, lookup, HOUSE)
        putter = QueuePutter(house.bodies, house.public, clock, chance)
        dispatch = Dispatch(
            HOUSE, store, recipients, self._delivery, putter, lookup, bus, clock, Holder(house.public, clock, chance)
        )
        self._conversations = Conversations(lookup, clock, chance)
        self.records = Records(store, house.opener, house.bodies, lookup, clock, chance)
        self.rooms = Rooms(
            login=house.login,
            sessions=house.sessions,
            profiles=house.profiles,
            opener=house.opener,
            inbox=PatientInbox(store, house.opener, clock),
            replies=PatientReplies(HOUSE, store, house.opener, self._delivery, dispatch, clock, chance),
            records=self.records,
            sandbox=sandbox,
            lookup=lookup,
            clock=clock,
            chance=chance,
            site_name="Santé Ville",
            verified_names=self._verified_names,
            known_names=Search(store).titles,
            gone=Departures(store, lookup).gone,
            extras=Extras(store, clock).of,
            surgery=Surgery(
                Professionals(store, lookup, house.private.wrapper, house.sessions, clock, chance),
                house.passwords,
                Search(store),
                Budget(clock, burst=SEARCHES_AT_ONCE, interval_s=SEARCH_EVERY_S),
            ),
        )
        self.server = WebServer(self.rooms, http=Listening("127.0.0.1", 0), pages_on_http=True)
        self._browsers: list[Browser] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.ports['http']}"

    async def _verified_names(self, addresses: Collection[str]) -> dict[str, str]:
        return {address: name for address, name in self.known.items() if address in addresses}

    def browser(self) -> Browser:
        """A browser that nobody has used yet."""
        made = Browser(self.url, self.clock)
        self._browsers.append(made)
        return made

    async def signed_in(self, person: Person) -> Browser:
        browser = self.browser()
        await browser.sign_in(person)
        return browser

    async def close(self) -> None:
        for browser in self._browsers:
            await browser.close()
        await self.server.stop(0.1)

    # ── what others do ──

    async def receive(
        self,
        person: Person,
        subject: str = "Vos résultats",
        body: str | None = "Bonjour Madame, voici vos résultats.",
        *,
        html: str | None = None,
        sender: tuple[str, str] = LAB,
        files: Sequence[File] = (),
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """A message of a professional arrives and is revealed; answers its number."""
        message = EmailMessage(policy=SMTP)
        message["From"] = f'"{sender[0]}" <{sender[1]}>' if sender[0] else sender[1]
        message["To"] = person.address
        message["Subject"] = subject
        message["Date"] = format_datetime(self.clock.now())
        message["Message-ID"] = f"<{self.house.chance.token(8).hex()}@labo.mssante.example>"
        for name, value in (headers or {}).items():
            message[name] = value
        if body is not None:
            message.set_content(body)
        if html is not None:
            message.add_alternative(html, "html") if body is not None else message.set_content(html, "html")
        for file in files:
            maintype, _, subtype = file.media_type.partition("/")
            message.add_attachment(file.data, maintype=maintype, subtype=subtype, filename=file.name)
        return await self.receive_raw(person, message.as_bytes(), sender[1])

    async def receive_raw(self, person: Person, raw: bytes, sender: str = LAB[1]) -> int:
        """The same with bytes of one's own."""
        store, structure = self.house.store, mime.scan(raw)
        letter = Letter(raw, summarise(raw, structure), MailAddress.parse(sender), "peer", raw)

        async def reachable(_: MailAddress) -> MailboxRow | None:
            return await store.read(lambda c: owners.mailbox(c, person.owner))

        parcels = await self._delivery.incoming(letter, [MailAddress.parse(person.address)], reachable, 60)
        (number,) = await self._delivery.commit(parcels)
        keys = await self.house.keys(person.owner)

        def reveal(connection: Any) -> None:
            stored = messages.one_message(connection, person.owner, number)
            assert stored is not None
            self._conversations.reveal(connection, keys, stored, structure)

        await store.write(lane_of(person.owner), reveal)
        return number

    async def file(
        self,
        person: Person,
        content: bytes,
        *,
        title: str = "Compte rendu de biologie",
        mime_type: str = "text/xml",
        message: int = 0,
        visibility: frozenset[str] = NORMAL,
        type_: Coded | None = None,
        author: Author | None = None,
        created: datetime | None = None,
        signature: str = "",
    ) -> int:
        """A document is filed in her record, as the bridge does; answers its number."""
        keys = await self.house.keys(person.owner)
        entry = DocumentEntry(
            unique_id=f"1.2.3.{self.house.chance.below(10**12)}",
            title=title,
            mime_type=mime_type,
            size_bytes=len(content),
            sha1="0" * 40,
            type=type_ or Coded("11502-2", "2.16.840.1.113883.6.1", "CR d’examens biologiques"),
            class_=Coded("10", "1.2.250.1.213.1.1.4.1", "Comptes rendus"),
            authors=(author or Author(person_name="Dr Anne PETIT", institution_name="Laboratoire Bélanger"),),
            creation_time=created or self.clock.now(),
            signature=signature,
        )
        prepared = await self.records.prepare(keys, entry, content, message, visibility)
        actor = Actor("Laboratoire Bélanger", "sender")
        await self.house.store.write(lane_of(person.owner), lambda c: self.records.file(c, keys, prepared, actor))
        return prepared.row.document


@asynccontextmanager
async def site_at(
    url: str, directory: Path, clock: ManualClock, chance: SeededChance, sandbox: Sandbox
) -> AsyncIterator[Site]:
    """A running site over a fresh store."""
    async with cellar(url, directory, clock, chance) as house:
        site = Site(house, sandbox)
        await site.server.start()
        try:
            yield site
        finally:
            await site.close()


# ── a browser without a screen ──


@dataclass
class Page:
    """An answer, as a person and as a program read it."""

    status: int
    path: str
    text: str
    body: bytes
    headers: Mapping[str, str]
    fields: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    shown: str = ""

    @classmethod
    def of(cls, status: int, path: str, body: bytes, headers: Mapping[str, str]) -> Page:
        is_html = headers.get("Content-Type", "").startswith("text/html")
        text = body.decode() if is_html else ""
        reader = _Reader()
        reader.feed(text)
        shown = re.sub(r"\s+", " ", "".join(reader.words)).strip()
        return cls(status, path, text, body, headers, reader.fields, reader.links, shown)


class _Reader(HTMLParser):
    """What is to be read on a page: words, links by their words, values of fields."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.fields: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.tags: list[str] = []
        self._link: str | None = None
        self._link_words: list[str] = []
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.words.append(" ")
        if tag == "a":
            self._link, self._link_words = values.get("href") or "", []
        if tag == "input" and (name := values.get("name")):
            self.fields[name] = values.get("value") or ""
        if tag == "textarea":
            self._area = values.get("name") or values.get("id") or ""
            self.fields[self._area] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._link is not None:
            self.links[re.sub(r"\s+", " ", "".join(self._link_words)).strip()] = self._link
            self._link = None
        if tag == "textarea":
            if self._area is not None and self.fields[self._area].startswith("\n"):
                self.fields[self._area] = self.fields[self._area][1:]
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.fields[self._area] += data
        self.words.append(data)
        if self._link is not None:
            self._link_words.append(data)


class Browser:
    """Keeps cookies, follows redirects, fills in forms; knows no script."""

    def __init__(self, url: str, clock: ManualClock) -> None:
        self.url = url
        self._clock = clock
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), auto_decompress=True)

    async def close(self) -> None:
        await self._session.close()

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.key: cookie.value for cookie in self._session.cookie_jar}

    def plant(self, name: str, value: str) -> None:
        """Put a cookie into the jar, as an attacker would."""
        self._session.cookie_jar.update_cookies({name: value}, response_url=URL(self.url))

    async def get(self, path: str, *, follow: bool = True, headers: Mapping[str, str] | None = None) -> Page:
        return await self._ask("GET", path, follow=follow, headers=headers)

    async def post(
        self,
        path: str,
        fields: Mapping[str, str],
        *,
        files: Sequence[File] = (),
        follow: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        data: Any = dict(fields)
        if files:
            data = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
            for name, value in fields.items():
                data.add_field(name, value)
            for file in files:
                data.add_field("attachment", file.data, filename=file.name, content_type=file.media_type)
        own = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        return await self._ask("POST", path, follow=follow, data=data, headers={**own, **(headers or {})})

    async def _ask(self, method: str, path: str, *, follow: bool, **more: Any) -> Page:
        async with self._session.request(method, self.url + path, allow_redirects=follow, **more) as answer:
            return Page.of(answer.status, answer.url.path, await answer.read(), answer.headers)

    async def submit(
        self, page: Page, path: str, *, files: Sequence[File] = (), follow: bool = True, **fields: str
    ) -> Page:
        """Send the form of a page, its hidden fields included."""
        hidden: dict[str, str] = {name: page.fields[name] for name in ("csrf", "next", "once") if name in page.fields}
        return await self.post(path, {**hidden, **fields}, files=files, follow=follow)

    async def sign_in(self, person: Person) -> Page:
        """Both steps; ends on the inbox."""
        self._clock.forward(60)
        page = await self.submit(await self.get("/login"), "/login", login=person.login, password=person.password)
        page = await self.submit(page, "/login", code=person.code(self._clock))
        assert page.path == "/inbox", page.shown
        return page
