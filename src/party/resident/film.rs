//! How long a film is, and a film that is too long in parts.
//!
//! A consent gives whole clips, so a clip is short: a request of a minute is not to get a day. How long a file is, it
//! says itself where it can (`moov` of ISO/IEC 14496-12, MP4 and QuickTime). Nothing is ever encoded again: `ffmpeg`
//! copies the streams and cuts at key frames.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::upload::{self, Film};
use super::{Progress, Resident, ResidentError};
use crate::digest::Digest;
use crate::encoding::printable_lines;
use crate::store::secrets::STAGED;
use crate::time::Time;
use crate::wire::vault::HexId;

/// The longest clip, in minutes: one consent, of 16 clips, still answers for a window of 12 hours.
pub const MAX_MINUTES: u32 = 60;
/// How long parts are if nobody says otherwise, in minutes: no request gets half an hour more than it asks for.
pub const PART_MINUTES: u32 = 20;
/// Seconds by which a file may be longer than its owner says.
const LONGER: u64 = 60;
/// Boxes that are looked at in a file: no camera writes more before its `moov`.
const MAX_BOXES: u32 = 100_000;
/// How much of what ffmpeg says is shown, in bytes.
const SAID: usize = 600;

/// The file of a film that was split: signatures over the whole of it are not in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Original {
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

/// Which part of a film a clip is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartOf {
    pub original: Original,
    /// From 1, of how many.
    pub part: u32,
    pub of: u32,
}

/// What came of a film that was added in parts.
#[derive(Debug, Serialize)]
pub struct Parts {
    /// The film's file; none if it was short enough, and was added as it is.
    pub original: Option<Original>,
    pub clips: Vec<HexId>,
    /// Parts that are sealed and kept, and that the vault does not have yet: why.
    pub not_stored: Vec<String>,
}

/// How long a file is by its own metadata, in seconds, rounded up; `None` if it does not say.
///
/// # Errors
/// Those of reading.
pub fn seconds(file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let end = file.seek(SeekFrom::End(0))?;
    let Some(moov) = find(file, b"moov", 0..end)? else {
        return Ok(None);
    };
    let Some(mvhd) = find(file, b"mvhd", moov.clone())? else {
        return Ok(None);
    };
    let (scale, mut units) = movie_header(file, mvhd)?;
    if units == 0
        && let Some(mvex) = find(file, b"mvex", moov)?
        && let Some(mehd) = find(file, b"mehd", mvex)?
    {
        // In fragments: the header has the length of none.
        file.seek(SeekFrom::Start(mehd.start))?;
        let [version, ..] = bytes::<4>(file)?;
        units = number(file, version)?;
    }
    Ok((scale > 0 && units > 0).then(|| units.div_ceil(scale.into())))
}

type Range = std::ops::Range<u64>;

/// The content of the first box of a type within a range; `None` if there is none, or what is there are no boxes.
fn find(
    file: &mut (impl Read + Seek),
    wanted: &[u8; 4],
    within: Range,
) -> io::Result<Option<Range>> {
    let mut at = within.start;
    for _ in 0..MAX_BOXES {
        if within.end.saturating_sub(at) < 8 {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(at))?;
        let size = u32::from_be_bytes(bytes(file)?);
        let kind = bytes::<4>(file)?;
        let (head, size) = match size {
            0 => (8, within.end.saturating_sub(at)),
            1 if within.end.saturating_sub(at) >= 16 => (16, u64::from_be_bytes(bytes(file)?)),
            size => (8, u64::from(size)),
        };
        let next = at.saturating_add(size);
        if size < head || next > within.end {
            return Ok(None);
        }
        if kind == *wanted {
            return Ok(Some(at.saturating_add(head)..next));
        }
        at = next;
    }
    Ok(None)
}

/// Units a second, and how many; 0 of what is not known.
fn movie_header(file: &mut (impl Read + Seek), content: Range) -> io::Result<(u32, u64)> {
    file.seek(SeekFrom::Start(content.start))?;
    let [version, ..] = bytes::<4>(file)?;
    // When it was made, and changed.
    number(file, version)?;
    number(file, version)?;
    let scale = u32::from_be_bytes(bytes(file)?);
    let units = number(file, version)?;
    let unknown = units == u64::MAX || (version == 0 && units == u64::from(u32::MAX));
    Ok((scale, if unknown { 0 } else { units }))
}

/// A number of 64 bits, or of 32 in version 0.
fn number(file: &mut impl Read, version: u8) -> io::Result<u64> {
    match version {
        0 => Ok(u32::from_be_bytes(bytes(file)?).into()),
        _ => Ok(u64::from_be_bytes(bytes(file)?)),
    }
}

