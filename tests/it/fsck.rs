//! Damage to a ledger's data: found and named, refused at a start where it must be, mended or not.

use super::ledger::{Ledger, done, signed_benefit, whosaw};

#[test]
fn first_try() {
    let mut ledger = Ledger::start(|_| {});
    ledger.settle();
    let data = ledger.file("operator");
    let running = whosaw(&["log", "fsck", "--data", &data]);
    println!("{:?} {} {}", running.code, running.stdout, running.stderr);
    let vendor = ledger.home("vendor");
    for _ in 0..300 {
        ledger.submit(&signed_benefit(&vendor).to_json());
    }
    ledger.take_server().kill();
    println!("{}", done(&["log", "fsck", "--data", &data]));
    println!(
        "{}",
        done(&["log", "fsck", "--data", &data, "--repair", "--json"])
    );
}
