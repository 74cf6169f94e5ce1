"""Small programs, one promise each."""
import mmap
import os

import pytest
from support import run, run_together, shell


@pytest.fixture
def here(mount):
    """Runs a script in the mount."""
    return lambda script, **options: shell(script, cwd=mount, **options)


def test_cp_reflink_auto(lake, mount, here):
    content = os.urandom(1_000_000)
    (mount / "a").write_bytes(content)
    here("cp --reflink=auto a b; printf edited | dd of=b bs=1 seek=500000 conv=notrunc status=none")
    edited = content[:500_000] + b"edited" + content[500_006:]
    assert lake.publish(lambda: [(mount / name).read_bytes() for name in "ab"]) == [content, edited]


def test_mv_between_directories(lake, mount, here):
    here("mkdir -p x/deep y; echo one > x/deep/file; echo two > x/other; touch -d 2020-01-01 x/deep/file")
    inode = (mount / "x/deep/file").stat().st_ino
    here("mv x/deep y/moved; mv x/other y/moved/; rmdir x")
    assert (mount / "y/moved/file").stat().st_ino == inode
    assert lake.publish(lambda: here("cd y; find | sort; cat moved/*; find -not -newermt 2020-01-02")) == (
        ".\n./moved\n./moved/file\n./moved/other\none\ntwo\n./moved/file\n")


def test_mv_into_the_mount_and_out(lake, mount, here):
    here("mkdir d; echo in > ../outside/a; touch -d @1500000000.123456789 ../outside/a; chmod 640 ../outside/a")
    here("mv ../outside/a d/; mv d ../outside/; mv ../outside/d e")
    assert lake.publish(lambda: here("stat -c '%a %.9Y' e/a; cat e/a")) == "640 1500000000.123456789\nin\n"


def test_find_newer(lake, here):
    here("touch -d '2026-01-01 00:00:00.000000001' old; touch -d '2026-01-01 00:00:00.000000002' stamp")
    here("touch -d '2026-01-01 00:00:00.000000003' new; mkdir d; echo > d/now; touch -d 2020-01-01 d .")
    assert lake.publish(lambda: here("find -newer stamp | sort")) == "./d/now\n./new\n"


def test_sed_in_place(lake, here):
    here("seq 20000 > n; chmod 600 n; sed -i.before 's/^1$/one/; $d' n")
    assert lake.publish(lambda: here("stat -c %a n; head -n 1 n n.before; wc -l < n; wc -l < n.before")) == (
        "600\n==> n <==\none\n\n==> n.before <==\n1\n19999\n20000\n")


def test_flock_keeps_two_processes_apart(lake, mount, here):
    (mount / "count").write_text("0\n")
    loop = "for i in $(seq 60); do flock lock sh -c 'read n < count; echo $((n + 1)) > count'; done"
    run_together(*[["sh", "-euc", f"cd '{mount}'; {loop}"]] * 2)
    here("flock -s lock true; flock lock flock -n lock true", code=1)
    here("flock -s lock flock -sn lock true")
    assert lake.publish((mount / "count").read_text) == "120\n"


def test_shared_writable_memory_map(lake, mount):
    path = mount / "map"
    path.write_bytes(b"." * 300_000)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as first, mmap.mmap(file.fileno(), 0) as second:
        first[200_000:200_006] = b"mapped"
        assert second[200_000:200_006] == b"mapped"
        first.flush()
        assert run("grep", "-c", "mapped", path) == "1\n"
        os.pwrite(file.fileno(), b"written", 100_000)
        assert second[100_000:100_007] == b"written"
        second[299_999] = ord("!")
    expected = bytearray(b"." * 300_000)
    expected[200_000:200_006], expected[100_000:100_007], expected[299_999] = b"mapped", b"written", ord("!")
    assert lake.publish(path.read_bytes) == expected


def test_dd_without_truncation(lake, here):
    here("seq -w 100000 > n; printf EDIT | dd of=n bs=1 seek=350000 conv=notrunc status=none")
    here("printf END | dd of=n bs=1 seek=1000000 conv=notrunc,fsync status=none")
    here("seq -w 100000 > plain; cmp -n 350000 plain n; cmp -i 350004 -n 249996 plain n")
    read = "stat -c %s n; dd if=n bs=1 skip=350000 count=4 status=none; tail -c +700001 n | tr -d '\\0'"
    assert lake.publish(lambda: here(read)) == "1000003\nEDITEND"


