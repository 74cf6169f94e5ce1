import ArgumentParser
import ErrorMessages
import ObjectDatabase
import Operations
import Staging
import Versioning

struct Discard: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Throw away staged changes of paths and of everything below them.",
        discussion: "This cannot be undone. A path is one as you see it from where you are in the mount.")

    @Argument(help: "The paths.") var paths: [String] = []
    @Flag(help: "Throw away everything that is staged.") var all = false
    @OptionGroup var arguments: WorkspaceArguments

    func run() throws {
        guard all != !paths.isEmpty else {
            throw CommandFailure(message: "name the paths, or say --all", kind: .usage)
        }
        let open = try OpenWorkspace(arguments)
        try open.discard(try paths.map(open.path))
    }
}

struct Resolve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Decide a conflict that the last commit ran into.",
        discussion: """
            --ours takes your staged version, --theirs the branch's, --base what both began from. To look at the branch's version: \
            tarn cat BRANCH:PATH. Instead of deciding, you can also edit the file. Then commit again.
            """)

    @Argument(help: "The paths.") var paths: [String]
    @Flag(help: "Your staged version.") var ours = false
    @Flag(help: "The version on the branch.") var theirs = false
    @Flag(help: "The version that both sides began from.") var base = false
    @OptionGroup var arguments: WorkspaceArguments

    func run() throws {
        let chosen = [(ours, Resolution.incoming), (theirs, .current), (base, .base)].filter(\.0).map(\.1)
        guard chosen.count == 1, let resolution = chosen.first, !paths.isEmpty else {
            throw CommandFailure(message: "say one of --ours, --theirs, --base", kind: .usage)
        }
        let open = try OpenWorkspace(arguments)
        let conflicts = try open.workspace.conflicts()
        for text in paths {
            let path = try open.path(text)
            guard let conflict = conflicts.first(where: { $0.path == path }) else {
                throw CommandFailure(
                    message: "'\(path)' has no conflict", hint: "'tarn status' lists them", kind: .notFound)
            }
            if conflict.isFromRebase, resolution != .incoming {
                // The base below has the others' version already: letting go of ours is all.
                try open.discard([path])
            } else {
                _ = try open.workspace.resolve(path, resolution)
            }
        }
    }
}
