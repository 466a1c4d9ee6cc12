//! Many statements in one call, as JSON lines (`docs/PROTOCOL.md`, section 8).

use std::io::Read as _;

use super::patience::patiently;
use super::{Client, ClientError, EXPECT, MAX_JSON, http_request, refusal};
use crate::statement::envelope::Envelope;
use crate::wire::lines::{self, Lines};
use crate::wire::statements::LineAnswer;

/// The largest answer to many statements that is read, in bytes.
const MAX_ANSWER: u64 = 256 << 20;
/// Bytes of an answer that are read at once.
const PIECE: usize = 64 << 10;

impl Client {
    /// Submits statements in one call; the answer to each, with its proof, in their order. There are
    /// fewer answers than statements if the server ended the call early, or the connection broke.
    ///
    /// # Errors
    /// See [`ClientError`], if no statement was answered.
    pub fn submit_lines(&self, envelopes: &[&Envelope]) -> Result<Vec<LineAnswer>, ClientError> {
        let path = "/api/v1/statements";
        let lines: Vec<Vec<u8>> = envelopes.iter().map(|one| one.to_json()).collect();
        let headers = [
            ("content-type", lines::MEDIA_TYPE),
            ("prefer", "return=representation"),
            EXPECT,
        ];
        let body = lines.join(&b'\n');
        let url = self.base.join(path);
        let sent = patiently(|| {
            let request = http_request("POST", &url, &headers).body(&body[..]);
            self.agent
                .run(request.expect("own headers are well formed"))
        });
        let mut response = sent.map_err(|error| ClientError::transport(&url, error))?;
        if response.status() != 200 {
            return Err(refusal(url, &mut response, MAX_JSON));
        }
        let mut reader = response.body_mut().as_reader().take(MAX_ANSWER);
        let mut answers = Answers::new(envelopes.len());
        let mut piece = vec![0; PIECE];
        loop {
            let read = match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                // What was answered is answered.
                Err(_) if !answers.all.is_empty() => break,
                Err(error) => return Err(ClientError::transport(&url, error)),
            };
            let read = answers.read(piece.get(..read).unwrap_or_default());
            read.map_err(|why| self.unexpected(path, why))?;
        }
        match answers.all.is_empty() && !envelopes.is_empty() {
            true => Err(self.unexpected(path, "no answer to any statement")),
            false => Ok(answers.all),
        }
    }
}

/// The answers read so far.
struct Answers {
    lines: Lines,
    /// How many are expected.
    most: usize,
    all: Vec<LineAnswer>,
}

impl Answers {
    fn new(most: usize) -> Self {
        let longest = usize::try_from(MAX_JSON).unwrap_or(usize::MAX);
        Self {
            lines: Lines::new(longest),
            most,
            all: Vec::new(),
        }
    }

    /// Reads more of the answer; what is wrong with it.
    fn read(&mut self, mut piece: &[u8]) -> Result<(), String> {
        while let Some(line) = self.lines.next(&mut piece) {
            let bytes = line.bytes.ok_or("a line that is too long")?;
            let answer: LineAnswer = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
            let expected = self.all.len() as u64 + 1;
            if answer.line != expected {
                let line = answer.line;
                return Err(format!("line {line} where line {expected} is due"));
            }
            // Why the call ended early may be said of a line after the last.
            if self.all.len() < self.most {
                self.all.push(answer);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> Result<Vec<u64>, String> {
        let mut answers = Answers::new(2);
        for piece in answer.as_bytes().chunks(7) {
            answers.read(piece)?;
        }
        Ok(answers.all.iter().map(|answer| answer.line).collect())
    }

    #[test]
    fn answers_are_taken_in_their_order_alone() {
        let answer = |line| format!("{{\"line\":{line},\"status\":503}}\n");
        assert_eq!(read(&[answer(1), answer(2)].concat()), Ok(vec![1, 2]));
        assert_eq!(
            read(&[answer(1), "{\"line\":2".to_owned()].concat()),
            Ok(vec![1])
        );
        assert_eq!(
            read(&[answer(1), answer(2), answer(3)].concat()),
            Ok(vec![1, 2])
        );
        for wrong in [
            [answer(2), answer(1)].concat(),
            [answer(1), answer(1)].concat(),
            "nonsense\n".to_owned(),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
