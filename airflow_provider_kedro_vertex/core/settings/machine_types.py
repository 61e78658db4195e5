"""Vertex AI's machine types for custom training, as of 2026-11-21: sizes, accelerators, and where these can be had.

Where each part comes from:

- types and sizes: Compute Engine's machine families that Vertex AI's page "Configure compute resources for serverless
  training" names, from general knowledge of them and not copied from the page;
- a2, a3, accelerators and their regions: the SkyPilot catalog of Google's price list (catalogs/v8/gcp/vms.csv, commit
  006059e of skypilot-catalog).

Prices are in :mod:`.machine_prices`. For an accelerator without regions here no region is refused.
"""

from __future__ import annotations

#: When this was looked up; shown where a type or a region is refused.
AS_OF = "2026-11-21"

#: Types without accelerators of their own: the part of the name before the vCPUs, GiB for each vCPU, the vCPUs.
SERIES: tuple[tuple[str, float, tuple[int, ...]], ...] = (
    ("e2-standard", 4, (4, 8, 16, 32)),
    ("e2-highmem", 8, (2, 4, 8, 16)),
    ("e2-highcpu", 1, (16, 32)),
    ("n1-standard", 3.75, (4, 8, 16, 32, 64, 96)),
    ("n1-highmem", 6.5, (2, 4, 8, 16, 32, 64, 96)),
    ("n1-highcpu", 0.9, (16, 32, 64, 96)),
    ("n2-standard", 4, (4, 8, 16, 32, 48, 64, 80)),
    ("n2-highmem", 8, (2, 4, 8, 16, 32, 48, 64, 80)),
    ("n2-highcpu", 1, (16, 32, 48, 64, 80)),
    ("c2-standard", 4, (4, 8, 16, 30, 60)),
    ("m1-ultramem", 24.025, (40, 80, 160)),
    ("m1-megamem", 1433.6 / 96, (96,)),
)

#: Types that hold accelerators: name, vCPUs, GiB, accelerator, how many.
WITH_ACCELERATORS: tuple[tuple[str, int, float, str, int], ...] = (
    ("a2-highgpu-1g", 12, 85, "NVIDIA_TESLA_A100", 1),
    ("a2-highgpu-2g", 24, 170, "NVIDIA_TESLA_A100", 2),
    ("a2-highgpu-4g", 48, 340, "NVIDIA_TESLA_A100", 4),
    ("a2-highgpu-8g", 96, 680, "NVIDIA_TESLA_A100", 8),
    ("a2-megagpu-16g", 96, 1360, "NVIDIA_TESLA_A100", 16),
    ("a2-ultragpu-1g", 12, 170, "NVIDIA_A100_80GB", 1),
    ("a2-ultragpu-2g", 24, 340, "NVIDIA_A100_80GB", 2),
    ("a2-ultragpu-4g", 48, 680, "NVIDIA_A100_80GB", 4),
    ("a2-ultragpu-8g", 96, 1360, "NVIDIA_A100_80GB", 8),
    ("a3-highgpu-1g", 26, 234, "NVIDIA_H100_80GB", 1),
    ("a3-highgpu-2g", 52, 468, "NVIDIA_H100_80GB", 2),
    ("a3-highgpu-4g", 104, 936, "NVIDIA_H100_80GB", 4),
    ("a3-highgpu-8g", 208, 1872, "NVIDIA_H100_80GB", 8),
    ("a3-megagpu-8g", 208, 1872, "NVIDIA_H100_MEGA_80GB", 8),
    ("a3-ultragpu-8g", 224, 2952, "NVIDIA_H200_141GB", 8),
    ("g2-standard-4", 4, 16, "NVIDIA_L4", 1),
    ("g2-standard-8", 8, 32, "NVIDIA_L4", 1),
    ("g2-standard-12", 12, 48, "NVIDIA_L4", 1),
    ("g2-standard-16", 16, 64, "NVIDIA_L4", 1),
    ("g2-standard-24", 24, 96, "NVIDIA_L4", 2),
    ("g2-standard-32", 32, 128, "NVIDIA_L4", 1),
    ("g2-standard-48", 48, 192, "NVIDIA_L4", 4),
    ("g2-standard-96", 96, 384, "NVIDIA_L4", 8),
)

