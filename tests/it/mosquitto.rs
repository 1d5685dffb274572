//! mosquitto, started and stopped by tests on ports of their own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use wayside::io::mqtt::{Retry, SessionOptions};
use wayside::plan::{Broker, MqttVersion};

/// Where a program is; the folders of system programs are not on everybody's path.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// Says by name that a test is passed over for want of a program. Where `CI` is `true`, as `.ci/run`
/// sets it, every program has been installed, and its lack is a failure.
pub fn lacks(test: &str, what: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{test}: {what}");
    eprintln!("SKIPPED {test}: {what}");
}

/// True when all programs are here.
pub fn have(test: &str, programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|name| program(name).is_none()).collect();
    if missing.is_empty() {
        return true;
    }
    let debian = "(Debian: mosquitto, mosquitto-clients, openssl, systemd)";
    lacks(test, &format!("{missing:?} not installed {debian}"));
    false
}

pub fn run(name: &str, arguments: &[&str], folder: &Path) {
    let output =
        Command::new(program(name).unwrap()).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

/// mosquitto on a port of its own, in a folder of its own.
pub struct Mosquitto {
    pub folder: TempDir,
    pub port: u16,
    pub child: Option<Child>,
}

impl Mosquitto {
    /// `PORT` in the configuration stands for the port, `DIR` for the folder.
    pub fn start(configuration: &str) -> Self {
        Self::start_in(TempDir::new().unwrap(), configuration)
    }

    pub fn start_in(folder: TempDir, configuration: &str) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let text = configuration
            .replace("PORT", &port.to_string())
            .replace("DIR", &folder.path().display().to_string());
        // As root it would turn into another user, who may not read this folder.
        fs::write(folder.path().join("m.conf"), format!("{text}\nuser root\n")).unwrap();
        let mut broker = Self { folder, port, child: None };
        broker.up();
        broker
    }

    pub fn up(&mut self) {
        let log = fs::File::create(self.folder.path().join("m.log")).unwrap();
        let child = Command::new(program("mosquitto").unwrap())
            .arg("-c")
            .arg(self.folder.path().join("m.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        for _ in 0..200 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("mosquitto: {}", fs::read_to_string(self.folder.path().join("m.log")).unwrap());
    }

    /// SIGTERM, as a restart of the service does it: what it holds is saved on the way down.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            run("kill", &[&child.id().to_string()], self.folder.path());
            child.wait().unwrap();
        }
    }

    pub fn broker(&self, version: MqttVersion, client_id: &str) -> Broker {
        Broker {
            host: "127.0.0.1".into(),
            port: self.port,
            version,
            client_id: client_id.into(),
            keep_alive: Duration::from_secs(30),
            tls: None,
            user: None,
            password: None,
        }
    }

    pub fn options(
        &self,
        version: MqttVersion,
        client_id: &str,
        filters: &[&str],
    ) -> SessionOptions {
        SessionOptions {
            subscriptions: filters.iter().map(|filter| ((*filter).to_owned(), 1)).collect(),
            retry: Retry { first: Duration::from_millis(50), cap: Duration::from_millis(200) },
            ..SessionOptions::new(self.broker(version, client_id))
        }
    }

    /// What mosquitto's own client sees on a topic, one line a message.
    pub fn subscribe(&self, arguments: &[&str]) -> String {
        let output = Command::new(program("mosquitto_sub").unwrap())
            .args(["-p", &self.port.to_string(), "-V", "mqttv5", "-W", "10"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

pub const OPEN: &str = "listener PORT 127.0.0.1\nallow_anonymous true\n\
                    persistence true\npersistence_location DIR/\n\
                    autosave_on_changes true\nautosave_interval 1\nlog_dest stderr";
