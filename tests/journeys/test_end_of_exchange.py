"""A professional ends the exchange: the patient reads on, answers no more, and the page says why."""

from __future__ import annotations

import pytest

from tests.kit.demo import KARIM, Demo, until
from tests.kit.laboratory import plain_mail, send
from tests.kit.webvisitor import Page, WebVisitor

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

EMERGENCY = "15 ou 112, 114"


def _conversation(visitor: WebVisitor, words: str) -> Page:
    """The conversation whose line in the inbox shows these words, once it is there."""

    def found() -> Page | None:
        for link in visitor.get("/inbox").links(r"/inbox/[0-9]+"):
            page = visitor.get(link)
            if words in page.text:
                return page
        return None

    return until(found)


@pytest.mark.parametrize(
    ("subject", "fields"),
    [("[FIN]", {}), ("Fin de nos échanges", {"X_MSS_MES": "FIN"})],
    ids=["by-subject", "by-header"],
)
def test_after_fin_nobody_answers(demo: Demo, subject: str, fields: dict[str, str]) -> None:
    """Subject or header, either closes; a new message of the professional opens again."""
    his = demo.patient(KARIM)["address"]
    opening, closing = f"Votre rendez-vous {subject} {fields}", f"Nous en restons là {subject} {fields}"
    first = send(demo, his, plain_mail(his, "Votre rendez-vous", opening))
    visitor = demo.signed_in(KARIM)
    open_page = _conversation(visitor, opening)
    assert EMERGENCY in open_page.text
    assert 'name="body"' in open_page.html

    send(demo, his, plain_mail(his, subject, closing, In_Reply_To=first.message_id, **fields))
    closed_page = _conversation(visitor, closing)
    assert 'name="body"' not in closed_page.html
    assert "a mis fin à cet échange" in closed_page.text
    late = visitor.post(open_page.path, {"csrf": open_page.csrf, "body": "Encore une question", "once": "fin-test"})
    assert "Encore une question" in late.text  # given back, to copy
    assert "Votre réponse est envoyée" not in late.text
