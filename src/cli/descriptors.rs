//! File descriptors: as many as the system gives, and no more connections than leave enough for the rest.

use anyhow::bail;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that connections leave free: databases, files of the log, sockets to witnesses, listeners.
const RESERVE: u64 = 128;
/// Descriptors of one connection: its socket, and a file that is read or written for it.
const EACH: u64 = 2;
/// The fewest connections that are worth a start.
const FEWEST: u64 = 8;

/// How many connections there may be at once: `asked`, or fewer where the hard limit of file descriptors leaves no
/// more. Raises the soft limit first.
///
/// # Errors
/// If the limit leaves hardly any.
pub fn for_connections(asked: usize) -> anyhow::Result<usize> {
    let (files, asked) = (raise(), asked as u64);
    let fit = files.saturating_sub(RESERVE) / EACH;
    if fit < asked.min(FEWEST) {
        bail!(
            "this process may open {files} files, and needs {}: raise the limit by `ulimit -n`, or by LimitNOFILE= \
             in a systemd unit",
            RESERVE + EACH * FEWEST
        );
    }
    if fit < asked {
        eprintln!(
            "this process may open {files} files: it takes {fit} connections at once, and not {asked}; raise the \
             limit by `ulimit -n`, or by LimitNOFILE= in a systemd unit"
        );
    }
    Ok(usize::try_from(fit.min(asked))?)
}

/// Raises the soft limit to the hard one, if the system lets it; what it is then.
fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    now.unwrap_or(u64::MAX)
}
