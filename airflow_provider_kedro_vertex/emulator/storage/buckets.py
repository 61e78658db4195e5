"""Cloud Storage as the containers see it, as files: a folder that stands for ``/gcs``.

On Vertex AI every container finds the buckets mounted under ``/gcs``, and so does a container of an image here. A
process without root cannot mount anything at a fixed place, so what Vertex AI would call ``/gcs/bucket/path`` is
``<data>/gcs/bucket/path`` for a process, and placeholders and the executor input name that path. What differs from
Vertex AI for a process:

* a container must take its paths from its placeholders (or from kfp, which takes them from the executor input): a
  path under ``/gcs`` that is written out in its code is not there;
* in the executor input (``{{$}}``) an artifact's ``uri`` is the local path too, since kfp makes the path from it; the
  placeholder ``.uri`` and the job's details have the ``gs://`` name.

These files and the objects of a storage emulator are not the same: what a program writes through a Cloud Storage
client is not here.

No folder is made for an output: a container makes the parents of what it writes. Google's documents do not say whether
Vertex AI would make them, and who makes them is right in both cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_SCHEME = "gs://"


@dataclass(frozen=True)
class Buckets:
    """The folder that stands for ``/gcs``. It need not be there."""

    folder: Path

    def path(self, uri: str) -> str:
        """The path of an object by its ``gs://`` name; what has no such name is a path already.

        :raises ValueError: for a name that leads out of its bucket.
        """
        if not uri.startswith(_SCHEME):
            return uri
        name = uri.removeprefix(_SCHEME)
        if "\0" in name or any(part in ("", ".", "..") for part in name.rstrip("/").split("/")):
            raise ValueError(f'"{uri[:200]}" has a NUL, or a part that is empty, "." or "..", which no file can have')
        return f"{self.folder}/{name}"

    def uri(self, path: str) -> str:
        """The ``gs://`` name of a path; what is not in this folder stays as it is."""
        inside = path.removeprefix(f"{self.folder}/")
        return path if inside == path else f"{_SCHEME}{inside}"


MOUNT = Buckets(Path("/gcs"))
"""The buckets as a container of an image sees them, and as Vertex AI's containers do."""
