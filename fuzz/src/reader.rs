//! Everything that a reader does with a log whose members are at their boundaries.
//!
//! The input is a script: the first byte chooses when the log was kept, every three bytes after it
//! put a boundary value into one member of one statement. The statements are those of
//! `tests/vectors`, signed again by their own keys, so that the rules judge more than signatures.

use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use serde_json::Value;
use whosaw::digest::{Digest, StatementId};
use whosaw::ledger::Published;
use whosaw::reader::replay::{self, Admitted};
use whosaw::record::accounts::Account;
use whosaw::record::domains::Domains;
use whosaw::record::findings::{Finding, findings, no_attachments};
use whosaw::record::report::{
    self, Basis, CardKind, Ordinance, Report, annual, card, transparency,
};
use whosaw::record::{Record, Said};
use whosaw::statement::envelope::Envelope;
use whosaw::statement::facts::FactMap;
use whosaw::statement::leaf::Leaf;
use whosaw::statement::parse_payload;
use whosaw::statement::words::Day;
use whosaw::time::{SECS_PER_DAY, Time};
use whosaw::tlog::checkpoint::Checkpoint;
use whosaw::tlog::hash::leaf_hash;
use whosaw::tlog::tree::{LeafIndex, TreeSize};
use whosaw::web::Overview;
use whosaw::web::entry::EntryPage;
use whosaw::web::page::Page;

use crate::known;

/// A statement of the vectors.
struct Row {
    id: String,
    payload: String,
    keys: Vec<SigningKey>,
    logged_at: Time,
}

/// The vectors' log.
static LOG: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let lines = include_str!("../../tests/vectors/statements.jsonl").lines();
    let rows = lines.map(|line| serde_json::from_str(line).expect("a row"));
    rows.filter_map(|row: Value| {
        let leaf = Leaf::parse(row["leaf"].as_str()?.as_bytes()).expect("a leaf");
        let names = row["keys"].as_array().expect("names of keys").iter();
        let key = |name: &Value| {
            let digest = Digest::of(name.as_str().expect("a name"));
            SigningKey::from_bytes(digest.as_bytes())
        };
        Some(Row {
            id: row["id"].as_str()?.to_owned(),
            payload: String::from_utf8(leaf.envelope.payload).expect("JSON"),
            keys: names.map(key).collect(),
            logged_at: leaf.logged_at,
        })
    })
    .collect()
});

/// By how much the log is moved in time: to the ends of the calendar, of 32 bits, and of 1970.
fn offset(choice: u8) -> i64 {
    let (first, last) = (LOG[0].logged_at, LOG[LOG.len() - 1].logged_at);
    match choice % 8 {
        0..=2 => 0,
        3 => Time::LAST.cut_to_hour().seconds_since(last),
        4 => Time::FIRST.seconds_since(first),
        5 => Time::from_unix(0).expect("1970").seconds_since(last),
        6 => {
            Time::from_unix(i64::from(i32::MAX)).map_or(0, |t| t.cut_to_hour().seconds_since(last))
        }
        _ => Time::LAST.cut_to_day().seconds_since(last) - 36_500 * SECS_PER_DAY,
    }
}

/// A time or a day, moved; itself where that leaves the calendar.
fn moved(text: &str, by: i64) -> Option<String> {
    if let Ok(time) = text.parse::<Time>() {
        let moved = time.checked_add_seconds(by).unwrap_or(time);
        return Some(moved.to_string());
    }
    let day = text.parse::<Day>().ok()?;
    let moved = day.checked_add_days(by.div_euclid(SECS_PER_DAY));
    Some(moved.unwrap_or(day).to_string())
}