#: Accelerators that are attached to n1 types: how many may be, and the most vCPUs for each of them.
ATTACHED: dict[str, tuple[tuple[int, ...], int]] = {
    "NVIDIA_TESLA_T4": ((1, 2, 4), 24),
    "NVIDIA_TESLA_P4": ((1, 2, 4), 24),
    "NVIDIA_TESLA_P100": ((1, 2, 4), 16),
    "NVIDIA_TESLA_V100": ((1, 2, 4, 8), 12),
}

#: The regions that have an accelerator.
REGIONS: dict[str, frozenset[str]] = {
    accelerator: frozenset(regions.split())
    for accelerator, regions in {
        "NVIDIA_TESLA_T4": (
            "asia-east1 asia-east2 asia-northeast1 asia-northeast3 asia-south1 asia-southeast1 asia-southeast2 "
            "australia-southeast1 europe-central2 europe-west1 europe-west2 europe-west3 europe-west4 me-west1 "
            "northamerica-northeast1 southamerica-east1 us-central1 us-east1 us-east4 us-west1 us-west2 us-west3 "
            "us-west4"
        ),
        "NVIDIA_TESLA_P4": (
            "asia-southeast1 australia-southeast1 europe-west4 northamerica-northeast1 us-central1 us-east4 us-west2"
        ),
        "NVIDIA_TESLA_P100": "asia-east1 australia-southeast1 europe-west1 europe-west4 us-central1 us-east1 us-west1",
        "NVIDIA_TESLA_V100": "asia-east1 europe-west4 us-central1 us-east1 us-west1",
        "NVIDIA_TESLA_A100": (
            "asia-northeast1 asia-northeast3 asia-southeast1 europe-west4 me-west1 us-central1 us-east1 us-west1 "
            "us-west3 us-west4"
        ),
        "NVIDIA_A100_80GB": "asia-southeast1 europe-west4 us-central1 us-east4 us-east5",
        "NVIDIA_L4": (
            "asia-east1 asia-northeast1 asia-northeast3 asia-south1 asia-southeast1 europe-west1 europe-west2 "
            "europe-west3 europe-west4 europe-west6 me-central2 northamerica-northeast1 northamerica-northeast2 "
            "us-central1 us-east1 us-east4 us-west1 us-west4"
        ),
        "NVIDIA_H100_80GB": (
            "asia-east1 asia-northeast1 asia-northeast3 asia-south1 asia-south2 asia-southeast1 australia-southeast1 "
            "europe-north1 europe-west1 europe-west2 europe-west3 europe-west4 europe-west8 europe-west9 "
            "northamerica-northeast2 us-central1 us-east4 us-east5 us-west1 us-west4"
        ),
        "NVIDIA_H100_MEGA_80GB": (
            "asia-northeast1 asia-northeast3 asia-south1 asia-southeast1 australia-southeast1 europe-west1 "
            "europe-west3 europe-west4 northamerica-northeast2 us-central1 us-east4 us-east5 us-west1 us-west4"
        ),
    }.items()
}

#: Every accelerator that the API has a name for (AcceleratorType, v1).
ACCELERATORS = (
    *dict.fromkeys((*ATTACHED, *(kind for _, _, _, kind, _ in WITH_ACCELERATORS))),
    "NVIDIA_TESLA_K80",
    "NVIDIA_B200",
    "NVIDIA_GB200",
    "NVIDIA_RTX_PRO_6000",
    "TPU_V2",
    "TPU_V3",
    "TPU_V4_POD",
    "TPU_V5_LITEPOD",
)
