#!/usr/bin/env bash
# Arcadia, California: 25,000 USD of public money, twice. Each time 500 discounts of 100 USD for residents, half
# from the city, half from the vendor.
# Not on record: when. The days are those before and on which this story is played.
. "$(dirname "$0")/common.sh"
ledger
party vendor doorbell doorbell.example "Doorbell, Inc." US-CA
party agency arcadia arcadia.example "Arcadia, the city and its police" US-CA

cat >terms.json <<'JSON'
[{"kind": "discount", "giver": "doorbell.example", "beneficiary": "residents", "product": "doorbell-camera",
  "amount": {"currency": "USD", "minor_units": 5000}, "count": 500},
 {"kind": "public-subsidy", "giver": "arcadia.example", "beneficiary": "residents", "product": "doorbell-camera",
  "each": {"currency": "USD", "minor_units": 5000}, "total": {"currency": "USD", "minor_units": 2500000}}]
JSON
for day in yesterday today; do
    agree doorbell arcadia --terms terms.json --effective-on "$(date -u -d "$day" +%F)"
    agreement=$said
    # What residents save, the vendor goes without: the city makes up its half to the vendor.
    gives arcadia doorbell subsidy --agreement "$agreement" --amount 25000 --currency USD --count 500 \
        --effective-on "$(date -u -d "$day" +%F)"
    gives doorbell arcadia discount --agreement "$agreement" --amount 25000 --currency USD --count 500 \
        --effective-on "$(date -u -d "$day" +%F)"
done
ends
