//! Where a server is, and which addresses are acceptable: TLS everywhere but on this machine.

use std::time::Duration;

use ureq::http::Uri;
use ureq::http::uri::Authority;

/// The longest that connecting to a server may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// The longest that a call may take.
pub(super) const CALL_TIME: Duration = Duration::from_secs(600);

/// How clients name themselves.
pub(super) const USER_AGENT: &str = concat!("whosaw/", env!("CARGO_PKG_VERSION"));

/// Why a text is no acceptable address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    #[error("`{0}` is no address such as https://ledger.example")]
    Form(String),
    #[error("{0} is plain http, which anyone on the way can read and change: use https")]
    Plain(String),
}

/// The address of a server, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    authority: String,
}

impl BaseUrl {
    /// Parses `https://host[:port][/path]`; `http` is accepted for loopback addresses alone.
    ///
    /// # Errors
    /// [`BaseUrlError`].
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let form = || BaseUrlError::Form(text.to_owned());
        let trimmed = text.trim_end_matches('/');
        let uri: Uri = trimmed.parse().map_err(|_| form())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(form());
        };
        // Credentials in addresses end up in logs and in process lists.
        if !is_host_and_port(authority) || uri.query().is_some() || trimmed.contains('#') {
            return Err(form());
        }
        match scheme {
            "https" => {}
            "http" if is_loopback(authority.host()) => {}
            "http" => return Err(BaseUrlError::Plain(text.to_owned())),
            _ => return Err(form()),
        }
        Ok(Self {
            text: trimmed.to_owned(),
            authority: authority.as_str().to_ascii_lowercase(),
        })
    }

    /// The address of `path`, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// Host and port as they stand in the address.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Whether an authority is a host and perhaps a port, nothing before, between or after:
/// `[::1].example` has the host `[::1]` for the library that parses it.
fn is_host_and_port(authority: &Authority) -> bool {
    match authority.as_str().strip_prefix(authority.host()) {
        Some("") => true,
        Some(rest) => rest.strip_prefix(':').is_some_and(|port| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
        }),
        None => false,
    }
}

/// Whether a host is this machine, whatever a resolver says.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// An HTTP agent: statuses are answers, redirects are not followed.
pub fn agent() -> ureq::Agent {
    agent_within(CALL_TIME)
}

/// As [`agent`], whose calls take no longer than `time`.
pub fn agent_within(time: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT_TIME))
        .timeout_global(Some(time))
        .user_agent(USER_AGENT)
        .build()
        .new_agent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for good in [
            "https://ledger.example",
            "https://ledger.example:8443/a/",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://localhost:1/",
            "http://[::1]:8080",
        ] {
            assert!(BaseUrl::parse(good).is_ok(), "{good}");
        }
        for plain in [
            "http://ledger.example",
            "http://10.0.0.1",
            "http://127.0.0.1.example",
            "http://localhost.example",
        ] {
            assert_eq!(
                BaseUrl::parse(plain),
                Err(BaseUrlError::Plain(plain.to_owned()))
            );
        }
        for bad in [
            "",
            "ledger.example",
            "ftp://a.example",
            "https://",
            "https://u:p@a.example",
            "https://a.example?x=1",
            "http://127.0.0.1@evil.example",
            "http://127.0.0.1:80@127.0.0.1",
            "http://[::1].evil.example",
            "http://[::1]8:80",
            "https://a.example:",
            "https://a.example:65536",
        ] {
            assert!(
                matches!(BaseUrl::parse(bad), Err(BaseUrlError::Form(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn paths_are_joined() {
        let base = BaseUrl::parse("https://Ledger.example:8443/a/").unwrap();
        assert_eq!(
            base.join("/log/checkpoint"),
            "https://Ledger.example:8443/a/log/checkpoint"
        );
        assert_eq!(base.authority(), "ledger.example:8443");
    }
}
