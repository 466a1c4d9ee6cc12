//! The offences that a statement may name: codes of NIBRS, group A (FBI, National Incident-Based
//! Reporting System), the sensitive ones as groups.

use super::words::Offence;

/// The name of the offence with this code, in short; none if there is no such code.
pub(super) fn name(code: &str) -> Option<&'static str> {
    let mut known = OFFENCES.iter();
    known
        .find(|(known, _)| *known == code)
        .map(|(_, name)| *name)
}

impl Offence {
    /// Its name, in short.
    pub fn name(&self) -> &'static str {
        name(self.as_str()).expect("checked on construction")
    }
}

#[rustfmt::skip]
const OFFENCES: &[(&str, &str)] = &[
    ("09A", "murder"), ("09B", "negligent manslaughter"), ("09C", "justifiable homicide"),
    ("100", "kidnapping"), ("11", "sex offence"), ("120", "robbery"),
    ("13A", "aggravated assault"), ("13B", "simple assault"), ("13C", "intimidation"),
    ("200", "arson"), ("210", "extortion or blackmail"), ("220", "burglary"),
    ("23A", "pocket-picking"), ("23B", "purse-snatching"), ("23C", "shoplifting"),
    ("23D", "theft from a building"), ("23E", "theft from a coin-operated machine"),
    ("23F", "theft from a vehicle"), ("23G", "theft of vehicle parts"), ("23H", "other theft"),
    ("240", "vehicle theft"), ("250", "forgery"), ("26A", "swindle"),
    ("26B", "card or cash-machine fraud"), ("26C", "impersonation"), ("26D", "welfare fraud"),
    ("26E", "wire fraud"), ("26F", "identity theft"), ("26G", "computer intrusion"),
    ("26H", "money laundering"), ("270", "embezzlement"), ("280", "stolen property"),
    ("290", "vandalism"), ("35A", "drug offence"), ("35B", "drug equipment"),
    ("36", "incest or statutory rape"), ("370", "obscene material"), ("39A", "betting"),
    ("39B", "running a gambling business"), ("39C", "gambling equipment"),
    ("39D", "sports tampering"), ("40", "prostitution"), ("510", "bribery"),
    ("520", "weapon offence"), ("521", "firearms act offence"),
    ("522", "weapons of mass destruction"), ("526", "explosives"),
    ("61A", "federal liquor offence"), ("61B", "federal tobacco offence"),
    ("64", "human trafficking"), ("720", "animal cruelty"),
];
