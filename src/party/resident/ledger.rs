//! What the device's own verified copy of the log says.
//!
//! [`Follower`] makes the copy; this asks it for what the gate is told. Nothing here is taken from
//! an answer of a server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::gate::{Claim, Given, Seen, Taking};
use crate::client::base::BaseUrl;
use crate::digest::StatementId;
use crate::reader::follower::{Entry, FollowError, Follower, Mark, Portion, Update};
use crate::reader::replay;
use crate::reader::source::UrlSource;
use crate::statement::facts::{Facts, FactsExt as _, Whole};
use crate::statement::kinds::limits::Limits;
use crate::statement::{Author, Statement};
use crate::store::facts::JournalFacts;
use crate::store::journal::JournalRead as _;
use crate::store::sqlite::{SqliteJournal, SqliteReader};
use crate::time::Time;
use crate::tlog::policy::Policy;
use crate::tlog::proof::TlogProof;
use crate::tlog::tree::LeafIndex;

/// Why the log is not believed, or its copy not read.
pub type LedgerError = FollowError;

/// The own copy of the log.
pub struct Ledger {
    follower: Follower<SqliteJournal>,
    /// For entries that the rules forbid: the follower does not give them out.
    leaves: SqliteReader,
    /// Where the copy lies, and evidence of a fork would.
    folder: PathBuf,
}

impl Ledger {
    /// Opens the copy at `path`, or begins one.
    ///
    /// # Errors
    /// A policy that trusts the operator alone, or the store's.
    pub fn open(path: &Path, policy: Policy) -> Result<Self, LedgerError> {
        let journal = SqliteJournal::open(path)?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self {
            leaves: SqliteReader::open(path)?,
            follower: Follower::open(journal, policy)?.keeping_marks(&folder)?,
            folder,
        })
    }

    /// Takes over what is new in the log of the server at `server`.
    ///
    /// # Errors
    /// [`FollowError`], one variant for each way in which a log deceives.
    pub fn follow(
        &mut self,
        server: &BaseUrl,
        now: Time,
        progress: super::Progress<'_>,
    ) -> Result<Update, LedgerError> {
        let source = UrlSource::of_server(server.as_str()).expect("an address goes on as one");
        let mut progress = |done, of| progress(done, of);
        let updated = self.follower.update(&source, now, &mut progress);
        updated.map_err(|error| error.keep_evidence(&self.folder))
    }

    /// The checkpoint up to which the copy goes.
    ///
    /// # Errors
    /// The copy's.
    pub fn seen(&self) -> Result<Option<Seen>, LedgerError> {
        let Some((checkpoint, note)) = self.follower.checkpoint()? else {
            return Ok(None);
        };
        let witnessed = self.follower.policy().verify(&note, None, None);
        let witnessed = witnessed.map_err(FollowError::Checkpoint)?;
        let cosigned_at = witnessed.time();
        let closed = self.facts().closed(&Whole)?;
        Ok(cosigned_at.map(|cosigned_at| Seen {
            closed,
            size: checkpoint.size,
            note,
            cosigned_at,
            witnesses: witnessed.cosignatures.into_keys().collect(),
        }))
    }

    /// The facts that the entries established.
    pub fn facts(&self) -> JournalFacts<'_, SqliteJournal> {
        self.follower.facts()
    }

    /// The next entries of the copy from `from` on, a bounded number; none at its end.
    ///
    /// # Errors
    /// The copy's.
    pub fn portion(&self, from: u64) -> Result<Portion, LedgerError> {
        Ok(self.follower.portion(from)?)
    }

    /// The index of an admitted statement.
    ///
    /// # Errors
    /// The copy's.
    pub fn find(&self, id: &StatementId) -> Result<Option<LeafIndex>, LedgerError> {
        Ok(self.follower.find(id)?)
    }

    /// The entry at `index`, forbidden or not; `None` if there is none that can be read.
    ///
    /// # Errors
    /// The copy's.
    pub fn entry(&self, index: LeafIndex) -> Result<Option<Entry>, LedgerError> {
        let Some(leaf) = self.leaves.leaf(index.as_u64())? else {
            return Ok(None);
        };
        Ok(replay::read(&leaf).ok().map(|logged| Entry {
            index,
            logged_at: logged.logged_at,
            signed: logged.signed,
        }))
    }

    /// The proof that the entry at `index` stands under the copy's checkpoint.
    ///
    /// # Errors
    /// The copy's.
    pub fn proof(&self, index: LeafIndex) -> Result<TlogProof, LedgerError> {
        self.follower.proof(index)
    }

    /// What the copy says of the access request at `index`; `forbidden` if its rules forbid it.
    ///
    /// # Errors
    /// The copy's.
    pub fn claim(
        &self,
        index: LeafIndex,
        forbidden: Option<String>,
    ) -> Result<Option<Claim>, LedgerError> {
        let Some(entry) = self.entry(index)? else {
            return Ok(None);
        };
        let mut claim = claim(&self.facts(), &entry)?;
        if let Some(claim) = &mut claim {
            claim.forbidden = forbidden;
            claim.limits = match &claim.fact {
                Some(fact) => self.limits(fact.limits)?,
                None => None,
            };
            claim.marked = self.contradicted(claim);
        }
        Ok(claim)
    }

    /// The request itself, or, of what it rests on, a key or limits that were logged behind: their waits
    /// and notices were counted from a time that was over.
    fn contradicted(&self, claim: &Claim) -> Option<(LeafIndex, Mark)> {
        let of = |index: LeafIndex| self.follower.mark(index).map(|mark| (index, mark));
        let keys = claim.signers.iter().map(|key| key.added);
        let limits = claim.fact.as_ref().map(|fact| fact.limits);
        let mut rests_on = keys.chain(limits).filter_map(of);
        of(claim.index).or_else(|| rests_on.find(|(_, mark)| *mark == Mark::Behind))
    }

    fn limits(&self, index: LeafIndex) -> Result<Option<Limits>, LedgerError> {
        let statement = self.entry(index)?.map(|entry| entry.signed.statement);
        Ok(match statement {
            Some(Statement::Limits(limits)) => Some(limits),
            _ => None,
        })
    }

    /// What the copy says of the disclosure at `index`.
    ///
    /// # Errors
    /// The copy's.
    pub fn given(&self, index: LeafIndex) -> Result<Option<Given>, LedgerError> {
        let Some(entry) = self.entry(index)? else {
            return Ok(None);
        };
        let Statement::Disclosure(body) = entry.signed.statement else {
            return Ok(None);
        };
        let fact = self.facts().disclosure(&index)?;
        let collected = fact.as_ref().and_then(|fact| fact.collected);
        let taking = collected.map(|at| self.taking(at)).transpose()?.flatten();
        let mut entries = [Some(index), collected].into_iter().flatten();
        Ok(Some(Given {
            index,
            logged_at: entry.logged_at,
            marked: entries.find_map(|index| Some((index, self.follower.mark(index)?))),
            body,
            fact,
            collection: taking,
        }))
    }

    fn taking(&self, index: LeafIndex) -> Result<Option<Taking>, LedgerError> {
        let Some(entry) = self.entry(index)? else {
            return Ok(None);
        };
        Ok(match (entry.signed.statement, entry.signed.head.author) {
            (Statement::Collection(collection), Author::Issuer(by)) => Some(Taking {
                index,
                logged_at: entry.logged_at,
                by,
                label: collection.label,
            }),
            _ => None,
        })
    }
}

