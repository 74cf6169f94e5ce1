"""What a field can be changed to: (label, value) for every type of field, binary or JSON."""
import json

import format as f
from wire import Counted, Number, Octets, Raw, Rest, Run, varint

HUGE_VARINTS = [("varint of 65 bits", Raw(b"\xff" * 9 + b"\x7f")),
                ("varint of 11 bytes", Raw(b"\xff" * 10 + b"\x01")),
                ("varint without an end", Raw(b"\x80" * 3))]
DEEP = Raw(b"[" * 20_000 + b"]" * 20_000)


def distinct(options, value):
    seen = [value]
    for label, new in options:
        if new not in seen or isinstance(new, Raw):
            seen.append(new)
            yield label, new


def binary(shape, value, neighbour):
    """Changes of a binary field; `neighbour` is another value of the same field, or None."""
    return list(distinct(list(_binary(shape, value, neighbour)), value))


def _binary(shape, value, neighbour):
    if neighbour is not None:
        yield "neighbour's", neighbour
    if isinstance(shape, Number):
        top = {"Byte": 255, "Fixed32": 2**32 - 1}.get(type(shape).__name__, f.U64)
        yield "zero", 0
        yield "one", 1
        yield "off by one", min(value + 1, top)
        yield "one less", max(value - 1, 0)
        yield "highest", min(shape.high, top)
        yield "past the highest", min(shape.high + 1, top)
        yield "sign bit", (top >> 1) + 1
        yield "all ones", top
        yield "largest signed", top >> 1
        if top == f.U64:
            yield "near the end", top - 1
            yield "2^32", 2**32
            yield from HUGE_VARINTS
    elif isinstance(shape, Octets):
        yield "bit", bytes([value[0] ^ 1]) + value[1:]
        yield "zeros", bytes(shape.count)
        yield "all ones", b"\xff" * shape.count
        yield "last bit", value[:-1] + bytes([value[-1] ^ 1])
        yield "shortened", Raw(value[:-1])
        yield "doubled", Raw(value * 2)
    elif isinstance(shape, Run):
        body = shape.body(value)
        yield "length 0", Raw(varint(0) + body)
        yield "length + 1", Raw(varint(len(body) + 1) + body)
        yield "length 2^32", Raw(varint(2**32) + body)
        yield "length 2^63", Raw(varint(2**63) + body)
        yield "length 2^64 - 1", Raw(varint(f.U64) + body)
        yield "empty", Raw(varint(0))
        yield "doubled", Raw(varint(2 * len(body)) + body * 2)
    elif isinstance(shape, Rest):
        yield "none", []
        yield "last missing", value[:-1]
        yield "last twice", value + value[-1:]
        yield "reversed", value[::-1]
        yield "doubled", value * 2
        yield "cut", Raw(shape.body(value)[:-1])
    elif isinstance(shape, Counted):
        body = shape.body(value)
        for label, count in (("0", 0), ("+ 1", len(value) + 1), ("2^32", 2**32), ("2^62", 2**62),
                             ("2^64 - 1", f.U64)):
            yield f"count {label}", Raw(varint(count) + body)


class Verbatim(str):
    """Text that stands in JSON without quotes."""


ABSENT = object()


def record(shape, value, neighbour):
    """Changes of a JSON field."""
    options = list(_record(shape, value, neighbour))
    seen, kept = [json.dumps(value, sort_keys=True)], []
    for label, new in options:
        text = repr(new) if new is ABSENT or isinstance(new, Verbatim) else json.dumps(new)
        if text not in seen:
            seen.append(text)
            kept.append((label, new))
    return kept


def _record(shape, value, neighbour):
    if neighbour is not None:
        yield "neighbour's", neighbour
    yield "absent", ABSENT
    yield "null", None
    if isinstance(shape, f.Int):
        for number in (0, 1, -1, value + 1, value - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63,
                       2**64 - 1, 2**64, -2**63):
            yield str(number) if number not in (value + 1, value - 1) else "off by one", number
        yield "fraction", 1.5
        yield "1e999", Verbatim("1e999")
        yield "text", "1"
    elif isinstance(shape, (f.Text, f.Choice)):
        yield "empty", ""
        yield "control characters", "\x1b[31mred\r\nline\x00end"
        yield "1 MiB", "A" * (1 << 20)
        yield "number", 7
        yield "path", "../../../etc/passwd"
        yield "unpaired surrogate", Verbatim('"\\ud800"')
        for word in getattr(shape, "words", ()):
            yield word, word
    elif isinstance(shape, f.Time):
        for time in ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z",
                     "9999-12-31T23:59:59.999999999Z", "2026-02-30T00:00:00Z",
                     "292277026596-12-04T15:30:07Z", "-001-01-01T00:00:00Z",
                     "2026-01-01T99:99:99Z", ""):
            yield time or "empty", time
        yield "number", 2**62
    elif isinstance(shape, (f.Hex, f.UUID)):
        yield "bit", value[:-1] + ("0" if value[-1] != "0" else "1")
        yield "zeros", "0" * len(value)
        yield "shortened", value[:-1]
        yield "doubled", value * 2
        yield "upper case", value.upper()
        yield "path", "../../" + value
        yield "empty", ""
        yield "number", 7
    elif isinstance(shape, f.Flag):
        yield "toggled", not value
        yield "number", 1
        yield "text", "true"
    elif isinstance(shape, f.Many):
        yield "none", []
        yield "last missing", value[:-1]
        yield "doubled", value * 2
        yield "reversed", value[::-1]
        yield "many", value[:1] * 100_000
        yield "object", {}
    elif isinstance(shape, (f.Record, f.Map)):
        yield "empty", {}
        yield "list", []
    elif isinstance(shape, f.Packed):
        yield "no base64", "%%%"
        yield "empty", ""
        yield "cut", value[:-4]
        yield "1 MiB", "A" * (1 << 20)
    yield "deep", Verbatim("[" * 20_000 + "]" * 20_000)


def changed(value, path, new):
    """JSON text with what is at `path` exchanged or taken away."""
    mark = "\x01here\x01"
    value = json.loads(json.dumps(value))
    place = value
    for step in path[:-1]:
        place = place[step]
    if new is ABSENT:
        del place[path[-1]]
    else:
        place[path[-1]] = mark if isinstance(new, Verbatim) else new
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    if isinstance(new, Verbatim):
        text = text.replace(json.dumps(mark), str(new))
    return text.encode()
