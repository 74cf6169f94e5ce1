"""The scenario of the crash campaign in which the S3 server fails."""
import errno
import os
import socket
import subprocess
import time

from crash_stage import Committer, Stage
from faulty_proxy import FaultyProxy
from sandbox import Violation, end_process, wait_until


class Moto:
    """An S3 server of the campaign's own."""

    def __init__(self):
        program = os.environ.get("MOTO_SERVER") or os.path.join(
            os.path.dirname(os.path.abspath(__file__)), "../../.venv/bin/moto_server")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.answers, 60, "moto does not answer")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def close(self):
        end_process(self.process)


def failing_store(rounds, seed, tally):
    """The S3 server refuses, stalls, cuts, spoils or loses replies: commits fail or succeed, never wrong bytes."""
    moto = Moto()
    proxy = FaultyProxy(moto.port, seed)
    try:
        with Stage(seed, proxy.endpoint, writers=2, faults={errno.EIO}, options=("--timeout", "3")) as stage:
            want = make_files(stage)
            for number in range(rounds):
                fault = FaultyProxy.FAULTS[number % len(FaultyProxy.FAULTS)]
                proxy.probability = 0.2 if fault == "stall" else stage.random.choice((0.15, 0.5, 1.0))
                stage.story.append(f"{fault} {proxy.probability}")
                stage.begin()
                proxy.fault = fault
                stage.committer = Committer(stage, 0.0, allowed=(0, 1))
                stage.committer.start()
                read_files(stage, want, number)
                time.sleep(0.5)
                proxy.fault = None
                stage.committer.end()
                stage.end_writers(expects_death=False)
                stage.verify()
                stage.check_head()
                stage.commit()
                stage.restart_writers()
            stage.check_all()
            read_files(stage, want, rounds, must_succeed=True)
    finally:
        tally.faults += proxy.injected
        proxy.close()
        moto.close()


def make_files(stage):
    """Files in the branch for readers; answers their bytes."""
    source = stage.sandbox.path("source")
    os.mkdir(source)
    want = {}
    for number, size in enumerate((10, 3000, 70_000, 600_000, 2_000_000)):
        want[f"r{number}"] = stage.random.randbytes(size)
        with open(os.path.join(source, f"r{number}"), "wb") as file:
            file.write(want[f"r{number}"])
    stage.sandbox.tarn("import", source, "-m", "files for readers")
    return want


def read_files(stage, want, number, must_succeed=False):
    """Reads through a mount with an empty cache, and by `tarn cat`: the right bytes, or an error."""
    point, errors = stage.sandbox.path(f"reader{number}"), 0
    try:
        stage.sandbox.mount(point, "--ref", "main", "--timeout", "3", "--cache-dir", point + "-cache")
    except Violation:
        if must_succeed:
            raise
        return 1
    for name, content in want.items():
        try:
            with open(os.path.join(point, name), "rb") as file:
                if file.read() != content:
                    raise Violation("wrong bytes", f"{name} is read wrongly")
        except OSError as error:
            errors += 1
            if must_succeed or error.errno != errno.EIO:
                raise Violation("read", str(error)) from None
    done = stage.sandbox.tarn(
        "cat", "main:r3", "--timeout", "3", "--cache-dir", point + "-cat", code=0 if must_succeed else None)
    if done.returncode == 0 and done.stdout != want["r3"] or not want["r3"].startswith(done.stdout):
        raise Violation("wrong bytes", "tarn cat")
    stage.sandbox.unmount(point)
    return errors
