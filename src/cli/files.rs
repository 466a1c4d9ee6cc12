//! Statements that pass between machines as files: `countersign`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::Exit;
use super::output::{confirm, read_envelope, tell};
use super::written::Written;
use crate::client::attachment_matches;
use crate::party::home::Home;
use crate::statement::envelope::Envelope;
use crate::statement::sealed::Opening;
use crate::statement::words::Role;
use crate::statement::{Author, Statement, parse_payload};

/// Read what another party signed, and sign it too
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw countersign agreement.dsse --document memorandum.txt --home lakeland")]
pub struct Countersign {
    /// The signed statement
    file: PathBuf,
    /// The party's folder, with its keys
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// The document that the statement names; its opening lies beside FILE, as FILE.opening
    #[arg(long, value_name = "DOCUMENT")]
    document: Option<PathBuf>,
    /// Where to write the result; default: over FILE
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Shows a statement ([`tell`]) and adds the admin key's signature to it, if its owner wants that.
///
/// # Errors
/// If a signature in it does not verify, its party does not speak in it, or nobody can be asked.
pub fn add_signature(
    envelope: &mut Envelope,
    home: &Home,
    yes: bool,
    json: bool,
) -> anyhow::Result<bool> {
    let (head, statement) = parse_payload(&envelope.payload)?;
    envelope.verify()?;
    let party = &home.profile().party;
    if !matches!(&head.author, Author::Parties(parties) if parties.contains(party)) {
        bail!("{party} does not speak in this statement: nothing to sign");
    }
    let mut shown = statement.plain(&head.author.to_string());
    if let Statement::Party(registered) = &statement {
        shown.push_str(&format!(
            "\ncompare its keys with what {} tells you another way:",
            registered.party
        ));
        for key in &registered.keys {
            shown.push_str(&format!(
                "\n  {:<22} {}",
                format!("key {}", key.role),
                key.key
            ));
        }
    }
    tell(&shown, json);
    if !confirm(&format!("Sign this as {party}?"), yes)? {
        return Ok(false);
    }
    envelope.add_signature(&home.key(Role::Admin)?);
    Ok(true)
}

/// Nobody signs a document unseen: the statement's digest says nothing about it without its opening.
fn check_document(envelope: &Envelope, args: &Countersign) -> anyhow::Result<()> {
    let (_, statement) = parse_payload(&envelope.payload)?;
    for (member, digest) in statement.attachments() {
        let Some(path) = &args.document else {
            bail!(
                "the statement names a {}: say --document, with the file you have read",
                &member[1..]
            );
        };
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let opening_path = opening_path(&args.file);
        let opening = std::fs::read_to_string(&opening_path)
            .with_context(|| format!("{}: get it from who signed first", opening_path.display()))?;
        let genuine = Opening::parse(opening.trim_end())
            .is_ok_and(|opening| attachment_matches(&opening, &digest, &bytes));
        if !genuine {
            bail!(
                "{} is not the {} that the statement names",
                path.display(),
                &member[1..]
            );
        }
        println!("the {} it names is {}", &member[1..], path.display());
    }
    Ok(())
}

/// Where the opening of a statement's document lies while the statement passes from hand to hand.
pub fn opening_path(statement: &Path) -> PathBuf {
    let mut path = statement.as_os_str().to_owned();
    path.push(".opening");
    path.into()
}

/// Runs `whosaw countersign`.
///
/// # Errors
/// If the file or the keys cannot be read.
pub fn countersign(args: &Countersign) -> anyhow::Result<Exit> {
    let home = Home::open(&args.home)?;
    let mut envelope = read_envelope(&args.file)?;
    if let (_, Statement::Party(_)) = parse_payload(&envelope.payload)? {
        bail!(
            "this is a registration: `whosaw operator approve` looks at the host name, and signs it"
        );
    }
    check_document(&envelope, args)?;
    if !add_signature(&mut envelope, &home, args.yes, false)? {
        println!("not signed");
        return Ok(Exit::No);
    }
    let output = args.output.as_ref().unwrap_or(&args.file);
    Written::Envelope.write(output, envelope.to_json())?;
    println!("signed: {}", output.display());
    Ok(Exit::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::statement::kinds::Kind as _;
    use crate::statement::kinds::agreement::Agreement;
    use crate::statement::sealed::AttachmentValue;
    use crate::statement::{Head, sign};

    #[test]
    fn nobody_signs_a_document_unseen() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let value = AttachmentValue {
            sha256: Digest::of(b"the deal"),
            size: 8,
            media_type: "text/plain".parse().unwrap(),
        };
        let opening = Opening::attachment(&[1; 16], &value).unwrap();
        let statement = Agreement {
            document: Some(opening.digest()),
            ..Agreement::example()
        };
        let parties = ["doorbell.example", "lakelandgov.example"].map(|p| p.parse().unwrap());
        let head = Head {
            log: "ledger.example/log".to_owned(),
            issued_at: "2019-07-31T14:00:00Z".parse().unwrap(),
            author: Author::Parties(parties.into()),
        };
        let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        let envelope = sign(&head, &statement.into(), &[&key]);
        let check = |document: Option<&str>| {
            let args = Countersign {
                file: file("x.dsse"),
                home: file("home"),
                document: document.map(&file),
                output: None,
                yes: true,
            };
            check_document(&envelope, &args).map_err(|e| e.to_string())
        };
        std::fs::write(file("deal.txt"), "the deal").unwrap();
        std::fs::write(file("other.txt"), "another deal").unwrap();
        let refused = |document, why: &str| {
            let said = check(document).unwrap_err();
            assert!(said.contains(why), "{said}");
        };
        refused(None, "say --document");
        refused(Some("deal.txt"), "x.dsse.opening");
        std::fs::write(file("x.dsse.opening"), opening.encode()).unwrap();
        refused(Some("other.txt"), "is not the document");
        assert_eq!(check(Some("deal.txt")), Ok(()));
        std::fs::write(file("x.dsse.opening"), "nonsense").unwrap();
        refused(Some("deal.txt"), "is not the document");
    }
}
