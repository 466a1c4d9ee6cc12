#!/usr/bin/env bash
# Signs a statement with openssl and submits it with curl, as docs/AGENCY-DEVELOPERS.md describes it.
# PAYLOAD is the statement in its RFC 8785 form, to the byte: no line feed at its end. Keys are PEM
# files (PKCS#8, unencrypted). Needs OpenSSL 3, curl 7.71 and coreutils. Run again with the same
# PAYLOAD, it finds the same statement. Exit codes: 0 done; 1 the ledger refuses it; others: not known.
# Usage: submit.sh PAYLOAD SERVER PROOF KEY.pem...
set -euo pipefail
payload=$1 server=$2 proof=$3
shift 3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# DSSE's pre-authentication encoding: what is signed.
type=application/vnd.whosaw.statement+json
{
    printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(wc -c <"$payload")"
    cat "$payload"
} >"$folder/signed"

# A line for each signature, in the order of their key ids.
for key in "$@"; do
    # The last 32 bytes of the DER form are the public key itself.
    public=$(openssl pkey -in "$key" -pubout -outform DER | tail -c 32 | base64 -w 0 | tr '+/' '-_' | tr -d =)
    sig=$(openssl pkeyutl -sign -rawin -inkey "$key" -in "$folder/signed" | base64 -w 0)
    printf '{"keyid":"ed25519:%s","sig":"%s"}\n' "$public" "$sig"
done | LC_ALL=C sort >"$folder/signatures"

printf '{"payload":"%s","payloadType":"%s","signatures":[%s]}' \
    "$(base64 -w 0 "$payload")" "$type" "$(paste -s -d , "$folder/signatures")" >"$folder/envelope"

# curl waits as long as Retry-After says after 429 and 503, and tries again after 408.
call() {
    curl --silent --show-error --output "$folder/answer" --write-out '%{http_code}' \
        --retry 10 --retry-connrefused --retry-max-time 300 "$@"
}
status=$(call --header 'Content-Type: application/json' --data-binary "@$folder/envelope" \
    "$server/api/v1/statements")
case $status in
    200 | 201 | 202) ;;
    *)
        cat "$folder/answer" >&2
        echo >&2
        case $status in
            408 | 429 | 5??) exit 2 ;;
            *) exit 1 ;;
        esac
        ;;
esac

# The answer carries the proof as a JSON string; without a JSON parser, ask for it by the id. 202:
# it is logged, and the witnesses have not cosigned that yet.
id=$(sha256sum "$payload" | cut -d ' ' -f 1)
for _ in {1..100}; do
    status=$(call "$server/api/v1/proofs/$id")
    case $status in
        200) break ;;
        202) sleep 2 ;;
        *) exit 2 ;;
    esac
done
[ "$status" = 200 ] || exit 2
cp "$folder/answer" "$proof"
echo "id $id"
sed -n '/^index /{p;q}' "$proof"
