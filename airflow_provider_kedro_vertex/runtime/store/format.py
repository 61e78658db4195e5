"""The file format of stored datasets: a pickled value in compressed blocks, each with its digests.

::

    file   = magic  id (16 random bytes)  block*  end
    block  = head  seal  content
    head   = kind  codec  form  parameter  alignment  begun  size of the bytes
             size of the content  digest of the content  (ordinal, length) * begun
    end    = a block of kind "e" without content

All integers are little-endian, all digests SHA-256. A seal is the digest of the file's id, the block's place in the
file, and the head. It is checked before anything in the head is used, and the digest of the content before the content
is. So a file that is cut short, damaged, out of order or put together from two is refused: its bytes never reach the
unpickler.

A block of kind "p" holds a piece of the pickle (protocol 5), one of kind "b" the memory of arrays, the pickle's
out-of-band buffers: the ordinals and lengths of the buffers that begin in it, and their bytes, in one of the forms of
:mod:`.transforms`. Small buffers whose items are alike share a block, each at a multiple of the block's alignment; a
large one has blocks of its own, which follow each other. A buffer comes before the piece of the pickle that refers to
it. So a value is never held a second time in its pickled form, neither when it is written (:mod:`.writer`) nor when it
is read (:mod:`.reader`), and an array is read into the memory that it then keeps: its own, or its part of a block. What
is held besides the value are a few blocks of 1 MiB.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

#: The last byte is the version of the format.
MAGIC = b"kvds\x04"
#: zstd's level. Higher ones make tables and models a few percent smaller and take longer: bench_store.py.
LEVEL = 1
ID = 16
#: The bytes in a block, at most, before they are brought into their form.
SIZE = 1 << 20
#: No block is larger in its form.
LARGEST = 2 * SIZE
#: Less than this is done before another thread would begin with it.
SMALL = 64 << 10
#: The most buffers that begin in one block.
COUNT = 1 << 16
DIGEST = hashlib.sha256().digest_size
PICKLE, BUFFERS, END = b"p", b"b", b"e"
ZSTD, AS_IT_IS = b"z", b"-"

#: The threads that compress or decompress: a few do so as fast as one thread pickles.
WORKERS = min(4, os.cpu_count() or 1)

HEADER = struct.Struct(f"<ccBIBIII{DIGEST}s")
BUFFER = struct.Struct("<QQ")
_NUMBER = struct.Struct("<Q")


class DamagedError(Exception):
    """The bytes are not what was written: cut short, damaged, or of another format."""


class Header(NamedTuple):
    """What a block's head begins with, see the module."""

    kind: bytes
    codec: bytes
    form: int
    parameter: int
    alignment: int
    begun: int
    size: int
    stored: int
    digest: bytes


def seal(file_id: bytes, number: int, head: bytes) -> bytes:
    """Give the digest that binds a block's head to its place in its file.

    :param number: how many blocks come before.
    """
    return hashlib.sha256(file_id + _NUMBER.pack(number) + head).digest()


def places(lengths: Sequence[int], alignment: int) -> list[int]:
    """Where in their block the buffers begin that share it; the last number is where the last of them ends."""
    found, place = [], 0
    for length in lengths:
        place += -place % alignment
        found.append(place)
        place += length
    return [*found, place]
