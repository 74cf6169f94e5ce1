import ErrorMessages
import Foundation
import Glibc
import ObjectDatabase
import Operations
import Versioning

/// Signatures as `ssh-keygen -Y` makes and checks them (PROTOCOL.sshsig of OpenSSH), in the namespace `tarn`. Anybody can
/// check them without Tarn.
private let namespace = "tarn"

/// Signs with the key file that `TARN_SIGNING_KEY` names, or with the agent's key for a public key file.
struct SSHSigner: RecordSigner {
    let key: String

    init(_ key: String) {
        self.key = key
    }

    func sign(_ record: [UInt8]) throws -> [UInt8] {
        let (code, output) = try runFilter(
            ["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", namespace], input: record)
        guard code == 0, !output.isEmpty else {
            throw CommandFailure(
                message: "ssh-keygen cannot sign with \(key)",
                hint: "TARN_SIGNING_KEY names a private key, or a public key whose private one ssh-agent has")
        }
        return output
    }
}

/// Believes the keys of an allowed-signers file (ssh-keygen(1), "ALLOWED SIGNERS"), whose principals are the addresses of
/// authors.
struct AllowedSigners: SignatureVerifier {
    let file: String

    func isGood(_ signature: [UInt8], over record: [UInt8], by who: String) throws -> Bool {
        guard try mayBelieve(signature) else { return false }
        let directory = try makeTemporaryDirectory("signature")
        let path = directory + "/signature"
        defer {
            unlink(path)
            rmdir(directory)
        }
        try Data(signature).write(to: URL(filePath: path), options: .withoutOverwriting)
        let words = [
            "ssh-keygen", "-q", "-Y", "verify", "-f", file, "-I", address(of: who), "-n", namespace, "-s", path,
        ]
        return try runFilter(words, input: record).code == 0
    }
}

extension AllowedSigners {
    /// Whether the file has the key of a signature, or lets authorities name keys: what is certainly not believed costs no process.
    private func mayBelieve(_ signature: [UInt8]) throws -> Bool {
        guard let allowed = FileManager.default.contents(atPath: file) else {
            throw CommandFailure(message: "there is no file of allowed signers at \(file)", kind: .notFound)
        }
        let text = String(decoding: allowed, as: UTF8.self)
        if text.contains("cert-authority") { return true }
        guard let key = publicKey(in: signature) else { return false }
        return text.contains(key)
    }

    /// The key in a signature, as public key files have it (PROTOCOL.sshsig: the magic preamble, a version, the key, …).
    private func publicKey(in signature: [UInt8]) -> String? {
        let lines = String(decoding: signature, as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("-----") }
        guard let data = Data(base64Encoded: lines.joined()), data.starts(with: Array("SSHSIG".utf8)) else {
            return nil
        }
        let rest = [UInt8](data.dropFirst("SSHSIG".utf8.count + 4))
        guard rest.count >= 4 else { return nil }
        let length = rest[..<4].reduce(0) { $0 << 8 | Int($1) }
        guard length > 0, length <= rest.count - 4 else { return nil }
        return Data(rest[4..<(4 + length)]).base64EncodedString()
    }
}

/// The address of a person, else the whole text.
private func address(of who: String) -> String { Author(parsing: who)?.address ?? who }
