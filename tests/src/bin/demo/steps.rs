//! What the demo says while it works.

use std::time::Instant;

use harness::truth::Compared;
use serde_json::Value;

/// Prints each step with the time that it took.
pub(crate) struct Steps {
    pub(crate) begun: Instant,
    last: Instant,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), last: Instant::now() }
    }

    pub(crate) fn done(&mut self, text: &str) {
        println!("  {:>6.1} s  {text}", self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
    }

    /// Goes on counting from here: a person has thought, which is no work of the platform's.
    pub(crate) fn rest(&mut self) {
        self.begun += self.last.elapsed();
        self.last = Instant::now();
    }
}

pub(crate) fn told(compared: &Compared) -> String {
    format!("{} line days over {} days, {}", compared.line_days, compared.days, sums(&compared.media_cost))
}

pub(crate) fn sums<'a, T: std::fmt::Display + 'a>(sums: impl IntoIterator<Item = (&'a String, &'a T)>) -> String {
    sums.into_iter().map(|(currency, sum)| format!("{sum} {currency}")).collect::<Vec<_>>().join(", ")
}

pub(crate) fn totals(overview: &Value) -> String {
    let totals = overview["totals"].as_array().cloned().unwrap_or_default();
    totals.iter().map(|total| money(&total["delivered"])).collect::<Vec<_>>().join(", ")
}

pub(crate) fn money(value: &Value) -> String {
    let text = |name: &str| value[name].as_str().unwrap_or("?").to_owned();
    format!("{} {}", text("amount"), text("currency"))
}

/// A count, with its noun in the singular or the plural.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