def test_truncate(lake, here):
    here("seq 100000 > n; truncate -s 10 n; truncate -s +2M n; printf x >> n; truncate -s 3G huge; truncate -s 0 huge")
    read = "stat -c %s n huge; tr -d '\\0' < n | od -An -c"
    assert " ".join(lake.publish(lambda: here(read)).split()) == r"2097163 0 1 \n 2 \n 3 \n 4 \n 5 \n x"


def test_fallocate(lake, mount, here):
    (mount / "a").write_bytes(b"x" * 1_000_000)
    here("fallocate -p -o 100000 -l 500000 a; fallocate -l 2000000 a; fallocate -n -l 5000000 a")
    here("fallocate -z -o 900000 -l 50000 a")
    expected = b"x" * 100_000 + bytes(500_000) + b"x" * 300_000 + bytes(50_000) + b"x" * 50_000 + bytes(1_000_000)
    assert lake.publish((mount / "a").read_bytes) == expected


def test_ln(lake, mount, here):
    here("mkdir d; echo one > a; ln a d/b; ln a c; echo two >> d/b; chmod 600 c")
    assert here("stat -c '%h %a' a c; cat a") == "3 600\n3 600\none\ntwo\n"
    assert (mount / "a").samefile(mount / "d/b")
    here("rm a; mv c e")
    assert here("stat -c %h d/b e") == "2\n2\n"
    here("ln e d/b", code=1)
    assert lake.publish(lambda: here("stat -c %a d/b e; cat d/b e; find | sort")) == (
        "600\n600\none\ntwo\none\ntwo\n.\n./d\n./d/b\n./e\n")


def test_edit_of_a_hard_link_after_a_commit_is_seen_under_every_name(lake, mount, here):
    here("echo one > a; ln a b")
    lake.tarn("commit", "-m", "linked", cwd=mount)
    here("echo two >> a; [ a -ef b ]")
    assert lake.publish(lambda: here("cat a b")) == "one\ntwo\none\ntwo\n"


@pytest.mark.parametrize("remove", ["rm f", "echo other > g; mv g f"])
def test_open_file_without_a_name_has_no_links(mount, here, remove):
    """Lock files that are deleted rely on it: who locked the deleted file must try again."""
    here("echo one > f")
    with (mount / "f").open() as file:
        here(remove)
        assert os.fstat(file.fileno()).st_nlink == 0
        assert file.read() == "one\n"


def test_inode_numbers_stay_over_commits_and_changes(lake, mount, here):
    here("mkdir d; echo one > d/f; ln -s f d/l")

    def numbers():
        return [path.lstat().st_ino for path in [mount / "d", mount / "d/f", mount / "d/l"]]

    before = numbers()
    with (mount / "d/f").open("a") as file:
        for change in ["true", "chmod 700 d", "touch -h d/l", "mv d e; mv e d"]:
            here(change)
            file.write("more\n")
            file.flush()
            lake.tarn("commit", "-m", "in between", cwd=mount)
            assert numbers() == before
            assert os.fstat(file.fileno()).st_ino == before[1]


def test_touch(lake, here):
    here("echo > f; touch -d @1500000000.5 f; touch -a -d @1600000000 f; touch -d @1400000000 d; rm d; mkdir d")
    assert here("stat -c %.1Y f") == "1500000000.5\n"
    here("touch -m -d @1700000000.25 f; touch -r f d; touch -c missing; ln -s nowhere l; touch -h -r f l")
    assert lake.publish(lambda: here("stat -c '%n %.2Y' *")) == (
        "d 1700000000.25\nf 1700000000.25\nl 1700000000.25\n")


def test_install(lake, here):
    here("printf '#!/bin/sh\\necho ran\\n' > p; touch -d @1500000000 p; install -D -p -m 750 p bin/tools/p")
    here("install -d -m 700 private; install -m 644 -b p bin/tools/p; install -D -p -m 750 p bin/tools/p~")
    assert lake.publish(lambda: here("stat -c '%a %Y' bin/tools/p~; stat -c %a private bin/tools/p; bin/tools/p~")) == (
        "750 1500000000\n700\n644\nran\n")
