#!/usr/bin/env bash
# Rolling Meadows, Illinois: one request over eight hours brought more than fifty submissions, some 400 hours of
# footage. Here three residents are asked, and two submit; the request has the bounds of its generation (at most
# twelve hours, within 45 days and half a square mile). The offence is not on record: vandalism stands for it.
. "$(dirname "$0")/common.sh"
jurisdiction=US-IL
ledger
party vendor doorbell doorbell.example "Doorbell, Inc." US-CA
party agency rolling-meadows rollingmeadows.example "Rolling Meadows Police Department" US-IL
agree doorbell rolling-meadows --side-agreements
agreement=$said

resident ana 28.03950,-81.94980 doorbell.mp4
resident ben 28.03990,-81.94910 porch.mp4
resident cleo 28.03890,-81.95060 garage.mp4
anchored ana ben cleo

asks rolling-meadows 480 --kind video-request --agreement "$agreement" --offence 290 --asks place,time,video
request=$said
answers ana allow "$request"
answers ben allow "$request"
answers cleo refuse "$request"
"$whosaw" agency inbox --home rolling-meadows

# Collected in public, then handed over by each device.
"$whosaw" agency collect --home rolling-meadows --out evidence >/dev/null || true
for name in ana ben; do "$whosaw" resident sync --home "$name" >/dev/null; done
"$whosaw" agency collect --home rolling-meadows --out evidence
"$whosaw" resident report --home ana
ends
