//! `remedis-device`: runs on the board between the imaging hardware and the reader.
#![expect(clippy::print_stdout, reason = "every verb but run answers on standard output")]

mod command;

use clap::{Parser, Subcommand};
use signal_hook::consts::SIGPIPE;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Judges images from imaging hardware, offline.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run until SIGTERM or SIGINT.
    Run {
        /// The settings, see firmware/device/example.toml.
        config: PathBuf,
        /// Log JSON lines instead of words.
        #[arg(long)]
        json: bool,
    },
    /// Explain every setting, open the model, and read the camera's script and the web page's token: what would keep the device from its
    /// start is named. Ports, journals and screen are not touched.
    Check {
        /// The settings.
        config: PathBuf,
        /// One JSON object a setting.
        #[arg(long)]
        json: bool,
    },
    /// After the system ended the device: say so on its screen and in the audit log. For systemd's `ExecStopPost=`.
    Stopped {
        /// The settings.
        config: PathBuf,
        /// Log JSON lines instead of words.
        #[arg(long)]
        json: bool,
    },
    /// Print the answers in a journal, without changing it; a running device is not disturbed.
    Journal(command::journal::Args),
    /// Install, list, activate and roll back models.
    Models(command::models::Args),
    /// Make a token for the web page: it is shown once, and only its hash is kept.
    Token {
        /// Where the hash is kept, as the setting `web.token` names it.
        path: PathBuf,
        /// Replace a token that is there; a running device takes the old one until it is started again.
        #[arg(long)]
        replace: bool,
    },
}

/// 0 when all went well, 2 when the work could not be done.
fn main() -> ExitCode {
    let verb = Arguments::parse().verb;
    if !matches!(verb, Verb::Run { .. } | Verb::Stopped { .. }) {
        // `remedis-device check … | head` ends as other programs do, where Rust's would panic. A device goes on whoever reads its log.
        let always = Arc::new(AtomicBool::new(true));
        let _without_it_nothing_is_worse = signal_hook::flag::register_conditional_shutdown(SIGPIPE, 0, always);
    }
    let outcome = match verb {
        Verb::Run { config, json } => command::run(&config, json),
        Verb::Check { config, json } => command::check(&config, json),
        Verb::Stopped { config, json } => command::stopped(&config, json),
        Verb::Journal(args) => command::journal::print(&args),
        Verb::Models(args) => command::models::run(&args),
        Verb::Token { path, replace } => command::token(&path, replace),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("remedis-device: {error:#}");
            ExitCode::from(2)
        }
    }
}
