//! The unit under test: a network of straight roads, a pipeline over it, and the program itself.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

/// Where results of windows come out.
pub const RESULTS: &str = "wayside/v1/bench/window/+";

pub struct Unit {
    child: Child,
}

impl Unit {
    /// Writes network and pipeline into `folder` and starts the program; it listens when this
    /// returns.
    pub fn start(
        program: &Path,
        folder: &Path,
        port: u16,
        segments: u32,
        qos: u8,
        journal: bool,
    ) -> anyhow::Result<Self> {
        network(&folder.join("network"), segments)?;
        let file = pipeline(folder, qos, journal)?;
        let mut child = Command::new(program)
            .arg("run")
            .arg(&file)
            .args(["--broker", &format!("127.0.0.1:{port}"), "--output", "json"])
            // As in deploy/wayside.service.
            .env("MALLOC_MMAP_THRESHOLD_", "1048576")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let mut said = String::new();
        let stderr = child.stderr.take().context("stderr")?;
        let mut lines = BufReader::new(stderr);
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                bail!("the unit has ended: {said}");
            }
            if line.contains("words by") {
                break;
            }
            said += &line;
        }
        // What else it says is the reader's to see.
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                eprintln!("  unit: {line}");
            }
        });
        Ok(Self { child })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and gives its summary.
    pub fn stop(mut self) -> anyhow::Result<Value> {
        Command::new("kill").arg(self.pid().to_string()).status()?;
        let mut text = String::new();
        self.child.stdout.take().context("stdout")?.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the unit ended with {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("its summary is no JSON: {text}"))
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        // It has ended, unless the bench stops over an error.
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Roads of ten segments each, one after the other, side by side.
fn network(dir: &Path, segments: u32) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    let (mut features, mut connections) = (String::new(), String::new());
    let mut sensors = String::from("sensor_id,kind,edge_id,lane,pos_m,lon,lat,origin\n");
    for n in 0..segments {
        let (road, place) = (n / 10, n % 10);
        let at = |place: u32| 11.0 + f64::from(place) * 0.002;
        let lat = 44.0 + f64::from(road) * 0.0005;
        writeln!(
            features,
            "{}{{\"type\":\"Feature\",\"id\":\"edge_{n:05}\",\"geometry\":{{\"type\":\"LineString\",\
             \"coordinates\":[[{:.4},{lat:.4}],[{:.4},{lat:.4}]]}},\"properties\":{{\
             \"id\":\"edge_{n:05}\",\"from\":\"j{road}_{place}\",\"to\":\"j{road}_{}\",\
             \"name\":\"Road {}\",\"type\":null,\"length_m\":160.0,\"speed_limit_kmh\":50.0,\
             \"lanes\":1,\"cars_allowed\":true,\"to_signal\":false}}}}",
            if n > 0 { "," } else { "" },
            at(place),
            at(place + 1),
            place + 1,
            name(road),
        )?;
        writeln!(sensors, "loop_{n:05},loop,edge_{n:05},0,10.0,{:.4},{lat:.4},bench", at(place))?;
        if place < 9 && n + 1 < segments {
            writeln!(connections, "edge_{n:05},edge_{:05},s,1,,1", n + 1)?;
        }
    }
    let files = [
        (
            "network.geojson",
            format!(
                "{{\"type\":\"FeatureCollection\",\"city\":\"bench\",\"features\":[\n{features}]}}"
            ),
        ),
        (
            "connections.csv",
            format!("from_edge,to_edge,turn,lanes,signal_id,cars_allowed\n{connections}"),
        ),
        ("sensors.csv", sensors),
        (
            "signs.csv",
            "sign_id,edge_id,pos_m,lon,lat,text_rows,text_cols\n\
             vms_00,edge_00001,50.0,11.0026,44.0,3,18\n"
                .to_owned(),
        ),
    ];
    for (file, text) in files {
        fs::write(dir.join(file), text)?;
    }
    Ok(())
}

/// Letters, since a sign's words for a road must be told from its figures.
fn name(mut number: u32) -> String {
    let mut name = String::new();
    for _ in 0..3 {
        name.push(char::from(b'A' + (number % 26) as u8));
        number /= 26;
    }
    name
}

fn pipeline(folder: &Path, qos: u8, journal: bool) -> anyhow::Result<PathBuf> {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/loop.yaml");
    let journal = if journal { "journal: { dir: journal }\n" } else { "" };
    let text = format!(
        "version: 1
name: bench
network: network
sources:
  loops:
    mqtt: {{ topic: \"{}\", qos: {qos} }}
    schema: {}
    where: {{ kind: loop }}
    event_time: {{ field: ts, lateness: 10s, idle_after: 90s, max_future: 5m }}
    unique: [sensor_id, ts]
windows:
  segment_minute:
    from: loops
    size: 60s
    sql: |
      SELECT edge_id AS segment, SUM(count) AS vehicles,
             SUM(count * speed_kmh) / NULLIF(SUM(CASE WHEN speed_kmh IS NOT NULL THEN count END), 0) AS speed_kmh,
             AVG(occupancy_pct) AS occupancy_pct, COUNT(*) AS readings
      FROM loops GROUP BY edge_id
congestion: {{ from: segment_minute }}
directions: {{}}
writer: {{ languages: [en] }}
outputs:
  signs: {{ mqtt: {{ topic: \"wayside/v1/bench/direction/sign/{{sign}}\" }} }}
  windows: {{ mqtt: {{ topic: \"{}\" }} }}
{journal}",
        super::wire::FILTER,
        schema.display(),
        RESULTS.replace('+', "{window}"),
    );
    let file = folder.join("bench.yaml");
    fs::write(&file, text)?;
    Ok(file)
}
