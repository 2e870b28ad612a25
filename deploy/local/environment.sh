#!/bin/sh
# Makes .venv from requirements.txt (every version and hash pinned) and puts our own packages into it, editable.
# Needs a Python of 3.11 or newer and nothing else; run from the root of the checkout, as `make` does.
set -eu

unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
suits='import sys; sys.exit(not (sys.version_info >= (3, 11) and sys.implementation.name == "cpython"))'

if ! .venv/bin/python -c "$suits" 2>/dev/null; then
    rm -rf .venv
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if "$candidate" -c "$suits" 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    if [ -z "${python:-}" ]; then
        echo "Samlogg needs Python 3.11 or newer: none of python3, python3.11 … is one. Name it: make PYTHON=/path/to/python" >&2
        exit 1
    fi
    echo "making .venv with $("$python" --version)"
    if ! "$python" -m venv .venv; then
        echo "This Python cannot make an environment; on Debian and Ubuntu that is the package python3-venv." >&2
        rm -rf .venv
        exit 1
    fi
fi

# uv comes by the same list and hashes as everything else; pip, which every Python has, fetches it.
awk '/^[A-Za-z0-9]/ { wanted = /^uv==/ } wanted' requirements.txt >.venv/uv.txt
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/uv.txt

# uv does not read pip's settings: whoever uses a mirror has told pip.
index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
if [ -n "$index" ] && [ -z "${UV_DEFAULT_INDEX:-}" ]; then
    export UV_DEFAULT_INDEX="$index"
fi
if [ -n "${PIP_CERT:-}" ] && [ -z "${SSL_CERT_FILE:-}" ]; then
    export SSL_CERT_FILE="$PIP_CERT"
fi
export UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never

echo "installing what requirements.txt pins"
.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements.txt
set --
for project in services/*/pyproject.toml deploy/*/pyproject.toml deploy/tools/*/pyproject.toml; do
    set -- "$@" -e "$(dirname "$project")"
done
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation "$@"
touch .venv/.ready
