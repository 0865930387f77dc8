"""What does a human read who must decide about a held message? One sentence for each reason, and the facts.

The facts become part of an `Explanation` (mss/mail/holding.py), which only staff can open.
"""

from __future__ import annotations

from collections.abc import Sequence

from mss.bridge.reading import ReadDocument
from mss.mail.holding import ClaimedDocument
from mss.model.verdict import Reason

EXPLANATIONS: dict[Reason, str] = {
    Reason.INS_MISSING: "The archive or the document names no INS.",
    Reason.INS_KEY_WRONG: "The key of the INS does not fit its number: a typing error, or not an INS at all.",
    Reason.INS_MISMATCH: "Addressee, archive and document do not name the same INS. Somebody else's document?",
    Reason.INS_FORMER: "It names a number that was this patient's once (an NIA become NIR?), or that was taken away.",
    Reason.NAME_UNLIKE: "The subject or a file name tells another name than the addressee's.",
    Reason.PATIENT_UNKNOWN: "No record of this house has this INS.",
    Reason.TRAITS_MISMATCH: "The INS fits, but a trait differs from the one that we know. A twin, a change of name?",
    Reason.IMAGES_OF_SEVERAL: "Images of one study name several people. It takes two of the staff, and a reason.",
    Reason.TRAITS_INCOMPLETE: "Birth name, first birth name, birth date or sex is missing: they cannot be compared.",
    Reason.IDENTITY_NOT_QUALIFIED: "Our own identity of this patient is not qualified.",
    Reason.INS_SAID_NOT_QUALIFIED: "The sender says that the INS is not qualified (X-MSS-INS: N).",
    Reason.VERSION_WRONG: "It replaces or withdraws a version that is not the current one here.",
    Reason.STATUS_CHANGE_ASKED: "It asks to change the status of a document here, which mail cannot do.",
    Reason.ADDENDUM_MISPLACED: "It adds to a document that has been replaced or withdrawn since.",
    Reason.NOT_THE_AUTHOR: "Neither the author nor its organisation asks to replace this document.",
    Reason.NOT_THE_MAILBOX: "It would replace or withdraw a document, but another mailbox sent that one.",
    Reason.ANNOUNCEMENT_UNMATCHED: "It announces what is not kept back here, or not by this mailbox.",
    Reason.ARCHIVE_BROKEN: "The archive cannot be read.",
    Reason.ARCHIVE_UNSAFE: "The archive would unpack to too much, or outside itself.",
    Reason.METADATA_BROKEN: "METADATA.XML is missing or cannot be read.",
    Reason.RELATION_UNKNOWN: "The archive relates documents in a way that is not carried out here.",
    Reason.FOLDER_NOT_CARRIED_OUT: "It puts into a folder what it does not bring, or brings an empty one.",
    Reason.CDA_BROKEN: "The document is no readable CDA.",
    Reason.DICOM_BROKEN: "The image is no readable DICOM file, or can be read in two ways.",
    Reason.HASH_MISMATCH: "A document is not the one that METADATA.XML describes.",
    Reason.TAKEN_OUT: "Staff took it out of this record as somebody else's, and it is sent again.",
    Reason.DOCUMENT_CONFLICT: "A document of the same id with other content is known.",
    Reason.KEPT_BACK_UNTIL_ANNOUNCED: "Filed hidden; the message waits until the sender announces it to the patient.",
    Reason.FLAG_UNKNOWN: "A visibility flag that we do not know, or two that contradict each other.",
    Reason.UNREADABLE: "The reader died on it twice. Look at it with care.",
    Reason.UNDECRYPTABLE: "It is encrypted and stays shut: not for our key, broken, or too much inside.",
    Reason.SIGNATURE_BROKEN: "What was signed is not what came: changed on its way, or forged.",
    Reason.SIGNATURE_DOUBTFUL: "It is signed by a key whose time is over, that was taken back, or that is another's.",
    Reason.LOOSE_DOCUMENT: "A file without archive, or an archive in a forwarded message: nobody says whose it is.",
}


def claimed(documents: Sequence[ReadDocument]) -> tuple[ClaimedDocument, ...]:
    """What the documents say, side by side with nothing: the comparison is the human's."""
    return tuple(_claimed(document) for document in documents)


def several_named(documents: Sequence[ReadDocument], reason: Reason) -> str:
    """Whom the images of a study name, where that is why they wait: nobody could decide without reading it."""
    if reason is not Reason.IMAGES_OF_SEVERAL:
        return ""
    return "; ".join(one for document in documents if document.imaging is not None for one in document.imaging.people)


def _claimed(document: ReadDocument) -> ClaimedDocument:
    traits, author = document.traits, next(iter(document.authors), None)
    both = (*(document.metadata_ins or ()), *(document.own_ins or ()))
    ins = [f"{claim.value}|{claim.oid}" for claim in both if claim is not None]
    return ClaimedDocument(
        title=document.entry.title,
        type=document.entry.type.label or document.entry.type.code,
        unique_id=document.entry.unique_id,
        author=" – ".join(filter(None, (author.person_name, author.institution_name))) if author else "",
        ins=tuple(dict.fromkeys(ins)),
        birth_name=traits.birth_name,
        first_given_name=traits.first_given_name,
        birth_date=traits.birth_date.isoformat() if traits.birth_date else "",
        sex=traits.sex.value if traits.sex else "",
        signature=document.entry.signature,
    )
