//! What was called and what was written, kept for tests that prove things about the product.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

/// The most calls kept; the totals go on counting.
const MAX_CALLS: usize = 100_000;

/// One call of a platform's API.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// When, in virtual time.
    pub time: DateTime<Utc>,
    /// The HTTP method.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The status answered; 0 when the connection was closed instead.
    pub status: u16,
    /// The OAuth client.
    pub project: Option<String>,
    /// The person.
    pub user: Option<String>,
    /// The planned fault that struck.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
}

/// One write that was accepted.
#[derive(Debug, Clone, Serialize)]
pub struct Write {
    /// When, in virtual time.
    pub time: DateTime<Utc>,
    /// Who.
    pub user: String,
    /// Which entity, as its resource name.
    pub entity: String,
    /// The paths of the update mask.
    pub mask: Vec<String>,
    /// The values at those paths before.
    pub before: Value,
    /// The values at those paths after.
    pub after: Value,
    /// Whether anything was different afterwards.
    pub changed: bool,
}

/// All calls and writes.
#[derive(Debug, Default)]
pub struct Record {
    /// The first calls, up to a limit.
    pub calls: Vec<Call>,
    /// How many calls there were of each kind.
    pub totals: BTreeMap<String, u64>,
    /// All writes.
    pub writes: Vec<Write>,
}

impl Record {
    /// Notes a call.
    pub fn call(&mut self, call: Call) {
        *self.totals.entry(format!("{} {}", call.method, shape(&call.path))).or_default() += 1;
        if self.calls.len() < MAX_CALLS {
            self.calls.push(call);
        }
    }
}

/// The path with ids replaced, so that calls of the same kind count together.
fn shape(path: &str) -> String {
    let shape_one = |part: &str| {
        let (id, verb) = part.split_once(':').map_or((part, None), |(id, verb)| (id, Some(verb)));
        let id = if id.starts_with(|first: char| first.is_ascii_digit()) { "{id}" } else { id };
        verb.map_or_else(|| id.to_owned(), |verb| format!("{id}:{verb}"))
    };
    path.split('/').map(shape_one).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_kind_count_together() {
        assert_eq!(shape("/v2/queries/1001:run"), "/v2/queries/{id}:run");
        assert_eq!(shape("/v4/advertisers/5/lineItems/7"), "/v4/advertisers/{id}/lineItems/{id}");
        assert_eq!(shape("/token"), "/token");
    }
}
