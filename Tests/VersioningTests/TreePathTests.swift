import ProllyTree
import TestSupport
import Testing
import Versioning

@Suite struct TreePathTests {
    @Test func pathIsReadAsPeopleWriteIt() throws {
        #expect(try TreePath(parsing: "/a//./b/").bytes == Array("a/b".utf8))
        #expect(try TreePath(parsing: "").isRoot)
        #expect(try TreePath(parsing: "/./").isRoot)
        #expect(try TreePath(parsing: [0xff, 0x2f, 0x01] as [UInt8]).components.map(\.bytes) == [[0xff], [0x01]])
    }

    @Test(arguments: ["..", "a/../b", "a/..", "a\0b"])
    func pathsThatLeadAwayAreRefused(text: String) {
        #expect(throws: PathFault.self) { try TreePath(parsing: text) }
    }

    @Test func nameHasAtMost255Bytes() throws {
        let name = [UInt8](repeating: 0x78, count: 255)
        #expect(try TreePath(parsing: name).name.bytes == name)
        #expect(throws: PathFault.self) { try TreePath(parsing: name + [0x78]) }
        #expect(throws: PathFault.self) { try TreePath.root.appending(checking: []) }
        #expect(throws: PathFault.self) { try TreePath.root.appending(checking: Array("a/b".utf8)) }
    }

    @Test func keyComesBack() throws {
        var random = SeededRandom(seed: 1)
        for _ in 0..<500 {
            let path = randomPath(&random)
            #expect(try TreePath(key: path.key) == path)
        }
        #expect(TreePath.root.key.isEmpty)
        #expect(try TreePath(parsing: "a/b/c").key == Array("a/b\0c".utf8))
    }

    @Test(arguments: [
        "a", "a\0", "\0", "\0..", "\0.", "a\0b\0c", "a\0b/c", "..\0x", "a/../b\0x", "a//b\0x", "/a\0x", "a/\0x", ".\0x",
    ])
    func keyThatIsNoPathsIsRefused(key: String) {
        #expect(throws: PathFault.self) { try TreePath(key: Array(key.utf8)) }
    }

    private func randomPath(_ random: inout SeededRandom) -> TreePath {
        var path = TreePath.root
        for _ in 0..<random.below(5) {
            // Bytes near the separators show mistakes of order.
            let alphabet: [UInt8] = [0x01, 0x2e, 0x30, 0x61, 0xff]
            let name = (0..<1 + random.below(3)).map { _ in alphabet[random.below(5)] }
            if let valid = try? EntryName(checking: name) { path = path.appending(valid) }
        }
        return path
    }

    /// The ranges of keys hold exactly what they say, whatever the names.
    @Test func keyRangesHoldChildrenAndDescendants() throws {
        var random = SeededRandom(seed: 2)
        let paths = Set((0..<400).map { _ in randomPath(&random) })
        let tree = try Tree.build(
            paths.map { Item(key: $0.key, value: Entry.test.encoded()) }.sorted { compareBytes($0.key, $1.key) < 0 },
            in: MemoryNodeStore())
        for directory in paths {
            var children: Set<TreePath> = []
            try tree.forEachChild(of: directory) { path, _ in
                children.insert(path)
                return true
            }
            #expect(children == paths.filter { $0.parent == directory })
            var inside: Set<TreePath> = []
            try tree.forEachDescendant(of: directory) { path, _ in
                inside.insert(path)
                return true
            }
            #expect(inside == paths.filter { $0.isInside(directory) })
        }
    }

    @Test func childrenGoOnAfterAName() throws {
        let names = ["a", "b", "b.", "b0", "c"]
        let items = try names.map { Item(key: try TreePath(parsing: "d/\($0)").key, value: Entry.test.encoded()) }
        let tree = try Tree.build(items, in: MemoryNodeStore())
        var found: [String] = []
        try tree.forEachChild(of: TreePath(parsing: "d"), after: Array("b".utf8)) { path, _ in
            found.append(String(decoding: path.name.bytes, as: UTF8.self))
            return true
        }
        #expect(found == ["b.", "b0", "c"])
    }

    @Test func orderListsADirectoryBeforeWhatIsInIt() throws {
        let sorted = try ["a", "a/b", "a/b/c", "a/c", "a!", "a!/x", "b"].map { try TreePath(parsing: $0) }
        var random = SeededRandom(seed: 3)
        #expect(sorted.shuffled(using: &random).sorted() == sorted)
    }

    @Test func relationsOfPaths() throws {
        let a = try TreePath(parsing: "a")
        let path = try TreePath(parsing: "a/b/c")
        #expect(path.isInside(a) && path.isInside(.root) && !a.isInside(a) && !TreePath.root.isInside(.root))
        #expect(try !TreePath(parsing: "ab/c").isInside(a))
        #expect(try path.relative(to: a) == TreePath(parsing: "b/c"))
        #expect(path.relative(to: path) == .root)
        #expect(a.relative(to: path) == nil)
        #expect(try a.appending(path: TreePath(parsing: "b/c")) == path)
        #expect(a.parent == .root && TreePath.root.parent == nil)
    }

    @Test func namesAreShownSafely() {
        #expect(printableName(Array("grün".utf8)) == "grün")
        #expect(printableName([0x61, 0x0a, 0xff, 0x62]) == "a\\x0a\\xffb")
        #expect(printableName([0xe2, 0x82]) == "\\xe2\\x82")
        #expect(printableName([0x1b]) == "\\x1b")
    }
}

extension Entry {
    static let test = Entry(kind: .directory, mode: 0o755, modified: Timestamp(seconds: 1, nanoseconds: 2))
}
