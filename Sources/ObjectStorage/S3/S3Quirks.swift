/// How a store departs from AWS. Found by `probeCompareAndSwap` and kept in the repository.
package struct S3Quirks: Hashable, Sendable, Codable {
    /// Send `If-Match: "etag"` with a `PUT`. Ceph RGW 16 and 18 only understand it without the quotes; AWS, moto and
    /// RGW 20 understand both.
    package var quoteIfMatch: Bool

    package init(quoteIfMatch: Bool = false) {
        self.quoteIfMatch = quoteIfMatch
    }
}
