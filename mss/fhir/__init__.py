"""HTTP API for the software of hospitals: the directory in FHIR R4."""
