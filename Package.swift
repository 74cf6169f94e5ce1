// swift-tools-version:6.2
import PackageDescription

// Arrows are imports and nothing points back (docs/ARCHITECTURE.md). The build runs with
// `--explicit-target-dependency-import-check error`, so an import that is not listed here fails.

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
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "tarn",
    products: [.executable(name: "tarn", targets: ["tarn"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
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

        library("ProllyTree", [crypto]),
        library("Versioning", ["ProllyTree", crypto]),
        // Its tests look inside (@testable), also in the release build that CI tests.
        library("ObjectStorage", ["CCurl", "CLinux", crypto, logging], [.unsafeFlags(["-enable-testing"])]),
        library("BlockCache", [logging]),
        library("Staging", ["Versioning", "ProllyTree", "CLinux", grdb, logging]),
        library(
            "Repository",
            [
                "Versioning", "ProllyTree", "ObjectStorage", "Staging", "BlockCache", "CLinux", "CZstd", crypto, yams,
                logging,
            ]),
        library("VFS", ["Repository", "Versioning", "ProllyTree", "Staging", "CLinux", logging]),
        library("FUSEServer", ["CFUSE", "VFS", logging]),
        .executableTarget(
            name: "tarn",
            dependencies: [
                "FUSEServer", "VFS", "Repository", "Versioning", "ProllyTree", "ObjectStorage", "Staging", "BlockCache",
                "CLinux",
                arguments, crypto, logging,
            ],
            swiftSettings: strict),

        tests("EndToEndTests", ["CLinux"]),
        .target(
            name: "TestSupport",
            dependencies: ["Repository", "Versioning", "ProllyTree", "ObjectStorage", "Staging", logging],
            path: "Tests/TestSupport", swiftSettings: strict),
        tests("ProllyTreeTests", ["ProllyTree", "TestSupport"]),
        tests("VersioningTests", ["Versioning", "ProllyTree", "TestSupport", crypto]),
        tests(
            "StagingTests",
            ["Staging", "Versioning", "ProllyTree", "Repository", "ObjectStorage", "VFS", "TestSupport"]),
        tests(
            "RepositoryTests",
            ["Repository", "Staging", "Versioning", "ProllyTree", "ObjectStorage", "CLinux", "TestSupport"]),
        tests("VFSTests", ["VFS"]),
        tests("ObjectStorageTests", ["ObjectStorage"]),
        tests("BlockCacheTests", ["BlockCache"]),
    ]
)
