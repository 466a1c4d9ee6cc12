//! Many statements, submitted by calls of many each, until every one is logged or refused.

use std::collections::VecDeque;
use std::time::Duration;

use super::official::{Official, OfficialError, check_logged};
use crate::client::patience::{Waiting, pause};
use crate::client::{Client, ClientError};
use crate::statement::envelope::Envelope;
use crate::tlog::policy::Policy;
use crate::wire::problem::Problem;
use crate::wire::statements::{LineAnswer, Logged};

/// Statements of one call at most. Few enough that a slow line sends them before the server gives
/// up on a reader that does not read yet.
const MOST: usize = 256;
/// Bytes of one call's statements, but for the first.
const MOST_BYTES: usize = 256 << 10;
/// Statements of the first call, and at least of a call that a limit cut short.
const FEW: usize = 8;
/// Calls in a row that bring nothing further, until this gives up.
const PATIENCE: usize = 120;
/// Calls in a row that are not answered at all, until this gives up.
const RETRIES: usize = 5;
/// The shortest and the longest wait that a server may ask for, in seconds.
const WAITS: std::ops::RangeInclusive<u64> = 1..=60;

/// What became of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is logged, now or before. Its proof was verified; there is none while the witnesses' quorum
    /// is missing.
    Logged(Logged),
    /// The log does not take it.
    Refused(Box<Problem>),
}

/// Why not every statement was answered. Those that were, are logged or refused for good, and
/// submitting all again changes nothing of that.
#[derive(Debug, thiserror::Error)]
#[error(
    "{done} of {of} statements were answered, then: {why}; submit all again, those that are logged stay as they are"
)]
pub struct Unfinished {
    pub done: usize,
    pub of: usize,
    why: Why,
}

/// Why a call was the last.
#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Official(#[from] OfficialError),
    #[error("the server answered line {0} with neither an entry nor a problem")]
    Nothing(u64),
    #[error("the server has let none in for long")]
    Busy,
}

impl Official {
    /// Submits statements in their order, and verifies the proof of each that was logged; what became
    /// of each. Waits as long as the server asks for.
    ///
    /// # Errors
    /// [`Unfinished`].
    pub fn submit_all(
        &self,
        envelopes: &[Envelope],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<Outcome>, Unfinished> {
        submit_all(self.client(), self.policy(), envelopes, progress)
    }
}

/// As [`Official::submit_all`], of anybody.
///
/// # Errors
/// [`Unfinished`].
pub fn submit_all(
    client: &Client,
    policy: &Policy,
    envelopes: &[Envelope],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Outcome>, Unfinished> {
    let work = Work {
        envelopes,
        outcomes: vec![None; envelopes.len()],
        pending: (0..envelopes.len()).collect(),
        check: &|logged, envelope| check_logged(logged, policy, envelope),
        progress,
    };
    let mut send = |some: &[&Envelope]| client.submit_lines(some);
    work.run(&mut send, &mut pause)
}

/// Sends statements in one call: the answers to as many as were answered.
type Send<'a> = dyn FnMut(&[&Envelope]) -> Result<Vec<LineAnswer>, ClientError> + 'a;
/// Waits.
type Sleep<'a> = dyn FnMut(&Waiting<'_>) + 'a;

struct Work<'a> {
    envelopes: &'a [Envelope],
    outcomes: Vec<Option<Outcome>>,
    /// Places of those that have no outcome yet, ascending.
    pending: VecDeque<usize>,
    check: &'a dyn Fn(&Logged, &Envelope) -> Result<(), OfficialError>,
    progress: &'a mut dyn FnMut(u64, u64),
}

/// What one call came to.
struct Called {
    /// Statements that have an outcome since.
    done: usize,
    /// How long to wait before those that were put off are sent again, in seconds.
    wait: Option<u64>,
    /// Why the first of those was put off, as the server said.
    why: Option<Problem>,
}

