#!/bin/bash
# Installs the Debian packages that a task needs: scripts/setup.sh build|test|fuzz|bench|guest|bpf
# Does nothing, without root, when all are there.
set -euo pipefail

build=(gcc libc6-dev make)                        # C parts of crates: aws-lc, the allocator
tests=("${build[@]}" curl iputils-ping procps python3 iproute2 nftables nginx-light keepalived frr)   # clients, backends, namespaces, peers of VRRP
fuzz=("${build[@]}" g++)                           # libFuzzer is C++
bench=("${build[@]}" haproxy nginx-light libnginx-mod-stream wrk strace linux-perf python3-venv keepalived iproute2)
guest=("${build[@]}" qemu-system-x86 iproute2)        # another kernel, emulated
bpf=("${build[@]}" g++ rustc-web rust-web-src llvm-22-dev llvm-22 libzstd-dev zlib1g-dev)   # the kernel's program

case "${1:-}" in
    build) wanted=("${build[@]}") ;;
    test) wanted=("${tests[@]}") ;;
    fuzz) wanted=("${fuzz[@]}") ;;
    bench) wanted=("${bench[@]}") ;;
    guest) wanted=("${guest[@]}") ;;
    bpf) wanted=("${bpf[@]}") ;;
    *) echo "usage: $0 build|test|fuzz|bench|guest|bpf" >&2; exit 2 ;;
esac

if ! command -v cargo >/dev/null && [ ! -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    echo "setup: cargo is not there: install Rust's stable toolchain from https://rustup.rs" >&2
    exit 1
fi

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not Debian, so install the like of these yourself: ${wanted[*]}" >&2
    echo "setup: then call the cargo commands of the Makefile directly" >&2
    exit 1
fi

missing=()
for package in "${wanted[@]}"; do
    state=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done

# BPF's linker is not packaged: it is built against the LLVM that the packages bring.
linker() {
    [ "${1:-}" = bpf ] || return 0
    case "$(bpf-linker --version 2>/dev/null || true)" in *" 0.13.0") return 0 ;; esac
    LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --version 0.13.0 --locked \
        --no-default-features --features llvm-22
}

if [ ${#missing[@]} -eq 0 ]; then
    linker "$1"
    exit 0
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: needs root (or sudo) to install: ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "setup: installing ${missing[*]}"
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get install --yes --quiet --no-install-recommends "${missing[@]}")
# The lists may be absent or old on a fresh machine: refresh them, and only then.
if ! "${install[@]}" >/dev/null 2>&1; then
    "${as_root[@]}" apt-get update --quiet
    "${install[@]}"
fi
linker "$1"
