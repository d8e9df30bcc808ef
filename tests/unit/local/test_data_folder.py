"""The data folder of `make run` is for its user alone, or there is one clear sentence."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from local.choices import claim
from local.program import NOBODY
from local.servers import CannotStart

Giving = Callable[[Path], None]


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Giving:
    """Only root can; any other user is for these tests somebody else than before."""
    if os.geteuid() == 0:
        return lambda path: os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return lambda _: monkeypatch.setattr(os, "geteuid", lambda: NOBODY)


def start_in(folder: Path) -> None:
    os.close(claim(folder))


def refusal(folder: Path) -> str:
    with pytest.raises(CannotStart) as refused:
        start_in(folder)
    return str(refused.value)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_closed_to_others(tmp_path: Path) -> None:
    start_in(tmp_path / "new" / "data")

    assert mode(tmp_path / "new" / "data") == 0o700
    assert mode(tmp_path / "new" / "data" / "lock") == 0o600


def test_the_folder_of_an_earlier_version_is_closed_with_what_it_holds(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "valkey" / "appendonlydir").mkdir(parents=True)
    files = [data / name for name in ("lock", "postgres.log", "flower.json", "valkey/appendonlydir/appendonly.aof")]
    for file in files:
        file.touch()
        file.chmod(0o644)
    data.chmod(0o775)

    start_in(data)

    assert {mode(file) for file in files} == {0o600}
    assert {mode(folder) for folder in (data, data / "valkey", data / "valkey" / "appendonlydir")} == {0o700}


@pytest.mark.parametrize(("held", "bits"), [("documents", 0o755), ("documents", 0o750), ("lock", 0o1777)])
def test_an_open_folder_that_holds_other_things_is_left_alone(tmp_path: Path, held: str, bits: int) -> None:
    (tmp_path / held).touch()
    tmp_path.chmod(bits)

    assert "is open to other users and holds other things" in refusal(tmp_path)
    assert mode(tmp_path) == bits


def test_the_folder_of_another_user_is_refused(tmp_path: Path, give_away: Giving) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    give_away(data)

    assert refusal(data) == f"{data} belongs to another user: name a folder of yours with DATA_DIR."


@pytest.mark.parametrize("way", ["link", "folder/link/data", "own/data"])
def test_a_folder_behind_the_link_of_another_user_is_refused(tmp_path: Path, give_away: Giving, way: str) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / ("folder/link" if way == "folder/link/data" else "link")
    link.symlink_to(tmp_path)
    (tmp_path / "own").symlink_to("link")
    give_away(link)

    assert refusal(tmp_path / way) == (
        f"{link}, on the way to the data, is a link of another user: name a folder of yours with DATA_DIR."
    )


def test_a_link_of_ones_own_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "var").symlink_to("disk")

    start_in(tmp_path / "var")

    assert mode(tmp_path / "disk") == 0o700


def test_links_that_lead_nowhere_are_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")

    with pytest.raises(OSError, match="one"):
        start_in(tmp_path / "one")
