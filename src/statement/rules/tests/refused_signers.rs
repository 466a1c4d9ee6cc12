//! Statements whose signers may not say them, and keys that may not be used.

use super::refusals;
use crate::digest::StatementId;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::benefit::Benefit;
use crate::statement::kinds::collection::Collection;
use crate::statement::kinds::disclosure::{Audience, Disclosure};
use crate::statement::kinds::key_change::{KeyChange, RevocationReason, RevokedKey};
use crate::statement::kinds::party::{NewKey, Party};
use crate::statement::kinds::withdrawal::Withdrawal;
use crate::statement::refusal::{Reason, Refusal};
use crate::statement::testing::*;
use crate::statement::words::{PartyKind, Role};

pub(super) fn keys(add: &[NewKey], revoke: &[&str]) -> KeyChange {
    KeyChange {
        party: id(AGENCY),
        add: add.to_vec(),
        revoke: revoke
            .iter()
            .map(|name| RevokedKey {
                key: public(name),
                reason: RevocationReason::Lost,
            })
            .collect(),
    }
}

fn officer_key(name: &str) -> NewKey {
    new_key(name, Role::Officer, Some("detective-6"))
}

fn key_change_of(party: &str) -> KeyChange {
    KeyChange {
        party: id(party),
        ..keys(&[], &["agency officer"])
    }
}

/// An agency whose officer has the label of the first one's.
fn other_agency() -> Party {
    Party {
        keys: vec![
            new_key("other admin", Role::Admin, None),
            new_key("other officer", Role::Officer, Some(LABELS[0])),
        ],
        ..listed("plains.example", PartyKind::Agency)
    }
}

/// Adds `name` to the agency as an officer's key.
fn add(world: &mut World, name: &'static str) -> Result<StatementId, Refusal> {
    world.log(
        keys(&[officer_key(name)], &[]),
        agency_admin().signed_by(&["agency admin", name]),
    )
}

