"""CPU and memory as a spec writes them: ``500m`` or ``2``, ``512Mi`` or ``2G``.

The forms are those that kfp's ``set_cpu_limit`` and ``set_memory_limit`` take, which are Kubernetes'.
"""

from __future__ import annotations

import re

_CPU = re.compile(r"((?:[0-9]{0,6}\.)?[0-9]{1,6})(m?)")
_MEMORY = re.compile(r"((?:[0-9]{0,15}\.)?[0-9]{1,15})(?:([EPTGMK])(i?))?")
_POWERS = "KMGTPE"


def cpus(text: str) -> float:
    """The number of CPUs.

    :raises ValueError: if it is of another form, or none.
    """
    match = _CPU.fullmatch(text)
    number = 0.0 if match is None else float(match[1]) / (1000 if match[2] else 1)
    if number <= 0:
        raise ValueError(f'"{text[:50]}" is no number of CPUs, such as 2, 0.5 or 500m')
    return number


def memory(text: str) -> int:
    """The number of bytes.

    :raises ValueError: if it is of another form, or none.
    """
    match = _MEMORY.fullmatch(text)
    number = 0.0
    if match is not None:
        unit = 0 if match[2] is None else _POWERS.index(match[2]) + 1
        number = float(match[1]) * (1024 if match[3] else 1000) ** unit
    if number < 1:
        raise ValueError(f'"{text[:50]}" is no amount of memory, such as 2G, 512Mi or 1000000')
    return int(number)
