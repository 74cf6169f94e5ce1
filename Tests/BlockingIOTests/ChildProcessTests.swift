import BlockingIO
import Glibc
import Testing

@Suite struct ChildProcessTests {
    private func run(_ script: String, _ change: (inout ChildProcess.Options) -> Void = { _ in }) throws -> (
        ending: ChildProcess.Ending, output: String
    ) {
        let ends = try makePipe()
        defer { close(ends.reading) }
        var options = ChildProcess.Options()
        options.output = .descriptor(ends.writing)
        change(&options)
        let child = try ChildProcess.start("/bin/sh", ["/bin/sh", "-c", script], options)
        close(ends.writing)
        let output = try readToEnd(ends.reading, limitBytes: 1 << 20)
        return (child.wait(), String(decoding: output ?? [], as: UTF8.self))
    }

    @Test func endingAndOutputComeBack() throws {
        let (ending, output) = try run("echo hello; exit 7")
        #expect(ending == .exited(7) && ending.code == 7 && output == "hello\n")
        #expect(try run("kill -9 $$").ending == .signalled(9))
        #expect(ChildProcess.Ending.signalled(9).code == 137)
    }

    @Test func optionsAreThoseOfTheChild() throws {
        #expect(try run("pwd") { $0.directory = "/" }.output == "/\n")
        #expect(try run("echo $ONLY$HOME") { $0.environment = ["ONLY=this"] }.output == "this\n")
        #expect(try run("cat").output.isEmpty, "its input is empty")
    }

    /// Only what it is given: a child that keeps a pipe open would keep its reader waiting.
    @Test func descriptorsAreNotInherited() throws {
        let file = open("/dev/null", O_RDONLY)
        defer { close(file) }
        #expect(
            try run("ls /proc/self/fd | wc -l").output.split(separator: "\n").first.map { Int($0) ?? 99 } ?? 99 <= 4)
    }

    @Test func programThatIsNotThereIsAnError() {
        #expect(throws: Errno(code: ENOENT)) { try ChildProcess.start("/no/such/program", ["x"]) }
    }
}