refusals! {
    signed_by_a_stranger: MissingSignature "/signatures", at Agreement: |w|
        w.log(w.ask(), party(AGENCY, "stranger"));
    signed_by_another_party: MissingSignature "/signatures", at Agreement: |w|
        w.log(w.ask(), party(AGENCY, "vendor admin"));
    signed_for_a_listed_party: MissingSignature "/signatures", at Limits: |w| {
        w.log(listed(VENDOR, PartyKind::Vendor), operator_admin()).unwrap();
        w.log(Benefit::example(), party(VENDOR, "vendor admin"))
    };
    registered_without_the_operator: MissingSignature "/signatures", at Limits: |w|
        w.log(vendor(), registrars(VENDOR, &[]).signed_by(&["vendor admin"]));
    registered_without_its_key: MissingSignature "/signatures", at Limits: |w|
        w.log(vendor(), registrars(VENDOR, &[]));
    registered_with_one_key_twice: MissingSignature "/signatures", at Limits: |w|
        w.log(Party { keys: [vendor().keys, vendor().keys].concat(), ..vendor() }, registrars(VENDOR, &["vendor admin"]));
    a_key_that_does_not_sign_its_adding: MissingSignature "/signatures", at Agency: |w|
        w.log(keys(&[officer_key("new")], &[]), agency_admin());
    an_agreement_signed_by_one_party: MissingSignature "/signatures", at Agency: |w|
        w.log(agreement(), agency_and_vendor().signed_by(&["agency admin"]));
    a_disclosure_under_another_key: MissingSignature "/signatures", at Request: |w|
        w.log(w.consent(0), resident("resident").signed_by(&["other resident"]));

    signed_by_a_friend_too: SurplusSignature "/signatures", at Agreement: |w|
        w.log(w.ask(), agency_officer().signed_by(&["agency officer", "vendor admin"]));
    signed_by_two_officers: SurplusSignature "/signatures", at Agreement: |w|
        w.log(w.ask(), agency_officer().signed_by(&["agency officer", "agency second officer"]));
    signed_by_a_revoked_key_too: SurplusSignature "/signatures", at Agreement: |w| {
        w.log(keys(&[], &["agency second officer"]), agency_admin()).unwrap();
        w.log(w.ask(), agency_officer().signed_by(&["agency officer", "agency second officer"]))
    };
    a_disclosure_signed_by_its_asker_too: SurplusSignature "/signatures", at Request: |w|
        w.log(w.consent(0), resident("resident").signed_by(&["resident", "agency officer"]));
    a_key_revoked_signs_its_revoking: SurplusSignature "/signatures", at Agency: |w|
        w.log(keys(&[], &["agency officer"]), agency_admin().signed_by(&["agency admin", "agency officer"]));
    a_genesis_signed_by_a_friend_too: SurplusSignature "/signatures", at Empty: |w|
        w.log(operator(), operator_founding().signed_by(&["operator admin", "operator officer", "vendor admin"]));

    a_revoked_key: KeyNotLive "/signatures", at Agreement: |w| {
        w.log(keys(&[], &["agency officer"]), agency_admin()).unwrap();
        w.log(w.ask(), agency_officer())
    };
    a_key_revoked_by_the_operator: KeyNotLive "/signatures", at Disclosure: |w| {
        w.log(keys(&[], &["agency officer"]), operator_admin()).unwrap();
        w.log(w.collect(), agency_officer())
    };
    a_new_agency_before_its_time: KeyNotLive "/signatures", at Agency: |w| {
        w.pass(-MINUTE);
        w.log(agreement(), agency_and_vendor())
    };
    a_new_agency_s_officer_before_its_time: KeyNotLive "/signatures", at Agency: |w| {
        w.pass(-MINUTE);
        w.log(Benefit::example(), agency_officer())
    };
    a_new_admin_key_before_its_time: KeyNotLive "/signatures", at Agency: |w| {
        w.log(keys(&[new_key("new", Role::Admin, None)], &[]), agency_admin().signed_by(&["agency admin", "new"])).unwrap();
        w.pass(limits().new_key_wait_seconds() - MINUTE);
        w.log(keys(&[], &["agency officer"]), party(AGENCY, "new"))
    };
    a_request_by_an_admin: KeyNotLive "/signatures", at Agreement: |w| w.log(w.ask(), agency_admin());
    a_request_by_a_service: KeyNotLive "/signatures", at Agreement: |w| w.log(w.ask(), party(AGENCY, "agency service"));
    a_benefit_by_a_service: KeyNotLive "/signatures", at Agreement: |w|
        w.log(Benefit::example(), party(AGENCY, "agency service"));
    a_collection_by_an_admin: KeyNotLive "/signatures", at Disclosure: |w| w.log(w.collect(), agency_admin());
    limits_by_an_officer: KeyNotLive "/signatures", at Agency: |w| w.log(limits(), operator_officer());
    an_agreement_by_an_officer: KeyNotLive "/signatures", at Agency: |w|
        w.log(agreement(), agency_and_vendor().signed_by(&["agency officer", "vendor admin"]));
    keys_by_an_officer: KeyNotLive "/signatures", at Agency: |w| w.log(keys(&[], &["agency service"]), agency_officer());
    a_registration_by_an_officer: KeyNotLive "/signatures", at Limits: |w|
        w.log(listed(VENDOR, PartyKind::Vendor), operator_officer());
    a_batch_by_an_admin: KeyNotLive "/signatures", at Limits: |w| w.log(batch(), operator_admin());

    limits_by_an_agency: WrongAuthor "/issuer", at Agency: |w| w.log(limits(), agency_admin());
    a_batch_by_an_agency: WrongAuthor "/issuer", at Agency: |w| w.log(batch(), agency_officer());
    a_batch_by_a_resident: WrongAuthor "/issuer", at Agency: |w| w.log(batch(), resident("resident"));
    limits_by_several: WrongAuthor "/issuer", at Agency: |w| w.log(limits(), agency_and_vendor());
    a_registration_by_the_party_alone: WrongAuthor "/parties", at Limits: |w| w.log(vendor(), party(VENDOR, "vendor admin"));
    a_listing_by_a_stranger: WrongAuthor "/issuer", at Agency: |w|
        w.log(listed("plains.example", PartyKind::Agency), agency_admin());
    a_genesis_by_another: WrongAuthor "/issuer", at Empty: |w| w.log(operator(), party(VENDOR, "vendor admin"));
    keys_of_another_party: WrongAuthor "/issuer", at Agency: |w| w.log(key_change_of(VENDOR), agency_admin());
    keys_of_the_operator_by_a_party: WrongAuthor "/issuer", at Agency: |w| w.log(key_change_of(OPERATOR), agency_admin());
    a_key_added_by_the_operator: WrongAuthor "/issuer", at Agency: |w|
        w.log(keys(&[officer_key("new")], &[]), operator_admin().signed_by(&["operator admin", "new"]));
    a_request_by_a_vendor: WrongAuthor "/issuer", at Agreement: |w| {
        w.log(
            KeyChange { party: id(VENDOR), ..keys(&[officer_key("vendor officer")], &[]) },
            party(VENDOR, "vendor admin").signed_by(&["vendor admin", "vendor officer"]),
        ).unwrap();
        w.log(w.ask(), party(VENDOR, "vendor officer"))
    };
    a_benefit_between_others: WrongAuthor "/issuer", at Agreement: |w| w.log(Benefit::example(), operator_admin());
    a_disclosure_by_a_party: WrongAuthor "/issuer", at Request: |w| w.log(w.consent(0), agency_officer());
    a_withdrawal_by_the_asker: WrongAuthor "/issuer", at Disclosure: |w|
        w.log(Withdrawal { disclosure: w.disclosure }, agency_officer());
    a_withdrawal_by_another_resident: WrongAuthor "/issuer_key", at Disclosure: |w|
        w.log(Withdrawal { disclosure: w.disclosure }, resident("other resident"));
    a_collection_by_a_resident: WrongAuthor "/issuer", at Disclosure: |w| w.log(w.collect(), resident("resident"));
    a_collection_by_another_agency: WrongAuthor "/issuer", at Agreement: |w| {
        w.log(other_agency(), registrars("plains.example", &["other admin", "other officer"])).unwrap();
        w.pass(limits().new_key_wait_seconds());
        w.batch = w.log(batch(), operator_officer()).unwrap();
        let ask = w.ask();
        w.request = w.log(ask.clone(), agency_officer()).unwrap();
        w.disclosure = w.log(Disclosure { recipient: Audience::Agency(ask.recipient), ..w.consent(0) }, resident("resident")).unwrap();
        w.log(w.collect(), party("plains.example", "other officer"))
    };
    the_label_of_another_officer: BadValue "/label", at Disclosure: |w|
        w.log(Collection { label: LABELS[1].parse().unwrap(), ..w.collect() }, agency_officer());

    a_request_by_an_unknown_party: UnknownParty "/issuer", at Agreement: |w|
        w.log(w.ask(), party("plains.example", "agency officer"));
    an_agreement_with_an_unknown_party: UnknownParty "/parties", at Agency: |w|
        w.log(agreement(), together(&[AGENCY, "plains.example"], &["agency admin", "stranger"]));
    keys_of_an_unknown_party: UnknownParty "/party", at Agency: |w| w.log(key_change_of("plains.example"), operator_admin());
    a_benefit_to_an_unknown_party: UnknownParty "/receiver", at Agency: |w|
        w.log(Benefit { receiver: id("plains.example"), ..Benefit::example() }, party(VENDOR, "vendor admin"));
    a_benefit_from_an_unknown_party: UnknownParty "/giver", at Agency: |w|
        w.log(Benefit { giver: id("plains.example"), ..Benefit::example() }, agency_admin());
    succeeding_an_unknown_party: UnknownParty "/succeeds", at Limits: |w|
        w.log(Party { succeeds: Some(id("plains.example")), ..vendor() }, registrars(VENDOR, &["vendor admin"]));

    registered_again: PartyExists "/party", at Agency: |w|
        w.log(Party { keys: vec![new_key("new", Role::Admin, None)], ..agency() }, registrars(AGENCY, &["new"]));
    a_key_registered_before: KeySeenBefore "/keys/0/key", at Vendor: |w|
        w.log(
            Party { keys: vec![new_key("vendor admin", Role::Admin, None)], ..agency() },
            registrars(AGENCY, &["vendor admin"]),
        );
    a_key_of_ones_own_added_again: KeySeenBefore "/add/0/key", at Agency: |w| add(w, "agency service");
    a_revoked_key_added_again: KeySeenBefore "/add/0/key", at Agency: |w| {
        w.log(keys(&[], &["agency officer"]), agency_admin()).unwrap();
        add(w, "agency officer")
    };
    a_one_time_key_added: KeySeenBefore "/add/0/key", at Disclosure: |w| add(w, "resident");
    a_one_time_key_used_again: KeySeenBefore "/issuer_key", at Disclosure: |w| w.log(w.consent(1), resident("resident"));
    a_party_key_as_one_time_key: KeySeenBefore "/issuer_key", at Request: |w| w.log(w.consent(0), resident("agency service"));

    no_admin_key: LastAdminKey "/keys", at Limits: |w|
        w.log(Party { keys: vec![officer_key("officer")], ..vendor() }, registrars(VENDOR, &["officer"]));
    an_operator_without_keys: LastAdminKey "/keys", at Empty: |w|
        w.log(Party { keys: vec![officer_key("officer")], ..operator() }, operator_admin().signed_by(&["officer"]));
    the_last_admin_key_revoked: LastAdminKey "/revoke", at Agency: |w|
        w.log(keys(&[], &["agency admin"]), agency_admin());
    no_change_of_keys: BadValue "/revoke", at Agency: |w| w.log(keys(&[], &[]), agency_admin());
    a_key_revoked_twice_at_once: BadValue "/revoke/1/key", at Agency: |w|
        w.log(keys(&[], &["agency officer", "agency officer"]), agency_admin());
    a_key_revoked_again: WrongReference "/revoke/0/key", at Agency: |w| {
        w.log(keys(&[], &["agency officer"]), agency_admin()).unwrap();
        w.pass(MINUTE);
        w.log(keys(&[], &["agency officer"]), agency_admin())
    };
    the_key_of_another_party_revoked: WrongReference "/revoke/0/key", at Agency: |w|
        w.log(keys(&[], &["vendor admin"]), agency_admin());
    a_one_time_key_revoked: WrongReference "/revoke/0/key", at Disclosure: |w| w.log(keys(&[], &["resident"]), agency_admin());
    a_key_added_and_revoked_at_once: WrongReference "/revoke/0/key", at Agency: |w|
        w.log(keys(&[officer_key("new")], &["new"]), agency_admin().signed_by(&["agency admin", "new"]));
    too_many_keys: BadValue "/add", at Agency: |w| {
        let many: Vec<_> = (0..17).map(|n| officer_key(&n.to_string())).collect();
        w.log(keys(&many, &[]), agency_admin())
    };
    too_many_keys_revoked: BadValue "/revoke", at Agency: |w| w.log(keys(&[], &["agency officer"; 17]), agency_admin());
}
