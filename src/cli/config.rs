//! A server's options from a file: `--config FILE`.
//!
//! The options of the command line are the one description of the keys: a key has an option's name,
//! its type, its default and its text, and its table has the name of the heading under which `--help`
//! shows the option. [`CommandLine::read`] puts the file's values before the words that were given and
//! has clap parse all of them, so a value is checked by the same parser wherever it comes from.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::Read as _;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory as _, FromArgMatches as _};
use tokio::signal::unix::Signal;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::server::LOG_FILTER;
use super::{Cli, supervisor};
use crate::encoding::printable;
use crate::logging;
use crate::store::own;

/// Width of the comments in an example, in characters.
const WIDTH: usize = 100;

/// Bytes of the largest file that is read: every key with its text takes a hundredth of them.
const MAX_FILE: u64 = 1 << 20;

/// Where options come from.
#[derive(Debug, clap::Args)]
pub struct Configuration {
    /// A file with options of this command, in TOML: see --print-config. An option that is given on
    /// the command line or in the environment replaces the file's
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a file for --config with every key, its default and its meaning
    #[arg(long)]
    print_config: bool,
}

/// The words with which the program was started.
#[derive(Clone)]
pub struct CommandLine(Vec<OsString>);

/// The options of a command, from the command line, the environment and the file.
pub struct Options {
    pub cli: Cli,
    /// Whether the command prints its answer as JSON.
    pub json: bool,
    /// Each key with its value as text; a key without a value is left out.
    values: Values,
}

type Values = BTreeMap<String, Vec<OsString>>;

impl CommandLine {
    /// Of these words; the first one is the program's name.
    pub fn new(words: impl IntoIterator<Item = OsString>) -> Self {
        Self(words.into_iter().collect())
    }

    /// The example that `--print-config` asks for. Options that the command requires may be missing.
    ///
    /// # Errors
    /// clap's, if another word of the line is wrong.
    pub fn example(&self) -> Result<Option<String>, clap::Error> {
        let Some(server) = Server::find(&self.0) else {
            return Ok(None);
        };
        // What clap gave up on has no defaults, and `get_flag` would panic.
        if server.given.value_source("print_config") != Some(ValueSource::CommandLine) {
            return Ok(None);
        }
        match grammar().try_get_matches_from(&self.0) {
            Err(error) if error.kind() != ErrorKind::MissingRequiredArgument => Err(error),
            _ => Ok(Some(example(&server.command))),
        }
    }

    /// Reads the options. Each call reads the file again.
    ///
    /// # Errors
    /// clap's, which print themselves and end the process with 2; also where the file cannot be read,
    /// or holds an unknown key or a value that its option does not take: with the file's name and the line.
    pub fn read(&self) -> Result<Options, clap::Error> {
        let mut words = self.0.clone();
        let server = Server::find(&words);
        if let Some(server) = &server {
            let of_file = server.file_words().map_err(|why| {
                clap::Error::raw(ErrorKind::ValueValidation, printable(&why) + "\n")
            })?;
            words.splice(server.place..server.place, of_file);
        }
        let matches = grammar().try_get_matches_from(words)?;
        let cli = Cli::from_arg_matches(&matches)?;
        let values = server.map(|server| values(&server.command, &matches));
        Ok(Options {
            cli,
            json: asks_for_json(&matches),
            values: values.unwrap_or_default(),
        })
    }
}

/// Whether the command has an option --json, and it was given.
fn asks_for_json(matches: &ArgMatches) -> bool {
    let mut command = matches;
    while let Some((_, inner)) = command.subcommand() {
        command = inner;
    }
    let given = command.try_get_one::<bool>("json");
    given.is_ok_and(|json| json.copied() == Some(true))
}

/// A running server's options, which are read again at each SIGHUP.
pub struct Reload {
    line: CommandLine,
    values: Values,
    live: Live,
}

/// What a running server takes up without a restart.
pub struct Live {
    /// The options, by their keys.
    pub keys: &'static [&'static str],
    /// Puts their values in force.
    pub apply: Box<dyn Fn(&Cli) + Send>,
}

impl Reload {
    /// Of a server that was started with these options.
    pub fn new(line: CommandLine, options: &Options) -> Self {
        Self {
            line,
            values: options.values.clone(),
            live: Live {
                keys: &[],
                apply: Box::new(|_| {}),
            },
        }
    }

