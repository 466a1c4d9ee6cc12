#!/usr/bin/env bash
# Hamilton, Ohio: an owner shared what the police asked for, declined when they asked for more, and then a warrant
# took the recordings of twenty cameras, indoor ones too. All of it carries one random investigation id, so that
# "asked first, then compelled" shows, while the case number stays sealed.
# Not on record, and made up here: the days, and that a court put off telling the owner.
. "$(dirname "$0")/common.sh"
jurisdiction=US-OH
ledger
party vendor doorbell doorbell.example "Doorbell, Inc." US-CA
party agency hamilton hamilton.example "Hamilton Police Department" US-OH
party court court court.example "The Court" US-OH
agree doorbell hamilton
agreement=$said
investigation=0123456789abcdef0123456789abcdef

resident owner 28.03950,-81.94980 doorbell.mp4
anchored owner
asks hamilton 180 --agreement "$agreement" --offence 35A --investigation "$investigation"
asked=$said
answers owner allow "$asked"
"$whosaw" agency collect --home hamilton --out evidence >/dev/null || true
"$whosaw" resident sync --home owner >/dev/null
"$whosaw" agency collect --home hamilton --out evidence >/dev/null
disclosure=$("$whosaw" agency inbox --home hamilton --json | grep -A 9 '"received"' | logged)
says hamilton custody-report about="$disclosure" event=viewed effective_on=today

# They ask for more. A refusal never leaves the owner's device, and looks like no answer.
asks hamilton 600 --agreement "$agreement" --offence 35A --investigation "$investigation"
wider=$said
answers owner refuse "$wider"

# A warrant. Its number is sealed; so was the case's.
echo SW-2022-0117 >warrant-number.txt
says hamilton legal-demand process=search-warrant source=signed agency=hamilton.example jurisdiction=US-OH \
    investigation="$investigation" offences=35A content=true records=clip-content,clip-metadata accounts=1-5 \
    served_on=today delay=jeopardy --seal reference=warrant-number.txt --open-by "$(date -u -d '30 days' +%F)"
demand=$said
says court delay-order delays=notice demand="$demand" until="$(date -u -d '60 days' +%F)" grounds=jeopardy
# The ledger has ciphertext alone: that is all a warrant upon it can take.
says operator demand-response demand="$demand" outcome=partial records=clip-metadata accounts=1-5 clips=11-50 \
    effective_on=today
says operator notice demand="$demand" state=delayed until="$(date -u -d '60 days' +%F)" grounds=jeopardy
"$whosaw" agency unseal "$demand" --home hamilton
"$whosaw" agency unseal "$asked" --home hamilton
"$whosaw" agency unseal "$wider" --home hamilton
printf '\nWhat its annual report would say, with the entries that each figure rests on:\n'
"$whosaw" log report oakland-9.64 --party hamilton.example --cite --log "$server/log" --policy operator/log.policy
ends
"$whosaw" log reconcile --log "$server/log" --policy operator/log.policy
