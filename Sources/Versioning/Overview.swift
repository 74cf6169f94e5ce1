// # Versioning: entries, commits, refs and merging
//
// What the trees of a repository mean. Pure functions over a `NodeStore`: no clock, thread, file or
// network. Whatever a commit, a merge or a rule is can be tested here in memory.
//
// ## Main types
// - `Entry` is one path of a tree, without its name: kind, mode, time, owner, attributes, content.
//   A `LocatedEntry` is an entry and where its blocks lie.
// - `Commit` is the immutable record: a tree, its parents, who, when, why.
// - `RefUpdate` is the record of one move of a ref; each names the one before.
//
// `BlockList` has the blocks of a file as `PlacedBlock`s: a block, and the `Extent` where it lies.
// What is wrong with a location is found where it is decoded (`decodePlacedBlocks`), and nowhere
// later.
//
// ## Files
// - `TreePath.swift`: paths, and the keys that they have in a tree. `Entry.swift`,
//   `EntryCoding.swift`.
// - `Blocks.swift`, `ZeroBlocks.swift`: blocks and extents. `Identifiers.swift`: one type for each
//   id.
// - `Records.swift`: the JSON records. `RefName.swift`, `Revision.swift`: what people write.
// - `PathChange.swift`: trees as paths: `entry(at:)`, `pathChanges`, `forEachChild`.
// - `Merge.swift`, `MergeBase.swift`: three-way merge, common ancestors.
// - `PathExclusions.swift`: patterns for what an import passes over.
// - `ProtectionRule.swift`, `Glob.swift`, `CalendarTime.swift`, `EscapedText.swift`.
// - `TerminalText.swift`: text that is safe to print; what is put into it is escaped.
//
// ## Life of a merge
// 1. `mergeBase` walks the parents of two commits, by generation, to their newest common ancestor.
// 2. `mergeTrees` collects what changed from the base to the current tree, by `pathChanges`.
// 3. For each change from the base to the incoming tree it looks whether the same path changed
//    there. If not, it is an edit. If so, content, mode, owner and attributes are merged field by
//    field by `pick`. A newer time wins.
// 4. Fields that both sides changed in different ways are a `Conflict`. The caller's closure may
//    decide it, by a `Resolution`.
// 5. `keepParents` sees to it that whatever stays has its directory.
// 6. The caller applies the edits by `Tree.applying`. **It goes on in the overview of ProllyTree.**
// Operations calls this in each commit whose branch has moved, and in each `tarn merge`.
//
// ## Rules
// - The key of a path is its directory, then its name: the children of a directory are one range.
// - Records are canonical JSON, and their id is the SHA-256 of exactly these bytes. `encodeRecord`
//   is the only encoder. A newer format is refused, never guessed at.
// - The sides of a merge are current and incoming. A `ConflictReason` is told from a side.
// - Names are bytes, not text. `escapedText` keeps them in a text,
//   `printableName` shows them.
// - Equal bytes have equal `ContentID`s, whatever the history of the file.
//
// There is no lock: everything is a value.
