use super::*;

/// Reads options of a command line whose `--config` is a file with this text.
fn read(words: &[&str], text: &str) -> Result<Options, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whosaw.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let config = ["--config", path];
    let words = words.iter().chain(&config);
    let line = CommandLine::new(words.map(OsString::from));
    line.read()
        .map_err(|error| error.to_string().replace(path, "FILE"))
}

const SERVE: [&str; 2] = ["whosaw", "serve"];
const WITNESS: [&str; 3] = ["whosaw", "witness", "serve"];

fn value(options: &Options, key: &str) -> Vec<String> {
    let values = options.values.get(key).cloned().unwrap_or_default();
    values
        .into_iter()
        .map(|v| v.into_string().unwrap())
        .collect()
}

#[test]
fn a_file_has_the_options_and_the_command_line_replaces_them() {
    let file = "[data]\ndata = \"ledger\"\nmin-free = 1_000\n[network]\nlisten = \"127.0.0.1:0\"\n\
                proxy = [\"10.0.0.1\", \"10.0.0.2\"]\nforwarded = true\nbehind-tls = false\n\
                [limits]\nrate = 0x10\n[log]\nlog-filter = \"whosaw=debug\"\n";
    let options = read(&SERVE, file).unwrap();
    assert_eq!(value(&options, "data"), ["ledger"]);
    assert_eq!(value(&options, "min-free"), ["1000"]);
    assert_eq!(value(&options, "proxy"), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(value(&options, "forwarded"), ["true"]);
    assert_eq!(value(&options, "behind-tls"), ["false"]);
    assert_eq!(value(&options, "rate"), ["16"]);
    assert_eq!(value(&options, "party-limit"), ["600"], "the default");
    let filter = &options.cli.log_options().unwrap().log_filter;
    assert_eq!(filter.to_string(), "whosaw=debug");

    let given = ["--proxy", "10.0.0.9", "--rate=7", "--forwarded"];
    let options = read(&[&SERVE[..], &given].concat(), file).unwrap();
    assert_eq!(value(&options, "proxy"), ["10.0.0.9"]);
    assert_eq!(value(&options, "rate"), ["7"]);
    assert_eq!(value(&options, "data"), ["ledger"]);

    let witness = read(&WITNESS, "[data]\ndata = \"w\"\nlog = [\"a\", \"b\"]\n").unwrap();
    assert_eq!(value(&witness, "log"), ["a", "b"]);
}

#[test]
fn a_fault_of_a_file_is_named_with_its_line() {
    let refused = |words: &[&str], text: &str, says: &str| {
        let Err(error) = read(words, &format!("# one\n[data]\ndata = \"d\"\n{text}")) else {
            panic!("{text:?} is taken");
        };
        assert!(error.contains(says), "{text:?}: {error}");
    };
    let serve = |text: &str, says: &str| refused(&SERVE, text, says);
    serve("[limits]\nrat = 1\n", "FILE:5: unknown key rat in [limits]");
    serve("[limit]\nrate = 1\n", "FILE:4: unknown table [limit]");
    serve(
        "clips = 3\n",
        "FILE:4: clips takes a string, and not a value of type integer",
    );
    serve("config = \"x\"\n", "FILE:4: unknown key config in [data]");
    serve("min-free = \"1\"\n", "FILE:4: min-free takes a number");
    serve(
        "min-free = -1\n",
        "FILE:4: invalid value '-1' for '--min-free <BYTES>'",
    );
    serve(
        "[limits]\n\nconnections = 0\n",
        "FILE:6: invalid value '0' for '--connections <N>': 0 is not in 1..=1000000",
    );
    serve(
        "[network]\nproxy = \"::1\"\n",
        "FILE:5: proxy takes an array",
    );
    serve(
        "[network]\nproxy = [\"::1\",\n \"x\"]\n",
        "FILE:6: invalid value 'x'",
    );
    serve(
        "[network]\nforwarded = 1\n",
        "FILE:5: forwarded takes true or false",
    );
    serve(
        "[network]\nlisten = \"here\"\n",
        "FILE:5: invalid value 'here'",
    );
    serve(
        "[log]\nlog-filter = \"whosaw=loud\"\n",
        "FILE:5: invalid value 'whosaw=loud'",
    );
    serve(
        "[log]\nlog-format = \"xml\"\n",
        "FILE:5: invalid value 'xml'",
    );
    serve("data = \"e\"\n", "FILE:4: duplicate key");
    serve("[limits\n", "FILE:4: ");
    serve("[network]\nforwarded = true\n", "--proxy <IP>");
    refused(
        &WITNESS,
        "clips = \"c\"\n",
        "FILE:4: unknown key clips in [data]",
    );
    refused(
        &WITNESS,
        "[limits]\nrate = 0\n",
        "FILE:5: invalid value '0'",
    );

    let Err(error) = read(&SERVE, "listen = \"127.0.0.1:0\"\n") else {
        panic!("a key outside of its table is taken");
    };
    assert!(
        error.contains("FILE:1: the key listen belongs in the table [network]"),
        "{error}"
    );
    let Err(error) = read(&SERVE, "") else {
        panic!("no data folder");
    };
    assert!(error.contains("--data <DIR>"), "{error}");
    let line = ["whosaw", "serve", "--config", "/nowhere/whosaw.toml"];
    let Err(error) = CommandLine::new(line.map(OsString::from)).read() else {
        panic!("no file");
    };
    assert!(
        error.to_string().contains("/nowhere/whosaw.toml"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 2);
}

/// The example's keys are options with their defaults: uncommented, they change nothing.
#[test]
fn the_example_has_every_key_with_its_default() {
    for command in [&SERVE[..], &WITNESS] {
        let words = command.iter().chain(&["--print-config"]);
        let line = CommandLine::new(words.map(OsString::from));
        let example = line.example().unwrap().unwrap();
        let required = "[data]\ndata = \"d\"\nlog = [\"l\"]\n";
        let required = match command.len() {
            2 => required.rsplit_once("log").unwrap().0,
            _ => required,
        };
        let defaults = read(command, required).unwrap();
        let mut text = String::new();
        let mut keys = 0;
        for line in example.lines() {
            let Some((key, value)) = line.strip_prefix('#').and_then(|l| l.split_once(" = "))
            else {
                text += &format!("{line}\n");
                continue;
            };
            if key.starts_with(' ') {
                continue;
            }
            keys += 1;
            let is_placeholder = value
                .trim_start_matches(['[', '"'])
                .starts_with(char::is_uppercase);
            text += &match (key, is_placeholder) {
                ("data", _) => "data = \"d\"\n".to_owned(),
                ("log", _) => "log = [\"l\"]\n".to_owned(),
                (_, true) => String::new(),
                (_, false) => format!("{key} = {value}\n"),
            };
        }
        assert!(keys > 8, "{example}");
        let read = read(command, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(read.values, defaults.values, "{text}");
    }
}

/// Options without a heading would be missing in the file.
#[test]
fn every_option_of_a_server_is_a_key() {
    for command in [&SERVE[..], &WITNESS] {
        let words: Vec<OsString> = command.iter().map(OsString::from).collect();
        let server = Server::find(&words).unwrap();
        let without = server
            .command
            .get_arguments()
            .filter(|arg| arg.get_help_heading().is_none());
        let without: Vec<_> = without.map(key_of).collect();
        assert_eq!(without, ["config", "print-config", "help"]);
    }
}

/// A pipe would be waited for, and a device never ends.
#[test]
fn a_file_is_regular_and_small() {
    let refused = |path: &Path, says: &str| {
        let words = SERVE.iter().map(OsString::from);
        let line = CommandLine::new(words.chain(["--config".into(), path.into()]));
        let Err(error) = line.read() else {
            panic!("{} is read", path.display());
        };
        let expected = format!("{}: {says}", path.display());
        assert!(error.to_string().contains(&expected), "{error}");
    };
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [&pipe, Path::new("/dev/zero"), folder.path()] {
        refused(path, "this is not a regular file");
    }
    let large = folder.path().join("large");
    let size = usize::try_from(MAX_FILE).unwrap();
    std::fs::write(&large, "#".repeat(size + 1)).unwrap();
    refused(&large, "the file is larger than 1048576 bytes");
    read(&[&SERVE[..], &["--data", "d"]].concat(), &"#".repeat(size)).unwrap();
}

#[test]
fn an_example_is_printed_for_a_line_without_faults_alone() {
    let example = |words: &[&str]| {
        let words = SERVE.iter().chain(&["--print-config"]).chain(words);
        CommandLine::new(words.map(OsString::from)).example()
    };
    assert!(example(&[]).unwrap().is_some());
    for wrong in ["--nonsense", "--rate=x", "word"] {
        assert!(example(&[wrong]).is_err(), "{wrong}");
    }
}
