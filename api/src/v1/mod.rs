//! Version 1 of the API: one file per noun, each with its wire types, their conversions and its handlers.

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

pub mod audit;
pub mod campaign;
pub mod connection;
pub mod consent;
pub mod decision;
pub mod evaluation;
pub mod onboarding;
mod onboarding_steps;
pub mod organisation;
pub mod overview;
pub mod problem;
pub mod proposal;
mod proposal_words;
pub mod rule;
pub mod run;
pub mod series;
pub mod session;

/// All routes below `/api/v1`.
pub fn routes() -> OpenApiRouter<App> {
    let nouns = [
        session::routes(),
        onboarding::routes(),
        consent::routes(),
        connection::routes(),
        overview::routes(),
        campaign::routes(),
        series::routes(),
        rule::routes(),
        evaluation::routes(),
        proposal::routes(),
        decision::routes(),
        run::routes(),
        audit::routes(),
        organisation::routes(),
        problem::routes(),
    ];
    nouns.into_iter().fold(OpenApiRouter::new(), OpenApiRouter::merge)
}
