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
# Cargo takes the crates of two clones that share a target folder for the same ones, and then runs one clone's programs as
# the other's. A setting without effect (more units than any crate has parts), another one in each clone, keeps them apart;
# that of the dependencies is pinned in Cargo.toml, so that they stay shared.
export CARGO_PROFILE_DEV_CODEGEN_UNITS=$((1000 + 16#${CLONE_ID:0:4}))
export SQLX_OFFLINE=${SQLX_OFFLINE:-true}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
TEMPORAL_CLI_VERSION=1.5.1
PIDS=()
# The log of each server that was started, by its process id.
declare -A LOG_OF=()

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
now_ms() { date +%s%3N; }

# run_stage NAME COMMAND...: runs it and prints how long it took. The command is not part of a condition, where bash would
# go on after a failure inside it: what fails ends everything, and stage_failed, in the EXIT trap, says which stage it was.
STAGES=()
STAGE=
run_stage() {
    STAGE=$1 STAGE_BEGAN=$(now_ms); shift
    say ""; say "== $STAGE"
    "$@"
    STAGES+=("$STAGE $(stage_seconds) s")
    STAGE=
}
stage_seconds() { echo $(( ($(now_ms) - STAGE_BEGAN) / 1000 )); }
stage_failed() {
    [ -n "$STAGE" ] || return 0
    STAGES+=("$STAGE FAILED after $(stage_seconds) s")
    print_stages
    printf "error: stage '%s' failed\n" "$STAGE" >&2
}
print_stages() { say ""; say "seconds per stage:"; printf '  %s\n' "${STAGES[@]}"; }

# keep_evidence NAME: copies the logs and pictures in WORK to CLP_DATA/NAME, in place of those of the failure before.
keep_evidence() {
    local kept=$CLP_DATA/$1
    rm -rf "$kept"; mkdir -p "$kept"
    (cd "$WORK" && find . \( -name data -o -name warehouse -o -name bin \) -prune -o \
        -type f \( -name '*.log' -o -name '*.png' \) -exec cp -p --parents {} "$kept" \;) || true
    say "look in $kept: what the programs and servers wrote, and the pictures that were taken, is kept there"
}

# finish STATUS NAME: for the EXIT trap of a command that works in WORK.
finish() {
    trap - EXIT
    stop_all
    # Ctrl-C is no failure.
    if [ "$1" != 0 ] && [ "$1" != 130 ]; then stage_failed; keep_evidence "$2"; fi
    rm -rf "$WORK"
    exit "$1"
}

have() { command -v "$1" >/dev/null 2>&1; }

# at_least WANTED VERSION
at_least() { printf '%s\n' "$1" "$2" | sort -V -C; }

# need_toolchains: every toolchain that is missing or too old, each in a sentence, all at once.
need_toolchains() {
    local rust go=1.24 node=20.19 found problems=()
    rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml")
    if ! have cargo || ! have rustc; then
        problems+=("Rust is missing: install it with rustup (rustup.rs), $rust or newer, then run this again.")
    else
        found=$(rustc --version | cut -d ' ' -f 2)
        at_least "$rust" "$found" ||
            problems+=("Rust $found is too old: update it to $rust or newer ('rustup update'), then run this again.")
    fi
    if ! have temporal && [ ! -x "$CLP_CACHE/tools/temporal" ]; then
        if ! have go; then
            problems+=("Go is missing: it builds the Temporal server. Install Go $go or newer, or put 'temporal' on your PATH.")
        else
            found=$(go env GOVERSION)
            at_least "$go" "${found#go}" ||
                problems+=("Go ${found#go} is too old to build the Temporal server: install $go or newer, or put 'temporal' on your PATH.")
        fi
    fi
    if ! have node || ! have npm; then
        problems+=("Node.js (with npm) is missing: install version $node or newer, then run this again.")
    else
        found=$(node --version)
        at_least "$node" "${found#v}" ||
            problems+=("Node.js ${found#v} is too old: install version $node or newer, then run this again.")
    fi
    have python3 || problems+=("Python 3 is missing: install it, then run this again.")
    [ ${#problems[@]} = 0 ] || { printf 'error: %s\n' "${problems[@]}" >&2; exit 1; }
}

# need_packages WHAT...: sees that the system's packages for compiler, postgresql, redis, browser and python are there. Root installs
# those that are missing; anybody else is told all of them at once.
need_packages() {
    local what missing=()
    for what in "$@"; do
        case "$what" in
            compiler) have cc || missing+=(build-essential) ;;
            postgresql)
                { have initdb || compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null; } && have psql ||
                    missing+=(postgresql) ;;
            redis) have redis-server || missing+=(redis-server) ;;
            # The invented agency has campaigns with Japanese names: without a font for them they are boxes.
            browser) [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || missing+=(chromium)
                have_japanese_font || missing+=(fonts-ipafont-gothic) ;;
            # Debian's python3 comes without what venv needs.
            python) python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv) ;;
            *) die "need_packages does not know '$what'" ;;
        esac
    done
    [ ${#missing[@]} != 0 ] || return 0
    have apt-get || die "these are missing: ${missing[*]} (so Debian calls them). Install them, then run this again."
    [ "$(id -u)" = 0 ] || die "packages are missing: run 'sudo apt-get install ${missing[*]}', then run this again."
    say "installing ${missing[*]}"
    (flock 9
        case " ${missing[*]} " in *" postgresql "*) no_main_cluster ;; esac
        # At run level 1 a package's servers are not started.
        apt-get -qq update && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 \
            apt-get -qq install -y --no-install-recommends "${missing[@]}"
    ) 9>"$CLP_CACHE/apt.lock" >"$CLP_CACHE/apt.log" 2>&1 ||
        { tail -5 "$CLP_CACHE/apt.log" >&2; die "could not install ${missing[*]}: see $CLP_CACHE/apt.log"; }
}