impl Work<'_> {
    fn run(
        mut self,
        send: &mut Send<'_>,
        sleep: &mut Sleep<'_>,
    ) -> Result<Vec<Outcome>, Unfinished> {
        match self.work(send, sleep) {
            Ok(()) => Ok(self.outcomes.into_iter().flatten().collect()),
            Err(why) => Err(Unfinished {
                done: self.done(),
                of: self.envelopes.len(),
                why,
            }),
        }
    }

    fn work(&mut self, send: &mut Send<'_>, sleep: &mut Sleep<'_>) -> Result<(), Why> {
        let (mut portion, mut idle, mut unanswered) = (FEW, 0, 0);
        while !self.pending.is_empty() {
            let sent = self.portion(portion);
            let called = match send(&sent) {
                Ok(answers) => {
                    unanswered = 0;
                    self.take(answers)?
                }
                // What the server said, it was asked for long enough.
                Err(error) => {
                    unanswered += 1;
                    let unheard = matches!(error, ClientError::Transport { .. });
                    if !unheard || unanswered > RETRIES {
                        return Err(error.into());
                    }
                    Called {
                        done: 0,
                        wait: Some(*WAITS.start()),
                        why: None,
                    }
                }
            };
            let (done, of) = (self.done() as u64, self.envelopes.len() as u64);
            (self.progress)(done, of);
            idle = if called.done > 0 { 0 } else { idle + 1 };
            if idle > PATIENCE {
                return Err(Why::Busy);
            }
            portion = match called.wait {
                None => (portion * 2).min(MOST),
                Some(_) => (called.done * 2).clamp(FEW, MOST),
            };
            if let Some(wait) = called.wait {
                let wait = Duration::from_secs(wait);
                let left = u32::try_from(PATIENCE - idle).unwrap_or(u32::MAX);
                sleep(&Waiting {
                    wait,
                    most: wait * left.saturating_add(1),
                    why: called.why.as_ref(),
                });
            }
        }
        Ok(())
    }

    fn done(&self) -> usize {
        self.outcomes.iter().flatten().count()
    }

    /// The statements of the next call.
    fn portion(&self, most: usize) -> Vec<&Envelope> {
        let mut bytes = 0;
        let next = self.pending.iter().take(most);
        let next = next.filter_map(|place| self.envelopes.get(*place));
        // Base64 makes four of three bytes.
        let fits = next.take_while(|envelope| {
            let before = bytes;
            bytes += envelope.payload.len() * 4 / 3;
            before == 0 || bytes <= MOST_BYTES
        });
        fits.collect()
    }

    /// Takes the answers to the first of those that are pending.
    ///
    /// What is refused after another was put off is sent again too: it may rest on that one.
    fn take(&mut self, answers: Vec<LineAnswer>) -> Result<Called, Why> {
        let mut called = Called {
            done: 0,
            wait: None,
            why: None,
        };
        let mut put_off = Vec::new();
        for answer in answers {
            let Some(place) = self.pending.pop_front() else {
                break;
            };
            let (line, status, retry_after) = (answer.line, answer.status, answer.retry_after);
            let outcome = match answer.outcome().ok_or(Why::Nothing(line))? {
                Ok(logged) => {
                    if let Some(envelope) = self.envelopes.get(place) {
                        (self.check)(&logged, envelope)?;
                    }
                    Outcome::Logged(logged)
                }
                Err(problem) if may_pass(status) || called.wait.is_some() => {
                    called.why.get_or_insert(problem);
                    let wait = retry_after.unwrap_or(1);
                    let wait = wait.clamp(*WAITS.start(), *WAITS.end());
                    called.wait = Some(called.wait.unwrap_or(wait));
                    put_off.push(place);
                    continue;
                }
                Err(problem) => Outcome::Refused(Box::new(problem)),
            };
            called.done += 1;
            if let Some(of) = self.outcomes.get_mut(place) {
                *of = Some(outcome);
            }
        }
        for place in put_off.into_iter().rev() {
            self.pending.push_front(place);
        }
        Ok(called)
    }
}

