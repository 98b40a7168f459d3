"""Nightly backups: whole or not there, opened before they count, and the latest of them kept."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from gateway.app import start
from gateway.backup import archive, making, rotation
from gateway.backup.making import UNFINISHED, make
from gateway.errors import StoreError
from gateway.settings import Settings
from gateway.types.measures import DAY
from storage import Store
from tests.jobs import HandClock, at

NIGHT = at("2026-03-03 03:30")


async def made(store: Store, folder: Path, name: str = "parley-nightly-20260303-0330.tar.gz", **more: object):
    media = folder / "media"
    media.mkdir(exist_ok=True)
    (media / "a.png").write_bytes(b"a picture")
    facts = {"file": folder / "parley.db", "media": media, "settings": {"web": {"token": "***"}}, "keep": 2}
    return await make(store.database, folder=folder / "backups", name=name, **(facts | more))  # type: ignore[arg-type]


async def test_a_backup_has_the_database_the_files_and_the_settings(store: Store, tmp_path: Path) -> None:
    found = await made(store, tmp_path)
    assert found.path == tmp_path / "backups" / "parley-nightly-20260303-0330.tar.gz"
    assert found.bytes == found.path.stat().st_size and found.path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(found.path) as tar:
        assert {"parley.db", "media/a.png", "settings.json"} <= set(tar.getnames())
    archive.unpack(found.path, tmp_path / "backups")
    assert archive.verify(tmp_path / "backups" / "parley.db").sessions == found.sessions == 0


async def test_the_latest_are_kept_and_nothing_that_the_gateway_did_not_make(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "parley-20200101-000000.tar.gz").write_text("made by hand")
    (folder / "notes").write_text("mine")
    for day in range(1, 5):
        found = await made(store, tmp_path, f"parley-nightly-2026030{day}-0330.tar.gz")
    assert found.removed == ("parley-nightly-20260302-0330.tar.gz",)
    assert sorted(each.name for each in folder.iterdir()) == [
        "notes",
        "parley-20200101-000000.tar.gz",
        "parley-nightly-20260303-0330.tar.gz",
        "parley-nightly-20260304-0330.tar.gz",
    ]


class Spoilt:
    """A database whose copy has a hole in it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    async def backup(self, target: Path) -> None:
        shutil.copyfile(self.file, target)
        with target.open("r+b") as copy:
            copy.seek(4096)
            copy.write(b"\xff" * 8192)


async def test_a_copy_that_is_not_sound_gets_no_name_and_nothing_older_goes(
    store: Store, tmp_path: Path
) -> None:
    await made(store, tmp_path)
    whole = tmp_path / "whole.db"
    archive.unpack(tmp_path / "backups" / "parley-nightly-20260303-0330.tar.gz", tmp_path / "backups")
    shutil.move(tmp_path / "backups" / "parley.db", whole)
    with pytest.raises(StoreError):
        await make(
            Spoilt(whole),
            file=whole,
            media=tmp_path / "media",
            settings={},
            folder=tmp_path / "backups",
            name="parley-nightly-20260304-0330.tar.gz",
            keep=1,
        )
    names = {each.name for each in (tmp_path / "backups").iterdir()}
    assert "parley-nightly-20260303-0330.tar.gz" in names
    assert not any("20260304" in name or name.startswith(UNFINISHED) for name in names)


@pytest.mark.parametrize("at_byte", [1, 5, 9])  # tenths of the file
async def test_what_was_packed_is_opened_before_it_counts(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_byte: int
) -> None:
    """The disk lies: what is read back from the file is not what was written."""
    packed = archive.pack

    def lies(target: Path, **facts: object) -> None:
        packed(target, **facts)  # type: ignore[arg-type]
        content = bytearray(target.read_bytes())
        content[at_byte * len(content) // 10] ^= 0xFF
        target.write_bytes(content)

    monkeypatch.setattr(archive, "pack", lies)
    with pytest.raises(StoreError):
        await made(store, tmp_path)
    assert list((tmp_path / "backups").iterdir()) == []


async def test_without_room_it_says_how_much_it_needs(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "SPARE", 1 << 60)
    with pytest.raises(StoreError, match=r"a backup needs \d+ MB in .*backups, only \d+ MB are free there"):
        await made(store, tmp_path)


async def test_what_an_earlier_process_left_behind_goes(store: Store, tmp_path: Path) -> None:
    left = tmp_path / "backups" / f"{UNFINISHED}x1y2"
    left.mkdir(parents=True)
    (left / "parley.db").write_text("half")
    await made(store, tmp_path)
    assert not left.exists()


async def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(store: Store, tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("a file")
    with pytest.raises(StoreError, match="backups"):
        await made(store, tmp_path)


def test_a_nightly_backup_is_called_after_its_planned_time_there() -> None:
    assert rotation.name_of(NIGHT, "Europe/Berlin") == "parley-nightly-20260303-0430.tar.gz"
    names = ["parley-nightly-20260303-0430.tar.gz", "parley-nightly-20260302-0430.tar.gz", "other"]
    assert rotation.too_many(names, names[0], 1) == ["parley-nightly-20260302-0430.tar.gz"]
    assert rotation.too_many(names, names[0], 2) == rotation.too_many(names, names[0], 14) == []


def test_backups_by_night_and_by_hand_make_no_room_for_one_another_nor_for_what_is_named_otherwise() -> None:
    by_hand = rotation.by_hand(NIGHT, "Europe/Berlin", {"parley-20260303-043000.tar.gz"})
    assert by_hand == "parley-20260303-043001.tar.gz"
    names = [by_hand, "parley-20260101-000000.tar.gz", "parley-nightly-20260101-0330.tar.gz", "a.tar.gz"]
    assert rotation.too_many(names, by_hand, 1) == ["parley-20260101-000000.tar.gz"]
    assert rotation.too_many(names, "parley-nightly-20260303-0430.tar.gz", 1) == []
    assert rotation.too_many(names, "a.tar.gz", 1) == rotation.too_many(names, by_hand, 0) == []


async def test_the_gateway_makes_them_by_itself_as_it_is_configured(tmp_path: Path) -> None:
    clock = HandClock(NIGHT - DAY // 2)
    settings = Settings.model_validate(
        {"gateway": {"data_dir": tmp_path / "data"}, "backup": {"keep": 2, "folder": str(tmp_path / "b")}}
    )
    app = await start(settings, environ={}, clock=clock)
    try:
        for day in range(4):
            await app.nightly.look()
            clock.now = NIGHT + day * DAY
            assert await app.nightly.look() == (2 if day else 1)  # with what is too old since the day before
        app.settings = settings.model_copy(update={"backup": settings.backup.model_copy(update={"at": ""})})
        clock.now += DAY
        assert await app.nightly.look() == 1
    finally:
        await app.stop()
    assert sorted(each.name for each in (tmp_path / "b").iterdir()) == [
        "parley-nightly-20260305-0330.tar.gz",
        "parley-nightly-20260306-0330.tar.gz",
    ]
