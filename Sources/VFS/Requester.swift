import Glibc
import Staging

/// Who asks for a change of a file.
package struct Requester {
    let userID: UInt32
    let groupID: UInt32
    /// Asked for only where it matters: the kernel does not send them along.
    private let otherGroups: () -> [UInt32]

    package init(userID: UInt32, groupID: UInt32, otherGroups: @escaping () -> [UInt32]) {
        self.userID = userID
        self.groupID = groupID
        self.otherGroups = otherGroups
    }

    /// Whether Linux lets this one keep the set-group-ID bit of a file of the group (setattr_should_drop_sgid).
    func mayKeep(_ group: UInt32) -> Bool {
        userID == 0 || groupID == group || otherGroups().contains(group)
    }
}

extension OverlayEntry {
    /// Takes set-user-ID and set-group-ID from a file, as Linux does when it is written: the latter stays where the group
    /// may not execute (a mark for mandatory locks) and the writer is of that group. Also when root writes: the kernel
    /// leaves it to us.
    ///
    /// - Parameter group: the file's.
    mutating func dropPrivileges(by requester: Requester, group: UInt32) {
        guard !isDirectory else { return }
        mode &= ~UInt16(Glibc.S_ISUID)
        guard mode & UInt16(Glibc.S_ISGID) != 0 else { return }
        if mode & UInt16(Glibc.S_IXGRP) != 0 || !requester.mayKeep(group) { mode &= ~UInt16(Glibc.S_ISGID) }
    }
}