    /// Of a server that takes up these options without a restart.
    pub fn with(self, live: Live) -> Self {
        Self { live, ..self }
    }

    /// Reads the options again at each SIGHUP, and has the server read its other files by `more`. Both
    /// happen on a thread that may block, so that the server goes on meanwhile. Ends when the task is
    /// aborted; a reading that has begun is finished.
    pub async fn at_each(self, mut hangup: Signal, more: impl Fn() + Send + 'static) {
        let mut reading = (self, more);
        while hangup.recv().await.is_some() {
            let again = tokio::task::spawn_blocking(move || {
                tracing::info!("reading again what may change: SIGHUP");
                supervisor::reloading();
                reading.0.read_options();
                reading.1();
                supervisor::reloaded();
                reading
            });
            match again.await {
                Ok(back) => reading = back,
                // The log has the panic.
                Err(_) => return,
            }
        }
    }

    /// Reads the options again. The filter of the log is changed, and what the server takes up; of every other
    /// change the log says that it waits for the next start. Options that cannot be read change nothing.
    fn read_options(&mut self) {
        let options = match self.line.read() {
            Ok(options) => options,
            Err(error) => {
                let error = first_paragraph(&error);
                tracing::error!(
                    error,
                    "the options are not read again: nothing of them changes"
                );
                return;
            }
        };
        let keys = self.values.keys().chain(options.values.keys());
        let changed = keys.filter(|key| self.values.get(*key) != options.values.get(*key));
        let mut changed: Vec<String> = changed.cloned().collect();
        changed.sort_unstable();
        changed.dedup();
        let is_live = |key: &String| key == LOG_FILTER || self.live.keys.contains(&key.as_str());
        let (taken, waiting): (Vec<String>, Vec<String>) = changed.into_iter().partition(is_live);
        if taken.iter().any(|key| key != LOG_FILTER) {
            (self.live.apply)(&options.cli);
        }
        for key in taken {
            let values = options.values.get(&key).cloned().unwrap_or_default();
            match options.cli.log_options().filter(|_| key == LOG_FILTER) {
                Some(log) => {
                    logging::set_filter(&log.log_filter);
                    tracing::info!(filter = %log.log_filter, "the log has another filter");
                }
                None => {
                    let value = values.join(OsStr::new(" "));
                    let value = printable(&value.to_string_lossy());
                    tracing::info!(key, value, "an option has changed: it is in force");
                }
            }
            self.values.insert(key, values);
        }
        for key in waiting {
            tracing::warn!(
                key,
                "an option has changed: it takes effect at the next start"
            );
        }
    }
}

/// The program's command line. A variable that is empty counts as unset.
fn grammar() -> clap::Command {
    without_empty_variables(Cli::command())
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let variable = arg.get_env().and_then(std::env::var_os);
        match variable.is_some_and(|value| value.is_empty()) {
            true => arg.env(None::<&'static str>),
            false => arg,
        }
    });
    command.mut_subcommands(without_empty_variables)
}

/// The text of a regular file.
fn read_file(path: &Path) -> Result<String, String> {
    let file = own::open(path).map_err(|e| e.to_string())?;
    let fault = |why: String| format!("{}: {why}", path.display());
    let mut text = String::new();
    let length = file.take(MAX_FILE + 1).read_to_string(&mut text);
    let length = length.map_err(|e| fault(e.to_string()))?;
    match u64::try_from(length).is_ok_and(|length| length <= MAX_FILE) {
        true => Ok(text),
        false => Err(fault(format!("the file is larger than {MAX_FILE} bytes"))),
    }
}

/// A command that takes `--config`, among the words of a command line.
struct Server {
    command: clap::Command,
    /// Where its options begin among the words.
    place: usize,
    /// Its options on the command line and in the environment, as far as they can be read.
    given: ArgMatches,
}

