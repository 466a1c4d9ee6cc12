//! Tells the service manager that started a server how it is, by
//! [sd_notify](https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html). Without
//! `NOTIFY_SOCKET` in the environment nothing is sent.

use sd_notify::NotifyState;

/// The server listens; `status` is one line for people.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The server reads again what may change, until [`reloaded`].
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the monotonic clock cannot be read"),
    }
}

/// The server has read again what may change.
pub fn reloaded() {
    send(&[NotifyState::Ready]);
}

/// The server goes on with another `status`, one line for people.
pub fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// The server finishes what it has accepted and ends.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager was not notified");
    }
}
