//! `operator add-witness` and `remove-witness`: who cosigns, and how many of them are needed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::json;

use crate::cli::Exit;
use crate::cli::output::{confirm, tell};
use crate::cli::party::print_fingerprints;
use crate::cli::written::Written;
use crate::client::base::BaseUrl;
use crate::party::operator::Operator;
use crate::tlog::note::{KeyName, NoteKey, VerifierKey};
use crate::tlog::policy::{Policy, PolicyWitness};

/// Name a witness in the trust file; SIGHUP has `whosaw serve` read it
///
/// Everyone who reads the log needs the new DIR/log.policy. A checkpoint is published only when the
/// quorum has cosigned it. One more witness raises the quorum by one, unless you say otherwise: so those
/// who have the old file accept every checkpoint too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw operator add-witness --data ledger --name newsroom \\\n    \
    --vkey \"$(head -n 1 newsroom.vkeys)\" --url https://witness.newsroom.example")]
pub struct AddWitness {
    #[command(flatten)]
    change: Change,
    /// A short name for the policy
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What `whosaw witness init` printed; repeatable, for a witness with a key of each kind
    #[arg(long, value_name = "VKEY", required = true)]
    vkey: Vec<VerifierKey>,
    /// The witness's address
    #[arg(long, value_name = "URL")]
    url: String,
}

/// Take a witness out of the trust file; SIGHUP has `whosaw serve` read it
///
/// All its keys go. The quorum stays as it is, if there are enough witnesses left, unless you say
/// otherwise. Everyone who reads the log needs the new file before the server uses a lower quorum: write it
/// by -o first and hand it out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whosaw operator remove-witness --data ledger --name newsroom --quorum 2 -o next.policy")]
pub struct RemoveWitness {
    #[command(flatten)]
    change: Change,
    /// Its name in the policy
    #[arg(long, value_name = "NAME")]
    name: String,
}

