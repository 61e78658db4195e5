"""The file format as docs/store-format.md describes it: read here without the package's own code."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import zstandard

from airflow_provider_kedro_vertex.runtime import store

#: Written by the first release that had version 4. Files of this version are to be read as long as it is the version.
FILE = Path(__file__).parent / "version-4.bin"


def value() -> dict[str, Any]:
    """Numbers of every kind that has a transform of its own, texts, small arrays, and one larger than a block."""
    leaf = np.arange(3000) ** 2 % 13 < 6
    nodes = np.zeros(3000, np.dtype([("left", "i4"), ("threshold", "f8"), ("is_leaf", "u1")]))
    nodes["left"] = np.where(leaf, -1, np.arange(3000))
    nodes["threshold"] = np.where(leaf, -2.0, np.arange(3000) % 50 / 4)
    nodes["is_leaf"] = leaf
    return {
        "texts": ["a", "ä", None],
        "decimals": np.append(np.arange(9000) * 7919 % 2003 / 100, [np.nan, -0.0, 1e300]),
        "integers": np.cumsum(np.arange(200_000) % 40),
        "unordered": (np.arange(1000) ** 3 % 9973).astype("u4"),
        "rows": np.stack([np.arange(20_000) % 7, np.arange(20_000) * 1000], axis=1),
        "nodes": nodes,
        "small": [np.arange(start, start + 40, dtype=kind) for start in range(5) for kind in ("u1", "f8")],
    }


def assert_is_the_value(found: Any) -> None:
    expected = value()
    assert found.keys() == expected.keys()
    assert found["texts"] == expected["texts"]
    for name in ("decimals", "integers", "unordered", "rows", "nodes"):
        assert found[name].dtype == expected[name].dtype
        assert found[name].tobytes() == expected[name].tobytes(), name
    assert all(np.array_equal(one, other) for one, other in zip(found["small"], expected["small"], strict=True))


class Block(NamedTuple):
    kind: bytes
    transform: int
    alignment: int
    buffers: list[tuple[int, int]]
    data: bytes


def blocks(file: io.BytesIO) -> Iterator[Block]:
    assert file.read(5) == b"kvds\x04"
    file_id = file.read(16)
    for number in range(1000):
        header = file.read(1 + 1 + 1 + 4 + 1 + 4 + 4 + 4 + 32)
        kind, codec, transform, parameter, alignment, count, size, content_size, checksum = struct.unpack(
            "<ccBIBIII32s", header
        )
        table = file.read(16 * count)
        assert file.read(32) == hashlib.sha256(file_id + struct.pack("<Q", number) + header + table).digest()
        content = file.read(content_size)
        assert hashlib.sha256(content).digest() == checksum
        data = zstandard.ZstdDecompressor().decompress(content) if codec == b"z" else content
        plain = inverted(transform, parameter, data, size)
        assert len(plain) == size
        yield Block(kind, transform, alignment, list(struct.iter_unpack("<QQ", table)), plain)
        if kind == b"e":
            return


def inverted(transform: int, parameter: int, data: bytes, size: int) -> bytes:
    if transform == 0:
        return data
    if transform in (1, 2):
        width, count = parameter, size // parameter
        items = np.frombuffer(data[: width * count], "u1").reshape(width, count).T.tobytes()
        if transform == 2:
            items = np.cumsum(np.frombuffer(items, f"<u{width}"), dtype=f"<u{width}").tobytes()
        return items + data[width * count :]
    if transform == 3:
        least, exceptions, width = struct.unpack("<qIB", data[:13])
        count = size // 8
        places, values = 13 + width * count, 13 + width * count + 4 * exceptions
        integers = np.frombuffer(inverted(1, width, data[13:places], width * count), f"<u{width}").astype("i8") + least
        doubles = integers / 10.0**parameter
        doubles[np.frombuffer(data[places:values], "<u4")] = np.frombuffer(data[values:], "<f8")
        return doubles.tobytes()
    if transform == 4:
        entries = list(struct.iter_unpack("<IBII", data[: 13 * parameter]))
        rows = size // sum(entry[0] for entry in entries)
        columns, begin = [], 13 * parameter
        for width, kind, inner, length in entries:
            column = inverted(kind, inner, data[begin : begin + length], width * rows)
            columns.append(np.frombuffer(column, "u1").reshape(rows, width))
            begin += length
        return np.concatenate(columns, axis=1).tobytes()
    assert transform == 5
    kind, inner = struct.unpack("<BI", data[:5])
    rows = size // parameter
    first = np.unpackbits(np.frombuffer(data[5 : 5 + (rows + 7) // 8], "u1"), count=rows).astype(bool)
    both = np.frombuffer(inverted(kind, inner, data[5 + (rows + 7) // 8 :], size), "u1").reshape(rows, parameter)
    found = np.empty_like(both)
    found[first], found[~first] = both[: first.sum()], both[first.sum() :]
    return found.tobytes()


def read(data: bytes) -> tuple[Any, list[Block]]:
    file = io.BytesIO(data)
    found = list(blocks(file))
    assert file.read() == b""
    pickled, buffers, memory = b"", {}, bytearray()
    missing: list[tuple[int, int]] = []
    for block in found:
        if block.kind == b"p":
            pickled += block.data
        elif block.kind == b"b":
            if block.buffers:
                memory, missing = bytearray(), block.buffers
            memory += block.data
            end = 0
            for ordinal, length in missing:
                end += -end % block.alignment
                buffers[ordinal] = memory[end : end + length]
                end += length
    return pickle.loads(pickled, buffers=[buffers[ordinal] for ordinal in sorted(buffers)]), found


def test_a_file_of_version_4_is_read() -> None:
    with FILE.open("rb") as file:
        assert_is_the_value(store.load(file))


@pytest.mark.parametrize("level", [store.DEFAULT_LEVEL, 3, None, "golden"])
def test_the_page_describes_the_bytes(level: int | str | None) -> None:
    file = io.BytesIO()
    if level == "golden":
        file.write(FILE.read_bytes())
    else:
        assert not isinstance(level, str)
        store.dump(value(), file, level)
    found, parts = read(file.getvalue())
    assert_is_the_value(found)
    if level is not None:
        assert {block.transform for block in parts} >= {0, 1, 2, 3, 4, 5}
    assert any(len(block.buffers) > 1 for block in parts)
    assert any(block.kind == b"b" and not block.buffers for block in parts), "of a buffer larger than a block"
