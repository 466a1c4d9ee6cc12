//! `say`: a statement of any type that one party alone signs, from its members on the command line;
//! `unseal`: the opening of what such a statement sealed.
//!
//! What members a type has, and of which form, is told by its JSON Schema, the same that strangers
//! read. Statements that need more than signing (requests, agreements, consents) have commands of
//! their own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use super::Exit;
use super::party::{SignOnly, Speaker, log};
use crate::digest::StatementId;
use crate::party::official::{Official, Signatory, media_type};
use crate::party::seals;
use crate::reader::follower::Follower;
use crate::statement::facts::FactsExt as _;
use crate::statement::kinds::unsealing::Unsealing;
use crate::statement::words::{Day, Role};
use crate::statement::{Statement, VERSION, payload};
use crate::store::secrets::SecretFile;
use crate::store::sqlite::SqliteJournal;

/// Sign and log a statement of any type that you alone sign
///
/// With a TYPE alone it prints the members of that type; without one, the types. A member is given
/// as NAME=VALUE, a list as NAME=A,B. NAME=@FILE uploads a file and names it; a day may be `today`.
#[derive(Debug, clap::Args)]
#[command(after_help = S::examples("Examples:\n  \
    PARTY say FOLDER custody-report\n  \
    PARTY say FOLDER \\\n    \
    custody-report about=ID event=retained \\\n    \
    until=2027-06-30 basis=open-case effective_on=today\n  \
    PARTY say FOLDER \\\n    \
    legal-demand process=search-warrant source=signed \\\n    \
    agency=hamilton.example jurisdiction=US-OH content=true records=clip-content \\\n    \
    served_on=today document=@warrant.pdf --seal reference=number.txt --open-by 2027-03-01\n  \
    PARTY say FOLDER \\\n    \
    annotation about=ID remark=dispute attachments=@mail.pdf"))]
pub struct Say<S: Speaker> {
    #[command(flatten)]
    speaker: S,
    #[command(flatten)]
    sign_only: SignOnly,
    /// The statement's type, such as custody-report
    #[arg(value_name = "TYPE")]
    kind: Option<String>,
    /// Its members
    #[arg(value_name = "NAME=VALUE")]
    members: Vec<String>,
    /// A field to seal, and a file with its value; the opening is kept in the party's folder
    #[arg(long, value_name = "NAME=FILE", requires = "open_by")]
    seal: Vec<String>,
    /// The day by whose end sealed fields are opened
    #[arg(long, value_name = "DAY", requires = "seal")]
    open_by: Option<Day>,
    /// Print the statement's payload, and do not log it (files are uploaded all the same)
    #[arg(long)]
    dry_run: bool,
}

/// Open what was sealed in a statement of yours
///
/// Publishes the openings that the party's folder has kept. Overdue seals bar new requests.
#[derive(Debug, clap::Args)]
pub struct Unseal<S: Speaker> {
    /// The statement with sealed fields
    #[arg(value_name = "ID")]
    statement: StatementId,
    #[command(flatten)]
    speaker: S,
}

/// Write the opening of a sealed field of yours, to hand it to somebody entitled
///
/// Nothing is published, and the seal stays due. Whoever has the file can read the field, prove it to
/// others, and check it with `whosaw log opening`.
#[derive(Debug, clap::Args)]
#[command(after_help = S::examples("Example:\n  \
    PARTY opening ID FOLDER -o case-number.opening"))]
