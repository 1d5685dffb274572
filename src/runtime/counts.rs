//! What became of every message: received = accepted + duplicate + late + dead, always.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::refusal::DeadReason;
use crate::stage::congestion::UnusedRows;
use crate::stage::route::GuidanceReport;

/// The fates of messages, in all or of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub received: u64,
    pub accepted: u64,
    pub duplicate: u64,
    pub late: u64,
    pub dead: u64,
}

impl Tally {
    /// No message without a fate, none with two.
    pub fn balances(&self) -> bool {
        self.received == self.accepted + self.duplicate + self.late + self.dead
    }
}

/// What a run has seen and said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub all: Tally,
    /// Messages of a recording on topics that the pipeline does not subscribe to; a broker would not
    /// have delivered them, and they are no part of `received`.
    pub unsubscribed: u64,
    /// By source name; a message that no source claims is in `all` alone.
    pub sources: BTreeMap<String, Tally>,
    pub dead_by_reason: BTreeMap<DeadReason, u64>,
    /// How often the clock has been set.
    pub clock_steps: u64,
    /// Of the accepted: rows that revised a closed window.
    pub revised: u64,
    /// Of the accepted, by source: rows whose unique keys found no room, so that a repeat of one of
    /// them is accepted as well.
    pub unremembered: BTreeMap<String, u64>,
    /// By source, whatever became of them: rows of sensors that found no room among those which the
    /// watermark follows.
    pub unfollowed: BTreeMap<String, u64>,
    pub windows: BTreeMap<String, u64>,
    /// Folds and results that the SQL failed on, by window.
    pub failed_windows: BTreeMap<String, u64>,
    /// Texts by who wrote them, `template` or the model.
    pub texts_by_writer: BTreeMap<String, u64>,
    /// Directions sent to show, and sent to clear.
    pub shown: u64,
    pub cleared: u64,
    /// Drafts that the guard or the filling refused, by rule.
    pub refused_drafts: BTreeMap<String, u64>,
    /// Drafts that never came, by cause: deadline, failure.
    pub missing_drafts: BTreeMap<String, u64>,
    /// Directions withheld because no text, or not even their facts, passed the guard.
    pub withheld: u64,
}

impl Counts {
    /// The fates of messages of one source.
    pub(super) fn add(&mut self, source: &str, tally: &Tally) {
        // Dead ones among them are counted where they are handed out.
        self.all.accepted += tally.accepted;
        self.all.duplicate += tally.duplicate;
        self.all.late += tally.late;
        let sum = self.sources.entry(source.to_owned()).or_default();
        sum.received += tally.received;
        sum.accepted += tally.accepted;
        sum.duplicate += tally.duplicate;
        sum.late += tally.late;
    }

    /// A row of this source was accepted, and there was no room for its key.
    pub(super) fn unremembered(&mut self, source: &str) {
        if !self.unremembered.contains_key(source) {
            tracing::warn!(
                source,
                "more unique keys than are remembered: repeats of the newest readings count twice \
                 until windows close; look for a sensor that makes up names"
            );
        }
        bump(&mut self.unremembered, source.to_owned());
    }

    /// So many rows of this source were of sensors that the watermark has no room to follow.
    pub(super) fn unfollowed(&mut self, source: &str, rows: u64) {
        if rows == 0 {
            return;
        }
        if !self.unfollowed.contains_key(source) {
            tracing::warn!(
                source,
                "more sensors than are followed: the newest do not move the watermark until others \
                 are silent; look for a sensor that makes up names"
            );
        }
        *self.unfollowed.entry(source.to_owned()).or_default() += rows;
    }
}

/// One more of `key`.
pub(super) fn bump<K: Ord>(map: &mut BTreeMap<K, u64>, key: K) {
    *map.entry(key).or_default() += 1;
}

/// `summary.json`: how a run ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub pipeline: String,
    pub pipeline_hash: String,
    pub network_hash: String,
    pub model: String,
    pub received: u64,
    pub accepted: u64,
    pub revised: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unremembered: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unfollowed: BTreeMap<String, u64>,
    pub duplicate: u64,
    pub late: u64,
    pub dead: DeadSummary,
    pub unsubscribed: u64,
    pub sources: BTreeMap<String, Tally>,
    pub windows: WindowSummary,
    pub directions: DirectionSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<GuidanceReport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadSummary {
    pub total: u64,
    pub by_reason: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WindowSummary {
    pub total: u64,
    pub by_name: BTreeMap<String, u64>,
    /// Of the SQL: what it could not work on, by window.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, u64>,
    /// Result rows that the congestion stage could not use.
    pub unused_rows: UnusedRows,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DirectionSummary {
    pub shown: u64,
    pub cleared: u64,
    pub withheld: u64,
    pub texts_by_writer: BTreeMap<String, u64>,
    pub refused_drafts: BTreeMap<String, u64>,
    pub missing_drafts: BTreeMap<String, u64>,
}

impl Counts {
    pub fn dead(&self) -> DeadSummary {
        DeadSummary {
            total: self.all.dead,
            by_reason: self.dead_by_reason.iter().map(|(r, n)| (r.word(), *n)).collect(),
        }
    }

    pub fn windows(&self, unused_rows: UnusedRows) -> WindowSummary {
        WindowSummary {
            total: self.windows.values().sum(),
            by_name: self.windows.clone(),
            failed: self.failed_windows.clone(),
            unused_rows,
        }
    }

    pub fn directions(&self) -> DirectionSummary {
        DirectionSummary {
            shown: self.shown,
            cleared: self.cleared,
            withheld: self.withheld,
            texts_by_writer: self.texts_by_writer.clone(),
            refused_drafts: self.refused_drafts.clone(),
            missing_drafts: self.missing_drafts.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_message_unbalances() {
        let mut tally = Tally { received: 5, accepted: 2, duplicate: 1, late: 1, dead: 1 };
        assert!(tally.balances());
        tally.received += 1;
        assert!(!tally.balances());
    }
}
