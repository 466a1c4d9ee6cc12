//! The one DNS question that is asked here, and its reply: the TXT records of a name (RFC 1035).
//!
//! A resolver follows aliases and answers for the whole chain; here the chain is walked in its
//! reply. Whoever is not the resolver may send packets too: a reply counts only if it repeats the id and
//! the question.

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use simple_dns::{OPCODE, header_buffer};

/// Bytes before the question.
const HEADER: usize = 12;
/// The most aliases that are followed.
const MAX_ALIASES: usize = 8;

/// What a resolver says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The name's TXT records, each the bytes of its strings one after another; none if there is
    /// no such name.
    Records(Vec<Vec<u8>>),
    /// There is more than fits: ask by TCP.
    Truncated,
    /// It does not know, and says so with this code.
    Failed(String),
}

/// The name is too long for DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name is too long for DNS")]
pub struct NameTooLong;

/// The bytes are no reply to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no reply to the question")]
pub struct NotTheReply;

/// Asks a resolver for the TXT records of `name`. Without EDNS: a reply beyond 512 bytes comes by TCP.
///
/// # Errors
/// [`NameTooLong`] beyond 255 bytes as DNS writes it.
pub fn query(id: u16, name: &str) -> Result<Vec<u8>, NameTooLong> {
    let name = Name::new(name).map_err(|_| NameTooLong)?;
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(question(name));
    packet.build_bytes_vec().map_err(|_| NameTooLong)
}

fn question(name: Name<'_>) -> Question<'_> {
    Question::new(
        name,
        QTYPE::TYPE(TYPE::TXT),
        QCLASS::CLASS(CLASS::IN),
        false,
    )
}

/// Reads the reply to [`query`].
///
/// # Errors
/// [`NotTheReply`]: another id, another question, or no DNS message. Such a packet is to be passed
/// over, not believed to be a failure: anyone may have sent it.
pub fn reply(bytes: &[u8], id: u16, name: &str) -> Result<Reply, NotTheReply> {
    let flag = |flag| header_buffer::has_flags(bytes, flag) == Ok(true);
    if header_buffer::id(bytes) != Ok(id) || !flag(PacketFlag::RESPONSE) {
        return Err(NotTheReply);
    }
    // What is cut off need not be readable, but for the question.
    if flag(PacketFlag::TRUNCATION) {
        let asked = query(id, name).map_err(|_| NotTheReply)?;
        let question = HEADER..asked.len();
        return match bytes.get(question.clone()) == asked.get(question) {
            true => Ok(Reply::Truncated),
            false => Err(NotTheReply),
        };
    }
    let packet = Packet::parse(bytes).map_err(|_| NotTheReply)?;
    let name = Name::new(name).map_err(|_| NotTheReply)?;
    if packet.opcode() != OPCODE::StandardQuery || !repeats(&packet, &name) {
        return Err(NotTheReply);
    }
    match packet.rcode() {
        RCODE::NoError | RCODE::NameError => Ok(Reply::Records(records(&packet, name))),
        code => Ok(Reply::Failed(format!("{code:?}"))),
    }
}

fn repeats(packet: &Packet<'_>, name: &Name<'_>) -> bool {
    let [asked] = packet.questions.as_slice() else {
        return false;
    };
    let expected = question(name.clone());
    asked.qname == *name && asked.qtype == expected.qtype && asked.qclass == expected.qclass
}

/// The TXT records at the end of the chain of aliases that begins with `name`.
fn records(packet: &Packet<'_>, mut name: Name<'_>) -> Vec<Vec<u8>> {
    for _ in 0..MAX_ALIASES {
        let of_name = |record: &&simple_dns::ResourceRecord<'_>| {
            record.class == CLASS::IN && record.name == name
        };
        let mut found = packet.answers.iter().filter(of_name);
        let alias = found.find_map(|record| match &record.rdata {
            RData::CNAME(alias) => Some(alias.0.clone().into_owned()),
            _ => None,
        });
        let Some(alias) = alias else {
            let found = packet.answers.iter().filter(of_name);
            return found.filter_map(|record| text(&record.rdata)).collect();
        };
        name = alias;
    }
    Vec::new()
}

