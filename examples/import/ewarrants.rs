//! California's register of electronic search warrants (Penal Code 1546.2) as legal demands.
//!
//! What a row becomes: a `legal-demand` by `search-warrant`, taken from a `register`, of the agency upon
//! whoever it was served on. Grounds for delay are its `delay`; with them, the warrant's number is sealed
//! for as long as the ledger's limits allow, and its opening kept in the operator's folder, for `operator
//! unseal`; and a `notice` says that those concerned are told later, on these grounds. Without them nothing
//! waits, and nothing is sealed. The register does not say until when a court put the telling off: the notice
//! has the last day that one order can allow.
//!
//! What the register does not tell is not told: whether content was demanded (`content` is false and no
//! kinds of records are named), what came of it (no `demand-response`), and that anybody was told.
//! It tells when a warrant was submitted to it; that day stands in `served_on`. A row marked as an emergency is
//! one whose warrant followed it, and does not say the danger: it is entered as the warrant that it is.
//! Natures of cases that are not one NIBRS offence (`Theft/Fraud`, `Other`, …) are left out and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::ErrorKind::NotFound;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use whosaw::digest::StatementId;
use whosaw::party::official::Official;
use whosaw::party::seals;
use whosaw::reader::follower::Follower;
use whosaw::statement::envelope::Envelope;
use whosaw::statement::facts::FactsExt as _;
use whosaw::statement::kinds::Kind;
use whosaw::statement::kinds::legal_demand::{DemandSeals, DemandSource, LegalDemand, ProcessKind};
use whosaw::statement::kinds::notice::{Notice, NoticeState};
use whosaw::statement::rules::seals::SealedField;
use whosaw::statement::words::{Day, DelayGround, Offence, PartyId, PartyKind, Role};
use whosaw::statement::{Statement, sign};
use whosaw::store::sqlite::SqliteJournal;
use whosaw::tlog::tree::LeafIndex;

use super::sending::{Sent, send_all};
use super::{Args, Report, agencies, names};

const PLACE: &str = "ca";
/// The longest that one order puts off the notice, in days (Cal. Penal Code 1546.2(b)).
const DELAY_DAYS: i64 = 90;
/// Who is named by part of a business's name, and the id's first label.
const BUSINESSES: &[(&str, &str, &str)] = &[
    ("amazon", "Amazon", "amazon"),
    ("apple", "Apple", "apple"),
    ("at&t", "AT&T", "att"),
    ("charter", "Charter Communications", "charter"),
    ("comcast", "Comcast", "comcast"),
    ("dropbox", "Dropbox", "dropbox"),
    ("facebook", "Facebook", "facebook"),
    ("google", "Google", "google"),
    ("instagram", "Instagram", "instagram"),
    ("kik", "Kik", "kik"),
    ("metro", "Metro by T-Mobile", "metro"),
    ("microsoft", "Microsoft", "microsoft"),
    ("paypal", "PayPal", "paypal"),
    ("ring", "Ring", "ring"),
    ("snap", "Snap", "snap"),
    ("sprint", "Sprint", "sprint"),
    ("t-mobile", "T-Mobile", "t-mobile"),
    ("twitter", "Twitter", "twitter"),
    ("uber", "Uber", "uber"),
    ("verizon", "Verizon", "verizon"),
    ("yahoo", "Yahoo", "yahoo"),
];
const OTHER: (&str, &str) = ("Other or several businesses", "other-businesses");
const DEVICE: (&str, &str) = ("The device itself", "device-itself");

/// A row, resolved.
struct Row {
    line: u64,
    /// Names the row in the importer's own record: the same row has the same.
    key: String,
    agency: String,
    holder: (&'static str, &'static str),
    demand: Told,
    /// The warrant's number, if it is one.
    number: Option<String>,
}

/// What a row says of its demand.
struct Told {
    offences: Vec<Offence>,
    from: Option<Day>,
    until: Option<Day>,
    delay: Vec<DelayGround>,
    served_on: Day,
}

