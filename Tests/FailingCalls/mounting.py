"""A writable mount in which a call fails: what was acknowledged is there, also after kill -9."""
import hashlib
import json
import os
import sys

from client import content
from lake import FIRST, SECOND, STAGED, is_mounted, patience

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "client.py")
CLIENT_SECONDS = patience(30)
# What a workspace of this mount begins with.
BASE = SECOND | STAGED
LARGE = STAGED["large"]
EDITED = LARGE[:200_000] + content(22, 5_000) + LARGE[205_000:]
NEW, LATE = content(21, 20_000), content(25, 5_000)
NEWER = NEW[:100] + content(26, 50) + NEW[150:]
WRITTEN = {"new": ("made/new", (NEW, NEWER)), "edit": ("large", (EDITED,)),
           "bystander": ("bystander", (content(24, 100),)), "late": ("late", (LATE,)),
           "edit2": ("made/new", (NEWER,))}
TOUCHED = {"large", "gone", "cut"}


def hashed(data):
    return hashlib.sha256(data).hexdigest()


class Mounting:
    def __init__(self, lake, scenario, injection, names):
        self.lake, self.scenario = lake, scenario
        self.injection, self.names = injection, names
        self.times = {}
        self.commit_failed = False

    def run(self, make_verdicts):
        lake = self.lake
        os.makedirs(lake.point, exist_ok=True)
        result = lake.injected(self.scenario.arguments(lake), self.injection, self.names)
        is_up = result.code == 0 and is_mounted(lake.point)
        if is_up:
            lake.note_daemon()
        told, seen, published, hung = {}, {}, None, []
        if is_up:
            told, _ = self.client(hung, "first")
            self.client(hung, "read")
            published = self.commit()
            self.commit_failed = published.code != 0
            later, _ = self.client(hung, "second")
            told |= later
            _, seen = self.client(hung, "read")
        place = lake.place(self.injection.failed[0].path) if self.injection.failed else ":"
        self.verdicts = verdicts = make_verdicts(self.scenario.name, self.injection, place)
        if verdicts.ending(result) and not is_up:
            verdicts.say("wrong", "mount ended with 0 and nothing is mounted")
        for one in hung:
            verdicts.say("hang", one)
        if is_up:
            self.judge_daemon(verdicts)
            self.judge_steps(told)
            self.judge_files("in the mount", told, seen, is_new=False)
            if published.code not in (0, None) and not published.errors.strip():
                verdicts.say("silent", "commit failed without a word")
            if published.code is None or published.code < 0:
                verdicts.say("hang" if published.code is None else "crash", "commit")
        self.afterwards(told)
        return verdicts.found

    def commit(self):
        return self.lake.outside(
            [self.lake.binary, "-C", self.lake.point, "commit", "-m", "Commit"])

    def client(self, hung, *action):
        done = self.lake.outside([sys.executable, CLIENT, self.lake.point, *action], CLIENT_SECONDS)
        if done.code is None:
            hung.append(f"a program in the mount did not end ({action[0]})")
        if done.code != 0:
            return {}, {}
        answer = json.loads(done.output)
        self.times |= answer["times"]
        return answer["told"], answer["files"]

    def judge_daemon(self, verdicts):
        """The mount's process must not die of a failure."""
        if not is_mounted(self.lake.point):
            verdicts.say("crash", "the mount is gone")
            return
        try:
            self.lake.description()
        except OSError as error:
            verdicts.say("crash", f"the mount does not answer: {error}")

    def judge_steps(self, told):
        verdicts = self.verdicts
        if verdicts.failed is None:
            for name, answer in told.items():
                if answer != "ok":
                    verdicts.say("failed", f"{name} answered {answer}")
            return
        for name, answer in told.items():
            if verdicts.error == "ENOSPC" and answer == "EIO" and not self.is_poisoned():
                verdicts.say("mistold", f"{name} answered EIO")
            if name.endswith(".again") and answer == "ok" and self.is_sync() and (
                    not self.wrote_again(self.times.get(name, 0))):
                verdicts.say("forgotten", f"{name[:-6]}: fsync failed, then fsync answered 0 "
                             "and nothing was written again")
            if answer != "ok" and verdicts.area == "cache":
                verdicts.say("stopped", f"{name} answered {answer}")
        self.judge_silence(told)
        errors = [name for name, answer in told.items() if answer != "ok"]
        apart = {name.split(".")[0] for name in errors}
        if len(apart) > 1 and not self.is_sync() and not verdicts.stays:
            verdicts.say("spread", f"one failed call failed {', '.join(errors)}")

    def judge_silence(self, told):
        """A failed sync of the workspace is told, or what it was to sync is written again."""
        verdicts, failed = self.verdicts, self.injection.failed[0]
        is_told = self.commit_failed or any(answer != "ok" for answer in told.values())
        if not self.is_sync() or verdicts.area != "state" or is_told:
            return
        after = [one for one in self.injection.met
                 if one.at > failed.at and one.path == failed.path and one.name != failed.name]
        syncs = [one.at for one in self.injection.met
                 if one.at > failed.at and one.path == failed.path and one.name == failed.name]
        if syncs and not any(one.at < syncs[0] for one in after):
            verdicts.say("swallowed", "a sync failed, was called again, and nobody was told")

    def is_poisoned(self):
        """After a failed sync of the workspace's disk every sync answers EIO until a remount."""
        return self.is_sync() and self.verdicts.area == "state"

    def is_sync(self):
        """After a failed sync the workspace may refuse all writing."""
        return self.verdicts.failed.name in ("fsync", "fdatasync")

    def wrote_again(self, until):
        """Whether what the sync that failed had not made durable was written once more.

        For a data file that is a write to a data file, for the database one to the database."""
        failed = self.injection.failed[0]
        parent = os.path.dirname(failed.path)
        is_data = "/data/" in failed.path
        return any(
            one.name in ("pwrite64", "write", "copy_file_range") and failed.at < one.at < until
            and ("/data/" in one.path and "/workspaces/" in one.path if is_data else
                 os.path.dirname(one.path) == parent)
            for one in self.injection.met)

    def judge_files(self, when, told, seen, is_new):
        """Whether what was written, or synced (`is_new`: after a kill), is there."""
        verdicts = self.verdicts
        if verdicts.stays and any(path.endswith("/") for path in seen):
            # A directory that cannot be listed for as long as the failure stays: told by EIO.
            return
        for name, (path, allowed) in WRITTEN.items():
            if path == "made/new" and told.get("new.write") != "ok":
                continue
            is_synced = "ok" in (told.get(f"{name}.fsync"), told.get(f"{name}.again"))
            is_written = told.get(f"{name}.write") == "ok"
            if not (is_synced and is_written if is_new else is_written):
                continue
            if seen.get(path) == "EIO" and self.has_doubtful_write(path, told):
                continue
            self.expect(when, seen, path, allowed)
        if told.get("one.fsync") == "ok" and told.get("one.write") == "ok":
            if hashed(content(23, 3_000)) not in (seen.get("made/one"), seen.get("made/two")):
                verdicts.say("lost", f"{when}: made/one was synced and is {seen.get('made/two')}")
        if told.get("gone.unlink") == "ok" and "gone" in seen and not is_new:
            verdicts.say("wrong", f"{when}: gone was removed and is there")
        if told.get("cut.truncate") == "ok" and not is_new:
            self.expect(when, seen, "cut", (FIRST["cut"][:10],))
        for path, data in BASE.items():
            if path not in TOUCHED:
                self.expect(when, seen, path, (data,))

    def has_doubtful_write(self, path, told):
        """Whether a write to this file was never synced, because the workspace's disk failed."""
        return self.verdicts.failed and self.is_poisoned() and any(
            told.get(f"{name}.write") == "ok" and told.get(f"{name}.fsync") != "ok"
            for name, (written, _) in WRITTEN.items() if written == path)

    def expect(self, when, seen, path, allowed):
        got = seen.get(path, "absent")
        if got in map(hashed, allowed):
            return
        # The one call that fails may be that of this read; a later one answers.
        if self.verdicts.failed and len(got) < 20 and got != "absent" and when == "in the mount":
            return
        self.verdicts.say("lost" if len(got) < 20 else "wrong", f"{when}: {path} is {got[:16]}")

    def afterwards(self, told):
        """Kills the mount, mounts again without failures, and goes on working."""
        lake, verdicts = self.lake, self.verdicts
        lake.end_daemons()
        done = lake.tarn(*self.scenario.arguments(lake), code=None)
        if done.code != 0:
            verdicts.say("stuck", f"mount again: exit {done.code}: {done.errors.strip()[-300:]}")
            return
        lake.note_daemon()
        hung = []
        _, seen = self.client(hung, "read")
        self.judge_files("after a kill", told, seen, is_new=True)
        self.give_up(self.in_doubt(seen), hung)
        done = self.commit()
        if done.code != 0 and "nothing to commit" not in done.errors:
            verdicts.say("stuck", f"commit again: exit {done.code}: {done.errors.strip()[-300:]}")
        _, seen = self.client(hung, "read")
        for one in hung:
            verdicts.say("hang", f"after a kill: {one}")
        exported = lake.exported("main")
        if isinstance(exported, str):
            verdicts.say("lost", f"main: {exported}")
        elif {name: hashed(data) for name, data in exported.items()} != seen:
            verdicts.say("wrong", "the commit has not what the mount shows")
        done = lake.tarn("umount", lake.point, code=None)
        if done.code != 0:
            verdicts.say("stuck", f"umount: exit {done.code}: {done.errors.strip()[-300:]}")
        damage = lake.damage()
        if damage:
            verdicts.say("damage", damage)

    def in_doubt(self, seen):
        """What the next mount may refuse to read, after a failed sync of the workspace's disk."""
        if self.verdicts.failed is None or not self.is_poisoned():
            return []
        return [path for path, got in seen.items() if got == "EIO"]

    def give_up(self, paths, hung):
        """No commit takes files in doubt; one is written anew, the others are removed."""
        if not paths:
            return
        done = self.commit()
        if done.code != 1 or "failed to keep" not in done.errors:
            self.verdicts.say("wrong", f"a commit of files in doubt: exit {done.code}: "
                              f"{done.errors.strip()[-300:]}")
        for action, path in zip(["rewrite", *["remove"] * len(paths)], sorted(paths)):
            told, _ = self.client(hung, action, path)
            if set(told.values()) != {"ok"}:
                self.verdicts.say("stuck", f"{action} {path}: {told}")
