//! A real HTTP proxy between a device and its server, which lies as it is told, and remembers every
//! byte that the device sent.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as the device sent it.
pub struct Request {
    pub method: String,
    pub path: String,
    head: Vec<u8>,
    pub body: Vec<u8>,
}

/// An answer on its way to the device.
pub struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

/// Path and body of each call.
type Posted = Vec<(String, Vec<u8>)>;
type Headers = Vec<(String, String)>;
type Lie = Box<dyn Fn(&Request, Response) -> Response + Send>;

/// A proxy that is listening.
#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    upstream: Arc<Mutex<Option<SocketAddr>>>,
    lie: Arc<Mutex<Lie>>,
    /// Calls to paths that begin like this are cut off.
    cut_off: Arc<Mutex<Option<&'static str>>>,
    sent: Arc<Mutex<Vec<u8>>>,
    calls: Arc<Mutex<Vec<(String, usize)>>>,
    posted: Arc<Mutex<Posted>>,
}

impl Proxy {
    /// Listens on a free port, honest so far.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            upstream: Arc::default(),
            lie: Arc::new(Mutex::new(Box::new(|_, response| response))),
            cut_off: Arc::default(),
            sent: Arc::default(),
            calls: Arc::default(),
            posted: Arc::default(),
        };
        let own = proxy.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        proxy
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn forward_to(&self, upstream: SocketAddr) {
        *self.upstream.lock().unwrap() = Some(upstream);
    }

    /// What is done to answers from now on.
    pub fn lie(&self, lie: impl Fn(&Request, Response) -> Response + Send + 'static) {
        *self.lie.lock().unwrap() = Box::new(lie);
    }

    /// Which calls do not come through from now on, by the beginnings of their paths.
    pub fn cut_off(&self, beginning: Option<&'static str>) {
        *self.cut_off.lock().unwrap() = beginning;
    }

    /// Every byte that the device sent so far.
    pub fn sent(&self) -> Vec<u8> {
        self.sent.lock().unwrap().clone()
    }

    /// `METHOD path` of every request so far, in order.
    pub fn calls(&self) -> Vec<String> {
        self.calls_with_sizes()
            .into_iter()
            .map(|(call, _)| call)
            .collect()
    }

    /// The same, each with the size of its body.
    pub fn calls_with_sizes(&self) -> Vec<(String, usize)> {
        self.calls.lock().unwrap().clone()
    }

    /// Path and body of every `POST` so far, in order.
    pub fn posted(&self) -> Posted {
        self.posted.lock().unwrap().clone()
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut device = BufReader::new(stream);
        let request = read_request(&mut device)?;
        self.sent
            .lock()
            .unwrap()
            .extend([&request.head[..], &request.body].concat());
        self.calls.lock().unwrap().push((
            format!("{} {}", request.method, request.path),
            request.body.len(),
        ));
        if request.method == "POST" {
            let posted = (request.path.clone(), request.body.clone());
            self.posted.lock().unwrap().push(posted);
        }
        let cut_off = *self.cut_off.lock().unwrap();
        if cut_off.is_some_and(|beginning| request.path.starts_with(beginning)) {
            return None;
        }
        let upstream = (*self.upstream.lock().unwrap())?;
        let mut server = TcpStream::connect(upstream).ok()?;
        server.write_all(&request.head).ok()?;
        server.write_all(&request.body).ok()?;
        let response = read_response(&mut BufReader::new(server), &request.method)?;
        let response = (self.lie.lock().unwrap())(&request, response);
        let mut answer = format!("HTTP/1.1 {} X\r\n", response.status);
        for (name, value) in &response.headers {
            if !["content-length", "connection", "transfer-encoding"].contains(&name.as_str()) {
                answer.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        answer.push_str(&format!(
            "content-length: {}\r\nconnection: close\r\n\r\n",
            response.body.len()
        ));
        let stream = device.get_mut();
        stream.write_all(answer.as_bytes()).ok()?;
        stream.write_all(&response.body).ok()
    }
}

fn read_head(reader: &mut impl BufRead) -> Option<(String, Headers, Vec<u8>)> {
    let mut raw = Vec::new();
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        raw.extend_from_slice(&line);
        let text = String::from_utf8(line).ok()?.trim_end().to_owned();
        if text.is_empty() {
            break;
        }
        lines.push(text);
    }
    let mut lines = lines.into_iter();
    let first = lines.next()?;
    let headers = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    Some((first, headers, raw))
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, v)| v.as_str())
}

fn read_body(reader: &mut impl BufRead, headers: &[(String, String)]) -> Option<Vec<u8>> {
    if header(headers, "transfer-encoding") == Some("chunked") {
        return read_chunks(reader);
    }
    let length = header(headers, "content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// A body whose length the server does not know when it begins to send.
fn read_chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim_end(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(&chunk[..size]);
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let (first, headers, raw) = read_head(reader)?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    if header(&headers, "expect").is_some() {
        reader
            .get_mut()
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .ok()?;
    }
    let body = read_body(reader, &headers)?;
    Some(Request {
        method,
        path,
        head: raw,
        body,
    })
}

fn read_response(reader: &mut impl BufRead, method: &str) -> Option<Response> {
    let (status, headers) = loop {
        let (first, headers, _) = read_head(reader)?;
        match first.split(' ').nth(1)?.parse().ok()? {
            100 => {}
            status => break (status, headers),
        }
    };
    let body = if method == "HEAD" {
        Vec::new()
    } else {
        read_body(reader, &headers)?
    };
    Some(Response {
        status,
        headers,
        body,
    })
}
