//! What a problem's type means, for whoever opens it in a browser.

use askama::Template;

/// The page of a problem.
#[derive(Debug, Template)]
#[template(path = "problem.html", config = "src/web/askama.toml")]
pub struct ProblemPage<'a> {
    /// The log's origin: its address without scheme.
    pub origin: &'a str,
    /// The status of the answers that tell it.
    pub status: u16,
    pub code: &'static str,
    pub title: &'static str,
    /// What whoever got it may do.
    pub advice: &'static str,
}