have_japanese_font() {
    if have fc-list; then [ -n "$(fc-list :lang=ja 2>/dev/null)" ]; else
        [ -n "$(find /usr/share/fonts -iname '*cjk*' -o -iname 'ipag*' -o -iname 'DroidSansFallback*' 2>/dev/null)" ]; fi
}

# Debian's package makes a cluster and starts it; ours are started by start_postgres, and nothing is to stay running.
no_main_cluster() {
    local settings=/etc/postgresql-common/createcluster.conf
    mkdir -p "${settings%/*}"
    grep -qs '^ *create_main_cluster' "$settings" || printf 'create_main_cluster = false\n' >>"$settings"
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

# started LOG: notes the server that was started last, so that it is stopped at the end.
started() { PIDS+=($!); LOG_OF[$!]=$1; }

# wait_for SECONDS WHAT PID COMMAND...: until the command succeeds; at once an error when the process is gone before.
wait_for() {
    local seconds=$1 what=$2 pid=$3 deadline; shift 3
    deadline=$(( $(date +%s) + seconds ))
    until "$@" >/dev/null 2>&1; do
        kill -0 "$pid" 2>/dev/null || ended "$what" "$pid"
        if [ "$(date +%s)" -ge "$deadline" ]; then
            tail -20 "${LOG_OF[$pid]}" >&2
            die "$what did not come up within $seconds s; above is the end of its log"
        fi
        sleep 0.2
    done
}

# ended WHAT PID: a server that should be running is gone; the end of its log says why.
ended() {
    printf 'error: %s ended by itself:\n' "$1" >&2
    tail -20 "${LOG_OF[$2]}" >&2
    exit 1
}

# keep_running: until Ctrl-C. A server that ends by itself ends the others as well.
keep_running() {
    local pid
    trap 'exit 0' INT TERM
    wait -n "${PIDS[@]}" || true
    for pid in "${PIDS[@]}"; do
        kill -0 "$pid" 2>/dev/null || ended "$(basename "${LOG_OF[$pid]}" .log)" "$pid"
    done
}

pg_bin() {
    if [ -n "${PG_BIN:-}" ]; then return 0; fi
    PG_BIN=$(dirname "$(compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V | tail -1)" 2>/dev/null || true)
    if [ -z "$PG_BIN" ] || [ "$PG_BIN" = . ]; then
        have postgres || die "PostgreSQL's server is nowhere to be found: put 'postgres' on your PATH"
        PG_BIN=$(dirname "$(command -v postgres)")
    fi
}

# Put before a command of PostgreSQL's. It becomes that command, so that a signal to its process id reaches the server.
AS_PG=()
[ "$(id -u)" != 0 ] || AS_PG=(setpriv --reuid=postgres --regid=postgres --init-groups --)

# start_postgres FOLDER [OPTION...]: a server of our own in FOLDER on a free port; sets PG_ADMIN_URL, PG_PORT, PG_PID.
# Passwords are random and kept in FOLDER.
start_postgres() {
    local folder=$1; shift
    need_packages postgresql
    pg_bin
    mkdir -p "$folder"; chmod 755 "$folder"
    [ "$(id -u)" != 0 ] || chown postgres "$folder"
    [ -f "$folder/password" ] || (umask 077; head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$folder/password")
    [ "$(id -u)" != 0 ] || chown postgres "$folder/password"
    local password; password=$(cat "$folder/password")
    if [ ! -f "$folder/data/PG_VERSION" ]; then
        ${AS_PG[@]+"${AS_PG[@]}"} "$PG_BIN/initdb" -D "$folder/data" -U postgres --auth=scram-sha-256 --pwfile="$folder/password" \
            -E UTF8 --locale=C.UTF-8 >"$folder.initdb.log" 2>&1 || die "initdb failed: see $folder.initdb.log"
    fi
    PG_PORT=$(free_port)
    ${AS_PG[@]+"${AS_PG[@]}"} "$PG_BIN/postgres" -D "$folder/data" -p "$PG_PORT" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c max_connections=300 "$@" >"$folder.log" 2>&1 &
    PG_PID=$!; started "$folder.log"
    wait_for 30 "PostgreSQL" "$PG_PID" "$PG_BIN/pg_isready" -h 127.0.0.1 -p "$PG_PORT"
    PG_ADMIN_URL="postgres://postgres:$password@127.0.0.1:$PG_PORT/postgres"
    # clp_owner and clp_app sign in with the same password as the superuser: this server is this machine's alone.
    PGPASSWORD=$password psql -qX -h 127.0.0.1 -p "$PG_PORT" -U postgres -d postgres -v ON_ERROR_STOP=1 \
        -f "$ROOT/migrations/roles.sql" -c "ALTER ROLE clp_owner PASSWORD '$password'; ALTER ROLE clp_app PASSWORD '$password'" ||
        die "PostgreSQL does not take the roles of migrations/roles.sql"
}

# url_for ROLE DATABASE
url_for() { printf '%s' "$PG_ADMIN_URL" | sed -e "s#//postgres:#//$1:#" -e "s#/postgres\$#/$2#"; }

# create_database NAME: owned by clp_owner, when it is not there.
create_database() {
    psql -qXtA "$PG_ADMIN_URL" -c "SELECT 1 FROM pg_database WHERE datname = '$1'" | grep -q 1 ||
        psql -qX "$PG_ADMIN_URL" -v ON_ERROR_STOP=1 -c "CREATE DATABASE $1 OWNER clp_owner" ||
        die "the database $1 can't be created"
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
    TEMPORAL_PID=$!; started "$folder.log"
    export TEMPORAL_ADDRESS=127.0.0.1:$port
    wait_for 60 "Temporal" "$TEMPORAL_PID" "$TEMPORAL" operator cluster health --address "$TEMPORAL_ADDRESS"
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

# cache_is_full: the builds take more than CLP_CACHE_GIB, or little is left of the disk.
cache_is_full() {
    local used free
    used=$(du -sk "$CARGO_TARGET_DIR" | cut -f 1)
    free=$(df -Pk "$CARGO_TARGET_DIR" | awk 'NR == 2 { print $4 }')
    [ $((used >> 20)) -ge "${CLP_CACHE_GIB:-35}" ] || [ $((free >> 20)) -lt 15 ]
}

# make_room: Cargo never throws away what it built for clones and versions that nobody asks for again. When the cache is
# full, our own crates go (they are built within minutes); the dependencies too when that is not enough.
make_room() {
    [ -d "$CARGO_TARGET_DIR" ] && cache_is_full || return 0
    say "the cache of builds is full: throwing old ones away ($CARGO_TARGET_DIR)"
    cargo clean --quiet --workspace --manifest-path "$ROOT/Cargo.toml"
    ! cache_is_full || cargo clean --quiet --manifest-path "$ROOT/Cargo.toml"
}

# build_programs FOLDER PROFILE: builds worker, api, sandbox, demo and bench and links them into FOLDER. The target folder is
# shared by all clones, so the links are made under the same lock as the build. With CLP_BUILD_TESTS=1 the tests are built
# too, with the features of the dependencies that only they need: otherwise Cargo would build most dependencies again.
build_programs() {
    local folder=$1 profile=$2 flags=(--bins)
    [ -z "${CLP_BUILD_TESTS:-}" ] || flags=(--bins --tests)
    [ "$profile" = debug ] || flags+=(--release)
    mkdir -p "$folder"
    # Each step says itself that a failure ends it: errexit is off wherever a caller tests how this function ended.
    (flock 9
        cargo build --quiet --workspace "${flags[@]}" || exit 1
        for program in worker api sandbox demo bench clp; do
            ln -f "$CARGO_TARGET_DIR/$profile/$program" "$folder/$program" 2>/dev/null ||
                cp -f "$CARGO_TARGET_DIR/$profile/$program" "$folder/$program" || exit 1
        done
    ) 9>"$CLP_CACHE/build.lock"
}

# python_packages NAME REQUIREMENTS: a virtual environment in the cache, made anew when the requirements change; sets PYTHON.
python_packages() {
    local name=$1 requirements=$2 folder
    need_packages python
    folder=$CLP_CACHE/python/$name-$(sha256sum "$requirements" | cut -c1-12)
    PYTHON=$folder/bin/python
    (flock 9
        if [ ! -f "$folder/ready" ]; then
            rm -rf "$folder"
            python3 -m venv "$folder" || die "python3 can't make a virtual environment"
            "$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$requirements" ||
                die "the Python packages of $requirements can't be installed"
            touch "$folder/ready"
        fi
    ) 9>"$CLP_CACHE/python.lock"
}

# prepare_programs PROFILE: tools, the web build and the binaries (in CLP_DATA/bin, linked into a data folder later).
prepare_programs() {
    need_toolchains; make_room; need_packages compiler postgresql; need_temporal
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
# SANDBOX_URL, WORKER_METRICS and the variables of the platform. SANDBOX_ARGUMENTS are passed on.
start_platform() {
    local folder=$1 port
    mkdir -p "$folder/bin"
    [ "$folder/bin" = "$PROGRAMS" ] || ln -f "$PROGRAMS"/* "$folder/bin/" 2>/dev/null || cp -f "$PROGRAMS"/* "$folder/bin/"
    rm -f "$folder/sandbox.url" "$folder/api.address"
    # First, because it may refuse a person's own report.
    "$folder/bin/sandbox" serve --listen 127.0.0.1:0 --port-file "$folder/sandbox.url" --clock-file "$folder/clock" \
        ${SANDBOX_ARGUMENTS[@]+"${SANDBOX_ARGUMENTS[@]}"} >"$folder/sandbox.log" 2>&1 &
    started "$folder/sandbox.log"
    wait_for 30 "the sandbox" $! test -s "$folder/sandbox.url"
    SANDBOX_URL=$(tr -d '\n' <"$folder/sandbox.url")
    start_postgres "$folder/pg"
    create_database clp
    start_temporal "$folder/temporal"
    [ -f "$folder/master-key" ] || (umask 077; head -c 32 /dev/urandom | base64 >"$folder/master-key")
    platform_variables "$folder"
    CLP_OWNER_DATABASE_URL=$(url_for clp_owner clp) "$folder/bin/worker" migrate >"$folder/migrate.log" 2>&1 ||
        { cat "$folder/migrate.log" >&2; die "the database can't be migrated"; }
    WORKER_METRICS=127.0.0.1:$(free_port)
    CLP_METRICS_LISTEN=$WORKER_METRICS "$folder/bin/worker" >"$folder/worker.log" 2>&1 &
    started "$folder/worker.log"
    port=${CLP_PORT:-$(free_port)}
    export CLP_URL=http://127.0.0.1:$port
    CLP_LISTEN=127.0.0.1:$port CLP_PUBLIC_URL=$CLP_URL CLP_ADDRESS_FILE=$folder/api.address \
        "$folder/bin/api" >"$folder/api.log" 2>&1 &
    started "$folder/api.log"
    wait_for 30 "the api" $! test -s "$folder/api.address"
}

# platform_variables FOLDER: what worker and api read, for the servers that run now.
platform_variables() {
    local folder=$1
    export CLP_DATABASE_URL CLP_WAREHOUSE=$folder/warehouse CLP_MASTER_KEY_FILE=$folder/master-key
    CLP_DATABASE_URL=$(url_for clp_app clp)
    export CLP_CLOCK_FILE=$folder/clock CLP_WEB_DIR=$ROOT/web/dist
    export CLP_TICK_SECONDS=${CLP_TICK_SECONDS:-900}
    export CLP_DV360_ENVIRONMENT=dv360.sandbox CLP_DV360_CLIENT_ID=sandbox-client CLP_DV360_CLIENT_SECRET=sandbox-secret
    export CLP_DV360_AUTHORIZE_URL=$SANDBOX_URL/o/oauth2/v2/auth CLP_DV360_TOKEN_URL=$SANDBOX_URL/token
    export CLP_DV360_REVOKE_URL=$SANDBOX_URL/revoke
    export CLP_DV360_DISPLAY_VIDEO_URL=$SANDBOX_URL CLP_DV360_BID_MANAGER_URL=$SANDBOX_URL
}
