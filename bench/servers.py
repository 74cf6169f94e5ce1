"""The S3 servers of the benchmarks (Ceph RGW, by scripts/start-rgw.sh; nginx where the server must not be what is
measured) and a relay in front of them that counts and, if asked, delays."""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import boto3
import botocore.config

from support import BenchError, end_group, run, usage

KEYS = {"AWS_ACCESS_KEY_ID": "labaccess", "AWS_SECRET_ACCESS_KEY": "labsecretlabsecret", "AWS_REGION": "us-east-1"}

IDLE_BYTES = 64 << 10


class Server:
    """A running RGW, with a bucket for each name asked for."""

    def __init__(self, endpoint, pids):
        self.endpoint, self.pids = endpoint, pids
        self.env = KEYS | {"AWS_ENDPOINT_URL": endpoint}

    def client(self):
        return boto3.client(
            "s3", endpoint_url=self.endpoint, aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"], region_name=KEYS["AWS_REGION"],
            config=botocore.config.Config(s3={"addressing_style": "path"}, connect_timeout=20, read_timeout=120))

    def cpu_seconds(self):
        """What its processes have used so far, user and system."""
        return sum(usage(pid).cpu_seconds for pid in self.pids)

    def bucket(self, name):
        self.client().create_bucket(Bucket=name)
        return name

    def make_pools(self):
        """What the server makes at the first multipart upload, which takes it a second."""
        client, bucket = self.client(), self.bucket("first")
        upload = client.create_multipart_upload(Bucket=bucket, Key="first")
        client.abort_multipart_upload(Bucket=bucket, Key="first", UploadId=upload["UploadId"])

    def remove_bucket(self, name):
        client = self.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
            if keys:
                client.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})


@contextlib.contextmanager
def rgw(bench, store, gib):
    """Ceph RGW for as long as the block runs. `store`: memstore (all in memory) or bluestore (a sparse file)."""
    with bench.directory("rgw") as directory:
        place = directory / "rgw"
        try:
            ran = run([bench.root / "scripts/start-rgw.sh", place, store], 300, env=os.environ | {"OSD_GIB": str(gib)})
            pids = [int(file.read_text()) for file in place.glob("*.pid")]
            server = Server(ran.output.strip().splitlines()[-1], pids)
            server.make_pools()
            yield server
        finally:
            stop([int(text) for file in place.glob("*.pid") if (text := file.read_text().strip())])


def stop(pids):
    for number, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 10)):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() for pid in pids):
            time.sleep(0.1)


NGINX = """daemon off; user root; worker_processes 2; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000; client_max_body_size 0;
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
    server {{
        listen 127.0.0.1:{port} backlog=1024; root {root}; dav_methods PUT DELETE; create_full_put_path on;
        location / {{
            if (-d $request_filename) {{ return 404; }}
            if ($request_method = PUT) {{ add_header ETag '"put"'; }}
        }}
        location ~ ^/[^/]*/?$ {{ proxy_pass http://127.0.0.1:{lists}; proxy_set_header Host $http_host; }}
    }}
}}
"""


@contextlib.contextmanager
def static(bench, root):
    """nginx that serves the directories in `root` as buckets, from memory if they lie there: no bottleneck to readers.
    It takes plain PUT and DELETE too, but no conditions; listings are rclone's. Signatures are not looked at."""
    with bench.directory("nginx") as home:
        port, lists = free_port(), free_port()
        (home / "nginx.conf").write_text(NGINX.format(home=home, port=port, root=root, lists=lists))
        # No ETags in the listings: rclone would hash every file for them.
        commands = (["nginx", "-c", home / "nginx.conf", "-e", home / "error.log"],
                    [bench.rclone_path, "serve", "s3", "--addr", f"127.0.0.1:{lists}", "--etag-hash", "", root])
        processes = []
        try:
            for command in commands:
                with open(home / "log", "ab") as log:
                    processes.append(subprocess.Popen(
                        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        env=os.environ | {"RCLONE_CONFIG": "/dev/null"}, start_new_session=True))
            for process, number in zip(processes, (port, lists)):
                wait_for_port(process, number, home / "log")
            yield Server(f"http://127.0.0.1:{port}", [pid for one in processes for pid in family(one.pid)])
        finally:
            for process in processes:
                end_group(process)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def wait_for_port(process, port, log, patience=20):
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"{process.args[0]} does not listen: {log.read_text(errors='replace')[-500:]}")
        time.sleep(0.05)


def family(pid):
    """A process and its children."""
    return [pid] + [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Relay:
    """Passes TCP on to an HTTP/1.1 server and counts. Signatures hold: it changes nothing, and the Host header that the
    client signed names the relay, which the server takes as it comes. `delay`: seconds by which each request comes
    later to the server; requests on other connections do not wait for it."""

    def __init__(self, endpoint, delay=0.0):
        self.delay = delay
        host, port = endpoint.removeprefix("http://").rstrip("/").split(":")
        self.upstream = (host, int(port))
        self.lock = threading.Lock()
        self.reset()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.is_open = True
        threading.Thread(target=self.accept, daemon=True).start()

    def reset(self):
        with self.lock:
            self.up = self.down = self.requests = 0
            self.lines = []

    def counts(self):
        with self.lock:
            return {"up": self.up, "down": self.down, "requests": self.requests, "lines": list(self.lines)}

    def wait_until_idle(self, seconds, patience):
        """Until almost nothing has passed for some seconds; false when that does not come. A mount that asks now and
        then whether its branch moved counts as idle."""
        deadline = time.monotonic() + patience
        since, passed = time.monotonic(), self.passed()
        while time.monotonic() < deadline:
            if self.passed() - passed > IDLE_BYTES:
                since, passed = time.monotonic(), self.passed()
            elif time.monotonic() - since >= seconds:
                return True
            time.sleep(0.05)
        return False

    def passed(self):
        with self.lock:
            return self.up + self.down

    def accept(self):
        while self.is_open:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        requests = RequestCounter()
        with client, socket.create_connection(self.upstream) as server, selectors.DefaultSelector() as ready:
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            with contextlib.suppress(OSError):
                while self.is_open:
                    for key, _ in ready.select(timeout=1):
                        data = key.fileobj.recv(1 << 18)
                        if not data:
                            return
                        found = requests.take(data) if key.fileobj is client else []
                        with self.lock:
                            self.requests += len(found)
                            self.lines += found
                            if key.fileobj is client:
                                self.up += len(data)
                            else:
                                self.down += len(data)
                        if found and self.delay:
                            # A client asks one thing at a time on a connection: nothing else waits here.
                            time.sleep(self.delay * len(found))
                        key.data.sendall(data)

    def close(self):
        self.is_open = False
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class RequestCounter:
    """Finds the request lines in what a client sends over one connection."""

    def __init__(self):
        self.head, self.body = b"", 0

    def take(self, data):
        found, view = [], memoryview(data)
        while view:
            if self.body:
                skipped = min(self.body, len(view))
                self.body -= skipped
                view = view[skipped:]
                continue
            self.head += bytes(view)
            head, end, rest = self.head.partition(b"\r\n\r\n")
            if not end:
                break
            lines = head.decode("latin-1").split("\r\n")
            for line in lines[1:]:
                name, _, value = line.partition(":")
                if name.lower() == "content-length":
                    self.body = int(value)
                elif name.lower() == "transfer-encoding":
                    raise BenchError("the relay does not count chunked requests")
            found.append(" ".join(lines[0].split()[:2]))
            self.head, view = b"", memoryview(rest)
        return found
