"""The file format of stored values, version 4: a pickled value in compressed, checksummed blocks.

``docs/store-format.md`` describes the bytes and says why. In short::

    file   = MAGIC  file id (16 random bytes)  block*  end block
    block  = header  buffer table  header checksum  content

:mod:`.writer` and :mod:`.reader` hold no value a second time in its pickled form: arrays travel as the pickle's
out-of-band buffers, and are read into the memory that they then keep.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

#: The last byte is the version of the format.
MAGIC = b"kvds\x04"
FILE_ID_SIZE = 16
#: The bytes in a block, at most, before they are transformed.
BLOCK_SIZE = 1 << 20
#: No block is larger after its transform.
MAX_TRANSFORMED_SIZE = 2 * BLOCK_SIZE
#: The most buffers that begin in one block.
MAX_BUFFERS = 1 << 16
#: zstd's level unless another is asked for. Higher ones make tables and models a few percent smaller and take longer.
DEFAULT_LEVEL = 1

#: Kinds of blocks.
PICKLE, BUFFERS, END = b"p", b"b", b"e"
#: Codecs of a block's content.
ZSTD, UNCOMPRESSED = b"z", b"-"

#: The threads that compress or decompress: a few do so as fast as one thread pickles.
WORKERS = min(4, os.cpu_count() or 1)
#: A block of less is done before another thread would begin with it.
SMALL_BLOCK = 64 << 10

CHECKSUM_SIZE = hashlib.sha256().digest_size
HEADER = struct.Struct(f"<ccBIBIII{CHECKSUM_SIZE}s")
BUFFER_ENTRY = struct.Struct("<QQ")
_BLOCK_NUMBER = struct.Struct("<Q")


class CorruptFileError(Exception):
    """The bytes are not what was written: cut short, damaged, or of another format."""


class Header(NamedTuple):
    """The fields of a block's header, in the order of the file.

    :param kind: ``PICKLE``, ``BUFFERS`` or ``END``.
    :param codec: ``ZSTD`` or ``UNCOMPRESSED``.
    :param transform: a :class:`.transforms.Kind`, which was applied before the codec.
    :param parameter: of the transform.
    :param alignment: small buffers begin at multiples of it, in bytes.
    :param buffer_count: how many buffers begin in the block; so many entries follow the header.
    :param size: the bytes of the block before its transform.
    :param content_size: the bytes of the content that follows, as it is in the file.
    :param content_checksum: SHA-256 of this content.
    """

    kind: bytes
    codec: bytes
    transform: int
    parameter: int
    alignment: int
    buffer_count: int
    size: int
    content_size: int
    content_checksum: bytes


def checksum(content: bytes) -> bytes:
    """Compute the checksum of a block's content."""
    return hashlib.sha256(content).digest()


def header_checksum(file_id: bytes, block_number: int, header: bytes) -> bytes:
    """Compute the checksum that binds a block's header and buffer table to their place in their file.

    :param block_number: how many blocks come before.
    """
    return hashlib.sha256(file_id + _BLOCK_NUMBER.pack(block_number) + header).digest()


def buffer_offsets(lengths: Sequence[int], alignment: int) -> list[int]:
    """Compute where in their block the buffers begin that share it; the last number is where the last of them ends."""
    offsets, end = [], 0
    for length in lengths:
        end += -end % alignment
        offsets.append(end)
        end += length
    return [*offsets, end]
