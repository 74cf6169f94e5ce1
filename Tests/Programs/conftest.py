import os

import pytest
from support import TARN, Lake


@pytest.fixture
def lake(tmp_path):
    assert TARN, "there is no tarn: set TARN, or put it into PATH"
    lake = Lake(tmp_path)
    try:
        lake.start()
        yield lake
    finally:
        lake.stop()


@pytest.fixture
def mount(lake):
    return lake.mount


@pytest.fixture
def original(tmp_path):
    """A tree outside the mount with everything that a copy should keep."""
    top = tmp_path / "original"
    (top / "deep/er").mkdir(parents=True)
    (top / "hollow").mkdir()
    (top / "table.csv").write_text("id,name\n" + "".join(f"{id},name {id}\n" for id in range(20_000)))
    (top / "deep/random").write_bytes(os.urandom(1_000_000))
    (top / "deep/er/empty").touch()
    (top / "deep/er/größe und\nzeile").write_text("a name with everything\n")
    (top / "program").write_text("#!/bin/sh\necho ran\n")
    with (top / "sparse").open("wb") as file:
        file.truncate(2_000_000)
        file.write(b"head")
    (top / "link").symlink_to("deep/random")
    (top / "dangling").symlink_to("/nowhere")
    os.link(top / "table.csv", top / "deep/twin.csv")
    os.setxattr(top / "program", "user.origin", b"handwritten\0")
    os.setxattr(top / "deep", "user.origin", b"directory")
    modes = {"program": 0o755, "sparse": 0o400, "deep/random": 0o640, "deep/er": 0o2750, "hollow": 0o1777}
    for name, mode in modes.items():
        (top / name).chmod(mode)
    if os.geteuid() == 0:
        os.chown(top / "deep/er/empty", 1234, 4321)
        os.chown(top / "dangling", 1234, 4321, follow_symlinks=False)
        os.chown(top / "hollow", 1234, 0)
    names = [path for path in top.rglob("*")] + [top]
    for number, path in enumerate(sorted(names, reverse=True)):
        os.utime(path, ns=(0, 1_500_000_000_123_456_789 + number * 1_000_000_007), follow_symlinks=False)
    return top


skipped = []


def pytest_runtest_logreport(report):
    if report.skipped:
        skipped.append(report.nodeid)


def pytest_sessionfinish(session):
    """A test that was skipped proves nothing: the run has failed."""
    if skipped and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
