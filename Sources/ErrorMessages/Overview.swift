// # ErrorMessages: one catalogue of words for errors
//
// What to tell a person about an error of the targets below the use cases. The command line and the
// log of a mount say the same words. This target knows no use case, no terminal and no log. VFS may
// import it, and may import neither Operations nor tarn; that is why it is a target
// (docs/explanation/design/015-targets-and-rooms.md).
//
// ## Main types and functions
// - `ErrorMessage` is what failed on what, what to do next, and which kind of failure it is.
// - `message(of:)` finds the words for any error; nothing for one that it does not know.
// - `logLine(of:)` is one line for a log, for every error.
//
// ## Files
// `ErrorMessage.swift` has the types, and the words for BlockCache, BlockingIO, names and paths.
// `ErrorDescriptions.swift` makes the words what an error shows of itself, wherever it is put into
// a text. `ObjectHints.swift` has what to do about each kind of object that cannot be read.
// Other targets have a file each: `ObjectDatabaseMessages.swift`, `StoreMessages.swift`,
// `TreeMessages.swift` (ProllyTree and Versioning), `WorkspaceMessages.swift` (Staging).
//
// ## Life of an error
// A read meets a pack that is gone:
// 1. `BlockReader` throws `ObjectDatabaseError.missingObject`, with the object and who needs it.
// 2. In a mount, `reportingFailures` of VFS writes `logLine(of:)` to the log, after the name of the
//    file, and throws `VFSError.inputOutput`. The program gets EIO.
// 3. In a command, `describe` of tarn asks `message(of:)`. `ErrorMessage.Kind` becomes the exit
//    code, and the hint follows the message.
//
// ## Rules
// - An error carries facts: key, path, offset, what was expected. The words are only here, and in
//   tarn for errors that only commands meet (of Operations and FUSEServer, and refused orders).
// - A switch over the cases of an error type has no default: a new case does not compile without
//   words.
// - No text shows a value of Swift. An error cannot be put into a `TerminalText` without its words,
//   and in a string or a log line it shows them by itself. Of an error that is not ours only its
//   kind is told. `ErrorTextTests` knows every error type, and damages records.
// - A message says what failed, on what. A hint says what to do, and names a command if there is
//   one.
//
// There is no lock and no state.
