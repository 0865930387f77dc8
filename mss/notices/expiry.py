"""What does the postmaster read when a certificate of the house is about to end?"""

from __future__ import annotations

from mss.crypto.certs import PeerCertificate
from mss.crypto.keys import Lookup
from mss.mail.letters import PARIS
from mss.mail.recipients import NOBODY
from mss.mail.submit import HouseMail
from mss.model.clock import Clock
from mss.model.ids import MailAddress
from mss.notices.compose import House
from mss.notices.plain import PlainLetters

SUBJECT = "[Alerte] certificat qui expire"


class ExpiryNotices:
    """Lives in works."""

    def __init__(self, house: House, staff: MailAddress, lookup: Lookup, mail: HouseMail, clock: Clock) -> None:
        self._letters = PlainLetters(house, lookup, mail, clock)
        self._staff = staff

    async def tell(self, where: str, certificate: PeerCertificate, left_days: int, mark: str) -> None:
        """One mail; its Message-ID follows from `mark`, so a repeat changes nothing. Raises StorageUnavailable."""
        text = words(where, certificate, left_days)
        await self._letters.send(NOBODY, self._staff, SUBJECT, text, f"expiry {mark}")


def words(where: str, certificate: PeerCertificate, left_days: int) -> str:
    """French, then English: which, until when, and what to do."""
    until = f"{certificate.not_after.astimezone(PARIS):%d/%m/%Y %H:%M}"
    ends = f"expire dans {left_days} jour(s), le {until}" if left_days > 0 else f"a expiré le {until}"
    ends_english = f"ends in {left_days} day(s), on {until}" if left_days > 0 else f"ended on {until}"
    who = f"{certificate.subject} (n° {certificate.serial_hex})"
    listed, listed_english = "", ""
    setting = where if "[" in where else f"{where}.tls"
    if where.startswith("relay"):
        listed = " Si son nom change, faites d'abord ajouter le nouveau à la liste blanche."
        listed_english = " Should its name change, have the new one added to the trust list first."
    return (
        f"Bonjour,\n\nLe certificat de « {where} » {ends} : {who}.\n"
        f"Que faire : demander le renouvellement, remplacer les fichiers de `{setting}` ; le serveur les relit"
        f" lui-même (ou sur SIGHUP), sans couper personne.{listed}\nEnsuite : mss check.\n\n-- English --\n\n"
        f"The certificate of '{where}' {ends_english}: {who}.\nHave it renewed and replace the files of"
        f" `{setting}`; the server reads them again by itself (or on SIGHUP), and nobody is cut."
        f"{listed_english}\nThen: mss check.\n"
    )