/// Imports the register.
///
/// # Errors
/// If the file, the folder or the ledger cannot be used.
pub fn import(
    rows: &mut csv::Reader<File>,
    operator: &Official,
    args: &Args,
) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let rows = read(rows, &mut report)?;
    count_odd_numbers(&rows, &mut report);
    let (follower, _) = operator.follow(&mut |_, _| {})?;
    let parties = enter_parties(&rows, &follower, operator, args, &mut report)?;
    let folder = args.data.join("imports/ewarrants");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let (follower, _) = operator.follow(&mut |_, _| {})?;
    let mut maker = Maker {
        operator,
        parties: &parties,
        open_by: sealed_until(&follower, operator)?,
        made: BTreeSet::new(),
    };
    let file = |row: &Row, kind: &str| folder.join(format!("{}{kind}.dsse", row.key));
    let all = rows.iter().map(|row| (row, file(row, "")));
    let demands = all.collect::<Vec<_>>();
    let known = enter(&demands, &follower, args, &mut maker, demand, &mut report)?;
    report.known = known;

    // A row whose demand was refused has no file, and nothing to put off.
    let delayed = demands
        .iter()
        .filter(|(row, _)| !row.demand.delay.is_empty());
    let mut notices = Vec::new();
    let mut demand_of = BTreeMap::new();
    for (row, path) in delayed {
        match kept(path)? {
            Some(envelope) => demand_of.insert(&row.key, id_of(&envelope)),
            None if args.dry_run => None,
            None => {
                // It would speak of a demand that is made anew.
                let stale = fs::remove_file(file(row, ".notice"));
                stale.or_else(|e| if e.kind() == NotFound { Ok(()) } else { Err(e) })?;
                continue;
            }
        };
        notices.push((*row, file(row, ".notice")));
    }
    let notice = |row: &Row, _: &Maker<'_>| notice(row, demand_of[&row.key]);
    enter(&notices, &follower, args, &mut maker, notice, &mut report)?;
    Ok(report)
}

/// Logs a statement for each row, made by `make` and kept in the row's file; how many stand in the log already.
fn enter<S: Into<Statement> + Kind>(
    rows: &[(&Row, PathBuf)],
    follower: &Follower<SqliteJournal>,
    args: &Args,
    maker: &mut Maker<'_>,
    make: impl Fn(&Row, &Maker<'_>) -> anyhow::Result<S>,
    report: &mut Report,
) -> anyhow::Result<usize> {
    let before = rows.iter().map(|(_, file)| kept(file));
    let before = before.collect::<anyhow::Result<Vec<_>>>()?;
    maker.made.extend(before.iter().flatten().map(id_of));
    let (mut envelopes, mut sent_for, mut known) = (Vec::new(), Vec::new(), 0);
    for ((row, file), kept) in rows.iter().zip(before) {
        match kept {
            Some(envelope) if stands(follower, &envelope)? => {
                known += 1;
                continue;
            }
            _ if args.dry_run => {}
            Some(envelope) => envelopes.push(envelope),
            None => {
                let statement = make(row, maker)?.into();
                let envelope = maker.sign(&statement)?;
                keep(file, &envelope)?;
                envelopes.push(envelope);
            }
        }
        sent_for.push((row, file));
    }
    let mut logged = 0;
    if args.dry_run {
        logged = sent_for.len();
    } else {
        let sent = send_all(maker.operator, &envelopes)?;
        for ((row, file), sent) in sent_for.into_iter().zip(sent) {
            match sent {
                Sent::Logged => logged += 1,
                Sent::Refused(why) => {
                    // What was refused is made anew the next time: it may have been too old.
                    fs::remove_file(file).with_context(|| file.display().to_string())?;
                    report.bad(row.line, why);
                }
            }
        }
    }
    report.logged += logged;
    report
        .notes
        .insert(format!("statements of type {}", S::NAME), logged);
    Ok(known)
}

fn read(rows: &mut csv::Reader<File>, report: &mut Report) -> anyhow::Result<Vec<Row>> {
    let columns = rows.headers()?.clone();
    let mut read = Vec::new();
    let mut twins: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for record in rows.records() {
        report.rows += 1;
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                report.bad(error.position().map_or(0, csv::Position::line), &error);
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |name: &str| {
            let at = columns
                .iter()
                .position(|column| column.trim_end_matches(':') == name);
            at.and_then(|at| record.get(at)).unwrap_or("").trim()
        };
        // Rows that say the same are still two: the register has two.
        let mut hash = Sha256::new();
        record.iter().for_each(|cell| {
            hash.update((cell.len() as u64).to_be_bytes());
            hash.update(cell);
        });
        let digest = hash.finalize().to_vec();
        let twin = twins.entry(digest.clone()).or_default();
        *twin += 1;
        let key = format!("{}-{twin}", whosaw::encoding::hex(&digest[..16]));
        match resolve(line, key, &cell, report) {
            Ok(row) => read.push(row),
            Err(why) => report.bad(line, why),
        }
    }
    Ok(read)
}

fn resolve<'a>(
    line: u64,
    key: String,
    cell: &impl Fn(&str) -> &'a str,
    report: &mut Report,
) -> Result<Row, String> {
    let spelling = cell("Agency Name");
    let agency = names::key(spelling);
    if agency.is_empty() {
        return Err("it names no agency".to_owned());
    }
    let served_on = submitted(cell("Submitted"))?;
    let (from, until) = (
        day(cell("Start Date for Info"))?,
        day(cell("End Date for Info"))?,
    );
    if matches!((&from, &until), (Some(from), Some(until)) if from > until) {
        return Err("the period ends before it begins".to_owned());
    }
    let delay = delay(cell("Reasons for Delay (if any)"))?;
    let natures = [
        "Primary Nature",
        "Crime of Violence Options",
        "Secondary Nature",
    ];
    let mut offences = BTreeSet::new();
    for nature in natures
        .into_iter()
        .flat_map(|column| cell(column).split('\n'))
    {
        match offence(nature.trim()) {
            Nature::Offence(code) => {
                offences.insert(code.parse::<Offence>().expect("a NIBRS code"));
            }
            Nature::Vague => report.note("natures that are not one NIBRS offence, left out"),
            Nature::Other => {}
        }
    }
    let spellings = report.spellings.entry(agency.clone()).or_default();
    spellings.insert(spelling.to_owned());
    if cell("Emergency?") == "Yes" {
        report.note("rows marked as emergencies, entered as the warrants that followed");
    }
    let number = number(cell("Warrant Number"), report);
    Ok(Row {
        line,
        key,
        agency,
        holder: holder(cell("Order Served on"), cell("Business Name")),
        demand: Told {
            offences: offences.into_iter().collect(),
            from,
            until,
            delay,
            served_on,
        },
        number,
    })
}

