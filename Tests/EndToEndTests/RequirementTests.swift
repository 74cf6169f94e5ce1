import Foundation
import Testing

/// Where nothing may be missing (CI), a missing server or FUSE is a failure, not a skip.
@Suite struct RequirementTests {
    static let areRequired = ProcessInfo.processInfo.environment["TARN_TEST_REQUIRE"] == "1"

    @Test(.enabled(if: areRequired, "TARN_TEST_REQUIRE is not 1"), arguments: Place.allCases)
    func storeIsThere(_ place: Place) {
        #expect(Place.available.contains(place))
    }

    @Test(.enabled(if: areRequired, "TARN_TEST_REQUIRE is not 1"))
    func fuseIsThere() {
        #expect(FUSE.isAvailable)
    }
}

enum FUSE {
    static let isAvailable = access("/dev/fuse", R_OK | W_OK) == 0
}
