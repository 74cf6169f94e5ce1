import BlockingIO
import ProllyTree

/// A path in a tree: components joined by `/`, no leading or trailing `/`; empty for the root. Names are any bytes but
/// `/` and NUL.
package struct TreePath: Hashable, Sendable {
    package let bytes: [UInt8]

    package static let root = TreePath(unchecked: [])
    /// The longest path of a tree. Longer ones are no keys, are not created on a mount, and are not committed.
    package static let maximumBytes = 64 << 10
    private static let slash = UInt8(ascii: "/")

    private init(unchecked bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Takes a path as a person writes it: leading, trailing and doubled `/` and `.` components are dropped.
    /// Throws on `..`, NUL and names over 255 bytes.
    package init(parsing text: some Collection<UInt8>) throws(PathFault) {
        guard text.count <= Self.maximumBytes else { throw .tooLong(Array(text.suffix(EntryName.maximumBytes))) }
        var bytes: [UInt8] = []
        for component in text.split(separator: Self.slash) where !component.elementsEqual(".".utf8) {
            if let reason = EntryName.fault(in: Array(component)) { throw PathFault(path: Array(text), reason: reason) }
            if !bytes.isEmpty { bytes.append(Self.slash) }
            bytes += component
        }
        self = TreePath(unchecked: bytes)
    }

    /// The same from a text in which `escapedText` may have put bytes that are not UTF-8.
    package init(parsing text: String) throws(PathFault) {
        try self.init(parsing: unescapedBytes(text))
    }

    package var isRoot: Bool { bytes.isEmpty }

    /// The last component; empty for the root.
    package var name: EntryName {
        guard let cut = bytes.lastIndex(of: Self.slash) else { return EntryName(unchecked: bytes) }
        return EntryName(unchecked: Array(bytes[(cut + 1)...]))
    }

    /// The path without its last component; `nil` for the root.
    package var parent: TreePath? {
        if isRoot { return nil }
        guard let cut = bytes.lastIndex(of: Self.slash) else { return .root }
        return TreePath(unchecked: Array(bytes[..<cut]))
    }

    package var components: [EntryName] {
        bytes.split(separator: Self.slash).map { EntryName(unchecked: Array($0)) }
    }

    /// This path with one more component.
    package func appending(_ name: EntryName) -> TreePath {
        isRoot ? TreePath(unchecked: name.bytes) : TreePath(unchecked: bytes + [Self.slash] + name.bytes)
    }

    package func appending(checking name: [UInt8]) throws(PathFault) -> TreePath {
        do throws(PathFault) {
            return appending(try EntryName(checking: name))
        } catch {
            throw PathFault(path: bytes + [Self.slash] + name, reason: error.reason)
        }
    }

    /// This path below `prefix`: `a` appending `b/c` is `a/b/c`.
    package func appending(path: TreePath) -> TreePath {
        path.isRoot ? self : isRoot ? path : TreePath(unchecked: bytes + [Self.slash] + path.bytes)
    }

    package func isInside(_ directory: TreePath) -> Bool {
        directory.isRoot
            ? !isRoot
            : bytes.count > directory.bytes.count + 1
                && bytes[directory.bytes.count] == Self.slash && bytes.starts(with: directory.bytes)
    }

    /// The rest of this path below `directory`; `nil` when it is not inside. A path is at the root of itself.
    package func relative(to directory: TreePath) -> TreePath? {
        if self == directory { return .root }
        guard isInside(directory) else { return nil }
        return directory.isRoot ? self : TreePath(unchecked: Array(bytes[(directory.bytes.count + 1)...]))
    }
}

package struct PathFault: Error, Hashable, Sendable {
    package let path: [UInt8]
    package let reason: String

    /// - Parameter end: the last bytes of the path.
    package static func tooLong(_ end: [UInt8]) -> PathFault {
        PathFault(path: end, reason: "its path is longer than \(TreePath.maximumBytes) bytes")
    }
}

/// Keys of the tree: the parent's path, NUL, the name. The root's own entry has the empty key.
///
/// One directory's children are the contiguous range of keys that begin with its path and NUL, and everything deeper
/// the range of those that begin with its path and `/`.
extension TreePath {
    package var key: [UInt8] {
        guard let parent else { return [] }
        return parent.bytes + [0] + name.bytes
    }

    package init(key: [UInt8]) throws(PathFault) {
        if key.isEmpty {
            self = .root
            return
        }
        guard key.count <= Self.maximumBytes else { throw .tooLong(Array(key.suffix(EntryName.maximumBytes))) }
        guard let cut = key.firstIndex(of: 0) else { throw PathFault(path: key, reason: "a key without NUL") }
        let name: EntryName
        do throws(PathFault) {
            name = try EntryName(checking: Array(key[(cut + 1)...]))
        } catch {
            throw PathFault(path: key, reason: error.reason)
        }
        guard cut == 0 || Self.isNormal(key[..<cut]) else {
            throw PathFault(path: key, reason: "a key whose directory is no path")
        }
        self = TreePath(unchecked: Array(key[..<cut])).appending(name)
    }

    /// Whether a path is written as ours are: no component empty, `.`, `..` or too long. Without it, a key of a hostile
    /// repository could lead an export out of its directory.
    private static func isNormal(_ path: ArraySlice<UInt8>) -> Bool {
        var count = 0
        var dots = 0
        func isName() -> Bool { count > 0 && count <= EntryName.maximumBytes && !(count <= 2 && dots == count) }
        for byte in path {
            if byte == slash {
                guard isName() else { return false }
                (count, dots) = (0, 0)
            } else {
                count += 1
                if byte == UInt8(ascii: ".") { dots += 1 }
            }
        }
        return isName()
    }

    /// Keys of the children: `from` ≤ key < `to`.
    package var childKeys: (from: [UInt8], to: [UInt8]) {
        (bytes + [0], bytes + [1])
    }

    /// Keys of everything below the children. (For the root: every path that has a `/`, and so every non-empty parent.)
    package var deeperKeys: (from: [UInt8], to: [UInt8]?) {
        isRoot ? ([1], nil) : (bytes + [Self.slash], bytes + [Self.slash + 1])
    }
}

extension TreePath: Comparable {
    /// Order of a walk that lists a directory before what is in it: by component, each by bytes.
    package static func < (left: TreePath, right: TreePath) -> Bool {
        let shared = zip(left.bytes, right.bytes).first { $0 != $1 }
        guard let (leftByte, rightByte) = shared else { return left.bytes.count < right.bytes.count }
        if leftByte == slash { return true }
        if rightByte == slash { return false }
        return leftByte < rightByte
    }
}

extension TreePath: CustomStringConvertible {
    /// For people: see `printableName`.
    package var description: String { isRoot ? "." : printableName(bytes) }
}
