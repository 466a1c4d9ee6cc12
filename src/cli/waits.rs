//! Tells people on standard error that a command waits for its server, and for what.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::client::patience::{self, Waiting};

/// A wait of this length is long for whoever does not know of it.
const LONG: Duration = Duration::from_secs(10);

/// Has each command of this process say why it waits: once for each reason.
pub fn show() {
    patience::observe(show_one);
}

fn show_one(waiting: &Waiting<'_>) {
    static SHOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // A server that answers 503 may do so for minutes: every reader of standard error learns of it. A limit (429)
    // delays part of a long task by a second or two: only a person at a terminal learns of that.
    let paced = waiting.why.is_some_and(|problem| problem.status == 429);
    if paced && waiting.wait < LONG && !std::io::stderr().is_terminal() {
        return;
    }
    let reason = waiting
        .why
        .map_or_else(String::new, |problem| problem.kind.clone());
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if shown.insert(reason) {
        eprintln!("{}", line(waiting));
    }
}

fn line(waiting: &Waiting<'_>) -> String {
    let most = waiting.most.as_secs();
    match waiting.why {
        Some(problem) => format!("waiting for the server, at most {most} s: {problem}"),
        None => format!("waiting for the server, at most {most} s: it takes no calls now"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::problem::Problem;

    #[test]
    fn a_wait_says_for_what_and_how_long() {
        let problem = Problem {
            kind: "/problems/clock-unconfirmed".to_owned(),
            title: "The clock\u{1b}[2J is unconfirmed".to_owned(),
            status: 503,
            detail: String::new(),
            member: None,
            accepted: None,
        };
        let mut waiting = Waiting {
            wait: Duration::from_secs(5),
            most: Duration::from_secs(150),
            why: Some(&problem),
        };
        let said = line(&waiting);
        assert!(said.starts_with("waiting for the server, at most 150 s: The clock"));
        assert!(
            said.ends_with("[503 /problems/clock-unconfirmed]"),
            "{said}"
        );
        assert!(!said.contains('\u{1b}'), "{said}");
        waiting.why = None;
        assert!(line(&waiting).ends_with("it takes no calls now"));
    }
}
