//! Days that pass for real programs: the calendar's clock is put forward, and all others run on.

use std::process::Command;

use super::{Ledger, Ran, whosaw_at};

/// When programs believe to run: now, or some days from now, by what they are given to load.
#[derive(Default)]
pub struct Days(Vec<(&'static str, String)>);

impl Days {
    /// What is put into a program's environment.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.0.iter().cloned()
    }
}

impl Ledger {
    /// Sets the time of day of whatever is started from now on so many seconds ahead.
    pub fn set_ahead(&mut self, seconds: i64) {
        let source = self.path("days.c");
        let library = self.file("days.so");
        if !self.path("days.so").exists() {
            std::fs::write(&source, include_str!("days.c")).unwrap();
            let built = Command::new("cc")
                .args(["-shared", "-fPIC", "-O1", "-o", &library])
                .arg(&source)
                .status();
            assert!(built.unwrap().success(), "a C compiler");
        }
        self.days = Days(vec![
            ("LD_PRELOAD", library),
            ("WHOSAW_TEST_SECONDS", seconds.to_string()),
        ]);
    }

    /// Lets so many days pass for the server, the witnesses, and all that [`Ledger::run`] runs.
    pub fn pass_days(&mut self, days: u32) {
        self.set_ahead(i64::from(days) * 86_400);
        self.take_server().kill();
        for place in 0..self.witnesses.len() {
            let listened = self.kill_witness(place);
            self.start_witness(place, &listened);
        }
        self.serve();
    }

    /// Runs `whosaw` on the ledger's day.
    pub fn run(&self, args: &[&str]) -> Ran {
        whosaw_at(&self.days, args)
    }
}
