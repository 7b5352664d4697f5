//! What a proposal is, why it is made and what happened to it, in words.

use domain::Money;
use domain::entity::Field;
use rust_decimal::Decimal;
use store::audit::{self, Actor};
use store::proposal::Proposal;

use crate::v1::audit::unnamed;
use crate::v1::proposal::ProposalEvent;
use crate::wire;

/// A setting's name.
pub(super) const fn field(field: Field) -> &'static str {
    match field {
        Field::DailyBudget => "Daily budget",
    }
}

fn money(money: Money) -> String {
    // In words an amount has the digits that can be paid; the exact one stands beside it.
    format!("{} {}", wire::amount(money.floor_to_minor()), money.currency())
}

/// What it is.
pub(super) fn title(row: &Proposal) -> String {
    let verb = if row.after.amount() > row.before.amount() { "Raise" } else { "Lower" };
    let field = field(row.field).to_lowercase();
    format!("{verb} the {field} of {} from {} to {}", row.entity_name, money(row.before), money(row.after))
}

/// Why it is made.
pub(super) fn why(row: &Proposal) -> String {
    let pacing = &row.pacing;
    let share = pacing.index.map(|index| (index * Decimal::ONE_HUNDRED).round_dp(1).normalize());
    let spent = match share {
        Some(share) => format!(
            "It has spent {} of the {} expected by now ({share} %).",
            money(pacing.delivered),
            money(pacing.expected)
        ),
        None => format!("It has spent {} so far.", money(pacing.delivered)),
    };
    let ends = pacing.projected.map(|projected| {
        format!(" If it goes on like this it ends at {} of {}.", money(projected), money(pacing.budget))
    });
    let needs = pacing.required_daily.map(|daily| format!(" It needs {} a day to end on budget.", money(daily)));
    let limited = if row.limited { " The rule's limit allows this much at once." } else { "" };
    format!("{spent}{}{}{limited}", ends.unwrap_or_default(), needs.unwrap_or_default())
}

/// A line of its audit trail.
pub(super) fn event(line: &audit::Line) -> ProposalEvent {
    let event = line.action.strip_prefix("proposal.").unwrap_or(&line.action).to_owned();
    let by = line.actor_name.clone().unwrap_or_else(|| unnamed(line.actor).to_owned());
    let reason = line.after.as_ref().and_then(|after| after.get("reason")).and_then(|reason| reason.as_str());
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    let because = reason.map(|reason| format!(" Reason: {reason}")).unwrap_or_default();
    let sentence = format!("{}{because}", happened(&event, &by));
    ProposalEvent { at: line.at, event, by: (line.actor != Actor::System).then_some(by), sentence }
}

fn happened(event: &str, by: &str) -> String {
    match event {
        "create" => format!("{by} proposed the change."),
        "approve" => format!("{by} approved exactly this change."),
        "reject" => format!("{by} rejected it; nothing was sent."),
        "cancel" => format!("{by} withdrew it; nothing was sent."),
        "expire" => "Nobody decided in time; nothing was sent.".to_owned(),
        "begin" => "The platform had the value before; the change was sent.".to_owned(),
        "lose_answer" => "The platform's answer was lost; it is read until the outcome is certain.".to_owned(),
        "read_before" => "The platform was read and still has the value from before.".to_owned(),
        "read_after" => "The platform was read and has the new value: applied and verified.".to_owned(),
        "read_other" => "The platform has another value, which was left as it is.".to_owned(),
        "refuse" => "The platform refused the change; nothing was changed.".to_owned(),
        other => format!("{by}: {}.", other.replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use domain::write_back::Event;

    use super::*;

    #[test]
    fn every_event_of_a_write_back_has_a_sentence_of_its_own() {
        use Event as E;
        let all = [
            E::Approve,
            E::Reject,
            E::Expire,
            E::Cancel,
            E::Begin,
            E::LoseAnswer,
            E::ReadBefore,
            E::ReadAfter,
            E::ReadOther,
            E::Refuse,
        ];
        for event in all {
            assert!(!happened(&event.to_string(), "Ana").starts_with("Ana: "), "{event}");
        }
    }
}
