"""How little memory can TLS do with on a connection that mostly waits, and still read large mail in large pieces?"""

from __future__ import annotations

from asyncio import sslproto

RECORD_OCTETS = 16 * 1024
"""What TLS sends at most in one piece (RFC 8446 §5.1)."""
BULK_OCTETS = 128 * 1024
"""Read at once while a message that fills more than a record is arriving: an eighth of the wake-ups."""


class SmallTls(sslproto.SSLProtocol):
    """asyncio's TLS with a read buffer of one record instead of sixteen: 27 kB for a connection, not 268; of eight
    records while much arrives."""

    max_size = RECORD_OCTETS
    reads_bulk = False
    _ssl_buffer: bytearray
    _ssl_buffer_view: memoryview

    def get_buffer(self, n: int) -> memoryview:
        octets = BULK_OCTETS if self.reads_bulk else RECORD_OCTETS
        if len(self._ssl_buffer) != octets:
            self._ssl_buffer = bytearray(octets)
            self._ssl_buffer_view = memoryview(self._ssl_buffer)
        return self._ssl_buffer_view
