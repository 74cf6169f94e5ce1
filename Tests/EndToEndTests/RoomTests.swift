import Foundation
import Glibc
import Testing

/// Room on the workspace's disk, and files without names. SEMANTICS: W16, W21, W30, W31.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct RoomTests {
    private func mounted(_ sandbox: Sandbox) throws -> String { try sandbox.mount("m", "--ref", "main", "--write") }

    private func megabytes(_ sandbox: Sandbox) throws -> Int {
        Int(try sandbox.shell("du -sm state | cut -f1").trimmingCharacters(in: .whitespacesAndNewlines)) ?? .max
    }

    /// Waits until the workspace takes less than `limit` MiB.
    private func expectLess(than limit: Int, _ sandbox: Sandbox, _ what: String) throws {
        for _ in 0..<100 {
            if try megabytes(sandbox) < limit { return }
            usleep(100_000)
        }
        Issue.record("after \(what) the workspace takes \(try megabytes(sandbox)) MiB")
    }

    @Test func roomIsGivenBackWithinSeconds() throws {
        let sandbox = try Sandbox()
        let point = try mounted(sandbox)
        let reserve = "fallocate -l 50M '\(point)/f'"
        for (after, script) in [
            ("removing what was reserved", "\(reserve); rm '\(point)/f'"),
            ("emptying what was reserved", "\(reserve); : > '\(point)/f'"),
            ("punching what was reserved", "\(reserve); fallocate -p -o 0 -l 50M '\(point)/f'"),
            (
                "cutting what was reserved beyond the end",
                "touch '\(point)/g'; fallocate -n -l 50M '\(point)/g'; truncate -s 0 '\(point)/g'"
            ),
            ("cutting", "head -c 50M /dev/urandom > '\(point)/h'; truncate -s 1000 '\(point)/h'"),
            (
                "cutting and writing on",
                "head -c 50M /dev/urandom > '\(point)/h'; truncate -s 1M '\(point)/h'; echo >> '\(point)/h'"
            ),
            ("replacing", "head -c 50M /dev/urandom > '\(point)/i'; echo > '\(point)/j'; mv '\(point)/j' '\(point)/i'"),
            (
                "closing a removed file",
                "exec 7<>'\(point)/k'; head -c 50M /dev/urandom >&7; rm '\(point)/k'; exec 7>&-"
            ),
        ] {
            try sandbox.shell(script)
            try expectLess(than: 10, sandbox, after)
        }
        try sandbox.unmount(point)
    }

    /// What a cut left is there: after writing on, after a copy, and after a mount that was killed.
    @Test func cuttingTakesNothingThatIsShown() throws {
        let sandbox = try Sandbox()
        let point = try mounted(sandbox)
        try sandbox.shell(
            """
            head -c 3M /dev/urandom > want; cp want '\(point)/f'; cp '\(point)/f' '\(point)/copy'
            truncate -s 1M '\(point)/f'; truncate -s 1M want; echo more >> '\(point)/f'; echo more >> want
            cp '\(point)/f' '\(point)/g'; truncate -s 500000 '\(point)/g'; truncate -s 2M '\(point)/g'
            head -c 500000 want > small; truncate -s 2M small; sleep 7
            """)
        let server = try sandbox.server(of: point)
        let look =
            "cmp want '\(point)/f'; cmp small '\(point)/g'; [ $(stat -c %s '\(point)/copy') = 3145728 ]; cmp <(head -c 1M want) <(head -c 1M '\(point)/copy')"
        try sandbox.shell(look)
        sandbox.kill(server, SIGKILL)
        try sandbox.shell("fusermount3 -uz '\(point)'; sleep 0.5")
        _ = try mounted(sandbox)
        try sandbox.shell(look)
        try sandbox.unmount(point)
    }

    @Test func reservedRoomIsCounted() throws {
        let sandbox = try Sandbox()
        let point = try mounted(sandbox)
        let blocks = try sandbox.shell(
            """
            cd '\(point)'; b() { stat -c %b f; }
            fallocate -l 8M f; b; touch f; fallocate -n -l 16M f; b; head -c 1M /dev/zero | dd of=f conv=notrunc status=none; b
            fallocate -p -o 0 -l 4M f; b; truncate -s 12M f; b; truncate -s 0 f; b
            """
        ).split(separator: "\n").compactMap { Int($0) }
        let expected = [8, 16, 16, 12, 12, 0].map { $0 << 11 }
        #expect(zip(blocks, expected).allSatisfy { abs($0 - $1) <= 64 } && blocks.count == 6, "\(blocks)")
        try sandbox.unmount(point)
    }

    /// O_PATH opens nothing, and yet the file can be opened by it.
    @Test(arguments: [true, false])
    func fileHeldByItsPlaceIsThere(isCommitted: Bool) throws {
        let sandbox = try Sandbox()
        let point = try mounted(sandbox)
        try sandbox.write(point + "/f", "content")
        try sandbox.write(point + "/new", "other")
        if isCommitted { try sandbox.tarn("commit", "-m", "first", at: point) }
        let script = """
            import os, time
            os.chdir('\(point)')
            for end in (lambda: os.unlink('f'), lambda: os.rename('new', 'g')):
                name = 'f' if os.path.exists('f') else 'g'
                fd = os.open(name, os.O_PATH)
                end()
                time.sleep(7)
                assert os.fstat(fd).st_nlink == 0, os.fstat(fd)
                with open(f'/proc/self/fd/{fd}') as file: assert file.read() == 'content'
                os.close(fd)
                open('g', 'w').write('content')
            """
        try sandbox.write("held.py", script)
        try sandbox.shell("python3 held.py")
        #expect(try sandbox.shell("ls '\(point)'") == "g\n")
        try sandbox.unmount(point)
    }

    /// A data file that a commit made superfluous takes no room, though a file that it showed was open.
    @Test func roomOfCommittedFilesThatAreOpenIsGivenBack() throws {
        let sandbox = try Sandbox()
        let point = try mounted(sandbox)
        try sandbox.shell(
            """
            exec 7<>'\(point)/f'; head -c 50M /dev/urandom >&7; '\(Sandbox.binary)' -C '\(point)' commit -m one >/dev/null
            echo more >&7; '\(Sandbox.binary)' -C '\(point)' commit -m two >/dev/null
            [ $(stat -c %s '\(point)/f') = 52428805 ]
            server=$(getfattr --only-values -n user.tarn.mount '\(point)' | tr -d ' ' | sed 's/.*"processID":\\([0-9]*\\).*/\\1/')
            ! ls -l /proc/$server/fd | grep 'data/.*deleted'
            """)
        try sandbox.unmount(point)
    }

    @Test(.enabled(if: getuid() == 0, "needs another user")) func strangersTakePrivilegesAway() throws {
        let sandbox = try Sandbox()
        let point = try sandbox.mount("m", "--ref", "main", "--write", "-o", "allow_other")
        try sandbox.write(
            "stranger.py",
            """
            import os, sys
            folder, source = sys.argv[1], sys.argv[2]
            def change(operation, path):
                fd = os.open(path, os.O_RDWR | (os.O_TRUNC if operation == 'open' else 0))
                if operation == 'allocate': os.posix_fallocate(fd, 0, 100000)
                elif operation == 'write': os.pwrite(fd, b'x', 0)
                elif operation == 'truncate': os.ftruncate(fd, 10)
                elif operation == 'copy': os.copy_file_range(os.open(source, os.O_RDONLY), fd, 10)
                os.close(fd)
            for operation in ('allocate', 'write', 'truncate', 'open', 'copy'):
                for mode in (0o2666, 0o6666, 0o2676, 0o4777, 0o7777, 0o1666):
                    for groups, group in (([], 65534), ([5], 65534), ([], 5)):
                        path = f'{folder}/{operation}{mode:o}{groups}{group}'
                        with open(path, 'wb') as file: file.write(bytes(70000))
                        os.chown(path, 0, 5); os.chmod(path, mode)
                        child = os.fork()
                        if child == 0:
                            os.setgroups(groups); os.setgid(group); os.setuid(65534)
                            change(operation, path)
                            os._exit(0)
                        assert os.waitpid(child, 0)[1] == 0
                        print(operation, oct(mode), groups, group, oct(os.stat(path).st_mode))
            """)
        try sandbox.shell(
            "mkdir plain; chmod 755 .; head -c 100 /dev/zero > plain/source; cp plain/source '\(point)/source'")
        let results = try [sandbox.path("plain"), point].map {
            try sandbox.shell("python3 stranger.py '\($0)' '\($0)/source'")
        }
        #expect(results[0].split(separator: "\n").count == 90)
        let differing = zip(results[0].split(separator: "\n"), results[1].split(separator: "\n")).filter { $0 != $1 }
        #expect(differing.isEmpty)
        try sandbox.unmount(point)
    }
}
