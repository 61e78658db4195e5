"""What a build elsewhere gets of a project: the files that git knows or would add, in an archive."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from pathlib import Path

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.image.commit import CREDENTIALS_OF_CI


def source_archive(project: Path) -> bytes:
    """Pack the files of a folder that git does not ignore, as they are now. The same files make the same bytes.

    :raises ConfigError: there is no git, or the folder is in no repository.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".", CREDENTIALS_OF_CI]
    try:
        listed = subprocess.run(command, cwd=project, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise ConfigError(
            f"{project} is in no git repository, whose files would be sent to Cloud Build.",
            "Make one (git init), or build here, without --cloud-build.",
        ) from None
    names = sorted({name.decode("utf-8", "surrogateescape") for name in listed.split(b"\0") if name})
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|") as archive,
    ):
        for name in names:
            path = project / name
            if path.is_symlink() or path.is_file():  # one that git knows may be deleted here
                archive.add(path, name, recursive=False, filter=_without_owner_and_time)
    return packed.getvalue()


def _without_owner_and_time(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
