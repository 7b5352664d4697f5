//! `clp keys`: which keys are in use, and their exchange while everything runs.

use std::sync::Arc;

use ::keys::rotation::{self, Resealed};
use ::keys::{Codec, Master, Vault};
use anyhow::{Context as _, Error, Result, bail};
use clap::{Args, Subcommand};
use domain::ids::OrgId;
use runtime::{MasterKeys, SystemClock};
use store::{Store, data_key};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Lists the data keys, what they seal and which master keys wrap them. Nothing of a key is shown.
    List(List),
    /// Wraps every data key with the master key that wraps now, and says whether the ones before can be dropped.
    Rewrap(Database),
    /// Makes a new data key, seals all secrets with it, and removes the keys before it.
    Rotate(Rotate),
    /// Removes the keys for payloads before one of them: histories from before that can't be read any more.
    Forget(Forget),
}

#[derive(Debug, Args)]
pub(crate) struct Database {
    /// The database, as the application's role.
    #[arg(long, env = "CLP_DATABASE_URL", hide_env_values = true)]
    database: String,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    database: Database,
    /// Only this organisation.
    #[arg(long)]
    org: Option<OrgId>,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// This organisation's data key.
    #[arg(long)]
    org: Option<OrgId>,
    /// Every organisation's data key.
    #[arg(long)]
    all: bool,
    /// The key that the payloads of workflows are encrypted with. Those before it stay: histories need them.
    #[arg(long)]
    payloads: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Forget {
    #[command(flatten)]
    database: Database,
    /// The first key for payloads that is kept.
    #[arg(long, value_name = "VERSION")]
    payloads_before: u32,
}

/// What the verbs work with: the same master keys as `api` and `worker`, and the database.
struct Desk {
    store: Store,
    vault: Vault,
    codec: Codec,
    /// The master key that wraps now.
    master: String,
}

impl Desk {
    async fn open(database: &Database) -> Result<Self> {
        let settings = MasterKeys::from_env().context("the master keys are not configured")?;
        let master = Arc::new(Master::new(&settings).context("the master keys can't be used")?);
        let name = master.name().await.context("the master key can't be used")?;
        let store = Store::connect(&database.database, 2).await.context("the database can't be used")?;
        let codec = Codec::unopened(store.clone(), Arc::clone(&master), Arc::new(SystemClock));
        Ok(Self { store, vault: Vault::new(master, Arc::new(SystemClock)), codec, master: name })
    }

