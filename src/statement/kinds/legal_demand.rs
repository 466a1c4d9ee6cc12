//! `legal-demand`: access compelled by law, or claimed as an emergency.
//!
//! Signed by the agency or a court; by the operator (or whoever is to answer) for what reached it
//! on paper or stands in a public register. A report: it is admitted whatever it demands, and that a
//! subpoena demands content is a finding. Demands of national security come in bands of 250 alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::statement::facts::{Change, DemandFact, Fact, FactKey, Facts, Standing};
use crate::statement::refusal::{Reason, Refusal, Verdict};
use crate::statement::rules::seals::SealedField;
use crate::statement::rules::{Entry, TEN_YEARS, wrong_author};
use crate::statement::sealed::SealDigest;
use crate::statement::words::{
    Band, Day, DelayGround, Investigation, Jurisdiction, Offence, PartyId, PartyKind, RecordKind,
    Role, ascending, codes, listed,
};

/// A demand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LegalDemand {
    /// The kind of legal process.
    pub process: ProcessKind,
    /// How it came into the log.
    pub source: DemandSource,
    /// Who demands; absent for `national-security` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agency: Option<PartyId>,
    /// Who is to answer, if not the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upon: Option<PartyId>,
    /// Under whose law it is made (ISO 3166).
    pub jurisdiction: Jurisdiction,
    /// The case, as in the agency's requests: what was asked for before shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub investigation: Option<Investigation>,
    /// Offences investigated: at most 8, ascending.
    pub offences: Vec<Offence>,
    /// Whether what a camera saw or heard is demanded, not only records about it.
    pub content: bool,
    /// Kinds of records demanded: at most 7, ascending.
    pub records: Vec<RecordKind>,
    /// How many accounts it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Band>,
    /// For a demand by area, its size in square metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area_m2: Option<u32>,
    /// First day of the period that records are demanded for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Day>,
    /// Last day of that period, at most 3653 days after this is logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Day>,
    /// The danger claimed; for `emergency` alone, and always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<EmergencyGround>,
    /// How many; for `national-security` alone, and always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<NationalBand>,
    /// Grounds for not telling those concerned: at most 5, ascending.
    pub delay: Vec<DelayGround>,
    /// The day it was served, at most the day after this is logged.
    pub served_on: Day,
    /// The day by which it is to be answered, at most 3653 days after this is logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_by: Option<Day>,
    /// The paper itself, an attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<SealDigest>,
    /// Fields that are opened later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<DemandSeals>,
}

/// The fields of a demand that are opened later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DemandSeals {
    /// The demand's own number, such as a warrant's; named `reference` in its opening.
    pub reference: SealedField,
}

codes! {
    /// The kind of legal process (as transparency reports part them).
    ProcessKind {
        CourtOrder = "court-order",
        /// No process: danger is claimed, and the holder decides in good faith.
        Emergency = "emergency",
        /// From outside the country of the holder.
        Foreign = "foreign",
        NationalSecurity = "national-security",
        /// To keep, not to give.
        Preservation = "preservation",
        SearchWarrant = "search-warrant",
        Subpoena = "subpoena",
    }
}

codes! {
    /// How the demand came into the log.
    DemandSource {
        /// Its holder wrote down what reached it on paper.
        Paper = "paper",
        /// Taken over from a public register.
        Register = "register",
        /// Signed by the agency or the court itself.
        Signed = "signed",
    }
}

codes! {
    /// What an emergency claims (18 U.S.C. 2702).
    EmergencyGround {
        DangerOfDeath = "danger-of-death",
        DangerOfSeriousInjury = "danger-of-serious-injury",
    }
}

codes! {
    /// Demands of national security, as they may be told.
    NationalBand {
        Below250 = "0-249",
        Below500 = "250-499",
        Below750 = "500-749",
        Below1000 = "750-999",
        From1000 = "1000-or-more",
    }
}

impl Kind for LegalDemand {
    const NAME: &'static str = "legal-demand";

    fn judge<F: Facts>(&self, entry: &Entry<'_, F>) -> Result<Change, Verdict<F::Error>> {
        let issuer = entry.issuer()?;
        entry.signed_by_party(issuer, &[Role::Admin, Role::Officer])?;
        self.check_form()?;
        entry.has_come("/served_on", &self.served_on)?;
        for (member, day) in [("/answer_by", &self.answer_by), ("/until", &self.until)] {
            if let Some(day) = day {
                entry.within_days(member, day, TEN_YEARS)?;
            }
        }
        let upon = match &self.upon {
            None => entry.operator()?,
            Some(upon) => {
                entry.known_party("/upon", upon)?;
                upon.clone()
            }
        };
        if let Some(agency) = &self.agency {
            entry.known_party("/agency", agency)?;
        }
        let by_court = self.check_author(entry, issuer, &upon)?;
        let mut change = entry.enter_attachments(self.attachments())?;
        if let Some(sealed) = &self.sealed {
            entry.enter_seal(&mut change, "/sealed/reference", &sealed.reference, issuer)?;
        }
        let fact = DemandFact {
            kind: self.process,
            agency: self.agency.clone(),
            upon,
            by_court,
            response: None,
            notice_after: None,
        };
        change.push((FactKey::Demand(entry.index), Fact::Demand(fact)));
        Ok(change)
    }

