"""Events of a run of the random campaign: other writers of the branch, discards and updates."""
import os

import trees
from operations import content, raw


class OtherEvents:
    """A part of `Run`."""

    # Others

    def event_others(self, prefix, files, seed):
        if self.committing or self.has_pipes() or not self.is_directory_or_nothing(raw(prefix)):
            return
        directory = os.fsencode(self.sandbox.path("others"))
        trees.remove(directory)
        os.mkdir(directory)
        for path, size, file_seed, time_ in files:
            if not self.can_be_argument(raw(prefix) + raw(path)):
                continue
            if not self.copy_parents(raw(prefix), os.path.dirname(raw(path)), directory):
                continue
            place = directory + b"/" + raw(path)
            if "kindclash" in self.without and not self.is_file_or_nothing(self.under(raw(prefix), raw(path))):
                continue
            if os.path.lexists(place):
                continue
            with open(place, "wb") as file:
                file.write(content(file_seed, size))
            os.utime(place, ns=(time_, time_))
        if not os.listdir(directory):
            return
        arguments = ["--to=" + os.fsdecode(raw(prefix))] if prefix else []
        self.copy_attributes(raw(prefix), directory)
        self.sandbox.tarn("import", os.fsdecode(directory), "-m", "others", *arguments)
        self.theirs, self.theirs_directory = self.export()
        self.theirs_commit = self.sandbox.head()

    event_clash = event_others

    def can_be_argument(self, path):
        """Names on the command line are any bytes, too."""
        try:
            return "rawargs" not in self.without or path.decode() is not None
        except UnicodeDecodeError:
            return False

    def under(self, prefix, path):
        return prefix + b"/" + path if prefix else path

    def is_file_or_nothing(self, path):
        """So that a file and a directory do not come to one path; the directories above count too."""
        mounted = self.model.root + b"/" + path
        if os.path.lexists(mounted) and (os.path.islink(mounted) or os.path.isdir(mounted)):
            return False
        directory = os.path.dirname(path)
        while directory:
            if os.path.lexists(self.model.root + b"/" + directory) and (
                    os.path.islink(self.model.root + b"/" + directory)
                    or not os.path.isdir(self.model.root + b"/" + directory)):
                return False
            directory = os.path.dirname(directory)
        return path not in self.theirs or self.theirs[path].kind == "file"

    def is_directory_or_nothing(self, path):
        """On the branch, where others put files; a directory of ours may be a file there."""
        while path:
            if path in self.theirs and self.theirs[path].kind != "directory":
                return False
            path = os.path.dirname(path)
        return True

    def copy_parents(self, prefix, path, directory):
        """Makes the directories of `path` as the branch has them; false where one of them is something else there."""
        parts = path.split(b"/") if path else []
        for count in range(1, len(parts) + 1):
            below = b"/".join(parts[:count])
            if below and not os.path.isdir(directory + b"/" + below):
                if os.path.lexists(directory + b"/" + below):
                    return False
                os.mkdir(directory + b"/" + below)
                self.copy_attributes(self.under(prefix, below), directory + b"/" + below)
        return True

    def copy_attributes(self, path, place):
        entry = self.theirs.get(path)
        if entry and entry.kind == "directory":
            os.chmod(place, entry.mode)
            for name, value in entry.attributes:
                os.setxattr(place, name, value)

    # Discards

    def event_discard(self, path):
        path = raw(path)
        if self.committing or not self.can_be_argument(path) or not self.is_discardable(path):
            return
        self.close_all()
        arguments = ["--", os.fsdecode(path)] if path else ["--all"]
        self.sandbox.tarn("discard", *arguments, at=self.point)
        self.let_kernel_see()
        now = trees.take(self.model.root)
        below = [name for name in now.keys() | self.base.keys()
                 if not path or name == path or name.startswith(path + b"/")]
        times = {name: entry.mtime for name, entry in now.items() if entry.kind == "directory"} if path else {}
        times |= {name: self.base[name].mtime for name in below if name in self.base}
        inodes = {place: inode for inode, place in self.base_inodes.items()}
        trees.restore(self.model.root, self.base, self.base_directory, below)
        trees.set_times(self.model.root, times)
        for name in below:
            if name in self.base and self.base[name].kind == "directory":
                inodes[name] = os.lstat(self.model.root + b"/" + name).st_ino
        self.base_inodes = {inode: place for place, inode in inodes.items()}
        self.see_base_move()

    def is_discardable(self, path):
        """Whether the directories above are the base's own, in place: else it is not said what comes back."""
        directory = os.path.dirname(path)
        while path:
            try:
                inode = os.lstat(self.model.root + b"/" + directory if directory else self.model.root).st_ino
            except OSError:
                return False
            if self.base_inodes.get(inode) != directory:
                return False
            if not directory:
                break
            directory = os.path.dirname(directory)
        return True

    def event_update(self):
        """`tarn update` brings the branch's new commits below what is staged."""
        if self.committing:
            return
        self.close_all()
        ours = self.committable(self.both())
        want, conflicts = trees.merge(self.base, ours, self.theirs, {})
        if conflicts:
            return
        self.sandbox.tarn("update", at=self.point)
        self.let_kernel_see()
        self.tell_model(want, self.changed_paths(ours, want), self.theirs_directory)
        self.base, self.base_directory, self.base_commit = self.theirs, self.theirs_directory, self.theirs_commit
        self.base_inodes = self.model_directories()
        self.both()
