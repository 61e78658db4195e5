"""What machines of Vertex AI cost: ESTIMATES, to compare machines by. No bill will be these.

Written by tools/machine_prices.py from tools/machine_prices.csv; change it there. US dollars an hour in us-central1, on
demand. Not in it: other regions, discounts, disks, Spot, taxes. A family's rates are those that the prices of its
machines follow from. Behind each price is the day on which it was looked up, and where:

- general: general knowledge of Compute Engine's on-demand list prices; compared with no published list.
- catalog: catalogs/v8/gcp/vms.csv of skypilot-catalog, commit 006059e, which is made from Google's price list.
- page: Vertex AI's price page: it shows n1-standard-4 for 0.21849885, 1.15 times Compute Engine's price.
"""

from __future__ import annotations

PRICED_REGION = "us-central1"
#: The oldest of the prices.
AS_OF = "2026-11-21"

#: What Vertex AI asks in proportion to Compute Engine's own price.
SURCHARGE = 1.15  # 2026-11-21, page

#: Dollars an hour for one vCPU, by family.
VCPU_DOLLARS: dict[str, float] = {
    "e2": 0.02181159,  # 2026-11-21, general
    "n1": 0.031611,  # 2026-11-28, catalog
    "n2": 0.031611,  # 2026-11-21, general
    "c2": 0.03398,  # 2026-11-21, general
    "m1": 0.0348,  # 2026-11-21, general
    "a2": 0.031611,  # 2026-11-28, catalog
    "g2": 0.024988,  # 2026-11-21, general
}

#: Dollars an hour for one GiB of memory, by family.
GIB_DOLLARS: dict[str, float] = {
    "e2": 0.00292353,  # 2026-11-21, general
    "n1": 0.004237,  # 2026-11-28, catalog
    "n2": 0.004237,  # 2026-11-21, general
    "c2": 0.00455,  # 2026-11-21, general
    "m1": 0.0051,  # 2026-11-21, general
    "a2": 0.004237,  # 2026-11-28, catalog
    "g2": 0.002927,  # 2026-11-21, general
}

#: Dollars an hour for a machine without its accelerators, where its family has no rates.
MACHINE_DOLLARS: dict[str, float] = {
    "a3-highgpu-1g": 1.18251,  # 2026-11-28, catalog
    "a3-highgpu-2g": 2.36502,  # 2026-11-28, catalog
    "a3-highgpu-4g": 4.73003,  # 2026-11-21, catalog
    "a3-highgpu-8g": 9.46006,  # 2026-11-21, catalog
    "a3-megagpu-8g": 9.46006,  # 2026-11-21, catalog
    "a3-ultragpu-8g": 10.31299,  # 2026-11-21, catalog
}

#: Dollars an hour for one accelerator.
ACCELERATOR_DOLLARS: dict[str, float] = {
    "NVIDIA_TESLA_T4": 0.35,  # 2026-11-21, catalog
    "NVIDIA_TESLA_P4": 0.60,  # 2026-11-21, catalog
    "NVIDIA_TESLA_P100": 1.46,  # 2026-11-21, catalog
    "NVIDIA_TESLA_V100": 2.48,  # 2026-11-21, catalog
    "NVIDIA_TESLA_A100": 2.93391,  # 2026-11-21, catalog
    "NVIDIA_A100_80GB": 3.92808,  # 2026-11-21, catalog
    "NVIDIA_L4": 0.56004,  # 2026-11-21, catalog
    "NVIDIA_H100_80GB": 9.79655,  # 2026-11-21, catalog
    "NVIDIA_H100_MEGA_80GB": 10.34428,  # 2026-11-21, catalog
    "NVIDIA_H200_141GB": 9.31174,  # 2026-11-21, catalog
}
