from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.emulator.executors.images import (
    ContainerImage,
    ImageError,
    Noop,
    copy_folder,
    parse_flag,
    parse_noop,
    read_image,
)


def test_a_flag_names_a_folder_and_a_python(tmp_path: Path) -> None:
    name, image = parse_flag(f"europe-west1-docker.pkg.dev/p/r/img:1.0={tmp_path},{sys.executable}")
    assert (name, image.folder, image.python) == (
        "europe-west1-docker.pkg.dev/p/r/img:1.0",
        tmp_path,
        Path(sys.executable),
    )
    assert parse_flag(f"img={tmp_path}")[1].python == Path(sys.executable)


@pytest.mark.parametrize(
    ("flag", "name", "reference"),
    [
        ("eu.gcr.io/p/img:1.0=container", "eu.gcr.io/p/img:1.0", "eu.gcr.io/p/img:1.0"),
        ("img=container:localhost/mine:dev", "img", "localhost/mine:dev"),
    ],
)
def test_a_flag_names_the_image_itself(flag: str, name: str, reference: str) -> None:
    assert parse_flag(flag) == (name, ContainerImage(reference))


def test_a_container_needs_a_reference_after_a_colon() -> None:
    with pytest.raises(ImageError, match="no reference after it"):
        parse_flag("img=container:")


@pytest.mark.parametrize("flag", ["", "img", "img=", "=folder", "img=/,"])
def test_a_flag_of_another_form_is_refused(flag: str) -> None:
    with pytest.raises(ImageError, match=r"form NAME=FOLDER|no Python after"):
        parse_flag(flag)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        parse_flag(f"img={tmp_path / 'none'}")
    with pytest.raises(ImageError, match="no executable file"):
        read_image(tmp_path, tmp_path / "python")
    lonely = tmp_path / "python9"
    lonely.symlink_to(sys.executable)
    with pytest.raises(ImageError, match="nothing called python"):
        read_image(tmp_path, lonely)


def test_a_copy_is_what_an_image_would_hold(tmp_path: Path) -> None:
    source = tmp_path / "project"
    for folder in ("src/pkg/__pycache__", ".git/objects", ".venv/bin", "conf/base", "data/vertex/work"):
        (source / folder).mkdir(parents=True)
    for file in (
        "src/pkg/a.py",
        "src/pkg/__pycache__/a.pyc",
        ".git/config",
        ".venv/bin/python",
        "conf/base/catalog.yml",
        "data/vertex/jobs.sqlite",
        "data/raw.csv",
    ):
        (source / file).write_text(file)
    (source / "link").symlink_to("conf/base/catalog.yml")
    (source / "dangling").symlink_to("nowhere")
    os.mkfifo(source / "pipe")
    target = tmp_path / "copy"
    copy_folder(source, target, source / "data" / "vertex")
    found = sorted(
        str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir() or path.is_symlink()
    )
    assert found == ["conf/base/catalog.yml", "dangling", "data/raw.csv", "link", "src/pkg/a.py"]
    assert os.readlink(target / "link") == "conf/base/catalog.yml"


def test_the_data_folder_is_known_also_when_the_project_is_reached_by_a_link(tmp_path: Path) -> None:
    data = tmp_path / "project" / "data"
    data.mkdir(parents=True)
    (data / "jobs.sqlite").write_text("")
    (tmp_path / "link").symlink_to("project")
    copy_folder(tmp_path / "link", data / "work" / "project", data)
    assert list((data / "work" / "project").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "noop"),
    [
        ("0", Noop(0)),
        ("1.5", Noop(1.5)),
        ("1.5:succeeded", Noop(1.5)),
        ("2:failed", Noop(2, 1)),
        ("2:0", Noop(2)),
        ("2:137", Noop(2, 137)),
    ],
)
def test_noops(text: str, noop: Noop) -> None:
    assert parse_noop(text) == noop
    assert parse_flag(f"a=noop:{text}") == ("a", noop)
    assert parse_noop(str(noop).removeprefix("noop:")) == noop


@pytest.mark.parametrize("text", ["", "x", "-1", "inf", "nan", "1e9", "1:", "1:256", "1:better", "1:1:1", "1."])
def test_wrong_noops(text: str) -> None:
    for read in (parse_noop, lambda text: parse_flag(f"a=noop:{text}")):
        with pytest.raises(ImageError, match="SECONDS:OUTCOME"):
            read(text)
