//! What is given to everybody: who may say so, how little it tells, and how it ends.

use super::refusals;
use crate::digest::{Digest, StatementId};
use crate::seal::recipient::Recipient;
use crate::statement::facts::{DisclosureFact, Fact, FactsExt as _};
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::custody_report::CustodyReport;
use crate::statement::kinds::disclosure::{Audience, Disclosure};
use crate::statement::kinds::withdrawal::Withdrawal;
use crate::statement::payload;
use crate::statement::refusal::{Reason, Refusal};
use crate::statement::testing::*;
use crate::statement::words::DataKind::*;
use crate::statement::words::MinutesBand;
use crate::tlog::tree::LeafIndex;

fn publish(world: &mut World, alter: impl FnOnce(&mut Disclosure)) -> Result<StatementId, Refusal> {
    let mut disclosure = world.publish(0);
    alter(&mut disclosure);
    world.log(disclosure, resident("publisher"))
}

fn published(world: &mut World) -> Withdrawal {
    let disclosure = publish(world, |_| ()).unwrap();
    Withdrawal { disclosure }
}

refusals! {
    published_for_a_request: BadValue "/request", at Request: |w| {
        let request = Some(w.request);
        publish(w, |d| d.request = request)
    };
    given_for_no_request: MissingMember "/request", at Request: |w|
        publish(w, |d| d.recipient = Audience::Agency(recipient("recipient 6")));
    two_clips_of_one_person: TellsWho "/clips", at Batch: |w| {
        let clips = vec![w.clip(0), w.clip(1)];
        publish(w, |d| d.clips = clips)
    };
    published_with_a_name: TellsWho "/gives", at Batch: |w| publish(w, |d| d.gives = vec![Name, Video]);
    published_with_a_contact: TellsWho "/gives", at Batch: |w| publish(w, |d| d.gives = vec![Contact, Video]);
    published_with_a_place: TellsWho "/gives", at Batch: |w| publish(w, |d| d.gives = vec![Place, Video]);
    published_with_a_time: TellsWho "/gives", at Batch: |w| publish(w, |d| d.gives = vec![Time, Video]);
    published_with_a_note: TellsWho "/note", at Batch: |w| publish(w, |d| d.note = Some(Digest::of("a note")));
    published_with_its_length: TellsWho "/minutes", at Batch: |w| publish(w, |d| d.minutes = Some(MinutesBand::UpTo15));
    published_without_the_film: BadValue "/gives", at Batch: |w| publish(w, |d| d.gives.clear());
    publishing_nothing: BadValue "/clips", at Batch: |w| publish(w, |d| d.clips.clear());
    published_until_a_minute: BadValue "/expires", at Batch: |w| publish(w, |d| d.expires = d.expires.plus_seconds(60));
    published_until_now: BadValue "/expires", at Batch: |w| {
        let now = w.now.cut_to_hour();
        publish(w, |d| d.expires = now)
    };
    published_for_ever: OutsideLimits "/expires", at Batch: |w| publish(w, |d| d.expires = d.expires.plus_seconds(180 * DAY));
    published_to_the_minute: WrongTime "/issued_at", at Batch: |w| {
        w.pass(7 * MINUTE);
        let now = w.now.cut_to_minute();
        w.log_with(w.publish(0), resident("publisher"), |head| head.issued_at = now)
    };
    published_by_an_agency: WrongAuthor "/issuer", at Batch: |w| w.log(w.publish(0), agency_officer());
    published_under_a_known_key: KeySeenBefore "/issuer_key", at Disclosure: |w| w.log(w.publish(1), resident("resident"));
    published_twice_under_one_key: KeySeenBefore "/issuer_key", at Batch: |w| {
        published(w);
        publish(w, |d| d.clips[0] = World::at(Stage::Batch).clip(1))
    };
    published_by_a_commitment_of_a_gift: CommitmentSpent "/clips/0/commitment", at Disclosure: |w| publish(w, |_| ());
    given_by_a_commitment_of_a_publication: CommitmentSpent "/clips/0/commitment", at Request: |w| {
        published(w);
        w.log(w.consent(0), resident("resident"))
    };
    published_before_its_batch: CommitmentNotInBatch "/clips/0/path", at Batch: |w| publish(w, |d| d.clips[0].index = 1);

    collected_from_the_public: WrongReference "/disclosure", at Request: |w| {
        w.disclosure = published(w).disclosure;
        w.log(w.collect(), agency_officer())
    };
    custody_of_what_is_public: WrongReference "/about", at Request: |w| {
        let about = published(w).disclosure;
        w.log(CustodyReport { about, ..CustodyReport::example() }, agency_officer())
    };
    unpublished_by_another: WrongAuthor "/issuer_key", at Batch: |w| {
        let withdrawal = published(w);
        w.log(withdrawal, resident("somebody"))
    };
    unpublished_twice: Withdrawn "/disclosure", at Batch: |w| {
        let withdrawal = published(w);
        w.log(withdrawal.clone(), resident("publisher")).unwrap();
        w.pass(HOUR);
        w.log(withdrawal, resident("publisher"))
    };
    published_after_the_end: LogClosed "", at Batch: |w| {
        w.close();
        publish(w, |_| ())
    };
    what_everybody_can_open_as_a_requests_recipient: BadValue "/recipient", at Agreement: |w| {
        let request = w.ask();
        let (own, public) = (request.recipient.to_string(), Recipient::PUBLIC.to_string());
        let voice = agency_officer();
        let payload = payload(&w.head(&voice.author), &request.into());
        let payload = String::from_utf8(payload).unwrap().replace(&own, &public);
        w.log_payload(payload.into_bytes(), &voice.keys)
    };
}

#[test]
fn a_publication_needs_nobody_and_ends_when_its_maker_says_so() {
    let mut world = World::at(Stage::Batch);
    let at = world.next();
    let withdrawal = published(&mut world);
    let fact = |world: &World| world.facts.disclosure(&at).unwrap().unwrap();
    assert_eq!((fact(&world).request, fact(&world).withdrawn), (None, None));
    // Long after it expired, too.
    world.pass(30 * DAY);
    let end = world.next();
    world.log(withdrawal, resident("publisher")).unwrap();
    assert_eq!(fact(&world).withdrawn, Some(end));
}

/// A journal's facts from before there were publications read, and are written, as they were.
#[test]
fn a_fact_of_a_gift_is_as_it_always_was() {
    let key = public("resident");
    let old = format!(
        r#"{{"Disclosure":{{"request":7,"key":"{key}","expires":"2019-07-09T10:00:00Z","withdrawn":null,"collected":9}}}}"#
    );
    let fact: Fact = serde_json::from_str(&old).unwrap();
    let expected = DisclosureFact {
        request: Some(LeafIndex::new(7)),
        key,
        expires: "2019-07-09T10:00:00Z".parse().unwrap(),
        withdrawn: None,
        collected: Some(LeafIndex::new(9)),
    };
    assert_eq!(fact, Fact::Disclosure(expected));
    assert_eq!(serde_json::to_string(&fact).unwrap(), old);
}

#[test]
fn a_publication_says_so_in_plain_words() {
    let world = World::at(Stage::Batch);
    let said = world.publish(0).plain("ed25519:x");
    assert_eq!(
        said,
        "A resident gives a clip to everybody: video, until 2019-07-07T10:00:00Z."
    );
    let json = serde_json::to_value(world.publish(0)).unwrap();
    assert_eq!(json["recipient"], "public");
    assert_eq!(json.get("request"), None);
}
