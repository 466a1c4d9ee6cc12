#!/usr/bin/env bash
# Boca Raton, Florida: the city's lawyers struck the confidentiality clause.
# An amendment says what changes and nothing else: everyone can see what was to be hidden, and that it is no longer.
. "$(dirname "$0")/common.sh"
ledger
party vendor doorbell doorbell.example "Doorbell, Inc." US-CA
party agency boca-raton bocaraton.example "Boca Raton Police Services" US-FL

cat >terms.json <<'JSON'
[{"kind": "confidentiality", "bound": "bocaraton.example", "about": "program-terms"},
 {"kind": "portal-access", "giver": "doorbell.example", "receiver": "bocaraton.example", "portal": "request-portal"}]
JSON
agree doorbell boca-raton --terms terms.json
cat >struck.json <<'JSON'
{"add": [], "remove": [{"kind": "confidentiality", "bound": "bocaraton.example", "about": "program-terms"}]}
JSON
agree doorbell boca-raton --amendment struck.json --previous "$said"
ends
