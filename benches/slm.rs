//! What the language model costs a unit: time to the first text, time of a text, tokens a second,
//! what writing sixteen texts side by side saves, memory over many requests.
//!
//! `cargo bench --bench slm` measures `models/directions`; `WAYSIDE_MODELS` names other folders
//! (separated by `:`), `WAYSIDE_REQUESTS` the number of requests (100,000). Each model is measured in
//! a process of its own, so that memory is its own too. A second table has the same weights in
//! onnxruntime and llama.cpp, as far as the Python that `WAYSIDE_PYTHON` names has them.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops")]
#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wayside::domain::wording::{Space, WordingRequest};
use wayside::model::SlmWriter;
use wayside::model::backend::Engine;
use wayside::model::checkpoint::{Checkpoint, WEIGHTS};
use wayside::model::constraint::Constraint;
use wayside::model::contexts::Contexts;
use wayside::model::export::{self, Format};
use wayside::model::vocabulary::Token;
use wayside::plan::Backend;
use wayside::ports::{Asked, Writer};

/// Texts of at least so many tokens, for the figure of a long direction.
const LONG: u64 = 35;
/// Texts that are written side by side, and how many times that is measured.
const SIDE_BY_SIDE: usize = 16;
const ROUNDS: usize = 30;

/// What the other programs are given: so many prompts of so many tokens, as many tokens to write
/// after each, in so many rounds in turns with ours.
const PEER_PROMPTS: usize = 20;
const PEER_TOKENS: usize = 48;
const PEER_ROUNDS: usize = 7;
const OURS: &str = "wayside";

