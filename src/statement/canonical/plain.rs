//! The fast way through canonical JSON: objects as nearly every statement has them, read into
//! structures without a tree of values between.
//!
//! It takes a part of what [`parse`](super::parse) takes, and says nothing of the rest: whoever gets
//! `None` asks there. In that part bytes are canonical by their shape alone: members ascend, nothing
//! is escaped, names are ASCII, numbers are integers within ±(2⁵³−1), and nothing is `null`.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde_json::value::RawValue;

use super::MAX_INTEGER;

/// A member's name, and its value as it is written.
pub type Member<'a> = (&'a str, &'a str);

/// Nesting that is followed; no statement has as much.
const MAX_DEPTH: usize = 16;

/// The members of an object, which must ascend.
pub fn members(bytes: &[u8]) -> Option<Vec<Member<'_>>> {
    let members = members_in_any_order(bytes)?;
    let ascend = members.is_sorted_by(|(one, _), (next, _)| one < next);
    ascend.then_some(members)
}

fn members_in_any_order(bytes: &[u8]) -> Option<Vec<Member<'_>>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut reader = Reader { rest: text };
    let mut members = Vec::with_capacity(16);
    reader.object(MAX_DEPTH, &mut |member| {
        members.push(member);
        Some(())
    })?;
    reader.rest.is_empty().then_some(members)
}

/// The structure that has exactly these members, in exactly this spelling: serde would also read an
/// array for a structure, `null` for a member left out, or whatever else a type is lenient about.
///
/// It takes less long where the structures within this one have their members declared in ascending
/// order.
pub fn structure<T: Serialize + DeserializeOwned>(found: &[Member<'_>]) -> Option<T> {
    let raw = found.iter().copied().map(raw).collect::<Option<Vec<_>>>()?;
    let structure = T::deserialize(MapDeserializer::new(raw.into_iter())).ok()?;
    (as_declared(&structure, found) || members(&super::to_vec(&structure))? == found)
        .then_some(structure)
}

/// Whether these members are what serde writes, but for their order.
fn as_declared(structure: &impl Serialize, found: &[Member<'_>]) -> bool {
    let written = serde_json::to_vec(structure).unwrap_or_default();
    members_in_any_order(&written).is_some_and(|mut members| {
        members.sort_unstable();
        members == found
    })
}

fn raw<'a>((name, value): Member<'a>) -> Option<(&'a str, &'a RawValue)> {
    Some((name, serde_json::from_str(value).ok()?))
}

/// A text, of which the beginning is read.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    fn take(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    /// The next `length` bytes.
    fn take_bytes(&mut self, length: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => self.inner_object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b'-' | b'0'..=b'9' => self.integer(),
            b't' => self.take("true"),
            b'f' => self.take("false"),
            _ => None,
        }
    }

    fn inner_object(&mut self, depth: usize) -> Option<()> {
        let mut last = "";
        self.object(depth, &mut |(name, _)| {
            let ascends = last < name;
            last = name;
            ascends.then_some(())
        })
    }

    /// Tells each member to `member`, which stops it by `None`.
    fn object(
        &mut self,
        depth: usize,
        member: &mut dyn FnMut(Member<'a>) -> Option<()>,
    ) -> Option<()> {
        self.take("{")?;
        let mut first = true;
        while self.peek()? != b'}' {
            if !first {
                self.take(",")?;
            }
            first = false;
            let name = self.string()?;
            self.take(":")?;
            let before = self.rest;
            self.value(depth)?;
            if !name.is_ascii() {
                return None;
            }
            let length = before.len().checked_sub(self.rest.len())?;
            member((name, before.get(..length)?))?;
        }
        self.take("}")
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.take("[")?;
        let mut first = true;
        while self.peek()? != b']' {
            if !first {
                self.take(",")?;
            }
            first = false;
            self.value(depth)?;
        }
        self.take("]")
    }

    /// The text between quotes.
    fn string(&mut self) -> Option<&'a str> {
        self.take("\"")?;
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        let length = self.rest.as_bytes().iter().position(special)?;
        let text = self.take_bytes(length)?;
        self.take("\"")?;
        Some(text)
    }

    fn integer(&mut self) -> Option<()> {
        /// Digits of the largest.
        const MOST: usize = 16;
        let negative = self.take("-").is_some();
        let digits = self.rest.bytes();
        let length = digits.take_while(u8::is_ascii_digit).count();
        let leading_zero = self.peek() == Some(b'0') && (length > 1 || negative);
        if length == 0 || length > MOST || leading_zero {
            return None;
        }
        // Zero alone has no sign, and the largest are as far from zero on both sides.
        let number: i64 = self.take_bytes(length)?.parse().ok()?;
        (number <= MAX_INTEGER).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-5..5_i64).prop_map(Value::from),
            "[a-zé\"\\\\\n]{0,4}".prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-zé]{1,3}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn what_nobody_spells_otherwise_is_taken() {
        let text = r#"{"a":-1,"b":[0,true,false,{"c":"d","e":"é"}],"f":9007199254740991}"#;
        let members = members(text.as_bytes()).unwrap();
        assert_eq!(members[0], ("a", "-1"));
        assert_eq!(members[2], ("f", "9007199254740991"));
    }

    #[test]
    fn everything_else_is_left_to_those_who_explain() {
        for text in [
            r#"{"a":null}"#,
            r#"{"a":-0}"#,
            r#"{"a":01}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e2}"#,
            r#"{"a":-}"#,
            r#"{"a":9007199254740992}"#,
            r#"{"a":-9007199254740992}"#,
            r#"{"a":"\u0041"}"#,
            r#"{"b":1,"a":1}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"c":1,"b":1}}"#,
            r#"{"a": 1}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[,1]}"#,
            r#"{"a":1}}"#,
            r#"{"a":1"#,
            r#"{"a"}"#,
            r#"{"é":1}"#,
            r#"{"a":tru}"#,
            r#"["a"]"#,
            "{\"a\":\"\n\"}",
            "",
        ] {
            assert_eq!(members(text.as_bytes()), None, "{text}");
        }
        let deep = |depth| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(members(deep(MAX_DEPTH).as_bytes()).is_some());
        assert_eq!(members(deep(100_000).as_bytes()), None);
    }

    #[test]
    fn a_structure_has_one_spelling() {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Pair {
            a: (u8, u8),
            #[serde(default, skip_serializing_if = "Option::is_none")]
            b: Option<Inner>,
        }
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct Inner {
            c: u8,
        }
        let read = |text: &'static str| structure::<Pair>(&members(text.as_bytes()).unwrap());
        let pair = Pair {
            a: (1, 2),
            b: Some(Inner { c: 3 }),
        };
        assert_eq!(read(r#"{"a":[1,2],"b":{"c":3}}"#), Some(pair));
        assert_eq!(read(r#"{"a":[1,2],"b":[3]}"#), None);
        assert_eq!(read(r#"{"a":[1,2],"b":{"c":3,"d":4}}"#), None);
        assert_eq!(read(r#"{"a":[1,2],"z":3}"#), None);
        assert_eq!(read(r#"{"b":{"c":3}}"#), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]
        #[test]
        fn whatever_is_taken_is_canonical(value in value(), flip in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut bytes = super::super::to_vec(&json!({ "a": value }));
            if let Some(members) = members(&bytes) {
                prop_assert_eq!(members.len(), 1);
                prop_assert!(super::super::parse(&bytes).is_ok());
            }
            let place = flip.index(bytes.len());
            bytes[place] = to;
            if members(&bytes).is_some() {
                prop_assert!(super::super::parse(&bytes).is_ok());
            }
        }
    }
}
