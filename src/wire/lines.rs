//! JSON lines (<https://jsonlines.org>): a body that comes in pieces, cut into its lines.
//!
//! A line ends with a line feed, before which one carriage return is passed over; the last needs no end. Lines
//! of white space alone are counted and passed over. Of a line that is too long nothing is kept.

/// Media types under which people send JSON lines; none of them is registered.
pub const MEDIA_TYPES: [&str; 4] = [
    MEDIA_TYPE,
    "application/x-ndjson",
    "application/ndjson",
    "application/x-jsonlines",
];
/// The media type under which JSON lines are answered.
pub const MEDIA_TYPE: &str = "application/jsonl";

/// Whether a `Content-Type` says that a body is JSON lines.
pub fn is_media_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    MEDIA_TYPES
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known))
}

/// A line and its number, from 1, blank ones counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub number: u64,
    /// Its bytes without their end; `None` if there are more than the reader takes.
    pub bytes: Option<Vec<u8>>,
}

/// Cuts a body into lines. Holds one unfinished line of at most so many bytes.
#[derive(Debug)]
pub struct Lines {
    most: usize,
    /// The number of the line that is being read.
    number: u64,
    line: Vec<u8>,
    too_long: bool,
}

impl Lines {
    /// Takes lines of at most `most` bytes.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            number: 1,
            line: Vec::new(),
            too_long: false,
        }
    }

    /// The number of the line that is being read.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line that ends within `piece`, of which `piece` is then what follows; `None` once all
    /// of it is read.
    pub fn next(&mut self, piece: &mut &[u8]) -> Option<Line> {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = piece.split_at(end);
            *piece = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.extend(line);
            let line = self.take();
            self.number = self.number.saturating_add(1);
            if line.is_some() {
                return line;
            }
        }
        self.extend(piece);
        *piece = &[];
        None
    }

    /// The last line, if the body ends without a line feed.
    pub fn finish(mut self) -> Option<Line> {
        self.take()
    }

    fn extend(&mut self, bytes: &[u8]) {
        // One more than `most`: it may be the carriage return.
        let length = self.line.len().saturating_add(bytes.len());
        self.too_long |= length > self.most.saturating_add(1);
        if self.too_long {
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    /// The line that has ended, unless it is blank.
    fn take(&mut self) -> Option<Line> {
        let mut line = std::mem::take(&mut self.line);
        let was_too_long = std::mem::take(&mut self.too_long);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let too_long = was_too_long || line.len() > self.most;
        if !too_long && line.trim_ascii().is_empty() {
            return None;
        }
        Some(Line {
            number: self.number,
            bytes: (!too_long).then_some(line),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(body: &[u8], most: usize, piece: usize) -> Vec<(u64, Option<String>)> {
        let (mut lines, mut all) = (Lines::new(most), Vec::new());
        for mut piece in body.chunks(piece) {
            while let Some(line) = lines.next(&mut piece) {
                all.push(line);
            }
        }
        all.extend(lines.finish());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        all.into_iter()
            .map(|line| (line.number, line.bytes.as_deref().map(text)))
            .collect()
    }

    #[test]
    fn a_body_is_cut_at_line_feeds() {
        let line = |number, text: &str| (number, Some(text.to_owned()));
        for piece in 1..20 {
            let of = |body: &str| cut(body.as_bytes(), 4, piece);
            assert_eq!(of(""), []);
            assert_eq!(of("\n \t\r\n\r\n"), []);
            assert_eq!(of("{}"), [line(1, "{}")]);
            assert_eq!(of("{}\n"), [line(1, "{}")]);
            assert_eq!(
                of("1\n\n 2\r\n3"),
                [line(1, "1"), line(3, " 2"), line(4, "3")]
            );
            assert_eq!(
                of("1234\r\n12345\n1"),
                [line(1, "1234"), (2, None), line(3, "1")]
            );
            assert_eq!(of("      \n1"), [(1, None), line(2, "1")]);
            assert_eq!(of("\r\r\n1"), [line(2, "1")]);
        }
    }

    #[test]
    fn nothing_is_kept_of_a_line_that_is_too_long() {
        let mut lines = Lines::new(64);
        for _ in 0..1000 {
            assert_eq!(lines.next(&mut &[b'x'; 100][..]), None);
            assert!(lines.line.capacity() <= 128, "{}", lines.line.capacity());
        }
        let last = Line {
            number: 1,
            bytes: None,
        };
        assert_eq!(lines.next(&mut &b"\n"[..]), Some(last));
    }

    #[test]
    fn media_types_are_taken_as_people_write_them() {
        for good in [
            "application/jsonl",
            "Application/X-NDJSON; charset=utf-8",
            " application/ndjson ",
        ] {
            assert!(is_media_type(good), "{good}");
        }
        for other in ["", "application/json", "application/jsonl2", "text/plain"] {
            assert!(!is_media_type(other), "{other}");
        }
    }

    proptest! {
        /// However a body is cut into pieces on its way, its lines are those of the whole.
        #[test]
        fn pieces_change_nothing(body in "[a\r\n ]{0,60}", most in 0_usize..8, piece in 1_usize..9) {
            let whole = cut(body.as_bytes(), most, usize::MAX);
            prop_assert_eq!(&cut(body.as_bytes(), most, piece), &whole);
            let expected = body.split('\n').zip(1_u64..).filter_map(|(line, number)| {
                let line = line.strip_suffix('\r').unwrap_or(line);
                if line.len() > most {
                    return Some((number, None));
                }
                (!line.trim_ascii().is_empty()).then(|| (number, Some(line.to_owned())))
            });
            prop_assert_eq!(whole, expected.collect::<Vec<_>>());
        }
    }
}
