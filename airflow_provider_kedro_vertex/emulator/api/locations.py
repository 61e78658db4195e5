"""``google.cloud.location.Locations``: the regions of Vertex AI, which every project has."""

from __future__ import annotations

import re

from google.cloud.location import locations_pb2

from airflow_provider_kedro_vertex.emulator.resources.errors import (
    Violation,
    invalid_argument,
    not_found,
    unimplemented,
)
from airflow_provider_kedro_vertex.emulator.resources.protos import Message

GetLocationRequest = locations_pb2.GetLocationRequest
ListLocationsRequest = locations_pb2.ListLocationsRequest

REGIONS = (
    "africa-south1", "asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2", "asia-northeast3",
    "asia-south1", "asia-south2", "asia-southeast1", "asia-southeast2", "australia-southeast1",
    "australia-southeast2", "europe-central2", "europe-north1", "europe-north2", "europe-southwest1", "europe-west1",
    "europe-west12", "europe-west2", "europe-west3", "europe-west4", "europe-west6", "europe-west8", "europe-west9",
    "me-central1", "me-central2", "me-west1", "northamerica-northeast1", "northamerica-northeast2",
    "southamerica-east1", "southamerica-west1", "us-central1", "us-east1", "us-east4", "us-east5", "us-east7",
    "us-south1", "us-west1", "us-west2", "us-west3", "us-west4", "us-west8",
)  # fmt: skip
"""From https://cloud.google.com/vertex-ai/docs/general/locations."""

_PROJECT = re.compile(r"projects/[a-z0-9][-a-z0-9.:]{0,61}[a-z0-9]")


def get_location(request: Message) -> Message:
    """``Locations.GetLocation``."""
    project, _, region = request.name.partition("/locations/")
    if region not in REGIONS or not _PROJECT.fullmatch(project):
        raise not_found("Location", request.name[:150])
    return _location(project, region)


def list_locations(request: Message) -> Message:
    """``Locations.ListLocations``: all on one page. A filter is not read."""
    if not _PROJECT.fullmatch(request.name):
        raise invalid_argument(Violation("name", f'"{request.name[:100]}" is not of the form projects/{{project}}.'))
    if request.filter:
        raise unimplemented("A filter of locations")
    return locations_pb2.ListLocationsResponse(locations=[_location(request.name, region) for region in REGIONS])


def _location(project: str, region: str) -> Message:
    return locations_pb2.Location(name=f"{project}/locations/{region}", location_id=region)
