#!/usr/bin/env bash
# Gwinnett, Georgia: 80 doorbells worth 15,920 USD. The giver reports them, the receiver confirms; it counts once.
# Not on record: when. The days are those on which this story is played.
. "$(dirname "$0")/common.sh"
ledger
party vendor doorbell doorbell.example "Doorbell, Inc." US-CA
party agency gwinnett gwinnett.example "Gwinnett County Police Department" US-GA

cat >terms.json <<'JSON'
[{"kind": "equipment", "giver": "doorbell.example", "receiver": "gwinnett.example",
  "item": "doorbell-camera", "count": 80, "value": {"currency": "USD", "minor_units": 1592000}}]
JSON
agree doorbell gwinnett --terms terms.json
agreement=$said
gives doorbell gwinnett equipment --agreement "$agreement" --item doorbell-camera --count 80 --amount 15920 --currency USD
report=$said
"$whosaw" agency benefit --home gwinnett --giver doorbell.example --receiver gwinnett.example --kind equipment \
    --agreement "$agreement" --item doorbell-camera --count 80 --amount 15920 --currency USD --confirms "$report"
ends
