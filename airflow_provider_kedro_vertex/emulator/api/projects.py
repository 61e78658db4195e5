"""``Projects.GetProject`` of Resource Manager (v3), which the SDK asks who owns a bucket.

Every project is there, and all have one number: that of the buckets of gcp-storage-emulator, so that a bucket belongs
to whichever project asks.
"""

from __future__ import annotations

import re

from airflow_provider_kedro_vertex.emulator.resources.errors import Violation, invalid_argument
from airflow_provider_kedro_vertex.emulator.resources.protos import Message

PROJECT_NUMBER = 1234

_NAME = re.compile(r"projects/([a-z0-9][-a-z0-9.:]{0,61}[a-z0-9])")


def request() -> Message:
    """An empty ``GetProjectRequest``."""
    # Imported when it is asked for: few clients do, and the package is large.
    from google.cloud.resourcemanager_v3.types import GetProjectRequest

    return GetProjectRequest.pb(GetProjectRequest())


def get_project(message: Message) -> Message:
    """``Projects.GetProject``.

    :raises ApiError: INVALID_ARGUMENT if the name is of another form.
    """
    from google.cloud.resourcemanager_v3.types import Project

    match = _NAME.fullmatch(message.name)
    if match is None:
        raise invalid_argument(Violation("name", f'"{message.name[:100]}" is not of the form projects/{{project}}.'))
    project = Project(
        name=f"projects/{PROJECT_NUMBER}", project_id=match[1], display_name=match[1], state=Project.State.ACTIVE
    )
    return Project.pb(project)
