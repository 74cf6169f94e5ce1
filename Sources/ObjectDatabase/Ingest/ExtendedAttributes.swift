package import BlockingIO
import CLinux
import Glibc
import ProllyTree
package import Versioning

/// One attribute of a local file, following links; `nil` when it has none of that name or cannot be asked.
package func userAttribute(of path: [UInt8], _ name: String) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: maximumAttributeBytes)
    let count = withCPath(path) { getxattr($0, name, &buffer, buffer.count) }
    return count >= 0 ? Array(buffer[..<count]) : nil
}

/// The `user.*` attributes of an open local file in ascending order of names. Linux keeps none on symbolic links.
/// Tarn's own are left out.
package func userAttributes(of descriptor: Int32, path: [UInt8]) throws -> [ExtendedAttribute] {
    var names = [CChar](repeating: 0, count: maximumAttributeBytes)
    let count = flistxattr(descriptor, &names, names.count)
    if count < 0, lastErrno() == ENOTSUP { return [] }
    guard count >= 0 else { throw localFailure(printableName(path)) }
    var attributes: [ExtendedAttribute] = []
    for name in names[..<count].split(separator: 0) {
        let bytes = name.map { UInt8(bitPattern: $0) }
        guard ExtendedAttribute.isUsers(bytes) else { continue }
        var value = [UInt8](repeating: 0, count: maximumAttributeBytes)
        let length = withCPath(bytes) { fgetxattr(descriptor, $0, &value, value.count) }
        if length < 0, lastErrno() == ENODATA { continue }
        guard length >= 0 else { throw localFailure(printableName(path)) }
        attributes.append(ExtendedAttribute(name: bytes, value: Array(value[..<length])))
    }
    guard attributes.reduce(0, { $0 + $1.sizeBytes }) <= Entry.maximumAttributeBytes else {
        throw ObjectDatabaseError.sourceUnusable(
            path: printableName(path), reason: "its attributes have more than \(Entry.maximumAttributeBytes) bytes")
    }
    return attributes.sorted { compareBytes($0.name, $1.name) < 0 }
}

/// Sets attributes on an open local file.
package func setAttributes(_ attributes: [ExtendedAttribute], of descriptor: Int32) throws(Errno) {
    for attribute in attributes {
        let failed = withCPath(attribute.name) {
            fsetxattr(descriptor, $0, attribute.value, attribute.value.count, 0)
        }
        guard failed == 0 else { throw Errno() }
    }
}

/// The largest value and the longest list of names that Linux has (xattr(7)).
private let maximumAttributeBytes = 64 << 10