impl Server {
    /// The command, if it is one that takes `--config` and its line can be read so far. If not, clap
    /// says what is wrong when the line is parsed.
    fn find(words: &[OsString]) -> Option<Self> {
        let place = match words.get(1)?.to_str()? {
            "serve" => 2,
            "witness" if words.get(2)? == "serve" => 3,
            _ => return None,
        };
        let mut command = grammar();
        for word in &words[1..place] {
            command = command.find_subcommand(word)?.clone();
        }
        // What is required may be in the file.
        let mut command = command.ignore_errors(true);
        let own = words[..1].iter().chain(&words[place..]);
        let given = command.try_get_matches_from_mut(own).ok()?;
        Some(Self {
            command,
            place,
            given,
        })
    }

    /// The file's values as words of the command line, but for options that were given.
    fn file_words(&self) -> Result<Vec<OsString>, String> {
        let Some(path) = self.given.get_one::<PathBuf>("config") else {
            return Ok(Vec::new());
        };
        let text = read_file(path)?;
        let found = parse(&self.command, &text).map_err(|fault| fault.at(path, &text))?;
        let given = |arg: &Arg| {
            let source = self.given.value_source(arg.get_id().as_str());
            matches!(
                source,
                Some(ValueSource::CommandLine | ValueSource::EnvVariable)
            )
        };
        let words = found.into_iter().filter(|(arg, _)| !given(arg));
        Ok(words.flat_map(|(_, words)| words).collect())
    }
}

/// Why a file is refused, and where in its text.
struct Fault {
    at: usize,
    why: String,
}

impl Fault {
    fn at(&self, path: &Path, text: &str) -> String {
        let before = text.bytes().take(self.at);
        let line = before.filter(|byte| *byte == b'\n').count() + 1;
        format!("{}:{line}: {}", path.display(), self.why)
    }
}

/// The options that a file may hold, each with the name of its table.
fn keys(command: &clap::Command) -> impl Iterator<Item = (String, &Arg)> {
    let args = command.get_arguments();
    args.filter_map(|arg| Some((arg.get_help_heading()?.to_lowercase(), arg)))
}

fn key_of(arg: &Arg) -> &str {
    arg.get_long().expect("options of servers have long names")
}

/// The options in a file's text, each as words of the command line.
fn parse<'a>(
    command: &'a clap::Command,
    text: &str,
) -> Result<Vec<(&'a Arg, Vec<OsString>)>, Fault> {
    let root = DeTable::parse(text).map_err(|error| Fault {
        at: error.span().map_or(0, |span| span.start),
        why: error.message().to_owned(),
    })?;
    let mut found = Vec::new();
    for (name, table) in root.get_ref() {
        let fault = |why| Fault {
            at: name.span().start,
            why,
        };
        let name = name.get_ref();
        let known: Vec<_> = keys(command).filter(|(table, _)| table == name).collect();
        let DeValue::Table(table) = table.get_ref() else {
            let why = match keys(command).find(|(_, arg)| key_of(arg) == name) {
                Some((table, _)) => format!("the key {name} belongs in the table [{table}]"),
                None => format!("unknown key {name}"),
            };
            return Err(fault(why));
        };
        if known.is_empty() {
            return Err(fault(format!("unknown table [{name}]")));
        }
        for (key, value) in table {
            let arg = known.iter().find(|(_, arg)| key_of(arg) == key.get_ref());
            let arg = arg.map(|(_, arg)| *arg).ok_or_else(|| Fault {
                at: key.span().start,
                why: format!("unknown key {} in [{name}]", key.get_ref()),
            })?;
            found.push((arg, words(arg, value)?));
        }
    }
    Ok(found)
}

/// A value as words of the command line, which the option's own parser takes.
fn words(arg: &Arg, value: &Spanned<DeValue<'_>>) -> Result<Vec<OsString>, Fault> {
    let wrong = |value: &Spanned<DeValue<'_>>, wanted: &str| Fault {
        at: value.span().start,
        why: format!(
            "{} takes {wanted}, and not a value of type {}",
            key_of(arg),
            value.get_ref().type_str()
        ),
    };
    let one = |value: &Spanned<DeValue<'_>>| {
        let text = match (value.get_ref(), is_number(arg)) {
            (DeValue::Integer(number), true) => decimal(number),
            (DeValue::String(text), false) => text.clone().into_owned(),
            (_, true) => return Err(wrong(value, "a number")),
            (_, false) => return Err(wrong(value, "a string")),
        };
        let word = OsString::from(format!("--{}={text}", key_of(arg)));
        check(arg, &word).map_err(|why| Fault {
            at: value.span().start,
            why,
        })?;
        Ok(word)
    };
    match (arg.get_action(), value.get_ref()) {
        (ArgAction::SetTrue, DeValue::Boolean(true)) => {
            Ok(vec![format!("--{}", key_of(arg)).into()])
        }
        (ArgAction::SetTrue, DeValue::Boolean(false)) => Ok(Vec::new()),
        (ArgAction::SetTrue, _) => Err(wrong(value, "true or false")),
        (ArgAction::Append, DeValue::Array(values)) => values.iter().map(one).collect(),
        (ArgAction::Append, _) => Err(wrong(value, "an array")),
        _ => Ok(vec![one(value)?]),
    }
}

