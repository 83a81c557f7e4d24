# What tools/run, tools/test and tools/bench share: words, packages, builds. Sourced by them,
# from the top of the tree.

say() { printf '== %s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    warn "$*"
    exit 1
}

# What building and running the node needs (Debian 12 names). clang compiles the XDP program.
KCS_PACKAGES="build-essential cmake ninja-build pkg-config ca-certificates openssl iproute2
    clang-14 llvm-14 libdpdk-dev libipsec-mb-dev libsrtp2-dev libssl-dev libwebsockets-dev
    libwebsockets-evlib-uv libnghttp2-dev libuv1-dev zlib1g-dev libjansson-dev libcyaml-dev libyaml-dev
    libbpf-dev libxdp-dev libcurl4-openssl-dev uthash-dev libusrsctp-dev libjemalloc-dev libsqlite3-dev
    libsodium-dev libmongoc-dev librdkafka-dev libavformat-dev libavcodec-dev libavutil-dev
    libswscale-dev libcairo2-dev fonts-dejavu-core"

# Installs those of the named packages that are missing; says which.
need_packages() {
    local name missing=()

    for name in "$@"; do
        if [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
            missing+=("$name")
        fi
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return 0
    fi
    if [ "$(id -u)" -ne 0 ]; then
        die "packages are missing; as root: apt-get install ${missing[*]}"
    fi
    say "installing ${missing[*]}"
    apt-get update -qq || die "apt-get update failed: check the network and apt's sources"
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        "${missing[@]}" >/dev/null || die "apt-get could not install the packages named above"
}

# Node.js and npm bundle the page and drive the browsers of the tests. A machine that has them
# from elsewhere keeps them: Debian's npm conflicts with foreign builds.
need_node() {
    local missing=()

    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    need_packages "${missing[@]}"
}

# build DIR [CMAKE OPTION…] [-- TARGET…]: configures if need be and builds; quiet if it works.
build() {
    local dir=$1 options=() log
    shift

    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    [ $# -eq 0 ] || shift
    mkdir -p "$dir"
    log=$dir/build.log
    say "building $dir (log: $log)"
    if ! { cmake -S . -B "$dir" -G Ninja "${options[@]}" && ninja -C "$dir" "$@"; } \
        >"$log" 2>&1; then
        grep -E -A12 'error|FAILED|CMake Error' "$log" | head -n 60 >&2
        warn "building $dir failed: see $log"
        return 1
    fi
}
