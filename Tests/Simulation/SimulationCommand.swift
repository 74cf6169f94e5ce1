import BlockingIO
import Foundation
import Glibc
import TestSupport

/// `Simulation FIRST COUNT [--trace] [--mutation NAME] [--fingerprints]`: runs seeds until one fails.
struct SimulationCommand {
    private var first: UInt64 = 0
    private var count: UInt64 = 1
    private var isTraced = false
    private var printsFingerprints = false
    private var goesOn = false

    init(_ arguments: [String]) throws {
        var numbers: [UInt64] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--trace": isTraced = true
            case "--fingerprints": printsFingerprints = true
            case "--go-on": goesOn = true
            case "--without":
                guard let name = rest.popFirst(), let ingredient = Ingredient(rawValue: name) else {
                    throw Violation(description: "--without NAME, one of \(Ingredient.allCases.map(\.rawValue))")
                }
                Ingredient.missing.insert(ingredient)
            case "--mutation":
                guard let name = rest.popFirst(), let mutation = Mutations.Mutation(rawValue: name) else {
                    throw Violation(description: "--mutation NAME, one of \(Mutations.Mutation.allCases)")
                }
                Mutations.on.insert(mutation)
            default:
                guard let number = UInt64(argument) else {
                    throw Violation(description: "'\(argument)' is no number; give FIRST and COUNT")
                }
                numbers.append(number)
            }
        }
        if let first = numbers.first { self.first = first }
        if numbers.count > 1 { count = numbers[1] }
    }

    func run() throws -> Int32 {
        let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NSTemporaryDirectory()
        let directory = "\(parent)/tarn-simulation-\(getpid())"
        try makeDirectories(directory)
        defer { try? removeTree(directory) }
        var (steps, failures) = (0, 0)
        for seed in first..<first + count {
            let outcome = try simulate(seed: seed, directory: "\(directory)/\(seed)", traced: isTraced)
            steps += outcome.steps
            if printsFingerprints { say("\(seed) \(outcome.trace.fingerprint) \(outcome.steps)") }
            if isTraced { for line in outcome.trace.lines { say(line) } }
            if let violation = outcome.violation {
                failures += 1
                say("seed \(seed): \(violation)")
                if !goesOn { return 1 }
            }
        }
        say("\(count) seeds from \(first), \(steps) steps, \(failures) failures")
        return failures == 0 ? 0 : 1
    }
}

/// Removes a directory with all that is in it; one that is not there is no error. A database that is being closed removes
/// files of its own at the same time.
func removeTree(_ path: String) throws {
    var attempt = 0
    while access(path, F_OK) == 0 {
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            attempt += 1
            if attempt == 100 { throw error }
            usleep(1000)
        }
    }
}

/// At once: whoever ends a long run wants to know what it has found.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = bytes.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}
