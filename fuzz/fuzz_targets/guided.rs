//! The same targets under libFuzzer, which is guided by coverage. `FUZZ_TARGET` names one.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use whosaw_fuzz::{Target, target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    target(&name).expect("FUZZ_TARGET is one of the targets")
});

fuzz_target!(|input: &[u8]| {
    (TARGET.check)(input);
});
