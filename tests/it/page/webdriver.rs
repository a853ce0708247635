//! A browser, driven through chromedriver (W3C WebDriver).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a page may take to show something.
const PATIENCE: Duration = Duration::from_secs(60);

/// A headless browser with one window. Closed when dropped.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// Its profile and temporary files; removed after the browser has ended.
    _files: tempfile::TempDir,
}

impl Browser {
    /// Starts one with a window of `width` x `height`.
    ///
    /// # Panics
    ///
    /// Without chromium and chromedriver: `make test-page` installs them.
    pub fn start(width: u32, height: u32, is_dark: bool) -> Self {
        let files = tempfile::Builder::new()
            .prefix("backfill-browser-")
            .tempdir()
            .unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("TMPDIR", files.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed by `make test-page`");
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.rsplit_once("successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver prints its port");
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
            _files: files,
        };
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            // The shared memory of a container can be too small.
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--force-device-scale-factor=1".to_owned(),
            format!("--window-size={width},{height}"),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "unhandledPromptBehavior": "ignore",
        }}});
        let made = browser.call("POST", "/session", &wanted);
        browser.session = made["sessionId"].as_str().expect("a session").to_owned();
        browser.command(
            "POST",
            "/goog/cdp/execute",
            &json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": {
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
            }}),
        );
        let scheme = if is_dark { "dark" } else { "light" };
        browser.command(
            "POST",
            "/goog/cdp/execute",
            &json!({"cmd": "Emulation.setEmulatedMedia", "params": {
                "features": [{"name": "prefers-color-scheme", "value": scheme}],
            }}),
        );
        browser
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let value = self.try_call(method, path, body).unwrap();
        assert!(value["error"].is_null(), "{path}: {value}");
        value
    }

    fn try_call(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Value> {
        let body = match method {
            "POST" => body.to_string(),
            _ => String::new(),
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )?;
        // chromedriver keeps the connection open, so the length decides.
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let response: Value = serde_json::from_slice(&body)?;
        Ok(response["value"].clone())
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.call(method, &format!("/session/{}{path}", self.session), body)
    }

    pub fn open(&self, url: &str) {
        self.command("POST", "/url", &json!({"url": url}));
    }

    /// The value of a JavaScript expression.
    pub fn value(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        self.command(
            "POST",
            "/execute/sync",
            &json!({"script": script, "args": []}),
        )
    }

    /// Waits until an expression is true.
    pub fn wait_for(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.value(&format!("Boolean({expression})")) != true {
            assert!(
                Instant::now() < deadline,
                "never true: {expression}\n{}\n{:?}",
                self.value("document.body.innerText"),
                self.console()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses keys in the page.
    pub fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        let source = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.command("POST", "/actions", &json!({"actions": [source]}));
    }

    /// Moves the mouse to a point, and clicks if `is_click`.
    pub fn point(&self, x: i64, y: i64, is_click: bool) {
        let mut actions = vec![json!({"type": "pointerMove", "duration": 0, "x": x, "y": y})];
        if is_click {
            actions.push(json!({"type": "pointerDown", "button": 0}));
            actions.push(json!({"type": "pointerUp", "button": 0}));
        }
        let source = json!({"type": "pointer", "id": "mouse", "actions": actions});
        self.command("POST", "/actions", &json!({"actions": [source]}));
    }

    /// Turns the wheel over a point.
    pub fn scroll(&self, x: i64, y: i64, by: i64) {
        let turn =
            json!({"type": "scroll", "x": x, "y": y, "deltaX": 0, "deltaY": by, "duration": 0});
        let source = json!({"type": "wheel", "id": "wheel", "actions": [turn]});
        self.command("POST", "/actions", &json!({"actions": [source]}));
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.command("POST", "/se/log", &json!({"type": kind}));
        entries.as_array().cloned().unwrap_or_default()
    }

    /// What the console has since the last call: warnings and errors.
    pub fn console(&self) -> Vec<String> {
        let entries = self.log("browser").into_iter();
        let bad = entries.filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG");
        bad.map(|entry| entry["message"].to_string()).collect()
    }

    /// The addresses that were requested since the last call.
    pub fn requested(&self) -> Vec<String> {
        let entries = self.log("performance").into_iter();
        entries
            .filter_map(|entry| {
                let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
                let message = &message["message"];
                let is_request = message["method"] == "Network.requestWillBeSent";
                let url = message["params"]["request"]["url"].as_str()?;
                is_request.then(|| url.to_owned())
            })
            .collect()
    }

    /// Saves a picture of the window.
    pub fn screenshot(&self, path: &Path) {
        use base64::Engine;
        let picture = self.command("GET", "/screenshot", &Value::Null);
        let picture = base64::engine::general_purpose::STANDARD
            .decode(picture.as_str().unwrap())
            .unwrap();
        std::fs::write(path, picture).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Closes the browser, also after a failed test.
            let session = format!("/session/{}", self.session);
            let _ = self.try_call("DELETE", &session, &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