/// What `facts` say of an access request, its limits aside.
pub(super) fn claim<F: Facts>(facts: &F, entry: &Entry) -> Result<Option<Claim>, F::Error> {
    let signed = &entry.signed;
    let (Statement::AccessRequest(body), Author::Issuer(agency)) =
        (&signed.statement, &signed.head.author)
    else {
        return Ok(None);
    };
    let mut signers = Vec::new();
    for key in &signed.signers {
        signers.extend(facts.key(key)?);
    }
    let agreement = match facts.find(&body.agreement)? {
        Some(at) => facts.agreement(&at)?,
        None => None,
    };
    let admitted = facts.find(&signed.id)? == Some(entry.index);
    let mut erased = BTreeSet::new();
    for digest in [&body.scope].into_iter().chain(&body.message) {
        let fact = facts.digest(digest)?;
        erased.extend(fact.and_then(|fact| fact.erased).map(|_| *digest));
    }
    Ok(Some(Claim {
        id: signed.id,
        index: entry.index,
        logged_at: entry.logged_at,
        issued_at: signed.head.issued_at,
        agency: agency.clone(),
        fact: facts.request(&entry.index)?.filter(|_| admitted),
        standing: facts.party(agency)?.map(|party| party.standing),
        erased,
        recipient_seen: facts.recipient(&body.recipient)?,
        operator: facts.operator(&Whole)?,
        body: body.clone(),
        signers,
        agreement,
        forbidden: None,
        limits: None,
        marked: None,
    }))
}
