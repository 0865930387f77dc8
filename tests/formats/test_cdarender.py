"""The readable page of a CDA: all of the narrative, and nothing that acts."""

from __future__ import annotations

import base64
import re

import nh3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree, html

from mss.formats.cdarender import ATTRIBUTES, PICTURES_MAX, TAGS, URL_SCHEMES, render
from mss.model.errors import Malformed
from tests.formats.test_cda import TABLE, sample
from tests.kit.documents import HUGO, make_cda, make_jpeg, make_pdf, make_png

CDA = make_cda()
H = {"h": "urn:hl7-org:v3"}


def page_of(data: bytes) -> html.HtmlElement:
    return html.fragment_fromstring(render(data))


def shown(data: bytes) -> str:
    """What a reader sees, on one line."""
    return " ".join(page_of(data).text_content().split())


def with_narrative(markup: str, more: str = "") -> bytes:
    """Our report with this at the start of its first narrative, and `more` after that section's text."""
    text = CDA.decode().replace("<text>", f"<text>{markup}", 1)
    return text.replace("</text>", f"</text>{more}", 1).encode()


def media(identifier: str, content: bytes, declared: str) -> str:
    data = base64.encodebytes(content).decode()
    return (
        f'<entry><observationMedia classCode="OBS" moodCode="EVN" ID="{identifier}">'
        f'<value mediaType="{declared}" representation="B64">{data}</value></observationMedia></entry>'
    )


def assert_harmless(fragment: str) -> None:
    """Only our own tags and attributes, no address outside the page, no style, no script."""
    for element in html.fragment_fromstring(fragment).iter():
        assert isinstance(element.tag, str)
        assert element.tag in TAGS
        for name, value in element.attrib.items():
            assert name in ATTRIBUTES["*"] | ATTRIBUTES.get(element.tag, set())
            if name == "href":
                assert value.startswith("#cda-")
            if name == "src":
                assert re.match(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=]+\Z", value)
            if name == "class":
                assert re.fullmatch(r"cda(-[a-z]+)?( cda-[a-z]+)*", value)


@pytest.mark.parametrize("name", TABLE)
def test_a_document_of_ans_becomes_a_whole_readable_page(name: str) -> None:
    """Patient, author and every word of the narrative are there; nothing acts or leads away."""
    data = sample(name)
    fragment, text = render(data), shown(data)
    assert_harmless(fragment)
    assert TABLE[name]["birth_name"] in text
    assert TABLE[name]["ins"] in text
    root = etree.fromstring(data, etree.XMLParser(remove_comments=True))
    for narrative in root.iterfind(".//h:section/h:text", H):
        for piece in narrative.itertext():
            assert " ".join(str(piece).split()) in text
    for title in root.iterfind(".//h:section/h:title", H):
        assert " ".join((title.text or "").split()) in text


@pytest.mark.parametrize("name", TABLE)
def test_the_second_cleaning_of_the_page_loses_nothing(name: str) -> None:
    """The lists that we hand to the sanitiser fit what the sheet writes."""
    data = sample(name)
    cleaned = nh3.clean(
        render(data), tags=set(TAGS), attributes=ATTRIBUTES, url_schemes=set(URL_SCHEMES), link_rel=None
    )
    again = html.fragment_fromstring(cleaned)
    assert " ".join(again.text_content().split()) == shown(data)
    assert len(again.findall(".//img")) == len(page_of(data).findall(".//img"))
    assert len(again.findall(".//*[@class]")) == len(page_of(data).findall(".//*[@class]"))


def test_the_head_of_the_page_says_who_what_when() -> None:
    """In French, in words."""
    text = shown(make_cda(HUGO, version=2))
    assert "Compte rendu d'examens biologiques" in text
    assert "L'ÉPREUVE Hugo" in text
    assert "30 novembre 1958, sexe masculin" in text
    assert "Ada MARTIN (Médecin - Biologie médicale (SM))" in text
    assert "Laboratoire des Tilleuls & Fils" in text
    assert "5 janvier 2026 à 10 h 30" in text
    assert "Version2" in text.replace(" ", "")
    assert "nom utilisé : ÉCHANTILLON" in shown(CDA)


def test_results_are_a_table_that_a_phone_can_scroll() -> None:
    """Heads are heads, and no table is wider than its own frame."""
    page = page_of(CDA)
    tables = page.findall(".//table")
    assert tables
    assert all(table.getparent().get("class") == "cda-table" for table in tables)
    assert page.find(".//thead/tr/th").text == "Examen"
    assert all(head.get("scope") == "col" for head in page.iterfind(".//thead/tr/th"))
    assert page.find(".//td[@class='cda-bold cda-abnormal']").text == "10.2"


def test_the_narrative_block_keeps_its_shape() -> None:
    """Lists, captions, spans, footnotes, inner links, styles, revisions (HL7 CDA R2 §4.3.5)."""
    page = page_of(
        with_narrative(
            '<list listType="ordered"><caption>Conduite</caption><item>Un</item><item>Deux</item></list>'
            '<paragraph>Voir <linkHtml href="#fin">la fin</linkHtml><footnoteRef IDREF="n1"/></paragraph>'
            '<table><caption>Titre</caption><tbody><tr><td colspan="2" align="right">4</td></tr></tbody></table>'
            '<content revised="delete">faux</content><content styleCode="BoldItalics" ID="fin">fin</content>'
            '<footnote ID="n1">une note</footnote>H<sub>2</sub>O'
        )
    )
    assert [item.text for item in page.iterfind(".//ol/li")] == ["Un", "Deux"]
    assert page.find(".//p[@class='cda-caption']").text == "Conduite"
    assert page.find(".//a[@href='#cda-fin']").text == "la fin"
    assert page.find(".//span[@id='cda-fin']").get("class") == "cda-bold cda-italic"
    assert page.find(".//small[@id='cda-n1']").text == "une note"
    assert page.find(".//a[@href='#cda-n1']") is not None
    assert page.find(".//caption").text == "Titre"
    assert page.find(".//td[@colspan='2']").get("class") == "cda-right"
    assert page.find(".//del").text == "faux"
    assert page.find(".//sub").text == "2"