/// Whether the same may be taken later.
fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::StatementId;
    use crate::tlog::tree::LeafIndex;

    /// A server that lets in so many a call, and refuses statement 3 until statement 2 is logged, and
    /// statement 5 for good.
    struct Busy {
        lets_in: usize,
        logged: Vec<u8>,
        slept: Vec<u64>,
        calls: Vec<Vec<u8>>,
    }

    fn envelopes(count: u8) -> Vec<Envelope> {
        let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        (0..count)
            .map(|n| Envelope::sign(vec![n], &[&key]))
            .collect()
    }

    fn no_route() -> ClientError {
        ClientError::Transport {
            url: "http://x".to_owned(),
            why: "no route".to_owned(),
            status: None,
        }
    }

    fn problem(status: u16, line: u64) -> LineAnswer {
        let problem = Problem {
            kind: "/problems/x".to_owned(),
            title: String::new(),
            status,
            detail: String::new(),
            member: None,
            accepted: None,
        };
        LineAnswer {
            retry_after: (status == 429).then_some(3),
            ..LineAnswer::refused(line, problem)
        }
    }

    impl Busy {
        fn new(lets_in: usize) -> Self {
            Self {
                lets_in,
                logged: Vec::new(),
                slept: Vec::new(),
                calls: Vec::new(),
            }
        }

        fn answer(&mut self, envelopes: &[&Envelope]) -> Vec<LineAnswer> {
            let numbers: Vec<u8> = envelopes.iter().map(|one| one.payload[0]).collect();
            self.calls.push(numbers.clone());
            let mut left = self.lets_in;
            let answers = numbers.iter().zip(1_u64..).map(|(number, line)| {
                let known = self.logged.contains(number);
                if *number == 5 || *number == 3 && !self.logged.contains(&2) {
                    return problem(422, line);
                }
                if !known && left == 0 {
                    return problem(429, line);
                }
                left -= usize::from(!known);
                self.logged.push(*number);
                let logged = Logged {
                    id: StatementId::of_payload(&[*number]),
                    index: LeafIndex::new(u64::from(*number)),
                    logged_at: crate::time::Time::from_unix(0).unwrap(),
                    proof: None,
                    known,
                };
                LineAnswer::logged(line, if known { 200 } else { 201 }, logged)
            });
            answers.collect()
        }
    }

    fn run(
        envelopes: &[Envelope],
        send: &mut Send<'_>,
        sleep: &mut Sleep<'_>,
    ) -> Result<Vec<Outcome>, Unfinished> {
        let work = Work {
            envelopes,
            outcomes: vec![None; envelopes.len()],
            pending: (0..envelopes.len()).collect(),
            check: &|_, _| Ok(()),
            progress: &mut |_, _| {},
        };
        work.run(send, sleep)
    }

    #[test]
    fn what_rests_on_a_statement_that_is_put_off_is_put_off_too() {
        let mut server = Busy::new(2);
        let mut slept = Vec::new();
        let envelopes = envelopes(7);
        let mut send = |some: &[&Envelope]| Ok(server.answer(some));
        let outcomes = run(&envelopes, &mut send, &mut |waiting| {
            slept.push(waiting.wait.as_secs())
        })
        .unwrap();
        let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
        let refused: Vec<usize> = (0..7).filter(|at| refused(&outcomes[*at])).collect();
        assert_eq!(refused, [5]);
        server.slept = slept;
        // 2 is put off, and with it 3 to 6, of which none is lost or goes before its time.
        assert_eq!(server.calls[0], [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(server.calls[1], [2, 3, 4, 5, 6]);
        assert_eq!(server.slept[0], 3);
    }

    #[test]
    fn a_call_that_breaks_off_is_taken_up_where_it_ended() {
        let mut server = Busy::new(100);
        let envelopes = envelopes(3);
        let mut broken = 0;
        let mut send = |some: &[&Envelope]| {
            broken += 1;
            match broken {
                1 => Err(no_route()),
                2 => {
                    let mut answers = server.answer(some);
                    answers.truncate(1);
                    Ok(answers)
                }
                _ => Ok(server.answer(some)),
            }
        };
        let outcomes = run(&envelopes, &mut send, &mut |_| {}).unwrap();
        let known: Vec<bool> = outcomes
            .iter()
            .map(|outcome| matches!(outcome, Outcome::Logged(Logged { known: true, .. })))
            .collect();
        // Those whose answers were lost had been logged.
        assert_eq!(known, [false, true, true]);
        assert_eq!(server.calls, [vec![0, 1, 2], vec![1, 2]]);
    }

    #[test]
    fn a_server_that_never_answers_is_given_up() {
        let envelopes = envelopes(1);
        let mut calls = 0;
        let mut send = |_: &[&Envelope]| {
            calls += 1;
            Err(no_route())
        };
        let error = run(&envelopes, &mut send, &mut |_| {}).unwrap_err();
        assert_eq!((error.done, error.of, calls), (0, 1, RETRIES + 1));
        let mut server = Busy::new(0);
        let mut send = |some: &[&Envelope]| Ok(server.answer(some));
        let error = run(&envelopes, &mut send, &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("0 of 1"), "{error}");
        assert_eq!(server.calls.len(), PATIENCE + 1);
    }
}