fn text(rdata: &RData<'_>) -> Option<Vec<u8>> {
    let RData::TXT(txt) = rdata else {
        return None;
    };
    // Records that are no text are none of ours.
    String::try_from(txt.clone()).ok().map(String::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::{CNAME, TXT};

    const NAME: &str = "_whosaw.lakelandgov.example";

    fn txt(name: &str, strings: &[&str]) -> ResourceRecord<'static> {
        let mut txt = TXT::new();
        for string in strings {
            txt.add_string(string).unwrap();
        }
        record(name, RData::TXT(txt))
    }

    fn record(name: &str, rdata: RData<'_>) -> ResourceRecord<'static> {
        ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, 60, rdata).into_owned()
    }

    fn alias(name: &str, to: &str) -> ResourceRecord<'static> {
        record(name, RData::CNAME(CNAME(Name::new(to).unwrap())))
    }

    fn answer(
        records: Vec<ResourceRecord<'static>>,
        adapt: impl FnOnce(&mut Packet<'_>),
    ) -> Vec<u8> {
        let mut packet = Packet::new_reply(7);
        packet.questions.push(question(Name::new(NAME).unwrap()));
        packet.answers = records;
        adapt(&mut packet);
        packet.build_bytes_vec_compressed().unwrap()
    }

    fn read(records: Vec<ResourceRecord<'static>>) -> Result<Reply, NotTheReply> {
        reply(&answer(records, |_| {}), 7, NAME)
    }

    fn texts(texts: &[&str]) -> Result<Reply, NotTheReply> {
        let bytes = texts.iter().map(|text| text.as_bytes().to_vec());
        Ok(Reply::Records(bytes.collect()))
    }

    /// RFC 1035, 4.1, written out.
    #[test]
    fn a_question_has_its_bytes() {
        let head = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let expected = [&head[..], b"\x07_whosaw\x01a\x07example\0", &[0, 16, 0, 1]].concat();
        assert_eq!(query(0x1234, "_whosaw.a.example"), Ok(expected));
        let labels = |n: usize| format!("{}example", "a.".repeat(n));
        assert!(query(1, &labels(123)).is_ok());
        assert_eq!(query(1, &labels(124)), Err(NameTooLong));
    }

    #[test]
    fn records_are_those_of_the_name() {
        let two = vec![
            txt(NAME, &["a", "b"]),
            txt("b.example", &["x"]),
            txt(NAME, &["c"]),
        ];
        assert_eq!(read(two), texts(&["ab", "c"]));
        assert_eq!(read(vec![]), texts(&[]));
        let upper = vec![txt("_WHOSAW.lakelandgov.EXAMPLE", &["a"])];
        assert_eq!(read(upper), texts(&["a"]));
        let none = answer(vec![], |packet| *packet.rcode_mut() = RCODE::NameError);
        assert_eq!(reply(&none, 7, NAME), texts(&[]));
        let mut other_class = txt(NAME, &["a"]);
        other_class.class = CLASS::CH;
        assert_eq!(read(vec![other_class]), texts(&[]));
    }

    #[test]
    fn aliases_are_followed_to_their_end() {
        let chain = vec![
            txt("b.example", &["found"]),
            alias("a.example", "b.example"),
            alias(NAME, "a.example"),
            txt("c.example", &["another's"]),
        ];
        assert_eq!(read(chain), texts(&["found"]));
        let round = vec![alias(NAME, "a.example"), alias("a.example", NAME)];
        assert_eq!(read(round), texts(&[]));
        let next = |i| alias(&format!("{i}.example"), &format!("{}.example", i + 1));
        let long = (0..9).map(next);
        let long = long.chain([alias(NAME, "0.example"), txt("9.example", &["far"])]);
        assert_eq!(read(long.collect()), texts(&[]));
    }

    #[test]
    fn what_is_no_reply_is_passed_over() {
        let good = answer(vec![txt(NAME, &["a"])], |_| {});
        assert_eq!(reply(&good, 8, NAME), Err(NotTheReply));
        assert_eq!(reply(&good, 7, "_whosaw.other.example"), Err(NotTheReply));
        assert_eq!(reply(&query(7, NAME).unwrap(), 7, NAME), Err(NotTheReply));
        assert_eq!(reply(b"", 7, NAME), Err(NotTheReply));
        let unasked = answer(vec![txt(NAME, &["a"])], |packet| packet.questions.clear());
        assert_eq!(reply(&unasked, 7, NAME), Err(NotTheReply));
        let twice = answer(vec![], |packet| {
            packet.questions.push(packet.questions[0].clone());
        });
        assert_eq!(reply(&twice, 7, NAME), Err(NotTheReply));
        let other_type = answer(vec![], |packet| {
            packet.questions[0].qtype = QTYPE::TYPE(TYPE::A);
        });
        assert_eq!(reply(&other_type, 7, NAME), Err(NotTheReply));
    }

    #[test]
    fn who_does_not_know_says_so() {
        for code in [RCODE::ServerFailure, RCODE::Refused, RCODE::FormatError] {
            let failed = answer(vec![], |packet| *packet.rcode_mut() = code);
            assert_eq!(
                reply(&failed, 7, NAME),
                Ok(Reply::Failed(format!("{code:?}")))
            );
        }
        let cut = answer(vec![txt(NAME, &["abcdef"])], |packet| {
            packet.set_flags(PacketFlag::TRUNCATION);
        });
        let asked = query(7, NAME).unwrap().len();
        for end in asked..=cut.len() {
            assert_eq!(reply(&cut[..end], 7, NAME), Ok(Reply::Truncated));
        }
        assert_eq!(reply(&cut[..asked - 1], 7, NAME), Err(NotTheReply));
        let other = NAME.replace('e', "a");
        assert_eq!(reply(&cut, 7, &other), Err(NotTheReply));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(mut bytes: Vec<u8>, place: usize, value: u8) {
            let _ = reply(&bytes, 7, NAME);
            let good = answer(vec![alias(NAME, "a.example"), txt("a.example", &["a"])], |_| {});
            bytes = good.clone();
            bytes[place % good.len()] = value;
            let _ = reply(&bytes, 7, NAME);
        }
    }
}
