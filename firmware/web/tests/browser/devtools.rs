//! A headless Chromium, driven over a pipe by its DevTools protocol: what people will look at the pages with.

use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;
use tempfile::TempDir;

/// Without them Chromium asks machines of its maker for news, and letters may have the coloured edges that some screens want.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--disable-lcd-text",
    "--remote-debugging-pipe",
];
/// Letters are drawn as on a fresh Debian, whatever somebody set on this machine: fully hinted ones are others.
const FONTS: &str = r#"<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <match target="pattern"><edit name="hintstyle" mode="assign"><const>hintslight</const></edit></match>
  <match target="font"><edit name="hintstyle" mode="assign"><const>hintslight</const></edit></match>
</fontconfig>
"#;

/// Against hanging only: Chromium may starve on a busy machine.
const SILENCE: Duration = Duration::from_secs(120);

/// One browser with one page open.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    n_calls: u64,
    session: Option<String>,
    events: VecDeque<Value>,
    _profile: TempDir,
}

impl Browser {
    /// A new browser with an empty profile; none on a machine without Chromium, which is said.
    ///
    /// # Panics
    /// In CI when there is none: it skips nothing.
    pub(crate) fn start() -> Option<Self> {
        let chromium = or_skipped(installed(), std::env::var_os("CI").is_some())?;
        let profile = TempDir::new().unwrap();
        let fonts = profile.path().join("fonts.conf");
        std::fs::write(&fonts, FONTS).unwrap();
        // Chromium listens on descriptor 3 and answers on 4; the shell moves our pipes there.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#])
            .arg(chromium)
            .env("FONTCONFIG_FILE", &fonts)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), messages(child.stdout.take().unwrap()));
        let mut browser =
            Self { child, to, from, n_calls: 0, session: None, events: VecDeque::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(String::from);
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Calls a method and waits for its result; what happens meanwhile is kept.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.n_calls += 1;
        let mut message = json!({"id": self.n_calls, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut answer = self.read();
            if answer["id"] == self.n_calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.events.push_back(answer);
        }
    }

    fn read(&mut self) -> Value {
        self.from.recv_timeout(SILENCE).expect("Chromium ended, or said nothing for two minutes")
    }

    /// Everything of a kind that happened since the last look.
    pub(crate) fn take_events(&mut self, method: &str) -> Vec<Value> {
        let (wanted, rest): (Vec<_>, Vec<_>) = self.events.drain(..).partition(|event| event["method"] == method);
        self.events = VecDeque::from(rest);
        wanted
    }

    fn wait_for_load(&mut self) {
        while self.take_events("Page.loadEventFired").is_empty() {
            let event = self.read();
            self.events.push_back(event);
        }
    }

    pub(crate) fn go_to(&mut self, url: &str) {
        self.take_events("Page.loadEventFired");
        let gone = self.call("Page.navigate", json!({"url": url}));
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        self.wait_for_load();
    }

    /// Types into an element, and confirms.
    pub(crate) fn type_and_enter(&mut self, selector: &str, text: &str) {
        self.take_events("Page.loadEventFired");
        self.evaluate(&format!("document.querySelector({selector:?}).focus()"));
        self.call("Input.insertText", json!({"text": text}));
        let key =
            json!({"type": "keyDown", "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13});
        self.call("Input.dispatchKeyEvent", key);
        self.wait_for_load();
    }

    /// The value of an expression in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let mut answer = self.call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true}));
        assert!(answer["exceptionDetails"].is_null(), "{answer}");
        answer["result"]["value"].take()
    }

    /// Makes the window so wide and high, for a reader who prefers dark pages or light ones.
    pub(crate) fn resize(&mut self, width: u32, height: u32, is_dark: bool) {
        let window = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", window);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// The whole page, also what is below the window, as a PNG file.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let size = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].take();
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let asked = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let answer = self.call("Page.captureScreenshot", asked);
        base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
    }
}

/// Where Chromium is, as `command -v chromium` finds it.
fn installed() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join("chromium")).find(|program| program.is_file())
}

fn or_skipped(chromium: Option<PathBuf>, is_ci: bool) -> Option<PathBuf> {
    if chromium.is_none() {
        let missing = "no chromium is on the path (tools/install/optional.sh)";
        assert!(!is_ci, "CI skips nothing, but {missing}");
        // Past the test's own output, which nobody sees of a test that passes.
        let _nobody_listens = writeln!(std::io::stderr(), "skipped: {missing}");
    }
    chromium
}

#[test]
#[should_panic(expected = "CI skips nothing, but no chromium")]
fn ci_does_not_do_without_a_browser() {
    or_skipped(None, true);
}

/// What Chromium says, until it ends.
fn messages(pipe: ChildStdout) -> Receiver<Value> {
    let (sender, messages) = sync_channel(1024);
    std::thread::spawn(move || {
        for message in BufReader::new(pipe).split(0) {
            let message = serde_json::from_slice(&message.unwrap()).unwrap();
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    messages
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_gone = self.child.wait();
    }
}
