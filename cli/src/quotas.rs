//! `clp quotas`: what organisations may have and ask for.

use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use domain::Clock as _;
use domain::ids::OrgId;
use store::allowance::{self, Allowance};
use store::{Store, audit_chain, organisation};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Shows what every organisation may have and uses; `usual` is what the deployment's settings say.
    List(Database),
    /// Gives an organisation another quota. What is not named stays.
    Set(Set),
}

#[derive(Debug, Args)]
pub(crate) struct Database {
    /// The database, as the application's role.
    #[arg(long, env = "CLP_DATABASE_URL", hide_env_values = true)]
    database: String,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    database: Database,
    /// Whose.
    #[arg(long)]
    org: OrgId,
    /// How many connections it may have, or `usual`.
    #[arg(long, value_parser = quota::<u32>)]
    connections: Option<Quota<u32>>,
    /// How many runs its people may ask for in an hour, or `usual`.
    #[arg(long, value_parser = quota::<u32>)]
    runs_per_hour: Option<Quota<u32>>,
    /// How many rows of reports are read for it in a day (UTC), or `usual`.
    #[arg(long, value_parser = quota::<u64>)]
    rows_per_day: Option<Quota<u64>>,
}

/// A number, or what is usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quota<N>(Option<N>);

/// Whether what was asked for holds.
pub(crate) async fn run(verb: &Verb) -> Result<bool> {
    match verb {
        Verb::List(database) => list(database).await,
        Verb::Set(arguments) => set(arguments).await,
    }
}

async fn open(database: &Database) -> Result<Store> {
    Store::connect(&database.database, 1).await.context("the database can't be used")
}

async fn list(database: &Database) -> Result<bool> {
    let store = open(database).await?;
    // Every organisation has a trail: signing up is its first line.
    for org in audit_chain::organisations(&store).await.context("the organisations can't be listed")? {
        show(&store, org).await?;
    }
    Ok(true)
}

async fn set(arguments: &Set) -> Result<bool> {
    let Set { database, org, connections, runs_per_hour, rows_per_day } = arguments;
    if connections.is_none() && runs_per_hour.is_none() && rows_per_day.is_none() {
        bail!("say which quota: --connections, --runs-per-hour or --rows-per-day");
    }
    let store = open(database).await?;
    let mut tx = store.begin(*org).await?;
    let mut allowance = allowance::fetch(&mut tx).await?;
    if let Some(Quota(most)) = connections {
        allowance.connections = *most;
    }
    if let Some(Quota(most)) = runs_per_hour {
        allowance.runs_per_hour = *most;
    }
    if let Some(Quota(most)) = rows_per_day {
        allowance.rows_per_day = *most;
    }
    allowance::set(&mut tx, allowance, runtime::SystemClock.now()).await.with_context(|| format!("{org}"))?;
    tx.commit().await?;
    show(&store, *org).await?;
    Ok(true)
}

async fn show(store: &Store, org: OrgId) -> Result<()> {
    let mut tx = store.begin(org).await?;
    let name = organisation::fetch(&mut tx).await?.name;
    let Allowance { connections, runs_per_hour, rows_per_day } = allowance::fetch(&mut tx).await?;
    let used = allowance::used(&mut tx, runtime::SystemClock.now()).await?;
    println!(
        "{org}: connections {} of {}, runs in the last hour {} of {}, rows today {} of {}; {name}",
        used.connections,
        most(connections),
        used.runs_in_the_last_hour,
        most(runs_per_hour),
        used.rows_today,
        most(rows_per_day),
    );
    Ok(())
}

fn most<N: ToString>(most: Option<N>) -> String {
    most.map_or_else(|| "usual".to_owned(), |most| most.to_string())
}

fn quota<N: FromStr + PartialOrd + Default>(text: &str) -> Result<Quota<N>> {
    match text.parse::<N>() {
        Ok(most) if most > N::default() => Ok(Quota(Some(most))),
        _ if text == "usual" => Ok(Quota(None)),
        _ => bail!("it must be a number from 1 on, or `usual`"),
    }
}
