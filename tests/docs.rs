//! What the documents say of the tree is so.

use std::collections::BTreeSet;
use std::path::Path;

use clap::ValueEnum as _;
use whosaw::record::findings::FindingCode;
use whosaw::record::report::Why;

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The source of every Rust file below a folder.
fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

fn tree() -> String {
    let mut all = String::new();
    for folder in ["src", "tests"] {
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut all,
        );
    }
    all
}

/// What stands in backquotes in the last cell of each row of a document's tables.
fn last_cells(document: &str) -> BTreeSet<String> {
    let rows = document
        .lines()
        .filter(|line| line.starts_with("| ") && line.ends_with(" |"));
    let cells = rows.filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    cells
        .flat_map(|cell| {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Whether there is such a function, or such a case among those that the rules refuse.
fn is_test(tree: &str, name: &str) -> bool {
    tree.contains(&format!("fn {name}(")) || tree.contains(&format!("\n    {name}: "))
}

#[test]
fn every_test_that_the_threats_name_exists() {
    let tree = tree();
    let named = last_cells(&text("docs/THREATS.md"));
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !is_test(&tree, name)).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

#[test]
fn every_function_and_test_of_the_promise_exists() {
    let tree = tree();
    let document = text("docs/ARCHITECTURE.md");
    let promise = document
        .split("## The promise")
        .nth(1)
        .expect("the section is there");
    let named = last_cells(promise);
    assert!(named.len() > 5, "{named:?}");
    for row in promise
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'))
    {
        for name in row.split('`').skip(1).step_by(2) {
            let function = name.rsplit("::").next().unwrap();
            assert!(
                tree.contains(&format!("fn {function}")),
                "no such function: {name}"
            );
        }
    }
}

#[test]
fn every_reason_is_in_the_protocol() {
    let protocol = text("docs/PROTOCOL.md");
    for reason in whosaw::statement::refusal::Reason::ALL {
        let code = reason.code();
        assert!(
            protocol.contains(&format!("`{code}`")),
            "{code} is not documented"
        );
    }
}

/// Door rules are played against a server, the others in the rules' own tests.
#[test]
fn every_door_rule_and_every_finding_has_a_test() {
    use whosaw::statement::refusal::{Class, Reason};
    let mut played = String::new();
    for folder in ["tests/it", "tests/gate"] {
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut played,
        );
    }
    let door = Reason::ALL.iter().filter(|r| r.class() == Class::Door);
    let never: Vec<&str> = door
        .map(|r| r.code())
        .filter(|code| !played.contains(code))
        .collect();
    assert_eq!(never, Vec::<&str>::new());
    let mut tests = text("src/record/findings/tests.rs");
    tests += &text("src/record/findings/tests/others.rs");
    let codes = FindingCode::value_variants().iter();
    let never: Vec<_> = codes
        .filter(|code| !tests.contains(&format!("{code:?}")))
        .collect();
    assert_eq!(never, Vec::<&FindingCode>::new());
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in [
        "README.md",
        "docs/TOUR.md",
        "docs/GLOSSARY.md",
        "docs/ARCHITECTURE.md",
        "docs/THREATS.md",
        "docs/OPERATIONS.md",
        "docs/REPORTS.md",
    ] {
        let folder = root.join(document);
        let folder = folder.parent().unwrap();
        for target in text(document)
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap_or_default();
            if !target.contains("://") {
                assert!(folder.join(file).exists(), "{document} links to {target}");
            }
        }
    }
}

#[test]
fn every_finding_stands_in_the_protocol_in_order() {
    let protocol = text("docs/PROTOCOL.md");
    let (_, section) = protocol.split_once("## 11. Findings").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let told: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let codes = FindingCode::value_variants().iter();
    let mut codes: Vec<&str> = codes.map(|code| code.code()).collect();
    assert!(codes.len() > 30);
    assert_eq!(told.len(), codes.len());
    codes.sort_by_key(|code| told.iter().position(|row| row == code).unwrap());
    assert_eq!(told, codes);
    let titles: BTreeSet<&str> = FindingCode::value_variants()
        .iter()
        .map(|code| code.title())
        .collect();
    assert_eq!(titles.len(), codes.len(), "each says something else");
}

#[test]
fn every_reason_why_the_log_cannot_know_is_documented() {
    let reports = text("docs/REPORTS.md");
    let (_, section) = reports.split_once("## What the log cannot know").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let told = rows.filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    let mut told: Vec<&str> = told.skip(1).collect();
    let mut reasons: Vec<&str> = Why::ALL.iter().map(|why| why.sentence()).collect();
    assert!(reasons.len() > 15);
    told.sort_unstable();
    reasons.sort_unstable();
    assert_eq!(told, reasons);
}

/// `whosaw serve --print-config` has every option with its default; a placeholder or `false` is none.
#[test]
fn the_operations_have_every_option_of_the_server_with_its_default() {
    let program = env!("CARGO_BIN_EXE_whosaw");
    let ran = std::process::Command::new(program)
        .args(["serve", "--print-config"])
        .output()
        .unwrap();
    let example = String::from_utf8(ran.stdout).unwrap();
    let keys = example.lines().filter_map(|line| {
        let (key, value) = line.strip_prefix('#')?.split_once(" = ")?;
        let value = value.trim_matches('"');
        let none =
            value == "false" || value.starts_with('[') || value.starts_with(char::is_uppercase);
        let value = if none { "–" } else { value };
        (!key.starts_with(' ')).then(|| (format!("--{key}"), value.to_owned()))
    });
    let keys: Vec<_> = keys.collect();
    assert!(keys.len() > 20, "{example}");
    let operations = text("docs/OPERATIONS.md");
    let rows = operations.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `--")?.split(" | ");
        let name = cells.next()?.trim_end_matches('`');
        let default = cells.next()?.trim_matches('`');
        let default = default.split([' ', '/']).next()?;
        Some((format!("--{name}"), default.to_owned()))
    });
    assert_eq!(rows.collect::<Vec<_>>(), keys);
}

