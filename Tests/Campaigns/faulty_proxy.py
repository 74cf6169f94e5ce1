"""An HTTP server before an S3 server that misbehaves on demand: for stores that are away, slow or wrong."""
import http.client
import http.server
import random
import socket
import struct
import threading
import time


class FaultyProxy:
    """`fault` is one of FAULTS or None, and meets a request with `probability`; `injected` counts them."""

    FAULTS = ("unavailable", "stall", "truncated body", "flipped bit", "lost reply", "reset")

    def __init__(self, port, seed):
        self.upstream, self.random = port, random.Random(seed)
        self.fault, self.probability, self.injected = None, 0.3, 0
        self.lock = threading.Lock()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def serve(self):
                try:
                    proxy.serve(self)
                except (OSError, http.client.HTTPException):
                    self.close_connection = True

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = serve

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def choose(self, method):
        """The fault for this request, if any. Bodies are spoiled only where there are some."""
        with self.lock:
            fault = self.fault
            if fault is None or self.random.random() >= self.probability:
                return None
            if fault in ("truncated body", "flipped bit") and method != "GET":
                return None
            if fault == "lost reply" and method not in ("PUT", "POST"):
                return None
            self.injected += 1
            return fault

    def serve(self, request):
        body = self.read_body(request)
        fault = self.choose(request.command)
        if fault == "unavailable":
            return self.reply(request, 503, [("Retry-After", "0")], b"<Error><Code>SlowDown</Code></Error>")
        if fault == "reset":
            return self.abort(request)
        if fault == "stall":
            # Longer than the timeouts given to tarn here.
            time.sleep(self.random.choice((0.3, 1, 5)))
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        try:
            headers = {name: value for name, value in request.headers.items()
                       if name.lower() not in ("connection", "transfer-encoding", "expect")}
            connection.request(request.command, request.path, body, headers)
            response = connection.getresponse()
            answer = response.read()
            kept = [(name, value) for name, value in response.getheaders()
                    if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server")]
            length = response.getheader("Content-Length")
        finally:
            connection.close()
        if fault == "lost reply":
            return self.abort(request)
        if fault == "flipped bit" and answer:
            place = self.random.randrange(len(answer))
            answer = answer[:place] + bytes([answer[place] ^ 1 << self.random.randrange(8)]) + answer[place + 1:]
        cut = self.random.randrange(len(answer)) if fault == "truncated body" and answer else None
        if request.command == "HEAD":
            kept.append(("Content-Length", length or "0"))
            return self.reply(request, response.status, kept, None)
        return self.reply(request, response.status, kept, answer, cut)

    def read_body(self, request):
        if request.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(request.rfile.readline().split(b";")[0], 16):
                body += request.rfile.read(size)
                request.rfile.readline()
            request.rfile.readline()
            return body
        return request.rfile.read(int(request.headers.get("Content-Length", 0)))

    def reply(self, request, status, headers, body, cut=None):
        request.send_response(status)
        for name, value in headers:
            request.send_header(name, value)
        if body is not None:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if body is not None:
            request.wfile.write(body[:cut])
        if cut is not None:
            request.close_connection = True

    def abort(self, request):
        """The connection is reset without an answer."""
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.close_connection = True
        request.connection.close()
