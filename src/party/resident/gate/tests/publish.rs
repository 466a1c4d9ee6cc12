//! What the device gives to nobody in particular.

use clap::ValueEnum as _;

use super::*;
use crate::statement::words::MinutesBand;

fn published() -> World {
    let mut world = World::at(Stage::Batch);
    let publication = world.publish(7);
    world.disclosure = world.log(publication, resident("publisher")).unwrap();
    world
}

#[test]
fn what_is_published_tells_nothing_of_its_owner() {
    let (log, world) = (log(), World::at(Stage::Batch));
    let seen = log.seen(world.history.len(), world.now);
    let genuine = world.publish(7);
    let at = |time, disclosure: &Disclosure, fact: Option<BatchFact>, spent| {
        check_publish(disclosure, &[(fact, spent)], &log.now(&seen, time))
    };
    let check = |disclosure: &Disclosure| at(world.now, disclosure, Some(batch_fact()), false);
    assert_eq!(check(&genuine), Ok(()));
    let with = |alter: &dyn Fn(&mut Disclosure)| {
        let mut disclosure = genuine.clone();
        alter(&mut disclosure);
        check(&disclosure)
    };
    let swapped = Err(Fault::RecipientSwapped);
    let agency = Audience::Agency(recipient("an agency"));
    assert_eq!(with(&|d| d.recipient = agency), swapped);
    assert_eq!(with(&|d| d.request = Some(world.agreement)), swapped);
    for kind in DataKind::value_variants() {
        assert_eq!(with(&|d| d.gives.push(*kind)), Err(Fault::TellsWho));
    }
    let noted = |d: &mut Disclosure| d.note = Some(Digest::of("a note"));
    assert_eq!(with(&noted), Err(Fault::TellsWho));
    let measured = |d: &mut Disclosure| d.minutes = Some(MinutesBand::UpTo15);
    assert_eq!(with(&measured), Err(Fault::TellsWho));
    assert_eq!(with(&|d| d.clips.push(world.clip(8))), Err(Fault::TellsWho));
    assert_eq!(with(&|d| d.clips.clear()), Err(Fault::TellsWho));
    assert_eq!(with(&|d| d.clips[0].index += 1), Err(Fault::NotAnchored));
    let over = Err(Fault::Over(world.now));
    assert_eq!(with(&|d| d.expires = world.now), over);
    let spent = at(world.now, &genuine, Some(batch_fact()), true);
    assert_eq!(spent, Err(Fault::Spent));
    assert_eq!(
        at(world.now, &genuine, None, false),
        Err(Fault::NotAnchored)
    );
    let late = world.now.plus_seconds(MAX_AGE + 1);
    let stale = at(late, &genuine, Some(batch_fact()), false);
    assert!(matches!(stale, Err(Fault::Stale(_))));
}

fn hand_over(world: &World, given: &Given, ready: &Prepared) -> Result<(), Fault> {
    let log = log();
    let seen = log.seen(world.history.len(), world.now);
    let now = log.now(&seen, world.now);
    check_publication(given, &public("publisher"), ready, &now)
}

#[test]
fn a_publication_is_handed_over_once_the_log_has_it() {
    let world = published();
    let genuine = given(&world);
    let ready = prepared(&[b"header"]);
    assert_eq!(hand_over(&world, &genuine, &ready), Ok(()));
    let with = |alter: &dyn Fn(&mut Given)| {
        let mut given = genuine.clone();
        alter(&mut given);
        hand_over(&world, &given, &ready)
    };
    let not_logged = Err(Fault::DisclosureNotLogged);
    assert_eq!(with(&|g| g.fact = None), not_logged);
    assert_eq!(with(&|g| g.index = world.next()), not_logged);
    let asked = |g: &mut Given| g.fact.as_mut().unwrap().request = Some(LeafIndex::new(0));
    assert_eq!(with(&asked), not_logged);
    let other_key = |g: &mut Given| g.fact.as_mut().unwrap().key = public("somebody");
    assert_eq!(with(&other_key), Err(Fault::ForeignKey));
    let agency = Audience::Agency(recipient("an agency"));
    let swapped = Err(Fault::RecipientSwapped);
    assert_eq!(with(&|g| g.body.recipient = agency), swapped);
    let told = |g: &mut Given| g.body.gives.push(DataKind::Name);
    assert_eq!(with(&told), Err(Fault::TellsWho));
    let now = world.now;
    assert_eq!(with(&|g| g.body.expires = now), Err(Fault::Over(now)));
    let others: [&[&[u8]]; 3] = [&[], &[b"another"], &[b"header", b"header"]];
    for headers in others {
        let ready = prepared(headers);
        assert_eq!(hand_over(&world, &genuine, &ready), Err(Fault::Header));
    }
    let noted = Prepared {
        note: Some(b"a note".to_vec()),
        ..ready.clone()
    };
    assert!(matches!(
        hand_over(&world, &genuine, &noted),
        Err(Fault::Note(_))
    ));

    let log = log();
    let own = public("publisher");
    let seen = log.seen(world.history.len(), now);
    let late = now.plus_seconds(MAX_AGE + 1);
    let stale = check_publication(&genuine, &own, &ready, &log.now(&seen, late));
    assert!(matches!(stale, Err(Fault::Stale(_))));
}

/// Before or after it was handed over: the order in the log decides.
#[test]
fn what_was_taken_back_is_not_published() {
    let mut world = published();
    let disclosure = world.disclosure;
    let back = Withdrawal { disclosure };
    world.log(back, resident("publisher")).unwrap();
    let ready = prepared(&[b"header"]);
    let withdrawn = hand_over(&world, &given(&world), &ready);
    assert_eq!(withdrawn, Err(Fault::Withdrawn));
}

/// What could never be taken back any more is not given.
#[test]
fn nothing_is_published_in_a_closed_log() {
    let mut world = published();
    let end = world.next();
    world.close();
    let log = log();
    let mut seen = log.seen(world.history.len(), world.now);
    seen.closed = Some(ClosedFact {
        index: end,
        logged_at: world.now,
        reason: ClosingReason::Discontinued,
        successor: None,
    });
    let now = log.now(&seen, world.now);
    let ready = prepared(&[b"header"]);
    let own = public("publisher");
    let handed_over = check_publication(&given(&world), &own, &ready, &now);
    assert!(matches!(handed_over, Err(Fault::LogClosed(_))));
    let batches = [(Some(batch_fact()), false)];
    let published = check_publish(&world.publish(8), &batches, &now);
    assert!(matches!(published, Err(Fault::LogClosed(_))));
}
