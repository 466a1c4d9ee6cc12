//! How calls are answered: how many, by route and by class of status, and how long each took.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Routes that are counted together: an address of its own would tell what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The log's files.
    Log,
    Proofs,
    Statements,
    Attachments,
    /// Parts of clips.
    Clips,
    /// Everything else under `/vault/`.
    Vault,
    /// Batches, bundles, notices and published clips.
    Devices,
    Health,
    /// Pages, and addresses that there are not.
    Pages,
}

/// By prefix of the path; the first that fits counts.
const PREFIXES: [(&str, Route); 14] = [
    ("/log/", Route::Log),
    ("/api/v1/proofs/", Route::Proofs),
    ("/api/", Route::Statements),
    ("/attachments/", Route::Attachments),
    ("/vault/v1/clips/", Route::Clips),
    ("/vault/", Route::Vault),
    ("/batches/", Route::Devices),
    ("/bundles/", Route::Devices),
    ("/notices/", Route::Devices),
    ("/published/", Route::Devices),
    ("/livez", Route::Health),
    ("/readyz", Route::Health),
    ("/healthz", Route::Health),
    ("/", Route::Pages),
];

impl Route {
    const ALL: [Self; 9] = [
        Self::Log,
        Self::Proofs,
        Self::Statements,
        Self::Attachments,
        Self::Clips,
        Self::Vault,
        Self::Devices,
        Self::Health,
        Self::Pages,
    ];

    /// The route of a path.
    pub fn of(path: &str) -> Self {
        let found = PREFIXES.iter().find(|(prefix, _)| path.starts_with(prefix));
        found.map_or(Self::Pages, |(_, route)| *route)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Proofs => "proofs",
            Self::Statements => "statements",
            Self::Attachments => "attachments",
            Self::Clips => "clips",
            Self::Vault => "vault",
            Self::Devices => "devices",
            Self::Health => "health",
            Self::Pages => "pages",
        }
    }
}

/// Classes of status that are answered.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// In seconds: from a file that lies in memory to a clip that takes its time.
const BUCKETS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

type Label = (&'static str, &'static str);

/// Counted since the start. Every series is there from the start.
#[derive(Debug)]
pub struct Answers {
    counts: Family<[Label; 2], Counter>,
    durations: Family<[Label; 1], Histogram, fn() -> Histogram>,
    /// Those of `counts`, by route and class: finding them costs no hashing.
    counters: [[Counter; CLASSES.len()]; Route::ALL.len()],
    histograms: [Histogram; Route::ALL.len()],
}

impl Default for Answers {
    fn default() -> Self {
        let counts = Family::<_, Counter>::default();
        let new: fn() -> Histogram = || Histogram::new(BUCKETS);
        let durations = Family::<_, Histogram, _>::new_with_constructor(new);
        let counter = |route: Route, class| {
            let labels = [("route", route.name()), ("class", class)];
            Counter::clone(&counts.get_or_create(&labels))
        };
        let counters = Route::ALL.map(|route| CLASSES.map(|class| counter(route, class)));
        let histograms = Route::ALL
            .map(|route| Histogram::clone(&durations.get_or_create(&[("route", route.name())])));
        Self {
            counts,
            durations,
            counters,
            histograms,
        }
    }
}

impl Answers {
    /// Takes down an answer, and how long it took from the request's head to the answer's.
    pub fn count(&self, route: Route, status: u16, took: Duration) {
        let class = usize::from(status / 100).checked_sub(2);
        let counters = &self.counters[route as usize];
        if let Some(counter) = class.and_then(|class| counters.get(class)) {
            counter.inc();
        }
        self.histograms[route as usize].observe(took.as_secs_f64());
    }

    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_responses",
            "Answers, by route and class of status",
            self.counts.clone(),
        );
        registry.register_with_unit(
            "http_response_duration",
            "From a request's head to its answer's, by route",
            Unit::Seconds,
            self.durations.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_counted_where_they_belong() {
        for (path, route) in [
            ("/log/checkpoint", Route::Log),
            ("/log", Route::Pages),
            ("/api/v1/statements", Route::Statements),
            ("/api/v1/proofs/00", Route::Proofs),
            ("/vault/v1/clips/00/body", Route::Clips),
            ("/vault/v1/enrol", Route::Vault),
            ("/published/00", Route::Devices),
            ("/livez", Route::Health),
            ("/", Route::Pages),
            ("*", Route::Pages),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
        for (place, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(place, route as usize);
        }
    }

    #[test]
    fn an_answer_is_in_its_class() {
        let answers = Answers::default();
        for status in [200, 201, 204, 304, 404, 429, 503, 101, 999] {
            answers.count(Route::Log, status, Duration::from_millis(1));
        }
        let counts = &answers.counters[Route::Log as usize];
        assert_eq!(counts.each_ref().map(Counter::get), [3, 1, 2, 1]);
    }
}