/// `01/27/2020 - 15:45`: the day.
fn submitted(text: &str) -> Result<Day, String> {
    let wrong = || format!("{text:?} is no time of submission");
    let (date, _) = text.split_once(" - ").ok_or_else(wrong)?;
    let mut parts = date.split('/');
    let (Some(month), Some(day), Some(year), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    format!("{year}-{month}-{day}").parse().map_err(|_| wrong())
}

/// `Sat, 2019-06-01`, or nothing.
fn day(text: &str) -> Result<Option<Day>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let date = text.split_once(", ").map_or(text, |(_, date)| date);
    let day = date.parse().map_err(|_| format!("{text:?} is no day"))?;
    Ok(Some(day))
}

fn delay(cell: &str) -> Result<Vec<DelayGround>, String> {
    let mut grounds = BTreeSet::new();
    for ground in cell.split('\n').map(str::trim).filter(|g| !g.is_empty()) {
        grounds.insert(match ground {
            "endanger the life or physical safety of an individual" => DelayGround::Safety,
            "lead to flight from prosecution" => DelayGround::Flight,
            "lead to destruction of or tampering with evidence" => DelayGround::Tampering,
            "lead to intimidation of potential witnesses" => DelayGround::Intimidation,
            "otherwise seriously jeopardize an investigation or unduly delay a trial" => {
                DelayGround::Jeopardy
            }
            other => return Err(format!("{other:?} is no ground for delay")),
        });
    }
    Ok(grounds.into_iter().collect())
}

