"""From a laboratory's mail to the record: what is filed, once, and what the sender hears."""

from __future__ import annotations

from mss.model.document import DocumentStatus
from tests.kit.documents import ZOE, make_cda, make_pdf
from tests.kit.house import LABORATORY, House


async def test_a_document_reaches_the_record_and_the_message_the_inbox(house: House) -> None:
    """The main job: one document in the record, one message in the inbox, an answer to the sender."""
    zoe = await house.enrol(ZOE)
    number = await house.send_documents(zoe, make_cda(ZOE), pdfs=(("lecture.pdf", make_pdf()),))
    (document,) = await house.documents(zoe)
    assert (document.entry.title, document.status) == ("Compte rendu d'examens biologiques", DocumentStatus.APPROVED)
    assert document.message == number
    (conversation,) = await house.conversation_list(zoe)
    assert conversation.contact_address == str(LABORATORY)
    assert await house.unread(zoe) == 1
    assert [line.actor_name for line in await house.history(zoe)] == ["Laboratoire des Tilleuls"]
    (answer,) = await house.sent()
    assert answer.get_content_type() == "multipart/report"
    assert "automatic-action/MDN-sent-automatically; processed" in answer.as_string()
