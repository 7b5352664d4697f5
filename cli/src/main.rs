//! `clp`: what an operator asks of a deployment from a terminal.
//!
//! One module per noun. It answers on standard output, says what went wrong on standard error, and ends with 1 when what
//! was asked for does not hold, with 2 when it could not be asked.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

mod audit;
mod codec;
mod keys;
mod quotas;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "clp", version, about = "Asks a deployment of the Campaign Lifecycle Platform")]
struct Cli {
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// The audit trail.
    #[command(subcommand)]
    Audit(audit::Verb),
    /// The keys that seal the platforms' tokens.
    #[command(subcommand)]
    Keys(keys::Verb),
    /// What workflows are given and give, decrypted for an operator.
    #[command(subcommand)]
    Codec(codec::Verb),
    /// What organisations may have and ask for.
    #[command(subcommand)]
    Quotas(quotas::Verb),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().noun {
        Noun::Audit(verb) => audit::run(&verb).await,
        Noun::Keys(verb) => keys::run(&verb).await,
        Noun::Codec(verb) => codec::run(&verb).await,
        Noun::Quotas(verb) => quotas::run(&verb).await,
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