enum Nature {
    Offence(&'static str),
    /// An offence, but which the register does not tell.
    Vague,
    /// Nothing, or a circumstance.
    Other,
}

fn offence(nature: &str) -> Nature {
    Nature::Offence(match nature {
        "Homicide" => "09A",
        "Burglary" => "220",
        "Narcotics" => "35A",
        "Human Trafficking" => "64",
        "Threats/Harassment" => "13C",
        "Assault" => "13A",
        "Robbery" => "120",
        "Rape" => "11",
        "ID Theft" => "26F",
        "Arrest/Warrant Fugitive"
        | "Child Exploitation"
        | "Computer Crime Fraud"
        | "Other"
        | "Theft/Fraud" => return Nature::Vague,
        _ => return Nature::Other,
    })
}

/// The warrant's number, where the cell has one. What stands for none is counted.
fn number(cell: &str, report: &mut Report) -> Option<String> {
    if cell.is_empty() {
        report.note("references missing");
        return None;
    }
    if !cell.bytes().any(|b| b.is_ascii_digit()) || cell.len() < 3 {
        report.note("references that are no number");
        return None;
    }
    Some(cell.to_owned())
}

/// Numbers unlike the other numbers of an agency that has enough of them to tell.
fn count_odd_numbers(rows: &[Row], report: &mut Report) {
    const ENOUGH: usize = 10;
    let mut shapes: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    for row in rows {
        if let Some(number) = &row.number {
            let of_agency = shapes.entry(&row.agency).or_default();
            *of_agency.entry(shape(number)).or_default() += 1;
        }
    }
    let odd = shapes
        .values()
        .filter(|shapes| shapes.values().sum::<usize>() >= ENOUGH);
    let odd = odd.flat_map(|shapes| shapes.values().filter(|count| **count == 1));
    let what = "references unlike all others of their agency".to_owned();
    report.notes.insert(what, odd.count());
}

/// Letters and digits in their order, each run as one.
fn shape(number: &str) -> String {
    let mut shape = String::new();
    for c in number.chars() {
        let class = match c {
            c if c.is_ascii_digit() => '9',
            c if c.is_alphabetic() => 'A',
            c => c,
        };
        if !(shape.ends_with(class) && class.is_alphanumeric()) {
            shape.push(class);
        }
    }
    shape
}

fn holder(served: &str, business: &str) -> (&'static str, &'static str) {
    if !served.contains("Business") {
        return DEVICE;
    }
    let business = business.to_lowercase();
    let named = BUSINESSES.iter().filter(|(part, ..)| {
        let mut words = business.split(|c: char| !(c.is_alphanumeric() || "&-".contains(c)));
        words.any(|word| word.starts_with(part))
    });
    match named.collect::<Vec<_>>().as_slice() {
        [(_, name, label)] if !business.contains(',') => (name, label),
        _ => OTHER,
    }
}

/// Agencies by key and holders by label, each with its id in the log; those that lack are listed first.
fn enter_parties(
    rows: &[Row],
    follower: &Follower<SqliteJournal>,
    operator: &Official,
    args: &Args,
    report: &mut Report,
) -> anyhow::Result<BTreeMap<String, PartyId>> {
    let mut known: BTreeMap<String, PartyId> = BTreeMap::new();
    for entry in follower.entries(LeafIndex::new(0))? {
        if let Statement::Party(party) = entry.signed.statement
            && party.kind == PartyKind::Agency
            && party.jurisdiction.as_str() == "US-CA"
        {
            // The list has the state in some names, and the register in none.
            let name = party.name.as_str().replace(" CA ", " ");
            known.entry(names::key(&name)).or_insert(party.party);
        }
    }
    let mut new = BTreeMap::new();
    for row in rows {
        if !known.contains_key(&row.agency) {
            let spellings = report.spellings.get(&row.agency);
            let name = spellings.and_then(|all| all.iter().next_back());
            let name = name.map_or(row.agency.as_str(), String::as_str);
            let id = names::id(&row.agency, PLACE);
            let name = names::entered(name);
            let party = agencies::party(&id, &name, PartyKind::Agency, "US-CA");
            let party = party.map_err(anyhow::Error::msg)?;
            known.insert(row.agency.clone(), party.party.clone());
            new.insert(party.party.clone(), (row.line, party));
        }
        let (name, label) = row.holder;
        let id = names::id(label, "");
        let party = agencies::party(&id, name, PartyKind::Vendor, "US");
        let party = party.map_err(anyhow::Error::msg)?;
        known.insert(format!("upon {label}"), party.party.clone());
        new.entry(party.party.clone()).or_insert((row.line, party));
    }
    let mut missing = Vec::new();
    for (id, party) in new {
        if follower.facts().party(&id)?.is_none() {
            missing.push(party);
        }
    }
    report.notes.insert(
        "agencies and holders entered first".to_owned(),
        missing.len(),
    );
    agencies::log(operator, missing, args, report)?;
    Ok(known)
}

/// The last day to which the ledger lets a field stay sealed.
fn sealed_until(follower: &Follower<SqliteJournal>, operator: &Official) -> anyhow::Result<Day> {
    let mut days = 0;
    for entry in follower.entries(LeafIndex::new(0))? {
        if let Statement::Limits(limits) = entry.signed.statement {
            days = limits.seal_days;
        }
    }
    let now = operator.clock().now();
    let day = Day::of(now).checked_add_days(days.into());
    day.context("the ledger's limits reach beyond the calendar")
}

/// What makes statements of rows.
struct Maker<'a> {
    operator: &'a Official,
    parties: &'a BTreeMap<String, PartyId>,
    open_by: Day,
    /// The statements made so far.
    made: BTreeSet<StatementId>,
}

