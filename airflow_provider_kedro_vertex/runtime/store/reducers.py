"""Pickling of columns of texts without a copy of them.

pandas copies a column that is held by Arrow before it is pickled, since its chunks may be slices of something larger
(``ArrowExtensionArray.__getstate__``, pandas 2.0 to 3.1), and the pickler keeps each copy until the whole value is
written. A table of texts then needs twice its memory. Chunks that are no slices go into the file as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

#: Chunks of fewer bytes on average are better joined, as pandas does.
_MIN_CHUNK_SIZE = 64 << 10
#: The part of a chunk's memory that the chunk must make use of.
_MIN_SHARE = 0.99


def reducers() -> dict[type, Callable[[Any], Any]]:
    """The reducers for a pickler's ``dispatch_table``; none before pandas is imported, since it has made no table."""
    arrays = getattr(sys.modules.get("pandas"), "arrays", None)
    names = ("ArrowStringArray", "ArrowExtensionArray")
    return {getattr(arrays, name): _reduce_by_chunks for name in names if hasattr(arrays, name)}


def _reduce_by_chunks(array: Any) -> Any:
    """Reduce a column as pandas does, but with its own chunks in place of the copy.

    ``pyarrow.chunked_array``, to which pandas gives what is unpickled, takes a list of arrays as well as one.
    """
    made, arguments, state, *rest = array.__reduce_ex__(5)
    if isinstance(state, dict) and _chunks_can_stay(column := array.__arrow_array__()):
        kind = type(column.chunk(0))
        copies = [name for name, value in state.items() if isinstance(value, kind) and len(value) == len(column)]
        state = {**state, **dict.fromkeys(copies, column.chunks)}
    return (made, arguments, state, *rest)


def _chunks_can_stay(column: Any) -> bool:
    """Tell whether a column's chunks are neither slices nor small."""
    if not column.num_chunks or column.nbytes < column.num_chunks * _MIN_CHUNK_SIZE:
        return False
    return all(chunk.nbytes >= _MIN_SHARE * chunk.get_total_buffer_size() for chunk in column.chunks)
