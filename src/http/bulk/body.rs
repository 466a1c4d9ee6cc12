//! An answer that is written while the call goes on, and broken off unless it was ended.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

/// Pieces that wait for the connection.
const PIECES: usize = 2;

/// The two ends of an answer.
pub fn answer() -> (Writer, Answer) {
    let (pieces, written) = mpsc::channel(PIECES);
    let answer = Answer {
        written,
        ended: false,
    };
    (Writer(pieces), answer)
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// Writes an answer.
pub struct Writer(mpsc::Sender<Piece>);

impl Writer {
    /// Takes what is in `piece` when the connection has room. What a client that has gone away would
    /// have been told is lost.
    pub async fn write(&mut self, piece: &mut Vec<u8>) {
        if !piece.is_empty() {
            let bytes = Piece::Bytes(std::mem::take(piece).into());
            let _ = self.0.send(bytes).await;
        }
    }

    /// Says that the answer is whole.
    pub async fn end(self) {
        let _ = self.0.send(Piece::End).await;
    }

    /// Returns once nobody takes the answer any more.
    pub fn gone(&self) -> impl Future<Output = ()> + use<> {
        let pieces = self.0.clone();
        async move { pieces.closed().await }
    }
}

/// The body of an answer. A reader sees by its end whether it is whole.
pub struct Answer {
    written: mpsc::Receiver<Piece>,
    ended: bool,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = ready!(self.written.poll_recv(context));
        Poll::Ready(match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => {
                self.ended = true;
                None
            }
            None => {
                self.ended = true;
                Some(Err(io::Error::other("the call was cut off")))
            }
        })
    }
}
