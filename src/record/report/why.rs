//! Why the log cannot know a figure. Each sentence stands in `docs/REPORTS.md`.

/// Declares the reasons with their sentences.
macro_rules! reasons {
    ($($name:ident = $sentence:literal,)*) => {
        /// Why the log cannot know a figure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Why { $($name,)* }

        impl Why {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// It in words.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

reasons! {
    Breaches = "what happens on an agency's own systems is no statement",
    Civil = "a demand names an agency, and no private party",
    Complaints = "complaints are made to the agency; a party to the log annotates a statement",
    Costs = "what an agency spends stands in its budget; agreements and benefits are below",
    Funding = "budgets are no statements",
    Hardware = "the log holds no camera and no vault",
    InternalAudits = "an agency's own audits are no statements; what anybody can audit is in the findings",
    Judgement = "whether a policy is adequate is for people to judge",
    Models = "equipment has a label, and no model number",
    NationalAccounts = "no statement tells what came of demands of national security",
    NationalDemands = "nobody entered a band for this half; that says nothing of how many there were",
    Outcomes = "no statement tells what footage led to, and none holds crime statistics",
    Personal = "statements hold nothing of any person",
    Places = "a request names a state or a country; its map is an attachment",
    Policy = "an agency's policy is no statement; agreements and their amendments are",
    Prose = "statements hold codes and no prose; offence and legal standard stand beside each sharing",
    RecordsRequests = "public records requests are made to the agency",
    Refusals = "a refusal stays on its owner's device, and looks like silence",
    Unreported = "no custody report tells of it",
    WhoAsked = "which agency or court demanded stands in no entry",
    WhoIsAsked = "devices find requests by themselves, and nobody learns whose camera is near",
}