    fn plain(&self, who: &str) -> String {
        let whose = match &self.agency {
            Some(agency) if agency.as_str() != who => format!(" of {agency}"),
            _ => String::new(),
        };
        let what = match (self.process, self.received) {
            (ProcessKind::NationalSecurity, Some(band)) => {
                format!("{band} demands of national security")
            }
            (process, _) => format!("a demand{whose} ({process})"),
        };
        let upon = match &self.upon {
            None => String::new(),
            Some(upon) => format!(" upon {upon}"),
        };
        let mut text = format!("{who} enters {what}{upon}, served {}", self.served_on);
        if !self.records.is_empty() {
            text.push_str(&format!(", for {}", listed(&self.records)));
        }
        if self.content {
            text.push_str(", with content");
        }
        if !self.offences.is_empty() {
            text.push_str(&format!(", offence {}", listed(&self.offences)));
        }
        if let Some(ground) = self.emergency {
            text.push_str(&format!(", claiming {ground}"));
        }
        if !self.delay.is_empty() {
            text.push_str(&format!("; nobody is to be told: {}", listed(&self.delay)));
        }
        text.push('.');
        text
    }

    fn attachments(&self) -> Vec<(String, SealDigest)> {
        let document = self.document.into_iter();
        document
            .map(|digest| ("/document".to_owned(), digest))
            .collect()
    }

    fn sealed(&self) -> Vec<(&'static str, &SealedField)> {
        let sealed = self.sealed.iter();
        sealed
            .map(|sealed| ("reference", &sealed.reference))
            .collect()
    }

    fn example() -> Self {
        let day = |text: &str| text.parse::<Day>().expect("a day");
        Self {
            process: ProcessKind::SearchWarrant,
            source: DemandSource::Signed,
            agency: Some("hamilton.example".parse().expect("a host name")),
            upon: None,
            jurisdiction: "US-OH".parse().expect("a code"),
            investigation: Some("0f".repeat(16).parse().expect("32 digits")),
            offences: vec!["35A".parse().expect("a code")],
            content: true,
            records: vec![RecordKind::ClipContent, RecordKind::ClipMetadata],
            accounts: Some(Band::UpTo5),
            area_m2: None,
            from: Some(day("2022-11-01")),
            until: Some(day("2022-11-30")),
            emergency: None,
            received: None,
            delay: vec![DelayGround::Jeopardy],
            served_on: day("2022-12-05"),
            answer_by: Some(day("2022-12-19")),
            document: None,
            sealed: Some(DemandSeals {
                reference: SealedField {
                    digest: SealDigest::from_bytes([5; 32]),
                    open_by: day("2023-02-28"),
                },
            }),
        }
    }
}

impl LegalDemand {
    fn check_form(&self) -> Result<(), Refusal> {
        let refuse = |member, detail| Err(Refusal::new(Reason::BadValue, member, detail));
        ascending("/offences", &self.offences, 0..=8)?;
        ascending("/records", &self.records, 0..=7)?;
        ascending("/delay", &self.delay, 0..=5)?;
        if (self.process == ProcessKind::Emergency) != self.emergency.is_some() {
            return refuse("/emergency", "for an emergency, and only there");
        }
        let national = self.process == ProcessKind::NationalSecurity;
        if national != self.received.is_some() {
            return refuse("/received", "for national security, and only there");
        }
        if national == self.agency.is_some() {
            return refuse(
                "/agency",
                "the agency that demands, except for national security",
            );
        }
        let tells = self.investigation.is_some()
            || self.accounts.is_some()
            || self.area_m2.is_some()
            || self.sealed.is_some()
            || self.document.is_some()
            || self.answer_by.is_some()
            || self.content
            || !self.offences.is_empty()
            || !self.records.is_empty()
            || !self.delay.is_empty();
        if national && tells {
            return refuse(
                "/received",
                "a band of 250 and nothing that tells one demand apart",
            );
        }
        if self.content && !self.records.contains(&RecordKind::ClipContent) {
            return refuse(
                "/records",
                "content is demanded: clip-content is among the records",
            );
        }
        if matches!((&self.from, &self.until), (Some(from), Some(until)) if from > until) {
            return refuse("/until", "not before the first day");
        }
        Ok(())
    }

    /// Who may say this; whether a court orders it.
    fn check_author<F: Facts>(
        &self,
        entry: &Entry<'_, F>,
        issuer: &PartyId,
        upon: &PartyId,
    ) -> Result<bool, Verdict<F::Error>> {
        if self.source != DemandSource::Signed {
            return match *issuer == entry.operator()? || issuer == upon {
                true => Ok(false),
                false => Err(wrong_author("the operator, or whoever is to answer").into()),
            };
        }
        let fact = entry.known_party("/issuer", issuer)?;
        match fact.kind {
            // What a court says that is in no standing is on record, and orders nothing.
            PartyKind::Court => Ok(fact.standing == Standing::Live),
            PartyKind::Agency if self.agency.as_ref() == Some(issuer) => Ok(false),
            _ => Err(wrong_author("the agency that demands, or a court").into()),
        }
    }
}
