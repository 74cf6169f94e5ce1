import Glibc

// tarn-fuzz TARGET [options of libFuzzer] [corpus …]    runs a target
// tarn-fuzz --list                                      prints the names of all targets
// tarn-fuzz --seeds DIRECTORY                           writes the seeds to DIRECTORY/<target>/

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ tryInput: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

nonisolated(unsafe) private var chosen: FuzzTarget?

private func fail(_ text: String) -> Never {
    let line = "tarn-fuzz: \(text)\n"
    write(2, line, line.utf8.count)
    exit(2)
}

private func writeSeeds(to directory: String) {
    for target in allTargets {
        let folder = "\(directory)/\(target.name)"
        mkdir(folder, 0o755)
        for (number, seed) in target.seeds().enumerated() {
            guard let file = fopen("\(folder)/seed-\(number)", "w") else { fail("cannot write to \(folder)") }
            fwrite(seed, 1, seed.count, file)
            fclose(file)
        }
    }
}

let words = CommandLine.arguments.dropFirst()
if words.first == "--list" {
    allTargets.forEach { puts($0.name) }
} else if words.first == "--seeds", let directory = words.dropFirst().first {
    writeSeeds(to: directory)
} else {
    guard let target = (allTargets + [selfTest]).first(where: { $0.name == words.first }) else {
        fail("name a target; --list prints them")
    }
    chosen = target
    // libFuzzer keeps the arguments for as long as it runs.
    let rest = [CommandLine.arguments[0]] + words.dropFirst()
    let arguments = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: rest.count + 1)
    for (index, word) in rest.enumerated() { arguments[index] = strdup(word) }
    arguments[rest.count] = nil
    var count = CInt(rest.count)
    var pointer = arguments
    exit(
        runDriver(&count, &pointer) { bytes, count in
            chosen?.tryInput(Array(UnsafeBufferPointer(start: bytes, count: count)))
            return 0
        })
}
