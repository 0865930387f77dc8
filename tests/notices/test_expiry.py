"""Who hears that a certificate of the house ends: the postmaster, once for each warning."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from mss.assembly.certificates import CertificateWatch, seconds_left
from mss.config import load
from mss.crypto.authority import Authority
from mss.directory.sources import Kept
from mss.notices.compose import House as NoticeHouse
from mss.notices.expiry import ExpiryNotices
from tests.cli.conftest import SETTINGS
from tests.kit.house import POSTMASTER, House
from tests.kit.pki import HOSPITAL


async def test_the_postmaster_reads_30_7_and_1_days_ahead_and_at_the_end_once_each(
    house: House, tmp_path: Path
) -> None:
    """Also across restarts; a certificate that was renewed is left in peace."""
    staff = await house.professional(str(POSTMASTER))
    (tmp_path / "mss.toml").write_text(SETTINGS.format(database=""))
    config, begun = load(tmp_path / "mss.toml"), house.clock.now()
    authority = Authority.create("EXEMPLE", now=begun)
    authority.issue(HOSPITAL, now=begun + timedelta(hours=1), days=60).write(tmp_path, "relay")
    read = []
    for day in (0, 29, 31, 32, 52, 53.5, 58, 59.5, 60.5, 61):
        house.clock.forward((begun + timedelta(days=day) - house.clock.now()).total_seconds())
        for _ in range(2):  # a restart between
            writes_as = NoticeHouse(house.mail_house.host, POSTMASTER)
            notices = ExpiryNotices(writes_as, POSTMASTER, house.cellar.public.lookup, house.house_mail, house.clock)
            await CertificateWatch(config, notices, house.clock, Kept(tmp_path / "told.json")).look()
        read.append(await house.in_folders(staff))
    assert read == [0, 0, 1, 1, 1, 2, 2, 3, 4, 4]
    assert seconds_left(config, house.clock.now())["relay"] < 0
    authority.issue(HOSPITAL, now=house.clock.now(), days=60).write(tmp_path, "relay")
    await CertificateWatch(config, notices, house.clock, Kept(tmp_path / "told.json")).look()
    assert await house.in_folders(staff) == 4
