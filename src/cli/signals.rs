//! The signals that a server answers to.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The signals of a server. SIGTERM and SIGINT end it, SIGHUP makes it read again what may change.
pub struct Signals {
    pub ending: Ending,
    pub hangup: Signal,
}

impl Signals {
    /// Takes the signals over, inside a runtime: from here on none of them ends the process by itself.
    /// A server calls this before it binds or prints anything, since whoever started it may signal it
    /// from then on.
    ///
    /// # Errors
    /// If the system does not take the handlers.
    pub fn listen() -> io::Result<Self> {
        let (first, ending) = watch::channel(false);
        let ends = EndSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        let hangup = signal(SignalKind::hangup())?;
        tokio::spawn(ends.watch(first));
        Ok(Self {
            ending: Ending(ending),
            hangup,
        })
    }
}

/// Whether a signal has asked the server to end.
#[derive(Clone)]
pub struct Ending(watch::Receiver<bool>);

impl Ending {
    /// Waits for the first SIGTERM or SIGINT since [`Signals::listen`].
    pub async fn wait(mut self) {
        // The sender goes away with the runtime alone.
        let _ = self.0.wait_for(|ended| *ended).await;
    }
}

struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    /// The first signal ends the server in order. The second one ends the process, with the exit code
    /// of a process that the signal killed; what was acknowledged is durable.
    async fn watch(mut self, first: watch::Sender<bool>) {
        let (name, _) = self.next().await;
        tracing::info!("ending: {name}; a second signal ends at once");
        first.send_replace(true);
        let (name, code) = self.next().await;
        tracing::warn!("ended at once: {name}");
        std::process::exit(code);
    }

    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 128 + 15),
            _ = self.interrupt.recv() => ("SIGINT", 128 + 2),
        }
    }
}
