# Shared by the commands in bin/: finds or installs the tools, starts PostgreSQL and Temporal on free ports, builds, and
# stops everything again. Sourced, never run.
#
# Caches (builds, tools) are shared by all clones and live in CLP_CACHE; data lives in CLP_DATA, one folder per clone.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CLP_CACHE=${CLP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/clp}
CLONE_ID=$(printf '%s' "$ROOT" | sha256sum | cut -c1-10)
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses to run as root; its own user must be able to reach its data.
    CLP_DATA=${CLP_DATA:-/var/lib/clp/$CLONE_ID}
else
    CLP_DATA=${CLP_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/clp/$CLONE_ID}
fi
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CLP_CACHE/target}
export SQLX_OFFLINE=${SQLX_OFFLINE:-true}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
TEMPORAL_CLI_VERSION=1.5.1
PIDS=()

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
now_ms() { date +%s%3N; }

# run_stage NAME COMMAND...: runs it and prints how long it took.
STAGES=()
run_stage() {
    local name=$1 begin end; shift
    say ""; say "== $name"
    begin=$(now_ms)
    if ! "$@"; then
        STAGES+=("$name FAILED after $(( ($(now_ms) - begin) / 1000 )) s")
        print_stages; die "stage '$name' failed"
    fi
    end=$(now_ms)
    STAGES+=("$name $(( (end - begin) / 1000 )) s")
}
print_stages() { say ""; say "seconds per stage:"; printf '  %s\n' "${STAGES[@]}"; }

have() { command -v "$1" >/dev/null 2>&1; }

need_toolchains() {
    have cargo || die "Rust is missing: install it with rustup (rustup.rs), 1.95 or newer, then run this again."
    have go || have temporal || [ -x "$CLP_CACHE/tools/temporal" ] ||
        die "Go is missing: it builds the Temporal server. Install Go 1.24 or newer, or put 'temporal' on your PATH."
    have node || die "Node.js is missing: install version 20.19 or newer, then run this again."
    have npm || die "npm is missing: install it with Node.js, then run this again."
    have python3 || die "Python 3 is missing: install it, then run this again."
}

# need_debian PROGRAM PACKAGE...: installs the packages when the program is not there.
need_debian() {
    local program=$1; shift
    if have "$program" || compgen -G "/usr/lib/postgresql/*/bin/$program" >/dev/null; then return 0; fi
    have apt-get || die "$program is missing: install the package(s) $* of your system, then run this again."
    [ "$(id -u)" = 0 ] || die "$program is missing: run 'sudo apt-get install $*', then run this again."
    say "installing $*"
    (flock 9
        apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"
    ) 9>"$CLP_CACHE/apt.lock" >"$CLP_CACHE/apt.log" 2>&1 || die "could not install $*: see $CLP_CACHE/apt.log"
}

need_temporal() {
    if have temporal; then TEMPORAL=$(command -v temporal); return 0; fi
    TEMPORAL=$CLP_CACHE/tools/temporal
    if [ ! -x "$TEMPORAL" ]; then
        say "building the Temporal dev server $TEMPORAL_CLI_VERSION (once, about 4 minutes)"
        (flock 9
            [ -x "$TEMPORAL" ] || GOBIN=$CLP_CACHE/tools GOFLAGS=-mod=mod \
                go install "github.com/temporalio/cli/cmd/temporal@v$TEMPORAL_CLI_VERSION"
        ) 9>"$CLP_CACHE/temporal.lock" || die "could not build the Temporal dev server"
    fi
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

wait_for() { # wait_for SECONDS WHAT COMMAND...
    local seconds=$1 what=$2 deadline; shift 2
    deadline=$(( $(date +%s) + seconds ))
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$deadline" ] || die "$what did not come up within $seconds s"
        sleep 0.2
    done
}

pg_bin() {
    if [ -n "${PG_BIN:-}" ]; then return 0; fi
    PG_BIN=$(dirname "$(compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V | tail -1)" 2>/dev/null || true)
    [ -n "$PG_BIN" ] && [ "$PG_BIN" != . ] || PG_BIN=$(dirname "$(command -v postgres)")
}

as_pg() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }

