import TestSupport
import Testing

@testable import ObjectStorage

@Suite struct MemoryStoreContract {
    @Test(arguments: ContractRule.all) func keeps(_ rule: ContractRule) throws {
        try rule.check(MemoryStore())
    }
}

@Suite struct DirectoryStoreContract {
    @Test(arguments: ContractRule.all) func keeps(_ rule: ContractRule) throws {
        let directory = try TemporaryDirectory()
        try rule.check(try DirectoryStore(directory.path))
    }
}

@Suite struct RetryingStoreContract {
    @Test(arguments: ContractRule.all) func keeps(_ rule: ContractRule) throws {
        try rule.check(RetryingStore(MemoryStore()))
    }

    /// Every third call fails before it is made; the contract holds as if nothing were.
    @Test(arguments: ContractRule.all) func keepsThroughFaults(_ rule: ContractRule) throws {
        let faulty = FaultyStore(MemoryStore()) { call in
            call.ordinal % 3 == 1 ? .failBefore(.lostReply(call.key)) : .pass
        }
        try rule.check(RetryingStore(faulty, policy: RetryPolicy(attempts: 100, firstPauseMilliseconds: 0)))
    }
}

@Suite(.enabled(if: S3TestServer.moto != nil, "no TARN_TEST_MOTO_ENDPOINT"))
struct MotoContract {
    @Test(arguments: ContractRule.all) func keeps(_ rule: ContractRule) throws {
        try rule.check(RetryingStore(try #require(S3TestServer.moto).store(), policy: .brief))
    }
}

@Suite(.enabled(if: S3TestServer.rgw != nil, "no TARN_TEST_RGW_ENDPOINT"))
struct CephContract {
    @Test(arguments: ContractRule.all) func keeps(_ rule: ContractRule) throws {
        try rule.check(RetryingStore(try #require(S3TestServer.rgw).store(), policy: .brief))
    }

    @Test(arguments: ContractRule.all) func keepsBelowAPrefix(_ rule: ContractRule) throws {
        try rule.check(
            RetryingStore(try #require(S3TestServer.rgw).store(prefix: "some where/+ü"), policy: .brief))
    }
}

@Suite struct RequiredServers {
    @Test(.enabled(if: S3TestServer.areRequired, "TARN_TEST_REQUIRE is not 1"))
    func requiredServersAreThere() {
        #expect(S3TestServer.moto != nil, "TARN_TEST_MOTO_ENDPOINT is not set")
        #expect(S3TestServer.rgw != nil, "TARN_TEST_RGW_ENDPOINT is not set")
    }
}
