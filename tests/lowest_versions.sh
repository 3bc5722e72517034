#!/usr/bin/env bash
# The smoke report with VENV=none in an environment like Colab's, on the lowest versions that are promised
# (lib/environment, KEPT): it is told what it lacks in one line of pip, which replaces nothing, and is then made.
# It installs about 2 GB and takes some minutes; `PYTHON=python3.12 tests/lowest_versions.sh` chooses the Python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset VIRTUAL_ENV PYTHONPATH KERAS_BACKEND KERAS_HOME MAKEFLAGS MAKELEVEL

# What Colab has of requirements.in, and as old as there or older.
at_hand="tensorflow==2.19.0 keras==3.10.0 numpy==2.0.2 tensorboard==2.19.0 pandas==2.2.2 pillow==11.3.0
  opencv-python-headless==4.12.0.88 scipy==1.16.1 matplotlib==3.10.0 scikit-learn==1.6.1 h5py==3.14.0 nbclient==0.10.2
  nbconvert==7.16.6 nbformat==5.10.4 ipykernel==6.17.1 jupyter-client==7.4.9 ipython==7.34.0 jinja2==3.1.6
  psutil==5.9.5 tqdm==4.67.1"

work=$(mktemp -d "${TMPDIR:-/tmp}/coursework-lowest.XXXXXX")
trap 'rm -rf "$work"' EXIT
export COURSEWORK_REPORTS=$work/reports COURSEWORK_CACHE=$work/cache VENV=none PIP_DISABLE_PIP_VERSION_CHECK=1
step() { printf '\n[%4ds] %s\n' "$SECONDS" "$*"; }
fail() { echo "error: $*" >&2; exit 1; }
kept() { "$work/venv/bin/python" -m pip freeze | grep -E '^(tensorflow|keras|numpy)=='; }

step "an environment like Colab's"
"${PYTHON:-python3}" -m venv "$work/venv"
# shellcheck disable=SC2086 # one word per package
"$work/venv/bin/python" -m pip install --quiet $at_hand
before=$(kept)

step "make report says what is missing, and pip installs that and nothing else"
status=0
"$work/venv/bin/python" -m lib report 2> "$work/refusal" || status=$?
cat "$work/refusal"
[ "$status" = 2 ] || fail "a report without its libraries ended with status $status"
line=$(tail -n 1 "$work/refusal")
[[ $line == "$work/venv/bin/python -m pip install "* ]] || fail "the last line is no line of pip"
$line --quiet
[ "$(kept)" = "$before" ] || fail "pip has replaced $(echo $before) by $(echo $(kept))"

step "make report PROFILE=smoke"
"$work/venv/bin/python" -m lib report PROFILE=smoke
for made in values.json index.html experimentation.pdf explainability.docx; do
  [ -s "$work/reports/demo/$made" ] || fail "make report left no $made"
done
grep -l '"tensorflow": "2.19.0"' "$work"/reports/demo/runs/*/environment.json > "$work/runs"
step "the lowest versions work: $(wc -l < "$work/runs") runs"
