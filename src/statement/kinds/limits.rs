//! `limits`: what this ledger allows, declared by its operator in the log.
//!
//! The first ones (entry 1) hold at once. Later ones hold after a notice period: the longer of
//! their own and of the one in force, so that a notice cannot be shortened without notice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::plain::count;
use crate::statement::facts::{Change, DeclaredLimits, Fact, FactKey, Facts, FactsExt, Whole};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::{Entry, outside_limits};
use crate::statement::words::{Label, PartyId, Role, ascending, listed};

/// The most limits that wait for their time at once: every rule that needs the limits reads them.
const MAX_ANNOUNCED: usize = 16;

/// The most that a limit may say, in each unit of time: some hundred years.
const MAX_DAYS: u32 = 36_500;
const MAX_MINUTES: u32 = MAX_DAYS * 24 * 60;
const MAX_SECONDS: u32 = MAX_MINUTES * 60;

/// The limits of a ledger. Those in days, minutes or seconds are at most 36,500 days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The version of the ledger rules in force from here on; 1 is the only one.
    pub rules: u32,
    /// Vendors whose agreement with an agency opens the ledger to it, beside the operator's own.
    pub vendors: Vec<PartyId>,
    /// The largest area of a request, in square metres (by its bounding box).
    pub area_m2: u32,
    /// The longest window of a request, in minutes.
    #[schemars(range(max = 52_560_000))]
    pub window_minutes: u32,
    /// The oldest footage a request may ask for, in days.
    #[schemars(range(max = 36_500))]
    pub footage_age_days: u32,
    /// Requests of one investigation that may be open at once.
    pub open_requests: u32,
    /// Minutes that one investigation may ask for in all.
    #[schemars(range(max = 52_560_000))]
    pub total_minutes: u32,
    /// The longest time to answer that a request may set, in minutes.
    #[schemars(range(max = 52_560_000))]
    pub deadline_minutes: u32,
    /// The shortest time to answer that a request must leave, in minutes.
    #[schemars(range(max = 52_560_000))]
    pub decision_minutes: u32,
    /// How long a field may stay sealed, in days.
    #[schemars(range(max = 36_500))]
    pub seal_days: u32,
    /// By how much one court order puts off an opening or a notice, in days.
    #[schemars(range(max = 36_500))]
    pub delay_days: u32,
    /// How long a bulletin may be shown, in days.
    #[schemars(range(max = 36_500))]
    pub bulletin_days: u32,
    /// The time between two commitment batches, in seconds.
    #[schemars(range(max = 3_153_600_000_u32))]
    pub batch_seconds: u32,
    /// How long new agencies' keys and new admin keys wait, in minutes.
    #[schemars(range(max = 52_560_000))]
    pub new_key_wait_minutes: u32,
    /// How soon an agency answers for what it collected, in days.
    #[schemars(range(max = 36_500))]
    pub custody_days: u32,
    /// How long a disclosure may stay open, and stored data is kept, in days.
    #[schemars(range(max = 36_500))]
    pub retention_days: u32,
    /// The notice before later limits hold, in minutes.
    #[schemars(range(max = 52_560_000))]
    pub notice_minutes: u32,
    /// What the service shows agencies beside this protocol, such as `active-camera-map`; at most
    /// 16, ascending.
    pub features: Vec<Label>,
}

impl Limits {
    /// What a new ledger begins with, unless its operator says otherwise.
    pub fn first() -> Self {
        Self {
            rules: 1,
            vendors: Vec::new(),
            // Half a square mile, 12 hours, 45 days: the bounds that such requests had in life.
            area_m2: 1_295_000,
            window_minutes: 720,
            footage_age_days: 45,
            open_requests: 3,
            total_minutes: 2160,
            deadline_minutes: 14 * 24 * 60,
            decision_minutes: 24 * 60,
            seal_days: 90,
            delay_days: 90,
            bulletin_days: 30,
            batch_seconds: 3600,
            new_key_wait_minutes: 3 * 24 * 60,
            custody_days: 30,
            retention_days: 180,
            notice_minutes: 14 * 24 * 60,
            features: Vec::new(),
        }
    }

    /// How long new agencies' keys and new admin keys wait, in seconds.
    pub fn new_key_wait_seconds(&self) -> i64 {
        i64::from(self.new_key_wait_minutes).saturating_mul(60)
    }
}

impl Limits {
    fn check_bounds(&self) -> Result<(), Refusal> {
        for (member, found, most) in [
            ("/window_minutes", self.window_minutes, MAX_MINUTES),
            ("/footage_age_days", self.footage_age_days, MAX_DAYS),
            ("/total_minutes", self.total_minutes, MAX_MINUTES),
            ("/deadline_minutes", self.deadline_minutes, MAX_MINUTES),
            ("/decision_minutes", self.decision_minutes, MAX_MINUTES),
            ("/seal_days", self.seal_days, MAX_DAYS),
            ("/delay_days", self.delay_days, MAX_DAYS),
            ("/bulletin_days", self.bulletin_days, MAX_DAYS),
            ("/batch_seconds", self.batch_seconds, MAX_SECONDS),
            (
                "/new_key_wait_minutes",
                self.new_key_wait_minutes,
                MAX_MINUTES,
            ),
            ("/custody_days", self.custody_days, MAX_DAYS),
            ("/retention_days", self.retention_days, MAX_DAYS),
            ("/notice_minutes", self.notice_minutes, MAX_MINUTES),
        ] {
            if found > most {
                let detail = format!("at most {most}: no limit lasts longer than 36,500 days");
                return Err(Refusal::new(Reason::BadValue, member, detail));
            }
        }
        Ok(())
    }
}

