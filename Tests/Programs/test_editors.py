import os

import pytest
from support import run


@pytest.fixture
def notes(mount):
    path = mount / "notes.txt"
    path.write_text("one\ntwo\n")
    path.chmod(0o640)
    return path


def read(path):
    return {file.name: file.read_text() for file in path.parent.iterdir()}, oct(path.stat().st_mode)


def vim(*commands, **options):
    arguments = [word for command in ["set directory=. backupdir=. backupskip=", *commands] for word in ["-c", command]]
    run("vim", "-Nu", "NONE", "-i", "NONE", "-es", *arguments, **options)


@pytest.mark.parametrize("backupcopy, same_inode", [("no", False), ("yes", True)])
def test_vim(lake, notes, backupcopy, same_inode):
    for change in ["%s/one/first/", "1normal othird"]:
        lake.next_day()
        inode = notes.stat().st_ino
        vim(f"set backup backupcopy={backupcopy} fsync", f"edit {notes}", change, "wq")
        assert (notes.stat().st_ino == inode) == same_inode
    edited, backup = "first\nthird\ntwo\n", "first\ntwo\n"
    assert lake.publish(lambda: read(notes)) == ({"notes.txt": edited, "notes.txt~": backup}, oct(0o100640))


def test_swap_file_of_a_killed_vim_recovers_the_edit(lake, mount, notes):
    swap = mount / ".notes.txt.swp"
    vim(f"edit {notes}", "1normal ounsaved", "preserve", "call system('kill -9 ' .. getpid())", code=-9)
    assert swap.exists()
    vim(f"recover {notes}", "wq")
    swap.unlink()
    assert lake.publish(lambda: read(notes)) == ({"notes.txt": "one\nunsaved\ntwo\n"}, oct(0o100640))


def test_save_by_temporary_file_link_and_rename(lake, mount, notes):
    """As emacs and atomic-write libraries do."""
    os.link(notes, mount / "notes.txt~")
    temporary = mount / ".notes.txt.tmp"
    with temporary.open("w") as file:
        file.write("new\n")
        file.flush()
        os.fchmod(file.fileno(), 0o640)
        os.fsync(file.fileno())
    temporary.rename(notes)
    directory = os.open(mount, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    assert lake.publish(lambda: read(notes)) == ({"notes.txt": "new\n", "notes.txt~": "one\ntwo\n"}, oct(0o100640))