impl Maker<'_> {
    /// Signs a statement. Two warrants of which the register tells the same are issued minutes apart:
    /// in one minute they would be one statement.
    fn sign(&mut self, statement: &Statement) -> anyhow::Result<Envelope> {
        let key = self.operator.home().key(Role::Officer)?;
        let mut head = self.operator.own_head();
        loop {
            let envelope = sign(&head, statement, &[&key]);
            if self.made.insert(id_of(&envelope)) {
                return Ok(envelope);
            }
            let earlier = head.issued_at.checked_add_seconds(-60);
            head.issued_at = earlier.context("the calendar begins here")?;
        }
    }
}

fn id_of(envelope: &Envelope) -> StatementId {
    StatementId::of_payload(&envelope.payload)
}

fn demand(row: &Row, maker: &Maker<'_>) -> anyhow::Result<LegalDemand> {
    let Maker {
        operator, parties, ..
    } = maker;
    let told = &row.demand;
    let number = row.number.as_ref().filter(|_| !told.delay.is_empty());
    let sealed = match number {
        None => None,
        Some(number) => Some(DemandSeals {
            reference: SealedField {
                digest: seals::seal(operator, "reference", number)?,
                open_by: maker.open_by.clone(),
            },
        }),
    };
    Ok(LegalDemand {
        process: ProcessKind::SearchWarrant,
        source: DemandSource::Register,
        agency: Some(parties[&row.agency].clone()),
        upon: Some(parties[&format!("upon {}", row.holder.1)].clone()),
        jurisdiction: "US-CA".parse().expect("a code"),
        investigation: None,
        offences: told.offences.clone(),
        content: false,
        records: Vec::new(),
        accounts: None,
        area_m2: None,
        from: told.from.clone(),
        until: told.until.clone(),
        emergency: None,
        received: None,
        delay: told.delay.clone(),
        served_on: told.served_on.clone(),
        answer_by: None,
        document: None,
        sealed,
    })
}

fn notice(row: &Row, demand: StatementId) -> anyhow::Result<Notice> {
    let until = row.demand.served_on.checked_add_days(DELAY_DAYS);
    let until = until.context("the delay reaches beyond the calendar")?;
    Ok(Notice {
        demand,
        state: NoticeState::Delayed,
        messages: Vec::new(),
        until: Some(until),
        grounds: row.demand.delay.clone(),
    })
}

/// The statement that a row was made into before.
fn kept(file: &Path) -> anyhow::Result<Option<Envelope>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(Envelope::parse(&bytes)?)),
        Err(error) if error.kind() == NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

/// Durable before it is sent: a row must not become two statements.
fn keep(file: &Path, envelope: &Envelope) -> anyhow::Result<()> {
    let staged: PathBuf = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut new = File::create(&staged)?;
        new.write_all(&envelope.to_json())?;
        new.sync_all()?;
        fs::rename(&staged, file)?;
        File::open(file.parent().expect("a file in a folder"))?.sync_all()
    };
    write().with_context(|| file.display().to_string())
}

fn stands(follower: &Follower<SqliteJournal>, envelope: &Envelope) -> anyhow::Result<bool> {
    Ok(follower.find(&id_of(envelope))?.is_some())
}
