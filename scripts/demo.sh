#!/usr/bin/env bash
# The main job on real data: import, branch, mount, edit through the filesystem, commit, merge, time travel.
# Everything happens in a temporary directory that is removed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
scripts/packages.sh python3 python3-pip attr
scripts/build.sh --product tarn

demo=$(mktemp -d -t tarn-demo-XXXXXX)
export TARN_STATE_DIR=$demo/state TARN_CACHE_DIR=$demo/cache TARN_AUTHOR='Demo <demo@example.org>' PATH=$root/.build/release:$PATH
clean() {
    cd /
    for mount in "$demo/lake-main" "$demo/lake-work"; do
        if mountpoint -q "$mount" 2>/dev/null; then tarn umount "$mount" || fusermount3 -uz "$mount" || true; fi
    done
    rm -rf "$demo"
}
trap clean EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '\033[36m$ %s\033[0m\n' "$*"; eval "$*"; }

say "Real data: the CSV files and pictures that scikit-learn and scikit-image ship."
mkdir -p "$demo/wheels" "$demo/data"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$demo/wheels" scikit-learn scikit-image
python3 - "$demo" <<'PY'
import os, sys, zipfile
demo = sys.argv[1]
for wheel in os.listdir(f"{demo}/wheels"):
    with zipfile.ZipFile(f"{demo}/wheels/{wheel}") as archive:
        for name in archive.namelist():
            kind = {".csv": "tables", ".png": "pictures", ".jpg": "pictures", ".rst": "notes"}.get(os.path.splitext(name)[1])
            if kind and "/data" in name:
                os.makedirs(f"{demo}/data/{kind}", exist_ok=True)
                with open(f"{demo}/data/{kind}/{os.path.basename(name)}", "wb") as out:
                    out.write(archive.read(name))
PY
cd "$demo"
show "find data -type f | wc -l; du -sh data"

say "1. A repository is a directory here; s3://bucket/prefix works the same."
show "tarn init lake"
export TARN_REPO=$demo/lake
show "tarn import data -m 'First load'"

say "2. Mount main, read-only. It shows this commit for as long as it is mounted."
mkdir lake-main lake-work
show "tarn mount lake lake-main --ref main"
show "ls lake-main lake-main/tables"
show "diff -r data lake-main && echo 'every byte is the same'"

say "3. A branch costs one small object. Mount it for writing and change things with ordinary tools."
show "tarn branch create cleaning"
show "tarn mount lake lake-work --ref cleaning --write"
cd lake-work
show "head -n 3 tables/iris.csv"
show "sed -i '1s/.*/sepal_length,sepal_width,petal_length,petal_width,species/' tables/iris.csv"
show "awk -F, 'NR == 1 || \$5 == 2' tables/iris.csv > tables/virginica.csv"
show "mv pictures images"
show "rm -r notes"
show "tarn status"

say "4. Commit: one atomic step. Nobody saw anything before, main still does not."
show "tarn commit -m 'Name the columns; virginica apart' --metadata ticket=42"
show "head -n 1 tables/iris.csv ../lake-main/tables/iris.csv"

say "5. Merge into main: atomic again. The mount of main stays on its commit; a new one shows the new."
cd ..
show "tarn merge cleaning --into main -m 'Publish the cleaned tables'"
show "ls lake-main"
show "tarn umount lake-main && tarn mount lake lake-main --ref main && ls lake-main"
show "getfattr --only-values -n user.tarn.commit lake-main; echo"

say "6. Who did what, and how it was before."
show "tarn log --oneline"
show "tarn diff main~1 main | head -n 12"
show "tarn cat main~1:tables/iris.csv | head -n 2"
show "tarn audit log"
show "tarn audit verify"
show "tarn fsck --read-data"
show "tarn umount lake-work; tarn umount lake-main"
say "That was the main job. README.md has the same on S3."
