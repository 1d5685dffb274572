//! What processes cost, by the kernel's own books.

use std::fs;
use std::time::Duration;

/// Ticks of /proc a second: fixed in the kernel's interface.
const TICKS: f64 = 100.0;

/// Processor time of a process and of the children that it has waited for, s.
pub fn cpu_s(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold blanks; what follows it does not.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12) + ticks(13) + ticks(14)) / TICKS
}

/// A process and all that it has started and that still runs: engines may fork.
pub fn tree_cpu_s(pid: u32) -> f64 {
    cpu_s(pid) + children(pid).into_iter().map(tree_cpu_s).sum::<f64>()
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Resident memory now and at its highest, MiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub now: f64,
    pub highest: f64,
}

pub fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        number.unwrap_or(0.0) / 1_024.0
    };
    let own = Memory { now: kib("VmRSS:"), highest: kib("VmHWM:") };
    children(pid).into_iter().map(memory).fold(own, |sum, child| Memory {
        now: sum.now + child.now,
        highest: sum.highest + child.highest,
    })
}

/// The value below which such a share of the sorted values lies.
pub fn percentile(sorted: &[Duration], share: f64) -> Option<Duration> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}
