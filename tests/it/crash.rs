//! Power cuts: the server is killed at random moments, and nothing it has answered is ever lost or
//! moved.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use whosaw::party::home::Home;
use whosaw::statement::envelope::Envelope;
use whosaw::tlog::policy::Policy;
use whosaw::wire::statements::Logged;

use super::ledger::{Ledger, proven, signed_benefit, submission, until};

const SENDERS: usize = 4;
/// The most answers for which a server lives, and the most milliseconds after the last of them.
const ANSWERS: u64 = 24;
const AFTERWARDS: u64 = 40;

/// Statements sent to a server that was killed: with its answer, if there was one.
pub type Sent = Vec<(Envelope, Option<Logged>)>;

#[test]
fn what_was_answered_survives_every_crash() {
    crash(20);
}

#[test]
#[ignore = "takes a minute"]
fn what_was_answered_survives_a_hundred_crashes() {
    crash(100);
}

fn crash(rounds: usize) {
    let seed = u64::from_le_bytes(whosaw::random::bytes());
    println!("moments from the seed {seed:#018x}");
    let mut moments = Moments(seed);
    let mut ledger = Ledger::start(|_| {});
    ledger.settle();
    let (vendor, policy) = (ledger.home("vendor"), ledger.policy());
    let (mut all, mut survived) = (Sent::new(), 0);
    for round in 0..rounds {
        let answers = usize::try_from(moments.next() % ANSWERS).unwrap();
        let afterwards = Duration::from_millis(moments.next() % AFTERWARDS);
        let sent = send_until_killed(&mut ledger, &vendor, answers, afterwards);
        let answered = sent.iter().filter(|(_, answer)| answer.is_some()).count();
        println!("round {round}: {} sent, {answered} answered", sent.len());
        survived += answered;
        ledger.serve();
        all.extend(check(&ledger, &policy, sent));
    }
    assert!(
        survived > rounds,
        "only {survived} statements were answered before a crash"
    );
    // Not only right after its own crash: after all of them.
    check(&ledger, &policy, all);
    ledger.examine();
}

/// Sends statements from several threads; kills the server under them some time after so many
/// answers.
fn send_until_killed(
    ledger: &mut Ledger,
    vendor: &Home,
    answers: usize,
    afterwards: Duration,
) -> Sent {
    let (sent, killed) = (Mutex::new(Sent::new()), AtomicBool::new(false));
    let server = ledger.take_server();
    let authority = server.authority.clone();
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                loop {
                    let envelope = signed_benefit(vendor);
                    let answer = submission(&envelope.to_json()).send(&authority);
                    let logged = match &answer {
                        Ok(answer) => {
                            assert_eq!(answer.status, 201, "{answer:?}");
                            Some(serde_json::from_slice(&answer.body).unwrap())
                        }
                        Err(error) => {
                            assert!(killed.load(Ordering::SeqCst), "{error}");
                            None
                        }
                    };
                    sent.lock().unwrap().push((envelope, logged));
                    if answer.is_err() {
                        return;
                    }
                }
            });
        }
        until("answered", || {
            (sent.lock().unwrap().len() >= answers).then_some(())
        });
        std::thread::sleep(afterwards);
        killed.store(true, Ordering::SeqCst);
        server.kill();
    });
    sent.into_inner().unwrap()
}

/// Sends all again: what was answered stands where it stood then, and the rest is taken now or was
/// taken, for good. All of it, with where it stands.
pub fn check(ledger: &Ledger, policy: &Policy, sent: Sent) -> Sent {
    let (queue, checked) = (Mutex::new(sent), Mutex::new(Sent::new()));
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                loop {
                    let Some((envelope, before)) = queue.lock().unwrap().pop() else {
                        return;
                    };
                    let answer = ledger.submit(&envelope.to_json());
                    let now = proven(&answer, policy, &envelope);
                    if let Some(before) = before {
                        assert_eq!(answer.status, 200, "it was answered before the crash");
                        let place = |logged: &Logged| (logged.index, logged.logged_at);
                        assert_eq!(place(&now), place(&before));
                    }
                    checked.lock().unwrap().push((envelope, Some(now)));
                }
            });
        }
    });
    checked.into_inner().unwrap()
}

/// Numbers for moments (SplitMix64).
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
