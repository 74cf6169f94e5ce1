import re
import shutil
from pathlib import Path

from support import run


def test_make_builds_just_what_changed(lake, mount):
    project = mount / "project"
    shutil.copytree(Path(__file__).parent / "c-project", project)

    def built():
        return re.findall(r"(?:-o|rcs) (\S+)", run("make", "-C", project))

    assert built() == ["main.o", "circle.o", "square.o", "libshapes.a", "program"]
    assert built() == []
    lake.next_day()
    assert built() == []
    circle = project / "circle.c"
    circle.write_text(circle.read_text().replace("3 *", "4 *"))
    assert built() == ["circle.o", "libshapes.a", "program"]
    (project / "square.h").touch()
    assert built() == ["main.o", "square.o", "libshapes.a", "program"]
    (project / "circle.o").unlink()
    assert built() == ["circle.o", "libshapes.a", "program"]

    def read():
        run("make", "-q", "-C", project)
        return run(project / "program")

    assert lake.publish(read) == "16 9\n"
