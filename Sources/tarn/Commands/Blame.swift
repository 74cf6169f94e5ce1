import ArgumentParser
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct Blame: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Which commit last changed each path.",
        discussion: """
            Lists every file at and below PATH with the commit that last changed it (bytes or attributes). What a merge only took over is \
            told of the commit that it came from.
            """)
    @Argument(help: "The path (default: everything).") var path: String?
    @Option(
        name: .customLong("at"),
        help: ArgumentHelp("As seen from there (default: the mounted revision, else main).", valueName: "rev"))
    var revision: String?
    @Flag(help: "Directories, too.") var directories = false
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let repository = try repository.open()
        let name = revision ?? self.repository.currentRevision()
        let path = try path.map { try TreePath(parsing: $0) } ?? .root
        let lines = try repository.blame(
            path, from: repository.database.resolve(name).commitID, named: name, directories: directories)
        struct LineJSON: Encodable {
            let path: JSONPath
            let commit: String
            let author: String
            let time: String
            let message: String
        }
        let output = json.output
        try output.show(
            lines.map {
                LineJSON(
                    path: JSONPath($0.path), commit: $0.commitID.hex, author: $0.commit.author,
                    time: $0.commit.time.rfc3339, message: $0.commit.message)
            }
        ) {
            table(
                lines.map { path, id, commit in
                    [
                        output.paint("\(id.hex.prefix(12))", .yellow), "\(commit.time.rfc3339.prefix(10))",
                        "\(commit.author)", path.isRoot ? "." : "\(path)",
                    ]
                })
        }
    }
}
