use std::time::Duration;

use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::tlog::cosignature::Cosigner;
use crate::tlog::note::LogSigner;
use crate::tlog::policy::{PolicyLog, PolicyWitness, counts_at};

const HOUR: i64 = 3600;

fn time(seconds: i64) -> Time {
    "2019-07-31T14:05:00Z"
        .parse::<Time>()
        .unwrap()
        .plus_seconds(seconds)
}

/// So many seconds of the day, and of the machine's running.
fn moment(wall: i64, ran: u64) -> Moment {
    Moment {
        wall: time(wall),
        ran: Duration::from_secs(1_000_000 + ran),
    }
}

fn secret(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n + 1; 32])
}

/// The key of the witness `w0`, `w1` and so on.
pub(in crate::ledger) fn key(n: u8) -> VerifierKey {
    Cosigner::new(format!("w{n}.example").parse().unwrap(), secret(n)).verifier()
}

/// `quorum` of `w0`, `w1` and so on; of none, `quorum none`.
pub(in crate::ledger) fn policy(witnesses: u8, quorum: usize) -> Policy {
    let line = |n: u8| (format!("w{n}"), key(n));
    policy_of((0..witnesses).map(line), quorum)
}

/// `quorum` of the witnesses with these names and keys.
fn policy_of(witnesses: impl IntoIterator<Item = (String, VerifierKey)>, quorum: usize) -> Policy {
    let line = |(name, key)| PolicyWitness {
        name,
        key,
        url: None,
    };
    let log = LogSigner::new("ledger.example/log".parse().unwrap(), secret(99));
    let log = PolicyLog {
        key: log.verifier(),
        url: None,
    };
    Policy::of(vec![log], witnesses.into_iter().map(line).collect(), quorum).unwrap()
}

/// The offsets of witnesses that answered at second 0 with these, where `quorum` of them is one.
fn offsets(quorum: usize, answers: &[i64]) -> Offsets {
    let count = u8::try_from(answers.len()).unwrap();
    let mut offsets = Offsets::new(policy(count, quorum));
    for (n, offset) in (0..).zip(answers) {
        offsets.measure(&key(n), time(*offset), moment(0, 0));
    }
    offsets
}

fn of_first(offsets: &Offsets, now: Moment) -> Option<i64> {
    offsets.at(now).next().unwrap().1
}

#[test]
fn clocks_agree_up_to_five_minutes() {
    for (offset, agrees) in [
        (-301, false),
        (-300, true),
        (0, true),
        (300, true),
        (301, false),
        (-400 * 86_400, false),
        (i64::MIN, false),
        (i64::MAX, false),
    ] {
        assert_eq!(super::agrees(offset), agrees, "{offset}");
    }
    for offset in [-301, -300, 300, 301] {
        let one = offsets(1, &[offset]);
        assert_eq!(of_first(&one, moment(0, 0)), Some(offset));
        assert_eq!(one.confirm(moment(0, 0)), offset.abs() == 300, "{offset}");
    }
}

#[test]
fn those_that_agree_must_make_a_quorum() {
    let now = moment(0, 0);
    // Two witnesses, one of them 50 minutes slow.
    assert!(offsets(1, &[0, -3000]).confirm(now));
    assert!(!offsets(2, &[0, -3000]).confirm(now));
    // Those that disagree with the server agree with each other, and that counts for nothing.
    assert!(!offsets(2, &[0, -3000, -3000]).confirm(now));
    assert!(offsets(2, &[0, -3000, 299]).confirm(now));
    assert!(!offsets(2, &[-300, -301, 301]).confirm(now));
    // Who has not answered does not count.
    let mut offsets = Offsets::new(policy(2, 2));
    assert!(!offsets.confirm(now));
    offsets.measure(&key(1), time(0), now);
    assert!(!offsets.confirm(now));
    let known: Vec<_> = offsets.at(now).collect();
    assert_eq!(known, [("w0", None), ("w1", Some(0))]);
    offsets.measure(&key(0), time(10), now);
    assert!(offsets.confirm(now));
    // The last answer counts.
    offsets.measure(&key(0), time(-3000), now);
    assert!(!offsets.confirm(now));
}

/// Witnesses of the next policy are measured before it is in force.
#[test]
fn a_change_of_the_policy_keeps_what_was_measured() {
    let now = moment(0, 0);
    let mut offsets = offsets(1, &[0]);
    offsets.measure(&key(1), time(5), now);
    offsets.change_policy(policy(3, 2));
    assert!(offsets.confirm(now));
    offsets.change_policy(policy(3, 3));
    assert!(!offsets.confirm(now));
    offsets.change_policy(policy(1, 1));
    offsets.change_policy(policy(2, 2));
    assert!(
        !offsets.confirm(now),
        "what is no longer in the policy is forgotten"
    );
}

/// A name that another policy gives to another key says nothing of that key's clock, also where a thread
/// that asked the old key measures it late.
#[test]
fn another_key_of_the_same_name_has_not_answered() {
    let now = moment(0, 0);
    let mut offsets = offsets(1, &[5]);
    let renamed = policy_of([("w0".to_owned(), key(1))], 1);
    offsets.change_policy(renamed.clone());
    assert_eq!(of_first(&offsets, now), None);
    assert!(!offsets.confirm(now));
    offsets.measure(&key(1), time(-7), now);
    offsets.measure(&key(0), time(5), now);
    assert_eq!(of_first(&offsets, now), Some(-7));
    offsets.change_policy(renamed);
    offsets.change_policy(policy(1, 1));
    assert_eq!(of_first(&offsets, now), None, "the old key was forgotten");
}