/// No container is built in tests: its file names a toolchain, files, options and a program that are there.
#[test]
fn the_dockerfile_fits_the_source() {
    let file = text("contrib/Dockerfile");
    let lines: Vec<&str> = file.lines().collect();
    let manifest = text("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let version = version.unwrap().trim_matches('"');
    assert!(file.contains(&format!("FROM rust:{version}-")), "{version}");
    let build = "cargo build --release --locked";
    assert!(file.contains(&format!("RUN {build}")) && text(".ci/package").contains(build));
    assert!(text(".dockerignore").lines().any(|line| line == "target"));

    let installed = "/usr/bin/whosaw";
    assert!(manifest.contains("default-run = \"whosaw\""));
    assert!(
        lines.contains(
            &format!("COPY --from=build /src/target/release/whosaw {installed}").as_str()
        )
    );
    assert!(lines.contains(&format!("ENTRYPOINT [\"{installed}\"]").as_str()));
    let licences = lines
        .iter()
        .find_map(|line| line.strip_prefix("COPY LICENSE-MIT "));
    let (others, _folder) = licences.unwrap().rsplit_once(' ').unwrap();
    for name in std::iter::once("LICENSE-MIT").chain(others.split(' ')) {
        text(name);
    }

    // Who runs it owns the volume, where its commands put the ledger.
    let home = "/var/lib/whosaw";
    assert!(file.contains(&format!("--home-dir {home} whosaw && chmod 700 {home}")));
    assert!(lines.contains(&"USER whosaw") && lines.contains(&format!("VOLUME {home}").as_str()));
    let help = text("tests/transcripts/help.md");
    let serve = help.split("$ whosaw serve --help").nth(1).unwrap();
    let serve = serve.split("```").next().unwrap();
    let (_, command) = file.split_once("whosaw serve ").unwrap();
    let command = command.split("# The ledger").next().unwrap();
    let options: Vec<&str> = command
        .split_whitespace()
        .filter(|word| word.starts_with("--"))
        .collect();
    assert!(options.len() > 3, "{command}");
    for option in options {
        assert!(
            serve.contains(&format!("{option} ")) || serve.contains(&format!("{option}\n")),
            "{option}"
        );
    }
    assert!(
        command.contains(&format!("--data {home}/")) && command.contains("--listen 0.0.0.0:8080")
    );
    assert!(lines.contains(&"EXPOSE 8080") && lines.contains(&"STOPSIGNAL SIGTERM"));
}
