#!/usr/bin/env bash
# Starts the systemd units of contrib/ by a systemd of their own, in namespaces, with the steps of docs/OPERATIONS.md, "Under
# systemd". Checks what tests/units.sh cannot: that both servers run under every restriction of their units, are restarted after
# kill -9, read again at a reload, and end in order. Needs root, systemd, runuser, curl and ip.
# Usage: tests/units-started.sh PATH/TO/whosaw
set -euo pipefail

contrib=$(realpath "$(dirname "$0")/../contrib/systemd")

# Mounts a copy-on-write layer over a folder, so that the machine keeps its own.
layer() {
    local upper
    upper=$folder/layers/$(tr / _ <<<"$1")
    mkdir -p "$upper/changes" "$upper/work"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$upper/changes,workdir=$upper/work" "$1"
}

# Becomes the first process of the namespaces: systemd, with these two units and empty targets.
boot() {
    folder=$1
    mount --make-rprivate /
    mount -t tmpfs tmpfs "$folder"
    mount -t tmpfs tmpfs /run
    mkdir -p /run/lock "$folder/units"
    layer /etc
    layer /usr/bin
    layer /var/lib
    umount -R /sys/fs/cgroup 2>/dev/null || true
    mount -t tmpfs tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/systemd
    if ! mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd 2>/dev/null; then
        umount /sys/fs/cgroup
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
    fi
    ip link set lo up

    cp "$2" /usr/bin/whosaw
    cp "$contrib"/*.service "$folder/units/"
    # There is no journal here.
    for unit in whosaw whosaw-witness; do
        mkdir "$folder/units/$unit.service.d"
        printf '[Service]\nStandardError=append:%s\n' "$folder/$unit.log" >"$folder/units/$unit.service.d/log.conf"
    done
    for target in default sysinit basic shutdown network-online time-sync multi-user; do
        printf '[Unit]\nDefaultDependencies=no\n' >"$folder/units/$target.target"
    done
    bash "$0" --steps "$folder" >&3 2>&1 &
    exec env -i PATH="$PATH" container=lxc SYSTEMD_UNIT_PATH="$folder/units" SYSTEMD_LOG_TARGET=console \
        /lib/systemd/systemd --system --unit=default.target 3>&-
}

fail() {
    echo "FAILED: $*"
    exit 1
}
property() { systemctl show --value --property "$1" "$2"; }
# Waits at most a minute until the command succeeds.
until_true() {
    local _
    for _ in $(seq 600); do
        if "$@"; then return; fi
        sleep 0.1
    done
    fail "never true: $*"
}
as_ledger() { runuser -u whosaw -- "$@"; }
ready() { curl --silent --fail --output /dev/null http://127.0.0.1:8080/readyz; }
is() { [ "$(property "$1" "$2")" = "$3" ]; }
restarted() { [ "$(property MainPID "$1")" != "$2" ] && is ActiveState "$1" active; }

# The restrictions hold for the running process, not only in the file.
restricted() {
    local pid
    pid=$(property MainPID "$1")
    grep -q '^CapBnd:	0*$' "/proc/$pid/status" || fail "$1 has capabilities"
    grep -q '^NoNewPrivs:	1$' "/proc/$pid/status" || fail "$1 may gain privileges"
    grep -q '^Seccomp:	2$' "/proc/$pid/status" || fail "$1 may make any system call"
    if nsenter --target "$pid" --mount touch /usr/bin/whosaw 2>/dev/null; then fail "$1 may change programs"; fi
    nsenter --target "$pid" --mount touch "/var/lib/$1/probe" || fail "$1 may not write its own folder"
    rm "/var/lib/$1/probe"
}

# Ends with the line "ended".
steps() {
    local witness pid
    trap 'tail -n 20 "$folder"/*.log; echo ended' EXIT
    until_true test -S /run/systemd/private
    systemd-sysusers "$contrib/whosaw.sysusers"
    install -d -o whosaw -g whosaw -m 700 /var/lib/whosaw
    install -d -o whosaw-witness -g whosaw-witness -m 700 /var/lib/whosaw-witness
    install -d /etc/whosaw
    as_ledger whosaw operator init --data /var/lib/whosaw --origin ledger.example/log --party operator.example \
        --name Ledger --jurisdiction US-FL >/dev/null
    witness=$(runuser -u whosaw-witness -- whosaw witness init --data /var/lib/whosaw-witness --name north.example)
    as_ledger whosaw operator add-witness --data /var/lib/whosaw --name north \
        $(sed 's/^/--vkey /' <<<"$witness") --url http://127.0.0.1:8081 >/dev/null
    whosaw serve --print-config >/etc/whosaw/ledger.toml
    printf '[data]\nlog = ["/etc/whosaw/log.vkey"]\n[network]\nlisten = "127.0.0.1:8081"\n' >/etc/whosaw/witness.toml
    install -m 644 /var/lib/whosaw/log.vkey /etc/whosaw/

    echo "start: systemctl returns when the servers listen"
    systemctl start whosaw-witness whosaw
    [[ $(property StatusText whosaw) == *http://* ]] || fail "no status: $(property StatusText whosaw)"
    until_true ready
    restricted whosaw
    restricted whosaw-witness

    echo "reload: the servers read again"
    systemctl reload whosaw whosaw-witness
    is ActiveState whosaw active || fail "not active after a reload"

    echo "kill -9: systemd restarts both, and the log goes on"
    for unit in whosaw-witness whosaw; do
        pid=$(property MainPID "$unit")
        kill -KILL "$pid"
        until_true restarted "$unit" "$pid"
        is NRestarts "$unit" 1 || fail "$unit was restarted $(property NRestarts "$unit") times"
    done
    until_true ready

    echo "stop: in order, and nothing is left in a write-ahead log"
    systemctl stop whosaw whosaw-witness
    for unit in whosaw whosaw-witness; do
        is Result "$unit" success || fail "$unit: $(property Result "$unit")"
        is ExecMainStatus "$unit" 0 || fail "$unit exited with $(property ExecMainStatus "$unit")"
        [ -z "$(find "/var/lib/$unit" -name '*-wal' -size +0)" ] || fail "$unit left a write-ahead log"
        [ -z "$(find "/var/lib/$unit" -perm /go=w)" ] || fail "others may write files of $unit"
    done
    [ -z "$(find /var/lib/whosaw ! -user whosaw)" ] || fail "files of another user"
    as_ledger whosaw log fsck --data /var/lib/whosaw >/dev/null || fail "fsck"
    trap - EXIT
    echo passed
    echo ended
}

case $1 in
--boot) boot "$2" "$3" ;;
--steps)
    folder=$2
    steps
    ;;
*)
    [ "$(id -u)" = 0 ] || { echo "run this as root: it starts a systemd"; exit 1; }
    whosaw=$(realpath "$1")
    folder=$(mktemp -d)
    systemd=
    finish() {
        if [ -n "$systemd" ]; then
            kill -KILL "$systemd" && wait "$systemd" || true
        fi 2>/dev/null
        rm -rf "$folder"
    }
    trap finish EXIT
    mkfifo "$folder/report"
    unshare --pid --mount --ipc --uts --net --cgroup --fork --kill-child --mount-proc \
        bash "$0" --boot "$(mktemp -d -p "$folder")" "$whosaw" 3>"$folder/report" >"$folder/systemd.log" 2>&1 </dev/null &
    systemd=$!
    last=
    while read -r -t 300 line && [ "$line" != ended ]; do
        printf '%s\n' "$line"
        last=$line
    done <"$folder/report"
    [ "$last" = passed ] || { tail -n 50 "$folder/systemd.log"; echo "FAILED: the units under systemd"; exit 1; }
    ;;
esac
