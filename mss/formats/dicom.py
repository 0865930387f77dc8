"""Which patient and which study does this DICOM file say that it is of, and what does it show?

Reads the header of files of DICOM media (PS3.10) up to the pixels, never these: patient with the issuer of each
number, study, modality, an encapsulated PDF. Called in the sandbox only. A file is read in one way or not at all: tags
in rising order, every length inside the file, one value where the standard has one. No issuer, no INS.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from mss.formats.hl7values import parse_date, parse_time
from mss.model.document import Coded
from mss.model.errors import Malformed
from mss.model.people import Sex
from mss.model.verdict import Reason

if TYPE_CHECKING:  # pydicom takes 0.2 s to load: only the sandbox does
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

FILE_BYTES_MAX = 64 * 1024 * 1024  # what an archive may unpack to (xdmzip)
ELEMENTS_MAX = 5000  # at the top of one header; a CT of a large vendor has 300
ITEMS_MAX = 100  # of a sequence that we read; a patient has a handful of numbers
VALUE_CHARS_MAX = 1024  # PS3.5 §6.2: 64 for what we read, names 5 times as many, UIDs 64
INFLATED_BYTES_MAX = 64 * 1024 * 1024  # of a deflated file (PS3.5 §A.5)
PDF_BYTES_MAX = 35 * 1024 * 1024  # no message is larger

PREAMBLE_BYTES = 128  # PS3.10 §7.1
MAGIC = b"DICM"
PIXELS = 0x7FE00000  # group of the pixel data; what stands behind it is padding and signatures
UNDEFINED_LENGTH = 0xFFFFFFFF  # PS3.5 §7.1.2
DEFLATED = "1.2.840.10008.1.2.1.99"
DICOMDIR_CLASS = "1.2.840.10008.1.3.10"  # Media Storage Directory: names files, shows nothing
PDF_CLASS = "1.2.840.10008.5.1.4.1.1.104.1"  # Encapsulated PDF Storage
CLASSES = "1.2.840.10008.2.6.1"  # the DICOM UID registry, as a coding scheme (PS3.6)
MODALITIES = "1.2.840.10008.2.16.4"  # DCM
ISO = "ISO"

_META_GROUP = 0x0002
_SPECIFIC_CHARACTER_SET = 0x00080005
_TAGS = (
    _SPECIFIC_CHARACTER_SET,
    0x00080016, 0x00080018,  # SOP class, SOP instance
    0x00080020, 0x00080030,  # study date, time
    0x00080060, 0x00080080, 0x00080090,  # modality, institution, referring physician
    0x00081030, 0x0008103E, 0x00081050, 0x00080201,  # study, series description, performing physician, offset of UTC
    0x00100010, 0x00100020, 0x00100021, 0x00100024,  # name, id, its issuer, qualifiers of the issuer
    0x00100030, 0x00100040, 0x00101002, 0x00101005,  # born, sex, other ids, birth name
    0x00180015, 0x0020000D, 0x0020000E, 0x00200010,  # body part, study, series, study id
    0x00403001,  # confidentiality constraint on patient data
    0x00420010, 0x00420011, 0x00420012, 0x00420015,  # document title, encapsulated document, its media type, length
)  # fmt: skip

# What pydicom lets escape from broken files besides its own errors, found by mutating good ones.
_ERRORS = (
    ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError, RecursionError, OverflowError,
    NotImplementedError, LookupError, zlib.error, struct.error, OSError, EOFError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PatientNumber:
    """A number of the patient and the authority that issued it: an OID, or empty where none is named."""

    value: str
    issuer: str

    def __repr__(self) -> str:  # never in a log
        return "PatientNumber(…)"


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """One file. Text is as sent, trimmed; absent text is empty."""

    sop_class: str
    instance: str
    study: str
    series: str
    modality: str
    numbers: tuple[PatientNumber, ...]
    """Each one with an issuer that is an OID; local numbers without are left out."""
    local_id: str = ""
    """PatientID as it stands, whoever issued it."""
    name: tuple[str, str] = ("", "")
    """Family and given name in PatientName."""
    birth_name: tuple[str, str] = ("", "")
    """The same in PatientBirthName."""
    birth_date: date | None = None
    sex: Sex | None = None
    study_time: datetime | None = None
    description: str = ""
    institution: str = ""
    physician: str = ""
    body_part: str = ""
    restriction: str = ""
    """Confidentiality Constraint on Patient Data: free words of the sender."""
    has_pdf: bool = False

    @property
    def class_code(self) -> Coded:
        """What kind of object it is, as XDS-I.b wants it in formatCode."""
        return Coded(self.sop_class, CLASSES, "DICOM")

    def __repr__(self) -> str:  # never in a log
        return f"DicomHeader({self.sop_class})"


def is_dicom(data: bytes) -> bool:
    """Whether these are the first bytes of a file of DICOM media."""
    return data[PREAMBLE_BYTES : PREAMBLE_BYTES + len(MAGIC)] == MAGIC


def read_header(data: bytes) -> DicomHeader:
    """One file's header. Raises Malformed(DICOM_BROKEN)."""
    dataset = _parsed(data)
    with _our_error("a value that does not read"):
        return _header(dataset)


