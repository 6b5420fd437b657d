#!/bin/bash
# Installs a built aplomb: packaging/install.sh BINARY
# DESTDIR (for packages) and PREFIX (default /usr/local) say where. Man pages and completions are made by the
# binary itself. Nothing that an administrator may have changed is overwritten.
set -euo pipefail

binary=${1:?usage: $0 BINARY}
here=$(cd "$(dirname "$0")" && pwd)
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}

install -D -m 0755 "$binary" "$root$prefix/bin/aplomb"

man=$root$prefix/share/man/man1
"$binary" man --out "$man"

completion() { # SHELL FILE
    local file=$root$prefix/share/$2
    mkdir -p "$(dirname "$file")"
    "$binary" completions "$1" > "$file"
}
completion bash bash-completion/completions/aplomb
completion zsh zsh/site-functions/_aplomb
completion fish fish/vendor_completions.d/aplomb.fish

mkdir -p "$root$prefix/share/aplomb"
"$binary" schema > "$root$prefix/share/aplomb/schema.json"

unit=$root${UNITDIR:-/etc/systemd/system}/aplomb.service
mkdir -p "$(dirname "$unit")"
sed "s|@BIN@|$prefix/bin/aplomb|g" "$here/aplomb.service" > "$unit"

users=$root${SYSUSERSDIR:-/usr/lib/sysusers.d}/aplomb.conf
install -D -m 0644 "$here/aplomb.sysusers" "$users"
# In a package this is for its own scripts to do.
if [ -z "$root" ] && command -v systemd-sysusers >/dev/null; then
    systemd-sysusers aplomb.conf
fi

config=$root/etc/aplomb/aplomb.toml
if [ ! -e "$config" ]; then
    install -D -m 0644 "$here/aplomb.toml" "$config"
fi

echo "installed $root$prefix/bin/aplomb, its man pages, completions and $unit"
[ -n "$root" ] || echo "next: edit $config, then: systemctl daemon-reload && systemctl enable --now aplomb"
