//! Reports as texts: CSV, JSON, GitHub-flavoured markdown.

mod csv;
mod json;
mod markdown;

pub use self::csv::{csv, csv_about};
pub use self::json::json;
pub use self::markdown::{grouped, markdown};
