//! Opens the page to visitors. An address that is not there yet, or that another program has, is tried again and holds nothing up: a
//! network may come after the device, and images are answered meanwhile.

use super::DeviceView;
use crate::log::Note;
use crate::pipeline::judge::chain;
use crate::stop::Stop;
use anyhow::Context;
use remedis_settings::WebConfig;
use remedis_web as web;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The address is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(3);

/// How and to whom the page is served, with the token of its file.
///
/// # Errors
/// When the file cannot be read, or holds no token.
pub fn settings(config: &WebConfig) -> anyhow::Result<web::Settings> {
    let text = std::fs::read_to_string(&config.token)
        .with_context(|| format!("reading {}: `remedis-device token FILE` makes one", config.token.display()))?;
    let token = text.trim().parse().with_context(|| format!("understanding {}", config.token.display()))?;
    let mut settings = web::Settings::new(Some(token));
    settings.address = config.address;
    settings.is_beyond_loopback_allowed = !config.address.ip().is_loopback();
    settings.hosts.clone_from(&config.hosts);
    settings.is_behind_tls = config.is_behind_tls;
    settings.language = config.language.map(|language| match language {
        remedis_settings::Language::English => web::Language::English,
        remedis_settings::Language::German => web::Language::German,
    });
    Ok(settings)
}

/// The page's door.
pub enum Door {
    /// Visitors come in.
    Open(web::Running),
    /// The address is not there yet; the thread ends when it is, or when it is time to end.
    Awaited(JoinHandle<Option<web::Running>>),
}

impl Door {
    /// Opens it: at once where the address is there, else as soon as it is.
    ///
    /// # Errors
    /// When the settings would let in whoever comes, or the system has no room for a thread.
    pub fn open(settings: web::Settings, view: Arc<DeviceView>, stop: &Arc<Stop>) -> anyhow::Result<Self> {
        let reason = match serve(&settings, &view) {
            Ok(running) => return Ok(Self::Open(running)),
            Err(cause @ web::ServeError::Listen { .. }) => chain(&cause),
            Err(cause) => return Err(cause).context("starting the web page"),
        };
        let stop = Arc::clone(stop);
        let wait = move || until_open(&settings, &view, reason, &stop);
        Ok(Self::Awaited(std::thread::Builder::new().name("web-door".into()).spawn(wait)?))
    }

    /// Closes it, once it was told to stop.
    pub fn close(self) {
        if let Self::Awaited(thread) = self {
            // One that panicked has nothing open.
            let _panicked = thread.join();
        }
    }
}

fn serve(settings: &web::Settings, view: &Arc<DeviceView>) -> Result<web::Running, web::ServeError> {
    let running = web::serve(settings.clone(), view.clone())?;
    view.log.note(&Note::Listening { address: &running.address().to_string() });
    Ok(running)
}

/// Tries again until the page is served; a reason is said once as long as it is the same.
fn until_open(
    settings: &web::Settings,
    view: &Arc<DeviceView>,
    mut reason: String,
    stop: &Stop,
) -> Option<web::Running> {
    view.log.note(&Note::PageUnreachable { reason: &reason });
    while !stop.wait(TRY_AGAIN) {
        let cause = match serve(settings, view) {
            Ok(running) => return Some(running),
            Err(cause) => chain(&cause),
        };
        if cause != reason {
            view.log.note(&Note::PageUnreachable { reason: &cause });
            reason = cause;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Board;
    use crate::log::{Log, tests::Lines};
    use crate::operation::alarm::Alarm;
    use crate::pipeline::Queue;
    use crate::telemetry::Telemetry;
    use remedis_settings::Language;
    use std::net::{SocketAddr, TcpListener};
    use std::time::Instant;

    fn understand(token: &str, address: SocketAddr, language: Option<Language>) -> anyhow::Result<web::Settings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.token");
        std::fs::write(&path, token).unwrap();
        settings(&WebConfig { address, token: path, hosts: vec![], is_behind_tls: false, language })
    }

    fn open(token: &str, address: SocketAddr, lines: &Lines, stop: &Arc<Stop>) -> anyhow::Result<Door> {
        Door::open(understand(token, address, None)?, Arc::new(view(Arc::default(), lines)), stop)
    }

    fn view(board: Arc<Board>, lines: &Lines) -> DeviceView {
        DeviceView {
            board,
            ledger: None,
            telemetry: Arc::new(Telemetry::default()),
            queue: Arc::new(Queue::default()),
            stale_after_ms: 0,
            log: Log::to(false, lines.clone()),
            logins: crate::web::Logins::new(None, Log::to(false, lines.clone())).unwrap(),
        }
    }

    #[test]
    fn a_store_counts_as_writable_unless_it_is_the_store_that_ails() {
        let is_writable = |alarm| {
            let view = view(Arc::default(), &Lines::default());
            view.board.raise(alarm, "");
            (web::View::status(&view).unwrap().store.is_writable, web::View::ailment(&view))
        };
        assert_eq!(is_writable(Alarm::NoModel), (true, Some("no_model")));
        assert_eq!(is_writable(Alarm::AuditBroken), (true, Some("audit_broken")));
        assert_eq!(is_writable(Alarm::DiskFull), (false, Some("disk_full")));
        assert_eq!(is_writable(Alarm::Hot), (true, None));
    }

    fn digest() -> String {
        web::Token::generate().unwrap().digest().to_string()
    }

    #[test]
    fn an_address_that_is_taken_is_said_once_and_the_end_is_not_waited_for() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let (lines, stop, start) = (Lines::default(), Arc::new(Stop::default()), Instant::now());
        let door = open(&digest(), taken.local_addr().unwrap(), &lines, &stop).unwrap();
        assert!(matches!(door, Door::Awaited(_)));
        stop.set();
        door.close();
        assert!(start.elapsed() < TRY_AGAIN, "it slept on");
        let said = lines.text();
        assert!(said.starts_with("page_unreachable reason=cannot listen on 127.0.0.1:"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }

    #[test]
    fn an_address_that_is_not_this_machines_is_waited_for() {
        // Of TEST-NET-1, which nobody has (RFC 5737).
        let (lines, stop) = (Lines::default(), Arc::new(Stop::default()));
        let door = open(&digest(), "192.0.2.1:8470".parse().unwrap(), &lines, &stop).unwrap();
        assert!(matches!(door, Door::Awaited(_)));
        stop.set();
        door.close();
    }

    #[test]
    fn a_file_without_a_token_is_an_error_whatever_the_address() {
        let refused = open("open sesame", "192.0.2.1:8470".parse().unwrap(), &Lines::default(), &Arc::default());
        assert!(format!("{:#}", refused.err().unwrap()).contains("web.token"));
    }

    #[test]
    fn the_language_is_the_browsers_to_wish_for_until_the_settings_name_one() {
        let language = |told| understand(&digest(), SocketAddr::from(([127, 0, 0, 1], 8470)), told).unwrap().language;
        assert_eq!(language(None), None);
        assert_eq!(language(Some(Language::English)), Some(web::Language::English));
        assert_eq!(language(Some(Language::German)), Some(web::Language::German));
    }
}
