"""OpenLDAP's own client looks people up, as an address book does, and is refused what it may not do."""

from __future__ import annotations

from mss.accounts.lifecycle import LifeEvent
from tests.kit.frenchpeople import lines, rpps
from tests.kit.ldap_house import BASE, DOCTOR, LdapHouse
from tests.ldap.conftest import Build

LYON, PARIS, RENNES = "a1@ville.mssante.example", "a2@ville.mssante.example", "a4@ville.mssante.example"
CASES: list[tuple[str, set[str]]] = [
    ("(sn=lefevre)", {LYON}),
    ("(sn=LEFÈVRE)", {LYON}),
    ("(sn~=lefevre)", {LYON, PARIS}),
    ("(cn=Camille Lefèvre)", {LYON}),
    ("(&(mail=*)(|(mail=lef*)(cn=lef*)(sn=lef*)(givenName=lef*)))", {LYON, PARIS}),
    ("(|(cn=*camille*)(sn=*camille*)(mail=*camille*))", {LYON}),
    ("(&(givenName=camille)(l=lyon))", {LYON}),
    ("(&(sn=lefèvre)(givenName=cam*))", {LYON}),
    ("(&(mail=*)(givenName=Camille)(sn=lef*))", {LYON}),
    ("(&(sn=lef*)(givenName=cam*))", {LYON}),
    ("(&(sn=lefevre)(givenName=anne))", set()),
    ("(&(sn=martin*)(l=Rennes))", {RENNES}),
    ("(&(sn=martin*)(!(l=Rennes)))", {"a3@ville.mssante.example"}),
    ("(title=Cardiologie*)", {LYON, RENNES}),
    ("(&(title=Cardiologie*)(l=LYON))", {LYON}),
    (f"(employeeNumber={rpps(4)})", {RENNES}),
    ("(mail=CARDIO@chu.mssante.example)", {"cardio@chu.mssante.example"}),
    ("(o=CHU de Rennes)", {"cardio@chu.mssante.example", "dpi@chu.mssante.example"}),
    ("(&(o=CHU de Rennes)(employeeType=team))", {"cardio@chu.mssante.example"}),
    ("(cn=*secretariat*)", {"cardio@chu.mssante.example"}),
    ("(&(objectClass=inetOrgPerson)(sn=d'artagnan))", {"a7@ville.mssante.example"}),
    ("(|(sn=lefevre)(nickName=zorro))", {LYON}),
    ("(nickName=zorro)", set()),
    ("(&(sn=lefevre)(uid>=5))", set()),
]


async def test_filters_find_whom_they_describe(book_anywhere: LdapHouse) -> None:
    """And, or, not, equality, pieces, presence, sound; unknown attributes are of nobody."""
    for asked, expected in CASES:
        found = await book_anywhere.ldapsearch(asked, "mail")
        assert (found.code, set(found.all("mail")), len(found.entries)) == (0, expected, len(expected)), (asked, found)


async def test_an_entry_tells_people_apart_and_since_when_it_is_true(book: LdapHouse) -> None:
    """Name, profession, structure, place, number, and the moment of verification; over TLS from the first octet too."""
    found = await book.ldapsearch("(sn=lefevre)", implicit=True)
    (entry,) = found.entries
    assert entry["dn"] == [f"uid={LYON},{BASE}"]
    assert entry["cn"] == ["DR Camille LEFÈVRE", "Camille LEFÈVRE"]
    assert entry["title"] == ["Cardiologie et maladies vasculaires", "Médecin"]
    assert (entry["l"], entry["postalCode"], entry["employeeNumber"]) == (["LYON"], ["69003"], [rpps(1)])
    assert entry["mssAsOf"] == ["20251201000000Z"]
    assert "entryDN" not in entry
    again = await book.ldapsearch("(objectClass=*)", "sn", "entryDN", base=entry["dn"][0], scope="base")
    assert again.entries == [{"dn": entry["dn"], "sn": ["LEFÈVRE"], "entryDN": entry["dn"]}]


