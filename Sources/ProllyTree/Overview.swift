// # ProllyTree: an ordered map of bytes with a content hash
//
// A Merkle search tree whose nodes end where the content says. Equal maps have equal roots, in
// every store and after any history of edits. It knows no path, commit, thread or store: nodes come
// from a `NodeStore`, which may block.
//
// ## Main types
// - `Tree` is a value: the root's id, and where nodes come from.
// - `Node` is one decoded node, with its items where they were encoded.
// - `Cursor` is a place in a tree that moves forward.
//
// `Item` is a key, a value and a location. The value is hashed into the id; the location is carried
// beside it and hashed into none. So blocks may move, and no id changes.
//
// ## Files
// - `Tree.swift`: finding by key and by rank, building. `Edit.swift`: `applying`. `Diff.swift`:
//   `diff`.
// - `Splitter.swift` decides where a node ends. `LevelBuilder.swift` makes the nodes of one level.
// - `Node.swift`, `ByteCoding.swift`, `Identifier.swift`: the bytes.
//
// ## Life of a lookup
// 1. `Tree.find` loads the root by `NodeStore.load`. (Its real store is `TreeNodeStore`: see the
//    overview of ObjectDatabase.)
// 2. `Node.firstIndex(notBelow:)` finds the child by binary search in the encoded bytes.
// 3. `loadChild` loads it, and refuses one whose level is not one less: a damaged tree makes no
//    loop.
// 4. The leaf has the item. The items of all children passed by add up to its rank.
//
// ## Life of an edit
// 1. `Tree.applying` takes edits in ascending order of keys.
// 2. On the lowest level `LevelRewrite` runs through the leaves that the edits touch, and builds
//    them anew until it meets an end of a node that was there before. From there on all is shared.
// 3. What went and what came are the edits of the level above, up to the root.
// 4. `collapse` drops roots of one child, so that the root is the lowest node that holds
//    everything.
// Each new node is saved by `NodeStore.save`. The cost follows the edits, not the tree.
//
// `Tree.diff` walks two trees and steps over what they share, by id.
//
// ## Rules
// - `Splitter` and `keyHash` are part of the format. A golden root hash in the tests pins them.
// - Where a node ends depends on the items since it began, and on nothing else.
// - Items come in strictly ascending order; whoever breaks that is stopped by a precondition.
// - Bytes that do not decode throw. Nothing is allocated on the word of a length not yet checked.
//
// There is no lock: everything is a value, or never changes.
