//! What the device gives to nobody in particular.

use super::*;

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
    for kind in [DataKind::Name, DataKind::Contact] {
        assert_eq!(with(&|d| d.gives.push(kind)), Err(Fault::TellsWho));
    }
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

fn hand_over(world: &World, given: &Given, headers: &[Vec<u8>]) -> Result<(), Fault> {
    let log = log();
    let seen = log.seen(world.history.len(), world.now);
    let now = log.now(&seen, world.now);
    check_publication(given, &public("publisher"), headers, &now)
}

#[test]
fn a_publication_is_handed_over_once_the_log_has_it() {
    let world = published();
    let genuine = given(&world);
    let headers = [b"header".to_vec()];
    assert_eq!(hand_over(&world, &genuine, &headers), Ok(()));
    let with = |alter: &dyn Fn(&mut Given)| {
        let mut given = genuine.clone();
        alter(&mut given);
        hand_over(&world, &given, &headers)
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
    for headers in [
        vec![],
        vec![b"another".to_vec()],
        vec![b"header".to_vec(); 2],
    ] {
        assert_eq!(hand_over(&world, &genuine, &headers), Err(Fault::Header));
    }

    let log = log();
    let own = public("publisher");
    let seen = log.seen(world.history.len(), now);
    let late = now.plus_seconds(MAX_AGE + 1);
    let stale = check_publication(&genuine, &own, &headers, &log.now(&seen, late));
    assert!(matches!(stale, Err(Fault::Stale(_))));
}

/// Before or after it was handed over: the order in the log decides.
#[test]
fn what_was_taken_back_is_not_published() {
    let mut world = published();
    let disclosure = world.disclosure;
    let back = Withdrawal { disclosure };
    world.log(back, resident("publisher")).unwrap();
    let headers = [b"header".to_vec()];
    let withdrawn = hand_over(&world, &given(&world), &headers);
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
    let headers = [b"header".to_vec()];
    let own = public("publisher");
    let handed_over = check_publication(&given(&world), &own, &headers, &now);
    assert!(matches!(handed_over, Err(Fault::LogClosed(_))));
    let batches = [(Some(batch_fact()), false)];
    let published = check_publish(&world.publish(8), &batches, &now);
    assert!(matches!(published, Err(Fault::LogClosed(_))));
}