    async fn organisations(&self, asked: Option<OrgId>) -> Result<Vec<OrgId>> {
        let known = data_key::organisations(&self.store).await.context("the organisations can't be listed")?;
        match asked {
            Some(org) if known.contains(&org) => Ok(vec![org]),
            Some(org) => bail!("{org} has no key and no secret in this database"),
            None => Ok(known),
        }
    }
}

/// Whether what was asked for holds.
pub(crate) async fn run(verb: &Verb) -> Result<bool> {
    match verb {
        Verb::List(arguments) => list(arguments).await,
        Verb::Rewrap(database) => rewrap(&Desk::open(database).await?).await,
        Verb::Forget(arguments) => {
            let desk = Desk::open(&arguments.database).await?;
            let removed = desk.codec.forget_before(arguments.payloads_before).await?;
            println!("keys: ok: {removed} keys for payloads are removed");
            Ok(true)
        }
        Verb::Rotate(arguments) => {
            let desk = Desk::open(&arguments.database).await?;
            if arguments.which.payloads {
                let version = desk.codec.rotate().await?;
                println!("keys: ok: payloads are encrypted with key {version}, by every process within a minute");
                return Ok(true);
            }
            rotate(&desk, &desk.organisations(arguments.which.org).await?).await
        }
    }
}

async fn list(arguments: &List) -> Result<bool> {
    let desk = Desk::open(&arguments.database).await?;
    println!("master key that wraps: {}", desk.master);
    for key in desk.codec.list().await? {
        let (version, master, made) = (key.version, &key.master, key.created_at.format("%F"));
        println!("payloads: key {version} of {made}, wrapped by {master}");
    }
    for org in desk.organisations(arguments.org).await? {
        let state = rotation::state(&desk.store, org).await.with_context(|| format!("{org}"))?;
        for (key, secrets) in &state.keys {
            let (version, master, made) = (key.version, &key.master, key.created_at.format("%F"));
            println!("{org}: data key {version} of {made} seals {secrets} secrets, wrapped by {master}");
        }
        if state.first_form > 0 {
            println!("{org}: {} secrets are sealed by a master key itself", state.first_form);
        }
    }
    Ok(true)
}

async fn rewrap(desk: &Desk) -> Result<bool> {
    let (mut wrapped, mut failed) = (0, 0);
    let organisations = desk.organisations(None).await?;
    for &org in &organisations {
        match rewrap_one(desk, org).await {
            Ok(count) => wrapped += count,
            Err(error) => {
                failed += 1;
                println!("{org}: {error:#}");
            }
        }
    }
    match desk.codec.rewrap(&desk.master).await {
        Ok(count) => wrapped += count,
        Err(error) => {
            failed += 1;
            println!("payloads: {:#}", Error::from(error));
        }
    }
    println!(
        "wrapped anew by {}: {wrapped} keys of {} organisations and of payloads",
        desk.master,
        organisations.len()
    );
    let others = rotation::masters_in_use(&desk.store).await?;
    let mut clear = failed == 0;
    for (master, count) in others.iter().filter(|(master, _)| master.as_ref() != Some(&desk.master)) {
        clear = false;
        match master {
            Some(master) => println!("{master} still wraps {count} keys: it can't be dropped"),
            None => println!("{count} secrets are sealed by a master key itself: none can be dropped"),
        }
    }
    if clear {
        println!("keys: ok: only {} is needed; any other master key can be dropped", desk.master);
    } else {
        println!("keys: FAILED: keep the master keys of before and run this again");
    }
    Ok(clear)
}

async fn rewrap_one(desk: &Desk, org: OrgId) -> Result<u64> {
    // Secrets of before there were data keys need the master key that sealed them as long as they are so.
    if rotation::state(&desk.store, org).await?.first_form > 0 {
        desk.vault.reseal(&desk.store, org).await?;
    }
    Ok(desk.vault.rewrap(&desk.store, org, &desk.master).await?)
}

async fn rotate(desk: &Desk, organisations: &[OrgId]) -> Result<bool> {
    let mut failed = 0;
    for &org in organisations {
        match rotate_one(desk, org).await {
            Ok(true) => {}
            Ok(false) => failed += 1,
            Err(error) => {
                failed += 1;
                println!("{org}: {error:#}");
            }
        }
    }
    if failed == 0 {
        println!(
            "keys: ok: {} organisations have a new data key, and nothing needs the ones before",
            organisations.len()
        );
    } else {
        println!("keys: FAILED: older keys of {failed} of {} organisations are still needed", organisations.len());
    }
    Ok(failed == 0)
}

async fn rotate_one(desk: &Desk, org: OrgId) -> Result<bool> {
    let version = desk.vault.add_key(&desk.store, org).await?;
    let Resealed { secrets, removed, stuck, kept } = desk.vault.reseal(&desk.store, org).await?;
    println!("{org}: data key {version} seals {secrets} secrets anew; removed {}", numbers(&removed));
    let all_open = stuck.is_empty();
    for (owner, error) in stuck {
        println!("  {owner:?}: {:#}", Error::from(error));
    }
    if !kept.is_empty() {
        println!("  still in use: {}", numbers(&kept));
    }
    Ok(all_open && kept.is_empty())
}

fn numbers(versions: &[u32]) -> String {
    if versions.is_empty() {
        return "none".to_owned();
    }
    versions.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
