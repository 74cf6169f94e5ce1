"""What every campaign asks of this host: where the program is, how long to wait for it, and whether a process lives."""
import os

# A program that scripts/sanitize.sh built takes terabytes of addresses and several times the memory: limits on them would
# only find the sanitizer.
IS_SANITIZED = bool(os.environ.get("TARN_SANITIZED"))
SLOWNESS = 10 if IS_SANITIZED else 1


def tarn_binary():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return os.path.abspath(os.environ.get("TARN") or os.path.join(root, ".build/release/tarn"))


def patience(seconds):
    """How long to wait for what the program is to do in so many seconds."""
    return seconds * SLOWNESS


def is_running(process):
    """A process that has ended and that nobody has waited for does not count."""
    try:
        with open(f"/proc/{process}/stat", "rb") as status:
            return status.read().rsplit(b") ", 1)[1][:1] != b"Z"
    except OSError:
        return False
