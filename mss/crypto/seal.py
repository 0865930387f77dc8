"""How are bytes kept so that only the right key opens them, in the right place only?

Three layers, each small: a key pair seals a short secret to somebody who is not here (X25519, HKDF,
AES-256-GCM); a symmetric key covers objects, each under a key derived for that object alone; a large object is
cut into frames of 64 KiB so that a part can be read without the rest. The associated data names the owner,
the object and the frame, so ciphertexts cannot be swapped. Nothing here reads a file or keeps state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mss.model.clock import Chance
from mss.model.errors import SealBroken

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
FRAME_BYTES = 64 * 1024
"""Plain bytes in a frame: a 200-byte range of a 25 MB body costs one frame, not the body."""

_ZERO_NONCE = bytes(NONCE_BYTES)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An X25519 pair, raw bytes. `repr` shows nothing of the private half."""

    private: bytes
    public: bytes

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public.hex()[:8]}…)"


def new_pair(chance: Chance) -> KeyPair:
    """A fresh pair from 32 random bytes (RFC 7748 §5 clamps them)."""
    private = X25519PrivateKey.from_private_bytes(chance.token(KEY_BYTES))
    return KeyPair(private.private_bytes_raw(), private.public_key().public_bytes_raw())


def derive(key: bytes | Mac, *context: bytes) -> bytes:
    """A key for one purpose: HMAC-SHA-256 of the length-prefixed context under `key` (a PRF, as HKDF-Expand)."""
    mac = key if isinstance(key, Mac) else Mac(key)
    return mac.of(b"".join([len(part).to_bytes(2) + part for part in context]))


_SHA256 = hashlib.sha256()
_BLOCK_BYTES = 64
_INNER, _OUTER = (bytes(octet ^ pad for octet in range(256)) for pad in (0x36, 0x5C))


class Mac:
    """HMAC-SHA-256 (RFC 2104) under one key of at most 64 bytes, from states that are copied: the library's own looks
    its algorithms up at each call, which costs more than the hashing does."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) > _BLOCK_BYTES:
            raise ValueError("key too long")
        padded = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner, self._outer = _SHA256.copy(), _SHA256.copy()
        self._inner.update(padded.translate(_INNER))
        self._outer.update(padded.translate(_OUTER))

    def of(self, octets: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(octets)
        outer.update(inner.digest())
        return outer.digest()


def fingerprint(key: bytes, octets: bytes) -> bytes:
    """By which octets are known again by whoever has `key`: GMAC (SP 800-38D) under one nonce, a twentieth of what
    SHA-256 costs. Two messages chosen without the key share one with a chance of 2^-100. Whoever sees fingerprints
    could learn the key, so they are hashed with something else before they are kept."""
    return AESGCM(key).encrypt(_ZERO_NONCE, b"", octets)


def fingerprint_of(key: bytes, pieces: Iterable[bytes]) -> bytes:
    """The same of octets that come piece by piece."""
    cipher = Cipher(algorithms.AES(key), modes.GCM(_ZERO_NONCE)).encryptor()
    for piece in pieces:
        cipher.authenticate_additional_data(piece)
    cipher.finalize()
    return cipher.tag


def seal_to(public: bytes, secret: bytes, context: bytes, chance: Chance) -> bytes:
    """Seal a short secret so that only the private half opens it: ephemeral public key, then ciphertext.

    The key is used once, hence the zero nonce.
    """
    ephemeral = X25519PrivateKey.from_private_bytes(chance.token(KEY_BYTES))
    ours = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    key = derive(shared, b"mss seal 1", ours, public)
    return ours + AESGCM(key).encrypt(_ZERO_NONCE, secret, context)


def open_sealed(pair: KeyPair, sealed: bytes, context: bytes) -> bytes:
    """Undo `seal_to`. Raises SealBroken."""
    return SealedOpener(pair).open(sealed, context)


class SealedOpener:
    """`open_sealed` for whoever opens many: making the private key ready costs as much as an opening."""

    __slots__ = ("_pair", "_private")

    def __init__(self, pair: KeyPair) -> None:
        self._pair = pair
        self._private = X25519PrivateKey.from_private_bytes(pair.private)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Raises SealBroken."""
        ours, ciphertext = sealed[:KEY_BYTES], sealed[KEY_BYTES:]
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(ours))
            key = derive(shared, b"mss seal 1", ours, self._pair.public)
            return AESGCM(key).decrypt(_ZERO_NONCE, ciphertext, context)
        except (InvalidTag, ValueError) as broken:
            raise SealBroken("sealed secret does not open") from broken


def encrypt(key: bytes, plain: bytes, context: bytes, chance: Chance) -> bytes:
    """Encrypt something short under a lasting key: random nonce, then ciphertext."""
    nonce = chance.token(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, context)