/// As the command line has it; a number beyond 128 bits as it is, which no option takes.
fn decimal(number: &DeInteger<'_>) -> String {
    let value = i128::from_str_radix(number.as_str(), number.radix());
    value.map_or_else(|_| number.to_string(), |value| value.to_string())
}

/// Has the option's own parser look at a word of its.
fn check(arg: &Arg, word: &OsString) -> Result<(), String> {
    let alone = clap::Command::new("").no_binary_name(true);
    let alone = alone.arg(arg.clone().required(false));
    let parsed = alone.try_get_matches_from([word]);
    parsed.map(drop).map_err(|error| first_paragraph(&error))
}

/// What is wrong, in one line, without the advice that clap adds.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines = text.lines().take_while(|line| !line.is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

fn is_number(arg: &Arg) -> bool {
    let id = arg.get_value_parser().type_id();
    let numbers = [
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<NonZeroU32>(),
        TypeId::of::<NonZeroUsize>(),
    ];
    numbers.iter().any(|number| id == *number)
}

/// The values of a command's keys in the whole command line's matches.
fn values(command: &clap::Command, matches: &ArgMatches) -> Values {
    let mut matches = matches;
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    let value = |(_, arg): (String, &Arg)| {
        let raw = matches.get_raw(arg.get_id().as_str())?;
        Some((key_of(arg).to_owned(), raw.map(OsString::from).collect()))
    };
    keys(command).filter_map(value).collect()
}

/// A file with every key of a command, its text and its default. Every key is behind `#`.
fn example(command: &clap::Command) -> String {
    let mut text = String::from(
        "# Every key of --config, which is named as the option of the command line. An option on the command\n\
         # line or in the environment replaces the key. A value in capitals is a placeholder: there is no\n\
         # default. Relative paths begin at the working folder of the process.\n",
    );
    let mut last = String::new();
    for (table, arg) in keys(command) {
        if table != last {
            let _ = write!(text, "\n[{table}]");
            last = table;
        }
        text.push('\n');
        for line in comment(arg) {
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(text, "#{} = {}", key_of(arg), example_value(arg));
    }
    text
}

/// The text of an option, as lines.
fn comment(arg: &Arg) -> Vec<String> {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let mut text = help.map(ToString::to_string).unwrap_or_default() + ".";
    let values = arg.get_possible_values();
    if !values.is_empty() && takes_value(arg) {
        let values: Vec<_> = values.iter().map(|value| value.get_name()).collect();
        let _ = write!(text, " One of: {}.", values.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, " In the environment: {}.", variable.display());
    }
    if arg.is_required_set() {
        text.push_str(" Required.");
    }
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one from the start");
        match line.len() + 1 + word.len() {
            _ if line.is_empty() => line.push_str(word),
            length if length <= WIDTH => *line = format!("{line} {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn takes_value(arg: &Arg) -> bool {
    !matches!(arg.get_action(), ArgAction::SetTrue)
}

/// The default of an option, or a placeholder.
fn example_value(arg: &Arg) -> String {
    let placeholder = arg.get_value_names().and_then(|names| names.first());
    let default = arg.get_default_values().first().and_then(|v| v.to_str());
    let value = default.or(placeholder.map(|name| name.as_str()));
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, _) | (_, None) => "false".to_owned(),
        (ArgAction::Append, Some(value)) => format!("[{value:?}]"),
        (_, Some(value)) if is_number(arg) => value.to_owned(),
        (_, Some(value)) => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests;