def read_pdf(data: bytes) -> bytes | None:
    """The PDF that the file is a cover of, without the padding to an even length. Raises Malformed(DICOM_BROKEN)."""
    dataset = _parsed(data)
    with _our_error("an encapsulated document that does not read"):
        return _pdf(dataset)


@contextmanager
def _our_error(detail: str) -> Iterator[None]:
    """Whatever the library raises becomes our own word."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd is judged here, and nobody reads a worker's stderr
            yield
    except (BytesLengthException, InvalidDicomError, *_ERRORS) as error:
        raise broken(detail) from error


def _parsed(data: bytes) -> Dataset:
    """The elements that we read, up to the pixels."""
    from pydicom import config
    from pydicom.filereader import read_partial

    config.settings.reading_validation_mode = config.IGNORE  # real senders break value rules; we check what we use
    if not is_dicom(data):
        raise broken("no DICOM file")
    if len(data) > FILE_BYTES_MAX:
        raise Malformed(Reason.TOO_LARGE, "DICOM file too large")
    with _our_error("not a readable DICOM file"):
        watch = _Watch(_judged_size(data))
        dataset = read_partial(io.BytesIO(data), watch.stops, specific_tags=list(_TAGS))
    if not watch.elements:
        raise broken("an empty DICOM file")
    return dataset


class _Watch:
    """Looks at each element at the top before its value is read: order, lengths, number; says where to stop."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._last = 0
        self.elements = 0

    def stops(self, tag: BaseTag, _vr: str | None, length: int) -> bool:
        """Whether reading ends before this element. Raises Malformed for what can be read in two ways."""
        number = int(tag)
        if number >> 16 == _META_GROUP:  # the file's own group, read the same way before the dataset
            return False
        if number <= self._last:  # PS3.5 §7.1: each once, in rising order; else readers differ on which one counts
            raise broken("elements out of order")
        self._last = number
        self.elements += 1
        if self.elements > ELEMENTS_MAX:
            raise broken("too many elements")
        if number >= PIXELS:
            return True
        if length != UNDEFINED_LENGTH and length > self._size_bytes:
            raise broken("an element longer than the file")
        return False


def _judged_size(data: bytes) -> int:
    """Bytes of the file; of a deflated one, what it inflates to, judged before the library inflates it whole."""
    from pydicom.filereader import read_dataset

    stream = io.BytesIO(data)
    stream.seek(PREAMBLE_BYTES + len(MAGIC))
    meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: int(tag) >> 16 != _META_GROUP)
    if str(meta.get("TransferSyntaxUID", "")) != DEFLATED:
        return len(data)
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = 0
    rest = data[stream.tell() :]
    while rest and not machine.eof:
        piece = machine.decompress(rest, 1 << 20)
        inflated += len(piece)
        if inflated > INFLATED_BYTES_MAX:
            raise Malformed(Reason.TOO_LARGE, "deflated DICOM file")
        rest = machine.unconsumed_tail
    return inflated


def _header(dataset: Dataset) -> DicomHeader:
    sop_class = _uid(dataset, "SOPClassUID")
    if sop_class == DICOMDIR_CLASS:
        raise broken("a directory, no image")
    family, given = _name(dataset, "PatientName")
    return DicomHeader(
        sop_class=sop_class,
        instance=_uid(dataset, "SOPInstanceUID"),
        study=_uid(dataset, "StudyInstanceUID"),
        series=_uid(dataset, "SeriesInstanceUID"),
        modality=_text(dataset, "Modality"),
        numbers=_numbers(dataset),
        local_id=_text(dataset, "PatientID"),
        name=(family, given),
        birth_name=_name(dataset, "PatientBirthName"),
        birth_date=_born(dataset),
        sex={"F": Sex.FEMALE, "M": Sex.MALE, "O": Sex.UNKNOWN}.get(_text(dataset, "PatientSex").upper()),
        study_time=_study_time(dataset),
        description=_text(dataset, "DocumentTitle") or _text(dataset, "StudyDescription"),
        institution=_text(dataset, "InstitutionName"),
        physician=" ".join(reversed(_name(dataset, "PerformingPhysicianName"))).strip(),
        body_part=_text(dataset, "BodyPartExamined"),
        restriction=_text(dataset, "ConfidentialityConstraintOnPatientDataDescription"),
        has_pdf=sop_class == PDF_CLASS and "EncapsulatedDocument" in dataset,
    )


