//! The signals that a server answers to.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT. The first one ends a server in order, the second one at once.
pub struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

impl Ending {
    /// Begins to listen for both: neither ends the process from now on.
    ///
    /// # Errors
    /// If the system does not take the handlers.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the first signal. After that, the next one ends the process with the exit code of a
    /// process that the signal killed; what was acknowledged is durable.
    pub async fn wait(mut self) {
        let (name, _) = self.next().await;
        tracing::info!("ending: {name}; a second signal ends at once");
        tokio::spawn(async move {
            let (name, code) = self.next().await;
            tracing::warn!("ended at once: {name}");
            std::process::exit(code);
        });
    }

    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 128 + 15),
            _ = self.interrupt.recv() => ("SIGINT", 128 + 2),
        }
    }
}
