//! A connection that is given up once its peer no longer reads: hyper waits for ever.
//!
//! Only writes are timed. A socket has nothing to flush, and what reads wait for is hyper's affair. hyper's
//! own answers to a head that it cannot parse are empty; they are kept back, for a problem in their place. They
//! are told from the bytes of our answers, which may be a stranger's attachment, by when they come.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::connections::Activity;

/// The longest answer that hyper gives on its own, in bytes.
const OWN_ANSWER: usize = 200;

/// Writes that wait longer than `patience` fail.
pub struct Impatient<S> {
    stream: S,
    patience: Duration,
    activity: Arc<Activity>,
    /// The status of an answer of hyper's own, which was not sent.
    kept_back: Option<u16>,
    /// Requests whose answers were written to their last byte.
    written: usize,
    /// Ends the write that waits. Made when one first waits: most connections never do.
    deadline: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<S> Impatient<S> {
    /// A stream of which each write must make progress within `patience`.
    pub fn new(stream: S, patience: Duration, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            patience,
            activity,
            kept_back: None,
            written: 0,
            deadline: None,
            waiting: false,
        }
    }

    /// The stream itself, and the status of an answer of hyper's own that was not sent.
    pub fn into_parts(self) -> (S, Option<u16>) {
        (self.stream, self.kept_back)
    }

    /// Keeps an answer of hyper's own back; whether this is one. None comes while an answer of ours is made or
    /// written.
    fn keeps_back(&mut self, bytes: &[u8]) -> bool {
        if self.activity.answered() != Some(self.written) {
            return false;
        }
        let status = own_answer(bytes);
        self.kept_back = self.kept_back.or(status);
        status.is_some()
    }

    /// Passes on how a write went; fails one that has waited too long.
    fn judge<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.waiting {
                self.waiting = false;
                self.activity.write_waits(false);
            }
            return written;
        }
        let patience = self.patience;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        if !self.waiting {
            deadline.as_mut().reset(Instant::now() + patience);
            self.waiting = true;
            self.activity.write_waits(true);
        }
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.keeps_back(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = pin!(&mut self.stream).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = parts
            && self.keeps_back(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        let written = pin!(&mut self.stream).poll_write_vectored(context, parts);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when nothing is left to write.
        if let Some(answered) = self.activity.answered() {
            self.written = answered;
        }
        pin!(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_shutdown(context)
    }
}

/// The status of hyper's own answer to a head that it cannot parse. It has none but these three headers; each
/// answer of ours has one more.
fn own_answer(bytes: &[u8]) -> Option<u16> {
    let rest = bytes.strip_prefix(b"HTTP/1.")?;
    if bytes.len() > OWN_ANSWER || rest.get(1..3) != Some(b" 4") {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let is_own = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        match name {
            "connection" => value == "close",
            "content-length" => value == "0",
            name => name == "date",
        }
    };
    lines.all(is_own).then_some(status)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::connections::Connections;
    use super::*;

    /// An attachment may end in what looks like an answer of hyper's own: readers get it all the same.
    #[tokio::test]
    async fn bytes_of_a_stranger_are_written_whatever_they_look_like() {
        let looks = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        let connections = Connections::new(1);
        let connection = connections.enter().await.unwrap();
        let activity = connection.activity();
        let (stream, mut peer) = tokio::io::duplex(1024);
        let mut stream = Impatient::new(stream, Duration::from_secs(60), activity.clone());
        let mut read = vec![0; looks.len()];
        for _ in 0..2 {
            let under_way = activity.begin();
            stream.write_all(looks).await.unwrap();
            peer.read_exact(&mut read).await.unwrap();
            // hyper takes the end of an answer before it writes the last of it.
            drop(under_way);
            stream.write_all(looks).await.unwrap();
            peer.read_exact(&mut read).await.unwrap();
            assert_eq!(read, looks);
            stream.flush().await.unwrap();
        }
        stream.write_all(looks).await.unwrap();
        assert_eq!(stream.kept_back, Some(400), "nobody asked for it");
    }

    #[test]
    fn answers_of_hyper_are_told_from_ours() {
        let own = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
            content-length: 0\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
        assert_eq!(own_answer(own.as_bytes()), Some(431));
        for ours in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\nx-content-type-options: nosniff\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-len",
            "",
        ] {
            assert_eq!(own_answer(ours.as_bytes()), None, "{ours}");
        }
    }
}
