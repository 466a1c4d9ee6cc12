//! Tells people at a terminal that a command waits for its server.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::client::patience;

/// Waits from this length on are shown each; of shorter ones, which may be many, the first alone.
const LONG: Duration = Duration::from_secs(10);

/// Has each command of this process show its waits, if standard error is a terminal.
pub fn show() {
    if std::io::stderr().is_terminal() {
        patience::observe(show_one);
    }
}

fn show_one(wait: Duration) {
    static SHOWN: AtomicBool = AtomicBool::new(false);
    let seconds = wait.as_secs();
    let line = match SHOWN.swap(true, Ordering::Relaxed) {
        _ if wait >= LONG => format!("the server asks to wait {seconds} s"),
        true => return,
        false => {
            "the server takes no more calls for now: waiting as often as it asks to".to_owned()
        }
    };
    // Nobody may be there to read it.
    let _ = writeln!(std::io::stderr(), "{line}");
}
