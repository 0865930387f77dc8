"""What does a page say of the signature under the message that brought a document? One sentence for each verdict."""

from __future__ import annotations

from mss.model.signature import Signature
from mss.web.words import N_

SIGNATURES = {
    Signature.VALID.value: N_("Signature vérifiée : c’est celle de l’expéditeur, et rien n’a été modifié."),
    Signature.STRANGER.value: N_("Signé par une clé inconnue ici : la signature n’a pas pu être vérifiée."),
    Signature.EXPIRED.value: N_("Signé par une clé périmée ; une personne du service l’a vérifié."),
    Signature.REVOKED.value: N_("Signé par une clé révoquée ; une personne du service l’a vérifié."),
    Signature.OTHER.value: N_("Signé par une autre clé que la sienne ; une personne du service l’a vérifié."),
    Signature.BROKEN.value: N_("La signature ne correspond pas au contenu."),
}
