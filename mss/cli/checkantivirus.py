"""Does the antivirus look at everything that we take, and say so when it could not? The doctor asks clamd itself.

clamd tells nobody its settings, so it is shown what they decide about: octets as many as our largest message has, and
an archive nested deeper than any clamd unpacks. Neither holds anything.
"""

from __future__ import annotations

import io
import zipfile

from mss.cli.common import Finding
from mss.config import Config
from mss.foundation import clamd_of
from mss.mail import clamd
from mss.mail.clamd import ClamdAway
from mss.smtp.limits import Limits

NESTED_DEEP = 120
"""clamd's MaxRecursion is 17 unless set, and 100 at most."""


async def look_at_antivirus(config: Config) -> list[Finding]:
    """Nothing when none is configured."""
    section = config.antivirus
    if section is None:
        return []
    where, found = clamd_of(section), []
    try:
        await clamd.scan(where, b"\0", section.scan_s_max)
    except ClamdAway as away:
        advice = "everything that comes is held meanwhile: start clamd, or mend antivirus.socket and who may open it"
        return [Finding(False, f"antivirus: {away}", advice)]
    largest = Limits().message_octets_max
    try:
        await clamd.scan(where, bytes(largest), section.scan_s_max)
        found.append(Finding(True, f"antivirus: takes our largest messages ({largest // 1024**2} MiB)"))
    except ClamdAway as away:
        what = f"antivirus: a message of {largest // 1024**2} MiB, our largest: {away}"
        found.append(Finding(False, what, "such messages are held: set StreamMaxLength 40M in clamd.conf, restart it"))
    try:
        alerts = await clamd.scan(where, nested(NESTED_DEEP), section.scan_s_max)
    except ClamdAway as away:
        return [*found, Finding(False, f"antivirus: an archive nested {NESTED_DEEP} deep: {away}", "see clamd's log")]
    if alerts:
        return [*found, Finding(True, "antivirus: says so when it cannot look through something")]
    what = f"antivirus: calls an archive clean that is nested deeper ({NESTED_DEEP}) than it looks"
    return [*found, Finding(False, what, "set AlertExceedsMax yes in clamd.conf, restart it")]


def nested(depth: int) -> bytes:
    """An archive in an archive, and so on; one empty file in the innermost."""
    name, octets = "a.txt", b""
    for _ in range(depth):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(zipfile.ZipInfo(name), octets)
        name, octets = "a.zip", packed.getvalue()
    return octets