fn bytes<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// As [`seconds`], of the file at `path`. A file that ends within its metadata does not say, nor does a pipe, which
/// can be read only once.
fn seconds_of(path: &Path) -> Result<Option<u64>, ResidentError> {
    let metadata = std::fs::metadata(path).map_err(ResidentError::file(path))?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let mut file = File::open(path).map_err(ResidentError::file(path))?;
    match seconds(&mut file) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        found => found.map_err(ResidentError::file(path)),
    }
}

/// Refuses a film that is longer than a clip may be, or than its owner says.
///
/// # Errors
/// [`ResidentError::TooLong`], [`ResidentError::Longer`]; those of reading the file.
pub(super) fn check(film: &Film<'_>) -> Result<(), ResidentError> {
    let said = spanned(film);
    let measured = seconds_of(film.file)?;
    if let Some(measured) = measured
        && measured > said.saturating_add(LONGER)
    {
        return Err(ResidentError::Longer {
            path: film.file.to_owned(),
            measured: minutes(measured),
            said: minutes(said),
        });
    }
    let length = minutes(said.max(measured.unwrap_or_default()));
    if length > MAX_MINUTES.into() {
        return Err(ResidentError::TooLong {
            path: film.file.to_owned(),
            minutes: length,
        });
    }
    Ok(())
}

/// Seconds from its beginning to its end, as its owner says.
fn spanned(film: &Film<'_>) -> u64 {
    let seconds = film.until.seconds_since(film.from);
    u64::try_from(seconds).unwrap_or_default()
}

fn minutes(seconds: u64) -> u64 {
    seconds.div_ceil(60)
}

/// Adds a film in parts of about `part_minutes`, each as a clip of its own. One that is no longer is added as it is.
///
/// # Errors
/// Those of the files and of ffmpeg; [`ResidentError::Halfway`] if some parts are added and the rest is not.
pub fn add_in_parts(
    resident: &mut Resident,
    film: &Film<'_>,
    part_minutes: u32,
    progress: Progress<'_>,
) -> Result<Parts, ResidentError> {
    if film.until <= film.from {
        return Err(ResidentError::Backwards);
    }
    let measured = seconds_of(film.file)?;
    let length = measured.unwrap_or_default().max(spanned(film));
    if length <= u64::from(part_minutes) * 60 {
        let clip = upload::add(resident, film, progress)?;
        return Ok(Parts {
            original: None,
            clips: vec![clip],
            not_stored: Vec::new(),
        });
    }
    let split = split(&resident.root, film, part_minutes)?;
    let of = u32::try_from(split.pieces.len()).unwrap_or(u32::MAX);
    let original = split.original;
    let (mut clips, mut not_stored) = (Vec::new(), Vec::new());
    for (part, piece) in (1..).zip(&split.pieces) {
        let film = Film {
            file: &piece.path,
            from: piece.from,
            until: piece.until,
            part_of: Some(PartOf { original, part, of }),
            ..film.clone()
        };
        match upload::add(resident, &film, progress) {
            Ok(clip) => clips.push(clip),
            Err(ResidentError::NotStored { clip, why }) => {
                clips.push(clip);
                not_stored.push(format!("clip {clip}: {why}"));
            }
            Err(why) if clips.is_empty() => return Err(why),
            Err(why) => {
                return Err(ResidentError::Halfway {
                    done: clips.len(),
                    of,
                    why: Box::new(why),
                });
            }
        }
    }
    Ok(Parts {
        original: Some(original),
        clips,
        not_stored,
    })
}

/// A film that ffmpeg has cut.
struct Split {
    /// Plaintext: it goes with this.
    _folder: TempDir,
    pieces: Vec<Piece>,
    original: Original,
}

#[derive(Debug, PartialEq)]
struct Piece {
    path: PathBuf,
    from: Time,
    until: Time,
}

