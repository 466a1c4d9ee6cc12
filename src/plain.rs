//! What plain sentences have in common.

use std::fmt::Display;

/// A thing in the number that `n` of it need.
pub fn inflect(n: u64, thing: &str) -> String {
    match thing {
        _ if n == 1 => thing.to_owned(),
        _ if thing.ends_with("ch") => format!("{thing}es"),
        _ => match thing.strip_suffix('y') {
            Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
            _ => format!("{thing}s"),
        },
    }
}

/// `n` of a thing, such as `1 clip` or `3 entries`.
pub fn count<N: Display + TryInto<u64>>(n: N, thing: &str) -> String {
    let told = n.to_string();
    // What no `u64` can hold is not one.
    format!("{told} {}", inflect(n.try_into().unwrap_or(0), thing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_counted_as_people_say_it() {
        assert_eq!(count(1u64, "clip"), "1 clip");
        assert_eq!(count(0usize, "clip"), "0 clips");
        assert_eq!(count(2u32, "batch"), "2 batches");
        assert_eq!(count(2u32, "entry"), "2 entries");
        assert_eq!(count(2u32, "day"), "2 days");
        assert_eq!(count(1u32, "new entry"), "1 new entry");
    }
}
