"""In which words is a refusal told to a patient? One table: never our inside, always what she can do."""

from __future__ import annotations

from dataclasses import dataclass

from mss.model.verdict import Accept, Reason, Verdict
from mss.web.words import N_


@dataclass(frozen=True, slots=True)
class Reply:
    """HTTP status and a French sentence, which is also the key of its translation."""

    status: int
    sentence: str


_FAULT = Reply(500, N_("Une erreur est survenue de notre côté. Votre texte est conservé ci-dessous ; réessayez."))
_LATER = Reply(503, N_("Le service est momentanément indisponible. Votre texte est conservé ci-dessous ; réessayez."))
_TOO_LARGE = Reply(413, N_("Votre message est trop volumineux. Raccourcissez-le ou joignez moins de fichiers."))

REPLIES: dict[Reason, Reply] = {
    Reason.CONVERSATION_NOT_OPEN: Reply(
        409, N_("Cet échange vient d’être terminé par votre correspondant : le message n’est pas parti.")
    ),
    Reason.TOO_LARGE: _TOO_LARGE,
    Reason.TOO_MANY_PARTS: _TOO_LARGE,
    Reason.LINE_TOO_LONG: _TOO_LARGE,
    Reason.STORAGE_UNAVAILABLE: _LATER,
    Reason.DISK_FULL: _LATER,
    Reason.SHUTTING_DOWN: _LATER,
    Reason.TRUST_LIST_STALE: _LATER,
    Reason.RATE_LIMITED: Reply(429, N_("Trop de messages en peu de temps. Attendez un peu, puis réessayez.")),
    Reason.MAILBOX_OVER_QUOTA: Reply(507, N_("La boîte de votre correspondant est pleine. Réessayez plus tard.")),
    Reason.RECIPIENT_OUTSIDE_TRUST_SPACE: Reply(
        409, N_("L’adresse de votre correspondant ne fait plus partie de la messagerie sécurisée de santé.")
    ),
    Reason.MAILBOX_UNKNOWN: Reply(409, N_("La boîte de votre correspondant n’existe plus.")),
    Reason.MAILBOX_CLOSED: Reply(409, N_("La boîte de votre correspondant est fermée.")),
    Reason.AUTHENTICATION_FAILED: Reply(401, N_("Identifiant, mot de passe ou code incorrect.")),
}
"""What a patient's answer or sign-in can meet. All others cannot come from her page: they are faults of ours."""


def reply_to(verdict: Verdict) -> Reply:
    """The reply to what was not accepted."""
    assert not isinstance(verdict, Accept), "what was accepted needs no reply"
    return REPLIES.get(verdict.reason, _FAULT)