/// Cuts a film at the first key frame after each `part_minutes`. The parts lie in `root`, for its owner alone, until
/// this is dropped, or the program that was killed meanwhile runs again.
fn split(root: &Path, film: &Film<'_>, part_minutes: u32) -> Result<Split, ResidentError> {
    let folder = tempfile::Builder::new().prefix(STAGED).tempdir_in(root);
    let folder = folder.map_err(ResidentError::file(root))?;
    let original = original(film.file).map_err(ResidentError::file(film.file))?;
    let path = fs::canonicalize(film.file).map_err(ResidentError::file(film.file))?;
    // It takes a prefix of letters for a protocol.
    let mut input = std::ffi::OsString::from("file:");
    input.push(&path);
    let ending = ending(&path);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-i"])
        .arg(input)
        // Every stream that a film has, as it is; what cameras add as data has no place in all formats.
        .args(["-map", "0", "-dn", "-ignore_unknown", "-c", "copy"])
        .args(["-f", "segment", "-reset_timestamps", "1", "-segment_time"])
        .arg((u64::from(part_minutes) * 60).to_string())
        .args(["-segment_list_type", "csv", "-segment_list", LIST])
        .arg(format!("%06d.{ending}"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let output = ffmpeg.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => ResidentError::NoFfmpeg,
        _ => ResidentError::file(Path::new("ffmpeg"))(error),
    })?;
    let fault = |why: String| ResidentError::Split {
        path: film.file.to_owned(),
        why,
    };
    if !output.status.success() {
        let said = printable_lines(&String::from_utf8_lossy(&output.stderr));
        let said: String = said.trim().chars().take(SAID).collect();
        return Err(fault(format!("{}: {said}", output.status)));
    }
    let list = folder.path().join(LIST);
    let list = fs::read_to_string(&list).map_err(ResidentError::file(&list))?;
    let pieces = read_list(&list, folder.path(), film.from);
    let pieces = pieces.ok_or_else(|| fault("its list of parts cannot be read".to_owned()))?;
    Ok(Split {
        pieces,
        original,
        _folder: folder,
    })
}

const LIST: &str = "parts.csv";

fn original(path: &Path) -> io::Result<Original> {
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut film = BufReader::with_capacity(1 << 20, File::open(path)?);
    loop {
        let read = film.fill_buf()?;
        if read.is_empty() {
            let sha256 = Digest::from_bytes(hasher.finalize().into());
            return Ok(Original { sha256, size });
        }
        hasher.update(read);
        let length = read.len();
        size += length as u64;
        film.consume(length);
    }
}

/// What ffmpeg takes the format of the parts from.
fn ending(path: &Path) -> String {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let plain =
        (1..=5).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric());
    match plain {
        true => ending.to_ascii_lowercase(),
        false => "mp4".to_owned(),
    }
}

