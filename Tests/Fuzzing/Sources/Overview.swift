// Fuzzing: every decoder of foreign bytes against inputs that libFuzzer makes.
//
// `scripts/fuzz.sh` builds this program (Package.swift has it only with TARN_FUZZ=1) with libFuzzer and the address
// sanitizer, and gives each target its time and its corpus.
//
// - `main.swift` takes the name of a target off the arguments and leaves the rest to libFuzzer.
// - `FuzzTarget.swift` says what a target is, and lists all of them.
// - The other files hold the targets, each with seeds that our own encoders made.
//
// A target fails when it traps, leaks, takes over five seconds or 512 MiB, or breaks a `require`: what was decoded
// encodes to the same bytes again, where a format has one form only. An input that failed once is kept in
// `Tests/Fuzzing/Corpus/<target>/` and tried first ever after.