/// How a change of the policy is made
#[derive(Debug, clap::Args)]
struct Change {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// How many of the witnesses make a quorum
    #[arg(long, value_name = "N")]
    quorum: Option<usize>,
    /// Write the new policy to FILE, and leave DIR/log.policy as it is
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `add-witness`.
///
/// # Errors
/// If the policy cannot be made so, or nobody can be asked.
pub fn add(args: &AddWitness) -> anyhow::Result<Exit> {
    BaseUrl::parse(&args.url)?;
    let added = lines(args)?;
    args.change.make(|mut witnesses, threshold| {
        let before = names(&witnesses).len();
        witnesses.extend(added);
        let more = names(&witnesses).len() - before;
        Ok((witnesses, threshold + more))
    })
}

/// Runs `remove-witness`.
///
/// # Errors
/// If there is no such witness, the policy cannot be made so, or nobody can be asked.
pub fn remove(args: &RemoveWitness) -> anyhow::Result<Exit> {
    args.change.make(|mut witnesses, threshold| {
        let named = witnesses.iter().find(|line| line.name == args.name);
        let Some(host) = named.map(|line| line.key.name.clone()) else {
            let known: Vec<&str> = witnesses.iter().map(|line| line.name.as_str()).collect();
            let known = known.join(", ");
            bail!("log.policy has no witness {:?}; it has {known}", args.name);
        };
        witnesses.retain(|line| line.key.name != host);
        let left = names(&witnesses).len();
        Ok((witnesses, threshold.min(left)))
    })
}

impl Change {
    /// Makes the policy that `change` makes of the witnesses and the quorum so far, and writes it.
    fn make(
        &self,
        change: impl FnOnce(Vec<PolicyWitness>, usize) -> anyhow::Result<(Vec<PolicyWitness>, usize)>,
    ) -> anyhow::Result<Exit> {
        let operator = Operator::open(&self.data)?;
        let before = operator.home().policy()?;
        let path = operator.home().policy_path();
        let needed = before.threshold().with_context(|| {
            format!(
                "{} was edited by hand, and has groups that this command would lose: edit it by hand",
                path.display()
            )
        })?;
        let (witnesses, default) = change(before.witnesses().to_vec(), needed)?;
        let count = names(&witnesses).len();
        let quorum = self.quorum.unwrap_or(default);
        if count > 0 && !(1..=count).contains(&quorum) {
            bail!("a quorum of {quorum} among {count} witnesses cannot be");
        }
        let policy = Policy::of(before.logs().to_vec(), witnesses, quorum)?;
        policy.check_independent()?;
        let loses = operator.has_begun() && !accept_all(&before, needed, &policy, quorum);
        if let Some(file) = &self.output {
            Written::Policy.write(file, policy.to_string())?;
        } else {
            let question = format!(
                "Readers who have the old policy will refuse some checkpoints of {quorum} of {count} \
                 witnesses. Has everyone who reads the log the new one?"
            );
            if loses && !confirm(&question, self.yes)? {
                tell("nothing was changed", self.json);
                return Ok(Exit::No);
            }
            operator.set_policy(&policy)?;
        }
        let file = self.output.as_ref().unwrap_or(&path).display().to_string();
        if self.json {
            let lines: Vec<&str> = policy.witnesses().iter().map(|w| w.name.as_str()).collect();
            let answer = json!({
                "file": file, "witnesses": lines, "quorum": quorum, "of": count,
                "old_readers_accept_all": !loses,
            });
            println!("{}", serde_json::to_string_pretty(&answer)?);
            return Ok(Exit::Yes);
        }
        println!("wrote {file}: a checkpoint needs {quorum} of {count} witnesses");
        if loses && self.output.is_some() {
            println!("hand it to everyone who reads the log before the server uses it");
        }
        print_fingerprints(&policy);
        Ok(Exit::Yes)
    }
}

/// The witnesses of the lines: one with two keys has two lines.
fn names(lines: &[PolicyWitness]) -> BTreeSet<&KeyName> {
    lines.iter().map(|line| &line.key.name).collect()
}

/// Whether whoever asks for `needed` witnesses of `before` accepts every checkpoint that `quorum` of
/// `after` have cosigned: at worst all those cosigned it that `before` does not know.
fn accept_all(before: &Policy, needed: usize, after: &Policy, quorum: usize) -> bool {
    let known = |line: &&PolicyWitness| before.witnesses().iter().any(|old| old.key == line.key);
    let old: Vec<PolicyWitness> = after.witnesses().iter().filter(known).cloned().collect();
    let unknown = names(after.witnesses()).len() - names(&old).len();
    quorum.saturating_sub(unknown) >= needed
}

/// A line of the policy for each of a witness's keys.
fn lines(args: &AddWitness) -> anyhow::Result<Vec<PolicyWitness>> {
    let name = &args.vkey[0].name;
    if let Some(other) = args.vkey.iter().find(|key| key.name != *name) {
        bail!(
            "{name} and {} are two witnesses: add one after the other",
            other.name
        );
    }
    let line = |key: &VerifierKey| {
        let name = match key.key {
            NoteKey::MlDsa44Cosignature(_) if args.vkey.len() > 1 => {
                format!("{}-ml-dsa-44", args.name)
            }
            _ => args.name.clone(),
        };
        Ok(PolicyWitness::new(
            name,
            key.clone(),
            Some(args.url.clone()),
        )?)
    };
    args.vkey.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::home::{new_key, new_ml_dsa_key};
    use crate::tlog::cosignature::Cosigner;
    use crate::tlog::note::LogSigner;
    use crate::tlog::policy::PolicyLog;

    fn name(name: &str) -> KeyName {
        name.parse().unwrap()
    }

    fn line(host: &str) -> PolicyWitness {
        PolicyWitness {
            name: host.to_owned(),
            key: Cosigner::new(name(host), new_key()).verifier(),
            url: None,
        }
    }

    #[test]
    fn a_witness_of_two_keys_has_two_lines() {
        let ed25519 = |host: &str| Cosigner::new(name(host), new_key()).verifier();
        let ml_dsa = |host: &str| Cosigner::ml_dsa_44(name(host), new_ml_dsa_key()).verifier();
        let named = |name: &str, vkey: Vec<VerifierKey>| {
            let args = AddWitness {
                change: Change {
                    data: PathBuf::new(),
                    quorum: None,
                    output: None,
                    yes: false,
                    json: false,
                },
                name: name.to_owned(),
                vkey,
                url: "https://w.example".to_owned(),
            };
            let lines = lines(&args);
            lines.map(|lines| lines.into_iter().map(|line| line.name).collect::<Vec<_>>())
        };
        let names = |vkey| named("w", vkey);
        assert_eq!(names(vec![ed25519("w.example")]).unwrap(), ["w"]);
        assert_eq!(names(vec![ml_dsa("w.example")]).unwrap(), ["w"]);
        let both = vec![ed25519("w.example"), ml_dsa("w.example")];
        assert_eq!(names(both).unwrap(), ["w", "w-ml-dsa-44"]);
        let two = vec![ed25519("w.example"), ml_dsa("x.example")];
        assert!(names(two).is_err());
        for (name, host) in [("w\u{202e}", "w.example"), ("w", "w\u{202e}.example")] {
            let refused = named(name, vec![ed25519(host)]).unwrap_err().to_string();
            assert!(refused.contains("U+202E"), "{refused}");
        }
    }

    /// For all small policies, against a count of all sets of witnesses.
    #[test]
    fn old_readers_accept_all_checkpoints_if_every_quorum_is_one_of_theirs() {
        let log = PolicyLog {
            key: LogSigner::new("ledger.example/log".parse().unwrap(), new_key()).verifier(),
            url: None,
        };
        let all: Vec<PolicyWitness> = ["a.example", "b.example", "c.example", "d.example"]
            .map(line)
            .into();
        let chosen = |bits: u32| -> Vec<PolicyWitness> {
            let taken = all.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
            taken.map(|(_, line)| line.clone()).collect()
        };
        let policies = || {
            let quorums = |bits: u32| (1..=bits.count_ones() as usize).map(move |q| (bits, q));
            (1..16_u32).flat_map(quorums).map(|(bits, quorum)| {
                let policy = Policy::of(vec![log.clone()], chosen(bits), quorum).unwrap();
                (policy, quorum)
            })
        };
        let mut answers = BTreeSet::new();
        for (before, needed) in policies() {
            assert_eq!(before.threshold(), Some(needed));
            for (after, quorum) in policies() {
                let sets = (0..16_u32).map(|bits| {
                    let cosigned = chosen(bits);
                    let names: BTreeSet<&str> = cosigned.iter().map(|w| w.name.as_str()).collect();
                    (before.quorum_met(&names), after.quorum_met(&names))
                });
                let holds = sets.into_iter().all(|(before, after)| before || !after);
                assert_eq!(accept_all(&before, needed, &after, quorum), holds);
                answers.insert(holds);
            }
        }
        assert_eq!(answers.len(), 2);
    }
}
