//! Shapes that several nouns share on the wire: money, enumerations, lists.
//!
//! They mirror domain types and are converted here, so that a new variant in the domain does not compile until the wire
//! has a word for it.

use domain::Permission;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator as _;
use utoipa::ToSchema;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};

/// Digits after the point that an amount has at most on the wire: millionths, the platforms' own unit.
const MOST_DIGITS: u32 = 6;

/// An exact amount in one currency. The amount is a decimal string: JavaScript's numbers can't hold money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Money {
    /// The amount in units of the currency.
    #[schema(example = "12.34")]
    pub amount: String,
    /// The ISO 4217 code.
    #[schema(example = "EUR")]
    pub currency: String,
}

impl From<domain::Money> for Money {
    fn from(money: domain::Money) -> Self {
        Self { amount: amount(money), currency: money.currency().code().to_owned() }
    }
}

/// An amount as text: never more than six digits after the point, never fewer than its currency has.
#[must_use]
pub fn amount(money: domain::Money) -> String {
    let mut amount = money.amount().round_dp(MOST_DIGITS).normalize();
    if amount.scale() < money.currency().minor_digits() {
        amount.rescale(money.currency().minor_digits());
    }
    amount.to_string()
}

/// A decimal as text, without zeros at its end.
#[must_use]
pub fn decimal(value: Decimal) -> String {
    value.normalize().to_string()
}

/// Defines an enumeration of the wire that has the same words as one of the domain, and its conversion.
macro_rules! mirrored {
    ($($(#[$doc:meta])* $name:ident of $source:path { $($(#[$variant_doc:meta])* $variant:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl From<$source> for $name {
            fn from(value: $source) -> Self {
                use $source as Source;
                match value { $(Source::$variant => Self::$variant,)* }
            }
        }
    )*};
}

mirrored! {
    /// An advertising platform.
    Platform of domain::Platform {
        /// Google's Display & Video 360.
        Dv360,
    }
    /// Whether the platform would spend on an entity.
    EntityStatus of domain::EntityStatus {
        /// It delivers when its dates and budget allow.
        Active,
        /// A person or a rule stopped it.
        Paused,
        /// It was never started.
        Draft,
        /// It is over and can't come back.
        Archived,
    }
    /// How settled a day's numbers are.
    Finality of domain::Finality {
        /// The day was not over when the platform made the report.
        Intraday,
        /// The day is over, but the platform may still restate it.
        Provisional,
        /// The platform's restatement window is past.
        Final,
    }
    /// A setting that a change can name.
    Field of domain::entity::Field {
        /// The most that a line may spend in a day.
        DailyBudget,
    }
    /// How far a pull has come.
    PullState of domain::pull::State {
        /// It is to be requested.
        Planned,
        /// The platform is making the report.
        Requested,
        /// Its rows are read and wait for the commit.
        Fetched,
        /// Its rows are in the tables.
        Landed,
        /// It ended without rows.
        Failed,
    }
    /// Why a range of days is read.
    PullKind of domain::pull::Kind {
        /// The first days after sign-up.
        FirstSlice,
        /// Today and yesterday, every cadence.
        Tick,
        /// The days that the platform may restate.
        Lookback,
        /// History.
        Backfill,
        /// A person asked.
        Manual,
    }
    /// How far a proposal and its write-back have come.
    ProposalState of domain::write_back::State {
        /// Waits for an approver.
        Proposed,
        /// An approver said yes.
        Approved,
        /// The change may have been sent.
        Applying,
        /// The platform's answer got lost; the platform is read until it is certain.
        Unknown,
        /// The change stands in the platform, read back there.
        Verified,
        /// An approver said no.
        Rejected,
        /// Nobody decided in time.
        Expired,
        /// A person withdrew it before it was sent.
        Cancelled,
        /// Somebody changed the value in the platform.
        Drifted,
        /// Nothing was changed.
        Failed,
    }
    /// Why a line was not judged.
    NotJudgedReason of domain::rule::NotJudged {
        /// The flight has not begun, or is over.
        OutsideFlight,
        /// The flight has begun, but its first day is not complete yet.
        NoCompleteDay,
        /// The line has no days with a budget of its own to be judged by.
        NoOwnBudget,
        /// The line has no daily budget to change.
        NoDailyBudget,
        /// The data is less settled than the rule needs.
        DataNotSettled,
        /// Days of the flight were not read yet.
        HistoryMissing,
        /// The platform kept the spend of some days to itself.
        SpendWithheld,
        /// The spend is not in the currency of the budget.
        OtherCurrency,
    }
}

impl From<Finality> for domain::Finality {
    fn from(value: Finality) -> Self {
        match value {
            Finality::Intraday => Self::Intraday,
            Finality::Provisional => Self::Provisional,
            Finality::Final => Self::Final,
        }
    }
}

impl From<Platform> for domain::Platform {
    fn from(value: Platform) -> Self {
        match value {
            Platform::Dv360 => Self::Dv360,
        }
    }
}

/// Something with an id and a name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// What people called it.
    pub name: String,
}

/// A person, by name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Person {
    /// The name.
    pub name: String,
}

/// All of a short list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Items<T> {
    /// The items.
    pub items: Vec<T>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last page.
    pub next_cursor: Option<String>,
}

/// Defines the schema of a text that is parsed in its handler.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                Schema::Object($schema.schema_type(Type::String).build()).into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

texts! {
    /// The name of a permission that an API key may have.
    KeyPermissionName = ObjectBuilder::new().enum_values(Some(
        Permission::iter().filter(|permission| permission.is_for_keys()).map(|permission| permission.to_string())
    ));
    /// The name of a permission.
    PermissionName = ObjectBuilder::new().enum_values(Some(Permission::iter().map(|permission| permission.to_string())));
    /// The id of an advertiser.
    AccountIdText = ObjectBuilder::new().pattern(Some("^acc_[0-9a-f]{32}$"));
}

/// A request without content: an empty object.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmptyIn {}

#[cfg(test)]
mod tests {
    fn text(amount: &str, currency: &str) -> String {
        super::amount(domain::Money::new(amount.parse().unwrap(), currency.parse().unwrap()))
    }

    #[test]
    fn an_amount_has_its_currency_s_digits_and_at_most_six() {
        assert_eq!(text("12.340000000", "EUR"), "12.34");
        assert_eq!(text("12", "EUR"), "12.00");
        assert_eq!(text("12", "JPY"), "12");
        assert_eq!(text("12.345678", "EUR"), "12.345678");
        assert_eq!(text("483.3333333333333333", "EUR"), "483.333333");
    }
}
