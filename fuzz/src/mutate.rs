//! Seeded mutation: the same seed makes the same inputs on every machine.

use fastrand::Rng;

/// The largest input that is made, in bytes. Corpora may hold larger ones.
pub const MAX_INPUT: usize = 16 << 10;
/// The most changes to one input.
const MAX_CHANGES: usize = 6;

/// Pieces of the formats, and numbers at their limits.
const WORDS: &[&str] = &[
    "\n",
    "\n\n",
    " ",
    "+",
    "/",
    "=",
    "\u{2014} ",
    "x000/",
    ".p/",
    "0",
    "1",
    "255",
    "256",
    "257",
    "9007199254740992",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "-1",
    "1e999",
    "00",
    "\"",
    "\\u0000",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    ";",
    "null",
    "\0",
    "\u{7f}",
    "\u{feff}",
    "\u{e9}",
    "\r\n",
    "\t",
    "index ",
    "extra ",
    "old ",
    "quorum none\n",
    "group g any ",
    "--- ",
    "-> X25519 ",
    "{\"$serde_json::private::RawValue\":\"[1]\"}",
    "{\"$serde_json::private::Number\":\"1\"}",
];

/// One of `corpus` with a few changes.
pub fn mutated(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut input = corpus[rng.usize(..corpus.len())].clone();
    for _ in 0..rng.usize(1..=MAX_CHANGES) {
        let other = &corpus[rng.usize(..corpus.len())];
        match rng.u8(..4) {
            0 => change_byte(&mut input, rng),
            1 => change_range(&mut input, other, rng),
            2 => change_line(&mut input, other, rng),
            _ => insert_word(&mut input, rng),
        }
        input.truncate(MAX_INPUT);
    }
    input
}

fn change_byte(input: &mut Vec<u8>, rng: &mut Rng) {
    if input.is_empty() {
        return input.push(rng.u8(..));
    }
    let at = rng.usize(..input.len());
    match rng.u8(..5) {
        0 => input[at] ^= 1 << rng.u8(..8),
        1 => input[at] = rng.u8(..),
        2 => input[at] = [0, 0x0a, 0x20, 0x2b, 0x7f, 0x80, 0xff][rng.usize(..7)],
        3 => input[at] = input[at].wrapping_add(1),
        _ => drop(input.remove(at)),
    }
}

/// Deletes a range, or puts one of `other` in its place.
fn change_range(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let place = range(input.len(), rng);
    let piece = match rng.bool() {
        true => &other[range(other.len(), rng)],
        false => &[],
    };
    input.splice(place, piece.iter().copied());
}

/// Mostly short.
fn range(length: usize, rng: &mut Rng) -> std::ops::Range<usize> {
    let start = rng.usize(..=length);
    let most = (length - start).min(1 << rng.u32(..12));
    start..start + rng.usize(..=most)
}

/// Deletes, doubles, exchanges or replaces a line.
fn change_line(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let mut lines: Vec<&[u8]> = input.split(|b| *b == b'\n').collect();
    let others: Vec<&[u8]> = other.split(|b| *b == b'\n').collect();
    let (a, b) = (rng.usize(..lines.len()), rng.usize(..lines.len()));
    match rng.u8(..4) {
        0 => drop(lines.remove(a)),
        1 => lines.insert(b, lines[a]),
        2 => lines.swap(a, b),
        _ => lines[a] = others[rng.usize(..others.len())],
    }
    *input = lines.join(&b'\n');
}

/// Puts a word somewhere, or in the place of a number.
fn insert_word(input: &mut Vec<u8>, rng: &mut Rng) {
    let word = WORDS[rng.usize(..WORDS.len())].bytes();
    let at = rng.usize(..=input.len());
    let digits = input[at..]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .count();
    input.splice(at..at + digits, word);
}
