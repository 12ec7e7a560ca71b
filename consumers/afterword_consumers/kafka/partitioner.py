"""In which partitions of a topic the messages of a key are, by the partitioners in use.

    likely_partitions(b"019c12e9-8b3d-7000-8000-000000000000", 12)

The clients in Java, the SDK here, and most others take murmur2; librdkafka's own default is CRC-32, and
so is that of the Python, Go, .NET and Node clients made of it.
"""

import struct
import zlib
from typing import Final

_SEED: Final = 0x9747B28C
_FACTOR: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF


def likely_partitions(key: bytes, count: int) -> list[int]:
    """Return the one or two partitions, of so many, in which a client's default puts a key."""
    return sorted({(murmur2(key) & 0x7FFFFFFF) % count, zlib.crc32(key) % count})


def murmur2(key: bytes) -> int:
    """Return Austin Appleby's MurmurHash2 in 32 bits, with the seed of Kafka's clients.

    >>> hex(murmur2(b"foobar"))
    '0xd0e47bbe'
    """
    whole = len(key) & ~3
    state = _SEED ^ len(key)
    for (block,) in struct.iter_unpack("<I", key[:whole]):
        mixed = block * _FACTOR & _WORD
        mixed = (mixed ^ (mixed >> 24)) * _FACTOR & _WORD
        state = (state * _FACTOR & _WORD) ^ mixed
    if whole < len(key):
        state = (state ^ int.from_bytes(key[whole:], "little")) * _FACTOR & _WORD
    state = (state ^ (state >> 13)) * _FACTOR & _WORD
    return state ^ (state >> 15)