@pytest.mark.parametrize(
    ("content", "declared", "type_"),
    [
        (make_png(), "image/png", "image/png"),
        (make_jpeg(), "image/jpeg", "image/jpeg"),
        (make_png(), "image/jpeg", "image/png"),
    ],
)
def test_a_picture_is_shown_for_what_it_is(content: bytes, declared: str, type_: str) -> None:
    """Its first bytes decide: an ANS sample declares a PNG as JPEG."""
    fragment = render(with_narrative('<renderMultiMedia referencedObject="m"/>', media("m", content, declared)))
    assert_harmless(fragment)
    source = html.fragment_fromstring(fragment).find(".//img").get("src")
    assert source == f"data:{type_};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("content", "declared"),
    [(b"<svg onload='x()'/>", "image/svg+xml"), (b"<svg onload='x()'/>", "image/png"), (b"MZ\x90", "application/exe")],
)
def test_what_is_no_picture_is_only_mentioned(content: bytes, declared: str) -> None:
    """No SVG and no program reaches the page, whatever it is called."""
    fragment = render(with_narrative('<renderMultiMedia referencedObject="m"/>', media("m", content, declared)))
    assert "<img" not in fragment
    assert "non affiché ici" in fragment


def test_a_picture_is_sent_once() -> None:
    """Showing it a hundred times does not make the page a hundred times heavier; more is refused."""
    shows = '<renderMultiMedia referencedObject="m"/>'
    fragment = render(with_narrative(shows * 100, media("m", make_png(), "image/png")))
    assert fragment.count("<img") == 1
    with pytest.raises(Malformed, match="too many pictures"):
        render(with_narrative(shows * (PICTURES_MAX + 1)))


def test_a_level_1_document_says_what_it_holds() -> None:
    """A PDF body is announced, a text body is shown, plain or in base64."""
    assert "[Fichier PDF joint au document]" in shown(make_cda(body_pdf=make_pdf()))
    pdf = base64.b64encode(make_pdf()).decode()
    plain = make_cda(body_pdf=make_pdf()).decode()
    said = 'mediaType="application/pdf" representation="B64"'
    words = "Tout va bien & <mieux>."
    assert words in shown(plain.replace(pdf, "Tout va bien &amp; &lt;mieux&gt;.").replace(said, "").encode())
    coded = base64.b64encode(words.encode()).decode()
    coded_body = plain.replace(pdf, coded).replace(said, 'mediaType="text/plain" representation="B64"')
    assert words in shown(coded_body.encode())


HOSTILE = {
    "script": "<script>alert(1)</script>",
    "html script": '<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>',
    "handler": '<paragraph onclick="alert(1)" onmouseover="alert(1)">x</paragraph>',
    "style": '<paragraph style="background:url(http://attacker.example/)">x</paragraph>',
    "javascript link": '<linkHtml href="javascript:alert(1)">x</linkHtml>',
    "outside link": '<linkHtml href="http://attacker.example/?who">x</linkHtml>',
    "data link": '<linkHtml href="data:text/html,x">x</linkHtml>',
    "fragment with a quote": '<linkHtml href="#&quot; onclick=&quot;alert(1)">x</linkHtml>',
    "frame": '<iframe src="http://attacker.example/"/>',
    "image": '<img src="http://attacker.example/x.png" onerror="alert(1)"/>',
    "style code": '<content styleCode="&quot; onclick=&quot;alert(1)">x</content>',
    "span": '<table><tbody><tr><td colspan="2&quot; onclick=&quot;alert(1)" rowspan="1e9">x</td></tr></tbody></table>',
    "escaped markup": "&lt;script&gt;alert(1)&lt;/script&gt;",
    "cdata": "<![CDATA[<script>alert(1)</script>]]>",
    "xsl": '<xsl:value-of xmlns:xsl="http://www.w3.org/1999/XSL/Transform" select="document(\'/etc/passwd\')"/>',
    "form": '<form action="http://attacker.example/"><input name="x"/><button>y</button></form>',
    "base": '<base href="http://attacker.example/"/>',
    "picture name": "<renderMultiMedia referencedObject=\"') or ('\"/>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_narrative_comes_out_harmless(name: str) -> None:
    """Text at most, and the rest of the document is still readable."""
    fragment = render(with_narrative(HOSTILE[name]))
    assert_harmless(fragment)
    assert "attacker.example" not in fragment
    assert "Anémie modérée" in fragment


def test_a_style_sheet_of_the_sender_is_not_asked() -> None:
    """xml-stylesheet is his wish, not ours; nor may a title carry markup."""
    pi = '<?xml-stylesheet type="text/xsl" href="http://attacker.example/x.xsl"?>'
    data = CDA.decode().replace("?>", f"?>{pi}", 1).replace("<title>", "<title>&lt;b onclick='x'&gt;", 1).encode()
    fragment = render(data)
    assert_harmless(fragment)
    assert "attacker.example" not in fragment


@settings(max_examples=80, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=60))
def test_any_words_are_shown_as_words(words: str) -> None:
    """What people write is never taken for markup."""
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    data = with_narrative(f"<paragraph>{escaped}</paragraph>")
    assert_harmless(render(data))
    assert " ".join(words.split()) in shown(data)
