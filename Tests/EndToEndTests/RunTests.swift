import Foundation
import Testing

/// However a run ends, its mount ends with it, its receipt is kept, and its exit code is the program's. SEMANTICS: A5, A8.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct RunTests {
    private let sandbox: Sandbox
    private let lake: String

    init() throws {
        sandbox = try Sandbox()
        try sandbox.write("data/a", "one")
        try sandbox.write("data/b", "two")
        try sandbox.tarn("import", sandbox.path("data"), "-m", "x")
        lake = sandbox.path("lake-here")
    }

    private func words(_ script: String) -> [String] {
        ["run", "--ref", "main", "--at", lake, "--receipt", sandbox.path("receipt"), "--", "sh", "-c", script]
    }

    private func expectNoMount() throws {
        try sandbox.shell(
            "for i in $(seq 100); do pgrep -f '[t]arn mount .* \(lake) ' > /dev/null || exit 0; sleep 0.1; done; exit 1"
        )
        try sandbox.shell("test -z \"$(ls lake/leases)\"")
    }

    @Test func aKilledRunLeavesNoMountAndAReceiptThatSaysSo() throws {
        let run = try sandbox.start(Sandbox.binary, words("cat '\(lake)/a' > read; sleep 600"))
        try sandbox.shell("for i in $(seq 200); do test -s read && exit 0; sleep 0.05; done; exit 1")
        run.kill(SIGKILL)
        _ = try run.wait()
        try expectNoMount()
        let receipt = try sandbox.read("receipt")
        #expect(receipt.contains("\"path\":\"a\"") && receipt.contains("tarn run was killed"))
        #expect(try sandbox.tarn("receipt", "verify", "receipt", code: 1).output.contains("killed"))
        try sandbox.shell("pkill -f 'sleep 60[0]' || true")
    }

    @Test(arguments: [SIGHUP, SIGUSR1, SIGUSR2, SIGTERM])
    func signalsReachTheProgram(_ number: Int32) throws {
        let run = try sandbox.start(
            Sandbox.binary, words("trap 'exit 42' \(number); cat '\(lake)/a' > read; while :; do sleep 0.05; done"))
        try sandbox.shell("for i in $(seq 200); do test -s read && exit 0; sleep 0.05; done; exit 1")
        run.kill(number)
        #expect(try run.wait().code == 42)
        #expect(try sandbox.read("receipt").contains("\"exitCode\":42"))
        try expectNoMount()
    }

    /// Something goes on in the mount for longer than anybody waits.
    @Test func aProcessThatStaysDoesNotCostTheReceipt() throws {
        let outcome = try sandbox.tarn(
            words("cd '\(lake)' && cat a > /dev/null; (sleep 601 > /dev/null 2>&1 < /dev/null &) ; exit 7"), code: 7)
        #expect(outcome.errors.contains("perhaps more"))
        let receipt = try sandbox.read("receipt")
        #expect(receipt.contains("\"exitCode\":7") && receipt.contains("\"isComplete\":false"))
        try sandbox.shell("pkill -f 'sleep 60[1]' || true")
        try expectNoMount()
    }

    @Test func aReceiptThatCannotBeMadeStopsTheRunBeforeItBegins() throws {
        try sandbox.write("receipt", "an earlier one")
        try sandbox.tarn(words("touch ran"), code: 4)
        #expect(try sandbox.read("receipt") == "an earlier one")
        try sandbox.shell("rm receipt; mkdir receipt")
        try sandbox.tarn(words("touch ran"), code: 4)
        try sandbox.shell("rmdir receipt; test ! -e ran")
    }

    @Test func aLinkAtTheReceiptsPlaceStopsTheRunToo() throws {
        try sandbox.shell("ln -s nowhere receipt")
        let outcome = try sandbox.tarn(words("touch ran"), code: 4)
        #expect(outcome.errors.contains("already"))
        try sandbox.shell("test -L receipt -a ! -e nowhere -a ! -e ran")
    }

    /// A receipt that cannot be written costs no exit code, and is told.
    @Test(arguments: [(5, 5), (0, 1)])
    func aLostReceiptKeepsTheProgramsExitCode(_ code: Int, _ expected: Int32) throws {
        try sandbox.shell("mkdir gone")
        var arguments = words("rm -r '\(sandbox.path("gone"))'; exit \(code)")
        arguments[6] = sandbox.path("gone/receipt")
        #expect(try sandbox.tarn(arguments, code: expected).errors.contains("receipt"))
        try expectNoMount()
    }

    @Test func aFileThatComesToTheReceiptsPlaceStays() throws {
        let place = sandbox.path("receipt")
        let outcome = try sandbox.tarn(words("cat '\(lake)/a'; rm '\(place)'; echo mine > '\(place)'"), code: 1)
        #expect(outcome.errors.contains("somebody else's file"))
        #expect(try sandbox.read("receipt") == "mine\n")
        #expect(try sandbox.shell("ls receipt.*.new | wc -l").contains("1"))
        let beside = try sandbox.shell("ls receipt.*.new").split(separator: "\n").map(String.init)
        try sandbox.tarn("receipt", "verify", #require(beside.first))
    }

    /// What no tarn of this version wrote is not read as if it had.
    @Test func onlyAReceiptOfThisFormatIsVerified() throws {
        try sandbox.tarn(words("cat '\(lake)/a'"))
        try sandbox.tarn("receipt", "verify", "receipt")
        try sandbox.shell("sed '1s/\"format\":1/\"format\":2/' receipt > newer; mkfifo pipe")
        #expect(try sandbox.tarn("receipt", "verify", "newer", code: 1).errors.contains("format 2"))
        #expect(try sandbox.tarn("receipt", "verify", "pipe", code: 1).errors.contains("no ordinary file"))
        #expect(try sandbox.tarn("receipt", "diff", "receipt", "pipe", code: 1).errors.contains("no ordinary file"))
    }

    /// G4: what a killed writer or gate held is given back by the next collector of its host.
    @Test func theLeaseOfAKilledMountOnThisHostEnds() throws {
        let point = try sandbox.mount("m", ["--ref", "main"])
        let server = try sandbox.server(of: point)
        try sandbox.shell("test -n \"$(ls lake/leases)\"")
        sandbox.kill(server, SIGKILL)
        try sandbox.tarn("gc", "--delete")
        try sandbox.shell("test -z \"$(ls lake/leases)\"")
        try sandbox.shell("fusermount3 -u -z '\(point)'")
    }
}
