//! Whom a proxy names as the client: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! Proxies append to what they were sent, so only the last name is the proxy's own word. Names are addresses, with a
//! port or without: a port changes with each connection, and is left out.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

/// The field in which proxies name the client. A proxy passes the other one on as it came from the client, so
/// only one is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientField {
    #[default]
    XForwardedFor,
    Forwarded,
}

impl ClientField {
    /// The address named last, if it is one.
    pub fn client(self, headers: &HeaderMap) -> Option<IpAddr> {
        let last = |name: &str| headers.get_all(name).iter().next_back()?.to_str().ok();
        match self {
            Self::XForwardedFor => address(last("x-forwarded-for")?.rsplit(',').next()?.trim()),
            Self::Forwarded => {
                let element = split(last("forwarded")?, ',').pop()?;
                let named = split(element, ';').into_iter().find_map(|pair| {
                    let (name, value) = pair.split_once('=')?;
                    name.trim().eq_ignore_ascii_case("for").then_some(value)
                });
                address(named?.trim())
            }
        }
    }
}

/// Splits at `at` outside of quotes.
fn split(text: &str, at: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == at && !quoted,
        }
        false
    })
    .collect()
}

/// An address as proxies write it: bare or in brackets, with a port or without, in quotes or not. What stands for no
/// address (`unknown`, `_hidden`) is none.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let text = bare.unwrap_or(text);
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(in_brackets).or_else(|| {
        let with_port: SocketAddr = text.parse().ok()?;
        Some(with_port.ip())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn named(field: ClientField, name: &'static str, values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        Some(field.client(&headers)?.to_string())
    }

    #[test]
    fn addresses_are_read_with_ports_brackets_and_quotes() {
        for (said, client) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:4711", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:4711", Some("2001:db8::1")),
            ("198.51.100.9, 192.0.2.1:80", Some("192.0.2.1")),
            (" 192.0.2.1 ", Some("192.0.2.1")),
            ("unknown", None),
            ("192.0.2.1:x", None),
            ("192.0.2.1, ", None),
            ("", None),
        ] {
            let found = named(ClientField::XForwardedFor, "x-forwarded-for", &[said]);
            assert_eq!(found.as_deref(), client, "{said}");
        }
        for (said, client) in [
            ("for=192.0.2.1", Some("192.0.2.1")),
            ("For=\"192.0.2.1:4711\"", Some("192.0.2.1")),
            ("for=192.0.2.1:4711;proto=https", Some("192.0.2.1")),
            (
                "proto=http; for=\"[2001:db8:cafe::17]:4711\"",
                Some("2001:db8:cafe::17"),
            ),
            (
                "for=198.51.100.9, for=192.0.2.1;by=203.0.113.43",
                Some("192.0.2.1"),
            ),
            (
                "for=\"a,b;for=198.51.100.9\", for=192.0.2.1",
                Some("192.0.2.1"),
            ),
            (
                "by=\"\\\";for=198.51.100.9\";for=192.0.2.1",
                Some("192.0.2.1"),
            ),
            ("for=192.0.2.1, for=unknown", None),
            ("for=\"_gazonk\"", None),
            ("for=", None),
            ("192.0.2.1", None),
            ("", None),
        ] {
            let found = named(ClientField::Forwarded, "forwarded", &[said]);
            assert_eq!(found.as_deref(), client, "{said}");
        }
    }

    /// Each field is the client's own where its proxy writes the other.
    #[test]
    fn only_one_field_is_believed() {
        let own = named(ClientField::XForwardedFor, "forwarded", &["for=192.0.2.1"]);
        assert_eq!(own, None);
        let own = named(ClientField::Forwarded, "x-forwarded-for", &["192.0.2.1"]);
        assert_eq!(own, None);
        let fields = ["for=198.51.100.9", "for=192.0.2.1"];
        let last = named(ClientField::Forwarded, "forwarded", &fields);
        assert_eq!(last.as_deref(), Some("192.0.2.1"));
    }
}
