"""What can a sender do about a document that was not filed? One sentence for people, French and English, by reason.

Beside the code of ANS, which says "another error" of most. Says only what the sender's own message shows: of reasons
that compare with what this house knows of the patient nothing is added to the code.
"""

from __future__ import annotations

from mss.model.verdict import Reason

ADVICE: dict[Reason, tuple[str, str]] = {
    Reason.INS_MISSING: (
        "le document ne porte pas d'INS : qualifiez l'identité, puis envoyez-le de nouveau",
        "the document names no INS: qualify the identity, then send it again",
    ),
    Reason.INS_KEY_WRONG: (
        "la clé de l'INS ne correspond pas à son numéro (faute de frappe ?) : corrigez-la, puis envoyez de nouveau",
        "the key of the INS does not fit its number (a typing error?): correct it, then send again",
    ),
    Reason.INS_MISMATCH: (
        "l'adresse, l'archive et le document ne désignent pas le même patient : vérifiez à qui vous écrivez",
        "address, archive and document do not name the same patient: check whom you are writing to",
    ),
    Reason.NAME_UNLIKE: (
        "l'objet ou le nom d'un fichier porte un autre nom que celui du destinataire : vérifiez chaque pièce jointe",
        "the subject or the name of a file names somebody else than the addressee: check each attachment",
    ),
    Reason.IMAGES_OF_SEVERAL: (
        "les images d'un même examen portent plusieurs noms : corrigez-les, puis envoyez l'examen de nouveau",
        "the images of one study bear several names: correct them, then send the study again",
    ),
    Reason.TRAITS_INCOMPLETE: (
        "il manque le nom ou le premier prénom de naissance, la date de naissance ou le sexe : complétez le document",
        "birth name, first birth name, birth date or sex is missing: complete the document",
    ),
    Reason.INS_SAID_NOT_QUALIFIED: (
        "votre message dit que l'INS n'est pas qualifiée (X-MSS-INS: N) : qualifiez-la, puis envoyez de nouveau",
        "your message says that the INS is not qualified (X-MSS-INS: N): qualify it, then send again",
    ),
    Reason.VERSION_WRONG: (
        "ce qui doit être remplacé ou supprimé n'est pas la version actuelle, ou n'est pas ici : vérifiez les versions",
        "what is to be replaced or deleted is not the current version, or is not here: check the versions",
    ),
    Reason.STATUS_CHANGE_ASKED: (
        "l'archive demande un autre statut : envoyez un remplacement, ou une demande de suppression (action D)",
        "the archive asks for another status: send a replacement, or a request to delete (action D)",
    ),
    Reason.ADDENDUM_MISPLACED: (
        "le document complété a été remplacé ou supprimé depuis : complétez la version actuelle",
        "the document that it adds to was replaced or deleted since: add to the current version",
    ),
    Reason.NOT_THE_AUTHOR: (
        "seul l'auteur d'un document, ou sa structure, peut le remplacer ou le supprimer",
        "only the author of a document, or its structure, may replace or delete it",
    ),
    Reason.NOT_THE_MAILBOX: (
        "un document est remplacé ou supprimé depuis la boîte aux lettres qui avait envoyé l'original",
        "a document is replaced or deleted from the mailbox that had sent the original",
    ),
    Reason.ARCHIVE_BROKEN: (
        "l'archive jointe ne s'ouvre pas : envoyez de nouveau celle de votre logiciel, sans la modifier",
        "the attached archive does not open: send the one of your software again, unchanged",
    ),
    Reason.ARCHIVE_UNSAFE: (
        "l'archive jointe n'est pas acceptée (mot de passe, taille, noms) : envoyez celle de votre logiciel",
        "the attached archive is not accepted (password, size, file names): send the one of your software",
    ),
    Reason.METADATA_BROKEN: (
        "l'archive jointe ne contient pas de METADATA.XML lisible : envoyez celle de votre logiciel, ou prévenez son"
        " éditeur",
        "the attached archive holds no readable METADATA.XML: send the one of your software, or tell its maker",
    ),
    Reason.RELATION_UNKNOWN: (
        "l'archive lie les documents d'une façon qui n'est pas prise en charge : envoyez-les sans ce lien",
        "the archive relates documents in a way that is not carried out: send them without it",
    ),
    Reason.FOLDER_NOT_CARRIED_OUT: (
        "l'archive range des documents dans un classeur qu'elle n'apporte pas : envoyez-les ensemble, ou sans classeur",
        "the archive puts documents into a folder that it does not bring: send them together, or without folder",
    ),
    Reason.CDA_BROKEN: (
        "le document CDA ne peut pas être lu : prévenez l'éditeur de votre logiciel",
        "the CDA document cannot be read: tell the maker of your software",
    ),
    Reason.DICOM_BROKEN: (
        "une image ne peut pas être lue : exportez l'examen de nouveau",
        "an image cannot be read: export the study again",
    ),
    Reason.HASH_MISMATCH: (
        "un document a changé depuis que l'archive a été faite : envoyez de nouveau celle de votre logiciel",
        "a document changed since the archive was made: send the one of your software again",
    ),
    Reason.DOCUMENT_CONFLICT: (
        "un document du même numéro, mais d'un autre contenu, est déjà là : envoyez un remplacement",
        "a document of the same number with other content is here: send a replacement",
    ),
    Reason.TAKEN_OUT: (
        "ce document avait été retiré de ce dossier parce qu'il n'était pas de ce patient : vérifiez l'identité",
        "this document was taken out of this record because it was somebody else's: check the identity",
    ),
    Reason.ANNOUNCEMENT_UNMATCHED: (
        "aucun message conservé ici ne correspond à cette annonce : vérifiez le Message-ID et la boîte d'envoi",
        "no message kept here fits this announcement: check the Message-ID and the sending mailbox",
    ),
    Reason.FLAG_UNKNOWN: (
        "une restriction de visibilité n'est pas connue ici, ou deux se contredisent : une personne vous répondra",
        "a visibility flag is not known here, or two contradict each other: a person will answer you",
    ),
    Reason.UNREADABLE: (
        "le message n'a pas pu être lu par nos outils : une personne s'en occupe",
        "our tools could not read the message: a person looks after it",
    ),
    Reason.UNDECRYPTABLE: (
        "le message est chiffré, ou signé d'un seul bloc, et ne s'ouvre pas ici : envoyez-le sans ce chiffrement"
        " (MSSanté chiffre déjà le transport)",
        "the message is encrypted, or signed in one piece, and does not open here: send it without that (MSSanté"
        " encrypts the way already)",
    ),
    Reason.SIGNATURE_BROKEN: (
        "le message a changé depuis sa signature : envoyez-le de nouveau, et prévenez votre informatique",
        "the message changed since it was signed: send it again, and tell your IT department",
    ),
    Reason.SIGNATURE_DOUBTFUL: (
        "la clé de signature est périmée, révoquée, ou n'est pas la vôtre : renouvelez-la",
        "the signing key is out of date, revoked, or not yours: renew it",
    ),
    Reason.LOOSE_DOCUMENT: (
        "un fichier est joint sans archive IHE_XDM, ou l'archive est dans un message transféré : envoyez le document"
        " lui-même, depuis votre logiciel",
        "a file came without an IHE_XDM archive, or the archive lies in a forwarded message: send the document itself,"
        " from your software",
    ),
    Reason.VIRUS_FOUND: (
        "l'antivirus a trouvé quelque chose : vérifiez votre poste, puis envoyez les documents de nouveau",
        "the antivirus found something: check your computer, then send the documents again",
    ),
    Reason.NOT_SCANNED: (
        "l'antivirus n'a pas encore pu regarder le message : vous n'avez rien à faire",
        "the antivirus could not look at the message yet: there is nothing for you to do",
    ),
    Reason.SINK_AWAY: (
        "le logiciel de l'établissement ne répond pas : vous n'avez rien à faire, nous essayons de nouveau",
        "the hospital's software does not answer: there is nothing for you to do, we try again",
    ),
}
"""Reasons that a sender reads and that are not in this table have their code, and what staff wrote."""


def advice(reason: Reason | None) -> str:
    """The line, or nothing."""
    if reason not in ADVICE:
        return ""
    french, english = ADVICE[reason]
    return f"Que faire : {french} / what to do: {english}"
