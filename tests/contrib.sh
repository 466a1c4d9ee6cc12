#!/usr/bin/env bash
# contrib/ as an operator uses it: a ledger runs behind nginx and behind Caddy with the files as they are there, but
# for ports, names and certificates. Through each go statements, an attachment of 16 MiB, a clip of 40 MB and its way
# back; whoever forges X-Forwarded-For is known by its address all the same.
# Usage: tests/contrib.sh PATH/TO/whosaw
set -euo pipefail
whosaw=$(realpath "$1")
contrib=$(realpath "$(dirname "$0")/../contrib")
PATH=$PATH:/usr/sbin
for program in nginx caddy curl openssl python3; do
    command -v "$program" >/dev/null || { echo "install $program"; exit 1; }
done

folder=$(mktemp -d)
running=()
stop() {
    for pid in "${running[@]}"; do kill "$pid" && wait "$pid" || true; done 2>/dev/null
    running=()
}
trap 'stop; rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"

fail() { echo "FAILED: $*"; exit 1; }
# start NAME COMMAND...: runs a server of ours, and sets `address` to where it says that it listens.
start() {
    : >"$1.out"
    "${@:2}" >"$1.out" 2>"$1.err" &
    running+=("$!")
    for _ in {1..600}; do
        address=$(sed -n 's/^listening on //p' "$1.out")
        [ -z "$address" ] || return 0
        kill -0 "${running[-1]}" || { cat "$1.err"; fail "$1 has ended"; }
        sleep 0.1
    done
    fail "$1 does not listen"
}
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

head -c $((16 << 20)) /dev/zero | tr '\0' 'x' >document.txt
head -c 40000000 /dev/urandom >film.mp4
touch -d '2 hours ago' film.mp4
openssl req -x509 -newkey ed25519 -nodes -keyout privkey.pem -out fullchain.pem -days 2 -subj /CN=ledger.example 2>/dev/null

# behind NAME: a ledger behind the proxy that `proxy_NAME PORT BACKEND` runs.
behind() {
    local proxy=$1 port listen
    echo "== a ledger behind $proxy"
    mkdir "$proxy"
    cd "$proxy"
    port=$(free_port) listen=127.0.0.1:$(free_port)
    "$whosaw" operator init --data operator --origin ledger.example/log --party operator.example --name Operator \
        --jurisdiction US-FL --limits "$contrib/../examples/limits-trial.json" >/dev/null
    "$whosaw" witness init --data witness --name newsroom.example >witness.vkeys
    start witness "$whosaw" witness serve --data witness --log operator/log.vkey --listen 127.0.0.1:0
    "$whosaw" operator add-witness --data operator --name newsroom --vkey "$(head -n 1 witness.vkeys)" --url "$address" >/dev/null
    start server "$whosaw" serve --data operator --listen "$listen" --authority "127.0.0.1:$port" --proxy 127.0.0.1 \
        --address-limit 60
    "proxy_$proxy" "$port" "$listen" &
    running+=("$!")
    local server=http://127.0.0.1:$port trust=operator/log.policy
    for _ in {1..600}; do curl -sf -o health "$server/healthz" && break; sleep 0.1; done
    grep -q '"ok"' health || fail "no health through $proxy: $(cat health)"

    # Statements, and an attachment as large as one may be.
    "$whosaw" agency init --home agency --party lakelandgov.example --name 'Lakeland Police' --jurisdiction US-FL \
        --server "$server" --trust "$trust" >/dev/null
    "$whosaw" agency register --home agency -o agency.dsse >/dev/null
    "$whosaw" operator approve agency.dsse --data operator --server "$server" --yes >/dev/null
    "$whosaw" agency agreement --home agency --with operator.example --document ../document.txt --sign-only \
        -o agreement.dsse >/dev/null
    "$whosaw" countersign agreement.dsse --document ../document.txt --home operator --yes >/dev/null
    "$whosaw" submit agreement.dsse --server "$server" --trust "$trust" >/dev/null

    # A clip of 40 MB, there and back.
    "$whosaw" operator enrol-code --data operator >code
    "$whosaw" resident init --home ana --server "$server" --trust "$trust" --code-file code --jurisdiction US-FL \
        --camera front=28.03950,-81.94980 >/dev/null
    clip=$("$whosaw" resident add ../film.mp4 --home ana --camera front --from "$(date -u -d '2 hours ago' +%FT%H:%M:00Z)" \
        --until "$(date -u -d '90 minutes ago' +%FT%H:%M:00Z)" | sed -n 's/.*clip //p')
    "$whosaw" resident open "$clip" --home ana -o back.mp4 >/dev/null
    cmp back.mp4 ../film.mp4
    [ ! -e operator/clips ] || [ "$(du -sm operator/clips | cut -f 1)" -ge 38 ] || fail "no clip was stored"

    # Whatever a client says of its address, it is one and the same.
    local limited=
    for n in {1..80}; do
        code=$(curl -s -o /dev/null -w '%{http_code}' -H "X-Forwarded-For: 198.51.100.$n" -d garbage "$server/api/v1/statements")
        [ "$code" != 429 ] || limited=$n
    done
    [ -n "$limited" ] || fail "a forged X-Forwarded-For is believed through $proxy"

    "$whosaw" log verify --log "$server/log" --policy "$trust" | tail -n 1
    stop
    cd ..
}

proxy_nginx() {
    sed -e "s#listen 443 ssl;#listen 127.0.0.1:$1;#" -e "s#server 127.0.0.1:8080;#server $2;#" -e '/ssl_certificate/d' \
        "$contrib/nginx.conf" >site.conf
    # As it is, with TLS, nginx takes it, too.
    sed -e "s#/etc/ssl/ledger.example#$folder#" -e "s#listen 443 ssl;#listen 127.0.0.1:$1 ssl;#" "$contrib/nginx.conf" >tls.conf
    for site in tls site; do
        cat >"nginx-$site.conf" <<CONF
daemon off;
pid $PWD/nginx.pid;
error_log $PWD/nginx.log;
events {}
http {
    client_body_temp_path $PWD/body; proxy_temp_path $PWD/proxy; fastcgi_temp_path $PWD/fastcgi;
    uwsgi_temp_path $PWD/uwsgi; scgi_temp_path $PWD/scgi;
    include $PWD/$site.conf;
}
CONF
    done
    nginx -q -t -c "$PWD/nginx-tls.conf" || fail "nginx refuses the configuration"
    exec nginx -c "$PWD/nginx-site.conf"
}

proxy_caddy() {
    caddy validate --config "$contrib/Caddyfile" --adapter caddyfile >validate.out 2>&1 || { cat validate.out; fail "Caddy refuses the configuration"; }
    { printf '{\n\tadmin off\n}\n'; sed -e "s#^ledger.example {#http://127.0.0.1:$1 {#" -e "s#127.0.0.1:8080#$2#" "$contrib/Caddyfile"; } >Caddyfile
    HOME=$PWD exec caddy run --config Caddyfile --adapter caddyfile 2>caddy.log
}

behind nginx
behind caddy
echo "nginx and Caddy pass on what they must"
