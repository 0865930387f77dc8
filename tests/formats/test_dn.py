"""Distinguished names as the trust list and certificates write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.formats.dn import ATTRIBUTES_MAX, CHARACTERS_MAX, DistinguishedName
from mss.model.errors import BadValue

C, ST, O, OU, CN = "2.5.4.6", "2.5.4.8", "2.5.4.10", "2.5.4.11", "2.5.4.3"  # noqa: E741
CLINIC = DistinguishedName.of(
    [[(C, "FR")], [(ST, "Rhône (69)")], [(O, "CLINIQUE DES TILLEULS")], [(OU, "1690000001")], [(CN, "mss.example")]]
)


@pytest.mark.parametrize(
    "text",
    [
        "CN=mss.example,OU=1690000001,O=CLINIQUE DES TILLEULS,ST=Rhône (69),C=FR",
        "CN=mss.example, OU=1690000001, O=CLINIQUE DES TILLEULS, ST=Rhône (69), C=FR",
        'CN=mss.example,OU=1690000001,O="CLINIQUE  DES TILLEULS",ST=Rhône (69),C=FR',
        "CN=mss.example,OU=1690000001,O=CLINIQUE\u00a0 DES  TILLEULS,ST=Rhône (69),C=FR",
        "cn=mss.example ; ou=1690000001 ; o = CLINIQUE DES TILLEULS ; st=Rhône (69);c=FR",
        r"CN=mss.example,OU=1690000001,O=CLINIQUE\20DES TILLEULS,ST=Rh\C3\B4ne (69),C=FR",
        "CN=mss.example,OU=1690000001,O=CLINIQUE DES TILLEULS,ST=Rho\u0302ne (69),C=FR",
        "2.5.4.3=mss.example,OID.2.5.4.11=1690000001,O=#0c15434c494e495155452044455320"
        "54494c4c45554c53,ST=Rhône (69),C=FR",
    ],
)
def test_one_certificate_written_in_many_ways_is_one_name(text: str) -> None:
    """Separators, quotes, spaces, escapes and composed accents do not lock an operator out."""
    assert DistinguishedName.parse(text) == CLINIC
    assert hash(DistinguishedName.parse(text)) == hash(CLINIC)


@pytest.mark.parametrize(
    "text",
    [
        "CN=MSS.example,OU=1690000001,O=CLINIQUE DES TILLEULS,ST=Rhône (69),C=FR",
        "CN=mss.example,OU=1690000001,O=CLINIQUE DES TILLEULS,ST=Rhône(69),C=FR",
        "CN=mss.example,OU=1690000001,O=CLINIQUE DES TILLEULS,ST=Rhone (69),C=FR",
        "CN=mss.example,OU=1690000001,O=CLINIQUE DES TILLEULS,L=Rhône (69),C=FR",
        "C=FR,ST=Rhône (69),O=CLINIQUE DES TILLEULS,OU=1690000001,CN=mss.example",
        "CN=mss.example,OU=1690000001,O=CLINIQUE DES TILLEULS,ST=Rhône (69)",
        "CN=mss.example,CN=mss.example,OU=1690000001,O=CLINIQUE DES TILLEULS,ST=Rhône (69),C=FR",
        "CN=mss.example+OU=1690000001,O=CLINIQUE DES TILLEULS,ST=Rhône (69),C=FR",
        "CN=mss.example,OU=1690000001,O=CLINIQUE DES TILLEULS\\,ST=Rhône (69),C=FR",
    ],
)
def test_another_name_is_another_name(text: str) -> None:
    """Case, accents, types, order, missing or joined parts: each is somebody else."""
    assert DistinguishedName.parse(text) != CLINIC


def test_quotes_inside_a_value_belong_to_it() -> None:
    """A real operator has quotes in the middle of its name, unescaped in the list."""
    name = DistinguishedName.parse('CN=mss.example,O=CENTRE "LES TILLEULS",C=FR')
    assert name.rdns[1] == ((O, 'CENTRE "LES TILLEULS"'),)


def test_the_order_inside_a_set_of_attributes_means_nothing() -> None:
    """X.501: an RDN is a set, the name is a sequence."""
    assert DistinguishedName.parse("CN=a+OU=b,C=FR") == DistinguishedName.parse("OU=b+CN=a,C=FR")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CN",
        "CN=a,",
        "XYZ=a",
        'CN="a',
        'CN="a" b',
        "CN=a\\",
        "CN=a\\zb",
        "CN=\\ff",
        "CN=#0",
        "CN=#0c03ffffff",
        "CN=" + "a" * CHARACTERS_MAX,
        ",".join(["CN=a"] * (ATTRIBUTES_MAX + 1)),
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    """Garbage gives our error only."""
    with pytest.raises(BadValue):
        DistinguishedName.parse(text)


NAMES = st.builds(
    DistinguishedName.of,
    st.lists(
        st.lists(
            st.tuples(st.sampled_from([C, ST, O, OU, CN, "1.2.3.4"]), st.text(max_size=20)), min_size=1, max_size=2
        ),
        min_size=1,
        max_size=6,
    ),
)


@given(NAMES)
def test_a_printed_name_reads_back_as_itself(name: DistinguishedName) -> None:
    """Logs, lists and certificates agree, whatever a value holds."""
    assert DistinguishedName.parse(str(name)) == name


@given(NAMES)
def test_a_printed_name_is_one_line(name: DistinguishedName) -> None:
    """A certificate cannot write into our log."""
    assert str(name).isprintable()


@given(st.text(max_size=60))
def test_any_text_gives_a_name_or_our_error(text: str) -> None:
    """No other exception, and no loop without an end."""
    try:
        DistinguishedName.parse(text)
    except BadValue:
        pass
