"""What every campaign asks of this host: where the program is, and whether a process lives."""
import os


def tarn_binary():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return os.path.abspath(os.environ.get("TARN") or os.path.join(root, ".build/release/tarn"))


def is_running(process):
    """A process that has ended and that nobody has waited for does not count."""
    try:
        with open(f"/proc/{process}/stat", "rb") as status:
            return status.read().rsplit(b") ", 1)[1][:1] != b"Z"
    except OSError:
        return False
