import Foundation

/// The program `tarn` of the same build as this test, whatever directory that is in: it lies beside the program that runs
/// the test.
package let testedProgram = testedProgramDirectory + "/tarn"

package let testedProgramDirectory = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent().path
