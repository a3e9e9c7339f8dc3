#!/bin/sh
# Runs fuzz targets one after another, and fails if one of them finds something.
# usage: run.sh BUILD SECONDS TARGET...
# Each starts from tests/fuzz/corpus/TARGET and from what earlier runs kept in
# BUILD/corpus/TARGET. An input that breaks something is kept as BUILD/finds/TARGET-crash-...,
# -timeout-..., -oom-... or -leak-...; BUILD/TARGET.log has the output of libFuzzer.
set -u

[ $# -ge 3 ] || { echo "usage: run.sh BUILD SECONDS TARGET..." >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
build=$1 seconds=$2
shift 2
mkdir -p "$build/finds" || exit 1
build=$(cd "$build" && pwd)

export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

fuzz() # TARGET
{
    dictionary='' processes=2 length=2000
    case $1 in
    frame) dictionary=-dict=$here/frame.dict length=20000 ;; # more than a stride of the decoder
    topic_log) length=500 ;; # each step looks at all before it
    inflate | deflate) length=500 ;; # a few bytes make a long text
    handshake | request_body | negotiation) dictionary=-dict=$here/http.dict ;;
    connection) # has threads of its own, and meets both
        cat "$here/frame.dict" "$here/http.dict" >"$build/connection.dict"
        dictionary=-dict=$build/connection.dict processes=1
        ;;
    esac
    mkdir -p "$build/corpus/$1" "$build/logs/$1"
    rm -f "$build/logs/$1"/*
    # In a directory of its own: with -jobs libFuzzer leaves its logs in the current one.
    cd "$build/logs/$1" || return 1
    "$build/tests/fuzz/$1" -max_total_time="$seconds" -jobs="${JOBS:-$processes}" \
        -workers="${JOBS:-$processes}" -timeout=30 -rss_limit_mb=2048 -max_len="$length" \
        -print_final_stats=1 -artifact_prefix="$build/finds/$1-" \
        ${dictionary:+"$dictionary"} "$build/corpus/$1" "$here/corpus/$1" \
        >"$build/$1.log" 2>&1
}

# Over all processes of a target: inputs run, and the best coverage reached.
summary() # TARGET
{
    cat "$build/logs/$1"/*.log | awk -v target="$1" '
        /^stat::number_of_executed_units:/ { runs += $2 }
        /cov: / { for (i = 1; i < NF; ++i) {
            if ($i == "cov:" && $(i + 1) > cov) cov = $(i + 1)
            if ($i == "ft:" && $(i + 1) > ft) ft = $(i + 1) } }
        END { printf "%-12s %10d inputs, %5d edges, %6d features", target, runs, cov, ft }'
}

failed=''
for target in "$@"; do
    verdict='nothing found'
    if ! fuzz "$target"; then
        failed="$failed $target"
        verdict="FOUND SOMETHING, see $build/$target.log"
    fi
    echo "$(summary "$target"): $verdict"
done
[ -z "$failed" ] && exit
ls "$build/finds"
exit 1
