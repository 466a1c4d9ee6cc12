//! The log of the program itself: lines on standard error, as text or as JSON.
//!
//! A server must outlive the reader of its log. A line that standard error does not take, because
//! the pipe is closed or full or the disk is full, is dropped and counted ([`lost`]). Writing a line
//! never fails, never panics, and waits at most `PATIENCE`.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::panic::PanicHookInfo;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

/// The filter where the operator names none.
const DEFAULT_FILTER: &str = "whosaw=info,warn";
/// The variable that holds the filter.
pub const FILTER_VARIABLE: &str = "WHOSAW_LOG";
/// How long a line waits for a slow reader. After one line has waited in vain, the next ones do not
/// wait until the reader has caught up: a reader that has stopped must not slow the ledger.
const PATIENCE: Duration = Duration::from_millis(100);
/// `PIPE_BUF` of Linux: a pipe that polls as writable takes this many bytes without blocking.
const PIECE: usize = 4096;

static LOST: AtomicU64 = AtomicU64::new(0);
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();
/// The last line was not taken.
static STALLED: AtomicBool = AtomicBool::new(false);

/// How a line is written: as text for people, or as one JSON object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    // Without docs on the variants, which would make the whole help of a command twice as long.
    #[default]
    Text,
    Json,
}

/// Which lines the log has: `target=level` with commas between, as `tracing_subscriber::EnvFilter` reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

impl Filter {
    /// The filter in `WHOSAW_LOG`, or the default.
    ///
    /// # Errors
    /// If the variable holds no filter.
    pub fn of_environment() -> Result<Self, ParseError> {
        std::env::var(FILTER_VARIABLE).unwrap_or_default().parse()
    }

    fn compiled(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self(DEFAULT_FILTER.to_owned())
    }
}

impl FromStr for Filter {
    type Err = ParseError;

    /// An empty text is the default.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        EnvFilter::try_new(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Begins to log in `format`. Later calls change nothing.
pub fn start(format: LogFormat, filter: &Filter) {
    let (filter, handle) = reload::Layer::new(filter.compiled());
    let lines = layer().with_writer(|| Sink).log_internal_errors(false);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let started = tracing_subscriber::registry().with(filter).with(lines);
    if started.try_init().is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// Replaces the filter of a log that was started.
pub fn set_filter(filter: &Filter) {
    if let Some(handle) = FILTER.get() {
        let _ = handle.reload(filter.compiled());
    }
}

/// Lines that standard error did not take since the start.
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Makes each panic of any thread one line of the log. For servers: std's own report is several lines
/// of text, whatever the format of the log.
pub fn log_panics() {
    std::panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let message = panic.payload_as_str().unwrap_or("no message");
    let at = panic.location().map(ToString::to_string);
    let at = at.unwrap_or_default();
    tracing::error!(thread, at, message, "a thread panicked");
}

/// Writes a line to standard error if it is taken in time.
fn put(line: &[u8]) -> io::Result<()> {
    // One line at a time: only then does a successful poll hold for the write that follows it.
    let mut stderr = io::stderr().lock();
    let patience = match STALLED.swap(true, Ordering::Relaxed) {
        true => Duration::ZERO,
        false => PATIENCE,
    };
    for piece in line.chunks(PIECE) {
        wait_writable(&stderr, patience)?;
        stderr.write_all(piece)?;
    }
    STALLED.store(false, Ordering::Relaxed);
    Ok(())
}

/// Waits until the file takes a piece, or is broken: then the write says so.
fn wait_writable(file: &impl std::os::fd::AsFd, patience: Duration) -> io::Result<()> {
    let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
    let mut files = [PollFd::new(file, PollFlags::OUT)];
    match poll(&mut files, Some(&patience))? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

/// Standard error as a writer that never fails. [`tracing_subscriber::fmt::Layer`] writes a whole line in each call.
struct Sink;

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if put(line).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Set in the child process that panics.
    const CHILD: &str = "WHOSAW_TEST_OF_PANICS";

    /// A panic ends its thread alone, and its message is one JSON object, even if it has several lines.
    #[test]
    fn a_panic_is_one_line_of_the_log() {
        if std::env::var_os(CHILD).is_some() {
            start(LogFormat::Json, &Filter::default());
            log_panics();
            let thread = std::thread::Builder::new().name("judge".to_owned());
            let panicked = thread.spawn(|| panic!("two\nlines")).unwrap().join();
            assert!(panicked.is_err());
            return;
        }
        let ran = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "logging::tests::a_panic_is_one_line_of_the_log"])
            .arg("--nocapture")
            .env(CHILD, "1")
            .env_remove(FILTER_VARIABLE)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
        let lines = String::from_utf8(ran.stderr).unwrap();
        let panics = lines.lines().filter(|line| line.contains("panicked"));
        let panics: Vec<serde_json::Value> =
            panics.map(|l| serde_json::from_str(l).unwrap()).collect();
        let [panic] = panics.as_slice() else {
            panic!("{lines}");
        };
        assert_eq!(panic["thread"], "judge", "{panic}");
        assert_eq!(panic["level"], "ERROR", "{panic}");
        assert!(panic.to_string().contains(r"two\nlines"), "{panic}");
        assert!(panic["at"].as_str().unwrap().contains("logging.rs"));
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        assert!("whosaw=loud".parse::<Filter>().is_err());
        assert_eq!("".parse::<Filter>().unwrap(), Filter::default());
        assert!("whosaw=debug,warn".parse::<Filter>().is_ok());
        assert!(DEFAULT_FILTER.parse::<Filter>().is_ok());
    }
}