def _numbers(dataset: Dataset) -> tuple[PatientNumber, ...]:
    """PatientID and OtherPatientIDsSequence, each with the OID of its issuer (PS3.3 §10.14, IHE RAD PIR)."""
    found = [_number(dataset)]
    others = dataset.get("OtherPatientIDsSequence") or ()
    if len(others) > ITEMS_MAX:
        raise broken("too many patient numbers")
    found += [_number(item) for item in others]
    return tuple(dict.fromkeys(number for number in found if number.value and number.issuer))


def _number(dataset: Dataset) -> PatientNumber:
    """A number without issuer is nobody's INS, however it looks."""
    qualifiers = dataset.get("IssuerOfPatientIDQualifiersSequence") or ()
    if len(qualifiers) > 1:
        raise broken("one number of two issuers")
    issuers = {_text(one, "UniversalEntityID") for one in qualifiers if _text(one, "UniversalEntityIDType") == ISO}
    plain = _text(dataset, "IssuerOfPatientID")
    if plain[:1].isdigit() and "." in plain:  # some writers put the OID itself into the local name of the issuer
        issuers.add(plain)
    issuers.discard("")
    if len(issuers) > 1:
        raise broken("one number of two issuers")
    return PatientNumber(_text(dataset, "PatientID"), next(iter(issuers), ""))


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    if value is None:
        return ""
    if not isinstance(value, str | int | float) and hasattr(value, "__len__") and not isinstance(value, bytes):
        raise broken("several values where one stands")
    text = str(value).strip().strip("\0").strip()
    if len(text) > VALUE_CHARS_MAX or any(char < " " or char == "\x7f" for char in text):
        raise broken("a value that no sender writes")
    return text


def _uid(dataset: Dataset, keyword: str) -> str:
    """PS3.5 §9: digits and dots, 64 at most. None of these may be missing."""
    text = _text(dataset, keyword)
    if not text or len(text) > 64 or text.strip("0123456789."):
        raise broken(f"no {keyword}")
    return text


def _name(dataset: Dataset, keyword: str) -> tuple[str, str]:
    """Family and given name of the alphabetic group (PS3.5 §6.2.1.2)."""
    family, _, rest = _text_of_name(dataset, keyword).partition("=")[0].partition("^")
    return family.strip(), rest.partition("^")[0].strip()


def _text_of_name(dataset: Dataset, keyword: str) -> str:
    from pydicom.valuerep import PersonName

    value = dataset.get(keyword)
    if value is None:
        return ""
    if not isinstance(value, PersonName | str):
        raise broken("several names where one stands")
    text = str(value)
    if len(text) > VALUE_CHARS_MAX or any(char < " " for char in text):
        raise broken("a name that no sender writes")
    return text


def _born(dataset: Dataset) -> date | None:
    return parse_date(_text(dataset, "PatientBirthDate").replace(".", ""))


def _study_time(dataset: Dataset) -> datetime | None:
    """Paris time where no offset is told; a day is what people look for."""
    day = _text(dataset, "StudyDate").replace(".", "")
    clock = _text(dataset, "StudyTime").replace(":", "").partition(".")[0]
    offset = _text(dataset, "TimezoneOffsetFromUTC")
    return parse_time(day + clock + offset, zoneless_is_paris=True) or parse_time(day, zoneless_is_paris=True)


def _pdf(dataset: Dataset) -> bytes | None:
    if _text(dataset, "SOPClassUID") != PDF_CLASS:
        return None
    content = dataset.get("EncapsulatedDocument")
    if not isinstance(content, bytes) or not content.startswith(b"%PDF-") or len(content) > PDF_BYTES_MAX:
        raise broken("no PDF inside")
    length = dataset.get("EncapsulatedDocumentLength")
    if isinstance(length, int) and 0 < length <= len(content):
        return content[:length]
    return content.removesuffix(b"\0")


def broken(detail: str) -> Malformed:
    """Why a DICOM file is not read."""
    return Malformed(Reason.DICOM_BROKEN, detail)
