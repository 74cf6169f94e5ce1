import ArgumentParser
import Operations
import Testing
import VFS
import Versioning

@testable import tarn

@Suite struct ParsingTests {
    /// Every command can be found by its name, says what it does, and refuses what it does not know.
    @Test func everyCommandSaysWhatItDoes() throws {
        var names: Set<String> = []
        for command in Tarn.configuration.subcommands where command.configuration.shouldDisplay {
            let name = command._commandName
            #expect(names.insert(name).inserted, "two commands are named \(name)")
            #expect(!command.configuration.abstract.isEmpty, "\(name)")
            #expect(command.configuration.abstract.hasSuffix("."), "\(name)")
            #expect(throws: (any Error).self, "\(name)") { try Tarn.parseAsRoot([name, "--no-such-option"]) }
        }
        #expect(names.count > 30)
    }

    @Test func fsckReadsDataWhenAsked() throws {
        let plain = try #require(Tarn.parseAsRoot(["fsck", "--repo", "x"]) as? Fsck)
        #expect(!plain.readData)
        let whole = try #require(Tarn.parseAsRoot(["fsck", "--read-data", "--repo", "x"]) as? Fsck)
        #expect(whole.readData)
    }

    private func metadata(_ pairs: String...) throws -> [String: String] {
        try MetadataArguments.parse(pairs.flatMap { ["--metadata", $0] }).parsed()
    }

    @Test func metadataIsPairs() throws {
        #expect(try metadata("a=b", "c=d=e", "f=") == ["a": "b", "c": "d=e", "f": ""])
        #expect(throws: CommandFailure.self) { try metadata("nothing") }
        #expect(throws: CommandFailure.self) { try metadata("=value") }
        let commit = try #require(
            Tarn.parseAsRoot(["commit", "-m", "x", "--metadata", "k=v"]) as? CommitCommand)
        #expect(commit.metadata.metadata == ["k=v"])
    }

    /// Of a merge "ours" is the destination's version, which is the current side.
    @Test func sidesOfAMergeAreSeenFromTheDestination() throws {
        #expect(try StrategyArguments.parse(["--ours"]).strategy().otherwise == .current)
        #expect(try StrategyArguments.parse(["--theirs"]).strategy().otherwise == .incoming)
        #expect(try StrategyArguments.parse([]).strategy().otherwise == nil)
        let patterns = try StrategyArguments.parse(["--resolve", "a=b/**=theirs", "--resolve", "*.csv=base"]).strategy()
        #expect(patterns.patterns.map(\.resolution) == [.incoming, .base])
        #expect(patterns.patterns[0].glob.matches(Array("a=b/c".utf8)))
        #expect(throws: CommandFailure.self) { try StrategyArguments.parse(["--ours", "--theirs"]).strategy() }
        #expect(throws: CommandFailure.self) { try StrategyArguments.parse(["--resolve", "x=mine"]).strategy() }
    }

    @Test func mountOptionsAreAListThatIsChecked() throws {
        let options = try MountOptions(["allow_other,owners=squash", "poll=0.5,workspace=mine,open=none"])
        #expect(options.allowsOthers && options.squashesOwners && options.pollSeconds == 0.5)
        #expect(options.workspace == "mine" && options.opening == .none)
        for wrong in ["nonsense", "poll=0", "poll=x", "open=always", "workspace=../up"] {
            #expect(throws: (any Error).self, "\(wrong)") { try MountOptions([wrong]) }
        }
    }

    @Test(arguments: [
        ("16M", UInt64(16) << 20), ("1G", 1 << 30), ("2t", 2 << 40), ("\(16 << 20)", 16 << 20),
    ])
    func sizeIsInPowersOf1024(text: String, bytes: UInt64) throws {
        #expect(try parseSize(text) == bytes)
    }

    @Test(arguments: ["", "G", "1", "-5G", "1.5G", "99999999999999999999", "17179869184T", "10 G"])
    func sizeThatIsNoneIsRefused(text: String) {
        #expect(throws: CommandFailure.self) { try parseSize(text) }
    }
}
