import ObjectDatabase
import Versioning

/// What a user has done to the files of one workspace, and so what they must show and what they may replace.
struct WorkspaceModel {
    /// One writing of a whole file, as the user sees it.
    struct Write {
        let path: String
        let value: String
        /// No other writing has this value.
        let isUnique: Bool
        /// What the file showed before.
        let seen: String?
        /// The writing that it showed; `nil`: the base's file.
        let over: Int?
        /// How many states the branch had.
        let states: Int
        /// Where in those the base was.
        let base: Int
        /// What a conflict has shown the user before.
        var shown: Set<String?> = []
    }

    let author: String
    private(set) var writes: [Write] = []
    private var newest: [String: Int] = [:]
    /// What conflicts have shown since the last writing.
    private var conflicts: [String: Set<String?>] = [:]

    init(author: String) { self.author = author }

    mutating func wrote(
        _ path: String, _ value: String, isUnique: Bool, seen: String?, base: Int, _ states: [BranchState]
    ) {
        // What others have now is what the user saw, unless it is what was written before.
        let over = newest[path].flatMap { writes[$0].value == seen ? $0 : nil }
        writes.append(
            Write(
                path: path, value: value, isUnique: isUnique, seen: seen, over: over, states: states.count, base: base,
                shown: conflicts.removeValue(forKey: path) ?? []))
        newest[path] = writes.count - 1
    }

    mutating func reported(_ path: String, _ theirs: String?) { conflicts[path, default: []].insert(theirs) }

    /// Where a writing was published; `nil` when it was not.
    private func published(_ write: Write, _ states: [BranchState]) -> Int? {
        states.indices.dropFirst(write.states).first {
            states[$0].author == author && states[$0].files[write.path] == write.value
        }
    }

    /// What a writing may replace, and since when others' changes are unseen.
    private func origin(_ index: Int, _ states: [BranchState]) -> (values: Set<String?>, since: Int) {
        var write = writes[index]
        var values = write.shown
        while true {
            guard let over = write.over else { return (values.union([write.seen]), write.base) }
            write = writes[over]
            if let place = published(write, states) {
                values.insert(write.value)
                if write.isUnique { return (values, place) }
            }
            values.formUnion(write.shown)
        }
    }

    /// Why a commit of this workspace, the newest state, is wrong.
    func fault(of states: [BranchState]) -> String? {
        guard let new = states.last, let old = states.dropLast().last else { return nil }
        for path in Set(new.files.keys).union(old.files.keys).sorted() {
            let (before, after) = (old.files[path], new.files[path])
            if before == after { continue }
            let candidates = writes.indices.filter { writes[$0].path == path && writes[$0].value == after }
            if candidates.isEmpty {
                return "\(new.message) makes \(path) \(after ?? "nothing"), which \(author) never wrote"
            }
            let earlier = Array(states.dropLast())
            if !candidates.contains(where: { origin($0, earlier).values.contains(before) }) {
                return "\(new.message) replaces \(path) = \(before ?? "nothing") by \(after ?? "nothing"), unseen"
            }
        }
        return nil
    }

    /// What a path may show when the base is the state `base`.
    func allowed(_ path: String, base: Int, _ states: [BranchState]) -> Set<String?> {
        let committed = states[base].files[path]
        guard let index = newest[path] else { return [committed] }
        let write = writes[index]
        // Bytes that are what they were are no change.
        if origin(index, states).values.contains(write.value) { return [committed, write.value] }
        guard let place = published(write, states) else { return [write.value] }
        return place <= base ? [committed, write.value] : [write.value]
    }

    /// Why a conflict with the state `head` is none.
    func falseConflict(_ path: String, head: Int, _ states: [BranchState]) -> String? {
        guard let index = newest[path] else { return "\(path) was not written here" }
        let since = origin(index, states).since
        guard since < head else { return "the branch has not moved" }
        let isOthers = (since + 1...head).contains { place in
            states[place].author != author && states[place].files[path] != states[place - 1].files[path]
        }
        return isOthers ? nil : "nobody else changed \(path)"
    }
}