/// A value at a boundary, of the same kind as `now`.
fn boundary(now: &Value, choice: u8, logged_at: Time) -> Value {
    let days = [
        -36_525, -3653, -30, -8, -1, 0, 1, 2, 7, 30, 3653, 3654, 36_525,
    ];
    let far = |day: bool| match choice % 8 {
        0 => if day {
            "0001-01-01"
        } else {
            "0001-01-01T00:00:00Z"
        }
        .to_owned(),
        1 => if day {
            "9998-12-31"
        } else {
            "9998-12-31T23:00:00Z"
        }
        .to_owned(),
        2 => if day {
            "9999-12-15"
        } else {
            "9999-12-15T00:00:00Z"
        }
        .to_owned(),
        3 => if day {
            "9999-12-31"
        } else {
            "9999-12-31T23:59:59Z"
        }
        .to_owned(),
        _ => {
            let days = days[usize::from(choice / 8) % days.len()];
            let near = Day::of(logged_at).checked_add_days(days);
            let near = near.unwrap_or_else(Day::last);
            if day {
                near.to_string()
            } else {
                near.start().to_string()
            }
        }
    };
    match now {
        Value::String(text) => far(text.len() == "2019-07-31".len()).into(),
        _ => {
            let numbers: [u64; 12] = [
                0,
                1,
                2,
                36_500,
                36_501,
                52_560_000,
                3_153_600_000,
                i32::MAX as u64,
                u64::from(u32::MAX) - 1,
                u64::from(u32::MAX),
                u64::from(u32::MAX) + 1,
                (1 << 53) - 1,
            ];
            numbers[usize::from(choice) % numbers.len()].into()
        }
    }
}

