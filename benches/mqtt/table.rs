//! The table that is printed, a row as soon as it is measured.

use std::time::Duration;

use super::machine::Memory;

#[derive(Debug, Default)]
pub struct Row<'a> {
    pub subject: &'a str,
    /// Which time its windows follow: `event` or `processing`.
    pub time: &'a str,
    pub qos: u8,
    pub segments: u32,
    /// Messages a second.
    pub rate: f64,
    pub of_idle: Option<f64>,
    /// Processor seconds a million messages.
    pub cpu: Option<f64>,
    /// Cores at work: the subject, the broker and the load together.
    pub cores: f64,
    pub memory: Option<Memory>,
    pub counts: String,
    pub windows: String,
    pub p50: Option<Duration>,
    pub p99: Option<Duration>,
    /// Half the rate, how many windows closed in it, and its processor seconds a million.
    pub at_rate: Option<(f64, usize, f64)>,
}

impl Row<'_> {
    pub fn head() {
        println!(
            "| subject | time | QoS | segments | messages/s | of idle | CPU-s/million | cores busy | \
             RSS MiB, end (peak) | counts | windows | p50 ms | p99 ms | latency at |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    }

    pub fn print(&self) {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let ms =
            |time: Option<Duration>| or_dash(time.map(|t| format!("{:.1}", t.as_secs_f64() * 1e3)));
        println!(
            "| {} | {} | {} | {} | {:.0} | {} | {} | {:.2} | {} | {} | {} | {} | {} | {} |",
            self.subject,
            if self.time.is_empty() { "–" } else { self.time },
            self.qos,
            self.segments,
            self.rate,
            or_dash(self.of_idle.map(|share| format!("{:.0} %", share * 100.0))),
            or_dash(self.cpu.map(|cpu| format!("{cpu:.2}"))),
            self.cores,
            or_dash(self.memory.map(|m| format!("{:.1} ({:.1})", m.now, m.highest))),
            self.counts,
            if self.windows.is_empty() { "–" } else { &self.windows },
            ms(self.p50),
            ms(self.p99),
            or_dash(self.at_rate.map(|(rate, windows, cpu)| format!(
                "{rate:.0}/s, {windows} windows, {cpu:.2} CPU-s/million"
            ))),
        );
    }
}
