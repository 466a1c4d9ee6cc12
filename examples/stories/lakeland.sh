#!/usr/bin/env bash
# Lakeland, Florida, 2018 and 2019: the agreement that a newspaper made public.
#
# On record: the memorandum of 13 December 2018; 15 cameras given; 10 USD of credit for each download of the
# vendor's app, for more of its cameras alone; five roles at the agency; terms to be kept confidential; cameras
# sent back in March 2019, and the cooperation declined, because the agency would not promote one brand. The
# vendor told the paper that roles are no condition; an e-mail of its own employee calls them "needed".
# Not on record, so not told: what credit accrued; the days of delivery and return (the first of the month stands
# for March). The memorandum here is made up; its terms are those on record.
. "$(dirname "$0")/common.sh"
ledger
party vendor doorbell doorbell.example "Doorbell, Inc." US-CA
party agency lakeland lakelandgov.example "Lakeland Police Department" US-FL
party watchdog press press.example "The Newspaper" US

agree doorbell lakeland --terms "$examples/lakeland/terms.json" --document "$examples/lakeland/memorandum.txt" \
    --effective-on 2018-12-13
agreement=$said
gives doorbell lakeland equipment --agreement "$agreement" --item doorbell-camera --count 15 --effective-on 2018-12-13

# Who says what of the roles.
echo "Roles are no condition of our programs." >statement.txt
says doorbell annotation about="$agreement" remark=claim attachments=@statement.txt
claim=$said
echo "We still need you to name the five roles." >mail.txt
says press annotation about="$claim" remark=dispute attachments=@mail.txt

# The cameras go back, and the agency ends it.
gives lakeland doorbell returned --agreement "$agreement" --item doorbell-camera --count 15 --effective-on 2019-03-01
"$whosaw" agency end-agreement "$agreement" --home lakeland --reason will-not-promote-a-brand
ends
