import ProllyTree

/// Draws lines of history beside a list of commits in which every commit comes before its parents.
struct CommitGraph {
    /// What each column waits for: the next commit of its line.
    private var columns: [CommitIdentifier] = []

    typealias CommitIdentifier = String

    /// The text to the left of a commit's line, and the lines to draw below it before the next commit.
    mutating func next(_ id: CommitIdentifier, parents: [CommitIdentifier]) -> (head: String, after: [String]) {
        let column = columns.firstIndex(of: id) ?? columns.count
        if column == columns.count { columns.append(id) }
        let head = columns.indices.map { $0 == column ? "*" : "|" }.joined(separator: " ")
        var after: [String] = []
        // Parents beyond the first open lines of their own, to the right of this one.
        for parent in parents.dropFirst() where !columns.contains(parent) {
            after.append(columns.indices.map { $0 == column ? "|\\" : $0 > column ? " \\" : "| " }.joined())
            columns.insert(parent, at: column + 1)
        }
        if let first = parents.first,
            !columns.enumerated().contains(where: { $0.offset != column && $0.element == first })
        {
            columns[column] = first
        } else {
            // The line ends, or goes on in one that is there already.
            if !parents.isEmpty, column > 0 {
                after.append(
                    columns.indices.map { $0 == column ? "/" : $0 > column ? " /" : $0 == column - 1 ? "|" : "| " }
                        .joined())
            }
            columns.remove(at: column)
        }
        return (head, after)
    }
}
