//! RFC 8785 (JCS) as statements use it: parse bytes that are already canonical, or refuse them.
//!
//! Comparing the bytes with their own canonical form catches duplicate keys (in maps too), loose
//! spelling and trailing bytes at once. Numbers are integers within ±(2⁵³−1), so that no reader's
//! floating point can change what was signed.
//!
//! What this module reads and explains slowly, `plain` reads fast where nothing is amiss.

pub(super) mod plain;

use serde::Serialize;
use serde_json::Value;

use super::refusal::{Reason, Refusal};
use super::sealed::UniqueMembers;

/// The largest integer that every JSON reader holds exactly.
pub const MAX_INTEGER: i64 = (1 << 53) - 1;

/// The canonical bytes of a value of this crate's own types.
pub fn to_vec(value: &impl Serialize) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("own types have string keys and integers")
}

/// Parses canonical JSON; refuses any other spelling of the same value.
pub fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    let UniqueMembers(value) = serde_json::from_slice(bytes).map_err(|e| {
        let reason = if e.is_data() {
            Reason::NotCanonical
        } else {
            Reason::NotJson
        };
        Refusal::new(reason, "", e.to_string())
    })?;
    if let Some(member) = inexact_number(&value) {
        return Err(Refusal::new(
            Reason::BadValue,
            member,
            "numbers are integers within ±(2^53-1)",
        ));
    }
    if to_vec(&value) != bytes {
        return Err(Refusal::new(
            Reason::NotCanonical,
            "",
            "the bytes differ from their RFC 8785 form: sort members, leave out white space, \
             write each member once",
        ));
    }
    Ok(value)
}

/// Where a number stands that readers may see differently, as a JSON Pointer.
fn inexact_number(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => {
            let exact = |n| (-MAX_INTEGER..=MAX_INTEGER).contains(&n);
            (!number.as_i64().is_some_and(exact)).then(String::new)
        }
        Value::Array(items) => items.iter().enumerate().find_map(|(i, item)| {
            let below = inexact_number(item)?;
            Some(format!("/{i}{below}"))
        }),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let below = inexact_number(value)?;
            Some(format!("/{}{below}", super::escaped(name)))
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(bytes: &[u8]) -> Reason {
        parse(bytes).unwrap_err().reason
    }

    #[test]
    fn only_the_canonical_spelling_is_read() {
        assert!(parse(br#"{"a":1,"b":[true,null,"x"]}"#).is_ok());
        assert_eq!(reason(br#"{"b":1,"a":1}"#), Reason::NotCanonical);
        assert_eq!(reason(br#"{"a": 1}"#), Reason::NotCanonical);
        assert_eq!(reason(br#"{"a":1,"a":1}"#), Reason::NotCanonical);
        assert_eq!(reason(br#"{"a":{"b":1,"b":2}}"#), Reason::NotCanonical);
        assert_eq!(reason(br#"{"a":"\u0041"}"#), Reason::NotCanonical);
        assert_eq!(reason(br#"{"a":-0}"#), Reason::BadValue);
        assert_eq!(reason(br#"{"a":1.0}"#), Reason::BadValue);
        assert_eq!(reason(br#"{"a":9007199254740992}"#), Reason::BadValue);
        assert_eq!(reason(br#"{"a":1}x"#), Reason::NotJson);
        assert_eq!(reason(&[b'['; 100_000]), Reason::NotJson);
        // serde_json's own `Value` would read the text as JSON, with a nesting of its own again.
        let text = br#"{"$serde_json::private::RawValue":"[1]"}"#;
        assert!(parse(text).is_ok_and(|value| value.is_object()));
        let fault = parse(br#"{"a":{"b/c":[0,1.5]}}"#).unwrap_err();
        assert_eq!(fault.member, "/a/b~1c/1");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn what_is_written_is_read_and_a_flipped_bit_never_reads_as_the_same(
            keys in proptest::collection::btree_map("[a-z]{1,6}", -MAX_INTEGER..=MAX_INTEGER, 1..6),
            flip in any::<proptest::sample::Index>(), bit in 0..8,
        ) {
            let bytes = to_vec(&keys);
            let value = parse(&bytes).unwrap();
            let mut altered = bytes.clone();
            altered[flip.index(bytes.len())] ^= 1u8 << bit;
            if let Ok(other) = parse(&altered) {
                prop_assert_ne!(other, value);
            }
        }
    }
}