# start_postgres FOLDER [OPTION...]: a server of our own in FOLDER on a free port; sets PG_ADMIN_URL, PG_PORT, PG_PID.
# Passwords are random and kept in FOLDER.
start_postgres() {
    local folder=$1; shift
    need_debian initdb postgresql
    pg_bin
    mkdir -p "$folder"; chmod 755 "$folder"
    [ "$(id -u)" != 0 ] || chown postgres "$folder"
    [ -f "$folder/password" ] || (umask 077; head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$folder/password")
    [ "$(id -u)" != 0 ] || chown postgres "$folder/password"
    local password; password=$(cat "$folder/password")
    if [ ! -f "$folder/data/PG_VERSION" ]; then
        as_pg "$PG_BIN/initdb" -D "$folder/data" -U postgres --auth=scram-sha-256 --pwfile="$folder/password" \
            -E UTF8 --locale=C.UTF-8 >"$folder.initdb.log" 2>&1 || die "initdb failed: see $folder.initdb.log"
    fi
    PG_PORT=$(free_port)
    as_pg "$PG_BIN/postgres" -D "$folder/data" -p "$PG_PORT" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c max_connections=300 "$@" >"$folder.log" 2>&1 &
    PG_PID=$!; PIDS+=("$PG_PID")
    wait_for 30 "PostgreSQL (see $folder.log)" "$PG_BIN/pg_isready" -h 127.0.0.1 -p "$PG_PORT"
    PG_ADMIN_URL="postgres://postgres:$password@127.0.0.1:$PG_PORT/postgres"
    # clp_owner and clp_app sign in with the same password as the superuser: this server is this machine's alone.
    PGPASSWORD=$password psql -qX -h 127.0.0.1 -p "$PG_PORT" -U postgres -d postgres -v ON_ERROR_STOP=1 \
        -f "$ROOT/migrations/roles.sql" -c "ALTER ROLE clp_owner PASSWORD '$password'; ALTER ROLE clp_app PASSWORD '$password'"
}

# url_for ROLE DATABASE
url_for() { printf '%s' "$PG_ADMIN_URL" | sed -e "s#//postgres:#//$1:#" -e "s#/postgres\$#/$2#"; }

# create_database NAME: owned by clp_owner, when it is not there.
create_database() {
    psql -qXtA "$PG_ADMIN_URL" -c "SELECT 1 FROM pg_database WHERE datname = '$1'" | grep -q 1 ||
        psql -qX "$PG_ADMIN_URL" -v ON_ERROR_STOP=1 -c "CREATE DATABASE $1 OWNER clp_owner"
}

# start_temporal FOLDER: the dev server with its data in FOLDER; sets TEMPORAL_ADDRESS, TEMPORAL_PID.
start_temporal() {
    local folder=$1 port
    need_temporal
    mkdir -p "$folder"
    port=$(free_port)
    # shellcheck disable=SC2046
    "$TEMPORAL" server start-dev --ip 127.0.0.1 --port "$port" --headless --namespace default \
        --db-filename "$folder/temporal.db" --log-level warn \
        $(sed -n 's/^\([A-Za-z]*\)=\(.*\)$/--search-attribute \1=\2/p' "$ROOT/temporal/search-attributes") \
        $(sed -n 's/^\([A-Za-z.]*\)=\(.*\)$/--dynamic-config-value \1=\2/p' "$ROOT/temporal/dynamic-config") \
        >"$folder.log" 2>&1 &
    TEMPORAL_PID=$!; PIDS+=("$TEMPORAL_PID")
    export TEMPORAL_ADDRESS=127.0.0.1:$port
    wait_for 60 "Temporal (see $folder.log)" "$TEMPORAL" operator cluster health --address "$TEMPORAL_ADDRESS"
}

stop_all() {
    local pid
    for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do
        pid=${PIDS[$i]}
        kill -TERM "$pid" 2>/dev/null || continue
    done
    for pid in "${PIDS[@]:-}"; do
        [ -n "$pid" ] || continue
        for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    PIDS=()
}

mkdir -p "$CLP_CACHE/tools" "$CLP_DATA"

# build_programs FOLDER PROFILE: builds worker, api, sandbox, demo and bench and links them into FOLDER. The target folder is
# shared by all clones, so the links are made under the same lock as the build.
build_programs() {
    local folder=$1 profile=$2 flags=()
    [ "$profile" = debug ] || flags=(--release)
    mkdir -p "$folder"
    (flock 9
        cargo build --quiet "${flags[@]}" -p worker -p api -p sandbox -p clp-tests -p bench --bins
        for program in worker api sandbox demo bench; do
            ln -f "$CARGO_TARGET_DIR/$profile/$program" "$folder/$program" 2>/dev/null ||
                cp -f "$CARGO_TARGET_DIR/$profile/$program" "$folder/$program"
        done
    ) 9>"$CLP_CACHE/build.lock"
}

# python_packages NAME REQUIREMENTS: a virtual environment in the cache, made anew when the requirements change; sets PYTHON.
python_packages() {
    local name=$1 requirements=$2 folder
    folder=$CLP_CACHE/python/$name-$(sha256sum "$requirements" | cut -c1-12)
    PYTHON=$folder/bin/python
    (flock 9
        if [ ! -f "$folder/ready" ]; then
            rm -rf "$folder"
            python3 -m venv "$folder" || die "python3 can't make a virtual environment: install python3-venv"
            "$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$requirements"
            touch "$folder/ready"
        fi
    ) 9>"$CLP_CACHE/python.lock"
}

# prepare_programs PROFILE: tools, the web build and the binaries (in CLP_DATA/bin, linked into a data folder later).
prepare_programs() {
    need_toolchains; need_debian initdb postgresql; need_temporal
    say "building (the first time takes some ten minutes)"
    build_web
    PROGRAMS=$CLP_DATA/bin
    build_programs "$PROGRAMS" "$1"
}

# build_web: web/dist, made again when anything it is made of has changed.
build_web() {
    [ -f "$ROOT/web/package.json" ] || return 0
    local stamp=$ROOT/web/dist/.made-of made_of
    made_of=$(cd "$ROOT/web" && find . -path ./node_modules -prune -o -path ./dist -prune -o -type f -print0 |
        sort -z | xargs -0 sha256sum | sha256sum | cut -c1-32)
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$made_of" ] && return 0
    (cd "$ROOT/web" && npm ci --silent --no-audit --no-fund && npm run --silent build) >"$CLP_DATA/web-build.log" 2>&1 ||
        { tail -30 "$CLP_DATA/web-build.log" >&2; die "the web application does not build"; }
    printf '%s' "$made_of" >"$stamp"
}

# start_platform FOLDER: PostgreSQL, Temporal, sandbox, worker and api with their data in FOLDER; sets CLP_URL,
# SANDBOX_URL and the variables of the platform. SANDBOX_ARGUMENTS are passed on.
start_platform() {
    local folder=$1 port
    mkdir -p "$folder/bin"
    [ "$folder/bin" = "$PROGRAMS" ] || ln -f "$PROGRAMS"/* "$folder/bin/" 2>/dev/null || cp -f "$PROGRAMS"/* "$folder/bin/"
    start_postgres "$folder/pg"
    create_database clp
    start_temporal "$folder/temporal"
    [ -f "$folder/master-key" ] || (umask 077; head -c 32 /dev/urandom | base64 >"$folder/master-key")
    rm -f "$folder/sandbox.url" "$folder/api.address"
    "$folder/bin/sandbox" serve --listen 127.0.0.1:0 --port-file "$folder/sandbox.url" --clock-file "$folder/clock" \
        ${SANDBOX_ARGUMENTS[@]+"${SANDBOX_ARGUMENTS[@]}"} >"$folder/sandbox.log" 2>&1 &
    PIDS+=($!)
    wait_for 30 "the sandbox (see $folder/sandbox.log)" test -s "$folder/sandbox.url"
    SANDBOX_URL=$(tr -d '\n' <"$folder/sandbox.url")
    export CLP_DATABASE_URL CLP_WAREHOUSE=$folder/warehouse CLP_MASTER_KEY_FILE=$folder/master-key
    CLP_DATABASE_URL=$(url_for clp_app clp)
    export CLP_CLOCK_FILE=$folder/clock CLP_WEB_DIR=$ROOT/web/dist
    export CLP_TICK_SECONDS=${CLP_TICK_SECONDS:-900}
    export CLP_DV360_ENVIRONMENT=dv360.sandbox CLP_DV360_CLIENT_ID=sandbox-client CLP_DV360_CLIENT_SECRET=sandbox-secret
    export CLP_DV360_AUTHORIZE_URL=$SANDBOX_URL/o/oauth2/v2/auth CLP_DV360_TOKEN_URL=$SANDBOX_URL/token
    export CLP_DV360_REVOKE_URL=$SANDBOX_URL/revoke
    export CLP_DV360_DISPLAY_VIDEO_URL=$SANDBOX_URL CLP_DV360_BID_MANAGER_URL=$SANDBOX_URL
    CLP_OWNER_DATABASE_URL=$(url_for clp_owner clp) "$folder/bin/worker" migrate >"$folder/migrate.log" 2>&1 ||
        { cat "$folder/migrate.log" >&2; die "the database can't be migrated"; }
    "$folder/bin/worker" >"$folder/worker.log" 2>&1 &
    PIDS+=($!)
    port=${CLP_PORT:-$(free_port)}
    export CLP_URL=http://127.0.0.1:$port
    CLP_LISTEN=127.0.0.1:$port CLP_PUBLIC_URL=$CLP_URL CLP_ADDRESS_FILE=$folder/api.address \
        "$folder/bin/api" >"$folder/api.log" 2>&1 &
    PIDS+=($!)
    wait_for 30 "the api (see $folder/api.log)" test -s "$folder/api.address"
}
