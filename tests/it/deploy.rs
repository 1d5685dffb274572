//! The recipe of `deploy/README.md`, followed in a folder of its own: what it lays out passes `check`, is
//! what the service starts, and asks of the broker only what the unit's user may do.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use wayside::config::{self, Checked, Grade};
use wayside::plan::{OutputKind, Secret};

use super::mosquitto::{have, run};
use super::support::root;

/// What the unit may write to.
const STATE: &str = "/var/lib/wayside";

fn deployed(name: &str) -> String {
    fs::read_to_string(root().join("deploy").join(name)).unwrap()
}

/// The recipe's commands for the unit, up to those that start it.
fn commands() -> Vec<String> {
    let text = deployed("README.md");
    let (_, unit) = text.split_once("\n## The unit\n").unwrap();
    unit.lines()
        .skip_while(|line| !line.starts_with("    "))
        .map_while(|line| line.strip_prefix("    "))
        .take_while(|line| !line.starts_with("systemctl"))
        .map(str::to_owned)
        .collect()
}

/// Follows the recipe below `top` instead of `/`, with the demo's network, to the end of its `check`.
fn follow(top: &Path) -> Output {
    for folder in ["usr/bin", "etc/systemd/system"] {
        fs::create_dir_all(top.join(folder)).unwrap();
    }
    // The tests' program is large: a link does.
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wayside"), top.join("usr/bin/wayside")).unwrap();
    let script: Vec<String> = commands()
        .iter()
        .filter(|line| !line.contains("/usr/bin/wayside"))
        .map(|line| line.replace("/etc/", &format!("{}/etc/", top.display())))
        .map(|line| line.replace("NETWORK", "../pipelines/demo/network"))
        .collect();
    let path = format!("{}/usr/bin:{}", top.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash")
        .args(["-euc", &script.join("\n")])
        .current_dir(root().join("deploy"))
        .env("PATH", path)
        .env_remove("CREDENTIALS_DIRECTORY")
        .env_remove("WAYSIDE_USER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap().write_all(b"secret\n").unwrap();
    shell.wait_with_output().unwrap()
}

/// The pipeline file that the service runs.
fn started() -> PathBuf {
    let unit = deployed("wayside.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    PathBuf::from(start.strip_prefix("/usr/bin/wayside run ").unwrap())
}

fn below(top: &Path, path: &Path) -> PathBuf {
    top.join(path.strip_prefix("/").unwrap())
}

#[test]
fn the_recipe_lays_out_what_check_passes_and_the_service_starts() {
    let top = TempDir::new().unwrap();
    let output = follow(top.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("site.yaml is valid"), "{said}");
    let checked = commands().into_iter().find(|line| line.starts_with("wayside check ")).unwrap();
    assert_eq!(Path::new(checked.strip_prefix("wayside check ").unwrap()), started());

    // In a shell the service's variable is all that is missing.
    let pipeline = below(top.path(), &started());
    let Checked { plan, report } = config::check_with(&pipeline, &|_| None);
    let found: Vec<_> = report.findings().map(|f| (f.severity, f.message.to_owned())).collect();
    let unset = "the variable `CREDENTIALS_DIRECTORY` has no value here".to_owned();
    assert_eq!(found, [(Grade::Warning, unset)]);
    let broker = plan.unwrap().broker.unwrap();
    let variable = "CREDENTIALS_DIRECTORY".to_owned();
    assert_eq!(broker.password, Some(Secret::FileOfUnset { variable }));

    // The service has it, and the credential that the pipeline names.
    let credentials = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| "/run/c".to_owned());
    let Checked { plan, report } = config::check_with(&pipeline, &credentials);
    assert!(report.is_empty(), "{report}");
    let plan = plan.unwrap();
    let broker = plan.broker.as_ref().unwrap();
    assert_eq!(broker.password, Some(Secret::File("/run/c/mqtt-password".into())));
    let unit = deployed("wayside.service");
    let credential = unit.lines().find_map(|l| l.strip_prefix("LoadCredential=mqtt-password:"));
    let password = below(top.path(), Path::new(credential.unwrap()));
    assert_eq!(fs::read_to_string(password).unwrap(), "secret\n");
    let Some(Secret::Env(user)) = &broker.user else { panic!("{:?}", broker.user) };
    let environment = unit.lines().find_map(|line| line.strip_prefix("EnvironmentFile=-")).unwrap();
    let environment = fs::read_to_string(below(top.path(), Path::new(environment))).unwrap();
    assert_eq!(environment, format!("{user}=unit\n"));

    // The service may write to its state alone.
    assert!(unit.contains("StateDirectory=wayside\n") && unit.contains("ProtectSystem=strict\n"));
    assert!(plan.journal.is_some_and(|journal| journal.dir.starts_with(STATE)));
    let archive = plan.outputs.iter().find_map(|output| match &output.kind {
        OutputKind::Archive { dir, .. } => Some(dir),
        _ => None,
    });
    assert!(archive.is_some_and(|dir| dir.starts_with(STATE)), "{archive:?}");
}

/// Whether one of the rules covers a topic or filter; `+` in a rule covers any level.
fn covered(rules: &[&str], topic: &str) -> bool {
    let covers = |rule: &str| {
        let (rule, topic): (Vec<_>, Vec<_>) =
            (rule.split('/').collect(), topic.split('/').collect());
        rule.len() == topic.len() && rule.iter().zip(&topic).all(|(r, t)| *r == "+" || r == t)
    };
    rules.iter().any(|rule| covers(rule))
}

#[test]
fn the_units_user_may_do_what_its_pipeline_asks() {
    let top = TempDir::new().unwrap();
    assert!(follow(top.path()).status.success());
    let plan = config::check(&below(top.path(), &started())).plan.unwrap();
    let acl = deployed("acl");
    let (_, rules) = acl.split_once("\nuser unit\n").unwrap();
    let rules: Vec<&str> = rules.lines().take_while(|line| !line.starts_with("user ")).collect();
    let may = |access: &str| -> Vec<&str> {
        let rules = rules.iter().filter_map(|line| line.strip_prefix("topic ")?.split_once(' '));
        let rules = rules.filter(|(kind, _)| [access, "readwrite"].contains(kind));
        rules.map(|(_, topic)| topic).collect()
    };
    for (filter, _) in plan.subscriptions() {
        assert!(covered(&may("read"), &filter), "{filter}");
    }
    let mut topics = vec![plan.status_topic.clone()];
    for output in &plan.outputs {
        match &output.kind {
            OutputKind::Signs { topic, .. }
            | OutputKind::Vehicles { topic, .. }
            | OutputKind::Windows { topic, .. } => topics.push(topic.clone()),
            OutputKind::Archive { .. } => {}
        }
    }
    assert_eq!(topics.len(), 4, "{topics:?}");
    for topic in topics {
        assert!(covered(&may("write"), &topic), "{topic}");
    }
}

#[test]
fn the_systemd_unit_is_well_formed() {
    if !have("the_systemd_unit_is_well_formed", &["systemd-analyze"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/wayside.service");
    // The program need not be installed here.
    let text = fs::read_to_string(deploy).unwrap().replace("/usr/bin/wayside", "/bin/true");
    fs::write(folder.path().join("wayside.service"), text).unwrap();
    run("systemd-analyze", &["verify", "./wayside.service"], folder.path());
}
