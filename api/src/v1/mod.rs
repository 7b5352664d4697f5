//! Version 1 of the API: one file per noun, each with its wire types, their conversions and its handlers.

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

pub mod api_key;
pub mod audit;
pub mod campaign;
pub mod connection;
pub mod consent;
pub mod decision;
pub mod evaluation;
pub mod invitation;
pub mod member;
pub mod onboarding;
mod onboarding_steps;
pub mod organisation;
pub mod overview;
pub mod password;
pub mod problem;
pub mod proposal;
mod proposal_words;
pub mod role;
pub mod rule;
pub mod run;
pub mod second_factor;
pub mod series;
pub mod session;
pub mod sso;
pub mod terms;

/// All routes below `/api/v1`.
#[must_use]
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(session::routes())
        .merge(password::routes())
        .merge(second_factor::routes())
        .merge(sso::routes())
        .merge(terms::routes())
        .merge(member::routes())
        .merge(invitation::routes())
        .merge(api_key::routes())
        .merge(role::routes())
        .merge(onboarding::routes())
        .merge(consent::routes())
        .merge(connection::routes())
        .merge(overview::routes())
        .merge(campaign::routes())
        .merge(series::routes())
        .merge(rule::routes())
        .merge(evaluation::routes())
        .merge(proposal::routes())
        .merge(decision::routes())
        .merge(run::routes())
        .merge(audit::routes())
        .merge(organisation::routes())
        .merge(problem::routes())
}
