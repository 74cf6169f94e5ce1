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

/// The address in `Name <address>`, else the whole text.
private func address(of who: String) -> String {
    guard let open = who.lastIndex(of: "<"), let close = who.lastIndex(of: ">"), open < close else { return who }
    return String(who[who.index(after: open)..<close])
}
