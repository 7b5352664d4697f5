//! The steps of an ingestion cycle.
//!
//! Pulls are rows; every step takes those that are in its state, moves them on, and leaves the rest. A step that was
//! killed finds on its next attempt what it had done and goes on from there.

mod batch;
mod commit;
mod entities;
mod follow_up;
mod hand_over;
mod harvest;
mod history;
mod limit;
mod maintenance;
mod replacement;
mod request;
mod setback;
mod standing;
#[cfg(test)]
mod tests;

pub(crate) use standing::read_again;

use std::sync::Arc;

use futures::FutureExt as _;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use workflows::contract::ingestion::{
    AbandonV1, CommittedV1, CycleKind, CycleStepV1, HarvestV1, HarvestedV1, MaintainedV1, RequestedV1, defs,
};

use crate::context::Context;
use crate::failure::{Error, failure};
use crate::heartbeat::beating;

/// Implements [`workflows::contract::ingestion`].
pub struct IngestionActivities(pub(crate) Arc<Context>);

#[activities]
impl IngestionActivities {
    #[activity(definition = defs::Harvest)]
    pub async fn harvest(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: HarvestV1,
    ) -> Result<HarvestedV1, ActivityError> {
        beating(ctx, async move { harvest::run(&self.0, &input).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::Commit)]
    pub async fn commit(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: CycleStepV1,
    ) -> Result<CommittedV1, ActivityError> {
        beating(ctx, async move { commit::run(&self.0.depot(), &input).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::Request)]
    pub async fn request(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: CycleStepV1,
    ) -> Result<RequestedV1, ActivityError> {
        let again = ctx.info().attempt > 1;
        beating(ctx, async move { request::run(&self.0, &input, again).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::Maintain)]
    pub async fn maintain(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: CycleStepV1,
    ) -> Result<MaintainedV1, ActivityError> {
        beating(ctx, async move { maintenance::run(&self.0.depot(), &input).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::Abandon)]
    pub async fn abandon(self: Arc<Self>, ctx: ActivityContext, input: AbandonV1) -> Result<(), ActivityError> {
        beating(ctx, async move { abandon(&self.0, &input).await.map_err(failure) }.boxed()).await
    }
}

async fn abandon(context: &Context, input: &AbandonV1) -> Result<(), Error> {
    let now = context.clock.now();
    let mut tx = context.store.begin(input.org).await?;
    if let Some(cycle) = store::cycle::find(&mut tx, &input.workflow_id).await? {
        store::cycle::finish(&mut tx, cycle.id, Some(input.code), now).await?;
        tracing::error!(cycle.id = %cycle.id, error.code = %input.code, "gave up cycle {}", cycle.id);
    }
    tx.commit().await?;
    metrics::counter!("clp_cycles_total", "state" => "failed").increment(1);
    Ok(())
}

/// The store's word for why a cycle runs.
trait IntoStore {
    fn into_store(self) -> store::cycle::Kind;
}

impl IntoStore for CycleKind {
    fn into_store(self) -> store::cycle::Kind {
        match self {
            Self::Scheduled => store::cycle::Kind::Scheduled,
            Self::FollowUp => store::cycle::Kind::FollowUp,
            Self::Manual => store::cycle::Kind::Manual,
            Self::Onboarding => store::cycle::Kind::Onboarding,
        }
    }
}
