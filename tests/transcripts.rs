//! Golden transcripts: what commands print. `TRYCMD=overwrite cargo test --test transcripts` writes
//! them anew.

#[test]
fn commands_print_what_the_transcripts_say() {
    trycmd::TestCases::new()
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .case("tests/transcripts/*.md");
}

/// `whosaw … | head` is no fault: what nobody reads is not printed, and the work is done.
#[test]
fn a_reader_who_has_read_enough_stops_no_command() {
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
        assert_eq!((ran.status.code(), &*said), (Some(0), ""), "{args:?}");
    }
    assert!(home.join("keys").exists());
}