#[test]
fn a_quorum_of_none_needs_no_answer() {
    assert!(Offsets::new(policy(0, 0)).confirm(moment(0, 0)));
}

/// Witnesses that are away, for a year: what was measured counts until the clock is set.
#[test]
fn an_outage_changes_no_offset() {
    let year = 365 * 86_400;
    let offsets = offsets(2, &[20, -20]);
    assert!(offsets.confirm(moment(year, 31_536_000)));
    for (set, confirmed) in [
        (HOUR, false),
        (-HOUR, false),
        (281, false),
        (280, true),
        (-280, true),
        (-281, false),
    ] {
        let now = moment(year + set, 31_536_000);
        assert_eq!(of_first(&offsets, now), Some(20 - set));
        assert_eq!(offsets.confirm(now), confirmed, "{set}");
    }
    assert!(
        offsets.confirm(moment(2 * year, 2 * 31_536_000)),
        "set right again"
    );
}

#[test]
fn a_clock_that_was_wrong_is_confirmed_once_it_is_set_right() {
    // An hour ahead when the witnesses answered.
    let offsets = offsets(1, &[-HOUR]);
    assert!(!offsets.confirm(moment(10, 10)));
    assert!(offsets.confirm(moment(10 - HOUR, 10)));
}

/// A paused machine: the time of day is right after it, and the time that ran stands still. Nothing tells
/// this from a clock that was put ahead, until a witness answers.
#[test]
fn a_monotonic_clock_that_stood_still_is_no_proof() {
    let mut offsets = offsets(1, &[0]);
    let after = moment(HOUR, 5);
    assert_eq!(of_first(&offsets, after), Some(-HOUR + 5));
    assert!(!offsets.confirm(after));
    offsets.measure(&key(0), time(HOUR), after);
    assert!(offsets.confirm(moment(HOUR + 7, 12)));
}

/// Times of day are whole seconds, the time that ran is not.
#[test]
fn parts_of_a_second_move_no_offset() {
    let offsets = offsets(1, &[-300]);
    for millis in 0..3000 {
        for phase in [0, 1, 500, 999] {
            let now = Moment {
                wall: time(i64::try_from((millis + phase) / 1000).unwrap()),
                ran: Duration::from_secs(1_000_000) + Duration::from_millis(millis),
            };
            assert_eq!(of_first(&offsets, now), Some(-300), "{millis} {phase}");
        }
    }
}

#[test]
fn no_reading_of_the_clocks_overflows() {
    let ends = [
        Moment {
            wall: Time::FIRST,
            ran: Duration::MAX,
        },
        Moment {
            wall: Time::LAST,
            ran: Duration::ZERO,
        },
    ];
    for (came, now) in [(ends[0], ends[1]), (ends[1], ends[0])] {
        for cosigned in [Time::FIRST, Time::LAST] {
            let mut offsets = Offsets::new(policy(1, 1));
            offsets.measure(&key(0), cosigned, came);
            assert!(!offsets.confirm(now));
            assert_eq!(offsets.confirm(came), cosigned == came.wall);
        }
    }
}

proptest! {
    /// The offset moves by as much as the clock is set, and by nothing that passes.
    #[test]
    fn an_offset_moves_with_the_clock_alone(
        measured in -1000_i64..1000, passed in 0_u64..1 << 32, set in -10_000_i64..10_000,
    ) {
        let offsets = offsets(1, &[measured]);
        let now = moment(i64::try_from(passed).unwrap() + set, passed);
        prop_assert_eq!(of_first(&offsets, now), Some(measured - set));
        prop_assert_eq!(offsets.confirm(now), (measured - set).abs() <= 300);
    }

    /// More that agree never confirm less, and only those that agree count.
    #[test]
    fn only_those_that_agree_count(
        answers in prop::collection::vec(-600_i64..600, 1..6), quorum in 1_usize..6,
    ) {
        let quorum = quorum.min(answers.len());
        let agreeing = answers.iter().filter(|offset| offset.abs() <= 300).count();
        let confirmed = offsets(quorum, &answers).confirm(moment(0, 0));
        prop_assert_eq!(confirmed, agreeing >= quorum);
    }

    /// However long an answer takes and wherever in a second the clocks are: what a clock dates that is
    /// not found out, readers count under this witness's cosignature (milliseconds; the witness's clock is
    /// right).
    #[test]
    fn what_is_not_found_out_counts(
        ahead in -1_000_000_i64..1_000_000, sequenced in 0_i64..1000, cosigned in 0_i64..10_000, came in 0_i64..10_000,
    ) {
        let second = |millis: i64| time(millis.div_euclid(1000));
        let cosigned = sequenced + cosigned;
        let measured = offset(second(cosigned), Moment {
            wall: second(cosigned + came + ahead),
            ran: Duration::ZERO,
        });
        let logged_at = second(sequenced + ahead).cut_to_minute();
        if agrees(measured) {
            prop_assert!(counts_at(second(cosigned), logged_at));
        }
        // And none that readers would count is found out, but for the second and the delay.
        if ahead.abs() <= 300_000 - 1000 - came {
            prop_assert!(agrees(measured));
        }
    }
}
