"""Write core/settings/machine_prices.py from the file of prices beside this one: ``make prices``.

machine_prices.csv has a line for each price: what it is for, US dollars an hour in us-central1, when it was looked up,
and where. To renew a price change its line, and say where the new one comes from.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PRICES = Path(__file__).with_suffix(".csv")
MODULE = Path(__file__).parents[1] / "airflow_provider_kedro_vertex" / "core" / "settings" / "machine_prices.py"

#: What the file's last column stands for.
SOURCES = {
    "general": "general knowledge of Compute Engine's on-demand list prices; compared with no published list",
    "catalog": "catalogs/v8/gcp/vms.csv of skypilot-catalog, commit 006059e, which is made from Google's price list",
    "page": "Vertex AI's price page: it shows n1-standard-4 for 0.21849885, 1.15 times Compute Engine's price",
}

_HEAD = '''"""What machines of Vertex AI cost: ESTIMATES, to compare machines by. No bill will be these.

Written by tools/machine_prices.py from tools/machine_prices.csv; change it there. US dollars an hour in us-central1, on
demand. Not in it: other regions, discounts, disks, Spot, taxes. A family's rates are those that the prices of its
machines follow from. Behind each price is the day on which it was looked up, and where:

{sources}
"""

from __future__ import annotations

PRICED_REGION = "us-central1"
#: The oldest of the prices.
AS_OF = "{as_of}"

#: What Vertex AI asks in proportion to Compute Engine's own price.
SURCHARGE = {surcharge}
'''


class Price(NamedTuple):
    """A line of the file."""

    kind: str
    name: str
    dollars_an_hour: str
    date: str
    source: str


def read() -> list[Price]:
    """Read the file of prices.

    :raises ValueError: a line names no known source, or has no price.
    """
    with PRICES.open(encoding="utf-8", newline="") as file:
        prices = [Price(**row) for row in csv.DictReader(file)]
    for price in prices:
        if price.source not in SOURCES or float(price.dollars_an_hour) <= 0:
            raise ValueError(f"{PRICES.name}: {price} has no price, or a source that is none of {', '.join(SOURCES)}")
    return prices


def module(prices: list[Price]) -> str:
    """Write the module's text."""
    (surcharge,) = (price for price in prices if price.kind == "surcharge")
    head = _HEAD.format(
        sources="\n".join(f"- {name}: {meaning}." for name, meaning in SOURCES.items()),
        as_of=min(price.date for price in prices),
        surcharge=f"{surcharge.dollars_an_hour}  # {surcharge.date}, {surcharge.source}",
    )
    return head + "".join(
        f"\n#: Dollars an hour for {what}.\n{name}: dict[str, float] = {{\n{''.join(_lines(prices, kind))}}}\n"
        for name, kind, what in (
            ("VCPU_DOLLARS", "vcpu", "one vCPU, by family"),
            ("GIB_DOLLARS", "gib", "one GiB of memory, by family"),
            ("MACHINE_DOLLARS", "machine", "a machine without its accelerators, where its family has no rates"),
            ("ACCELERATOR_DOLLARS", "accelerator", "one accelerator"),
        )
    )


def _lines(prices: list[Price], kind: str) -> Iterator[str]:
    for price in prices:
        if price.kind == kind:
            yield f'    "{price.name}": {price.dollars_an_hour},  # {price.date}, {price.source}\n'


if __name__ == "__main__":
    MODULE.write_text(module(read()), encoding="utf-8")
