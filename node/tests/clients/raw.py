"""A few requests written by hand, byte for byte, for answers that no client library shows whole (codes and messages)."""
import socket
import struct

TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


def string(text):
    if text is None:
        return struct.pack(">h", -1)
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value = struct.unpack_from(">" + form, self.data, self.at)[0]
        self.at += struct.calcsize(">" + form)
        return value

    def string(self):
        length = self.take("h")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def array(self, item):
        return [item() for _ in range(self.take("i"))]

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.take("B")
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def compact(self):
        length = self.varint() - 1
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()


def ask(address, key, version, body, flexible=False):
    """Sends one request and returns a reader at the answer's body."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as sock:
        header = struct.pack(">hhi", key, version, 7) + string("raw") + (b"\0" if flexible else b"")
        sock.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
        size = struct.unpack(">i", receive(sock, 4))[0]
        reader = Reader(receive(sock, size))
    assert reader.take("i") == 7
    if flexible:
        assert reader.take("B") == 0
    return reader


def receive(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part, "the connection was closed"
        data += part
    return data


def outcome(reader):
    """The resources of an answer to an alteration: (type, name, code, message)."""
    reader.take("i")

    def one():
        code, message, kind, name = reader.take("h"), reader.string(), reader.take("b"), reader.string()
        return kind, name, code, message
    return reader.array(one)


def incremental(address, resources, validate_only=False):
    """resources: (type, name, [(key, operation, value)])."""
    body = array([struct.pack(">b", kind) + string(name) +
                  array([string(key) + struct.pack(">b", op) + string(value) for key, op, value in configs])
                  for kind, name, configs in resources])
    return outcome(ask(address, 44, 0, body + struct.pack(">?", validate_only)))


def replace(address, resources, validate_only=False):
    """The legacy AlterConfigs. resources: (type, name, [(key, value)])."""
    body = array([struct.pack(">b", kind) + string(name) + array([string(k) + string(v) for k, v in configs])
                  for kind, name, configs in resources])
    return outcome(ask(address, 33, 1, body + struct.pack(">?", validate_only)))


def describe(address, resources, synonyms=True, documentation=False):
    """resources: (type, name, keys or None). Answers (type, name, code, message, {key: its description})."""
    body = array([struct.pack(">b", kind) + string(name) +
                  (struct.pack(">i", -1) if keys is None else array([string(k) for k in keys]))
                  for kind, name, keys in resources])
    reader = ask(address, 32, 3, body + struct.pack(">??", synonyms, documentation))
    reader.take("i")

    def synonym():
        return reader.string(), reader.string(), reader.take("b")

    def entry():
        name, value, read_only = reader.string(), reader.string(), reader.take("?")
        source, sensitive = reader.take("b"), reader.take("?")
        said = reader.array(synonym)
        return name, {"value": value, "read_only": read_only, "source": source, "sensitive": sensitive,
                      "synonyms": said, "type": reader.take("b"), "doc": reader.string()}

    def result():
        code, message, kind, name = reader.take("h"), reader.string(), reader.take("b"), reader.string()
        return kind, name, code, message, dict(reader.array(entry))
    return reader.array(result)


def list_resources(address, kinds=None):
    """ListConfigResources: (code, [(name, type)]); version 0, which asks for client metrics alone, without `kinds`."""
    version = 0 if kinds is None else 1
    body = b"\0" if kinds is None else bytes([len(kinds) + 1, *kinds, 0])
    reader = ask(address, 74, version, body, flexible=True)
    reader.take("i")
    code = reader.take("h")
    found = []
    for _ in range(reader.varint() - 1):
        name = reader.compact()
        kind = reader.take("b") if version else CLIENT_METRICS
        assert reader.take("B") == 0
        found.append((name, kind))
    return code, found


def unregister(address, broker):
    """UnregisterBroker: (code, message)."""
    reader = ask(address, 64, 0, struct.pack(">i", broker) + b"\0", flexible=True)
    reader.take("i")
    return reader.take("h"), reader.compact()


def create(address, topics, validate_only=False):
    """CreateTopics, version 4. topics: (name, partitions, replicas, [(key, value)]). Answers (name, code, message)."""
    body = array([string(name) + struct.pack(">ih", partitions, replicas) + array([]) +
                  array([string(k) + string(v) for k, v in configs]) for name, partitions, replicas, configs in topics])
    reader = ask(address, 19, 4, body + struct.pack(">i?", 10_000, validate_only))
    reader.take("i")
    return reader.array(lambda: (reader.string(), reader.take("h"), reader.string()))


def add_partitions(address, topic, count, validate_only=False):
    """CreatePartitions, version 1: (code, message)."""
    body = array([string(topic) + struct.pack(">ii", count, -1)])
    reader = ask(address, 37, 1, body + struct.pack(">i?", 10_000, validate_only))
    reader.take("i")
    return reader.array(lambda: (reader.string(), reader.take("h"), reader.string()))[0][1:]