/// Every number, day and time of a payload.
fn members<'v>(value: &'v mut Value, found: &mut Vec<&'v mut Value>) {
    match value {
        Value::Object(members_of) => {
            for (name, member) in members_of {
                if name != "version" {
                    members(member, found);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| members(item, found)),
        Value::String(text) if moved(text, 0).is_some() => found.push(value),
        Value::Number(_) => found.push(value),
        _ => {}
    }
}

/// The leaves of the log that a script makes.
fn written(script: &[u8]) -> Vec<Vec<u8>> {
    let (choice, changes) = script.split_first().unwrap_or((&0, &[]));
    let by = offset(*choice);
    let mut renamed: Vec<(&str, String)> = Vec::new();
    let mut leaves = Vec::new();
    for (i, row) in LOG.iter().enumerate() {
        let logged_at = row
            .logged_at
            .checked_add_seconds(by)
            .unwrap_or(row.logged_at);
        let mut payload = row.payload.clone();
        for (old, new) in &renamed {
            payload = payload.replace(old, new);
        }
        let mut payload: Value = serde_json::from_str(&payload).expect("JSON");
        let mut found = Vec::new();
        members(&mut payload, &mut found);
        for member in &mut found {
            if let Some(moved) = member.as_str().and_then(|text| moved(text, by)) {
                **member = moved.into();
            }
        }
        for change in changes.chunks_exact(3).take(8) {
            if usize::from(change[0]) % LOG.len() == i && !found.is_empty() {
                let at = usize::from(change[1]) % found.len();
                *found[at] = boundary(found[at], change[2], logged_at);
            }
        }
        let payload = payload.to_string();
        let id = StatementId::of_payload(payload.as_bytes()).to_string();
        renamed.push((&row.id, id));
        let envelope = Envelope::sign(payload.into(), &row.keys.iter().collect::<Vec<_>>());
        leaves.push(
            Leaf {
                logged_at,
                envelope,
            }
            .to_bytes(),
        );
    }
    leaves
}

/// What a reader has of a log.
#[derive(Default)]
struct Copy {
    facts: FactMap,
    record: Record,
    domains: Domains,
    overview: Overview,
    leaves: Vec<Leaf>,
    admitted: u64,
    last: Option<Time>,
}

impl Copy {
    /// Replays a log; with `trusting`, what the rules forbid counts too, as the entries of an older
    /// program's ledger would.
    fn read(leaves: &[Vec<u8>], trusting: bool) -> Self {
        let mut copy = Self::default();
        for (index, bytes) in leaves.iter().enumerate() {
            let index = LeafIndex::new(index as u64);
            let origin = known::CHECKPOINTS[0].origin.as_str();
            let read = replay::read(bytes);
            let parsed = Leaf::parse(bytes).ok().and_then(|leaf| {
                let said = parse_payload(&leaf.envelope.payload).ok()?;
                Some((leaf, said))
            });
            let judged = replay::judge(read, origin, index, copy.last, &copy.facts);
            if let Ok(Admitted {
                id,
                logged_at,
                change,
            }) = judged
            {
                copy.facts.apply(id, index, change);
                copy.last = Some(logged_at);
                copy.admitted += 1;
            } else if !trusting {
                continue;
            }
            let Some((leaf, (head, statement))) = parsed else {
                continue;
            };
            copy.domains.read(leaf.logged_at, &statement);
            copy.overview.add(bytes).expect("it was parsed");
            copy.record.read(Said {
                index: index.as_u64(),
                id: StatementId::of_payload(&leaf.envelope.payload),
                logged_at: leaf.logged_at,
                author: head.author,
                statement,
            });
            copy.leaves.push(leaf);
        }
        copy
    }

    fn basis(&self, at: Time) -> Basis {
        Basis {
            origin: known::CHECKPOINTS[0].origin.to_string(),
            size: self.leaves.len() as u64,
            root: leaf_hash(b"root").to_string(),
            at,
            begins: self.record.began(),
            forbidden: 0,
        }
    }

    /// Everything that is shown of it at a time.
    fn show(&self, at: Time) {
        let found = findings(&self.record, at, &no_attachments);
        assert!(self.record.reconciled(at).len() >= self.record.demands().len());
        let agreements = self.record.agreements().len();
        for agreement in (0..agreements).map(Some).chain([None]) {
            Account::of(&self.record, agreement).balances();
        }
        self.reports(at, &found);
        self.pages(at, &found);
    }

    fn reports(&self, at: Time, found: &[Finding]) {
        let mut reports = vec![transparency(&self.record, self.basis(at), None, None)];
        for year in ["0001", "2019", "9998"] {
            let year: report::Year = year.parse().expect("a year");
            let basis = self.basis(at);
            reports.push(transparency(&self.record, basis, Some(year.into()), None));
        }
        for ordinance in [Ordinance::Oakland, Ordinance::SanFrancisco] {
            let basis = self.basis(at);
            reports.push(annual(&self.record, found, basis, ordinance, None, None));
        }
        for (party, _) in self.domains.all() {
            for kind in [CardKind::Agency, CardKind::Vendor] {
                reports.extend(card(&self.record, found, self.basis(at), kind, party));
            }
        }
        reports.iter().for_each(render);
    }

    fn pages(&self, at: Time, found: &[Finding]) {
        let checkpoint = Checkpoint {
            origin: known::CHECKPOINTS[0].origin.clone(),
            size: TreeSize::new(self.leaves.len() as u64),
            root: leaf_hash(b"root"),
        };
        let published = Published {
            note: known::NOTES[1].to_bytes().into(),
            counted: checkpoint.size,
            checkpoint,
            at,
            came: None,
            witnesses: vec![("library".to_owned(), Ok(()))],
        };
        let origin = published.checkpoint.origin.as_str();
        let page = Page::of(&self.overview, origin, Some(&published), &no_attachments);
        assert!(!page.to_string().is_empty());
        for (index, leaf) in self.leaves.iter().enumerate() {
            let (index, size) = (LeafIndex::new(index as u64), self.leaves.len() as u64);
            let page = EntryPage::of(origin, index, leaf, (found, size), &|_| false);
            let page = page.expect("the entry was parsed");
            assert!(!page.to_string().is_empty());
        }
    }
}

/// A report in every form.
fn render(report: &Report) {
    for table in report.tables() {
        report::csv(report, table, true);
    }
    report::csv_about(report);
    report::markdown(report, true);
    assert!(report::json(report).is_object());
}

/// Whatever its members are, a log can be replayed, and everything can be shown of it at any time.
pub fn everything(script: &[u8]) -> bool {
    let leaves = written(script);
    let mut all = true;
    for trusting in [false, true] {
        let copy = Copy::read(&leaves, trusting);
        all &= copy.admitted == leaves.len() as u64;
        let last = copy.last.unwrap_or(Time::FIRST);
        // A century on: reports have a sheet for each year since the log began.
        let later = last.checked_add_seconds(36_525 * SECS_PER_DAY);
        copy.show(if trusting {
            later.unwrap_or(Time::LAST)
        } else {
            last
        });
    }
    all
}
