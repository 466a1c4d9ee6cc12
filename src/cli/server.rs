//! The options and the steps that both servers share: `whosaw serve` and `whosaw witness serve`.

use std::net::{IpAddr, SocketAddr};

use anyhow::bail;

use crate::http::ClientField;
use crate::logging::{Filter, LogFormat};

/// The key of [`LogOptions::log_filter`].
pub const LOG_FILTER: &str = "log-filter";

/// How clients reach a server: itself on loopback, or through TLS proxies.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network")]
pub struct Proxies {
    /// Listen on other than loopback: a TLS proxy stands in front
    #[arg(long)]
    pub behind_tls: bool,
    /// A proxy's address whose X-Forwarded-For names the client last; repeatable
    #[arg(long, value_name = "IP")]
    pub proxy: Vec<IpAddr>,
    /// The proxies name the client in Forwarded (RFC 7239), and not in X-Forwarded-For
    #[arg(long, requires = "proxy")]
    pub forwarded: bool,
}

impl Proxies {
    /// Where proxies name the client.
    pub fn client_field(&self) -> ClientField {
        match self.forwarded {
            true => ClientField::Forwarded,
            false => ClientField::XForwardedFor,
        }
    }

    /// Whether the server may listen there.
    ///
    /// # Errors
    /// If it would speak plain HTTP to other machines.
    pub fn check_listen(&self, address: SocketAddr) -> anyhow::Result<()> {
        if !address.ip().is_loopback() && !self.behind_tls {
            bail!(
                "{address} is not a loopback address, and this server speaks plain HTTP: put a TLS \
                 proxy in front and say --behind-tls"
            );
        }
        Ok(())
    }
}

/// How a server logs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Log")]
pub struct LogOptions {
    /// How the log on standard error is written: as text, or one JSON object a line
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value_t,
        env = "WHOSAW_LOG_FORMAT",
        hide_env_values = true
    )]
    pub log_format: LogFormat,
    /// Which lines the log has, as `target=level` with commas between. Read again from the file at SIGHUP
    #[arg(
        long,
        value_name = "FILTER",
        default_value_t,
        env = crate::logging::FILTER_VARIABLE,
        hide_env_values = true
    )]
    pub log_filter: Filter,
}
