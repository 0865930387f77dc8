"""Under which names does the national directory speak? Identifier systems, code systems, profiles, extensions.

Values as in the ANS guide "FHIR Annuaire" (v1.2.0 snapshot) and the draft "API FHIR MSS".
"""

from __future__ import annotations

GUIDE = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/"
NOS = "https://mos.esante.gouv.fr/NOS/"

IDNPS = "urn:oid:1.2.250.1.71.4.2.1"
RPPS = "https://rpps.esante.gouv.fr"
ADELI = "https://adeli.esante.gouv.fr"
IDNST = "urn:oid:1.2.250.1.71.4.2.2"
FINESS = "https://finess.esante.gouv.fr"
FINESS_SYSTEMS = (FINESS, "http://finess.sante.gouv.fr", "https://finess.sante.gouv.fr")
SIRENE = "https://sirene.fr"
SIRENE_SYSTEMS = (SIRENE, "http://sirene.fr")
IDENTIFIER_TYPE = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"

PROFESSION = f"{NOS}TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"
SPECIALTY = f"{NOS}TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
MESSAGING = f"{NOS}TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie"
MAILBOX_KIND = f"{NOS}TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL"
KIND_SYSTEMS = (MAILBOX_KIND, MESSAGING)
"""The draft's description puts the kinds under the one, its examples under the other."""

EMAIL_TYPE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type"
MAILBOX = f"{GUIDE}as-ext-mailbox-mss-metadata"
BESIDE = "urn:mss:mailbox-beside"
"""Ours: what the guide has no room for (mss/fhir/beside.py)."""
ROLE_NAME = f"{GUIDE}as-ext-practitionerrole-name"
PROFILES = {
    "Practitioner": f"{GUIDE}as-dp-practitioner",
    "PractitionerRole": f"{GUIDE}as-dp-practitionerrole",
    "Organization": f"{GUIDE}as-dp-organization",
}
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
SOURCES = {
    1: "https://annuaire.sante.fr/mssante/correspondance",
    2: "https://annuaire.sante.fr",
    3: "urn:mss:operator",
}
"""meta.source: which of our sources says so (mss/model/directory.py: Source)."""
