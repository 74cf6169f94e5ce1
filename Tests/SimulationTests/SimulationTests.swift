import Foundation
import TestSupport
import Testing

/// A few seeds of the simulator, and that it notices what is left out. `scripts/simulate.sh` runs many.
@Suite struct SimulationTests {
    /// Runs the program `Simulation` of the same build; answers what it printed and whether it found nothing.
    private func simulate(_ arguments: String...) throws -> (output: String, isSound: Bool) {
        let process = Process()
        process.executableURL = URL(filePath: testedProgramDirectory + "/Simulation")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (output, process.terminationReason == .exit && process.terminationStatus == 0)
    }

    /// `TARN_SEEDS` is `FIRST..LAST`, or a number of seeds; `TARN_SEED` is one, whose steps are printed.
    @Test func nothingIsLostInAnySeed() throws {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["TARN_SEED"] {
            let (output, isSound) = try simulate(seed, "1", "--trace")
            print(output)
            #expect(isSound)
            return
        }
        let bounds = (environment["TARN_SEEDS"] ?? "200").split(separator: ".").compactMap { UInt64($0) }
        let first = bounds.count > 1 ? bounds[0] : 0
        let count = bounds.count > 1 ? bounds[1] - bounds[0] + 1 : bounds.first ?? 200
        let (output, isSound) = try simulate("\(first)", "\(count)")
        #expect(isSound, "replay it by scripts/simulate.sh --replay SEED: \(output)")
    }

    @Test func aSeedReplaysExactly() throws {
        let runs = try (0..<2).map { _ in try simulate("0", "30", "--fingerprints") }
        #expect(runs[0].output == runs[1].output && runs[0].isSound)
    }

    /// The simulator can fail: what stops a loss is left out, and it sees the loss.
    @Test(arguments: [("store-ignores-conditions", "300"), ("leases-vanish", "1000")])
    func whatIsLeftOutIsNoticed(mutation: String, seeds: String) throws {
        let (output, isSound) = try simulate("0", seeds, "--mutation", mutation)
        #expect(!isSound && output.contains("seed "), "\(output)")
    }
}
