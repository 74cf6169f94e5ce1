import Glibc
import ObjectStorage
import Versioning

func message(_ error: StoreError) -> ErrorMessage {
    switch error {
    case .notFound(let key): ErrorMessage(message: "\(key) is missing from the store", kind: .notFound)
    case .containerMissing(let location):
        ErrorMessage(
            message: "\(location) does not exist", hint: "Check the name, or create the bucket or directory first",
            kind: .notFound)
    case .accessDenied(let location, let reason):
        ErrorMessage(
            message: "access to \(location) was denied: \(reason)",
            hint: "Check the credentials (AWS_ACCESS_KEY_ID …, AWS_PROFILE) and the bucket's policy")
    case .noCredentials(let tried):
        ErrorMessage(
            message: "no credentials were found (tried \(tried.joined(separator: ", ")))",
            hint: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
    case .unavailable(let location, let key, let attempts, let reason):
        ErrorMessage(
            message: "\(location) did not answer for \(key) in \(attempts) attempts: \(reason)",
            hint: "Check the network and the endpoint (AWS_ENDPOINT_URL)")
    case .refused(let key, let status, let code, let message):
        ErrorMessage(message: "the store refused \(key): \(status) \(code) \(message)")
    case .certificateRefused(let location, let reason):
        ErrorMessage(
            message: "the certificate of \(location) is not trusted: \(reason)",
            hint: "Name your CA's file in AWS_CA_BUNDLE")
    case .localIO(let path, let number): message(path: path, number)
    case .invalidLocation(let location, let reason):
        ErrorMessage(message: "'\(location)' cannot be the location of a repository: \(reason)", kind: .usage)
    case .preconditionFailed(let key):
        ErrorMessage(message: "\(key) was changed by somebody else", hint: "Try again")
    case .rangeNotSatisfiable(let key): ErrorMessage(message: "\(key) is shorter than it must be")
    case .invalidKey(let key, let reason): ErrorMessage(message: "\(key): \(reason)")
    case .tooLarge(let key, let limit):
        ErrorMessage(
            message: "\(key) has more than \(limit) bytes, so no tarn has written it", hint: hint(forObject: key))
    case .badAnswer(let key, let reason):
        ErrorMessage(message: "the store's answer for \(key) makes no sense: \(reason)")
    }
}

func message(path: String, _ number: Int32) -> ErrorMessage {
    ErrorMessage(message: "\(path): \(String(cString: strerror(number)))")
}
