import ArgumentParser
import ErrorMessages
import Versioning

/// Spellings that people of git use, and names of commands that there are none of.
enum Spelling {
    /// The arguments as the parser reads them. Ends the process when they name no command.
    static func mended(_ arguments: [String]) -> [String] {
        var arguments = arguments
        switch arguments.first {
        case "help":
            checkHelp(Array(arguments.dropFirst()))
        case "branch", "tag":
            if let name = arguments.dropFirst().first, !name.hasPrefix("-") { arguments = mended(arguments, name) }
        case "log":
            // -n1, as -n 1.
            arguments = arguments.flatMap { word in
                word.hasPrefix("-n") && word.count > 2 && word.dropFirst(2).allSatisfy(\.isNumber)
                    ? ["-n", String(word.dropFirst(2))] : [word]
            }
        case .some(let name) where !name.hasPrefix("-"):
            if !names(of: Tarn.self).contains(name) { refuse(name, among: names(of: Tarn.self)) }
        default: break
        }
        return arguments
    }

    /// 'branch NAME' makes a branch; one that is almost a command is asked about.
    private static func mended(_ arguments: [String], _ name: String) -> [String] {
        let command = arguments[0] == "branch" ? names(of: Branch.self) : names(of: Tag.self)
        if command.contains(name) || name == "help" { return arguments }
        if let close = closest(name, among: command, within: 1) {
            fail(
                "there is no command '\(arguments[0]) \(name)'",
                hint: "Did you mean '\(close)'? A \(arguments[0]) of that name: tarn \(arguments[0]) create \(name)",
                code: .usage)
        }
        return [arguments[0], "create"] + arguments.dropFirst()
    }

    private static func checkHelp(_ words: [String]) {
        var command: any ParsableCommand.Type = Tarn.self
        for word in words where !word.hasPrefix("-") {
            guard let next = subcommands(of: command).first(where: { $0._commandName == word }) else {
                return refuse(word, among: names(of: command))
            }
            command = next
        }
    }

    private static func refuse(_ name: String, among names: [String]) {
        let close = closest(name, among: names, within: 2)
        fail(
            "there is no command '\(name)'",
            hint: close.map { "Did you mean '\($0)'?" } ?? "'tarn help' lists the commands", code: .usage)
    }

    private static func subcommands(of command: any ParsableCommand.Type) -> [any ParsableCommand.Type] {
        let configuration = command.configuration
        return configuration.subcommands + configuration.groupedSubcommands.flatMap { $0.subcommands }
    }

    private static func names(of command: any ParsableCommand.Type) -> [String] {
        subcommands(of: command).map { $0._commandName } + ["help"]
    }

    private static func closest(_ name: String, among names: [String], within limit: Int) -> String? {
        names.map { ($0, distance(name, $0)) }.filter { $0.1 <= limit }.min { $0.1 < $1.1 }?.0
    }

    /// Letters to add, drop, change or swap with their neighbour (Damerau and Levenshtein's distance, without overlaps).
    static func distance(_ left: String, _ right: String) -> Int {
        let (left, right) = (Array(left.prefix(64)), Array(right.prefix(64)))
        var rows = [Array(0...right.count)]
        for (row, letter) in left.enumerated() {
            var next = [row + 1]
            for (column, other) in right.enumerated() {
                var least = min(
                    rows[row][column + 1] + 1, next[column] + 1, rows[row][column] + (letter == other ? 0 : 1))
                if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
                    least = min(least, rows[row - 1][column - 1] + 1)
                }
                next.append(least)
            }
            rows.append(next)
        }
        return rows[left.count][right.count]
    }
}
