//! Files in parts: `Range` and `If-Range` (RFC 9110, section 14), so that a download goes on where it ended.
//!
//! One range of bytes is answered. What asks for several, or for other units, gets the whole, as the standard permits.

use std::fs::File;
use std::io::SeekFrom;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::{ApiError, auth, etag};

/// Bytes of a file that are in memory for one reader.
pub const PIECE: usize = 64 << 10;

/// Bytes that are served whole or in part: some from memory, then those of a file.
pub struct Content {
    /// Names these very bytes among all that are ever served at their address.
    pub etag: String,
    pub start: Bytes,
    pub file: File,
    /// How many bytes of the file belong to it.
    pub file_length: u64,
}

/// What of a content is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    /// From the first to the last byte.
    Part(u64, u64),
    /// It begins after the end.
    Nothing,
}

impl Content {
    /// Answers with what a request asks for of it.
    ///
    /// # Errors
    /// [`ApiError::Unsatisfiable`]; a fault of the file.
    pub async fn answer(self, request: &HeaderMap) -> Result<Response, ApiError> {
        let length = self.start.len() as u64 + self.file_length;
        let etag = format!("\"{}\"", self.etag);
        let text = |text: String| HeaderValue::try_from(text).map_err(ApiError::internal);
        let tag = text(etag.clone())?;
        if etag::is_known(request, &tag) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            response.headers_mut().insert(header::ETAG, tag);
            return Ok(response);
        }
        let (status, first, count) = match asked(request, length, &etag) {
            Asked::Whole => (StatusCode::OK, 0, length),
            Asked::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
            Asked::Nothing => return Err(ApiError::Unsatisfiable { length }),
        };
        let body = self.read(first, count).await?;
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
        headers.insert(header::ETAG, tag);
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {first}-{}/{length}", first + count - 1);
            headers.insert(header::CONTENT_RANGE, text(range)?);
        }
        Ok(response)
    }

    /// `count` bytes from `first` on, in pieces: a reader who takes one byte a second holds one of them, and not the
    /// whole.
    async fn read(self, first: u64, count: u64) -> Result<Body, ApiError> {
        let in_memory = self.start.len() as u64;
        let start = self.start.slice(first.min(in_memory) as usize..);
        let mut file = tokio::fs::File::from_std(self.file);
        let skipped = first.saturating_sub(in_memory);
        if skipped > 0 {
            let sought = file.seek(SeekFrom::Start(skipped)).await;
            sought.map_err(ApiError::internal)?;
        }
        let bytes = std::io::Cursor::new(start).chain(file).take(count);
        Ok(Body::from_stream(ReaderStream::with_capacity(bytes, PIECE)))
    }
}

/// What a request asks for of `length` bytes with this tag.
fn asked(request: &HeaderMap, length: u64, etag: &str) -> Asked {
    let Some(range) = auth::text(request, header::RANGE.as_str()) else {
        return Asked::Whole;
    };
    // Another content has come in its place: its end would not fit the beginning.
    if let Some(known) = request.get(header::IF_RANGE)
        && known.as_bytes() != etag.as_bytes()
    {
        return Asked::Whole;
    }
    let parsed = range.strip_prefix("bytes=").and_then(|r| r.split_once('-'));
    let Some((first, last)) = parsed else {
        return Asked::Whole;
    };
    let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u64>().ok(),
        false => None,
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Asked::Whole,
        (Some(first), _) if first >= length && (last.is_empty() || number(last).is_some()) => {
            Asked::Nothing
        }
        (Some(first), Some(last)) => Asked::Part(first, last.min(length - 1)),
        (Some(first), None) if last.is_empty() => Asked::Part(first, length - 1),
        (None, Some(0)) if first.is_empty() => Asked::Nothing,
        (None, Some(_)) if first.is_empty() && length == 0 => Asked::Nothing,
        (None, Some(count)) if first.is_empty() => {
            Asked::Part(length.saturating_sub(count), length - 1)
        }
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(length: u64, range: &str) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        asked(&headers, length, "\"a\"")
    }

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (range, expected) in [
            ("bytes=0-", Asked::Part(0, 9)),
            ("bytes=0-0", Asked::Part(0, 0)),
            ("bytes=3-5", Asked::Part(3, 5)),
            ("bytes=3-99", Asked::Part(3, 9)),
            ("bytes=9-", Asked::Part(9, 9)),
            ("bytes=-1", Asked::Part(9, 9)),
            ("bytes=-99", Asked::Part(0, 9)),
            ("bytes=-0", Asked::Nothing),
            ("bytes=10-", Asked::Nothing),
            ("bytes=10-12", Asked::Nothing),
            ("bytes=5-3", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("bytes=a-", Asked::Whole),
            ("bytes=99999999999999999999-", Asked::Whole),
            ("lines=1-2", Asked::Whole),
        ] {
            assert_eq!(of(10, range), expected, "{range}");
        }
        assert_eq!(of(0, "bytes=0-"), Asked::Nothing);
        assert_eq!(of(0, "bytes=-1"), Asked::Nothing);
    }

    #[test]
    fn a_range_of_another_content_is_answered_with_the_whole() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=3-".parse().unwrap());
        for (known, expected) in [("\"a\"", Asked::Part(3, 9)), ("\"b\"", Asked::Whole)] {
            headers.insert(header::IF_RANGE, known.parse().unwrap());
            assert_eq!(asked(&headers, 10, "\"a\""), expected);
        }
        headers.insert(header::IF_RANGE, "W/\"a\"".parse().unwrap());
        assert_eq!(asked(&headers, 10, "\"a\""), Asked::Whole);
    }
}
