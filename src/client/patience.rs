//! Waiting for a server that is asked too often, or is away for a moment.
//!
//! A server answers `429` or `503` before it does anything with a call, and says in `Retry-After` when to come
//! again (RFC 9110, section 10.2.3). This is the one place that waits and sends again. The caller makes the
//! request anew for each attempt, so that a signed one has a fresh nonce and time.

use std::sync::OnceLock;
use std::time::Duration;

use ureq::Body;
use ureq::http::{HeaderMap, Response, StatusCode, header};

use crate::wire::problem::{MEDIA_TYPE, Problem};

/// The longest that one call waits altogether.
const PATIENCE: Duration = Duration::from_secs(150);
/// The first wait after an answer without `Retry-After`, such as a proxy's; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The most waits of a call after answers without `Retry-After`.
const BLIND_WAITS: u32 = 3;
/// Bytes of an answer that are read so that its connection can be used again.
const DRAINED: u64 = 64 << 10;

/// A wait that begins now.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    pub wait: Duration,
    /// The longest that the same may be waited for, this wait included, until it is given up.
    pub most: Duration,
    /// The server's answer; `None` if a proxy answered in its place, or nothing did.
    pub why: Option<&'a Problem>,
}

static OBSERVER: OnceLock<fn(&Waiting<'_>)> = OnceLock::new();

/// Has `observer` called before each wait of this process, for people who watch it. The first observer stays.
pub fn observe(observer: fn(&Waiting<'_>)) {
    let _ = OBSERVER.set(observer);
}

/// Sends what `send` sends until the answer is neither `429` nor `503`, or the server asks for more patience
/// than there is: its answer is returned then.
///
/// # Errors
/// The first error of `send`.
pub(crate) fn patiently<E>(
    send: impl FnMut() -> Result<Response<Body>, E>,
) -> Result<Response<Body>, E> {
    patiently_while(|| true, send)
}

/// As [`patiently`], as long as `again` allows another attempt.
///
/// # Errors
/// The first error of `send`.
pub(crate) fn patiently_while<E>(
    again: impl Fn() -> bool,
    mut send: impl FnMut() -> Result<Response<Body>, E>,
) -> Result<Response<Body>, E> {
    let mut waits = Waits::default();
    loop {
        let mut response = send()?;
        let Some(wait) = waits.next(response.status(), response.headers()) else {
            return Ok(response);
        };
        if !again() {
            return Ok(response);
        }
        let is_problem = is_problem(response.headers());
        let body = response.body_mut().with_config().limit(DRAINED);
        let body = body.read_to_vec().unwrap_or_default();
        let why = is_problem.then(|| serde_json::from_slice(&body).ok());
        pause(&Waiting {
            wait,
            most: wait + waits.left(),
            why: why.flatten().as_ref(),
        });
    }
}

/// Waits, and lets the observer know.
pub(crate) fn pause(waiting: &Waiting<'_>) {
    if let Some(observer) = OBSERVER.get() {
        observer(waiting);
    }
    std::thread::sleep(waiting.wait);
}

/// Whether an answer's body is a problem.
pub(super) fn is_problem(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE);
    media_type.is_some_and(|media_type| media_type == MEDIA_TYPE)
}

/// The waits of one call.
#[derive(Default)]
struct Waits {
    waited: Duration,
    blind: u32,
}

impl Waits {
    /// How long to wait after an answer; `None` if it is to be returned.
    fn next(&mut self, status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
        let later = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if !later.contains(&status) {
            return None;
        }
        let wait = match retry_after(headers) {
            // A server that says 0 would be asked in a loop.
            Some(wait) => wait.max(FIRST_WAIT),
            None if self.blind < BLIND_WAITS => {
                self.blind += 1;
                FIRST_WAIT * (1 << (self.blind - 1))
            }
            None => return None,
        };
        self.waited = self.waited.checked_add(wait)?;
        (self.waited <= PATIENCE).then_some(wait)
    }

    /// How much longer it may wait.
    fn left(&self) -> Duration {
        PATIENCE.saturating_sub(self.waited)
    }
}

/// `Retry-After` in seconds. Its other form, a date, would need a clock that agrees with the server's.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(value.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(status: u16, after: Option<&str>, times: usize) -> Vec<Option<u64>> {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(header::RETRY_AFTER, after.parse().unwrap());
        }
        let mut waits = Waits::default();
        let status = StatusCode::from_u16(status).unwrap();
        let next = |_| waits.next(status, &headers).map(|wait| wait.as_secs());
        (0..times).map(next).collect()
    }

    #[test]
    fn a_call_waits_as_long_as_it_is_asked_to_and_no_longer_than_its_patience() {
        assert_eq!(waits(429, Some("7"), 2), [Some(7), Some(7)]);
        assert_eq!(waits(503, Some("70"), 3), [Some(70), Some(70), None]);
        assert_eq!(waits(429, Some("0"), 1), [Some(1)]);
        for too_long in ["151", "99999999999", "18446744073709551615"] {
            assert_eq!(waits(429, Some(too_long), 1), [None], "{too_long}");
        }
        // Without a number of seconds it is tried a few times.
        for unclear in [
            None,
            Some("soon"),
            Some("Wed, 21 Oct 2026 07:28:00 GMT"),
            Some("-1"),
        ] {
            assert_eq!(
                waits(503, unclear, 5),
                [Some(1), Some(2), Some(4), None, None],
                "{unclear:?}"
            );
        }
        for other in [200, 404, 408, 500, 502, 504] {
            assert_eq!(waits(other, Some("1"), 1), [None], "{other}");
        }
    }
}
