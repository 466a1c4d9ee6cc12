//! A Web server on this machine for several names, with an authority of its own, that answers as it is
//! told.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How a name is answered.
#[derive(Clone)]
pub enum Page {
    /// Status line's end, headers, body.
    Of(&'static str, String, Vec<u8>),
    /// What comes before the connection is closed.
    Bytes(Vec<u8>),
    After(Duration, Vec<u8>),
}

impl Page {
    /// A file that is there.
    pub fn file(body: &str) -> Self {
        Self::Of("200 OK", String::new(), body.as_bytes().to_vec())
    }
}

type Pages = Arc<Mutex<HashMap<String, Page>>>;

/// A server; its threads end with the test.
pub struct Https {
    pub address: SocketAddr,
    /// What its authority is believed by, as PEM.
    pub authority: String,
    pages: Pages,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Https {
    /// Answers for these names on a free port.
    pub fn start(names: &[&str]) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let own = CertificateParams::new(names).unwrap();
        let own = own.signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            authority: authority.pem(),
            pages: Pages::default(),
            asked: Arc::default(),
        };
        let (pages, asked, config) = (server.pages.clone(), server.asked.clone(), Arc::new(config));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (pages, asked, config) = (pages.clone(), asked.clone(), config.clone());
                // Clients that do not believe the certificate hang up.
                std::thread::spawn(move || serve(stream, config, &pages, &asked));
            }
        });
        server
    }

    /// From now on, a party's file is answered so.
    pub fn set(&self, party: &str, page: Page) {
        self.pages.lock().unwrap().insert(party.to_owned(), page);
    }

    /// The request lines that came.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    pages: &Pages,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let host = head.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.expect("a request names its host").to_owned();
    let line = head.lines().next().unwrap_or_default();
    asked.lock().unwrap().push(format!("{host} {line}"));
    let page = pages.lock().unwrap().get(&host).cloned();
    let page = page.unwrap_or(Page::Of("404 Not Found", String::new(), Vec::new()));
    match page {
        Page::Of(status, headers, body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(&[head.as_bytes(), &body].concat())?;
        }
        Page::Bytes(bytes) => stream.write_all(&bytes)?,
        Page::After(time, bytes) => {
            std::thread::sleep(time);
            stream.write_all(&bytes)?;
        }
    }
    stream.conn.send_close_notify();
    stream.flush()
}
