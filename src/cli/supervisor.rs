//! Tells the service manager that started a server how it is, by
//! [sd_notify](https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html). If
//! `NOTIFY_SOCKET` is unset or empty, nothing is sent. A message that the socket does not take at once
//! is dropped: a service manager that does not read must not hold up a server.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use socket2::{Domain, SockAddr, Socket, Type};

/// The last message was not taken.
static DROPPED: AtomicBool = AtomicBool::new(false);

/// The server listens; `status` is one line for people.
pub fn ready(status: &str) {
    send(&format!("READY=1\nSTATUS={status}"));
}

/// The server reads again what may change, until [`reloaded`].
pub fn reloading() {
    let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    send(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
}

/// The server has read again what may change.
pub fn reloaded() {
    send("READY=1");
}

/// The server goes on with another `status`, one line for people: false if the socket did not take it.
pub fn status(status: &str) -> bool {
    send(&format!("STATUS={status}"))
}

/// The server finishes what it has accepted and ends.
pub fn stopping() {
    send("STOPPING=1");
}

fn send(state: &str) -> bool {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return true;
    };
    let sent = send_to(&socket, state);
    let taken = sent.is_ok();
    let dropped_before = DROPPED.swap(!taken, Ordering::Relaxed);
    if let (Err(error), false) = (sent, dropped_before) {
        tracing::warn!(%error, "the service manager was not notified");
    }
    taken
}

/// Sends to a socket by its path, or by `@` and its name in the abstract namespace of Linux.
fn send_to(socket: &OsStr, state: &str) -> io::Result<()> {
    let mut path = socket.as_bytes().to_vec();
    if let Some(first @ b'@') = path.first_mut() {
        *first = 0;
    }
    let to = SockAddr::unix(OsString::from_vec(path))?;
    let from = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    from.set_nonblocking(true)?;
    from.send_to(state.as_bytes(), &to)?;
    Ok(())
}
