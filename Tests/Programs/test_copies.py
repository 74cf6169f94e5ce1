"""Programs that copy trees, with all that belongs to a file."""
import hashlib
import subprocess

from support import run, shell, tree


def differences(*directories):
    """What rsync would do to make the second directory like the first."""
    return run("rsync", "-naAXic", "--delete", *(f"{directory}/" for directory in directories))


def test_rsync_both_ways(lake, mount, original):
    copy, back = mount / "copy", lake.outside / "back"
    run("rsync", "-aHAX", f"{original}/", copy)
    run("rsync", "-aHAX", f"{copy}/", back)
    assert (copy / "table.csv").samefile(copy / "deep/twin.csv")
    assert (copy / "table.csv").stat().st_nlink == 2
    assert (back / "table.csv").samefile(back / "deep/twin.csv")
    assert run("rsync", "-naHAXic", "--delete", f"{original}/", copy) == ""
    assert lake.publish(lambda: differences(original, copy) + differences(copy, back)) == ""
    assert tree(copy) == tree(original)


def test_rsync_in_place_and_append(lake, mount, original):
    copy = mount / "copy"
    (original / "deep/twin.csv").unlink()
    run("rsync", "-aAX", f"{original}/", copy)
    lake.next_day()
    inode = (copy / "deep/random").stat().st_ino
    with (original / "deep/random").open("r+b") as file:
        file.seek(500_000)
        file.write(b"edited in the middle")
    run("rsync", "-aAX", "--inplace", "--no-whole-file", f"{original}/", copy)
    assert (copy / "deep/random").stat().st_ino == inode
    lake.next_day()
    with (original / "table.csv").open("a") as file:
        file.write("20000,appended\n")
    run("rsync", "-aAX", "--append", f"{original}/", copy)
    (original / "program").unlink()
    run("rsync", "-aAX", "--delete", f"{original}/", copy)
    assert lake.publish(lambda: differences(original, copy)) == ""


def archive(directory, *options):
    """The SHA-256 of an archive of all that tar knows about the directory."""
    command = ["tar", "--sort=name", "--numeric-owner", "--xattrs", "--format=posix", *options,
               "--pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime", "-c", "-C", directory, "."]
    return hashlib.sha256(subprocess.run(command, check=True, timeout=60, stdout=subprocess.PIPE).stdout).hexdigest()


def test_tar(lake, mount, original):
    copy = mount / "copy"
    copy.mkdir()
    run("tar", "--xattrs", "-cf", lake.outside / "a.tar", "-C", original, ".")
    run("tar", "--xattrs", "-xpf", lake.outside / "a.tar", "-C", copy)
    assert archive(copy) == archive(original)
    # Committed hard links are files with the same content (SEMANTICS B3).
    expected = archive(original, "--hard-dereference")
    assert lake.publish(lambda: archive(copy, "--hard-dereference")) == expected


def test_cp_archive(lake, mount, original):
    copy = mount / "copy"
    run("cp", "-a", original, copy)
    assert (copy / "table.csv").samefile(copy / "deep/twin.csv")
    run("cp", "-a", copy, mount / "second")
    run("cp", "-a", copy, lake.outside / "back")
    lake.publish()
    assert tree(copy) == tree(original) == tree(mount / "second") == tree(lake.outside / "back")


def test_zip(lake, mount, original):
    # unzip leaves out line ends in names.
    (original / "deep/er/größe und\nzeile").rename(original / "deep/er/größe")
    run("cp", "-r", original, mount / "copy")
    shell("zip -qry a.zip copy; zip -q a.zip -d copy/program; rm copy/program; unzip -q a.zip -d out", cwd=mount)

    def read():
        shell("unzip -tq a.zip; diff -r --no-dereference copy out/copy", cwd=mount)
        return len(shell("unzip -Z1 a.zip", cwd=mount).splitlines())

    assert lake.publish(read) == 12
