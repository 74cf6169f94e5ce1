import ArgumentParser

struct Unmount: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "umount", abstract: "End a mount and wait until it has ended.",
        discussion: """
            Staged changes stay in the workspace and are there again at the next mount. If a bind mount or another mount namespace \
            still holds the mount, that is said, and the command does not wait for it.
            """)

    @Argument(help: "The mount point.") var directory: String
    @Flag(name: .shortAndLong, help: "Detach it now, even if files are open; it ends when they are closed.")
    var lazy = false

    func run() throws {
        try Unmounting(directory, isLazy: lazy).end()
    }
}
