// # TestSupport: what several test targets share
//
// Stores that misbehave as they are told, and short ways to a repository with something in it.
// Nothing of it is in the program.
//
// ## Main types
// - `MemoryStore` is an object store in memory, as strict about conditions as S3.
// - `FaultyStore` lies over another one and, by a rule, loses replies, fails, waits, or damages
//   bytes.
// - `MemoryNodeStore` keeps tree nodes in a dictionary.
//
// Beside them: `makeRepository` and `reopen` give a `Repository` in a store; `StagingEditor` stages
// changes without a mount; `TemporaryDirectory` goes away with its owner; `SeededRandom` gives the
// same numbers for the same seed; `CallCounter` counts from any thread; `testedProgram` is the
// program `tarn` of the same build.
//
// ## Life of a test of a lost reply
// 1. `makeRepository` makes a repository in a `MemoryStore`.
// 2. `reopen` opens it once more, in a `FaultyStore` whose rule answers `StoreFault.failAfter` for
//    the PUT of a ref: the store does it, and the reply is lost.
// 3. The use case runs. The test looks at the ref in the `MemoryStore`: one commit, not two.
//
// ## Rules
// - A test gets its own store and directory; two runs at once do not meet.
// - A double keeps the contract of `ObjectStore`: it runs the same contract suite as the real
//   stores.