/// The parts that ffmpeg lists, a line each: its name, its beginning and its end in seconds. `None` if there is none,
/// or a line is of another form.
fn read_list(list: &str, folder: &Path, begins: Time) -> Option<Vec<Piece>> {
    let mut first = None;
    let mut pieces = Vec::new();
    for line in list.lines() {
        let mut columns = line.split(',');
        let (name, start, end) = (columns.next()?, columns.next()?, columns.next()?);
        let (start, end): (f64, f64) = (start.parse().ok()?, end.parse().ok()?);
        let first = *first.get_or_insert(start);
        if columns.next().is_some() || name.contains('/') || !(start < end && end < 1e9) {
            return None;
        }
        // Whole seconds, around what the part has.
        let from = begins.checked_add_seconds((start - first).floor() as i64)?;
        let until = begins.checked_add_seconds((end - first).ceil() as i64)?;
        pieces.push(Piece {
            path: folder.join(name),
            from,
            until,
        });
    }
    (!pieces.is_empty()).then_some(pieces)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn a_box(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes(), &kind[..], content].concat()
    }

    fn mvhd(scale: u32, units: u32) -> Vec<u8> {
        let numbers = [0, 1, 2, scale, units].map(u32::to_be_bytes);
        a_box(b"mvhd", &[&numbers.concat()[..], &[0; 80]].concat())
    }

    fn mvhd_of_64_bits(scale: u32, units: u64) -> Vec<u8> {
        let content = [
            &[1, 0, 0, 0][..],
            &[0; 16],
            &scale.to_be_bytes(),
            &units.to_be_bytes(),
            &[0; 80],
        ];
        a_box(b"mvhd", &content.concat())
    }

    fn length(file: &[u8]) -> Option<u64> {
        seconds(&mut Cursor::new(file)).unwrap_or_default()
    }

    #[test]
    fn a_film_says_how_long_it_is() {
        let file = |moov: &[u8]| {
            let before = [a_box(b"ftyp", b"isom"), a_box(b"mdat", &[7; 900])];
            [&before.concat()[..], &a_box(b"moov", moov)].concat()
        };
        assert_eq!(length(&file(&mvhd(1000, 10_000))), Some(10));
        assert_eq!(length(&file(&mvhd(1000, 10_001))), Some(11));
        let day = mvhd_of_64_bits(600, 24 * 3600 * 600);
        assert_eq!(length(&file(&day)), Some(24 * 3600));
        // In fragments.
        let mehd = a_box(b"mehd", &[[0; 4], 90_000_u32.to_be_bytes()].concat());
        let moov = [mvhd(1000, 0), a_box(b"mvex", &mehd)].concat();
        assert_eq!(length(&file(&moov)), Some(90));
        // A large box, and one that reaches to the end.
        let large = [
            &1_u32.to_be_bytes()[..],
            b"mdat",
            &116_u64.to_be_bytes(),
            &[0; 100],
        ]
        .concat();
        let mut last = a_box(b"moov", &mvhd(10, 50));
        last[..4].fill(0);
        assert_eq!(length(&[large, last].concat()), Some(5));
        for silent in [
            &b""[..],
            b"<html><body>log in</body></html>",
            &file(&mvhd(1000, 0)),
            &file(&mvhd(0, 1000)),
            &file(&mvhd(1000, u32::MAX)),
            &file(&[]),
            &a_box(b"ftyp", b"isom"),
            &file(&mvhd(1000, 10_000))[..930],
        ] {
            assert_eq!(length(silent), None);
        }
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/doorbell.mp4");
        let measured = seconds_of(Path::new(example)).unwrap().unwrap();
        assert!((1..60).contains(&measured), "{measured}");
    }

    fn film<'a>(file: &'a Path, camera: &'a crate::statement::words::Label, span: i64) -> Film<'a> {
        let from: Time = "2019-07-30T20:00:00Z".parse().unwrap();
        Film {
            file,
            camera,
            from,
            until: from.checked_add_seconds(span).unwrap(),
            thumbnail: None,
            part_of: None,
        }
    }

    #[test]
    fn a_film_is_as_long_as_its_owner_says_and_no_longer_than_a_clip_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let camera = "front".parse().unwrap();
        let path = folder.path().join("film.mp4");
        let checked = |seconds: Option<u32>, span: i64| {
            let moov = seconds.map(|seconds| a_box(b"moov", &mvhd(1, seconds)));
            fs::write(&path, moov.unwrap_or_default()).unwrap();
            check(&film(&path, &camera, span)).map_err(|error| error.to_string())
        };
        for (measured, span) in [
            (None, 3600),
            (Some(3600), 3600),
            (Some(10), 600),
            (Some(660), 600),
        ] {
            assert_eq!(checked(measured, span), Ok(()), "{measured:?} {span}");
        }
        for (measured, span, why) in [
            (None, 3601, "--split"),
            (Some(10), 3601, "--split"),
            (Some(3601), 3601, "--split"),
            (Some(24 * 3600), 60, "by its own metadata"),
            (Some(661), 600, "by its own metadata"),
        ] {
            let error = checked(measured, span).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn parts_follow_each_other() {
        let begins: Time = "2019-07-30T20:00:00Z".parse().unwrap();
        let list = "000000.mp4,0.033000,1200.100000\n000001.mp4,1200.100000,2399.033000\n";
        let pieces = read_list(list, Path::new("/parts"), begins).unwrap();
        let times = |piece: &Piece| (piece.from.to_string(), piece.until.to_string());
        let expected = [
            ("2019-07-30T20:00:00Z", "2019-07-30T20:20:01Z"),
            ("2019-07-30T20:20:00Z", "2019-07-30T20:39:59Z"),
        ];
        let expected = expected.map(|(from, until)| (from.to_owned(), until.to_owned()));
        assert_eq!(pieces.iter().map(times).collect::<Vec<_>>(), expected);
        assert_eq!(pieces[1].path, Path::new("/parts/000001.mp4"));
        for other in [
            "",
            "000000.mp4",
            "000000.mp4,0,x",
            "000000.mp4,5,5",
            "000000.mp4,NaN,5",
            "000000.mp4,0,1e300",
            "../x.mp4,0,5",
            "000000.mp4,0,5,6",
        ] {
            assert_eq!(
                read_list(other, Path::new("/parts"), begins),
                None,
                "{other}"
            );
        }
    }

    #[test]
    fn the_format_of_parts_is_the_film_s() {
        for (name, expected) in [
            ("a.MOV", "mov"),
            ("a.mkv", "mkv"),
            ("film", "mp4"),
            ("a.b c", "mp4"),
            (".mp4", "mp4"),
        ] {
            assert_eq!(ending(Path::new(name)), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>, at in 0..400_usize, byte: u8) {
            let _ = seconds(&mut Cursor::new(&bytes[..]));
            let mut file = [a_box(b"ftyp", b"isom"), a_box(b"moov", &mvhd(9, 9))].concat();
            let at = at % file.len();
            file[at] = byte;
            let _ = seconds(&mut Cursor::new(&file[..]));
        }
    }
}