pub struct Opening<S: Speaker> {
    /// The statement with sealed fields
    #[arg(value_name = "ID")]
    statement: StatementId,
    #[command(flatten)]
    speaker: S,
    /// Which field, where it has several
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// Where to write it (mode 0600); never over a file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Runs `say`.
///
/// # Errors
/// If a member is not of its form, a file cannot be read, or the ledger refuses.
pub fn say<S: Speaker>(args: &Say<S>) -> anyhow::Result<Exit> {
    let Some(kind) = &args.kind else {
        Statement::NAMES.iter().for_each(|name| println!("{name}"));
        return Ok(Exit::Yes);
    };
    let schema = Statement::member_schema(kind).with_context(|| {
        let known = Statement::NAMES.join(", ");
        format!("there is no type {kind:?}; there are: {known}")
    })?;
    if args.members.is_empty() && args.seal.is_empty() {
        print_members(kind, &schema);
        return Ok(Exit::Yes);
    }
    let members = match &args.sign_only.sign_only {
        Some(_) => members(args, &args.speaker.signatory()?, None, &schema)?,
        None => {
            let party = args.speaker.open()?;
            members(args, &party, Some(&party), &schema)?
        }
    };
    let statement = Statement::from_members(kind, VERSION, members)?;
    if args.dry_run {
        let payload = payload(&args.speaker.signatory()?.own_head(), &statement);
        println!("{}", String::from_utf8_lossy(&payload));
        return Ok(Exit::Yes);
    }
    let role = role_for(&statement);
    args.sign_only.finish_own(&args.speaker, &statement, role)
}

/// Runs `unseal`.
///
/// # Errors
/// If the folder has no opening for the statement, or the ledger refuses.
pub fn unseal<S: Speaker>(args: &Unseal<S>) -> anyhow::Result<Exit> {
    let party = args.speaker.open()?;
    let (follower, _) = party.follow(&mut |_, _| {})?;
    let statement = logged_statement(&follower, &args.statement)?;
    let mut closed = Vec::new();
    for (_, field) in statement.sealed() {
        let fact = follower.facts().digest(&field.digest)?;
        let seal = fact.and_then(|fact| fact.seal);
        if seal.is_some_and(|seal| seal.opened.is_none()) {
            closed.push(field.digest);
        }
    }
    if closed.is_empty() {
        bail!("nothing is sealed any more in {}", args.statement);
    }
    let mut exit = Exit::Yes;
    for digest in closed {
        let opening = seals::opening(&party, &digest)?;
        let attached = party.attach(opening.encode().as_bytes(), "text/plain")?;
        let unsealing = Unsealing {
            seal: digest,
            opening: attached.digest(),
        };
        if log(&party, unsealing.into(), Role::Officer, args.speaker.json())? == Exit::No {
            exit = Exit::No;
        }
    }
    Ok(exit)
}

/// Runs `opening`.
///
/// # Errors
/// If the statement has no such field, the folder no opening for it, or the file exists.
pub fn opening<S: Speaker>(args: &Opening<S>) -> anyhow::Result<Exit> {
    let party = args.speaker.open()?;
    let (follower, _) = party.follow(&mut |_, _| {})?;
    let statement = logged_statement(&follower, &args.statement)?;
    let fields = statement.sealed();
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let wanted = |name: &&str| args.field.as_deref().is_none_or(|field| field == *name);
    let named: Vec<_> = fields.iter().filter(|(name, _)| wanted(name)).collect();
    let [(name, field)] = named.as_slice() else {
        bail!(
            "name one of the sealed fields of {} with --field: {}",
            args.statement,
            if names.is_empty() {
                "it has none".to_owned()
            } else {
                names.join(", ")
            }
        );
    };
    let opening = seals::opening(&party, &field.digest)?;
    SecretFile::at(&args.output).write_new(opening.encode().as_bytes())?;
    let file = args.output.display().to_string();
    if args.speaker.json() {
        let written = json!({ "statement": args.statement, "field": name, "file": file });
        println!("{}", serde_json::to_string_pretty(&written)?);
    } else {
        println!("wrote {file}: whoever has it can read {name}, and prove it");
    }
    Ok(Exit::Yes)
}

fn logged_statement(
    follower: &Follower<SqliteJournal>,
    id: &StatementId,
) -> anyhow::Result<Statement> {
    let missing = || format!("{id} does not stand in the log");
    let index = follower.find(id)?.with_context(missing)?;
    let entry = follower.entry(index)?.with_context(missing)?;
    Ok(entry.signed.statement)
}

/// The role whose key signs a statement of a type.
fn role_for(statement: &Statement) -> Role {
    match statement {
        Statement::PartyStatus(_)
        | Statement::Erasure(_)
        | Statement::Release(_)
        | Statement::KeyChange(_)
        | Statement::Agreement(_)
        | Statement::Limits(_) => Role::Admin,
        _ => Role::Officer,
    }
}

/// The members as given, files uploaded and fields sealed.
fn members<S: Speaker>(
    args: &Say<S>,
    party: &Signatory,
    server: Option<&Official>,
    schema: &Value,
) -> anyhow::Result<Map<String, Value>> {
    let mut members = lists(schema);
    let today = Day::of(party.clock().now());
    let read = |text: &str| plain_or_file(&today, server, text);
    for text in &args.members {
        let (name, value) = parted(text, "NAME=VALUE")?;
        members.insert(name.to_owned(), value_of(&read, schema, name, value)?);
    }
    let mut sealed = Map::new();
    for text in &args.seal {
        let (name, path) = parted(text, "NAME=FILE")?;
        let digest = seals::seal(party, name, &read_value(Path::new(path))?)?;
        let field = json!({ "digest": digest, "open_by": args.open_by });
        sealed.insert(name.to_owned(), field);
    }
    if !sealed.is_empty() {
        members.insert("sealed".to_owned(), sealed.into());
    }
    Ok(members)
}

fn parted<'a>(text: &'a str, form: &str) -> anyhow::Result<(&'a str, &'a str)> {
    text.split_once('=')
        .with_context(|| format!("{text:?}: write {form}"))
}

/// The text in a file, without the end of its line.
fn read_value(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(text.trim_end().to_owned())
}