def decrypt(key: bytes, ciphertext: bytes, context: bytes) -> bytes:
    """Undo `encrypt`. Raises SealBroken."""
    try:
        return AESGCM(key).decrypt(ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as broken:
        raise SealBroken("ciphertext does not open") from broken


def place(owner: int, kind: bytes, number: int) -> bytes:
    """The name of a ciphertext's place: whose, what kind, which one."""
    return b"%d/%b/%d" % (owner, kind, number)


def encrypt_object(key: bytes | Mac, where: bytes, plain: bytes) -> bytes:
    """Encrypt a whole object in frames under a key derived for `where` alone; `key` as a Mac for who seals many.

    A place is written once in its life, so frame numbers serve as nonces; the last frame says so in its
    associated data, which makes truncation visible.
    """
    cipher = AESGCM(derive(key, b"object", where))
    if len(plain) <= FRAME_BYTES:
        return cipher.encrypt(_ZERO_NONCE, plain, _frame_context(where, 0, 0))
    frames = BytesIO()  # joining 35 MiB in the end would hold the interpreter for the whole of it
    last = max(0, (len(plain) - 1) // FRAME_BYTES)
    view = memoryview(plain)
    for number in range(last + 1):
        frame = view[number * FRAME_BYTES : (number + 1) * FRAME_BYTES]
        frames.write(cipher.encrypt(number.to_bytes(NONCE_BYTES), frame, _frame_context(where, number, last)))
    return frames.getvalue()


def _frame_context(where: bytes, number: int, last: int) -> bytes:
    return b"%b#%d%b" % (where, number, b"." if number == last else b"")


class FrameSealer:
    """`encrypt_object` for octets that come piece by piece: what `add` and then `finish` answer is its ciphertext."""

    def __init__(self, key: bytes, where: bytes) -> None:
        self._cipher = AESGCM(derive(key, b"object", where))
        self._where = where
        self._number = 0
        self._begun = b""  # never empty once something came: nobody knows yet which frame is the last

    def add(self, plain: bytes) -> bytes:
        """The frames that are full by now, but for what may be the last one."""
        begun = self._begun + plain
        full = max(0, len(begun) - 1) // FRAME_BYTES
        view = memoryview(begun)
        frames = [self._frame(view[at * FRAME_BYTES : (at + 1) * FRAME_BYTES], last=-1) for at in range(full)]
        self._begun = begun[full * FRAME_BYTES :]
        return b"".join(frames)

    def finish(self) -> bytes:
        """The last frame. Nothing may be added any more."""
        return self._frame(self._begun, last=self._number)

    def _frame(self, plain: bytes | memoryview, last: int) -> bytes:
        number = self._number
        self._number += 1
        return self._cipher.encrypt(number.to_bytes(NONCE_BYTES), plain, _frame_context(self._where, number, last))


def encrypt_pieces(key: bytes, where: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The ciphertext of `encrypt_object`, piece by piece."""
    sealer = FrameSealer(key, where)
    for piece in pieces:
        yield sealer.add(piece)
    yield sealer.finish()


def object_size(plain_bytes: int) -> int:
    """Bytes of the ciphertext of an object of that size."""
    return plain_bytes + max(1, -(-plain_bytes // FRAME_BYTES)) * TAG_BYTES


def decrypt_object(key: bytes, where: bytes, ciphertext: bytes) -> bytes:
    """Undo `encrypt_object`. Raises SealBroken when a frame is missing, moved, swapped or altered."""
    return b"".join(_decrypt_frames(key, where, ciphertext, 0, frame_count(len(ciphertext)) - 1))


def decrypt_frames(key: bytes, where: bytes, ciphertext: bytes, first: int, last: int) -> bytes:
    """Open frames `first` … of an object whose last frame is number `last`; `ciphertext` begins at `first`."""
    return b"".join(_decrypt_frames(key, where, ciphertext, first, last))


def _decrypt_frames(key: bytes, where: bytes, ciphertext: bytes, first: int, last: int) -> Iterator[bytes]:
    cipher = AESGCM(derive(key, b"object", where))
    view = memoryview(ciphertext)
    step = FRAME_BYTES + TAG_BYTES
    try:
        for index in range(max(1, frame_count(len(ciphertext)))):
            number = first + index
            frame = view[index * step : (index + 1) * step]
            yield cipher.decrypt(number.to_bytes(NONCE_BYTES), frame, _frame_context(where, number, last))
    except (InvalidTag, ValueError) as broken:
        raise SealBroken("a frame does not open") from broken


def frame_count(ciphertext_bytes: int) -> int:
    """Frames in a ciphertext of that size."""
    step = FRAME_BYTES + TAG_BYTES
    return -(-ciphertext_bytes // step)


def frame_range(start: int, length: int) -> tuple[int, int]:
    """Ciphertext offset and size (may reach beyond the end) of the frames that hold plain `start … start+length`."""
    step = FRAME_BYTES + TAG_BYTES
    first = start // FRAME_BYTES
    last = max(first, (start + length - 1) // FRAME_BYTES)
    return first * step, (last - first + 1) * step
