import Glibc
import Testing
import Versioning

@testable import tarn

/// Rule: what mountinfo says decides which mount a path lies in, and whose it is.
@Suite struct KernelMountTests {
    private func line(_ text: String) -> KernelMount? { KernelMount(line: Array(text.utf8)[...]) }

    @Test func aLineIsReadAsTheKernelWritesIt() throws {
        let mount = try #require(
            line(
                "97 28 0:52 /sub\\040dir /mnt/a\\040b\\134c rw,nosuid shared:5 master:1 - fuse.tarn tarn#/x rw,user_id=1000,group_id=0"
            ))
        #expect(mount.id == 97 && mount.device == "0:52" && mount.userID == 1000)
        #expect(mount.root == Array("/sub dir".utf8) && mount.point == Array("/mnt/a b\\c".utf8))
        #expect(line("97 28 0:52 / /m rw - fuse.tarn tarn#/x rw,user_id=0,group_id=0")?.point == Array("/m".utf8))
    }

    @Test(arguments: [
        "", "1", "97 28 0:52 / /m rw - fuse.other tarn#/x rw,user_id=0", "97 28 0:52 / /m rw - fuse.tarn tarn#/x",
        "97 28 0:52 / /m rw - fuse.tarn tarn#/x rw", "97 28 0:52 / /m rw - ext4 /dev/sda rw,user_id=0",
        "x 28 0:52 / /m rw - fuse.tarn tarn#/x rw,user_id=0", "97 28 0:52 / /m rw fuse.tarn tarn#/x rw,user_id=0",
    ])
    func whatIsNoneOfOursIsNone(text: String) {
        #expect(line(text) == nil)
    }

    /// What a mount of a stranger says may lead anywhere.
    @Test func onlyOwnMountsAndRootsAreBelieved() throws {
        func mount(_ user: uid_t) -> KernelMount? {
            line("97 28 0:52 / /m rw - fuse.tarn tarn#/x rw,user_id=\(user),group_id=0,allow_other")
        }
        #expect(mount(geteuid())?.isTrusted == true)
        #expect(mount(0)?.isTrusted == true)
        #expect(mount(geteuid() + 4711)?.isTrusted == false)
    }

    @Test func theLastNameOfAPathIsNotFollowed() throws {
        #expect(realPath(ofEntry: Array("/proc/self/no/such".utf8))?.suffix(8) == Array("/no/such".utf8)[...])
        #expect(
            realPath(ofEntry: Array("/tmp/../tmp/x y".utf8))
                == realPath(Array("/tmp".utf8)).map { $0 + Array("/x y".utf8) })
        #expect(realPath(ofEntry: Array("/".utf8)) == [0x2f])
        #expect(realPath(ofEntry: Array("/proc/self".utf8)) == Array("/proc/self".utf8))
        #expect(realPath(ofEntry: Array(".".utf8)) == realPath(Array(".".utf8)))
        #expect(realPath(ofEntry: Array("name".utf8)) == realPath(Array(".".utf8)).map { $0 + Array("/name".utf8) })
    }
}
