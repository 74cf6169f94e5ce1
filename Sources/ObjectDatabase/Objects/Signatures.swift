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
    private static let maximumSignatures = 100

    /// Signs a commit's or a ref update's bytes, if this program was given a key.
    func signRecord(_ bytes: [UInt8], id: String) throws {
        guard let signer else { return }
        let signature = try signer.sign(bytes)
        let name = Identifier<SignatureKind>(hashing: signature).hex
        _ = try store.put(ObjectKeys.signature(of: id, name: name), signature, .none)
    }

    /// The signatures of one record; at most `maximumSignatures`, so that nobody keeps a verifier busy with rubbish.
    func signatures(of id: String) throws -> [[UInt8]] {
        let page = try store.list(
            prefix: ObjectKeys.signature(of: id, name: ""), after: nil, limit: Self.maximumSignatures)
        return try page.objects.map { try store.get($0.key).bytes }
    }

    /// How the record under `key` is signed: by its own `who`, by nobody, or otherwise.
    package func signatureState(_ key: String, id: String, who: String, _ verifier: some SignatureVerifier) throws
        -> SignatureState
    {
        let signatures = try signatures(of: id)
        if signatures.isEmpty { return .unsigned }
        let record = try store.get(key).bytes
        return try signatures.contains { try verifier.isGood($0, over: record, by: who) } ? .good : .bad
    }
}

package enum SignatureState {
    case good, bad, unsigned
}

private enum SignatureKind {}
