"""The commit that an image is built of, by git; a project need not be in a repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

#: ``${commit_id}`` in the configuration, and the tag of the image in the file that `kedro vertex init` writes.
COMMIT_VARIABLE = "KEDRO_CONFIG_COMMIT_ID"
#: google-github-actions/auth writes its file beside the project; no image gets it.
CREDENTIALS_OF_CI = ":(exclude)gha-creds-*.json"


def head_commit(folder: Path) -> str | None:
    """The full hash of the commit that is checked out; None without git, a repository or a commit."""
    return _git(folder, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")


def has_changes(folder: Path) -> bool:
    """Tell whether a folder has files that git does not ignore and that are not as they are in the commit."""
    return bool(_git(folder, "status", "--porcelain", "--", ".", CREDENTIALS_OF_CI))


def _git(folder: Path, *arguments: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
