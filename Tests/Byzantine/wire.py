"""Types of binary fields. A type decodes, encodes and lists every field of a value.

A value is a number, bytes, a list or a dictionary. `Raw` in place of any value is written as it is:
this is how a mutation writes what no value encodes to, for example a varint of eleven bytes.
"""
import copy


class Raw(bytes):
    """Bytes that are written verbatim."""


class Malformed(Exception):
    pass


def varint(number):
    output = bytearray()
    while number >= 0x80:
        output.append(number & 0x7F | 0x80)
        number >>= 7
    output.append(number)
    return bytes(output)


class Reader:
    def __init__(self, data):
        self.data, self.place = bytes(data), 0

    def take(self, count):
        if count > len(self.data) - self.place:
            raise Malformed(f"{count} bytes are wanted at {self.place} of {len(self.data)}")
        self.place += count
        return self.data[self.place - count:self.place]

    def varint(self):
        result = shift = 0
        while True:
            byte = self.take(1)[0]
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > 63:
                raise Malformed("a varint of more than ten bytes")
        if result >> 64:
            raise Malformed("a varint of more than 64 bits")
        return result

    @property
    def at_end(self):
        return self.place == len(self.data)


class Type:
    def decode(self, reader, outer):
        raise NotImplementedError

    def encode(self, value, outer):
        raise NotImplementedError

    def write(self, value, outer=None):
        return bytes(value) if isinstance(value, Raw) else self.encode(value, outer)

    def read(self, data, outer=None):
        reader = Reader(data)
        value = self.decode(reader, outer)
        if not reader.at_end:
            raise Malformed(f"{len(reader.data) - reader.place} bytes are left over")
        return value

    def fields(self, value, name, path):
        """(name, path, type, value) of every field: `name` has no indices, `path` has them."""
        yield name, path, self, value


class Number(Type):
    """`low` and `high` are the range that the format allows."""

    def __init__(self, low, high):
        self.low, self.high = low, high


class Fixed32(Number):
    def decode(self, reader, outer):
        return int.from_bytes(reader.take(4), "little")

    def encode(self, value, outer):
        return (value & 0xFFFFFFFF).to_bytes(4, "little")


class Byte(Number):
    def decode(self, reader, outer):
        return reader.take(1)[0]

    def encode(self, value, outer):
        return bytes([value & 255])


class Varint(Number):
    def decode(self, reader, outer):
        return reader.varint()

    def encode(self, value, outer):
        return varint(value)


class Zigzag(Number):
    def decode(self, reader, outer):
        number = reader.varint()
        return number >> 1 if number & 1 == 0 else -(number >> 1) - 1

    def encode(self, value, outer):
        return varint(value << 1 if value >= 0 else (-value << 1) - 1)


class Octets(Type):
    """A fixed number of bytes."""

    def __init__(self, count):
        self.count = count

    def decode(self, reader, outer):
        return reader.take(self.count)

    def encode(self, value, outer):
        return bytes(value)


class Run(Type):
    """A varint length, then so many bytes, which may be fields themselves."""

    def __init__(self, inner=None):
        self.inner = inner

    def decode(self, reader, outer):
        data = reader.take(reader.varint())
        return self.inner.read(data, outer) if self.inner else data

    def body(self, value, outer=None):
        return self.inner.write(value, outer) if self.inner else bytes(value)

    def encode(self, value, outer):
        data = self.body(value, outer)
        return varint(len(data)) + data

    def fields(self, value, name, path):
        yield name + ".length" if self.inner else name, path, self, value
        if self.inner:
            yield from self.inner.fields(value, name, path)


class Counted(Type):
    """A varint, then so many items."""

    def __init__(self, item):
        self.item = item

    def decode(self, reader, outer):
        return [self.item.decode(reader, outer) for _ in range(reader.varint())]

    def body(self, value, outer=None):
        return b"".join(self.item.write(one, outer) for one in value)

    def encode(self, value, outer):
        return varint(len(value)) + self.body(value, outer)

    def fields(self, value, name, path):
        yield name + ".count", path, self, value
        for index, one in enumerate(value):
            yield from self.item.fields(one, name + "[]", path + (index,))


class Rest(Counted):
    """Items up to the end; their number is written nowhere."""

    def decode(self, reader, outer):
        items = []
        while not reader.at_end:
            items.append(self.item.decode(reader, outer))
        return items

    def encode(self, value, outer):
        return self.body(value, outer)

    def fields(self, value, name, path):
        yield name + ".items", path, self, value
        for index, one in enumerate(value):
            yield from self.item.fields(one, name + "[]", path + (index,))


class Struct(Type):
    """Named fields in order. `when` of a field tells from those before whether it is there."""

    def __init__(self, *parts):
        self.parts = [part if len(part) == 3 else (*part, None) for part in parts]

    def decode(self, reader, outer):
        value = {}
        for name, kind, when in self.parts:
            if when is None or when(value):
                value[name] = kind.decode(reader, value)
        return value

    def encode(self, value, outer):
        return b"".join(kind.write(value[name], value) for name, kind, _ in self.parts
                        if name in value)

    def fields(self, value, name, path):
        for part, kind, _ in self.parts:
            if part in value:
                yield from kind.fields(value[part], f"{name}.{part}", path + (part,))


def replaced(value, path, new):
    """A copy of `value` with what is at `path` exchanged."""
    if not path:
        return new
    value = copy.copy(value)
    value[path[0]] = replaced(value[path[0]], path[1:], new)
    return value


def at(value, path):
    for step in path:
        value = value[step]
    return value