/// Lists that must be there and may be empty.
fn lists(schema: &Value) -> Map<String, Value> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let names = required.iter().filter_map(Value::as_str);
    names
        .filter(|name| schema["properties"][name]["type"] == "array")
        .map(|name| (name.to_owned(), json!([])))
        .collect()
}

/// What a member's value on the command line stands for.
fn value_of(
    read: &impl Fn(&str) -> anyhow::Result<Value>,
    schema: &Value,
    name: &str,
    text: &str,
) -> anyhow::Result<Value> {
    let member = &schema["properties"][name];
    if member.is_null() {
        let known: Vec<&str> = names(schema).collect();
        bail!(
            "there is no member {name:?}; there are: {}",
            known.join(", ")
        );
    }
    match of_type(schema, member) {
        Some("array") if !text.starts_with('[') => {
            let items = text.split(',').filter(|item| !item.is_empty());
            let items: anyhow::Result<Vec<Value>> = items.map(read).collect();
            Ok(items?.into())
        }
        Some("string") => read(text),
        _ => serde_json::from_str(text).with_context(|| format!("{name}={text}")),
    }
}

fn plain_or_file(today: &Day, server: Option<&Official>, text: &str) -> anyhow::Result<Value> {
    if text == "today" {
        return Ok(json!(today));
    }
    let Some(path) = text.strip_prefix('@').map(Path::new) else {
        return Ok(text.into());
    };
    let Some(server) = server else {
        bail!("{text}: a file is uploaded to the ledger, which --sign-only does not reach");
    };
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let opening = server.attach(&bytes, media_type(path)?)?;
    Ok(json!(opening.digest()))
}

/// The JSON type of a member, behind references and what stands for its absence.
fn of_type<'a>(schema: &'a Value, member: &'a Value) -> Option<&'a str> {
    let list = |key: &str| member[key].as_array().and_then(|all| all.first());
    if let Some(name) = member["$ref"].as_str() {
        let definition = &schema["$defs"][name.trim_start_matches("#/$defs/")];
        return of_type(schema, definition);
    }
    member["type"]
        .as_str()
        .or_else(|| member["type"][0].as_str())
        .or_else(|| of_type(schema, list("anyOf").or_else(|| list("oneOf"))?))
}

fn names(schema: &Value) -> impl Iterator<Item = &str> {
    let members = schema["properties"].as_object();
    members.into_iter().flatten().map(|(name, _)| name.as_str())
}

/// The codes that a member may be, if they are listed.
fn codes(schema: &Value, member: &Value) -> Vec<String> {
    if let Some(name) = member["$ref"].as_str() {
        return codes(
            schema,
            &schema["$defs"][name.trim_start_matches("#/$defs/")],
        );
    }
    if let Some(of) = member.get("items") {
        return codes(schema, of);
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let listed = member["enum"].as_array().into_iter().flatten();
    let one = text(&member["const"]).into_iter();
    let nested = ["oneOf", "anyOf"].into_iter();
    let nested = nested.flat_map(|key| member[key].as_array().into_iter().flatten());
    let nested = nested.flat_map(|member| codes(schema, member));
    listed.filter_map(text).chain(one).chain(nested).collect()
}

/// How a member that has members of its own is given.
fn parts(schema: &Value, member: &Value) -> Option<String> {
    let behind = |member: &Value| {
        let name = member["$ref"].as_str()?.trim_start_matches("#/$defs/");
        Some(schema["$defs"][name].clone())
    };
    let (own, of) = match member["anyOf"].as_array() {
        Some(any) => (any.first()?, ""),
        None if member["items"].is_object() => (&member["items"], "a list of "),
        None => (member, ""),
    };
    let structure = behind(own)?;
    let parts: Vec<&str> = names(&structure).collect();
    if parts.is_empty() {
        return None;
    }
    let seals = behind(&structure["properties"][parts[0]])
        .is_some_and(|part| part["properties"]["open_by"].is_object());
    Some(match seals {
        true => format!(
            "sealed fields: --seal {}=FILE --open-by DAY",
            parts.join("=FILE --seal ")
        ),
        false => format!("{of}JSON with {}", parts.join(", ")),
    })
}

fn print_members(kind: &str, schema: &Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    println!("members of {kind} (* must be given):");
    for name in names(schema) {
        let member = &schema["properties"][name];
        let list = of_type(schema, member) == Some("array");
        let must = required.contains(&name.into()) && !list;
        let mark = if must { '*' } else { ' ' };
        println!(
            " {mark} {name:<18} {}",
            member["description"].as_str().unwrap_or_default()
        );
        if let Some(parts) = parts(schema, member) {
            println!("   {:<18} {parts}", "");
        }
        let mut codes = codes(schema, member);
        codes.sort();
        if !codes.is_empty() {
            println!("   {:<18} one of {}", "", codes.join(", "));
        }
    }
}
