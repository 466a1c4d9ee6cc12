//! Evidence of the other kind: an entry logged with a time that had not come.

use std::io;

use serde_json::{Value, json};

use crate::reader::ahead::{self, Ahead, AheadError};
use crate::tlog::policy::Policy;

/// Every tlog-proof begins with this.
const FIRST_LINE: &[u8] = b"c2sp.org/tlog-proof@";

/// Whether a file is a proof of an entry, and so to be judged here.
pub fn is_proof(bytes: &[u8]) -> bool {
    bytes.starts_with(FIRST_LINE)
}

/// Judges a proof; says what it shows, in words or as JSON. Whether it shows anything.
///
/// # Errors
/// If nobody reads the output any more.
pub fn run(
    bytes: &[u8],
    policy: &Policy,
    as_json: bool,
    out: &mut impl io::Write,
) -> anyhow::Result<bool> {
    let judged = ahead::judge(bytes, policy);
    if as_json {
        super::print_json(out, &to_json(&judged))?;
    } else {
        tell(out, &judged)?;
    }
    Ok(judged.is_ok())
}

fn tell(out: &mut impl io::Write, judged: &Result<Ahead, AheadError>) -> io::Result<()> {
    let ahead = match judged {
        Ok(ahead) => ahead,
        Err(error) => return writeln!(out, "it proves nothing: {error}"),
    };
    let Ahead {
        origin,
        index,
        logged_at,
        cosigned,
    } = ahead;
    writeln!(
        out,
        "it holds: the log {origin} gave entry {index} a time that had not come (logged-ahead)"
    )?;
    writeln!(out, "  the entry says that it was logged at {logged_at}")?;
    for (witness, time) in cosigned {
        writeln!(out, "  {witness} had cosigned it at {time}")?;
    }
    writeln!(
        out,
        "Witnesses enough for a quorum had cosigned it more than 5 minutes before the time that it says. Waits \
         and\nnotices are counted by that time. This rests on the clocks of these witnesses."
    )
}

fn to_json(judged: &Result<Ahead, AheadError>) -> Value {
    match judged {
        Err(error) => json!({ "holds": false, "kind": "logged-ahead", "why": error.to_string() }),
        Ok(ahead) => json!({
            "holds": true,
            "kind": "logged-ahead",
            "origin": ahead.origin.as_str(),
            "index": ahead.index,
            "logged_at": ahead.logged_at,
            "cosigned": ahead.cosigned,
        }),
    }
}