async def test_nobody_reads_the_directory_out(book: LdapHouse) -> None:
    """Three letters at least, whatever the filter."""
    for asked in ("(objectClass=*)", "(mail=*)", "(sn=ma*)", "(!(sn=martin))", "(|(sn=martin)(cn=*))", "(mail=a*)"):
        found = await book.ldapsearch(asked)
        assert (found.code, found.entries) == (11, []), asked
        assert "three letters" in found.words


async def test_the_size_limit_is_said(build: Build) -> None:
    """The client's own, and ours: a hundred."""
    house = await build(content=list(lines(600, seed=3)))
    found = await house.ldapsearch("(title=medecin*)", "mail", more=("-z", "5"))
    assert (found.code, len(found.entries)) == (4, 5)
    found = await house.ldapsearch("(title=medecin*)", "mail")
    assert (found.code, len(found.entries)) == (4, 100)
    assert len(set(found.all("mail"))) == 100


async def test_who_has_not_bound_sees_nothing_but_the_root(book: LdapHouse) -> None:
    """No bind, no TLS, a wrong password: one code each, and no word on who exists."""
    assert (await book.ldapsearch("(sn=lefevre)", login="")).code == 8
    assert (await book.ldapsearch("(sn=lefevre)", secure=False)).code == 13
    wrong = [
        await book.ldapsearch("(sn=lefevre)", login=login, password=password)
        for login, password in (
            (DOCTOR, "abcd-efgh-ijkl-mnox"), ("nobody@chu.mssante.example", "x"), (f"uid={DOCTOR},{BASE}", "x"),
            ("cn=admin,dc=example", "x"), ("279035121518989@patient.mssante.example", "x"),
        )
    ]  # fmt: skip
    assert {one.code for one in wrong} == {49}
    assert len({one.words for one in wrong}) == 1
    root = await book.ldapsearch("(objectClass=*)", base="", scope="base", login="", secure=False)
    assert root.all("namingContexts") == [BASE]
    named = await book.ldapsearch("(sn=lefevre)", "mail", login=f"uid={DOCTOR},{BASE}")
    assert named.all("mail") == [LYON]


async def test_a_suspended_reader_is_a_wrong_password(book: LdapHouse) -> None:
    """A state is nobody's business."""
    await book.below.accounts.live_on(book.doctor, LifeEvent.SUSPEND)
    assert (await book.ldapsearch("(sn=lefevre)")).code == 49


async def test_clients_find_schema_and_branch(book: LdapHouse) -> None:
    """What Outlook and browsers of directories look at before they ask; and where nothing is, nothing is said to be."""
    found = await book.ldapsearch("(objectClass=subschema)", "attributeTypes", base="cn=Subschema", scope="base")
    assert any("'givenName'" in one for one in found.all("attributeTypes"))
    assert (await book.ldapsearch("(objectClass=*)", scope="base")).all("ou") == ["bal"]
    assert (await book.ldapsearch("(sn=lefevre)", "mail", base="c=fr")).all("mail") == [LYON]
    assert (await book.ldapsearch("(sn=lefevre)", "mail", base="")).all("mail") == [LYON]
    for base in ("ou=patients,o=mssante,c=fr", f"uid=nobody@chu.mssante.example,{BASE}", "nonsense"):
        assert (await book.ldapsearch("(sn=lefevre)", base=base)).code == 32, base


async def test_a_control_that_nobody_knows_is_refused_when_it_must_be_understood(book: LdapHouse) -> None:
    """Else it is passed over."""
    assert (await book.ldapsearch("(sn=lefevre)", more=("-E", "!pr=10/noprompt"))).code == 12
    assert (await book.ldapsearch("(sn=lefevre)", "mail", more=("-E", "pr=10/noprompt"))).all("mail") == [LYON]
