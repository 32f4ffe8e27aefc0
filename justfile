# `just` lists the recipes. They are plain POSIX sh and pass on the exit code of what they run.

set shell := ["sh", "-euc"]
set positional-arguments

grade := "cargo run --quiet --package raftkv-grading --"
proto := "cargo run --quiet --package raftkv-proto-tools --"

server := "--release --no-default-features --features server,rocksdb"
release := "cargo build --quiet " + server

_list:
    @just --list --unsorted

# Stage 1: storage and the raw handlers, on the engine in memory
[group('stages')]
test-1 *FILTERS: (_stage "stage-1" "stage_1" "" FILTERS)

# Stage 1 on both engines; needs `./setup --rocksdb` once
[group('stages')]
test-1-rocksdb *FILTERS:
    @. "$(./setup --rocksdb-env)" && just _stage stage-1,rocksdb stage_1 "" "$@"

# Stage 2a, all of Raft: 2aa, 2ab and 2ac
[group('stages')]
test-2a *FILTERS: (_stage "stage-2a" "stage_2a" "" FILTERS)

# Stage 2aa: leader election
[group('stages')]
test-2aa *FILTERS: (_stage "stage-2a" "stage_2a" "aa::" FILTERS)

# Stage 2ab: log replication
[group('stages')]
test-2ab *FILTERS: (_stage "stage-2a" "stage_2a" "ab::" FILTERS)

# Stage 2ac: RawNode, Ready and advance
[group('stages')]
test-2ac *FILTERS: (_stage "stage-2a" "stage_2a" "ac::" FILTERS)

# Stage 2b: the replicated store, in a simulated cluster
[group('stages')]
test-2b *FILTERS: (_stage "stage-2b" "stage_2b" "" FILTERS)

# Stage 2b with RocksDB under every simulated store; needs `./setup --rocksdb` once
[group('stages')]
test-2b-rocksdb *FILTERS:
    @. "$(./setup --rocksdb-env)" && RAFTKV_ENGINE=rocksdb just _stage stage-2b,rocksdb stage_2b "" "$@"

# Stage 2c: log GC and snapshots
[group('stages')]
test-2c *FILTERS: (_stage "stage-2c" "stage_2c" "" FILTERS)

# Stage 2c with RocksDB under every simulated store; needs `./setup --rocksdb` once
[group('stages')]
test-2c-rocksdb *FILTERS:
    @. "$(./setup --rocksdb-env)" && RAFTKV_ENGINE=rocksdb just _stage stage-2c,rocksdb stage_2c "" "$@"

# Stage 3a: leadership transfer and membership changes in Raft
[group('stages')]
test-3a *FILTERS: (_stage "stage-3a" "stage_3a" "" FILTERS)

# Stage 3b: leader transfer, membership changes and region split in the store
[group('stages')]
test-3b *FILTERS: (_stage "stage-3b" "stage_3b" "" FILTERS)

# Stage 3b with RocksDB under every simulated store; needs `./setup --rocksdb` once
[group('stages')]
test-3b-rocksdb *FILTERS:
    @. "$(./setup --rocksdb-env)" && RAFTKV_ENGINE=rocksdb just _stage stage-3b,rocksdb stage_3b "" "$@"

# The server and the scheduler as programs, with what you have written in them: `just test-programs stage_2b`
[group('stages')]
test-programs *FILTERS: (_stage "server,stage-3b" "programs" "" FILTERS)

# Run one test again with the seed that a failure named, and show all that happens: `just replay stage_2b::chaos::x 17`
[no-exit-message]
[group('stages')]
replay TEST SEED:
    #!/bin/sh
    test=${1#stage_*::}
    case $1 in
        stage_3b::*) target=stage_3b feature=stage-3b ;;
        stage_3a::*) target=stage_3a feature=stage-3a ;;
        stage_2c::*) target=stage_2c feature=stage-2c ;;
        stage_2b::*) target=stage_2b feature=stage-2b ;;
        stage_2a::*) target=stage_2a feature=stage-2a ;;
        stage_1::*) target=stage_1 feature=stage-1 ;;
        programs::*) target=programs feature=server,stage-3b test=${1#programs::} ;;
        *)
            echo "name the suite too: just replay stage_2b::$1 $2" >&2
            exit 1
            ;;
    esac
    SIM_TRACE=1 SIM_SEED=$2 SIM_SEEDS=1 exec just _stage $feature $target "" --nocapture "$test"

# Run a stage under many seeds, on all cores: `just soak 2b --seeds 1000`
[group('stages')]
[no-exit-message]
soak STAGE *OPTIONS:
    @{{ grade }} soak "$@"

# All tests of a stage's module, or those of them whose names contain a filter. A filter that no test
# matches is an error: nothing ran, so nothing was shown.
[no-exit-message]
_stage FEATURES TARGET MODULE *FILTERS:
    #!/bin/sh
    set -euf
    cargo="cargo test --no-default-features --features $1 --test $2"
    target=$2 module=$3
    shift 3
    flags= filters=
    for word in $*; do # a dependency gets its words as one
        case $word in
            --*) flags="$flags $word" ;;
            *) filters="$filters ${word#"$target"::}" ;;
        esac
    done
    if [ -z "$filters" ]; then
        exec $cargo -- $flags $module
    fi
    all=$($cargo --quiet -- --list --format terse)
    tests=$(for filter in $filters; do
        printf '%s\n' "$all" | sed -n 's/: test$//p' | grep "^$module" | grep -F -e "$filter"
    done | sort -u)
    if [ -z "$tests" ]; then
        echo "no test of this stage has a name with:$filters" >&2
        exit 1
    fi
    exec $cargo -- $flags --exact $tests

