"""Where an image is in Artifact Registry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

#: Artifact Registry keeps what has an address of Container Registry in a repository of that name.
_OLD_HOSTS = {"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}
_IMAGE = re.compile(r"(?P<path>[^@]+?)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]*))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?")


@dataclass(frozen=True)
class RegistryImage:
    """An image in Artifact Registry.

    :param image: its name in the repository.
    :param tag: ``latest`` if the name has none.
    :param digest: ``sha256:..``; it wins over the tag.
    """

    project_id: str
    location: str
    repository: str
    image: str
    tag: str
    digest: str | None

    @property
    def repository_name(self) -> str:
        """The repository's resource name."""
        return f"projects/{self.project_id}/locations/{self.location}/repositories/{self.repository}"

    @property
    def version_name(self) -> str:
        """The resource name of the tag, or of what the digest names."""
        version = f"versions/{self.digest}" if self.digest else f"tags/{self.tag}"
        return f"{self.repository_name}/packages/{quote(self.image, safe='')}/{version}"


def registry_image(name: str) -> RegistryImage | None:
    """Read an image's name; None for one that is not in Artifact Registry."""
    host, _, rest = name.partition("/")
    found = _IMAGE.fullmatch(rest)
    if not found:
        return None
    parts = found["path"].split("/")
    if host.endswith("-docker.pkg.dev") and len(parts) > 2:
        location = host.removesuffix("-docker.pkg.dev")
        project_id, repository, image = parts[0], parts[1], "/".join(parts[2:])
    elif host in _OLD_HOSTS and len(parts) > 1:
        location, repository = _OLD_HOSTS[host], host
        project_id, image = parts[0], "/".join(parts[1:])
    else:
        return None
    return RegistryImage(project_id, location, repository, image, found["tag"] or "latest", found["digest"])
