import ObjectStorage
import ProllyTree
import Versioning

/// Signs commits and ref updates as they are made.
package protocol RecordSigner: Sendable {
    /// The signature over exactly these bytes. Blocks.
    func sign(_ record: [UInt8]) throws -> [UInt8]
}

/// Tells whose signatures are good.
package protocol SignatureVerifier: Sendable {
    /// Whether this is `who`'s signature over exactly these bytes. Blocks.
    func isGood(_ signature: [UInt8], over record: [UInt8], by who: String) throws -> Bool
}

extension ObjectDatabase {
    private static let maximumSignatures = 10_000
    private static let maximumSignatureBytes: UInt64 = 64 << 10

    /// Signs a commit's or a ref update's bytes, if this program was given a key.
    func signRecord(_ bytes: [UInt8], id: String) throws {
        guard let signer else { return }
        let signature = try signer.sign(bytes)
        let name = Identifier<SignatureKind>(hashing: signature).hex
        _ = try store.put(ObjectKeys.signature(of: id, name: name), signature, .none)
    }

    /// How the record under `key` is signed: by its own `who`, by nobody, or otherwise. Anybody may put signatures beside a good
    /// one: of one record `maximumSignatures` are looked at, and what is larger than any signature is not.
    package func signatureState(_ key: String, id: String, who: String, _ verifier: some SignatureVerifier) throws
        -> SignatureState
    {
        let prefix = ObjectKeys.signature(of: id, name: "")
        var record: [UInt8]?
        var after: String?
        var seen = 0
        while seen < Self.maximumSignatures {
            let page = try store.list(prefix: prefix, after: after, limit: 1000)
            for info in page.objects where info.sizeBytes <= Self.maximumSignatureBytes {
                guard let signature = try store.find(info.key)?.bytes else { continue }
                let bytes = try record ?? store.get(key).bytes
                record = bytes
                if try verifier.isGood(signature, over: bytes, by: who) { return .good }
            }
            seen += page.objects.count
            guard let last = page.objects.last, page.isTruncated else { break }
            after = last.key
        }
        return seen == 0 ? .unsigned : .bad
    }
}

package enum SignatureState {
    case good, bad, unsigned
}

private enum SignatureKind {}
