# What tests/run and tests/container/run share. `$speaker` says who speaks, `$work` is a folder for logs.

say() { printf '%s: %s\n' "$speaker" "$*"; }

# Runs a command silently; its output appears only if it fails, after three attempts.
quietly() {
    local attempt
    for attempt in 1 2 3; do
        "$@" >"$work/install.log" 2>&1 </dev/null && return
        say "attempt $attempt failed: $*"
        sleep $((attempt * 3))
    done
    tail -n 200 "$work/install.log"
    return 1
}

# Nothing that is installed for the tests becomes a service of this machine.
without_services() {
    local policy=/usr/sbin/policy-rc.d status=0
    if [[ -e $policy ]]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    "$@" || status=$?
    rm -f "$policy"
    return "$status"
}

# install_debian PACKAGE…: of Debian, as root.
install_debian() {
    (($#)) || return 0
    say "installing $*"
    if ((EUID)); then
        say "not root: install them with apt-get, then run again"
        return 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get update
    without_services quietly apt-get install --yes --no-install-recommends "$@"
}
