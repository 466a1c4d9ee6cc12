//! Golden transcripts: what commands print. `TRYCMD=overwrite cargo test --test transcripts` writes
//! them anew.

#[test]
fn commands_print_what_the_transcripts_say() {
    trycmd::TestCases::new()
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .case("tests/transcripts/*.md");
}
