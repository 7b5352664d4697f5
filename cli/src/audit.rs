//! `clp audit`: whether the trail is what was recorded.

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use domain::ids::OrgId;
use store::Store;
use store::audit_chain::{self, Link};

/// Flaws that are listed for one organisation; a chain that was made anew has as many as lines.
const LISTED: usize = 20;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Compares every line of the trail with its chain of hashes; finds what was edited, removed, reordered or inserted.
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The database, as the application's role.
    #[arg(long, env = "CLP_DATABASE_URL", hide_env_values = true)]
    database: String,
    /// Only this organisation.
    #[arg(long)]
    org: Option<OrgId>,
    /// A head that an earlier run printed for the organisation, as `line:hash`: it must still be part of the chain.
    #[arg(long, requires = "org", value_parser = link)]
    head: Option<Link>,
}

/// Whether what was asked for holds.
pub(crate) async fn run(verb: &Verb) -> Result<bool> {
    match verb {
        Verb::Verify(arguments) => verify(arguments).await,
    }
}

async fn verify(arguments: &Verify) -> Result<bool> {
    let store = Store::connect(&arguments.database, 1).await.context("the database can't be used")?;
    let known = audit_chain::organisations(&store).await.context("the organisations can't be listed")?;
    let asked = match arguments.org {
        Some(org) if known.contains(&org) => vec![org],
        Some(org) => bail!("{org} has no audit trail in this database"),
        None => known,
    };
    let (mut lines, mut flawed) = (0, 0);
    for org in &asked {
        let mut tx = store.begin(*org).await?;
        let verdict = audit_chain::verify(&mut tx, arguments.head).await.with_context(|| format!("{org}"))?;
        let count = verdict.flaws.len();
        let outcome = if count == 0 { "intact".to_owned() } else { format!("{count} flaws") };
        println!("{org}: {} lines, {outcome}; head {}", verdict.head.seq, verdict.head);
        for flaw in verdict.flaws.iter().take(LISTED) {
            println!("  {flaw}");
        }
        if count > LISTED {
            println!("  and {} more", count - LISTED);
        }
        lines += verdict.head.seq;
        flawed += usize::from(count > 0);
    }
    if flawed == 0 {
        println!("audit: ok: {lines} lines of {} organisations are what was recorded", asked.len());
    } else {
        println!("audit: FAILED: the trails of {flawed} of {} organisations were changed", asked.len());
    }
    Ok(flawed == 0)
}

/// Reads `line:hash`.
fn link(text: &str) -> Result<Link> {
    text.parse().context("a head looks like 42:9f86d081…, with 64 digits")
}
