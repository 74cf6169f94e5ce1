import Glibc
import Staging
import Versioning

func message(_ error: WorkspaceError) -> ErrorMessage {
    switch error {
    case .inUse(let directory, let holder):
        ErrorMessage(
            message: "the workspace \(directory) is in use by \(holder)",
            hint: "Unmount it first, or mount with -o workspace=NAME for a second one", kind: .refused)
    case .belongsElsewhere(let directory, let found, let wanted):
        ErrorMessage(
            message: "the workspace \(directory) belongs to \(found), not to \(wanted)",
            hint: "Mount with -o workspace=NAME")
    case .newerFormat(let directory, let found):
        ErrorMessage(message: "\(directory) has format \(found)", hint: "Install a newer tarn")
    case .database(let path, let reason): ErrorMessage(message: "\(path): \(reason)")
    case .corrupt(let path, let reason):
        ErrorMessage(
            message: "\(path) is damaged: \(reason)",
            hint:
                "Put the file back from a backup. Staged bytes lie below data/ beside it; move the directory away to begin anew"
        )
    case .localIO(let path, let number): message(path: path, number)
    case .syncFailed(let path, let number), .readOnly(let path, let number):
        ErrorMessage(
            message: "the disk failed to keep what was written to \(path): \(String(cString: strerror(number)))",
            hint: "Copy what you need, unmount, check the disk, and mount again; then write the files in doubt anew or "
                + "discard them")
    case .pathTooLong(let beginning):
        ErrorMessage(
            message: "a path that begins '\(printableName(beginning))' is longer than \(TreePath.maximumBytes) bytes",
            hint: "Move the directories in it further up")
    case .notThere(let directory):
        ErrorMessage(message: "there is no workspace at \(directory)", kind: .notFound)
    case .alreadySealed: ErrorMessage(message: "another commit of this workspace is under way", kind: .refused)
    case .notSealed: ErrorMessage(message: "the workspace is not sealed")
    }
}
