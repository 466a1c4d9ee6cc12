//! Replays the corpora and runs a fixed number of mutated inputs on every target.
//!
//! Seeded, so that a run can be repeated; the first input that fails is written to
//! `fuzz/artifacts`.

use std::fs;
use std::io;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use whosaw::digest::Digest;
use whosaw_fuzz::{TARGETS, Target, mutate, seeds, target};

const USAGE: &str = "usage: whosaw-fuzz [rounds=N] [seed=N] [TARGET…]
       whosaw-fuzz input TARGET FILE
       whosaw-fuzz seeds";
const ROUNDS: u64 = 5_000;
/// No input may take longer than this, on however busy a machine: seeds take milliseconds.
const LONGEST: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["seeds"] => write_seeds().map_err(|e| e.to_string()),
        ["input", name, file] => run_file(name, Path::new(file)),
        options => Options::parse(options).and_then(|options| options.run()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    rounds: u64,
    seed: u64,
    targets: Vec<&'static Target>,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self {
            rounds: ROUNDS,
            seed: 0,
            targets: Vec::new(),
        };
        for word in words {
            let number = |text: &str| text.parse().map_err(|_| USAGE.to_owned());
            match word.split_once('=') {
                Some(("rounds", text)) => options.rounds = number(text)?,
                Some(("seed", text)) => options.seed = number(text)?,
                _ => options.targets.push(target(word).ok_or(USAGE)?),
            }
        }
        if options.targets.is_empty() {
            options.targets = TARGETS.iter().collect();
        }
        Ok(options)
    }

    fn run(&self) -> Result<(), String> {
        let begin = Instant::now();
        let mut inputs = 0;
        for target in &self.targets {
            inputs += run(target, self)?;
        }
        let (targets, seconds) = (self.targets.len(), begin.elapsed().as_secs());
        println!("{inputs} inputs on {targets} targets in {seconds} s, none failed");
        Ok(())
    }
}

/// Runs one target; how many inputs it got.
fn run(target: &Target, options: &Options) -> Result<u64, String> {
    let begin = Instant::now();
    let corpus = corpus(target).map_err(|e| format!("{}: {e}", target.name))?;
    let mut accepted = 0;
    for input in &corpus {
        accepted += u64::from(check(target, input)?);
    }
    if accepted == 0 {
        return Err(format!(
            "{}: nothing in its corpus is accepted",
            target.name
        ));
    }
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let mut mutated_accepted = 0;
    let rounds = options.rounds.div_ceil(target.share);
    for _ in 0..rounds {
        let input = mutate::mutated(&corpus, &mut rng);
        mutated_accepted += u64::from(check(target, &input)?);
    }
    println!(
        "{:18} corpus {accepted:3} of {:3} accepted, mutated {mutated_accepted:6} of {:6}, {:5} ms",
        target.name,
        corpus.len(),
        rounds,
        begin.elapsed().as_millis(),
    );
    Ok(corpus.len() as u64 + rounds)
}

/// Whether the input was accepted.
fn check(target: &Target, input: &[u8]) -> Result<bool, String> {
    let begin = Instant::now();
    let accepted = panic::catch_unwind(|| (target.check)(input));
    let fault = match accepted {
        Ok(accepted) if begin.elapsed() <= LONGEST => return Ok(accepted),
        Ok(_) => "takes too long for",
        Err(_) => "fails on",
    };
    let kept = keep(&folder("artifacts"), target, input);
    let kept = kept.map_err(|e| e.to_string())?;
    Err(format!("{} {fault} {}", target.name, kept.display()))
}

fn run_file(name: &str, file: &Path) -> Result<(), String> {
    let target = target(name).ok_or(USAGE)?;
    let input = fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let accepted = check(target, &input)?;
    println!("{}", if accepted { "accepted" } else { "refused" });
    Ok(())
}

/// What is kept of a target, in the order of the names.
fn corpus(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let files = fs::read_dir(folder("corpus").join(target.name))?;
    let mut paths = files
        .map(|file| Ok(file?.path()))
        .collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    paths.iter().map(fs::read).collect()
}

fn write_seeds() -> io::Result<()> {
    for target in TARGETS {
        for input in seeds::of(target.name) {
            keep(&folder("corpus").join(target.name), target, &input)?;
        }
    }
    Ok(())
}

/// Writes an input under its digest, as libFuzzer names them, too.
fn keep(folder: &Path, target: &Target, input: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let digest = Digest::of(input).to_string();
    let short = digest.get(digest.len() - 16..).unwrap_or(&digest);
    let path = folder.join(format!("{}-{short}", target.name));
    fs::write(&path, input)?;
    Ok(path)
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
