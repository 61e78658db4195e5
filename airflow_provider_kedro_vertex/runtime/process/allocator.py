"""Tell glibc's allocator at once what it would find out by and by.

glibc takes each block above 128 KiB from the kernel and gives it back when it is free, until a larger block that
comes back raises that limit, up to 32 MiB. Each time the kernel clears the memory's pages again. Reading a CSV file or
adding two columns does so hundreds of times.

See mallopt(3) of Linux man-pages (6.03): whoever sets one limit ends the adaptation, so the other one, which glibc
keeps at twice the first, is set too. Decision 17 has the numbers.
"""

from __future__ import annotations

import os

# malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
#: The largest limit that glibc takes, in bytes, and the largest that it comes to by itself. Larger blocks go back to
#: the kernel as ever, so that a node's large tables do not stay in the container.
_LARGEST = 32 * 1024 * 1024


def keep_freed_blocks() -> None:
    """Let the process use blocks of up to 32 MiB again, and keep at most 64 MiB of them at the end of its heap.

    It does nothing where the environment has settings of malloc, or where the C library has no ``mallopt`` (musl,
    macOS).
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if "glibc.malloc" in tunables or any(name.startswith("MALLOC_") for name in os.environ):
        return
    try:
        # Here, since a Python may be built without it.
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST)
    mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST)
