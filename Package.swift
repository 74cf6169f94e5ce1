// swift-tools-version:6.2
import PackageDescription

// Arrows are imports and nothing points back (docs/explanation/ARCHITECTURE.md). The tests run
// scripts/target-graph.py, which fails on an import that is not listed here, on a listed one that no
// file has, and on one against the layers.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = [], _ settings: [SwiftSetting] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict + settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let algorithms: Target.Dependency = .product(name: "Algorithms", package: "swift-algorithms")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "tarn",
    products: [.executable(name: "tarn", targets: ["tarn"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-algorithms", from: "1.2.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // C: system libraries behind narrow, non-variadic functions.
        .target(name: "CFUSE", linkerSettings: [.linkedLibrary("fuse3")]),
        .target(name: "CLinux"),
        .target(name: "CCurl", linkerSettings: [.linkedLibrary("curl")]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),

        library("BlockingIO", ["CLinux", deque]),
        library("ProllyTree", ["BlockingIO", algorithms, crypto]),
        library("Versioning", ["ProllyTree", "BlockingIO", crypto]),
        // Its tests look inside (@testable), also in the release build that CI tests.
        library(
            "ObjectStorage", ["BlockingIO", "CCurl", "CLinux", crypto, logging], [.unsafeFlags(["-enable-testing"])]),
        library("BlockCache", ["BlockingIO", logging]),
        library("Staging", ["Versioning", "ProllyTree", "BlockingIO", "CLinux", algorithms, grdb, logging]),
        library(
            "ObjectDatabase",
            [
                "BlockCache", "ObjectStorage", "Versioning", "ProllyTree", "BlockingIO", "CLinux", "CZstd",
                algorithms, heap, crypto, logging,
            ]),
        library(
            "Operations",
            [
                "ObjectDatabase", "Staging", "BlockCache", "ObjectStorage", "Versioning", "ProllyTree", "BlockingIO",
                yams, logging,
            ]),
        library(
            "ErrorMessages",
            ["ObjectDatabase", "Staging", "BlockCache", "ObjectStorage", "Versioning", "ProllyTree", "BlockingIO"]),
        library(
            "VFS",
            [
                "ErrorMessages", "ObjectDatabase", "Staging", "BlockCache", "Versioning", "ProllyTree", "BlockingIO",
                "CLinux", algorithms, logging,
            ]),
        library("FUSEServer", ["CFUSE", "VFS", "Versioning", "BlockingIO", logging]),
        .executableTarget(
            name: "tarn",
            dependencies: [
                "FUSEServer", "VFS", "ErrorMessages", "Operations", "ObjectDatabase", "Versioning", "ProllyTree",
                "ObjectStorage", "Staging", "BlockCache",
                "BlockingIO", "CLinux",
                arguments, crypto, logging,
            ],
            // Its tests look inside.
            swiftSettings: strict + [.unsafeFlags(["-enable-testing"])]),

        tests("EndToEndTests", ["CLinux", "BlockingIO", "TestSupport"]),
        .target(
            name: "TestSupport",
            dependencies: [
                "Operations", "ObjectDatabase", "Staging", "ObjectStorage", "Versioning", "ProllyTree", "BlockingIO",
                crypto, logging,
            ],
            path: "Tests/TestSupport", swiftSettings: strict),
        // Stores, clocks and processes that a seed decides about, round the real code (scripts/simulate.sh).
        .executableTarget(
            name: "Simulation",
            dependencies: [
                "VFS", "Operations", "ObjectDatabase", "Staging", "ObjectStorage", "Versioning", "ProllyTree",
                "BlockingIO", "TestSupport", logging,
            ],
            path: "Tests/Simulation", swiftSettings: strict),
        tests("SimulationTests", ["TestSupport"]),
        tests("BlockingIOTests", ["BlockingIO"]),
        tests("ProllyTreeTests", ["ProllyTree", "TestSupport"]),
        tests("VersioningTests", ["Versioning", "ProllyTree", "BlockingIO", "TestSupport", crypto]),
        tests("ObjectStorageTests", ["ObjectStorage", "TestSupport"]),
        tests("BlockCacheTests", ["BlockCache", logging]),
        tests("StagingTests", ["Staging", "Versioning", "ProllyTree", "TestSupport"]),
        tests(
            "ObjectDatabaseTests",
            [
                "ObjectDatabase", "Operations", "Staging", "ObjectStorage", "Versioning", "ProllyTree", "BlockingIO",
                "TestSupport",
            ]),
        tests(
            "OperationsTests",
            [
                "Operations", "ObjectDatabase", "Staging", "ObjectStorage", "Versioning", "ProllyTree", "BlockingIO",
                "CLinux", "TestSupport",
            ]),
        tests(
            "VFSTests",
            [
                "VFS", "Operations", "ObjectDatabase", "Staging", "ObjectStorage", "Versioning", "ProllyTree",
                "BlockingIO", "TestSupport",
            ]),
        tests("FUSEServerTests", ["FUSEServer", "VFS", "Versioning"]),
        tests(
            "CommandLineTests",
            [
                "tarn", "VFS", "ErrorMessages", "FUSEServer", "BlockCache", "Operations", "ObjectDatabase", "Staging",
                "ObjectStorage",
                "Versioning",
                "ProllyTree", "BlockingIO", "TestSupport", arguments,
            ]),
    ]
)

// `scripts/fuzz.sh` only: it is linked with libFuzzer, which no other build has.
if Context.environment["TARN_FUZZ"] == "1" {
    package.targets.append(
        .executableTarget(
            name: "Fuzzing",
            dependencies: [
                "tarn", "Operations", "ObjectDatabase", "Staging", "BlockCache", "ObjectStorage", "Versioning",
                "ProllyTree", "BlockingIO", logging,
            ],
            path: "Tests/Fuzzing/Sources", swiftSettings: strict))
}