fn main() {
    if let Some(model) = std::env::var_os("WAYSIDE_ONE_MODEL") {
        measure(Path::new(&model));
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let models: Vec<PathBuf> = match std::env::var_os("WAYSIDE_MODELS") {
        Some(models) => std::env::split_paths(&models).collect(),
        None => vec![root.join("models/directions")],
    };
    println!(
        "| model | parameters | file, KiB | first text, ms | text p50 / p95, ms | of {LONG} tokens and more, p95 | \
         tokens/s | {SIDE_BY_SIDE} side by side against one by one | RSS MiB after 1 / 1,000 / all texts |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for model in &models {
        let status = Command::new(std::env::current_exe().unwrap())
            .env("WAYSIDE_ONE_MODEL", model)
            .status()
            .unwrap();
        assert!(status.success(), "{}", model.display());
    }
    println!(
        "\n| the same weights, one thread | tokens/s written | of ours | tokens/s read | of ours |"
    );
    println!("|---|---|---|---|---|");
    for model in &models {
        peers(model);
    }
}

/// Tokens written and read a second; what a program cannot do is missing.
type Speeds = BTreeMap<String, f64>;

/// The model by our engine and by others in turns: greedy writing, and one pass over texts.
fn peers(model: &Path) {
    let checkpoint = Checkpoint::read(model).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::Onnx, Format::Gguf] {
        export::export(model, format, folder.path()).unwrap();
    }
    let context = checkpoint.weights.architecture.context;
    let more = (context / 2).min(PEER_TOKENS);
    let mut contexts = Contexts::new(checkpoint.grammar.languages(), 10);
    // A request and, as far as there is room, tokens of no meaning: the length is what counts.
    let prompts: Vec<Vec<Token>> = (0..PEER_PROMPTS)
        .map(|_| {
            let mut prompt = checkpoint.vocabulary.request(&contexts.draw());
            let word = checkpoint.vocabulary.len() as Token - 1;
            prompt.resize((context - more).min(PEER_TOKENS), word);
            prompt
        })
        .collect();
    let python = std::env::var_os("WAYSIDE_PYTHON").unwrap_or_else(|| "python3".into());
    let mut others = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/slm_peers.py"))
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ask = others.stdin.take().unwrap();
    let mut answers = BufReader::new(others.stdout.take().unwrap()).lines();
    let asked = serde_json::json!({"prompts": prompts, "more": more, "context": context});
    writeln!(ask, "{asked}").unwrap();
    let mut engine = Engine::plain(&checkpoint.weights).unwrap();
    let mut rounds: Vec<BTreeMap<String, Speeds>> = Vec::new();
    for _ in 0..PEER_ROUNDS {
        let ours = ours(&mut engine, &prompts, more);
        writeln!(ask, "go").unwrap();
        let mut round: BTreeMap<String, Speeds> =
            serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        round.insert(OURS.to_owned(), ours);
        rounds.push(round);
    }
    drop(ask);
    assert!(others.wait().unwrap().success());
    let median = |of: &dyn Fn(&BTreeMap<String, Speeds>) -> Option<f64>| -> Option<f64> {
        let mut values: Vec<f64> = rounds.iter().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    for name in rounds[0].keys() {
        let cells = ["written", "read"].map(|what| {
            let speed = median(&|round| round[name].get(what).copied());
            // Each against ours of the same round, since the machine's speed changes.
            let ratio = median(&|round| Some(round[name].get(what)? / round[OURS][what]));
            speed.zip(ratio).map_or("– | –".to_owned(), |(s, r)| format!("{s:.0} | {r:.2}"))
        });
        println!("| {name} | {} | {} |", cells[0], cells[1]);
    }
}

fn ours(engine: &mut Engine, prompts: &[Vec<Token>], more: usize) -> Speeds {
    let (mut read, mut reading, mut writing) = (0, Duration::ZERO, Duration::ZERO);
    for prompt in prompts {
        engine.begin(&[None]);
        let start = Instant::now();
        let mut logits = engine.feed(&[(0, prompt)]).unwrap().swap_remove(0);
        reading += start.elapsed();
        read += prompt.len();
        let start = Instant::now();
        for _ in 0..more {
            let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
            logits = engine.feed(&[(0, &[best as Token])]).unwrap().swap_remove(0);
        }
        writing += start.elapsed();
    }
    let written = (prompts.len() * more) as f64 / writing.as_secs_f64();
    let read = read as f64 / reading.as_secs_f64();
    BTreeMap::from([("written".to_owned(), written), ("read".to_owned(), read)])
}

fn measure(model: &Path) {
    let requests: usize =
        std::env::var("WAYSIDE_REQUESTS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let start = Instant::now();
    let (mut writer, about) = wayside::model::load_slm(model, Backend::Cpu).unwrap();
    let Checkpoint { grammar, .. } = Checkpoint::read(model).unwrap();
    let mut contexts = Contexts::new(grammar.languages(), 9);
    let mut next = || -> WordingRequest {
        loop {
            let request = contexts.draw();
            if Constraint::new(&grammar, &request).is_ok() {
                return request;
            }
        }
    };
    writer.write(&next(), 0, &|| false).unwrap();
    let first = start.elapsed();
    let mut rss = vec![resident_mib()];
    let (mut times, mut long) = (Vec::with_capacity(requests), Vec::new());
    let (mut spent, begin) = (Duration::ZERO, writer.written());
    for nth in 1..=requests {
        let request = next();
        let (before, start) = (writer.written(), Instant::now());
        writer.write(&request, 0, &|| false).unwrap();
        let took = start.elapsed();
        spent += took;
        times.push(took);
        if writer.written() - before >= LONG && matches!(request.space, Space::Vehicle { .. }) {
            long.push(took);
        }
        if nth == 1_000.min(requests) {
            rss.push(resident_mib());
        }
    }
    rss.push(resident_mib());
    let tokens_per_s = (writer.written() - begin) as f64 / spent.as_secs_f64();
    let gain = side_by_side(&mut writer, &mut next);
    times.sort_unstable();
    long.sort_unstable();
    let at = |times: &[Duration], share: f64| {
        let rank = (share * times.len() as f64).ceil() as usize;
        times.get(rank.saturating_sub(1)).map_or(f64::NAN, |t| 1e3 * t.as_secs_f64())
    };
    let file = std::fs::metadata(model.join(WEIGHTS)).unwrap().len() / 1024;
    println!(
        "| {} | {} | {file} | {:.0} | {:.2} / {:.2} | {:.2} ({} texts) | {tokens_per_s:.0} | {gain:.2} times | {} |",
        about.name,
        about.parameters,
        1e3 * first.as_secs_f64(),
        at(&times, 0.5),
        at(&times, 0.95),
        at(&long, 0.95),
        long.len(),
        rss.iter().map(|mib| format!("{mib:.1}")).collect::<Vec<_>>().join(" / "),
    );
}

/// How many times as fast texts are written side by side as one by one, in turns.
fn side_by_side(writer: &mut SlmWriter, next: &mut impl FnMut() -> WordingRequest) -> f64 {
    let (mut alone, mut together) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        let requests: Vec<WordingRequest> = (0..SIDE_BY_SIDE).map(|_| next()).collect();
        let start = Instant::now();
        for request in &requests {
            writer.write(request, 0, &|| false).unwrap();
        }
        alone += start.elapsed();
        let asked: Vec<Asked<'_>> = requests.iter().map(Asked::from).collect();
        let start = Instant::now();
        assert!(writer.write_all(&asked, &|| false).iter().all(Result::is_ok));
        together += start.elapsed();
    }
    alone.as_secs_f64() / together.as_secs_f64()
}

/// Resident memory of this process, by the kernel's books.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok())
        .unwrap_or(f64::NAN);
    kib / 1024.0
}
