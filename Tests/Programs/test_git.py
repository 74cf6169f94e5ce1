import pytest
from support import run

IDENTITY = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]


def git(directory, *arguments):
    return run("git", *IDENTITY, "-C", directory, *arguments)


def fsck(directory):
    return git(directory, "fsck", "--full", "--strict", "--no-dangling", "--no-progress")


@pytest.fixture
def repository(lake, mount):
    """Three commits over 300 files, packed but for the last, made on three days."""
    top = mount / "project"
    run("git", *IDENTITY, "init", "-q", top)
    for number in range(300):
        path = top / f"part{number % 10}" / f"file{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"line {number}\n" * number)
    git(top, "add", ".")
    git(top, "commit", "-qm", "first")
    lake.next_day()
    git(top, "mv", "part1", "moved")
    git(top, "rm", "-rq", "part2")
    git(top, "commit", "-qm", "second")
    git(top, "gc", "-q", "--prune=now")
    lake.next_day()
    (top / "part3/file3").write_text("changed\n")
    git(top, "commit", "-qam", "third")
    return top


def test_repository_survives_gc_and_is_published_whole(lake, repository):
    def read():
        assert fsck(repository) == ""
        assert git(repository, "status", "--porcelain") == ""
        assert len(git(repository, "ls-files").splitlines()) == 270
        return git(repository, "log", "--format=%H %s")

    log = lake.publish(read)
    assert [line.split()[1] for line in log.splitlines()] == ["third", "second", "first"]


def test_clones_inside_and_out_of_the_mount_are_equal(lake, mount, repository):
    inside, outside, back = mount / "clone", lake.outside / "clone", mount / "back"
    git(mount, "clone", "-q", repository, inside)
    git(mount, "clone", "-q", repository, outside)
    git(mount, "clone", "-q", outside, back)
    assert fsck(outside) == ""

    def read():
        assert fsck(inside) == fsck(back) == ""
        logs = {git(clone, "log", "--stat", "--format=%H") for clone in [repository, inside, outside, back]}
        return len(logs)

    assert lake.publish(read) == 1


def test_rebase_checkout_and_stash(lake, repository):
    git(repository, "checkout", "-qb", "topic", "HEAD~1")
    (repository / "part4/new").write_text("new\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "topic")
    git(repository, "rebase", "-q", "main")
    (repository / "part5/file5").write_text("later\n")
    git(repository, "stash", "-q")
    git(repository, "checkout", "-q", "main")
    assert not (repository / "part4/new").exists()
    git(repository, "checkout", "-q", "topic")
    git(repository, "stash", "pop", "-q")

    def read():
        assert fsck(repository) == ""
        return git(repository, "log", "--format=%s") + git(repository, "status", "--porcelain")

    assert lake.publish(read) == "topic\nthird\nsecond\nfirst\n M part5/file5\n"