impl Kind for Limits {
    const NAME: &'static str = "limits";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        entry.signed_by_operator(&[Role::Admin])?;
        if self.rules != 1 {
            return Err(Refusal::new(Reason::BadValue, "/rules", "the rules' version is 1").into());
        }
        ascending("/vendors", &self.vendors, 0..=16)?;
        ascending("/features", &self.features, 0..=16)?;
        if self.batch_seconds == 0 {
            return Err(Refusal::new(Reason::BadValue, "/batch_seconds", "at least 1").into());
        }
        self.check_bounds()?;

        let mut declared = entry
            .facts
            .limits(&Whole)
            .map_err(Verdict::Facts)?
            .unwrap_or_default();
        let in_force = declared
            .iter()
            .rposition(|limits| limits.effective_from <= entry.logged_at);
        if in_force.is_none() && entry.index.as_u64() != 1 {
            return Err(Refusal::new(
                Reason::NotGenesis,
                "",
                "entry 1 declared no limits, and no later ones hold without notice",
            )
            .into());
        }
        let mut effective_from = entry.logged_at;
        let in_force = in_force.and_then(|at| {
            declared.drain(..at);
            declared.first()
        });
        if let Some(declared) = in_force {
            let notice = declared.limits.notice_minutes.max(self.notice_minutes);
            let notice = i64::from(notice).saturating_mul(60);
            effective_from = entry.time_after("/notice_minutes", notice)?;
        }
        // What is declared later replaces what was announced for the same time or after it.
        declared.retain(|limits| limits.effective_from < effective_from);
        if declared.len() > MAX_ANNOUNCED {
            return Err(outside_limits("", declared.len(), MAX_ANNOUNCED).into());
        }
        declared.push(DeclaredLimits {
            index: entry.index,
            effective_from,
            limits: self.clone(),
        });
        Ok(vec![(FactKey::Limits(Whole), Fact::Limits(declared))])
    }

    fn plain(&self, who: &str) -> String {
        // Destructured, so that no later member is left out.
        let Self {
            rules,
            vendors,
            area_m2,
            window_minutes,
            footage_age_days,
            open_requests,
            total_minutes,
            deadline_minutes,
            decision_minutes,
            seal_days,
            delay_days,
            bulletin_days,
            batch_seconds,
            new_key_wait_minutes,
            custody_days,
            retention_days,
            notice_minutes,
            features,
        } = self;
        let minutes = |n: &u32| count(*n, "minute");
        let days = |n: &u32| count(*n, "day");
        let named = |names: String| match names.is_empty() {
            true => "none".to_owned(),
            false => names,
        };
        format!(
            "{who} allows requests of at most {area_m2} m², {}, footage {} old, {open_requests} open at once and {} \
             in all for one investigation, with {decision_minutes} to {} to answer; sealed fields open within {}, and \
             one court order delays by {}; bulletins end within {}; agencies answer for what they collected within \
             {}; disclosures stay open, and stored data is kept, for {}; commitment batches are {} apart; new keys wait \
             {}, later limits {}; vendors: {}; features: {}; rules of version {rules}.",
            minutes(window_minutes),
            days(footage_age_days),
            minutes(total_minutes),
            minutes(deadline_minutes),
            days(seal_days),
            days(delay_days),
            days(bulletin_days),
            days(custody_days),
            days(retention_days),
            count(*batch_seconds, "second"),
            minutes(new_key_wait_minutes),
            minutes(notice_minutes),
            named(listed(vendors)),
            named(listed(features)),
        )
    }

    fn example() -> Self {
        Self {
            vendors: vec!["doorbell.example".parse().expect("a host name")],
            ..Self::first()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever signs or reads them sees each member.
    #[test]
    fn the_sentence_shows_every_member() {
        let members = serde_json::to_value(Limits::example()).unwrap();
        let members = members.as_object().unwrap();
        for (name, value) in members {
            let mut changed = members.clone();
            let other = match value.as_u64() {
                Some(number) => serde_json::Value::from(number + 7_000_003),
                None => serde_json::json!(["another.example"]),
            };
            changed.insert(name.clone(), other);
            let changed = serde_json::Value::Object(changed).to_string();
            // No label has a dot.
            let changed = match name.as_str() {
                "features" => changed.replace("another.example", "another"),
                _ => changed,
            };
            let limits: Limits = serde_json::from_str(&changed).unwrap();
            let plain = limits.plain("who");
            let shown = match value.as_u64() {
                Some(number) => (number + 7_000_003).to_string(),
                None => "another".to_owned(),
            };
            assert!(plain.contains(&shown), "{name}: {plain}");
        }
    }

    #[test]
    fn the_limits_for_a_trial_wait_for_nothing_and_are_else_the_first_ones() {
        let trial: Limits =
            serde_json::from_str(include_str!("../../../examples/limits-trial.json")).unwrap();
        let without_waits = Limits {
            decision_minutes: 0,
            batch_seconds: 1,
            new_key_wait_minutes: 0,
            notice_minutes: 0,
            ..Limits::first()
        };
        assert_eq!(trial, without_waits);
        assert_eq!(trial.vendors, [], "no vendor is named unasked");
    }
}
