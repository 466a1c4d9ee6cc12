//! Golden transcripts: what commands print. `TRYCMD=overwrite cargo test --test transcripts` writes
//! them anew.

#[test]
fn commands_print_what_the_transcripts_say() {
    trycmd::TestCases::new()
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .case("tests/transcripts/*.md");
}

/// `whosaw … | true`: the work is done, and the exit code says that the answer was not read.
#[test]
fn a_reader_who_hangs_up_stops_no_command() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("witness");
    let init = ["witness", "init", "--name", "w.example", "--data"];
    let init = [&init[..], &[home.to_str().unwrap()]].concat();
    for args in [
        &["operator", "say", "--data", ".", "--server", "x"][..],
        &init,
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_whosaw"))
            .args(args)
            .stdout(writer)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{args:?}: {said}");
        assert!(
            said.starts_with("error: standard output: "),
            "{args:?}: {said}"
        );
    }
    assert!(home.join("keys").exists());
}
