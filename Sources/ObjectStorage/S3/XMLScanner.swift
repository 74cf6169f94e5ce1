/// One element of a parsed answer: its name without a namespace prefix, its text, its children.
struct XMLElement: Hashable, Sendable {
    let name: String
    fileprivate(set) var text = ""
    fileprivate(set) var children: [XMLElement] = []

    func child(_ name: String) -> XMLElement? { children.first { $0.name == name } }

    /// The text of the child, or of the descendant at the end of `path`.
    func text(_ path: String...) -> String? {
        var element = self
        for name in path {
            guard let next = element.child(name) else { return nil }
            element = next
        }
        return element.text
    }
}

/// Reads the small subset of XML that S3 and STS answer with: elements, text, the five entities and numeric ones,
/// CDATA. Attributes, comments and processing instructions are skipped; a DOCTYPE, wrong nesting, a stray entity or a
/// depth over 32 is garbage and gives `nil`. Linear in the input.
struct XMLScanner {
    static let maximumDepth = 32

    private let bytes: [UInt8]
    private var position = 0

    static func parse(_ bytes: [UInt8]) -> XMLElement? {
        var scanner = XMLScanner(bytes: bytes)
        return scanner.document()
    }

    private init(bytes: [UInt8]) {
        // Some servers put a byte order mark first.
        self.bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
    }

    private mutating func document() -> XMLElement? {
        var open: [XMLElement] = []
        var text: [UInt8] = []
        while position < bytes.count {
            if bytes[position] != UInt8(ascii: "<") {
                guard let byte = character() else { return nil }
                text += byte
                continue
            }
            if take("<?") {
                guard skip(past: "?>") else { return nil }
            } else if take("<!--") {
                guard skip(past: "-->") else { return nil }
            } else if take("<![CDATA[") {
                let start = position
                guard skip(past: "]]>") else { return nil }
                text += bytes[start..<(position - 3)]
            } else if take("</") {
                guard let name = closingName(), var element = open.popLast(), element.name == name else { return nil }
                if element.children.isEmpty { element.text = String(decoding: text, as: UTF8.self) }
                text = []
                if open.isEmpty { return element }
                open[open.count - 1].children.append(element)
            } else {
                guard let (name, isEmpty) = openingTag(), open.count < Self.maximumDepth else { return nil }
                text = []
                let element = XMLElement(name: name)
                if !isEmpty {
                    open.append(element)
                } else if open.isEmpty {
                    return element
                } else {
                    open[open.count - 1].children.append(element)
                }
            }
        }
        return nil
    }

    private mutating func take(_ token: StaticString) -> Bool {
        let matches = token.withUTF8Buffer { bytes[position...].starts(with: $0) }
        if matches { position += token.utf8CodeUnitCount }
        return matches
    }

    private mutating func skip(past token: StaticString) -> Bool {
        while position < bytes.count {
            if take(token) { return true }
            position += 1
        }
        return false
    }

    /// After `<`: the name, and whether the element ends with `/>`. Attributes are skipped, quotes respected.
    private mutating func openingTag() -> (name: String, isEmpty: Bool)? {
        position += 1
        guard let name = name() else { return nil }
        var quote: UInt8?
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if let open = quote {
                if byte == open { quote = nil }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
            } else if byte == UInt8(ascii: ">") {
                return (name, bytes[position - 2] == ObjectKey.slash)
            } else if byte == UInt8(ascii: "<") {
                return nil
            }
        }
        return nil
    }

    private mutating func closingName() -> String? {
        guard let name = name() else { return nil }
        while position < bytes.count, isSpace(bytes[position]) { position += 1 }
        return take(">") ? name : nil
    }

    /// A name without its prefix.
    private mutating func name() -> String? {
        let start = position
        while position < bytes.count, isNameByte(bytes[position]) { position += 1 }
        let name = bytes[start..<position]
        guard !name.isEmpty else { return nil }
        let local = name.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).last!
        return String(validating: local, as: UTF8.self)
    }

    /// One byte of text, or the bytes that an entity stands for.
    private mutating func character() -> [UInt8]? {
        let byte = bytes[position]
        guard byte == UInt8(ascii: "&") else {
            position += 1
            return [byte]
        }
        guard let end = bytes[position...].prefix(12).firstIndex(of: UInt8(ascii: ";")) else { return nil }
        let entity = String(decoding: bytes[(position + 1)..<end], as: UTF8.self)
        position = end + 1
        switch entity {
        case "lt": return [UInt8(ascii: "<")]
        case "gt": return [UInt8(ascii: ">")]
        case "amp": return [UInt8(ascii: "&")]
        case "quot": return [UInt8(ascii: "\"")]
        case "apos": return [UInt8(ascii: "'")]
        default: return numericEntity(entity)
        }
    }

    private func numericEntity(_ entity: String) -> [UInt8]? {
        let number =
            if entity.hasPrefix("#x") {
                UInt32(entity.dropFirst(2), radix: 16)
            } else if entity.hasPrefix("#") {
                UInt32(entity.dropFirst())
            } else {
                UInt32?.none
            }
        return number.flatMap(UnicodeScalar.init).map { Array(String($0).utf8) }
    }

    private func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

    private func isNameByte(_ byte: UInt8) -> Bool {
        !isSpace(byte) && byte != ObjectKey.slash && !"<>=\"'&".utf8.contains(byte)
    }
}

/// Text as it stands in an XML element.
func xmlEscaped(_ text: String) -> String {
    text.reduce(into: "") { result, character in
        switch character {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        default: result.append(character)
        }
    }
}
