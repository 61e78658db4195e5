"""The machines of Vertex AI's jobs: which names there are, and which accelerators fit which.

From https://cloud.google.com/vertex-ai/docs/training/configure-compute and the pages of Compute Engine that it names.
How many CPUs a machine type of a known family has is not checked, so that new sizes pass.
"""

from __future__ import annotations

import re

_MACHINE_TYPE = re.compile(
    r"""
    (?:n1|n2d?|n4[ad]?|e2|c2d?|c3d?|c4[ad]?|t2[ad]|m[1-4]|g2|g4|h3|h4d|x4|z3)
      -(?:standard|highmem|highcpu|megamem|ultramem|hypermem)-[0-9]+(?:-lssd|-metal|-highlssd|-standardlssd)*
    | a2-(?:high|mega|ultra)gpu-[0-9]+g | a3-(?:high|mega|ultra|edge)gpu-[0-9]+g(?:-nolssd)?
    | a4x?-(?:high|max)gpu-[0-9]+g(?:-metal)?
    | (?:ct[0-9a-z]+|tpu[0-9a-z]+)-(?:hightpu|standard)-[0-9]+t | cloud-tpu
    """,
    re.VERBOSE,
)
# Those that are attached to a machine of N1, and how many of them.
_ATTACHED = {
    "NVIDIA_TESLA_K80": (1, 2, 4, 8),
    "NVIDIA_TESLA_P100": (1, 2, 4),
    "NVIDIA_TESLA_V100": (1, 2, 4, 8),
    "NVIDIA_TESLA_P4": (1, 2, 4),
    "NVIDIA_TESLA_T4": (1, 2, 4),
}
# Those that a machine type has, as many as it says.
_BUILT_IN = {
    "NVIDIA_TESLA_A100": ("a2-highgpu-", "a2-megagpu-"),
    "NVIDIA_A100_80GB": ("a2-ultragpu-",),
    "NVIDIA_H100_80GB": ("a3-highgpu-", "a3-edgegpu-"),
    "NVIDIA_H100_MEGA_80GB": ("a3-megagpu-",),
    "NVIDIA_H200_141GB": ("a3-ultragpu-",),
    "NVIDIA_B200": ("a4-highgpu-",),
    "NVIDIA_L4": ("g2-standard-",),
}
_L4 = {24: 2, 48: 4, 96: 8}
_SIZE = re.compile(r"-([0-9]+)")


def is_machine_type(name: str) -> bool:
    """Tell if a machine type is of a family that Vertex AI has."""
    return _MACHINE_TYPE.fullmatch(name) is not None


def accelerator_fault(machine_type: str, accelerator: str, count: int) -> str:
    """Tell why a machine cannot have these accelerators; empty if it can, or nothing is known of the accelerator."""
    attached = _ATTACHED.get(accelerator)
    if attached is not None:
        if not machine_type.startswith("n1-"):
            return f"{accelerator} is attached to machines of N1 only, not to {machine_type}."
        if count not in attached:
            return f"{count} of {accelerator}; a machine has {', '.join(map(str, attached))} of them."
        return ""
    families = _BUILT_IN.get(accelerator)
    if families is None:
        return ""
    if not machine_type.startswith(families):
        return f"{machine_type} has no {accelerator}; {' and '.join(f'{family}..' for family in families)} do."
    size = _SIZE.search(machine_type)
    number = int(size[1]) if size else 0
    own = _L4.get(number, 1) if accelerator == "NVIDIA_L4" else number
    return "" if count == own else f"{count} of {accelerator}; {machine_type} has {own}."
