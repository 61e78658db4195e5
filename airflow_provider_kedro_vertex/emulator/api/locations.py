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
from airflow_provider_kedro_vertex.emulator.resources.regions import REGIONS

GetLocationRequest = locations_pb2.GetLocationRequest
ListLocationsRequest = locations_pb2.ListLocationsRequest

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