# A scheduler and three stores on this machine, with one log; Ctrl-C ends it; needs `./setup --rocksdb` once
[no-exit-message]
[group('run')]
cluster *OPTIONS:
    @. "$(./setup --rocksdb-env)" && {{ release }} --bins && cargo run --quiet {{ server }} --bin raftkv-cluster -- "$@"

# Ask the cluster, and change it: `just ctl put a 1`, `just ctl get a`, `just ctl --help`
[no-exit-message]
[group('run')]
ctl *ARGUMENTS:
    @. "$(./setup --rocksdb-env)" && cargo run --quiet {{ server }} --bin raftkv-ctl -- "$@"

# One server alone, as in stage 1: `just server --standalone`; needs `./setup --rocksdb` once
[no-exit-message]
[group('run')]
server *OPTIONS:
    @. "$(./setup --rocksdb-env)" && cargo run --quiet {{ server }} --bin raftkv-server -- "$@"

# The programs on real sockets, killed and started again; needs `./setup --rocksdb` once
[no-exit-message]
[group('run')]
test-server *FILTERS:
    @. "$(./setup --rocksdb-env)" && cargo test --no-default-features --features server,rocksdb --test server -- "$@"

# The published TiKV client against a cluster with engines in memory; needs `./setup --peers` once, and minutes for its first build
[no-exit-message]
[group('run')]
test-tikv-client *FILTERS:
    cargo build --quiet --no-default-features --features server --bins
    RAFTKV_PROGRAMS="${CARGO_TARGET_DIR:-$PWD/target}/debug" \
        cargo test --manifest-path tests/tikv-client/Cargo.toml -- "$@"

# Grade a submission: every listed test, then a tally
[no-cd]
[no-exit-message]
[group('instructors')]
grade DIR *OPTIONS:
    @{{ grade }} grade "$@"

# Write the starter code to a new folder: `just starter DIR [--upto STAGE]`
[no-cd]
[no-exit-message]
[group('instructors')]
starter DIR *OPTIONS:
    @{{ grade }} starter "$@"

# Show that the suites fail every wrong version in grading/mutants
[no-exit-message]
[group('instructors')]
mutants *STAGE:
    @{{ grade }} mutants "$@"

# Everything: all suites on both engines, the programs, the kit's own checks, a sample of the mutants
[group('developers')]
test:
    cargo test --no-default-features --features stage-3b
    just test-programs
    cargo test --package raftkv-testkit --package raftkv-tidy --package raftkv-grading --package raftkv-proto-tools
    {{ proto }} check
    {{ proto }} compat
    {{ grade }} check
    {{ grade }} mutants --sample
    ./setup --rocksdb
    just _test-rocksdb

_test-rocksdb:
    . "$(./setup --rocksdb-env)" && cargo test && just _lint --features rocksdb,stage-3b
    just test-2b-rocksdb
    just test-2c-rocksdb
    just test-3b-rocksdb

# Read-only checks: format, lints, docs, the repository's rules, generated code, markers
[group('developers')]
verify:
    cargo fmt --all --check
    just _lint --no-default-features --features stage-3b
    cargo test --quiet --package raftkv-tidy
    {{ proto }} check
    {{ grade }} check

_lint *FEATURES:
    cargo clippy --workspace --all-targets "$@" -- --deny warnings
    RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --quiet "$@"

# Repair what a tool can: format, and the lints that offer a change
[group('developers')]
fix:
    cargo clippy --workspace --all-targets --no-default-features --features stage-3b --fix --allow-dirty --allow-staged
    cargo fmt --all

# Generate src/proto/*.rs from the .proto files beside them
[group('developers')]
proto:
    {{ proto }} generate

# Write the lists of tests in labs/labs.toml from the suites
[group('developers')]
lists:
    {{ grade }} tests --write

# Committed entries a second, against the raft crate (docs/benchmarks.md)
[group('developers')]
bench-raft *OPTIONS:
    cargo run --quiet --release --package raftkv-bench-raft -- "$@"

# Three stores and a scheduler against three nodes of etcd (docs/benchmarks.md); needs `./setup --rocksdb` and `./setup --peers` once
[group('developers')]
bench-cluster *OPTIONS:
    @. "$(./setup --rocksdb-env)" && {{ release }} --bins
    cargo run --quiet --release --manifest-path bench/cluster/Cargo.toml -- \
        --programs "${CARGO_TARGET_DIR:-$PWD/target}/release" "$@"

# The lints of the workspaces of their own; needs `./setup --peers` once
[group('developers')]
verify-peers:
    cargo clippy --manifest-path tests/tikv-client/Cargo.toml --all-targets -- --deny warnings
    cargo clippy --manifest-path bench/cluster/Cargo.toml --all-targets -- --deny warnings

# A region of 1 GiB from one RocksDB to another: time and memory; needs `./setup --rocksdb` once (docs/benchmarks.md)
[group('developers')]
bench-snapshot *OPTIONS:
    . "$(./setup --rocksdb-env)" && cargo run --quiet --release --package raftkv-bench-snapshot --features rocksdb -- "$@"

# Build the docs and the handouts as one book, in book/html
[group('developers')]
book:
    ./setup --book
    rm -rf book
    mkdir -p book/src
    cp -R README.md LICENSE docs labs src book/src
    # The book's root is the repository's, so that links between docs/ and labs/ hold: the summary moves up.
    sed -e 's|](\.\./|](|' -e t -e 's|](|](docs/|' docs/SUMMARY.md >book/src/SUMMARY.md
    PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin" mdbook build
